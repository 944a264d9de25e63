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

use super::assembly::{Assembly, hint_at_sorting};
use super::edn::syntax::{Place, quote};
use super::error::{ReadError, ReadProblem};
use super::options::{ReadOptions, usual_nil_read};
use super::reading::{DecidedBy, Decision, Reading, Severity};
use super::{Format, tuples};
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::history::History;
use crate::value::Value;

/// The name of a field that has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Process,
    Type,
    Function,
    Value,
    Key,
    Time,
    Index,
    Node,
    Swapped,
    Saw,
    Known,
    Error,
}

impl Name {
    const ALL: [(&'static str, Self); 12] = [
        (":process", Self::Process),
        (":type", Self::Type),
        (":f", Self::Function),
        (":value", Self::Value),
        (":key", Self::Key),
        (":time", Self::Time),
        (":index", Self::Index),
        (":node", Self::Node),
        (":partita/swapped", Self::Swapped),
        (":partita/saw", Self::Saw),
        (":partita/known", Self::Known),
        (":error", Self::Error),
    ];

    /// The name that this keyword is, if it has a meaning.
    pub(super) fn of(keyword: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == keyword).map(|&(_, name)| name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Self::ALL.iter().filter(|(_, name)| name == self);
        names.take(1).try_for_each(|(keyword, _)| out.write_str(keyword))
    }
}

/// The fields of an event as they stand in a file.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) process: Option<Value>,
    pub(super) kind: Option<Value>,
    pub(super) function: Option<Value>,
    pub(super) value: Option<Value>,
    pub(super) key: Option<Value>,
    pub(super) time: Option<Value>,
    pub(super) index: Option<Value>,
    pub(super) node: Option<Value>,
    pub(super) swapped: Option<Value>,
    pub(super) saw: Option<Value>,
    pub(super) known: Option<Value>,
    pub(super) error: Option<Value>,
    /// The names of other fields that may mean something.
    pub(super) others: Vec<String>,
    /// Why one of the fields is no value; it matters for clients only.
    pub(super) refusal: Option<ReadError>,
    /// Why the value is none; it matters only where there is an answer or an argument.
    pub(super) value_refusal: Option<ReadError>,
}

/// Fields that say nothing of what an operation did.
const HARMLESS: [&str; 16] = [
    ":exception",
    ":debug",
    ":clock-offsets",
    ":wall-time",
    ":final?",
    ":final",
    ":client",
    ":thread",
    ":via",
    ":trace",
    ":cause",
    ":msg",
    ":message",
    ":comment",
    ":sub-via",
    ":latency",
];

/// Whether a field that we do not know is worth a warning.
pub(super) fn may_matter(name: &str) -> bool {
    !HARMLESS.contains(&name)
}

impl Fields {
    /// The field with this name.
    pub(super) const fn field(&mut self, name: Name) -> &mut Option<Value> {
        match name {
            Name::Process => &mut self.process,
            Name::Type => &mut self.kind,
            Name::Function => &mut self.function,
            Name::Value => &mut self.value,
            Name::Key => &mut self.key,
            Name::Time => &mut self.time,
            Name::Index => &mut self.index,
            Name::Node => &mut self.node,
            Name::Swapped => &mut self.swapped,
            Name::Saw => &mut self.saw,
            Name::Known => &mut self.known,
            Name::Error => &mut self.error,
        }
    }
}

/// An event as far as its own line tells what it means.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) place: Place,
    /// Whether a read of nil is known to be an answer.
    known: bool,
}

/// Names of clients are numbered from here, where no number of a process has ever been seen.
const FIRST_NAMED: u32 = 1 << 31;

/// What was said so far.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Whether there are the functions and keys of a key/value log only.
    key_value: bool,
    options: ReadOptions,
    format: Format,
    entries: Vec<Entry>,
    reading: Reading,
    /// The functions and keys of open operations, for completions that do not repeat them.
    open: FxHashMap<ProcessId, (Function, Value)>,
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
    pub(super) fn take(&mut self, mut fields: Fields, place: Place) -> Result<(), Refusal> {
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
        if kind == EventKind::Ok && answers(function) && fields.value.is_none() {
            let expected = format!(":value in the :ok of a {function}");
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
        let known = truth(":partita/known", fields.known.as_ref())?.unwrap_or(false);
        let event = self.event(fields, Basis { index, time, process, kind, function })?;
        self.entries.push(Entry { event, place, known });
        Ok(())
    }

    fn event(&mut self, fields: Fields, basis: Basis) -> Result<Event, ReadProblem> {
        let Basis { index, time, process, kind, function } = basis;
        let mut value = fields.value.unwrap_or_default();
        let error = error_of(fields.error.as_ref(), &value, kind, function);
        let key = self.key(process, kind, function, fields.key)?;
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
        })
    }

    /// The history of all that was said, once there is no more.
    pub(super) fn finish(mut self) -> Result<(History, Reading), (Place, ReadProblem)> {
        self.decide_tuples()?;
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

    /// Gives clients with names the numbers after those of the others.
    fn number_named(&mut self) {
        if self.named.is_empty() {
            return;
        }
        let numbers = self.entries.iter().map(|one| one.event.process.0);
        let first = numbers.filter(|&one| one < FIRST_NAMED).max().map_or(0, |last| last + 1);
        for Entry { event, .. } in &mut self.entries {
            if event.process.0 >= FIRST_NAMED {
                event.process = ProcessId(event.process.0 - FIRST_NAMED + first);
            }
        }
        let clients = self.named.len() as u64;
        self.decided("processes", &format!("clients with names, numbered from {first}"), clients);
    }

    /// Splits tuples, if values are tuples.
    fn decide_tuples(&mut self) -> Result<(), (Place, ReadProblem)> {
        let (are_tuples, by) = match self.options.independent {
            Some(asked) => (asked, DecidedBy::Option),
            None if self.key_value => return Ok(()),
            None => (tuples::tell(&self.entries)?, DecidedBy::Content),
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

    fn note_times(&mut self) {
        if self.timed > 0 && self.untimed > 0 {
            let text = "events without :time, taken as at the time of the event before";
            self.reading.notes.push(super::Note {
                severity: Severity::Warning,
                text: text.to_owned(),
                count: self.untimed,
                first_line: self.first_untimed,
            });
        }
    }

    /// The client; nothing if it is none.
    fn client(&mut self, fields: &Fields, place: Place) -> Result<Option<ProcessId>, Refusal> {
        let named = match &fields.process {
            Some(Value::Integer(number)) => {
                let number = u32::try_from(*number).ok();
                let free = |number: &u32| *number < FIRST_NAMED || self.named.is_empty();
                return number.filter(free).map(|number| Some(ProcessId(number))).ok_or_else(
                    || {
                        let expected =
                            ":process to be an integer from 0 to 4294967295, or :nemesis";
                        ReadProblem::unexpected(expected, describe(fields.process.as_ref())).into()
                    },
                );
            }
            Some(name @ Value::Text(_)) => Some(name),
            // A symbol, or any other form that is no value.
            Some(Value::Null) if fields.refusal.is_some() => None,
            other => {
                let expected = ":process to be an integer from 0 to 4294967295, or :nemesis";
                return Err(ReadProblem::unexpected(expected, describe(other.as_ref())).into());
            }
        };
        let is_nemesis = named.and_then(keyword) == Some("nemesis");
        let known = named.and_then(|name| self.named.get(name)).copied();
        if !is_nemesis && let Some(known) = known {
            return Ok(Some(known));
        }
        let invokes = fields.kind.as_ref().and_then(keyword) == Some("invoke")
            && fields.function.as_ref().and_then(keyword).and_then(known_function).is_some();
        let completes = matches!(fields.kind.as_ref().and_then(keyword), Some("ok" | "fail"))
            && fields.function.as_ref().and_then(keyword).and_then(known_function).is_some();
        match named {
            Some(name) if !is_nemesis && invokes => {
                let number = FIRST_NAMED + u32::try_from(self.named.len()).unwrap_or(0);
                self.named.insert(name.clone(), ProcessId(number));
                Ok(Some(ProcessId(number)))
            }
            Some(name) if !is_nemesis && completes => {
                let expected = format!("an invocation by {name} before its completion");
                Err(ReadProblem::unexpected(expected, describe(fields.kind.as_ref())).into())
            }
            None if invokes || completes => Err(fields_refusal(fields)),
            name => {
                let name = name.map_or_else(|| "no name".to_owned(), ToString::to_string);
                let text = format!("lines of {name}, which is no client, skipped");
                self.reading.note(Severity::Information, &text, place.line);
                Ok(None)
            }
        }
    }

    /// Counts an event that is none of a client, so that numbers stay those of lines.
    fn step_over(&mut self, index: Option<&Value>) {
        let next = self.last.map_or(0, |(last, _)| last.saturating_add(1));
        let index = match index {
            Some(Value::Integer(given)) => u64::try_from(*given).unwrap_or(next).max(next),
            _ => next,
        };
        let time = self.last.map_or(0, |(_, time)| time);
        self.last = Some((index, if self.timed > 0 { time } else { index }));
    }

    fn index(&self, index: Option<&Value>) -> Result<u64, ReadProblem> {
        match index {
            None => Ok(self.last.map_or(0, |(last, _)| last.saturating_add(1))),
            Some(index) => whole(":index", index),
        }
    }

    fn time(&mut self, time: Option<&Value>, index: u64, line: u64) -> Result<u64, ReadProblem> {
        if let Some(time) = time {
            self.timed += 1;
            return whole(":time", time);
        }
        if self.options.sort_by_time {
            let expected = ":time in every event, since they are to be sorted by it";
            return Err(ReadProblem::unexpected(expected, "none"));
        }
        if self.untimed == 0 {
            self.first_untimed = line;
        }
        self.untimed += 1;
        Ok(match self.last {
            Some((_, last)) if self.timed > 0 => last,
            _ => index,
        })
    }

    /// Takes a time that goes back as that of the event before, where the order of lines claims no
    /// more for it than that operations overlap: Jepsen's workers stamp events before they get their
    /// places. An invocation before a completion further up is left to be refused, unless events are
    /// numbered, which tells their order.
    fn forward(&mut self, time: u64, kind: EventKind, numbered: bool, line: u64) -> u64 {
        let last = self.last.map_or(0, |(_, last)| last);
        let contradicts = kind == EventKind::Invoke && time < self.completed;
        if self.options.sort_by_time || (contradicts && !numbered) {
            return time;
        }
        if contradicts {
            let text = "times that contradict :index, which counts";
            self.note(Severity::Warning, text, line);
            return time.max(last);
        }
        if kind != EventKind::Invoke {
            self.completed = self.completed.max(time);
        }
        if time < last {
            let text =
                "times that go back between operations that overlap, taken as the time before";
            self.note(Severity::Information, text, line);
        }
        time.max(last)
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
            Some(name) if !self.key_value => Function::from_name(name),
            _ => None,
        };
        if self.key_value {
            return found.map(Some).ok_or_else(|| self.unknown_function(fields));
        }
        let opened = self.open.get(&process).map(|(function, _)| *function);
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
        process: ProcessId,
        kind: EventKind,
        function: Function,
        key: Option<Value>,
    ) -> Result<Value, ReadProblem> {
        if self.key_value && !matches!(key, Some(Value::Text(_))) {
            return Err(ReadProblem::unexpected(":key to be a text", describe(key.as_ref())));
        }
        if kind == EventKind::Invoke {
            let key = key.unwrap_or_default();
            self.open.insert(process, (function, key.clone()));
            return Ok(key);
        }
        let invoked = self.open.remove(&process).map(|(_, key)| key);
        Ok(key.or(invoked).unwrap_or_default())
    }
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
pub(super) enum Refusal {
    /// There.
    At(ReadError),
    /// Where the event begins.
    Here(ReadProblem),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::At(error)
    }
}

impl From<ReadProblem> for Refusal {
    fn from(problem: ReadProblem) -> Self {
        Self::Here(problem)
    }
}

/// That the process is no name.
fn fields_refusal(fields: &Fields) -> Refusal {
    let expected = ":process to be an integer from 0 to 4294967295, or :nemesis";
    ReadProblem::unexpected(expected, describe(fields.process.as_ref())).into()
}

/// The function that clients call so.
fn known_function(name: &str) -> Option<Function> {
    match name {
        "get" => Some(Function::Read),
        "put" => Some(Function::Write),
        name => Function::from_name(name),
    }
}

/// Whether an operation that came back says more than that it happened.
const fn answers(function: Function) -> bool {
    matches!(
        function,
        Function::Read | Function::Dequeue | Function::Pop | Function::Contains | Function::Txn
    )
}

/// A mismatch that says so is an answer, although Jepsen has no type for it but `:fail`.
fn settle(event: &mut Event) {
    if event.function == Function::Cas && event.swapped == Some(false) {
        event.kind = EventKind::Ok;
    }
    event.value = Value::Null;
}

/// The name of the error of an operation: what stands there as such, or in the place of its value.
fn error_of(
    error: Option<&Value>,
    value: &Value,
    kind: EventKind,
    function: Function,
) -> Option<String> {
    let failed_cas = kind == EventKind::Fail && function == Function::Cas;
    let error = match error {
        Some(error) if !error.is_null() => error,
        // Its argument would be a list.
        _ if failed_cas => match value {
            Value::Text(_) => value,
            Value::List(parts) => match &**parts {
                [_, name @ Value::Text(text)] if text.starts_with(':') => name,
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    // `[:conn-refused "n1"]` is a name with details.
    match error {
        Value::List(parts) => parts.first().and_then(text).or_else(|| text(error)),
        error => text(error),
    }
}

/// Whether the value is a list of micro-operations, as those of a transaction.
fn are_micro_operations(value: &Value) -> bool {
    const NAMES: [&str; 5] = ["r", "w", "append", "read", "write"];
    let is_one = |item: &Value| match item {
        Value::List(parts) => {
            (2..=3).contains(&parts.len())
                && parts.first().and_then(keyword).is_some_and(|name| NAMES.contains(&name))
        }
        _ => false,
    };
    matches!(value, Value::List(items) if !items.is_empty() && items.iter().all(is_one))
}

fn kind(kind: Option<&Value>) -> Result<EventKind, ReadProblem> {
    match kind.and_then(keyword) {
        Some("invoke") => Ok(EventKind::Invoke),
        Some("ok") => Ok(EventKind::Ok),
        Some("fail") => Ok(EventKind::Fail),
        Some("info") => Ok(EventKind::Info),
        _ => {
            let expected = ":type to be :invoke, :ok, :fail or :info";
            Err(ReadProblem::unexpected(expected, describe(kind)))
        }
    }
}

/// The micro-operations of a transaction, each with the name of its function as a plain text.
fn transaction(value: &Value) -> Value {
    let Value::List(operations) = value else { return value.clone() };
    let plain = |operation: &Value| match operation {
        Value::List(parts) => {
            let mut parts = parts.to_vec();
            if let Some(name) = parts.first().and_then(keyword) {
                parts[0] = Value::text(name);
            }
            Value::list(parts)
        }
        other => other.clone(),
    };
    Value::list(operations.iter().map(plain).collect::<Vec<Value>>())
}

fn whole(name: &str, value: &Value) -> Result<u64, ReadProblem> {
    let number = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let expected = format!("{name} to be an integer from 0");
        ReadProblem::unexpected(expected, describe(Some(value)))
    })
}

fn truth(name: &str, value: Option<&Value>) -> Result<Option<bool>, ReadProblem> {
    match value {
        None => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        other => Err(ReadProblem::unexpected(format!("{name} to be a boolean"), describe(other))),
    }
}

/// The name of a keyword, without its colon.
fn keyword(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => text.strip_prefix(':'),
        _ => None,
    }
}

/// The value for people; nothing for nil.
fn text(value: &Value) -> Option<String> {
    // A text as it is: printed, an empty one has quotes.
    let plain = || match value {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    };
    (!value.is_null()).then(|| keyword(value).map_or_else(plain, str::to_owned))
}

/// The value as an error repeats it.
fn describe(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| quote(&value.to_string()))
}
