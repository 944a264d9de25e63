//! Names operations as engineers say them: `write k1 = 17`, `read k1 = 16`, `cas k1 16 → 17`.

use partita_checker::{
    Action, CounterexampleOperation, EventKind, Function, History, Nanoseconds, Operation, Outcome,
    Response, Value,
};

use super::visible::{LABEL_CHARACTERS, brief};

/// A name that a history gives, such as a node's, as a label shows it.
pub fn name(name: &str) -> String {
    brief(name, LABEL_CHARACTERS)
}

/// When an operation's effect was certainly over; `None` if nobody knows.
pub fn returned(witness: &CounterexampleOperation) -> Option<Nanoseconds> {
    match witness.outcome {
        EventKind::Ok | EventKind::Fail => witness.completed,
        EventKind::Info | EventKind::Invoke => None,
    }
}

/// A value as a label shows it.
pub fn value(value: &Value) -> String {
    brief(&value.in_words().to_string(), LABEL_CHARACTERS)
}

/// A counterexample's operation on `key`.
pub fn witness(key: &Value, witness: &CounterexampleOperation) -> String {
    let key = witness.key.as_ref().unwrap_or(key);
    let mut label = phrase(witness.function, key, Some(&witness.value));
    if witness.swapped == Some(false) {
        label.push_str(&mismatch(witness.saw.as_ref()));
    }
    match witness.outcome {
        EventKind::Info => label.push_str(" (outcome unknown)"),
        EventKind::Fail => label.push_str(" (failed)"),
        EventKind::Ok | EventKind::Invoke => {}
    }
    if let Some(level) = witness.level {
        label.push_str(&format!(" ({level})"));
    }
    label
}

/// An operation of the history, with its result where it has one.
pub fn operation(history: &History, operation: &Operation) -> String {
    let key = &history.keys()[operation.key.0 as usize];
    let response = match operation.outcome {
        Outcome::Ok(_, response) => Some(response),
        Outcome::Fail(_) | Outcome::Info(_) => None,
    };
    let seen = match response {
        Some(Response::Value(id)) => Some(history.values().get(id)),
        _ => None,
    };
    let mut label = match operation.action {
        Action::Read => phrase(Function::Read, key, seen),
        Action::Write(id) => phrase(Function::Write, key, Some(history.values().get(id))),
        Action::Delete => phrase(Function::Delete, key, None),
        Action::Cas { expected, new } => {
            let [expected, new] = [expected, new].map(|id| history.values().get(id).clone());
            phrase(Function::Cas, key, Some(&Value::list(vec![expected, new])))
        }
        Action::Other(function, argument) => {
            phrase(function, key, Some(seen.unwrap_or_else(|| history.values().get(argument))))
        }
    };
    if let Some(Response::Mismatch(saw)) = response {
        label.push_str(&mismatch(saw.map(|id| history.values().get(id))));
    }
    match operation.outcome {
        Outcome::Ok(..) => {}
        Outcome::Fail(_) => label.push_str(" (failed)"),
        Outcome::Info(_) => label.push_str(" (outcome unknown)"),
    }
    label
}

/// The key of an operation as its name says it; empty where all work on one object.
pub(crate) fn key(history: &History, operation: &Operation) -> String {
    let key = &history.keys()[operation.key.0 as usize];
    if key.is_null() { String::new() } else { value(key) }
}

/// What follows the key in the name of an operation: ` = 17 (outcome unknown)`.
pub(crate) fn detail(history: &History, operation: &Operation) -> String {
    let key = &history.keys()[operation.key.0 as usize];
    let subject = subject(operation.action.function(), key);
    let label = self::operation(history, operation);
    label.strip_prefix(&subject).map_or_else(String::new, str::to_owned)
}

fn subject(function: Function, key: &Value) -> String {
    match key {
        Value::Null => function.to_string(),
        key => format!("{function} {}", value(key)),
    }
}

fn phrase(function: Function, key: &Value, argument: Option<&Value>) -> String {
    let subject = subject(function, key);
    match (function, argument) {
        (_, None) | (Function::Delete, _) => subject,
        (Function::Cas, Some(Value::List(pair))) if pair.len() == 2 => {
            format!("{subject} {} → {}", value(&pair[0]), value(&pair[1]))
        }
        (_, Some(argument)) if key.is_null() => format!("{subject} {}", value(argument)),
        (_, Some(argument)) => format!("{subject} = {}", value(argument)),
    }
}

fn mismatch(saw: Option<&Value>) -> String {
    match saw {
        Some(saw) => format!(", no match: saw {}", value(saw)),
        None => ", no match".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use partita_checker::ProcessId;

    fn witness_of(function: Function, value: Value) -> CounterexampleOperation {
        CounterexampleOperation {
            index: 0,
            process: ProcessId(0),
            node: None,
            function,
            value,
            argument: None,
            swapped: None,
            saw: None,
            invoked: Nanoseconds(0),
            completed: None,
            completed_index: None,
            outcome: EventKind::Ok,
            context: false,
            key: None,
            level: None,
            revision: None,
        }
    }

    #[test]
    fn operations_read_as_engineers_say_them() {
        let pair = Value::list(vec![Value::from(16), Value::from(17)]);
        let cases = [
            (Function::Write, Value::from(17), "write k1 = 17"),
            (Function::Read, Value::Null, "read k1 = nothing"),
            (Function::Cas, pair, "cas k1 16 → 17"),
            (Function::Delete, Value::Null, "delete k1"),
        ];
        for (function, value, text) in cases {
            assert_eq!(witness(&Value::from("k1"), &witness_of(function, value)), text);
        }
    }

    #[test]
    fn a_compare_and_set_that_did_not_match_says_what_it_saw() {
        let pair = Value::list(vec![Value::from(16), Value::from(17)]);
        let cas = CounterexampleOperation {
            swapped: Some(false),
            saw: Some(Value::from(4)),
            ..witness_of(Function::Cas, pair)
        };
        assert_eq!(witness(&Value::Null, &cas), "cas 16 → 17, no match: saw 4");
    }

    #[test]
    fn an_unknown_outcome_is_said_in_words() {
        let write = CounterexampleOperation {
            outcome: EventKind::Info,
            ..witness_of(Function::Write, Value::from(3))
        };
        assert_eq!(witness(&Value::Null, &write), "write 3 (outcome unknown)");
    }
}
