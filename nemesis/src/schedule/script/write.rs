//! Writes schedules as scripts that come to the very same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::{PlannedCommand, Script};
use crate::fault::{Target, Victims};
use crate::schedule::{PlannedFault, ReadOnlyPhase, Schedule};
use crate::units::written;

#[derive(Serialize)]
struct WrittenFault<'a> {
    id: u32,
    at: String,
    #[serde(rename = "for")]
    duration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<String>,
    fault: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Target>,
    #[serde(flatten)]
    parameters: BTreeMap<String, String>,
}

impl<'a> WrittenFault<'a> {
    fn of(planned: &'a PlannedFault) -> WrittenFault<'a> {
        let kind = planned.fault.kind();
        let defaults = kind.with_defaults().parameters();
        let mut parameters = planned.fault.parameters();
        parameters.retain(|name, value| defaults.get(name) != Some(value));
        let takes_target = matches!(kind.description().victims, Victims::Chosen { .. });
        WrittenFault {
            id: planned.id,
            at: milliseconds(planned.at_ms),
            duration: milliseconds(planned.duration_ms),
            when: planned.trigger.map(|trigger| trigger.when.to_string()),
            wait: planned.trigger.map(|trigger| milliseconds(trigger.wait_ms)),
            fault: kind.name(),
            target: takes_target.then_some(&planned.target),
            parameters,
        }
    }
}

#[derive(Serialize)]
struct WrittenPhase {
    at: String,
    #[serde(rename = "for")]
    duration: String,
}

impl WrittenPhase {
    fn of(phase: &ReadOnlyPhase) -> WrittenPhase {
        WrittenPhase { at: milliseconds(phase.at_ms), duration: milliseconds(phase.duration_ms) }
    }
}

#[derive(Serialize)]
struct WrittenCommand {
    at: String,
    say: String,
}

impl Schedule {
    /// The schedule as a script that comes to the very same, with `about` as its first line. What a
    /// fault is given by default is left out.
    pub fn written(&self, about: &str) -> String {
        let faults = self.faults.iter().map(WrittenFault::of);
        let mut text = format!("about = {}\nseed = {}\n", value(&about), self.seed);
        let _ = writeln!(text, "faults = {}", lines(faults));
        if !self.read_only.is_empty() {
            let phases = self.read_only.iter().map(WrittenPhase::of);
            let _ = writeln!(text, "read-only = {}", lines(phases));
        }
        text
    }
}

impl Script {
    /// Commands for one target as a script says them, with their times settled; nothing if there are
    /// none. Goes after [`Schedule::written`].
    pub fn commands_written(target: &str, commands: &[PlannedCommand]) -> String {
        if commands.is_empty() {
            return String::new();
        }
        let command =
            |it: &PlannedCommand| WrittenCommand { at: written(it.at), say: it.words.join(" ") };
        let commands = lines(commands.iter().map(command));
        format!("commands = {{ {} = {commands} }}\n", value(&target))
    }
}

fn milliseconds(ms: u64) -> String {
    written(Duration::from_millis(ms))
}

/// A list with an item a line.
fn lines<T: Serialize>(items: impl Iterator<Item = T>) -> String {
    let lines: String = items.map(|item| format!("  {},\n", value(&item))).collect();
    format!("[\n{lines}]")
}

/// A value as it stands after a key.
fn value(item: &impl Serialize) -> String {
    let mut text = String::new();
    // Texts, numbers and tables of these can always be written.
    let _ = item.serialize(toml::ser::ValueSerializer::new(&mut text));
    text
}
