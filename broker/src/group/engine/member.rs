//! The members of a group and the counts that follow from them.
//! Invariant: the counts of supported protocols and of members that wait for a join answer always
//! agree with the members, because only this file changes them. Hallway: beside step 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::event::{ClientInfo, Protocol, Waiter};

/// One member of a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client: ClientInfo,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    protocols: Vec<Protocol>,
    /// What the leader gave it in the present generation; empty before.
    pub(crate) assignment: Bytes,
    /// It has not yet been given a generation: it cannot send heartbeats.
    pub(crate) is_new: bool,
    /// The tick at which its session ends; `None` while it waits for an answer past its session.
    pub(crate) session_ends: Option<u64>,
    awaiting_join: Option<Waiter>,
    pub(crate) awaiting_sync: Option<Waiter>,
}

impl Member {
    /// A member that has not joined a generation yet and waits for nothing.
    pub(crate) fn new(
        id: Arc<str>,
        instance_id: Option<Arc<str>>,
        client: ClientInfo,
        terms: Terms,
    ) -> Member {
        Member {
            id,
            instance_id,
            client,
            session_timeout_ms: terms.session_timeout_ms,
            rebalance_timeout_ms: terms.rebalance_timeout_ms,
            protocols: terms.protocols,
            assignment: Bytes::new(),
            is_new: true,
            session_ends: None,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    /// The metadata the member offered for `protocol`; empty when it does not know it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        self.protocols
            .iter()
            .find(|offer| Some(&*offer.name) == protocol)
            .map_or_else(Bytes::new, |offer| offer.metadata.clone())
    }

    /// What it offers, in its order of preference.
    pub(crate) fn protocols(&self) -> &[Protocol] {
        &self.protocols
    }

    /// Whether the member offered exactly these protocols before.
    pub(crate) fn offers(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }

    pub(crate) fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    /// Whether silence is to be expected: a member that waits for an answer sends no heartbeats.
    /// A new one is watched all the same, because its connection may be gone.
    pub(crate) fn may_be_silent(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Starts the session anew at `tick_ms`.
    pub(crate) fn renew_session(&mut self, tick_ms: u64) -> u64 {
        let ends = tick_ms.saturating_add(positive_ms(self.session_timeout_ms));
        self.session_ends = Some(ends);
        ends
    }
}

/// A timeout from the wire as milliseconds; a negative one is none at all.
pub(crate) fn positive_ms(timeout_ms: i32) -> u64 {
    u64::try_from(timeout_ms).unwrap_or(0)
}

/// What a member may change with each JoinGroup.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
}

/// The members, by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<Arc<str>, Member>,
    by_instance: BTreeMap<Arc<str>, Arc<str>>,
    /// How many members offer each protocol.
    supporters: BTreeMap<Arc<str>, usize>,
    awaiting_join: usize,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.by_id.values_mut()
    }

    pub(crate) fn ids(&self) -> Vec<Arc<str>> {
        self.by_id.keys().cloned().collect()
    }

    /// The member that holds the instance id.
    pub(crate) fn instance(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.by_instance.get(instance_id)
    }

    /// How many members wait for the answer to a JoinGroup.
    pub(crate) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    pub(crate) fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.by_instance
                .insert(instance_id.clone(), member.id.clone());
        }
        self.count_protocols(&member.protocols);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.by_id.insert(member.id.clone(), member);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id {
            self.by_instance.remove(instance_id);
        }
        self.uncount_protocols(&member.protocols);
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        Some(member)
    }

    /// Replaces a member's terms and gives the old ones back.
    pub(crate) fn change_terms(&mut self, id: &str, terms: Terms) -> Option<Terms> {
        let member = self.by_id.get_mut(id)?;
        let Terms {
            session_timeout_ms,
            rebalance_timeout_ms,
            protocols,
        } = terms;
        let old = Terms {
            session_timeout_ms: std::mem::replace(
                &mut member.session_timeout_ms,
                session_timeout_ms,
            ),
            rebalance_timeout_ms: std::mem::replace(
                &mut member.rebalance_timeout_ms,
                rebalance_timeout_ms,
            ),
            protocols: std::mem::replace(&mut member.protocols, protocols.clone()),
        };
        self.uncount_protocols(&old.protocols);
        self.count_protocols(&protocols);
        Some(old)
    }

    /// Lets `waiter` wait for the join answer of a member; gives back the one that waited before.
    pub(crate) fn await_join(&mut self, id: &str, waiter: Waiter) -> Option<Waiter> {
        let member = self.by_id.get_mut(id)?;
        let before = member.awaiting_join.replace(waiter);
        self.awaiting_join += usize::from(before.is_none());
        before
    }

    /// Takes the caller that waits for the join answer of a member.
    pub(crate) fn take_join(&mut self, id: &str) -> Option<Waiter> {
        let waiter = self.by_id.get_mut(id)?.awaiting_join.take();
        self.awaiting_join -= usize::from(waiter.is_some());
        waiter
    }

    /// The caller that waits for the join answer of a member.
    pub(crate) fn join_waiter(&self, id: &str) -> Option<Waiter> {
        self.by_id.get(id)?.awaiting_join
    }

    /// The longest rebalance timeout of all members, milliseconds.
    pub(crate) fn rebalance_timeout_ms(&self) -> u64 {
        self.iter()
            .map(|member| positive_ms(member.rebalance_timeout_ms))
            .max()
            .unwrap_or(0)
    }

    /// Whether every member offers this protocol.
    pub(crate) fn all_support(&self, protocol: &str) -> bool {
        self.supporters.get(protocol).copied().unwrap_or(0) == self.by_id.len()
    }

    /// The protocol that most members prefer among those that all of them offer.
    /// On a tie the first in alphabetical order; `None` when nothing is common.
    pub(crate) fn vote(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.iter() {
            let choice = member
                .protocols
                .iter()
                .find(|offer| self.all_support(&offer.name));
            if let Some(offer) = choice {
                *votes.entry(&offer.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name.clone())
    }

    fn count_protocols(&mut self, protocols: &[Protocol]) {
        for name in distinct_names(protocols) {
            *self.supporters.entry(name.clone()).or_default() += 1;
        }
    }

    fn uncount_protocols(&mut self, protocols: &[Protocol]) {
        for name in distinct_names(protocols) {
            if let Some(count) = self.supporters.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supporters.remove(name);
                }
            }
        }
    }
}

/// A member that names one protocol twice supports it once.
fn distinct_names(protocols: &[Protocol]) -> impl Iterator<Item = &Arc<str>> {
    protocols.iter().enumerate().filter_map(|(at, offer)| {
        let seen = protocols[..at]
            .iter()
            .any(|earlier| earlier.name == offer.name);
        (!seen).then_some(&offer.name)
    })
}
