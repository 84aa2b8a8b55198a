//! What transactions need of groups: whether a commit within one is admitted, and the offsets of one
//! that has committed. Invariant: as `commit.rs`, but an offset counts from its record's place in the
//! log, not from that of the marker. Hallway: beside step 10.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use tracing::warn;

use super::Registry;
use crate::group::consumer::Moment;
use crate::group::engine::{Claim, Now};
use crate::group::pending::Settled;

impl Registry {
    /// Whether the one who says it is `claim` may commit within a transaction. A caller that is no
    /// member makes the group it commits for; gives the group's id.
    ///
    /// # Errors
    /// `IllegalGeneration` when a member speaks of a group that does not exist, or why the engine
    /// does not admit it.
    pub(crate) fn admit_transactional(
        &mut self,
        now: Now,
        group_id: &str,
        claim: &Claim,
    ) -> Result<Arc<str>, ErrorCode> {
        if self.closed {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let is_new = !self.groups.contains_key(group_id);
        if claim.generation < 0 {
            self.ensure_group(now, group_id)?;
        }
        let found = self.groups.get_key_value(group_id);
        let (id, entry) = found.ok_or(ErrorCode::IllegalGeneration)?;
        let id = id.clone();
        let topics = Arc::clone(&self.topics);
        let at = Moment {
            now,
            topics: &*topics,
            revision: self.revision,
        };
        let admitted = entry.group.admit_transactional(at, claim);
        if is_new && admitted.is_err() {
            self.groups.remove(&id);
        }
        admitted.map(|()| id)
    }

    /// Takes offsets whose transaction has committed.
    pub(crate) fn take_settled(&mut self, now: Now, settled: Vec<Settled>) {
        for (id, offsets) in settled {
            if let Err(error) = self.ensure_group(now, &id) {
                warn!(
                    group = &*id,
                    "offsets of a transaction are not kept: {error}"
                );
                continue;
            }
            let Some(entry) = self.groups.get_mut(&id) else {
                continue;
            };
            self.tally.commits += offsets.len() as u64;
            for ((topic, partition), committed) in offsets {
                entry.offsets.put(&topic, partition, committed);
            }
        }
    }
}
