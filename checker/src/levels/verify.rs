//! Checks a certificate of a level against a history, without trusting whoever made it.
//!
//! Shares nothing with what finds orders but the models. Of one order for all sessions and of reads
//! that may be late, the orders are replayed; of a session guarantee, which has an order of writes,
//! it is worked out again from the history what each read must not miss.

use rustc_hash::{FxHashMap, FxHashSet};
use thiserror::Error;

use super::{Level, Staleness};
use crate::event::Nanoseconds;
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::initial::{Begins, KeyInitials};
use crate::model::{BadInitial, Call, Model, with_model};
use crate::value::Value;
use crate::verdict::Certificate;
use crate::verify::Expected;

/// Why a certificate does not prove a history to be of a level. Operations go by the index of their
/// invocation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LevelError {
    /// It proves another level.
    #[error("expected a proof of {expected}, found one of {found}")]
    OtherLevel {
        /// What is asked for.
        expected: Level,
        /// What is proven.
        found: Level,
    },
    /// It is about another object, or begins otherwise.
    #[error("it is about another object or another beginning")]
    OtherObject,
    /// The object cannot begin so.
    #[error(transparent)]
    BadInitial(#[from] BadInitial),
    /// Its orders are not those that the level needs.
    #[error("expected {0}")]
    OtherOrders(&'static str),
    /// No operation that may have happened was invoked there, or it is on another key.
    #[error("event {0} is not the invocation of an operation that belongs there")]
    Stranger(u64),
    /// The operation stands there twice.
    #[error("operation {0} is listed twice")]
    Repeated(u64),
    /// The operation happened, yet stands nowhere.
    #[error("operation {0} completed, but is not listed")]
    Missing(u64),
    /// The object would have answered otherwise.
    #[error("operation {0} cannot have answered so at its place in the order")]
    WrongAnswer(u64),
    /// What one session did is in another order.
    #[error("operation {second} comes before {first} in the order, against their session")]
    AgainstSession {
        /// What the session did first.
        first: u64,
        /// What it did then.
        second: u64,
    },
    /// A write stands before something that its session knew of, or a read saw what its session wrote
    /// only later.
    #[error("operation {0} comes before something that its session knew of")]
    TooEarly(u64),
    /// The order contradicts real time, by more than may be late.
    #[error(
        "operation {index} returned before operation {before} may take effect, but is listed after it"
    )]
    AgainstRealTime {
        /// The operation that stands too late.
        index: u64,
        /// The operation that it must come before.
        before: u64,
    },
    /// A read missed something.
    #[error("operation {read} missed what operation {write} wrote, or something later")]
    Missed {
        /// The read.
        read: u64,
        /// The write.
        write: u64,
    },
    /// It is not known what a read saw.
    #[error("it does not say what operation {0} saw")]
    Unsaid(u64),
    /// It was told to stop before it was through.
    #[error("the time ran out")]
    Stopped,
}

/// Whether `certificate` proves that `history` is of the level asked for, as what is `expected`.
///
/// # Errors
///
/// If it does not: what is wrong with it.
pub fn verify(
    history: &History,
    certificate: &Certificate,
    expected: &Expected,
    (level, initials): (Level, &KeyInitials),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), LevelError> {
    let found = certificate.consistency.unwrap_or_default();
    if found != level {
        return Err(LevelError::OtherLevel { expected: level, found });
    }
    let Expected { model, initial, .. } = expected;
    if certificate.model.parse() != Ok(*model) || certificate.initial != *initial {
        return Err(LevelError::OtherObject);
    }
    let verifier = Verifier { history, certificate, initial, initials, level, stop };
    match level {
        Level::Linearizable | Level::Stale(_) | Level::Sequential => {
            with_model!(model, initial, &history.values, model => verifier.orders(&model))?
        }
        _ => verifier.guarantee(*model),
    }
}

struct Verifier<'a> {
    history: &'a History,
    certificate: &'a Certificate,
    initial: &'a Value,
    initials: &'a KeyInitials,
    level: Level,
    stop: &'a (dyn Fn() -> bool + Sync),
}

/// After how many operations it is asked whether to stop.
const STRIDE: usize = 1 << 14;

impl<'a> Verifier<'a> {
    fn go_on(&self, step: usize) -> Result<(), LevelError> {
        if step.is_multiple_of(STRIDE) && (self.stop)() { Err(LevelError::Stopped) } else { Ok(()) }
    }

    /// The place of the operation that was invoked there and did not fail.
    fn place(&self, index: u64) -> Result<usize, LevelError> {
        let operations = &self.history.operations;
        let place = operations.partition_point(|it| it.invoked.position < index);
        let is_it = |it: &&Operation| it.invoked.position == index && !it.is_failed();
        operations.get(place).filter(is_it).map(|_| place).ok_or(LevelError::Stranger(index))
    }

    fn initial_of(&self, key: &Value) -> &'a Value {
        match self.initials {
            KeyInitials::Listed(values) => values.get(key).unwrap_or(self.initial),
            _ => self.initial,
        }
    }

    /// Replays orders of operations.
    fn orders<M: Model + Begins<'a>>(&self, _model: &M) -> Result<(), LevelError> {
        let by_key = self.level != Level::Sequential;
        let listed: FxHashSet<&Value> = self.certificate.keys.iter().map(|it| &it.key).collect();
        let whole = listed.len() == 1 && listed.iter().all(|key| key.is_null());
        if listed.len() < self.certificate.keys.len() || !by_key && !whole {
            return Err(LevelError::OtherOrders("one order of all operations, or one of each key"));
        }
        let mut objects = Vec::new();
        for key in &self.history.keys {
            objects.push(M::begin(self.initial_of(key), self.initial, &self.history.values)?);
        }
        let mut replay = Replay {
            states: objects.iter().map(Model::initial).collect(),
            objects,
            older: Vec::new(),
            history: self.history,
        };
        let mut seen = vec![false; self.history.operations.len()];
        for order in &self.certificate.keys {
            let mut rules = Rules::new(self.history, self.level);
            replay.older.clear();
            for (step, &index) in order.order.iter().enumerate() {
                self.go_on(step + 1)?;
                let place = self.place(index)?;
                let operation = &self.history.operations[place];
                if by_key && *self.history.key(operation.key) != order.key {
                    return Err(LevelError::Stranger(index));
                }
                if std::mem::replace(&mut seen[place], true) {
                    return Err(LevelError::Repeated(index));
                }
                if by_key {
                    rules.in_time(place)?;
                } else {
                    rules.in_session(operation)?;
                }
                if !replay.step(operation, rules.lag(place), rules.lags) {
                    return Err(LevelError::WrongAnswer(index));
                }
            }
            rules.promised()?;
        }
        self.demand_all(&seen)
    }

    fn demand_all(&self, seen: &[bool]) -> Result<(), LevelError> {
        for (operation, seen) in self.history.operations.iter().zip(seen) {
            if operation.is_ok() && !seen {
                return Err(LevelError::Missing(operation.invoked.position));
            }
        }
        Ok(())
    }
}

/// The objects while operations are replayed on them.
struct Replay<'a, M: Model> {
    history: &'a History,
    objects: Vec<M>,
    states: Vec<M::State>,
    /// The states that changes replaced, where reads may be late by versions.
    older: Vec<M::State>,
}

impl<M: Model> Replay<'_, M> {
    /// Whether the operation is possible now, or some versions ago if it is a read that may be late.
    fn step(&mut self, operation: &Operation, lag: u32, lags: bool) -> bool {
        debug_assert!((operation.key.0 as usize) < self.history.keys.len());
        let (key, model) = (operation.key.0 as usize, &self.objects[operation.key.0 as usize]);
        let call = Call { action: operation.action, response: operation.response() };
        if !model.knows(call) {
            return false;
        }
        let Some(after) = model.step(&self.states[key], call) else {
            let mut late = self.older.iter().rev().take(lag as usize);
            return late.any(|older| model.step(older, call).is_some());
        };
        let is_change = !model.is_pure(call) && (operation.is_ok() || after != self.states[key]);
        let before = std::mem::replace(&mut self.states[key], after);
        if lags && is_change {
            self.older.push(before);
        }
        true
    }
}

/// What the places of operations in an order have to fit.
struct Rules<'a> {
    history: &'a History,
    level: Level,
    /// By session, the last operation.
    sessions: FxHashMap<u32, u64>,
    /// The moment that later operations must reach: the latest that one before them may have needed.
    latest: Vec<Bound>,
    /// Whether some read may be late by versions.
    lags: bool,
    /// Whether some read must not show less than another operation.
    promises: bool,
    /// The operations, each with how many changes are before it, itself included.
    changes: Vec<(usize, usize)>,
    count: usize,
}

/// The moment from which an operation may take effect.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// A position, with the operation invoked there.
    Position(u64, u64),
    /// A time, and the operation.
    Time(u64, u64),
}

impl<'a> Rules<'a> {
    fn new(history: &'a History, level: Level) -> Self {
        let lag = |level: &Level| matches!(level, Level::Stale(Staleness::Versions(_)));
        let promise =
            |level: &Level| matches!(level, Level::MonotonicReads | Level::ReadYourWrites);
        Self {
            history,
            level,
            sessions: FxHashMap::default(),
            latest: Vec::new(),
            lags: lag(&level) || history.levels.iter().any(|(_, level)| lag(level)),
            promises: history.levels.iter().any(|(_, level)| promise(level)),
            changes: Vec::new(),
            count: 0,
        }
    }

    /// What the operation at `place` was asked for with.
    fn level_of(&self, place: usize) -> Level {
        match self.history.operations[place].action {
            Action::Read => self.history.level_of(place).unwrap_or(self.level),
            _ => Level::Linearizable,
        }
    }

    fn lag(&self, place: usize) -> u32 {
        match self.level_of(place) {
            Level::Stale(Staleness::Versions(versions)) => versions,
            _ => 0,
        }
    }

    fn in_session(&mut self, operation: &Operation) -> Result<(), LevelError> {
        let index = operation.invoked.position;
        let last = self.sessions.insert(operation.process.0, index);
        match last.filter(|last| *last > index) {
            Some(last) => Err(LevelError::AgainstSession { first: index, second: last }),
            None => Ok(()),
        }
    }

    /// That nothing before it in the order could only take effect after it had returned.
    fn in_time(&mut self, place: usize) -> Result<(), LevelError> {
        let operation = &self.history.operations[place];
        let index = operation.invoked.position;
        if let Outcome::Ok(returned, _) = operation.outcome {
            for bound in &self.latest {
                let before = match *bound {
                    Bound::Position(position, before) if returned.position < position => before,
                    Bound::Time(time, before) if returned.time.0 < time => before,
                    _ => continue,
                };
                return Err(LevelError::AgainstRealTime { index, before });
            }
        }
        if self.promises {
            self.count += usize::from(is_change(operation));
            self.changes.push((place, self.count));
        }
        let own = match self.level_of(place) {
            Level::Stale(Staleness::Any) | Level::MonotonicReads | Level::ReadYourWrites => {
                return Ok(());
            }
            Level::Stale(Staleness::Time(Nanoseconds(late))) => {
                Bound::Time(operation.invoked.time.0.saturating_sub(late), index)
            }
            Level::Linearizable | Level::Stale(Staleness::Versions(_)) => {
                Bound::Position(index, index)
            }
            _ => return Err(LevelError::OtherOrders("levels that single operations can have")),
        };
        let is_like = |other: &&mut Bound| {
            std::mem::discriminant::<Bound>(other) == std::mem::discriminant(&own)
        };
        match self.latest.iter_mut().find(is_like) {
            None => self.latest.push(own),
            Some(slot) => {
                let (Bound::Position(old, _) | Bound::Time(old, _)) = *slot;
                let (Bound::Position(new, _) | Bound::Time(new, _)) = own;
                if new > old {
                    *slot = own;
                }
            }
        }
        Ok(())
    }

    /// That no read shows less than its session saw before, where that is promised.
    fn promised(&mut self) -> Result<(), LevelError> {
        self.changes.sort_unstable();
        let mut last: FxHashMap<(u32, bool), (usize, u64)> = FxHashMap::default();
        for &(place, count) in &self.changes {
            let operation = &self.history.operations[place];
            let (process, index) = (operation.process.0, operation.invoked.position);
            let is_read = operation.action == Action::Read;
            let must = match self.level_of(place) {
                Level::MonotonicReads => last.get(&(process, true)),
                Level::ReadYourWrites => last.get(&(process, false)),
                _ => None,
            };
            if let Some(&(must, write)) = must.filter(|(must, _)| *must > count) {
                debug_assert!(must > 0);
                return Err(LevelError::Missed { read: index, write });
            }
            if operation.is_ok() && (is_read || is_change(operation)) {
                last.insert((process, is_read), (count, index));
            }
        }
        Ok(())
    }
}

/// Whether an operation changes what a key holds, if it happened.
fn is_change(operation: &Operation) -> bool {
    let mismatch = matches!(operation.response(), Some(Response::Mismatch(_)));
    operation.action != Action::Read && !mismatch
}

mod guarantee;
