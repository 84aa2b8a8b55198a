//! The two kinds of groups behind one door.
//! Invariant: what both kinds can tell is asked here; only conversions and requests of one protocol
//! look inside. Hallway: beside steps 7 and 8.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::{EncodeError, ErrorCode};

use super::Commit;
use crate::group::consumer::{ConsumerGroup, Moment};
use crate::group::engine::{CONSUMER_PROTOCOL_TYPE, Claim, Group, State};
use crate::group::records::{self, KeyValue};

/// Kafka's name of the types of groups.
pub(crate) const CLASSIC: &str = "classic";
pub(crate) const CONSUMER: &str = "consumer";

/// A group of either protocol.
#[derive(Debug)]
pub(super) enum Kind {
    Classic(Box<Group>),
    Consumer(Box<ConsumerGroup>),
}

impl Kind {
    /// Kafka's name of the type.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Classic(_) => CLASSIC,
            Kind::Consumer(_) => CONSUMER,
        }
    }

    /// Kafka's name of the state.
    pub(super) fn state_name(&self) -> &'static str {
        match self {
            Kind::Classic(group) => group.state().name(),
            Kind::Consumer(group) => group.state().name(),
        }
    }

    /// Empty for a group that only holds offsets.
    pub(super) fn protocol_type(&self) -> Arc<str> {
        match self {
            Kind::Classic(group) => group.protocol_type().cloned().unwrap_or_default(),
            Kind::Consumer(_) => Arc::from(CONSUMER_PROTOCOL_TYPE),
        }
    }

    /// Generation or epoch, for the log.
    pub(super) fn generation(&self) -> i32 {
        match self {
            Kind::Classic(group) => group.generation(),
            Kind::Consumer(group) => group.epoch(),
        }
    }

    /// Whether nothing keeps the group but its offsets.
    pub(super) fn is_unused(&self) -> bool {
        match self {
            Kind::Classic(group) => group.is_unused(),
            Kind::Consumer(group) => group.is_unused(),
        }
    }

    /// Whether the group may be deleted: it has no members.
    ///
    /// # Errors
    /// `NonEmptyGroup`, or `GroupIdNotFound` for one that is no longer coordinated here.
    pub(super) fn admit_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Kind::Classic(group) if group.state() == State::Dead => Err(ErrorCode::GroupIdNotFound),
            Kind::Classic(group) if group.state() != State::Empty => Err(ErrorCode::NonEmptyGroup),
            Kind::Consumer(group) if !group.is_empty() => Err(ErrorCode::NonEmptyGroup),
            Kind::Classic(_) | Kind::Consumer(_) => Ok(()),
        }
    }

    /// Whether single offsets may be deleted: those that nobody reads on from.
    ///
    /// # Errors
    /// `NonEmptyGroup` for members that are no consumers, or `GroupIdNotFound` for a group that is no longer
    /// coordinated here.
    pub(super) fn admit_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self {
            Kind::Classic(group) if group.is_for_consumers() && group.state() != State::Dead => {
                Ok(())
            }
            Kind::Classic(_) => self.admit_delete(),
            Kind::Consumer(_) => Ok(()),
        }
    }

    /// Whether a member reads this topic.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Kind::Classic(group) => group.is_subscribed_to(topic),
            Kind::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    /// Whether offsets of these partitions may be committed under this claim.
    ///
    /// # Errors
    /// The code to answer with.
    pub(super) fn admit_commit(
        &mut self,
        at: Moment<'_>,
        claim: &Claim,
        commits: &[Commit],
    ) -> Result<(), ErrorCode> {
        match self {
            Kind::Classic(group) => group.admit_commit(at.now, claim),
            Kind::Consumer(group) => {
                let places = commits
                    .iter()
                    .map(|commit| (&*commit.topic, commit.partition));
                group.admit_commit(at, claim, places)
            }
        }
    }

    /// Whether offsets may be committed within a transaction under this claim.
    ///
    /// # Errors
    /// The code to answer with.
    pub(super) fn admit_transactional(
        &self,
        at: Moment<'_>,
        claim: &Claim,
    ) -> Result<(), ErrorCode> {
        match self {
            Kind::Classic(group) => group.admit_transactional(claim),
            Kind::Consumer(group) => group.admit_transactional(at, claim),
        }
    }

    /// Tombstones for everything that tells of the group.
    ///
    /// # Errors
    /// A text is longer than the format can say.
    pub(super) fn tombstones(&self, id: &str) -> Result<Vec<KeyValue>, EncodeError> {
        match self {
            Kind::Classic(_) => Ok(vec![records::group_record(id, None)?]),
            Kind::Consumer(group) => {
                let parts: BTreeSet<_> = group.all_parts();
                records::consumer::tombstones(id, &parts)
            }
        }
    }
}
