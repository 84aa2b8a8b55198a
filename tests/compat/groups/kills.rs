//! The coordinator is killed between join and sync: what a member is told afterwards is what Kafka
//! says.

use logway_protocol::Text;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::play::{error, subscription};
use crate::node::Kafka;
use crate::raw::Raw;
use crate::{broker, peers, steady};

fn join(raw: &mut Raw, member: &Text) -> (i16, i32, Text) {
    let request = JoinGroupRequest {
        group_id: Text::from("k"),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 60_000,
        member_id: member.clone(),
        protocol_type: Text::from("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: Text::from("range"),
            metadata: subscription(&["apples"], &[]),
        }],
        ..JoinGroupRequest::default()
    };
    let answer = raw.ask(3, &request);
    (answer.error_code, answer.generation_id, answer.member_id)
}

fn sync(raw: &mut Raw, member: &Text, generation_id: i32) -> i16 {
    let request = SyncGroupRequest {
        group_id: Text::from("k"),
        generation_id,
        member_id: member.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.clone(),
            assignment: b"share".to_vec().into(),
        }],
        ..SyncGroupRequest::default()
    };
    raw.ask(2, &request).error_code
}

fn beat(raw: &mut Raw, member: &Text, generation_id: i32) -> i16 {
    let request = HeartbeatRequest {
        group_id: Text::from("k"),
        generation_id,
        member_id: member.clone(),
        ..HeartbeatRequest::default()
    };
    raw.ask(2, &request).error_code
}

/// Up to the kill; the member, and its generation that is not synced.
fn before(address: &str) -> (Text, i32) {
    let mut raw = Raw::connect(address);
    steady::groups(&mut raw);
    let (code, first, member) = join(&mut raw, &Text::default());
    assert_eq!((code, sync(&mut raw, &member, first)), (0, 0));
    let (code, second, _) = join(&mut raw, &member);
    assert_eq!((code, second), (0, first + 1));
    (member, second)
}

fn after(address: &str, (member, second): &(Text, i32)) -> Vec<String> {
    let mut raw = Raw::connect(address);
    steady::groups(&mut raw);
    let mut seen = vec![
        format!("old {}", error(beat(&mut raw, member, second - 1))),
        format!("new {}", error(beat(&mut raw, member, *second))),
        format!("late sync {}", error(sync(&mut raw, member, *second))),
    ];
    let (code, generation, _) = join(&mut raw, member);
    seen.push(format!("join {} {}", error(code), generation - second));
    let code = sync(&mut raw, member, generation);
    seen.push(format!("sync {}", error(code)));
    seen.push(format!(
        "then {}",
        error(beat(&mut raw, member, generation))
    ));
    seen
}

#[test]
fn a_coordinator_killed_between_join_and_sync_says_what_kafka_says() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(script, folder.path());
    let held = before(&kafka.address());
    kafka.kill();
    kafka.go_on();
    let theirs = after(&kafka.address(), &held);
    let logway = broker(folder.path());
    let held = before(&logway.address("kafka"));
    logway.kill();
    let logway = broker(folder.path());
    assert_eq!(theirs, after(&logway.address("kafka"), &held));
    assert!(logway.stop().success());
}
