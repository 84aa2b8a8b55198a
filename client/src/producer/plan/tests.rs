//! What leaves, when, and in which order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use logway_protocol::message::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Plan, Situation};
use crate::config::{Acks, ProducerConfig};
use crate::error::DeliveryError;
use crate::metadata::Metadata;
use crate::producer::accumulator::Accumulator;
use crate::producer::idempotence::{Identification, Identity};
use crate::producer::record::ProducerRecord;

const KNOWN: Identification = Identification::Known(Identity { id: 5, epoch: 0 });

/// Topic `t` whose partition n is led by node n % 2.
fn metadata(partitions: i32) -> Metadata {
    let response = MetadataResponse {
        brokers: (0..2)
            .map(|node_id| MetadataResponseBroker {
                node_id,
                ..Default::default()
            })
            .collect(),
        topics: vec![MetadataResponseTopic {
            name: Some("t".into()),
            partitions: (0..partitions)
                .map(|partition_index| MetadataResponsePartition {
                    partition_index,
                    leader_id: partition_index % 2,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    Metadata::default().next(&response, Instant::now())
}

struct Table {
    accumulator: Accumulator,
    identity: Identification,
    config: ProducerConfig,
    metadata: Metadata,
    nodes: HashMap<i32, bool>,
    memory: Arc<Semaphore>,
}

impl Table {
    fn new(config: ProducerConfig) -> Self {
        Self {
            accumulator: Accumulator::default(),
            identity: KNOWN,
            config,
            metadata: metadata(4),
            nodes: HashMap::from([(0, true), (1, true)]),
            memory: Arc::new(Semaphore::new(1 << 20)),
        }
    }

    fn send(&mut self, partition: Option<i32>, key: Option<&'static str>, value: &str) {
        let record = ProducerRecord {
            partition,
            key: key.map(Into::into),
            ..ProducerRecord::new("t", value.to_owned())
        };
        let permits = u32::try_from(record.size()).unwrap();
        let permit = self.memory.clone().try_acquire_many_owned(permits).unwrap();
        let count = self.metadata.partition_count("t");
        drop(
            self.accumulator
                .append(record, 0, permit, (count, &self.config))
                .unwrap(),
        );
    }

    fn plan_at(&mut self, now: Instant) -> Plan {
        let situation = Situation {
            now,
            config: &self.config,
            metadata: &self.metadata,
            nodes: &self.nodes,
            pressed: false,
            transaction: None,
        };
        Plan::make(&mut self.accumulator, &mut self.identity, &situation)
    }

    fn plan(&mut self) -> Plan {
        self.plan_at(Instant::now())
    }

    /// Takes items as stored.
    fn land(&mut self, plan: Plan) {
        for item in plan.requests.into_values().flatten() {
            let queue = self.queue(item.partition);
            queue.numbering.confirmed = true;
            queue
                .in_flight
                .retain(|order| Some(*order) != item.batch.order);
        }
    }

    /// As if the partition had stored something of this producer before.
    fn confirm(&mut self, partition: i32) {
        let identity = self.identity.known().unwrap();
        let numbering = &mut self.queue(partition).numbering;
        numbering.restart(identity);
        numbering.confirmed = true;
    }

    fn queue(&mut self, partition: i32) -> &mut crate::producer::accumulator::PartitionQueue {
        let topic = self.accumulator.topics.get_mut("t").unwrap();
        topic.partitions.get_mut(&partition).unwrap()
    }
}

fn eager() -> ProducerConfig {
    ProducerConfig {
        linger: Duration::ZERO,
        batch_size: 1,
        ..Default::default()
    }
}

#[test]
fn records_linger_until_time_size_or_pressure() {
    let mut table = Table::new(ProducerConfig {
        linger: Duration::from_secs(5),
        batch_size: 200,
        ..Default::default()
    });
    table.send(Some(0), None, "a");
    let plan = table.plan();
    assert!(plan.requests.is_empty());
    let linger_ends = plan.next.expect("it looks again when the linger ends");
    table.send(Some(1), None, &"x".repeat(200));
    assert_eq!(
        table.plan().requests[&1].len(),
        1,
        "a full batch goes at once"
    );
    let plan = table.plan_at(linger_ends);
    assert_eq!(plan.requests[&0][0].batch.records, 1);
}

#[test]
fn idempotent_partitions_have_five_in_flight_others_one() {
    let mut table = Table::new(eager());
    for n in 0..8 {
        table.send(Some(0), None, &format!("{n}"));
    }
    let first = table.plan();
    assert_eq!(first.requests.len(), 1);
    let early = table.plan().requests;
    assert!(
        early.is_empty(),
        "the broker would take the second without the first"
    );
    table.land(first);
    for sent in 1..=6 {
        let plan = table.plan();
        assert_eq!(
            plan.requests.len(),
            usize::from(sent <= 5),
            "request {sent}"
        );
    }
    let config = ProducerConfig {
        enable_idempotence: false,
        acks: Acks::Leader,
        ..eager()
    };
    let mut table = Table::new(config);
    for n in 0..3 {
        table.send(Some(0), None, &format!("{n}"));
    }
    let first = table.plan();
    assert_eq!(first.requests.len(), 1);
    assert!(table.plan().requests.is_empty());
    table.land(first);
    assert_eq!(table.plan().requests.len(), 1);
}

#[test]
fn what_was_sent_before_goes_first_and_alone() {
    let mut table = Table::new(eager());
    for n in 0..4 {
        table.send(Some(0), None, &format!("{n}"));
    }
    table.confirm(0);
    let mut sent: Vec<_> = (0..3)
        .flat_map(|_| table.plan().requests.into_values().flatten())
        .collect();
    let orders: Vec<_> = sent.iter().map(|item| item.batch.order.unwrap()).collect();
    assert_eq!(orders, [0, 1, 2]);
    // All three fail, the last first.
    table.queue(0).in_flight.clear();
    while let Some(item) = sent.pop() {
        table.queue(0).put_back(item.batch);
    }
    for wanted in 0..2 {
        let plan = table.plan();
        let item = &plan.requests[&0][0];
        assert_eq!(item.batch.sequence.unwrap().base, wanted);
        assert!(
            table.plan().requests.is_empty(),
            "the next retry waits for this one"
        );
        table.land(plan);
    }
    for wanted in 2..4 {
        assert_eq!(
            table.plan().requests[&0][0].batch.sequence.unwrap().base,
            wanted
        );
    }
}

#[test]
fn a_gap_is_closed_by_a_new_epoch_once_nothing_is_in_flight() {
    let mut table = Table::new(eager());
    for n in 0..3 {
        table.send(Some(0), None, &format!("{n}"));
    }
    table.confirm(0);
    let (first, second) = (table.plan(), table.plan());
    table.queue(0).numbering.broken = true;
    table.land(first);
    assert!(table.plan().requests.is_empty(), "one is still in flight");
    let back = second.requests.into_values().flatten().next().unwrap();
    table.queue(0).in_flight.clear();
    table.queue(0).put_back(back.batch);
    let plan = table.plan();
    let sequence = plan.requests[&0][0].batch.sequence.unwrap();
    assert_eq!((sequence.producer.epoch, sequence.base), (1, 0));
    assert_eq!(
        table.identity,
        Identification::Known(Identity { id: 5, epoch: 1 })
    );
    table.land(plan);
    assert_eq!(table.plan().requests[&0][0].batch.sequence.unwrap().base, 1);
}

#[test]
fn what_is_missing_is_asked_for() {
    let mut table = Table::new(eager());
    table.send(Some(0), None, "a");
    table.send(Some(1), None, "b");
    table.nodes.remove(&0);
    table.nodes.insert(1, false);
    let plan = table.plan();
    assert!(plan.requests.is_empty() && !plan.wants_metadata);
    assert!(plan.connect.contains(&0) && plan.connect.len() == 1);
    table.nodes = HashMap::from([(0, true), (1, true)]);
    table.identity = Identification::Unknown;
    assert!(table.plan().wants_identity);
    table.identity = KNOWN;
    table.metadata = Metadata::default();
    assert!(table.plan().wants_metadata);
}

#[test]
fn requests_end_where_their_size_does() {
    let mut table = Table::new(ProducerConfig {
        max_request_size: 1500,
        ..eager()
    });
    for partition in [0, 2] {
        table.send(Some(partition), None, &"x".repeat(1000));
    }
    let plan = table.plan();
    assert_eq!(plan.requests[&0].len(), 1);
    let plan = table.plan();
    assert_eq!(plan.requests[&0].len(), 1, "the other one follows");
}

#[test]
fn time_and_missing_partitions_end_the_wait() {
    let timeout = Duration::from_secs(3);
    let mut table = Table::new(ProducerConfig {
        delivery_timeout: Some(timeout),
        ..eager()
    });
    table.send(Some(9), None, "beyond");
    assert!(
        table.plan().wants_metadata,
        "the metadata is older than the record"
    );
    table.metadata = metadata(4);
    let failed = table.plan().failed;
    assert!(matches!(
        failed[0].1,
        DeliveryError::UnknownPartition { partition: 9, .. }
    ));
    table.metadata = Metadata::default();
    table.send(Some(0), None, "a");
    table.send(None, None, "b");
    table.send(None, Some("k"), "c");
    let plan = table.plan();
    assert!(plan.failed.is_empty());
    let plan = table.plan_at(plan.next.unwrap() + Duration::from_millis(100));
    assert_eq!(plan.failed.len(), 2, "the third is answered where it waits");
    assert_eq!(
        table.accumulator.ledger.records, 3,
        "two to be answered for, and the first one"
    );
}

proptest! {
    /// Whatever is sent how, each partition gets its records in the order they were taken.
    #[test]
    fn order_is_kept_per_partition(
        sends in proptest::collection::vec((0_i32..4, any::<bool>(), 0_usize..40), 1..60),
        late: bool,
        batch_size in 1_usize..300,
    ) {
        let mut table = Table::new(ProducerConfig { batch_size, ..eager() });
        let known = std::mem::take(&mut table.metadata);
        if !late {
            table.metadata = known.clone();
        }
        let keys = ["a", "b", "c", "d"];
        for (n, (at, keyed, extra)) in sends.iter().enumerate() {
            let value = format!("{n:04}{}", "x".repeat(*extra));
            if *keyed {
                table.send(None, Some(keys[*at as usize]), &value);
            } else {
                table.send(Some(*at), None, &value);
            }
        }
        table.metadata = known;
        let mut seen: HashMap<(i32, Option<String>), Vec<String>> = HashMap::new();
        let mut total = 0;
        loop {
            let mut plan = table.plan();
            if plan.requests.is_empty() {
                break;
            }
            for item in plan.requests.values_mut().flatten() {
                let bytes = item.batch.bytes().unwrap();
                for record in logway_protocol::record::decode_records(&bytes, 1 << 20).unwrap() {
                    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                    let key = (item.partition, record.key.as_deref().map(text));
                    seen.entry(key).or_default().push(text(record.value.as_deref().unwrap()));
                    total += 1;
                }
            }
            table.land(plan);
        }
        prop_assert_eq!(total, sends.len());
        for (key, values) in seen {
            prop_assert!(values.is_sorted(), "{:?}: {:?}", key, values);
        }
    }
}
