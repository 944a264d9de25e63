//! Puts the effects of a fault into words.

use partita_nemesis::{Effect, FaultRecord};

use super::number;
use super::visible::{TEXT_CHARACTERS, visible};

/// What a fault measurably did: `frames dropped: 1,204; time down: 40 ms`.
pub(crate) fn effects(fault: &FaultRecord) -> String {
    let effects: Vec<_> = fault.effects.iter().map(effect).collect();
    visible(&effects.join("; "), TEXT_CHARACTERS)
}

/// One thing that a fault did: `time down: 40 ms`. What names its unit does not repeat it: `frames dropped: 115`.
pub fn effect(effect: &Effect) -> String {
    let Effect { what, amount, unit } = effect;
    let number = number::amount(*amount);
    if what.contains(unit.as_str()) {
        return format!("{what}: {number}");
    }
    let unit = if *amount == 1.0 { singular(unit) } else { unit.clone() };
    format!("{what}: {number} {unit}")
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
    fn an_effect_says_its_unit_once() {
        let words = |what: &str, amount, unit: &str| {
            effect(&Effect { what: what.to_owned(), amount, unit: unit.to_owned() })
        };
        assert_eq!(words("frames dropped", 1_204.0, "frames"), "frames dropped: 1,204");
        assert_eq!(words("time stopped", 1_516.4, "ms"), "time stopped: 1,516 ms");
        assert_eq!(words("killed by signal 9", 1.0, "processes"), "killed by signal 9: 1 process");
    }

    #[test]
    fn one_of_a_unit_is_no_plural() {
        let units = ["processes", "entries", "bytes", "frames", "ms", "s", "%"];
        let wanted = ["process", "entry", "byte", "frame", "ms", "s", "%"];
        assert_eq!(units.map(singular), wanted.map(str::to_owned));
    }
}
