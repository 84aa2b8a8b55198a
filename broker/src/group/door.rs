//! The coordinator's door for groups of the consumer protocol, and for deletions.
//! Invariant: as for the coordinator; expressions are matched on a thread that may take its time,
//! never under the registry's lock. Hallway: step 7.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::consumer::{Beat, ConsumerView, Refused, compile};
use super::coordinator::GroupCoordinator;
use super::engine::{Leaving, Reply, Waiter};
use super::registry::{Found, Matches, Resolve};

impl GroupCoordinator {
    /// One group of the consumer protocol with its members.
    ///
    /// # Errors
    /// Groups are still being read.
    pub(crate) fn describe_consumer(
        &self,
        group_id: &str,
    ) -> Result<Found<ConsumerView>, ErrorCode> {
        self.ready()?;
        Ok(self.with(|registry, _| registry.describe_consumer(group_id)))
    }

    /// Puts a heartbeat of the consumer protocol to its group; `joins` when it may make the group.
    ///
    /// # Errors
    /// The group was not asked: it is no consumer group and cannot become one, groups are still
    /// being read, or this broker is stopping.
    pub(crate) async fn beat(
        &self,
        group_id: &str,
        joins: bool,
        make: impl FnOnce(Waiter) -> Beat,
    ) -> Result<Reply, Refused> {
        self.ready()
            .map_err(|error| Refused::new(error, "Groups are being read."))?;
        let answer = self.with(|registry, now| registry.beat(now, group_id, joins, make))?;
        answer.await.map_err(|_| stopped())
    }

    /// Lets a member of the consumer protocol go: for good (-1), or until it is back (-2).
    ///
    /// # Errors
    /// As for [`GroupCoordinator::beat`].
    pub(crate) async fn leave(
        &self,
        group_id: &str,
        leaving: &Leaving,
        epoch: i32,
    ) -> Result<Reply, Refused> {
        self.ready()
            .map_err(|error| Refused::new(error, "Groups are being read."))?;
        let answer = self.with(|registry, now| registry.leave(now, group_id, leaving, epoch))?;
        answer.await.map_err(|_| stopped())
    }

    /// Whether this is a member that speaks the consumer protocol.
    pub(crate) fn speaks_consumer(&self, group_id: &str, member_id: &str) -> bool {
        self.registry.lock().speaks_consumer(group_id, member_id)
    }

    /// Whether a member may fetch its group's offsets.
    ///
    /// # Errors
    /// It is no member, its epoch is another, or groups are still being read.
    pub(crate) fn admit_fetch(
        &self,
        group_id: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        self.ready()?;
        self.registry.lock().admit_fetch(group_id, member_id, epoch)
    }

    /// Deletes a group that has no members, with its offsets, and waits until that is durable.
    ///
    /// # Errors
    /// There is no such group, it has members, or its tombstones could not be stored.
    pub(crate) async fn delete_group(&self, group_id: &str) -> Result<(), ErrorCode> {
        self.ready()?;
        let done = {
            let pending = self.pending().lock();
            let unstable = pending.places(group_id);
            self.with(|registry, _| registry.delete_group(group_id, &unstable))?
        };
        done.await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?
    }

    /// Deletes single offsets, waits until that is durable, and gives a verdict for each.
    ///
    /// # Errors
    /// There is no such group, members of another kind use it, or nothing could be stored.
    pub(crate) async fn delete_offsets(
        &self,
        group_id: &str,
        places: &[(Arc<str>, i32)],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        self.ready()?;
        let (verdicts, done) = {
            let pending = self.pending().lock();
            let unstable = pending.places(group_id);
            self.with(|registry, _| registry.delete_offsets(group_id, places, &unstable))?
        };
        if let Some(done) = done {
            done.await
                .map_err(|_| ErrorCode::CoordinatorNotAvailable)??;
        }
        Ok(verdicts)
    }

    /// Matches expressions with the names of topics, on a thread that may take its time.
    pub(super) async fn match_expressions(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.resolves_waiting.notified() => {}
            }
            let resolves = self.registry.lock().take_resolves();
            for resolve in resolves {
                let (group, revision) = (resolve.group.clone(), resolve.revision);
                let found = tokio::task::spawn_blocking(move || matches(&resolve)).await;
                // Without an answer the group would never ask again.
                let found = found.unwrap_or_default();
                self.with(|registry, now| registry.resolved(now, &group, revision, found));
            }
        }
    }
}

/// The names that each expression matches. Expressions were checked when they came.
fn matches(resolve: &Resolve) -> Matches {
    let names = resolve.topics.names();
    let found = |pattern: &Arc<str>| match compile(pattern) {
        Ok(regex) => names
            .iter()
            .filter(|name| regex.is_match(name))
            .cloned()
            .collect(),
        Err(_) => BTreeSet::new(),
    };
    let patterns = resolve.patterns.iter();
    patterns
        .map(|pattern| (pattern.clone(), found(pattern)))
        .collect()
}

fn stopped() -> Refused {
    Refused::new(
        ErrorCode::CoordinatorNotAvailable,
        "This broker is stopping.",
    )
}
