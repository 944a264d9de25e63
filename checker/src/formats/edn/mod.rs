//! Reads and writes histories as EDN, as Jepsen and Knossos have them.
//!
//! A history is a series of maps, or one vector or list of maps; each map is an event. Its fields
//! `:process`, `:type`, `:f`, `:value`, `:key`, `:time`, `:index` and `:node` mean what they mean in
//! JSON lines, see [`Event`](crate::Event); others are skipped. `vocabulary.rs` tells what is
//! particular to Jepsen's histories. Porcupine's log of a key/value store has the same form.
//!
//! Sources: the format by Knossos's README, *OK but really, how do I use this thing*
//! (<https://github.com/jepsen-io/knossos>); the key/value log by Porcupine's tests
//! (<https://github.com/anishathalye/porcupine>, `test_data/kv`).

pub(super) mod syntax;
mod text;
mod write;

use std::io::BufRead;

use self::syntax::{Parser, Place};
use super::error::{ReadError, ReadProblem};
use super::reading::{Cut, Reading};
use super::vocabulary::{Fields, InvalidEvent, Name, Vocabulary, may_matter};
use crate::history::History;

pub use write::{Keys, write_edn};

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(
    name: &str,
    input: impl BufRead,
    mut vocabulary: Vocabulary,
) -> Result<(History, Reading), ReadError> {
    let mut parser = Parser::new(name.into(), input, Place { line: 1, column: 1 });
    let collection = match parser.blank()? {
        Some(b'[') => Some(b']'),
        Some(b'(') => Some(b')'),
        _ => None,
    };
    if collection.is_some() {
        let _open = parser.take(b'[')? || parser.take(b'(')?;
    }
    let mut events = 0;
    loop {
        parser.begin_operation();
        let next = parser.blank()?;
        let place = parser.place();
        match (next, collection) {
            (Some(b'{'), _) => {
                let fields = match fields(&mut parser) {
                    Err(ReadError { problem: ReadProblem::EndsEarly(_), .. }) => {
                        return cut(&parser, vocabulary, events);
                    }
                    fields => fields?,
                };
                events += 1;
                vocabulary.take(fields, place).map_err(|refusal| match refusal {
                    InvalidEvent::At(error) => error,
                    InvalidEvent::Here(problem) => parser.error(place, problem),
                })?;
            }
            (Some(close), Some(expected)) if close == expected => {
                parser.take(close)?;
                break;
            }
            (None, None) => return finish(&parser, vocabulary),
            (None, Some(_)) => return cut(&parser, vocabulary, events),
            (Some(_), _) => return Err(unexpected(&mut parser, "an operation, which is a map")),
        }
    }
    match parser.blank()? {
        None => finish(&parser, vocabulary),
        Some(_) => Err(unexpected(&mut parser, "nothing after the list of operations")),
    }
}

/// As [`finish`], where the file ends in the middle of an operation or before the list does.
fn cut<R: BufRead>(
    parser: &Parser<R>,
    vocabulary: Vocabulary,
    events: u64,
) -> Result<(History, Reading), ReadError> {
    let (history, mut reading) = finish(parser, vocabulary)?;
    reading.cut = Some(Cut { line: parser.place().line, events });
    Ok((history, reading))
}

fn finish<R: BufRead>(
    parser: &Parser<R>,
    vocabulary: Vocabulary,
) -> Result<(History, Reading), ReadError> {
    vocabulary.finish().map_err(|(place, problem)| parser.error(place, problem))
}

/// Something else stands here than what was `expected`.
fn unexpected<R: BufRead>(parser: &mut Parser<R>, expected: &str) -> ReadError {
    let place = parser.place();
    match parser.peek() {
        Ok(Some(byte)) => parser.unexpected(place, expected, syntax::quote_byte(byte)),
        Ok(None) => parser.ends_early(expected),
        Err(error) => error,
    }
}

/// What follows the name of a field.
const VALUE: &str = "the value of a field";

/// Reads a map as an event.
fn fields<R: BufRead>(parser: &mut Parser<R>) -> Result<Fields, ReadError> {
    parser.take(b'{')?;
    let mut fields = Fields::default();
    loop {
        let next = parser.blank()?;
        let place = parser.place();
        match next {
            Some(b'}') => {
                parser.take(b'}')?;
                return Ok(fields);
            }
            Some(b':') => {}
            // Another operation, since the one before it has lost its end.
            Some(b'{') => return Err(parser.unexpected(place, "a field or `}`", "`{`")),
            _ => {
                parser.skip_form("a field or `}`")?;
                parser.skip_form(VALUE)?;
                continue;
            }
        }
        let word = parser.field_name()?;
        let Some(name) = Name::of(word) else {
            if may_matter(word) {
                let word = word.to_owned();
                fields.others.push(word);
            }
            parser.skip_form(VALUE)?;
            continue;
        };
        if fields.field(name).is_some() {
            let problem = ReadProblem::unexpected("every field once", format!("{name} again"));
            fields.refusal.get_or_insert(parser.error(place, problem));
            parser.skip_form(VALUE)?;
            continue;
        }
        // Elsewhere than in Jepsen's core, `:node` may be anything.
        if name == Name::Node && !matches!(parser.blank()?, Some(b'"' | b':')) {
            parser.skip_form(VALUE)?;
            continue;
        }
        parser.forget_refusal();
        *fields.field(name) = Some(parser.value(VALUE)?);
        match (name, parser.refusal()) {
            (_, None) | (Name::Error, _) => {}
            (Name::Value, refusal) => fields.value_refusal = refusal,
            (_, Some(refusal)) => {
                fields.refusal.get_or_insert(refusal);
            }
        }
    }
}

#[cfg(test)]
mod tests;
