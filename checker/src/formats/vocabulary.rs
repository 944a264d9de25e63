//! Understands events in the words of Jepsen, wherever they stand.
//!
//! - `:process` is a number; `:nemesis` is not a client, and what it did is skipped.
//! - `:type` is `:invoke`, `:ok`, `:fail` or `:info`.
//! - `:f` is one of our [functions](Function); `:get` is a read, `:put` a write.
//! - `:value` is the argument or the answer. What a `:fail` or `:info` has there, such as
//!   `:timed-out`, is left out: the invocation has the argument.
//! - The micro-operations of a `:txn` are lists that begin with the name of a function.
//! - The order of events is their order in the file. `:index` is kept where it is given. A `:time`
//!   before that of an event further up is taken as that one; where there is none, each event is
//!   one nanosecond after the one before, so that it can be drawn.
//! - With [`independent`](super::ReadOptions::independent), a value is `[key value]`.
//!
//! Sources: Knossos's README (<https://github.com/jepsen-io/knossos>); `independent/tuple` in
//! Jepsen (<https://github.com/jepsen-io/jepsen>, `jepsen/src/jepsen/independent.clj`); for nil
//! reads, *we don't know what the read was* in Knossos's `Register` (`src/knossos/model.clj`).

use rustc_hash::FxHashMap;

use super::edn::syntax::quote;
use super::error::ReadProblem;
use super::options::{FailedCas, NilRead};
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
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
}

impl Name {
    const ALL: [(&'static str, Self); 11] = [
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
        }
    }

    /// Whether the value says something; it does not in what the nemesis does, and where nothing
    /// is known to have happened.
    pub(super) fn needs_value(&self) -> bool {
        let is = |field: &Option<Value>, name| field.as_ref().and_then(keyword) == Some(name);
        !(is(&self.process, "nemesis") || is(&self.kind, "fail") || is(&self.kind, "info"))
    }
}

/// What the words mean here, and what was said before.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// What a failed compare-and-set means.
    pub(super) failed_cas: FailedCas,
    /// What a read of nil means.
    pub(super) nil_read: NilRead,
    /// Whether values are `[key value]`.
    pub(super) independent: bool,
    /// Whether there are the functions and keys of a key/value log only.
    pub(super) key_value: bool,
    /// The keys of open operations, for completions that do not repeat them.
    open: FxHashMap<ProcessId, Value>,
    /// Index and time of the event before.
    last: Option<(u64, u64)>,
}

impl Vocabulary {
    /// A vocabulary in which nothing was said before.
    pub(super) fn new(failed_cas: FailedCas, nil_read: NilRead, independent: bool) -> Self {
        let open = FxHashMap::default();
        Self { failed_cas, nil_read, independent, key_value: false, open, last: None }
    }

    /// The next event; nothing if it is none of a client.
    pub(super) fn event(&mut self, fields: Fields) -> Result<Option<Event>, ReadProblem> {
        let index = self.index(fields.index.as_ref())?;
        let time = self.time(fields.time.as_ref())?;
        self.last = Some((index, time));
        let Some(process) = process(fields.process.as_ref())? else { return Ok(None) };
        let kind = kind(fields.kind.as_ref())?;
        let function = self.function(fields.function.as_ref())?;
        if function == Function::Read && kind == EventKind::Ok && fields.value.is_none() {
            return Err(ReadProblem::unexpected(":value in the :ok of a read", "none"));
        }
        let (key, value) = self.key_and_value(process, kind, fields.key, fields.value)?;
        let mut event = Event {
            index,
            time: Nanoseconds(time),
            process,
            kind,
            function,
            key,
            value,
            swapped: truth(":partita/swapped", fields.swapped.as_ref())?,
            saw: fields.saw,
            node: fields.node.and_then(|node| text(&node)).map(Into::into),
            error: None,
        };
        if matches!(kind, EventKind::Fail | EventKind::Info) {
            event.value = Value::Null;
        } else if function == Function::Txn {
            event.value = transaction(&event.value);
        }
        let known = truth(":partita/known", fields.known.as_ref())?.unwrap_or(false);
        self.interpret(&mut event, known);
        Ok(Some(event))
    }

    /// Makes of an event that says less or more than its type what it says.
    fn interpret(&self, event: &mut Event, known: bool) {
        let mismatch = event.kind == EventKind::Fail
            && event.function == Function::Cas
            && event.swapped == Some(false);
        if mismatch {
            event.kind = EventKind::Ok;
        } else if self.nil_read.drops(event) && !known {
            event.kind = EventKind::Fail;
        }
        let Record { kind, swapped, .. } = self.failed_cas.interpret(Record::from(&*event));
        (event.kind, event.swapped) = (kind, swapped);
    }

    fn index(&self, index: Option<&Value>) -> Result<u64, ReadProblem> {
        match index {
            None => Ok(self.last.map_or(0, |(last, _)| last.saturating_add(1))),
            Some(index) => whole(":index", index),
        }
    }

    fn time(&self, time: Option<&Value>) -> Result<u64, ReadProblem> {
        let last = self.last.map(|(_, last)| last);
        match time {
            None => Ok(last.map_or(0, |last| last.saturating_add(1))),
            Some(time) => Ok(whole(":time", time)?.max(last.unwrap_or(0))),
        }
    }

    fn function(&self, function: Option<&Value>) -> Result<Function, ReadProblem> {
        let name = function.and_then(keyword);
        let found = match name {
            Some("get") => Some(Function::Read),
            Some("put") => Some(Function::Write),
            Some("append") => Some(Function::Append),
            Some(name) if !self.key_value => Function::from_name(name),
            _ => None,
        };
        found.ok_or_else(|| {
            let known = if self.key_value {
                ":get, :put or :append".to_owned()
            } else {
                let names = Function::ALL.map(|function| format!(":{function}"));
                format!("one of {}", names.join(", "))
            };
            ReadProblem::unexpected(format!(":f to be {known}"), describe(function))
        })
    }

    fn key_and_value(
        &mut self,
        process: ProcessId,
        kind: EventKind,
        key: Option<Value>,
        value: Option<Value>,
    ) -> Result<(Value, Value), ReadProblem> {
        let mut value = value.unwrap_or_default();
        let mut key = key;
        if self.key_value && !matches!(key, Some(Value::Text(_))) {
            return Err(ReadProblem::unexpected(":key to be a text", describe(key.as_ref())));
        }
        let is_invocation = kind == EventKind::Invoke;
        if self.independent && matches!(kind, EventKind::Fail | EventKind::Info) {
            // The client may have left anything there; the invocation has the key.
            key = None;
        } else if self.independent {
            let pair = match &value {
                Value::List(items) => <&[Value; 2]>::try_from(&**items).ok().cloned(),
                _ => None,
            };
            let Some([first, second]) = pair else {
                let expected = ":value to be [key value], as `independent` has it";
                return Err(ReadProblem::unexpected(expected, describe(Some(&value))));
            };
            (key, value) = (Some(first), second);
        }
        let key = match key {
            Some(key) if is_invocation && !key.is_null() => {
                self.open.insert(process, key.clone());
                key
            }
            Some(key) => key,
            None if is_invocation => Value::Null,
            None => self.open.get(&process).cloned().unwrap_or_default(),
        };
        if !is_invocation {
            self.open.remove(&process);
        }
        Ok((key, value))
    }
}

/// The process, or nothing if it is the nemesis.
fn process(process: Option<&Value>) -> Result<Option<ProcessId>, ReadProblem> {
    match process {
        Some(Value::Integer(number)) if u32::try_from(*number).is_ok() => {
            Ok(u32::try_from(*number).ok().map(ProcessId))
        }
        Some(Value::Text(name)) if &**name == ":nemesis" => Ok(None),
        other => {
            let expected = ":process to be an integer from 0 to 4294967295, or :nemesis";
            Err(ReadProblem::unexpected(expected, describe(other)))
        }
    }
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
    (!value.is_null()).then(|| keyword(value).map_or_else(|| value.to_string(), str::to_owned))
}

/// The value as an error repeats it.
fn describe(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| quote(&value.to_string()))
}
