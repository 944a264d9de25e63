//! Reads and writes histories as EDN, as Jepsen and Knossos have them.
//!
//! A history is a series of maps, or one vector or list of maps; each map is an event. Its fields
//! `:process`, `:type`, `:f`, `:value`, `:key`, `:time`, `:index` and `:node` mean what they mean in
//! JSON lines, see [`Event`]; others are skipped. `vocabulary.rs` tells what is
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
use super::vocabulary::{Fields, Name, Vocabulary};
use crate::event::Event;
use crate::history::{History, HistoryBuilder};

pub use write::{Keys, write_edn};

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(
    name: &str,
    input: impl BufRead,
    mut vocabulary: Vocabulary,
) -> Result<History, ReadError> {
    let mut parser = Parser::new(name.into(), input, Place { line: 1, column: 1 });
    let mut builder = HistoryBuilder::new();
    let collection = match parser.blank()? {
        Some(b'[') => Some(b']'),
        Some(b'(') => Some(b')'),
        _ => None,
    };
    if collection.is_some() {
        let _open = parser.take(b'[')? || parser.take(b'(')?;
    }
    loop {
        parser.begin_operation();
        let next = parser.blank()?;
        let place = parser.place();
        match (next, collection) {
            (Some(b'{'), _) => {
                let fields = fields(&mut parser)?;
                if let Some(event) = understand(&mut parser, place, &mut vocabulary, fields)? {
                    let pushed = builder.push(&event);
                    pushed.map_err(|error| parser.error(place, error.into()))?;
                }
            }
            (Some(close), Some(expected)) if close == expected => {
                parser.take(close)?;
                break;
            }
            (None, None) => return Ok(builder.finish()),
            (None, Some(_)) => return Err(parser.ends_early("another operation or the end")),
            (Some(_), _) => return Err(unexpected(&mut parser, "an operation, which is a map")),
        }
    }
    match parser.blank()? {
        None => Ok(builder.finish()),
        Some(_) => Err(unexpected(&mut parser, "nothing after the list of operations")),
    }
}

/// Makes an event of the fields that begin at `place`; nothing if it is none of a client.
pub(super) fn understand<R: BufRead>(
    parser: &mut Parser<R>,
    place: Place,
    vocabulary: &mut Vocabulary,
    fields: Fields,
) -> Result<Option<Event>, ReadError> {
    // What is no value to us does not matter where no value does.
    let needs_value = fields.needs_value();
    if let Some(refusal) = parser.refusal().filter(|_| needs_value) {
        return Err(refusal);
    }
    let event = vocabulary.event(fields);
    event.map_err(|problem| parser.error(place, problem))
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
            _ => {
                parser.skip_form("a field or `}`")?;
                parser.skip_form(VALUE)?;
                continue;
            }
        }
        let Some(name) = Name::of(parser.keyword()?) else {
            parser.skip_form(VALUE)?;
            continue;
        };
        let field = fields.field(name);
        if field.is_some() {
            let problem = ReadProblem::unexpected("every field once", format!("{name} again"));
            return Err(parser.error(place, problem));
        }
        // Elsewhere than in Jepsen's core, `:node` may be anything.
        if name == Name::Node && !matches!(parser.blank()?, Some(b'"' | b':')) {
            parser.skip_form(VALUE)?;
            continue;
        }
        *field = Some(parser.value(VALUE)?);
        if name != Name::Value
            && let Some(refusal) = parser.refusal()
        {
            return Err(refusal);
        }
    }
}

#[cfg(test)]
mod tests;
