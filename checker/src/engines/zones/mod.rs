//! Decides whether a register's history is linearizable where every value was written only once.
//!
//! After Gibbons & Korach, *Testing Shared Memories* (SIAM J. Comput. 26(4), 1997, §4), extended to
//! compare-and-set. Where values are distinct, a read names its writer. The writer of a value and
//! all its observers form a *block*; compare-and-sets tie blocks to *chains*, in
//! which no foreign write has a place. A chain whose first return comes before its last invocation
//! holds the register all that time (its zone is *forward*); any other needs one point only (its
//! zone is *backward*). The history is linearizable exactly if every chain is consistent in itself,
//! no two forward zones overlap and no backward zone lies inside a forward one.
//!
//! Costs O(n log n) for n operations, of which only the sort of the zones is more than linear. An
//! order comes with a valid verdict, a handful of operations with a violation.
//!
//! Leaves alone, as [`Decision::Inexact`], what it cannot decide exactly: a value written twice or
//! equal to the initial one, a delete, a compare-and-set that did not match and does not say what
//! it saw, and functions that a register does not have.

mod blocks;
mod chains;
mod evidence;
mod explanation;

pub(crate) use super::slots::Slots;
pub(crate) use evidence::{Evidence, Member};
pub(crate) use explanation::explain;

use super::{Cancellation, Span};
use crate::model::Register;
use blocks::{Blocks, NoOrder};

/// What the engine found.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The engine does not apply; the text says what stands in the way.
    Inexact(&'static str),
    /// Linearizable in this order of places in the spans.
    Valid(Vec<u32>),
    /// Not linearizable.
    Violation(Box<Evidence>),
    /// The time was up.
    Stopped,
}

impl From<NoOrder> for Decision {
    fn from(refusal: NoOrder) -> Self {
        match refusal {
            NoOrder::Inexact(obstacle) => Self::Inexact(obstacle),
            NoOrder::Violation(evidence) => Self::Violation(evidence),
            NoOrder::Stopped => Self::Stopped,
        }
    }
}

/// Decides on the spans of one key.
///
/// `slots` is scratch memory for histories with at most as many values as it was made for. Ends
/// when `cancellation` does.
///
/// # Panics
///
/// If a value's number is beyond what `slots` was made for, or with 2^32 - 1 spans or more.
pub(crate) fn decide(
    spans: &[Span],
    register: Register,
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Decision {
    assert!(spans.len() < blocks::NONE as usize, "at most 2^32 - 2 operations on a key");
    order(spans, register, slots, cancellation).map_or_else(Decision::from, Decision::Valid)
}

fn order(
    spans: &[Span],
    register: Register,
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<u32>, NoOrder> {
    let blocks = Blocks::build(spans, register, slots, cancellation)?;
    let zones = chains::zones(&blocks)?;
    Ok(chains::layout(&blocks, &zones)?)
}
