//! The command line and the controller of Partita.
//!
//! [`cli`] turns words into a plan and results into exit codes; [`run`] carries a run
//! through its phases; [`target`] describes the systems under test and
//! [`names`] knows every name that can be given; [`terminal`] prints what there is to say. See `docs/architecture.md`.

pub mod cli;
pub mod exit;
pub mod judge;
pub mod names;
pub mod run;
pub mod targets;
pub mod telemetry;
pub mod terminal;
