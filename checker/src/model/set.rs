//! A set: add, remove, ask for one element, read all.

use rustc_hash::{FxHashMap, FxHashSet};

use super::contents::{BadInitial, items, shown};
use super::persistent::{Trie, mix};
use super::{Call, Model, is_acknowledgement};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::Set`](super::ModelKind::Set) does.
#[derive(Debug, Clone)]
pub(crate) struct Set<'a> {
    initial: Trie,
    values: &'a Values,
    /// The lists among the values that can be all elements of a set.
    lists: FxHashMap<ValueId, Elements>,
    /// Those that show an element more than once: no set is read so.
    repeated: FxHashSet<ValueId>,
}

/// The elements of a [`Set`] by the numbers of their values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SetState(Trie);

/// What a call says of one element, besides what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ElementCall {
    /// Which.
    pub element: ValueId,
    /// Whether it was there when the call took effect, if the call tells.
    pub was_there: Option<bool>,
    /// Whether it is there afterwards, where the call decides that.
    pub is_there: Option<bool>,
}

#[derive(Debug, Clone)]
struct Elements {
    /// By number; one that no operation names has a number after all others.
    numbers: Box<[u32]>,
    /// What the hash of a trie with these would be.
    hash: u64,
}

impl<'a> Set<'a> {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "set";

    /// A set that, before the first operation of a history with these `values`, holds the elements
    /// of the list `initial`; none if that is null.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor a list, or has an element twice.
    pub(crate) fn new(initial: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        let mut unnamed = FxHashMap::default();
        let initial_items = items(Self::NAME, initial, values)?;
        if let Value::List(list) = initial {
            let mut sorted = list.to_vec();
            sorted.sort();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                let (expected, found) = ("a list with each of its elements once", initial.clone());
                return Err(BadInitial { model: Self::NAME, expected, found });
            }
            for (item, id) in list.iter().zip(&initial_items) {
                unnamed.insert(item, id.0);
            }
        }
        let (mut lists, mut repeated) = (FxHashMap::default(), FxHashSet::default());
        for number in 0..values.len() as u32 {
            let Value::List(list) = values.get(ValueId(number)) else { continue };
            match Elements::of(list, values, &unnamed) {
                Some(elements) => _ = lists.insert(ValueId(number), elements),
                None => _ = repeated.insert(ValueId(number)),
            }
        }
        lists.insert(ValueId::NULL, Elements { numbers: Box::default(), hash: 0 });
        let empty = Trie::new(values.len());
        let initial = initial_items.into_iter().fold(empty, |set, item| set.with(item.0, 0));
        Ok(Self { initial, values, lists, repeated })
    }

    /// Whether the set is empty before the first operation.
    pub(crate) const fn begins_empty(&self) -> bool {
        self.initial.len() == 0
    }

    /// Whether some list among the values holds an element more than once.
    pub(crate) fn has_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }

    /// Whether the call read an element more than once.
    pub(crate) fn repeats(&self, call: Call) -> bool {
        matches!((call.action, call.response), (Action::Read, Some(Response::Value(list)))
            if self.repeated.contains(&list))
    }

    /// What the call says of an element; nothing if it speaks of all, or not of sets.
    pub(crate) fn touch(&self, call: Call) -> Option<ElementCall> {
        let Action::Other(function, element) = call.action else { return None };
        let answer = match call.response {
            // An argument that comes back is no answer, even if it is a truth.
            Some(Response::Value(answer)) if answer != element => self.truth(answer),
            Some(Response::Value(answer)) if function == Function::Contains => self.truth(answer),
            _ => None,
        };
        let (was_there, is_there) = match function {
            Function::Add => (answer.map(|added| !added), Some(true)),
            Function::Remove => (answer, Some(false)),
            Function::Contains => (answer, None),
            _ => return None,
        };
        Some(ElementCall { element, was_there, is_there })
    }

    /// The elements that a list stands for, by number; nothing if an element stands there twice.
    pub(crate) fn elements(&self, list: ValueId) -> Option<&[u32]> {
        self.lists.get(&list).map(|elements| &*elements.numbers)
    }

    fn truth(&self, answer: ValueId) -> Option<bool> {
        match self.values.get(answer) {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    fn is(&self, state: &Trie, list: ValueId) -> bool {
        self.lists.get(&list).is_some_and(|elements| {
            elements.numbers.len() == state.len() as usize
                && elements.hash == state.content_hash()
                && elements.numbers.iter().all(|&element| state.contains(element))
        })
    }
}

impl Elements {
    fn of(list: &[Value], values: &Values, unnamed: &FxHashMap<&Value, u32>) -> Option<Self> {
        // Of elements that neither the history nor the initial set names, only their count matters.
        let mut strangers: Vec<&Value> = Vec::new();
        let mut numbers = Vec::with_capacity(list.len());
        for element in list {
            let known = values.find(element).map(|id| id.0);
            match known.or_else(|| unnamed.get(element).copied()) {
                Some(number) => numbers.push(number),
                None => strangers.push(element),
            }
        }
        strangers.sort_unstable();
        let strangers_before = strangers.len();
        strangers.dedup();
        numbers.sort_unstable();
        let known_before = numbers.len();
        numbers.dedup();
        if strangers.len() < strangers_before || numbers.len() < known_before {
            return None;
        }
        numbers.extend((0..strangers.len() as u32).map(|place| u32::MAX - place));
        let hash = numbers.iter().fold(0, |hash: u64, &it| hash.wrapping_add(mix(it, 0)));
        Some(Self { numbers: numbers.into(), hash })
    }
}

impl Model for Set<'_> {
    type State = SetState;

    fn heap_bytes(&self, state: &SetState) -> usize {
        state.0.bytes_per_change()
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> SetState {
        SetState(self.initial.clone())
    }

    fn knows(&self, call: Call) -> bool {
        match (call.action, call.response) {
            (Action::Read | Action::Other(Function::Contains, _), None) => true,
            (Action::Read, Some(Response::Value(list))) => {
                self.lists.contains_key(&list) || self.repeated.contains(&list)
            }
            (Action::Other(Function::Contains, _), Some(Response::Value(answer))) => {
                self.truth(answer).is_some()
            }
            (Action::Other(Function::Add | Function::Remove, element), response) => {
                is_acknowledgement(element, response)
                    || matches!(response, Some(Response::Value(it)) if self.truth(it).is_some())
            }
            _ => false,
        }
    }

    fn step(&self, SetState(state): &SetState, call: Call) -> Option<SetState> {
        if let Action::Read = call.action {
            let fits = match call.response {
                None => true,
                Some(Response::Value(list)) => self.is(state, list),
                Some(_) => false,
            };
            return fits.then(|| SetState(state.clone()));
        }
        let ElementCall { element, was_there, is_there } = self.touch(call)?;
        if was_there.is_some_and(|was_there| was_there != state.contains(element.0)) {
            return None;
        }
        Some(SetState(match is_there {
            Some(true) => state.with(element.0, 0),
            Some(false) => state.without(element.0),
            None => state.clone(),
        }))
    }

    fn is_pure(&self, call: Call) -> bool {
        match self.touch(call) {
            Some(touch) => touch.is_there.is_none() || touch.is_there == touch.was_there,
            None => matches!(call.action, Action::Read),
        }
    }

    /// What saw an element there relies on the calls that put it there, what missed it on those
    /// that took it away. Without any of these it was still there, or still missing, as before.
    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        let Some(ElementCall { element, was_there, is_there: Some(is_there) }) = self.touch(writer)
        else {
            return false;
        };
        if was_there == Some(is_there) {
            return false;
        }
        match (self.touch(observer), observer.response) {
            (Some(seen), _) => seen.element == element && seen.was_there == Some(is_there),
            (None, Some(Response::Value(list))) => self
                .lists
                .get(&list)
                .is_some_and(|elements| elements.numbers.contains(&element.0) == is_there),
            (None, _) => false,
        }
    }

    fn shown(&self, SetState(state): &SetState, values: &Values) -> Value {
        shown(values, state.entries().into_iter().map(|(element, _)| element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    struct Fixture {
        values: Values,
        one: ValueId,
        yes: ValueId,
        no: ValueId,
        both: ValueId,
        twice: ValueId,
    }

    fn fixture() -> Fixture {
        let mut values = Values::default();
        let one = values.intern(&Value::Integer(1));
        let [yes, no] = [true, false].map(|truth| values.intern(&Value::Bool(truth)));
        let both = values.intern(&Value::list([Value::Integer(9), Value::Integer(1)]));
        let twice = values.intern(&Value::list([Value::Integer(1), Value::Integer(1)]));
        Fixture { values, one, yes, no, both, twice }
    }

    #[test]
    fn element_is_there_from_its_addition_to_its_removal() {
        let Fixture { values, one, yes, no, .. } = &fixture();
        let set = Set::new(&Value::Null, values).unwrap();
        let has = |answer: &ValueId| call(Function::Contains, *one, Some(*answer));
        let add = call(Function::Add, *one, Some(ValueId::NULL));
        let remove = call(Function::Remove, *one, None);
        assert!(run(&set, [has(no), add, add, has(yes), remove, has(no)]).is_some());
        assert!(run(&set, [add, has(no)]).is_none());
        assert!(run(&set, [add, remove, has(yes)]).is_none());
    }

    #[test]
    fn answer_to_a_change_says_whether_it_was_one() {
        let Fixture { values, one, yes, no, .. } = &fixture();
        let set = Set::new(&Value::Null, values).unwrap();
        let add = |answer: &ValueId| call(Function::Add, *one, Some(*answer));
        let remove = |answer: &ValueId| call(Function::Remove, *one, Some(*answer));
        assert!(run(&set, [remove(no), add(yes), add(no), remove(yes), add(yes)]).is_some());
        assert!(run(&set, [add(yes), add(yes)]).is_none());
        assert!(run(&set, [remove(yes)]).is_none());
        assert!(set.is_pure(add(no)) && !set.is_pure(add(yes)));
    }

    #[test]
    fn read_shows_all_elements_in_any_order() {
        let Fixture { values, one, both, twice, .. } = &fixture();
        let initial = Value::list([Value::Integer(9)]);
        let set = Set::new(&initial, values).unwrap();
        let add = call(Function::Add, *one, None);
        let read =
            |list: &ValueId| Call { action: Action::Read, response: Some(Response::Value(*list)) };
        assert!(run(&set, [add, read(both)]).is_some());
        assert!(run(&set, [read(both)]).is_none());
        // A set that shows an element twice is wrong, which is an answer like any other.
        assert!(set.knows(read(twice)));
        assert!(run(&set, [add, read(twice)]).is_none());
        let without_nine = Set::new(&Value::Null, values).unwrap();
        assert!(run(&without_nine, [add, read(both)]).is_none(), "nobody added 9");
    }
}
