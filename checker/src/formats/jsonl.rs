//! Reads and writes histories as JSON lines: one event a line, in real-time order.
//!
//! Fields are those of [`Event`]; others are ignored. Lines without text are skipped. The reader
//! keeps one line in memory, of bounded length. Leaves the rules of a history, such as that every
//! completion has an invocation, to [`HistoryBuilder`].

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use thiserror::Error;

use crate::event::Event;
use crate::history::{History, HistoryBuilder, HistoryError};

/// The longest line that is read, in bytes. A file without line ends must not fill the memory.
pub const LONGEST_LINE: usize = 16 << 20;

/// Why a file is no history.
#[derive(Debug, Error)]
#[error("{file}:{line}{}: {problem}", column.map_or_else(String::new, |at| format!(":{at}")))]
pub struct ReadError {
    /// The file's name, as the caller gave it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The byte in the line, from 1, where known.
    pub column: Option<usize>,
    /// What is wrong there.
    pub problem: ReadProblem,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum ReadProblem {
    /// The file cannot be read on.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The line is not an event.
    #[error("expected an event as a JSON object: {0}")]
    NotAnEvent(String),
    /// The last line ends in the middle, as after a crash or a full disk.
    #[error("the last line is cut off: expected a whole event and a line end ({0})")]
    CutOff(String),
    /// The line is longer than any event.
    #[error("expected a line of at most {LONGEST_LINE} bytes")]
    LineTooLong,
    /// The event cannot follow those before it.
    #[error("{0}")]
    History(#[from] HistoryError),
}

/// Reads the history in the file that is called `name`.
///
/// # Errors
///
/// If a line cannot be read, is no event or cannot follow the events before it.
pub fn read_history(name: &str, input: impl BufRead) -> Result<History, ReadError> {
    let mut reader = EventReader::new(name, input);
    let mut builder = HistoryBuilder::new();
    while let Some(event) = reader.read()? {
        builder.push(&event).map_err(|error| reader.error(None, error.into()))?;
    }
    Ok(builder.finish())
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
    name: Arc<str>,
    input: R,
    /// The line that is being read, with its end.
    text: Vec<u8>,
    line: u64,
    over: bool,
}

impl<R: BufRead> EventReader<R> {
    fn new(name: &str, input: R) -> Self {
        Self { name: name.into(), input, text: Vec::new(), line: 0, over: false }
    }

    fn read(&mut self) -> Result<Option<Event>, ReadError> {
        let event = self.next_event();
        self.over |= !matches!(event, Ok(Some(_)));
        event
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        while self.next_line()? {
            if !self.text.trim_ascii().is_empty() {
                return self.parse().map(Some);
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<bool, ReadError> {
        self.text.clear();
        self.line += 1;
        let mut bounded = io::Read::take(&mut self.input, LONGEST_LINE as u64 + 1);
        match bounded.read_until(b'\n', &mut self.text) {
            Err(error) => Err(self.error(None, error.into())),
            Ok(0) => Ok(false),
            Ok(length) if length > LONGEST_LINE => Err(self.error(None, ReadProblem::LineTooLong)),
            Ok(_) => Ok(true),
        }
    }

    fn parse(&self) -> Result<Event, ReadError> {
        serde_json::from_slice(&self.text).map_err(|error| {
            let whole = error.to_string();
            // The place stands before the message; it is the place in the line only.
            let text = whole.rsplit_once(" at line ").map_or(&*whole, |(text, _)| text).to_owned();
            let column = (error.column() > 0).then_some(error.column());
            if error.is_eof() && self.text.last() != Some(&b'\n') {
                self.error(column, ReadProblem::CutOff(text))
            } else {
                self.error(column, ReadProblem::NotAnEvent(text))
            }
        })
    }

    fn error(&self, column: Option<usize>, problem: ReadProblem) -> ReadError {
        ReadError { file: self.name.clone(), line: self.line, column, problem }
    }
}

impl<R: BufRead> Iterator for EventReader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over { None } else { self.read().transpose() }
    }
}

#[cfg(test)]
mod tests;
