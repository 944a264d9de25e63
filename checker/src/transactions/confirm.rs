//! Looks at a counterexample again, in the history itself.
//!
//! Shares nothing with inference but what a link means: each is looked up in what the two
//! transactions said, and in times.

use super::cycles::DependencyEdge;
use super::data::Transactions;
use super::finding::Finding;
use super::graph::kind;
use super::kind::TransactionKind;
use super::saturate::Inferred;
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::isolation::OrderGuarantee;
use crate::value::{Value, ValueId};

/// What a transaction did: the name's first letter, the key, and the argument or answer.
pub(crate) type Said<'h> = (char, &'h Value, &'h Value);

/// What an operation says that it did; what it read only if it is known to have happened.
pub(crate) fn said<'h>(history: &'h History, operation: &Operation) -> Vec<Said<'h>> {
    let mut said = Vec::new();
    say(history, operation, &mut said);
    said
}

/// Adds what an operation [`said`].
pub(crate) fn say<'h>(history: &'h History, operation: &Operation, said: &mut Vec<Said<'h>>) {
    let key = history.key(operation.key);
    let value = |id: ValueId| history.values.get(id);
    let answer = match operation.outcome {
        Outcome::Ok(_, Response::Value(answer)) => Some(value(answer)),
        Outcome::Ok(_, Response::Mismatch(saw)) => saw.map(value),
        _ => None,
    };
    match operation.action {
        Action::Read => said.extend(answer.map(|answer| ('r', key, answer))),
        Action::Write(written) => said.push(('w', key, value(written))),
        Action::Cas { .. } if matches!(operation.response(), Some(Response::Mismatch(_))) => {
            said.extend(answer.map(|answer| ('r', key, answer)));
        }
        Action::Cas { expected, new } => {
            said.extend([('r', key, value(expected)), ('w', key, value(new))]);
        }
        Action::Other(crate::event::Function::Txn, asked) => {
            let told = answer.filter(|answer| !answer.is_null());
            if let Value::List(items) = told.unwrap_or_else(|| value(asked)) {
                items.iter().for_each(|item| micro(item, told.is_some(), said));
            }
        }
        Action::Other(_, element) => said.push(('a', key, value(element))),
        Action::Delete => {}
    }
}

fn micro<'h>(item: &'h Value, answered: bool, said: &mut Vec<Said<'h>>) {
    const NOTHING: &Value = &Value::Null;
    let Value::List(parts) = item else { return };
    let (Some(Value::Text(name)), Some(key)) = (parts.first(), parts.get(1)) else {
        return;
    };
    let value = parts.get(2).unwrap_or(NOTHING);
    match (&**name, value) {
        ("append", _) => said.push(('a', key, value)),
        ("w" | "write" | "put", _) => said.push(('w', key, value)),
        ("cas", Value::List(operands)) if operands.len() == 2 => {
            said.extend([('r', key, &operands[0]), ('w', key, &operands[1])]);
        }
        _ if answered => said.push(('r', key, value)),
        _ => {}
    }
}

/// Looks counterexamples up.
pub(crate) struct Confirm<'a, 'h> {
    pub(crate) read: &'a Transactions<'h>,
    pub(crate) kind: TransactionKind,
    pub(crate) initial: &'a Value,
    /// What order the level keeps that does not hold.
    pub(crate) keeps: OrderGuarantee,
}

impl<'h> Confirm<'_, 'h> {
    fn operation(&self, transaction: u32) -> &'h Operation {
        let place = self.read.all[transaction as usize].operation as usize;
        &self.read.history.operations[place]
    }

    fn said(&self, transaction: u32) -> Vec<Said<'h>> {
        said(self.read.history, self.operation(transaction))
    }

    /// Whether the links are a cycle, each holds, and every transaction took effect.
    pub(crate) fn cycle(&self, links: &[DependencyEdge], inferred: &[Inferred]) -> bool {
        let closes = (0..links.len()).all(|at| links[at].to == links[(at + 1) % links.len()].from);
        closes
            && !links.is_empty()
            && links.iter().all(|link| {
                let same = |one: &&Inferred| (one.before, one.after) == (link.from, link.to);
                self.took_effect(link.from)
                    && match inferred.iter().find(same).filter(|_| link.kind == kind::COMMIT) {
                        Some(one) => self.commits(one),
                        None => self.holds(*link),
                    }
            })
    }

    /// Whether the transaction is known to have taken effect.
    fn took_effect(&self, transaction: u32) -> bool {
        match self.operation(transaction).outcome {
            Outcome::Ok(..) => true,
            Outcome::Fail(_) => false,
            Outcome::Info(_) => {
                let written = self.said(transaction);
                let written: Vec<_> = written.iter().filter(|one| one.0 != 'r').collect();
                self.anybody(|_, (name, key, value)| {
                    let shows = |one: &&Said<'_>| one.1 == key && self.shows(value, one.2);
                    name == 'r' && written.iter().any(shows)
                })
            }
        }
    }

    /// Whether an answer shows that a value was written.
    fn shows(&self, answer: &Value, written: &Value) -> bool {
        match (self.kind, answer) {
            (TransactionKind::ListAppend, Value::List(items)) => items.contains(written),
            (TransactionKind::ListAppend, _) => false,
            (TransactionKind::RwRegister, _) => answer == written,
        }
    }

    /// Whether anything that an operation which is known to have happened said is like that.
    fn anybody(&self, is_so: impl Fn(&Operation, Said<'h>) -> bool) -> bool {
        let history = self.read.history;
        let happened = history.operations.iter().filter(|one| one.is_ok());
        happened.into_iter().any(|one| said(history, one).into_iter().any(|it| is_so(one, it)))
    }

    fn holds(&self, link: DependencyEdge) -> bool {
        let [first, second] = [link.from, link.to].map(|one| self.operation(one));
        match link.kind {
            kind::REAL_TIME => match first.outcome {
                Outcome::Ok(moment, _) => moment.position < second.invoked.position,
                _ => false,
            },
            kind::SESSION => {
                first.process == second.process && first.invoked.position < second.invoked.position
            }
            kind::WR => self.reads(link.to).any(|(key, answer)| {
                self.writes(link.from, key).iter().any(|one| self.shows(answer, one))
            }),
            kind::RW if self.kind == TransactionKind::ListAppend => {
                self.reads(link.from).any(|(key, answer)| {
                    self.writes(link.to, key).iter().any(|one| !self.shows(answer, one))
                })
            }
            kind::WW if self.kind == TransactionKind::ListAppend => self.appended(link),
            kind::WW => self.older(link, &self.said(link.from), 'w'),
            kind::RW => self.older(link, &self.said(link.from), 'r'),
            _ => false,
        }
    }

    /// Whether a value that the first wrote, or read, is older than one that the second wrote.
    fn older(&self, link: DependencyEdge, said: &[Said<'h>], name: char) -> bool {
        let of_name = said.iter().filter(|one| one.0 == name);
        let mut values = of_name.map(|one| (one.1, one.2));
        let second = self.operation(link.to);
        values.any(|(key, value)| {
            let written = self.writes(link.to, key);
            let Some(last) = written.last().filter(|last| **last != value) else { return false };
            let is_first = value == self.initial;
            let replaced = self.reads(link.to).any(|(of, seen)| of == key && seen == value);
            is_first || replaced || self.in_time(key, [value, *last], second)
        })
    }

    /// Whether something that wrote or read the first value came back before something that wrote or
    /// read the second was invoked, or one process wrote both in this order.
    fn in_time(&self, key: &Value, [first, second]: [&Value; 2], writer: &Operation) -> bool {
        let history = self.read.history;
        let about = |one: &Operation, value: &Value, any: bool| {
            let said = said(history, one);
            said.iter().any(|it| it.1 == key && it.2 == value && (any || it.0 == 'w'))
        };
        let happened = || history.operations.iter().filter(|one| !one.is_failed());
        match self.keeps {
            OrderGuarantee::Nothing => false,
            OrderGuarantee::Sessions => happened().any(|one| {
                about(one, first, false)
                    && one.process == writer.process
                    && one.invoked.position < writer.invoked.position
            }),
            OrderGuarantee::RealTime => {
                let back = happened().filter(|one| about(one, first, true));
                let back = back.filter_map(|one| match one.outcome {
                    Outcome::Ok(moment, _) => Some(moment.position),
                    _ => None,
                });
                let begun = happened().filter(|one| about(one, second, true));
                let begun = begun.map(|one| one.invoked.position);
                back.min().zip(begun.max()).is_some_and(|(back, begun)| back < begun)
            }
        }
    }

    /// Whether a reader of the second has the first in its past, which wrote the same key.
    fn commits(&self, one: &Inferred) -> bool {
        let key = self.read.keys[one.key as usize];
        let last = |writer: u32| self.writes(writer, key).last().copied();
        let (Some(before), Some(after)) = (last(one.before), last(one.after)) else { return false };
        let reads = self.reads(one.reader).any(|(of, seen)| of == key && seen == after);
        reads && before != after && self.past(one.reader, one.before)
    }

    /// Whether a reader has a writer in its past: it read from it, or, if the order of processes is
    /// kept, it comes after it by processes and reads.
    fn past(&self, reader: u32, writer: u32) -> bool {
        let reads_from = |reader: u32, writer: u32| {
            let mut reads = self.reads(reader);
            reads.any(|(key, seen)| self.writes(writer, key).contains(&seen))
        };
        if self.keeps == OrderGuarantee::Nothing {
            return reads_from(reader, writer);
        }
        let all = 0..self.read.all.len() as u32;
        let mut after = vec![false; all.len()];
        let mut pending = vec![writer];
        while let Some(one) = pending.pop() {
            let first = self.operation(one);
            for later in all.clone() {
                let other = self.operation(later);
                let follows = other.process == first.process
                    && first.invoked.position < other.invoked.position;
                if !after[later as usize] && (follows || reads_from(later, one)) {
                    after[later as usize] = true;
                    pending.push(later);
                }
            }
        }
        after[reader as usize]
    }

    /// What the transaction read of others.
    fn reads(&self, transaction: u32) -> impl Iterator<Item = (&'h Value, &'h Value)> {
        let said = self.said(transaction);
        let own = said.clone();
        said.into_iter().enumerate().filter_map(move |(at, (name, key, answer))| {
            let before = own[..at].iter().any(|one| one.0 != 'r' && one.1 == key);
            (name == 'r' && !before).then_some((key, answer))
        })
    }

    fn writes(&self, transaction: u32, key: &Value) -> Vec<&'h Value> {
        let said = self.said(transaction);
        said.into_iter().filter(|one| one.0 != 'r' && one.1 == key).map(|one| one.2).collect()
    }

    /// Whether a list shows an element of the first before one of the second, or one of the first
    /// where none shows that of the second.
    fn appended(&self, link: DependencyEdge) -> bool {
        let said = self.said(link.from);
        let mut firsts = said.iter().filter(|one| one.0 != 'r');
        firsts.any(|(_, key, first)| {
            self.writes(link.to, key).iter().any(|second| {
                let place = |items: &[Value], one: &Value| items.iter().position(|it| it == one);
                let lists = |is_so: &dyn Fn(&[Value]) -> bool| {
                    self.anybody(|_, (name, of, answer)| match answer {
                        Value::List(items) => name == 'r' && of == *key && is_so(items),
                        _ => false,
                    })
                };
                let in_order = |items: &[Value]| {
                    place(items, first).zip(place(items, second)).is_some_and(|(a, b)| a < b)
                };
                lists(&in_order)
                    || lists(&|items| items.contains(first))
                        && !lists(&|items| items.contains(second))
            })
        })
    }

    /// Whether what is said to be wrong without a cycle stands in the history.
    pub(crate) fn finding(&self, finding: &Finding) -> bool {
        let key = |key: &u32| self.read.keys[*key as usize];
        let version = |version: u32| &self.read.versions[version as usize];
        let wrote = |value: &Value, of: &Value, failed: bool| {
            let operations = self.read.history.operations.iter();
            operations.filter(|one| one.is_failed() == failed).any(|one| {
                let mut said = said(self.read.history, one).into_iter();
                said.any(|one| one.0 != 'r' && one.1 == of && one.2 == value)
            })
        };
        let sees = |reader: u32, of: &Value, value: &Value| {
            let said = self.said(reader);
            said.iter().any(|one| one.0 == 'r' && one.1 == of && self.shows(one.2, value))
        };
        match finding {
            Finding::Unwritten { reader, key: of, value } => {
                let of = key(of);
                sees(*reader, of, value) && !wrote(value, of, false) && !wrote(value, of, true)
            }
            Finding::Aborted { reader, version: seen } => {
                let seen = version(*seen);
                let of = key(&seen.key);
                sees(*reader, of, seen.value) && !wrote(seen.value, of, false)
            }
            Finding::Intermediate { reader, version: seen } => {
                let seen = version(*seen);
                let (of, writer) = (key(&seen.key), seen.transaction);
                let written = self.writes(writer, of);
                *reader != writer
                    && written.last().is_some_and(|last| *last != seen.value)
                    && sees(*reader, of, seen.value)
            }
            Finding::Duplicate { reader, key: of, value } => {
                let said = self.said(*reader);
                said.iter().any(|(_, one, answer)| match answer {
                    Value::List(items) => {
                        *one == key(of) && items.iter().filter(|it| *it == value).count() > 1
                    }
                    _ => false,
                })
            }
            Finding::Incompatible { readers, key: of } => {
                let lists = readers.map(|reader| self.said(reader));
                let begins = |one: &Said<'_>, other: &Said<'_>| match (one.2, other.2) {
                    (Value::List(one), Value::List(other)) => {
                        one.starts_with(other) || other.starts_with(one)
                    }
                    _ => true,
                };
                let is_read = |one: &&Said<'_>| one.0 == 'r' && one.1 == key(of);
                lists[0]
                    .iter()
                    .filter(is_read)
                    .any(|one| lists[1].iter().filter(is_read).any(|other| !begins(one, other)))
            }
            Finding::Internal { transaction, .. }
            | Finding::Reordered { transaction, .. }
            | Finding::NonRepeatable { transaction, .. } => self.took_effect(*transaction),
        }
    }
}
