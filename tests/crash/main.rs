//! Nothing lost, nothing twice, in order: files being written and rotated and an application
//! logging, while agent, broker and pipeline are killed in turn, ten times each, at random points.
//! And: an outage of the broker that neither the application nor the agent's memory notices.
#![allow(
    clippy::print_stdout,
    reason = "a seed, or what was not run, belongs in the test's output"
)]

mod load;
mod road;
mod transactions;

use std::collections::HashMap;
use std::time::Duration;

use harness::{eventually, store};

use crate::load::{Application, Files};
use crate::road::{Part, Road};

/// Kills of each part.
const KILLS: usize = 10;
/// Longest time between two kills.
const BETWEEN_KILLS_MS: u64 = 900;

/// A seeded stream of random numbers; the seed is printed, so that a failure can be looked at again.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let fixed = std::env::var("LOGWAY_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = fixed.unwrap_or_else(|| now.expect("after 1970").subsec_nanos().into());
        println!("LOGWAY_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Every line exactly once, the lines of one file in their order.
fn check(lines: &[store::StoredLine], written: &HashMap<String, u64>, logged: u64) {
    store::assert_in_order(lines);
    let mut seen: HashMap<&str, Vec<(u64, &store::StoredLine)>> = HashMap::new();
    let mut events = Vec::new();
    for line in lines {
        let body = std::str::from_utf8(&line.body).expect("the lines written are UTF-8");
        if line.topic == "logs" {
            let (name, number) = body.split_once(' ').expect("`name number padding`");
            let number = number.split(' ').next().and_then(|n| n.parse().ok());
            let entry = (number.expect("a number"), line);
            seen.entry(name).or_default().push(entry);
        } else {
            let event: serde_json::Value = serde_json::from_str(body).expect("logstash JSON");
            events.push(event["number"].as_u64().expect("the event's number"));
        }
    }
    for (name, count) in written {
        let numbers = seen.remove(name.as_str()).unwrap_or_default();
        assert_eq!(numbers.len() as u64, *count, "lines of {name}");
        // Rotated away, a file is another origin: order over all its lives is checked here.
        for (expected, (number, line)) in (0..*count).zip(&numbers) {
            assert_eq!(
                expected, *number,
                "{name}: a line is missing, repeated or out of order: {line:?}"
            );
        }
    }
    events.sort_unstable();
    let expected: Vec<u64> = (0..logged).collect();
    assert!(
        events == expected,
        "events of the application: {} of {logged}",
        events.len()
    );
}

#[test]
fn every_line_is_stored_exactly_once_through_thirty_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::seeded();
    let mut road = Road::start(folder.path());
    let files = Files::start(&folder.path().join("files"), 3);
    let application = Application::start(&road.kafka());
    for round in 0..KILLS * 3 {
        // The random point of the kill: a pause of random length, not a synchronization.
        std::thread::sleep(Duration::from_millis(50 + random.below(BETWEEN_KILLS_MS)));
        let part = [Part::Agent, Part::Broker, Part::Pipeline][round % 3];
        road.kill(part);
        std::thread::sleep(Duration::from_millis(random.below(200)));
        road.restart(part);
    }
    let written = files.stop();
    let logged = application.stop();
    let expected = usize::try_from(written.values().sum::<u64>() + logged).expect("a count");
    assert!(
        expected > 1000,
        "only {expected} lines were written: the test would prove little"
    );
    eventually(
        &format!("{expected} lines in the store"),
        || match store::count(&road.store()) {
            Ok(count) if count >= expected => Ok(()),
            seen => Err(seen),
        },
    );
    road.stop();
    let lines = store::lines(&road.store()).expect("the store can be read");
    check(&lines, &written, logged);
    println!("{expected} lines through {} kills", KILLS * 3);
}

#[test]
fn an_outage_of_the_broker_costs_no_line_and_bounded_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    // The demonstration runs 60 seconds; the test proves the same in less.
    let outage = std::env::var("LOGWAY_OUTAGE_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok());
    let outage = Duration::from_secs(outage.unwrap_or(5));
    let mut road = Road::start(folder.path());
    let files = Files::start(&folder.path().join("files"), 2);
    let application = Application::start(&road.kafka());
    road.kill(Part::Broker);
    let begun = std::time::Instant::now();
    let mut peak = 0;
    while begun.elapsed() < outage {
        peak = peak.max(road.agent().resident_bytes());
        std::thread::sleep(Duration::from_millis(100));
    }
    let slowest = application.slowest_call();
    road.restart(Part::Broker);
    let written = files.stop();
    let logged = application.stop();
    println!(
        "outage {outage:?}: slowest log call {slowest:?}, agent's peak {} KiB",
        peak / 1024
    );
    assert!(
        peak > 0 && peak < 64 << 20,
        "the agent's memory rose to {peak} bytes"
    );
    let expected = usize::try_from(written.values().sum::<u64>() + logged).expect("a count");
    eventually(
        &format!("{expected} lines in the store"),
        || match store::count(&road.store()) {
            Ok(count) if count >= expected => Ok(()),
            seen => Err(seen),
        },
    );
    road.stop();
    check(
        &store::lines(&road.store()).expect("the store can be read"),
        &written,
        logged,
    );
}
