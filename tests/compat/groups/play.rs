//! One connection to a broker, and a line for every answer. Ids that brokers draw are left out, so
//! that two brokers' lines can be compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};
use harness::eventually;
use logway_protocol::message::consumer_group_describe::ConsumerGroupDescribeRequest;
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use crate::raw::Raw;
use crate::steady;

/// A broker that is asked, and what it said.
pub(super) struct Play {
    pub(super) raw: Raw,
    pub(super) seen: Vec<String>,
    pub(super) address: String,
    topics: BTreeMap<&'static str, Uuid>,
}

impl Play {
    pub(super) fn new(address: &str) -> Play {
        let mut play = Play {
            raw: Raw::connect(address),
            seen: Vec::new(),
            address: address.to_owned(),
            topics: BTreeMap::new(),
        };
        play.topic("apples", 4);
        play.topic("pears", 2);
        steady::groups(&mut play.raw);
        play.find_nobody();
        play
    }

    /// Nobody was in any of the groups before.
    fn find_nobody(&mut self) {
        let request = DescribeGroupsRequest {
            groups: super::scenes::GROUPS
                .iter()
                .map(|group| Text::from(*group))
                .collect(),
            ..DescribeGroupsRequest::default()
        };
        for group in self.raw.ask(5, &request).groups {
            assert_eq!(group.group_state.as_str(), "Dead", "{}", group.group_id);
        }
    }

    pub(super) fn topic(&mut self, name: &'static str, partitions: i32) {
        let topic = CreatableTopic {
            name: Text::from(name),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..CreateTopicsRequest::default()
        };
        assert_eq!(self.raw.ask(7, &request).topics[0].error_code, 0);
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Text::from(name)),
                ..MetadataRequestTopic::default()
            }]),
            ..MetadataRequest::default()
        };
        let id = eventually("a topic that is known", || {
            let answer = self.raw.ask(12, &request);
            match answer.topics[0].error_code {
                0 => Ok(answer.topics[0].topic_id),
                error => Err(error),
            }
        });
        self.topics.insert(name, id);
    }

    pub(super) fn id(&self, topic: &str) -> Uuid {
        self.topics[topic]
    }

    pub(super) fn note(&mut self, label: &str, outcome: &str) {
        self.seen.push(format!("{label}: {outcome}"));
    }

    fn name(&self, id: Uuid) -> String {
        let found = self.topics.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| "?".to_owned(), |(name, _)| (*name).to_owned())
    }

    /// How many partitions of each topic; which ones is the broker's choice.
    fn counts(&self, of: impl Iterator<Item = (Uuid, usize)>) -> String {
        let mut named: Vec<String> = of
            .map(|(id, count)| format!("{}*{count}", self.name(id)))
            .collect();
        named.sort();
        format!("[{}]", named.join(","))
    }

    /// Sends a heartbeat; gives back epoch and assignment.
    pub(super) fn beat(
        &mut self,
        label: &str,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> (i32, Vec<TopicPartitions>) {
        let answer = self.raw.ask(1, request);
        let mut line = error(answer.error_code);
        write!(line, " epoch {}", answer.member_epoch).expect("a string");
        if answer.member_id.as_deref() != Some(&*request.member_id) && answer.error_code == 0 {
            line.push_str(" other id");
        }
        write!(line, " interval {}", answer.heartbeat_interval_ms).expect("a string");
        let mut got = Vec::new();
        if let Some(assignment) = answer.assignment {
            let topics = &assignment.topic_partitions;
            let counts = self.counts(topics.iter().map(|of| (of.topic_id, of.partitions.len())));
            write!(line, " {counts}").expect("a string");
            got = topics
                .iter()
                .map(|of| TopicPartitions {
                    topic_id: of.topic_id,
                    partitions: of.partitions.clone(),
                })
                .collect();
        }
        self.note(label, &line);
        (answer.member_epoch, got)
    }

    /// What a group of the consumer protocol looks like.
    pub(super) fn describe(&mut self, label: &str, group: &str) {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![Text::from(group)],
            ..ConsumerGroupDescribeRequest::default()
        };
        let answer = self.raw.ask(1, &request);
        let found = &answer.groups[0];
        let mut line = format!(
            "{} {} epoch {} target {} {}",
            error(found.error_code),
            found.group_state,
            found.group_epoch,
            found.assignment_epoch,
            found.assignor_name
        );
        let mut members: Vec<String> = Vec::new();
        for member in &found.members {
            let of = |topics: &[logway_protocol::message::consumer_group_describe::TopicPartitions]| {
                self.counts(topics.iter().map(|of| (of.topic_id, of.partitions.len())))
            };
            let mut names = member.subscribed_topic_names.clone();
            names.sort();
            members.push(format!(
                "\n    {}/{:?}/{:?} epoch {} {} wants {:?} {:?} has {} of {} type {}",
                if member.member_id.len() > 8 {
                    "drawn"
                } else {
                    &member.member_id
                },
                member.instance_id,
                member.rack_id,
                member.member_epoch,
                member.client_id,
                names,
                member.subscribed_topic_regex,
                of(&member.assignment.topic_partitions),
                of(&member.target_assignment.topic_partitions),
                member.member_type,
            ));
        }
        members.sort();
        line.push_str(&members.concat());
        self.note(label, &line);
    }

    /// Commits one offset of partition 0 of apples.
    pub(super) fn commit(
        &mut self,
        label: &str,
        version: i16,
        (group, member, epoch): (&str, &str, i32),
    ) {
        let partition = OffsetCommitRequestPartition {
            committed_offset: 7,
            committed_metadata: Some(Text::from("note")),
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: Text::from("apples"),
            topic_id: self.id("apples"),
            partitions: vec![partition],
        };
        let request = OffsetCommitRequest {
            group_id: Text::from(group),
            member_id: Text::from(member),
            generation_id_or_member_epoch: epoch,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        let answer = self.raw.ask(version, &request);
        let code = answer.topics[0].partitions[0].error_code;
        self.note(label, &error(code));
    }
}

/// The name of an error.
pub(super) fn error(code: i16) -> String {
    format!("{:?}", ErrorCode::from_code(code))
}

/// A heartbeat that says no more than who sends it.
pub(super) fn plain(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Text::from(group),
        member_id: Text::from(member),
        member_epoch: epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A heartbeat that joins.
pub(super) fn join(group: &str, member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(topics.iter().map(|topic| Text::from(*topic)).collect()),
        topic_partitions: Some(Vec::new()),
        ..plain(group, member, 0)
    }
}

/// A heartbeat that says what its sender has.
pub(super) fn holding(
    group: &str,
    member: &str,
    epoch: i32,
    holds: &[TopicPartitions],
) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(holds.to_vec()),
        ..plain(group, member, epoch)
    }
}

/// What a classic consumer says of itself: version 1, topics, what it owns.
pub(super) fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let mut out = BytesMut::new();
    let text = |out: &mut BytesMut, text: &str| {
        out.put_i16(i16::try_from(text.len()).expect("short"));
        out.put_slice(text.as_bytes());
    };
    let count = |out: &mut BytesMut, count: usize| out.put_i32(i32::try_from(count).expect("few"));
    out.put_i16(1);
    count(&mut out, topics.len());
    for topic in topics {
        text(&mut out, topic);
    }
    out.put_i32(-1);
    count(&mut out, owned.len());
    for (topic, partitions) in owned {
        text(&mut out, topic);
        count(&mut out, partitions.len());
        partitions.iter().for_each(|at| out.put_i32(*at));
    }
    out.freeze()
}
