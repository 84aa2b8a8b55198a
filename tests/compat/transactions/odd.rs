//! Markers with odd values, and batches of transactions nobody knows of where the owner asks for no
//! verification: answered as by Apache Kafka.

use std::time::Duration;

use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;
use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use logway_protocol::{ErrorCode, Text};

use super::talk::Talk;
use crate::odd::exchange::Connection;
use crate::raw::Raw;
use crate::requests::{BROKER, DELETE, SET, changed};

/// Partitions by topic.
type Places = &'static [(&'static str, &'static [i32])];
/// The producer, as distances from one that has a transaction open in `m`; what it was decided.
type Marker = ((Id, i16), Places, (bool, i32, i8));

/// How long an answer is waited for that Kafka never gives to some of these.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which producer is meant.
#[derive(Clone, Copy, Debug)]
enum Id {
    /// So many after the one that is known.
    After(i64),
    Exactly(i64),
}

use Id::{After, Exactly};

const M: Places = &[("m", &[0])];

/// Requests one after the other, some with several markers. Left out is what Kafka answers by
/// accident: one marker without producer id or epoch spoils its answer to all markers of the request,
/// written ones too, and a partition that is named twice leaves a request without any answer. Here
/// each marker has an answer of its own.
#[rustfmt::skip]
const MARKERS: &[(i16, &[Marker])] = &[
    (1, &[]),
    (1, &[((After(0), 0), &[], (false, 0, 0))]),
    (1, &[((After(0), 0), &[("m", &[])], (false, 0, 0))]),
    (1, &[((After(0), 0), &[("m", &[99])], (false, 0, 0))]),
    (1, &[((After(0), 0), &[("m", &[-1])], (false, 0, 0))]),
    (1, &[((After(0), 0), &[("", &[0])], (false, 0, 0))]),
    (1, &[((After(0), 0), &[("no such", &[0, 1])], (false, 0, 0))]),
    (1, &[((After(0), -1), M, (false, 0, 0))]),
    (1, &[((After(0), -2), M, (false, 0, 0))]),
    (1, &[((After(0), i16::MIN), M, (false, 0, 0))]),
    (2, &[((After(0), -1), M, (false, 0, 2))]),
    (1, &[((Exactly(-1), 0), M, (false, 0, 0))]),
    (1, &[((Exactly(-1), -1), M, (false, 0, 0))]),
    (2, &[((Exactly(-1), -1), M, (false, 0, 2))]),
    (1, &[((Exactly(-7), 0), M, (false, 0, 0))]),
    (1, &[((Exactly(i64::MIN), 0), M, (false, 0, 0))]),
    (1, &[((After(700), -1), M, (false, 0, 0))]),
    (1, &[((After(701), 3), M, (false, -1, 0))]),
    (1, &[((After(702), 3), M, (false, -7, 0))]),
    (1, &[((After(702), 3), M, (false, 5, 0))]),
    (1, &[((After(702), 3), M, (false, 4, 0))]),
    (1, &[((After(702), 3), M, (true, -1, 0))]),
    (1, &[((After(702), 2), M, (true, 9, 0))]),
    (1, &[((After(703), i16::MAX), M, (true, 0, 0))]),
    (2, &[((After(704), 0), M, (true, 0, -1))]),
    (2, &[((After(704), 0), M, (true, 0, 1))]),
    (2, &[((After(704), 0), M, (true, 0, 3))]),
    (2, &[((After(704), 0), M, (true, 0, 127))]),
    (1, &[((After(705), 0), &[("__consumer_offsets", &[0])], (true, 0, 0))]),
    (1, &[((After(705), -1), &[("__consumer_offsets", &[0])], (true, 0, 0))]),
    (1, &[((Exactly(-1), 0), &[("__consumer_offsets", &[0])], (true, 0, 0))]),
    (1, &[((After(705), 0), &[("__consumer_offsets", &[77])], (true, 0, 0))]),
    (1, &[((After(705), 0), &[("__transaction_state", &[0])], (true, 0, 0))]),
    (1, &[((After(706), 0), &[("m", &[0]), ("t", &[0, 1, 9])], (true, 0, 0))]),
    (1, &[((After(708), 0), M, (true, 0, 0)), ((After(709), 0), M, (false, 0, 0))]),
    (1, &[((After(710), 0), M, (true, 0, 0)), ((After(710), 0), &[("t", &[0])], (true, 0, 0))]),
    (1, &[((After(711), 5), M, (true, 0, 0)), ((After(711), 4), M, (true, 0, 0))]),
    (1, &[((After(711), 5), M, (true, 0, 0)), ((After(711), -1), M, (true, 0, 0))]),
    (1, &[((After(725), -1), &[("no such", &[0])], (true, 0, 0)), ((After(726), 0), M, (true, 0, 0))]),
    (2, &[((After(727), 0), M, (true, 0, 2)), ((After(728), 0), M, (true, 0, -1))]),
    (2, &[((After(729), 0), &[("no such", &[0])], (true, 0, -1))]),
    (1, &[((After(732), -1), &[("__consumer_offsets", &[0]), ("m", &[0])], (true, 0, 0))]),
    (1, &[((After(733), -1), &[("__consumer_offsets", &[0])], (true, 0, 0)), ((After(734), 0), M, (true, 0, 0))]),
    (2, &[((After(735), 0), &[("__consumer_offsets", &[0])], (true, 0, -1))]),
    (1, &[((After(736), -2), M, (true, 0, 0))]),
    (1, &[((After(736), -2), &[("__consumer_offsets", &[0])], (true, 0, 0))]),
    (1, &[((Exactly(-9), 0), &[("__consumer_offsets", &[0])], (true, 0, 0))]),
    (1, &[((After(737), 0), &[("__consumer_offsets", &[0])], (true, -9, 0))]),
    (2, &[((After(0), 1), M, (false, 0, 2))]),
    (2, &[((After(0), 1), M, (false, -1, 2))]),
];

fn marker((of, places, decided): &Marker, known: i64) -> WritableTxnMarker {
    let topics = places
        .iter()
        .map(|(name, partitions)| WritableTxnMarkerTopic {
            name: Text::from(*name),
            partition_indexes: partitions.to_vec(),
        });
    WritableTxnMarker {
        producer_id: match of.0 {
            After(distance) => known + distance,
            Exactly(id) => id,
        },
        producer_epoch: of.1,
        transaction_result: decided.0,
        topics: topics.collect(),
        coordinator_epoch: decided.1,
        transaction_version: decided.2,
    }
}

/// What a broker says to each of them.
async fn marked(address: &str, known: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for (version, markers) in MARKERS {
        // One that gets no answer loses its connection.
        let mut at = Connection::open(address.parse().expect("IP:PORT")).await;
        let request = WriteTxnMarkersRequest {
            markers: markers.iter().map(|one| marker(one, known)).collect(),
        };
        let answer = tokio::time::timeout(PATIENCE, at.ask(*version, &request)).await;
        let said = match answer {
            Err(_) => "never answered".to_owned(),
            Ok(None) => "no answer".to_owned(),
            Ok(Some(answer)) => {
                let mut said = Vec::new();
                for marker in &answer.markers {
                    let id = match marker.producer_id {
                        id if id < 0 => id.to_string(),
                        id => format!("+{}", id - known),
                    };
                    for topic in &marker.topics {
                        for one in &topic.partitions {
                            let error = ErrorCode::from_code(one.error_code).name();
                            let place = (topic.name.as_str(), one.partition_index);
                            said.push(format!("{id} {place:?} {error}"));
                        }
                    }
                }
                // Kafka's order is that of a hash map.
                said.sort();
                said.dedup();
                said.join("; ")
            }
        };
        lines.push(format!("v{version} {markers:?} -> {said}"));
    }
    lines
}

/// Switches the verification, and waits until the broker shows it.
fn verifying(raw: &mut Raw, operation: i8, value: Option<&str>) {
    let name = "transaction.partition.verification.enable";
    let request = IncrementalAlterConfigsRequest {
        resources: vec![changed(BROKER, "1", &[(name, operation, value)])],
        validate_only: false,
    };
    let answer = raw.ask(1, &request);
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    harness::eventually("a setting that holds", || {
        let shown = raw.ask(4, &crate::requests::describe_request(BROKER, &["1"]));
        let mut shown = shown.results[0].configs.iter();
        let shown = shown.find(|one| one.name.as_str() == name);
        let shown = shown.and_then(|one| one.value.as_deref().map(str::to_owned));
        match shown.as_deref() == Some(value.unwrap_or("true")) {
            true => Ok(()),
            false => Err(shown),
        }
    });
}

/// Batches and offsets of producers whose transactions have no such partition. `far` is a distance to
/// producers that nobody knows.
fn believed(talk: &mut Talk, id: &str, far: i64) {
    talk.title(id);
    let p = talk.init(5, id, 60_000, None);
    for version in [8, 10, 11, 12] {
        talk.produce(version, id, p, 0);
    }
    talk.produce(11, id, p, 1);
    talk.produce(11, id, p, 7);
    talk.produce(11, id, p, 2);
    talk.produce(11, "nobody", (p.0 + far, 0), 0);
    talk.produce(11, "nobody", (p.0 + far + 1, 0), 4);
    talk.produce(12, "nobody", (p.0 + far + 2, 0), 0);
    talk.produce_to(11, id, p, ("t", 9));
    for version in [3, 4, 5] {
        let group = format!("{id} {version}");
        talk.commit(version, id, (p, &group), (-1, ""));
        talk.commit(version, "nobody", ((p.0 + far, 0), &group), (-1, ""));
        talk.commit(version, id, ((p.0, p.1 + 1), &group), (-1, ""));
    }
    talk.producers("t", 0);
    talk.describe(&[id]);
    talk.end(super::FIRST, id, p, false);
    talk.settle(id);
    talk.producers("t", 0);
    talk.read_committed("t");
    talk.fetch_offsets(&format!("{id} 5"));
}

fn transcript(address: &str) -> Vec<String> {
    let mut talk = Talk::start(address);
    believed(&mut talk, "asked", 1000);
    verifying(&mut talk.raw, SET, Some("false"));
    believed(&mut talk, "believed", 2000);
    verifying(&mut talk.raw, DELETE, None);
    believed(&mut talk, "asked again", 3000);
    let p = talk.init(5, "open", 60_000, None);
    talk.produce_to(12, "open", p, ("m", 0));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let said = runtime.block_on(marked(address, p.0));
    talk.lines.extend(said);
    talk.read_committed("m");
    talk.lines
}

#[test]
fn odd_markers_and_unverified_batches_are_judged_as_kafka_judges_them() {
    super::compare(transcript);
}
