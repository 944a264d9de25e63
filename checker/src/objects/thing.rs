//! What the objects do when they are used by one client at a time.

use std::sync::Arc;

use super::bank::{Accounts, Bank};
use super::etcd::{self, Store};
use super::guide::{self, Follows};
use super::kind::ObjectKind;
use super::prepare::{CAS, READ, WRITE};
use super::stream::{self, Stream};
use crate::engines::wgl::{self, Limits};
use crate::engines::{Cancellation, Decision, Monitored, Span};
use crate::event::Function;
use crate::history::{Action, History, Response};
use crate::initial::Begins;
use crate::model::{BadInitial, Call, Model};
use crate::value::{Value, ValueId, Values};

/// One of the objects.
#[derive(Debug, Clone)]
pub(super) struct Thing<'a> {
    kind: ObjectKind,
    values: &'a Values,
    /// How many permits a semaphore has.
    permits: i64,
    /// What a register begins with, and its number if operations name it.
    begins: Value,
    initial: Option<ValueId>,
    /// What tells a search which orders need not be tried.
    guide: Option<Arc<Follows>>,
}

/// What an object holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// The ids that were given out, in order of their numbers.
    Given(Vec<ValueId>),
    /// The last number that was given out.
    Last(Option<i64>),
    /// Who holds a lock and how often; the last fencing token.
    Held(Option<ValueId>, u32, Option<i64>),
    /// How many permits are taken.
    Taken(i64),
    /// A value, the number of its version if that is known, and the greatest that is known.
    Version(Value, Option<i64>, i64),
    /// Records, or what a queue holds.
    Items(Vec<ValueId>),
    /// What the accounts of a bank hold.
    Accounts(Accounts),
    /// Keys, revision and leases of etcd.
    Store(Store),
    /// Tail, hash and fencing token of a stream.
    Stream(Stream),
}

impl<'a> Thing<'a> {
    /// One that begins with `initial`, for a history with these `values`.
    pub(super) fn new(
        kind: ObjectKind,
        initial: &Value,
        values: &'a Values,
    ) -> Result<Self, BadInitial> {
        let begins = initial.clone();
        let mut thing = Self { kind, values, permits: 1, begins, initial: None, guide: None };
        match (kind, initial) {
            (ObjectKind::Semaphore, Value::Integer(permits)) if *permits >= 0 => {
                thing.permits = *permits;
                return Ok(thing);
            }
            (ObjectKind::VersionedRegister | ObjectKind::WatchedRegister, value) => {
                thing.initial = values.find(value);
                return Ok(thing);
            }
            (_, Value::Null) => return Ok(thing),
            (ObjectKind::EtcdStore, Value::Integer(1..)) => return Ok(thing),
            _ => {}
        }
        let expected = match kind {
            ObjectKind::Semaphore => "how many permits there are",
            ObjectKind::EtcdStore => "the revision that the store had, from 1",
            _ => "null",
        };
        Err(BadInitial { model: kind.name(), expected, found: initial.clone() })
    }

    /// The same, for a search that need not try orders that the answers in `history` rule out.
    pub(super) fn guided_by(self, history: &History) -> Self {
        let follows = match self.kind {
            ObjectKind::Timestamps => Follows::default(),
            ObjectKind::WatchedRegister => guide::follows(history),
            _ => return self,
        };
        Self { guide: Some(Arc::new(follows)), ..self }
    }

    /// Whether a guide rules out that `before`, the last change, is followed by `after`.
    fn is_out_of_order(&self, before: Option<ValueId>, after: ValueId) -> bool {
        let Some(follows) = &self.guide else { return false };
        before.and_then(|before| follows.get(&before)).is_some_and(|next| *next != after)
    }

    /// The bank, if it is one.
    const fn bank(&self) -> Option<Bank<'a>> {
        match self.kind {
            ObjectKind::Bank | ObjectKind::OverdraftBank => {
                Some(Bank { values: self.values, kind: self.kind })
            }
            _ => None,
        }
    }

    fn integer(&self, id: ValueId) -> Option<i64> {
        match self.values.get(id) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn items(&self, id: ValueId) -> Option<&'a [Value]> {
        match self.values.get(id) {
            Value::List(items) => Some(items),
            Value::Null => Some(&[]),
            _ => None,
        }
    }

    fn step_lock(&self, state: &State, call: Call) -> Option<State> {
        let &State::Held(holder, depth, last) = state else { return None };
        let Action::Other(function, owner) = call.action else { return None };
        let after = match (function, holder) {
            (Function::Acquire, None) => {
                let fence = match call.response {
                    Some(Response::Value(answer)) => self.integer(answer),
                    _ => None,
                };
                if let (Some(fence), Some(last)) = (fence, last)
                    && fence <= last
                {
                    None
                } else {
                    Some(State::Held(Some(owner), 1, fence.or(last)))
                }
            }
            (Function::Acquire, Some(holder))
                if holder == owner && self.kind == ObjectKind::ReentrantLock =>
            {
                Some(State::Held(Some(owner), depth + 1, last))
            }
            (Function::Release, Some(holder)) if holder == owner => match depth {
                1 => Some(State::Held(None, 0, last)),
                more => Some(State::Held(Some(owner), more - 1, last)),
            },
            _ => None,
        };
        if call.response.is_none() { after.or_else(|| Some(state.clone())) } else { after }
    }

    fn step_permits(&self, state: &State, call: Call) -> Option<State> {
        let &State::Taken(taken) = state else { return None };
        let Action::Other(function, argument) = call.action else { return None };
        let count = if argument == ValueId::NULL { 1 } else { self.integer(argument)? };
        let after = match function {
            Function::Acquire => taken.checked_add(count).filter(|it| *it <= self.permits),
            _ => taken.checked_sub(count).filter(|it| *it >= 0),
        };
        let after = after.map(State::Taken);
        if call.response.is_none() { after.or_else(|| Some(state.clone())) } else { after }
    }

    fn step_numbers(&self, state: &State, call: Call) -> Option<State> {
        let Some(Response::Value(id)) = call.response else { return Some(state.clone()) };
        match state {
            State::Given(given) => {
                let place = given.binary_search(&id).err()?;
                let mut given = given.clone();
                given.insert(place, id);
                Some(State::Given(given))
            }
            State::Last(last) => {
                let number = self.integer(id)?;
                if let (Some(_), Action::Other(_, told)) = (&self.guide, call.action)
                    && told != ValueId::NULL
                    && self.integer(told) != *last
                {
                    return None;
                }
                last.is_none_or(|last| number > last).then_some(State::Last(Some(number)))
            }
            _ => None,
        }
    }

    /// A step of what is one object with all its keys.
    fn step_whole(&self, state: &State, call: Call) -> Option<State> {
        let Action::Other(_, request) = call.action else { return None };
        let answer = match call.response {
            Some(Response::Value(answer)) => Some(self.values.get(answer)),
            Some(_) => return None,
            None => None,
        };
        let request = self.values.get(request);
        match state {
            State::Store(store) => store.step(request, answer).map(State::Store),
            State::Stream(stream) => stream.step(request, answer).map(State::Stream),
            _ => None,
        }
    }

    fn step_version(&self, state: &State, call: Call) -> Option<State> {
        let State::Version(value, _, greatest) = state else { return None };
        let Action::Other(function, argument) = call.action else { return None };
        if function != Function::Apply {
            return None;
        }
        let (word, argument) = match self.items(argument)? {
            [Value::Text(word), argument @ ..] => (&**word, argument),
            _ => return None,
        };
        match word {
            WRITE => {
                let (expected, new) = match argument {
                    [Value::Integer(version), new] => (Some(*version), new),
                    [new] => (None, new),
                    _ => return None,
                };
                let told = match call.response {
                    Some(Response::Value(answer)) => match self.items(answer)? {
                        [Value::Integer(version)] => Some(*version),
                        _ => None,
                    },
                    _ => None,
                };
                let greatest =
                    expected.map_or(Some(*greatest), |version| at(state, version).map(|_| version));
                let changed = greatest.and_then(|greatest| changed(new, told, greatest));
                if call.response.is_none() {
                    changed.or_else(|| Some(state.clone()))
                } else {
                    changed
                }
            }
            CAS => {
                let [old, new] = argument else { return None };
                let matches = value == old;
                match call.response {
                    None if matches => changed(new, None, *greatest),
                    None => Some(state.clone()),
                    Some(Response::Value(answer)) => {
                        Self::step_answered_cas(state, self.items(answer)?, (matches, new))
                    }
                    Some(_) => None,
                }
            }
            _ => match call.response {
                Some(Response::Value(answer)) => match self.items(answer)? {
                    [version, seen] if value == seen => Self::seen(state, version),
                    _ => None,
                },
                _ => Some(state.clone()),
            },
        }
    }

    fn step_answered_cas(
        state: &State,
        answer: &[Value],
        (matches, new): (bool, &Value),
    ) -> Option<State> {
        let State::Version(value, _, greatest) = state else { return None };
        match answer {
            [Value::Bool(true), version] if matches => {
                let told =
                    if let Value::Integer(version) = version { Some(*version) } else { None };
                changed(new, told, *greatest)
            }
            [Value::Bool(false), version, Value::List(saw)] if !matches => {
                let fits = saw.first().is_none_or(|saw| value == saw);
                if fits { Self::seen(state, version) } else { None }
            }
            _ => None,
        }
    }

    /// The state after an answer that tells the number of its version.
    fn seen(state: &State, version: &Value) -> Option<State> {
        match version {
            Value::Integer(version) => at(state, *version),
            _ => Some(state.clone()),
        }
    }

    fn step_items(&self, state: &State, call: Call) -> Option<State> {
        let State::Items(items) = state else { return None };
        let answered = match call.response {
            Some(Response::Value(answer)) => Some(answer),
            _ => None,
        };
        let same = || Some(state.clone());
        let with = |item: ValueId| {
            let mut items = items.clone();
            items.push(item);
            if self.kind == ObjectKind::Bag {
                items.sort_unstable();
            }
            Some(State::Items(items))
        };
        match call.action {
            Action::Other(Function::Append, item) => {
                let offset = answered.and_then(|answer| self.integer(answer));
                if offset.is_none_or(|offset| offset == items.len() as i64) {
                    with(item)
                } else {
                    None
                }
            }
            Action::Other(Function::Poll, _) => {
                let Some(answer) = answered else { return same() };
                let fits = |record: &Value| match record {
                    Value::List(pair) => match &**pair {
                        [Value::Integer(offset), item] => {
                            let held = usize::try_from(*offset).ok().and_then(|at| items.get(at));
                            held.is_some_and(|held| self.values.get(*held) == item)
                        }
                        _ => false,
                    },
                    _ => false,
                };
                self.items(answer)?.iter().all(fits).then(same)?
            }
            Action::Read => {
                let Some(answer) = answered else { return same() };
                self.is_content(items, self.items(answer)?).then(same)?
            }
            Action::Other(Function::Enqueue, item) => with(item),
            Action::Other(Function::Dequeue, _) => match answered {
                Some(ValueId::NULL) => items.is_empty().then(same)?,
                Some(item) => {
                    let place = items.iter().position(|held| *held == item)?;
                    let may = place == 0 || self.kind == ObjectKind::Bag;
                    may.then(|| without(items, place))
                }
                // Of unknown outcome, it took something or nothing.
                None if items.is_empty() => same(),
                None => Some(without(items, 0)),
            },
            Action::Other(Function::Drain, _) => match answered {
                Some(answer) => {
                    let taken = self.items(answer)?;
                    self.is_content(items, taken).then_some(State::Items(Vec::new()))
                }
                None => Some(State::Items(Vec::new())),
            },
            _ => None,
        }
    }

    fn step_watched(&self, state: &State, call: Call) -> Option<State> {
        let State::Items(changes) = state else { return None };
        let now = changes.last().copied().or(self.initial);
        let with = |value: ValueId| {
            if self.is_out_of_order(changes.last().copied(), value) {
                return None;
            }
            let mut changes = changes.clone();
            changes.push(value);
            Some(State::Items(changes))
        };
        let same = || state.clone();
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(value))) => (now == Some(value)).then(same),
            (Action::Write(value), _) => with(value),
            (Action::Delete, _) => with(self.initial.unwrap_or(ValueId::NULL)),
            (Action::Cas { expected, new }, Some(Response::Swapped)) => {
                if now == Some(expected) {
                    with(new)
                } else {
                    None
                }
            }
            (Action::Cas { expected, .. }, Some(Response::Mismatch(saw))) => {
                let fits = now != Some(expected) && saw.is_none_or(|saw| now == Some(saw));
                fits.then(same)
            }
            (Action::Cas { expected, new }, _) if now == Some(expected) => with(new),
            (Action::Other(Function::Watch, _), Some(Response::Value(seen))) => {
                let seen = self.items(seen)?;
                let fits = |changes: &[ValueId]| {
                    changes.iter().zip(seen).all(|(change, seen)| self.values.get(*change) == seen)
                };
                (seen.is_empty() || changes.windows(seen.len()).any(fits)).then(same)
            }
            _ => Some(same()),
        }
    }

    /// Whether this is what the object holds, in its order if it has one.
    fn is_content(&self, items: &[ValueId], told: &[Value]) -> bool {
        if items.len() != told.len() {
            return false;
        }
        if self.kind != ObjectKind::Bag {
            return items.iter().zip(told).all(|(held, told)| self.values.get(*held) == told);
        }
        let mut left: Vec<&Value> = told.iter().collect();
        items.iter().all(|held| {
            let place = left.iter().position(|told| **told == *self.values.get(*held));
            place.map(|place| left.swap_remove(place)).is_some()
        })
    }
}

fn without(items: &[ValueId], place: usize) -> State {
    let mut items = items.to_vec();
    items.remove(place);
    State::Items(items)
}

/// The state if its version has this number, which is known then.
fn at(state: &State, version: i64) -> Option<State> {
    let State::Version(value, number, greatest) = state else { return None };
    let fits = match number {
        Some(number) => *number == version,
        None => version > *greatest,
    };
    fits.then(|| State::Version(value.clone(), Some(version), version))
}

/// The state after a change, whose version has this number if it was told.
fn changed(value: &Value, told: Option<i64>, greatest: i64) -> Option<State> {
    match told {
        Some(told) => (told > greatest).then(|| State::Version(value.clone(), Some(told), told)),
        None => Some(State::Version(value.clone(), None, greatest)),
    }
}

impl Model for Thing<'_> {
    type State = State;

    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn initial(&self) -> State {
        match self.kind {
            ObjectKind::Ids => State::Given(Vec::new()),
            ObjectKind::Timestamps => State::Last(None),
            ObjectKind::ReentrantLock | ObjectKind::FencedLock => State::Held(None, 0, None),
            ObjectKind::Semaphore => State::Taken(0),
            // Nothing was changed yet, and what that is numbered nobody says.
            ObjectKind::VersionedRegister => State::Version(self.begins.clone(), None, -1),
            ObjectKind::Log
            | ObjectKind::DrainedQueue
            | ObjectKind::Bag
            | ObjectKind::WatchedRegister => State::Items(Vec::new()),
            ObjectKind::Bank | ObjectKind::OverdraftBank => State::Accounts(Accounts::default()),
            ObjectKind::EtcdStore => State::Store(Store::new(match self.begins {
                Value::Integer(revision) => revision,
                _ => etcd::FIRST_REVISION,
            })),
            ObjectKind::Stream => State::Stream(Stream::EMPTY),
        }
    }

    fn knows(&self, call: Call) -> bool {
        if let Some(bank) = self.bank() {
            return bank.knows(call);
        }
        if self.kind == ObjectKind::WatchedRegister {
            return match (call.action, call.response) {
                (Action::Other(Function::Watch, _), Some(Response::Value(seen))) => {
                    self.items(seen).is_some()
                }
                (Action::Other(function, _), None) => function == Function::Watch,
                (Action::Other(..), _) => false,
                _ => true,
            };
        }
        let is_list = |id: ValueId| self.items(id).is_some();
        let answer = match call.response {
            Some(Response::Value(answer)) => Some(answer),
            None | Some(Response::Done) => None,
            Some(_) => return false,
        };
        match (self.kind, call.action) {
            (ObjectKind::Ids, Action::Other(Function::Next, _)) => true,
            (ObjectKind::Timestamps, Action::Other(Function::Next, _)) => {
                answer.is_none_or(|answer| self.integer(answer).is_some())
            }
            (
                ObjectKind::ReentrantLock | ObjectKind::FencedLock,
                Action::Other(Function::Acquire | Function::Release, _),
            ) => true,
            (
                ObjectKind::Semaphore,
                Action::Other(Function::Acquire | Function::Release, count),
            ) => count == ValueId::NULL || self.integer(count).is_some_and(|count| count > 0),
            (ObjectKind::VersionedRegister, Action::Other(Function::Apply, argument)) => {
                is_list(argument) && answer.is_none_or(is_list)
            }
            (ObjectKind::EtcdStore, Action::Other(Function::Apply, argument)) => {
                etcd::is_request(self.values.get(argument)) && answer.is_none_or(is_list)
            }
            (ObjectKind::Stream, Action::Other(Function::Apply, argument)) => {
                stream::is_request(self.values.get(argument)) && answer.is_none_or(is_list)
            }
            (ObjectKind::Log, Action::Other(Function::Append, _)) => true,
            (ObjectKind::Log, Action::Other(Function::Poll, _)) => answer.is_none_or(is_list),
            (ObjectKind::Log | ObjectKind::DrainedQueue | ObjectKind::Bag, Action::Read) => {
                answer.is_none_or(is_list)
            }
            (ObjectKind::DrainedQueue | ObjectKind::Bag, Action::Other(Function::Drain, _)) => {
                answer.is_none_or(is_list)
            }
            // What a bag gave out that nobody knows may be anything, which is more than one state.
            (ObjectKind::Bag, Action::Other(Function::Dequeue, _)) => answer.is_some(),
            (
                ObjectKind::DrainedQueue | ObjectKind::Bag,
                Action::Other(Function::Enqueue | Function::Dequeue, _),
            ) => true,
            _ => false,
        }
    }

    fn step(&self, state: &State, call: Call) -> Option<State> {
        match self.kind {
            ObjectKind::Ids | ObjectKind::Timestamps => self.step_numbers(state, call),
            ObjectKind::ReentrantLock | ObjectKind::FencedLock => self.step_lock(state, call),
            ObjectKind::Semaphore => self.step_permits(state, call),
            ObjectKind::VersionedRegister => self.step_version(state, call),
            ObjectKind::Log | ObjectKind::DrainedQueue | ObjectKind::Bag => {
                self.step_items(state, call)
            }
            ObjectKind::WatchedRegister => self.step_watched(state, call),
            ObjectKind::Bank | ObjectKind::OverdraftBank => match state {
                State::Accounts(accounts) => self.bank()?.step(accounts, call),
                _ => None,
            },
            ObjectKind::EtcdStore | ObjectKind::Stream => self.step_whole(state, call),
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        if let (ObjectKind::EtcdStore | ObjectKind::Stream, Action::Other(_, request)) =
            (self.kind, call.action)
        {
            let request = self.values.get(request);
            let is_pure =
                if self.kind == ObjectKind::Stream { Stream::is_pure } else { Store::is_pure };
            return is_pure(request);
        }
        if self.bank().is_some() {
            // The first read tells what accounts held at the beginning.
            return call.action == Action::Read && call.response.is_none();
        }
        match (call.action, call.response) {
            (Action::Read | Action::Other(Function::Poll | Function::Watch, _), _) => true,
            (Action::Cas { .. }, Some(Response::Mismatch(_))) => true,
            (Action::Other(Function::Next, _), None) => true,
            // An answer may tell the number of a version that was not known.
            (Action::Other(Function::Apply, asked), None) => {
                matches!(self.items(asked), Some([Value::Text(word)]) if **word == *READ)
            }
            _ => false,
        }
    }

    /// Nobody relies on an id that somebody else was given; all else may rely on every change.
    fn relies_on(&self, _observer: Call, writer: Call) -> bool {
        let gives_out = matches!(self.kind, ObjectKind::Ids | ObjectKind::Timestamps);
        !gives_out && !self.is_pure(writer)
    }

    fn heap_bytes(&self, state: &State) -> usize {
        match state {
            State::Given(items) | State::Items(items) => items.len() * size_of::<ValueId>(),
            State::Accounts(accounts) => accounts.len() * size_of::<(Value, i128)>(),
            State::Store(store) => store.heap_bytes(),
            _ => 0,
        }
    }
}

impl<'a> Begins<'a> for Thing<'a> {
    fn begin(initial: &Value, _: &Value, _: &'a Values) -> Result<Self, BadInitial> {
        let expected = "one initial value for all keys";
        Err(BadInitial { model: "object", expected, found: initial.clone() })
    }
}

impl Monitored for Thing<'_> {
    const ENGINE: &'static str = "none";

    type Scratch = ();

    fn scratch(&self, _: &History) {}

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Cancellation<'_>) -> Decision {
        Decision::Inexact("there is no monitor for such objects")
    }

    fn minimise(&self, spans: &[Span], proven_at: u64, limits: &Limits<'_>) -> Vec<Span> {
        if self.guide.is_some() {
            // What is left of the history need not have what the guide rests on.
            let unguided = Self { guide: None, ..self.clone() };
            return unguided.minimise(spans, proven_at, limits);
        }
        // What may be left out is tried out on all states, which are too many where objects grow.
        let tried = match self.initial() {
            State::Given(_) | State::Items(_) | State::Accounts(_) => None,
            _ => crate::spec::minimise::minimise(self, spans, proven_at, limits),
        };
        tried.unwrap_or_else(|| wgl::minimise(self, spans, proven_at, limits))
    }
}
