//! The faults, each one typed value in a file of its own: `fault/<family>/<name>.rs`.
//!
//! A fault's file says all there is to say about it: its name and parameters with their units, what
//! it needs of a lab, what it has to itself of its victims, whether it explains that a node ends, how
//! its effect counts as evidence ([`Description`]); how it is drawn, what it is aimed at, and how it
//! is injected, measured and healed (`FaultType`). [`Fault`] is any of these values, [`FaultKind`]
//! any of the types, and of the [faults](described) that a store's description names; nothing else knows which there are but the list of each family, from which
//! [`FAULTS`] is made.

pub mod clock;
pub mod described;
mod description;
pub mod disk;
mod kind;
pub mod link;
mod links;
pub mod membership;
pub mod partition;
pub mod process;
pub(crate) mod read;
pub mod set;
pub(crate) mod site;
pub(crate) mod target;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lab::Link;

pub use description::{Description, Drawn, Parameter, Reach, Resource, Shows};
pub(crate) use description::{ExcludedNodes, ShownBy, Victims};
pub use kind::FaultKind;
pub use links::{Clients, Direction, Links, NamedLinks};
pub use read::{ListedParameter, ParameterError};
pub(crate) use site::{Active, InjectError, Injecting, Site};
pub use target::{Target, TargetError};
pub use values::{Answer, Bytes, Count, Percent, Share, Time, ValueError};

/// What a fault is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The victims themselves.
    Nodes,
    /// Links of the victims, or such as are named.
    Links(LinkChoice),
    /// The links between the victims, filled up with others to so many, and the rest.
    Split(SplitSize),
    /// The links between the halves of those that are no victims.
    Bridge,
    /// The links between all nodes that are no neighbours in a random ring.
    Ring,
}

/// Which links a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkChoice {
    pub(crate) direction: Direction,
    pub(crate) clients: Clients,
    /// The links, if they are named.
    pub(crate) named: Option<NamedLinks>,
    /// Whether what it does reaches programs as if a node had sent it.
    pub(crate) is_believed: bool,
}

/// How many nodes are split from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SplitSize {
    /// Half of them.
    Half,
    /// The most that leave a majority.
    LargestMinority,
    /// Any number up to that.
    AnyMinority,
    /// So many.
    Exactly(usize),
}

/// One fault, the value of which says its parameters. No answer has a default here: a fault that
/// forgets one does not compile.
pub(crate) trait FaultType:
    Clone + Default + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What the fault is.
    const DESCRIPTION: Description;

    /// What it hits.
    fn aim(&self) -> Aim;

    /// Draws its parameters for a cluster of these nodes, such that it has an effect that can be
    /// measured within a second on a store that is in use.
    fn draw(rng: &mut ChaCha8Rng, nodes: &[String]) -> Self;

    /// Injects it. What is returned heals it, at the latest when dropped.
    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a>;
}

/// A fault of any type, without its type.
trait AnyFault: fmt::Debug + Send + Sync {
    fn kind(&self) -> FaultKind;
    fn parameters(&self) -> BTreeMap<String, String>;
    fn aim(&self) -> Aim;
    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a>;
}

impl<F: FaultType> AnyFault for F {
    fn kind(&self) -> FaultKind {
        FaultKind::of::<F>()
    }

    fn parameters(&self) -> BTreeMap<String, String> {
        read::parameters(self)
    }

    fn aim(&self) -> Aim {
        FaultType::aim(self)
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        FaultType::inject(self, site)
    }
}

/// A fault with its parameters: `Fault::from(Delay { .. })`.
#[derive(Debug, Clone)]
pub struct Fault(Arc<dyn AnyFault>);

impl Fault {
    fn new(fault: impl FaultType) -> Fault {
        Fault(Arc::new(fault))
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> FaultKind {
        self.0.kind()
    }

    /// All its parameters as they are written, but for its victims.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.0.parameters()
    }

    /// What it hits.
    pub(crate) fn aim(&self) -> Aim {
        self.0.aim()
    }

    /// The links it names, if it names any.
    pub(crate) fn named_links(&self) -> Option<Vec<Link>> {
        match self.aim() {
            Aim::Links(LinkChoice { named: Some(named), .. }) => {
                let mut links = named.links().to_vec();
                links.sort();
                Some(links)
            }
            _ => None,
        }
    }

    /// Injects it.
    pub(crate) fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        self.0.inject(site)
    }
}

#[cfg(test)]
impl Fault {
    /// The fault of that kind with these parameters, as they are written.
    pub(crate) fn read(kind: FaultKind, words: &[(&str, &str)]) -> Fault {
        let words: BTreeMap<String, String> =
            words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
        kind.with_parameters(&words).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Fault) -> bool {
        self.kind() == other.kind() && self.parameters() == other.parameters()
    }
}

impl Eq for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

/// Lists the faults of a family, each with the module that holds it.
macro_rules! faults {
    ($($module:ident::$fault:ident),+ $(,)?) => {
        $(pub use $module::$fault;)+

        /// The faults of this family, in the order in which they are listed.
        pub(super) const FAULTS: &[$crate::fault::FaultKind] =
            &[$($crate::fault::FaultKind::of::<$fault>()),+];

        $(
            impl $fault {
                /// Its kind.
                pub const KIND: $crate::fault::FaultKind = $crate::fault::FaultKind::of::<$fault>();
            }

            impl From<$fault> for $crate::fault::Fault {
                fn from(fault: $fault) -> $crate::fault::Fault {
                    $crate::fault::Fault::new(fault)
                }
            }
        )+
    };
}
use faults;

const FAMILIES: [&[FaultKind]; 6] = [
    partition::FAULTS,
    link::FAULTS,
    process::FAULTS,
    clock::FAULTS,
    disk::FAULTS,
    membership::FAULTS,
];

const COUNT: usize = {
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

/// Every fault there is, in the order in which they are listed: family by family.
pub const FAULTS: [FaultKind; COUNT] = {
    let mut kinds = [FAMILIES[0][0]; COUNT];
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let mut place = 0;
        while place < FAMILIES[family].len() {
            kinds[count] = FAMILIES[family][place];
            count += 1;
            place += 1;
        }
        family += 1;
    }
    kinds
};

/// One of these values.
fn one_of<T: Clone>(rng: &mut ChaCha8Rng, values: &[T]) -> T {
    values.choose(rng).expect("values to choose from").clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;
    use crate::lab::LabBackend;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = FAULTS.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FAULTS.len());
        for (place, kind) in FAULTS.into_iter().enumerate() {
            assert_eq!((FaultKind::named(kind.name()), kind.place()), (Some(kind), place));
            let drawn = &kind.description().drawn;
            assert!(drawn.shortest_ms <= drawn.longest_ms, "{kind}");
            assert_eq!(kind.with_defaults().kind(), kind);
        }
        assert!(FAULTS.is_sorted());
    }

    #[test]
    fn every_parameter_is_described_and_read_as_it_is_written() {
        let nodes = ["n1", "n2", "n3"].map(str::to_owned);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for kind in FAULTS {
            let described: BTreeSet<&str> =
                kind.description().parameters.iter().map(|it| it.name).collect();
            for fault in [kind.with_defaults(), kind.draw(&mut rng, &nodes)] {
                let parameters = fault.parameters();
                let written: BTreeSet<&str> = parameters.keys().map(String::as_str).collect();
                assert_eq!(written, described, "{kind}");
                assert_eq!(kind.with_parameters(&parameters), Ok(fault), "{kind}");
            }
            let mut wrong = kind.with_defaults().parameters();
            for name in described {
                let right = wrong.insert(name.to_owned(), String::new()).expect("described");
                let error = kind.with_parameters(&wrong).expect_err(name).to_string();
                assert!(error.contains("expected"), "{kind}: {name}: {error}");
                wrong.insert(name.to_owned(), right);
            }
        }
    }

    #[test]
    fn a_lesser_lab_has_some_faults_less() {
        let count = |backend| FAULTS.iter().filter(|kind| kind.fits(backend)).count();
        let counts = LabBackend::ALL.map(count);
        assert_eq!(counts[0], FAULTS.len());
        assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
        for kind in FAULTS {
            assert!(kind.fits(kind.needed_tier()), "{kind}");
            assert!(kind.fits(LabBackend::Signals) <= kind.fits(LabBackend::Proxies), "{kind}");
        }
        for kind in [link::Loss::KIND, link::BurstLoss::KIND, link::Corrupt::KIND] {
            assert_eq!(kind.needed_tier(), LabBackend::Namespaces, "only frames suffer that");
        }
        assert_eq!(partition::Isolate::KIND.needed_tier(), LabBackend::Proxies);
        assert_eq!(process::Kill::KIND.needed_tier(), LabBackend::Signals);
    }
}
