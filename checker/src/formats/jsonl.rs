//! Reads and writes histories as JSON lines: one event a line, in real-time order.
//!
//! Fields are those of [`Event`]. LineReader without text are skipped. [`read_events`] takes our own
//! lines only, and keeps one in memory, of bounded length; [`read_history`] takes those of other
//! recorders as well. LineReader of the form that the writer gives them are read by `plain.rs`, which
//! costs a fraction of the time and gives the same results. The rules of a history, such as that
//! every completion has an invocation, are those of [`HistoryBuilder`](crate::HistoryBuilder).

pub(super) mod plain;

use std::io::{self, BufRead, Write};

use super::assembly::Assembly;
pub use super::error::{LONGEST_LINE, ReadError, ReadProblem};
use super::line_reader::LineReader;
use super::{Format, ReadOptions, json};
use crate::event::{Event, Record};
use crate::history::History;

/// Reads the history in the file that is called `name`, as [`read`](super::read) reads JSON.
///
/// # Errors
///
/// If something in it cannot be read, is no event or cannot follow the events before it, and if
/// the file is cut off in the middle of an event.
pub fn read_history(name: &str, input: impl BufRead) -> Result<History, ReadError> {
    let assembly = Assembly::new(Format::JsonLines, &ReadOptions::default());
    let (history, reading) = json::read_history(name, input, assembly, false)?;
    match reading.cut {
        None => Ok(history),
        Some(cut) => {
            let problem = ReadProblem::CutOff(format!("{} whole events before it", cut.events));
            Err(ReadError { file: name.into(), line: cut.line, column: None, problem })
        }
    }
}

/// Reads the events in the file that is called `name`, one by one. After an error there is no more.
pub fn read_events<R: BufRead>(name: &str, input: R) -> EventReader<R> {
    EventReader::new(name, input)
}

/// Writes events, one a line.
///
/// # Errors
///
/// If `output` cannot be written to.
pub fn write_events<'a>(
    mut output: impl Write,
    events: impl IntoIterator<Item = &'a Event>,
) -> io::Result<()> {
    for event in events {
        write_event(&mut output, event)?;
    }
    output.flush()
}

/// Writes one event as one line. Does not flush.
///
/// # Errors
///
/// If `output` cannot be written to.
pub fn write_event(mut output: impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut output, event)?;
    output.write_all(b"\n")
}

/// The events of a file; see [`read_events`].
#[derive(Debug)]
pub struct EventReader<R> {
    lines: LineReader<R>,
    recent: plain::Recent,
    over: bool,
}

impl<R: BufRead> EventReader<R> {
    fn new(name: &str, input: R) -> Self {
        let (lines, recent) = (LineReader::new(name, input), plain::Recent::default());
        Self { lines, recent, over: false }
    }

    /// Gives `take` the next event where it stands; nothing at the end of the file.
    fn read<T>(&mut self, take: impl FnMut(&Record<'_>) -> T) -> Result<Option<T>, ReadError> {
        let taken = self.read_on(take);
        self.over |= !matches!(taken, Ok(Some(_)));
        taken
    }

    fn read_on<T>(
        &mut self,
        mut take: impl FnMut(&Record<'_>) -> T,
    ) -> Result<Option<T>, ReadError> {
        let recent = &mut self.recent;
        let plain = self.lines.peek(|text| {
            let (record, length) = plain::record(text, recent)?;
            Some((length, take(&record)))
        })?;
        if plain.is_some() {
            return Ok(plain);
        }
        if !self.lines.advance_to_text()? {
            return Ok(None);
        }
        let event = self.parse()?;
        Ok(Some(take(&Record::from(&event))))
    }

    fn parse(&self) -> Result<Event, ReadError> {
        let text = self.lines.text();
        serde_json::from_slice(text).map_err(|error| {
            let whole = error.to_string();
            // The place stands before the message; it is the place in the line only.
            let message = whole.rsplit_once(" at line ").map_or(&*whole, |(text, _)| text);
            let column = (error.column() > 0).then_some(error.column());
            let problem = if error.is_eof() && text.last() != Some(&b'\n') {
                ReadProblem::CutOff(message.to_owned())
            } else {
                ReadProblem::NotAnEvent(message.to_owned())
            };
            self.lines.error(column, problem)
        })
    }
}

impl<R: BufRead> Iterator for EventReader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over { None } else { self.read(|record| Event::from(*record)).transpose() }
    }
}

#[cfg(test)]
mod tests;
