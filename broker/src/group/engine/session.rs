//! Heartbeats, offset commits and LeaveGroup: staying and going.
//! Invariant: only a request that proves membership (id, instance id, generation) keeps a session
//! alive. Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;

use super::{Claim, Group, Leaving, Left, Now, Reason, Reply, State, Waiter};

impl Group {
    /// Renews the member's session and says how its generation stands.
    pub(super) fn heartbeat(&mut self, now: Now, claim: &Claim) -> ErrorCode {
        if self.state == State::Dead {
            return ErrorCode::CoordinatorNotAvailable;
        }
        if let Err(error) = self.check_claim(claim) {
            return error;
        }
        self.renew_session(now, &claim.member_id);
        match self.state {
            State::PreparingRebalance { .. } => ErrorCode::RebalanceInProgress,
            // Without members no claim holds, so Empty never comes here.
            _ => ErrorCode::None,
        }
    }

    /// Whether offsets may be committed under this claim. A commit keeps the session alive as a
    /// heartbeat does.
    ///
    /// # Errors
    /// The code to answer with: the claim does not hold, or the assignment is being decided.
    pub(crate) fn admit_commit(&mut self, now: Now, claim: &Claim) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if claim.generation < 0 && self.state == State::Empty {
            // An admin tool, or a consumer that uses the group for its offsets only.
            return Ok(());
        }
        let anonymous = claim.member_id.is_empty() && claim.instance_id.is_none();
        if claim.generation < 0 && anonymous {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_claim(claim)?;
        match self.state {
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            // Before the next generation begins a member may store what it has processed.
            _ => {
                self.renew_session(now, &claim.member_id);
                Ok(())
            }
        }
    }

    /// Whether offsets may be committed within a transaction: who names no member may always, and a
    /// rebalance does not stand in the way, because the transaction is fenced by its own epoch.
    pub(crate) fn admit_transactional(&self, claim: &Claim) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let anonymous = claim.member_id.is_empty() && claim.instance_id.is_none();
        if claim.generation < 0 && (anonymous || self.state == State::Empty) {
            return Ok(());
        }
        self.check_claim(claim)
    }

    pub(super) fn on_leave(&mut self, now: Now, waiter: Waiter, members: Vec<Leaving>) {
        let mut left = Vec::with_capacity(members.len());
        for leaving in members {
            let error = self.remove_leaving(&leaving);
            left.push(Left {
                member_id: leaving.member_id,
                instance_id: leaving.instance_id,
                error,
            });
        }
        let any = left.iter().any(|member| member.error == ErrorCode::None);
        self.reply(waiter, Reply::Leave(left));
        if any {
            self.after_removal(now, Reason::MemberLeft);
        }
    }

    fn remove_leaving(&mut self, leaving: &Leaving) -> ErrorCode {
        if self.state == State::Dead {
            return ErrorCode::CoordinatorNotAvailable;
        }
        let id: Arc<str> = if leaving.member_id.is_empty() {
            // An administrator names a static member by its instance id alone.
            let named = leaving.instance_id.as_deref();
            match named.and_then(|instance_id| self.members.instance(instance_id)) {
                Some(id) => id.clone(),
                None => return ErrorCode::UnknownMemberId,
            }
        } else if self.pending_joins.contains_key(&leaving.member_id) {
            leaving.member_id.clone()
        } else {
            match self.check_member(&leaving.member_id, leaving.instance_id.as_deref()) {
                Ok(()) => leaving.member_id.clone(),
                Err(error) => return error,
            }
        };
        self.forget_member(&id);
        ErrorCode::None
    }
}
