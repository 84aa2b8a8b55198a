//! The coordinator dies in the middle of a rebalance: what the group had agreed on holds, what it had
//! not is asked for anew, and committed offsets stay.

use logway_protocol::ErrorCode;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::JoinGroupRequest;
use logway_protocol::message::sync_group::SyncGroupRequest;
use logway_protocol::{Request, Text};
use tempfile::TempDir;

use crate::groups::{commit_request, committed, join, join_request, sync};
use crate::harness::{Client, PATIENCE, Server};
use crate::restart::{copy_as_killed, start};

fn heartbeat(member: &Text, generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: Text::from("g"),
        generation_id,
        member_id: member.clone(),
        ..HeartbeatRequest::default()
    }
}

/// Asks until groups have been read; gives the error, and the answer.
async fn ask_when_loaded<R: Request>(
    client: &mut Client,
    version: i16,
    request: &R,
    code: impl Fn(&R::Response) -> i16,
) -> (ErrorCode, R::Response) {
    loop {
        let answer = client.ask(version, request).await;
        match ErrorCode::from_code(code(&answer)) {
            ErrorCode::CoordinatorLoadInProgress => {}
            error => return (error, answer),
        }
    }
}

#[tokio::test]
async fn a_kill_between_join_and_sync_leaves_the_generation_before() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let first = join(&mut client, 5, "g").await;
    sync(&mut client, 3, "g", &first).await;
    let mut commit = commit_request("g", 0, 7);
    commit.member_id = first.member_id.clone();
    commit.generation_id_or_member_epoch = first.generation_id;
    let answer = client.ask(7, &commit).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    // The leader joins again, gets its generation, and the coordinator dies before it syncs.
    let again = JoinGroupRequest {
        rebalance_timeout_ms: 60_000,
        ..join_request("g", &first.member_id)
    };
    let second = client.ask(5, &again).await;
    let generations = (second.error_code, second.generation_id);
    assert_eq!(generations, (0, first.generation_id + 1));
    let killed = TempDir::new().unwrap();
    copy_as_killed(server.folder.path(), killed.path());

    let (broker, mut client) = start(killed.path(), |_| {}).await;
    let late = SyncGroupRequest {
        group_id: Text::from("g"),
        generation_id: second.generation_id,
        member_id: second.member_id.clone(),
        ..SyncGroupRequest::default()
    };
    let (error, _) = ask_when_loaded(&mut client, 3, &late, |answer| answer.error_code).await;
    assert_eq!(error, ErrorCode::IllegalGeneration);
    let held = heartbeat(&first.member_id, first.generation_id);
    let held = client.ask(3, &held).await.error_code;
    assert_eq!(held, 0, "the generation that was agreed on holds");
    assert_eq!(committed(&mut client, 7, "g", 0).await.0, 7);
    let third = client.ask(5, &again).await;
    let generations = (third.error_code, third.generation_id);
    assert_eq!(generations, (0, first.generation_id + 1));
    sync(&mut client, 3, "g", &third).await;
    let held = heartbeat(&first.member_id, third.generation_id);
    assert_eq!(client.ask(3, &held).await.error_code, 0);
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_kill_before_the_first_sync_leaves_no_group() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let first = join(&mut client, 5, "g").await;
    let killed = TempDir::new().unwrap();
    copy_as_killed(server.folder.path(), killed.path());

    let (broker, mut client) = start(killed.path(), |_| {}).await;
    let beat = heartbeat(&first.member_id, first.generation_id);
    let (error, _) = ask_when_loaded(&mut client, 3, &beat, |answer| answer.error_code).await;
    assert_eq!(error, ErrorCode::UnknownMemberId);
    let anew = join(&mut client, 5, "g").await;
    assert_eq!(anew.error_code, 0);
    sync(&mut client, 3, "g", &anew).await;
    broker.shutdown(PATIENCE).await;
}
