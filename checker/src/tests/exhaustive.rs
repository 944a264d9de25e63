//! Every small history over small domains, by every engine and by the oracle.

use super::maker::{Kind, Maker};
use super::registers::{examine, linearizable};
use crate::{Action, History, Response, Value, ValueId, Verdict};

/// The initial value and two others, by their numbers in every history made here.
const NIL: ValueId = ValueId::NULL;
const ONE: ValueId = ValueId(1);
const TWO: ValueId = ValueId(2);

const fn read(value: ValueId) -> Kind {
    (Action::Read, Some(Response::Value(value)))
}

const fn write(value: ValueId) -> Kind {
    (Action::Write(value), Some(Response::Done))
}

const fn unknown(kind: Kind) -> Kind {
    (kind.0, None)
}

const fn swap(expected: ValueId, new: ValueId) -> Kind {
    (Action::Cas { expected, new }, Some(Response::Swapped))
}

const fn mismatch(expected: ValueId, saw: Option<ValueId>) -> Kind {
    (Action::Cas { expected, new: TWO }, Some(Response::Mismatch(saw)))
}

const DELETE: Kind = (Action::Delete, Some(Response::Done));

fn all_agree(kinds: &[Kind], size: usize, may_follow: fn(&History, Action) -> bool) {
    let mut seen = [0; 2];
    let mut examine = |history: &History| {
        let truth = linearizable(history, &Value::Null);
        match examine(history, &Value::Null, Some(truth)) {
            Verdict::Valid => seen[0] += 1,
            Verdict::Violation => seen[1] += 1,
            Verdict::Unknown => {}
        }
    };
    let values = [Value::Integer(1), Value::Integer(2)];
    Maker { kinds, size, values: &values, may_follow, examine: &mut examine }.make();
    let [valid, violations] = seen;
    println!("all histories of {size} operations: {valid} valid, {violations} violations");
    assert!(valid > 300 && violations > 400, "{valid} valid, {violations} violations");
}

fn anything(_: &History, _: Action) -> bool {
    true
}

/// No value is written twice.
fn distinct(history: &History, action: Action) -> bool {
    let value = |action| match action {
        Action::Write(value) | Action::Cas { new: value, .. } => Some(value),
        _ => None,
    };
    let new = value(action);
    new.is_none() || !history.operations.iter().any(|o| value(o.action) == new)
}

#[test]
fn engines_agree_on_three_operations_of_every_kind() {
    let kinds = [
        read(NIL),
        read(ONE),
        read(TWO),
        write(ONE),
        write(TWO),
        write(NIL),
        unknown(write(ONE)),
        unknown(write(TWO)),
        unknown(read(NIL)),
        swap(NIL, ONE),
        swap(NIL, TWO),
        swap(ONE, TWO),
        swap(TWO, ONE),
        swap(ONE, ONE),
        unknown(swap(NIL, ONE)),
        unknown(swap(ONE, TWO)),
        unknown(swap(TWO, ONE)),
        unknown(swap(ONE, ONE)),
        mismatch(NIL, Some(ONE)),
        mismatch(ONE, Some(ONE)),
        mismatch(ONE, Some(NIL)),
        mismatch(ONE, None),
        DELETE,
        unknown(DELETE),
    ];
    all_agree(&kinds, 3, anything);
}

#[test]
fn engines_agree_on_four_operations_with_unknown_swaps() {
    let kinds = [
        read(ONE),
        read(TWO),
        unknown(write(ONE)),
        unknown(swap(NIL, ONE)),
        unknown(swap(ONE, TWO)),
        swap(ONE, TWO),
        write(TWO),
        mismatch(NIL, Some(ONE)),
    ];
    all_agree(&kinds, 4, anything);
}

/// The value that is written first is one: any other history differs in names only.
fn one_first(history: &History, action: Action) -> bool {
    action != Action::Write(TWO)
        || history.operations.iter().any(|operation| operation.action == Action::Write(ONE))
}

#[test]
fn engines_agree_on_reads_and_writes() {
    let size = if std::env::var_os("PARTITA_SOAK").is_some() { 6 } else { 5 };
    all_agree(&[read(ONE), read(TWO), write(ONE), write(TWO)], size, one_first);
}

#[test]
fn engines_agree_on_five_operations_with_distinct_values() {
    let kinds = [
        read(ONE),
        read(TWO),
        write(ONE),
        unknown(swap(NIL, ONE)),
        swap(ONE, TWO),
        unknown(write(TWO)),
    ];
    all_agree(&kinds, 5, distinct);
}
