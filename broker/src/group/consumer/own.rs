//! What an owner set for one group (`kafka-configs --entity-type groups`), and what becomes of it.
//! Invariant: whatever is stored, the rules in force lie within the broker's bounds; bounds may have
//! changed since a value was accepted. Hallway: beside step 7.

use super::timers::positive_ms;
use super::{ConsumerGroup, ConsumerRules};

/// Least and most of what a group may have of its own, milliseconds; Kafka's `group.consumer.min.*`
/// and `group.consumer.max.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) session_timeout_ms: (i32, i32),
    pub(crate) heartbeat_interval_ms: (i32, i32),
    pub(crate) assignment_interval_ms: (i32, i32),
}

/// Settings of one group; `None` where the broker's own count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OwnSettings {
    pub(crate) session_timeout_ms: Option<i32>,
    pub(crate) heartbeat_interval_ms: Option<i32>,
    pub(crate) assignment_interval_ms: Option<i32>,
}

impl ConsumerRules {
    /// These rules for a group that has settings of its own.
    pub(crate) fn with(self, own: OwnSettings) -> ConsumerRules {
        let within = |value: Option<i32>, (least, most): (i32, i32)| {
            // Not `clamp`, which panics when the bounds are crossed.
            value.map(|value| value.min(most).max(least))
        };
        let bounds = self.bounds;
        let session = within(own.session_timeout_ms, bounds.session_timeout_ms);
        let heartbeat = within(own.heartbeat_interval_ms, bounds.heartbeat_interval_ms);
        let assignment = within(own.assignment_interval_ms, bounds.assignment_interval_ms);
        ConsumerRules {
            session_timeout_ms: session.map_or(self.session_timeout_ms, positive_ms),
            heartbeat_interval_ms: heartbeat.unwrap_or(self.heartbeat_interval_ms),
            assignment_interval_ms: assignment.map_or(self.assignment_interval_ms, positive_ms),
            ..self
        }
    }
}

impl ConsumerGroup {
    /// Takes over changed rules. A session that runs keeps its end until the member's next heartbeat.
    pub(crate) fn follow(&mut self, rules: ConsumerRules) {
        self.rules = rules;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::Assignor;
    use crate::group::consumer::tests::BOUNDS;

    fn rules(own: OwnSettings) -> (u64, i32, u64) {
        let broker = ConsumerRules {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            max_size: 4,
            upgrade: true,
            downgrade: true,
            classic_max_size: 4,
            assignor: Assignor::Uniform,
            bounds: BOUNDS,
        };
        let with = broker.with(own);
        (
            with.session_timeout_ms,
            with.heartbeat_interval_ms,
            with.assignment_interval_ms,
        )
    }

    #[test]
    fn what_is_set_counts_within_the_bounds() {
        assert_eq!(rules(OwnSettings::default()), (45_000, 5_000, 1_000));
        let own = |session, heartbeat, assignment| OwnSettings {
            session_timeout_ms: Some(session),
            heartbeat_interval_ms: Some(heartbeat),
            assignment_interval_ms: Some(assignment),
        };
        assert_eq!(rules(own(20_000, 2_000, 0)), (20_000, 2_000, 0));
        assert_eq!(rules(own(1, 1, -1)), (10_000, 1_000, 0));
        assert_eq!(rules(own(90_000, 90_000, 90_000)), (60_000, 9_000, 15_000));
    }
}
