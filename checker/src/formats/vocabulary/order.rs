//! Indices and times of events, given or filled in.

use super::Vocabulary;
use super::words::whole;
use crate::event::EventKind;
use crate::formats::error::ReadProblem;
use crate::formats::reading::{Note, Severity};
use crate::value::Value;

impl Vocabulary {
    /// Counts an event that is none of a client, so that numbers stay those of lines.
    pub(super) fn step_over(&mut self, index: Option<&Value>) {
        let next = self.last.map_or(0, |(last, _)| last.saturating_add(1));
        let index = match index {
            Some(Value::Integer(given)) => u64::try_from(*given).unwrap_or(next).max(next),
            _ => next,
        };
        let time = self.last.map_or(0, |(_, time)| time);
        self.last = Some((index, if self.timed > 0 { time } else { index }));
    }

    pub(super) fn index(&self, index: Option<&Value>) -> Result<u64, ReadProblem> {
        match index {
            None => Ok(self.last.map_or(0, |(last, _)| last.saturating_add(1))),
            Some(index) => whole(":index", index),
        }
    }

    pub(super) fn time(
        &mut self,
        time: Option<&Value>,
        index: u64,
        line: u64,
    ) -> Result<u64, ReadProblem> {
        if let Some(time) = time {
            self.timed += 1;
            return whole(":time", time);
        }
        if self.options.sort_by_time {
            let expected = ":time in every event, since they are to be sorted by it";
            return Err(ReadProblem::unexpected(expected, "none"));
        }
        if self.untimed == 0 {
            self.first_untimed = line;
        }
        self.untimed += 1;
        Ok(match self.last {
            Some((_, last)) if self.timed > 0 => last,
            _ => index,
        })
    }

    /// Takes a time that goes back as that of the event before, where the order of lines claims no
    /// more for it than that operations overlap: Jepsen's workers stamp events before they get their
    /// places. An invocation before a completion further up is left to be refused, unless events are
    /// numbered, which tells their order.
    pub(super) fn forward(&mut self, time: u64, kind: EventKind, numbered: bool, line: u64) -> u64 {
        let last = self.last.map_or(0, |(_, last)| last);
        let contradicts = kind == EventKind::Invoke && time < self.completed;
        if self.options.sort_by_time || (contradicts && !numbered) {
            return time;
        }
        if contradicts {
            let text = "times that contradict :index, which counts";
            self.note(Severity::Warning, text, line);
            return time.max(last);
        }
        if kind != EventKind::Invoke {
            self.completed = self.completed.max(time);
        }
        if time < last {
            let text =
                "times that go back between operations that overlap, taken as the time before";
            self.note(Severity::Information, text, line);
        }
        time.max(last)
    }

    pub(super) fn note_times(&mut self) {
        if self.timed > 0 && self.untimed > 0 {
            let text = "events without :time, taken as at the time of the event before";
            self.reading.notes.push(Note {
                severity: Severity::Warning,
                text: text.to_owned(),
                count: self.untimed,
                first_line: self.first_untimed,
            });
        }
    }
}
