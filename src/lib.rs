//! The command line and the controller of Partita.
//!
//! [`cli`] turns words into a plan and results into exit codes; [`controller`] carries a run
//! through its phases; [`target`] describes the systems under test. See `docs/architecture.md`.

pub mod cli;
pub mod controller;
pub mod exit;
pub mod target;
