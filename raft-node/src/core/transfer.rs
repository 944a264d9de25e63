//! Hands the leadership to a chosen server (thesis §3.10).
//!
//! The leader takes no more writes, brings the successor's log up to its own, and tells it to stand
//! for election at once; the others hear that candidate although they just heard the leader. If
//! there is no newer term within an election timeout, the leader goes on as before.

use std::time::Duration;

use super::message::Body;
use super::requests::Origin;
use super::units::NodeId;
use super::{Change, Core, Output, Refusal, Reply, Role};
use crate::mutations::Mutation;

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    to: NodeId,
    /// When to go on as before.
    due: Duration,
    /// Whether the successor was told.
    told: bool,
    origin: Origin,
}

impl Core {
    /// Begins a transfer to a voter, or to the one that lags least.
    pub(super) fn begin_transfer(
        &mut self,
        origin: Origin,
        to: Option<NodeId>,
        out: &mut Vec<Output>,
    ) {
        let Role::Leader(leadership) = &self.role else { return };
        if leadership.transfer.is_some() {
            self.reply(origin, Err(Refusal::Changing), out);
            return;
        }
        let voters = &self.configuration().voters;
        let Some(to) = to.or_else(|| leadership.most_advanced(voters)) else {
            self.reply(origin, Err(Refusal::NotPossible), out);
            return;
        };
        if to == self.config.id {
            self.reply(origin, Ok(Reply::Ok), out);
        } else if !voters.contains(&to) {
            self.reply(origin, Err(Refusal::NotPossible), out);
        } else {
            let due = self.now + *self.config.election_timeout.end();
            self.changed(Change::TransfersLeadership { to }, out);
            let Role::Leader(leadership) = &mut self.role else { return };
            leadership.transfer = Some(Transfer { to, due, told: false, origin });
        }
    }

    /// Whether nobody looks at the log of whom the leader chose to follow it.
    pub(super) fn trusts_successors(&self) -> bool {
        self.mutations.has(Mutation::SuccessorUnchecked)
    }

    /// Goes on with a transfer: tells the successor once it has everything, or gives up.
    pub(super) fn advance_transfer(&mut self, out: &mut Vec<Output>) {
        let (last, now) = (self.log.last_index(), self.now);
        let unchecked = self.trusts_successors();
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(transfer) = &mut leadership.transfer else { return };
        let to = transfer.to;
        if now >= transfer.due {
            if let Some(transfer) = leadership.transfer.take() {
                self.end_transfer(&transfer, false, out);
            }
        } else if !transfer.told
            && (unchecked || leadership.followers.get(&to).is_some_and(|p| p.matched == last))
        {
            transfer.told = true;
            leadership.yielded = true;
            self.send(to, Body::TimeoutNow, out);
        }
    }

    /// Answers the client that asked for a transfer.
    pub(super) fn end_transfer(&mut self, transfer: &Transfer, led: bool, out: &mut Vec<Output>) {
        let done = led && transfer.told;
        let result = if done { Ok(Reply::Ok) } else { Err(Refusal::Uncertain) };
        self.reply(transfer.origin, result, out);
    }
}
