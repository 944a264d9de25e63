//! Takes clients' requests to the leader and back, and decides when their fate is unknown.
//!
//! Every server serves every client. A request waits until a leader is known, then it is carried
//! out here or forwarded, once: a forward that gets lost is never sent again, since the first may
//! yet arrive (a client that wants that opens a session and retries). The leader remembers, per
//! server and life, the last request it took from it and ignores that one and earlier ones, so that
//! a doubled or overtaken forward is not carried out twice; the message's term, which must be the
//! leader's own, extends this over the leader's restarts, since a restarted leader of a term never
//! leads that term again.
//!
//! A write is answered when its log index is applied. If the entry applied there is the write's own
//! (index *and* term), it succeeded; if not, it certainly never will. A server that lost the
//! leadership keeps such writes waiting for exactly this. Whatever comes first of this and the time
//! limit decides: past the limit a write is [`Refusal::Uncertain`]. A forwarded write is uncertain
//! as soon as the term changes. Reads are simply refused.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::log::{Entry, Payload};
use super::message::Body;
use super::operation::{Admin, Command, Condition, Operation, Reply, Step, Write};
use super::transactions::checks_are_made_early;
use super::units::{Boot, Index, NodeId, RequestId, Term};
use super::{Core, Output, Refusal, Role};
use crate::mutations::Mutation;

/// Requests of this server's clients at once; more are refused.
pub(super) const MAX_REQUESTS: usize = 10_000;
/// Log entries that may wait to be committed; more are refused.
const MAX_UNCOMMITTED: u64 = 8_192;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A client of this server.
    Client(RequestId),
    /// A client of another server, which forwarded the request.
    Peer { from: NodeId, boot: Boot, request: RequestId },
}

/// The requests of this server's own clients, and what it took from others.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Requests for which no leader is known, oldest first.
    waiting: VecDeque<Waiting>,
    /// Requests on their way; in order of arrival and thus of their time limits.
    active: BTreeMap<RequestId, Active>,
    /// Per server, the life and number of the last forward taken from it.
    taken: BTreeMap<NodeId, (Boot, RequestId)>,
    /// For a planted bug: which steps of a transaction read, and its answer when it was appended.
    unlogged: BTreeMap<(Index, Term), (Vec<bool>, Reply)>,
}

#[derive(Debug)]
struct Waiting {
    request: RequestId,
    operation: Operation,
    arrived: Duration,
    due: Duration,
}

#[derive(Debug)]
struct Active {
    is_write: bool,
    /// The server it was forwarded to, unless it is carried out here.
    forwarded_to: Option<NodeId>,
    due: Duration,
    /// What is forwarded again if that server leads no more: nothing, but for a planted bug.
    again: Option<Operation>,
}

impl Requests {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.active.len()
    }

    /// When the next request reaches its limit.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let waiting = self.waiting.front().map(|waiting| waiting.due);
        let active = self.active.first_key_value().map(|(_, active)| active.due);
        waiting.into_iter().chain(active).min()
    }
}

impl Core {
    /// Takes a request of a client of this server.
    pub(super) fn request(
        &mut self,
        request: RequestId,
        operation: Operation,
        out: &mut Vec<Output>,
    ) {
        let Requests { waiting, active, .. } = &mut self.requests;
        if waiting.len() + active.len() >= MAX_REQUESTS {
            out.push(Output::Answer { request, result: Err(Refusal::Busy) });
            return;
        }
        if operation == Operation::Admin(Admin::Snapshot) {
            let due = self.now + self.config.request_timeout;
            let active_here = Active { is_write: true, forwarded_to: None, due, again: None };
            active.insert(request, active_here);
            self.snapshot_on_demand(Origin::Client(request), out);
            return;
        }
        if let Operation::StaleRead(query) = &operation {
            let result = Ok(self.machine.read(query, self.time()));
            out.push(Output::Answer { request, result });
            return;
        }
        let (arrived, due) = (self.now, self.now + self.config.leader_wait);
        waiting.push_back(Waiting { request, operation, arrived, due });
        self.dispatch_waiting(out);
    }

    /// Hands waiting requests to the leader, if there is one.
    pub(super) fn dispatch_waiting(&mut self, out: &mut Vec<Output>) {
        let Some(leader) = self.leader else { return };
        let forwarded_to = (leader != self.config.id).then_some(leader);
        while let Some(Waiting { request, operation, arrived, .. }) =
            self.requests.waiting.pop_front()
        {
            let is_write = operation.is_write();
            let due = arrived + self.config.request_timeout;
            let again = is_write && self.mutations.has(Mutation::ForwardSentAgain);
            let again = again.then(|| operation.clone());
            self.requests.active.insert(request, Active { is_write, forwarded_to, due, again });
            let local = forwarded_to.is_some() && self.mutations.has(Mutation::FollowerLocalRead);
            if local && let Operation::Read(query) = &operation {
                let reply = self.machine.read(query, self.time());
                self.answer(request, Ok(reply), out);
            } else if forwarded_to.is_some() {
                let body = Body::Forward { boot: self.boot, request, operation };
                self.send(leader, body, out);
            } else {
                self.carry_out(Origin::Client(request), operation, out);
            }
        }
    }

    fn carry_out(&mut self, origin: Origin, operation: Operation, out: &mut Vec<Output>) {
        match operation {
            Operation::Read(query) => self.read(origin, query, out),
            // It is never forwarded: what one server has applied no other can answer.
            Operation::StaleRead(_) => self.reply(origin, Err(Refusal::ReadFailed), out),
            Operation::Write(write) => self.write(origin, write, out),
            Operation::Admin(admin) => self.administer(origin, &admin, out),
        }
    }

    fn write(&mut self, origin: Origin, write: Arc<Write>, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else {
            self.reply(origin, Err(Refusal::Busy), out);
            return;
        };
        if leadership.transfer.is_some() {
            self.reply(origin, Err(Refusal::Changing), out);
            return;
        }
        let index = self.log.last_index().next();
        if index.0.saturating_sub(self.commit.0) > MAX_UNCOMMITTED {
            self.reply(origin, Err(Refusal::Busy), out);
            return;
        }
        let (term, time) = (self.term, self.time());
        if self.is_kept_by_early_checks(&write) {
            self.reply(origin, Ok(Reply::Nil), out);
            return;
        }
        let write = self.checked_early(write);
        let answered = self.answered_early(origin, &write, out);
        let payload = Payload::Write(Arc::clone(&write));
        self.append_to_log(Entry { index, term, time, payload }, out);
        if !answered {
            self.writes.insert((index, self.term), origin);
        }
        self.read_unlogged(index, &write);
        if self.mutations.has(Mutation::ApplyBeforeCommit) {
            self.commit_to(index, out);
        }
    }

    /// The write as it is appended. A planted bug looks at the condition of one here, and leaves it out
    /// if it holds.
    fn checked_early(&self, write: Arc<Write>) -> Arc<Write> {
        if !self.mutations.has(Mutation::ConditionCheckedEarly) {
            return write;
        }
        let Write::Plain(Command::Set { key, value, condition, expiry, get }) = &*write else {
            return write;
        };
        let Condition::Equals(expected) = condition else { return write };
        if self.machine.value(key) != Reply::Value(expected.clone()) {
            return write;
        }
        let (key, value, condition) = (key.clone(), value.clone(), Condition::Always);
        let (expiry, get) = (*expiry, *get);
        Arc::new(Write::Plain(Command::Set { key, value, condition, expiry, get }))
    }

    /// Whether a planted bug finds that a check of a transaction does not hold, and does not append it; one
    /// whose checks hold here is carried out whatever they would say later.
    fn is_kept_by_early_checks(&self, write: &Write) -> bool {
        checks_are_made_early(self.mutations)
            && steps_of(write).is_some_and(|steps| !self.machine.checks_hold(steps))
    }

    /// Keeps what the reads of a transaction show here and now, to be its answer: a planted bug.
    fn read_unlogged(&mut self, index: Index, write: &Write) {
        if !self.mutations.has(Mutation::TransactionReadsUnlogged) {
            return;
        }
        let Some(steps) = steps_of(write) else { return };
        let reply = self.machine.clone().transact(steps);
        let reads = steps.iter().map(|step| matches!(step, Step::Read(_))).collect();
        self.requests.unlogged.insert((index, self.term), (reads, reply));
    }

    /// The answer to the entry of `term` at `index`, with what a planted bug kept for it.
    fn with_unlogged(&mut self, index: Index, term: Term, reply: &Reply) -> Reply {
        let kept = self.requests.unlogged.remove(&(index, term));
        match (reply, kept) {
            (Reply::Several(applied), Some((reads, Reply::Several(read)))) => {
                let choose = |((is_read, read), applied): ((&bool, &Reply), &Reply)| {
                    if *is_read { read.clone() } else { applied.clone() }
                };
                Reply::Several(reads.iter().zip(&read).zip(applied).map(choose).collect())
            }
            _ => reply.clone(),
        }
    }

    /// Answers a transaction that nobody else has yet: a planted bug. Says whether it did.
    fn answered_early(&mut self, origin: Origin, write: &Write, out: &mut Vec<Output>) -> bool {
        let Some(steps) = steps_of(write) else { return false };
        if !self.mutations.has(Mutation::TransactionAnsweredEarly) {
            return false;
        }
        let reply = self.machine.clone().transact(steps);
        self.reply(origin, Ok(reply), out);
        true
    }

    /// Answers those who waited for a log index, now that the entry of `term` was applied there.
    pub(super) fn settle_writes(
        &mut self,
        index: Index,
        term: Term,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) {
        while let Some(first) = self.writes.first_entry() {
            let (waited_index, waited_term) = *first.key();
            if waited_index > index {
                break;
            }
            let origin = first.remove();
            let same_term = waited_term == term || self.mutations.has(Mutation::ReplyByIndexOnly);
            let own = waited_index == index && same_term;
            let result = if own {
                Ok(self.with_unlogged(waited_index, waited_term, reply))
            } else {
                Err(Refusal::Dropped)
            };
            self.reply(origin, result, out);
        }
    }

    /// Says of the writes up to an index that their fate is unknown: a snapshot does not tell which
    /// entries made it.
    pub(super) fn lose_writes_until(&mut self, index: Index, out: &mut Vec<Output>) {
        while let Some(first) = self.writes.first_entry()
            && first.key().0 <= index
        {
            let origin = first.remove();
            self.reply(origin, Err(Refusal::Uncertain), out);
        }
    }

    /// Says of the writes after an index that their fate is unknown.
    pub(super) fn lose_writes_after(&mut self, index: Index, out: &mut Vec<Output>) {
        for origin in self.writes.split_off(&(index.next(), Term(0))).into_values() {
            self.reply(origin, Err(Refusal::Uncertain), out);
        }
    }

    /// Says of all writes that they did not happen: a planted bug, since they may yet.
    pub(super) fn refuse_writes(&mut self, out: &mut Vec<Output>) {
        for origin in std::mem::take(&mut self.writes).into_values() {
            self.reply(origin, Err(Refusal::NoLeader), out);
        }
    }

    /// Answers a request, wherever its client is.
    pub(super) fn reply(
        &mut self,
        origin: Origin,
        result: Result<Reply, Refusal>,
        out: &mut Vec<Output>,
    ) {
        match origin {
            Origin::Client(request) => self.answer(request, result, out),
            Origin::Peer { from, boot, request } => {
                self.send(from, Body::Answer { boot, request, result }, out);
            }
        }
    }

    /// Answers a client of this server, unless it was answered before.
    fn answer(
        &mut self,
        request: RequestId,
        result: Result<Reply, Refusal>,
        out: &mut Vec<Output>,
    ) {
        if self.requests.active.remove(&request).is_some() {
            out.push(Output::Answer { request, result });
        }
    }

    /// Takes a request that another server forwarded in the belief that this one leads `term`.
    pub(super) fn receive_forward(
        &mut self,
        origin: Origin,
        term: Term,
        operation: Operation,
        out: &mut Vec<Output>,
    ) {
        let Origin::Peer { from, boot, request } = origin else { return };
        let last = self.requests.taken.get(&from);
        if last.is_some_and(|last| *last >= (boot, request)) {
            return;
        }
        self.requests.taken.insert(from, (boot, request));
        if term == self.term && matches!(self.role, Role::Leader(_)) {
            self.carry_out(origin, operation, out);
        } else {
            // Not even this is definite for a write: an earlier life of this server may have taken
            // a copy of the same message.
            self.reply(origin, Err(Refusal::lost(operation.is_write())), out);
        }
    }

    /// Takes the answer to a request that this server, in this life, forwarded to `from`.
    pub(super) fn receive_answer(
        &mut self,
        from: NodeId,
        boot: Boot,
        request: RequestId,
        result: Result<Reply, Refusal>,
        out: &mut Vec<Output>,
    ) {
        let active = self.requests.active.get(&request);
        let ours = active.is_some_and(|active| active.forwarded_to == Some(from));
        if boot == self.boot && ours {
            self.answer(request, result, out);
        }
    }

    /// Refuses a request whose forward never left this server.
    pub(super) fn undeliverable(&mut self, request: RequestId, out: &mut Vec<Output>) {
        let active = self.requests.active.get(&request);
        if active.is_some_and(|active| active.forwarded_to.is_some()) {
            self.answer(request, Err(Refusal::NoLeader), out);
        }
    }

    /// Gives up on forwarded requests, since the leader they went to leads no more.
    pub(super) fn abandon_forwards(&mut self, out: &mut Vec<Output>) {
        self.forward_again();
        self.requests.active.retain(|request, active| {
            let lost = active.forwarded_to.is_some();
            if lost {
                let result = Err(Refusal::lost(active.is_write));
                out.push(Output::Answer { request: *request, result });
            }
            !lost
        });
    }

    /// Has what is to be forwarded again wait for the next leader, whatever came of it. Without a planted
    /// bug there is nothing.
    fn forward_again(&mut self) {
        let (arrived, due) = (self.now, self.now + self.config.leader_wait);
        let Requests { waiting, active, .. } = &mut self.requests;
        active.retain(|request, forwarded| {
            let Some(operation) = forwarded.again.take() else { return true };
            waiting.push_back(Waiting { request: *request, operation, arrived, due });
            false
        });
    }

    /// Refuses requests that reached their limit.
    pub(super) fn expire_requests(&mut self, out: &mut Vec<Output>) {
        self.expire_reads(out);
        let now = self.now;
        while let Some(waiting) = self.requests.waiting.pop_front_if(|waiting| waiting.due <= now) {
            let result = Err(Refusal::NoLeader);
            out.push(Output::Answer { request: waiting.request, result });
        }
        while let Some(first) = self.requests.active.first_entry() {
            if first.get().due > now {
                break;
            }
            let (request, active) = first.remove_entry();
            let result = Err(Refusal::lost(active.is_write));
            out.push(Output::Answer { request, result });
        }
    }
}

/// The steps of a write that is a transaction.
fn steps_of(write: &Write) -> Option<&[Step]> {
    match write {
        Write::Plain(Command::Transaction { steps })
        | Write::Once { command: Command::Transaction { steps }, .. } => Some(steps),
        _ => None,
    }
}
