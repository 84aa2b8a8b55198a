//! What a figure depends on besides the code: the machine and the revision.

use std::process::Command;

use serde_json::{Value, json};

/// The first line of a file's or command's text that begins like this, what follows it.
fn line_after(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([':', ' ', '\t']).trim().to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(super::root())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

/// The revision that is measured; `+` where files differ from it.
pub(crate) fn revision() -> String {
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).unwrap_or_default();
    format!("{revision}{}", if changed.is_empty() { "" } else { "+" })
}

/// Processor, memory and kernel.
pub(crate) fn description() -> Value {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({
        "processor": line_after(&read("/proc/cpuinfo"), "model name"),
        "cores": cores,
        "memory": line_after(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
