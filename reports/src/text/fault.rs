//! Puts the effects of a fault into words.

use partita_nemesis::FaultRecord;

use super::number::amount;
use super::visible::{TEXT_CHARACTERS, visible};

/// What a fault measurably did: `frames dropped: 1,204 frames`.
pub(crate) fn effects(fault: &FaultRecord) -> String {
    let effects: Vec<_> = fault
        .effects
        .iter()
        .map(|effect| {
            let unit = match effect.amount {
                1.0 => singular(&effect.unit),
                _ => effect.unit.clone(),
            };
            format!("{}: {} {unit}", effect.what, amount(effect.amount))
        })
        .collect();
    visible(&effects.join("; "), TEXT_CHARACTERS)
}

/// `process` of `processes`; units without a plural, such as `ms`, stay.
fn singular(unit: &str) -> String {
    if let Some(stem) = unit.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let stem = unit.strip_suffix("es").filter(|stem| stem.ends_with("ss"));
    let stem = stem.or_else(|| unit.strip_suffix('s').filter(|stem| stem.len() > 1));
    stem.unwrap_or(unit).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_unit_is_no_plural() {
        let units = ["processes", "entries", "bytes", "frames", "ms", "s", "%"];
        let wanted = ["process", "entry", "byte", "frame", "ms", "s", "%"];
        assert_eq!(units.map(singular), wanted.map(str::to_owned));
    }
}
