//! One run as a page a tired engineer understands at first sight, and as files that CI reads.

pub mod run;

pub use run::{Counts, HostRecord, NodeRecord, Phase, RoleChange, RunRecord};
