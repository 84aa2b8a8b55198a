//! The change between the protocols, seen from a classic group: its members are handed to a consumer
//! group, or taken over from one (KIP-848, "online migration").
//! Invariant: whoever waits in the group that ends is sent back to join. Hallway: beside step 7.

use std::sync::Arc;

use super::{
    CONSUMER_PROTOCOL_TYPE, Effect, ErrorCode, Group, Limits, Member, Now, Reason, State, Terms,
    Ticket,
};
use crate::group::consumer::ClassicView;

impl Group {
    /// Whether its members are consumers, so that a consumer group can take them over.
    pub(crate) fn is_for_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether it has no members. Callers that were only given an id do not count.
    pub(crate) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// The first ticket that this group has not used.
    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.next_ticket)
    }

    /// The members as a consumer group takes them over.
    pub(crate) fn views(&self) -> Vec<ClassicView> {
        let protocol = self.protocol_name.as_deref();
        let members = self.members.iter();
        members
            .map(|member| ClassicView {
                member_id: member.id.clone(),
                instance_id: member.instance_id.clone(),
                client: member.client.clone(),
                session_timeout_ms: member.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                protocols: member.protocols().to_vec(),
                subscription: match protocol {
                    Some(_) => member.metadata(protocol),
                    // Before the first generation none is chosen.
                    None => member
                        .protocols()
                        .first()
                        .map(|offer| offer.metadata.clone())
                        .unwrap_or_default(),
                },
                assignment: member.assignment.clone(),
            })
            .collect()
    }

    /// Ends this group: everyone who waits is told to join again.
    pub(crate) fn dissolve(&mut self, now: Now) -> Vec<Effect> {
        self.on_unload(now, ErrorCode::RebalanceInProgress);
        std::mem::take(&mut self.effects)
    }

    /// A group without members in the place of one of the other protocol.
    pub(crate) fn following(limits: Limits, now: Now, next_ticket: Ticket) -> Group {
        let mut group = Group::new(limits, now);
        group.next_ticket = next_ticket.0;
        group
    }

    /// A classic group that takes over the members of a consumer group of epoch `generation`.
    pub(crate) fn adopt(
        limits: Limits,
        now: Now,
        (generation, next_ticket): (i32, Ticket),
        members: Vec<ClassicView>,
    ) -> Group {
        let mut group = Group::following(limits, now, next_ticket);
        group.generation = generation;
        group.protocol_type = Some(Arc::from(CONSUMER_PROTOCOL_TYPE));
        group.state = State::Stable;
        for view in members {
            let terms = Terms {
                session_timeout_ms: view.session_timeout_ms,
                rebalance_timeout_ms: view.rebalance_timeout_ms,
                protocols: view.protocols,
            };
            let mut member = Member::new(view.member_id, view.instance_id, view.client, terms);
            member.assignment = view.assignment;
            member.is_new = false;
            let ends = member.renew_session(now.tick_ms);
            group.leader.get_or_insert_with(|| member.id.clone());
            group.members.insert(member);
            group.arm(ends);
        }
        group.protocol_name = group.members.vote();
        group.find_topics();
        group
    }

    /// Begins the life of an adopted group; with `rebalance` its members are called together.
    pub(crate) fn begin(&mut self, now: Now, rebalance: bool) -> Vec<Effect> {
        if rebalance {
            self.rebalance_or_complete(now, Reason::Downgraded);
        }
        std::mem::take(&mut self.effects)
    }
}
