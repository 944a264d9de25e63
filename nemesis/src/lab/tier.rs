//! Ranks what labs can do, by what the machine allows.
//!
//! Each tier does without something of the one before, and its faults are those of the one before
//! but for some families. What a machine allows is found out by [`crate::doctor`].

use std::fmt;
use std::str::FromStr;

use crate::fault::Fault;
use crate::record::Family;

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

    /// Whether a lab of this tier can have the fault.
    pub fn has(self, fault: Fault) -> bool {
        match (self, fault.family()) {
            (Tier::Namespaces, _)
            | (_, Family::Process | Family::Clock | Family::Disk | Family::Membership) => true,
            (Tier::Proxies, Family::Partition) => true,
            (Tier::Proxies, Family::Link) => {
                matches!(fault, Fault::Delay | Fault::Rate | Fault::Hold | Fault::Reset)
            }
            (Tier::Signals, Family::Partition | Family::Link) => false,
        }
    }

    /// The least tier that has the fault.
    pub fn needed_for(fault: Fault) -> Tier {
        let mut least_first = Tier::ALL.into_iter().rev();
        least_first.find(|tier| tier.has(fault)).unwrap_or(Tier::Namespaces)
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
    use crate::fault::FAULTS;

    #[test]
    fn each_tier_has_some_faults_less_than_the_one_before() {
        let count = |tier: Tier| FAULTS.iter().filter(|row| tier.has(row.fault)).count();
        let counts = Tier::ALL.map(count);
        assert_eq!(counts[0], FAULTS.len());
        assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
        for fault in FAULTS.iter().map(|row| row.fault) {
            assert!(Tier::needed_for(fault).has(fault));
            assert!(Tier::Signals.has(fault) <= Tier::Proxies.has(fault), "{fault}");
        }
    }

    #[test]
    fn faults_of_frames_need_namespaces() {
        for fault in [Fault::Loss, Fault::BurstLoss, Fault::Duplicate, Fault::Reorder] {
            assert_eq!(Tier::needed_for(fault), Tier::Namespaces);
        }
        assert_eq!(Tier::needed_for(Fault::Corrupt), Tier::Namespaces);
        for fault in [Fault::Isolate, Fault::OneWay, Fault::Delay, Fault::Reset] {
            assert_eq!(Tier::needed_for(fault), Tier::Proxies);
        }
        assert_eq!(Tier::needed_for(Fault::Kill), Tier::Signals);
    }

    #[test]
    fn a_tier_is_read_by_its_name() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        let error = "vlans".parse::<Tier>().expect_err("unknown").to_string();
        assert!(error.contains("vlans") && error.contains("proxies"), "{error}");
    }
}
