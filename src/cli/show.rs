//! Verdicts in words, on standard output.

use partita_checker::{
    Analysis, Counterexample, CounterexampleOperation, Isolation, IsolationLevel, Level, Relation,
    Value, Verdict,
};
use partita_nemesis::FaultRecord;
use partita_reports::Groups;
use partita_reports::text::operation;
use partita_reports::text::visible::{TEXT_CHARACTERS, visible};

use crate::outln;

/// How many groups of violations are shown with their operations; the others are counted.
const MOST_GROUPS: usize = 6;

/// Prints what was concluded of the history called `name`, which has so many keys and was to be of
/// this level, `faults` being what was done meanwhile.
pub fn analysis(
    name: &str,
    analysis: &Analysis,
    (level, keys): (Level, usize),
    faults: &[FaultRecord],
) {
    let operations: usize = analysis.keys.iter().map(|key| key.operations).sum();
    let extent = format!("{} on {}", counted(operations, "operation"), counted(keys, "key"));
    match analysis.verdict {
        Verdict::Valid => {
            let promise = analysis
                .isolation
                .as_ref()
                .map_or_else(|| level.to_string(), |it| it.asked.name().to_owned());
            outln!("{name}: valid: {extent}, {promise}");
        }
        Verdict::Unknown => {
            outln!("{name}: unknown: {extent}");
            for reason in &analysis.reasons {
                outln!("  {}", visible(reason, TEXT_CHARACTERS));
            }
        }
        Verdict::Violation => {
            let title = analysis.counterexample.as_ref().map_or("", |found| found.anomaly.title());
            outln!("{name}: violation: {title} ({extent})");
        }
    }
    violations(analysis, faults);
    if let Some(found) = &analysis.isolation {
        isolation(found);
    }
}

/// Prints which levels transactions keep.
fn isolation(found: &Isolation) {
    let names = |levels: &[IsolationLevel]| {
        levels.iter().map(|level| level.name()).collect::<Vec<_>>().join(", ")
    };
    let rows =
        [("holds", &found.holds), ("violated", &found.violated), ("not decided", &found.undecided)];
    for (what, levels) in rows.iter().filter(|(_, levels)| !levels.is_empty()) {
        outln!("  {what}: {}", names(levels));
    }
}

/// Prints how many keys hold a violation, and one of each group.
pub fn violations(analysis: &Analysis, faults: &[FaultRecord]) {
    let groups = Groups::of(analysis, faults);
    if let Some(groups) = groups.as_ref().filter(|_| analysis.keys.len() > 1) {
        outln!("  {}", groups.in_words());
    }
    if let Some(found) = &analysis.counterexample {
        counterexample(found);
    }
    let Some(groups) = groups else { return };
    let others: Vec<_> = groups.others(analysis).collect();
    for (group, found) in others.iter().take(MOST_GROUPS) {
        outln!("  {}:", group.in_words());
        counterexample(found);
    }
    if others.len() > MOST_GROUPS {
        outln!("  and {} more", counted(others.len() - MOST_GROUPS, "group"));
    }
}

/// `1 key`, `2,000 keys`.
pub fn counted(number: usize, thing: &str) -> String {
    partita_reports::text::number::counted(number as u64, thing)
}

/// Prints the operations that prove a violation.
fn counterexample(found: &Counterexample) {
    outln!("  {}", visible(&found.sentence, TEXT_CHARACTERS));
    if let Some(staleness) = found.staleness() {
        outln!("  stale by {staleness}");
    }
    if let Some(hint) = &found.hint {
        outln!("  {}", visible(hint, TEXT_CHARACTERS));
    }
    // A history without a clock counts events instead; those are in the indexes already.
    let is_timed = found.operations.iter().any(CounterexampleOperation::has_clock);
    for witness in &found.operations {
        outln!("    {}", line(&found.key, witness, is_timed));
    }
}

/// Prints the cycle that makes an order impossible.
pub fn cycle(found: &Counterexample) {
    let index = |&place: &usize| format!("#{}", found.operations[place].index);
    if let Some(impasse) = &found.impasse {
        let list = |places: &[usize]| places.iter().map(index).collect::<Vec<_>>().join(", ");
        let refused = list(&impasse.refused);
        if impasse.order.is_empty() {
            outln!("  whatever the times, the answers are impossible: {refused} cannot come first");
        } else {
            outln!(
                "  whatever the times, the answers do not fit together: of all orders, none gets"
            );
            outln!("  further than {}; none of {refused} can follow", list(&impasse.order));
        }
        return;
    }
    if found.cycle.is_empty() {
        outln!("  every order of these operations was tried; no shorter reason is known");
        return;
    }
    outln!("  no order exists, because each step demands that one came before the other:");
    for edge in &found.cycle {
        let [from, to] = [edge.from, edge.to].map(|place| found.operations[place].index);
        let why = match edge.relation {
            Relation::RealTime => "it came back before the other was invoked",
            Relation::ReadsFrom => "the other observed what it wrote",
            Relation::OverwrittenBefore => "it observed what the other overwrote",
            Relation::VersionOrder => "it wrote the version before the other's",
            Relation::Session => "one process did it before the other",
            Relation::Inferred => "all orders that explain the answers have it so",
        };
        outln!("    #{from} before #{to}: {why}");
    }
}

/// Prints the verdict on every key.
pub fn keys(analysis: &Analysis) {
    for key in &analysis.keys {
        let operations = counted(key.operations, "operation");
        let reason = key
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", visible(reason, TEXT_CHARACTERS)));
        let name = match &key.key {
            Value::Null => "the object".to_owned(),
            key => operation::value(key),
        };
        outln!("  {name}: {} ({operations}, {}){reason}", key.verdict, key.engine);
    }
}

/// One operation on one line: `#42 process 3 via n1: read k1 = 17, from 1.2042 s to 1.2070 s`.
fn line(key: &Value, witness: &CounterexampleOperation, is_timed: bool) -> String {
    let node = witness.node.as_ref();
    let node = node.map_or_else(String::new, |node| format!(" via {}", operation::name(node)));
    let what = operation::witness(key, witness);
    let time = match operation::returned(witness) {
        _ if !is_timed => String::new(),
        Some(returned) => format!(
            ", from {:.4} s to {:.4} s",
            witness.invoked.as_seconds(),
            returned.as_seconds()
        ),
        None => format!(", from {:.4} s", witness.invoked.as_seconds()),
    };
    let context = if witness.context { ", for context" } else { "" };
    format!("#{} process {}{node}: {what}{time}{context}", witness.index, witness.process)
}
