//! Forgetting: offsets past their time, offsets of deleted topics, groups with nothing left.
//! Invariant: memory forgets only what a stored tombstone has removed. An empty group's offsets
//! count from when it became empty, a simple group's from their commit; a live consumer group
//! loses only offsets of topics it no longer subscribes to. Hallway: beside step 10.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::kind::Kind;
use super::{Entry, Registry, Then};
use crate::group::engine::{CONSUMER_PROTOCOL_TYPE, Now, State};
use crate::group::offsets::Committed;
use crate::group::records::{self, OffsetKey};

/// Topics and partitions whose offsets go.
type Places = Vec<(Arc<str>, i32)>;

impl Registry {
    /// Queues tombstones for everything whose time has come, but for groups that are spared: those with
    /// offsets in open transactions, which a tombstone behind them would take away when the log is
    /// compacted.
    pub(crate) fn expire(&mut self, now: Now, is_spared: impl Fn(&str) -> bool) {
        if self.closed {
            return;
        }
        let retention_ms = self.rules.offsets_retention_ms;
        let removals: Vec<(Arc<str>, Places, bool)> = self
            .groups
            .iter()
            .filter(|(id, _)| !is_spared(id))
            .filter_map(|(id, entry)| {
                let offsets = expired(entry, now.wall_ms, retention_ms);
                let group = entry.group.is_unused()
                    && entry.writes_under_way == 0
                    && offsets.len() == entry.offsets.len();
                (group || !offsets.is_empty()).then(|| (id.clone(), offsets, group))
            })
            .collect();
        for (id, offsets, group) in removals {
            self.tally.expired_offsets += offsets.len() as u64;
            self.queue_removal(&id, offsets, group, None);
        }
    }

    /// Queues tombstones for all offsets of topics that were deleted.
    pub(crate) fn forget_topics(&mut self, topics: &BTreeSet<Arc<str>>) {
        let removals: Vec<(Arc<str>, Places)> = self
            .groups
            .iter()
            .filter_map(|(id, entry)| {
                let offsets: Places = entry
                    .offsets
                    .topics()
                    .filter(|(topic, _)| topics.contains(&***topic))
                    .flat_map(|(topic, of)| of.keys().map(|at| (topic.clone(), *at)))
                    .collect();
                (!offsets.is_empty()).then(|| (id.clone(), offsets))
            })
            .collect();
        for (id, offsets) in removals {
            self.queue_removal(&id, offsets, false, None);
        }
    }

    pub(super) fn queue_removal(
        &mut self,
        id: &Arc<str>,
        offsets: Places,
        group: bool,
        done: Option<oneshot::Sender<Result<(), ErrorCode>>>,
    ) {
        let mut tombstones = Vec::with_capacity(offsets.len() + 1);
        for (topic, partition) in &offsets {
            let key = OffsetKey {
                group: id.clone(),
                topic: topic.clone(),
                partition: *partition,
            };
            tombstones.push(records::offset_record(&key, None));
        }
        let of_group = self.groups.get(id).filter(|_| group);
        let of_group = of_group.map(|entry| entry.group.tombstones(id)).transpose();
        let tombstones: Result<Vec<_>, _> = tombstones.into_iter().collect();
        let all = tombstones.and_then(|mut all| {
            all.extend(of_group?.into_iter().flatten());
            Ok(all)
        });
        match all {
            Ok(tombstones) => {
                let then = Then::Removed {
                    offsets,
                    group,
                    done,
                };
                self.queue(id.clone(), tombstones, then);
            }
            Err(source) => error!(group = &**id, "tombstone cannot be written: {source}"),
        }
    }

    pub(super) fn finish_removal(
        &mut self,
        id: &Arc<str>,
        offsets: &[(Arc<str>, i32)],
        group: bool,
        outcome: Result<i64, ErrorCode>,
    ) {
        let base_offset = match outcome {
            Ok(base_offset) => base_offset,
            Err(error) => {
                // Tried again at the next look.
                return error!(group = &**id, "tombstones could not be stored: {error}");
            }
        };
        let Some(entry) = self.groups.get_mut(id) else {
            return;
        };
        for ((topic, partition), record_offset) in offsets.iter().zip(base_offset..) {
            entry.offsets.remove(topic, *partition, record_offset);
        }
        // Someone may have come back meanwhile; what they store lies behind the tombstone.
        let unused = entry.writes_under_way == 0 && entry.group.is_unused();
        if group && unused && entry.offsets.is_empty() {
            self.groups.remove(id);
            debug!(group = &**id, "forgot an empty group");
        }
    }
}

/// The offsets of one group whose time has come.
fn expired(entry: &Entry, now_ms: i64, retention_ms: i64) -> Places {
    let group = match &entry.group {
        Kind::Classic(group) => group,
        Kind::Consumer(group) => {
            return lapsed(entry, |topic, committed| {
                !group.is_subscribed_to(topic)
                    && committed.is_expired(now_ms, committed.committed_ms, retention_ms)
            });
        }
    };
    let type_name = group.protocol_type().map(|name| &**name);
    // From when an offset's time runs.
    let emptied_ms = match (type_name, group.state()) {
        (Some(_), State::Empty) if group.state_since_ms() >= 0 => Some(group.state_since_ms()),
        _ => None,
    };
    let may_lapse = match (type_name, group.state()) {
        (None, _) | (Some(_), State::Empty) => true,
        (Some(CONSUMER_PROTOCOL_TYPE), State::Stable) => group.knows_its_topics(),
        _ => false,
    };
    if !may_lapse {
        return Vec::new();
    }
    lapsed(entry, |topic, committed| {
        let since_ms = emptied_ms.unwrap_or(committed.committed_ms);
        !group.is_subscribed_to(topic) && committed.is_expired(now_ms, since_ms, retention_ms)
    })
}

fn lapsed(entry: &Entry, is_lapsed: impl Fn(&str, &Committed) -> bool) -> Places {
    let topics = entry.offsets.topics();
    let each = topics
        .flat_map(|(topic, partitions)| partitions.iter().map(move |(at, kept)| (topic, at, kept)));
    each.filter(|(topic, _, kept)| is_lapsed(topic, kept))
        .map(|(topic, at, _)| (topic.clone(), *at))
        .collect()
}
