//! The engine of the consumer protocol, asked one thing at a time, and by random members.

mod client;
mod properties;
mod world;

use super::*;

/// Topics that tests make up: name, id, partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FixedTopics(pub(crate) Vec<(Arc<str>, Uuid, i32)>);

/// What groups may have of their own in tests.
pub(crate) const BOUNDS: Bounds = Bounds {
    session_timeout_ms: (10_000, 60_000),
    heartbeat_interval_ms: (1_000, 9_000),
    assignment_interval_ms: (0, 15_000),
};

impl FixedTopics {
    /// Topics with these partitions, their ids made of their places.
    pub(crate) fn of(topics: &[(&str, i32)]) -> FixedTopics {
        let each = topics.iter().enumerate().map(|(at, (name, partitions))| {
            let mut id = [7; 16];
            id[15] = u8::try_from(at).expect("few topics");
            (Arc::from(*name), Uuid::from_bytes(id), *partitions)
        });
        FixedTopics(each.collect())
    }
}

impl Topics for FixedTopics {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        let topic = self.0.iter().find(|(known, _, _)| **known == *name)?;
        Some((topic.1, topic.2))
    }

    fn name(&self, id: &Uuid) -> Option<Arc<str>> {
        let topic = self.0.iter().find(|(_, known, _)| known == id)?;
        Some(topic.0.clone())
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|(name, _, _)| name.clone()).collect()
    }

    fn settings_of(&self, _: &str) -> OwnSettings {
        OwnSettings::default()
    }
}
