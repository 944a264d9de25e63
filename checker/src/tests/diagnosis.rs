//! What a violation is called: small histories of which exactly one name is right, near misses
//! among them, and that counterexamples hold nothing that is not needed.

use super::lanes;
use crate::engines::spans;
use crate::engines::wgl::{Limits, Search, search};
use crate::generate::{ObjectPlan, Plan};
use crate::model::{Append, Counter, Model, MultiRegister, Queue, Register, Set, Stack};
use crate::{
    Analysis, Anomaly, Counterexample, EngineChoice, Event, EventKind, Function, History,
    ModelKind, Options, Value, Verdict, check,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

fn analyse(model: ModelKind, events: Vec<Event>, engine: EngineChoice) -> Analysis {
    let history = History::from_events(events).unwrap();
    check(&history, &Options { model, engine, ..Options::default() }, &|| false).0
}

fn found(model: ModelKind, drawing: &str) -> Counterexample {
    let analysis = analyse(model, lanes::parse(drawing), EngineChoice::Auto);
    analysis.counterexample.unwrap_or_else(|| panic!("{model}: {drawing}: {:?}", analysis.reasons))
}

/// Every operation is sent to the node of its lane's number.
fn on_nodes(drawing: &str) -> Counterexample {
    let lanes = drawing.lines().filter(|line| !line.trim().is_empty()).count() as u32;
    let mut events = lanes::parse(drawing);
    for event in &mut events {
        assert!(event.process.0 < lanes, "lanes with unknown outcomes have no node");
        event.node = Some(format!("n{}", event.process.0 + 1).into());
    }
    analyse(ModelKind::Register, events, EngineChoice::Auto).counterexample.expect("a violation")
}

type Row = (ModelKind, &'static str, &'static str);

const NAMES: &[Row] = {
    use ModelKind::{Append, Counter, Lock, MultiRegister, Queue, Register, Set, Stack};
    &[
        // A later read shows the write that was missed.
        (Register, "p0 |w 1| |w 2| |r 1| |r 2|", "stale read"),
        // Nobody read it, but it was replaced: nobody could have read it later.
        (Register, "p0 |w 1| |w 2| |r 1| |w 3| |r 3|", "stale read"),
        (Register, "p0 |w 1| |w 2| |w 3| |r 1| |r 3|", "stale read"),
        // Somebody had seen it, and one answer alone says that it is not there.
        (Register, "p0 |w 1| |w 2| |r 2| |r 1|", "stale read"),
        // The final reads miss it, too.
        (Register, "p0 |w 1| |w 2| |r 1|\np1                    |r 1| |r 1|", "lost write"),
        (
            Register,
            "p0 |w 1| |w 2| |r 2|\np1                    |r 1|\np2                        |r 1|",
            "lost write",
        ),
        // What replaced it was lost as well.
        (Register, "p0 |w 1| |w 2| |w 3| |r 1| |r 1|", "lost write"),
        // A compare-and-set read the new value.
        (Register, "p0 |w 1| |w 2| |r 1| |c 2 3|", "stale read"),
        // A value that is written twice: all writes of it have to be too old.
        (Register, "p0 |w 1| |w 1| |w 2| |r 1| |r 2|", "stale read"),
        (Register, "p0 |w 1| |w 2| |w 1| |w 3| |r 1| |r 1|", "lost write"),
        (Register, "p0 |w 1| |w 2| |c 1 3|", "lost update"),
        (Register, "p0 |w 1| |c 1 2| |c 1 3|", "lost update"),
        (Register, "p0 |w 1| |c 1 2?\np1             |r 2| |c 1 3|", "lost update"),
        (Register, "p0 |w 1| |r 2|", "value from nowhere"),
        (Register, "p0 |w 1| |w 2!| |r 2|", "read of a failed write"),
        (Register, "p0 |w 1| |c 3 2 no| |r 2|", "read of a failed write"),
        (Register, "p0 |r 1| |w 1|", "read from the future"),
        (Register, "p0  |c 1 2|\np1    |c 2 1|", "compare-and-sets in a circle"),
        (Register, "p0  |w 1   |      |r 1|\np1    |w 2   |          |r 2|", "contradictory order"),
        (Register, "p0 |w 1| |c 1 2 saw 1|", "not linearizable"),
        (Register, "p0 |w 1| |d| |r 1| |r nil|", "stale read"),
        (Register, "p0 |w 1| |d| |r 1|", "stale read"),
        // Written again after it was missed: what replaced it may be what is shown.
        (Register, "p0 |w 1| |w 2| |r 1| |w 1| |r 1|", "stale read"),
        (Register, "p0 |w 1| |r nil| |w 2| |r 2|", "stale read"),
        (Register, "p0 |w 1| |d| |w 2| |r nil| |r 1|", "lost write"),
        // Only what was read of it says that a compare-and-set swapped.
        (Register, "p0 |w 1| |w 2| |c 1 3?\np1                   |r 3|", "lost update"),
        (Register, "p0 |r 1|\np1          |w 1|\np2          |w 1|", "read from the future"),
        (Register, "p0 |w 1| |w 2?\np1           |r 2| |r 1|", "stale read"),
        (
            Register,
            "p0 |w 1| |w 2?\np1           |r 2| |r 1|\np2                      |r 1|",
            "lost write",
        ),
        (Append, "p0 |app a| |app b| |r a| |r ab|", "stale read"),
        (Append, "p0 |app a| |app b| |r a| |r a|", "lost write"),
        (Append, "p0 |app a| |app b| |r a| |app c| |r ac|", "lost write"),
        (
            Append,
            "p0 |app a| |app b| |r ab|\np1                         |r a|\np2                             |r a|",
            "lost write",
        ),
        (Append, "p0 |app 1| |all 1 1|", "applied twice"),
        (Append, "p0 |app a!| |r a|", "read of a failed write"),
        (Append, "p0 |app a| |r c|", "value from nowhere"),
        (
            Append,
            "p0 |app 1   |\np1 |app 2   |\np2              |all 1 2| |all 2 1|",
            "contradictory order",
        ),
        (Append, "p0 |app a| |app b| |r ba|", "contradictory order"),
        (Append, "p0 |app 1| |app 2| |app 3| |all 1 3 2|", "contradictory order"),
        (Append, "p0 |r a| |app a|", "read from the future"),
        (Counter, "p0 |add 1| |r 0| |r 1|", "stale read"),
        (Counter, "p0 |add 1| |r 0| |r 0|", "lost write"),
        (Counter, "p0 |add 1| |r 2| |r 1|", "applied twice"),
        (Counter, "p0 |add 5| |add -2| |r 5| |r 3|", "stale read"),
        (Counter, "p0 |add 5| |add -2| |r 5| |r 5|", "lost write"),
        (Counter, "p0 |add 5| |add -2| |r 1|", "applied twice"),
        (Counter, "p0 |add 5| |add -2| |r -2|", "lost write"),
        (Counter, "p0 |add 5| |add 3| |r 7| |r 8|", "value from nowhere"),
        (Counter, "p0 |add 1?\np1          |r 1| |r 0| |r 1|", "stale read"),
        (Counter, "p0 |add 1?\np1          |r 1| |r 0|\np2                    |r 0|", "lost write"),
        (
            Counter,
            "p0 |add 1?\np1          |r 1| |r 0| |add -1|\np2                  |r 0|",
            "stale read",
        ),
        (Counter, "p0 |add 3!| |r 3|", "read of a failed write"),
        (Counter, "p0 |r 3| |add 3|", "read from the future"),
        (Counter, "p0 |r 3|", "value from nowhere"),
        (Counter, "p0 |r -3|", "value from nowhere"),
        (Set, "p0 |add 1| |all| |all 1|", "stale read"),
        (Set, "p0 |add 1| |has 1 no| |has 1 yes|", "stale read"),
        (Set, "p0 |add 1| |all| |all|", "lost element"),
        (
            Set,
            "p0 |add 1| |all 1|\np1                    |all|\np2                         |all|",
            "lost element",
        ),
        (Set, "p0 |add 1| |rem 1| |has 1 yes| |has 1 yes|", "removed element came back"),
        (Set, "p0 |add 1| |rem 1| |has 1 yes| |has 1 no|", "stale read"),
        (Set, "p0 |add 1| |all 1 1|", "duplicate element"),
        (Set, "p0 |add 1!| |all 1|", "read of a failed write"),
        (Set, "p0 |add 1| |all 1 2|", "value from nowhere"),
        (Set, "p0 |all 1| |add 1|", "read from the future"),
        (Set, "p0 |add 1   |\np1 |add 2   |\np2    |all 1|\np3    |all 2|", "contradictory order"),
        (Queue, "p0 |enq 1| |deq nil|", "lost element"),
        (Queue, "p0 |enq 1| |deq nil| |deq 1|", "empty while it was not"),
        (Queue, "p0 |enq 1| |enq 2| |deq 2| |deq 1|", "dequeue out of order"),
        (Queue, "p0 |enq 1| |deq 1| |deq 1|", "applied twice"),
        (Queue, "p0 |enq 1!| |deq 1|", "read of a failed write"),
        (Queue, "p0 |deq 1|", "value from nowhere"),
        (Queue, "p0 |deq 1| |enq 1|", "read from the future"),
        (Stack, "p0 |push 1| |pop nil|", "lost element"),
        (Stack, "p0 |push 1| |pop nil| |pop 1|", "empty while it was not"),
        (Stack, "p0 |push 1| |push 2| |pop 1| |pop 2|", "pop out of order"),
        (Stack, "p0 |push 1| |pop 1| |pop 1|", "applied twice"),
        (Stack, "p0 |push 1!| |pop 1|", "read of a failed write"),
        (Queue, "p0 |enq 1| |enq 1| |deq 1| |deq 1| |deq 1|", "applied twice"),
        (Stack, "p0 |push 1| |push 1| |pop 1| |pop 1| |pop 1|", "applied twice"),
        (Stack, "p0 |push 1| |push 2| |pop 1|", "lost element"),
        (Stack, "p0 |push 1| |push 2| |pop 1| |pop 2?", "pop out of order"),
        (Lock, "p0 |acq| |acq|", "two owners of a lock"),
        (Lock, "p0 |acq a| |rel a| |acq b| |acq c|", "two owners of a lock"),
        (
            Lock,
            "p0  |acq b                     |\np1    |acq a| |rel a| |acq a| |rel a| |acq a|",
            "two owners of a lock",
        ),
        (Lock, "p0 |acq   | |rel   |\np1   |acq   |\np2     |acq   |", "two owners of a lock"),
        (Lock, "p0 |acq| |rel| |rel|", "release of a free lock"),
        (MultiRegister, "p0 |txn w x 1 w y 1| |txn r x 1 r y nil|", "fractured read"),
        (MultiRegister, "p0 |txn r x 1|", "value from nowhere"),
        (MultiRegister, "p0 |txn w x 1!| |txn r x 1|", "read of a failed write"),
        (MultiRegister, "p0 |txn w x 1| |txn w x 2| |txn r x 1| |txn r x 2|", "stale read"),
        (
            MultiRegister,
            "p0 |txn w x 1| |txn w x 2| |txn r x 1| |txn w x 3|\np1                                                         |txn r x 3|",
            "stale read",
        ),
        (MultiRegister, "p0 |txn r x 1| |txn w x 1|", "read from the future"),
        (MultiRegister, "p0 |txn w x 1 w x 2| |txn r x 1|", "fractured read"),
        (MultiRegister, "p0 |txn w x 1| |txn r x 1 w x 2| |txn r x 1 w x 3|", "lost update"),
        (MultiRegister, "p0 |txn w x 1| |txn w x 2| |txn r x 1 w x 3|", "lost update"),
        (
            MultiRegister,
            "p0 |txn w x 1|\np1 |txn w y 1|\np2   |txn r x 1 r y nil|\np3   |txn r x nil r y 1|",
            "contradictory order",
        ),
        (MultiRegister, "p0 |txn w x 1| |txn w x 2| |txn r x 1|", "lost write"),
        // The second write is seen and the first is not: moments are mixed, and nothing need be lost.
        (MultiRegister, "p0 |txn w x 1| |txn w y 7| |txn r x nil r y 7|", "stale read"),
        (MultiRegister, "p0 |txn w y 7| |txn w x 1| |txn r x nil r y 7|", "lost write"),
    ]
};

#[test]
fn exactly_one_name_is_right() {
    let mut wrong = Vec::new();
    for &(model, drawing, title) in NAMES {
        let found = found(model, drawing);
        if found.anomaly.title() != title {
            let (is, sentence) = (found.anomaly.title(), &found.sentence);
            wrong.push(format!("{model}: {drawing}: {is}, not {title}: {sentence}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_engine_gives_the_same_name() {
    let engines = [EngineChoice::Monitor, EngineChoice::Frontier, EngineChoice::Wgl];
    let mut wrong = Vec::new();
    for &(model, drawing, title) in NAMES {
        for engine in engines {
            let analysis = analyse(model, lanes::parse(drawing), engine);
            if let Some(found) = analysis.counterexample
                && found.anomaly.title() != title
            {
                let is = found.anomaly.title();
                wrong.push(format!("{engine}: {model}: {drawing}: {is}, not {title}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_one_other_node_misses_is_not_lost_for_that() {
    // The node that took the write was not asked again.
    let one = on_nodes("p0 |w 1| |w 2|\np1                |r 1| |r 1|");
    assert_eq!(one.anomaly, Anomaly::StaleRead, "{}", one.sentence);
    let two = on_nodes("p0 |w 1| |w 2|\np1                |r 1|\np2                      |r 1|");
    assert_eq!(two.anomaly, Anomaly::LostWrite, "{}", two.sentence);
    let itself = on_nodes("p0 |w 1| |w 2| |r 1|\np1                  |r 1|");
    assert_eq!(itself.anomaly, Anomaly::LostWrite, "{}", itself.sentence);
}

#[test]
fn read_that_shows_the_missed_write_after_all_is_context() {
    let found = found(ModelKind::Register, "p0 |w 1| |w 2| |r 1| |r 2|");
    let context: Vec<&Value> =
        found.operations.iter().filter(|it| it.context).map(|it| &it.value).collect();
    assert_eq!(context, [&Value::Integer(2)]);
    assert_eq!(found.proof().count(), 3);
    assert!(found.events().iter().all(|event| event.index < 6), "{found:#?}");
    let written = serde_json::to_value(&found).unwrap();
    assert_eq!(written["operations"][3]["context"], true);
    assert!(written["operations"][0].get("context").is_none());
}

#[test]
fn staleness_is_the_longest_that_is_certain() {
    // 2 was there when it was read, at 20 ms at the latest; 3 came later.
    let drawing = "p0 |w 1| |w 2           | |w 3| |r 1| |r 3|\np1          |r 2|";
    let found = found(ModelKind::Register, drawing);
    let reader = found
        .operations
        .iter()
        .find(|it| it.value == Value::Integer(1) && it.function == Function::Read);
    let seen = 16_000_000;
    assert_eq!(found.stale_for.map(|it| it.0), reader.map(|it| it.invoked.0 - seen), "{found:#?}");
    assert_eq!(found.stale_by_versions, Some(2));
}

#[test]
fn two_owners_are_a_handful_of_operations() {
    let mut handfuls = 0;
    for seed in 0..30 {
        let plan =
            ObjectPlan { model: ModelKind::Lock, operations: 300, seed, ..ObjectPlan::default() };
        let mut events: Vec<Event> = plan.events().collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // A release that was acknowledged and never happened.
        let releases: Vec<usize> = (0..events.len() / 2)
            .filter(|&it| {
                events[it].function == Function::Release && events[it].kind == EventKind::Ok
            })
            .collect();
        let gone = events[releases[random.random_range(0..releases.len())]].clone();
        let began = events.iter().rposition(|it| {
            it.process == gone.process && it.kind == EventKind::Invoke && it.index < gone.index
        });
        let began = events[began.unwrap()].index;
        events.retain(|it| it.index != gone.index && it.index != began);
        let analysis = analyse(ModelKind::Lock, events, EngineChoice::Auto);
        let Some(found) = analysis.counterexample else { continue };
        assert_eq!(found.anomaly, Anomaly::TwoOwners, "{}", found.sentence);
        let count = |function| found.operations.iter().filter(|it| it.function == function).count();
        // No more than it takes, with all releases that can have come between.
        assert_eq!(count(Function::Acquire), count(Function::Release) + 2, "{found:#?}");
        assert!(found.operations.len() <= 60, "{found:#?}");
        handfuls += usize::from(found.operations.len() <= 4);
        let alone = analyse(ModelKind::Lock, found.events(), EngineChoice::Auto);
        assert_eq!(alone.verdict, Verdict::Violation);
    }
    assert!(handfuls > 5, "{handfuls}");
}

#[test]
fn text_and_number_differ_on_sight() {
    let mut events = lanes::parse("p0 |w 1| |r 7|");
    events[3].value = Value::text("1");
    let found = analyse(ModelKind::Register, events, EngineChoice::Auto).counterexample.unwrap();
    assert!(found.sentence.contains("read \"1\""), "{}", found.sentence);
}

#[test]
fn sentences_say_what_was() {
    let rows: &[(ModelKind, &str, &str)] = &[
        (
            ModelKind::Set,
            "p0 |add 1| |all 1 1 1|",
            "which shows 1 in 3 places, which was added once",
        ),
        (ModelKind::Set, "p0 |add 1| |all| |all|", "; nobody ever saw it: a lost element."),
        (ModelKind::Lock, "p0 |acq a| |rel b|", "it was not its owner"),
        (ModelKind::Lock, "p0 |acq a| |rel a| |rel a|", "it was not its owner"),
        (ModelKind::Queue, "p0 |enq 1| |enq 1| |deq 1| |deq 1| |deq 1|", "enqueued twice, but"),
        (
            ModelKind::Register,
            "p0 |r 1|\np1          |w 1|\np2          |w 1|",
            "before the write of 1 by process 1 was even asked for",
        ),
        (
            ModelKind::Append,
            "p0 |app a| |app b| |r ba|",
            "with b before a, but process 0 had appended a",
        ),
    ];
    for &(model, drawing, part) in rows {
        let found = found(model, drawing);
        assert!(found.sentence.contains(part), "{drawing}: {}", found.sentence);
    }
}

#[test]
fn old_name_of_a_lost_update_is_read() {
    let read: Anomaly = serde_json::from_str("\"duplicate-swap\"").unwrap();
    assert_eq!(read, Anomaly::LostUpdate);
}

#[test]
fn failed_write_that_was_read_may_have_timed_out() {
    let found = found(ModelKind::Register, "p0 |w 1| |w 2!| |r 2|");
    assert!(found.sentence.contains("timed out"), "{}", found.sentence);
}

#[test]
fn without_a_clock_events_are_counted() {
    let mut events = lanes::parse("p0 |w 1| |w 2| |r 1| |r 2|");
    for event in &mut events {
        event.time = crate::Nanoseconds(event.index);
    }
    let found = analyse(ModelKind::Register, events, EngineChoice::Auto).counterexample.unwrap();
    assert!(found.sentence.contains("1 event after"), "{}", found.sentence);
    assert!(!found.sentence.contains("ms"), "{}", found.sentence);
    assert_eq!(found.stale_for, None);
}

#[test]
fn operation_without_an_answer_is_not_the_last_answer() {
    let drawing = "p0 |w 1| |c 1 2 saw 1|\np1          |w 5?";
    let found = found(ModelKind::Register, drawing);
    assert!(!found.sentence.contains("a write of 5"), "{}", found.sentence);
}

#[test]
fn nothing_in_a_counterexample_is_superfluous() {
    let kinds = [
        ModelKind::Register,
        ModelKind::Append,
        ModelKind::Counter,
        ModelKind::Set,
        ModelKind::Queue,
        ModelKind::Stack,
        ModelKind::MultiRegister,
    ];
    for kind in kinds {
        let mut violations = 0;
        for seed in 0..150 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut events = drawn(kind, seed);
            let sound = analyse(kind, events.clone(), EngineChoice::Auto);
            assert_eq!(sound.verdict, Verdict::Valid, "{kind}, seed {seed}: {sound:#?}");
            let answers: Vec<usize> =
                (0..events.len()).filter(|&it| events[it].kind == EventKind::Ok).collect();
            let [one, other] = [0; 2].map(|_| answers[random.random_range(0..answers.len())]);
            if events[one].function == events[other].function && !events[one].value.is_null() {
                let value = events[other].value.clone();
                if matches!(
                    events[one].function,
                    Function::Read | Function::Dequeue | Function::Pop
                ) {
                    events[one].value = value;
                }
            }
            if let (Function::Contains, Value::Bool(there)) =
                (events[one].function, &events[one].value)
            {
                events[one].value = Value::Bool(!there);
            }
            if events[one].function == Function::Txn && events[other].function == Function::Txn {
                swap_reads(&mut events, one, other);
            }
            let analysis = analyse(kind, events, EngineChoice::Auto);
            let Some(found) = analysis.counterexample else { continue };
            violations += 1;
            needed(kind, &found);
        }
        println!("{violations} violations of {kind}");
        assert!(violations > 0, "{kind}");
    }
}

/// Lets one transaction answer with what another one showed of the same registers.
fn swap_reads(events: &mut [Event], one: usize, other: usize) {
    let steps = |event: &Event| match &event.value {
        Value::List(steps) => steps.iter().cloned().collect::<Vec<Value>>(),
        _ => Vec::new(),
    };
    let shown = steps(&events[other]);
    let answers: Vec<Value> = steps(&events[one])
        .into_iter()
        .map(|step| {
            let Value::List(parts) = &step else { return step };
            let same = |it: &&Value| matches!(it, Value::List(it) if it[1] == parts[1]);
            match (&parts[0], shown.iter().find(same)) {
                (Value::Text(function), Some(Value::List(it))) if function.starts_with('r') => {
                    Value::list([parts[0].clone(), parts[1].clone(), it[2].clone()])
                }
                _ => step,
            }
        })
        .collect();
    if !answers.is_empty() {
        events[one].value = Value::list(answers);
    }
}

/// A history of a real object; in every other one values repeat.
fn drawn(kind: ModelKind, seed: u64) -> Vec<Event> {
    let values = (seed % 2 == 1).then_some(3);
    if kind == ModelKind::Register {
        let plan = Plan { operations: 40, clients: 4, values, seed, ..Plan::default() };
        return plan.events().collect();
    }
    let plan = ObjectPlan { model: kind, operations: 40, values, seed, ..ObjectPlan::default() };
    plan.events().collect()
}

/// Demands that without any operation, and all that may rely on it, the rest has an order.
fn needed(kind: ModelKind, found: &Counterexample) {
    let alone = History::from_events(found.events()).unwrap();
    let (null, values) = (&Value::Null, &alone.values);
    match kind {
        ModelKind::Append => is_minimal(&Append::new(null, values).unwrap(), &alone, found),
        ModelKind::Counter => is_minimal(&Counter::new(null, values).unwrap(), &alone, found),
        ModelKind::Set => is_minimal(&Set::new(null, values).unwrap(), &alone, found),
        ModelKind::Queue => is_minimal(&Queue::new(null, values).unwrap(), &alone, found),
        ModelKind::Stack => is_minimal(&Stack::new(null, values).unwrap(), &alone, found),
        ModelKind::MultiRegister => is_minimal(&MultiRegister::new(null, values), &alone, found),
        ModelKind::Register => is_minimal(&Register::new(null, values), &alone, found),
        ModelKind::Lock | ModelKind::ListAppend | ModelKind::RwRegister => {
            unreachable!("locks and transactions have tests of their own")
        }
    }
}

fn is_minimal<M: Model>(model: &M, alone: &History, found: &Counterexample) {
    let places: Vec<u32> = (0..alone.operations.len() as u32).collect();
    let spans = spans(alone, &places, model);
    let limits = Limits { memory: 64 << 20, stop: &|| false };
    for left_out in 0..spans.len() {
        let mut kept = vec![true; spans.len()];
        let mut pending = vec![left_out];
        while let Some(writer) = pending.pop() {
            if std::mem::replace(&mut kept[writer], false) {
                let relies = |&it: &usize| model.relies_on(spans[it].call, spans[writer].call);
                pending.extend((0..spans.len()).filter(relies));
            }
        }
        let rest: Vec<_> =
            spans.iter().zip(kept).filter(|(_, kept)| *kept).map(|(span, _)| *span).collect();
        let verdict = search(model, &rest, &limits);
        assert!(matches!(verdict, Search::Valid(_)), "without {left_out}: {found:#?}");
    }
}
