//! Every anomaly that a model can show is named in the words of the field, told in a sentence, and
//! explained by a cycle, or by how far an order gets where the answers are impossible at any time.

#[path = "support/lanes.rs"]
mod lanes;

use partita_checker::{Counterexample, History, MODELS, ModelKind, Options, Relation, check};

/// A model, lanes, the anomaly's title and a part of the sentence.
type Row = (ModelKind, &'static str, &'static str, &'static str);

const TABLE: [Row; 28] = {
    use ModelKind::{Append, Counter, Lock, MultiRegister, Queue, Register, Set, Stack};
    [
        (Register, "p0 |w 1| |w 2| |r 1|", "lost write", "after the write of 2"),
        (Register, "p0 |w 1| |w 2| |r 2| |r 1|", "stale read", "a stale read"),
        (Register, "p0 |w 1| |w 2| |w 1| |w 3| |r 2|", "lost write", "a lost write"),
        (Register, "p0 |w 1| |r nil|", "lost write", "nobody ever saw 1: a lost write"),
        (Register, "p0 |w 1!| |r 1|", "read of a failed write", "recorded as failed"),
        (Register, "p0 |w 1| |r 7|", "value from nowhere", "which nobody wrote"),
        (Register, "p0 |r 1| |w 1|", "read from the future", "before the write of 1"),
        (
            Register,
            "p0 |w 1| |c 1 2| |c 1 3|",
            "lost update",
            "both replaced 1, which can only go once",
        ),
        (Append, "p0 |app a| |r c|", "value from nowhere", "from nowhere"),
        (Append, "p0 |app a| |r aa|", "applied twice", "it was added only once"),
        (Append, "p0 |app a| |app b| |r a|", "lost write", "a lost write"),
        (Counter, "p0 |add 1| |r 2|", "applied twice", "something was applied twice"),
        (Counter, "p0 |add 1| |r 0|", "lost write", "a lost addition"),
        (Set, "p0 |add 1| |has 1 no|", "lost element", "nobody ever saw it"),
        (Set, "p0 |add 1| |rem 1| |has 1 yes|", "removed element came back", "came back"),
        (Set, "p0 |has 1 yes|", "value from nowhere", "which nobody added"),
        (Set, "p0 |add 1| |all 1 1|", "duplicate element", "shows 1 twice"),
        (Queue, "p0 |enq 1| |deq 1| |deq 1|", "applied twice", "given out twice"),
        (Queue, "p0 |enq 1| |deq nil|", "lost element", "nobody ever took it out"),
        (Queue, "p0 |enq 1| |enq 2| |deq 2| |deq 1|", "dequeue out of order", "out of order"),
        (Queue, "p0 |enq 1| |deq nil| |deq 1|", "empty while it was not", "was empty, but"),
        (Stack, "p0 |push 1| |push 2| |pop 1| |pop 2|", "pop out of order", "still lay on top"),
        (Stack, "p0 |push 1| |pop 1| |pop 1|", "applied twice", "given out twice"),
        (Stack, "p0 |pop 1|", "value from nowhere", "which nobody pushed"),
        (Lock, "p0 |acq a| |acq b|", "two owners of a lock", "two owners"),
        (Lock, "p0 |rel a|", "release of a free lock", "it was not its owner"),
        (MultiRegister, "p0 |txn w x 1 w y 1| |txn r x 1 r y nil|", "fractured read", "fractured"),
        (
            MultiRegister,
            "p0 |txn w x 1| |txn w x 2| |txn r x 1|",
            "lost write",
            "nobody ever saw 2",
        ),
    ]
};

fn found(model: ModelKind, drawing: &str) -> Counterexample {
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let options = Options::of(model);
    let (analysis, _) = check(&history, &options, &|| false);
    analysis.counterexample.unwrap_or_else(|| panic!("{model}: {drawing}: {:?}", analysis.reasons))
}

#[test]
fn every_anomaly_has_its_name_and_sentence() {
    let mut wrong = Vec::new();
    for (model, drawing, title, sentence) in TABLE {
        let found = found(model, drawing);
        if found.anomaly.title() != title || !found.sentence.contains(sentence) {
            wrong.push(format!(
                "{model}: {drawing}: {}: {}",
                found.anomaly.title(),
                found.sentence
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for entry in MODELS.iter().filter(|entry| !entry.kind.is_transactional()) {
        assert!(TABLE.iter().any(|row| row.0 == entry.kind), "{}", entry.name);
    }
}

#[test]
fn every_violation_is_explained() {
    for (model, drawing, ..) in TABLE {
        let found = found(model, drawing);
        let cycle = &found.cycle;
        assert!(!cycle.is_empty() || found.impasse.is_some(), "{model}: {drawing}: {found:#?}");
        for (place, edge) in cycle.iter().enumerate() {
            assert_eq!(edge.to, cycle[(place + 1) % cycle.len()].from, "no cycle: {found:#?}");
            let began_later = |[from, to]: [usize; 2]| {
                let returned = found.operations[from].completed_index;
                returned.is_some_and(|returned| returned < found.operations[to].index)
            };
            assert!(edge.given.iter().all(|&pair| began_later(pair)), "{found:#?}");
            if edge.relation == Relation::RealTime {
                assert!(began_later([edge.from, edge.to]), "{found:#?}");
            }
        }
        if let Some(impasse) = &found.impasse {
            assert!(!impasse.refused.is_empty(), "{model}: {drawing}");
        }
    }
}

#[test]
fn staleness_is_told_in_time_and_in_versions_by_searches_too() {
    // Of one value written twice, zones say nothing.
    let found = found(ModelKind::Register, "p0 |w 1| |w 1| |w 2| |w 3| |w 4| |r 1|");
    assert_eq!(found.stale_by_versions, Some(3), "{found:#?}");
    assert!(found.stale_for.is_some_and(|it| it.0 > 0), "{found:#?}");
}
