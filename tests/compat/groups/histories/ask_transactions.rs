//! Steps of transactions as requests.

use logway_protocol::Text;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::add_offsets_to_txn::AddOffsetsToTxnRequest;
use logway_protocol::message::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};
use logway_protocol::message::describe_producers::{DescribeProducersRequest, TopicRequest};
use logway_protocol::message::describe_transactions::DescribeTransactionsRequest;
use logway_protocol::message::end_txn::EndTxnRequest;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::list_transactions::ListTransactionsRequest;
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use super::side::Side;
use super::step::{Place, Step};
use super::told::Told;

/// Sends a step on one connection.
pub(super) fn send(side: &mut Side, at: usize, step: &Step) {
    match step {
        Step::Init { v, by, timeout_ms } => {
            let pid = if *v >= 3 { side.pid(by.pid) } else { -1 };
            let request = InitProducerIdRequest {
                transactional_id: by.id.map(|id| side.txn(id)),
                transaction_timeout_ms: *timeout_ms,
                producer_id: pid,
                producer_epoch: if *v >= 3 { by.epoch } else { -1 },
            };
            side.lines[at].send(*v, &request, |answer| Told {
                pid: Some(answer.producer_id).filter(|id| *id >= 0),
                number: answer.producer_epoch.into(),
                ..Told::of(&answer, answer.error_code)
            });
        }
        Step::AddOffsets { v, by, group } => {
            let request = AddOffsetsToTxnRequest {
                transactional_id: side.txn(by.id.unwrap_or(2)),
                producer_id: side.pid(by.pid),
                producer_epoch: by.epoch,
                group_id: side.group(*group),
            };
            side.lines[at].send(*v, &request, |answer| Told::of(&answer, answer.error_code));
        }
        Step::End { v, by, commit } => {
            let request = EndTxnRequest {
                transactional_id: side.txn(by.id.unwrap_or(2)),
                producer_id: side.pid(by.pid),
                producer_epoch: by.epoch,
                committed: *commit,
            };
            side.lines[at].send(*v, &request, |answer| Told {
                pid: Some(answer.producer_id).filter(|id| *id >= 0),
                number: answer.producer_epoch.into(),
                ..Told::of(&answer, answer.error_code)
            });
        }
        Step::Add { .. } => add(side, at, step),
        Step::TxnCommit { .. } => commit(side, at, step),
        Step::Produce { .. } => produce(side, at, step),
        Step::Mark { .. } => mark(side, at, step),
        Step::Read { place } => read(side, at, *place),
        other => looks(side, at, other),
    }
}

fn sorted(results: &mut [AddPartitionsToTxnTopicResult]) {
    for topic in results.iter_mut() {
        topic
            .results_by_partition
            .sort_by_key(|of| of.partition_index);
    }
    results.sort_by(|one, other| one.name.cmp(&other.name));
}

fn add(side: &mut Side, at: usize, step: &Step) {
    let Step::Add {
        v,
        by,
        places,
        verify,
    } = step
    else {
        return;
    };
    let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
    for place in places {
        let (name, partition) = (side.name(*place), side.partition(*place));
        match topics.iter_mut().find(|topic| topic.name == name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(AddPartitionsToTxnTopic {
                name,
                partitions: vec![partition],
            }),
        }
    }
    let id = side.txn(by.id.unwrap_or(2));
    let mut request = AddPartitionsToTxnRequest::default();
    if *v < 4 {
        request.v3_and_below_transactional_id = id;
        request.v3_and_below_producer_id = side.pid(by.pid);
        request.v3_and_below_producer_epoch = by.epoch;
        request.v3_and_below_topics = topics;
    } else {
        request.transactions = vec![AddPartitionsToTxnTransaction {
            transactional_id: id,
            producer_id: side.pid(by.pid),
            producer_epoch: by.epoch,
            verify_only: *verify,
            topics,
        }];
    }
    side.lines[at].send(*v, &request, |mut answer| {
        sorted(&mut answer.results_by_topic_v3_and_below);
        for of in &mut answer.results_by_transaction {
            sorted(&mut of.topic_results);
        }
        Told::of(&answer, answer.error_code)
    });
}

fn commit(side: &mut Side, at: usize, step: &Step) {
    let Step::TxnCommit {
        v,
        by,
        seat,
        place,
        offset,
    } = step
    else {
        return;
    };
    let named = *v >= 3;
    let request = TxnOffsetCommitRequest {
        transactional_id: side.txn(by.id.unwrap_or(2)),
        group_id: side.group(seat.group),
        producer_id: side.pid(by.pid),
        producer_epoch: by.epoch,
        generation_id: if named { seat.generation } else { -1 },
        member_id: if named {
            side.member(seat.who)
        } else {
            Text::default()
        },
        group_instance_id: seat.instance.filter(|_| named).map(Text::from),
        topics: vec![TxnOffsetCommitRequestTopic {
            name: side.name(*place),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: side.partition(*place),
                committed_offset: *offset,
                ..TxnOffsetCommitRequestPartition::default()
            }],
        }],
    };
    side.lines[at].send(*v, &request, |answer| Told::of(&answer, 0));
}

fn produce(side: &mut Side, at: usize, step: &Step) {
    let Step::Produce {
        v,
        by,
        sequence,
        place,
        transactional,
    } = step
    else {
        return;
    };
    let mut batch = BatchBuilder::new(Compression::None);
    let appended = batch.append(1_000_000, None, Some(b"value"), &[]);
    appended.expect("fits");
    batch.set_producer(side.pid(by.pid), by.epoch, *sequence);
    batch.set_transactional(*transactional);
    let request = ProduceRequest {
        transactional_id: by.id.map(|id| side.txn(id)),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: side.name(*place),
            topic_id: side.topic_id(*place),
            partition_data: vec![PartitionProduceData {
                index: side.partition(*place),
                records: Some(batch.build().expect("builds")),
            }],
        }],
    };
    side.lines[at].send(*v, &request, |mut answer| {
        let of = &mut answer.responses[0].partition_responses[0];
        of.error_message = None;
        let error = of.error_code;
        answer.node_endpoints.clear();
        Told::of(&answer, error)
    });
}

fn mark(side: &mut Side, at: usize, step: &Step) {
    let Step::Mark {
        v,
        by,
        commit,
        place,
        coordinator_epoch,
        transaction_version,
    } = step
    else {
        return;
    };
    let marker = WritableTxnMarker {
        producer_id: side.pid(by.pid),
        producer_epoch: by.epoch,
        transaction_result: *commit,
        topics: vec![WritableTxnMarkerTopic {
            name: side.name(*place),
            partition_indexes: vec![side.partition(*place)],
        }],
        coordinator_epoch: *coordinator_epoch,
        transaction_version: if *v >= 2 { *transaction_version } else { 0 },
    };
    let request = WriteTxnMarkersRequest {
        markers: vec![marker],
    };
    side.lines[at].send(*v, &request, |answer| Told::of(&answer, 0));
}

/// Where a partition ends for a reader of committed records, and what is aborted before.
fn read(side: &mut Side, at: usize, place: Place) {
    let request = FetchRequest {
        max_bytes: 1 << 20,
        isolation_level: 1,
        topics: vec![FetchTopic {
            topic: side.name(place),
            partitions: vec![FetchPartition {
                partition: side.partition(place),
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    side.lines[at].send(12, &request, |mut answer| {
        let of = answer.responses.remove(0).partitions.remove(0);
        let (error, end, stable) = (of.error_code, of.high_watermark, of.last_stable_offset);
        let mut aborted = of.aborted_transactions.clone().unwrap_or_default();
        aborted.sort_by_key(|of| of.first_offset);
        let text = format!("{error} end {end} stable {stable} aborted {aborted:?}");
        Told {
            text,
            error,
            ..Told::default()
        }
    });
}

fn looks(side: &mut Side, at: usize, step: &Step) {
    match step {
        Step::ListTransactions { v, states, of } => {
            let request = ListTransactionsRequest {
                state_filters: states.iter().map(|state| Text::from(*state)).collect(),
                producer_id_filters: of.iter().map(|pid| side.pid(*pid)).collect(),
                ..ListTransactionsRequest::default()
            };
            let prefix = side.txn_prefix();
            side.lines[at].send(*v, &request, move |mut answer| {
                let listed = &mut answer.transaction_states;
                listed.retain(|of| of.transactional_id.starts_with(&prefix));
                listed.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
                answer.unknown_state_filters.sort();
                Told::of(&answer, answer.error_code)
            });
        }
        Step::DescribeTransaction { id } => {
            let request = DescribeTransactionsRequest {
                transactional_ids: vec![side.txn(*id)],
            };
            side.lines[at].send(0, &request, |mut answer| {
                for of in &mut answer.transaction_states {
                    of.transaction_start_time_ms = of.transaction_start_time_ms.signum();
                    of.topics
                        .iter_mut()
                        .for_each(|of| of.partitions.sort_unstable());
                    of.topics.sort_by(|one, other| one.topic.cmp(&other.topic));
                }
                Told::of(&answer, answer.transaction_states[0].error_code)
            });
        }
        Step::Producers { place } => {
            let request = DescribeProducersRequest {
                topics: vec![TopicRequest {
                    name: side.name(*place),
                    partition_indexes: vec![side.partition(*place)],
                }],
            };
            side.lines[at].send(0, &request, |mut answer| {
                let of = &mut answer.topics[0].partitions[0];
                of.error_message = None;
                for producer in &mut of.active_producers {
                    // The time of a marker is the broker's.
                    let own = producer.last_timestamp == 1_000_000;
                    producer.last_timestamp = producer.last_timestamp.signum() + i64::from(own);
                }
                of.active_producers.sort_by_key(|of| of.producer_id);
                let error = of.error_code;
                Told::of(&answer, error)
            });
        }
        _ => unreachable!("{step:?} is no step of transactions"),
    }
}
