//! What two outputs have in common once ids, times and figures are put aside.
//!
//! Invariant: masking never adds or removes a line of the tool's own; only option tables, stack
//! traces and log lines of the clients inside Kafka's tools are left out.

use std::collections::BTreeMap;

use regex::Regex;

/// How an output fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Line by line.
    Same,
    /// The same lines in another order.
    OtherOrder,
    /// Not.
    Different,
}

/// Masks what varies from run to run.
pub(crate) struct Mask {
    rules: Vec<(Regex, &'static str)>,
}

impl Mask {
    pub(crate) fn new() -> Self {
        let rules = [
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,:]\d{3}", "TIME"),
            (r"TopicId: \S{22}", "TopicId: ID"),
            (r#""topicId":"[^"]*""#, "\"topicId\":\"ID\""),
            (r#""commitTimestamp":\d+"#, "\"commitTimestamp\":TIME"),
            (r"CreateTime:\d+", "CreateTime:TIME"),
            (r"console-consumer-\d+", "console-consumer-N"),
            (
                r"[\w-]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} *",
                "MEMBER ",
            ),
            (r"\b[\w-]{22}( +/127)", "MEMBER$1"),
            (r"CONSUMER-ID +", "CONSUMER-ID "),
            (r"\(1\) +", "(1) "),
            (r"COORDINATOR \(ID\) +", "COORDINATOR (ID) "),
            (r"/[\w./]+/1/data\b", "DATA"),
            (r#""size":\d+"#, "\"size\":N"),
            (r#""logDir":"[^"]*""#, "\"logDir\":\"DIR\""),
            (r"\b17\d{11}\b *|\b18\d{11}\b *", "TIME "),
            (r"Valid states are: .*", "Valid states are: STATES"),
            // Figures of speed.
            (
                r"\d+ records sent, [\d.]+ records/sec \([\d.]+ MB/sec\), [\d.]+ ms avg latency, [\d.]+ ms max latency",
                "RECORDS",
            ),
            (
                r"\d+ steady state records sent, [\d.]+ records/sec \([\d.]+ MB/sec\), [\d.]+ ms avg latency, [\d.]+ ms max latency",
                "STEADY RECORDS",
            ),
            (r"\d+ ms (50|95|99|99\.9)th", "N ms ${1}th"),
            (
                r"^\d+ +\t\d+ +\t-?\d+ +\t-?\d+ +\tTIME *\t(None|\d+) *\t$",
                "PRODUCER $1",
            ),
            (r"PRODUCER \d+", "PRODUCER OFFSET"),
            (
                r"^(\d+ +\t\S+ +)\t\d+ +\t\d+ +\t(\w+ *)\t(\d+ *)\t(TIME *|None *)\t(\d+|None) *\t",
                "$1 $2 $3 $4",
            ),
            (r"^TIME, (TIME, |0, )[\d., -]+$", "TIME, FIGURES"),
        ];
        let rule = |(pattern, to): (&str, &'static str)| {
            let pattern = format!("(?m){pattern}");
            (Regex::new(&pattern).expect("a pattern"), to)
        };
        Self {
            rules: rules.into_iter().map(rule).collect(),
        }
    }

    fn apply(&self, text: &str) -> String {
        self.rules
            .iter()
            .fold(text.to_owned(), |text, (pattern, to)| {
                pattern.replace_all(&text, *to).into_owned()
            })
    }

    /// Compares standard output.
    pub(crate) fn stdout(&self, expected: &str, seen: &str) -> Fit {
        fit(&self.apply(expected), &self.apply(seen))
    }

    /// Compares standard error as far as it is the tool's own.
    pub(crate) fn stderr(&self, expected: &str, seen: &str) -> Fit {
        fit(
            &self.apply(&own_lines(expected)),
            &self.apply(&own_lines(seen)),
        )
    }
}

fn fit(expected: &str, seen: &str) -> Fit {
    if expected == seen {
        return Fit::Same;
    }
    if collapsed(expected) == collapsed(seen) {
        return Fit::Same;
    }
    if counted(expected) == counted(seen) {
        return Fit::OtherOrder;
    }
    Fit::Different
}

/// Reports come by the clock: any number of them is one.
fn collapsed(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup_by(|a, b| a == b && (a.starts_with("RECORDS.") || a.starts_with("TIME, ")));
    let is_report = |line: &&str| *line != "RECORDS.";
    lines.into_iter().filter(is_report).collect()
}

/// Lines and how often they come; a line of JSON counts by its letters.
fn counted(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if line.starts_with('{') {
            let mut letters: Vec<char> = line.chars().collect();
            letters.sort_unstable();
            line = letters.into_iter().collect();
        }
        *lines.entry(line).or_default() += 1;
    }
    lines
}

/// Without option tables, stack traces and the log of the clients inside.
fn own_lines(text: &str) -> String {
    let client = Regex::new(
        r"^\[[^\]]+\] (WARN|ERROR) \[(AdminClient|LegacyAdminClient|Consumer|Producer|NodeTo)",
    )
    .expect("a pattern");
    let mut own = String::new();
    for line in text.lines() {
        if line.starts_with("Option  ") || line.starts_with("usage: ") {
            break;
        }
        let is_trace = line.starts_with("\tat ")
            || line.starts_with("\t... ")
            || line.starts_with("Caused by: ")
            // An advertisement of the client inside.
            || line.starts_with("The consumer rebalance protocol (KIP-848)");
        if !is_trace && !client.is_match(line) {
            own.push_str(line);
            own.push('\n');
        }
    }
    own.trim_end().to_owned()
}
