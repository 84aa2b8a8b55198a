//! Settings of Kafka's brokers whose value here is always the same: nothing in the settings file
//! changes it, and it is true. Invariant: a setting of something that this broker does not have is not
//! here, unless its value says just that (no authorizer, no tiered storage). Pure; beside step 7 of the
//! hallway.
//!
//! Left out are TLS, SASL, tiered storage, share and streams groups, replication between brokers, the
//! controllers' quorum, Java's metrics and classes, pools of threads and purgatories.

use super::{INT, LIST, LONG};
use crate::metadata::{INTERNAL_SEGMENT_BYTES, Kind};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    pub(super) name: &'static str,
    /// None where Kafka has no value either.
    pub(super) value: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) doc: &'static str,
}

const fn of(name: &'static str, value: &'static str, kind: Kind, doc: &'static str) -> Steady {
    Steady {
        name,
        value: Some(value),
        kind,
        doc,
    }
}

const fn none(name: &'static str, kind: Kind, doc: &'static str) -> Steady {
    Steady {
        name,
        value: None,
        kind,
        doc,
    }
}

/// All of them, in the order of their names.
#[rustfmt::skip]
pub(super) const STEADY: &[Steady] = &[
    none("alter.config.policy.class.name", Kind::Class, "Who else may refuse a change of settings; nobody."),
    of("authorizer.class.name", "", Kind::Text, "Who decides what a client may do; empty: every client may do everything."),
    none("broker.rack", Kind::Text, "Where this broker stands; nowhere in particular."),
    none("client.quota.callback.class", Kind::Class, "Who else decides about quotas; nobody."),
    of("controller.quota.window.num", "11", INT, "Windows that the rate of created and deleted partitions is measured over."),
    of("controller.quota.window.size.seconds", "1", INT, "Length of such a window."),
    none("create.topic.policy.class.name", Kind::Class, "Who else may refuse a new topic; nobody."),
    of("default.replication.factor", "1", INT, "Replicas of a topic that is created without a number."),
    none("delegation.token.secret.key", Kind::Password, "Key that delegation tokens are made with; without one there are no tokens."),
    of("group.coordinator.rebalance.protocols", "classic,consumer", LIST, "Protocols that groups may speak."),
    of("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT", Kind::Text, "What each listener speaks; the name of the listener stands first."),
    of("log.cleaner.threads", "1", INT, "Threads that compact logs."),
    of("log.flush.offset.checkpoint.interval.ms", "60000", INT, "Time between two notes of what is on disk, which shorten the start after a crash."),
    of("log.flush.scheduler.interval.ms", "9223372036854775807", LONG, "What log.flush.interval.ms is if it is not set."),
    of("log.flush.start.offset.checkpoint.interval.ms", "60000", INT, "Time between two notes of where logs begin."),
    of("log.retention.hours", "168", INT, "What log.retention.ms is if neither it nor log.retention.minutes is set, in hours."),
    none("log.retention.minutes", INT, "What log.retention.ms is if it is not set, in minutes."),
    of("log.roll.hours", "168", INT, "What log.roll.ms is if it is not set, in hours."),
    of("log.roll.jitter.hours", "0", INT, "What log.roll.jitter.ms is if it is not set, in hours."),
    none("log.roll.jitter.ms", LONG, "Random part taken off log.roll.ms, so that not all segments roll at once; none is."),
    of("max.request.partition.size.limit", "2000", INT, "Most partitions in one answer to DescribeTopicPartitions."),
    none("metadata.log.dir", Kind::Text, "Folder of the metadata; not set, it is that of log.dirs."),
    of("offsets.topic.compression.codec", "0", INT, "Compression of committed offsets; 0 is none."),
    of("offsets.topic.replication.factor", "1", Kind::Short, "Replicas of the topic that keeps the groups' offsets."),
    of("offsets.topic.segment.bytes", INTERNAL_SEGMENT_BYTES, INT, "Size of the segments of the topic that keeps the groups' offsets."),
    of("process.roles", "broker,controller", LIST, "What this node does."),
    of("remote.log.storage.system.enable", "false", Kind::Bool, "Whether there is tiered storage."),
    none("replica.selector.class", Kind::Text, "Who says which replica a consumer reads from; nobody, it is the leader."),
    of("socket.receive.buffer.bytes", "-1", INT, "The system's buffer for what clients send; -1 leaves it to the system."),
    of("socket.send.buffer.bytes", "-1", INT, "The system's buffer for what clients are sent; -1 leaves it to the system."),
    of("transaction.state.log.min.isr", "1", INT, "In-sync replicas that the topic of the transactions' states needs."),
    of("transaction.state.log.replication.factor", "1", Kind::Short, "Replicas of the topic that keeps the transactions' states."),
    of("transaction.state.log.segment.bytes", INTERNAL_SEGMENT_BYTES, INT, "Size of the segments of the topic that keeps the transactions' states."),
    of("transaction.two.phase.commit.enable", "false", Kind::Bool, "Whether a transaction may be prepared for an outside coordinator."),
];
