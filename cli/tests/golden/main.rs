//! Kafka's tools by their own names, beside transcripts of the originals.
//!
//! The transcripts lie beside the project (`../shared/golden/kafka-cli`). Without them the suite
//! proves nothing and says so; with `LOGWAY_REQUIRE_PEERS` it fails. Each transcript is played to
//! Logway's broker, and to Apache Kafka where `LOGWAY_KAFKA_PEER` names a script that runs it.
//! `LOGWAY_GOLDEN` picks transcripts by their numbers (`01,05`).
//!
//! Invariant: a command whose output differs fails the suite unless `known.txt` lists it.

mod broker;
mod compare;
mod known;
#[path = "../../../tests/harness/port.rs"]
mod port;
mod stage;
mod transcript;

use std::path::{Path, PathBuf};

use broker::Broker;
use compare::{Fit, Mask};
use stage::{Seen, Stage};
use transcript::Step;

/// Transcripts that were played one after the other to one broker.
const SERIES: [&[&str]; 5] = [
    &["01-topics", "02-topics-errors"],
    &["03-console"],
    &["04-consumer-groups", "05-reset-offsets"],
    &[
        "06-configs",
        "07-get-offsets",
        "08-cluster-tools",
        "10-perf-tools",
    ],
    &["09-transactions"],
];

#[test]
fn on_logway() {
    let Some(transcripts) = transcripts() else {
        return;
    };
    play("logway", &transcripts, Broker::logway);
}

#[test]
fn on_kafka() {
    let Some(script) = std::env::var_os("LOGWAY_KAFKA_PEER").map(PathBuf::from) else {
        assert!(
            std::env::var_os("LOGWAY_REQUIRE_PEERS").is_none(),
            "LOGWAY_KAFKA_PEER names no script that runs Apache Kafka"
        );
        eprintln!("NOT RUN on Apache Kafka: LOGWAY_KAFKA_PEER names no script that runs it");
        return;
    };
    let Some(transcripts) = transcripts() else {
        return;
    };
    play("kafka", &transcripts, move || Broker::kafka(&script));
}

fn transcripts() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/kafka-cli");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("LOGWAY_REQUIRE_PEERS").is_none(),
        "the transcripts are missing: {}",
        folder.display()
    );
    eprintln!("NOT RUN: the transcripts are missing: {}", folder.display());
    None
}

fn play(on: &str, folder: &Path, start: impl Fn() -> Broker) {
    let wanted = std::env::var("LOGWAY_GOLDEN").unwrap_or_default();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.split(',').any(|number| name.starts_with(number));
    let mask = Mask::new();
    let mut unexpected = Vec::new();
    for series in SERIES {
        let Some(last) = series.iter().rposition(|name| is_wanted(name)) else {
            continue;
        };
        let mut stage = Stage::new(start());
        // What came before in the series made the state that follows.
        for name in &series[..=last] {
            let text = std::fs::read_to_string(folder.join(format!("{name}.txt")))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let (mut same, mut reordered, mut all) = (0, 0, 0);
            for (number, step) in transcript::parse(&text).iter().enumerate() {
                stage.prepare(name, number, step);
                let place = format!("{on} {name} {number}");
                let is_known = known::reason(&place).is_some();
                let Some((seen, expected, fit)) = settled(&mut stage, &mask, step, is_known) else {
                    continue;
                };
                all += 1;
                let code = step.exit == seen.exit;
                if code && fit != Fit::Different && is_known {
                    eprintln!("NO LONGER DIFFERS {place}: take it out of known.txt");
                }
                match fit {
                    Fit::Same if code => same += 1,
                    Fit::OtherOrder if code => reordered += 1,
                    _ => {
                        eprintln!(
                            "{} {place}: {}\nexpected exit {:?}\n{}{}seen exit {:?}\n{}{}",
                            if is_known { "KNOWN" } else { "DIFFERS" },
                            step.command,
                            step.exit,
                            expected.stdout,
                            expected.stderr,
                            seen.exit,
                            seen.stdout,
                            seen.stderr,
                        );
                        if !is_known {
                            unexpected.push(place);
                        }
                    }
                }
            }
            eprintln!(
                "GOLDEN {on} {name}: {all} commands, {same} the same, {reordered} in another order"
            );
        }
    }
    assert!(unexpected.is_empty(), "other output: {unexpected:#?}");
}

/// Runs a step; one that only looks is given time, since brokers apply some changes after they
/// answered.
fn settled(
    stage: &mut Stage,
    mask: &Mask,
    step: &Step,
    is_known: bool,
) -> Option<(Seen, Step, Fit)> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let seen = stage.run(step)?;
        stage.learn(step, &seen);
        let expected = stage.place(step);
        let fit = mask
            .stdout(&expected.stdout, &seen.stdout)
            .max(mask.stderr(&expected.stderr, &seen.stderr));
        let looks = [" --describe", " --list", " describe", " list"];
        let only_looks = looks.iter().any(|look| step.command.contains(look)) && !is_known;
        if fit != Fit::Different || !only_looks || std::time::Instant::now() > end {
            return Some((seen, expected, fit));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}
