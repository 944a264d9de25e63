//! What the keys of transactions hold.

use crate::model::ModelKind;

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
