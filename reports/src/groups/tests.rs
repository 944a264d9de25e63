//! Violations counted and grouped, on analyses made by hand.

use std::collections::BTreeMap;

use partita_checker::{Function, ProcessId};
use partita_nemesis::{Effect, Family};

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A key with a violation whose last read ran from `from` to `until`, in seconds.
fn key(name: &str, anomaly: Anomaly, from: f64, until: f64) -> KeyAnalysis {
    let at = |seconds: f64| Nanoseconds((seconds * SECOND as f64) as u64);
    let index = (from * 1_000.0) as u64;
    let witness = |index, function, from, until| CounterexampleOperation {
        index,
        process: ProcessId(1),
        node: None,
        function,
        value: Value::from(1),
        argument: None,
        swapped: None,
        saw: None,
        invoked: at(from),
        completed: Some(at(until)),
        completed_index: Some(index + 1),
        outcome: EventKind::Ok,
        context: false,
        key: None,
        level: None,
        revision: None,
    };
    let found = Counterexample {
        key: Value::from(name),
        anomaly,
        sentence: format!("what is wrong with {name}"),
        stale_for: None,
        stale_by_versions: None,
        operations: vec![
            witness(1, Function::Write, 0.1, 0.2),
            witness(index, Function::Read, from, until),
        ],
        cycle: Vec::new(),
        impasse: None,
        hint: None,
    };
    KeyAnalysis::violation("zones", 2, found)
}

fn valid(name: &str) -> KeyAnalysis {
    KeyAnalysis::new(Value::from(name), Verdict::Valid, "zones", 2)
}

fn fault(name: &str, node: &str, from: u64, until: Option<u64>) -> FaultRecord {
    FaultRecord {
        id: 0,
        fault: name.to_owned(),
        family: Family::Partition,
        target: "leader".to_owned(),
        nodes: vec![node.to_owned()],
        parameters: BTreeMap::new(),
        began_ns: from * SECOND,
        ended_ns: until.map(|until| until * SECOND),
        effects: vec![Effect {
            what: "frames dropped".to_owned(),
            amount: 3.0,
            unit: "frames".to_owned(),
        }],
        error: None,
        unhealed: false,
    }
}

#[test]
fn keys_are_counted_by_anomaly_and_a_fault_is_named_that_holds_for_each() {
    let mut keys: Vec<_> =
        (0..5).map(|number| key(&format!("k{number}"), Anomaly::StaleRead, 6.0, 6.5)).collect();
    keys.push(key("k5", Anomaly::LostWrite, 7.0, 7.5));
    keys.extend((6..26).map(|number| valid(&format!("k{number}"))));
    let analysis = Analysis::of_keys(keys);
    let faults = [fault("isolate", "n3", 5, Some(8)), fault("pause", "n1", 1, Some(2))];
    let groups = Groups::of(&analysis, &faults).expect("violations");
    let words = "6 of 26 keys: 5 stale read, 1 lost write; all while n3 was cut off";
    assert_eq!(groups.in_words(), words);
    let others: Vec<_> = groups.others(&analysis).collect();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].0.in_words(), "lost write, 1 key, while n3 was cut off");
    assert_eq!(others[0].1.key, Value::from("k5"));
}

#[test]
fn all_is_said_only_of_what_holds_for_all() {
    let keys = vec![
        key("a", Anomaly::StaleRead, 6.0, 6.5),
        key("b", Anomaly::StaleRead, 6.2, 6.5),
        // Began before the fault, or came back after it.
        key("c", Anomaly::StaleRead, 4.9, 6.0),
        key("d", Anomaly::StaleRead, 7.9, 8.1),
        key("e", Anomaly::StaleRead, 20.0, 21.0),
    ];
    let groups =
        Groups::of(&Analysis::of_keys(keys.clone()), &[fault("isolate", "n3", 5, Some(8))]);
    assert_eq!(
        groups.expect("violations").in_words(),
        "5 of 5 keys: stale read; 2 while n3 was cut off, 3 while no fault was in force"
    );
    let open = [fault("leader-from-followers", "n2", 4, None)];
    let groups = Groups::of(&Analysis::of_keys(keys), &open).expect("violations");
    assert_eq!(groups.in_words(), "5 of 5 keys: stale read; all while n2 was cut off");
}

#[test]
fn a_fault_that_did_nothing_or_went_wrong_explains_nothing() {
    let analysis = Analysis::of_keys(vec![key("a", Anomaly::StaleRead, 6.0, 6.5), valid("b")]);
    let idle = FaultRecord { effects: Vec::new(), ..fault("isolate", "n3", 5, Some(8)) };
    let failed = FaultRecord { error: Some("no".to_owned()), ..fault("pause", "n1", 5, Some(8)) };
    let groups = Groups::of(&analysis, &[idle, failed]).expect("a violation");
    assert_eq!(groups.in_words(), "1 of 2 keys: stale read");
    let delayed = Effect { what: "syncs delayed".into(), amount: 3.0, unit: "calls".into() };
    let slow = fault("disk-slow", "n1", 5, Some(8));
    let disk = FaultRecord { effects: vec![delayed], ..slow };
    let groups = Groups::of(&analysis, &[disk]).expect("a violation");
    assert_eq!(groups.in_words(), "1 of 2 keys: stale read; while n1 was on a slow disk");
}

#[test]
fn a_group_shows_the_key_that_was_proven_first() {
    let keys = vec![
        key("late", Anomaly::LostWrite, 9.0, 9.5),
        key("early", Anomaly::LostWrite, 7.0, 7.5),
        key("first", Anomaly::StaleRead, 2.0, 2.5),
    ];
    let analysis = Analysis::of_keys(keys);
    let groups = Groups::of(&analysis, &[]).expect("violations");
    assert_eq!(groups.groups[0].keys, [Value::from("late"), Value::from("early")]);
    let shown: Vec<_> = groups.others(&analysis).map(|(_, found)| found.key.clone()).collect();
    assert_eq!(shown, [Value::from("early")], "the stale read is shown at the head");
}

#[test]
fn without_a_violation_there_is_nothing_to_count() {
    let mut analysis = Analysis::of_keys(vec![valid("a")]);
    analysis.verdict = Verdict::Valid;
    assert_eq!(Groups::of(&analysis, &[]), None);
}
