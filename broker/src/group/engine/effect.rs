//! Everything a group asks its owner to do: the closed list of the engine's outputs.
//! Invariant: an effect says what, never how; performing it needs no look into the group.
//! Hallway: beside step 7.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::error_code::ErrorCode;

use super::event::{Ticket, Waiter};
use crate::group::consumer::BeatReply;

/// Everything a group asks its owner to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Answer the caller; comes exactly once per waiter.
    Reply { waiter: Waiter, reply: Reply },
    /// Append the group's metadata to `__consumer_offsets` and report with `Event::Persisted`.
    Persist {
        ticket: Ticket,
        snapshot: Box<Snapshot>,
    },
    /// Send `Event::Wake` at this tick (milliseconds). Earlier requests still stand.
    WakeAt { tick_ms: u64 },
    /// A new round began; for the log and the counters.
    Rebalancing { reason: Reason },
}

/// An answer to one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Join(Box<JoinReply>),
    Sync(SyncReply),
    Heartbeat(ErrorCode),
    Leave(Vec<Left>),
    /// To a ConsumerGroupHeartbeat; only groups of the consumer protocol give it.
    Beat(Box<BeatReply>),
}

/// The answer to a JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinReply {
    pub(crate) error: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) skip_assignment: bool,
    /// Empty when the member has no id (any more).
    pub(crate) member_id: Arc<str>,
    /// Everyone's metadata for the chosen protocol, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

impl JoinReply {
    /// An answer that says no more than `error`.
    pub(crate) fn refused(member_id: Arc<str>, error: ErrorCode) -> JoinReply {
        JoinReply {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// What the leader learns about one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) metadata: Bytes,
}

/// The answer to a SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncReply {
    pub(crate) error: ErrorCode,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) assignment: Bytes,
}

impl SyncReply {
    /// An answer that says no more than `error`.
    pub(crate) fn refused(error: ErrorCode) -> SyncReply {
        SyncReply {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// What became of one member named in a LeaveGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) error: ErrorCode,
}

/// The part of a group that outlives the process: the content of a `GroupMetadataValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    /// Wall clock of the last change of state, milliseconds since the epoch; -1 unknown.
    pub(crate) state_since_ms: i64,
    pub(crate) members: Vec<MemberSnapshot>,
}

/// One member of a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberSnapshot {
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Metadata for the chosen protocol.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

/// Why a round of rebalancing began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    MemberJoined,
    MemberRejoined,
    LeaderRejoined,
    MetadataChanged,
    StaticMemberReplaced,
    MemberLeft,
    SessionExpired,
    SyncExpired,
    PersistFailed,
    Downgraded,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Reason::MemberJoined => "a member joined",
            Reason::MemberRejoined => "a member rejoined",
            Reason::LeaderRejoined => "the leader rejoined",
            Reason::MetadataChanged => "a member changed its metadata",
            Reason::StaticMemberReplaced => "a static member was replaced",
            Reason::MemberLeft => "a member left",
            Reason::SessionExpired => "a member's session expired",
            Reason::SyncExpired => "a member did not sync in time",
            Reason::PersistFailed => "the assignment could not be stored",
            Reason::Downgraded => "the group went back to the classic protocol",
        })
    }
}
