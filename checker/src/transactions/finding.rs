//! What can be wrong without a cycle.

use crate::isolation::IsolationLevel;
use crate::value::Value;
use crate::verdict::Anomaly;

/// Something that no store of the weakest level may do, or no store from some level on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A read shows what nobody wrote.
    Unwritten { reader: u32, key: u32, value: Value },
    /// A read shows what a transaction wrote that failed.
    Aborted { reader: u32, version: u32 },
    /// A read shows what its writer replaced before it ended.
    Intermediate { reader: u32, version: u32 },
    /// A read shows an element twice.
    Duplicate { reader: u32, key: u32, value: Value },
    /// Two reads of a list, neither of which begins with the other.
    Incompatible { readers: [u32; 2], key: u32 },
    /// A transaction does not see what it wrote itself, or sees it before it wrote it; the
    /// micro-operation that shows it.
    Internal { transaction: u32, micro: u32 },
    /// What a transaction wrote to a key first stands after what it wrote there later.
    Reordered { transaction: u32, versions: [u32; 2] },
    /// A transaction saw two versions of a key that it had not written; the two micro-operations.
    NonRepeatable { transaction: u32, micro: [u32; 2] },
}

impl Finding {
    /// The name of it.
    pub(crate) const fn anomaly(&self) -> Anomaly {
        match self {
            Self::Unwritten { .. } => Anomaly::ValueFromNowhere,
            Self::Aborted { .. } => Anomaly::G1a,
            Self::Intermediate { .. } => Anomaly::G1b,
            Self::Duplicate { .. } => Anomaly::DuplicateElement,
            Self::Incompatible { .. } => Anomaly::IncompatibleOrder,
            Self::Internal { .. } | Self::Reordered { .. } => Anomaly::Internal,
            Self::NonRepeatable { .. } => Anomaly::NonRepeatableRead,
        }
    }

    /// The weakest level that forbids it.
    pub(crate) const fn breaks(&self) -> IsolationLevel {
        match self {
            Self::NonRepeatable { .. } => IsolationLevel::ReadAtomic,
            _ => IsolationLevel::ReadCommitted,
        }
    }
}
