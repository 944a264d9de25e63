//! Many runs as one page, one JUnit document and one summary.
//!
//! [`record`] has the lines that a campaign writes down as it goes, [`statistics`] what can be said from
//! how many runs. `docs/campaigns.md` is the contract.

pub mod record;
pub mod statistics;
