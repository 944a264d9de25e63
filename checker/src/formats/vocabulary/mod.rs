//! Understands events in the words of Jepsen, wherever they stand.
//!
//! - `:process` is a number. What has a name instead, as `:nemesis`, is a client if it invokes one of
//!   our functions, and skipped otherwise, whatever its line holds.
//! - `:type` is `:invoke`, `:ok`, `:fail` or `:info`.
//! - `:f` is one of our [functions](Function); `:get` is a read, `:put` a write.
//! - `:value` is the argument or the answer. What a `:fail` or `:info` has there, such as
//!   `:timed-out`, is left out: the invocation has the argument.
//! - The micro-operations of a `:txn` are lists that begin with the name of a function. Under any
//!   other `:f` they make a transaction of it.
//! - The order of events is their order in the file. `:index` is kept where it is given. Where no
//!   event has a `:time`, events are numbered instead.
//! - Values may be `[key value]`; `tuples.rs` tells.
//! - What a failed compare-and-set and a read of nil mean is for `assembly.rs` to say.
//!
//! All events are kept until the last one is read, since only all of them tell what they mean.
//!
//! Sources: Knossos's README (<https://github.com/jepsen-io/knossos>); for nil reads, *we don't know
//! what the read was* in Knossos's `Register` (`src/knossos/model.clj`).

use rustc_hash::FxHashMap;

mod clients;
mod fields;
mod order;
mod versions;
mod words;

pub(super) use self::fields::{Fields, Name, may_matter};
pub(super) use self::words::quote_value;
use self::words::{
    are_micro_operations, describe, error_of, keyword, kind, settle, text, transaction, truth,
};
use super::assembly::{Assembly, hint_at_sorting};
use super::edn::syntax::Place;
use super::error::{ReadError, ReadProblem};
use super::options::{ReadOptions, usual_nil_read};
use super::reading::{DecidedBy, Decision, Reading, Severity};
use super::{Format, tuples};
use crate::event::Level;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::history::History;
use crate::value::Value;

/// An event as far as its own line tells what it means.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) place: Place,
    /// Whether a read of nil is known to be an answer.
    known: bool,
}

/// What was said so far.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Whether there are the functions and keys of a key/value log only.
    key_value: bool,
    options: ReadOptions,
    format: Format,
    entries: Vec<Entry>,
    reading: Reading,
    open: FxHashMap<ProcessId, Open>,
    named: FxHashMap<Value, ProcessId>,
    /// Index and time of the event before.
    last: Option<(u64, u64)>,
    /// The greatest time of a completion.
    completed: u64,
    /// How many events of clients had a time, and how many had none.
    timed: u64,
    untimed: u64,
    first_untimed: u64,
    /// How many transactions had another `:f` than `:txn`.
    micro: u64,
}

impl Vocabulary {
    /// A vocabulary in which nothing was said before.
    pub(super) fn new(format: Format, options: &ReadOptions) -> Self {
        Self {
            key_value: format == Format::PorcupineKv,
            options: options.clone(),
            format,
            entries: Vec::new(),
            reading: Reading::of(format),
            open: FxHashMap::default(),
            named: FxHashMap::default(),
            last: None,
            completed: 0,
            timed: 0,
            untimed: 0,
            first_untimed: 0,
            micro: 0,
        }
    }

    /// Counts something that was skipped or filled in on `line`.
    pub(super) fn note(&mut self, severity: Severity, text: &str, line: u64) {
        self.reading.note(severity, text, line);
    }

    /// Takes the event that begins at `place`. An error that has no place of its own is there.
    pub(super) fn take(&mut self, mut fields: Fields, place: Place) -> Result<(), InvalidEvent> {
        let (index, time) = (fields.index.take(), fields.time.take());
        let Some(process) = self.client(&fields, place)? else {
            if index.is_none() || time.is_none() {
                self.step_over(index.as_ref());
            }
            return Ok(());
        };
        if let Some(refusal) = fields.refusal.take() {
            return Err(refusal.into());
        }
        let kind = kind(fields.kind.as_ref())?;
        let Some(function) = self.function(&fields, process, kind)? else {
            let text = "`:info` of processes that did nothing, skipped";
            self.note(Severity::Warning, text, place.line);
            return Ok(());
        };
        if matches!(kind, EventKind::Invoke | EventKind::Ok)
            && let Some(refusal) = fields.value_refusal.take()
        {
            return Err(refusal.into());
        }
        if function.needs_value(kind) && fields.value.is_none() {
            let place = if kind == EventKind::Ok { ":ok" } else { ":invoke" };
            let expected = format!(":value in the {place} of a {function}");
            return Err(ReadProblem::unexpected(expected, "none").into());
        }
        let numbered = index.is_some();
        let index = self.index(index.as_ref())?;
        let time = self.time(time.as_ref(), index, place.line)?;
        let time = self.forward(time, kind, numbered, place.line);
        self.last = Some((index, time));
        for name in &fields.others {
            self.reading.note(
                Severity::Warning,
                &format!("field `{name}` is not checked"),
                place.line,
            );
        }
        let level = self.level(&fields, place.line);
        let known = truth(":partita/known", fields.known.as_ref())?.unwrap_or(false);
        let mut event = self.event(fields, Basis { index, time, process, kind, function })?;
        event.level = level;
        self.entries.push(Entry { event, place, known });
        Ok(())
    }

    /// The level that an operation was asked for with.
    fn level(&mut self, fields: &Fields, line: u64) -> Option<Level> {
        let said = fields.consistency.as_ref().or(fields.level.as_ref())?;
        let level = match said {
            Value::Text(word) => Level::of_word(word),
            _ => None,
        };
        if level.is_none() {
            let text = format!("level {}, which is not known, ignored", describe(Some(said)));
            self.note(Severity::Warning, &text, line);
        }
        level
    }

    fn event(&mut self, fields: Fields, basis: Basis) -> Result<Event, ReadProblem> {
        let Basis { index, time, process, kind, function } = basis;
        let mut value = fields.value.unwrap_or_default();
        let failed_cas = kind == EventKind::Fail && function == Function::Cas;
        let argument = self.open.get(&process).map(|open| &open.argument);
        let error = error_of(fields.error.as_ref(), &value, failed_cas, argument);
        let key = self.key(Basis { index, time, process, kind, function }, fields.key, &value)?;
        let swapped = truth(":partita/swapped", fields.swapped.as_ref())?;
        let gave_up = matches!(kind, EventKind::Fail | EventKind::Info);
        if gave_up && (swapped.is_none() || self.options.independent == Some(false)) {
            value = Value::Null;
        } else if function == Function::Txn {
            value = transaction(&value);
        }
        Ok(Event {
            index,
            time: Nanoseconds(time),
            process,
            kind,
            function,
            key,
            value,
            swapped,
            saw: fields.saw,
            node: fields.node.and_then(|node| text(&node)).map(Into::into),
            error: error.map(Into::into),
            level: None,
            revision: None,
        })
    }

    /// The history of all that was said, once there is no more.
    pub(super) fn finish(mut self) -> Result<(History, Reading), (Place, ReadProblem)> {
        self.decide_tuples()?;
        let versions = versions::take(&mut self.entries);
        if versions > 0 {
            self.decided("values", "[version value] pairs", versions);
        }
        let nil_read = usual_nil_read(
            self.format,
            self.options.model,
            self.entries.iter().map(|one| &one.event),
        );
        let mut assembly =
            Assembly::new(self.format, &self.options).with_nil_read(nil_read).without_tuples();
        self.note_times();
        if self.micro > 0 {
            self.decided("values", "micro-operations of transactions", self.micro);
        }
        self.number_named();
        assembly.reading = std::mem::take(&mut self.reading);
        for Entry { mut event, place, known } in self.entries {
            if event.kind == EventKind::Fail && event.swapped.is_some() {
                settle(&mut event);
            }
            let taken = match known {
                true => assembly.take_known(&event, place.line),
                false => assembly.take(&Record::from(&event), place.line),
            };
            taken.map_err(|problem| (place, hint_at_sorting(problem)))?;
            assembly.note_pending(place.line);
        }
        let at = |line| Place { line, column: 1 };
        assembly.finish().map_err(|(line, problem)| (at(line), problem))
    }

    /// Splits tuples, if values are tuples.
    fn decide_tuples(&mut self) -> Result<(), (Place, ReadProblem)> {
        let (are_tuples, by) = match self.options.independent {
            Some(asked) => (asked, DecidedBy::Option),
            None if self.key_value => return Ok(()),
            None => (tuples::tell(&self.entries, &mut self.reading)?, DecidedBy::Content),
        };
        if are_tuples {
            tuples::split(&mut self.entries)?;
        }
        if are_tuples || by == DecidedBy::Option {
            let chosen = if are_tuples { "[key value] tuples" } else { "no tuples" };
            self.reading.decisions.push(Decision {
                subject: "values".to_owned(),
                chosen: chosen.to_owned(),
                by,
                operations: if are_tuples { self.entries.len() as u64 / 2 } else { 0 },
            });
        }
        Ok(())
    }

    fn decided(&mut self, subject: &str, chosen: &str, operations: u64) {
        let (subject, chosen) = (subject.to_owned(), chosen.to_owned());
        let by = DecidedBy::Content;
        self.reading.decisions.push(Decision { subject, chosen, by, operations });
    }

    /// What the operation does; nothing if it is none.
    fn function(
        &mut self,
        fields: &Fields,
        process: ProcessId,
        kind: EventKind,
    ) -> Result<Option<Function>, ReadProblem> {
        let name = fields.function.as_ref().and_then(keyword);
        let found = match name {
            Some("get") => Some(Function::Read),
            Some("put") => Some(Function::Write),
            Some("append") => Some(Function::Append),
            Some("generate") if !self.key_value => Some(Function::Next),
            Some(name) if !self.key_value => Function::from_name(name),
            _ => None,
        };
        if self.key_value {
            return found.map(Some).ok_or_else(|| self.unknown_function(fields));
        }
        let opened = self.open.get(&process).map(|open| open.function);
        let is_micro = fields.value.as_ref().is_some_and(are_micro_operations);
        match kind {
            EventKind::Invoke if is_micro && found != Some(Function::Txn) && name.is_some() => {
                self.micro += 1;
                Ok(Some(Function::Txn))
            }
            EventKind::Ok | EventKind::Fail | EventKind::Info
                if opened == Some(Function::Txn) && found != opened =>
            {
                Ok(opened)
            }
            EventKind::Info if found.is_none() && opened.is_none() => Ok(None),
            _ => found.map(Some).ok_or_else(|| self.unknown_function(fields)),
        }
    }

    fn unknown_function(&self, fields: &Fields) -> ReadProblem {
        let known = if self.key_value {
            ":get, :put or :append".to_owned()
        } else {
            let names = Function::ALL.map(|function| format!(":{function}"));
            format!("one of {}", names.join(", "))
        };
        let found = describe(fields.function.as_ref());
        ReadProblem::unexpected(format!(":f to be {known}"), found)
    }

    fn key(
        &mut self,
        basis: Basis,
        key: Option<Value>,
        value: &Value,
    ) -> Result<Value, ReadProblem> {
        let Basis { process, kind, function, .. } = basis;
        if self.key_value && !matches!(key, Some(Value::Text(_))) {
            return Err(ReadProblem::unexpected(":key to be a text", describe(key.as_ref())));
        }
        if kind == EventKind::Invoke {
            let key = key.unwrap_or_default();
            let open = Open { function, key: key.clone(), argument: value.clone() };
            self.open.insert(process, open);
            return Ok(key);
        }
        let invoked = self.open.remove(&process).map(|open| open.key);
        Ok(key.or(invoked).unwrap_or_default())
    }
}

/// An operation that was invoked; its completion need not repeat what it does.
#[derive(Debug)]
struct Open {
    function: Function,
    key: Value,
    argument: Value,
}

/// What is settled of an event before the rest of it.
#[derive(Clone, Copy)]
struct Basis {
    index: u64,
    time: u64,
    process: ProcessId,
    kind: EventKind,
    function: Function,
}

/// Why an event is none: with a place of its own, or without.
pub(super) enum InvalidEvent {
    /// There.
    At(ReadError),
    /// Where the event begins.
    Here(ReadProblem),
}

impl From<ReadError> for InvalidEvent {
    fn from(error: ReadError) -> Self {
        Self::At(error)
    }
}

impl From<ReadProblem> for InvalidEvent {
    fn from(problem: ReadProblem) -> Self {
        Self::Here(problem)
    }
}
