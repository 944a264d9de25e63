//! Checks a history for a level, and gathers the evidence.

use super::effect_intervals::{Relaxed, UnsupportedOperations, relax};
use super::exact::{self, Tried};
use super::explain::{Suspects, explain};
use super::facts::Facts;
use super::search::Answer;
use super::trace::{Source, Trace, UnknownSource};
use super::{Level, Staleness, sequential, session, stale, verify};
use crate::engines::wgl::Limits;
use crate::engines::{Cancellation, Stopped};
use crate::history::{Action, History, Operation, OperationCounts};
use crate::initial::{Begins, KeyInitials};
use crate::model::{Model, ModelKind, with_model};
use crate::options::Options;
use crate::value::Value;
use crate::verdict::{
    Analysis, Certificate, Counterexample, KeyAnalysis, KeyOrder, ReadsFrom, Verdict,
};
use crate::verify::Expected;

/// What was found.
pub(super) enum Found {
    /// Orders, by index of invocation, and what was seen where values do not tell.
    Valid(Vec<KeyOrder>, Vec<ReadsFrom>),
    /// Operations that break the level among themselves, by their places.
    Violation(Suspects),
    Unknown(String),
}

/// A history and what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub history: &'a History,
    pub options: &'a Options,
    pub level: Level,
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Task<'a> {
    pub(super) fn limits(&self) -> Limits<'a> {
        Limits { memory: self.options.memory, stop: self.stop }
    }

    fn facts(&self, cancellation: &Cancellation<'_>) -> Result<Result<Facts<'a>, Found>, Stopped> {
        let Options { model, initial, initial_by_key, .. } = self.options;
        let facts = Facts::of(self.history, (*model, initial, initial_by_key), cancellation)?;
        Ok(facts.map_err(|wrong| Found::Unknown(self.without_meaning(wrong.0))))
    }

    fn trace(
        &self,
        facts: &Facts<'_>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Trace, UnknownSource>, Stopped> {
        match self.options.model {
            ModelKind::Append => Trace::of_append(facts, cancellation),
            _ => Trace::of_register(facts, cancellation),
        }
    }

    fn without_meaning(&self, place: u32) -> String {
        let operation = &self.history.operations[place as usize];
        let witness = self.history.witness(operation);
        let (model, level) = (self.options.model, self.level);
        format!(
            "operation #{}, a {} of {}, has no meaning for a {model} at the level {level}",
            witness.index,
            witness.function,
            witness.value.in_words()
        )
    }

    fn is_traced(&self) -> bool {
        matches!(self.options.model, ModelKind::Register | ModelKind::Append)
    }
}

/// What decides whether a history without levels of its own is linearizable.
pub(crate) type Linearizable<'a> = dyn Fn(&History) -> (Analysis, Option<Certificate>) + 'a;

/// As [`check_level`](crate::check_level) has it.
pub(crate) fn check(
    history: &History,
    options: &Options,
    level: Level,
    stop: &(dyn Fn() -> bool + Sync),
    linearizable: &Linearizable<'_>,
) -> (Analysis, Option<Certificate>) {
    let task = Task { history, options, level, stop };
    let cancellation = Cancellation::new(stop);
    if let Some(reason) = refusal(&task) {
        return conclude(&task, Found::Unknown(reason));
    }
    let found = match level {
        Level::Linearizable | Level::Stale(_) => match strict_part(&task, linearizable) {
            Err(done) => return *done,
            Ok(()) => late(&task, &cancellation),
        },
        Level::Sequential => one_order(&task, &cancellation),
        _ => guarantee(&task, &cancellation),
    };
    let found = found.unwrap_or_else(|Stopped| Found::Unknown("the time ran out".to_owned()));
    conclude(&task, found)
}

fn refusal(task: &Task<'_>) -> Option<String> {
    let Options { model, initial_by_key, .. } = task.options;
    if !task.history.operations.iter().any(Operation::is_ok) {
        return Some("no operation completed: nothing was tested".to_owned());
    }
    if *initial_by_key == KeyInitials::Unknown {
        return Some("an initial value that is unknown fits linearizability alone".to_owned());
    }
    if !model.splits_by_key() || model.is_transactional() {
        return Some(format!("a {model} has no level but linearizable here"));
    }
    None
}

/// What strict operations alone come to; nothing if they are linearizable.
fn strict_part(
    task: &Task<'_>,
    linearizable: &Linearizable<'_>,
) -> Result<(), Box<(Analysis, Option<Certificate>)>> {
    let (history, mut marks) = (task.history, task.history.levels.iter().peekable());
    let mut strict = History {
        operations: Vec::new(),
        values: history.values.clone(),
        keys: history.keys.clone(),
        nodes: history.nodes.clone(),
        ..History::default()
    };
    for (place, operation) in (0_u32..).zip(&history.operations) {
        let own = marks.next_if(|(marked, _)| *marked == place);
        let own = own.map_or(task.level, |(_, level)| *level);
        if own == Level::Linearizable || operation.action != Action::Read {
            strict.operations.push(*operation);
        }
    }
    if !strict.operations.iter().any(Operation::is_ok) {
        return Ok(());
    }
    let (analysis, certificate) = linearizable(&strict);
    match analysis.verdict {
        Verdict::Valid => Ok(()),
        _ => Err(Box::new((analysis, certificate))),
    }
}

/// Reads that may be late beside changes that are not, key by key.
fn late(task: &Task<'_>, cancellation: &Cancellation<'_>) -> Result<Found, Stopped> {
    let relaxed = match relax(task.history, task.level, cancellation)? {
        Ok(relaxed) => relaxed,
        Err(UnsupportedOperations::Whole(level)) => {
            let reason = "is a property of a whole history, not of single operations";
            return Ok(Found::Unknown(format!("{level} {reason}: ask for it with --level")));
        }
        Err(UnsupportedOperations::NoClock) => {
            let reason = "how late reads were in time cannot be told in a history without a clock";
            return Ok(Found::Unknown(reason.to_owned()));
        }
    };
    if !task.is_traced() || relaxed.lagging {
        return late_by_search(task, &relaxed, cancellation);
    }
    let facts = match task.facts(cancellation)? {
        Ok(facts) => facts,
        Err(found) => return Ok(found),
    };
    let trace = match task.trace(&facts, cancellation)? {
        Ok(trace) => trace,
        Err(UnknownSource::Ambiguous(_)) => return late_by_search(task, &relaxed, cancellation),
        Err(obstacle) => return Ok(impossible(&facts, &obstacle)),
    };
    let stretches: Vec<_> =
        trace.ops.iter().map(|op| relaxed.stretches[op.place as usize]).collect();
    let mut number_of = vec![u32::MAX; task.history.operations.len()];
    let mut of_key: Vec<Vec<u32>> = vec![Vec::new(); trace.keys];
    for number in trace.kept() {
        number_of[trace.op(number).place as usize] = number;
        of_key[trace.op(number).key as usize].push(number);
    }
    let mut promises: Vec<Vec<(u32, u32)>> = vec![Vec::new(); trace.keys];
    for &(first, second) in &relaxed.promises {
        let [first, second] = [first, second].map(|place| number_of[place as usize]);
        promises[trace.op(first).key as usize].push((first, second));
    }
    for &(first, second) in &trace.ordered {
        promises[trace.op(first).key as usize].push((first, second));
    }
    let mut places = stale::Places::new(&trace);
    let mut orders = Vec::new();
    for (key, ops) in of_key.iter().enumerate() {
        let asked =
            stale::Key { trace: &trace, ops, stretches: &stretches, promises: &promises[key] };
        match stale::decide(&asked, &mut places, cancellation)? {
            stale::Found::Order(order) => {
                orders.push(key_order(
                    task.history,
                    &task.history.keys[key],
                    places_of(&trace, &order),
                ));
            }
            stale::Found::Circle(circle) => {
                return Ok(suspects(&facts, places_of(&trace, &circle)));
            }
        }
    }
    Ok(Found::Valid(orders, Vec::new()))
}

fn key_order(history: &History, key: &Value, places: Vec<u32>) -> KeyOrder {
    let position = |place: u32| history.operations[place as usize].invoked.position;
    KeyOrder { key: key.clone(), order: places.into_iter().map(position).collect(), initial: None }
}

fn places_of(trace: &Trace, ops: &[u32]) -> Vec<u32> {
    ops.iter().map(|&number| trace.op(number).place).collect()
}

fn suspects(facts: &Facts<'_>, places: Vec<u32>) -> Found {
    Found::Violation(Suspects::with_sources(facts, places))
}

fn impossible(facts: &Facts<'_>, obstacle: &UnknownSource) -> Found {
    let places = match obstacle {
        UnknownSource::Nowhere(number) => vec![facts.all[*number as usize].place],
        UnknownSource::Torn(one, other) => {
            [*one, *other].map(|number| facts.all[number as usize].place).to_vec()
        }
        UnknownSource::Ambiguous(reason) => return Found::Unknown(reason.clone()),
    };
    suspects(facts, places)
}

/// Searches where values do not tell who saw what, and objects other than registers.
fn late_by_search(
    task: &Task<'_>,
    relaxed: &Relaxed,
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    let Options { model, initial, .. } = task.options;
    let searched = with_model!(model, initial, &task.history.values, model => {
        search_late(task, &model, relaxed, cancellation)
    });
    searched.unwrap_or_else(|error| Ok(Found::Unknown(error.to_string())))
}

/// Above so many operations of one key, what must come before what is not written down.
const MOST_SEARCHED: usize = 4_000;

fn search_late<'a, M: Model + Begins<'a>>(
    task: &Task<'a>,
    _model: &M,
    relaxed: &Relaxed,
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    let history = task.history;
    let mut of_key: Vec<Vec<u32>> = vec![Vec::new(); history.keys.len()];
    for (place, operation) in (0..).zip(&history.operations) {
        of_key[operation.key.0 as usize].push(place);
    }
    let mut orders = Vec::new();
    for (key, places) in history.keys.iter().zip(&of_key) {
        cancellation.spend(places.len())?;
        if places.len() > MOST_SEARCHED {
            let reason = "values that were read were written more than once, or versions are to be \
                          counted, and the search takes";
            return Ok(Found::Unknown(format!(
                "{reason} at most {MOST_SEARCHED} operations of a key; {} has {}",
                key.in_words(),
                places.len()
            )));
        }
        let (part, its) = part(history, relaxed, places);
        let model = begin::<M>(task, key)?;
        match exact::relaxed(&part, &model, model.initial(), &its, &task.limits()) {
            None => {
                return Ok(Found::Unknown(format!(
                    "an operation of {} has no meaning",
                    key.in_words()
                )));
            }
            Some(Answer::Order(order)) => {
                let order = order.into_iter().map(|item| places[item as usize]).collect();
                orders.push(key_order(history, key, order));
            }
            Some(Answer::None) => return Ok(Found::Violation(Suspects::all(places.clone()))),
            Some(Answer::Unknown(best)) => {
                let reason =
                    format!("the search ran out; its longest order holds {best} operations");
                return Ok(Found::Unknown(format!("{}: {reason}", key.in_words())));
            }
        }
    }
    Ok(Found::Valid(orders, Vec::new()))
}

/// The operations of one key as a history, with what is relaxed of them.
fn part(history: &History, relaxed: &Relaxed, places: &[u32]) -> (History, Relaxed) {
    let operations = places.iter().map(|&place| history.operations[place as usize]).collect();
    let part = History {
        operations,
        values: history.values.clone(),
        keys: history.keys.clone(),
        nodes: history.nodes.clone(),
        ..History::default()
    };
    let new = |place: u32| places.binary_search(&place).ok().map(|at| at as u32);
    let promises = relaxed.promises.iter();
    let its = Relaxed {
        stretches: places.iter().map(|&it| relaxed.stretches[it as usize]).collect(),
        lags: places.iter().map(|&it| relaxed.lags[it as usize]).collect(),
        promises: promises.filter_map(|&(a, b)| Some((new(a)?, new(b)?))).collect(),
        lagging: relaxed.lagging,
    };
    (part, its)
}

/// The object under `key`. That it can begin so was found out before.
pub(super) fn begin<'a, M: Begins<'a>>(task: &Task<'a>, key: &Value) -> Result<M, Stopped> {
    let Options { initial, initial_by_key, .. } = task.options;
    let own = match initial_by_key {
        KeyInitials::Listed(values) => values.get(key).unwrap_or(initial),
        _ => initial,
    };
    M::begin(own, initial, &task.history.values).map_err(|_| Stopped)
}

/// Sequential consistency.
fn one_order(task: &Task<'_>, cancellation: &Cancellation<'_>) -> Result<Found, Stopped> {
    let valid = |places: Vec<u32>| {
        Found::Valid(vec![key_order(task.history, &Value::Null, places)], Vec::new())
    };
    if task.is_traced() {
        let facts = match task.facts(cancellation)? {
            Ok(facts) => facts,
            Err(found) => return Ok(found),
        };
        match task.trace(&facts, cancellation)? {
            Ok(trace) => match sequential::decide(task.history, &trace, cancellation)? {
                sequential::Found::Order(order) => return Ok(valid(places_of(&trace, &order))),
                sequential::Found::Circle(circle) => {
                    return Ok(suspects(&facts, places_of(&trace, &circle)));
                }
                sequential::Found::Open => {}
            },
            Err(UnknownSource::Ambiguous(_)) => {}
            Err(obstacle) => return Ok(impossible(&facts, &obstacle)),
        }
    }
    Ok(match search_one_order(task) {
        None => Found::Unknown("an operation has no meaning for the object".to_owned()),
        Some(Answer::Order(order)) => valid(order),
        Some(Answer::None) => {
            Found::Violation(Suspects::all((0..task.history.operations.len() as u32).collect()))
        }
        Some(Answer::Unknown(best)) => Found::Unknown(format!(
            "the search for one order of all sessions ran out of time or memory; its longest holds \
             {best} operations"
        )),
    })
}

/// A search for one order of all operations that keeps each session's own.
pub(super) fn search_one_order(task: &Task<'_>) -> Option<Answer> {
    let Options { model, initial, .. } = task.options;
    with_model!(model, initial, &task.history.values, model => search_sessions(task, &model))
        .ok()?
}

fn search_sessions<'a, M: Model + Begins<'a>>(task: &Task<'a>, model: &M) -> Option<Answer> {
    let initial = |key: u32| {
        let own: Result<M, Stopped> = begin(task, &task.history.keys[key as usize]);
        own.map_or_else(|Stopped| model.initial(), |own| own.initial())
    };
    exact::sequential(task.history, model, &initial, &task.limits())
}

/// Above so many operations, what reads may have seen is not tried out.
const MOST_TRIED: usize = 600;

/// A session guarantee.
fn guarantee(task: &Task<'_>, cancellation: &Cancellation<'_>) -> Result<Found, Stopped> {
    if !task.is_traced() {
        let (model, level) = (task.options.model, task.level);
        let reason =
            format!("the level {level} is defined for registers and lists, not for a {model}");
        return Ok(Found::Unknown(reason));
    }
    let facts = match task.facts(cancellation)? {
        Ok(facts) => facts,
        Err(found) => return Ok(found),
    };
    let valid = |facts: &Facts<'_>, order: &[u32], sights| {
        let places = order.iter().map(|&it| facts.all[it as usize].place).collect();
        Found::Valid(vec![key_order(task.history, &Value::Null, places)], sights)
    };
    let trace = match task.trace(&facts, cancellation)? {
        Ok(trace) => trace,
        Err(UnknownSource::Ambiguous(reason)) => {
            let size = facts.all.len();
            if task.options.model != ModelKind::Register || size > MOST_TRIED {
                return Ok(Found::Unknown(reason));
            }
            return Ok(match exact::session(&facts, task.level, cancellation) {
                Tried::Order(sources, order) => valid(&facts, &order, sights(&facts, &sources)),
                Tried::None => {
                    let places = facts.all.iter().map(|fact| fact.place).collect();
                    Found::Violation(Suspects::all(places))
                }
                Tried::Unknown => Found::Unknown(format!("{reason}; trying all ran out of time")),
            });
        }
        Err(obstacle) => return Ok(impossible(&facts, &obstacle)),
    };
    let time = sequential::first_returns(task.history, &trace, &trace.readers());
    Ok(match session::decide(&trace, task.level, &time, task.options.memory, cancellation)? {
        session::Found::Order(order) => valid(&facts, &order, Vec::new()),
        session::Found::Circle(circle) => suspects(&facts, places_of(&trace, &circle)),
        session::Found::TooMuch => Found::Unknown(format!(
            "what {} sessions knew of each other does not fit into {} MiB",
            trace.sessions.len(),
            task.options.memory >> 20
        )),
    })
}

/// What every read saw.
fn sights(facts: &Facts<'_>, sources: &[Source]) -> Vec<ReadsFrom> {
    let index = |number: u32| facts.operation(number).invoked.position;
    // What need not have happened saw nothing.
    let trace = Trace::new(facts, sources);
    let sight = |(number, source): (u32, &Source)| match source {
        _ if !trace.op(number).kept => None,
        Source::Nothing => None,
        Source::Initial => Some(ReadsFrom { read: index(number), write: None }),
        Source::Write(write) => Some(ReadsFrom { read: index(number), write: Some(index(*write)) }),
    };
    (0..).zip(sources).filter_map(sight).collect()
}

/// The analysis, with the evidence, which is checked once more.
fn conclude(task: &Task<'_>, found: Found) -> (Analysis, Option<Certificate>) {
    match found {
        Found::Unknown(reason) => (analysis(task, Verdict::Unknown, Some(reason), None), None),
        Found::Violation(suspects) => match explain(task, &suspects) {
            Ok(counterexample) => {
                (analysis(task, Verdict::Violation, None, Some(counterexample)), None)
            }
            Err(reason) => (analysis(task, Verdict::Unknown, Some(reason), None), None),
        },
        Found::Valid(keys, saw) => {
            let Options { model, initial, initial_by_key, .. } = task.options;
            let certificate = Certificate {
                model: model.name().to_owned(),
                initial: initial.clone(),
                level: None,
                consistency: Some(task.level),
                keys,
                saw,
            };
            let expected =
                Expected { model: *model, initial: initial.clone(), ..Expected::default() };
            let asked = (task.level, initial_by_key);
            match verify::verify(task.history, &certificate, &expected, asked, task.stop) {
                Ok(()) => (analysis(task, Verdict::Valid, None, None), Some(certificate)),
                Err(error) => {
                    let reason = format!("the verifier rejects the order that was found: {error}");
                    (analysis(task, Verdict::Unknown, Some(reason), None), None)
                }
            }
        }
    }
}

/// Levels that are about all keys at once are said of one object, which has no key.
fn analysis(
    task: &Task<'_>,
    verdict: Verdict,
    reason: Option<String>,
    counterexample: Option<Counterexample>,
) -> Analysis {
    let history = task.history;
    let by_key = matches!(task.level, Level::Linearizable | Level::Stale(_));
    let keys = if by_key { &history.keys[..] } else { &[Value::Null] };
    let mut counts = vec![OperationCounts::default(); keys.len()];
    for operation in &history.operations {
        counts[if by_key { operation.key.0 as usize } else { 0 }].add(operation);
    }
    let engine = match task.level {
        Level::Linearizable | Level::Stale(Staleness::Any | Staleness::Time(_)) => "chains",
        Level::Stale(Staleness::Versions(_)) => "window",
        Level::Sequential => "one order",
        _ => "sessions",
    };
    let blamed = counterexample.as_ref().map(|found| found.key.clone());
    let key_analysis = |(key, counts): (&Value, &OperationCounts)| {
        let is_blamed = !by_key || blamed.as_ref() == Some(key);
        let own =
            if verdict == Verdict::Violation && !is_blamed { Verdict::Unknown } else { verdict };
        // Levels of whole histories have no key, unless one is to blame.
        let shown = if by_key { key } else { blamed.as_ref().unwrap_or(key) };
        KeyAnalysis {
            key: shown.clone(),
            verdict: own,
            engine: engine.to_owned(),
            operations: counts.invoked - counts.fail,
            reason: match (own, verdict) {
                (Verdict::Unknown, Verdict::Violation) => {
                    Some("not looked at: another key is in violation".to_owned())
                }
                _ => reason.clone().filter(|_| verdict == Verdict::Unknown),
            },
            initial: None,
            counterexample: counterexample.clone().filter(|_| is_blamed).map(Box::new),
        }
    };
    let keys = keys.iter().zip(&counts).map(key_analysis).collect();
    let reasons = reason.into_iter().collect();
    Analysis { verdict, keys, counterexample, reasons, isolation: None }
}
