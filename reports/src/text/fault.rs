//! Puts the effects of a fault into words.

use partita_nemesis::FaultRecord;

use super::number::amount;
use super::visible::{TEXT_CHARACTERS, visible};

/// What a fault measurably did: `frames dropped: 1,204 frames`.
pub(crate) fn effects(fault: &FaultRecord) -> String {
    let effects: Vec<_> = fault
        .effects
        .iter()
        .map(|effect| format!("{}: {} {}", effect.what, amount(effect.amount), effect.unit))
        .collect();
    visible(&effects.join("; "), TEXT_CHARACTERS)
}
