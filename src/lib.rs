//! The command line of Partita, and the runs that it starts.
//!
//! [`cli`] turns arguments into a run's specification and results into words and exit codes; [`run`] carries a
//! run through its phases; [`judge`] comes from a history to a
//! verdict; [`targets`] describes the systems under test and [`names`] knows every name that can be given; [`serve`]
//! shows runs as a site; [`terminal`] prints what there is to say. See `docs/architecture.md`.

pub mod campaign;
pub mod cli;
pub mod exit;
pub mod judge;
pub mod names;
pub mod run;
pub mod serve;
pub mod targets;
pub mod telemetry;
pub mod terminal;
pub mod unknown_name;
