//! A stream of records as S2 has it: appends that may be conditional, its tail, and reads of the whole.
//!
//! A read tells a hash over all records, which stands for them: the state is the same however long the
//! stream is. The hash of an empty stream is 0; each record's own hash is hashed with that of the stream
//! before it as the seed (xxHash, XXH3 of 64 bits).
//!
//! Source: s2-streamstore/s2-verification, `golang/s2-porcupine/main.go`, *chainHash*.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::formats::stores::s2::{APPEND, CHECK_TAIL, READ};
use crate::value::Value;

/// What there is to say of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    tail: i64,
    hash: u64,
    /// Null until one was set.
    token: Value,
}

/// An append as its request has it: the hashes of its records, the token that it sets, and the token and the
/// tail that the stream must have.
struct Append<'a> {
    hashes: Vec<u64>,
    sets: &'a Value,
    token: &'a Value,
    tail: &'a Value,
}

/// Whether it is a request in this form.
pub(super) fn is_request(value: &Value) -> bool {
    let Value::List(parts) = value else { return false };
    match &**parts {
        [Value::Text(name)] => [READ, CHECK_TAIL].contains(&&**name),
        _ => append(parts).is_some(),
    }
}

fn append(parts: &[Value]) -> Option<Append<'_>> {
    let [Value::Text(name), Value::List(hashes), sets, token, tail] = parts else { return None };
    if **name != *APPEND {
        return None;
    }
    // As texts, since half of them are beyond the integers of histories.
    let hash = |hash: &Value| match hash {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    Some(Append { hashes: hashes.iter().map(hash).collect::<Option<_>>()?, sets, token, tail })
}

impl Stream {
    /// One without records.
    pub(super) const EMPTY: Self = Self { tail: 0, hash: 0, token: Value::Null };

    /// The stream after `request`, if it answers so. An append of which no answer is known and whose
    /// condition does not hold changes nothing.
    pub(super) fn step(&self, request: &Value, answer: Option<&Value>) -> Option<Self> {
        let Value::List(parts) = request else { return None };
        let [Value::Text(name), ..] = &**parts else { return None };
        if let Some(append) = append(parts) {
            let holds = (append.token.is_null() || *append.token == self.token)
                && (append.tail.is_null() || *append.tail == Value::Integer(self.tail));
            let after = self.after(&append);
            return match answer {
                None => Some(if holds { after } else { self.clone() }),
                Some(answer) => (holds && *answer == after.told(false)).then_some(after),
            };
        }
        let is_whole = **name == *READ;
        answer.is_none_or(|answer| *answer == self.told(is_whole)).then(|| self.clone())
    }

    /// Whether a request changes nothing in any state.
    pub(super) fn is_pure(request: &Value) -> bool {
        matches!(request, Value::List(parts) if append(parts).is_none())
    }

    fn after(&self, append: &Append<'_>) -> Self {
        let fold = |stream: u64, record: &u64| xxh3_64_with_seed(&record.to_le_bytes(), stream);
        let token = if append.sets.is_null() { &self.token } else { append.sets };
        Self {
            tail: self.tail + append.hashes.len() as i64,
            hash: append.hashes.iter().fold(self.hash, fold),
            token: token.clone(),
        }
    }

    /// What an answer tells: `[tail]`, and of a read `[tail, hash]`.
    fn told(&self, is_whole: bool) -> Value {
        let tail = Value::Integer(self.tail);
        match is_whole {
            true => Value::list([tail, Value::text(self.hash.to_string())]),
            false => Value::list([tail]),
        }
    }
}
