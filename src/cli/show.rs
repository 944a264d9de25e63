//! Verdicts in words, on standard output.

use crate::say;
use indicatif::HumanCount;
use partita_checker::{
    Analysis, Counterexample, EventKind, Function, Relation, Value, Verdict, Witness,
};

/// Prints what was concluded of the history called `name`.
pub fn analysis(name: &str, analysis: &Analysis) {
    let operations: usize = analysis.keys.iter().map(|key| key.operations).sum();
    let extent =
        format!("{} on {}", counted(operations, "operation"), counted(analysis.keys.len(), "key"));
    match analysis.verdict {
        Verdict::Valid => say!("{name}: valid: {extent}, linearizable"),
        Verdict::Unknown => {
            say!("{name}: unknown: {extent}");
            for reason in &analysis.reasons {
                say!("  {reason}");
            }
        }
        Verdict::Violation => {
            let title = analysis.counterexample.as_ref().map_or("", |found| found.anomaly.title());
            say!("{name}: violation: {title} ({extent})");
        }
    }
    if let Some(found) = &analysis.counterexample {
        counterexample(found);
    }
}

/// `1 key`, `2,000 keys`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", HumanCount(number as u64))
}

/// Prints the operations that prove a violation.
pub fn counterexample(found: &Counterexample) {
    say!("  {}", printable(&found.sentence));
    if let Some(staleness) = found.staleness() {
        say!("  stale by {staleness}");
    }
    // A history without a clock counts events instead; those are in the indexes already.
    let is_timed = found.operations.iter().any(Witness::has_clock);
    for witness in &found.operations {
        say!("    {}", printable(&line(&found.key, witness, is_timed)));
    }
}

/// The text with control characters written out: a broken store may answer anything, and a terminal
/// would obey it.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
        shown
    })
}

/// Prints the cycle that makes an order impossible.
pub fn cycle(found: &Counterexample) {
    let index = |&place: &usize| format!("#{}", found.operations[place].index);
    if let Some(impasse) = &found.impasse {
        let list = |places: &[usize]| places.iter().map(index).collect::<Vec<_>>().join(", ");
        say!("  whatever the times, the answers do not fit together: of all orders, none gets");
        say!(
            "  further than {}; none of {} can follow",
            list(&impasse.order),
            list(&impasse.refused)
        );
        return;
    }
    if found.cycle.is_empty() {
        say!("  every order of these operations was tried; no shorter reason is known");
        return;
    }
    say!("  no order exists, because each step demands that one came before the other:");
    for edge in &found.cycle {
        let [from, to] = [edge.from, edge.to].map(|place| found.operations[place].index);
        let why = match edge.relation {
            Relation::RealTime => "it came back before the other was invoked",
            Relation::ReadsFrom => "the other observed what it wrote",
            Relation::OverwrittenBefore => "it observed what the other overwrote",
            Relation::Inferred => "all orders that explain the answers have it so",
        };
        say!("    #{from} before #{to}: {why}");
    }
}

/// Prints the verdict on every key.
pub fn keys(analysis: &Analysis) {
    for key in &analysis.keys {
        let operations = counted(key.operations, "operation");
        let reason = key.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let name = if key.key.is_null() { "the object".to_owned() } else { key.key.to_string() };
        say!("  {name}: {} ({operations}, {}){reason}", key.verdict, key.engine);
    }
}

/// One operation on one line: `#42 process 3 via n1: read k1 → 17, from 1.2042 s to 1.2070 s`.
fn line(key: &Value, witness: &Witness, is_timed: bool) -> String {
    let node = witness.node.as_ref().map_or_else(String::new, |node| format!(" via {node}"));
    let object = if key.is_null() { String::new() } else { format!(" {key}") };
    let what = match (witness.function, &witness.value) {
        (Function::Read, value) => format!("read{object} → {value}"),
        (Function::Write, value) => format!("write{object} = {value}"),
        (Function::Cas, value) => {
            let outcome = match (witness.swapped, &witness.saw) {
                (Some(false), Some(saw)) => format!(", no match: saw {saw}"),
                (Some(false), None) => ", no match".to_owned(),
                (Some(true), _) => ", swapped".to_owned(),
                (None, _) => String::new(),
            };
            format!("compare-and-set{object} {value}{outcome}")
        }
        (function, value) => format!("{function}{object} {value}"),
    };
    let is_open = witness.outcome == EventKind::Info || witness.completed.is_none();
    let end = if is_open { ", outcome unknown" } else { "" };
    let time = match witness.completed {
        _ if !is_timed => String::new(),
        Some(completed) if !is_open => format!(
            ", from {:.4} s to {:.4} s",
            witness.invoked.as_seconds(),
            completed.as_seconds()
        ),
        _ => format!(", from {:.4} s", witness.invoked.as_seconds()),
    };
    format!("#{} process {}{node}: {what}{time}{end}", witness.index, witness.process)
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_store_answered_does_not_move_the_cursor() {
        assert_eq!(printable("read k1 → 17\0\u{1b}[2J"), r"read k1 → 17\u{0}\u{1b}[2J");
    }
}
