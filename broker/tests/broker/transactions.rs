//! Transactions over the wire: what readers of committed records and offsets see, whenever the broker
//! is killed, and what becomes of producers that take too long.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use logway_config::broker::Broker as Settings;
use logway_journal::{Log, LogConfig, Recovery, StdDisk};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{EndTransaction, control_batch};
use logway_protocol::message::describe_transactions::DescribeTransactionsRequest;
use logway_protocol::message::end_txn::{EndTxnRequest, EndTxnResponse};
use logway_protocol::message::fetch::PartitionData;
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use logway_protocol::message::record::transaction::{
    PartitionsSchema, TransactionLogKey, TransactionLogValue,
};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use logway_protocol::message::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use logway_protocol::{ErrorCode, Message, Text};
use tempfile::TempDir;

use crate::harness::{Client, PATIENCE, Server, one_partition};
use crate::requests::{fetch_request, produce_request};
use crate::restart::{copy_as_killed, start};

/// Id and epoch.
type Producer = (i64, i16);
const ID: &str = "writer";
const GROUP: &str = "readers";

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// The state topic: fewer partitions make a faster start.
fn quick(settings: &mut Settings) {
    settings.transaction_state_log_num_partitions = 2;
    settings.transaction_abort_timed_out_transaction_cleanup_interval_ms = 20;
}

async fn init(client: &mut Client, timeout_ms: i32) -> Producer {
    let request = InitProducerIdRequest {
        transactional_id: Some(Text::from(ID)),
        transaction_timeout_ms: timeout_ms,
        ..InitProducerIdRequest::default()
    };
    loop {
        let answer = client.ask(5, &request).await;
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => return (answer.producer_id, answer.producer_epoch),
            ErrorCode::ConcurrentTransactions | ErrorCode::CoordinatorLoadInProgress => {
                tokio::task::yield_now().await;
            }
            other => panic!("{other}"),
        }
    }
}

fn batch(value: &str, (id, epoch): Producer, sequence: i32) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    batch
        .append(now_ms(), None, Some(value.as_bytes()), &[])
        .unwrap();
    batch
        .set_producer(id, epoch, sequence)
        .set_transactional(true);
    batch.build().unwrap()
}

/// Sends one record by the second protocol: the partition joins by itself.
async fn send(client: &mut Client, (at, value): (i32, &str), of: Producer, sequence: i32) -> i16 {
    let mut request = produce_request("t", -1, batch(value, of, sequence));
    request.topic_data[0].partition_data[0].index = at;
    request.transactional_id = Some(Text::from(ID));
    let answer = client.ask(12, &request).await;
    answer.responses[0].partition_responses[0].error_code
}

async fn commit_offset(client: &mut Client, of: Producer, offset: i64) -> i16 {
    let request = TxnOffsetCommitRequest {
        transactional_id: Text::from(ID),
        group_id: Text::from(GROUP),
        producer_id: of.0,
        producer_epoch: of.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: Text::from("t"),
            partitions: vec![TxnOffsetCommitRequestPartition {
                committed_offset: offset,
                ..TxnOffsetCommitRequestPartition::default()
            }],
        }],
        ..TxnOffsetCommitRequest::default()
    };
    let answer = client.ask(5, &request).await;
    answer.topics[0].partitions[0].error_code
}

/// Error and offset that a reader of the group is told.
async fn offset(client: &mut Client, require_stable: bool) -> (i16, i64) {
    let request = OffsetFetchRequest {
        group_id: Text::from(GROUP),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: Text::from("t"),
            partition_indexes: vec![0],
        }]),
        require_stable,
        ..OffsetFetchRequest::default()
    };
    loop {
        let answer = client.ask(7, &request).await;
        if answer.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
            let of = &answer.topics[0].partitions[0];
            return (of.error_code, of.committed_offset);
        }
    }
}

async fn end(
    client: &mut Client,
    (producer_id, producer_epoch): Producer,
    committed: bool,
) -> EndTxnResponse {
    let request = EndTxnRequest {
        transactional_id: Text::from(ID),
        producer_id,
        producer_epoch,
        committed,
    };
    client.ask(5, &request).await
}

/// Waits until the transaction is in one of these states.
async fn wait_for(client: &mut Client, states: &[&str]) {
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![Text::from(ID)],
    };
    let reached = async {
        loop {
            let answer = client.ask(0, &request).await;
            if states.contains(&&*answer.transaction_states[0].transaction_state) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

/// The values a reader of committed records gets, and whether nothing is open any more.
async fn committed(client: &mut Client, at: i32) -> (Vec<String>, bool) {
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].partition = at;
    request.isolation_level = 1;
    let data = one_partition(&client.ask(12, &request).await);
    let settled = data.last_stable_offset == data.high_watermark;
    (visible(&data), settled)
}

/// As a client filters: without the records of aborted transactions and without markers.
fn visible(data: &PartitionData) -> Vec<String> {
    let bytes = data.records.clone().expect("records are never null");
    let mut aborted: Vec<(i64, i64)> = (data.aborted_transactions.iter().flatten())
        .map(|of| (of.producer_id, of.first_offset))
        .collect();
    let mut found = Vec::new();
    for batch in logway_protocol::batch::split_batches(&bytes) {
        let (header, bytes) = batch.unwrap();
        let begun = |of: &(i64, i64)| of.0 == header.producer_id && of.1 <= header.base_offset;
        let first = aborted.iter().position(begun);
        if header.is_control() {
            // A marker ends one.
            first.map(|first| aborted.remove(first));
        } else if first.is_none() {
            let records = logway_protocol::record::decode_records(&bytes, 1 << 20).unwrap();
            let values = records.into_iter().filter_map(|record| record.value);
            found.extend(values.map(|value| String::from_utf8(value.to_vec()).unwrap()));
        }
    }
    found
}

/// How a transaction must look after a kill.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Nothing,
    All,
}

async fn check_after_kill(killed: &TempDir, outcome: Outcome, step: &str) {
    let (broker, mut client) = start(killed.path(), quick).await;
    wait_for(&mut client, &["Empty", "CompleteCommit", "CompleteAbort"]).await;
    let (first, settled) = committed(&mut client, 0).await;
    assert!(settled, "after {step}: partition 0 hangs");
    let (second, settled) = committed(&mut client, 1).await;
    assert!(settled, "after {step}: partition 1 hangs");
    let (error, position) = offset(&mut client, true).await;
    assert_eq!(error, 0, "after {step}");
    let all = first == ["one"] && second == ["two"] && position == 5;
    let nothing = first.is_empty() && second.is_empty() && position == -1;
    let seen = (&first, &second, position);
    match outcome {
        Outcome::All => assert!(all, "after {step}: {seen:?}"),
        Outcome::Nothing => assert!(nothing, "after {step}: {seen:?}"),
    }
    // The id goes on.
    let next = init(&mut client, 60_000).await;
    assert_eq!(send(&mut client, (0, "next"), next, 0).await, 0, "{step}");
    assert_eq!(end(&mut client, next, true).await.error_code, 0, "{step}");
    broker.shutdown(PATIENCE).await;
}

fn killed(server: &Server) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_as_killed(server.folder.path(), copy.path());
    copy
}

fn append(folder: &Path, batch: &Bytes) {
    let disk = Arc::new(StdDisk::new());
    let (config, recovery) = (LogConfig::default(), Recovery::default());
    let mut log = Log::open(disk, folder, config, recovery, now_ms()).unwrap();
    log.append(batch, 0, now_ms()).unwrap();
}

/// Brings a killed broker's folder to where the end was stored and some markers were written.
fn decide(folder: &Path, ((id, epoch), commit): (Producer, bool), markers: &[&str]) {
    let place = |topic: &str, partition_ids: &[i32]| PartitionsSchema {
        topic: Text::from(topic),
        partition_ids: partition_ids.to_vec(),
    };
    let value = TransactionLogValue {
        producer_id: id,
        producer_epoch: epoch + 1,
        transaction_timeout_ms: 1,
        transaction_status: if commit { 2 } else { 3 },
        transaction_partitions: Some(vec![
            place("t", &[0, 1]),
            place("__consumer_offsets", &[java_hash(GROUP) % 2]),
        ]),
        transaction_last_update_timestamp_ms: now_ms(),
        transaction_start_timestamp_ms: now_ms(),
        client_transaction_version: 2,
        ..TransactionLogValue::default()
    };
    let key = TransactionLogKey {
        transactional_id: Text::from(ID),
    };
    let versioned = |version: i16, body: BytesMut| {
        let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
        bytes.unsplit(body);
        bytes
    };
    let (mut key_bytes, mut value_bytes) = (BytesMut::new(), BytesMut::new());
    key.write(&mut key_bytes, 0).unwrap();
    value.write(&mut value_bytes, 1).unwrap();
    let (key, value) = (versioned(0, key_bytes), versioned(1, value_bytes));
    let mut batch = BatchBuilder::new(Compression::None);
    batch
        .append(now_ms(), Some(&key), Some(&value), &[])
        .unwrap();
    let state = format!("__transaction_state-{}", java_hash(ID) % 2);
    append(&folder.join(state), &batch.build().unwrap());
    let end = EndTransaction {
        committed: commit,
        coordinator_epoch: 0,
    };
    for partition in markers {
        let marker = control_batch(end, (id, epoch + 1), now_ms()).unwrap();
        append(&folder.join(partition), &marker);
    }
}

/// Java's `String.hashCode`, of short ASCII texts made positive.
fn java_hash(text: &str) -> i32 {
    let hash = text.bytes().fold(0i32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(i32::from(byte))
    });
    hash.checked_abs().unwrap()
}

#[tokio::test]
async fn a_kill_at_any_step_leaves_all_of_a_transaction_or_nothing() {
    let server = Server::start_with(|settings| {
        quick(settings);
        // The server itself aborts nothing; what is killed does.
        settings.transaction_abort_timed_out_transaction_cleanup_interval_ms = 600_000;
    })
    .await;
    let mut client = server.connect().await;
    client.create_topic("t", 2).await;
    let of = init(&mut client, 1).await;
    let mut kills = vec![(killed(&server), Outcome::Nothing, "init")];
    assert_eq!(send(&mut client, (0, "one"), of, 0).await, 0);
    kills.push((killed(&server), Outcome::Nothing, "the first partition"));
    assert_eq!(send(&mut client, (1, "two"), of, 0).await, 0);
    kills.push((killed(&server), Outcome::Nothing, "the second partition"));
    assert_eq!(commit_offset(&mut client, of, 5).await, 0);
    kills.push((killed(&server), Outcome::Nothing, "the offsets"));
    for commit in [true, false] {
        let outcome = match commit {
            true => Outcome::All,
            false => Outcome::Nothing,
        };
        // The end was stored, and none, one or all of the markers were written.
        for markers in [&[][..], &["t-0"], &["t-0", "t-1"]] {
            let killed = killed(&server);
            decide(killed.path(), (of, commit), markers);
            kills.push((killed, outcome, "the decision"));
        }
    }
    assert_eq!(end(&mut client, of, true).await.error_code, 0);
    wait_for(&mut client, &["CompleteCommit"]).await;
    // Copied while nothing changes: a copy is not made in one moment.
    kills.push((killed(&server), Outcome::All, "completion"));
    server.stop().await;
    for (folder, outcome, step) in kills {
        check_after_kill(&folder, outcome, step).await;
    }
}

#[tokio::test]
async fn offsets_of_an_open_transaction_are_unstable_until_it_ends_over_a_restart_too() {
    let server = Server::start_with(quick).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let of = init(&mut client, 60_000).await;
    assert_eq!(commit_offset(&mut client, of, 5).await, 0);
    let unstable = (ErrorCode::UnstableOffsetCommit.code(), -1);
    assert_eq!(offset(&mut client, true).await, unstable);
    assert_eq!(offset(&mut client, false).await, (0, -1));
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), quick).await;
    assert_eq!(offset(&mut client, true).await, unstable);
    wait_for(&mut client, &["Ongoing"]).await;
    let next = end(&mut client, of, true).await;
    assert_eq!(next.error_code, 0);
    wait_for(&mut client, &["CompleteCommit"]).await;
    assert_eq!(offset(&mut client, true).await, (0, 5));
    // An aborted one changes nothing.
    let of = (next.producer_id, next.producer_epoch);
    assert_eq!(commit_offset(&mut client, of, 9).await, 0);
    assert_eq!(end(&mut client, of, false).await.error_code, 0);
    wait_for(&mut client, &["CompleteAbort"]).await;
    assert_eq!(offset(&mut client, true).await, (0, 5));
    drop(client);
    broker.shutdown(PATIENCE).await;
    let (broker, mut client) = start(folder.path(), quick).await;
    assert_eq!(offset(&mut client, true).await, (0, 5));
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let server = Server::start_with(quick).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    // Longer than its only record is on its way: it may not be overdue before that is stored.
    let of = init(&mut client, 1000).await;
    assert_eq!(send(&mut client, (0, "late"), of, 0).await, 0);
    wait_for(&mut client, &["CompleteAbort"]).await;
    assert_eq!(committed(&mut client, 0).await, (Vec::new(), true));
    let refused = send(&mut client, (0, "later"), of, 1).await;
    assert_eq!(refused, ErrorCode::InvalidProducerEpoch.code());
    let refused = end(&mut client, of, true).await.error_code;
    assert_eq!(refused, ErrorCode::InvalidTxnState.code());
    let next = init(&mut client, 60_000).await;
    assert_eq!(send(&mut client, (0, "in time"), next, 0).await, 0);
    assert_eq!(end(&mut client, next, true).await.error_code, 0);
    wait_for(&mut client, &["CompleteCommit"]).await;
    assert_eq!(committed(&mut client, 0).await.0, ["in time"]);
    server.stop().await;
}

#[tokio::test]
async fn batches_in_flight_are_appended_in_their_order_though_the_first_has_to_ask() {
    let server = Server::start_with(quick).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let of = init(&mut client, 60_000).await;
    const IN_FLIGHT: i32 = 20;
    for sequence in 0..IN_FLIGHT {
        let mut request = produce_request("t", -1, batch(&sequence.to_string(), of, sequence));
        request.transactional_id = Some(Text::from(ID));
        client.send(12, &request).await;
    }
    for behind in (0..IN_FLIGHT).rev() {
        let answer = client
            .receive::<logway_protocol::message::produce::ProduceRequest>(12, behind)
            .await;
        let answer = &answer.responses[0].partition_responses[0];
        let expected = (0, i64::from(IN_FLIGHT - 1 - behind));
        assert_eq!((answer.error_code, answer.base_offset), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn ids_that_were_forgotten_are_unknown_after_a_restart() {
    let forgetful = |settings: &mut Settings| {
        quick(settings);
        settings.transactional_id_expiration_ms = 1;
        settings.transaction_remove_expired_transaction_cleanup_interval_ms = 20;
    };
    let server = Server::start_with(forgetful).await;
    let mut client = server.connect().await;
    init(&mut client, 60_000).await;
    server
        .wait_for_metric("logway_broker_transactions{state=\"Empty\"} 0")
        .await;
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), quick).await;
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![Text::from(ID)],
    };
    let unknown = async {
        loop {
            let answer = client.ask(0, &request).await;
            match ErrorCode::from_code(answer.transaction_states[0].error_code) {
                ErrorCode::CoordinatorLoadInProgress => {}
                other => return other,
            }
        }
    };
    let unknown = tokio::time::timeout(PATIENCE, unknown).await;
    assert_eq!(unknown.unwrap(), ErrorCode::TransactionalIdNotFound);
    broker.shutdown(PATIENCE).await;
}

/// Kafka loses an id whose client speaks the second protocol at level 0: its records cannot say so.
#[tokio::test]
async fn either_protocol_goes_on_at_every_level_and_over_a_kill() {
    let server = Server::start_with(quick).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let (mut producer, mut expected) = (init(&mut client, 60_000).await, Vec::new());
    for level in [1, 0, 1, 2] {
        let value = format!("before {level}");
        assert_eq!(send(&mut client, (0, &value), producer, 0).await, 0);
        let upgrade_type = if level == 0 { 2 } else { 1 };
        for upgrade_type in [upgrade_type, 2] {
            // What is the level already, or goes the other way, is refused.
            let request = UpdateFeaturesRequest {
                feature_updates: vec![FeatureUpdateKey {
                    feature: Text::from("transaction.version"),
                    max_version_level: level,
                    upgrade_type,
                    ..FeatureUpdateKey::default()
                }],
                ..UpdateFeaturesRequest::default()
            };
            client.ask(2, &request).await;
        }
        let answer = end(&mut client, producer, true).await;
        assert_eq!(answer.error_code, 0, "at level {level}");
        producer = (answer.producer_id, answer.producer_epoch);
        expected.push(value);
    }
    wait_for(&mut client, &["CompleteCommit"]).await;
    let killed = killed(&server);
    let (broker, mut client) = start(killed.path(), quick).await;
    let next = init(&mut client, 60_000).await;
    assert_eq!(next, (producer.0, producer.1 + 1));
    assert_eq!(committed(&mut client, 0).await, (expected, true));
    broker.shutdown(PATIENCE).await;
}
