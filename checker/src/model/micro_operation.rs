//! The steps of transactions as they stand in a history, and the object that they tell of.

use super::ModelKind;
use crate::event::Function;
use crate::history::{Action, History};
use crate::value::{Value, ValueId};

/// The name of a micro-operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Read,
    Write,
    Append,
    Swap,
}

/// A micro-operation as it stands in a history: what it does, to what, and its argument or answer.
pub(crate) type Parts<'h> = (Name, &'h Value, &'h Value);

/// The parts of a value, if it is a micro-operation.
pub(crate) fn parts(item: &Value) -> Option<Parts<'_>> {
    const NOTHING: &Value = &Value::Null;
    let Value::List(parts) = item else { return None };
    let (name, key, value) = match &**parts {
        [name, key, value] => (name, key, value),
        [name, key] => (name, key, NOTHING),
        _ => return None,
    };
    let Value::Text(name) = name else { return None };
    let name = match &**name {
        "r" | "read" | "get" => Name::Read,
        "w" | "write" | "put" => Name::Write,
        "append" => Name::Append,
        "cas" => Name::Swap,
        _ => return None,
    };
    Some((name, key, value))
}

/// Whether a value is a list of micro-operations, and which of them appear: appends, writes.
fn appearances(value: &Value) -> Option<(bool, bool)> {
    let Value::List(items) = value else { return None };
    let (mut appends, mut writes) = (false, false);
    for item in items.iter() {
        match parts(item)?.0 {
            Name::Append => appends = true,
            Name::Write | Name::Swap => writes = true,
            Name::Read => {}
        }
    }
    Some((appends, writes))
}

/// The model of a history in which there are transactions: lists if something is appended, registers
/// otherwise.
pub(crate) fn told_by(history: &History) -> Option<ModelKind> {
    let (mut appends, mut writes, mut transactions) = (false, false, false);
    for operation in &history.operations {
        match operation.action {
            Action::Other(Function::Txn, asked) => {
                let (appended, written) = appearances(history.values.get(asked))?;
                appends |= appended;
                writes |= written;
                transactions |= asked != ValueId::NULL;
            }
            Action::Other(Function::Append, _) => appends = true,
            Action::Write(_) | Action::Cas { .. } => writes = true,
            Action::Read => {}
            _ => return None,
        }
    }
    match (transactions, appends, writes) {
        (false, ..) | (_, true, true) => None,
        (_, true, false) => Some(ModelKind::ListAppend),
        (_, false, _) => Some(ModelKind::RwRegister),
    }
}
