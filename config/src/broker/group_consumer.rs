//! Groups of the consumer protocol (KIP-848), under the names of Kafka's `group.consumer.*`.
//!
//! **Invariant:** every default is Kafka's, but for the largest size: here everything has one.

use serde::Deserialize;

use crate::{
    error::{Violation, require, within},
    quantity,
};

/// Whether a live group may change its protocol (`group.consumer.migration.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrationPolicy {
    /// Both ways.
    Bidirectional,
    /// From the classic to the consumer protocol only.
    Upgrade,
    /// From the consumer to the classic protocol only.
    Downgrade,
    /// Not while it has members.
    Disabled,
}

impl MigrationPolicy {
    /// Whether a live classic group may become a consumer group.
    #[must_use]
    pub fn upgrades(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade
        )
    }

    /// Whether a live consumer group may become a classic group.
    #[must_use]
    pub fn downgrades(self) -> bool {
        matches!(
            self,
            MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade
        )
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MigrationPolicy::Bidirectional => "bidirectional",
            MigrationPolicy::Upgrade => "upgrade",
            MigrationPolicy::Downgrade => "downgrade",
            MigrationPolicy::Disabled => "disabled",
        }
    }
}

/// Groups of the consumer protocol (Kafka: `group.consumer.*`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConsumer {
    /// Milliseconds without a heartbeat after which a member is out. Default 45000.
    #[serde(deserialize_with = "quantity::ms")]
    pub session_timeout_ms: i32,
    /// Milliseconds between heartbeats that members are told. Default 5000.
    #[serde(deserialize_with = "quantity::ms")]
    pub heartbeat_interval_ms: i32,
    /// Least milliseconds between two assignments of one group. Default 1000.
    #[serde(deserialize_with = "quantity::ms")]
    pub assignment_interval_ms: i32,
    /// Least session timeout that a group may have of its own. Default 45000.
    #[serde(deserialize_with = "quantity::ms")]
    pub min_session_timeout_ms: i32,
    /// Longest session timeout that a group may have of its own. Default 60000.
    #[serde(deserialize_with = "quantity::ms")]
    pub max_session_timeout_ms: i32,
    /// Least time between heartbeats that a group may have of its own. Default 5000.
    #[serde(deserialize_with = "quantity::ms")]
    pub min_heartbeat_interval_ms: i32,
    /// Longest time between heartbeats that a group may have of its own. Default 15000.
    #[serde(deserialize_with = "quantity::ms")]
    pub max_heartbeat_interval_ms: i32,
    /// Least time between assignments that a group may have of its own. Default 0.
    #[serde(deserialize_with = "quantity::ms")]
    pub min_assignment_interval_ms: i32,
    /// Longest time between assignments that a group may have of its own. Default 15000.
    #[serde(deserialize_with = "quantity::ms")]
    pub max_assignment_interval_ms: i32,
    /// Most members of one group. Default 10000 (Kafka: no limit; here everything has one).
    pub max_size: i32,
    /// Assignors that members may name, the default first. Default ["uniform", "range"].
    pub assignors: Vec<String>,
    /// Whether a live group may change its protocol. Default "bidirectional".
    pub migration_policy: MigrationPolicy,
}

impl GroupConsumer {
    pub(super) fn check(&self) -> Result<(), Violation> {
        self.check_bounds()?;
        let interval = self.heartbeat_interval_ms;
        require(
            interval < self.session_timeout_ms,
            "heartbeat_interval_ms",
            format!(
                "must be below session_timeout_ms ({}), is {interval}",
                self.session_timeout_ms
            ),
        )?;
        within("max_size", self.max_size, 1..=i32::MAX)?;
        let known = |name: &String| name == "uniform" || name == "range";
        require(
            !self.assignors.is_empty() && self.assignors.iter().all(known),
            "assignors",
            format!("must name uniform, range or both, is {:?}", self.assignors),
        )
    }

    /// Each bound is sensible, and the broker's own value lies between its two, as Kafka demands.
    fn check_bounds(&self) -> Result<(), Violation> {
        within(
            "min_session_timeout_ms",
            self.min_session_timeout_ms,
            1..=self.max_session_timeout_ms.max(1),
        )?;
        within(
            "session_timeout_ms",
            self.session_timeout_ms,
            self.min_session_timeout_ms..=self.max_session_timeout_ms,
        )?;
        within(
            "min_heartbeat_interval_ms",
            self.min_heartbeat_interval_ms,
            1..=self.max_heartbeat_interval_ms.max(1),
        )?;
        within(
            "heartbeat_interval_ms",
            self.heartbeat_interval_ms,
            self.min_heartbeat_interval_ms..=self.max_heartbeat_interval_ms,
        )?;
        within(
            "min_assignment_interval_ms",
            self.min_assignment_interval_ms,
            0..=self.max_assignment_interval_ms.max(0),
        )?;
        within(
            "assignment_interval_ms",
            self.assignment_interval_ms,
            self.min_assignment_interval_ms..=self.max_assignment_interval_ms,
        )
    }
}

impl Default for GroupConsumer {
    fn default() -> Self {
        GroupConsumer {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            min_session_timeout_ms: 45_000,
            max_session_timeout_ms: 60_000,
            min_heartbeat_interval_ms: 5_000,
            max_heartbeat_interval_ms: 15_000,
            min_assignment_interval_ms: 0,
            max_assignment_interval_ms: 15_000,
            max_size: 10_000,
            assignors: vec!["uniform".to_owned(), "range".to_owned()],
            migration_policy: MigrationPolicy::Bidirectional,
        }
    }
}
