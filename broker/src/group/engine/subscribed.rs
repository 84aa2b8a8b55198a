//! Which topics a group of consumers reads, as its members' opaque bytes tell.
//! Invariant: found anew when a generation begins and when the last member is gone, and at no other time: a member
//! that joins again counts with what it said before until the round is closed. Hallway: beside step 7.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Group;
use crate::group::consumer::read_topics;

impl Group {
    /// Whether a member reads `topic`. Consumers whose bytes cannot be read, or who have had no generation yet,
    /// are taken to read everything.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_for_consumers(),
        }
    }

    /// Whether it is known which topics the members read.
    pub(crate) fn knows_its_topics(&self) -> bool {
        self.subscribed.is_some()
    }

    pub(super) fn find_topics(&mut self) {
        self.subscribed = self.topics();
    }

    fn topics(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.is_for_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.iter() {
            let protocol = self.protocol_name.as_deref()?;
            topics.extend(read_topics(&member.metadata(Some(protocol)))?);
        }
        Some(topics)
    }
}
