//! Offsets: of logs by time, and of groups.

use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use tokio::time::Instant;

use super::{Admin, Results, rejected};

use crate::config::IsolationLevel;
use crate::consumer::lookup::{self, Committer, EARLIEST, LATEST, Listed};
use crate::consumer::{OffsetAndMetadata, with_metadata};
use crate::coordinator::{Coordinator, Failure};
use crate::error::AdminError;
use crate::topic::TopicPartition;

/// The time that stands for "the record with the largest timestamp" (KIP-734).
const MAX_TIMESTAMP: i64 = -3;

/// Which offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// Of the first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// Of the record with the largest timestamp.
    MaxTimestamp,
    /// Of the first record of this time or later, in milliseconds since 1970.
    Timestamp(i64),
}

/// An offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; nothing where no record is that late.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds since 1970; -1 where the broker does not say.
    pub timestamp: i64,
    /// The record's leader epoch; -1 where the broker does not say.
    pub leader_epoch: i32,
}

impl OffsetSpec {
    fn on_wire(self) -> i64 {
        match self {
            Self::Earliest => EARLIEST,
            Self::Latest => LATEST,
            Self::MaxTimestamp => MAX_TIMESTAMP,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

impl Admin {
    /// Offsets of logs.
    ///
    /// # Errors
    /// No broker answers; refusals, and leaders that do not answer, are in the results.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
    ) -> Result<Results<TopicPartition, ListedOffset>, AdminError> {
        let after = self.cluster.config().default_api_timeout;
        let open = wanted
            .iter()
            .map(|(tp, spec)| (tp.clone(), spec.on_wire()))
            .collect();
        let begun = Instant::now();
        let round = parking_lot::Mutex::new(Round {
            begun,
            open,
            done: HashMap::new(),
        });
        self.cluster
            .follow(wanted.iter().map(|(partition, _)| partition.topic.clone()));
        let ended = self
            .retry("list offsets", "", || self.list_round(&round))
            .await;
        if let Err(error @ AdminError::Request { .. }) = ended {
            return Err(error);
        }
        let done = round.into_inner().done;
        let results = wanted.iter().map(|(partition, spec)| {
            let what = ("list offsets", partition.to_string());
            let result = match done.get(&(partition.clone(), spec.on_wire())) {
                Some(Ok(listed)) => Ok(ListedOffset {
                    offset: (listed.offset >= 0).then_some(listed.offset),
                    timestamp: listed.timestamp,
                    leader_epoch: listed.leader_epoch,
                }),
                Some(Err(code)) => Err(rejected((what.0, &what.1), *code, None)),
                None => Err(AdminError::TimedOut {
                    operation: what.0,
                    after,
                    last: None,
                }),
            };
            (partition.clone(), result)
        });
        Ok(results.collect())
    }

    /// Asks every leader about what is open; fails while something is.
    async fn list_round(&self, round: &parking_lot::Mutex<Round>) -> Result<(), Failure> {
        let (begun, open) = {
            let round = round.lock();
            (round.begun, round.open.clone())
        };
        self.know_topics(begun, &open).await;
        let metadata = self.cluster.metadata();
        let mut by_leader: HashMap<i32, Vec<_>> = HashMap::new();
        for (partition, time) in open {
            match metadata.leader(&partition.topic, partition.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push((partition, time)),
                None => {
                    let known = metadata.partition_count(&partition.topic).is_some();
                    let error = metadata.topic_error(&partition.topic);
                    if known
                        && metadata
                            .partition(&partition.topic, partition.partition)
                            .is_none()
                        || error.is_some_and(|code| !is_passing(code))
                    {
                        let code = error.unwrap_or(ErrorCode::UnknownTopicOrPartition);
                        round.lock().end((partition, time), Err(code));
                    }
                }
            }
        }
        for (leader, mut asked) in by_leader {
            // A request takes each partition once.
            while !asked.is_empty() {
                let mut once: HashMap<TopicPartition, i64> = HashMap::new();
                asked.retain(|(partition, time)| {
                    let again = once.contains_key(partition);
                    once.entry(partition.clone()).or_insert(*time);
                    again
                });
                let once: Vec<_> = once.into_iter().collect();
                let isolation = IsolationLevel::ReadUncommitted;
                let answers = lookup::list_offsets(&self.cluster, leader, &once, isolation).await?;
                let mut round = round.lock();
                for ((partition, answer), (_, time)) in answers.into_iter().zip(&once) {
                    if !answer.as_ref().is_err_and(|code| code.is_retriable()) {
                        round.end((partition, *time), answer);
                    }
                }
            }
        }
        if round.lock().open.is_empty() {
            Ok(())
        } else {
            Err(Failure::Code(ErrorCode::LeaderNotAvailable))
        }
    }

    /// Waits for metadata that was asked for after `since` and covers these topics.
    async fn know_topics(&self, since: Instant, open: &[(TopicPartition, i64)]) {
        let mut updates = self.cluster.updates();
        loop {
            let metadata = self.cluster.metadata();
            let is_fresh = metadata.asked_at.is_some_and(|at| at >= since);
            if is_fresh
                && open
                    .iter()
                    .all(|(partition, _)| metadata.topics.contains_key(&partition.topic))
            {
                return;
            }
            self.cluster.request_refresh();
            if updates.changed().await.is_err() {
                return;
            }
        }
    }

    /// All offsets that a group committed, with what its members left beside them.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub async fn group_offsets(
        &self,
        group: &str,
    ) -> Result<Vec<(TopicPartition, OffsetAndMetadata)>, AdminError> {
        let coordinator = Coordinator::new(self.cluster.clone(), group.into());
        let committed = self
            .retry("list offsets of group", group, || {
                lookup::committed(&coordinator, None, IsolationLevel::ReadUncommitted, None)
            })
            .await?;
        let mut offsets: Vec<_> = committed
            .into_iter()
            .filter(|committed| committed.code == ErrorCode::None && committed.offset >= 0)
            .map(|committed| (committed.partition.clone(), committed.kept()))
            .collect();
        offsets.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(offsets)
    }

    /// Sets offsets of a group, which must have no active member; an `i64` or an
    /// [`OffsetAndMetadata`] each.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn alter_group_offsets<O: Into<OffsetAndMetadata> + Clone>(
        &self,
        group: &str,
        offsets: &[(TopicPartition, O)],
    ) -> Result<Results<TopicPartition, ()>, AdminError> {
        let coordinator = Coordinator::new(self.cluster.clone(), group.into());
        let timeout = self.cluster.config().request_timeout;
        let operation = "alter offsets of group";
        let offsets = &with_metadata(offsets);
        let nobody = Committer::nobody();
        let results = self
            .retry(operation, group, || async {
                let results = lookup::commit(&coordinator, &nobody, offsets, timeout).await?;
                match results.iter().find(|(_, code)| is_passing(*code)) {
                    Some((_, code)) => Err(Failure::Code(*code)),
                    None => Ok(results),
                }
            })
            .await?;
        Ok(offsets
            .iter()
            .map(|(partition, _)| {
                let answer = results.iter().find(|(answered, _)| answered == partition);
                let code = answer.map_or(ErrorCode::UnknownServerError, |(_, code)| *code);
                let resource: Arc<str> = format!("{group} {partition}").into();
                let result = match code {
                    ErrorCode::None => Ok(()),
                    code => Err(rejected((operation, &resource), code, None)),
                };
                (partition.clone(), result)
            })
            .collect())
    }
}

/// What is asked and what is answered.
#[derive(Debug)]
struct Round {
    begun: Instant,
    open: Vec<(TopicPartition, i64)>,
    done: HashMap<(TopicPartition, i64), Result<Listed, ErrorCode>>,
}

impl Round {
    fn end(&mut self, asked: (TopicPartition, i64), answer: Result<Listed, ErrorCode>) {
        self.open.retain(|open| *open != asked);
        self.done.insert(asked, answer);
    }
}

/// Whether the coordinator may answer otherwise soon; a missing topic is not waited for.
fn is_passing(code: ErrorCode) -> bool {
    code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition
}
