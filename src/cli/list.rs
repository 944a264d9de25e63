//! `partita list`: what can be named on the command line.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::catalogue::{self, Entry, Kind, Section};
use crate::exit::{Exit, Failure, FailureContext};
use crate::targets::Target;
use crate::{outln, terminal};

/// Lists the names that other commands take, and says more of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita list\n  partita list mutations\n  \
                        partita list faults isolate\n  partita list recipes figure-8\n  \
                        partita list workloads --target my-store.toml\n  partita list faults --target my-store.toml\n  \
                        partita list --json")]
pub struct Arguments {
    /// One kind only.
    kind: Option<Kind>,
    /// One name of that kind, with all there is to say of it.
    #[arg(requires = "kind")]
    name: Option<String>,
    /// Say of each workload whether it fits this target, and what is missing if it does not; of each fault whether the
    /// target can have it and promises to survive it, those of its description included.
    #[arg(long, value_name = "NAME|FILE")]
    target: Option<String>,
    /// Print a JSON document instead of text: `format`, and a list of entries for each kind.
    #[arg(long)]
    json: bool,
}

/// The form of the document that `--json` prints.
const FORMAT: u32 = 1;

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no such name.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let kinds = Kind::value_variants().iter().copied();
    let kinds = kinds.filter(|kind| arguments.kind.is_none_or(|only| only == *kind));
    let mut sections: Vec<Section> = kinds.flat_map(catalogue::sections).collect();
    if let Some(name) = &arguments.target {
        let target = Target::find(name).or_usage(|| "--target".to_owned())?;
        sections = match arguments.kind {
            Some(Kind::Workloads) => vec![catalogue::workloads_for(&target)],
            Some(Kind::Faults) => catalogue::faults_for(&target),
            _ => {
                let problem = miette::miette!("--target says more of workloads and of faults only");
                return Err(Failure::usage(problem));
            }
        };
    }
    if let (Some(kind), Some(name)) = (arguments.kind, &arguments.name) {
        for section in &mut sections {
            section.entries.retain(|entry| entry.is_called(name));
        }
        sections.retain(|section| !section.entries.is_empty());
        if sections.is_empty() {
            return Err(kind.names().unknown(name)).or_usage(|| format!("list {}", kind.word()));
        }
    }
    if arguments.json {
        terminal::document(&document(sections))?;
        return Ok(Exit::Valid);
    }
    let is_one = arguments.name.is_some();
    for section in &sections {
        if !is_one {
            outln!("{}", section.heading);
        }
        for entry in &section.entries {
            if is_one { in_full(entry) } else { in_short(entry) }
        }
    }
    Ok(Exit::Valid)
}

fn document(sections: Vec<Section>) -> Value {
    let mut document = Map::new();
    document.insert("format".to_owned(), json!(FORMAT));
    for Section { key, entries, .. } in sections {
        let list = document.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.extend(entries.into_iter().map(Entry::into_json));
        }
    }
    Value::Object(document)
}

fn in_short(entry: &Entry) {
    outln!("  {:<33}{}", entry.name, entry.about);
    for note in &entry.notes {
        outln!("  {:<33}  {note}", "");
    }
}

fn in_full(entry: &Entry) {
    outln!("{}: {}", entry.name, entry.about);
    for (what, text) in &entry.details {
        for (number, line) in text.lines().enumerate() {
            let what = if number == 0 { format!("{what}:") } else { String::new() };
            outln!("  {what:<14}{line}");
        }
    }
}
