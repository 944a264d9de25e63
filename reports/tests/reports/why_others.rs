//! What the page says of other nodes than the one that answered, and of what several operations contradict.

use partita_checker::{Anomaly, Event, EventKind, Function, History, Nanoseconds, Outcome, Value};
use partita_nemesis::{Effect, Family};
use partita_reports::{NodeSample, RunArtifacts};

use crate::support::{Finding, Fixture};
use crate::why::{SECOND, fixture_of, moment, role, section, section_with, stale};

/// The places of the missed write and the read in the proof of [`stale`].
const WRITE: usize = 1;
const READ: usize = 2;

fn returned(fixture: &Fixture, place: usize) -> u64 {
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    found.operations[place].completed.expect("it came back").0
}

/// A node's role from so long after the read on.
fn role_after(fixture: &mut Fixture, after: u64, node: &str, what: &str, term: u64) {
    let since_invoked = returned(fixture, READ) - moment(fixture);
    role(fixture, 0, node, what, term);
    let change = fixture.record.roles.last_mut().expect("a role");
    change.at_ns = Nanoseconds(change.at_ns.0 + since_invoked + after);
}

#[test]
fn what_the_node_that_answered_says_soon_after_is_told_and_nothing_later() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "follower", 1);
    role_after(&mut fixture, SECOND / 10, "n3", "leader", 2);
    let told = section(&fixture);
    assert!(
        told.contains("100 ms after it had answered, n3 said that it was leader of term 2"),
        "{told}"
    );
    for (after, node) in [(SECOND, "n3"), (SECOND / 10, "n1")] {
        let mut fixture = stale();
        role_after(&mut fixture, after, node, "leader", 2);
        assert!(!section(&fixture).contains("after it had answered"), "{after} {node}");
    }
}

#[test]
fn two_other_nodes_that_led_at_one_time_are_named() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n1", "leader", 1);
    role_after(&mut fixture, SECOND / 10, "n2", "leader", 2);
    let told = section(&fixture);
    assert!(told.contains("n1 said that it was leader of term 1 from"), "{told}");
    assert!(told.contains("while n2 said that it was leader of term 2 from"), "{told}");
    // One after the other is no contradiction.
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n1", "leader", 1);
    role_after(&mut fixture, SECOND / 10, "n1", "follower", 2);
    role_after(&mut fixture, SECOND / 10, "n2", "leader", 2);
    assert!(!section(&fixture).contains("while n2"), "{}", section(&fixture));
    // Nor is what had ended before the write came back.
    let mut fixture = stale();
    let early = moment(&fixture) - returned(&fixture, WRITE) + SECOND;
    role(&mut fixture, early + 2, "n1", "leader", 1);
    role(&mut fixture, early + 1, "n2", "leader", 2);
    role(&mut fixture, early, "n1", "follower", 2);
    assert!(!section(&fixture).contains("while n2"), "{}", section(&fixture));
}

#[test]
fn leaders_since_the_missed_write_are_named_and_no_earlier_ones() {
    let mut fixture = stale();
    role_after(&mut fixture, SECOND / 10, "n1", "leader", 7);
    let told = section(&fixture);
    let written = "had come back, new leaders were seen: n1, leader of term 7, at";
    assert!(told.contains(written), "{told}");
    let mut fixture = stale();
    let before = moment(&fixture) - returned(&fixture, WRITE) + 1;
    role(&mut fixture, before, "n1", "leader", 7);
    assert!(!section(&fixture).contains("new leaders"), "{}", section(&fixture));
}

#[test]
fn the_node_that_answered_the_missed_write_is_named_with_its_role_then() {
    let mut fixture = stale();
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    // It took its time.
    let write = &mut found.operations[WRITE];
    write.invoked = Nanoseconds(write.completed.expect("it came back").0 - SECOND / 2);
    let open = moment(&fixture) - returned(&fixture, WRITE);
    assert!(!section(&fixture).contains("had last said"), "no role is known");
    role(&mut fixture, open + 2 * SECOND, "n1", "leader", 4);
    let told = section(&fixture);
    assert!(told.contains("when n1 had last said that it was leader of term 4"), "{told}");
    role(&mut fixture, open + SECOND / 4, "n1", "follower", 5);
    let told = section(&fixture);
    assert!(
        told.contains("n1 had last said that it was leader of term 4 when it was asked"),
        "{told}"
    );
    assert!(told.contains("and follower of term 5 when it answered"), "{told}");
}

#[test]
fn faults_of_the_node_that_answered_the_missed_write_are_named_if_they_were_since() {
    let mut fixture = stale();
    let (written, read) = (returned(&fixture, WRITE), moment(&fixture));
    let fault = &mut fixture.faults[0];
    fault.nodes = vec!["n1".into()];
    (fault.began_ns, fault.ended_ns) = (written + 1, Some(read - 1));
    let told = section(&fixture);
    assert!(told.contains("n1, to which “write "), "{told}");
    assert!(told.contains("was sent, was under fault #0 isolate from"), "{told}");
    let began = fixture.analysis.counterexample.as_ref().expect("it").operations[WRITE].invoked.0;
    for (from, to, nodes) in
        [(0, began - 1, "n1"), (read + 1, read + 2, "n1"), (written, read, "n2")]
    {
        let fault = &mut fixture.faults[0];
        (fault.began_ns, fault.ended_ns, fault.nodes) = (from, Some(to), vec![nodes.into()]);
        assert!(!section(&fixture).contains("to which"), "{from} {to} {nodes}");
    }
}

#[test]
fn what_was_held_is_named_after_it_was_let_go() {
    let mut fixture = stale();
    let read = moment(&fixture);
    let fault = &mut fixture.faults[0];
    fault.nodes = vec!["n3".into()];
    (fault.began_ns, fault.ended_ns) = (read - 2 * SECOND, Some(read - SECOND / 2));
    assert!(!section(&fixture).contains("had been healed"), "a partition leaves nothing behind");
    fixture.faults[0].fault = "hold".into();
    let told = section(&fixture);
    assert!(told.contains("Fault #0 hold of n3 had been healed 500 ms before"), "{told}");
}

#[test]
fn a_node_that_had_applied_less_than_another_is_named_with_both() {
    let fixture = stale();
    let sample = |before: u64, node: &str, applied| NodeSample {
        at_ns: Nanoseconds(moment(&fixture) - before),
        node: node.into(),
        applied: Some(applied),
        ..NodeSample::default()
    };
    let told = |samples: Vec<NodeSample>| {
        section_with(&fixture, &RunArtifacts { samples, ..RunArtifacts::default() })
    };
    let behind = vec![
        sample(SECOND / 2, "n3", 1_000),
        sample(SECOND / 4, "n3", 1_200),
        sample(SECOND / 4, "n1", 1_250),
        sample(SECOND / 4, "n2", 900),
    ];
    let told_behind = told(behind);
    let wanted = "that it had applied its log up to entry 1,200; n1, at";
    assert!(told_behind.contains(wanted) && told_behind.contains("up to 1,250."), "{told_behind}");
    let others = [
        vec![sample(SECOND / 4, "n3", 1_250), sample(SECOND / 4, "n1", 1_250)],
        vec![sample(SECOND / 4, "n3", 1_200)],
        vec![sample(SECOND / 4, "n1", 1_200)],
        // So long ago, it may have applied it since.
        vec![sample(3 * SECOND / 2, "n3", 1_200), sample(SECOND / 4, "n1", 1_250)],
    ];
    for samples in others {
        assert!(!told(samples.clone()).contains("applied its log"), "{samples:?}");
    }
}

#[test]
fn of_operations_that_contradict_each_other_the_last_answer_is_told_of() {
    let mut fixture = fixture_of(Finding::Contradiction);
    fixture.record.roles.clear();
    assert_eq!(section(&fixture), "", "nothing is on record");
    // The last read was answered by n3 at 9.0077 s.
    role(&mut fixture, 2 * SECOND, "n3", "follower", 3);
    let told = section(&fixture);
    let wanted = "n3, which answered “read k3 = 17” last, said that it was follower of term 3";
    assert!(told.contains(wanted), "{told}");
    assert!(!told.contains("which led meanwhile"), "{told}");
    // A leader whose disk fails is told of with the fault.
    role(&mut fixture, 2 * SECOND, "n1", "leader", 3);
    fixture.faults.truncate(1);
    let fault = &mut fixture.faults[0];
    (fault.family, fault.fault, fault.nodes) =
        (Family::Disk, "disk-error".into(), vec!["n1".into()]);
    (fault.began_ns, fault.ended_ns, fault.error) = (8 * SECOND, Some(10 * SECOND), None);
    let what = "writes failed".into();
    fault.effects = vec![Effect { what, amount: 3.0, unit: "calls".into() }];
    let told = section(&fixture);
    assert!(told.contains("n1, which led meanwhile, was under fault #0 disk-error"), "{told}");
    fixture.faults[0].effects.clear();
    assert!(!section(&fixture).contains("which led meanwhile"), "it did nothing");
    fixture.faults[0].ended_ns = Some(8 * SECOND + 1);
    assert!(!section(&fixture).contains("which led meanwhile"), "it was over");
}

#[test]
fn a_refusal_whose_value_was_read_is_named_with_its_node_if_no_other_brought_that_value() {
    let with = |values: [&str; 2]| {
        let event = |index: u64, process: u64, kind: &str, f: &str, value: &str, node: &str| {
            let time = 9_000_000_000 + index * 1_000_000;
            let text = format!(
                r#"{{"index":{index},"time":{time},"process":{process},"type":"{kind}","f":"{f}","key":"k","value":{value},"node":"{node}"}}"#
            );
            serde_json::from_str::<Event>(&text).expect("an event")
        };
        let [refused, accepted] = values;
        let history = History::from_events([
            event(0, 0, "invoke", "write", refused, "n2"),
            event(1, 0, "fail", "write", refused, "n2"),
            event(2, 1, "invoke", "write", accepted, "n1"),
            event(3, 1, "info", "write", accepted, "n1"),
            event(4, 2, "invoke", "read", "null", "n3"),
            event(5, 2, "ok", "read", "17", "n3"),
        ])
        .expect("a history");
        let mut fixture = stale();
        let found = fixture.analysis.counterexample.as_mut().expect("a violation");
        let is_read = |it: &&partita_checker::Operation| matches!(it.outcome, Outcome::Ok(..));
        let read = history.operations().iter().find(is_read).expect("a read");
        (found.anomaly, found.key) = (Anomaly::AbortedRead, Value::from("k"));
        (found.operations, found.cycle) = (vec![history.witness(read)], Vec::new());
        fixture.history = history;
        role(&mut fixture, SECOND, "n2", "leader", 6);
        section(&fixture)
    };
    let told = with(["17", "18"]);
    let wanted = "“write k = 17 (failed)”, whose value was read, had been refused by n2 at 9.00 s, \
                  when n2 had last said that it was leader of term 6";
    assert!(told.contains(wanted), "{told}");
    for values in [["17", "17"], ["170", "18"], ["18", "17"]] {
        assert!(!with(values).contains("refused"), "{values:?}");
    }
}

#[test]
fn an_addition_that_no_later_read_of_the_proof_saw_is_named_with_its_node() {
    let with = |saw: [&str; 2]| {
        let mut fixture = stale();
        let found = fixture.analysis.counterexample.as_mut().expect("a violation");
        let mut write = found.operations[WRITE].clone();
        (write.function, write.value) = (Function::Append, Value::from("17,"));
        let read = found.operations[READ].clone();
        let reads = saw.map(|saw| {
            let mut read = read.clone();
            (read.value, read.outcome) = (Value::from(saw), EventKind::Ok);
            read
        });
        (found.anomaly, found.cycle) = (Anomaly::LostWrite, Vec::new());
        found.operations = [vec![write], reads.to_vec()].concat();
        section(&fixture)
    };
    let told = with(["3,117,", "3,5,"]);
    assert!(
        told.contains("which no later read of the proof saw, had been answered by n1 at"),
        "{told}"
    );
    assert!(!with(["3,17,", "3,5,"]).contains("no later read"), "one saw it");
}

#[test]
fn a_read_that_misses_an_addition_is_told_to_have_missed_it_without_a_circle_too() {
    let mut fixture = stale();
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    (found.anomaly, found.cycle) = (Anomaly::LostWrite, Vec::new());
    found.operations.remove(0);
    let write = &mut found.operations[0];
    (write.function, write.value) = (Function::Append, Value::from("17,"));
    found.operations[1].value = Value::from("3,5,");
    assert!(section(&fixture).contains("“append "), "{}", section(&fixture));
    assert!(section(&fixture).contains("which it missed, had been answered by n1 at"));
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    found.operations[1].value = Value::from("3,17,");
    assert!(!section(&fixture).contains("which it missed"), "it was seen");
}
