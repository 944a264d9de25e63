//! Works out of a history, and of an order of its writes, whether a session guarantee holds.

use rustc_hash::FxHashMap;

use super::{LevelError, Verifier};
use crate::event::Function;
use crate::history::{Action, Operation, Response};
use crate::levels::Level;
use crate::model::ModelKind;
use crate::value::{Value, ValueId};

/// What is known of a session's operations, in its order.
struct Step {
    place: usize,
    key: u32,
    /// The place in the order of what it saw, counted from 1; 0 for what was there in the beginning.
    saw: Option<usize>,
    /// Its own place in the order, if it writes.
    wrote: Option<usize>,
}

/// How far one session has taken note of the others.
struct Notes {
    /// By session, how many of its operations are noted.
    until: FxHashMap<usize, usize>,
    /// By key, the last of the writes in the order that must not be missed.
    least: FxHashMap<u32, usize>,
    /// The last of all of them.
    top: usize,
    /// The last of the writes that it read.
    read: usize,
    /// Its own last write.
    wrote: usize,
}

impl Notes {
    fn must(&mut self, key: u32, write: usize) {
        let least = self.least.entry(key).or_default();
        *least = (*least).max(write);
        self.top = self.top.max(write);
    }
}

/// The history, with what every operation saw.
struct Sessions {
    steps: Vec<Vec<Step>>,
    /// By place in the order, from 1: the key, the session and the place in that.
    writes: Vec<(u32, usize, usize)>,
}

impl Verifier<'_> {
    /// Checks the order of writes of a session guarantee.
    pub(super) fn guarantee(&self, model: ModelKind) -> Result<(), LevelError> {
        if !matches!(model, ModelKind::Register | ModelKind::Append) {
            return Err(LevelError::OtherObject);
        }
        let sessions = self.sessions(model)?;
        let mut step = 0;
        for own in 0..sessions.steps.len() {
            let (until, least) = (FxHashMap::default(), FxHashMap::default());
            let mut notes = Notes { until, least, top: 0, read: 0, wrote: 0 };
            for (at, one) in sessions.steps[own].iter().enumerate() {
                step += 1;
                self.go_on(step)?;
                self.one(&sessions, own, at, one, &mut notes)?;
            }
        }
        Ok(())
    }

    fn one(
        &self,
        sessions: &Sessions,
        own: usize,
        at: usize,
        one: &Step,
        notes: &mut Notes,
    ) -> Result<(), LevelError> {
        let index = self.history.operations[one.place].invoked.position;
        let level = self.level;
        if let Some(saw) = one.saw {
            if saw > 0 {
                let (_, session, place) = sessions.writes[saw];
                if session == own && place > at {
                    return Err(LevelError::TooEarly(index));
                }
                match level {
                    Level::MonotonicWrites | Level::WritesFollowReads => {
                        self.note(sessions, notes, session, place)?;
                    }
                    Level::Session => self.note(sessions, notes, session, place + 1)?,
                    _ => {}
                }
            }
            let must = notes.least.get(&one.key).copied().unwrap_or(0);
            if must > saw {
                let write = self.certificate.keys[0].order[must - 1];
                return Err(LevelError::Missed { read: index, write });
            }
            if level == Level::MonotonicReads {
                notes.must(one.key, saw);
            }
        }
        let read_before = notes.read;
        notes.read = notes.read.max(one.saw.unwrap_or(0));
        let Some(wrote) = one.wrote else { return Ok(()) };
        let earlier = match level {
            Level::Session => notes.top,
            Level::WritesFollowReads => read_before,
            Level::MonotonicWrites => notes.wrote,
            Level::ReadYourWrites => notes.least.get(&one.key).copied().unwrap_or(0),
            _ => 0,
        };
        // What an operation replaced was there before it.
        if earlier.max(one.saw.unwrap_or(0)) > wrote {
            return Err(LevelError::TooEarly(index));
        }
        notes.wrote = wrote;
        match level {
            Level::ReadYourWrites => notes.must(one.key, wrote),
            Level::Session => self.note(sessions, notes, own, at + 1)?,
            _ => {}
        }
        Ok(())
    }

    /// Notes the first `until` operations of a session, and what these rest on.
    fn note(
        &self,
        sessions: &Sessions,
        notes: &mut Notes,
        session: usize,
        until: usize,
    ) -> Result<(), LevelError> {
        let mut open = vec![(session, until)];
        let mut step = 0;
        while let Some((session, until)) = open.pop() {
            let noted = notes.until.entry(session).or_insert(0);
            let from = *noted;
            *noted = from.max(until);
            for one in sessions.steps[session].get(from..until).unwrap_or_default() {
                step += 1;
                self.go_on(step)?;
                if let (Some(wrote), Level::MonotonicWrites | Level::Session) =
                    (one.wrote, self.level)
                {
                    notes.must(one.key, wrote);
                }
                let Some(saw) = one.saw.filter(|saw| *saw > 0) else { continue };
                let (key, other, place) = sessions.writes[saw];
                match self.level {
                    Level::WritesFollowReads => {
                        notes.must(key, saw);
                        open.push((other, place));
                    }
                    Level::Session => open.push((other, place + 1)),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The operations of each session, with what they saw.
    fn sessions(&self, model: ModelKind) -> Result<Sessions, LevelError> {
        let [order] = &self.certificate.keys[..] else {
            return Err(LevelError::OtherOrders("one order of all writes"));
        };
        let count = self.history.operations.len();
        let mut rank = vec![0_usize; count];
        for (step, &index) in (1..).zip(&order.order) {
            self.go_on(step)?;
            let place = self.place(index)?;
            if written(&self.history.operations[place]).is_none() {
                return Err(LevelError::Stranger(index));
            }
            if std::mem::replace(&mut rank[place], step) > 0 {
                return Err(LevelError::Repeated(index));
            }
        }
        let sources = Sources::of(self, model, &rank)?;
        let mut numbers: FxHashMap<u32, usize> = FxHashMap::default();
        let mut sessions =
            Sessions { steps: Vec::new(), writes: vec![(0, 0, 0); order.order.len() + 1] };
        for (place, operation) in self.history.operations.iter().enumerate() {
            self.go_on(place + 1)?;
            let wrote = Some(rank[place]).filter(|rank| *rank > 0);
            let index = operation.invoked.position;
            if operation.is_ok() && written(operation).is_some() && wrote.is_none() {
                return Err(LevelError::Missing(index));
            }
            if !operation.is_ok() && wrote.is_none() {
                continue;
            }
            let next = numbers.len();
            let session = *numbers.entry(operation.process.0).or_insert(next);
            if session == sessions.steps.len() {
                sessions.steps.push(Vec::new());
            }
            let saw = if observes(operation) { Some(sources.saw(self, place)?) } else { None };
            let key = operation.key.0;
            if let Some(wrote) = wrote {
                sessions.writes[wrote] = (key, session, sessions.steps[session].len());
            }
            sessions.steps[session].push(Step { place, key, saw, wrote });
        }
        Ok(sessions)
    }
}

/// What an operation writes or appends if it happens.
fn written(operation: &Operation) -> Option<Option<ValueId>> {
    match (operation.action, operation.response()) {
        (Action::Write(value) | Action::Other(Function::Append, value), _) => Some(Some(value)),
        (Action::Cas { new, .. }, Some(Response::Swapped) | None) => Some(Some(new)),
        (Action::Delete, _) => Some(None),
        _ => None,
    }
}

/// Whether an operation that happened saw something.
const fn observes(operation: &Operation) -> bool {
    matches!(operation.action, Action::Read | Action::Cas { .. })
}

/// Who wrote what.
struct Sources {
    /// By key and value, the place in the order; nothing if there are several.
    writers: FxHashMap<(u32, ValueId), Option<usize>>,
    /// What the certificate says: by place of the reader, the place in the order.
    said: FxHashMap<usize, usize>,
    /// By place in the order, from 1, what was written.
    values: Vec<Option<ValueId>>,
    /// By key, the appends in their order; of lists alone.
    appends: Vec<Vec<usize>>,
    is_list: bool,
}

impl Sources {
    fn of(verifier: &Verifier<'_>, model: ModelKind, rank: &[usize]) -> Result<Self, LevelError> {
        let history = verifier.history;
        let order = &verifier.certificate.keys[0].order;
        let mut sources = Self {
            writers: FxHashMap::default(),
            said: FxHashMap::default(),
            values: vec![None; order.len() + 1],
            appends: vec![Vec::new(); history.keys.len()],
            is_list: model == ModelKind::Append,
        };
        for (step, &index) in (1..).zip(order) {
            let operation = &history.operations[verifier.place(index)?];
            let Some(value) = written(operation) else { return Err(LevelError::Stranger(index)) };
            let value = value.or_else(|| history.values.find(verifier.initial));
            sources.values[step] = value;
            sources.appends[operation.key.0 as usize].push(step);
            if let Some(value) = value {
                let writer = sources.writers.entry((operation.key.0, value));
                writer.and_modify(|writer| *writer = None).or_insert(Some(step));
            }
        }
        for sight in &verifier.certificate.saw {
            let place = verifier.place(sight.read)?;
            let write = match sight.write {
                None => 0,
                Some(index) => rank[verifier.place(index)?],
            };
            if sight.write.is_some() && write == 0 {
                return Err(LevelError::Unsaid(sight.read));
            }
            sources.said.insert(place, write);
        }
        Ok(sources)
    }

    /// The place in the order of what the operation at `place` saw; 0 for the beginning.
    fn saw(&self, verifier: &Verifier<'_>, place: usize) -> Result<usize, LevelError> {
        let history = verifier.history;
        let operation = &history.operations[place];
        let (key, index) = (operation.key.0, operation.invoked.position);
        let initial = history.values.find(verifier.initial_of(history.key(operation.key)));
        let wrong = LevelError::WrongAnswer(index);
        let expected = match (operation.action, operation.response()) {
            (Action::Read, Some(Response::Value(seen))) => Ok(seen),
            (Action::Cas { expected, .. }, Some(Response::Swapped) | None) => Ok(expected),
            (Action::Cas { expected, .. }, Some(Response::Mismatch(Some(saw))))
                if saw != expected =>
            {
                Ok(saw)
            }
            (Action::Cas { expected, .. }, Some(Response::Mismatch(None))) => Err(expected),
            _ => return Err(wrong),
        };
        if self.is_list {
            let Ok(seen) = expected else { return Err(wrong) };
            return self.last_of_list(verifier, key, seen).ok_or(wrong);
        }
        let fits = |value: Option<ValueId>| match expected {
            Ok(seen) => value == Some(seen),
            Err(other) => value != Some(other),
        };
        let source = match (self.said.get(&place), expected) {
            (Some(&said), _) => said,
            (None, Err(_)) => return Err(LevelError::Unsaid(index)),
            (None, Ok(seen)) => match (self.writers.get(&(key, seen)), initial == Some(seen)) {
                (Some(Some(writer)), false) => *writer,
                (None, true) => 0,
                (None, false) => return Err(wrong),
                _ => return Err(LevelError::Unsaid(index)),
            },
        };
        let is_same_key = source == 0 || self.appends[key as usize].binary_search(&source).is_ok();
        let value = if source == 0 { initial } else { self.values[source] };
        if is_same_key && fits(value) { Ok(source) } else { Err(wrong) }
    }

    /// The last of the appends that a list shows, if it shows the first ones of the key and no other.
    fn last_of_list(&self, verifier: &Verifier<'_>, key: u32, seen: ValueId) -> Option<usize> {
        let items = match verifier.history.values.get(seen) {
            Value::Null => return Some(0),
            Value::List(items) => items,
            _ => return None,
        };
        let appends = &self.appends[key as usize];
        let shown = appends.get(..items.len())?;
        let fits = |(item, append): (&Value, &usize)| {
            self.values[*append].is_some_and(|value| verifier.history.values.get(value) == item)
        };
        let all = items.iter().zip(shown).all(fits);
        all.then(|| shown.last().copied().unwrap_or(0))
    }
}
