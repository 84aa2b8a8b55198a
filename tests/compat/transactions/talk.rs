//! Sends transactional requests as they are told and writes down what is answered.

use std::collections::HashMap;

use harness::eventually;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::add_offsets_to_txn::AddOffsetsToTxnRequest;
use logway_protocol::message::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::describe_producers::{DescribeProducersRequest, TopicRequest};
use logway_protocol::message::describe_transactions::DescribeTransactionsRequest;
use logway_protocol::message::end_txn::EndTxnRequest;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::list_transactions::ListTransactionsRequest;
use logway_protocol::message::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use logway_protocol::{ErrorCode, Text};

use crate::raw::Raw;
use crate::steady;

/// Id and epoch of a producer.
pub(super) type Producer = (i64, i16);
/// Partitions by topic.
type Partitions<'a> = &'a [(&'a str, &'a [i32])];

/// A conversation with one broker.
pub(super) struct Talk {
    pub(super) raw: Raw,
    pub(super) lines: Vec<String>,
    ids: HashMap<i64, usize>,
    title: String,
}

fn name(code: i16) -> &'static str {
    ErrorCode::from_code(code).name()
}

impl Talk {
    /// Connects, makes the topics `t` and `m` and waits for both coordinators.
    pub(super) fn start(address: &str) -> Talk {
        let mut raw = Raw::connect(address);
        let topics = [("t", 3), ("m", 1)].map(|(name, num_partitions)| CreatableTopic {
            name: Text::from(name),
            num_partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        });
        let request = CreateTopicsRequest {
            topics: topics.to_vec(),
            timeout_ms: 30_000,
            ..CreateTopicsRequest::default()
        };
        raw.ask(7, &request);
        steady::groups(&mut raw);
        steady::transactional_ids(&mut raw);
        Talk {
            raw,
            lines: Vec::new(),
            ids: HashMap::new(),
            title: String::new(),
        }
    }

    pub(super) fn title(&mut self, title: &str) {
        self.title = title.to_owned();
    }

    fn tell(&mut self, line: &str) {
        let line = format!("{}: {line}", self.title);
        self.lines.push(line);
    }

    /// The id by the order in which it appeared; one that never did is told as a distance.
    fn known(&mut self, id: i64) -> String {
        if id < 0 {
            return id.to_string();
        }
        let next = self.ids.len();
        format!("P{}", self.ids.entry(id).or_insert(next))
    }

    fn ask_init(
        &mut self,
        version: i16,
        id: &str,
        timeout: i32,
        of: Option<Producer>,
    ) -> (i16, Producer) {
        let (producer_id, producer_epoch) = of.unwrap_or((-1, -1));
        let request = InitProducerIdRequest {
            transactional_id: Some(Text::from(id)),
            transaction_timeout_ms: timeout,
            producer_id,
            producer_epoch,
        };
        let answer = self.raw.ask(version, &request);
        (
            answer.error_code,
            (answer.producer_id, answer.producer_epoch),
        )
    }

    /// InitProducerId; what only passes is waited for.
    pub(super) fn init(
        &mut self,
        version: i16,
        id: &str,
        timeout: i32,
        of: Option<Producer>,
    ) -> Producer {
        let (error, producer) = eventually("an answer that lasts", || {
            let (error, producer) = self.ask_init(version, id, timeout, of);
            match ErrorCode::from_code(error) {
                ErrorCode::ConcurrentTransactions
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress => Err(name(error)),
                _ => Ok((error, producer)),
            }
        });
        self.told_init(version, id, (timeout, of), (error, producer));
        producer
    }

    /// InitProducerId, whatever is answered.
    pub(super) fn init_once(&mut self, version: i16, id: &str, of: Option<Producer>) {
        let answer = self.ask_init(version, id, 60_000, of);
        self.told_init(version, id, (60_000, of), answer);
    }

    fn told_init(
        &mut self,
        version: i16,
        id: &str,
        (timeout, of): (i32, Option<Producer>),
        (error, producer): (i16, Producer),
    ) {
        let known = self.known(producer.0);
        let of = of.map(|(_, epoch)| epoch);
        let (error, epoch) = (name(error), producer.1);
        self.tell(&format!(
            "init v{version} `{id}` {timeout} {of:?} -> {error} {known} e{epoch}"
        ));
    }

    pub(super) fn add(&mut self, version: i16, id: &str, producer: Producer, to: Partitions<'_>) {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: Text::from(id),
            v3_and_below_producer_id: producer.0,
            v3_and_below_producer_epoch: producer.1,
            v3_and_below_topics: topics(to),
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = self.raw.ask(version, &request);
        let results = told(&answer.results_by_topic_v3_and_below);
        self.tell(&format!(
            "add v{version} `{id}` e{} {to:?} -> {results}",
            producer.1
        ));
    }

    pub(super) fn add_by_broker(&mut self, id: &str, producer: Producer, to: Partitions<'_>) {
        self.several(id, (producer, false), to);
    }

    pub(super) fn verify(&mut self, id: &str, producer: Producer, to: Partitions<'_>) {
        self.several(id, (producer, true), to);
    }

    fn several(&mut self, id: &str, (producer, verify_only): (Producer, bool), to: Partitions<'_>) {
        let request = AddPartitionsToTxnRequest {
            transactions: vec![AddPartitionsToTxnTransaction {
                transactional_id: Text::from(id),
                producer_id: producer.0,
                producer_epoch: producer.1,
                verify_only,
                topics: topics(to),
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let answer = self.raw.ask(5, &request);
        let results = told(&answer.results_by_transaction[0].topic_results);
        let (error, epoch) = (name(answer.error_code), producer.1);
        self.tell(&format!(
            "add v5 `{id}` e{epoch} {to:?} only verify {verify_only} -> {error} {results}"
        ));
    }

    pub(super) fn add_offsets(&mut self, version: i16, id: &str, of: Producer, group: &str) {
        let request = AddOffsetsToTxnRequest {
            transactional_id: Text::from(id),
            producer_id: of.0,
            producer_epoch: of.1,
            group_id: Text::from(group),
        };
        let error = name(self.raw.ask(version, &request).error_code);
        self.tell(&format!(
            "add offsets v{version} `{id}` e{} -> {error}",
            of.1
        ));
    }

    pub(super) fn end(&mut self, version: i16, id: &str, of: Producer, commit: bool) -> Producer {
        let request = EndTxnRequest {
            transactional_id: Text::from(id),
            producer_id: of.0,
            producer_epoch: of.1,
            committed: commit,
        };
        let answer = self.raw.ask(version, &request);
        let known = self.known(answer.producer_id);
        let (error, epoch) = (name(answer.error_code), answer.producer_epoch);
        self.tell(&format!(
            "end v{version} `{id}` e{} commit {commit} -> {error} {known} e{epoch}",
            of.1
        ));
        (answer.producer_id, answer.producer_epoch)
    }

    fn asked_about(
        &mut self,
        id: &str,
    ) -> logway_protocol::message::describe_transactions::TransactionState {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![Text::from(id)],
        };
        self.raw.ask(0, &request).transaction_states.remove(0)
    }

    /// Waits until nothing of the transaction is under way.
    pub(super) fn settle(&mut self, id: &str) {
        eventually("a transaction that is complete", || {
            let state = self.asked_about(id).transaction_state;
            match state.starts_with("Prepare") {
                true => Err(state),
                false => Ok(()),
            }
        });
    }

    /// Waits for a state.
    pub(super) fn state(&mut self, id: &str, wanted: &str) {
        eventually("a state", || {
            let state = self.asked_about(id).transaction_state;
            match state.as_str() == wanted {
                true => Ok(()),
                false => Err(state),
            }
        });
    }

    pub(super) fn describe(&mut self, ids: &[&str]) {
        for id in ids {
            let seen = self.asked_about(id);
            let known = self.known(seen.producer_id);
            let started = (
                seen.transaction_start_time_ms > 0,
                seen.transaction_start_time_ms == -1,
            );
            let mut topics: Vec<String> = Vec::new();
            for of in &seen.topics {
                let mut partitions = of.partitions.clone();
                partitions.sort_unstable();
                topics.push(format!("{} {partitions:?}", of.topic));
            }
            topics.sort();
            let (error, state) = (name(seen.error_code), seen.transaction_state);
            let (timeout, epoch) = (seen.transaction_timeout_ms, seen.producer_epoch);
            self.tell(&format!(
                "describe `{id}` -> {error} {state} {timeout} {started:?} {known} e{epoch} {topics:?}"
            ));
        }
    }

    fn send(
        &mut self,
        version: i16,
        id: &str,
        (of, sequence): (Producer, i32),
        (to, index, in_txn): (&str, i32, bool),
    ) {
        let mut batch = BatchBuilder::new(Compression::None);
        batch
            .append(1_000_000, None, Some(b"value"), &[])
            .expect("fits");
        batch
            .set_producer(of.0, of.1, sequence)
            .set_transactional(in_txn);
        let request = ProduceRequest {
            transactional_id: Some(Text::from(id)),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Text::from(to),
                partition_data: vec![PartitionProduceData {
                    index,
                    records: Some(batch.build().expect("builds")),
                }],
                ..TopicProduceData::default()
            }],
        };
        let answer = self.raw.ask(version, &request);
        let answer = &answer.responses[0].partition_responses[0];
        let (error, offset) = (name(answer.error_code), answer.base_offset);
        self.tell(&format!(
            "produce v{version} `{id}` e{} s{sequence} in {in_txn} -> {error} {offset}",
            of.1
        ));
    }

    pub(super) fn produce(&mut self, version: i16, id: &str, of: Producer, sequence: i32) {
        self.send(version, id, (of, sequence), ("t", 0, true));
    }

    pub(super) fn produce_to(&mut self, version: i16, id: &str, of: Producer, to: (&str, i32)) {
        self.send(version, id, (of, 0), (to.0, to.1, true));
    }

    pub(super) fn plain(&mut self, version: i16, id: &str, of: Producer, sequence: i32) {
        self.send(version, id, (of, sequence), ("t", 0, false));
    }

    pub(super) fn producers(&mut self, topic: &str, partition: i32) {
        let request = DescribeProducersRequest {
            topics: vec![TopicRequest {
                name: Text::from(topic),
                partition_indexes: vec![partition],
            }],
        };
        let mut answer = self.raw.ask(0, &request);
        let of = answer.topics.remove(0).partitions.remove(0);
        let mut producers: Vec<String> = Vec::new();
        for producer in &of.active_producers {
            let id = self.known(producer.producer_id);
            producers.push(format!(
                "{id} e{} s{} c{} from {}",
                producer.producer_epoch,
                producer.last_sequence,
                producer.coordinator_epoch,
                producer.current_txn_start_offset
            ));
        }
        producers.sort();
        let error = name(of.error_code);
        self.tell(&format!(
            "producers of {topic} {partition} -> {error} {producers:?}"
        ));
    }

    fn commit_error(
        &mut self,
        version: i16,
        id: &str,
        (of, group): (Producer, &str),
        (generation_id, member): (i32, &str),
    ) -> &'static str {
        let request = TxnOffsetCommitRequest {
            transactional_id: Text::from(id),
            group_id: Text::from(group),
            producer_id: of.0,
            producer_epoch: of.1,
            generation_id,
            member_id: Text::from(member),
            group_instance_id: None,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: Text::from("t"),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: 0,
                    committed_offset: 42 + i64::from(of.1),
                    ..TxnOffsetCommitRequestPartition::default()
                }],
            }],
        };
        let answer = self.raw.ask(version, &request);
        name(answer.topics[0].partitions[0].error_code)
    }

    pub(super) fn commit(
        &mut self,
        version: i16,
        id: &str,
        (of, group): (Producer, &str),
        member: (i32, &str),
    ) {
        let error = self.commit_error(version, id, (of, group), member);
        self.tell(&format!(
            "commit v{version} `{id}` e{} `{group}` {member:?} -> {error}",
            of.1
        ));
    }

    pub(super) fn fetch_offsets(&mut self, group: &str) {
        for require_stable in [false, true] {
            for all in [false, true] {
                let topic = OffsetFetchRequestTopic {
                    name: Text::from("t"),
                    partition_indexes: vec![0, 1],
                };
                let request = OffsetFetchRequest {
                    group_id: Text::from(group),
                    topics: (!all).then(|| vec![topic]),
                    require_stable,
                    ..OffsetFetchRequest::default()
                };
                let answer = self.raw.ask(7, &request);
                let partitions: Vec<String> = (answer.topics.iter())
                    .flat_map(|topic| &topic.partitions)
                    .map(|of| format!("{} {}", name(of.error_code), of.committed_offset))
                    .collect();
                let error = name(answer.error_code);
                self.tell(&format!(
                    "offsets of `{group}` stable {require_stable} all {all} -> {error} {partitions:?}"
                ));
            }
        }
    }

    pub(super) fn mark(
        &mut self,
        version: i16,
        of: Producer,
        (topic, partition): (&str, i32),
        (transaction_result, coordinator_epoch, transaction_version): (bool, i32, i8),
    ) {
        let marker = WritableTxnMarker {
            producer_id: of.0,
            producer_epoch: of.1,
            transaction_result,
            topics: vec![WritableTxnMarkerTopic {
                name: Text::from(topic),
                partition_indexes: vec![partition],
            }],
            coordinator_epoch,
            transaction_version,
        };
        let request = WriteTxnMarkersRequest {
            markers: vec![marker],
        };
        let answer = self.raw.ask(version, &request);
        let error = name(answer.markers[0].topics[0].partitions[0].error_code);
        self.tell(&format!(
            "mark v{version} e{} {topic} {transaction_result} c{coordinator_epoch} -> {error}",
            of.1
        ));
    }

    /// What a reader of committed records is told of partition 0.
    pub(super) fn read_committed(&mut self, topic: &str) {
        let request = FetchRequest {
            max_bytes: 1 << 20,
            isolation_level: 1,
            topics: vec![FetchTopic {
                topic: Text::from(topic),
                partitions: vec![FetchPartition {
                    partition_max_bytes: 1 << 20,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let mut answer = self.raw.ask(12, &request);
        let of = answer.responses.remove(0).partitions.remove(0);
        let mut aborted: Vec<String> = Vec::new();
        for aborts in of.aborted_transactions.iter().flatten() {
            let id = self.known(aborts.producer_id);
            aborted.push(format!("{id} from {}", aborts.first_offset));
        }
        let (end, stable) = (of.high_watermark, of.last_stable_offset);
        self.tell(&format!(
            "read {topic} -> end {end} stable {stable} aborted {aborted:?}"
        ));
    }

    pub(super) fn list(
        &mut self,
        version: i16,
        states: &[&str],
        producers: &[i64],
        (duration_filter, pattern): (i64, Option<&str>),
    ) {
        let request = ListTransactionsRequest {
            state_filters: states.iter().map(|state| Text::from(*state)).collect(),
            producer_id_filters: producers.to_vec(),
            duration_filter,
            transactional_id_pattern: pattern.map(Text::from),
        };
        let answer = self.raw.ask(version, &request);
        let mut listed: Vec<String> = Vec::new();
        for of in &answer.transaction_states {
            let id = self.known(of.producer_id);
            listed.push(format!(
                "{} {id} {}",
                of.transactional_id, of.transaction_state
            ));
        }
        listed.sort();
        let (error, unknown) = (name(answer.error_code), answer.unknown_state_filters);
        self.tell(&format!(
            "list v{version} {states:?} {duration_filter} {pattern:?} -> {error} {unknown:?} {listed:?}"
        ));
    }
}

fn topics(to: Partitions<'_>) -> Vec<AddPartitionsToTxnTopic> {
    to.iter()
        .map(|(name, partitions)| AddPartitionsToTxnTopic {
            name: Text::from(*name),
            partitions: partitions.to_vec(),
        })
        .collect()
}

fn told(results: &[AddPartitionsToTxnTopicResult]) -> String {
    let mut told: Vec<String> = Vec::new();
    for topic in results {
        for of in &topic.results_by_partition {
            let error = name(of.partition_error_code);
            told.push(format!("{} {} {error}", topic.name, of.partition_index));
        }
    }
    // Kafka's order is that of a hash map.
    told.sort();
    told.join(", ")
}
