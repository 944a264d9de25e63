//! Reads histories from the log lines that Jepsen writes as a test goes on.
//!
//! Such a line names `jepsen.util`, and then an operation: process, type, function, value and
//! perhaps an error, as in `INFO  jepsen.util - 3 :invoke :write 4`. The first four are EDN; see
//! `vocabulary.rs`. Other lines belong to other parts of Jepsen and are skipped. The log has no
//! times of its own worth the name, and no indexes: the order of its lines is that of the events.
//!
//! Sources: `op->str` and `log-op` in Jepsen (<https://github.com/jepsen-io/jepsen>,
//! `jepsen/src/jepsen/util.clj`); for `:timed-out` as a value, and for failed compare-and-sets,
//! Porcupine's tests (<https://github.com/anishathalye/porcupine>, `porcupine_test.go`).

use std::io::BufRead;

use super::edn::syntax::{Parser, Place};
use super::edn::understand;
use super::error::{ReadError, ReadProblem};
use super::lines::Lines;
use super::vocabulary::{Fields, Vocabulary};
use crate::history::{History, HistoryBuilder};

/// What names the part of Jepsen that logs operations.
const LOGGER: &[u8] = b"jepsen.util";

/// Whether some line of `text` is one of an operation.
pub(super) fn looks_like(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| operation(line).is_some())
}

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(
    name: &str,
    input: impl BufRead,
    mut vocabulary: Vocabulary,
) -> Result<History, ReadError> {
    let mut lines = Lines::new(name, input);
    let mut builder = HistoryBuilder::new();
    while lines.advance_to_text()? {
        let text = lines.text();
        let Some(start) = operation(text) else { continue };
        let place = Place { line: lines.number(), column: start + 1 };
        let mut parser = Parser::new(lines.name(), &text[start..], place);
        // A value that is cut off may look like another one.
        if text.last() != Some(&b'\n') {
            let problem = ReadProblem::EndsEarly("a line end".to_owned());
            return Err(lines.error(Some(text.len() + 1), problem));
        }
        let fields = Fields {
            process: Some(parser.value("a process")?),
            kind: Some(parser.value("a type")?),
            function: Some(parser.value("a function")?),
            ..Fields::default()
        };
        if let Some(refusal) = parser.refusal() {
            return Err(refusal);
        }
        let fields = Fields { value: Some(parser.value("a value")?), ..fields };
        if let Some(event) = understand(&mut parser, place, &mut vocabulary, fields)? {
            builder.push(&event).map_err(|error| lines.error(Some(start + 1), error.into()))?;
        }
    }
    Ok(builder.finish())
}

/// Where the operation of a line begins; nothing if the line has none.
fn operation(line: &[u8]) -> Option<usize> {
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

#[cfg(test)]
mod tests;
