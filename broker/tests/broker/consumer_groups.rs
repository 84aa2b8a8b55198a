//! Groups of the consumer protocol over the wire: they converge, outlive a kill, and go when they are
//! empty.

use logway_protocol::message::consumer_group_describe::{
    ConsumerGroupDescribeRequest, DescribedGroup,
};
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use logway_protocol::message::delete_groups::DeleteGroupsRequest;
use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;
use logway_protocol::{ErrorCode, Text};
use tempfile::TempDir;

use crate::harness::{Client, PATIENCE, Server};
use crate::requests::{BROKER, SET, changed};
use crate::restart::{copy_as_killed, start};

fn join(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![Text::from("t")]),
        ..beat(member, 0, &[])
    }
}

fn beat(member: &str, epoch: i32, holds: &[TopicPartitions]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Text::from("g"),
        member_id: Text::from(member),
        member_epoch: epoch,
        topic_partitions: Some(holds.to_vec()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A member that does what it is told.
struct Member {
    id: &'static str,
    epoch: i32,
    holds: Vec<TopicPartitions>,
}

impl Member {
    fn new(id: &'static str) -> Member {
        Member {
            id,
            epoch: 0,
            holds: Vec::new(),
        }
    }

    async fn beat(&mut self, client: &mut Client) {
        let request = match self.epoch {
            0 => join(self.id),
            epoch => beat(self.id, epoch, &self.holds),
        };
        let answer: ConsumerGroupHeartbeatResponse = client.ask(1, &request).await;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            let topics = assignment.topic_partitions.into_iter();
            self.holds = topics
                .map(|of| TopicPartitions {
                    topic_id: of.topic_id,
                    partitions: of.partitions,
                })
                .collect();
        }
    }

    fn count(&self) -> usize {
        self.holds.iter().map(|of| of.partitions.len()).sum()
    }
}

async fn describe(client: &mut Client) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from("g")],
        ..ConsumerGroupDescribeRequest::default()
    };
    client.ask(1, &request).await.groups.remove(0)
}

async fn delete(client: &mut Client) -> ErrorCode {
    let request = DeleteGroupsRequest {
        groups_names: vec![Text::from("g")],
    };
    let answer = client.ask(2, &request).await;
    ErrorCode::from_code(answer.results[0].error_code)
}

#[tokio::test]
async fn members_share_and_a_kill_changes_nothing() {
    let server = Server::start_with(|settings| settings.group_consumer.assignment_interval_ms = 0);
    let server = server.await;
    let mut client = server.connect().await;
    client.create_topic("t", 4).await;
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    one.beat(&mut client).await;
    assert_eq!(one.count(), 4);
    two.beat(&mut client).await;
    assert_eq!(two.count(), 0, "nobody gave anything up yet");
    // Told to give up, given up; then the other one gets it.
    for _ in 0..2 {
        one.beat(&mut client).await;
        two.beat(&mut client).await;
    }
    assert_eq!((one.count(), two.count()), (2, 2));
    let before = describe(&mut client).await;
    assert_eq!(&*before.group_state, "Stable");
    assert_eq!(delete(&mut client).await, ErrorCode::NonEmptyGroup);

    let killed = TempDir::new().unwrap();
    copy_as_killed(server.folder.path(), killed.path());
    let (broker, mut client) = start(killed.path(), |_| {}).await;
    while describe(&mut client).await.error_code == ErrorCode::CoordinatorLoadInProgress.code() {}
    assert_eq!(describe(&mut client).await, before);
    one.beat(&mut client).await;
    two.beat(&mut client).await;
    assert_eq!((one.count(), two.count()), (2, 2));
    for member in ["one", "two"] {
        let gone = client.ask(1, &beat(member, -1, &[])).await;
        assert_eq!((gone.error_code, gone.member_epoch), (0, -1));
    }
    assert_eq!(&*describe(&mut client).await.group_state, "Empty");
    assert_eq!(delete(&mut client).await, ErrorCode::None);
    let gone = describe(&mut client).await;
    assert_eq!(gone.error_code, ErrorCode::GroupIdNotFound.code());
    broker.shutdown(PATIENCE).await;
}

/// Changes settings of the group `g`.
async fn set(client: &mut Client, values: &[(&str, &str)]) -> ErrorCode {
    set_of(client, (32, "g"), values).await
}

async fn set_of(
    client: &mut Client,
    (kind, name): (i8, &str),
    values: &[(&str, &str)],
) -> ErrorCode {
    let operations: Vec<_> = values
        .iter()
        .map(|(name, value)| (*name, SET, Some(*value)))
        .collect();
    let request = IncrementalAlterConfigsRequest {
        resources: vec![changed(kind, name, &operations)],
        validate_only: false,
    };
    let answer = client.ask(1, &request).await;
    ErrorCode::from_code(answer.responses[0].error_code)
}

#[tokio::test]
async fn the_brokers_interval_of_assignments_changes_while_it_runs() {
    let name = "group.consumer.assignment.interval.ms";
    let server =
        Server::start_with(|settings| settings.group_consumer.assignment_interval_ms = 15_000);
    let server = server.await;
    let mut client = server.connect().await;
    client.create_topic("t", 4).await;
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    one.beat(&mut client).await;
    for (broker, value, expected) in [
        ("", "15001", ErrorCode::InvalidRequest),
        ("", "0", ErrorCode::None),
        // It is this broker's own that counts.
        ("1", "15000", ErrorCode::None),
        ("1", "0", ErrorCode::None),
    ] {
        let answer = set_of(&mut client, (BROKER, broker), &[(name, value)]).await;
        assert_eq!(answer, expected, "{broker} {value}");
    }
    // Nobody waits for the fifteen seconds of the file.
    for _ in 0..3 {
        two.beat(&mut client).await;
        one.beat(&mut client).await;
    }
    two.beat(&mut client).await;
    assert_eq!((one.count(), two.count()), (2, 2));
    server.stop().await;
}

#[tokio::test]
async fn settings_of_a_group_count_from_the_next_heartbeat_on() {
    let server = Server::start_with(|settings| {
        settings.group_consumer.min_session_timeout_ms = 300;
        settings.group_consumer.min_heartbeat_interval_ms = 100;
    });
    let server = server.await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let joined = client.ask(1, &join("one")).await;
    assert_eq!(joined.heartbeat_interval_ms, 5_000);
    let (interval, session) = (
        "consumer.heartbeat.interval.ms",
        "consumer.session.timeout.ms",
    );
    let short = [(interval, "99"), (session, "300")];
    assert_eq!(set(&mut client, &short).await, ErrorCode::InvalidConfig);
    let short = [(interval, "100"), (session, "300")];
    assert_eq!(set(&mut client, &short).await, ErrorCode::None);
    assert_eq!(
        describe(&mut client).await.members.len(),
        1,
        "no heartbeat yet"
    );
    let beat = beat("one", joined.member_epoch, &[]);
    let beaten = client.ask(1, &beat).await;
    assert_eq!((beaten.error_code, beaten.heartbeat_interval_ms), (0, 100));
    // The broker's own session is 45 s: well before that the member is out.
    let ended = async { while !describe(&mut client).await.members.is_empty() {} };
    tokio::time::timeout(PATIENCE / 2, ended)
        .await
        .expect("the session ends");
    server.stop().await;
}
