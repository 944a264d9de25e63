//! Campaigns: many runs of one plan, and what they come to together.
//!
//! A [`plan`] says what is run, and decides every run by its index; it is made from a [`file`](mod@file), or is a
//! [`portfolio`] of all that fits a target. [`night`] says what is next, [`fair_queue`] whose turn it is; both are
//! pure, as are [`outcome`] and [`signature`], which come from what a run told to the buckets it falls into.
//! [`work`] is the shell around them: threads that wait for processes ([`runner`]) and write down what came
//! of them ([`folder`], [`log`]). What is written down is all the state there is; the [`overview`] follows
//! from it, from what earlier nights left ([`history`]) and from what somebody is dealing with ([`known`]).
//! [`shards`] work on parts of a plan, [`store`] holds them where many machines can reach it, and
//! [`merge`](mod@merge) puts them together. `docs/campaigns.md` is the
//! contract.

pub mod documents;
pub mod fair_queue;
pub mod file;
pub mod folder;
pub mod guided;
pub mod history;
pub mod known;
pub mod log;
pub mod merge;
pub mod night;
pub mod outcome;
pub mod overview;
pub mod plan;
pub mod portfolio;
pub mod retention;
pub mod runner;
pub mod shards;
pub mod signature;
pub mod store;
pub mod work;

pub use folder::{Campaign, CampaignFolder};
pub use guided::{Guidance, GuidedRunner};
pub use plan::{CampaignPlan, Configuration, Shard};
pub use runner::{ProcessRunner, Runner};
pub use work::{Limits, Work};
