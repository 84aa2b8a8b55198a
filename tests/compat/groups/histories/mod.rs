//! Random histories: actors with right, stale and lying values ask Apache Kafka and Logway the same
//! in lock step, and both have to answer the same. A history that differs is made small and printed;
//! such ones are kept in `kept`.
//!
//! `LOGWAY_HISTORIES` says how many, `LOGWAY_SEED` where to begin.

mod ask;
mod ask_transactions;
mod draw;
mod draw_transactions;
mod kept;
mod line;
mod model;
mod play;
mod side;
mod step;
mod told;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::binary;
use harness::process::Process;

use draw::{About, Random};
use play::{Pair, Source};

use crate::node::Kafka;
use crate::peers;

/// Both decide at once: what is compared must not hang on the clock.
const SETTINGS: &str = "group_initial_rebalance_delay_ms = 0\noffsets_topic_num_partitions = 5\n\
    transaction_state_log_num_partitions = 5\n[group_consumer]\nassignment_interval_ms = 0\n";
const KAFKAS: [&str; 6] = [
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=5",
    "transaction.state.log.num.partitions=5",
    "group.consumer.assignment.interval.ms=0",
    "group.consumer.assignor.offload.enable=false",
    "group.coordinator.append.linger.ms=0",
];

/// Histories without being told how many: those that are kept are all that is known to agree yet.
const HISTORIES: usize = 0;
const STEPS: usize = 40;
const SEED: u64 = 5000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_histories_are_answered_as_kafka_answers_them() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start_with(script, folder.path(), &KAFKAS);
    let logway = logway(folder.path());
    let addresses = [kafka.address(), logway.address("kafka")];
    let count = number("LOGWAY_HISTORIES").and_then(|count| usize::try_from(count).ok());
    let seed = number("LOGWAY_SEED").unwrap_or(SEED);
    let differences = explore(addresses, count.unwrap_or(HISTORIES), seed);
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(logway.stop().success());
}

fn logway(folder: &Path) -> Process {
    let (data, settings) = (folder.join("broker"), folder.join("broker.toml"));
    let data = data.display();
    let text = format!("data_dir = \"{data}\"\nlisten = \"127.0.0.1:0\"\n{SETTINGS}");
    std::fs::write(&settings, text).expect("a settings file");
    let settings = settings.to_str().expect("UTF-8");
    Process::start(&binary("logway"), &["broker", "--config", settings], folder)
}

fn explore(addresses: [String; 2], count: usize, seed: u64) -> Vec<String> {
    let began = Instant::now();
    let mut pair = Pair::open(addresses, 0);
    let mut differences = Vec::new();
    let mut steps = 0;
    for (name, history) in kept::kept() {
        let played = pair.play(Source::Given(&history), play::QUICK);
        if std::env::var("LOGWAY_SHOW").is_ok() {
            println!("kept {name}:\n{}", played.lines.join("\n"));
        }
        if let Some(difference) = played.difference {
            differences.push(format!("kept: {name}:\n{difference}"));
        }
    }
    for nth in 0..count {
        let seed = seed.wrapping_add(nth as u64);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let about = About::draw(&mut random);
        let length = 5 + random.below(STEPS);
        let played = pair.play(Source::Drawn(&mut random, about, length), play::QUICK);
        steps += played.steps.len();
        if played.difference.is_some()
            && let Some(found) = pair.explain(&played.steps)
        {
            let found = format!("seed {seed} {about:?}:\n{found}");
            println!("{found}");
            differences.push(found);
        }
    }
    let took = began.elapsed();
    println!("{count} histories, {steps} steps in {took:?}");
    differences
}

/// How long quiet has to last before a request is taken to wait.
const LONGER: Duration = Duration::from_millis(60);
