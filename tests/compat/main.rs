//! Clients that nobody here wrote, unmodified, against a Logway broker: kcat, confluent-kafka,
//! kafka-python and Apache Kafka's own command-line tools.
//!
//! A peer that is not installed is named and its tests prove nothing; with `LOGWAY_REQUIRE_PEERS`
//! set, as in CI, they fail instead.
#![allow(
    clippy::print_stdout,
    reason = "a seed, or what was not run, belongs in the test's output"
)]

mod admin;
mod admin_cases;
mod admin_hurry;
mod admin_more;
mod admin_settings;
mod alter_configs;
mod compaction;
mod deleted;
mod dump;
mod folders;
mod groups;
mod kafka_admin_tools;
mod kafka_tools;
mod kcat;
mod many_partitions;
mod node;
#[path = "../../broker/tests/odd/mod.rs"]
mod odd;
mod odd_batches;
mod peers;
mod raw;
#[path = "../../broker/tests/requests/mod.rs"]
mod requests;
mod scenarios;
mod sequences;
mod steady;
mod streams;
mod transactions;

use std::path::Path;

use harness::binary;
use harness::process::Process;

/// A broker of its own for one test.
fn broker(folder: &Path) -> Process {
    broker_with(folder, "")
}

/// The same with more settings.
fn broker_with(folder: &Path, more: &str) -> Process {
    let data = folder.join("broker");
    let settings = folder.join("broker.toml");
    let text = format!(
        "data_dir = \"{}\"\nlisten = \"127.0.0.1:0\"\ngroup_initial_rebalance_delay_ms = 200\n{more}",
        data.display()
    );
    std::fs::write(&settings, text).expect("a settings file");
    Process::start(
        &binary("logway"),
        &["broker", "--config", settings.to_str().expect("UTF-8")],
        folder,
    )
}
