//! Classic members, alone and beside members of the consumer protocol: groups that change from one
//! protocol to the other and back.

use bytes::Bytes;
use logway_protocol::Text;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use logway_protocol::message::leave_group::{LeaveGroupRequest, MemberIdentity};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::play::{Play, error, join, plain, subscription};
use super::scenes::{delete, delete_offsets, fetch, list};

pub(super) fn joining(group: &str, member: &str, owned: &[(&str, &[i32])]) -> JoinGroupRequest {
    let protocol = |name: &str| JoinGroupRequestProtocol {
        name: Text::from(name),
        metadata: subscription(&["apples"], owned),
    };
    JoinGroupRequest {
        group_id: Text::from(group),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: Text::from(member),
        protocol_type: Text::from("consumer"),
        protocols: vec![protocol("range"), protocol("cooperative-sticky")],
        ..JoinGroupRequest::default()
    }
}

/// Joins as a classic member; gives back its id and generation.
pub(super) fn classic_join(
    play: &mut Play,
    label: &str,
    request: &JoinGroupRequest,
) -> (String, i32) {
    let answer = play.raw.ask(9, request);
    let line = format!(
        "{} generation {} {:?} {:?} leads {} members {}",
        error(answer.error_code),
        answer.generation_id,
        answer.protocol_type,
        answer.protocol_name,
        answer.leader == answer.member_id,
        answer.members.len()
    );
    play.note(label, &line);
    (answer.member_id.to_string(), answer.generation_id)
}

pub(super) fn classic_sync(
    play: &mut Play,
    label: &str,
    (group, member, generation): (&str, &str, i32),
    share: Option<Bytes>,
) {
    let assignments = share.map(|assignment| SyncGroupRequestAssignment {
        member_id: Text::from(member),
        assignment,
    });
    let request = SyncGroupRequest {
        group_id: Text::from(group),
        member_id: Text::from(member),
        generation_id: generation,
        protocol_type: Some(Text::from("consumer")),
        protocol_name: Some(Text::from("range")),
        assignments: assignments.into_iter().collect(),
        ..SyncGroupRequest::default()
    };
    let answer = play.raw.ask(5, &request);
    let line = format!(
        "{} {} bytes {:?}",
        error(answer.error_code),
        answer.assignment.len(),
        answer.protocol_name
    );
    play.note(label, &line);
}

fn classic_beat(play: &mut Play, label: &str, (group, member, generation): (&str, &str, i32)) {
    let request = HeartbeatRequest {
        group_id: Text::from(group),
        member_id: Text::from(member),
        generation_id: generation,
        ..HeartbeatRequest::default()
    };
    let answer = play.raw.ask(4, &request);
    play.note(label, &error(answer.error_code));
}

pub(super) fn leave(
    play: &mut Play,
    label: &str,
    group: &str,
    member: &str,
    instance: Option<&str>,
) {
    let request = LeaveGroupRequest {
        group_id: Text::from(group),
        members: vec![MemberIdentity {
            member_id: Text::from(member),
            group_instance_id: instance.map(Text::from),
            ..MemberIdentity::default()
        }],
        ..LeaveGroupRequest::default()
    };
    let answer = play.raw.ask(5, &request);
    let each: Vec<String> = answer
        .members
        .iter()
        .map(|of| error(of.error_code))
        .collect();
    play.note(label, &format!("{} {each:?}", error(answer.error_code)));
}

/// All four partitions of apples, as a leader hands them to itself.
pub(super) fn everything() -> Bytes {
    let mut share = vec![0, 1, 0, 0, 0, 1, 0, 6];
    share.extend(b"apples");
    share.extend(4i32.to_be_bytes());
    (0..4i32).for_each(|at| share.extend(at.to_be_bytes()));
    share.extend((-1i32).to_be_bytes());
    Bytes::from(share)
}

/// A classic group with one member that has everything; the member and its generation.
pub(super) fn classic_group(play: &mut Play, group: &str) -> (String, i32) {
    let (id, _) = classic_join(play, "asks for an id", &joining(group, "", &[]));
    let (id, generation) = classic_join(play, "joins with it", &joining(group, &id, &[]));
    classic_sync(
        play,
        "hands out",
        (group, &id, generation),
        Some(everything()),
    );
    (id, generation)
}

pub(super) fn upgrade(play: &mut Play) {
    let (id, generation) = classic_group(play, "u");
    play.beat("consumer stays in a classic group", &plain("u", "n", 3));
    play.beat("consumer leaves a classic group", &plain("u", "n", -1));
    play.describe("consumer describe of a classic group", "u");
    play.beat(
        "consumer joins a classic group",
        &join("u", "n", &["apples"]),
    );
    play.describe("upgraded", "u");
    list(play, "listed", &["u"]);
    classic_beat(play, "classic is called", ("u", &id, generation));
    play.commit("classic commits", 8, ("u", &id, generation));
    play.commit(
        "classic commits an old generation",
        8,
        ("u", &id, generation - 1),
    );
    fetch(play, "classic fetches", 9, ("u", Some(&id), generation));
    classic_sync(play, "classic syncs too soon", ("u", &id, generation), None);
    let mut wrong = joining("u", &id, &[]);
    wrong.protocol_type = Text::from("connect");
    classic_join(play, "another type", &wrong);
    let mut wrong = joining("u", &id, &[]);
    wrong.protocols[0].name = Text::from("mine");
    wrong.protocols.truncate(1);
    classic_join(play, "another protocol", &wrong);
    let all: &[(&str, &[i32])] = &[("apples", &[0, 1, 2, 3])];
    let (_, next) = classic_join(
        play,
        "classic rejoins with all it had",
        &joining("u", &id, all),
    );
    play.describe("revoking", "u");
    classic_sync(play, "classic syncs", ("u", &id, next), None);
    classic_beat(play, "classic is to rejoin", ("u", &id, next));
    let (_, next) = classic_join(
        play,
        "classic rejoins with nothing",
        &joining("u", &id, &[]),
    );
    classic_sync(play, "classic syncs again", ("u", &id, next), None);
    classic_beat(play, "classic rests", ("u", &id, next));
    classic_beat(play, "classic lies", ("u", &id, next + 1));
    classic_beat(play, "consumer speaks classic", ("u", "n", next));
    play.beat("consumer gets its share", &plain("u", "n", next));
    play.describe("mixed", "u");
    let (third, _) = classic_join(play, "a second classic asks", &joining("u", "", &[]));
    let (third, its) = classic_join(play, "and joins", &joining("u", &third, &[]));
    classic_sync(play, "and syncs", ("u", &third, its), None);
    leave(play, "and leaves", "u", &third, None);
    leave(play, "a stranger leaves", "u", "x", None);
    play.beat("consumer leaves: downgrade", &plain("u", "n", -1));
    play.describe("downgraded", "u");
    list(play, "listed as", &["u"]);
    classic_beat(play, "classic is called together", ("u", &id, next));
    let (_, last) = classic_join(play, "classic again", &joining("u", &id, &[]));
    classic_sync(play, "classic alone", ("u", &id, last), Some(everything()));
    leave(play, "the last leaves", "u", &id, None);
    list(play, "listed at last", &["u"]);
    play.beat(
        "consumer joins an empty classic group",
        &join("u", "n", &["apples"]),
    );
    play.describe("a consumer group again", "u");
    play.beat("and leaves it", &plain("u", "n", -1));
    let (id, _) = classic_group(play, "u");
    list(play, "a classic group again", &["u"]);
    leave(play, "done", "u", &id, None);
}

pub(super) fn static_downgrade(play: &mut Play) {
    let mut request = join("sd", "a", &["apples"]);
    request.instance_id = Some(Text::from("i"));
    play.beat("static consumer joins", &request);
    let mut classic = joining("sd", "", &[]);
    classic.group_instance_id = Some(Text::from("i"));
    let (id, generation) =
        classic_join(play, "its place is taken in the classic protocol", &classic);
    list(play, "it is", &["sd"]);
    classic_sync(
        play,
        "it syncs",
        ("sd", &id, generation),
        Some(everything()),
    );
    classic_beat(play, "it rests", ("sd", &id, generation));
    play.describe("not a consumer group", "sd");
    leave(play, "removed by instance", "sd", "", Some("i"));
}

pub(super) fn classic(play: &mut Play) {
    let (id, generation) = classic_group(play, "c");
    play.commit("v9 in its generation", 9, ("c", &id, generation));
    play.commit("v9 in another", 9, ("c", &id, generation + 1));
    play.commit("v9 as a stranger", 9, ("c", "x", generation));
    play.commit("v9 as nobody", 9, ("c", "", -1));
    fetch(
        play,
        "fetch with its generation",
        9,
        ("c", Some(&id), generation),
    );
    fetch(
        play,
        "fetch with another",
        9,
        ("c", Some(&id), generation + 1),
    );
    delete(play, "delete a classic group in use", "c");
    delete_offsets(play, "delete its offsets", "c");
    let mut connect = joining("k", "", &[]);
    connect.protocol_type = Text::from("connect");
    connect.group_instance_id = Some(Text::from("w"));
    classic_join(play, "a worker", &connect);
    delete_offsets(play, "delete a worker's offsets", "k");
    play.beat("consumer joins workers", &join("k", "n", &["apples"]));
    let mut broken = joining("b", "", &[]);
    broken.group_instance_id = Some(Text::from("w"));
    for protocol in &mut broken.protocols {
        protocol.metadata = Bytes::from_static(&[0]);
    }
    classic_join(play, "malformed", &broken);
    play.beat(
        "consumer joins malformed members",
        &join("b", "n", &["apples"]),
    );
    leave(play, "leaves a classic group", "c", &id, None);
    delete_offsets(play, "delete offsets of an empty classic group", "c");
    delete(play, "delete an empty classic group", "c");
}
