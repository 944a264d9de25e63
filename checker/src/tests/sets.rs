//! Every small history of sets, by the monitor, the search and the oracle.

use super::kinds::other;
use super::maker::{Kind, Maker};
use super::subjects::{Object, linearizable};
use crate::model::Set;
use crate::{Action, Function, History, ModelKind, Response, Value, ValueId};

const NIL: ValueId = ValueId::NULL;
const ONE: ValueId = ValueId(1);
const TWO: ValueId = ValueId(2);
const YES: ValueId = ValueId(3);
const NO: ValueId = ValueId(4);
const ONLY_ONE: ValueId = ValueId(5);
const ONLY_TWO: ValueId = ValueId(6);
const BOTH: ValueId = ValueId(7);

fn values() -> Vec<Value> {
    let list =
        |items: &[i64]| Value::list(items.iter().copied().map(Value::Integer).collect::<Vec<_>>());
    let [one, two] = [1, 2].map(Value::Integer);
    vec![one, two, Value::Bool(true), Value::Bool(false), list(&[1]), list(&[2]), list(&[2, 1])]
}

fn add(element: ValueId, answer: ValueId) -> Kind {
    other(Function::Add, element, Some(answer))
}

fn remove(element: ValueId, answer: ValueId) -> Kind {
    other(Function::Remove, element, Some(answer))
}

fn contains(element: ValueId, answer: ValueId) -> Kind {
    other(Function::Contains, element, Some(answer))
}

fn unknown(kind: Kind) -> Kind {
    (kind.0, None)
}

fn read(list: ValueId) -> Kind {
    (Action::Read, Some(Response::Value(list)))
}

/// How many histories were valid, how many not, and of how many the monitor knew.
fn all_agree(kinds: &[Kind], size: usize, may_follow: fn(&History, Action) -> bool) -> [usize; 3] {
    let mut seen = [0; 3];
    let mut examine = |history: &History| {
        let kind = ModelKind::Set;
        let truth = linearizable(kind, history, &Value::Null);
        let model = Set::new(&Value::Null, &history.values).unwrap();
        let object = Object { kind, model, history };
        if truth && size < 5 {
            object.leave_out();
        }
        seen[usize::from(!truth)] += 1;
        seen[2] += usize::from(object.examine(truth));
    };
    Maker { kinds, size, values: &values(), may_follow, examine: &mut examine }.make();
    println!("{seen:?}");
    assert!(seen[0] > 1_000 && seen[1] > 1_000, "{seen:?}");
    seen
}

fn anything(_: &History, _: Action) -> bool {
    true
}

/// Every element is added once at most.
fn added_once(history: &History, action: Action) -> bool {
    !matches!(action, Action::Other(Function::Add, _))
        || history.operations.iter().all(|operation| operation.action != action)
}

/// Every element is added and removed once at most.
fn changed_once(history: &History, action: Action) -> bool {
    !matches!(action, Action::Other(Function::Add | Function::Remove, _))
        || history.operations.iter().all(|operation| operation.action != action)
}

#[test]
fn element_with_any_changes_is_judged_alike() {
    let kinds = [
        add(ONE, NIL),
        add(ONE, YES),
        add(ONE, NO),
        remove(ONE, NIL),
        remove(ONE, YES),
        remove(ONE, NO),
        contains(ONE, YES),
        contains(ONE, NO),
        unknown(add(ONE, NIL)),
        unknown(remove(ONE, NIL)),
        contains(TWO, NO),
    ];
    let [valid, violations, decided] = all_agree(&kinds, 3, anything);
    assert_eq!(decided, valid + violations);
    let [valid, violations, decided] = all_agree(&kinds[..10], 4, anything);
    assert_eq!(decided, valid + violations);
}

#[test]
fn element_that_was_added_and_removed_once_is_judged_alike() {
    let kinds = [
        add(ONE, NIL),
        remove(ONE, NIL),
        remove(ONE, YES),
        contains(ONE, YES),
        contains(ONE, NO),
        unknown(add(ONE, NIL)),
        unknown(remove(ONE, NIL)),
    ];
    let [valid, violations, decided] = all_agree(&kinds, 5, changed_once);
    assert_eq!(decided, valid + violations);
}

#[test]
fn set_that_grows_is_judged_alike_when_read_whole() {
    let kinds = [
        add(ONE, NIL),
        add(TWO, NIL),
        read(NIL),
        read(ONLY_ONE),
        read(ONLY_TWO),
        read(BOTH),
        contains(TWO, YES),
        contains(TWO, NO),
        unknown(add(TWO, NIL)),
    ];
    let [valid, violations, decided] = all_agree(&kinds, 4, added_once);
    assert_eq!(decided, valid + violations);
    all_agree(&kinds, 4, anything);
    let few = [kinds[0], kinds[1], kinds[3], kinds[5], kinds[7], kinds[8]];
    let [valid, violations, decided] = all_agree(&few, 5, added_once);
    assert_eq!(decided, valid + violations);
}
