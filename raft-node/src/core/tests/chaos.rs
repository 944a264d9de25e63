//! Random faults, random clients: is what the clients saw linearizable?
//!
//! Clients append unique tokens to one key and read it. A read shows the whole order of the tokens,
//! so that linearizability needs no search: every operation's place in the final list is known, and
//! must agree with real time.

use std::time::Duration;

use rand::RngExt;

use super::super::network::{Network, Outcome, Ticket, append, append_command, ms, once, read};
use super::super::operation::{Operation, Reply, Write};
use super::super::refusal::Refusal;
use super::super::units::{NodeId, SessionId};
use super::super::{Admin, Compaction, Lease};
use crate::mutations::Mutations;

/// One client's operation, as the client saw it.
#[derive(Debug)]
struct Event {
    /// The token appended; none for a read.
    token: Option<String>,
    invoked: Duration,
    /// When it was answered and what; for good only if the outcome is known.
    returned: Option<(Duration, Outcome)>,
}

/// What all clients saw, and the list in the end.
#[derive(Debug, Default)]
pub(super) struct History {
    events: Vec<Event>,
    list: Vec<String>,
}

struct Client {
    session: Option<SessionId>,
    sequence: u64,
    pending: Option<Pending>,
}

struct Pending {
    event: usize,
    ticket: Ticket,
    operation: Operation,
    /// When the client gives up on a server that never answers.
    deadline: Duration,
}

/// Runs a cluster with random faults for some virtual seconds.
pub(super) fn history(seed: u64, mutations: Mutations) -> History {
    let size = if seed.is_multiple_of(2) { 3 } else { 5 };
    let mut network = Network::configured(size, seed, |config| {
        config.mutations = mutations;
        if !seed.is_multiple_of(3) {
            config.compaction = Compaction { log_bytes: 3000, keep_entries: 3, chunk_bytes: 999 };
        }
        config.lease = seed.is_multiple_of(5).then_some(Lease::ORDINARY);
    });
    network.disk_ms = seed % 4 * 8;
    network.elect(None);
    let mut run = Run { network, history: History::default(), clients: Vec::new() };
    for client in 0..6 {
        run.open_client(client % 2 == 0);
    }
    for _ in 0..120 {
        run.fault();
        for _ in 0..5 {
            run.network.run(ms(20));
            run.clients_go_on();
        }
    }
    run.finish()
}

struct Run {
    network: Network,
    history: History,
    clients: Vec<Client>,
}

impl Run {
    fn open_client(&mut self, with_session: bool) {
        let mut session = None;
        if with_session {
            let leader = self.network.elect(None);
            let opened = self.network.call(leader, Operation::Write(Write::OpenSession));
            let Ok(Reply::Integer(number)) = opened else { panic!("{opened:?}") };
            session = Some(SessionId(u64::try_from(number).expect("positive")));
        }
        self.clients.push(Client { session, sequence: 0, pending: None });
    }

    fn pick(&mut self) -> NodeId {
        let ids = self.network.ids();
        ids[self.network.random.random_range(0..ids.len())]
    }

    fn fault(&mut self) {
        let (one, other) = (self.pick(), self.pick());
        let network = &mut self.network;
        match network.random.random_range(0..16) {
            0 => network.isolate(one),
            1 => network.cut(one, other),
            2 => {
                if let Some(leader) = network.leader() {
                    network.isolate(leader);
                }
            }
            3 if network.is_up(one) => network.crash(one),
            4 => network.pause(one),
            5 => network.loss = 0.1,
            6 => network.duplication = 0.3,
            7 => network.delay_ms = 120,
            8 => (network.loss, network.duplication, network.delay_ms) = (0.0, 0.0, 5),
            9 | 10 => network.heal(),
            11 => self.administer(one, other),
            _ => self.mend_servers(),
        }
    }

    /// Lets a server hand over, go, or come back; nobody waits for it.
    fn administer(&mut self, at: NodeId, server: NodeId) {
        let address = "here".into();
        let admin = match self.network.random.random_range(0..4) {
            0 => Admin::Transfer { to: None },
            1 => Admin::Remove { id: server },
            _ => Admin::Add { id: server, address },
        };
        if self.network.is_up(at) {
            self.network.submit(at, Operation::Admin(admin));
        }
    }

    fn mend_servers(&mut self) {
        for server in self.network.ids() {
            if self.network.is_up(server) {
                self.network.resume(server);
            } else {
                self.network.restart(server);
            }
        }
    }

    fn clients_go_on(&mut self) {
        for number in 0..self.clients.len() {
            self.collect(number);
            if self.clients[number].pending.is_none() {
                self.begin(number);
            }
        }
    }

    /// Looks for the answer of a client's pending operation.
    fn collect(&mut self, number: usize) {
        let Some(pending) = self.clients[number].pending.take() else { return };
        let answer = self.network.outcomes.get(&pending.ticket).cloned();
        let gave_up = answer.is_none() && self.network.now >= pending.deadline;
        if answer.is_none() && !gave_up {
            self.clients[number].pending = Some(pending);
            return;
        }
        let unknown = gave_up || matches!(answer, Some((_, Err(Refusal::Uncertain))));
        let in_session = matches!(pending.operation, Operation::Write(Write::Once { .. }));
        // In a session a definite refusal, too, speaks of one attempt only: go on until it is done.
        let refused = matches!(answer, Some((_, Err(_))));
        if in_session && (unknown || refused) {
            self.attempt(number, pending.event, pending.operation);
        } else if !unknown {
            self.history.events[pending.event].returned = answer;
        }
    }

    fn begin(&mut self, number: usize) {
        let invoked = self.network.now;
        let event = self.history.events.len();
        let writes = self.network.random.random_bool(0.5);
        let token = writes.then(|| format!("{event}"));
        let client = &mut self.clients[number];
        let operation = match (&token, client.session) {
            (None, _) => read("list"),
            (Some(token), None) => append(&format!("{token},")),
            (Some(token), Some(session)) => {
                client.sequence += 1;
                once(session, client.sequence, append_command(&format!("{token},")))
            }
        };
        self.history.events.push(Event { token, invoked, returned: None });
        self.attempt(number, event, operation);
    }

    fn attempt(&mut self, number: usize, event: usize, operation: Operation) {
        let server = self.pick();
        let ticket = self.network.submit(server, operation.clone());
        let deadline = self.network.now + ms(1500);
        self.clients[number].pending = Some(Pending { event, ticket, operation, deadline });
    }

    /// Heals everything, lets the sessions' retries end, and reads the list through every server.
    fn finish(mut self) -> History {
        self.network.heal();
        (self.network.loss, self.network.duplication, self.network.delay_ms) = (0.0, 0.0, 5);
        self.mend_servers();
        self.network.run(ms(3000));
        for _ in 0..20 {
            self.network.run(ms(1000));
            for number in 0..self.clients.len() {
                self.collect(number);
            }
        }
        for server in self.network.ids() {
            let invoked = self.network.now;
            let outcome = self.network.call(server, read("list"));
            // A server that was removed hears of no leader.
            if outcome.is_ok() {
                self.history.list = tokens(&outcome);
            }
            let returned = Some((self.network.now, outcome));
            self.history.events.push(Event { token: None, invoked, returned });
        }
        self.history
    }
}

fn tokens(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Ok(Reply::Value(list)) => {
            let list = String::from_utf8(list.to_vec()).expect("text");
            list.split_terminator(',').map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

impl History {
    /// Why the history is not linearizable, if it is not.
    pub(super) fn violation(&self) -> Option<String> {
        let mut unique = self.list.clone();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() != self.list.len() {
            return Some("a token was appended twice".to_owned());
        }
        // The operation's place: after how many tokens the list stood just after it.
        let mut placed = Vec::new();
        for event in &self.events {
            match self.place(event) {
                Ok(Some(place)) => placed.push((event, place)),
                Ok(None) => {}
                Err(violation) => return Some(violation),
            }
        }
        for (first, before) in &placed {
            let Some((returned, _)) = first.returned else { continue };
            for (second, after) in placed.iter().filter(|(second, _)| second.invoked > returned) {
                let least = before + usize::from(second.token.is_some());
                if *after < least {
                    return Some(format!("{first:?} at {before}, then {second:?} at {after}"));
                }
            }
        }
        None
    }

    fn place(&self, event: &Event) -> Result<Option<usize>, String> {
        let outcome = event.returned.as_ref().map(|(_, outcome)| outcome);
        let Some(token) = &event.token else {
            let Some(outcome @ Ok(_)) = outcome else { return Ok(None) };
            let seen = tokens(outcome);
            return match self.list.starts_with(&seen) {
                true => Ok(Some(seen.len())),
                false => Err(format!("{event:?} is no prefix of the list")),
            };
        };
        let place = self.list.iter().position(|other| other == token).map(|at| at + 1);
        match outcome {
            Some(Ok(_)) if place.is_none() => Err(format!("{event:?} was lost")),
            Some(Err(_)) if place.is_some() => Err(format!("{event:?} was refused, yet happened")),
            _ => Ok(place),
        }
    }

    fn succeeded(&self) -> usize {
        let ok = |event: &&Event| matches!(event.returned, Some((_, Ok(_))));
        self.events.iter().filter(ok).count()
    }
}

#[test]
fn history_under_random_faults_is_linearizable() {
    let mut succeeded = 0;
    for seed in 0..60 {
        let history = history(seed, Mutations::default());
        assert_eq!(history.violation(), None, "seed {seed}");
        succeeded += history.succeeded();
    }
    assert!(succeeded > 60 * 100, "only {succeeded} operations succeeded");
}

#[test]
fn same_seed_gives_the_same_history() {
    let text = |seed| format!("{:?}", history(seed, Mutations::default()));
    assert_eq!(text(11), text(11));
    assert_ne!(text(11), text(13));
}
