//! Server-side assignors (KIP-848): `uniform` spreads partitions evenly and moves as few as it can,
//! `range` gives each member neighbouring partitions of every topic.
//! Invariant: pure functions; every partition of a topic that someone wants has exactly one member,
//! and that member wants it; the same input gives the same output. Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logway_protocol::Uuid;

use super::Partitions;

mod range;
#[cfg(test)]
mod tests;
mod uniform;

/// A way of assigning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Assignor> {
        match name {
            "uniform" => Some(Assignor::Uniform),
            "range" => Some(Assignor::Range),
            _ => None,
        }
    }
}

/// One member as assignors see it.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a Arc<str>,
    pub(crate) instance_id: Option<&'a Arc<str>>,
    /// The topics it wants; each is among those that exist.
    pub(crate) topics: BTreeSet<Uuid>,
    /// What it was to have before.
    pub(crate) before: Option<&'a Partitions>,
}

/// What every candidate is to have. `topics`: those that someone wants, with their partitions.
pub(crate) fn assign(
    assignor: Assignor,
    candidates: &[Candidate<'_>],
    topics: &BTreeMap<Uuid, i32>,
) -> BTreeMap<Arc<str>, Partitions> {
    let shares = match assignor {
        Assignor::Uniform => uniform::assign(candidates, topics),
        Assignor::Range => range::assign(candidates, topics),
    };
    let ids = candidates.iter().map(|candidate| candidate.id.clone());
    ids.zip(shares).collect()
}
