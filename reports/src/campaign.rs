//! Many runs as one page, one JUnit document and one summary.
//!
//! [`record`] has the lines that a campaign writes down as it goes, [`statistics`] what can be said from
//! how many runs; an [`Overview`] holds everything that the three documents say, and they are pure
//! functions of it. A [`score`] says which bugs campaigns find. `docs/campaigns.md` is the contract.

mod html;
mod junit;
pub mod overview;
pub mod record;
pub mod score;
pub mod statistics;
mod summary;
#[cfg(test)]
mod tests;

pub use html::campaign_html;
pub use junit::campaign_junit;
pub use overview::Overview;
pub use summary::campaign_summary;
