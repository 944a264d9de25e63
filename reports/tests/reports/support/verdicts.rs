//! The made-up checker: says what the plan wants found, and makes the history such that it is true.

use partita_checker::{
    Action, Analysis, Anomaly, Counterexample, CounterexampleOperation, Edge, Event, EventKind,
    Function, History, KeyAnalysis, Nanoseconds, Operation, Outcome, ProcessId, Relation, Value,
    Verdict,
};

use super::{Finding, Plan};

pub(crate) fn analysis(plan: &Plan, history: &mut History) -> Analysis {
    let counterexample = match plan.finding {
        Finding::Valid | Finding::Vacuous => None,
        Finding::StaleRead => Some(stale_read(history)),
        Finding::Contradiction => Some(contradiction()),
    };
    let keys = history.keys().iter().enumerate().map(|(id, key)| {
        let operations = history
            .operations()
            .iter()
            .filter(|operation| operation.key.0 as usize == id)
            .filter(|operation| !matches!(operation.outcome, Outcome::Fail(_)))
            .count();
        match &counterexample {
            Some(found) if found.key == *key => {
                KeyAnalysis::violation("zones", operations, found.clone())
            }
            _ => KeyAnalysis::new(key.clone(), Verdict::Valid, "zones", operations),
        }
    });
    let mut analysis = Analysis::of_keys(keys.collect());
    // A contradiction is drawn on a key of its own.
    if let Some(found) = counterexample {
        analysis.verdict = Verdict::Violation;
        analysis.counterexample = Some(found);
    }
    analysis
}

/// The history with each event as `change` leaves it.
pub(crate) fn with(history: &History, change: impl Fn(&mut Event)) -> History {
    let changed = history.events().map(|mut event| {
        change(&mut event);
        event
    });
    History::from_events(changed).expect("still a history")
}

/// Makes one read in the middle of the run return a value that was overwritten before it began.
fn stale_read(history: &mut History) -> Counterexample {
    let write = |operation: &Operation| match (operation.action, operation.outcome) {
        (Action::Write(value), Outcome::Ok(moment, _)) => Some((value, moment)),
        _ => None,
    };
    let middle = history.operations().len() * 6 / 10;
    let read = (middle..history.operations().len())
        .find(|&index| {
            let operation = &history.operations()[index];
            operation.action == Action::Read && matches!(operation.outcome, Outcome::Ok(..))
        })
        .expect("a read in the second half");
    let reader = history.operations()[read];
    let mut writes: Vec<Operation> = history.operations()[..read]
        .iter()
        .filter(|operation| operation.key == reader.key)
        .filter(|operation| write(operation).is_some_and(|(_, end)| end < reader.invoked))
        .copied()
        .collect();
    let newer = writes.pop().expect("a write before the read");
    let newer_began = newer.invoked;
    let older = writes
        .into_iter()
        .rfind(|operation| write(operation).is_some_and(|(_, end)| end < newer_began))
        .expect("two writes before the read");
    let (value, _) = write(&older).expect("a write");
    let (newer_value, overwritten) = write(&newer).expect("a write");
    let Outcome::Ok(moment, _) = reader.outcome else { unreachable!("chosen for it") };
    let seen = history.values().get(value).clone();
    *history = with(history, |event| {
        if event.index == moment.position {
            event.value = seen.clone();
        }
    });
    let reader = history.operations()[read];
    let stale_for = reader.invoked.time.since(overwritten.time);
    let (key, old) = (history.keys()[reader.key.0 as usize].clone(), history.values().get(value));
    let sentence = format!(
        "process {} read {key} = {old} although the write of {} had been acknowledged {:.1} ms \
         before the read was even sent",
        reader.process,
        history.values().get(newer_value),
        stale_for.as_milliseconds()
    );
    Counterexample {
        key,
        anomaly: Anomaly::StaleRead,
        sentence,
        stale_for: Some(stale_for),
        stale_by_versions: None,
        operations: [older, newer, reader].iter().map(|one| history.witness(one)).collect(),
        cycle: vec![
            Edge { from: 1, to: 2, relation: Relation::RealTime, given: Vec::new() },
            Edge { from: 2, to: 1, relation: Relation::OverwrittenBefore, given: Vec::new() },
        ],
        impasse: None,
        hint: None,
    }
}

/// Two values that each had to be there at the same time; one writer never came back.
fn contradiction() -> Counterexample {
    let at = |milliseconds: f64| Nanoseconds(9_000_000_000 + (milliseconds * 1e6) as u64);
    let one = |index, process, function, value, invoked, completed: Option<f64>| {
        CounterexampleOperation {
            index,
            process: ProcessId(process),
            node: Some(format!("n{}", process % 3 + 1)),
            function,
            value,
            argument: None,
            swapped: (function == Function::Cas).then_some(true),
            saw: None,
            invoked: at(invoked),
            completed: completed.map(at),
            completed_index: completed.map(|_| index + 1),
            outcome: if completed.is_some() { EventKind::Ok } else { EventKind::Info },
            context: false,
            key: None,
            level: None,
            revision: None,
        }
    };
    let pair = |expected: i64, new: i64| Value::list(vec![expected.into(), new.into()]);
    let edge = |from, to, relation| Edge { from, to, relation, given: Vec::new() };
    Counterexample {
        key: Value::from("k3"),
        anomaly: Anomaly::ContradictoryOrder,
        sentence: "17 and 21 each had to be the value of k3 between 9.004 s and 9.006 s".into(),
        stale_for: None,
        stale_by_versions: None,
        operations: vec![
            one(9_000, 4, Function::Write, 17.into(), 0.0, None),
            one(9_004, 7, Function::Cas, pair(16, 21), 0.8, Some(2.1)),
            one(9_010, 2, Function::Read, 17.into(), 2.6, Some(4.0)),
            one(9_012, 5, Function::Read, 21.into(), 4.4, Some(6.2)),
            one(9_015, 2, Function::Read, 17.into(), 6.4, Some(7.7)),
        ],
        cycle: vec![
            edge(0, 2, Relation::ReadsFrom),
            edge(2, 3, Relation::RealTime),
            edge(3, 4, Relation::RealTime),
            edge(4, 1, Relation::OverwrittenBefore),
            edge(1, 0, Relation::OverwrittenBefore),
        ],
        impasse: None,
        hint: None,
    }
}
