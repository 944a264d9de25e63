//! Tells clients from what is none, and gives those with names their numbers.

use super::fields::Fields;
use super::words::{describe, keyword, known_function};
use super::{Entry, InvalidEvent, Vocabulary};
use crate::event::ProcessId;
use crate::formats::edn::syntax::Place;
use crate::formats::error::ReadProblem;
use crate::formats::reading::Severity;
use crate::value::Value;

/// Names of clients are numbered from here, where no number of a process has ever been seen.
const FIRST_NAMED: u32 = 1 << 31;

impl Vocabulary {
    /// The client; nothing if it is none.
    pub(super) fn client(
        &mut self,
        fields: &Fields,
        place: Place,
    ) -> Result<Option<ProcessId>, InvalidEvent> {
        let named = match &fields.process {
            Some(Value::Integer(number)) => {
                let number = u32::try_from(*number).ok();
                let free = |number: &u32| *number < FIRST_NAMED || self.named.is_empty();
                return number.filter(free).map(|number| Some(ProcessId(number))).ok_or_else(
                    || {
                        let expected =
                            ":process to be an integer from 0 to 4294967295, or :nemesis";
                        ReadProblem::unexpected(expected, describe(fields.process.as_ref())).into()
                    },
                );
            }
            Some(name @ Value::Text(_)) => Some(name),
            // A symbol, or any other form that is no value.
            Some(Value::Null) if fields.refusal.is_some() => None,
            other => {
                let expected = ":process to be an integer from 0 to 4294967295, or :nemesis";
                return Err(ReadProblem::unexpected(expected, describe(other.as_ref())).into());
            }
        };
        let is_nemesis = named.and_then(keyword) == Some("nemesis");
        let known = named.and_then(|name| self.named.get(name)).copied();
        if !is_nemesis && let Some(known) = known {
            return Ok(Some(known));
        }
        let invokes = fields.kind.as_ref().and_then(keyword) == Some("invoke")
            && fields.function.as_ref().and_then(keyword).and_then(known_function).is_some();
        let completes = matches!(fields.kind.as_ref().and_then(keyword), Some("ok" | "fail"))
            && fields.function.as_ref().and_then(keyword).and_then(known_function).is_some();
        match named {
            Some(name) if !is_nemesis && invokes => {
                let number = FIRST_NAMED + u32::try_from(self.named.len()).unwrap_or(0);
                self.named.insert(name.clone(), ProcessId(number));
                Ok(Some(ProcessId(number)))
            }
            Some(name) if !is_nemesis && completes => {
                let expected = format!("an invocation by {name} before its completion");
                Err(ReadProblem::unexpected(expected, describe(fields.kind.as_ref())).into())
            }
            None if invokes || completes => Err(fields_refusal(fields)),
            name => {
                let name = name.map_or_else(|| "no name".to_owned(), ToString::to_string);
                let text = format!("lines of {name}, which is no client, skipped");
                self.reading.note(Severity::Information, &text, place.line);
                Ok(None)
            }
        }
    }

    /// Gives clients with names the numbers after those of the others.
    pub(super) fn number_named(&mut self) {
        if self.named.is_empty() {
            return;
        }
        let numbers = self.entries.iter().map(|one| one.event.process.0);
        let first = numbers.filter(|&one| one < FIRST_NAMED).max().map_or(0, |last| last + 1);
        for Entry { event, .. } in &mut self.entries {
            if event.process.0 >= FIRST_NAMED {
                event.process = ProcessId(event.process.0 - FIRST_NAMED + first);
            }
        }
        let clients = self.named.len() as u64;
        self.decided("processes", &format!("clients with names, numbered from {first}"), clients);
    }
}

/// That the process is no name.
fn fields_refusal(fields: &Fields) -> InvalidEvent {
    let expected = ":process to be an integer from 0 to 4294967295, or :nemesis";
    ReadProblem::unexpected(expected, describe(fields.process.as_ref())).into()
}
