//! Campaigns: many runs of one plan, and what they come to together.
//!
//! A [`plan`] says what is run, and decides every run by its index. [`night`] says what is next, [`share`]
//! whose turn it is; both are pure, as are [`outcome`] and [`signature`], which come from what a run told
//! to the buckets it falls into. [`work`] is the shell around them: threads that wait for processes
//! ([`runner`]) and write down what came of them ([`folder`], [`log`]). What is written down is all the state
//! there is. `docs/campaigns.md` is the contract.

pub mod folder;
pub mod log;
pub mod night;
pub mod outcome;
pub mod plan;
pub mod runner;
pub mod share;
pub mod signature;
pub mod work;

pub use folder::{Campaign, CampaignFolder};
pub use plan::{CampaignPlan, Configuration, Shard};
pub use runner::{ProcessRunner, Runner};
pub use work::{Limits, Work};
