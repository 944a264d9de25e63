//! One run as a page a tired engineer understands at first sight, and as files that CI reads.
//!
//! [`html()`], [`junit()`] and [`summary()`] are pure functions from a [`Run`] to text;
//! [`write_all`] puts all three into the run's folder. All say the same words, which come from one
//! place each: the verdict's, a counterexample's, an operation's, a duration's.
//!
//! What clients saw is foreign text: it is made visible and bounded first, then escaped by whatever
//! writes the format. The size of a report does not grow with the history: time is summed into at
//! most some two hundred stretches, and every table ends and says what it leaves out.

pub mod campaign;
mod chart;
pub mod checked;
mod commands;
mod compare;
mod elections;
pub mod event;
mod evidence;
pub mod exit;
mod explore;
pub mod finding;
mod folder;
pub mod groups;
mod headline;
mod html;
mod junit;
pub mod logs;
pub mod messages;
pub mod outcomes;
pub mod recovery;
mod roles;
pub mod run;
pub mod samples;
mod series;
pub mod site;
pub mod spec;
mod summary;
mod surroundings;
pub mod text;
mod trace;
pub mod traffic;
mod why;

pub use checked::{CheckRecord, CheckedHistory, UnreadableFile};
pub use commands::quoted;
pub use compare::{Comparison, Difference, Row};
pub use elections::Elections;
pub use event::{RunEvent, Stamped};
pub use exit::Exit;
pub use finding::{Finding, FindingKind, SourcePlace};
pub use folder::{WriteReportsError, read_surroundings, write_all, write_all_to};
pub use groups::{Group, Groups};
pub use html::{check_html, html, html_around};
pub use junit::junit;
pub use logs::lines_between;
pub use messages::MessageLog;
pub use outcomes::{Arrivals, ErrorCount, KindCounts, Outcomes, ProtocolViolationCount};
pub use recovery::Recovery;
pub use roles::RoleChange;
pub use run::{Counts, HostRecord, NodeRecord, Phase, Run, RunRecord, Stall};
pub use samples::NodeSample;
pub use spec::RunSpec;
pub use summary::summary;
pub use surroundings::{LoggedLine, RunArtifacts, Window};
pub use trace::Trace;
pub use traffic::LinkPeriod;
