//! The whole of etcd's store: keys, revisions and leases, as requests and answers tell them.
//!
//! A request is a list that begins with its name, as is an answer; `formats/etcd.rs` makes them of what
//! etcd's robustness tests record. Every change of the store makes its revision one greater, a transaction
//! with several changes too. An answer tells the revision, and all of it must be what the store says in
//! that state.
//!
//! Source: etcd's API (<https://etcd.io/docs/latest/learning/api/>), *Key-Value API*, *Transaction* and
//! *Lease API*.

use std::cmp::Ordering;

use crate::formats::stores::etcd::{DEFRAGMENT, DELETE, GRANT, PARTIAL, PUT, RANGE, REVOKE, TXN};
use crate::value::Value;

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Store {
    revision: i64,
    /// In the order of their names.
    keys: Vec<Key>,
    /// Leases that were granted and not revoked, in order.
    leases: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: Value,
    value: Value,
    changed_in: i64,
    /// 0 if it has none.
    lease: i64,
}

/// The revision of a store to which nothing was done.
pub(super) const FIRST_REVISION: i64 = 1;

/// Whether it is a request in this form.
pub(super) fn is_request(value: &Value) -> bool {
    let Some((name, rest)) = named(value) else { return false };
    match (name, rest) {
        (RANGE, [_, _, Value::Integer(_), Value::Integer(_)]) | (DEFRAGMENT, []) => true,
        (TXN, [Value::List(conditions), Value::List(one), Value::List(other)]) => {
            let is_condition = |it: &Value| matches!(it, Value::List(pair) if matches!(&**pair, [_, Value::Integer(_)]));
            conditions.iter().all(is_condition) && one.iter().chain(&**other).all(is_operation)
        }
        (GRANT | REVOKE, [Value::Integer(_)]) => true,
        _ => false,
    }
}

/// Whether a transaction can do it.
fn is_operation(value: &Value) -> bool {
    matches!(named(value), Some((RANGE | PUT, [_, _, Value::Integer(_)]) | (DELETE, [_])))
}

/// What a list begins with, and the rest of it.
fn named(value: &Value) -> Option<(&str, &[Value])> {
    let Value::List(parts) = value else { return None };
    match &**parts {
        [Value::Text(name), rest @ ..] => Some((name, rest)),
        _ => None,
    }
}

impl Store {
    /// One that holds nothing yet.
    pub(super) const fn new(revision: i64) -> Self {
        Self { revision, keys: Vec::new(), leases: Vec::new() }
    }

    /// The store after `request`, if it answers so; where nothing is known of the answer, any will do.
    pub(super) fn step(&self, request: &Value, answer: Option<&Value>) -> Option<Self> {
        let mut after = self.clone();
        let own = after.perform(request)?;
        let fits = match answer {
            None => true,
            Some(answer) => match named(answer) {
                Some((PARTIAL, [revision])) => *revision == Value::Integer(after.revision),
                _ => own == *answer,
            },
        };
        fits.then_some(after)
    }

    /// Whether a request changes nothing in any state.
    pub(super) fn is_pure(request: &Value) -> bool {
        matches!(named(request), Some((RANGE | DEFRAGMENT, _)))
    }

    /// Does what is asked, and answers.
    fn perform(&mut self, request: &Value) -> Option<Value> {
        let (name, rest) = named(request)?;
        let mut answer = vec![Value::text(name)];
        match (name, rest) {
            (RANGE, [start, end, Value::Integer(limit), _]) => {
                answer.extend([Value::Integer(self.revision), self.range(start, end, *limit)]);
                return Some(Value::list(answer));
            }
            (TXN, [Value::List(conditions), Value::List(then), Value::List(otherwise)]) => {
                let holds = conditions.iter().all(|it| self.holds(it));
                let operations = if holds { then } else { otherwise };
                let (next, mut changed) = (self.revision + 1, false);
                let mut results = Vec::new();
                for operation in &**operations {
                    results.push(self.operate(operation, next, &mut changed)?);
                }
                if changed {
                    self.revision = next;
                }
                answer.extend([
                    Value::Integer(self.revision),
                    Value::Bool(!holds),
                    Value::list(results),
                ]);
                return Some(Value::list(answer));
            }
            (GRANT, [Value::Integer(lease)]) => {
                if let Err(place) = self.leases.binary_search(lease) {
                    self.leases.insert(place, *lease);
                }
            }
            (REVOKE, [Value::Integer(lease)]) => {
                self.leases.retain(|known| known != lease);
                let before = self.keys.len();
                self.keys.retain(|key| key.lease != *lease || *lease == 0);
                self.revision += i64::from(self.keys.len() < before);
            }
            (DEFRAGMENT, []) => {}
            _ => return None,
        }
        answer.push(Value::Integer(self.revision));
        Some(Value::list(answer))
    }

    fn place(&self, name: &Value) -> Result<usize, usize> {
        self.keys.binary_search_by(|key| in_bytes(&key.name, name))
    }

    /// Whether a key was last changed in that revision; in 0 if it is not there.
    fn holds(&self, condition: &Value) -> bool {
        let Value::List(pair) = condition else { return false };
        let [name, expected] = &**pair else { return false };
        let changed_in = self.place(name).map_or(0, |place| self.keys[place].changed_in);
        *expected == Value::Integer(changed_in)
    }

    /// Number of keys and the first of them, `[count, [[key, value, revision], …]]`.
    fn range(&self, start: &Value, end: &Value, limit: i64) -> Value {
        let is_inside = |key: &&Key| match end {
            Value::Text(text) if text.is_empty() => key.name == *start,
            end => {
                // A range up to the byte 0 has no end.
                let is_open = matches!(end, Value::Text(text) if &**text == "\0");
                in_bytes(&key.name, start).is_ge() && (is_open || in_bytes(&key.name, end).is_lt())
            }
        };
        let found: Vec<&Key> = self.keys.iter().filter(is_inside).collect();
        let count = Value::Integer(found.len() as i64);
        let shown = match usize::try_from(limit) {
            Ok(limit) if limit > 0 => &found[..limit.min(found.len())],
            _ => &found[..],
        };
        let shown = shown.iter().map(|key| {
            Value::list([key.name.clone(), key.value.clone(), Value::Integer(key.changed_in)])
        });
        Value::list([count, Value::list(shown.collect::<Vec<_>>())])
    }

    /// Does one part of a transaction, whose changes are of the revision `next`, and answers.
    fn operate(&mut self, operation: &Value, next: i64, changed: &mut bool) -> Option<Value> {
        match named(operation)? {
            (RANGE, [start, end, Value::Integer(limit)]) => Some(self.range(start, end, *limit)),
            (PUT, [name, value, Value::Integer(lease)]) => {
                // A lease that is not there makes etcd refuse the request; the tests leave the put out.
                if *lease != 0 && self.leases.binary_search(lease).is_err() {
                    return Some(Value::Null);
                }
                let key = Key {
                    name: name.clone(),
                    value: value.clone(),
                    changed_in: next,
                    lease: *lease,
                };
                match self.place(name) {
                    Ok(place) => self.keys[place] = key,
                    Err(place) => self.keys.insert(place, key),
                }
                *changed = true;
                Some(Value::Null)
            }
            (DELETE, [name]) => {
                let found = self.place(name);
                if let Ok(place) = found {
                    self.keys.remove(place);
                    *changed = true;
                }
                Some(Value::Integer(found.is_ok().into()))
            }
            _ => None,
        }
    }

    /// About how many bytes it takes besides itself.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.keys.len() * size_of::<Key>() + self.leases.len() * size_of::<i64>()
    }
}

/// The order of keys, which is that of their bytes.
fn in_bytes(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        _ => one.cmp(other),
    }
}
