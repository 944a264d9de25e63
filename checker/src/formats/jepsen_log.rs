//! Reads histories from the log lines that Jepsen writes as a test goes on, and from the table of
//! the same operations that it leaves as `history.txt`, where no logger is named.
//!
//! Such a line names `jepsen.util`, and then an operation: process, type, function, value and
//! perhaps an error, as in `INFO  jepsen.util - 3 :fail :cas [1 2] :no-leader`. They are EDN; see
//! `vocabulary.rs`. Other lines belong to other parts of Jepsen and are skipped. The log has no
//! times of its own worth the name, and no indexes: the order of its lines is that of the events.
//!
//! Sources: `op->str` and `log-op` in Jepsen (<https://github.com/jepsen-io/jepsen>,
//! `jepsen/src/jepsen/util.clj`); for `:timed-out` as a value, and for failed compare-and-sets,
//! Porcupine's tests (<https://github.com/anishathalye/porcupine>, `porcupine_test.go`).

use std::io::BufRead;

use super::edn::syntax::{Parser, Place};
use super::error::{ReadError, ReadProblem};
use super::line_reader::LineReader;
use super::reading::{Cut, Reading, Severity};
use super::vocabulary::{Fields, InvalidEvent, Vocabulary};
use crate::history::History;
use crate::value::Value;

/// What names the part of Jepsen that logs operations.
const LOGGER: &[u8] = b"jepsen.util";

/// Whether some line of `text` is one of an operation.
pub(super) fn looks_like(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| operation(line).is_some())
}

/// Whether the line is one of a client's operation.
pub(super) fn is_operation(line: &[u8]) -> bool {
    operation(line).is_some_and(|start| names_type(&line[start..]))
}

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(
    name: &str,
    input: impl BufRead,
    mut vocabulary: Vocabulary,
) -> Result<(History, Reading), ReadError> {
    let mut lines = LineReader::new(name, input);
    let mut events = 0;
    let mut cut = None;
    while lines.advance_to_text()? {
        let text = lines.text();
        // A value that is cut off may look like another one, and a logger's name like none.
        if text.last() != Some(&b'\n') {
            cut = Some(Cut { line: lines.number(), events });
            break;
        }
        let Some(start) = operation(text) else { continue };
        let place = Place { line: lines.number(), column: start + 1 };
        if text[..start].iter().any(u8::is_ascii_digit) && row(text).is_some() {
            vocabulary.note(
                Severity::Information,
                "times of rows, which were not used",
                place.line,
            );
        }
        if text[start] == b':' {
            let text = "lines of a nemesis, which is no client, skipped";
            vocabulary.note(Severity::Information, text, place.line);
            continue;
        }
        if !names_type(&text[start..]) {
            vocabulary.note(Severity::Information, "lines of no operation skipped", place.line);
            continue;
        }
        events += 1;
        let fields = fields(Parser::new(lines.name(), &text[start..], place))
            .map_err(|error| in_line(error, place.line))?;
        vocabulary.take(fields, place).map_err(|refusal| match refusal {
            InvalidEvent::At(error) => error,
            InvalidEvent::Here(problem) => lines.error(Some(place.column), problem),
        })?;
    }
    let finished = vocabulary.finish().map_err(|(place, problem)| ReadError {
        file: name.into(),
        line: place.line,
        column: Some(place.column),
        problem,
    });
    let (history, reading) = finished?;
    Ok((history, Reading { cut, ..reading }))
}

/// The error of a line that ends early: the file goes on.
fn in_line(error: ReadError, line: u64) -> ReadError {
    match error.problem {
        ReadProblem::EndsEarly(expected) => {
            let problem = ReadProblem::unexpected(expected, "the end of the line");
            ReadError { line, column: None, problem, ..error }
        }
        _ => error,
    }
}

/// Reads a line from its process on.
fn fields(mut parser: Parser<&[u8]>) -> Result<Fields, ReadError> {
    let mut fields = Fields {
        process: Some(parser.value("a process")?),
        kind: Some(parser.value("a type")?),
        function: Some(parser.value("a function")?),
        ..Fields::default()
    };
    fields.refusal = parser.refusal();
    let is = |name: &str| matches!(&fields.kind, Some(Value::Text(kind)) if &**kind == name);
    let gave_up = is(":fail") || is(":info");
    match parser.value("a value") {
        Ok(value) => fields.value = Some(value),
        // There may be any words about what went wrong.
        Err(_) if gave_up => return Ok(fields),
        Err(error) => return Err(error),
    }
    fields.value_refusal = parser.refusal();
    if let Ok(Some(_)) = parser.blank()
        && let Ok(error) = parser.value("an error")
    {
        // A form that is no value names an error as well.
        let named = if parser.refusal().is_some() { Value::text("unreadable") } else { error };
        fields.error = Some(named);
    }
    Ok(fields)
}

/// Whether a type follows the number that the line begins with. Others than operations are logged
/// as well, as in `jepsen.util - 5 nodes are up`.
fn names_type(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = &line[digits..];
    let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    blanks > 0 && rest.get(blanks) == Some(&b':')
}

/// Where the operation of a line begins; nothing if the line has none.
fn operation(line: &[u8]) -> Option<usize> {
    if let Some(start) = row(line) {
        return Some(start);
    }
    let found = line.windows(LOGGER.len()).position(|window| window == LOGGER)?;
    let mut at = found + LOGGER.len();
    let blanks =
        |at: usize| line[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    at += blanks(at);
    let separated = matches!(line.get(at), Some(b'-' | b':'))
        && line.get(at + 1).is_some_and(u8::is_ascii_whitespace);
    if separated {
        at += 1;
        at += blanks(at);
    }
    line.get(at).filter(|&&byte| byte.is_ascii_digit() || byte == b':').map(|_| at)
}

/// Where the operation begins in a line of Jepsen's `history.txt`, which has no logger, and may
/// have a time in front.
fn row(line: &[u8]) -> Option<usize> {
    let words: Vec<&[u8]> =
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(3).collect();
    let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let is_process = |word: &[u8]| is_number(word) || word == b":nemesis";
    let is_type = |word: &[u8]| matches!(word, b":invoke" | b":ok" | b":fail" | b":info");
    let process = match words[..] {
        [process, kind, ..] if is_process(process) && is_type(kind) => process,
        [time, process, kind] if is_number(time) && is_process(process) && is_type(kind) => process,
        _ => return None,
    };
    Some(process.as_ptr() as usize - line.as_ptr() as usize)
}

#[cfg(test)]
mod tests;
