//! Ranks what labs can do, by what the machine allows.
//!
//! Each tier does without something of the one before, and its faults are those of the one before
//! but for some families. What a machine allows is found out by [`crate::doctor`].

use std::fmt;
use std::str::FromStr;

/// How a lab's hosts are made, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Of namespaces, joined by a switch: every fault.
    Namespaces,
    /// Of loopback addresses, joined by relays: no fault that only frames can suffer.
    Proxies,
    /// Of loopback addresses, joined by nothing: no fault of the network at all.
    Signals,
}

/// A word that names no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no lab is called {0:?}; expected namespaces, proxies or signals")]
pub struct NoTier(pub String);

impl Tier {
    /// Every tier, best first.
    pub const ALL: [Tier; 3] = [Tier::Namespaces, Tier::Proxies, Tier::Signals];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Namespaces => "namespaces",
            Tier::Proxies => "proxies",
            Tier::Signals => "signals",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = NoTier;

    fn from_str(text: &str) -> Result<Tier, NoTier> {
        let named = Tier::ALL.into_iter().find(|tier| tier.name() == text);
        named.ok_or_else(|| NoTier(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_read_by_its_name() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        let error = "vlans".parse::<Tier>().expect_err("unknown").to_string();
        assert!(error.contains("vlans") && error.contains("proxies"), "{error}");
    }
}
