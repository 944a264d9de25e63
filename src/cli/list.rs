//! `partita list`: what can be named on the command line.

use clap::{Args, ValueEnum};
use partita_checker::model::MODELS;
use partita_nemesis::Family;
use partita_nemesis::fault::FAULTS;
use partita_nemesis::menu::MENUS;
use partita_nemesis::recipes::{self, RECIPES};
use partita_workloads::catalogue::WORKLOADS;

use crate::exit::Exit;
use crate::say;
use crate::target::Target;

/// Lists the names that other commands take.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita list\n  partita list mutations")]
pub struct Arguments {
    /// One kind only.
    kind: Option<Kind>,
}

/// The kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Systems under test, for `--target`.
    Targets,
    /// What clients do, for `--workload`.
    Workloads,
    /// What a history can be about, for `check --model`.
    Models,
    /// What befalls nodes, for `--nemesis`.
    Faults,
    /// Schedules that come with the program, for `--schedule`.
    Recipes,
    /// Planted bugs of raft-node, for `--mutation`.
    Mutations,
}

/// Performs the command.
pub fn perform(arguments: &Arguments) -> Exit {
    let wanted = |kind| arguments.kind.is_none_or(|only| only == kind);
    if wanted(Kind::Targets) {
        heading("targets (--target)");
        for target in Target::built_in() {
            row(&target.name, &target.about);
        }
    }
    if wanted(Kind::Workloads) {
        heading("workloads (--workload)");
        for workload in WORKLOADS {
            row(workload.name, workload.about);
        }
    }
    if wanted(Kind::Models) {
        heading("models (check --model)");
        for model in &MODELS {
            row(model.name, model.about);
            if !model.aliases.is_empty() {
                note(&format!("also called {}", model.aliases.join(", ")));
            }
        }
    }
    if wanted(Kind::Faults) {
        faults();
    }
    if wanted(Kind::Recipes) {
        heading("recipes (--schedule)");
        for (name, _) in RECIPES {
            row(name, &recipes::find(name).map_or_else(String::new, |recipe| recipe.about));
        }
    }
    if wanted(Kind::Mutations) {
        heading("planted bugs of raft-node (--mutation)");
        for mutation in partita_raft_node::mutations::table() {
            row(mutation.name, mutation.wrong);
            note(&format!("exposed by: {}", mutation.fault));
        }
    }
    Exit::Valid
}

fn faults() {
    heading("menus and faults (--nemesis, one or several joined by commas)");
    for menu in &MENUS {
        row(menu.name, menu.summary);
    }
    let mut family = None;
    for fault in &FAULTS {
        if family.replace(fault.family) != Some(fault.family) {
            heading(&format!("faults: {}", heading_of(fault.family)));
        }
        row(fault.name, fault.summary);
        for parameter in fault.parameters {
            note(&format!(
                "{}: {}; {} (default {})",
                parameter.name, parameter.summary, parameter.unit, parameter.default
            ));
        }
    }
}

/// What a family of faults breaks.
const fn heading_of(family: Family) -> &'static str {
    match family {
        Family::Partition => "partitions (who hears whom)",
        Family::Link => "links (how well they carry)",
        Family::Process => "processes (who runs)",
        Family::Clock => "clocks (what time it is)",
        Family::Disk => "disks (what is kept)",
        Family::Membership => "membership (who belongs to the cluster)",
    }
}

fn heading(text: &str) {
    say!("{text}");
}

fn row(name: &str, about: &str) {
    say!("  {name:<33}{about}");
}

fn note(text: &str) {
    say!("  {:<33}  {text}", "");
}
