//! A string or list that grows at its end: get, put and append of the Raft labs' key/value service,
//! and lists of tokens.

use std::sync::OnceLock;

use super::contents::BadInitial;
use super::persistent::List;
use super::{Call, Model, is_acknowledgement};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::Append`](super::ModelKind::Append) does.
#[derive(Debug, Clone)]
pub(crate) struct Append<'a> {
    values: &'a Values,
    initial: Value,
    is_list: bool,
    /// By value: its print as a content, once asked for. A history of which only few contents have to
    /// be compared costs no look at the others.
    prints: Vec<OnceLock<Print>>,
}

/// What an [`Append`] holds: what was put, and what was appended to it since.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AppendState {
    base: ValueId,
    appended: List,
    print: Print,
}

/// The length of a content in bytes or items, and a hash of it: those of two contents in a row
/// follow from theirs. Equal contents have equal prints; the reverse is only likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Print {
    length: u64,
    hash: u64,
    /// What the hash of anything that stands before this is multiplied by.
    weight: u64,
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Print {
    const EMPTY: Self = Self { length: 0, hash: 0, weight: 1 };

    const fn then(self, next: Self) -> Self {
        Self {
            length: self.length + next.length,
            hash: self.hash.wrapping_mul(next.weight).wrapping_add(next.hash),
            weight: self.weight.wrapping_mul(next.weight),
        }
    }

    const fn of_unit(unit: u64) -> Self {
        Self { length: 1, hash: unit.wrapping_add(1), weight: FACTOR }
    }

    fn of_text(text: &str) -> Self {
        text.bytes().fold(Self::EMPTY, |print, byte| print.then(Self::of_unit(byte.into())))
    }

    fn of_item(item: &Value) -> Self {
        use std::hash::BuildHasher;
        Self::of_unit(rustc_hash::FxBuildHasher.hash_one(item))
    }

    fn of_content(content: &Value) -> Self {
        match content {
            Value::Text(text) => Self::of_text(text),
            Value::List(items) => items.iter().map(Self::of_item).fold(Self::EMPTY, Self::then),
            _ => Self::EMPTY,
        }
    }
}

impl<'a> Append<'a> {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "append";

    /// An object that holds `initial` before the first operation of a history with these `values`.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor a text nor a list.
    pub(crate) fn new(initial: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        if !matches!(initial, Value::Null | Value::Text(_) | Value::List(_)) {
            let (expected, found) = ("null, a text or a list", initial.clone());
            return Err(BadInitial { model: Self::NAME, expected, found });
        }
        let all = || (0..values.len() as u32).map(|number| values.get(ValueId(number)));
        let is_list =
            all().chain([initial]).any(|value| !matches!(value, Value::Null | Value::Text(_)));
        let prints = vec![OnceLock::new(); values.len() + 1];
        Ok(Self { values, initial: initial.clone(), is_list, prints })
    }

    /// Whether the object is a list, rather than a string.
    pub(crate) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// The number of the initial value, which may stand after all others.
    pub(crate) fn initial_value(&self) -> ValueId {
        self.values.find(&self.initial).unwrap_or(ValueId(self.values.len() as u32))
    }

    /// The value with this number, the initial one included.
    pub(crate) fn value(&self, id: ValueId) -> &Value {
        if id.index() < self.values.len() { self.values.get(id) } else { &self.initial }
    }

    /// Whether `value` can be the whole content.
    pub(crate) fn is_content(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Text(_) => !self.is_list,
            Value::List(_) => self.is_list,
            _ => false,
        }
    }

    /// Whether `value` can be appended.
    pub(crate) const fn is_token(&self, value: &Value) -> bool {
        match value {
            Value::Text(_) => true,
            Value::Null => false,
            _ => self.is_list,
        }
    }

    /// The print of a whole content.
    fn print(&self, content: ValueId) -> Print {
        *self.prints[content.index()].get_or_init(|| Print::of_content(self.value(content)))
    }

    /// The print of what an append adds.
    fn added(&self, token: ValueId) -> Print {
        if self.is_list { Print::of_item(self.value(token)) } else { self.print(token) }
    }

    fn put(&self, content: ValueId) -> AppendState {
        let print = self.print(content);
        // All empty contents are one.
        let base = if print.length == 0 { ValueId::NULL } else { content };
        AppendState { base, appended: List::default(), print }
    }

    fn is(&self, state: &AppendState, content: ValueId) -> bool {
        state.print == self.print(content) && self.ends_as(state, self.value(content))
    }

    /// Compares for certain, from the end.
    fn ends_as(&self, state: &AppendState, content: &Value) -> bool {
        match content {
            Value::Text(text) => {
                let mut rest = text.as_bytes();
                let pieces = state.appended.iter().chain([state.base.0]);
                pieces.into_iter().all(|piece| match self.value(ValueId(piece)) {
                    Value::Text(piece) => {
                        rest.strip_suffix(piece.as_bytes()).map(|before| rest = before).is_some()
                    }
                    _ => true,
                }) && rest.is_empty()
            }
            Value::List(items) => {
                let mut rest = &items[..];
                let items_match = state.appended.iter().all(|item| match rest.split_last() {
                    Some((last, before)) => {
                        rest = before;
                        last == self.value(ValueId(item))
                    }
                    None => false,
                });
                items_match
                    && match self.value(state.base) {
                        Value::List(base) => rest == &base[..],
                        _ => rest.is_empty(),
                    }
            }
            _ => state.print.length == 0,
        }
    }
}

impl Model for Append<'_> {
    type State = AppendState;

    fn heap_bytes(&self, _: &AppendState) -> usize {
        List::BYTES_PER_CHANGE
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> AppendState {
        self.put(self.initial_value())
    }

    fn knows(&self, call: Call) -> bool {
        if !self.is_content(&self.initial) {
            return false;
        }
        match (call.action, call.response) {
            (Action::Read, None) => true,
            (Action::Read, Some(Response::Value(content))) => self.is_content(self.value(content)),
            (Action::Write(content), None | Some(Response::Done)) => {
                self.is_content(self.value(content))
            }
            (Action::Delete, None | Some(Response::Done)) => true,
            (Action::Other(Function::Append, token), response) => {
                self.is_token(self.value(token)) && is_acknowledgement(token, response)
            }
            _ => false,
        }
    }

    fn step(&self, state: &AppendState, call: Call) -> Option<AppendState> {
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(content))) => {
                self.is(state, content).then(|| state.clone())
            }
            (Action::Read, None) => Some(state.clone()),
            (Action::Write(content), _) => Some(self.put(content)),
            (Action::Delete, _) => Some(self.initial()),
            (Action::Other(Function::Append, token), _) => Some(AppendState {
                base: state.base,
                appended: state.appended.with(token.0),
                print: state.print.then(self.added(token)),
            }),
            _ => None,
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        match call.action {
            Action::Read => true,
            Action::Other(Function::Append, token) => {
                !self.is_list && matches!(self.value(token), Value::Text(text) if text.is_empty())
            }
            _ => false,
        }
    }

    /// A read relies on what put the beginning of what it shows, and on the append of any token
    /// that it contains. Anything else came later, or was wiped out before.
    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        let (Action::Read, Some(Response::Value(content))) = (observer.action, observer.response)
        else {
            return false;
        };
        let content = self.value(content);
        match writer.action {
            Action::Write(base) => begins_with(content, self.value(base)),
            Action::Delete => begins_with(content, &self.initial),
            Action::Other(Function::Append, token) => match (content, self.value(token)) {
                (Value::Text(text), Value::Text(token)) => text.contains(&**token),
                (Value::List(items), token) => items.contains(token),
                _ => false,
            },
            _ => false,
        }
    }

    fn shown(&self, state: &AppendState, _values: &Values) -> Value {
        let mut tokens: Vec<u32> = state.appended.iter().collect();
        tokens.reverse();
        let tokens = tokens.into_iter().map(|token| self.value(ValueId(token)));
        match self.value(state.base) {
            base if self.is_list => {
                let items = if let Value::List(items) = base { &items[..] } else { &[] };
                Value::list(items.iter().chain(tokens).cloned().collect::<Vec<_>>())
            }
            base => {
                let pieces = std::iter::once(base).chain(tokens);
                let texts = pieces.filter(|piece| !piece.is_null()).map(ToString::to_string);
                Value::text(texts.collect::<String>())
            }
        }
    }
}

fn begins_with(content: &Value, base: &Value) -> bool {
    match (content, base) {
        (Value::Text(text), Value::Text(base)) => text.starts_with(&**base),
        (Value::List(items), Value::List(base)) => items.starts_with(base),
        (_, Value::Text(base)) => base.is_empty(),
        (_, Value::List(base)) => base.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    fn read(content: ValueId) -> Call {
        Call { action: Action::Read, response: Some(Response::Value(content)) }
    }

    fn put(content: ValueId) -> Call {
        Call { action: Action::Write(content), response: Some(Response::Done) }
    }

    #[test]
    fn string_is_compared_by_its_letters_not_by_its_pieces() {
        let mut values = Values::default();
        let [a, ab, b, abab, empty] =
            ["a", "ab", "b", "abab", ""].map(|text| values.intern(&Value::from(text)));
        let object = Append::new(&Value::Null, &values).unwrap();
        let append = |token| call(Function::Append, token, Some(token));
        assert!(run(&object, [read(empty), append(a), append(b), read(ab)]).is_some());
        assert!(run(&object, [put(a), append(b), append(ab), read(abab)]).is_some());
        assert!(run(&object, [append(ab), append(ab), put(ab), read(ab)]).is_some());
        assert!(run(&object, [append(b), append(a), read(ab)]).is_none());
        assert!(run(&object, [append(a), read(ValueId::NULL)]).is_none());
        let full = Append::new(&Value::from("a"), &values).unwrap();
        let delete = Call { action: Action::Delete, response: None };
        assert!(run(&full, [append(b), read(ab), delete, read(a)]).is_some());
    }

    #[test]
    fn list_grows_by_one_item() {
        let mut values = Values::default();
        let [one, two] = [1, 2].map(|number| values.intern(&Value::Integer(number)));
        let [first, both] = [vec![1], vec![1, 2]].map(|items| {
            let items: Vec<Value> = items.into_iter().map(Value::Integer).collect();
            values.intern(&Value::list(items))
        });
        let object = Append::new(&Value::Null, &values).unwrap();
        let append = |token| call(Function::Append, token, Some(ValueId::NULL));
        assert!(run(&object, [append(one), read(first), append(two), read(both)]).is_some());
        assert!(run(&object, [put(first), append(two), read(both)]).is_some());
        assert!(run(&object, [append(two), append(one), read(both)]).is_none());
        assert!(run(&object, [append(one), read(both)]).is_none());
        assert!(!object.knows(read(one)));
    }

    #[test]
    fn read_relies_on_its_beginning_and_its_parts() {
        let mut values = Values::default();
        let [a, b, ab] = ["a", "b", "ab"].map(|text| values.intern(&Value::from(text)));
        let object = Append::new(&Value::Null, &values).unwrap();
        assert!(object.relies_on(read(ab), put(a)));
        assert!(!object.relies_on(read(ab), put(b)));
        assert!(object.relies_on(read(ab), put(ValueId::NULL)));
        assert!(object.relies_on(read(ab), call(Function::Append, b, None)));
        assert!(!object.relies_on(read(a), call(Function::Append, b, None)));
    }
}
