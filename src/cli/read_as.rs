//! How a history was read, and what its verdict assumes, in words.

use indicatif::HumanCount;
use partita_checker::formats::{DecidedBy, Format, Reading, Severity};
use partita_reports::text::visible::{TEXT_CHARACTERS, visible};
use serde::Serialize;

use crate::outln;

/// What a verdict assumes besides what was read.
#[derive(Debug, Clone, Serialize)]
pub struct Assumed {
    /// The model's name, which stands elsewhere in `--json`.
    #[serde(skip)]
    pub name: &'static str,
    /// Whether it was given or told by the operations.
    pub model_by: DecidedBy,
    /// What objects hold before the first operation.
    pub initial: String,
}

/// Prints how a history was read: the choices on one line, then what was skipped or filled in.
pub fn print(reading: &Reading, assumed: &Assumed) {
    for line in read_as(reading, assumed) {
        outln!("  {}", visible(&line, TEXT_CHARACTERS));
    }
}

/// How a history was read, in lines: the choices, then what was skipped or filled in.
pub fn read_as(reading: &Reading, assumed: &Assumed) -> Vec<String> {
    let by = match assumed.model_by {
        DecidedBy::Option => "given",
        _ => "told by its operations",
    };
    let mut choices = match reading.format.map(Format::name) {
        Some(format) => format!("read as {format}: {} ({by})", assumed.name),
        // No file was read, so its operations told nothing.
        None if assumed.model_by == DecidedBy::Option => {
            format!("assumed: {} ({by})", assumed.name)
        }
        None => return Vec::new(),
    };
    let initial = if assumed.initial == "null" { "nothing" } else { &assumed.initial };
    choices += &format!(", initial value {initial}");
    for decision in &reading.decisions {
        choices += &format!(", {} = {}", decision.subject, decision.chosen);
        if decision.operations > 0 {
            choices += &format!(" ({})", HumanCount(decision.operations));
        }
        // What a format means may be something else in this file.
        let option = match (decision.by, &*decision.subject) {
            (DecidedBy::Format, "nil read") => " [--nil-read]",
            (DecidedBy::Format, "failed cas") => " [--failed-cas]",
            _ => "",
        };
        choices += option;
    }
    let notes = reading.notes.iter().map(|note| {
        let severity = if note.severity == Severity::Warning { "warning: " } else { "" };
        let place = if note.first_line > 0 {
            format!(", first on line {}", note.first_line)
        } else {
            String::new()
        };
        format!("{severity}{} ({}{place})", note.text, HumanCount(note.count))
    });
    let cut = reading
        .cut
        .as_ref()
        .map(|cut| format!("cut off at event {}: line {} is not whole", cut.events, cut.line));
    std::iter::once(choices).chain(cut).chain(notes).collect()
}
