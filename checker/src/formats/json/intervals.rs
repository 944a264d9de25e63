//! Histories that have an object for each operation, with its start and its end.
//!
//! Users of Porcupine log so: `{"ClientId":0,"Input":{"op":"put","key":"x","value":1},"Call":10,
//! "Output":{},"Return":20}`; others have `f`, `key` and `value` beside `start` and `end`. The
//! argument is in the input, the answer in the output: the value itself, or an object with
//! `value`; of a compare-and-set, whether it swapped, or an object with `swapped`. A read without
//! an output has its answer as `value`.
//!
//! Lines come in any order; all are kept until the last is read. An operation without end, or
//! with one that names an error, may have happened at any time since its start. A client may go
//! on after it; it does so as another process. Of a start and an end at one time, the start is
//! taken to be the earlier, as Porcupine takes it: such operations overlap, so that no order is
//! claimed that was never observed. That holds between the operations of one client as well.
//!
//! Times are integers, taken to be nanoseconds, or numbers with fractions, taken to be seconds:
//! whichever, only their order counts, and one fraction makes all of them seconds.
//!
//! Source: `Operation` in Porcupine (<https://github.com/anishathalye/porcupine>, `model.go`), and
//! `byTime` in its `checker.go`.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::assembly::{Assembly, Blame};
use super::super::error::ReadProblem;
use super::super::reading::{DecidedBy, Decision, Reading, Severity};
use super::fields::{self, Field, Fields};
use super::names::Name;
use super::number;
use super::syntax::{NodeKind, SyntaxError};
use crate::event::Level;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::value::Value;

/// One billionth of what a time without unit counts.
const BILLION: i128 = 1_000_000_000;

/// A time as it is written.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// In billionths.
    number: i128,
    /// Whether it was written no finer.
    is_exact: bool,
    /// How many nanoseconds the number counts, if its name says so.
    unit: Option<u64>,
}

/// An operation as its object has it.
#[derive(Debug)]
pub(in super::super) struct Operation {
    client: Option<ProcessId>,
    function: Function,
    pub(super) key: Value,
    argument: Value,
    outcome: EventKind,
    answer: Value,
    swapped: Option<bool>,
    saw: Option<Value>,
    node: Option<String>,
    /// The level that it was asked for with.
    pub(super) level: Option<Level>,
    start: Time,
    end: Option<Time>,
    /// Whether it has an end and an unknown outcome.
    erred: bool,
    /// Whether its output may say something that is not looked at.
    unread: bool,
    /// The fields of its input and output that have no meaning here.
    pub(super) others: Vec<String>,
    line: u64,
}

/// The operation with these fields, which stands on `line`.
pub(super) fn operation(
    top: &Fields<'_>,
    client: Option<ProcessId>,
    line: u64,
) -> Result<Operation, SyntaxError> {
    let Some(start) = top.get(Name::Start) else { return Err(top.missing("start")) };
    let start = time(start)?;
    let end = top.given(Name::End).map(time).transpose()?;
    let late = |end: Time| end.instant(true) < start.instant(true);
    if let Some(field) = top.given(Name::End).filter(|_| end.is_some_and(late)) {
        let expected = format!("`{}` not to be before the start", field.name);
        return Err(SyntaxError::unexpected(field.node.at, expected, field.node.describe()));
    }
    let mut input = Fields::default();
    if let Some(field) = top.given(Name::Input) {
        if !matches!(field.node.form, NodeKind::Object(_)) {
            let expected = format!("`{}` to be an object with `op`, `key` and `value`", field.name);
            return Err(SyntaxError::unexpected(field.node.at, expected, field.node.describe()));
        }
        input = Fields::of(field.node)?;
    }
    let function = function(top, &input)?;
    let mut operation = Operation {
        client,
        function,
        key: first(&input, top, Name::Key)?.unwrap_or_default(),
        argument: Value::Null,
        outcome: EventKind::Info,
        answer: Value::Null,
        swapped: None,
        saw: None,
        node: top.node().or_else(|| input.node()),
        level: None,
        start,
        end,
        erred: false,
        unread: false,
        others: Vec::new(),
        line,
    };
    operation.argument(top, &input)?;
    operation.ignore(&input);
    if end.is_some() {
        operation.answer(top)?;
    }
    Ok(operation)
}

/// The field of the input, or else of the object itself.
fn first(input: &Fields<'_>, top: &Fields<'_>, name: Name) -> Result<Option<Value>, SyntaxError> {
    match input.value(name)? {
        Some(value) => Ok(Some(value)),
        None => top.value(name),
    }
}

fn function(top: &Fields<'_>, input: &Fields<'_>) -> Result<Function, SyntaxError> {
    let named = input.get(Name::Function).or_else(|| top.get(Name::Function));
    // Where an object has no events, its type is the operation's.
    let typed = || {
        let field = input.get(Name::Kind).or_else(|| top.get(Name::Kind))?;
        (top.kind().is_none()).then_some(field)
    };
    match named.or_else(typed) {
        Some(field) => fields::function(field),
        None => Err(top.missing("f")),
    }
}

fn time(field: Field<'_>) -> Result<Time, SyntaxError> {
    let number = match field.node.form {
        NodeKind::Number(token) => number::billionths(token),
        _ => None,
    };
    let number = number.filter(|(number, _)| number.abs() < BILLION * BILLION * BILLION * 1_000);
    let Some((number, is_exact)) = number else {
        let expected = format!("`{}` to be a number", field.name);
        return Err(SyntaxError::unexpected(field.node.at, expected, field.node.describe()));
    };
    Ok(Time { number, is_exact, unit: field.unit })
}

impl Time {
    /// The time in nanoseconds; a number without unit is in seconds or in nanoseconds.
    const fn instant(self, seconds: bool) -> i128 {
        match self.unit {
            Some(unit) => self.number * unit as i128 / BILLION,
            None if seconds => self.number,
            None => self.number / BILLION,
        }
    }

    const fn is_fraction(self) -> bool {
        self.unit.is_none() && (self.number % BILLION != 0 || !self.is_exact)
    }
}

impl Operation {
    /// What a client asked of an object in the words of its store, from and until which time. Without an
    /// end nothing is known of it.
    pub(in super::super) fn of_store(
        client: ProcessId,
        request: Value,
        (outcome, answer): (EventKind, Value),
        (start, end): (i64, Option<i64>),
        line: u64,
    ) -> Self {
        let time =
            |number: i64| Time { number: i128::from(number) * BILLION, is_exact: true, unit: None };
        Self {
            client: Some(client),
            function: Function::Apply,
            key: Value::Null,
            argument: request,
            outcome,
            answer,
            swapped: None,
            saw: None,
            node: None,
            level: None,
            start: time(start),
            end: end.map(time),
            erred: end.is_some() && outcome == EventKind::Info,
            unread: false,
            others: Vec::new(),
            line,
        }
    }

    fn argument(&mut self, top: &Fields<'_>, input: &Fields<'_>) -> Result<(), SyntaxError> {
        if !self.function.needs_value(EventKind::Invoke) {
            return Ok(());
        }
        let operands = match self.function {
            Function::Cas => match input.operands()? {
                Some(operands) => Some(operands),
                None => top.operands()?,
            },
            _ => None,
        };
        self.argument = match operands {
            Some(operands) => operands,
            None => first(input, top, Name::Value)?.ok_or_else(|| top.missing("value"))?,
        };
        Ok(())
    }

    fn ignore(&mut self, fields: &Fields<'_>) {
        self.others.extend(fields.others.iter().map(|(_, name)| (*name).to_owned()));
    }

    /// What the operation answered, and whether it is known to have happened.
    fn answer(&mut self, top: &Fields<'_>) -> Result<(), SyntaxError> {
        let output = top.get(Name::Output);
        let inner = match output {
            Some(field) if matches!(field.node.form, NodeKind::Object(_)) => {
                Fields::of(field.node)?
            }
            _ => Fields::default(),
        };
        self.ignore(&inner);
        let succeeded = match inner.truth(Name::Success)? {
            None => top.truth(Name::Success)?,
            told => told,
        };
        let is_cas = self.function == Function::Cas;
        let erred = inner.error().or_else(|| top.error()).is_some();
        self.outcome = match top.kind().or_else(|| inner.kind()) {
            Some(EventKind::Fail) => EventKind::Fail,
            Some(EventKind::Ok) => EventKind::Ok,
            Some(_) => EventKind::Info,
            None if erred || succeeded == Some(false) && !is_cas => EventKind::Info,
            None => EventKind::Ok,
        };
        self.erred = self.outcome == EventKind::Info;
        if self.outcome != EventKind::Ok {
            return Ok(());
        }
        if is_cas {
            return self.swap(top, &inner, output, succeeded);
        }
        let answers = self.function.needs_value(EventKind::Ok);
        let found = match output {
            _ if !answers => None,
            Some(field) if matches!(field.node.form, NodeKind::Object(_)) => {
                inner.value(Name::Value)?
            }
            Some(field) => Some(field.node.value()?),
            None if self.function.needs_value(EventKind::Invoke) => None,
            None => top.value(Name::Value)?,
        };
        match found {
            Some(answer) => self.answer = answer,
            None if answers => {
                return Err(
                    output.map_or_else(|| top.missing("output"), |_| inner.missing("value"))
                );
            }
            None => self.refuse_no(output, &inner)?,
        }
        Ok(())
    }

    /// Looks at the output of an operation that has nothing to answer; refuses `false`.
    fn refuse_no(
        &mut self,
        output: Option<Field<'_>>,
        inner: &Fields<'_>,
    ) -> Result<(), SyntaxError> {
        let Some(field) = output else { return Ok(()) };
        match &field.node.form {
            NodeKind::Bool(false) => {
                let expected =
                    format!("no output of a {}, or one that is not false", self.function);
                return Err(SyntaxError::unexpected(field.node.at, expected, "false"));
            }
            NodeKind::Null | NodeKind::Bool(true) => {}
            NodeKind::Text(text) => {
                self.unread = !text.eq_ignore_ascii_case("ok") && !text.is_empty();
            }
            NodeKind::Object(_) => self.unread = inner.given(Name::Value).is_some(),
            NodeKind::Number(_) | NodeKind::List(_) => self.unread = true,
        }
        Ok(())
    }

    fn swap(
        &mut self,
        top: &Fields<'_>,
        inner: &Fields<'_>,
        output: Option<Field<'_>>,
        succeeded: Option<bool>,
    ) -> Result<(), SyntaxError> {
        let told = match output.map(|field| &field.node.form) {
            Some(NodeKind::Bool(truth)) => Some(*truth),
            _ => match inner.truth(Name::Swapped)? {
                None => top.truth(Name::Swapped)?.or(succeeded),
                told => told,
            },
        };
        let Some(told) = told else {
            let mut fault = top.missing("output");
            if let ReadProblem::Unexpected { expected, .. } = &mut fault.problem {
                "the output of a cas to be true or false, or to have `swapped`"
                    .clone_into(expected);
            }
            return Err(SyntaxError { at: output.map_or(0, |field| field.at), ..fault });
        };
        self.swapped = Some(told);
        self.saw = match inner.value(Name::Saw)? {
            None => top.value(Name::Saw)?,
            saw => saw,
        };
        Ok(())
    }
}

/// The operations of a file.
#[derive(Debug, Default)]
pub(in super::super) struct Intervals {
    operations: Vec<Operation>,
}

/// A start or an end: when, which, and the place of its operation.
type Edge = (i128, Turn, usize);

/// What happens first of what happens at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Start,
    End,
}

impl Intervals {
    pub(in super::super) fn push(
        &mut self,
        operation: Operation,
        line: u64,
        reading: &mut Reading,
    ) {
        if operation.end.is_none() {
            let text = "operations without an end, which may have happened or not";
            reading.note(Severity::Information, text, line);
        } else if operation.erred {
            let text = "operations that ended with an error, which may have happened or not";
            reading.note(Severity::Information, text, line);
        }
        if !operation.start.is_exact || operation.end.is_some_and(|end| !end.is_exact) {
            let text = "operations whose times are finer than a billionth, which was cut off";
            reading.note(Severity::Information, text, line);
        }
        if operation.unread {
            let text = "outputs of operations that have nothing to answer, which were not checked";
            reading.note(Severity::Warning, text, line);
        }
        self.operations.push(operation);
    }

    /// Gives the assembly the events of the operations.
    pub(in super::super) fn put_together(self, assembly: &mut Assembly) -> Result<(), Blame> {
        let events = self.order()?;
        let together = |pair: &&[Edge]| {
            pair[0].0 == pair[1].0
                && pair[0].1 == Turn::Start
                && pair[1].1 == Turn::End
                && pair[0].2 != pair[1].2
        };
        let ties = events.windows(2).filter(together).count() as u64;
        if ties > 0 {
            assembly.reading.decisions.push(Decision {
                subject: "order".to_owned(),
                chosen: "operations of which one starts when another ends overlap".to_owned(),
                by: DecidedBy::Format,
                operations: ties,
            });
        }
        let first = events.first().map_or(0, |event| event.0);
        let last = events.last().map_or(0, |event| event.0);
        let base = if first < 0 || last >= 1 << 63 { first } else { 0 };
        let mut processes = Processes::of(&self.operations);
        let mut running = vec![ProcessId(0); self.operations.len()];
        for (index, (instant, turn, place)) in (0..).zip(events) {
            let operation = &self.operations[place];
            let time = u64::try_from(instant - base).unwrap_or(u64::MAX);
            if turn == Turn::Start {
                running[place] = processes.begin(operation.client);
            } else if operation.outcome != EventKind::Info {
                processes.end(running[place]);
            }
            let event = operation.event(index, Nanoseconds(time), running[place], turn);
            let taken = assembly.take(&Record::from(&event), operation.line);
            taken.map_err(|problem| (operation.line, problem))?;
            assembly.note_pending(operation.line);
        }
        Ok(())
    }

    /// Starts and ends in their order.
    fn order(&self) -> Result<Vec<Edge>, Blame> {
        let times = |operation: &Operation| [Some(operation.start), operation.end];
        let all = self.operations.iter().flat_map(times).flatten();
        let seconds = all.into_iter().any(Time::is_fraction);
        let mut events = Vec::with_capacity(self.operations.len() * 2);
        for (place, operation) in self.operations.iter().enumerate() {
            let start = operation.start.instant(seconds);
            events.push((start, Turn::Start, place));
            if let Some(end) = operation.end.map(|end| end.instant(seconds)) {
                if end < start {
                    let problem =
                        ReadProblem::unexpected("an end that is not before the start", "another");
                    return Err((operation.line, problem));
                }
                events.push((end, Turn::End, place));
            }
        }
        events.sort_unstable();
        Ok(events)
    }
}

impl Operation {
    fn event(&self, index: u64, time: Nanoseconds, process: ProcessId, turn: Turn) -> Event {
        let is_start = turn == Turn::Start;
        let kind = if is_start { EventKind::Invoke } else { self.outcome };
        let answers = self.function == Function::Apply || self.function.needs_value(EventKind::Ok);
        let is_answer = kind == EventKind::Ok && answers;
        Event {
            index,
            time,
            process,
            kind,
            function: self.function,
            key: self.key.clone(),
            value: if is_answer { self.answer.clone() } else { self.argument.clone() },
            swapped: self.swapped.filter(|_| !is_start),
            saw: self.saw.clone().filter(|_| !is_start),
            node: self.node.clone().map(Into::into),
            error: None,
            level: self.level,
            revision: None,
        }
    }
}

/// Which processes are at work. A client that begins something before the last thing that it did
/// is known to be over goes on as another process.
#[derive(Debug, Default)]
struct Processes {
    busy: FxHashSet<u32>,
    /// The processes of each client, and under none those of operations that name no client.
    of_client: FxHashMap<Option<ProcessId>, Vec<u32>>,
    next: u32,
}

impl Processes {
    fn of(operations: &[Operation]) -> Self {
        let greatest = operations.iter().filter_map(|operation| operation.client).max();
        let next = greatest.map_or(0, |client| client.0.wrapping_add(1));
        Self { next, ..Self::default() }
    }

    fn begin(&mut self, client: Option<ProcessId>) -> ProcessId {
        let known = self
            .of_client
            .entry(client)
            .or_insert_with(|| client.map(|client| client.0).into_iter().collect());
        let idle = known.iter().copied().find(|process| !self.busy.contains(process));
        let process = idle.unwrap_or_else(|| {
            let new = self.next;
            self.next = self.next.wrapping_add(1);
            known.push(new);
            new
        });
        self.busy.insert(process);
        ProcessId(process)
    }

    fn end(&mut self, process: ProcessId) {
        self.busy.remove(&process.0);
    }
}
