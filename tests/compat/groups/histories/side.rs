//! One of the two brokers: its connections, the ids it has drawn, and the names of one sequence.

use std::collections::HashMap;

use harness::eventually;
use logway_protocol::message::consumer_group_heartbeat::TopicPartitions;
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::describe_groups::DescribeGroupsRequest;
use logway_protocol::message::describe_producers::{DescribeProducersRequest, TopicRequest};
use logway_protocol::message::describe_transactions::DescribeTransactionsRequest;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::{Text, Uuid};

use super::line::Line;
use super::step::{Owned, Pid, Place, Step, Who};
use super::told::{Ids, Told};
use crate::raw::Raw;

/// Connections; each waits for one answer at most.
pub(super) const LINES: usize = 4;
/// Sequences that share a topic, each with two partitions of its own.
const BLOCK: usize = 25;
pub(super) const PEARS: &str = "pears";

pub(super) struct Side {
    raw: Raw,
    pub(super) lines: Vec<Line>,
    topics: HashMap<String, Uuid>,
    sequence: usize,
    run: usize,
    pub(super) ids: Ids,
    owned: HashMap<(usize, Who), Vec<TopicPartitions>>,
}

impl Side {
    /// Connects and waits until both coordinators have read their topics.
    pub(super) fn open(address: &str, run: usize) -> Side {
        let mut raw = Raw::connect(address);
        let texts = |prefix: &str| {
            (0..400)
                .map(|at| Text::from(format!("{prefix}{at}")))
                .collect()
        };
        for key_type in [0, 1] {
            let request = FindCoordinatorRequest {
                key: Text::from("x"),
                key_type,
                ..FindCoordinatorRequest::default()
            };
            eventually("a coordinator", || match raw.ask(3, &request).error_code {
                0 => Ok(()),
                error => Err(error),
            });
        }
        let (groups, ids): (Vec<Text>, Vec<Text>) = (texts("warm"), texts("warm"));
        eventually("groups that are known", || {
            let request = DescribeGroupsRequest {
                groups: groups.clone(),
                ..DescribeGroupsRequest::default()
            };
            let answer = raw.ask(5, &request);
            match answer.groups.iter().find(|of| of.error_code != 0) {
                Some(of) => Err(of.error_code),
                None => Ok(()),
            }
        });
        eventually("transactions that are known", || {
            let request = DescribeTransactionsRequest {
                transactional_ids: ids.clone(),
            };
            // 105: there is no such id.
            let states = raw.ask(0, &request).transaction_states;
            match states.iter().find(|of| of.error_code != 105) {
                Some(of) => Err(of.error_code),
                None => Ok(()),
            }
        });
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        // Kafka asks its controller for numbers first.
        eventually("a producer id", || match raw.ask(4, &request).error_code {
            0 => Ok(()),
            error => Err(error),
        });
        let mut side = Side {
            lines: (0..LINES).map(|_| Line::open(address)).collect(),
            raw,
            topics: HashMap::new(),
            sequence: 0,
            run,
            ids: Ids::default(),
            owned: HashMap::new(),
        };
        side.topic(PEARS, 6);
        side
    }

    fn topic(&mut self, name: &str, partitions: i32) {
        if self.topics.contains_key(name) {
            return;
        }
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
        self.raw.ask(7, &request);
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Text::from(name)),
                ..MetadataRequestTopic::default()
            }]),
            ..MetadataRequest::default()
        };
        let id = eventually("a topic that is led", || {
            let answer = self.raw.ask(12, &request);
            let topic = &answer.topics[0];
            let led = topic.partitions.iter().filter(|of| of.error_code == 0);
            match topic.error_code {
                0 if led.count() == partitions as usize => Ok(topic.topic_id),
                error => Err(error),
            }
        });
        // A topic is known before its partitions are served.
        let request = DescribeProducersRequest {
            topics: vec![TopicRequest {
                name: Text::from(name),
                partition_indexes: (0..partitions).collect(),
            }],
        };
        eventually("partitions that are served", || {
            let answer = self.raw.ask(0, &request);
            match answer.topics[0]
                .partitions
                .iter()
                .find(|of| of.error_code != 0)
            {
                Some(of) => Err(of.error_code),
                None => Ok(()),
            }
        });
        self.topics.insert(name.to_owned(), id);
    }

    /// Begins a sequence with names of its own.
    pub(super) fn begin(&mut self, address: &str, sequence: usize) {
        self.sequence = sequence;
        self.ids = Ids::default();
        self.owned.clear();
        self.topic(&self.own_topic(), 2 * i32::try_from(BLOCK).expect("few"));
        for line in &mut self.lines {
            if line.is_waiting() {
                *line = Line::open(address);
            }
        }
    }

    fn own_topic(&self) -> String {
        format!("log{}-{}", self.run, self.sequence / BLOCK)
    }

    pub(super) fn group(&self, nth: usize) -> Text {
        match nth {
            2 => Text::default(),
            _ => Text::from(format!("g{}-{}-{nth}", self.run, self.sequence)),
        }
    }

    pub(super) fn txn(&self, nth: usize) -> Text {
        match nth {
            2 => Text::default(),
            _ => Text::from(format!("x{}-{}-{nth}", self.run, self.sequence)),
        }
    }

    /// The beginning of all transactional ids of this sequence.
    pub(super) fn txn_prefix(&self) -> String {
        format!("x{}-{}-", self.run, self.sequence)
    }

    pub(super) fn group_prefix(&self) -> String {
        format!("g{}-{}-", self.run, self.sequence)
    }

    pub(super) fn name(&self, Place(topic, _): Place) -> Text {
        match topic {
            0 => Text::from(self.own_topic()),
            1 => Text::from(PEARS),
            _ => Text::from("missing"),
        }
    }

    pub(super) fn topic_id(&self, place: Place) -> Uuid {
        let known = self.topics.get(self.name(place).as_str());
        known.copied().unwrap_or(Uuid::from_bytes([7; 16]))
    }

    pub(super) fn partition(&self, Place(topic, partition): Place) -> i32 {
        let own = 2 * i32::try_from(self.sequence % BLOCK).expect("few");
        match (topic, partition) {
            (0, 0 | 1) => own + partition,
            (_, 0 | 1) => partition,
            _ => 1000 + partition,
        }
    }

    pub(super) fn member(&self, who: Who) -> Text {
        match who {
            Who::Nth(nth) => {
                let known = self.ids.members.get(nth);
                Text::from(known.map_or("never-drawn", String::as_str))
            }
            Who::Named(name) => Text::from(name),
        }
    }

    pub(super) fn pid(&self, pid: Pid) -> i64 {
        match pid {
            Pid::Nth(nth) => self.ids.pids.get(nth).copied().unwrap_or(-1),
            Pid::Lie(id) => id,
        }
    }

    pub(super) fn owned(&self, group: usize, who: Who, owned: Owned) -> Vec<TopicPartitions> {
        let last = self.owned.get(&(group, who)).cloned().unwrap_or_default();
        let only = |topic_id: Uuid| TopicPartitions {
            topic_id,
            partitions: vec![0],
        };
        match owned {
            Owned::Nothing => Vec::new(),
            Owned::Last => last,
            Owned::Less => last
                .into_iter()
                .map(|of| TopicPartitions {
                    partitions: of.partitions.into_iter().skip(1).collect(),
                    ..of
                })
                .filter(|of| !of.partitions.is_empty())
                .collect(),
            Owned::Pear => vec![only(self.topics[PEARS])],
            Owned::Unknown => vec![only(Uuid::from_bytes([7; 16]))],
        }
    }

    /// Takes an answer: names ids by their order, remembers what is needed to go on.
    pub(super) fn take(&mut self, step: &Step, mut told: Told) -> Told {
        for (name, id) in &self.topics {
            told.text = told.text.replace(&id.to_string(), name);
        }
        self.ids.rename(&mut told);
        if let (Step::Beat { seat, .. }, Some(assigned)) = (step, &told.assigned) {
            let who = match (seat.who, &told.member) {
                (Who::Named(""), Some(id)) => {
                    let nth = self.ids.members.iter().position(|known| known == id);
                    nth.map_or(seat.who, Who::Nth)
                }
                (who, _) => who,
            };
            self.owned.insert((seat.group, who), assigned.clone());
        }
        told
    }

    /// What a group looks like now.
    pub(super) fn look_at_group(&mut self, nth: usize) -> String {
        let request = DescribeGroupsRequest {
            groups: vec![self.group(nth)],
            ..DescribeGroupsRequest::default()
        };
        let answer = self.raw.ask(5, &request);
        let group = &answer.groups[0];
        format!(
            "{} {} {} members",
            group.error_code,
            group.group_state,
            group.members.len()
        )
    }

    /// Waits until nothing of this sequence's transactions is under way.
    pub(super) fn settle(&mut self) {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![self.txn(0), self.txn(1)],
        };
        eventually("transactions that are complete", || {
            // Most are complete at once.
            for _ in 0..50 {
                let states = self.raw.ask(0, &request).transaction_states;
                if !states
                    .iter()
                    .any(|of| of.transaction_state.starts_with("Prepare"))
                {
                    return Ok(());
                }
            }
            Err("under way")
        });
    }
}
