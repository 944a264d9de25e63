//! Verdicts in words, on standard output.

use indicatif::HumanCount;
use partita_checker::{Analysis, Counterexample, EventKind, Function, Verdict, Witness};

/// Prints what was concluded of the history called `name`.
pub fn analysis(name: &str, analysis: &Analysis) {
    let operations: usize = analysis.keys.iter().map(|key| key.operations).sum();
    let extent =
        format!("{} on {}", counted(operations, "operation"), counted(analysis.keys.len(), "key"));
    match analysis.verdict {
        Verdict::Valid => println!("{name}: valid: {extent}, linearizable"),
        Verdict::Unknown => {
            println!("{name}: unknown: {extent}");
            for reason in &analysis.reasons {
                println!("  {reason}");
            }
        }
        Verdict::Violation => {
            let title = analysis.counterexample.as_ref().map_or("", |found| found.anomaly.title());
            println!("{name}: violation: {title} ({extent})");
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
    println!("  {}", found.sentence);
    for witness in &found.operations {
        println!("    {}", line(&found.key.to_string(), witness));
    }
}

/// One operation on one line: `#42 process 3 via n1: read k1 → 17, from 1.204 s to 1.207 s`.
fn line(key: &str, witness: &Witness) -> String {
    let node = witness.node.as_ref().map_or_else(String::new, |node| format!(" via {node}"));
    let what = match (witness.function, &witness.value) {
        (Function::Read, value) => format!("read {key} → {value}"),
        (Function::Write, value) => format!("write {key} = {value}"),
        (Function::Cas, value) => {
            let outcome = match (witness.swapped, &witness.saw) {
                (Some(false), Some(saw)) => format!(", no match: saw {saw}"),
                (Some(false), None) => ", no match".to_owned(),
                (Some(true), _) => ", swapped".to_owned(),
                (None, _) => String::new(),
            };
            format!("compare-and-set {key} {value}{outcome}")
        }
        (function, value) => format!("{function} {key} {value}"),
    };
    let end = match (witness.outcome, witness.completed) {
        (EventKind::Info, _) | (_, None) => "outcome unknown".to_owned(),
        (_, Some(completed)) => format!("to {:.4} s", completed.as_seconds()),
    };
    format!(
        "#{} process {}{node}: {what}, from {:.4} s {end}",
        witness.index,
        witness.process,
        witness.invoked.as_seconds()
    )
}
