//! What a group is subscribed to: names, regular expressions, and the topics behind them.
//! Invariant: matching an expression is never done here; its owner does it elsewhere, with bounds,
//! and reports. Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logway_protocol::Uuid;
use regex::Regex;

use super::storing::Part;
use super::{ConsumerEffect, ConsumerGroup, Member, Moment, Topics};

/// Bytes that a compiled expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The topics that an expression matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The revision of the topics that were looked at.
    pub(crate) revision: i64,
    /// Wall clock, milliseconds since the epoch.
    pub(crate) at_ms: i64,
}

/// An expression that matches whole names, as RE2's `matches` does. Its time is linear in the name
/// and its size is bounded.
///
/// # Errors
/// The text is no expression, or one that takes too much memory.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // On its own first: what the frame would complete is no expression.
    regex::RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()?;
    regex::RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .size_limit(REGEX_BYTES_MAX)
        .build()
}

impl ConsumerGroup {
    /// The topics a member wants, by name.
    fn names_of<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Arc<str>> {
        let matched = member
            .regex
            .as_ref()
            .and_then(|regex| self.regexes.get(regex));
        member
            .topics
            .iter()
            .chain(matched.into_iter().flat_map(|found| &found.topics))
    }

    /// All topics that members want, by name.
    pub(super) fn names(&self) -> BTreeSet<&Arc<str>> {
        self.members
            .iter()
            .flat_map(|member| self.names_of(member))
            .collect()
    }

    /// Whether a member wants this topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members
            .iter()
            .any(|member| self.names_of(member).any(|name| &**name == topic))
    }

    /// Ids of the topics a member wants that exist.
    pub(super) fn ids_of(&self, member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
        self.names_of(member)
            .filter_map(|name| topics.find(name).map(|(id, _)| id))
            .collect()
    }

    /// The subscribed topics that exist, with their partitions.
    pub(super) fn subscribed(&self, topics: &dyn Topics) -> BTreeMap<Uuid, i32> {
        self.names()
            .into_iter()
            .filter_map(|name| topics.find(name))
            .collect()
    }

    /// Takes note of what members want and of what there is; the group epoch grows if it differs.
    pub(super) fn follow_subscriptions(&mut self, at: Moment<'_>, changed: bool) {
        if changed || self.topics_seen != Some(at.revision) {
            let hash = self.hash(at.topics);
            let differs = hash != self.metadata_hash;
            self.metadata_hash = hash;
            self.topics_seen = Some(at.revision);
            if changed || differs {
                self.bump();
            }
        }
        self.resolve_if_needed(at);
    }

    /// A new group epoch.
    pub(super) fn bump(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        self.mark(Part::Epoch);
        self.effects.push(ConsumerEffect::Rebalancing);
    }

    /// FNV-1a over names, ids and sizes; 0 when there is nothing.
    pub(super) fn hash(&self, topics: &dyn Topics) -> i64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut any = false;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for name in self.names() {
            if let Some((id, partitions)) = topics.find(name) {
                any = true;
                take(name.as_bytes());
                take(id.as_bytes());
                take(&partitions.to_be_bytes());
            }
        }
        if any { hash.cast_signed() } else { 0 }
    }

    /// Asks which topics the expressions match when that is not known for these topics.
    fn resolve_if_needed(&mut self, at: Moment<'_>) {
        if self.resolving {
            return;
        }
        let wanted: BTreeSet<&Arc<str>> = self
            .members
            .iter()
            .filter_map(|member| member.regex.as_ref())
            .collect();
        if wanted.is_empty() {
            return;
        }
        let known = wanted
            .iter()
            .all(|regex| self.regexes.contains_key(&**regex));
        if known && self.resolved_at == Some(at.revision) {
            return;
        }
        let patterns = wanted.into_iter().cloned().collect();
        self.resolving = true;
        self.effects.push(ConsumerEffect::Resolve { patterns });
    }

    /// The answer to [`ConsumerEffect::Resolve`], for the topics of `revision`.
    pub(crate) fn resolved(
        &mut self,
        at: Moment<'_>,
        revision: u64,
        found: Vec<(Arc<str>, BTreeSet<Arc<str>>)>,
    ) -> Vec<ConsumerEffect> {
        self.resolving = false;
        self.resolved_at = Some(revision);
        let mut changed = false;
        for (regex, topics) in found {
            let wanted = self
                .members
                .iter()
                .any(|member| member.regex.as_ref() == Some(&regex));
            let before = self.regexes.get(&regex);
            if !wanted || before.is_some_and(|before| before.topics == topics) {
                continue;
            }
            // A first match of nothing changes nothing for one that has nothing.
            changed |= before.is_some() || !topics.is_empty() || self.has_target_by(&regex);
            let revision = i64::try_from(revision).unwrap_or(i64::MAX);
            let found = Resolved {
                topics,
                revision,
                at_ms: at.now.wall_ms,
            };
            self.regexes.insert(regex.clone(), found);
            self.mark(Part::Regex(regex));
        }
        if changed {
            self.metadata_hash = self.hash(at.topics);
            self.bump();
        }
        self.finish()
    }

    /// Whether a member of this expression is to have something.
    fn has_target_by(&self, regex: &Arc<str>) -> bool {
        let mut users = self
            .members
            .iter()
            .filter(|member| member.regex.as_ref() == Some(regex));
        users.any(|member| {
            self.target
                .get(&member.id)
                .is_some_and(|target| !target.is_empty())
        })
    }

    /// Forgets what expressions match that nobody uses.
    pub(super) fn drop_unused_regexes(&mut self) {
        let unused: Vec<Arc<str>> = self
            .regexes
            .keys()
            .filter(|regex| {
                !self
                    .members
                    .iter()
                    .any(|member| member.regex.as_ref() == Some(*regex))
            })
            .cloned()
            .collect();
        for regex in unused {
            self.regexes.remove(&regex);
            self.mark(Part::Regex(regex));
        }
    }
}
