//! The workloads by name.

use thiserror::Error;

/// A workload as `partita list workloads` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// The model that its histories are checked against.
    pub model: &'static str,
    /// What its clients do, in a line.
    pub about: &'static str,
}

/// Every workload there is.
pub const WORKLOADS: &[WorkloadInfo] = &[WorkloadInfo {
    name: "register",
    model: "register",
    about: "reads, unique-valued writes and compare-and-set on a few keys at a time",
}];

/// A name that no workload has.
#[derive(Debug, Error)]
#[error("there is no workload `{name}`; the workloads are: {known}")]
pub struct UnknownWorkload {
    name: String,
    known: String,
}

/// The workload called `name`.
///
/// # Errors
///
/// If there is none; the message lists those that there are.
pub fn find(name: &str) -> Result<&'static WorkloadInfo, UnknownWorkload> {
    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| UnknownWorkload {
        name: name.to_owned(),
        known: WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn an_unknown_workload_is_told_the_known_ones() {
        let message = find("regsiter").expect_err("misspelt").to_string();
        assert_eq!(message, "there is no workload `regsiter`; the workloads are: register");
    }
}
