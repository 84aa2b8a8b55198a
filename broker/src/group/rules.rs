//! What the broker's settings say about groups, in the words of the engines.
//! Invariant: settings were checked when they were read; what is out of range here is cut off, not
//! refused. Pure. Hallway: beside step 7.

use logway_config::broker::Broker as Settings;

use super::consumer::{Assignor, Bounds, ConsumerRules};
use super::engine::Limits;
use super::registry::Rules;

/// How long a member that has never had a generation may wait for one, as in Kafka.
const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// The rules that these settings make.
pub(super) fn rules(settings: &Settings) -> Rules {
    let delay_ms = u64::try_from(settings.group_initial_rebalance_delay_ms).unwrap_or(0);
    Rules {
        limits: Limits {
            max_size: usize::try_from(settings.group_max_size).unwrap_or(0).max(1),
            initial_rebalance_delay_ms: delay_ms,
            new_member_join_timeout_ms: NEW_MEMBER_JOIN_TIMEOUT_MS,
        },
        consumer: consumer_rules(settings),
        offsets_retention_ms: i64::from(settings.offsets_retention_minutes) * 60_000,
    }
}

fn consumer_rules(settings: &Settings) -> ConsumerRules {
    let own = &settings.group_consumer;
    let positive = |number: i32| usize::try_from(number).unwrap_or(0).max(1);
    let first = own.assignors.first();
    ConsumerRules {
        session_timeout_ms: u64::try_from(own.session_timeout_ms).unwrap_or(0),
        heartbeat_interval_ms: own.heartbeat_interval_ms,
        assignment_interval_ms: u64::try_from(own.assignment_interval_ms).unwrap_or(0),
        max_size: positive(own.max_size),
        upgrade: own.migration_policy.upgrades(),
        downgrade: own.migration_policy.downgrades(),
        classic_max_size: positive(settings.group_max_size),
        assignor: first
            .and_then(|name| Assignor::from_name(name))
            .unwrap_or(Assignor::Uniform),
        bounds: Bounds {
            session_timeout_ms: (own.min_session_timeout_ms, own.max_session_timeout_ms),
            heartbeat_interval_ms: (own.min_heartbeat_interval_ms, own.max_heartbeat_interval_ms),
            assignment_interval_ms: (
                own.min_assignment_interval_ms,
                own.max_assignment_interval_ms,
            ),
        },
    }
}
