//! Histories in the words of one store, a line of JSON at a time: requests and answers that no other store has.

pub(crate) mod etcd;
pub(crate) mod s2;
#[cfg(test)]
mod tests;

use std::io::BufRead;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::assembly::Assembly;
use super::error::{ReadError, ReadProblem};
use super::json::intervals::Intervals;
use super::line_reader::LineReader;
use super::reading::{Cut, Reading};
use crate::history::History;

/// Reads lines that are each a `Line`, of which `take` makes operations. A file that ends within a line is
/// cut there.
fn read_lines<Line: DeserializeOwned>(
    name: &str,
    input: impl BufRead,
    assembly: Assembly,
    expected: &str,
    mut take: impl FnMut(Line, u64, &mut Intervals, &mut Reading) -> Result<(), ReadProblem>,
) -> Result<(Intervals, Assembly, Ending), ReadError> {
    // Requests are lists that are no tuples of anybody's.
    let mut assembly = assembly.without_tuples();
    let mut intervals = Intervals::default();
    let mut lines = LineReader::new(name, input);
    let mut events = 0;
    while lines.advance_to_text()? {
        let number = lines.number();
        let line: Line = match serde_json::from_slice(lines.text()) {
            Ok(line) => line,
            Err(error) if error.is_eof() && !lines.text().ends_with(b"\n") => {
                assembly.reading.cut = Some(Cut { line: number, events });
                break;
            }
            Err(error) => {
                let text = error.to_string();
                let found = text.split(" at line ").next().unwrap_or_default();
                let problem = ReadProblem::unexpected(expected, found);
                return Err(lines.error(Some(error.column().max(1)), problem));
            }
        };
        take(line, number, &mut intervals, &mut assembly.reading)
            .map_err(|problem| lines.error(None, problem))?;
        events += 1;
    }
    Ok((intervals, assembly, Ending(lines.name())))
}

/// The end of a file, where what is found out of the whole is blamed on one of its lines.
struct Ending(Arc<str>);

impl Ending {
    fn finish(
        self,
        intervals: Intervals,
        mut assembly: Assembly,
    ) -> Result<(History, Reading), ReadError> {
        let file = self.0;
        let blame =
            |(line, problem)| ReadError { file: Arc::clone(&file), line, column: None, problem };
        intervals.put_together(&mut assembly).map_err(blame)?;
        assembly.finish().map_err(blame)
    }
}
