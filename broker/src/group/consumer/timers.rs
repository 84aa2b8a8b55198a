//! The clock of a consumer group: sessions, and the time a member has to give up, rejoin or sync.
//! Invariant: at most one wake-up is asked for at a time, the nearest. Hallway: beside step 7.

use std::sync::Arc;

use super::{ConsumerEffect, ConsumerGroup, Moment, Now};

/// A timeout from the wire as milliseconds; a negative one is none at all.
pub(super) fn positive_ms(timeout_ms: i32) -> u64 {
    u64::try_from(timeout_ms).unwrap_or(0)
}

impl ConsumerGroup {
    /// Starts a member's session anew.
    pub(super) fn renew_session(&mut self, now: Now, id: &str) {
        let default_ms = self.rules.session_timeout_ms;
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let classic = member.classic.as_ref();
        let timeout_ms = classic.map_or(default_ms, |terms| positive_ms(terms.session_timeout_ms));
        let ends = now.tick_ms.saturating_add(timeout_ms);
        member.timers.session = Some(ends);
        self.arm(ends);
    }

    pub(super) fn arm_some(&mut self, tick_ms: Option<u64>) {
        if let Some(tick_ms) = tick_ms {
            self.arm(tick_ms);
        }
    }

    /// Asks for a wake-up unless an earlier one is already on its way.
    fn arm(&mut self, tick_ms: u64) {
        if self.armed.is_none_or(|armed| tick_ms < armed) {
            self.armed = Some(tick_ms);
            self.effects.push(ConsumerEffect::WakeAt { tick_ms });
        }
    }

    /// The moment asked for by [`ConsumerEffect::WakeAt`] came: members whose time is up are out.
    pub(crate) fn wake(&mut self, at: Moment<'_>) -> Vec<ConsumerEffect> {
        let tick_ms = at.now.tick_ms;
        if self.armed.is_some_and(|armed| armed > tick_ms) {
            return Vec::new();
        }
        let due: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|member| member.timers.next().is_some_and(|ends| ends <= tick_ms))
            .map(|member| member.id.clone())
            .collect();
        // Nothing is asked for until all that is due is done: then once, for the nearest.
        self.armed = Some(0);
        for id in &due {
            if !self.downgrading {
                self.fence(at, id);
            }
        }
        self.armed = None;
        let next = self
            .members
            .iter()
            .filter_map(|member| member.timers.next())
            .min();
        self.arm_some(next);
        self.finish()
    }
}
