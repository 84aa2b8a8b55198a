//! Steps of groups as requests.

use bytes::Bytes;
use logway_protocol::Text;
use logway_protocol::message::consumer_group_describe::ConsumerGroupDescribeRequest;
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use logway_protocol::message::delete_groups::DeleteGroupsRequest;
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use logway_protocol::message::leave_group::{LeaveGroupRequest, MemberIdentity};
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use logway_protocol::message::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::super::play::subscription;
use super::side::Side;
use super::step::{Place, Seat, Step};
use super::told::Told;

fn texts(names: &[&str]) -> Vec<Text> {
    names.iter().map(|name| Text::from(*name)).collect()
}

fn from(least: i16, v: i16, text: Option<&str>) -> Option<Text> {
    text.filter(|_| v >= least).map(Text::from)
}

/// Sends a step on one connection; `false` if it is none of groups.
pub(super) fn send(side: &mut Side, at: usize, step: &Step) -> bool {
    match step {
        Step::Join { .. } => join(side, at, step),
        Step::Sync { .. } => sync(side, at, step),
        Step::Heartbeat { v, seat } => {
            let request = HeartbeatRequest {
                group_id: side.group(seat.group),
                generation_id: seat.generation,
                member_id: side.member(seat.who),
                group_instance_id: from(3, *v, seat.instance),
            };
            side.lines[at].send(*v, &request, |answer| Told::of(&answer, answer.error_code));
        }
        Step::Leave { .. } => leave(side, at, step),
        Step::Commit { .. } => commit(side, at, step),
        Step::Offsets { v, seat, .. } if *v < 8 => one_groups_offsets(side, at, step, seat),
        Step::Offsets { seat, .. } => groups_offsets(side, at, step, seat),
        Step::Beat { .. } => beat(side, at, step),
        other => return looks(side, at, other),
    }
    true
}

fn join(side: &mut Side, at: usize, step: &Step) {
    let Step::Join {
        v,
        seat,
        kind,
        protocols,
        topics,
        session_ms,
        rebalance_ms,
    } = step
    else {
        return;
    };
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: Text::from(*name),
        metadata: subscription(topics, &[]),
    };
    let request = JoinGroupRequest {
        group_id: side.group(seat.group),
        session_timeout_ms: *session_ms,
        rebalance_timeout_ms: *rebalance_ms,
        member_id: side.member(seat.who),
        group_instance_id: from(5, *v, seat.instance),
        protocol_type: Text::from(*kind),
        protocols: protocols.iter().map(protocol).collect(),
        reason: None,
    };
    side.lines[at].send(*v, &request, |mut answer| {
        answer
            .members
            .sort_by(|one, other| one.member_id.cmp(&other.member_id));
        let count = answer.members.len();
        // Ids are drawn: their order tells nothing.
        answer
            .members
            .sort_by_key(|member| (member.group_instance_id.clone(), member.metadata.clone()));
        let mut shown = answer.clone();
        shown
            .members
            .iter_mut()
            .for_each(|member| member.member_id = Text::default());
        Told {
            member: Some(answer.member_id.to_string()),
            number: answer.generation_id,
            leads: answer.leader == answer.member_id && count > 0,
            others: vec![answer.leader.to_string()],
            protocol: answer.protocol_name.as_ref().map(Text::to_string),
            ..Told::of(&shown, answer.error_code)
        }
    });
}

fn sync(side: &mut Side, at: usize, step: &Step) {
    let Step::Sync {
        v,
        seat,
        kind,
        protocol,
        assignments,
    } = step
    else {
        return;
    };
    let assignments = assignments
        .iter()
        .map(|(who, what)| SyncGroupRequestAssignment {
            member_id: side.member(*who),
            assignment: what.as_bytes().to_vec().into(),
        });
    let request = SyncGroupRequest {
        group_id: side.group(seat.group),
        generation_id: seat.generation,
        member_id: side.member(seat.who),
        group_instance_id: from(3, *v, seat.instance),
        protocol_type: from(5, *v, *kind),
        protocol_name: from(5, *v, *protocol),
        assignments: assignments.collect(),
    };
    side.lines[at].send(*v, &request, |mut answer| {
        answer.assignment = measured(&answer.assignment);
        Told::of(&answer, answer.error_code)
    });
}

fn leave(side: &mut Side, at: usize, step: &Step) {
    let Step::Leave { v, group, members } = step else {
        return;
    };
    let first = members.first().map(|(who, _)| side.member(*who));
    let all = members.iter().map(|(who, instance)| MemberIdentity {
        member_id: side.member(*who),
        group_instance_id: instance.map(Text::from),
        reason: None,
    });
    let request = LeaveGroupRequest {
        group_id: side.group(*group),
        member_id: first.filter(|_| *v < 3).unwrap_or_default(),
        members: if *v < 3 { Vec::new() } else { all.collect() },
    };
    side.lines[at].send(*v, &request, |answer| Told::of(&answer, answer.error_code));
}

fn commit(side: &mut Side, at: usize, step: &Step) {
    let Step::Commit {
        v,
        seat,
        place,
        offset,
        leader_epoch,
        metadata,
    } = step
    else {
        return;
    };
    let partition = OffsetCommitRequestPartition {
        partition_index: side.partition(*place),
        committed_offset: *offset,
        committed_leader_epoch: *leader_epoch,
        committed_metadata: metadata.map(|length| Text::from("m".repeat(length))),
    };
    let topic = OffsetCommitRequestTopic {
        name: side.name(*place),
        topic_id: side.topic_id(*place),
        partitions: vec![partition],
    };
    let request = OffsetCommitRequest {
        group_id: side.group(seat.group),
        generation_id_or_member_epoch: seat.generation,
        member_id: side.member(seat.who),
        group_instance_id: from(7, *v, seat.instance),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    side.lines[at].send(*v, &request, |answer| {
        let error = answer.topics[0].partitions[0].error_code;
        Told::of(&answer, error)
    });
}

/// How many partitions; which ones is the broker's choice.
fn counted(partitions: &[i32]) -> Vec<i32> {
    (0..).take(partitions.len()).collect()
}

/// An assignment in the consumers' format, which names partitions, by its length.
fn measured(assignment: &Bytes) -> Bytes {
    match assignment.first() {
        Some(0) => format!("{} bytes", assignment.len()).into(),
        _ => assignment.clone(),
    }
}

/// What is looked for: the partitions that may have been committed.
fn looked_for(side: &Side) -> [(Place, Vec<i32>); 3] {
    [0, 1, 2].map(|topic| {
        let places = [0, 1, 2].map(|partition| Place(topic, partition));
        (
            places[0],
            places.iter().map(|place| side.partition(*place)).collect(),
        )
    })
}

fn one_groups_offsets(side: &mut Side, at: usize, step: &Step, seat: &Seat) {
    let Step::Offsets { v, all, stable, .. } = step else {
        return;
    };
    let topics = looked_for(side).map(|(place, partition_indexes)| OffsetFetchRequestTopic {
        name: side.name(place),
        partition_indexes,
    });
    let request = OffsetFetchRequest {
        group_id: side.group(seat.group),
        topics: (!*all || *v < 2).then(|| topics.to_vec()),
        require_stable: *stable && *v >= 7,
        ..OffsetFetchRequest::default()
    };
    side.lines[at].send(*v, &request, |mut answer| {
        for topic in &mut answer.topics {
            topic.partitions.sort_by_key(|of| of.partition_index);
        }
        answer
            .topics
            .sort_by(|one, other| one.name.cmp(&other.name));
        Told::of(&answer, answer.error_code)
    });
}

fn groups_offsets(side: &mut Side, at: usize, step: &Step, seat: &Seat) {
    let Step::Offsets { v, all, stable, .. } = step else {
        return;
    };
    let topics = looked_for(side).map(|(place, partition_indexes)| OffsetFetchRequestTopics {
        name: side.name(place),
        topic_id: side.topic_id(place),
        partition_indexes,
    });
    let member = side.member(seat.who);
    let group = OffsetFetchRequestGroup {
        group_id: side.group(seat.group),
        member_id: (!member.is_empty()).then_some(member),
        member_epoch: seat.generation,
        topics: (!*all).then(|| topics.to_vec()),
    };
    let request = OffsetFetchRequest {
        groups: vec![group],
        require_stable: *stable,
        ..OffsetFetchRequest::default()
    };
    side.lines[at].send(*v, &request, |mut answer| {
        for topic in answer.groups.iter_mut().flat_map(|group| &mut group.topics) {
            topic.partitions.sort_by_key(|of| of.partition_index);
        }
        for group in &mut answer.groups {
            group
                .topics
                .sort_by_key(|topic| format!("{:?}", topic.partitions));
        }
        Told::of(&answer, answer.groups[0].error_code)
    });
}

fn beat(side: &mut Side, at: usize, step: &Step) {
    let Step::Beat {
        v,
        seat,
        rack,
        rebalance_ms,
        topics,
        regex,
        assignor,
        owned,
    } = step
    else {
        return;
    };
    let request = ConsumerGroupHeartbeatRequest {
        group_id: side.group(seat.group),
        member_id: side.member(seat.who),
        member_epoch: seat.generation,
        instance_id: seat.instance.map(Text::from),
        rack_id: rack.map(Text::from),
        rebalance_timeout_ms: *rebalance_ms,
        subscribed_topic_names: topics.map(texts),
        subscribed_topic_regex: from(1, *v, *regex),
        server_assignor: assignor.map(Text::from),
        topic_partitions: owned.map(|owned| side.owned(seat.group, seat.who, owned)),
    };
    side.lines[at].send(*v, &request, |mut answer| {
        answer.error_message = None;
        let assigned = answer.assignment.as_mut().map(|assignment| {
            let topics = &mut assignment.topic_partitions;
            topics.sort_by_key(|of| of.partitions.len());
            topics
                .iter_mut()
                .map(|of| {
                    of.partitions.sort_unstable();
                    TopicPartitions {
                        topic_id: of.topic_id,
                        partitions: of.partitions.clone(),
                    }
                })
                .collect()
        });
        let shown = answer.assignment.as_mut();
        for of in shown.into_iter().flat_map(|of| &mut of.topic_partitions) {
            of.partitions = counted(&of.partitions);
        }
        Told {
            member: answer.member_id.as_ref().map(Text::to_string),
            number: answer.member_epoch,
            assigned,
            ..Told::of(&answer, answer.error_code)
        }
    });
}

/// Groups with their members.
fn looks(side: &mut Side, at: usize, step: &Step) -> bool {
    match step {
        Step::DescribeConsumer { v, group } => {
            let request = ConsumerGroupDescribeRequest {
                group_ids: vec![side.group(*group)],
                include_authorized_operations: false,
            };
            side.lines[at].send(*v, &request, |mut answer| {
                let group = &mut answer.groups[0];
                group.error_message = None;
                let others = group
                    .members
                    .iter()
                    .map(|of| of.member_id.to_string())
                    .collect();
                for member in &mut group.members {
                    member.member_id = Text::default();
                    member.subscribed_topic_names.sort();
                    for of in [&mut member.assignment, &mut member.target_assignment] {
                        of.topic_partitions
                            .iter_mut()
                            .for_each(|of| of.partitions = counted(&of.partitions));
                        of.topic_partitions
                            .sort_by(|one, other| one.topic_name.cmp(&other.topic_name));
                    }
                }
                group.members.sort_by_key(|of| format!("{of:?}"));
                let _: Vec<String> = others;
                Told::of(&answer, answer.groups[0].error_code)
            });
        }
        Step::DescribeClassic { v, group } => {
            let request = DescribeGroupsRequest {
                groups: vec![side.group(*group)],
                include_authorized_operations: *v >= 3,
            };
            side.lines[at].send(*v, &request, |mut answer| {
                let group = &mut answer.groups[0];
                group.error_message = None;
                group.members.iter_mut().for_each(|of| {
                    of.member_id = Text::default();
                    of.member_assignment = measured(&of.member_assignment);
                });
                group.members.sort_by_key(|of| format!("{of:?}"));
                Told::of(&answer, answer.groups[0].error_code)
            });
        }
        other => return lists(side, at, other),
    }
    true
}

/// Groups by their state, and who coordinates.
fn lists(side: &mut Side, at: usize, step: &Step) -> bool {
    match step {
        Step::ListGroups { v, states, types } => {
            let request = ListGroupsRequest {
                states_filter: if *v >= 4 { texts(states) } else { Vec::new() },
                types_filter: if *v >= 5 { texts(types) } else { Vec::new() },
            };
            let prefix = side.group_prefix();
            side.lines[at].send(*v, &request, move |mut answer| {
                answer.groups.retain(|of| of.group_id.starts_with(&prefix));
                answer
                    .groups
                    .sort_by(|one, other| one.group_id.cmp(&other.group_id));
                Told::of(&answer, answer.error_code)
            });
        }
        Step::Coordinator { v, key, kind } => {
            let request = FindCoordinatorRequest {
                key: if *v < 4 {
                    Text::from(*key)
                } else {
                    Text::default()
                },
                key_type: if *v >= 1 { *kind } else { 0 },
                coordinator_keys: if *v >= 4 {
                    texts(&[key, "other"])
                } else {
                    Vec::new()
                },
            };
            side.lines[at].send(*v, &request, |answer| {
                let mut text = format!("{} {} {}", answer.error_code, answer.node_id, answer.host);
                for of in &answer.coordinators {
                    text += &format!(" {} {} {} {}", of.key, of.error_code, of.node_id, of.host);
                }
                Told {
                    text,
                    ..Told::default()
                }
            });
        }
        other => return deletes(side, at, other),
    }
    true
}

fn deletes(side: &mut Side, at: usize, step: &Step) -> bool {
    match step {
        Step::DeleteOffsets { group, place } => {
            let topic = OffsetDeleteRequestTopic {
                name: side.name(*place),
                partitions: vec![OffsetDeleteRequestPartition {
                    partition_index: side.partition(*place),
                }],
            };
            let request = OffsetDeleteRequest {
                group_id: side.group(*group),
                topics: vec![topic],
            };
            side.lines[at].send(0, &request, |answer| Told::of(&answer, answer.error_code));
        }
        Step::DeleteGroups { v, groups } => {
            let request = DeleteGroupsRequest {
                groups_names: groups.iter().map(|group| side.group(*group)).collect(),
            };
            side.lines[at].send(*v, &request, |mut answer| {
                answer
                    .results
                    .sort_by(|one, other| one.group_id.cmp(&other.group_id));
                Told::of(&answer, 0)
            });
        }
        _ => return false,
    }
    true
}
