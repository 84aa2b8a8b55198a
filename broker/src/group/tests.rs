//! The coordinator as a whole over an offsets topic in memory: what callers were told is stored,
//! nothing is told before, and a new coordinator over the same topic knows the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use logway_config::broker::Broker as Settings;
use logway_protocol::ErrorCode;
use logway_protocol::batch::{BatchHeader, set_base_offset};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::consumer::Topics;
use super::consumer::tests::FixedTopics;
use super::engine::{
    Claim, ClientInfo, Event, Join, JoinReply, Leaving, Protocol, Reply, State, Sync, SyncReply,
};
use super::log::{BoxFuture, LogReadError, OffsetsLog};
use super::registry::{Commit, DescribedGroup};
use super::{Committed, Found, GroupCoordinator, Missing};

const PARTITIONS: i32 = 5;

/// `__consumer_offsets` in memory. Appends are durable when the gate lets them.
#[derive(Debug)]
struct MemoryLog {
    batches: Mutex<BTreeMap<i32, Vec<Bytes>>>,
    created: Mutex<bool>,
    gate: Semaphore,
    fails: Mutex<Option<ErrorCode>>,
    topics: Mutex<Arc<FixedTopics>>,
}

impl MemoryLog {
    fn new() -> Arc<MemoryLog> {
        Arc::new(MemoryLog {
            batches: Mutex::default(),
            created: Mutex::new(false),
            gate: Semaphore::new(1_000_000),
            fails: Mutex::new(None),
            topics: Mutex::default(),
        })
    }

    fn end(batches: &[Bytes]) -> i64 {
        batches.last().map_or(0, |batch| {
            BatchHeader::decode(batch).expect("a batch").next_offset()
        })
    }
}

impl OffsetsLog for MemoryLog {
    fn partitions(&self) -> Option<i32> {
        self.created.lock().then_some(PARTITIONS)
    }

    fn prepare(&self) -> BoxFuture<'_, Result<i32, ErrorCode>> {
        *self.created.lock() = true;
        Box::pin(async { Ok(PARTITIONS) })
    }

    fn append(&self, partition: i32, batch: Bytes) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        Box::pin(async move {
            self.gate.acquire().await.expect("the gate stays").forget();
            if let Some(error) = *self.fails.lock() {
                return Err(error);
            }
            let mut batches = self.batches.lock();
            let kept = batches.entry(partition).or_default();
            let offset = MemoryLog::end(kept);
            let mut batch = BytesMut::from(&batch[..]);
            set_base_offset(&mut batch, offset).expect("a batch");
            kept.push(batch.freeze());
            Ok(offset)
        })
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.topics.lock().clone()
    }

    fn read(&self, partition: i32, each: &mut dyn FnMut(Bytes)) -> Result<(), LogReadError> {
        let batches = self
            .batches
            .lock()
            .get(&partition)
            .cloned()
            .unwrap_or_default();
        batches.into_iter().for_each(each);
        Ok(())
    }
}

fn settings() -> Settings {
    Settings {
        group_initial_rebalance_delay_ms: 0,
        ..Settings::default()
    }
}

async fn start(log: &Arc<MemoryLog>) -> Arc<GroupCoordinator> {
    let groups = GroupCoordinator::start(&settings(), Arc::clone(log) as Arc<dyn OffsetsLog>);
    while groups.ready().is_err() {
        tokio::task::yield_now().await;
    }
    groups
}

fn join_as(name: &str, member_id: Option<&str>) -> Join {
    Join {
        waiter: super::engine::Waiter(0),
        member_id: member_id.map(Arc::from),
        new_member_id: Arc::from(name),
        instance_id: None,
        client: ClientInfo {
            id: Arc::from("client"),
            host: Arc::from("/127.0.0.1"),
        },
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: Arc::from("consumer"),
        protocols: vec![Protocol {
            name: Arc::from("range"),
            metadata: Bytes::from_static(b"m"),
        }],
        needs_known_id: false,
        can_skip_assignment: true,
    }
}

async fn join(groups: &GroupCoordinator, group: &str, join: Join) -> JoinReply {
    let missing = if join.member_id.is_some() {
        Missing::Refuse
    } else {
        Missing::Create
    };
    let make = |waiter| Event::Join(Box::new(Join { waiter, ..join }));
    match groups.ask(group, missing, make).await.expect("asked") {
        Reply::Join(reply) => *reply,
        other => panic!("{other:?}"),
    }
}

async fn sync(
    groups: &GroupCoordinator,
    group: &str,
    member: &str,
    generation: i32,
    share: &'static [u8],
) -> SyncReply {
    let claim = claim(member, generation);
    let make = |waiter| {
        Event::Sync(Box::new(Sync {
            waiter,
            claim,
            protocol_type: None,
            protocol_name: None,
            assignments: vec![(Arc::from(member), Bytes::from_static(share))],
        }))
    };
    match groups
        .ask(group, Missing::Refuse, make)
        .await
        .expect("asked")
    {
        Reply::Sync(reply) => reply,
        other => panic!("{other:?}"),
    }
}

async fn heartbeat(
    groups: &GroupCoordinator,
    group: &str,
    member: &str,
    generation: i32,
) -> ErrorCode {
    let claim = claim(member, generation);
    let make = |waiter| Event::Heartbeat { waiter, claim };
    match groups
        .ask(group, Missing::Refuse, make)
        .await
        .expect("asked")
    {
        Reply::Heartbeat(error) => error,
        other => panic!("{other:?}"),
    }
}

fn claim(member: &str, generation: i32) -> Claim {
    Claim {
        member_id: Arc::from(member),
        instance_id: None,
        generation,
    }
}

fn commit_of(topic: &str, partition: i32, offset: i64) -> Commit {
    let committed = Committed {
        offset,
        leader_epoch: 4,
        metadata: Box::from("a note, und noch mehr: 메모"),
        committed_ms: crate::clock::now_ms(),
        expires_ms: None,
        record_offset: -1,
    };
    Commit {
        topic: Arc::from(topic),
        partition,
        committed,
    }
}

fn offset(groups: &GroupCoordinator, group: &str, topic: &str, partition: i32) -> Option<i64> {
    let look = |offsets: Option<&super::GroupOffsets>| {
        offsets
            .and_then(|offsets| offsets.get(topic, partition))
            .map(|kept| kept.offset)
    };
    groups.offsets(group, look).expect("groups are known")
}

/// One member in a stable group.
async fn stable(groups: &GroupCoordinator, group: &str, member: &str) {
    let joined = join(groups, group, join_as(member, None)).await;
    assert_eq!(joined.error, ErrorCode::None);
    let synced = sync(groups, group, member, joined.generation, b"share").await;
    assert_eq!(
        (synced.error, &synced.assignment[..]),
        (ErrorCode::None, &b"share"[..])
    );
}

fn shown(groups: &GroupCoordinator, group: &str) -> Option<DescribedGroup> {
    match groups.describe(group).expect("groups are known") {
        Found::Group(group) => Some(group),
        Found::Nothing | Found::OtherKind => None,
    }
}

#[tokio::test]
async fn a_group_forms_commits_and_is_known_again_after_a_restart() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    stable(&groups, "readers", "m").await;
    let commits = vec![commit_of("GameLog", 0, 42), commit_of("GameLog", 3, 7)];
    assert_eq!(
        groups.commit("readers", &claim("m", 1), commits).await,
        Ok(())
    );
    assert_eq!(
        groups
            .commit("tool", &claim("", -1), vec![commit_of("t", 0, 1)])
            .await,
        Ok(())
    );
    assert_eq!(
        groups
            .commit("tool", &claim("", -1), vec![commit_of("t", 0, 2)])
            .await,
        Ok(())
    );
    let mut before = shown(&groups, "readers").expect("it exists");

    // No shutdown: the process is gone from one moment to the next.
    let again = start(&log).await;
    let after = shown(&again, "readers").expect("it is known again");
    // What is stored is the moment at which the leader began to decide.
    before.group.state_since_ms = after.group.state_since_ms;
    assert_eq!(after, before);
    assert_eq!(after.state, State::Stable);
    for group in ["readers", "tool"] {
        let all = |groups: &GroupCoordinator| groups.offsets(group, |all| Some(all?.clone()));
        assert_eq!(all(&again), all(&groups), "offsets of {group}");
    }
    assert_eq!(offset(&again, "tool", "t", 0), Some(2));
    assert_eq!(offset(&again, "tool", "t", 1), None);
    assert_eq!(
        heartbeat(&again, "readers", "m", 1).await,
        ErrorCode::None,
        "no new round"
    );
    groups.shutdown().await;
    again.shutdown().await;
}

#[tokio::test]
async fn nothing_is_answered_or_readable_before_it_is_durable() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    log.gate.forget_permits(1_000_000);
    let commit = {
        let groups = Arc::clone(&groups);
        async move {
            groups
                .commit("g", &claim("", -1), vec![commit_of("t", 0, 5)])
                .await
        }
    };
    tokio::pin!(commit);
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut commit).await;
    assert!(waited.is_err(), "the answer waits for the disk");
    assert_eq!(offset(&groups, "g", "t", 0), None);
    log.gate.add_permits(1);
    assert_eq!(commit.await, Ok(()));
    assert_eq!(offset(&groups, "g", "t", 0), Some(5));
    log.gate.add_permits(1_000);
    groups.shutdown().await;
}

#[tokio::test]
async fn commits_made_together_are_stored_together_and_in_order() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    log.gate.forget_permits(1_000_000);
    let mut commits = tokio::task::JoinSet::new();
    for offset in 0..100 {
        let groups = Arc::clone(&groups);
        commits.spawn(async move {
            groups
                .commit(
                    "g",
                    &claim("", -1),
                    vec![commit_of("t", offset % 7, offset.into())],
                )
                .await
        });
    }
    tokio::task::yield_now().await;
    log.gate.add_permits(1_000);
    while let Some(commit) = commits.join_next().await {
        assert_eq!(commit.expect("it ran"), Ok(()));
    }
    let stored: usize = log.batches.lock().values().map(Vec::len).sum();
    assert!(stored < 50, "100 commits took {stored} appends");
    let again = start(&log).await;
    for partition in 0..7 {
        assert_eq!(
            offset(&again, "g", "t", partition),
            offset(&groups, "g", "t", partition)
        );
    }
    groups.shutdown().await;
    again.shutdown().await;
}

#[tokio::test]
async fn a_failed_write_is_told_in_the_coordinators_words() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    *log.fails.lock() = Some(ErrorCode::KafkaStorageError);
    assert_eq!(
        groups
            .commit("g", &claim("", -1), vec![commit_of("t", 0, 5)])
            .await,
        Err(ErrorCode::NotCoordinator)
    );
    assert_eq!(
        shown(&groups, "g"),
        None,
        "a group that was never stored leaves no trace"
    );
    let joined = join(&groups, "h", join_as("m", None)).await;
    assert_eq!(
        sync(&groups, "h", "m", joined.generation, b"s").await.error,
        ErrorCode::NotCoordinator
    );
    *log.fails.lock() = None;
    let joined = join(&groups, "h", join_as("m", Some("m"))).await;
    assert_eq!(
        sync(&groups, "h", "m", joined.generation, b"s").await.error,
        ErrorCode::None
    );
    groups.shutdown().await;
}

#[tokio::test]
async fn a_commit_too_large_for_one_batch_is_refused_and_the_others_are_not() {
    let log = MemoryLog::new();
    let settings = Settings {
        message_max_bytes: 4_096,
        ..settings()
    };
    let groups = GroupCoordinator::start(&settings, Arc::clone(&log) as Arc<dyn OffsetsLog>);
    while groups.ready().is_err() {
        tokio::task::yield_now().await;
    }
    let many = (0..200)
        .map(|partition| commit_of("t", partition, 1))
        .collect();
    assert_eq!(
        groups.commit("g", &claim("", -1), many).await,
        Err(ErrorCode::InvalidCommitOffsetSize)
    );
    assert_eq!(
        groups
            .commit("g", &claim("", -1), vec![commit_of("t", 0, 1)])
            .await,
        Ok(())
    );
    groups.shutdown().await;
}

#[tokio::test]
async fn stopping_answers_those_who_wait_and_keeps_what_was_decided() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    stable(&groups, "g", "a").await;
    let parked = {
        let groups = Arc::clone(&groups);
        async move { join(&groups, "g", join_as("b", None)).await }
    };
    tokio::pin!(parked);
    let waited = tokio::time::timeout(Duration::from_millis(20), &mut parked).await;
    assert!(waited.is_err(), "b waits for a to rejoin");
    groups.shutdown().await;
    assert_eq!(parked.await.error, ErrorCode::NotCoordinator);
    assert_eq!(
        groups
            .commit("g", &claim("a", 1), vec![commit_of("t", 0, 1)])
            .await,
        Err(ErrorCode::CoordinatorNotAvailable)
    );
    let again = start(&log).await;
    assert_eq!(heartbeat(&again, "g", "a", 1).await, ErrorCode::None);
    again.shutdown().await;
}

#[tokio::test]
async fn leaving_is_stored_as_an_empty_group() {
    let log = MemoryLog::new();
    let groups = start(&log).await;
    stable(&groups, "g", "a").await;
    let leaving = vec![Leaving {
        member_id: Arc::from("a"),
        instance_id: None,
    }];
    let make = |waiter| Event::Leave {
        waiter,
        members: leaving,
    };
    let left = groups.ask("g", Missing::Refuse, make).await.expect("asked");
    assert!(matches!(left, Reply::Leave(left) if left[0].error == ErrorCode::None));
    groups.shutdown().await;
    let again = start(&log).await;
    let group = shown(&again, "g").expect("an empty group stays");
    assert_eq!((group.state, group.group.generation), (State::Empty, 2));
    again.shutdown().await;
}

#[tokio::test]
async fn requests_to_groups_that_do_not_exist_make_none() {
    let groups = start(&MemoryLog::new()).await;
    let make = |waiter| Event::Heartbeat {
        waiter,
        claim: claim("m", 1),
    };
    assert_eq!(
        groups.ask("g", Missing::Refuse, make).await,
        Err(ErrorCode::GroupIdNotFound)
    );
    assert_eq!(
        groups
            .commit("g", &claim("m", 1), vec![commit_of("t", 0, 1)])
            .await,
        Err(ErrorCode::GroupIdNotFound)
    );
    let nothing = Join {
        protocols: Vec::new(),
        ..join_as("m", None)
    };
    assert_eq!(groups.list(), Ok(Vec::new()));
    assert_eq!(
        join(&groups, "g", nothing).await.error,
        ErrorCode::InconsistentGroupProtocol
    );
    // Whoever may make a group and is refused leaves it, until the next look for expired offsets.
    let listed = groups.list().expect("groups are known");
    assert_eq!((listed.len(), listed[0].state), (1, "Empty"));
    groups.shutdown().await;
}

#[tokio::test]
async fn counters_are_prometheus_text() {
    let groups = start(&MemoryLog::new()).await;
    stable(&groups, "g", "a").await;
    groups
        .commit("g", &claim("a", 1), vec![commit_of("t", 0, 1)])
        .await
        .expect("stored");
    let text = groups.metrics_text();
    for line in [
        "logway_broker_groups{state=\"Stable\"} 1",
        "logway_broker_group_offsets 1",
        "logway_broker_group_rebalances_total 1",
        "logway_broker_group_commits_total 1",
    ] {
        assert!(text.lines().any(|at| at == line), "{line} in\n{text}");
    }
    groups.shutdown().await;
}
