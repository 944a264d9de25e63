//! For each planted bug the scenarios in which it shows.

use super::scenarios::{Scenario, find};
use crate::mutations::Mutation;

/// The scenarios that expose a planted bug.
#[must_use]
pub fn of(_mutation: Mutation) -> Vec<&'static Scenario> {
    find("random")
}
