//! Transactions as tools see them (KIP-664, KIP-994).
//! Invariant: looks, changes nothing.

use std::sync::Arc;

use super::Engine;
use crate::transaction::state::{State, Transaction};

/// Which transactions are wanted; an empty list stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) states: Vec<State>,
    pub(crate) producer_ids: Vec<i64>,
    /// Only those open for longer than so many milliseconds; negative for all.
    pub(crate) longer_than_ms: i64,
}

/// One transaction in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) state: State,
}

impl Engine {
    /// What is known of one transactional id; none if nobody has used it.
    pub(crate) fn describe(&self, id: &str) -> Option<&Transaction> {
        self.entries.get(id).map(|entry| &entry.transaction)
    }

    /// The transactions that pass the filter, in the order of their ids.
    pub(crate) fn list(&self, filter: &Filter, now_ms: i64) -> Vec<Listed> {
        let passes = |of: &Transaction| {
            (filter.states.is_empty() || filter.states.contains(&of.state))
                && (filter.producer_ids.is_empty() || filter.producer_ids.contains(&of.producer_id))
                && (filter.longer_than_ms < 0
                    || now_ms.saturating_sub(of.started_ms) > filter.longer_than_ms)
        };
        let entries = self.entries.iter();
        let mut listed: Vec<Listed> = entries
            .filter(|(_, entry)| passes(&entry.transaction))
            .map(|(id, entry)| Listed {
                id: id.clone(),
                producer_id: entry.transaction.producer_id,
                state: entry.transaction.state,
            })
            .collect();
        listed.sort_by(|one, other| one.id.cmp(&other.id));
        listed
    }
}
