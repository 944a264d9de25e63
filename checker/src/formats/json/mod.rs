//! Reads histories in JSON: our own lines, and those of other recorders.
//!
//! A history is a series of objects, one a line or over several lines, or one array of them. Each
//! object is an event, or each is a whole operation with its start and its end, see
//! [`intervals`]. Lines as our own writer makes them are read the quick way, by
//! [`plain`](super::jsonl); all others come here. What other recorders leave out is filled in, and
//! what they have besides is ignored, and each is counted in the [`Reading`]:
//!
//! - fields have our names or one of their synonyms, and so have functions; see `names.rs`;
//! - without `index`, events are numbered; without `time`, their numbers are their times;
//! - processes may be named by texts, which get numbers by their first appearance;
//! - what the process `nemesis` did is skipped, and so are objects that name no process, type or
//!   function, which are lines of a log;
//! - a completion without `key` has that of its invocation;
//! - a file that ends in the middle of an object or of its array is cut: what is whole counts.
//!
//! Refused, with line and column: an unknown function or type, a field twice or with two letters
//! changed over, and an answer or argument without its `value`.

mod clients;
mod fields;
pub(super) mod intervals;
mod names;
mod number;
mod syntax;

use std::io::BufRead;

use rustc_hash::FxHashMap;

use self::clients::Clients;
use self::fields::{Field, Fields};
use self::intervals::Intervals;
use self::names::{Name, Other};
use self::syntax::{Items, Next, Node, NodeKind, SyntaxError};
use super::assembly::{Assembly, hint_at_sorting};
use super::edn::syntax::quote;
use super::error::{ReadError, ReadProblem};
use super::jsonl::plain;
use super::reading::{Cut, DecidedBy, Decision, Reading, Severity};
use crate::event::Level;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::history::History;
use crate::value::Value;

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(
    name: &str,
    input: impl BufRead,
    assembly: Assembly,
    sorting: bool,
) -> Result<(History, Reading), ReadError> {
    let mut reader = Reader {
        items: Items::new(name, input),
        assembly,
        last: None,
        open: sorting.then(FxHashMap::default),
        shape: None,
        clients: Clients::default(),
        intervals: Intervals::default(),
        tally: Tally::default(),
        recent: plain::Recent::default(),
        read: 0,
    };
    while let Some(step) = reader.step()? {
        if step == Next::Cut {
            let line = reader.items.last_line();
            reader.assembly.reading.cut = Some(Cut { line, events: reader.read });
            break;
        }
    }
    reader.finish()
}

/// What a note says of objects that are no events.
const LINE_OF_LOG: &str = "objects without `process`, `type` and `f`, taken to be lines of a log";

/// What the objects of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Events,
    Intervals,
}

/// What the object with these fields is; nothing if it is a line of a log.
fn shape(fields: &Fields<'_>) -> Option<Shape> {
    if fields.get(Name::Start).is_some() && !matches!(fields.kind(), Some(EventKind::Invoke)) {
        return Some(Shape::Intervals);
    }
    let names = [Name::Process, Name::Kind, Name::Function];
    names.into_iter().any(|name| fields.get(name).is_some()).then_some(Shape::Events)
}

/// What was filled in or left out, besides the notes of a [`Reading`] that are made at once.
#[derive(Debug, Default)]
struct Tally {
    /// Fields that have no meaning here, with how often they were met and where first.
    others: FxHashMap<String, (u64, u64)>,
    no_index: Count,
    no_time: Count,
    timed: Count,
}

/// How often something was met, and on which line first.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    count: u64,
    first_line: u64,
}

impl Count {
    const fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.first_line = line;
        }
        self.count += 1;
    }
}

impl Tally {
    fn others<'n>(&mut self, names: impl Iterator<Item = &'n str>, line: u64) {
        for name in names {
            if let Some((count, _)) = self.others.get_mut(name) {
                *count += 1;
            } else if Other::of(name) != Other::Harmless {
                self.others.insert(name.to_owned(), (1, line));
            }
        }
    }

    fn tell(self, reading: &mut Reading) {
        let mut note = |severity, text: &str, count: Count| {
            if count.count > 0 {
                reading.note_many(severity, text, count.count, count.first_line);
            }
        };
        note(Severity::Information, "events without `index`, which were numbered", self.no_index);
        if self.timed.count == 0 {
            let text = "events without `time`, whose order is that of the file";
            note(Severity::Information, text, self.no_time);
        } else {
            let text = "events without `time` among others with it, taken to be at the time before";
            note(Severity::Warning, text, self.no_time);
        }
        let mut others: Vec<_> = self.others.into_iter().collect();
        others.sort_by(|(a, (_, one)), (b, (_, other))| (one, a).cmp(&(other, b)));
        for (name, (count, first_line)) in others {
            let name = quote(&name.escape_debug().to_string());
            let text = match Other::of(&name[1..name.len() - 1]) {
                Other::Evidence => format!("fields {name} were not checked: only values are"),
                _ => format!("fields {name} are not known and were ignored"),
            };
            note(Severity::Warning, &text, Count { count, first_line });
        }
    }
}

struct Reader<R> {
    items: Items<R>,
    assembly: Assembly,
    /// Index and time of the event before.
    last: Option<(u64, u64)>,
    /// The keys of open operations, where the history is put together only at the end.
    open: Option<FxHashMap<ProcessId, Value>>,
    shape: Option<Shape>,
    clients: Clients,
    intervals: Intervals,
    tally: Tally,
    /// What the quick way keeps.
    recent: plain::Recent,
    /// How many events or operations were read, those of the nemesis included.
    read: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the next object; nothing at the end of the file.
    fn step(&mut self) -> Result<Option<Next>, ReadError> {
        if self.step_plain()? {
            return Ok(Some(Next::Item));
        }
        match self.items.advance()? {
            Next::End => return Ok(None),
            Next::Cut => return Ok(Some(Next::Cut)),
            Next::Item => {}
        }
        let fault = match syntax::parse(self.items.text()?) {
            Ok(node) => {
                let taken = Object {
                    line: self.items.line(),
                    assembly: &mut self.assembly,
                    last: &mut self.last,
                    open: &mut self.open,
                    clients: &mut self.clients,
                    tally: &mut self.tally,
                    shape: &mut self.shape,
                    intervals: &mut self.intervals,
                }
                .take(&node);
                match taken {
                    Ok(event) => {
                        self.read += 1;
                        if let Some(event) = event {
                            let line = self.items.line();
                            let taken = self.assembly.take(&Record::from(&event), line);
                            taken.map_err(|problem| self.refused(problem))?;
                            self.assembly.note_pending(line);
                        }
                        return Ok(Some(Next::Item));
                    }
                    Err(fault) => fault,
                }
            }
            Err(fault) => fault,
        };
        Err(self.items.error(fault.at, fault.problem))
    }

    /// Reads the next line if it has the form that our own writer gives to lines.
    fn step_plain(&mut self) -> Result<bool, ReadError> {
        let is_other = self.shape == Some(Shape::Intervals) || self.open.is_some();
        if is_other || !self.clients.keep_numbers() {
            return Ok(false);
        }
        let (assembly, tally, last) = (&mut self.assembly, &mut self.tally, &mut self.last);
        let recent = &mut self.recent;
        let taken = self.items.peek(|text, line| {
            let (record, length) = plain::record(text, recent)?;
            tally.timed.add(line);
            *last = Some((record.index, record.time.0));
            let taken = assembly.take(&record, line);
            assembly.note_pending(line);
            Some((length, taken))
        })?;
        let Some(taken) = taken else { return Ok(false) };
        self.shape = Some(Shape::Events);
        self.clients.see_number();
        self.read += 1;
        taken.map_err(|problem| self.refused(problem))?;
        Ok(true)
    }

    /// The object that was read last cannot follow those before it.
    fn refused(&self, problem: ReadProblem) -> ReadError {
        ReadError { column: None, ..self.items.error(0, hint_at_sorting(problem)) }
    }

    fn finish(mut self) -> Result<(History, Reading), ReadError> {
        let named = self.clients.named() as u64;
        let reading = &mut self.assembly.reading;
        std::mem::take(&mut self.tally).tell(reading);
        if named > 0 {
            reading.decisions.push(Decision {
                subject: "clients".to_owned(),
                chosen: "names, numbered by their first appearance".to_owned(),
                by: DecidedBy::Content,
                operations: 0,
            });
        }
        // Lines of a log among events are one thing, a file of something else is another.
        let log = reading.notes.iter().find(|note| note.text == LINE_OF_LOG);
        if let (None, Some(line)) = (self.shape, log.map(|note| note.first_line)) {
            let expected = "objects with `process`, `type` and `f`, or with a start and an end";
            let problem = ReadProblem::unexpected(expected, "none of them");
            return Err(ReadError { line, ..self.refused(problem) });
        }
        let end = self.items.error(0, ReadProblem::EndsEarly(String::new()));
        let blame = |(line, problem)| ReadError { line, column: None, problem, ..end };
        let mut assembly = self.assembly;
        if let Err(refusal) = self.intervals.put_together(&mut assembly) {
            return Err(blame(refusal));
        }
        assembly.finish().map_err(blame)
    }
}

/// What an object is read with.
struct Object<'a> {
    line: u64,
    assembly: &'a mut Assembly,
    last: &'a mut Option<(u64, u64)>,
    open: &'a mut Option<FxHashMap<ProcessId, Value>>,
    clients: &'a mut Clients,
    tally: &'a mut Tally,
    shape: &'a mut Option<Shape>,
    intervals: &'a mut Intervals,
}

impl Object<'_> {
    /// The event that the object is; nothing if it is none, or an operation that was put with the
    /// others.
    fn take(&mut self, node: &Node<'_>) -> Result<Option<Event>, SyntaxError> {
        let mut fields = Fields::of(node)?;
        let Some(shape) = shape(&fields) else {
            self.assembly.reading.note(Severity::Warning, LINE_OF_LOG, self.line);
            return Ok(None);
        };
        if shape == Shape::Events && self.is_stranger(&fields) {
            return Ok(None);
        }
        let process = match fields.get(Name::Process) {
            Some(field) => self.clients.process(field)?,
            None if shape == Shape::Intervals => {
                let operation = intervals::operation(&fields, None, self.line)?;
                return self.keep(operation, &fields);
            }
            None => return Err(fields.missing("process")),
        };
        let Some(process) = process else {
            let text = "events of the nemesis, which is no client";
            self.assembly.reading.note(Severity::Information, text, self.line);
            return Ok(None);
        };
        if *self.shape.get_or_insert(shape) != shape {
            let (expected, found) = match shape {
                Shape::Intervals => ("an event", "an operation with its start"),
                Shape::Events => ("an operation with its start and its end", "an event"),
            };
            let expected = format!("{expected}, as further up");
            return Err(SyntaxError::unexpected(node.at, expected, found));
        }
        if shape == Shape::Intervals {
            let operation = intervals::operation(&fields, Some(process), self.line)?;
            return self.keep(operation, &fields);
        }
        for name in [Name::Start, Name::End, Name::Input, Name::Output] {
            fields.disown(name);
        }
        let (kind, function) = (fields.known_kind()?, fields.function()?);
        let denied = fields.denied(kind, function)?;
        if function != Function::Cas || fields.get(Name::Value).is_some() {
            fields.disown(Name::Expected);
            fields.disown(Name::New);
        }
        let (index, time) = self.moment(&fields)?;
        let key = self.key(&fields, kind, process)?;
        let event = Event {
            index,
            time,
            process,
            kind,
            function,
            key,
            value: value(&fields, kind, function)?,
            swapped: fields.truth(Name::Swapped)?.or(denied.then_some(false)),
            saw: fields.value(Name::Saw)?,
            node: fields.node().map(Into::into),
            error: fields.error().map(Into::into),
            level: self.level(&fields),
            revision: None,
        };
        if kind == EventKind::Ok && event.error.is_some() {
            let text = "operations that are `ok` and name an error, taken to have happened";
            self.assembly.reading.note(Severity::Warning, text, self.line);
        }
        self.tally.others(fields.others.iter().map(|(_, name)| *name), self.line);
        Ok(Some(event))
    }

    /// Whether the event is of somebody with a name who has done nothing that clients do. It is
    /// noted and skipped.
    fn is_stranger(&mut self, fields: &Fields<'_>) -> bool {
        let name = fields.get(Name::Process).and_then(|field| field.node.text());
        let word = fields.get(Name::Function).map(|field| field.node.text());
        let acts = match word {
            Some(Some(word)) => names::function(word).or_else(|| names::meant_function(word)),
            _ => None,
        };
        let Some(name) = name.filter(|name| acts.is_none() && self.clients.is_stranger(name))
        else {
            return false;
        };
        let severity = match name.to_ascii_lowercase().contains("nemesis") {
            true => Severity::Information,
            false => Severity::Warning,
        };
        let name = quote(&name.escape_debug().to_string());
        let text = format!("events of {name}, which is taken to be no client");
        self.assembly.reading.note(severity, &text, self.line);
        true
    }

    /// The level that an operation was asked for with. A `level` may also be that of a log.
    fn level(&mut self, fields: &Fields<'_>) -> Option<Level> {
        let field = fields.given(Name::Level)?;
        let level = field.node.text().and_then(Level::of_word);
        if level.is_none() && names::plain(field.name) != "level" {
            let word = quote(&field.node.describe().escape_debug().to_string());
            let text = format!("`{}` of {word}, which is no known level, ignored", field.name);
            self.assembly.reading.note(Severity::Warning, &text, self.line);
        }
        level
    }

    fn keep(
        &mut self,
        mut operation: intervals::Operation,
        fields: &Fields<'_>,
    ) -> Result<Option<Event>, SyntaxError> {
        self.shape.get_or_insert(Shape::Intervals);
        operation.level = self.level(fields);
        let inner = operation.others.iter().map(|name| &**name);
        self.tally.others(fields.others.iter().map(|(_, name)| *name).chain(inner), self.line);
        self.intervals.push(operation, self.line, &mut self.assembly.reading);
        Ok(None)
    }

    /// Index and time of an event.
    fn moment(&mut self, fields: &Fields<'_>) -> Result<(u64, Nanoseconds), SyntaxError> {
        let last = *self.last;
        let index = match fields.given(Name::Index) {
            Some(field) => whole(field)?,
            None => {
                self.tally.no_index.add(self.line);
                last.map_or(0, |(index, _)| index.saturating_add(1))
            }
        };
        let time = match fields.given(Name::Time) {
            Some(field) => {
                self.tally.timed.add(self.line);
                time(field)?
            }
            // To sort, the keys of open operations are kept.
            None if self.open.is_some() => {
                let mut fault = fields.missing("time");
                if let ReadProblem::Unexpected { expected, .. } = &mut fault.problem {
                    expected.push_str(" in every event, since they are to be sorted by it");
                }
                return Err(fault);
            }
            None => {
                self.tally.no_time.add(self.line);
                match last {
                    Some((_, last)) if self.tally.timed.count > 0 => last,
                    _ => index,
                }
            }
        };
        *self.last = Some((index, time));
        Ok((index, Nanoseconds(time)))
    }

    fn key(
        &mut self,
        fields: &Fields<'_>,
        kind: EventKind,
        process: ProcessId,
    ) -> Result<Value, SyntaxError> {
        let key = fields.value(Name::Key)?;
        if kind == EventKind::Invoke {
            let key = key.unwrap_or_default();
            if let Some(open) = &mut self.open {
                open.insert(process, key.clone());
            }
            return Ok(key);
        }
        Ok(match key {
            Some(key) => key,
            None => {
                let key = match &self.open {
                    Some(open) => open.get(&process),
                    None => self.assembly.open_key(process),
                };
                let key = key.cloned().unwrap_or_default();
                if !key.is_null() {
                    let text = "completions without `key`, which have that of their invocations";
                    self.assembly.reading.note(Severity::Information, text, self.line);
                }
                key
            }
        })
    }
}

/// The argument or the answer of an event.
fn value(fields: &Fields<'_>, kind: EventKind, function: Function) -> Result<Value, SyntaxError> {
    if let Some(value) = fields.value(Name::Value)? {
        return Ok(value);
    }
    if function == Function::Cas
        && let Some(operands) = fields.operands()?
    {
        return Ok(operands);
    }
    if !function.needs_value(kind) {
        return Ok(Value::Null);
    }
    let mut fault = fields.missing("value");
    if let ReadProblem::Unexpected { expected, .. } = &mut fault.problem {
        let place = if kind == EventKind::Ok { "ok" } else { "invocation" };
        *expected = format!("{expected} in the {place} of a {function}");
    }
    Err(fault)
}

fn whole(field: Field<'_>) -> Result<u64, SyntaxError> {
    let number = match field.node.form {
        NodeKind::Number(token) => token.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let expected = format!("`{}` to be an integer from 0", field.name);
        SyntaxError::unexpected(field.node.at, expected, field.node.describe())
    })
}

/// A time, in nanoseconds.
fn time(field: Field<'_>) -> Result<u64, SyntaxError> {
    let unit = field.unit.unwrap_or(1);
    if unit == 1 {
        return whole(field);
    }
    let number = match field.node.form {
        NodeKind::Number(token) => number::billionths(token),
        _ => None,
    };
    let time = number.and_then(|(number, _)| number.checked_mul(i128::from(unit)));
    time.and_then(|time| u64::try_from(time.div_euclid(1_000_000_000)).ok()).ok_or_else(|| {
        let expected = format!("`{}` to be a number from 0", field.name);
        SyntaxError::unexpected(field.node.at, expected, field.node.describe())
    })
}

#[cfg(test)]
mod tests;
