//! Takes transactions out of a history.

use rustc_hash::FxHashMap;

use super::data::{
    MicroOp, NONE, OperationKind, Transaction, TransactionStatus, Transactions, Version,
};
use super::kind::TransactionKind;
use crate::engines::{Cancellation, Stopped};
use crate::event::Function;
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::model::micro_operation::{Name, Parts, parts};
use crate::value::{Value, ValueId};

/// Why transactions cannot be taken out of a history.
pub(crate) enum Unreadable {
    /// The time was up.
    Stopped,
    /// An operation has no meaning: its place and why.
    NoMeaning(usize, String),
}

impl From<Stopped> for Unreadable {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// The transactions of `history`. An operation on one key is a transaction of its own.
pub(crate) fn transactions<'h>(
    history: &'h History,
    kind: TransactionKind,
    cancellation: &Cancellation<'_>,
) -> Result<(Transactions<'h>, ByValue<'h>), Unreadable> {
    let count = history.operations.len();
    let read = Transactions {
        history,
        all: Vec::with_capacity(count),
        micro: Vec::with_capacity(count),
        answers: Vec::new(),
        keys: Vec::new(),
        versions: Vec::new(),
        repeated: None,
    };
    let mut reader = Reader { kind, read, keys: FxHashMap::default(), made: FxHashMap::default() };
    for (place, operation) in history.operations.iter().enumerate() {
        cancellation.step()?;
        reader.take(place, operation).map_err(|why| Unreadable::NoMeaning(place, why))?;
    }
    let Reader { read, made, .. } = reader;
    Ok((read, made))
}

/// The version of a key that a value makes; of several, one that did not certainly fail.
pub(crate) type ByValue<'h> = FxHashMap<(u32, &'h Value), u32>;

struct Reader<'h> {
    kind: TransactionKind,
    read: Transactions<'h>,
    keys: FxHashMap<&'h Value, u32>,
    made: ByValue<'h>,
}

impl<'h> Reader<'h> {
    fn take(&mut self, place: usize, operation: &'h Operation) -> Result<(), String> {
        let (fate, completed) = match operation.outcome {
            Outcome::Ok(moment, _) => (TransactionStatus::Committed, moment.position),
            Outcome::Fail(moment) => (TransactionStatus::Aborted, moment.position),
            Outcome::Info(_) => (TransactionStatus::Unknown, u64::MAX),
        };
        self.read.all.push(Transaction {
            operation: place as u32,
            process: operation.process.0,
            first: self.read.micro.len() as u32,
            fate,
            invoked: operation.invoked.position,
            completed,
        });
        let history = self.read.history;
        let key = history.key(operation.key);
        let value = |id: ValueId| history.values.get(id);
        match (operation.action, operation.response()) {
            (Action::Other(Function::Txn, asked), answer) => {
                self.transaction(value(asked), answer.map(|answer| (answer, fate)))
            }
            (Action::Other(Function::Append, element), _) => {
                self.micro((Name::Append, key, value(element)), true)
            }
            (Action::Write(written), _) => self.micro((Name::Write, key, value(written)), true),
            (Action::Read, Some(Response::Value(answer))) => {
                self.micro((Name::Read, key, value(answer)), true)
            }
            (Action::Read, _) => Ok(()),
            (Action::Cas { expected, .. }, Some(Response::Mismatch(saw))) => match saw {
                Some(saw) => self.micro((Name::Read, key, value(saw)), true),
                None => Err(format!(
                    "a compare-and-set that did not find {} does not say what it found",
                    value(expected).in_words()
                )),
            },
            (Action::Cas { expected, new }, _) => self.swap(key, value(expected), value(new)),
            (action, _) => Err(format!("there is no `{}` in transactions", action.function())),
        }
    }

    fn transaction(
        &mut self,
        asked: &'h Value,
        answer: Option<(Response, TransactionStatus)>,
    ) -> Result<(), String> {
        let Value::List(asked) = asked else { return Err(no_list(asked)) };
        let answer = match answer {
            Some((Response::Value(id), _)) if id != ValueId::NULL => {
                let answer = self.read.history.values.get(id);
                let Value::List(answer) = answer else { return Err(no_list(answer)) };
                if answer.len() != asked.len() {
                    let (asked, answer) = (asked.len(), answer.len());
                    return Err(format!("it answers {answer} micro-operations of {asked}"));
                }
                Some(answer)
            }
            _ => None,
        };
        for (place, item) in asked.iter().enumerate() {
            let asked = parts(item).ok_or_else(|| no_meaning(item))?;
            let Some(answer) = answer.map(|answer| &answer[place]) else {
                self.micro(asked, false)?;
                continue;
            };
            let answered = parts(answer).ok_or_else(|| no_meaning(answer))?;
            let same = asked.0 == answered.0
                && asked.1 == answered.1
                && (asked.0 == Name::Read || asked.2 == answered.2);
            if !same {
                let (asked, answer) = (item.in_words(), answer.in_words());
                return Err(format!("it was asked for {asked} and answers {answer}"));
            }
            self.micro(answered, true)?;
        }
        Ok(())
    }

    /// Takes one micro-operation, whose answer may be `known`.
    fn micro(&mut self, (name, key, value): Parts<'h>, known: bool) -> Result<(), String> {
        match (name, self.kind) {
            (Name::Read, TransactionKind::ListAppend)
                if known && !matches!(value, Value::List(_) | Value::Null) =>
            {
                Err(format!("a read of a list answers {}", value.in_words()))
            }
            (Name::Read, _) => {
                let key = self.key(key);
                if known {
                    self.answer(key, value);
                }
                Ok(())
            }
            (Name::Append, TransactionKind::ListAppend)
            | (Name::Write, TransactionKind::RwRegister) => {
                let key = self.key(key);
                self.write(key, value);
                Ok(())
            }
            (Name::Swap, TransactionKind::RwRegister) => match value {
                Value::List(operands) if operands.len() == 2 => {
                    self.swap(key, &operands[0], &operands[1])
                }
                other => Err(format!("a compare-and-set of {}", other.in_words())),
            },
            (Name::Write | Name::Swap, TransactionKind::ListAppend) => {
                Err("lists of list-append are only read and appended to".to_owned())
            }
            (Name::Append, TransactionKind::RwRegister) => {
                Err("nothing is appended to registers".to_owned())
            }
        }
    }

    /// A compare-and-set that matched reads what it expects and writes.
    fn swap(&mut self, key: &'h Value, expected: &'h Value, new: &'h Value) -> Result<(), String> {
        if self.kind == TransactionKind::ListAppend {
            return Err("lists of list-append are only read and appended to".to_owned());
        }
        let key = self.key(key);
        self.answer(key, expected);
        self.write(key, new);
        Ok(())
    }

    fn answer(&mut self, key: u32, value: &'h Value) {
        let version = self.read.answers.len() as u32;
        self.read.answers.push(value);
        self.read.micro.push(MicroOp { key, act: OperationKind::Read, version });
    }

    fn write(&mut self, key: u32, value: &'h Value) {
        let version = self.read.versions.len() as u32;
        let transaction = self.read.all.len() as u32 - 1;
        self.read.versions.push(Version { key, transaction, value });
        self.read.micro.push(MicroOp { key, act: OperationKind::Write, version });
        let aborted = |version: u32| {
            let transaction = self.read.versions[version as usize].transaction;
            self.read.all[transaction as usize].fate == TransactionStatus::Aborted
        };
        let known = self.made.entry((key, value)).or_insert(NONE);
        match *known {
            NONE => *known = version,
            // What failed and was tried again with the same value is seen of the second try.
            other if aborted(other) => *known = version,
            _ if aborted(version) => {}
            other => {
                self.read.repeated.get_or_insert([other, version]);
            }
        }
    }

    fn key(&mut self, key: &'h Value) -> u32 {
        let keys = &mut self.read.keys;
        *self.keys.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        })
    }
}

fn no_list(value: &Value) -> String {
    format!("expected a list of micro-operations, found {}", value.in_words())
}

fn no_meaning(item: &Value) -> String {
    format!("the micro-operation {} has no meaning", item.in_words())
}
