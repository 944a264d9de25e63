//! Clients of lists, sets, counters, locks and transactions, beside those of the history: each has a
//! session, sends what was not answered again, and knows what the answers must be.
//!
//! Their operations are not in the history. A [`Ledger`] holds what they were told, and what they
//! were not: that no element of a list comes up twice or gets lost, that a member of a set is there
//! if it was added and not removed, that two keys which only transactions change are never seen
//! apart, that a lock has one owner. The state they leave takes part in the comparison of servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::failure::Property;
use super::lab::Done;
use super::moment::{Moment, ms, secs};
use super::random::{between, chance};
use super::server::Outcome;
use super::world::{Event, World};
use crate::core::operation::{
    Command, Condition, End, Expiry, Failure as StoreFailure, Query, Step, Write,
};
use crate::core::units::SessionId;
use crate::core::{Operation, Reply};

/// The first number of these clients; those of the history have smaller ones.
pub(super) const FIRST: u32 = 1 << 16;
/// How often an operation is sent before its outcome stays unknown.
const ATTEMPTS: u32 = 12;
const PATIENCE: Duration = ms(1_500);
/// The share of requests, and of answers, that get lost.
const LOSS: f64 = 0.03;

const LIST: Bytes = Bytes::from_static(b"mixed list");
const SET: Bytes = Bytes::from_static(b"mixed set");
const LOCK: Bytes = Bytes::from_static(b"mixed lock");
const PAIR: [Bytes; 2] = [Bytes::from_static(b"mixed a"), Bytes::from_static(b"mixed b")];

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Open,
    Push(Bytes),
    Pop,
    Add(Bytes),
    Remove(Bytes),
    /// Adds one to both keys and reads them.
    Both,
    /// The same, if the first still holds what this client has seen.
    Checked(Bytes),
    Acquire(Bytes),
    Release(Bytes),
}

impl Action {
    fn command(&self) -> Option<Command> {
        Some(match self.clone() {
            Self::Open => return None,
            Self::Push(token) => Command::Push { key: LIST, end: End::Back, elements: vec![token] },
            Self::Pop => Command::Pop { key: LIST, end: End::Front, count: None },
            Self::Add(token) => Command::AddMembers { key: SET, members: vec![token] },
            Self::Remove(token) => Command::RemoveMembers { key: SET, members: vec![token] },
            Self::Both => Command::Transaction { steps: both().into() },
            Self::Checked(seen) => {
                let check = Step::Check { key: PAIR[0].clone(), expected: Some(seen) };
                let steps = [check].into_iter().chain(both()).collect();
                Command::Transaction { steps }
            }
            Self::Acquire(owner) => Command::Set {
                key: LOCK,
                value: owner,
                condition: Condition::Missing,
                expiry: Expiry::Never,
                get: false,
            },
            Self::Release(owner) => Command::DeleteIf { key: LOCK, value: owner, equal: true },
        })
    }
}

/// The steps that add one to both keys and read them.
fn both() -> [Step; 3] {
    let add = |key| Step::Write(Command::Add { key, amount: 1 });
    let [a, b] = PAIR;
    [add(a), Step::Read(Query::Values(PAIR.into())), add(b)]
}

#[derive(Debug, Default)]
struct Client {
    session: Option<SessionId>,
    sequence: u64,
    attempt: u64,
    wake: u64,
    /// What is under way, and how often it was sent.
    pending: Option<(Action, u32)>,
    /// The member of the set, and the lock, that are this client's.
    member: Option<Bytes>,
    owns: Option<Bytes>,
    /// What the first of both keys held when this client last saw it.
    seen: Option<Bytes>,
}

/// The clients.
#[derive(Debug)]
pub(super) struct Mixed {
    clients: Vec<Client>,
    ledger: Ledger,
    random: ChaCha8Rng,
    tokens: u64,
    running: bool,
    /// How many operations were answered.
    pub(super) succeeded: u64,
}

impl Mixed {
    pub(super) fn none(random: ChaCha8Rng) -> Self {
        let (clients, ledger) = (Vec::new(), Ledger::default());
        Self { clients, ledger, random, tokens: 0, running: false, succeeded: 0 }
    }

    /// When a message between client and server arrives, if it does.
    pub(super) fn way(&mut self, now: Moment) -> Option<Moment> {
        let lost = self.running && chance(&mut self.random, LOSS);
        (!lost).then(|| now.plus(between(&mut self.random, &(ms(0)..=ms(1)))))
    }

    /// How many of these clients a random run has.
    pub(super) fn draw_clients(&mut self) -> usize {
        [0, 0, 1, 3][self.random.random_range(0..4)]
    }

    pub(super) fn stop(&mut self) {
        self.running = false;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.clients.iter().all(|client| client.pending.is_none())
    }

    fn token(&mut self) -> Bytes {
        self.tokens += 1;
        Bytes::from(format!("t{}", self.tokens))
    }

    /// Draws what a client does next.
    fn draw(&mut self, client: usize) -> Action {
        let state = &self.clients[client];
        if state.session.is_none() {
            return Action::Open;
        }
        if let Some(owner) = &state.owns {
            return Action::Release(owner.clone());
        }
        match (self.random.random_range(0..6), state.member.clone()) {
            (0, _) => Action::Push(self.token()),
            (1, _) => Action::Pop,
            (2 | 3, Some(member)) => Action::Remove(member),
            (2 | 3, None) => Action::Add(self.token()),
            (4, _) => match self.clients[client].seen.take() {
                Some(seen) => Action::Checked(seen),
                None => Action::Both,
            },
            _ => Action::Acquire(self.token()),
        }
    }

    /// A client is done with what it did: this was the answer, or the outcome is unknown.
    fn conclude(&mut self, client: usize, action: Action, reply: Option<Reply>) -> Verdict {
        let verdict = self.ledger.take(&action, reply.as_ref());
        let state = &mut self.clients[client];
        self.succeeded += u64::from(reply.is_some());
        match (action, reply) {
            (Action::Open, Some(Reply::Integer(number))) => {
                state.session = Some(SessionId(number.cast_unsigned()));
                state.sequence = 0;
            }
            (_, None) => {
                let (attempt, wake) = (state.attempt, state.wake);
                *state = Client { attempt, wake, ..Client::default() };
            }
            (Action::Add(token), _) => state.member = Some(token),
            (Action::Remove(_), _) => state.member = None,
            (Action::Acquire(owner), Some(Reply::Ok)) => state.owns = Some(owner),
            (Action::Both | Action::Checked(_), Some(Reply::Several(replies))) => {
                state.seen = match replies.last() {
                    Some(Reply::Integer(number)) => Some(Bytes::from(number.to_string())),
                    _ => None,
                };
            }
            (Action::Release(_), _) => state.owns = None,
            _ => {}
        }
        verdict
    }
}

impl World {
    /// Lets so many of these clients begin.
    pub(super) fn start_mixed(&mut self, clients: usize) {
        self.mixed.running = true;
        for client in 0..clients {
            self.mixed.clients.push(Client::default());
            self.mixed_rests(client);
        }
    }

    fn mixed_rests(&mut self, client: usize) {
        let at = self.now.plus(between(&mut self.mixed.random, &(ms(1)..=ms(60))));
        self.mixed_wakes_at(client, at);
    }

    fn mixed_wakes_at(&mut self, client: usize, at: Moment) {
        let state = &mut self.mixed.clients[client];
        state.wake += 1;
        let wake = state.wake;
        self.queue.push(at, Event::Wake { client: number(client), wake });
    }

    pub(super) fn mixed_wakes(&mut self, client: u32, wake: u64) -> Done {
        let client = (client - FIRST) as usize;
        if self.mixed.clients[client].wake != wake {
            return Ok(());
        }
        match self.mixed.clients[client].pending.take() {
            Some((action, tries)) => self.mixed_goes_on(client, action, tries, None),
            None if self.mixed.running => {
                let action = self.mixed.draw(client);
                if let Action::Release(_) = action {
                    self.mixed.ledger.owner = None;
                }
                self.mixed.clients[client].sequence += 1;
                self.mixed_asks(client, action, 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn mixed_asks(&mut self, client: usize, action: Action, tries: u32) {
        let server = self.mixed.random.random_range(0..self.servers.len());
        let state = &mut self.mixed.clients[client];
        state.attempt += 1;
        let (attempt, sequence) = (state.attempt, state.sequence);
        let write = match (action.command(), state.session) {
            (Some(command), Some(session)) => Write::Once { session, sequence, command },
            _ => Write::OpenSession,
        };
        state.pending = Some((action, tries));
        if let Some(at) = self.mixed.way(self.now) {
            let (client, operation) = (number(client), Operation::from(write));
            self.queue.push(at, Event::Request { server, client, attempt, operation });
        }
        self.mixed_wakes_at(client, self.now.plus(PATIENCE));
    }

    pub(super) fn mixed_hears(
        &mut self,
        client: u32,
        attempt: u64,
        outcome: Option<Outcome>,
    ) -> Done {
        let client = (client - FIRST) as usize;
        let state = &mut self.mixed.clients[client];
        match state.pending.take_if(|_| state.attempt == attempt) {
            Some((action, tries)) => self.mixed_goes_on(client, action, tries, outcome),
            None => Ok(()),
        }
    }

    /// A client has an answer to an attempt, or none came in time.
    fn mixed_goes_on(
        &mut self,
        client: usize,
        action: Action,
        tries: u32,
        outcome: Option<Outcome>,
    ) -> Done {
        let reply = outcome.and_then(Result::ok);
        // A refusal speaks of one attempt only.
        if reply.is_none() && tries < ATTEMPTS {
            self.mixed_asks(client, action, tries + 1);
            return Ok(());
        }
        self.trace.line(self.now, format_args!("mixed client {client} {action:?}: {reply:?}"));
        let forgotten = Reply::Failure(StoreFailure::NoSession);
        let verdict = self.mixed.conclude(client, action, reply.filter(|r| *r != forgotten));
        self.mixed_rests(client);
        verdict.map_err(|what| self.fail(Property::ClientAnswers, what))
    }

    /// Compares what is left, through every server that runs, with what the clients were told.
    pub(super) fn check_mixed(&mut self) -> Done {
        if self.mixed.clients.is_empty() {
            return Ok(());
        }
        let steps = [
            Query::Range { key: LIST, first: 0, last: -1 },
            Query::Members(SET),
            Query::Values(PAIR.into()),
        ];
        for at in 0..self.size() {
            for query in &steps {
                if !self.servers[at].runs() {
                    continue;
                }
                let outcome = self.call(at, Operation::Read(query.clone()), secs(6))?;
                // A read that is refused says nothing.
                let Some(Ok(reply)) = outcome else { continue };
                let verdict = self.mixed.ledger.compare(query, &reply);
                verdict.map_err(|what| {
                    self.fail(Property::ClientAnswers, format!("at server {}: {what}", at + 1))
                })?;
            }
        }
        Ok(())
    }
}

fn number(client: usize) -> u32 {
    FIRST + u32::try_from(client).expect("clients are few")
}

type Verdict = Result<(), String>;

/// What the clients were told.
#[derive(Debug, Default)]
struct Ledger {
    /// Tokens that were pushed, or may have been.
    pushed: BTreeMap<Bytes, Certainty>,
    popped: BTreeSet<Bytes>,
    /// Pops whose outcome is unknown: each may have taken one.
    unknown_pops: usize,
    /// Tokens that may be members, or are to be, or are not.
    members: BTreeMap<Bytes, Membership>,
    both: u64,
    unknown_both: u64,
    /// Who certainly holds the lock.
    owner: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Done,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    In,
    Out,
    Unknown,
}

impl Ledger {
    /// Takes an answer, or that there was none, and says if it cannot be.
    fn take(&mut self, action: &Action, reply: Option<&Reply>) -> Verdict {
        let wrong = || Err(format!("{action:?} is answered {reply:?}"));
        match (action, reply) {
            (Action::Open, _) | (Action::Pop, Some(Reply::Nil)) | (Action::Release(_), None) => {}
            (Action::Acquire(_), None | Some(Reply::Nil)) => {}
            (Action::Push(token), None) => {
                self.pushed.insert(token.clone(), Certainty::Unknown);
            }
            (Action::Push(token), Some(Reply::Integer(1..))) => {
                self.pushed.insert(token.clone(), Certainty::Done);
            }
            (Action::Pop, None) => self.unknown_pops += 1,
            (Action::Pop, Some(Reply::Value(token))) => {
                if !self.popped.insert(token.clone()) {
                    return Err(format!("{} is popped twice", token.escape_ascii()));
                }
            }
            (Action::Add(token) | Action::Remove(token), None) => {
                self.members.insert(token.clone(), Membership::Unknown);
            }
            (Action::Add(token), Some(Reply::Integer(1))) => {
                self.members.insert(token.clone(), Membership::In);
            }
            (Action::Remove(token), Some(Reply::Integer(1))) => {
                self.members.insert(token.clone(), Membership::Out);
            }
            (Action::Both | Action::Checked(_), None) => self.unknown_both += 1,
            (Action::Checked(_), Some(Reply::Nil)) => {}
            (Action::Checked(seen), Some(Reply::Several(replies))) => {
                self.both += 1;
                if !follows(seen, replies) {
                    return wrong();
                }
            }
            (Action::Both, Some(Reply::Several(replies))) => {
                self.both += 1;
                if !rise_together(replies) {
                    return wrong();
                }
            }
            (Action::Acquire(owner), Some(Reply::Ok)) => {
                if let Some(other) = self.owner.replace(owner.clone()) {
                    let [new, old] = [owner, &other].map(|owner| owner.escape_ascii().to_string());
                    return Err(format!("{new} gets the lock while {old} holds it"));
                }
            }
            (Action::Release(_), Some(Reply::Integer(1))) => {}
            _ => return wrong(),
        }
        Ok(())
    }

    /// Says if what was read at the end cannot be.
    fn compare(&self, query: &Query, reply: &Reply) -> Verdict {
        let Reply::Values(values) = reply else { return Err(format!("{query:?} gives {reply:?}")) };
        let values: Vec<&Bytes> = values.iter().flatten().collect();
        match query {
            Query::Range { .. } => self.compare_list(&values),
            Query::Members(_) => self.compare_set(&values.into_iter().collect()),
            _ => self.compare_pair(&values),
        }
    }

    fn compare_list(&self, list: &[&Bytes]) -> Verdict {
        let mut seen = BTreeSet::new();
        for token in list {
            let shown = token.escape_ascii();
            if !seen.insert(*token) || self.popped.contains(*token) {
                return Err(format!("{shown} is in the list twice, or again"));
            }
            if !self.pushed.contains_key(*token) {
                return Err(format!("{shown} is in the list and nobody pushed it"));
            }
        }
        let gone = |(token, certainty): &(&Bytes, &Certainty)| {
            **certainty == Certainty::Done && !seen.contains(token) && !self.popped.contains(*token)
        };
        let lost = self.pushed.iter().filter(gone).count();
        if lost > self.unknown_pops {
            let unknown = self.unknown_pops;
            return Err(format!(
                "{lost} pushed elements are gone, and only {unknown} pops may have taken them"
            ));
        }
        Ok(())
    }

    fn compare_set(&self, set: &BTreeSet<&Bytes>) -> Verdict {
        for (token, membership) in &self.members {
            let there = set.contains(token);
            if there && *membership == Membership::Out || !there && *membership == Membership::In {
                let shown = token.escape_ascii();
                return Err(format!("member {shown} is {membership:?}, and there: {there}"));
            }
        }
        Ok(())
    }

    fn compare_pair(&self, pair: &[&Bytes]) -> Verdict {
        let number = |bytes: &&Bytes| str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        let numbers: Option<Vec<u64>> = pair.iter().map(number).collect();
        let may = self.both..=self.both + self.unknown_both;
        match numbers.as_deref() {
            Some([a, b]) if a == b && may.contains(a) => Ok(()),
            Some([]) if self.both == 0 => Ok(()),
            _ => Err(format!("the pair is {pair:?}, where {may:?} transactions were carried out")),
        }
    }
}

/// Whether the answers of a transaction are those of two keys that only such transactions change.
fn rise_together(replies: &[Reply]) -> bool {
    let [Reply::Integer(a), Reply::Values(read), Reply::Integer(b)] = replies else { return false };
    let text = |number: i64| (number > 0).then(|| Bytes::from(number.to_string()));
    a == b && *read == [text(*a), text(*b - 1)]
}

/// Whether they are those of such a transaction that was carried out since the first key held this.
fn follows(seen: &Bytes, replies: &[Reply]) -> bool {
    let [Reply::Ok, replies @ ..] = replies else { return false };
    let number = str::from_utf8(seen).ok().and_then(|text| text.parse::<i64>().ok());
    let is_next = |reply: &Reply| number.is_some_and(|it| *reply == Reply::Integer(it + 1));
    rise_together(replies) && replies.first().is_some_and(is_next)
}

#[cfg(test)]
mod tests {
    use super::super::random::{Stream, stream};
    use super::super::server::Crash;
    use super::super::world::Setup;
    use super::*;
    use crate::mutations::{Mutation, Mutations};

    fn play(seed: u64, mutations: Mutations) -> (World, Done) {
        let compaction = crate::core::Compaction {
            log_bytes: 4_000,
            keep_entries: 10,
            ..crate::core::Compaction::default()
        };
        let mut world = World::new(Setup { compaction, ..Setup::of(3) }, seed, mutations, false);
        let done = world.start_all().and_then(|()| {
            world.start_mixed(4);
            for at in [0, 1, 2, 0, 1, 2] {
                world.run(ms(700))?;
                world.crash(at, Crash::Power);
                world.run(ms(300))?;
                world.restart(at)?;
            }
            world.settle(0)
        });
        (world, done)
    }

    #[test]
    fn honest_servers_give_the_answers_that_clients_expect() {
        let (mut answers, mut both, mut popped) = (0, 0, 0);
        for seed in 0..5 {
            let (world, done) = play(seed, Mutations::default());
            assert_eq!(done, Ok(()), "seed {seed}");
            answers += world.mixed.succeeded;
            both += world.mixed.ledger.both;
            popped += world.mixed.ledger.popped.len();
        }
        assert!(answers > 200 && both > 10 && popped > 5, "{answers}, {both}, {popped}");
    }

    #[cfg(feature = "mutations")]
    #[test]
    fn clients_notice_what_is_applied_twice() {
        let planted = Mutations::new(&[Mutation::NoDedup]);
        let failed = (0..20).find_map(|seed| play(seed, planted).1.err());
        let failure = failed.expect("retries are applied twice");
        assert_eq!(failure.property, Property::ClientAnswers, "{failure}");
    }

    fn told(ledger: &mut Ledger, action: &Action, reply: &Reply) -> Verdict {
        ledger.take(action, Some(reply))
    }

    #[test]
    fn ledger_refuses_answers_that_cannot_be() {
        let mut ledger = Ledger::default();
        let token = |text: &'static str| Bytes::from(text);
        assert_eq!(told(&mut ledger, &Action::Push(token("t1")), &Reply::Integer(1)), Ok(()));
        assert_eq!(told(&mut ledger, &Action::Pop, &Reply::Value(token("t1"))), Ok(()));
        assert!(told(&mut ledger, &Action::Pop, &Reply::Value(token("t1"))).is_err());
        assert!(told(&mut ledger, &Action::Add(token("t2")), &Reply::Integer(0)).is_err());
        assert_eq!(told(&mut ledger, &Action::Acquire(token("t3")), &Reply::Ok), Ok(()));
        assert!(told(&mut ledger, &Action::Acquire(token("t4")), &Reply::Ok).is_err());
        let both = |a, read: [Option<&'static str>; 2], b| {
            let read = Reply::Values(read.map(|text| text.map(Bytes::from)).into());
            Reply::Several(vec![Reply::Integer(a), read, Reply::Integer(b)])
        };
        assert_eq!(told(&mut ledger, &Action::Both, &both(1, [Some("1"), None], 1)), Ok(()));
        assert_eq!(told(&mut ledger, &Action::Both, &both(2, [Some("2"), Some("1")], 2)), Ok(()));
        assert!(told(&mut ledger, &Action::Both, &both(3, [Some("3"), Some("1")], 2)).is_err());
        assert!(told(&mut ledger, &Action::Both, &both(3, [Some("4"), Some("3")], 4)).is_err());
        let checked = |a, before: &'static str, after: &'static str| {
            let Reply::Several(replies) = both(a, [Some(after), Some(before)], a) else {
                panic!("replies")
            };
            Reply::Several([vec![Reply::Ok], replies].concat())
        };
        let action = Action::Checked("2".into());
        assert_eq!(told(&mut ledger, &action, &Reply::Nil), Ok(()));
        assert_eq!(told(&mut ledger, &action, &checked(3, "2", "3")), Ok(()));
        assert!(told(&mut ledger, &action, &checked(4, "3", "4")).is_err());
    }

    #[test]
    fn ledger_refuses_an_end_that_cannot_be() {
        let mut ledger = Ledger::default();
        let tokens = |text: &'static str| {
            Reply::Values(text.split_whitespace().map(|token| Some(token.into())).collect())
        };
        for token in ["t1", "t2", "t3"] {
            let push = Action::Push(token.into());
            ledger.take(&push, Some(&Reply::Integer(1))).expect("it can be");
        }
        ledger.take(&Action::Pop, Some(&Reply::Value("t1".into()))).expect("it can be");
        ledger.take(&Action::Add("t4".into()), Some(&Reply::Integer(1))).expect("it can be");
        ledger.take(&Action::Remove("t5".into()), Some(&Reply::Integer(1))).expect("it can be");
        ledger.take(&Action::Add("t6".into()), None).expect("it can be");
        let list = Query::Range { key: LIST, first: 0, last: -1 };
        let set = Query::Members(SET);
        let pair = Query::Values(PAIR.into());
        for (query, end, can_be) in [
            (&list, "t2 t3", true),
            (&list, "t3", false),
            (&list, "t1 t2 t3", false),
            (&list, "t2 t2 t3", false),
            (&list, "t2 t3 t9", false),
            (&set, "t4", true),
            (&set, "t4 t6", true),
            (&set, "", false),
            (&set, "t4 t5", false),
            (&pair, "", true),
            (&pair, "1 1", false),
        ] {
            assert_eq!(ledger.compare(query, &tokens(end)).is_ok(), can_be, "{query:?} {end}");
        }
        ledger.take(&Action::Pop, None).expect("it can be");
        assert_eq!(ledger.compare(&list, &tokens("t3")), Ok(()), "a pop nobody heard of");
        ledger.take(&Action::Both, None).expect("it can be");
        assert_eq!(ledger.compare(&pair, &tokens("1 1")), Ok(()));
        assert!(ledger.compare(&pair, &tokens("1 2")).is_err());
    }

    #[test]
    fn random_runs_have_these_clients_about_half_of_the_time() {
        let with = |seed| Mixed::none(stream(seed, Stream::Mixed)).draw_clients() > 0;
        let count = (0..100).filter(|seed| with(*seed)).count();
        assert!((30..70).contains(&count), "{count} of 100");
    }
}
