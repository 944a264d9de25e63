//! Faults that the description of a store names. How one is injected and healed only the store's administrator
//! knows; here is what they have in common with all others.
//!
//! Their names are [declared](declare) before anything is read in which they may stand: a fault set, a schedule, a
//! record. Descriptions are few and names are kept until the program ends.

use std::convert::Infallible;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::description::{Description, Drawn, Evidence, ExcludedNodes, Needs, ShownBy, Victims};
use super::kind::{Make, Row};
use super::process::{HOLDS, milliseconds, prove_life};
use super::set::FAULT_SETS;
use super::site::{Active, Clock, Healed, InjectError, Later, idle, joined};
use super::{Aim, AnyFault, Fault, FaultKind, Injecting, Reach, Site, Target};
use crate::administration::Administration;
use crate::join_all::all;
use crate::lab::LabBackend;
use crate::lab::process::NodeProcess;
use crate::record::{Effect, Family};

/// How long a fault may take to be healed beyond its time.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait before it is tried again.
const STEP: Duration = Duration::from_millis(100);

/// What a description says of a fault of its own, besides how it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedFault {
    /// Its name on the command line and in files.
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    /// Its victims unless a schedule says so; any node, which a drawn schedule chooses, without it.
    pub target: Option<Target>,
    /// Whether it accounts for a victim having no process while it is in force.
    pub explains_exit: bool,
}

/// Why a fault cannot be called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It would not be one word in files and on the command line.
    #[error("`{0}` is no name of a fault; expected small letters, digits and `-`")]
    NoName(String),
    /// Something else is called that.
    #[error("a fault, a fault set or a choice of nodes is called `{0}` already")]
    Taken(String),
}

/// What was declared, the latest last.
static DECLARED: RwLock<Vec<(DescribedFault, FaultKind)>> = RwLock::new(Vec::new());

/// Makes a fault of a description known by its name: what was declared last counts.
///
/// # Errors
///
/// [`NameError`] if it cannot be called that.
pub fn declare(fault: &DescribedFault) -> Result<FaultKind, NameError> {
    let name = &fault.name;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
        return Err(NameError::NoName(name.clone()));
    }
    let is_set = FAULT_SETS.iter().any(|set| set.name == name);
    let is_own = super::FAULTS.iter().any(|kind| kind.name() == name);
    if is_set || is_own || crate::roles::is_role(name) {
        return Err(NameError::Taken(name.clone()));
    }
    let mut declared = DECLARED.write().unwrap_or_else(PoisonError::into_inner);
    let known = declared.iter().position(|(known, _)| known == fault);
    let entry = match known {
        Some(place) => declared.remove(place),
        None => (fault.clone(), FaultKind(Box::leak(Box::new(row(fault))))),
    };
    let kind = entry.1;
    declared.push(entry);
    Ok(kind)
}

/// The declared fault of that name.
pub(super) fn named(name: &str) -> Option<FaultKind> {
    let declared = DECLARED.read().unwrap_or_else(PoisonError::into_inner);
    declared.iter().rev().map(|(_, kind)| *kind).find(|kind| kind.name() == name)
}

/// The names of all declared faults.
pub fn names() -> Vec<&'static str> {
    let declared = DECLARED.read().unwrap_or_else(PoisonError::into_inner);
    let mut names: Vec<&str> = declared.iter().map(|(_, kind)| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn row(fault: &DescribedFault) -> Row {
    let kept = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let DescribedFault { name, summary, target, explains_exit } = fault;
    let description = Description {
        name: kept(name.clone()),
        family: Family::Described,
        summary: kept(summary.clone()),
        was: kept(format!("under {name}")),
        victims: Victims::Chosen {
            default: target.clone().unwrap_or(Target::Random),
            reach: Reach::Any,
            summary: "the victims, looked up when the fault begins",
            unit: "leader, follower, followers, random, minority, majority, all or names of nodes",
            takes_any: true,
            is_drawn: target.is_none(),
        },
        parameters: &[],
        needs: Needs { lab: LabBackend::Signals, nodes: 1, running: false, administrator: true },
        // It is in the process that it is in: one that is ended by something else cannot be healed.
        holds: HOLDS,
        explains_exit: *explains_exit,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn { shortest_ms: 1_500, longest_ms: 3_500, keeps: ExcludedNodes::Victims },
        evidence: Evidence {
            felt: |it| it.unit == "nodes",
            or_else: "no node took it on",
            shown: ShownBy::Majority,
        },
    };
    Row { description, make: Make::Described }
}

/// A fault of a description. It has no parameters.
#[derive(Debug)]
struct Described(FaultKind);

impl Fault {
    /// The declared fault of that kind.
    pub(super) fn described(kind: FaultKind) -> Fault {
        Fault(std::sync::Arc::new(Described(kind)))
    }
}

impl AnyFault for Described {
    fn kind(&self) -> FaultKind {
        self.0
    }

    fn parameters(&self) -> std::collections::BTreeMap<String, String> {
        std::collections::BTreeMap::new()
    }

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let administration = site.ground.administration.ok_or(InjectError::NoAdministration)?;
            let name = self.0.name();
            let asked = site.nodes.iter().map(|node| administration.inject(name, node.node()));
            let answers = all(asked.collect()).await;
            let (mut nodes, mut refused) = (Vec::new(), None);
            for (node, answer) in site.nodes.into_iter().zip(answers) {
                match answer {
                    Ok(()) => nodes.push(node),
                    Err(error) => refused = Some(error),
                }
            }
            let comes_back = self.0.description().explains_exit;
            let injected =
                Injected { administration, name, nodes, comes_back, since: Instant::now() };
            match refused {
                None => Ok(Box::new(injected) as Box<dyn Active + 'a>),
                Some(error) => {
                    // Half of a fault is none.
                    injected.heal_all(Duration::ZERO).await;
                    Err(InjectError::Described(error))
                }
            }
        })
    }
}

/// A fault that its nodes took on.
struct Injected<'a> {
    administration: &'a dyn Administration,
    name: &'static str,
    nodes: Vec<&'a NodeProcess>,
    /// Whether a node that ended under it is started again.
    comes_back: bool,
    since: Instant,
}

impl Injected<'_> {
    /// Heals it on every node, each until it succeeds or the `grace` is over; what is wrong where it did not.
    async fn heal_all(&self, grace: Duration) -> Vec<String> {
        let healing = self.nodes.iter().map(|node| self.heal_one(node, grace));
        let outcomes = all(healing.collect()).await;
        let outcomes = self.nodes.iter().zip(outcomes);
        outcomes
            .filter_map(|(node, outcome)| {
                outcome
                    .err()
                    .map(|error| format!("healing {} on {}: {error}", self.name, node.node()))
            })
            .collect()
    }

    async fn heal_one(&self, node: &NodeProcess, grace: Duration) -> Result<(), String> {
        let end = Instant::now() + grace;
        loop {
            let healed = self.administration.heal(self.name, node.node()).await;
            match healed {
                Err(error) if Instant::now() >= end => return Err(error.to_string()),
                Err(_) => sleep(STEP).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Starts the nodes that ended under it, if that was to be expected; what went wrong.
    async fn bring_back(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if !self.comes_back {
            return errors;
        }
        for node in self.nodes.iter().filter(|node| !node.is_running()) {
            let started = match node.start() {
                Ok(_) => prove_life(node).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            errors.extend(started.err().map(|error| format!("{}: {error}", node.node())));
        }
        errors
    }
}

impl Active for Injected<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        vec![Effect::new("took it on", self.nodes.len() as f64, "nodes")]
    }

    /// Healed even if everything is about to be shut down: what it did may outlive the nodes.
    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let mut effects = self.effects_so_far();
            let mut errors = Vec::new();
            if !shutting_down {
                errors.extend(self.bring_back().await);
            }
            let grace = if shutting_down { Duration::ZERO } else { GRACE };
            errors.extend(self.heal_all(grace).await);
            effects.push(Effect::new("in force", milliseconds(self.since.elapsed()), "ms"));
            Healed::now(effects, joined(&errors), clock)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::FaultSet;
    use super::*;

    fn fault(name: &str) -> DescribedFault {
        DescribedFault {
            name: name.to_owned(),
            summary: "as the store has it".to_owned(),
            target: Some(Target::Leader),
            explains_exit: false,
        }
    }

    #[test]
    fn a_declared_fault_is_known_by_its_name_and_in_no_set() {
        assert_eq!(FaultKind::named("sleepy-fsync"), None);
        let kind = declare(&fault("sleepy-fsync")).expect("a name");
        assert_eq!(FaultKind::named("sleepy-fsync"), Some(kind));
        assert!(names().contains(&"sleepy-fsync"));
        let set: FaultSet = "kill,sleepy-fsync".parse().expect("a set");
        let in_set: Vec<&str> = set.faults().map(FaultKind::name).collect();
        assert_eq!(in_set, ["kill", "sleepy-fsync"], "behind all others");
        let all: FaultSet = "all".parse().expect("a set");
        assert!(!all.contains(kind));
        assert!(all.clone().including([kind]).contains(kind));
        assert!(all.including([kind]).optional().contains(&kind), "nobody named it");
        let default: FaultSet = "default".parse().expect("a set");
        assert!(!default.including([kind]).contains(kind));
    }

    #[test]
    fn it_is_read_and_written_as_others_are() {
        let kind = declare(&fault("odd-reads")).expect("a name");
        let read = Fault::read(kind, &[]);
        assert_eq!((read.kind(), read.parameters().len()), (kind, 0));
        assert_eq!(read, kind.with_defaults());
        let delay = std::collections::BTreeMap::from([("delay".to_owned(), "1s".to_owned())]);
        let error = kind.with_parameters(&delay).expect_err("no such parameter").to_string();
        assert!(error.contains("unknown `delay`"), "{error}");
        assert!(!kind.moves_leadership() && !kind.changes_members());
    }

    #[test]
    fn what_was_declared_last_counts() {
        let first = declare(&fault("late")).expect("a name");
        let other = DescribedFault { explains_exit: true, ..fault("late") };
        declare(&other).expect("again");
        let known = || FaultKind::named("late").expect("known").description().explains_exit;
        assert!(known());
        assert_eq!(declare(&fault("late")), Ok(first));
        assert!(!known());
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for taken in ["kill", "all", "leader", "disk"] {
            assert_eq!(declare(&fault(taken)), Err(NameError::Taken(taken.to_owned())));
        }
        for wrong in ["", "A", "a b", "-a", "a,b", "1a"] {
            assert_eq!(declare(&fault(wrong)), Err(NameError::NoName(wrong.to_owned())));
        }
    }
}
