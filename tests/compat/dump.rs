//! Kafka's `kafka-dump-log` reads a segment that Logway wrote and prints what was sent.

use std::process::Command;

use crate::{broker, peers};

/// Lines a codec; enough bytes for the sparse indexes to have entries.
const LINES: usize = 500;

#[test]
fn kafka_dump_log_prints_the_records_that_were_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let (Some(script), Some(kcat)) = (peers::kafka(), peers::kcat()) else {
        return;
    };
    let at = broker.address("kafka");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..LINES)
            .map(|n| format!("key{n}:{codec} {n}\n"))
            .collect();
        let mut produce = Command::new(&kcat);
        produce.args([
            "-b", &at, "-P", "-t", "t", "-p", "0", "-K", ":", "-z", codec,
        ]);
        peers::ok(&mut produce, &lines);
    }
    assert!(broker.stop().success());
    let partition = folder.path().join("broker/t-0");
    let file = |ending: &str| format!("{}/00000000000000000000.{ending}", partition.display());
    let dump = |args: &[&str]| {
        let mut dump = Command::new(&script);
        peers::ok(dump.args(["tool", "kafka-dump-log"]).args(args), "")
    };
    let said = dump(&[
        "--files",
        &file("log"),
        "--deep-iteration",
        "--print-data-log",
    ]);
    let payloads: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split("payload: ").nth(1))
        .collect();
    let expected: Vec<String> = ["none", "gzip", "snappy", "lz4", "zstd"]
        .iter()
        .flat_map(|codec| (0..LINES).map(move |n| format!("{codec} {n}")))
        .collect();
    assert_eq!(payloads, expected, "{said}");
    assert!(!said.contains("isvalid: false"), "{said}");
    for ending in ["index", "timeindex"] {
        let said = dump(&["--files", &file(ending), "--index-sanity-check"]);
        assert!(said.contains("passed sanity check"), "{ending}: {said}");
    }
}
