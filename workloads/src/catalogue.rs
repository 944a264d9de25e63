//! The workloads by name.

use partita_checker::{ModelKind, Value};
use thiserror::Error;

use crate::append::{Append, AppendOptions};
use crate::client::Asking;
use crate::operation::{Completion, Invocation};
use crate::register::{Register, RegisterOptions};

/// Draws the operations of all clients of a run from its seed and from what came back so far.
pub trait Generator: Send {
    /// The next operation.
    fn next_invocation(&mut self) -> Invocation;

    /// A read, where no update is wanted.
    fn next_read(&mut self) -> Invocation;

    /// Hears what came of an operation.
    fn completed(&mut self, invocation: &Invocation, completion: &Completion);

    /// Every key that was ever in use, in order.
    fn keys(&self) -> &[Value];
}

/// A workload as `partita list workloads` shows it.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// The model that its histories are checked against.
    pub model: ModelKind,
    /// How its clients ask for updates.
    pub asking: Asking,
    /// What its clients do, in a line.
    pub about: &'static str,
    generator: fn(u64) -> Box<dyn Generator>,
}

impl WorkloadInfo {
    /// What clients do in a run with this seed.
    pub fn generator(&self, seed: u64) -> Box<dyn Generator> {
        (self.generator)(seed)
    }
}

/// Every workload there is.
pub const WORKLOADS: &[WorkloadInfo] = &[
    WorkloadInfo {
        name: "register",
        model: ModelKind::Register,
        asking: Asking::Once,
        about: "reads, unique-valued writes and compare-and-set on a few keys at a time",
        generator: |seed| Box::new(Register::new(RegisterOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "large",
        model: ModelKind::Register,
        asking: Asking::Once,
        about: "as register, with values longer than a disk's sector: none may come back in part",
        generator: |seed| Box::new(Register::new(RegisterOptions::large(), seed)),
    },
    WorkloadInfo {
        name: "append",
        model: ModelKind::Append,
        asking: Asking::Once,
        about: "appends of unique texts and reads: each appended once, none lost, one order",
        generator: |seed| Box::new(Append::new(AppendOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "retry",
        model: ModelKind::Append,
        asking: Asking::InSessions,
        about: "as append, in sessions: whoever gets no answer asks again under the same number",
        generator: |seed| Box::new(Append::new(AppendOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "delete",
        model: ModelKind::Register,
        asking: Asking::Once,
        about: "as register, with deletes: what was deleted must not come back",
        generator: |seed| Box::new(Register::new(RegisterOptions::deleting(), seed)),
    },
    WorkloadInfo {
        name: "expire",
        model: ModelKind::Register,
        asking: Asking::Once,
        about: "as register, on keys that expire: what has expired must not come back",
        generator: |seed| Box::new(Register::new(RegisterOptions::expiring(), seed)),
    },
];

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
    use super::{WORKLOADS, find};

    #[test]
    fn an_unknown_workload_is_told_the_known_ones() {
        let message = find("regsiter").expect_err("misspelt").to_string();
        let known = "register, large, append, retry, delete, expire";
        assert_eq!(message, format!("there is no workload `regsiter`; the workloads are: {known}"));
    }

    #[test]
    fn every_workload_reads_and_updates_what_its_model_knows() {
        for workload in WORKLOADS {
            let mut generator = workload.generator(3);
            let (mut reads, mut updates) = (0, 0);
            for _ in 0..1_000 {
                let invocation = generator.next_invocation();
                let entry = partita_checker::MODELS.iter().find(|it| it.kind == workload.model);
                let functions = entry.expect("a model").functions;
                assert!(functions.contains(&invocation.function), "{}", workload.name);
                assert!(generator.keys().contains(&invocation.key), "{}", workload.name);
                let is_read = invocation.function == partita_checker::Function::Read;
                *(if is_read { &mut reads } else { &mut updates }) += 1;
            }
            assert!(reads > 150 && updates > 150, "{}", workload.name);
        }
    }
}
