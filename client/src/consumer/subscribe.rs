//! What is read: a share of some topics as a member of a group, or partitions that the caller names.
//!
//! Invariant: one of both at a time; a change of the subscription reaches the member's task, which
//! alone speaks with the group. Step 10 of the hallway.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Consumer;
use super::group::Group;
use super::member::Member;
use super::pattern;
use super::record::Start;
use super::state::{Hold, Mode, topics_of};
use crate::config::GroupProtocol;
use crate::error::ConsumeError;
use crate::topic::TopicPartition;

/// The topics that a member wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// In order, each once.
    pub(super) topics: Vec<Arc<str>>,
    /// And those whose whole names match, as the coordinator sees it; in a classic group `topics`
    /// are kept to it.
    pub(super) pattern: Option<Arc<str>>,
}

/// The task that is a member of the group, while there is a subscription.
#[derive(Debug)]
pub(super) struct Subscribed {
    wanted: Arc<watch::Sender<Wanted>>,
    leave: CancellationToken,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Joins the group to share the partitions of these topics; replaces what was read before.
    ///
    /// # Errors
    /// There is no `group.id`, or the consumer is closed.
    pub async fn subscribe<T: Into<Arc<str>>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(), ConsumeError> {
        let mut topics: Vec<Arc<str>> = topics.into_iter().map(Into::into).collect();
        topics.sort_unstable();
        topics.dedup();
        let pattern = None;
        self.want(Wanted { topics, pattern }).await
    }

    /// Joins the group to share the partitions of all topics, present and future, whose whole
    /// names match `pattern`; replaces what was read before. With `group.protocol=consumer` the
    /// coordinator matches, in RE2's syntax; in a classic group this consumer does, in that of the
    /// `regex` crate, which is nearly the same, and looks for new topics every
    /// `metadata.max.age.ms`.
    ///
    /// # Errors
    /// There is no `group.id`, the pattern cannot be read, or the consumer is closed. A pattern
    /// that the coordinator refuses is told by `poll`.
    pub async fn subscribe_pattern(&self, pattern: &str) -> Result<(), ConsumeError> {
        if self.shared.config.group_protocol == GroupProtocol::Classic
            && let Err(error) = pattern::whole_names(pattern)
        {
            let (pattern, problem) = (pattern.into(), error.to_string().into());
            return Err(ConsumeError::InvalidPattern { pattern, problem });
        }
        let (topics, pattern) = (Vec::new(), Some(pattern.into()));
        self.want(Wanted { topics, pattern }).await
    }

    async fn want(&self, mut wanted: Wanted) -> Result<(), ConsumeError> {
        self.check_open()?;
        let coordinator = self
            .shared
            .coordinator
            .clone()
            .ok_or(ConsumeError::NoGroup)?;
        if let Some(member) = &*self.member.lock()
            && !member.task.is_finished()
        {
            member.wanted.send_if_modified(|present| {
                if self.shared.config.group_protocol == GroupProtocol::Classic
                    && wanted.pattern.is_some()
                {
                    // Until the names are matched anew.
                    wanted.topics.clone_from(&present.topics);
                }
                let changed = *present != wanted;
                *present = wanted;
                changed
            });
            return Ok(());
        }
        self.unsubscribe().await;
        self.shared.state.lock().mode = Mode::Group;
        let (sender, wanted) = watch::channel(wanted);
        let sender = Arc::new(sender);
        let leave = self.scope.cancel.child_token();
        let shared = self.shared.clone();
        let task = match self.shared.config.group_protocol {
            GroupProtocol::Classic => {
                let group = Group::new(shared.clone(), coordinator, wanted);
                let (leave, sender) = (leave.clone(), sender.clone());
                self.scope.tracker.spawn(async move {
                    // The names are known before the first join, if they can be.
                    let first = pattern::list_matching(&shared, &sender);
                    let _listed = leave.run_until_cancelled(first).await;
                    tokio::select! {
                        () = group.run(leave) => {}
                        () = pattern::follow(shared, sender) => {}
                    }
                })
            }
            GroupProtocol::Consumer => {
                let member = Member::new(shared, coordinator, wanted);
                self.scope.tracker.spawn(member.run(leave.clone()))
            }
        };
        *self.member.lock() = Some(Subscribed {
            wanted: sender,
            leave,
            task,
        });
        Ok(())
    }

    /// Reads exactly these partitions, without sharing; replaces what was read before.
    ///
    /// # Errors
    /// A start is the committed offset and there is no `group.id`, or the consumer is closed.
    pub async fn assign(
        &self,
        partitions: Vec<(TopicPartition, Start)>,
    ) -> Result<(), ConsumeError> {
        self.check_open()?;
        let has_group = self.shared.coordinator.is_some();
        if !has_group
            && partitions
                .iter()
                .any(|(_, start)| *start == Start::Committed)
        {
            return Err(ConsumeError::NoGroup);
        }
        self.unsubscribe().await;
        self.shared
            .cluster
            .follow(topics_of(partitions.iter().map(|(tp, _)| tp)));
        let mut state = self.shared.state.lock();
        state.mode = Mode::Manual;
        state.assign(partitions, Hold::None);
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Leaves the group, if in one, and reads nothing.
    pub async fn unsubscribe(&self) {
        let member = self.member.lock().take();
        if let Some(member) = member {
            member.leave.cancel();
            // A task that ended badly has left nothing to wait for.
            let _ended = member.task.await;
        }
        self.shared.state.lock().reset_all(Mode::Idle);
    }
}
