//! Everything that can happen to a group: the closed list of the engine's inputs.
//! Invariant: an event carries plain values only. Ids that need randomness are made by the caller,
//! text and bytes are owned (they outlive the request frame). Hallway: beside step 7.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::error_code::ErrorCode;

/// The moment at which an event happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds of a clock that never jumps; all timeouts count on it.
    pub(crate) tick_ms: u64,
    /// Milliseconds since the epoch; written into records, never used for a timeout.
    pub(crate) wall_ms: i64,
}

/// Names the caller that waits for one answer. The engine answers each exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Waiter(pub(crate) u64);

/// Names one write of the group's metadata, from `Effect::Persist` to `Event::Persisted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// One way of assigning partitions that a member offers, with what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: Arc<str>,
    pub(crate) metadata: Bytes,
}

/// A JoinGroup request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) waiter: Waiter,
    /// The id the member was given earlier; `None` when it has none yet.
    pub(crate) member_id: Option<Arc<str>>,
    /// The id to give when `member_id` is `None`.
    pub(crate) new_member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client: ClientInfo,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
    /// KIP-394 (v4+): a dynamic member must come back with the id it is given.
    pub(crate) needs_known_id: bool,
    /// KIP-814 (v9+): a returning static leader may be told to keep the assignment.
    pub(crate) can_skip_assignment: bool,
}

/// Who sent a JoinGroup, as shown by DescribeGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    pub(crate) id: Arc<str>,
    /// `/` and the peer's address, Kafka's form.
    pub(crate) host: Arc<str>,
}

/// The member (and generation) that a request says it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Empty when the caller is no member.
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    /// -1 when the caller is no member.
    pub(crate) generation: i32,
}

/// A SyncGroup request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sync {
    pub(crate) waiter: Waiter,
    pub(crate) claim: Claim,
    /// Checked against the group's when given (v5+).
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    /// The leader's decision; empty from everyone else.
    pub(crate) assignments: Vec<(Arc<str>, Bytes)>,
}

/// One member that a LeaveGroup request removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Empty for the administrative removal of a static member by its instance id.
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
}

/// Everything that can happen to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A JoinGroup request arrived.
    Join(Box<Join>),
    /// A SyncGroup request arrived.
    Sync(Box<Sync>),
    /// A Heartbeat request arrived.
    Heartbeat { waiter: Waiter, claim: Claim },
    /// A LeaveGroup request arrived (v0-2: one member).
    Leave {
        waiter: Waiter,
        members: Vec<Leaving>,
    },
    /// A write asked for by `Effect::Persist` ended.
    Persisted {
        ticket: Ticket,
        outcome: Result<(), ErrorCode>,
    },
    /// The moment asked for by `Effect::WakeAt` came.
    Wake,
    /// This broker stops coordinating the group: everyone who waits is sent away with `error`.
    Unload { error: ErrorCode },
}
