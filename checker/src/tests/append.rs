//! Every small history of strings and lists that grow, by versions, the search and the oracle.

use super::kinds::other;
use super::maker::{Kind, Maker};
use super::subjects::{Object, linearizable};
use crate::model::Append;
use crate::{Action, Function, History, ModelKind, Response, Value, ValueId};

const NIL: ValueId = ValueId::NULL;
const A: ValueId = ValueId(1);
const B: ValueId = ValueId(2);
const AB: ValueId = ValueId(3);
const BA: ValueId = ValueId(4);
const P: ValueId = ValueId(5);
const PA: ValueId = ValueId(6);
const PAB: ValueId = ValueId(7);
const AA: ValueId = ValueId(8);

const fn append(token: ValueId) -> Kind {
    other(Function::Append, token, Some(NIL))
}

const fn put(content: ValueId) -> Kind {
    (Action::Write(content), Some(Response::Done))
}

const fn read(content: ValueId) -> Kind {
    (Action::Read, Some(Response::Value(content)))
}

const fn unknown(kind: Kind) -> Kind {
    (kind.0, None)
}

/// How many histories were valid, how many not, and of how many the monitor knew.
fn all_agree(kinds: &[Kind], size: usize, may_follow: fn(&History, Action) -> bool) -> [usize; 3] {
    let mut seen = [0; 3];
    let mut examine = |history: &History| {
        let kind = ModelKind::Append;
        let truth = linearizable(kind, history, &Value::Null);
        let model = Append::new(&Value::Null, &history.values).unwrap();
        let object = Object { kind, model, history };
        if truth && size < 5 {
            object.leave_out();
        }
        seen[usize::from(!truth)] += 1;
        seen[2] += usize::from(object.examine(truth));
    };
    let values = ["a", "b", "ab", "ba", "p", "pa", "pab", "aa"].map(Value::from);
    Maker { kinds, size, values: &values, may_follow, examine: &mut examine }.make();
    println!("{seen:?}");
    assert!(seen[0] > 300 && seen[1] > 1_000, "{seen:?}");
    seen
}

fn anything(_: &History, _: Action) -> bool {
    true
}

/// Nothing is put or appended twice.
fn once(history: &History, action: Action) -> bool {
    matches!(action, Action::Read) || history.operations.iter().all(|it| it.action != action)
}

#[test]
fn any_three_operations_are_judged_alike() {
    let kinds = [
        append(A),
        append(B),
        append(AB),
        put(P),
        put(A),
        put(NIL),
        (Action::Delete, Some(Response::Done)),
        read(NIL),
        read(A),
        read(AB),
        read(BA),
        read(PA),
        read(AA),
        unknown(append(A)),
        unknown(put(P)),
        unknown((Action::Delete, None)),
    ];
    all_agree(&kinds, 3, anything);
    let distinct = [
        append(A),
        append(B),
        put(P),
        unknown(append(B)),
        unknown(put(P)),
        read(NIL),
        read(A),
        read(AB),
        read(PA),
        read(P),
    ];
    let [valid, violations, decided] = all_agree(&distinct, 4, once);
    assert_eq!(decided, valid + violations);
}

#[test]
fn five_operations_on_distinct_pieces_are_all_decided() {
    for kinds in [
        [append(A), append(B), unknown(append(B)), read(A), read(AB)],
        [append(A), append(B), put(P), read(PA), read(PAB)],
        [append(A), unknown(append(B)), unknown(put(P)), read(NIL), read(PA)],
    ] {
        let [valid, violations, decided] = all_agree(&kinds, 5, once);
        assert_eq!(decided, valid + violations);
    }
}
