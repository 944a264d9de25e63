//! The names that the command line takes, by kind.
//!
//! Every table of names is somewhere else, with what the names mean; here is what they have in
//! common: a word for their kind, and what is said of a name that is none of it.

use partita_checker::formats::Format;
use partita_checker::generate::{Fault as Damage, PlantedAnomaly, Shape};
use partita_checker::objects::OBJECTS;
use partita_checker::{ENGINES, EngineChoice, ISOLATION_LEVELS, Level, MODELS, ModelKind};
use partita_nemesis::fault::described;
use partita_nemesis::fault::set::FaultSetError;
use partita_nemesis::recipes::RECIPES;
use partita_nemesis::{FAULT_SETS, FAULTS, FaultSet};
use partita_raft_node::mutations::{self, Mutation};
use partita_raft_node::sim::scenarios::scenarios;
use partita_workloads::WorkloadInfo;
use partita_workloads::catalogue;

use crate::exit::{Failure, FailureContext};
use crate::targets::Target;
use crate::unknown_name::{TOML_FILE, UnknownName};

/// A kind of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Systems under test, for `--target`.
    Targets,
    /// What clients do, for `--workload`.
    Workloads,
    /// What a history can be generated of, for `generate --model`.
    Models,
    /// What a history can be about, for `--model`.
    Subjects,
    /// How a history is written down, for `--format`.
    Formats,
    /// What decides, for `--engine`.
    Engines,
    /// Faults and sets of them, for `--nemesis`.
    Faults,
    /// Schedules that come with the program, for `--schedule`.
    Recipes,
    /// Planted bugs of raft-node, for `--mutation`.
    Mutations,
    /// What the simulator runs, for `simulate --test`.
    Scenarios,
    /// What a generated history looks like over time, for `generate --shape`.
    Shapes,
    /// What a generated history has wrong, for `generate --fault`.
    Damages,
    /// What transactions are to keep, for `check --level`.
    Levels,
    /// What generated transactions show, for `generate --anomaly`.
    Anomalies,
}

impl Names {
    /// What one of them is called.
    const fn kind(self) -> &'static str {
        match self {
            Self::Targets => "target",
            Self::Workloads => "workload",
            Self::Models | Self::Subjects => "model",
            Self::Formats => "format",
            Self::Engines => "engine",
            Self::Faults | Self::Damages => "fault",
            Self::Recipes => "recipe",
            Self::Mutations => "planted bug",
            Self::Scenarios => "scenario",
            Self::Shapes => "shape",
            Self::Levels => "level",
            Self::Anomalies => "anomaly",
        }
    }

    /// What may be given instead of a name.
    const fn instead(self) -> &'static str {
        match self {
            Self::Targets | Self::Recipes => TOML_FILE,
            _ => "",
        }
    }

    /// Every name of the kind, in the order in which it is listed.
    pub fn all(self) -> Vec<String> {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        match self {
            Self::Targets => Target::built_in().into_iter().map(|target| target.name).collect(),
            Self::Workloads => owned(catalogue::all().map(|it| it.name).collect()),
            Self::Models => {
                let with_aliases = MODELS.iter().flat_map(|it| [&[it.name], it.aliases].concat());
                owned(with_aliases.collect())
            }
            Self::Subjects => {
                let objects = OBJECTS.iter().flat_map(|it| [&[it.name], it.aliases].concat());
                let mut all = Self::Models.all();
                all.extend(objects.map(str::to_owned));
                all
            }
            Self::Formats => owned(Format::ALL.iter().map(|it| it.name()).collect()),
            Self::Engines => owned(ENGINES.iter().map(|it| it.name).collect()),
            Self::Faults => {
                let sets = FAULT_SETS.iter().map(|it| it.name);
                let faults = FAULTS.iter().map(|it| it.name()).chain(described::names());
                owned(sets.chain(faults).collect())
            }
            Self::Recipes => owned(RECIPES.iter().map(|(name, _)| *name).collect()),
            Self::Mutations => owned(mutations::table().iter().map(|it| it.name).collect()),
            Self::Scenarios => {
                let groups = ["2A", "2B", "2C", "2D", "3", "all"].into_iter();
                owned(groups.chain(scenarios().iter().map(|it| it.name)).collect())
            }
            Self::Levels => {
                let all = ISOLATION_LEVELS.iter().flat_map(|it| [&[it.name], it.aliases].concat());
                let mut all: Vec<String> = all.map(str::to_owned).collect();
                all.extend(Level::ALL.map(|level| level.to_string()));
                all
            }
            Self::Anomalies => owned(PlantedAnomaly::ALL.iter().map(|it| it.name()).collect()),
            Self::Shapes => owned(Shape::ALL.iter().map(|it| it.name()).collect()),
            Self::Damages => owned(Damage::ALL.iter().map(|it| it.name()).collect()),
        }
    }

    /// That `name` is none of them, which there are, and which was perhaps meant.
    pub fn unknown(self, name: &str) -> UnknownName {
        UnknownName::new(self.kind(), name, &self.all(), self.instead())
    }
}

/// The model of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn model(name: &str) -> Result<ModelKind, UnknownName> {
    name.parse().map_err(|_| Names::Models.unknown(name))
}

/// A model's name as it was typed, which may say more than which model it is.
///
/// # Errors
///
/// [`UnknownName`].
pub fn model_name(name: &str) -> Result<String, UnknownName> {
    model(name).map(|_| name.to_owned())
}

/// The format of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn format(name: &str) -> Result<Format, UnknownName> {
    Format::from_name(name).ok_or_else(|| Names::Formats.unknown(name))
}

/// The engine of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn engine(name: &str) -> Result<EngineChoice, UnknownName> {
    name.parse().map_err(|_| Names::Engines.unknown(name))
}

/// The anomaly of that name, of generated transactions.
///
/// # Errors
///
/// [`UnknownName`].
pub fn planted(name: &str) -> Result<PlantedAnomaly, UnknownName> {
    name.parse().map_err(|_| Names::Anomalies.unknown(name))
}

/// The planted bug of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn mutation(name: &str) -> Result<Mutation, UnknownName> {
    name.parse().map_err(|_| Names::Mutations.unknown(name))
}

/// The shape of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn shape(name: &str) -> Result<Shape, UnknownName> {
    name.parse().map_err(|_| Names::Shapes.unknown(name))
}

/// The fault of that name, of a generated history.
///
/// # Errors
///
/// [`UnknownName`].
pub fn damage(name: &str) -> Result<Damage, UnknownName> {
    name.parse().map_err(|_| Names::Damages.unknown(name))
}

/// The workload of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn workload(name: &str) -> Result<&'static WorkloadInfo, UnknownName> {
    catalogue::find(name).map_err(|_| Names::Workloads.unknown(name))
}

/// The faults that the words after `--nemesis` name.
///
/// # Errors
///
/// [`Failure`] if one is unknown, or they do not go together.
pub fn faults(words: &str) -> Result<FaultSet, Failure> {
    let option = || "--nemesis".to_owned();
    match words.parse() {
        Err(FaultSetError::Unknown { name, .. }) => {
            Err(Names::Faults.unknown(&name)).or_usage(option)
        }
        other => other.or_usage(option),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use partita_nemesis::names::similar;

    fn meant(kind: Names, name: &str) -> Vec<String> {
        similar(name, &kind.all()).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        assert_eq!(meant(Names::Faults, "isolte"), ["isolate"]);
        assert_eq!(meant(Names::Faults, "puase"), ["pause"]);
        assert_eq!(meant(Names::Faults, "Power_Loss"), ["power-loss"]);
        assert_eq!(meant(Names::Models, "regsiter")[0], "register");
        assert_eq!(meant(Names::Mutations, "leader-local"), ["leader-local-read"]);
        assert_eq!(meant(Names::Engines, "frontiers"), ["frontier"]);
        assert!(meant(Names::Models, "bank").is_empty());
        assert!(meant(Names::Faults, "").is_empty());
    }

    #[test]
    fn every_kind_has_one_sentence_for_what_it_does_not_know() {
        for kind in [
            Names::Targets,
            Names::Workloads,
            Names::Models,
            Names::Formats,
            Names::Engines,
            Names::Faults,
            Names::Recipes,
            Names::Mutations,
            Names::Scenarios,
            Names::Shapes,
            Names::Damages,
            Names::Levels,
            Names::Anomalies,
        ] {
            let known = kind.all();
            let wrong = format!("{}q", known[known.len() - 1]);
            let message = kind.unknown(&wrong).to_string();
            assert!(message.starts_with(&format!("unknown {} `{wrong}`; expected ", kind.kind())));
            assert!(known.iter().all(|name| message.contains(name.as_str())), "{message}");
            assert!(message.contains("; did you mean `"), "{message}");
        }
    }
}
