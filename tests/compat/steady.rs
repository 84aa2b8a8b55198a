//! Waits for a broker to be where the next question means the same to everybody.
//!
//! A broker answers before all of it is there: Kafka reads each partition of its offsets and
//! transactions by itself, leads partitions by and by, shows a change a moment after it was
//! confirmed, and writes the markers of a transaction after its end was. Whoever compares answers
//! waits for the state here first, never for a while.

use harness::eventually;
use logway_protocol::message::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::describe_transactions::DescribeTransactionsRequest;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::list_transactions::ListTransactionsRequest;
use logway_protocol::message::metadata::MetadataRequest;
use logway_protocol::{ErrorCode, Text};

use crate::odd::exchange::Connection;
use crate::raw::Raw;
use crate::requests::{SET, changed};

/// The topics in which coordinators keep what they know.
const OFFSETS: &str = "__consumer_offsets";
const TRANSACTIONS: &str = "__transaction_state";
const GROUP_KEY: i8 = 0;
const TRANSACTION_KEY: i8 = 1;
/// A group's settings.
const GROUP: i8 = 32;
/// Where a mark is left.
const MARK: (&str, &str) = ("mark", "consumer.session.timeout.ms");

/// One id for each of the fifty partitions of such a topic: of one letter the hash is its number.
fn ids() -> Vec<Text> {
    (b'0'..b'0' + 50)
        .map(|letter| Text::from(char::from(letter).to_string()))
        .collect()
}

/// The code of an answer that will be another one soon.
fn passing(code: i16) -> Option<ErrorCode> {
    let error = ErrorCode::from_code(code);
    let passes = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
    ];
    passes.contains(&error).then_some(error)
}

fn found(raw: &mut Raw, key_type: i8) {
    let request = FindCoordinatorRequest {
        key_type,
        coordinator_keys: ids(),
        ..FindCoordinatorRequest::default()
    };
    eventually("a coordinator", || {
        let answer = raw.ask(4, &request);
        match answer.coordinators.iter().find(|one| one.error_code != 0) {
            Some(one) => Err(ErrorCode::from_code(one.error_code)),
            None => Ok(()),
        }
    });
}

/// Waits until every group has a coordinator that has read it. A heartbeat does not tell: while
/// groups are read it is answered without an error.
pub(crate) fn groups(raw: &mut Raw) {
    found(raw, GROUP_KEY);
    let request = DescribeGroupsRequest {
        groups: ids(),
        ..DescribeGroupsRequest::default()
    };
    eventually("groups that are read", || {
        let answer = raw.ask(5, &request);
        let mut codes = answer.groups.iter().map(|group| group.error_code);
        codes.find_map(passing).map_or(Ok(()), Err)
    });
}

/// Waits until every transactional id has a coordinator that has read it.
pub(crate) fn transactional_ids(raw: &mut Raw) {
    found(raw, TRANSACTION_KEY);
    let request = DescribeTransactionsRequest {
        transactional_ids: ids(),
    };
    eventually("transactional ids that are read", || {
        let answer = raw.ask(0, &request);
        let mut codes = answer.transaction_states.iter().map(|one| one.error_code);
        codes.find_map(passing).map_or(Ok(()), Err)
    });
}

/// Waits until no transaction is between its end and its markers.
pub(crate) fn markers(raw: &mut Raw) {
    transactional_ids(raw);
    let request = ListTransactionsRequest {
        state_filters: ["PrepareCommit", "PrepareAbort"].map(Text::from).to_vec(),
        duration_filter: -1,
        ..ListTransactionsRequest::default()
    };
    eventually("markers of all transactions", || {
        let answer = raw.ask(1, &request);
        let left = answer.transaction_states.len();
        match (answer.error_code, left) {
            (0, 0) => Ok(()),
            seen => Err(seen),
        }
    });
}

/// Waits until a broker that was started leads all that there is, and has read it.
pub(crate) fn started(address: &str) {
    let mut raw = eventually("a broker that listens", || Raw::try_connect(address));
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let topics = eventually("partitions with leaders", || {
        let answer = raw.ask(12, &all);
        if answer.brokers.is_empty() {
            return Err("no broker".to_owned());
        }
        let codes = answer.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter().map(|of| of.error_code);
            partitions.chain([topic.error_code])
        });
        match codes.filter(|code| *code != 0).count() {
            0 => Ok(answer.topics),
            count => Err(format!("{count} errors")),
        }
    });
    let ends = topics.iter().map(|topic| ListOffsetsTopic {
        name: topic.name.clone().unwrap_or_default(),
        partitions: (topic.partitions.iter())
            .map(|of| ListOffsetsPartition {
                partition_index: of.partition_index,
                timestamp: -1,
                ..ListOffsetsPartition::default()
            })
            .collect(),
    });
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: ends.collect(),
        ..ListOffsetsRequest::default()
    };
    eventually("partitions that are led", || {
        let answer = raw.ask(7, &request);
        let mut all = answer.topics.iter().flat_map(|topic| &topic.partitions);
        match all.find(|of| of.error_code != 0) {
            Some(of) => Err(ErrorCode::from_code(of.error_code)),
            None => Ok(()),
        }
    });
    let has = |name: &str| {
        let mut names = topics.iter().filter_map(|topic| topic.name.as_deref());
        names.any(|found| found == name)
    };
    if has(OFFSETS) {
        groups(&mut raw);
    }
    if has(TRANSACTIONS) {
        transactional_ids(&mut raw);
    }
}

/// Waits until all that was changed is seen by whoever asks. Changes are applied in their order:
/// when a later one is shown, those before it are; and all of them are applied when one is shown
/// that was sent after that.
pub(crate) async fn changes(at: &mut Connection, marks: &mut u32) {
    for _ in 0..2 {
        // Within the bounds of that setting, 45 s to 60 s; never twice the same in a row.
        *marks += 1;
        let value = (45_001 + *marks % 10_000).to_string();
        mark(at, &value).await;
        let end = tokio::time::Instant::now() + harness::DEADLINE;
        while shown(at).await.as_deref() != Some(&*value) {
            assert!(tokio::time::Instant::now() < end, "{value} is never shown");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

async fn mark(at: &mut Connection, value: &str) {
    let (group, name) = MARK;
    let request = IncrementalAlterConfigsRequest {
        resources: vec![changed(GROUP, group, &[(name, SET, Some(value))])],
        validate_only: false,
    };
    let answer = at.ask(1, &request).await.expect("an answer");
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

async fn shown(at: &mut Connection) -> Option<String> {
    let (group, name) = MARK;
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: GROUP,
            resource_name: Text::from(group),
            configuration_keys: Some(vec![Text::from(name)]),
        }],
        ..DescribeConfigsRequest::default()
    };
    let answer = at.ask(4, &request).await.expect("an answer");
    let config = answer.results[0].configs.first()?;
    config.value.as_deref().map(str::to_owned)
}
