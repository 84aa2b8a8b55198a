//! Offsets that are deleted beside classic members: which topics a group reads, as the coordinator sees it.

use bytes::Bytes;
use logway_protocol::Text;
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::join_group::JoinGroupRequest;

use super::migration::{classic_group, classic_join, classic_sync, everything, joining, leave};
use super::play::{Play, error, subscription};
use super::scenes::delete_offsets;
use crate::raw::Raw;

pub(super) fn all(play: &mut Play) {
    play.commit("offsets of nobody", 8, ("idle", "", -1));
    delete_offsets(play, "delete offsets of nobody", "idle");
    let whole = subscription(&["apples"], &[]);
    // Version 1 without what it added, as kafka-go says it.
    alone(play, "short", &whole.slice(..whole.len() - 4));
    alone(play, "opaque", &Bytes::from_static(&[0, 0, 7]));
    round(play);
    workers(play);
}

fn offering(group: &str, metadata: &Bytes) -> JoinGroupRequest {
    let mut request = joining(group, "", &[]);
    // With an instance's name it joins at once.
    request.group_instance_id = Some(Text::from("i"));
    for protocol in &mut request.protocols {
        protocol.metadata = metadata.clone();
    }
    request
}

/// One member that says this of itself, at each step of its life.
fn alone(play: &mut Play, group: &str, metadata: &Bytes) {
    let (id, generation) = classic_join(play, group, &offering(group, metadata));
    delete_offsets(play, "while it hands out", group);
    let at = (group, id.as_str(), generation);
    play.commit("it may not commit yet", 8, at);
    let mut request = offering(group, metadata);
    request.member_id = Text::from(&*id);
    let (_, generation) = classic_join(play, "joins again", &request);
    delete_offsets(play, "in its next generation", group);
    leave(play, "leaves", group, "", Some("i"));
    delete_offsets(play, "of nobody", group);
    play.note("generation", &generation.to_string());
}

/// A second member waits for the first: until that comes, the group reads what it read.
fn round(play: &mut Play) {
    let (id, generation) = classic_group(play, "round");
    play.commit("the first commits", 8, ("round", &id, generation));
    let pears = subscription(&["pears"], &[]);
    let (address, second) = (play.address.clone(), offering("round", &pears));
    let waiting = std::thread::Builder::new();
    let waiting = waiting.spawn(move || Raw::connect(&address).ask(9, &second));
    let describe = DescribeGroupsRequest {
        groups: vec![Text::from("round")],
        ..DescribeGroupsRequest::default()
    };
    harness::eventually("a round", || {
        let answer = play.raw.ask(5, &describe);
        match &*answer.groups[0].group_state {
            "PreparingRebalance" => Ok(()),
            state => Err(state.to_owned()),
        }
    });
    delete_offsets(play, "while members are collected", "round");
    let (_, generation) = classic_join(play, "joins again", &joining("round", &id, &[]));
    let second = waiting.expect("a thread").join().expect("an answer");
    play.note("the second joins", &error(second.error_code));
    delete_offsets(play, "while both wait for their shares", "round");
    let share = Some(everything());
    classic_sync(play, "hands out", ("round", &id, generation), share);
    delete_offsets(play, "with two members", "round");
    leave(play, "one leaves", "round", &id, None);
    delete_offsets(play, "while the other is called", "round");
    leave(play, "both have left", "round", "", Some("i"));
    delete_offsets(play, "of nobody", "round");
}

/// Members that are no consumers use all offsets, and none when they have left.
fn workers(play: &mut Play) {
    let mut worker = offering("workers", &subscription(&["apples"], &[]));
    worker.protocol_type = Text::from("connect");
    classic_join(play, "a worker", &worker);
    delete_offsets(play, "of a worker", "workers");
    leave(play, "it leaves", "workers", "", Some("i"));
    delete_offsets(play, "of no workers", "workers");
    let consumer = offering("workers", &Bytes::from_static(&[0]));
    classic_join(play, "a consumer where workers were", &consumer);
    delete_offsets(play, "beside it", "workers");
    leave(play, "it leaves", "workers", "", Some("i"));
    delete_offsets(play, "when it has left", "workers");
}
