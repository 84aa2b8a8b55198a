//! Figures of a run: every sample as a JSON line, medians by case and system as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::{Value, json};

use super::machine;

/// A case and one of its figures.
type Key = (String, &'static str);

/// Samples by (case, figure) and system, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    order: Vec<Key>,
    samples: BTreeMap<Key, BTreeMap<String, Vec<f64>>>,
    failures: Vec<(String, String, String)>,
    parameters: BTreeMap<String, Value>,
    /// Lines that are not in the file yet.
    unsaved: Vec<Value>,
}

impl Report {
    /// Adds one sample of a figure; `figure` ends with its unit.
    pub(crate) fn add(&mut self, case: &str, figure: &'static str, system: &str, value: f64) {
        let key = (case.to_owned(), figure);
        if !self.samples.contains_key(&key) {
            self.order.push(key.clone());
        }
        let systems = self.samples.entry(key).or_default();
        let values = systems.entry(system.to_owned()).or_default();
        values.push(value);
        let round = values.len();
        self.unsaved.push(json!({
            "case": case, "figure": figure, "system": system, "round": round, "value": value,
        }));
    }

    /// Notes what a case is made of, for its JSON lines.
    pub(crate) fn parameters(&mut self, case: &str, parameters: Value) {
        self.parameters.insert(case.to_owned(), parameters);
    }

    /// Notes that a case failed on a system, and why.
    pub(crate) fn fail(&mut self, case: &str, system: &str, reason: &str) {
        let failure = (case.to_owned(), system.to_owned(), reason.to_owned());
        self.unsaved
            .push(json!({ "case": case, "system": system, "failed": reason }));
        self.failures.push(failure);
    }

    /// How often a case failed on a system.
    pub(crate) fn failures(&self, case: &str, system: &str) -> usize {
        let failures = self.failures.iter();
        failures
            .filter(|(of, on, _)| of == case && on == system)
            .count()
    }

    /// The median of a figure on a system.
    pub(crate) fn median(&self, case: &str, figure: &'static str, system: &str) -> Option<f64> {
        let systems = self.samples.get(&(case.to_owned(), figure))?;
        systems.get(system).map(|values| median(values))
    }

    /// The table in Markdown, with the ratio to the peer where there is one; then what failed.
    pub(crate) fn table(&self) -> String {
        let mut table =
            String::from("| case | figure | logway | peer | ratio |\n|---|---|--:|--:|--:|\n");
        for key in &self.order {
            let Some(systems) = self.samples.get(key) else {
                continue;
            };
            let ours = systems.get("logway").map(|values| median(values));
            let peer = systems.iter().find(|(name, _)| *name != "logway");
            let theirs = peer.map(|(_, values)| median(values));
            let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
            let name = peer
                .map(|(name, _)| format!(" ({name})"))
                .unwrap_or_default();
            let row = [shown(ours), shown(theirs) + &name, shown(ratio)].join(" | ");
            writeln!(table, "| {} | {} | {row} |", key.0, key.1).unwrap_or_default();
        }
        for (case, system, reason) in &self.failures {
            writeln!(table, "\nFailed: {case}, {system}: {reason}").unwrap_or_default();
        }
        table
    }

    /// Appends what is new to the file, a JSON line for each sample.
    pub(crate) fn save(&mut self, file: &Path) -> anyhow::Result<()> {
        let mut out = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .with_context(|| format!("open {}", file.display()))?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (revision, machine) = (machine::revision(), machine::description());
        for mut line in self.unsaved.drain(..) {
            let case = line["case"].as_str().unwrap_or_default();
            let parameters = self.parameters.get(case).cloned();
            line["parameters"] = parameters.unwrap_or(Value::Null);
            line["time"] = time.into();
            line["revision"] = revision.clone().into();
            line["machine"] = machine.clone();
            writeln!(out, "{line}").context("write a result")?;
        }
        Ok(())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A figure with three or four digits that say something.
pub(crate) fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}
