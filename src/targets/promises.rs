//! What a store promises to survive, as its description says.

use partita_nemesis::{FaultKind, FaultSet};
use serde::Deserialize;

/// The table `[promises]`. Without it a store promises to survive every fault that does not destroy what
/// it had synced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Promises {
    /// The faults that it survives.
    #[serde(default)]
    survives: Option<Faults>,
    /// Those of them that it does not survive.
    #[serde(default)]
    except: Option<Faults>,
    /// Why it does not promise more: a sentence for readers.
    because: Option<String>,
}

/// Faults, in the words of `--nemesis`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Faults(FaultSet);

impl TryFrom<Vec<String>> for Faults {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let words = if words.is_empty() { "none".to_owned() } else { words.join(",") };
        let set = words.parse::<FaultSet>().map_err(|error| error.to_string())?;
        Ok(Self(set))
    }
}

impl Promises {
    /// Whether the store promises to survive `fault`. A fault of its description's own says for itself whether it is
    /// meant to be survived.
    pub fn hold(&self, fault: FaultKind) -> bool {
        if fault.is_described() {
            return true;
        }
        let has = |faults: &Faults| faults.0.contains(fault);
        self.survives.as_ref().is_none_or(has) && !self.except.as_ref().is_some_and(has)
    }

    /// Why it does not promise more, if the description says so.
    pub fn because(&self) -> Option<&str> {
        self.because.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use partita_nemesis::fault::disk::{PowerLoss, PowerLossAll};
    use partita_nemesis::fault::link::Delay;
    use partita_nemesis::fault::process::Kill;

    use super::*;

    #[test]
    fn a_store_survives_what_it_says_but_for_what_it_excepts() {
        let text = "survives = [\"process\", \"disk\"]\nexcept = [\"power-loss-all\"]";
        let promises: Promises = toml::from_str(text).expect(text);
        assert!(promises.hold(Kill::KIND) && promises.hold(PowerLoss::KIND));
        assert!(!promises.hold(PowerLossAll::KIND) && !promises.hold(Delay::KIND));
        assert!(Promises::default().hold(PowerLossAll::KIND));
        let nothing: Promises = toml::from_str("survives = []").expect("nothing");
        assert!(!nothing.hold(Kill::KIND));
    }

    #[test]
    fn a_fault_that_there_is_not_is_named() {
        let error = toml::from_str::<Promises>("except = [\"power-los\"]").expect_err("misspelt");
        assert!(error.to_string().contains("power-los"), "{error}");
    }
}
