//! What single words and values mean: functions, types, errors, micro-operations.

use crate::event::{Event, EventKind, Function};
use crate::formats::edn::syntax::quote;
use crate::formats::error::ReadProblem;
use crate::formats::options::names_mismatch;
use crate::value::Value;

/// The function that clients call so.
pub(super) fn known_function(name: &str) -> Option<Function> {
    match name {
        "get" => Some(Function::Read),
        "put" => Some(Function::Write),
        "generate" => Some(Function::Next),
        name => Function::from_name(name),
    }
}

/// A mismatch that says so is an answer, although Jepsen has no type for it but `:fail`.
pub(super) fn settle(event: &mut Event) {
    if event.function == Function::Cas && event.swapped == Some(false) {
        event.kind = EventKind::Ok;
    }
    event.value = Value::Null;
}

/// The name of the error of an operation: what stands there as such, or in the place of the value of
/// a failed compare-and-set, which was invoked with `argument`.
pub(super) fn error_of(
    error: Option<&Value>,
    value: &Value,
    failed_cas: bool,
    argument: Option<&Value>,
) -> Option<String> {
    let named = |error: &&Value| !matches!(error, Value::Null | Value::Bool(false));
    let error = match error.filter(named) {
        Some(error) => error,
        None if failed_cas && argument != Some(value) => match value {
            Value::Text(_) => value,
            // `[key :name]` of Jepsen's independent, or a name with another or with details.
            Value::List(parts) => match &**parts {
                [_, Value::Text(text)] if text.starts_with(':') => value,
                _ if said_mismatch(value).is_some() => value,
                _ => return None,
            },
            _ => return None,
        },
        None => return None,
    };
    if failed_cas && let Some(name) = said_mismatch(error) {
        return text(name);
    }
    // `[:conn-refused "n1"]` is a name with details.
    let name = match error {
        Value::List(parts) if std::ptr::eq(error, value) => parts.last().and_then(text),
        Value::List(parts) => parts.first().and_then(text).or_else(|| text(error)),
        error => text(error),
    };
    name.filter(|name| !name.trim().is_empty())
}

/// The part of an error that says that another value was there: the error itself, the first name of
/// a list, or one beside it or under a keyword in a map, as in `[:txn-fail :mismatch]` and
/// `{:type :mismatch}`.
fn said_mismatch(error: &Value) -> Option<&Value> {
    let says = |part: &&Value| matches!(part, Value::Text(text) if names_mismatch(text));
    let Value::List(parts) = error else { return Some(error).filter(says) };
    let is_field = |part: &Value| match part {
        Value::List(pair) => matches!(&**pair, [name, _] if keyword(name).is_some()),
        _ => false,
    };
    if !parts.is_empty() && parts.iter().all(is_field) {
        let mut values = parts.iter().filter_map(|part| match part {
            Value::List(pair) => pair.get(1),
            _ => None,
        });
        return values.find_map(said_mismatch);
    }
    // Words that follow a name of something else may be about anything; names are keywords.
    let first = parts.first().filter(says);
    first.or_else(|| {
        let mut names = parts.iter().filter(|part| keyword(part).is_some());
        names.find(says)
    })
}

/// Whether the value is a list of micro-operations, as those of a transaction.
pub(super) fn are_micro_operations(value: &Value) -> bool {
    const NAMES: [&str; 5] = ["r", "w", "append", "read", "write"];
    let is_one = |item: &Value| match item {
        Value::List(parts) => {
            (2..=3).contains(&parts.len())
                && parts.first().and_then(keyword).is_some_and(|name| NAMES.contains(&name))
        }
        _ => false,
    };
    matches!(value, Value::List(items) if !items.is_empty() && items.iter().all(is_one))
}

pub(super) fn kind(kind: Option<&Value>) -> Result<EventKind, ReadProblem> {
    match kind.and_then(keyword) {
        Some("invoke") => Ok(EventKind::Invoke),
        Some("ok") => Ok(EventKind::Ok),
        Some("fail") => Ok(EventKind::Fail),
        Some("info") => Ok(EventKind::Info),
        _ => {
            let expected = ":type to be :invoke, :ok, :fail or :info";
            Err(ReadProblem::unexpected(expected, describe(kind)))
        }
    }
}

/// The micro-operations of a transaction, each with the name of its function as a plain text.
pub(super) fn transaction(value: &Value) -> Value {
    let Value::List(operations) = value else { return value.clone() };
    let plain = |operation: &Value| match operation {
        Value::List(parts) => {
            let mut parts = parts.to_vec();
            if let Some(name) = parts.first().and_then(keyword) {
                parts[0] = Value::text(name);
            }
            Value::list(parts)
        }
        other => other.clone(),
    };
    Value::list(operations.iter().map(plain).collect::<Vec<Value>>())
}

pub(super) fn whole(name: &str, value: &Value) -> Result<u64, ReadProblem> {
    let number = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let expected = format!("{name} to be an integer from 0");
        ReadProblem::unexpected(expected, describe(Some(value)))
    })
}

pub(super) fn truth(name: &str, value: Option<&Value>) -> Result<Option<bool>, ReadProblem> {
    match value {
        None => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        other => Err(ReadProblem::unexpected(format!("{name} to be a boolean"), describe(other))),
    }
}

/// The name of a keyword, without its colon.
pub(super) fn keyword(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => text.strip_prefix(':'),
        _ => None,
    }
}

/// The value for people; nothing for nil.
pub(super) fn text(value: &Value) -> Option<String> {
    // A text as it is: printed, an empty one has quotes.
    let plain = || match value {
        Value::Text(text) => text.to_string(),
        other => other.in_words().to_string(),
    };
    (!value.is_null()).then(|| keyword(value).map_or_else(plain, str::to_owned))
}

/// The value as an error repeats it.
pub(super) fn describe(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), quote_value)
}

/// The value as an error repeats it: a keyword as it is, a text in quotes unless it is a plain word.
pub(in crate::formats) fn quote_value(value: &Value) -> String {
    quote(&value.in_words().to_string())
}
