//! Committing offsets and reading them back.
//! Invariant: an offset is readable, and its commit answered, only after it was stored; a commit by
//! a member of an older generation changes nothing. Hallway: beside step 10.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::{Commit, Registry, Then};
use crate::group::consumer::Moment;
use crate::group::engine::{Claim, Now};
use crate::group::offsets::{Committed, GroupOffsets};
use crate::group::records::{self, OffsetKey};

impl Registry {
    /// Checks the claim and queues the offsets to be stored. A caller that is no member makes the
    /// group it commits for (a "simple" group).
    ///
    /// # Errors
    /// `GroupIdNotFound` when a member speaks of a group that does not exist, or why the engine
    /// does not admit it.
    pub(crate) fn commit(
        &mut self,
        now: Now,
        group_id: &str,
        claim: &Claim,
        commits: Vec<Commit>,
    ) -> Result<oneshot::Receiver<Result<(), ErrorCode>>, ErrorCode> {
        if self.closed {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let is_new = !self.groups.contains_key(group_id);
        if claim.generation < 0 {
            self.ensure_group(now, group_id)?;
        }
        let Some((id, _)) = self.groups.get_key_value(group_id) else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        let id = id.clone();
        let topics = Arc::clone(&self.topics);
        let at = Moment {
            now,
            topics: &*topics,
            revision: self.revision,
        };
        let admitted = match self.groups.get_mut(&id) {
            Some(entry) => entry.group.admit_commit(at, claim, &commits),
            None => Err(ErrorCode::GroupIdNotFound),
        };
        let (done, receiver) = oneshot::channel();
        let queued = admitted.and_then(|()| self.queue_commits(&id, commits, done));
        if is_new && queued.is_err() {
            self.groups.remove(&id);
        }
        queued.map(|()| receiver)
    }

    fn queue_commits(
        &mut self,
        id: &Arc<str>,
        commits: Vec<Commit>,
        done: oneshot::Sender<Result<(), ErrorCode>>,
    ) -> Result<(), ErrorCode> {
        if commits.is_empty() {
            // The claim holds; there is nothing that could be stored for it.
            if done.send(Ok(())).is_err() {
                debug!(group = &**id, "the one who committed is gone");
            }
            return Ok(());
        }
        let mut stored = Vec::with_capacity(commits.len());
        for commit in &commits {
            let key = OffsetKey {
                group: id.clone(),
                topic: commit.topic.clone(),
                partition: commit.partition,
            };
            let record =
                records::offset_record(&key, Some(&commit.committed)).map_err(|source| {
                    error!(group = &**id, "offset cannot be written: {source}");
                    ErrorCode::InvalidCommitOffsetSize
                })?;
            stored.push(record);
        }
        self.queue(id.clone(), stored, Then::Committed { commits, done });
        Ok(())
    }

    pub(super) fn finish_commit(
        &mut self,
        id: &Arc<str>,
        commits: Vec<Commit>,
        done: oneshot::Sender<Result<(), ErrorCode>>,
        outcome: Result<i64, ErrorCode>,
    ) {
        let result = match outcome {
            Ok(base_offset) => {
                self.tally.commits += commits.len() as u64;
                if let Some(entry) = self.groups.get_mut(id) {
                    for (commit, record_offset) in commits.into_iter().zip(base_offset..) {
                        let committed = Committed {
                            record_offset,
                            ..commit.committed
                        };
                        entry
                            .offsets
                            .put(&commit.topic, commit.partition, committed);
                    }
                }
                Ok(())
            }
            Err(error) => {
                error!(group = &**id, "offsets could not be stored: {error}");
                Err(commit_error(error))
            }
        };
        if done.send(result).is_err() {
            debug!(group = &**id, "the one who committed is gone");
        }
    }

    /// Looks at the stored offsets of a group; `None` when there is no such group.
    pub(crate) fn offsets(&self, group_id: &str) -> Option<&GroupOffsets> {
        self.groups.get(group_id).map(|entry| &entry.offsets)
    }
}

/// What a failed write means to the one who commits; Kafka's translation.
fn commit_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidFetchSize => ErrorCode::InvalidCommitOffsetSize,
        other => super::group_error(other),
    }
}
