//! Figures of a run: medians by case and system, as a table and as JSON lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// Samples by (case, figure) and system, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    order: Vec<(String, &'static str)>,
    samples: BTreeMap<(String, &'static str), BTreeMap<String, Vec<f64>>>,
}

impl Report {
    /// Adds one sample of a figure; `figure` ends with its unit.
    pub(crate) fn add(&mut self, case: &str, figure: &'static str, system: &str, value: f64) {
        let key = (case.to_owned(), figure);
        if !self.samples.contains_key(&key) {
            self.order.push(key.clone());
        }
        let systems = self.samples.entry(key).or_default();
        systems.entry(system.to_owned()).or_default().push(value);
    }

    /// The table, with the ratio to the peer where there is one.
    #[expect(clippy::print_stdout, reason = "the table is the result")]
    pub(crate) fn print(&self) {
        println!("| case | figure | logway | peer | ratio |\n|---|---|--:|--:|--:|");
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
            println!(
                "| {} | {} | {} | {}{name} | {} |",
                key.0,
                key.1,
                shown(ours),
                shown(theirs),
                shown(ratio)
            );
        }
    }

    /// Appends a JSON line for each figure and system.
    pub(crate) fn append_to(&self, file: &Path) -> anyhow::Result<()> {
        let mut out = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .with_context(|| format!("open {}", file.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        for key in &self.order {
            for (system, values) in self.samples.get(key).into_iter().flatten() {
                let line = serde_json::json!({
                    "time": now, "case": key.0, "figure": key.1, "system": system,
                    "median": median(values), "samples": values,
                });
                writeln!(out, "{line}").context("write a result")?;
            }
        }
        Ok(())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}
