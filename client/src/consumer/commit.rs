//! Committed offsets: writing them, by the caller or by the clock, and reading them.
//!
//! Invariant: a member commits under its generation only, so that a member that was replaced
//! cannot overwrite its successor's offsets. Step 10 of the hallway.

use std::sync::Arc;
use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use tokio::time::Instant;
use tracing::warn;

use super::fetched::Position;
use super::lookup::{self, Committer};
use super::state::Mode;
use super::{Consumer, Shared};
use crate::backoff::Backoff;
use crate::config::GroupProtocol;
use crate::coordinator::{Coordinator, Failure};
use crate::error::{CommitError, OffsetsError};
use crate::topic::TopicPartition;

/// Longest that an automatic commit holds up a rebalance or a close.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// An offset as a group commits it, and what the group keeps beside it.
///
/// An `i64` becomes one with nothing beside it, so offsets alone can be committed, too.
///
/// ```
/// use logway_client::OffsetAndMetadata;
///
/// let done = OffsetAndMetadata::new(42).with_metadata("imported up to line 1042");
/// assert_eq!((done.offset, done.leader_epoch), (42, None));
/// assert_eq!(OffsetAndMetadata::from(42), OffsetAndMetadata::new(42));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// Offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the record before it, which tells a log that was cut off from one that
    /// was not (KIP-320); nothing where it is not known.
    pub leader_epoch: Option<i32>,
    /// Text of the member's own, empty where it has nothing to say. Brokers refuse more than
    /// `offset.metadata.max.bytes`, 4096 by default.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset with nothing beside it.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }
    }

    /// The same with this text beside it.
    #[must_use]
    pub fn with_metadata(self, metadata: impl Into<String>) -> Self {
        let metadata = metadata.into();
        Self { metadata, ..self }
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

impl From<Position> for OffsetAndMetadata {
    fn from(position: Position) -> Self {
        Self {
            leader_epoch: position.leader_epoch,
            ..Self::new(position.offset)
        }
    }
}

/// What callers give, with everything that may be beside it.
pub(crate) fn with_metadata<O: Into<OffsetAndMetadata> + Clone>(
    offsets: &[(TopicPartition, O)],
) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    let whole =
        |(partition, offset): &(TopicPartition, O)| (partition.clone(), offset.clone().into());
    offsets.iter().map(whole).collect()
}

impl Consumer {
    /// Commits offsets for the group; an offset is that of the next record to read, an `i64` or
    /// an [`OffsetAndMetadata`].
    ///
    /// ```no_run
    /// # async fn example(consumer: &logway_client::Consumer) -> Result<(), Box<dyn std::error::Error>> {
    /// use logway_client::{Polled, next_offsets};
    /// use std::time::Duration;
    ///
    /// if let Polled::Records(records) = consumer.poll(Duration::from_secs(1)).await? {
    ///     // The offset after each partition's last record, with its leader epoch.
    ///     let mut done = next_offsets(&records);
    ///     for (_, offset) in &mut done {
    ///         offset.metadata = "written to /srv/archive".to_owned();
    ///     }
    ///     consumer.commit(&done).await?;
    ///     // Whoever reads the partition next can ask what its predecessor left.
    ///     for (partition, committed) in consumer.committed(&consumer.assignment()).await? {
    ///         if let Some(committed) = committed {
    ///             println!("{partition} from {}: {}", committed.offset, committed.metadata);
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The offsets are not committed, see [`CommitError`]; with [`CommitError::Lost`] others may
    /// work on the partitions already.
    pub async fn commit<O: Into<OffsetAndMetadata> + Clone>(
        &self,
        offsets: &[(TopicPartition, O)],
    ) -> Result<(), CommitError> {
        self.shared.commit(&with_metadata(offsets)).await
    }

    /// Commits the positions of all partitions read at present, with the leader epochs of the
    /// records before them: everything handed out counts as done.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn commit_positions(&self) -> Result<(), CommitError> {
        let positions = self.shared.state.lock().positions();
        self.shared.commit(&positions).await
    }

    /// The group's committed offsets with what is kept beside them; nothing where there is none.
    ///
    /// # Errors
    /// They cannot be read, see [`OffsetsError`].
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<OffsetAndMetadata>)>, OffsetsError> {
        self.shared.committed(partitions).await
    }

    /// Commits positions in the background when it is time; returns when to look again.
    pub(super) fn commit_in_time(&self, committed_at: &mut Instant) -> Option<Instant> {
        let config = &self.shared.config;
        if !config.enable_auto_commit {
            return None;
        }
        let due = *committed_at + config.auto_commit_interval;
        if Instant::now() < due {
            return Some(due);
        }
        *committed_at = Instant::now();
        let next = *committed_at + config.auto_commit_interval;
        // One at a time, so that none overtakes a later one.
        let Ok(alone) = self.shared.committing.clone().try_lock_owned() else {
            return Some(next);
        };
        let positions = self.shared.state.lock().positions();
        let shared = self.shared.clone();
        let limit = config.auto_commit_interval.max(LAST_COMMIT_TIMEOUT);
        let cancel = self.scope.cancel.clone();
        self.scope.tracker.spawn(async move {
            let committed = tokio::time::timeout(limit, shared.commit(&positions));
            tokio::select! {
                committed = committed => shared.report(committed.unwrap_or(Err(late(limit)))),
                () = cancel.cancelled() => {}
            }
            drop(alone);
        });
        Some(next)
    }

    /// The last automatic commit before partitions go to others.
    pub(super) async fn commit_before_revocation(&self) {
        if self.shared.config.enable_auto_commit {
            let limit = LAST_COMMIT_TIMEOUT;
            let commit = async {
                let _alone = self.shared.committing.lock().await;
                self.commit_positions().await
            };
            let committed = tokio::time::timeout(limit, commit).await;
            self.shared.report(committed.unwrap_or(Err(late(limit))));
        }
    }
}

fn late(after: Duration) -> CommitError {
    CommitError::TimedOut { after }
}

impl Shared {
    fn report(&self, committed: Result<(), CommitError>) {
        if let Err(error) = committed {
            warn!(
                target: "logway_client",
                %error, group = self.config.group_id.as_deref(),
                "automatic commit failed, records since the last one may be read again"
            );
        }
    }

    /// Who commits at present.
    fn committer(&self) -> Result<Committer, CommitError> {
        let state = self.state.lock();
        if let (Some(membership), true) = (&state.membership, state.has_losses()) {
            // It has partitions again, and others may be ahead of what the caller knows.
            let generation = membership.generation;
            return Err(CommitError::Lost { generation });
        }
        match (&state.membership, state.mode) {
            (Some(membership), _) => Ok(Committer {
                generation: membership.generation,
                member_id: membership.member_id.clone(),
                instance_id: self.config.group_instance_id.as_deref().map(Arc::from),
            }),
            (None, Mode::Group) => Err(CommitError::Rebalancing),
            (None, Mode::Idle | Mode::Manual) => Ok(Committer::nobody()),
        }
    }

    /// This member, where the coordinator checks epochs of those who ask for offsets.
    pub(super) fn epoch_member(&self) -> Option<Committer> {
        match self.config.group_protocol {
            GroupProtocol::Classic => None,
            GroupProtocol::Consumer => {
                let committer = self.committer().ok();
                committer.filter(|committer| !committer.member_id.is_empty())
            }
        }
    }

    async fn commit(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<(), CommitError> {
        let coordinator = self.coordinator.as_ref().ok_or(CommitError::NoGroup)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let client = &self.config.client;
        let after = client.default_api_timeout;
        let deadline = Instant::now() + after;
        let mut backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        let first = self.committer()?;
        let given = self.state.lock().assigned(offsets);
        loop {
            let committer = self.committer()?;
            // Partitions that stay with this member may be committed under its next generation.
            if committer.generation != first.generation
                && self.state.lock().assigned(offsets) != given
            {
                return Err(CommitError::Lost {
                    generation: first.generation,
                });
            }
            let attempt = lookup::commit(coordinator, &committer, offsets, client.request_timeout);
            let failure = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(results)) => match first_error(&results) {
                    None => return Ok(()),
                    Some((partition, code)) => {
                        refused(partition, code, committer.generation)?;
                        Failure::Code(code)
                    }
                },
                Ok(Err(failure)) => failure,
                Err(_) => return Err(CommitError::TimedOut { after }),
            };
            match failure {
                Failure::Request(crate::RequestError::Closed) => return Err(CommitError::Closed),
                Failure::Request(error) if !error.is_retriable() => {
                    return Err(CommitError::Request(error));
                }
                _ => {}
            }
            let pause = backoff.next();
            if Instant::now() + pause >= deadline {
                return Err(CommitError::TimedOut { after });
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<OffsetAndMetadata>)>, OffsetsError> {
        let coordinator = self.coordinator.as_ref().ok_or(OffsetsError::NoGroup)?;
        let isolation = self.config.isolation_level;
        let found = read(
            coordinator,
            Some(partitions),
            isolation,
            &self.config.client,
        )
        .await?;
        let offset_of = |partition: &TopicPartition| {
            let committed = found
                .iter()
                .find(|committed| committed.partition == *partition);
            committed
                .filter(|committed| committed.offset >= 0)
                .map(lookup::Committed::kept)
        };
        Ok(partitions
            .iter()
            .map(|p| (p.clone(), offset_of(p)))
            .collect())
    }
}

/// A group's committed offsets, tried again until they are there or time is up.
pub(crate) async fn read(
    coordinator: &Coordinator,
    partitions: Option<&[TopicPartition]>,
    isolation: crate::IsolationLevel,
    client: &crate::ClientConfig,
) -> Result<Vec<lookup::Committed>, OffsetsError> {
    let after = client.default_api_timeout;
    let deadline = Instant::now() + after;
    let mut backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
    loop {
        let attempt = lookup::committed(coordinator, partitions, isolation, None);
        match tokio::time::timeout_at(deadline, attempt).await {
            Ok(Ok(found)) => {
                let error = found
                    .iter()
                    .find(|committed| committed.code != ErrorCode::None);
                match error {
                    None => return Ok(found),
                    Some(refused) if !refused.code.is_retriable() => {
                        let (partition, code) = (refused.partition.clone(), refused.code);
                        return Err(OffsetsError::Partition { partition, code });
                    }
                    Some(_) => {}
                }
            }
            Ok(Err(failure)) if failure.is_retriable() => {}
            Ok(Err(Failure::Request(error))) => return Err(OffsetsError::Request(error)),
            Ok(Err(Failure::Code(code))) => {
                return Err(OffsetsError::Group {
                    group: coordinator.group().clone(),
                    code,
                });
            }
            Err(_) => return Err(OffsetsError::TimedOut { after }),
        }
        let pause = backoff.next();
        if Instant::now() + pause >= deadline {
            return Err(OffsetsError::TimedOut { after });
        }
        tokio::time::sleep(pause).await;
    }
}

fn first_error(results: &[(TopicPartition, ErrorCode)]) -> Option<(&TopicPartition, ErrorCode)> {
    results
        .iter()
        .find(|(_, code)| *code != ErrorCode::None)
        .map(|(p, code)| (p, *code))
}

/// An error for good, unless the code may pass.
fn refused(
    partition: &TopicPartition,
    code: ErrorCode,
    generation: i32,
) -> Result<(), CommitError> {
    match code {
        ErrorCode::RebalanceInProgress => Err(CommitError::Rebalancing),
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId => {
            Err(CommitError::Lost { generation })
        }
        // The epoch moved on while the commit was on its way.
        ErrorCode::StaleMemberEpoch => Ok(()),
        // The coordinator answers for a partition that its metadata does not have (yet).
        code if code.is_retriable() => Ok(()),
        code => Err(CommitError::Rejected {
            partition: partition.clone(),
            code,
        }),
    }
}
