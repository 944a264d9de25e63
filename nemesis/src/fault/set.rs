//! Decides which faults may be drawn, from the words after `--nemesis`.
//!
//! A fault set is `default`, `all`, the name of a family or of one fault, several of these joined by
//! commas, or `none`. What destroys synced data is in a set by its own name only. What is named by
//! itself or with its family is meant; of what `default` and `all` hold, each seed leaves some out
//! (see the module `schedule`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{FAULTS, FaultKind, described};
use crate::lab::LabBackend;
use crate::record::Family;

/// The faults a schedule may be drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSet {
    text: String,
    faults: BTreeSet<FaultKind>,
    /// Those of them that a schedule may do without.
    optional: BTreeSet<FaultKind>,
}

/// A name for a set of faults, beside the names of the faults themselves.
#[derive(Debug)]
pub struct NamedSet {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it holds, in one line.
    pub summary: &'static str,
}

/// The sets that are not simply one fault's name, in the order in which they are listed.
pub const FAULT_SETS: [NamedSet; 10] = [
    NamedSet {
        name: "default",
        summary: "a hunt: scenes and storms of short faults of every family; each seed picks some",
    },
    NamedSet { name: "hunt", summary: "the same without rounds of recipes" },
    NamedSet {
        name: "all",
        summary: "every fault of these, one or two at a time and longer; each seed picks some",
    },
    NamedSet {
        name: "partition",
        summary: "every partition, above all of the leader: finds reads from stale leaders",
    },
    NamedSet { name: "link", summary: "every fault of links" },
    NamedSet { name: "process", summary: "every fault of processes" },
    NamedSet { name: "clock", summary: "every fault of clocks" },
    NamedSet { name: "disk", summary: "every disk fault but those that destroy synced data" },
    NamedSet {
        name: "membership",
        summary: "changes of the leader and, with four nodes or more, of the members",
    },
    NamedSet { name: "none", summary: "no fault at all" },
];

/// Why words do not name a fault set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultSetError {
    /// A word that is neither a set nor a fault.
    #[error("no fault or fault set is called {name:?}; known are {known}")]
    Unknown {
        /// The word.
        name: String,
        /// Every word that is known, joined by commas.
        known: String,
    },
    /// A fault that was asked for by name, but cannot be had.
    #[error(
        "{fault} needs a lab of {needed}, and this one is of {backend}; `partita doctor` says how to get \
         one"
    )]
    NeedsLab {
        /// The fault.
        fault: FaultKind,
        /// The least that has it.
        needed: LabBackend,
        /// What there is.
        backend: LabBackend,
    },
    /// `none` together with something else.
    #[error("`none` stands alone, but was combined: {0:?}")]
    NoneCombined(String),
}

impl FaultSet {
    /// The faults in it, in the order of [`FAULTS`].
    pub fn faults(&self) -> impl Iterator<Item = FaultKind> + '_ {
        self.faults.iter().copied()
    }

    /// Whether a fault of `family` is in it.
    pub fn has_any(&self, family: Family) -> bool {
        self.faults.iter().any(|fault| fault.family() == family)
    }

    /// The set without the faults that a lab of this backend does not have.
    ///
    /// # Errors
    ///
    /// If one of these was asked for by its own name, or nothing is left of what was asked for.
    pub fn fitted(mut self, backend: LabBackend) -> Result<FaultSet, FaultSetError> {
        let named = self.text.split(',').filter_map(|word| FaultKind::named(word.trim()));
        // A set that held something and holds nothing any more would test nothing.
        let lone = if self.faults.iter().any(|fault| fault.fits(backend)) {
            None
        } else {
            self.faults.first().copied()
        };
        if let Some(fault) = named.chain(lone).find(|fault| !fault.fits(backend)) {
            return Err(FaultSetError::NeedsLab { fault, needed: fault.needed_tier(), backend });
        }
        self.faults.retain(|fault| fault.fits(backend));
        self.optional.retain(|fault| fault.fits(backend));
        Ok(self)
    }

    /// Those of its faults that a schedule may do without: they came with `default` or `all`.
    pub(crate) fn optional(&self) -> &BTreeSet<FaultKind> {
        &self.optional
    }

    /// The same without the faults that cannot be had: those that came with `default` or `all` are
    /// left out.
    ///
    /// # Errors
    ///
    /// The first that cannot be had and was asked for by its name or its family's.
    pub fn without(
        mut self,
        cannot_be_had: impl Fn(FaultKind) -> bool,
    ) -> Result<FaultSet, FaultKind> {
        let meant = self.faults.difference(&self.optional).copied();
        if let Some(fault) = meant.into_iter().find(|fault| cannot_be_had(*fault)) {
            return Err(fault);
        }
        self.faults.retain(|fault| !cannot_be_had(*fault));
        self.optional.retain(|fault| !cannot_be_had(*fault));
        Ok(self)
    }

    /// The same without those of its faults for which `is_left_out` holds and that came with `default` or
    /// `all`; and which these are.
    pub fn leaving_out(
        mut self,
        is_left_out: impl Fn(FaultKind) -> bool,
    ) -> (FaultSet, Vec<FaultKind>) {
        let left_out: Vec<FaultKind> =
            self.optional.iter().copied().filter(|fault| is_left_out(*fault)).collect();
        self.faults.retain(|fault| !left_out.contains(fault));
        self.optional.retain(|fault| !left_out.contains(fault));
        (self, left_out)
    }

    /// The same with `more`, which a schedule may do without, if `all` is one of its words.
    #[must_use]
    pub fn including(mut self, more: impl IntoIterator<Item = FaultKind>) -> FaultSet {
        if self.text.split(',').any(|word| word.trim() == "all") {
            for fault in more {
                if self.faults.insert(fault) {
                    self.optional.insert(fault);
                }
            }
        }
        self
    }

    /// Whether `fault` is on it.
    pub fn contains(&self, fault: FaultKind) -> bool {
        self.faults.contains(&fault)
    }
}

impl FromStr for FaultSet {
    type Err = FaultSetError;

    fn from_str(text: &str) -> Result<FaultSet, FaultSetError> {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        if words.contains(&"none") && words.len() > 1 {
            return Err(FaultSetError::NoneCombined(text.to_owned()));
        }
        let (mut meant, mut optional) = (BTreeSet::new(), BTreeSet::new());
        for word in words {
            match word {
                "none" => {}
                "default" | "hunt" | "all" => optional.extend(legal()),
                "partition" => meant.extend(of(&[Family::Partition])),
                "link" => meant.extend(of(&[Family::Link])),
                "process" => meant.extend(of(&[Family::Process])),
                "clock" => meant.extend(of(&[Family::Clock])),
                "disk" => meant.extend(of(&[Family::Disk])),
                "membership" => meant.extend(of(&[Family::Membership])),
                name => {
                    meant.insert(FaultKind::named(name).ok_or_else(|| unknown(name))?);
                }
            }
        }
        optional.retain(|fault| !meant.contains(fault));
        let faults = meant.union(&optional).copied().collect();
        Ok(FaultSet { text: text.trim().to_owned(), faults, optional })
    }
}

impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The faults that any store must bear on any node. What one owes after its synced data were
/// destroyed differs: those are drawn only where they are asked for by name.
fn legal() -> impl Iterator<Item = FaultKind> {
    FAULTS.into_iter().filter(|fault| !fault.description().destroys_synced_data)
}

fn of(families: &'static [Family]) -> impl Iterator<Item = FaultKind> {
    legal().filter(|fault| families.contains(&fault.family()))
}

fn unknown(name: &str) -> FaultSetError {
    let sets = FAULT_SETS.iter().map(|set| set.name);
    let known = sets.chain(FAULTS.iter().map(|fault| fault.name())).chain(described::names());
    let known: Vec<&str> = known.collect();
    FaultSetError::Unknown { name: name.to_owned(), known: known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::membership::{AddNode, ReplaceNode, TransferLeadership};
    use crate::fault::process::Kill;

    fn faults(text: &str) -> Vec<&'static str> {
        text.parse::<FaultSet>().expect(text).faults().map(FaultKind::name).collect()
    }

    #[test]
    fn sets_hold_the_faults_they_promise() {
        assert_eq!(faults("clock"), ["clock-step", "clock-strobe", "clock-rate"]);
        assert_eq!(faults("all"), faults("partition,process,link,clock,disk,membership"));
        assert_eq!(faults("default"), faults("all"));
        let members = ["transfer-leadership", "add-node", "remove-node", "replace-node"];
        assert_eq!(faults("membership"), members);
        assert_eq!(faults("kill, pause"), ["pause", "kill"]);
        assert_eq!(faults("clock,kill"), ["kill", "clock-step", "clock-strobe", "clock-rate"]);
        for name in ["isolate", "halves", "majorities-ring", "flapping", "cut"] {
            assert!(faults("partition").contains(&name), "{name}");
        }
        for name in ["delay", "burst-loss", "hold", "reset"] {
            assert!(faults("link").contains(&name), "{name}");
        }
        assert!(faults("none").is_empty());
        let disk = ["power-loss", "power-loss-all", "disk-error", "disk-full", "disk-slow"];
        assert_eq!(faults("disk"), disk);
        assert_eq!(faults("truncate"), ["truncate"]);
    }

    #[test]
    fn what_is_asked_for_by_name_is_no_option() {
        let optional = |text: &str| text.parse::<FaultSet>().expect(text).optional().len();
        assert_eq!(optional("partition,kill"), 0);
        assert_eq!(optional("default"), faults("default").len());
        assert_eq!(optional("all,kill,clock"), faults("all").len() - 4);
    }

    #[test]
    fn what_cannot_be_had_is_left_out_unless_it_was_asked_for() {
        let set = |text: &str| text.parse::<FaultSet>().expect(text);
        let lacking = |fault: FaultKind| fault.changes_members();
        let all = set("all,transfer-leadership").without(lacking).expect("nobody named it");
        assert_eq!(all.to_string(), "all,transfer-leadership");
        assert!(all.contains(TransferLeadership::KIND) && all.contains(Kill::KIND));
        assert!(!all.faults().any(lacking) && !all.optional().iter().any(|it| lacking(*it)));
        assert_eq!(set("membership").without(lacking), Err(AddNode::KIND));
        assert_eq!(set("all,replace-node").without(lacking), Err(ReplaceNode::KIND));
    }

    #[test]
    fn only_what_nobody_named_is_left_out() {
        let set: FaultSet = "all,kill,disk".parse().expect("a set");
        let (left, left_out) = set.leaving_out(|fault| {
            fault == Kill::KIND || fault.changes_members() || fault.family() == Family::Disk
        });
        let names: Vec<&str> = left_out.into_iter().map(FaultKind::name).collect();
        assert_eq!(names, ["add-node", "remove-node", "replace-node"]);
        assert!(left.contains(Kill::KIND) && left.contains(TransferLeadership::KIND));
        assert!(left.has_any(Family::Disk) && !left.contains(AddNode::KIND));
    }

    #[test]
    fn a_lesser_lab_leaves_out_what_it_cannot_have() {
        let fitted = |text: &str, backend| {
            let set: FaultSet = text.parse().expect(text);
            set.fitted(backend).map(|set| set.faults().map(FaultKind::name).collect::<Vec<_>>())
        };
        assert_eq!(fitted("link", LabBackend::Proxies), Ok(vec!["delay", "rate", "hold", "reset"]));
        assert_eq!(fitted("partition", LabBackend::Proxies), Ok(faults("partition")));
        assert_eq!(
            fitted("default", LabBackend::Signals),
            Ok(faults("process,clock,disk,membership"))
        );
        assert_eq!(fitted("none", LabBackend::Signals), Ok(Vec::new()));
        assert_eq!(fitted("all", LabBackend::Namespaces), Ok(faults("all")));
    }

    #[test]
    fn what_was_asked_for_by_name_is_refused_and_not_left_out() {
        let refused = |text: &str, backend| {
            let set: FaultSet = text.parse().expect(text);
            set.fitted(backend).expect_err(text).to_string()
        };
        let error = refused("kill,loss", LabBackend::Proxies);
        assert!(error.starts_with("loss needs a lab of namespaces"), "{error}");
        let error = refused("partition", LabBackend::Signals);
        assert!(error.contains("isolate needs a lab of proxies"), "{error}");
    }

    #[test]
    fn every_listed_name_is_a_set() {
        for name in
            FAULT_SETS.iter().map(|set| set.name).chain(FAULTS.iter().map(|fault| fault.name()))
        {
            assert!(name.parse::<FaultSet>().is_ok(), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "parition".parse::<FaultSet>().expect_err("misspelt").to_string();
        for known in ["parition", "default", "partition", "none", "isolate", "one-way", "kill"] {
            assert!(error.contains(known), "{error}");
        }
        assert!("".parse::<FaultSet>().is_err());
        assert!("kill,,pause".parse::<FaultSet>().is_err());
        assert!("none,kill".parse::<FaultSet>().is_err());
    }
}
