//! What the keys of transactions hold.

use crate::history::{Action, History};
use crate::model::ModelKind;
use crate::value::ValueId;

use super::read::appearances;
use crate::event::Function;

/// What the keys of transactions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionKind {
    /// Lists that are appended to and read whole.
    ListAppend,
    /// Registers that are written and read.
    RwRegister,
}

impl TransactionKind {
    /// The kind of transactions that a model is about, if it is about any.
    pub(crate) const fn of(model: ModelKind) -> Option<Self> {
        match model {
            ModelKind::ListAppend => Some(Self::ListAppend),
            ModelKind::RwRegister => Some(Self::RwRegister),
            _ => None,
        }
    }
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
