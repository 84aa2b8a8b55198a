//! DeleteGroups and OffsetDelete: groups without members go, and single offsets that nobody uses.
//! Invariant: memory forgets only what a stored tombstone has removed; a group that gets members
//! meanwhile stays. Hallway: beside steps 7 and 8.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use tokio::sync::oneshot;

use super::Registry;
use super::kind::Kind;

/// Where the end of a write is reported.
pub(crate) type Done = oneshot::Receiver<Result<(), ErrorCode>>;

impl Registry {
    /// Deletes a group that has no members, with its offsets, also the `unstable` ones that a
    /// transaction has not settled yet.
    ///
    /// # Errors
    /// There is no such group, it has members, or no more are coordinated here.
    pub(crate) fn delete_group(
        &mut self,
        group_id: &str,
        unstable: &BTreeSet<(Arc<str>, i32)>,
    ) -> Result<Done, ErrorCode> {
        if self.closed {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let Some((id, _)) = self.groups.get_key_value(group_id) else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        let id = id.clone();
        let Some(entry) = self.groups.get_mut(&id) else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        entry.group.admit_delete()?;
        if let Kind::Classic(group) = &mut entry.group {
            group.forget_pending();
        }
        let topics = entry.offsets.topics();
        let offsets = topics.flat_map(|(topic, of)| of.keys().map(|at| (topic.clone(), *at)));
        let offsets: BTreeSet<_> = offsets.chain(unstable.iter().cloned()).collect();
        let offsets = offsets.into_iter().collect();
        let (done, receiver) = oneshot::channel();
        self.queue_removal(&id, offsets, true, Some(done));
        Ok(receiver)
    }

    /// Deletes single offsets, `unstable` ones too; the verdict for each in their order, and where the end of the write
    /// is reported. An offset that is not there is deleted already.
    ///
    /// # Errors
    /// There is no such group, or members of another kind use it.
    pub(crate) fn delete_offsets(
        &mut self,
        group_id: &str,
        places: &[(Arc<str>, i32)],
        unstable: &BTreeSet<(Arc<str>, i32)>,
    ) -> Result<(Vec<ErrorCode>, Option<Done>), ErrorCode> {
        if self.closed {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let Some((id, entry)) = self.groups.get_key_value(group_id) else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        let id = id.clone();
        entry.group.admit_delete_offsets()?;
        let verdict = |(topic, _): &(Arc<str>, i32)| match entry.group.is_subscribed_to(topic) {
            true => ErrorCode::GroupSubscribedToTopic,
            false => ErrorCode::None,
        };
        let verdicts: Vec<ErrorCode> = places.iter().map(verdict).collect();
        let offsets: Vec<(Arc<str>, i32)> = places
            .iter()
            .zip(&verdicts)
            .filter(|(place, verdict)| {
                let (topic, at) = place;
                let held = entry.offsets.get(topic, *at).is_some() || unstable.contains(place);
                **verdict == ErrorCode::None && held
            })
            .map(|(place, _)| place.clone())
            .collect();
        if offsets.is_empty() {
            return Ok((verdicts, None));
        }
        let (done, receiver) = oneshot::channel();
        self.queue_removal(&id, offsets, false, Some(done));
        Ok((verdicts, Some(receiver)))
    }
}
