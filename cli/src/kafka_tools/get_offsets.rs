//! `kafka-get-offsets`: where the partitions of topics begin and end, or what came at a time.
//!
//! Invariant: a partition that has no such offset is left out.

use logway_client::{Admin, OffsetSpec, TopicPartition};
use regex::Regex;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err, out};
use super::{Misread, Tool, regex_pattern};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-get-offsets",
    options: &[&CLUSTER, &OPTIONS],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 6] = [
    value("broker-list", "The old name of --bootstrap-server."),
    value(
        "topic-partitions",
        "Patterns topic:partition or topic:from-to, with commas.",
    ),
    value("topic", "A regular expression of topics."),
    value("partitions", "Partition numbers, with commas."),
    value(
        "time",
        "Milliseconds since 1970, or latest, earliest, max-timestamp and so on.",
    ),
    flag(
        "exclude-internal-topics",
        "Leave out the cluster's own topics.",
    ),
];

fn ended(end: End, table: &str) -> u8 {
    match end {
        End::Failed(exception) => {
            err(format!("Error occurred: {}", exception.message));
            1
        }
        end => super::ended(end, table),
    }
}

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let bootstrap = connect::bootstrap(parsed)
        .or_else(|| parsed.get("broker-list").map(str::to_owned))
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    if parsed.has("topic-partitions") && (parsed.has("topic") || parsed.has("partitions")) {
        return Err(Exception::illegal_argument(
            "--topic-partitions cannot be used with --topic or --partitions",
        )
        .into());
    }
    let spec = spec(parsed.get("time").unwrap_or("latest"))?;
    let filter = Filter::of(parsed)?;
    let admin = connect::admin(&bootstrap, parsed)?;
    let partitions = matching(&admin, &filter, parsed.has("exclude-internal-topics")).await?;
    if partitions.is_empty() {
        return Err(Exception::illegal_argument(
            "Could not match any topic-partitions with the specified filters",
        )
        .into());
    }
    let wanted: Vec<_> = partitions.into_iter().map(|at| (at, spec)).collect();
    let listed = admin
        .list_offsets(&wanted)
        .await
        .map_err(|error| Exception::of_call(&error, "listOffsets"))?;
    for (at, listed) in listed {
        match listed {
            Ok(listed) => {
                if let Some(offset) = listed.offset {
                    out(format!("{}:{}:{offset}", at.topic, at.partition));
                }
            }
            Err(error) => err(format!(
                "Skip getting offsets for topic-partition {}-{} due to error: {}",
                at.topic,
                at.partition,
                Exception::of_call(&error, "listOffsets").message
            )),
        }
    }
    Ok(0)
}

fn spec(time: &str) -> Result<OffsetSpec, Exception> {
    Ok(match time {
        "latest" | "-1" => OffsetSpec::Latest,
        "earliest" | "-2" => OffsetSpec::Earliest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        // The places of tiered storage have numbers below those of the others.
        "earliest-local" => OffsetSpec::Timestamp(-4),
        "latest-tiered" => OffsetSpec::Timestamp(-5),
        "earliest-pending-upload" => OffsetSpec::Timestamp(-6),
        number => OffsetSpec::Timestamp(number.parse().map_err(|_| {
            Exception::illegal_argument(format!(
                "Malformed time argument {number}. Please use -1 or latest / -2 or earliest / \
                 -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
                 earliest-pending-upload, or a specified long format timestamp"
            ))
        })?),
    })
}

/// Which partitions are meant: one of the alternatives must fit.
struct Filter {
    alternatives: Vec<(Regex, Range)>,
}

/// Partition numbers, the end left out.
enum Range {
    Of(Vec<i32>),
    Between(i32, i32),
}

impl Filter {
    fn of(parsed: &Parsed) -> Result<Self, Exception> {
        let alternatives = match parsed.get("topic-partitions") {
            Some(list) => list.split(',').map(alternative).collect::<Result<_, _>>()?,
            None => {
                let topic = regex_pattern::topics(parsed.get("topic").unwrap_or(".*"))?;
                let range = match parsed.get("partitions") {
                    Some(list) => Range::Of(
                        list.split(',')
                            .map(|number| number_of(number, parsed))
                            .collect::<Result<_, _>>()?,
                    ),
                    None => Range::Between(0, i32::MAX),
                };
                vec![(topic, range)]
            }
        };
        Ok(Self { alternatives })
    }

    fn fits(&self, topic: &str, partition: i32) -> bool {
        self.alternatives.iter().any(|(pattern, range)| {
            pattern.is_match(topic)
                && match range {
                    Range::Of(numbers) => numbers.contains(&partition),
                    Range::Between(from, to) => (*from..*to).contains(&partition),
                }
        })
    }
}

fn number_of(text: &str, parsed: &Parsed) -> Result<i32, Exception> {
    text.trim().parse().map_err(|_| {
        let list = parsed.get("partitions").unwrap_or_default();
        Exception::illegal_argument(format!(
            "--partitions expects a comma separated list of numeric partition IDs, but received: {list}"
        ))
    })
}

/// `topic`, `topic:3`, `topic:1-5`, `topic:1-`, `topic:-5`, each with a pattern as the topic.
fn alternative(text: &str) -> Result<(Regex, Range), Exception> {
    let invalid = || Exception::illegal_argument(format!("Invalid rule specification: {text}"));
    let (topic, range) = text.split_once(':').unwrap_or((text, ""));
    let topic = regex_pattern::topics(if topic.is_empty() { ".*" } else { topic })?;
    let bound = |text: &str, open: i32| match text {
        "" => Ok(open),
        number => number.parse().map_err(|_| invalid()),
    };
    let range = match range.split_once('-') {
        Some((from, to)) => Range::Between(bound(from, 0)?, bound(to, i32::MAX)?),
        None if range.is_empty() => Range::Between(0, i32::MAX),
        None => Range::Of(vec![bound(range, 0)?]),
    };
    Ok((topic, range))
}

async fn matching(
    admin: &Admin,
    filter: &Filter,
    exclude_internal: bool,
) -> Result<Vec<TopicPartition>, Exception> {
    let topics = admin
        .list_topics()
        .await
        .map_err(|error| Exception::of_call(&error, "listTopics"))?;
    let mut partitions = Vec::new();
    for topic in topics {
        if topic.internal && exclude_internal {
            continue;
        }
        for partition in 0..i32::try_from(topic.partitions).unwrap_or(i32::MAX) {
            if filter.fits(&topic.name, partition) {
                partitions.push(TopicPartition::new(topic.name.as_ref(), partition));
            }
        }
    }
    Ok(partitions)
}
