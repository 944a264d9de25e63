//! The types of faults as values, to list, compare and draw.

use std::cmp::Ordering;
use std::fmt;

use rand::rngs::ChaCha8Rng;

use super::{Description, FAULTS, Fault, FaultType, described, read};
use crate::lab::LabBackend;
use crate::record::Family;

/// The type of a fault, without parameters: one of [`FAULTS`], or one that a description [declared](super::described).
#[derive(Clone, Copy)]
pub struct FaultKind(pub(super) &'static Row);

/// What is known of a type of fault.
pub(super) struct Row {
    pub(super) description: Description,
    pub(super) make: Make,
}

/// How a fault of a type is made.
pub(super) enum Make {
    /// As the type says.
    Typed {
        default: fn() -> Fault,
        read: fn(read::Parameters<'_>) -> Result<Fault, toml::de::Error>,
        draw: fn(&mut ChaCha8Rng, &[String]) -> Fault,
    },
    /// It is a description's, and has no parameters.
    Described,
}

/// Carries a row, since a generic constant must belong to a type.
struct RowOf<F>(std::marker::PhantomData<F>);

impl<F: FaultType> RowOf<F> {
    const ROW: &'static Row = &Row {
        description: F::DESCRIPTION,
        make: Make::Typed {
            default: || Fault::new(F::default()),
            read: |parameters| F::deserialize(parameters).map(Fault::new),
            draw: |rng, nodes| Fault::new(F::draw(rng, nodes)),
        },
    };
}

impl FaultKind {
    /// The kind of a type.
    pub(crate) const fn of<F: FaultType>() -> FaultKind {
        FaultKind(RowOf::<F>::ROW)
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<FaultKind> {
        FAULTS.into_iter().find(|kind| kind.name() == name).or_else(|| described::named(name))
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
        match self.0.make {
            Make::Typed { default, .. } => default(),
            Make::Described => Fault::described(self),
        }
    }

    /// The fault with these parameters, all of which it has.
    pub(super) fn made(self, parameters: read::Parameters<'_>) -> Result<Fault, toml::de::Error> {
        match self.0.make {
            Make::Typed { read, .. } => read(parameters),
            Make::Described => Ok(Fault::described(self)),
        }
    }

    /// Whether it is a description's.
    pub fn is_described(self) -> bool {
        matches!(self.0.make, Make::Described)
    }

    /// Whether a lab of this backend can have it.
    pub fn fits(self, backend: LabBackend) -> bool {
        // The best backend comes first.
        backend <= self.0.description.needs.lab
    }

    /// The least backend of a lab that can have it.
    pub fn needed_tier(self) -> LabBackend {
        self.0.description.needs.lab
    }

    /// Whether a node is no member for a while.
    pub fn changes_members(self) -> bool {
        self.0.description.changes_members
    }

    /// Whether the store is asked to hand its leadership over.
    pub fn moves_leadership(self) -> bool {
        let needs_administrator = self.0.description.needs.administrator;
        needs_administrator && !self.changes_members() && !self.is_described()
    }

    /// Draws its parameters.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng, nodes: &[String]) -> Fault {
        match self.0.make {
            Make::Typed { draw, .. } => draw(rng, nodes),
            Make::Described => Fault::described(self),
        }
    }

    /// Its place in [`FAULTS`]; behind all of them if it is a description's.
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
        let by_name = || self.name().cmp(other.name());
        self.place().cmp(&other.place()).then_with(by_name)
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
