//! The response to a fetch: all partitions for a full one, what is new for an incremental one.
//! Invariant: what is left out is what the client was told before; records are never null (librdkafka
//! breaks on that). Step 10 of the hallway.

use std::collections::HashMap;

use bytes::Bytes;
use logway_protocol::message::fetch::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use super::look::{Data, Found, Limits, Round, seen};
use super::reading::Reading;
use super::records::field;
use crate::context::Context;
use crate::fetch::{Seen, TopicKey};
use crate::net::FileRange;

/// A response that is being put together.
pub(super) struct Answer<'a> {
    context: &'a Context,
    limits: Limits,
    topics: HashMap<u32, usize>,
    pub(super) response: FetchResponse,
    pub(super) ranges: Vec<FileRange>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(context: &'a Context, limits: Limits) -> Answer<'a> {
        Answer {
            context,
            limits,
            topics: HashMap::new(),
            response: FetchResponse::default(),
            ranges: Vec::new(),
        }
    }

    /// Tells about every partition, in the order of the request.
    pub(super) fn full(&mut self, reading: &mut Reading, round: Round) {
        let mut by_place: HashMap<u32, Found> = HashMap::with_capacity(round.found.len());
        let mut order = Vec::with_capacity(round.found.len());
        for found in round.found {
            order.push((found.place, found.seen));
            by_place.insert(found.place, found);
        }
        for place in reading.session.places() {
            let found = match by_place.remove(&place) {
                Some(found) => found,
                None => self.status(reading, place),
            };
            reading.session.note(place, found.seen);
            self.push(reading, found);
        }
        for (place, seen) in order {
            reading.session.told(place, seen);
        }
    }

    /// Tells what is new.
    pub(super) fn incremental(&mut self, reading: &mut Reading, round: Round) {
        for place in round.news {
            let found = self.status(reading, place);
            reading.session.told(place, found.seen);
            self.push(reading, found);
        }
        for found in round.found {
            reading.session.told(found.place, found.seen);
            self.push(reading, found);
        }
    }

    /// What a partition says without records.
    fn status(&self, reading: &mut Reading, place: u32) -> Found {
        let data = reading.resolve(self.context, place);
        let told = data.as_ref().map(|partition| seen(partition, false));
        Found {
            place,
            seen: told.unwrap_or(Seen::nothing()),
            data: data.map(|_| Data::empty(self.limits.committed)),
        }
    }

    fn push(&mut self, reading: &Reading, found: Found) {
        let Some(slot) = reading.session.slot(found.place) else {
            return;
        };
        let responses = &mut self.response.responses;
        let at = *self.topics.entry(slot.topic).or_insert_with(|| {
            let (topic, topic_id) = match reading.session.topic(slot.topic) {
                Some(TopicKey::Name(name)) => (name.clone(), Uuid::default()),
                Some(TopicKey::Id(id)) => (Text::default(), *id),
                None => (Text::default(), Uuid::default()),
            };
            responses.push(FetchableTopicResponse {
                topic,
                topic_id,
                partitions: Vec::new(),
            });
            responses.len() - 1
        });
        let mut data = PartitionData {
            partition_index: slot.asked.partition,
            // As Kafka: an empty list for a partition that is not here, none for one that failed.
            aborted_transactions: slot.served.partition.is_err().then(Vec::new),
            ..PartitionData::default()
        };
        match found.data {
            Ok(read) => {
                data.high_watermark = found.seen.high_watermark;
                data.last_stable_offset = found.seen.last_stable_offset;
                data.log_start_offset = found.seen.log_start_offset;
                data.diverging_epoch = read.diverging.unwrap_or_default();
                data.aborted_transactions = read.aborted.map(aborted);
                data.records = Some(field(&read.slice, &mut self.ranges));
            }
            Err(code) => {
                data.error_code = code.code();
                data.high_watermark = -1;
                data.records = Some(Bytes::new().into());
                if let Ok(partition) = &slot.served.partition
                    && code == ErrorCode::FencedLeaderEpoch
                {
                    data.current_leader = LeaderIdAndEpoch {
                        leader_id: self.context.settings.node_id,
                        leader_epoch: partition.leader_epoch(),
                    };
                    self.name_leader();
                }
            }
        }
        if let Some(topic) = self.response.responses.get_mut(at) {
            topic.partitions.push(data);
        }
    }

    /// Tells where the leader is, so that a client with old metadata need not ask (KIP-951).
    fn name_leader(&mut self) {
        if self.response.node_endpoints.is_empty() {
            let endpoint = &self.context.endpoint;
            self.response.node_endpoints.push(NodeEndpoint {
                node_id: self.context.settings.node_id,
                host: endpoint.host.as_str().into(),
                port: i32::from(endpoint.port),
                rack: None,
            });
        }
    }
}

fn aborted(found: Vec<(i64, i64)>) -> Vec<AbortedTransaction> {
    let found = found.into_iter();
    found
        .map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id,
            first_offset,
        })
        .collect()
}
