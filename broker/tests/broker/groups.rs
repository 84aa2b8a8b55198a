//! Groups over the wire, in every version of the nine APIs: what each version adds is there, what
//! it cannot carry is not, and a group outlives its broker.

use bytes::Bytes;
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use logway_protocol::message::leave_group::{LeaveGroupRequest, MemberIdentity};
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use logway_protocol::{ErrorCode, Text};

use crate::harness::{Client, PATIENCE, Server};

pub(crate) fn join_request(group: &str, member: &Text) -> JoinGroupRequest {
    let offer = JoinGroupRequestProtocol {
        name: Text::from("range"),
        metadata: Bytes::from_static(b"meta"),
    };
    JoinGroupRequest {
        group_id: Text::from(group),
        session_timeout_ms: 45_000,
        member_id: member.clone(),
        protocol_type: Text::from("consumer"),
        protocols: vec![offer],
        ..JoinGroupRequest::default()
    }
}

/// Joins as its version wants it: from 4 on with the id that the first try brings.
pub(crate) async fn join(client: &mut Client, version: i16, group: &str) -> JoinGroupResponse {
    let rebalance_timeout_ms = if version == 0 { -1 } else { 60_000 };
    let ask = |member: &Text| JoinGroupRequest {
        rebalance_timeout_ms,
        ..join_request(group, member)
    };
    let first = client.ask(version, &ask(&Text::default())).await;
    if version < 4 {
        return first;
    }
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
    assert!(
        first.member_id.starts_with("test-"),
        "client id, then a UUID"
    );
    assert_eq!(first.member_id.len(), "test-".len() + 36);
    client.ask(version, &ask(&first.member_id)).await
}

pub(crate) async fn sync(
    client: &mut Client,
    version: i16,
    group: &str,
    joined: &JoinGroupResponse,
) -> Bytes {
    let assignment = SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: Bytes::from_static(b"share"),
    };
    let request = SyncGroupRequest {
        group_id: Text::from(group),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: (version >= 5).then(|| Text::from("consumer")),
        protocol_name: (version >= 5).then(|| Text::from("range")),
        assignments: vec![assignment],
        ..SyncGroupRequest::default()
    };
    let response = client.ask(version, &request).await;
    assert_eq!(response.error_code, 0);
    let named = response.protocol_name.as_deref();
    assert_eq!(
        named,
        (version >= 5).then_some("range"),
        "the name comes with version 5"
    );
    response.assignment
}

pub(crate) fn commit_request(group: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_metadata: Some(Text::from("note")),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: Text::from("t"),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: Text::from(group),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

/// (offset, metadata) of one partition, whatever the version's form.
pub(crate) async fn committed(
    client: &mut Client,
    version: i16,
    group: &str,
    partition: i32,
) -> (i64, Text) {
    if version < 8 {
        let name = Text::from("t");
        let topic = OffsetFetchRequestTopic {
            name,
            partition_indexes: vec![partition],
        };
        let request = OffsetFetchRequest {
            group_id: Text::from(group),
            topics: Some(vec![topic]),
            ..OffsetFetchRequest::default()
        };
        let response = client.ask(version, &request).await;
        assert_eq!(response.error_code, 0);
        let found = response.topics[0].partitions[0].clone();
        return (found.committed_offset, found.metadata.expect("never null"));
    }
    let name = Text::from("t");
    let topic = OffsetFetchRequestTopics {
        name,
        partition_indexes: vec![partition],
        ..OffsetFetchRequestTopics::default()
    };
    let wanted = OffsetFetchRequestGroup {
        group_id: Text::from(group),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![wanted],
        ..OffsetFetchRequest::default()
    };
    let response = client.ask(version, &request).await;
    assert_eq!(response.groups[0].error_code, 0);
    let found = response.groups[0].topics[0].partitions[0].clone();
    (found.committed_offset, found.metadata.expect("never null"))
}

#[tokio::test]
async fn every_version_finds_the_coordinator() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let port = i32::from(server.broker.kafka_addr().port());
    for version in 0..=6 {
        let mut request = FindCoordinatorRequest::default();
        if version < 4 {
            request.key = Text::from("g");
            let found = client.ask(version, &request).await;
            assert_eq!((found.error_code, found.node_id, found.port), (0, 1, port));
        } else {
            request.coordinator_keys = vec![Text::from("g"), Text::from("h")];
            let found = client.ask(version, &request).await.coordinators;
            let shown: Vec<_> = found
                .iter()
                .map(|at| (&*at.key, at.error_code, at.port))
                .collect();
            assert_eq!(shown, [("g", 0, port), ("h", 0, port)]);
        }
    }
    let transaction = FindCoordinatorRequest {
        key: Text::from("t"),
        key_type: 1,
        ..FindCoordinatorRequest::default()
    };
    assert_eq!(client.ask(1, &transaction).await.node_id, 1);
    let unknown = FindCoordinatorRequest {
        key_type: 9,
        ..transaction
    };
    assert_eq!(
        client.ask(1, &unknown).await.error_code,
        ErrorCode::InvalidRequest.code()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_member_comes_and_goes_in_every_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 0..=9i16 {
        let group = format!("v{version}");
        let joined = join(&mut client, version, &group).await;
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (0, 1),
            "JoinGroup {version}"
        );
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(
            joined.protocol_type.as_deref(),
            (version >= 7).then_some("consumer")
        );
        assert_eq!(
            sync(&mut client, version.min(5), &group, &joined).await,
            "share"
        );
        let beat = HeartbeatRequest {
            group_id: Text::from(&*group),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
        };
        assert_eq!(client.ask(version.min(4), &beat).await.error_code, 0);
        let leave_version = version.min(5);
        let mut leave = LeaveGroupRequest {
            group_id: Text::from(&*group),
            ..LeaveGroupRequest::default()
        };
        if leave_version < 3 {
            leave.member_id = joined.member_id.clone();
        } else {
            let member_id = joined.member_id.clone();
            leave.members = vec![MemberIdentity {
                member_id,
                ..MemberIdentity::default()
            }];
        }
        let left = client.ask(leave_version, &leave).await;
        assert_eq!(left.error_code, 0);
        assert!(left.members.iter().all(|member| member.error_code == 0));
        let left_again = client.ask(leave_version, &leave).await;
        let errors: Vec<i16> = left_again
            .members
            .iter()
            .map(|member| member.error_code)
            .collect();
        let unknown = ErrorCode::UnknownMemberId.code();
        match leave_version {
            0..=2 => assert_eq!(left_again.error_code, unknown),
            _ => assert_eq!((left_again.error_code, errors), (0, vec![unknown])),
        }
        let late = client.ask(version.min(4), &beat).await;
        assert_eq!(late.error_code, unknown);
    }
    server.stop().await;
}

#[tokio::test]
async fn offsets_go_in_and_out_in_every_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 3).await;
    for version in 2..=9i16 {
        let committed_at = client
            .ask(version, &commit_request("g", 0, version.into()))
            .await;
        assert_eq!(
            committed_at.topics[0].partitions[0].error_code, 0,
            "OffsetCommit {version}"
        );
        for fetch in 1..=9 {
            let found = committed(&mut client, fetch, "g", 0).await;
            assert_eq!(
                found,
                (version.into(), Text::from("note")),
                "OffsetFetch {fetch}"
            );
            assert_eq!(
                committed(&mut client, fetch, "g", 1).await,
                (-1, Text::default())
            );
            assert_eq!(
                committed(&mut client, fetch, "nobody", 0).await,
                (-1, Text::default())
            );
        }
    }
    let all = OffsetFetchRequest {
        group_id: Text::from("g"),
        topics: None,
        ..OffsetFetchRequest::default()
    };
    let found = client.ask(2, &all).await;
    assert_eq!(
        (found.topics.len(), found.topics[0].partitions.len()),
        (1, 1)
    );
    server.stop().await;
}

#[tokio::test]
async fn commits_that_cannot_be_are_refused_one_by_one() {
    let server = Server::start_with(|settings| settings.offset_metadata_max_bytes = 10).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let mut request = commit_request("g", 0, 5);
    let long = OffsetCommitRequestPartition {
        committed_metadata: Some(Text::from("eleven bytes")),
        ..request.topics[0].partitions[0].clone()
    };
    let beyond = OffsetCommitRequestPartition {
        partition_index: 1,
        ..long.clone()
    };
    request.topics[0].partitions.extend([long, beyond]);
    let mut unknown = request.topics[0].clone();
    unknown.name = Text::from("nosuch");
    unknown.partitions.truncate(1);
    request.topics.push(unknown);
    let response = client.ask(8, &request).await;
    let errors: Vec<Vec<i16>> = response
        .topics
        .iter()
        .map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| partition.error_code)
                .collect()
        })
        .collect();
    let absent = ErrorCode::UnknownTopicOrPartition.code();
    let too_large = ErrorCode::OffsetMetadataTooLarge.code();
    assert_eq!(errors, [vec![0, too_large, absent], vec![absent]]);
    assert_eq!(committed(&mut client, 9, "g", 0).await.0, 5);

    let member = OffsetCommitRequest {
        generation_id_or_member_epoch: 3,
        member_id: Text::from("m"),
        ..commit_request("nobody", 0, 5)
    };
    for (version, error) in [
        (8, ErrorCode::IllegalGeneration),
        (9, ErrorCode::GroupIdNotFound),
    ] {
        let response = client.ask(version, &member).await;
        assert_eq!(response.topics[0].partitions[0].error_code, error.code());
    }
    server.stop().await;
}

#[tokio::test]
async fn groups_are_listed_and_described_in_every_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let joined = join(&mut client, 9, "alive").await;
    sync(&mut client, 5, "alive", &joined).await;
    client.ask(9, &commit_request("simple", 0, 1)).await;
    for version in 0..=5 {
        let listed = client
            .ask(version, &ListGroupsRequest::default())
            .await
            .groups;
        let state = |state: &'static str| if version >= 4 { state } else { "" };
        let kind = if version >= 5 { "classic" } else { "" };
        let shown: Vec<_> = listed
            .iter()
            .map(|at| {
                (
                    &*at.group_id,
                    &*at.protocol_type,
                    &*at.group_state,
                    &*at.group_type,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("alive", "consumer", state("Stable"), kind),
                ("simple", "", state("Empty"), kind),
            ]
        );
    }
    let filter = |states: &[&str], types: &[&str]| ListGroupsRequest {
        states_filter: states.iter().copied().map(Text::from).collect(),
        types_filter: types.iter().copied().map(Text::from).collect(),
    };
    assert_eq!(
        client
            .ask(5, &filter(&["stable"], &["CLASSIC"]))
            .await
            .groups
            .len(),
        1
    );
    assert_eq!(client.ask(5, &filter(&[], &["consumer"])).await.groups, []);
    describe_in_every_version(&mut client).await;
    server.stop().await;
}

/// "alive" has one member, "nosuch" does not exist.
async fn describe_in_every_version(client: &mut Client) {
    for version in 0..=6 {
        let request = DescribeGroupsRequest {
            groups: vec![Text::from("alive"), Text::from("nosuch")],
            include_authorized_operations: version >= 3,
        };
        let groups = client.ask(version, &request).await.groups;
        // Read, delete, describe, describe and alter configs; nothing of a group that is an error.
        let allowed: Vec<i32> = groups.iter().map(|of| of.authorized_operations).collect();
        let expected = match version {
            ..3 => [i32::MIN; 2],
            3..6 => [3400; 2],
            6.. => [3400, i32::MIN],
        };
        assert_eq!(allowed, expected, "version {version}");
        assert_eq!(
            (&*groups[0].group_state, &*groups[0].protocol_data),
            ("Stable", "range")
        );
        let member = &groups[0].members[0];
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("test", "/127.0.0.1")
        );
        assert_eq!(
            (&member.member_metadata[..], &member.member_assignment[..]),
            (&b"meta"[..], &b"share"[..])
        );
        let error = if version >= 6 {
            ErrorCode::GroupIdNotFound
        } else {
            ErrorCode::None
        };
        assert_eq!(
            (groups[1].error_code, &*groups[1].group_state),
            (error.code(), "Dead")
        );
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_named() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let nobody = Text::default();
    let nameless = client.ask(9, &join_request("", &nobody)).await;
    assert_eq!(nameless.error_code, ErrorCode::InvalidGroupId.code());
    let hasty = JoinGroupRequest {
        session_timeout_ms: 5,
        ..join_request("g", &nobody)
    };
    let hasty = client.ask(9, &hasty).await;
    assert_eq!(hasty.error_code, ErrorCode::InvalidSessionTimeout.code());
    let stranger = client
        .ask(9, &join_request("g", &Text::from("someone")))
        .await;
    assert_eq!(stranger.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(stranger.member_id, "someone");
    let empty = client.ask(5, &ListGroupsRequest::default()).await;
    assert_eq!(empty.groups, [], "none of them left a group behind");
    server.stop().await;
}

#[tokio::test]
async fn a_group_outlives_its_broker_and_a_waiting_member_does_not_hold_up_the_stop() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let joined = join(&mut client, 9, "g").await;
    sync(&mut client, 5, "g", &joined).await;
    let mut waiting = server.connect().await;
    waiting.send(3, &join_request("g", &Text::default())).await;
    let beat = HeartbeatRequest {
        group_id: Text::from("g"),
        generation_id: 1,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
    };
    // The newcomer has arrived when the member is told to rejoin.
    while client.ask(4, &beat).await.error_code == 0 {}
    let folder = server.stop().await;
    let sent_away = waiting.receive::<JoinGroupRequest>(3, 0).await;
    assert_eq!(sent_away.error_code, ErrorCode::NotCoordinator.code());

    let settings = crate::harness::settings(folder.path());
    let broker = logway_broker::Broker::start(settings).await.unwrap();
    let mut client = Client::connect(broker.kafka_addr()).await;
    assert_eq!(
        client.ask(4, &beat).await.error_code,
        0,
        "its generation still stands"
    );
    broker.shutdown(PATIENCE).await;
}
