//! What sentences say of the operations of a counterexample.

use crate::event::{EventKind, Function};
use crate::value::Value;
use crate::verdict::CounterexampleOperation;
use crate::words::{brief, instant, key, shortened};

/// What is left to say of operations that have no order, where no anomaly has a name.
pub(crate) fn unexplained(object: &Value, operations: &[CounterexampleOperation]) -> String {
    // What never came back, or came back without an answer, has none that could not fit.
    let answered = operations.iter().filter(|witness| witness.outcome == EventKind::Ok);
    let last = answered.max_by_key(|witness| witness.completed_index);
    let what = last.map_or_else(String::new, |last| {
        format!(
            "; the last answer, {} by process {}{} at {}, fits none",
            answer(last),
            last.process,
            last.node.as_ref().map_or_else(String::new, |node| format!(" (via {node})")),
            instant(last.completed.unwrap_or(last.invoked), last.has_clock()),
        )
    });
    format!(
        "No order of these {} operations on {} explains what their clients saw{what}.",
        operations.len(),
        key(object),
    )
}

/// "process 3 (via n1)"
pub(crate) fn who(witness: &CounterexampleOperation) -> String {
    match &witness.node {
        Some(node) => format!("process {} (via {node})", witness.process),
        None => format!("process {}", witness.process),
    }
}

/// What was done, after "process 3": "read 17", "written 17", as it fits after "had" too.
pub(crate) fn did(witness: &CounterexampleOperation) -> String {
    let value = brief(&witness.value);
    match (witness.function, witness.swapped) {
        (Function::Read, _) => format!("read {value}"),
        (Function::Write, _) => format!("put {value}"),
        (Function::Cas, Some(false)) => match &witness.saw {
            Some(saw) => format!("found {} in a compare-and-set that did not match", brief(saw)),
            None => format!("found another value in a compare-and-set {value}"),
        },
        (Function::Cas, _) => format!("swapped {value}"),
        (Function::Contains, _) => {
            let element = witness.argument.as_ref().map_or_else(String::new, brief);
            let is_there = witness.value == Value::Bool(true);
            format!("found {element} {}", if is_there { "there" } else { "missing" })
        }
        (Function::Txn, _) => format!("made the transaction {value}"),
        (Function::Delete, _) => "made a delete".to_owned(),
        (function, _) => {
            let argument = brief(&witness.asked());
            format!("made {} {function} of {argument}", an(function))
        }
    }
}

fn an(function: Function) -> &'static str {
    if function.name().starts_with(['a', 'e']) { "an" } else { "a" }
}

fn answer(witness: &CounterexampleOperation) -> String {
    let CounterexampleOperation { function, .. } = witness;
    let value = brief(&witness.value);
    match (function, witness.swapped) {
        (Function::Read, _) => format!("a read of {value}"),
        (Function::Write, _) => format!("a write of {value}"),
        (Function::Cas, Some(false)) => format!("a compare-and-set {value} that did not match"),
        (Function::Cas, _) => format!("a compare-and-set {value}"),
        (Function::Delete, _) => "a delete".to_owned(),
        (Function::Txn, _) => format!("a transaction {value}"),
        // Names of what the program under test has; they are as `Debug` shows it.
        (Function::Apply, _) => {
            let [answer, asked] = [&witness.value, &witness.asked()].map(Value::to_string);
            format!("{} to {}", shortened(answer), shortened(asked))
        }
        (Function::Dequeue | Function::Pop, _) => {
            format!("{} {function} of {value}", an(*function))
        }
        (function, _) => {
            let argument = brief(&witness.asked());
            format!("{} {function} of {argument}", an(*function))
        }
    }
}
