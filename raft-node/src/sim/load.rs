//! The simulated clients: each invokes one operation at a time, on a server of its choice, and
//! writes down what it saw.
//!
//! A client with a session numbers its writes and sends one again, to any server, until it is told
//! the outcome; one without asks once. A request that may have reached a server and was not
//! answered for certain retires the process, which goes on under a new number, as in Jepsen. A read
//! has no effect, so one that was not answered simply failed.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::history::{Action, ClientEvent, Kind, Object};
use super::moment::{Moment, ms};
use super::random::{between, chance};
use super::server::Outcome;
use super::world::{Event, World};
use crate::core::operation::{Command, Failure, Query, Write};
use crate::core::units::SessionId;
use crate::core::{Operation, Reply};

/// What the clients do.
#[derive(Clone, Debug)]
pub(super) struct LoadPlan {
    pub(super) clients: u32,
    pub(super) keys: u32,
    /// The share of clients that have sessions.
    pub(super) sessions: f64,
    /// The share of operations that are reads.
    pub(super) reads: f64,
    /// Of the others on registers, the shares that compare and set, and that delete.
    pub(super) compares: f64,
    pub(super) deletes: f64,
    /// How long a client thinks between operations.
    pub(super) gap: RangeInclusive<Duration>,
    /// How long it waits for an answer.
    pub(super) patience: Duration,
    /// How often a client with a session sends an operation before it gives up.
    pub(super) attempts: u32,
    /// How long requests and answers take, and the share of either that gets lost.
    pub(super) way: RangeInclusive<Duration>,
    pub(super) loss: f64,
    /// The share of requests that arrive a second time, later.
    pub(super) duplication: f64,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self {
            clients: 4,
            keys: 3,
            sessions: 0.5,
            reads: 0.5,
            compares: 0.2,
            deletes: 0.05,
            gap: ms(1)..=ms(30),
            patience: ms(1_500),
            attempts: 12,
            way: Duration::from_micros(100)..=ms(1),
            loss: 0.0,
            duplication: 0.0,
        }
    }
}

/// The clients.
#[derive(Debug)]
pub(super) struct Load {
    plan: LoadPlan,
    clients: Vec<Client>,
    random: ChaCha8Rng,
    processes: u32,
    values: u64,
    /// Whether clients begin new operations.
    running: bool,
    /// How many operations succeeded.
    pub(super) succeeded: u64,
}

#[derive(Debug)]
struct Client {
    process: u32,
    sessions: bool,
    session: Option<SessionId>,
    sequence: u64,
    attempt: u64,
    wake: u64,
    pending: Option<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    /// None while the client opens its session.
    asked: Option<(u32, Action)>,
    operation: Operation,
    tries: u32,
    server: u32,
}

impl Load {
    pub(super) fn none(random: ChaCha8Rng) -> Self {
        Self {
            plan: LoadPlan { clients: 0, ..LoadPlan::default() },
            clients: Vec::new(),
            random,
            processes: 0,
            values: 0,
            running: false,
            succeeded: 0,
        }
    }

    /// When a message between client and server arrives, if it does.
    pub(super) fn way(&mut self, now: Moment) -> Option<Moment> {
        let lost = chance(&mut self.random, self.plan.loss);
        (!lost).then(|| now.plus(between(&mut self.random, &self.plan.way)))
    }

    fn new_process(&mut self) -> u32 {
        self.processes += 1;
        self.processes - 1
    }

    /// Whether no client waits for an answer.
    fn idle(&self) -> bool {
        self.clients.iter().all(|client| client.pending.is_none())
    }

    pub(super) fn plan_mut(&mut self) -> &mut LoadPlan {
        &mut self.plan
    }

    fn fresh_value(&mut self) -> Bytes {
        self.values += 1;
        Bytes::from(self.values.to_string())
    }

    /// Draws what to do next and to which key.
    fn draw(&mut self, object: Object) -> (u32, Action) {
        let key = self.random.random_range(0..self.plan.keys.max(1));
        if chance(&mut self.random, self.plan.reads) {
            return (key, Action::Read(None));
        }
        if object == Object::Text {
            let mut suffix = self.fresh_value().to_vec();
            suffix.push(b',');
            return (key, Action::Append(Bytes::from(suffix)));
        }
        if chance(&mut self.random, self.plan.deletes) {
            return (key, Action::Delete);
        }
        if self.values > 0 && chance(&mut self.random, self.plan.compares) {
            // A recent value, which the key may hold.
            let back = self.random.random_range(0..self.values.min(6));
            let expected = Bytes::from((self.values - back).to_string());
            return (key, Action::CompareAndSet(expected, self.fresh_value()));
        }
        (key, Action::Write(self.fresh_value()))
    }
}

/// Whether a write may be sent twice.
fn is_once(write: &Write) -> bool {
    matches!(write, Write::Once { .. })
}

/// The name of a key.
pub(super) fn key(number: u32) -> Bytes {
    const FIRST: [&[u8]; 8] = [b"k0", b"k1", b"k2", b"k3", b"k4", b"k5", b"k6", b"k7"];
    match FIRST.get(number as usize) {
        Some(name) => Bytes::from_static(name),
        None => Bytes::from(format!("k{number}")),
    }
}

/// The command that an action is; none if it reads.
pub(super) fn command(number: u32, action: &Action) -> Option<Command> {
    let key = key(number);
    match action {
        Action::Read(_) => None,
        Action::Write(value) => Some(Command::set(key, value.clone())),
        Action::CompareAndSet(expected, value) => {
            Some(Command::compare_and_set(key, expected.clone(), value.clone()))
        }
        Action::Append(suffix) => Some(Command::Append { key, suffix: suffix.clone() }),
        Action::Delete => Some(Command::Delete { keys: vec![key] }),
    }
}

impl World {
    /// Lets clients begin.
    pub(super) fn start_load(&mut self, plan: LoadPlan) {
        let load = &mut self.load;
        load.running = true;
        for number in 0..plan.clients {
            let process = load.new_process();
            load.clients.push(Client {
                process,
                sessions: chance(&mut load.random, plan.sessions),
                session: None,
                sequence: 0,
                attempt: 0,
                wake: 1,
                pending: None,
            });
            let at = self.now.plus(between(&mut load.random, &plan.gap));
            let client = load.clients.len() as u32 - 1;
            debug_assert!(client >= number, "clients are only added");
            self.queue.push(at, Event::Wake { client, wake: 1 });
        }
        load.plan = plan;
    }

    /// Lets clients finish what they began, and begin nothing new.
    pub(super) fn stop_load(&mut self) {
        self.load.running = false;
        self.mixed.stop();
    }

    /// Whether every client has had its answer or given up.
    pub(super) fn load_is_idle(&self) -> bool {
        self.load.idle() && self.mixed.is_idle()
    }

    pub(super) fn client_wakes(&mut self, client: u32, wake: u64) {
        let state = &self.load.clients[client as usize];
        if state.wake != wake {
            return;
        }
        if state.pending.is_some() {
            self.client_goes_on(client, None);
        } else if self.load.running {
            self.client_begins(client);
        }
    }

    fn client_begins(&mut self, client: u32) {
        let object = self.history.object;
        let state = &self.load.clients[client as usize];
        if state.sessions && state.session.is_none() {
            let operation = Operation::from(Write::OpenSession);
            self.client_asks(client, Pending { asked: None, operation, tries: 0, server: 0 });
            return;
        }
        let (number, action) = self.load.draw(object);
        let state = &mut self.load.clients[client as usize];
        let operation = match (command(number, &action), state.session) {
            (None, _) => Operation::Read(Query::Value(key(number))),
            (Some(command), None) => Operation::from(Write::Plain(command)),
            (Some(command), Some(session)) => {
                state.sequence += 1;
                Operation::from(Write::Once { session, sequence: state.sequence, command })
            }
        };
        let asked = Some((number, action.clone()));
        self.client_asks(client, Pending { asked, operation, tries: 0, server: 0 });
    }

    /// Sends a request to some server, for the first time or again.
    fn client_asks(&mut self, client: u32, mut pending: Pending) {
        let servers = self.servers.len();
        let load = &mut self.load;
        pending.server = load.random.random_range(0..servers) as u32;
        pending.tries += 1;
        let state = &mut load.clients[client as usize];
        state.attempt += 1;
        state.wake += 1;
        let (attempt, wake, process) = (state.attempt, state.wake, state.process);
        let (server, operation) = (pending.server as usize, pending.operation.clone());
        if pending.tries == 1
            && let Some((number, action)) = pending.asked.clone()
        {
            self.record(process, pending.server, Kind::Invoke, (number, action), None);
        }
        let load = &mut self.load;
        load.clients[client as usize].pending = Some(pending);
        // TCP does not double a request; only a client with a session may send one twice.
        let alone = matches!(&operation, Operation::Write(write) if !is_once(write));
        let doubled = !alone && chance(&mut load.random, load.plan.duplication);
        let copies = 1 + u32::from(doubled);
        for _ in 0..copies {
            if let Some(at) = load.way(self.now) {
                let operation = operation.clone();
                self.queue.push(at, Event::Request { server, client, attempt, operation });
            }
        }
        let patience = self.now.plus(load.plan.patience);
        self.queue.push(patience, Event::Wake { client, wake });
    }

    pub(super) fn client_hears(&mut self, client: u32, attempt: u64, outcome: Option<Outcome>) {
        let state = &self.load.clients[client as usize];
        if state.attempt == attempt && state.pending.is_some() {
            // A server that was not there certainly did nothing.
            let outcome = outcome.unwrap_or(Err(crate::core::Refusal::NoLeader));
            self.client_goes_on(client, Some(outcome));
        }
    }

    /// A client has an answer, or none came in time.
    fn client_goes_on(&mut self, client: u32, outcome: Option<Outcome>) {
        let attempts = self.load.plan.attempts;
        let state = &mut self.load.clients[client as usize];
        let Some(pending) = state.pending.take() else { return };
        let (process, server) = (state.process, pending.server);
        let Some(asked) = pending.asked.clone() else {
            if let Some(Ok(Reply::Integer(number))) = outcome {
                state.session = u64::try_from(number).ok().map(SessionId);
                state.sequence = 0;
            }
            self.client_rests(client);
            return;
        };
        let in_session = matches!(&pending.operation, Operation::Write(write) if is_once(write));
        let done = matches!(&outcome, Some(Ok(reply)) if !is_session_failure(reply));
        // In a session a refusal, too, speaks of one attempt only.
        if in_session && !done && pending.tries < attempts && !has_session_failure(&outcome) {
            self.client_asks(client, pending);
            return;
        }
        let (kind, asked, saw) = conclude(asked, outcome, in_session && pending.tries > 1);
        self.load.succeeded += u64::from(kind == Kind::Ok);
        self.record(process, server, kind, asked, saw);
        let fresh = if kind == Kind::Info { Some(self.load.new_process()) } else { None };
        let state = &mut self.load.clients[client as usize];
        if let Some(process) = fresh {
            state.process = process;
        }
        if in_session && !done {
            state.session = None;
        }
        self.client_rests(client);
    }

    fn client_rests(&mut self, client: u32) {
        let load = &mut self.load;
        let state = &mut load.clients[client as usize];
        state.wake += 1;
        let wake = state.wake;
        let at = self.now.plus(between(&mut load.random, &load.plan.gap));
        self.queue.push(at, Event::Wake { client, wake });
    }

    /// Adds an event to the history.
    pub(super) fn record(
        &mut self,
        process: u32,
        server: u32,
        kind: Kind,
        (key, action): (u32, Action),
        saw: Option<Option<Bytes>>,
    ) {
        let number = u64::from(process) << 8 | kind as u64;
        self.trace.mix(&[self.now.0, 5, number, u64::from(key)]);
        let server = server + 1;
        if self.trace.wants_lines() {
            let asks = format_args!("client {process} k{key} {action:?} at {server}: {kind:?}");
            self.trace.line(self.now, asks);
        }
        let event = ClientEvent { at: self.now, process, server, kind, key, action, saw };
        self.history.events.push(event);
    }

    /// A process number that no client has.
    pub(super) fn spare_process(&mut self) -> u32 {
        self.load.new_process()
    }
}

fn is_session_failure(reply: &Reply) -> bool {
    matches!(reply, Reply::Failure(Failure::NoSession | Failure::StaleSequence))
}

fn has_session_failure(outcome: &Option<Outcome>) -> bool {
    matches!(outcome, Some(Ok(reply)) if is_session_failure(reply))
}

/// What an outcome says of an operation.
pub(super) fn conclude(
    (key, action): (u32, Action),
    outcome: Option<Outcome>,
    tried_before: bool,
) -> (Kind, (u32, Action), Option<Option<Bytes>>) {
    let seen = |reply: Reply| match reply {
        Reply::Value(value) => Some(value),
        _ => None,
    };
    match (action, outcome) {
        (Action::Read(_), Some(Ok(reply))) => (Kind::Ok, (key, Action::Read(seen(reply))), None),
        (Action::Read(_), _) => (Kind::Fail, (key, Action::Read(None)), None),
        (action, Some(Ok(Reply::Failure(_)))) if tried_before => (Kind::Info, (key, action), None),
        (action, Some(Ok(Reply::Failure(_)))) => (Kind::Fail, (key, action), None),
        (Action::CompareAndSet(expected, new), Some(Ok(reply))) => {
            let found = seen(reply);
            let saw = (found.as_ref() != Some(&expected)).then_some(found);
            (Kind::Ok, (key, Action::CompareAndSet(expected, new)), saw)
        }
        (action, Some(Ok(_))) => (Kind::Ok, (key, action), None),
        (action, Some(Err(refusal))) if refusal.is_definite() && !tried_before => {
            (Kind::Fail, (key, action), None)
        }
        (action, _) => (Kind::Info, (key, action), None),
    }
}
