//! Every small history of queues and stacks, by the monitors, the search and the oracle.

use super::kinds::other;
use super::lanes;
use super::maker::{Kind, Maker};
use super::subjects::{Object, linearizable};
use crate::model::{Queue, Stack};
use crate::{
    Action, EngineChoice, Function, History, ModelKind, Options, Value, ValueId, Verdict, check,
};

const NIL: ValueId = ValueId::NULL;
const ITEMS: [ValueId; 3] = [ValueId(1), ValueId(2), ValueId(3)];

fn values() -> [Value; 3] {
    [1, 2, 3].map(Value::Integer)
}

/// How much was examined.
#[derive(Debug, Default)]
struct Count {
    valid: usize,
    violations: usize,
    decided: usize,
}

struct Container {
    kind: ModelKind,
    put: Function,
    take: Function,
}

const QUEUE: Container =
    Container { kind: ModelKind::Queue, put: Function::Enqueue, take: Function::Dequeue };
const STACK: Container =
    Container { kind: ModelKind::Stack, put: Function::Push, take: Function::Pop };

impl Container {
    fn put(&self, item: ValueId) -> Kind {
        other(self.put, item, Some(NIL))
    }

    fn take(&self, item: ValueId) -> Kind {
        other(self.take, NIL, Some(item))
    }

    fn unknown_put(&self, item: ValueId) -> Kind {
        other(self.put, item, None)
    }

    fn unknown_take(&self) -> Kind {
        other(self.take, NIL, None)
    }

    fn examine(&self, history: &History, with_search: bool, count: &mut Count) {
        let truth = linearizable(self.kind, history, &Value::Null);
        let decided = match self.kind {
            ModelKind::Queue => {
                let model = Queue::new(&Value::Null, &history.values).unwrap();
                judge(&Object { kind: self.kind, model, history }, truth, with_search)
            }
            _ => {
                let model = Stack::new(&Value::Null, &history.values).unwrap();
                judge(&Object { kind: self.kind, model, history }, truth, with_search)
            }
        };
        count.valid += usize::from(truth);
        count.violations += usize::from(!truth);
        count.decided += usize::from(decided);
    }

    fn all_agree(
        &self,
        kinds: &[Kind],
        size: usize,
        may_follow: fn(&History, Action) -> bool,
        with_search: bool,
    ) -> Count {
        let mut count = Count::default();
        let mut examine = |history: &History| self.examine(history, with_search, &mut count);
        let values = values();
        Maker { kinds, size, values: &values, may_follow, examine: &mut examine }.make();
        println!("{count:?}");
        assert!(count.valid > 300 && count.violations > 400, "{count:?}");
        count
    }
}

fn judge<M: crate::engines::Monitored>(
    object: &Object<'_, M>,
    truth: bool,
    with_search: bool,
) -> bool {
    if truth && object.history.operations.len() < 5 {
        object.leave_out();
    }
    if with_search { object.examine(truth) } else { object.examine_by_monitor(truth) }
}

fn anything(_: &History, _: Action) -> bool {
    true
}

/// Items are put in once, the first that is put in being the first by number, and so on: any other
/// history differs in names only.
fn in_turn(history: &History, action: Action) -> bool {
    let put = |action| match action {
        Action::Other(Function::Enqueue | Function::Push, item) => Some(item),
        _ => None,
    };
    let Some(item) = put(action) else { return true };
    let last = history.operations.iter().filter_map(|operation| put(operation.action)).max();
    item.0 == last.map_or(0, |last| last.0) + 1
}

fn three_operations_of_every_kind(container: &Container) {
    let [one, two, _] = ITEMS;
    let kinds = [
        container.put(one),
        container.put(two),
        container.unknown_put(one),
        container.take(one),
        container.take(two),
        container.take(NIL),
        container.unknown_take(),
    ];
    container.all_agree(&kinds, 3, anything, true);
    let count = container.all_agree(&kinds, 4, in_turn, true);
    let total = count.valid + count.violations;
    assert!(count.decided * 100 >= total * 95, "{count:?}");
}

#[test]
fn queues_of_four_operations_are_judged_alike() {
    three_operations_of_every_kind(&QUEUE);
}

#[test]
fn stacks_of_four_operations_are_judged_alike() {
    three_operations_of_every_kind(&STACK);
}

fn five_known_operations(container: &Container) {
    let [one, two, _] = ITEMS;
    let kinds = [
        container.put(one),
        container.put(two),
        container.take(one),
        container.take(two),
        container.take(NIL),
    ];
    let count = container.all_agree(&kinds, 5, in_turn, false);
    assert_eq!(count.decided, count.valid + count.violations, "all of these are decided");
}

#[test]
fn queues_of_five_known_operations_are_all_decided() {
    five_known_operations(&QUEUE);
}

#[test]
fn stacks_of_five_known_operations_are_all_decided() {
    five_known_operations(&STACK);
}

fn five_operations_with_unknown_ones(container: &Container) {
    let [one, two, _] = ITEMS;
    let kinds = [
        container.put(one),
        container.put(two),
        container.unknown_put(two),
        container.take(two),
        container.take(NIL),
        container.unknown_take(),
    ];
    container.all_agree(&kinds, 5, in_turn, false);
}

#[test]
fn queues_with_unknown_operations_are_never_judged_wrong() {
    five_operations_with_unknown_ones(&QUEUE);
}

#[test]
fn stacks_with_unknown_operations_are_never_judged_wrong() {
    five_operations_with_unknown_ones(&STACK);
}

/// No single item says that 3 has to go: it can lie below 2, and it can come after 1. It cannot do
/// both, which only shows when an order without its going has failed.
#[test]
fn stack_learns_from_an_order_that_failed_who_an_unknown_pop_has_to_take() {
    let drawing = "
        |push 2         |                       |pop 2|
           |push 1|         |pop 1 |
                      |push 3      |
                                          |pop 0?
    ";
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let engine = EngineChoice::Monitor;
    let options = Options { model: ModelKind::Stack, engine, ..Options::default() };
    let (analysis, _) = check(&history, &options, &|| false);
    assert_eq!(analysis.verdict, Verdict::Valid, "{:?}", analysis.reasons);
}

/// Three items, each put in and taken out: as many as a stack needs for a violation that no two of
/// them show.
fn three_items(container: &Container) {
    let [one, two, three] = ITEMS;
    let kinds = [
        container.put(one),
        container.put(two),
        container.put(three),
        container.take(one),
        container.take(two),
        container.take(three),
    ];
    fn each_once(history: &History, action: Action) -> bool {
        in_turn(history, action)
    }
    let mut count = Count::default();
    let mut examine = |history: &History| {
        let taken = |item: ValueId| {
            let takes = |o: &&crate::Operation| o.response() == Some(crate::Response::Value(item));
            history.operations.iter().filter(takes).count() == 1
        };
        if ITEMS.into_iter().all(taken) {
            container.examine(history, false, &mut count);
        }
    };
    let values = values();
    let mut maker = Maker {
        kinds: &kinds,
        size: 6,
        values: &values,
        may_follow: each_once,
        examine: &mut examine,
    };
    maker.make();
    println!("{count:?}");
    assert_eq!(count.decided, count.valid + count.violations, "{count:?}");
}

#[test]
fn queues_of_three_items_are_all_decided() {
    three_items(&QUEUE);
}

#[test]
fn stacks_of_three_items_are_all_decided() {
    three_items(&STACK);
}
