//! The level of `transaction.version` changes while producers run (UpdateFeatures 2 → 1 → 0 → 1 → 2):
//! requests of both protocols, ends that the coordinator decides itself, and the records it writes,
//! compared with Apache Kafka's.

use std::process::Command;

use bytes::Buf;
use harness::eventually;
use logway_protocol::Message;
use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::record::transaction::{TransactionLogKey, TransactionLogValue};
use logway_protocol::message::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use logway_protocol::{ErrorCode, Text};

use super::talk::{Producer, Talk};
use super::{FIRST, SECOND};
use crate::node::Kafka;
use crate::raw::Raw;
use crate::{broker_with, peers};

const FEATURE: &str = "transaction.version";
/// Safe downgrade, and upgrade.
const DOWN: i8 = 2;
const UP: i8 = 1;
/// Looks for overdue transactions come often, so that nobody waits long for one.
const LOOKS: &str = "transaction_abort_timed_out_transaction_cleanup_interval_ms = 200\n";
const KAFKA_LOOKS: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=200";
const TIMEOUT_MS: i32 = 5_000;
/// Ids whose records are in partition 0 of fifty, and the one that is used at level 0.
const AT_NONE: &str = "kept107";
const KEPT: [&str; 5] = ["kept22", "kept59", AT_NONE, "kept152", "kept189"];

/// Asks for a level; what was answered.
fn set_level(raw: &mut Raw, level: i16, upgrade_type: i8) -> String {
    let request = UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: Text::from(FEATURE),
            max_version_level: level,
            upgrade_type,
            ..FeatureUpdateKey::default()
        }],
        ..UpdateFeaturesRequest::default()
    };
    let answer = raw.ask(2, &request);
    let error = ErrorCode::from_code(answer.error_code).name();
    format!(
        "level {level} by {upgrade_type} -> {error} {:?}",
        answer.error_message
    )
}

/// Waits until the broker says that the level holds; 0 is not finalized.
fn await_level(raw: &mut Raw, level: i16) -> String {
    let request = ApiVersionsRequest {
        client_software_name: Text::from("raw"),
        client_software_version: Text::from("1"),
    };
    let answer = eventually("the level that was asked for", || {
        let answer = raw.ask(4, &request);
        let mut all = answer.finalized_features.iter();
        let found = all.find(|feature| feature.name.as_str() == FEATURE);
        match found.map_or(0, |feature| feature.max_version_level) {
            now if now == level => Ok(answer),
            now => Err(now),
        }
    });
    // Produce, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, WriteTxnMarkers, TxnOffsetCommit.
    let apis = answer.api_keys.iter();
    let apis = apis.filter(|api| [0, 24, 25, 26, 27, 28].contains(&api.api_key));
    let mut apis: Vec<_> = apis.map(|api| (api.api_key, api.max_version)).collect();
    apis.sort_unstable();
    format!("level {level} {apis:?}")
}

fn change(talk: &mut Talk, level: i16, upgrade_type: i8) {
    let said = set_level(&mut talk.raw, level, upgrade_type);
    let now = await_level(&mut talk.raw, level);
    talk.lines.push(said);
    talk.lines.push(now);
}

/// Ends of the first protocol, and those that the coordinator decides.
fn at_level(talk: &mut Talk, id: &str, second: bool) {
    talk.title(id);
    let p = talk.init(5, id, 60_000, None);
    talk.add(3, id, p, &[("t", &[0])]);
    talk.produce(11, id, p, 0);
    talk.end(FIRST, id, p, true);
    talk.settle(id);
    talk.describe(&[id]);
    let p = if second { ends(talk, id, p) } else { p };
    // A new session while a transaction is open.
    talk.add(3, id, p, &[("t", &[0])]);
    talk.produce(11, id, p, 1);
    talk.init_once(5, id, None);
    talk.settle(id);
    talk.describe(&[id]);
    talk.end(SECOND, id, p, true);
    talk.end(FIRST, id, p, true);
    talk.producers("t", 0);
    // A timeout, longer than a busy machine takes for what is sent before it.
    let p = talk.init(5, id, TIMEOUT_MS, None);
    talk.add(3, id, p, &[("t", &[0, 1])]);
    talk.produce(11, id, p, 0);
    talk.state(id, "CompleteAbort");
    talk.describe(&[id]);
    talk.end(FIRST, id, p, true);
    talk.end(SECOND, id, p, true);
    talk.end(SECOND, id, p, false);
    talk.produce(11, id, p, 1);
    talk.producers("t", 0);
    talk.init(5, id, 60_000, Some(p));
    talk.init(5, id, 60_000, None);
    talk.describe(&[id]);
}

/// Ends of the second protocol, which a client may still speak after a downgrade.
fn ends(talk: &mut Talk, id: &str, p: Producer) -> Producer {
    talk.produce(12, id, p, 1);
    talk.describe(&[id]);
    let n = talk.end(SECOND, id, p, true);
    talk.settle(id);
    talk.end(SECOND, id, p, true);
    talk.describe(&[id]);
    talk.commit(5, id, (n, "vg"), (-1, ""));
    let n = talk.end(SECOND, id, n, false);
    talk.settle(id);
    talk.describe(&[id]);
    talk.produce(12, id, n, 0);
    let n = talk.end(SECOND, id, n, false);
    talk.settle(id);
    n
}

/// One transaction begun before a change and ended after it, in either protocol.
fn across(talk: &mut Talk, id: &str, (from, level, by): (i16, i16, i8)) {
    talk.title(id);
    // Kafka loses the id of whoever speaks the second protocol at level 0; see `stored`.
    let second = level > 0;
    let begun = second && from > 0;
    let first = format!("{id}-first");
    let p = talk.init(5, id, 60_000, None);
    let f = talk.init(5, &first, 60_000, None);
    talk.add(3, &first, f, &[("t", &[0])]);
    talk.produce(11, &first, f, 0);
    if begun {
        talk.produce(12, id, p, 0);
    }
    change(talk, level, by);
    talk.produce(11, &first, f, 1);
    talk.end(FIRST, &first, f, true);
    talk.settle(&first);
    talk.describe(&[&first]);
    if second {
        talk.produce(12, id, p, i32::from(begun));
        let n = talk.end(SECOND, id, p, true);
        talk.settle(id);
        talk.end(SECOND, id, p, true);
        talk.produce(12, id, n, 0);
        // The first protocol after the second: the epoch stays what it became.
        talk.end(FIRST, id, n, true);
        talk.settle(id);
        talk.describe(&[id]);
    }
    talk.read_committed("t");
}

/// Version of each record of partition 0, and what it says of the producer. At level 0 Kafka writes
/// version 0, which cannot say what the second protocol needs: an id that speaks it then gets
/// `UNSUPPORTED_VERSION` once and `CONCURRENT_TRANSACTIONS` for ever. Logway writes version 1 always,
/// which every Kafka reads that knows the feature; so records of that level are not compared.
fn stored(raw: &mut Raw) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, records) in raw.batches("__transaction_state", 0) {
        for record in records {
            let (mut key, value) = (record.key.expect("a key"), record.value);
            let _ = key.get_i16();
            let key = TransactionLogKey::decode_version(key, 0).expect("a key");
            let Some(mut value) = value.filter(|_| &*key.transactional_id != AT_NONE) else {
                continue;
            };
            let version = value.get_i16();
            let value = TransactionLogValue::decode_version(value, version).expect("a value");
            lines.push(format!(
                "{} v{version} state {} e{} tv{} previous {} next {}",
                key.transactional_id,
                value.transaction_status,
                value.producer_epoch,
                value.client_transaction_version,
                value.previous_producer_id == value.producer_id,
                value.next_producer_id,
            ));
        }
    }
    // Of one id in their order; ids are written at the same time.
    lines.sort_by(|one, other| one.split(' ').next().cmp(&other.split(' ').next()));
    lines
}

fn transcript(address: &str) -> Vec<String> {
    let mut talk = Talk::start(address);
    talk.lines
        .push(set_level(&mut Raw::connect(address), 3, UP));
    talk.lines
        .push(set_level(&mut Raw::connect(address), 1, UP));
    at_level(&mut talk, KEPT[0], true);
    across(&mut talk, "two-to-one", (2, 1, DOWN));
    at_level(&mut talk, KEPT[1], true);
    across(&mut talk, "one-to-none", (1, 0, DOWN));
    at_level(&mut talk, KEPT[2], false);
    across(&mut talk, "none-to-one", (0, 1, UP));
    at_level(&mut talk, KEPT[3], true);
    across(&mut talk, "one-to-two", (1, 2, UP));
    at_level(&mut talk, KEPT[4], true);
    talk.lines.extend(stored(&mut Raw::connect(address)));
    talk.lines
}

#[test]
fn the_level_of_transactions_changes_as_in_kafka() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start_with(script, folder.path(), &[KAFKA_LOOKS]);
    let logway = broker_with(folder.path(), LOOKS);
    // Both at once: most of it is waiting for transactions to be overdue.
    let (theirs, ours) = std::thread::scope(|threads| {
        let theirs = threads.spawn(|| transcript(&kafka.address()));
        let ours = transcript(&logway.address("kafka"));
        (theirs.join().expect("Apache Kafka's transcript"), ours)
    });
    let differing: Vec<String> = (theirs.iter().zip(&ours))
        .filter(|(theirs, ours)| theirs != ours)
        .map(|(theirs, ours)| format!("kafka:  {theirs}\nlogway: {ours}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(theirs.len(), ours.len());
    assert!(logway.stop().success());
}

/// A Java producer goes on through all changes, and every record is there once.
#[test]
fn a_java_producer_goes_on_while_the_level_changes() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let logway = broker_with(folder.path(), "");
    let at = logway.address("kafka");
    let mut perf = Command::new(&script);
    let bootstrap = format!("bootstrap.servers={at}");
    perf.args(["tool", "kafka-producer-perf-test", "--topic", "running"]);
    perf.args(["--num-records", "4000", "--record-size", "50"]);
    perf.args(["--throughput", "500", "--transactional-id", "running"]);
    perf.args([
        "--transaction-duration-ms",
        "20",
        "--producer-props",
        &bootstrap,
    ]);
    std::thread::scope(|threads| {
        let producing = threads.spawn(|| peers::ok(&mut perf, ""));
        let mut raw = Raw::connect(&at);
        let mut changes = [1, 0, 1, 2].into_iter().cycle();
        while !producing.is_finished() {
            let level = changes.next().expect("for ever");
            let by = if level == 0 { DOWN } else { UP };
            set_level(&mut raw, level, by);
            set_level(&mut raw, level, DOWN);
            await_level(&mut raw, level);
        }
        producing.join().expect("the producer ends well");
    });
    let mut read = Command::new(&script);
    read.args(["tool", "kafka-console-consumer", "--bootstrap-server", &at]);
    read.args(["--topic", "running", "--from-beginning"]);
    read.args(["--isolation-level", "read_committed"]);
    read.args(["--max-messages", "4000", "--timeout-ms", "120000"]);
    assert_eq!(peers::ok(&mut read, "").lines().count(), 4000);
    // No more than those, committed or not.
    let batches = Raw::connect(&at).batches("running", 0).into_iter();
    let records = batches.filter(|(header, _)| !header.is_control());
    let records: usize = records.map(|(_, records)| records.len()).sum();
    assert_eq!(records, 4000);
    assert!(logway.stop().success());
}
