//! What answers to fetches and lookups mean for the partitions asked about.
//!
//! Invariant: an answer to an older question changes nothing; every error either passes after a
//! pause, resets the position by the caller's policy, or is told to the caller: no partition is
//! ever silently stuck. Step 10 of the hallway.

use logway_protocol::RecordsField;
use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::fetch::{FetchResponse, PartitionData};
use tokio::time::Instant;
use tracing::{debug, info};

use super::Shared;
use super::fetched::{Chunk, Position, Reading, end_of};
use super::fetcher::{Asked, Done};
use super::lookup::{Committed, Listed};
use super::record::{Start, Watermarks};
use super::state::Place;
use crate::backoff;
use crate::coordinator::Failure;
use crate::error::{ConsumeError, RequestError};

impl Shared {
    /// Takes an answer in.
    pub(super) fn answered(&self, done: Done) {
        match done {
            Done::Fetched {
                asked,
                answer: Ok(response),
                ..
            } => self.fetched(&asked, response),
            Done::Fetched {
                asked,
                answer: Err(error),
                ..
            }
            | Done::Listed {
                asked,
                answer: Err(error),
            }
            | Done::Committed {
                asked,
                answer: Err(Failure::Request(error)),
            } => self.not_answered(&asked, &error),
            Done::Listed {
                asked,
                answer: Ok(listed),
            } => {
                for asked in &asked {
                    let of_asked = listed.iter().find(|(p, _)| *p == asked.partition);
                    let unknown = Err(ErrorCode::UnknownTopicOrPartition);
                    self.listed(asked, of_asked.map_or(unknown, |(_, listed)| *listed));
                }
            }
            Done::Committed {
                asked,
                answer: Ok(committed),
            } => {
                for asked in &asked {
                    let of_asked = committed.iter().find(|c| c.partition == asked.partition);
                    self.committed_answer(asked, of_asked);
                }
            }
            Done::Committed {
                asked,
                answer: Err(Failure::Code(code)),
            } => {
                for asked in &asked {
                    self.refused(asked, code);
                }
            }
        }
        self.ready.notify_one();
    }

    fn not_answered(&self, asked: &[Asked], error: &RequestError) {
        if matches!(error, RequestError::Closed) {
            return;
        }
        debug!(target: "logway_client", %error, "fetch or offset lookup failed");
        self.cluster.request_refresh();
        for asked in asked {
            if error.is_retriable() {
                self.pause(asked);
            } else {
                let error = ConsumeError::Request(error.clone());
                let mut state = self.state.lock();
                state.fail(&asked.partition, asked.epoch, error);
            }
        }
    }

    /// Asks again later.
    fn pause(&self, asked: &Asked) {
        let client = &self.config.client;
        let mut state = self.state.lock();
        if let Some(partition) = state.current(&asked.partition, asked.epoch) {
            let failures = partition.failures;
            let pause = backoff::pause(client.retry_backoff, client.retry_backoff_max, failures);
            partition.failures = failures.saturating_add(1);
            partition.not_before = Some(Instant::now() + pause);
            partition.busy = false;
        }
    }

    /// An error code for one partition.
    fn refused(&self, asked: &Asked, code: ErrorCode) {
        let passes = code.is_retriable()
            || matches!(
                code,
                ErrorCode::UnknownTopicId
                    | ErrorCode::InconsistentTopicId
                    // The epoch moved on while the question was on its way, or the member is
                    // about to join anew.
                    | ErrorCode::StaleMemberEpoch
                    | ErrorCode::UnknownMemberId
            );
        if passes {
            debug!(target: "logway_client", partition = %asked.partition, %code, "asking again");
            self.cluster.request_refresh();
            self.pause(asked);
            return;
        }
        let error = match code {
            ErrorCode::GroupAuthorizationFailed | ErrorCode::InvalidGroupId => {
                let group = self.config.group_id.as_deref().unwrap_or_default().into();
                ConsumeError::Group { group, code }
            }
            ErrorCode::TopicAuthorizationFailed => ConsumeError::Topic {
                topic: asked.partition.topic.clone(),
                code,
            },
            code => ConsumeError::Partition {
                partition: asked.partition.clone(),
                code,
            },
        };
        self.state.lock().fail(&asked.partition, asked.epoch, error);
    }

    fn listed(&self, asked: &Asked, listed: Result<Listed, ErrorCode>) {
        let listed = match listed {
            Ok(listed) => listed,
            Err(code) => return self.refused(asked, code),
        };
        let mut state = self.state.lock();
        let Some(partition) = state.current(&asked.partition, asked.epoch) else {
            return;
        };
        partition.busy = false;
        partition.failures = 0;
        if listed.offset < 0 {
            // No record is that late.
            partition.place = Place::Unknown(Start::End);
        } else {
            partition.place = Place::At(listed.offset);
            // The epoch of the record before is not known, as with Java's consumer.
            partition.position = Some(Position::at(listed.offset));
        }
    }

    fn committed_answer(&self, asked: &Asked, committed: Option<&Committed>) {
        if let Some(committed) = committed
            && committed.code != ErrorCode::None
        {
            return self.refused(asked, committed.code);
        }
        let committed = committed.filter(|committed| committed.offset >= 0);
        let mut state = self.state.lock();
        let Some(partition) = state.current(&asked.partition, asked.epoch) else {
            return;
        };
        partition.busy = false;
        partition.failures = 0;
        if let Some(committed) = committed {
            partition.place = Place::At(committed.offset);
            partition.position = Some(Position {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
            });
        } else {
            let error = ConsumeError::NoOffset {
                partition: asked.partition.clone(),
            };
            let policy = self.config.auto_offset_reset;
            state.reset(&asked.partition, asked.epoch, (policy, error));
        }
    }

    fn fetched(&self, asked: &[Asked], response: FetchResponse) {
        let code = ErrorCode::from_code(response.error_code);
        if code != ErrorCode::None {
            for asked in asked {
                self.refused(asked, code);
            }
            return;
        }
        let metadata = self.cluster.metadata();
        for topic in response.responses {
            for data in topic.partitions {
                let asked = asked.iter().find(|asked| {
                    let id = metadata.topic(&asked.partition.topic).map(|topic| topic.id);
                    asked.partition.partition == data.partition_index
                        && (*topic.topic == *asked.partition.topic
                            || (topic.topic.is_empty() && id == Some(topic.topic_id)))
                });
                if let Some(asked) = asked {
                    self.fetched_partition(asked, data);
                }
            }
        }
    }

    fn fetched_partition(&self, asked: &Asked, data: PartitionData) {
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => return self.out_of_range(asked),
            code => return self.refused(asked, code),
        }
        let mut state = self.state.lock();
        let Some(partition) = state.current(&asked.partition, asked.epoch) else {
            return;
        };
        if !matches!(partition.place, Place::At(offset) if offset == asked.at) {
            return;
        }
        partition.failures = 0;
        let watermarks = Watermarks {
            low: data.log_start_offset,
            high: data.high_watermark,
            last_stable: data.last_stable_offset,
        };
        partition.watermarks = Some(watermarks);
        let records = data.records.map(RecordsField::into_bytes);
        let Some(records) = records.filter(|records| !records.is_empty()) else {
            return;
        };
        let Some(end) = end_of(&records) else { return };
        partition.place = Place::At(end.max(asked.at));
        let reading = Reading {
            isolation: self.config.isolation_level,
            limit: self.config.decompressed_max_bytes,
        };
        let from = (asked.partition.clone(), asked.epoch, asked.at);
        state.buffer(Chunk::new(
            from,
            &records,
            data.aborted_transactions,
            reading,
        ));
    }

    fn out_of_range(&self, asked: &Asked) {
        let error = ConsumeError::OffsetOutOfRange {
            partition: asked.partition.clone(),
            offset: asked.at,
        };
        let policy = self.config.auto_offset_reset;
        info!(
            target: "logway_client",
            partition = %asked.partition, offset = asked.at, ?policy, "offset out of range"
        );
        let mut state = self.state.lock();
        let Some(partition) = state.current(&asked.partition, asked.epoch) else {
            return;
        };
        if matches!(partition.place, Place::At(offset) if offset == asked.at) {
            state.reset(&asked.partition, asked.epoch, (policy, error));
        }
    }
}
