//! The types of faults as values, to list, compare and draw.

use std::cmp::Ordering;
use std::fmt;

use rand::rngs::ChaCha8Rng;

use super::{Description, FAULTS, Fault, FaultType, read};
use crate::lab::Tier;
use crate::record::Family;

/// The type of a fault, without parameters: one of [`FAULTS`].
#[derive(Clone, Copy)]
pub struct FaultKind(pub(super) &'static Row);

/// What is known of a type of fault.
pub(super) struct Row {
    description: Description,
    default: fn() -> Fault,
    pub(super) read: fn(read::Parameters<'_>) -> Result<Fault, toml::de::Error>,
    draw: fn(&mut ChaCha8Rng, &[String]) -> Fault,
}

/// Carries a row, since a generic constant must belong to a type.
struct RowOf<F>(std::marker::PhantomData<F>);

impl<F: FaultType> RowOf<F> {
    const ROW: &'static Row = &Row {
        description: F::DESCRIPTION,
        default: || Fault::new(F::default()),
        read: |parameters| F::deserialize(parameters).map(Fault::new),
        draw: |rng, nodes| Fault::new(F::draw(rng, nodes)),
    };
}

impl FaultKind {
    /// The kind of a type.
    pub(crate) const fn of<F: FaultType>() -> FaultKind {
        FaultKind(RowOf::<F>::ROW)
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<FaultKind> {
        FAULTS.into_iter().find(|kind| kind.name() == name)
    }

    /// What it is.
    pub fn description(self) -> &'static Description {
        &self.0.description
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.0.description.name
    }

    /// What part of a machine it breaks.
    pub fn family(self) -> Family {
        self.0.description.family
    }

    /// The fault with the default of every parameter.
    pub fn with_defaults(self) -> Fault {
        (self.0.default)()
    }

    /// Whether a lab of this tier can have it.
    pub fn fits(self, tier: Tier) -> bool {
        // The best tier comes first.
        tier <= self.0.description.needs.lab
    }

    /// The least tier of a lab that can have it.
    pub fn needed_tier(self) -> Tier {
        self.0.description.needs.lab
    }

    /// Whether a node is no member for a while.
    pub fn changes_members(self) -> bool {
        self.0.description.changes_members
    }

    /// Whether the store is asked to hand its leadership over.
    pub fn moves_leadership(self) -> bool {
        self.0.description.needs.administrator && !self.changes_members()
    }

    /// Draws its parameters.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng, nodes: &[String]) -> Fault {
        (self.0.draw)(rng, nodes)
    }

    /// Its place in [`FAULTS`].
    pub(super) fn place(self) -> usize {
        FAULTS.iter().position(|kind| kind.name() == self.name()).unwrap_or(FAULTS.len())
    }
}

impl PartialEq for FaultKind {
    fn eq(&self, other: &FaultKind) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FaultKind {}

impl PartialOrd for FaultKind {
    fn partial_cmp(&self, other: &FaultKind) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FaultKind {
    /// As they are listed.
    fn cmp(&self, other: &FaultKind) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl fmt::Debug for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
