//! Counterexamples of levels: a few operations, decided once more by the definition, and told.

use rustc_hash::FxHashSet;

use super::Level;
use super::check::{Task, begin, search_one_order};
use super::effect_intervals::relax;
use super::exact::{self, Tried};
use super::facts::{Fact, Facts, Observed};
use super::search::Answer;
use super::trace::Trace;
use crate::engines::{Cancellation, Stopped};
use crate::event::Function;
use crate::history::{Action, History};
use crate::initial::Begins;
use crate::model::{Call, Model, ModelKind, with_model};
use crate::options::Options;
use crate::value::{Value, ValueId};
use crate::verdict::{Anomaly, Counterexample, CounterexampleOperation};

/// Operations that break a level among themselves.
pub(super) struct Suspects {
    /// Their places.
    places: Vec<u32>,
    /// Compare-and-sets of which it only matters what they wrote.
    as_writes: FxHashSet<u32>,
    /// More of them, for where that is not so: with all that any of them rests on.
    whole: Vec<u32>,
}

/// With more operations than this, those that others rest on are not added.
const MOST_WHOLE: usize = 2_000;

impl Suspects {
    /// All of these.
    pub(super) fn all(places: Vec<u32>) -> Self {
        Self { places, as_writes: FxHashSet::default(), whole: Vec::new() }
    }

    /// These, and those that wrote what they saw.
    pub(super) fn with_sources(facts: &Facts<'_>, mut places: Vec<u32>) -> Self {
        if facts.is_list {
            places.extend(longest_reads(facts, &places));
        }
        let mut chosen: FxHashSet<u32> = places.iter().copied().collect();
        add_observers(facts, &mut chosen);
        let as_writes: FxHashSet<u32> = sources(facts, &chosen).into_iter().collect();
        let mut whole = chosen.clone();
        loop {
            let more = sources(facts, &whole);
            if more.is_empty() || whole.len() > MOST_WHOLE {
                break;
            }
            whole.extend(more);
            add_observers(facts, &mut whole);
        }
        chosen.extend(&as_writes);
        let sorted = |set: FxHashSet<u32>| {
            let mut places: Vec<u32> = set.into_iter().collect();
            places.sort_unstable();
            places
        };
        Self { places: sorted(chosen), as_writes, whole: sorted(whole) }
    }
}

/// Adds of every operation of unknown outcome one that shows that it happened.
fn add_observers(facts: &Facts<'_>, chosen: &mut FxHashSet<u32>) {
    loop {
        let unknown = facts.all.iter().filter(|it| !it.completed && chosen.contains(&it.place));
        let observer = |it: &Fact| {
            let saw = |other: &&Fact| {
                other.key == it.key
                    && other.place != it.place
                    && it.written.is_some_and(|written| other.observed == Observed::Is(written))
            };
            let all = || facts.all.iter().filter(saw);
            let known = all().any(|other| chosen.contains(&other.place));
            let found = all().find(|other| other.completed).or_else(|| all().next());
            found.filter(|_| !known).map(|other| other.place)
        };
        let more: Vec<u32> = unknown.filter_map(observer).collect();
        if more.is_empty() {
            return;
        }
        chosen.extend(more);
    }
}

/// The operations besides that wrote what some of these saw.
fn sources(facts: &Facts<'_>, chosen: &FxHashSet<u32>) -> Vec<u32> {
    let seen = facts.all.iter().filter(|fact| chosen.contains(&fact.place));
    let needed: FxHashSet<(u32, ValueId)> =
        seen.flat_map(|fact| needs(facts, fact.key, fact.observed)).collect();
    let wrote = |fact: &&Fact| {
        let written = fact.written.is_some_and(|written| needed.contains(&(fact.key, written)));
        written && !chosen.contains(&fact.place)
    };
    facts.all.iter().filter(wrote).map(|fact| fact.place).collect()
}

/// Of each key that these operations are about, the read that shows the most.
fn longest_reads(facts: &Facts<'_>, places: &[u32]) -> Vec<u32> {
    let chosen: FxHashSet<u32> = places.iter().copied().collect();
    let keys: FxHashSet<u32> =
        facts.all.iter().filter(|it| chosen.contains(&it.place)).map(|it| it.key).collect();
    let length = |fact: &Fact| match fact.observed {
        Observed::Is(seen) => match facts.history.values.get(seen) {
            Value::List(items) => Some(items.len()),
            _ => None,
        },
        _ => None,
    };
    let longest = |&key: &u32| {
        let reads = facts.all.iter().filter(|it| it.key == key && it.completed);
        reads.filter(|it| length(it).is_some()).max_by_key(|it| length(it)).map(|it| it.place)
    };
    keys.iter().filter_map(longest).collect()
}

/// The values whose writers an observation rests on.
fn needs(facts: &Facts<'_>, key: u32, observed: Observed) -> Vec<(u32, ValueId)> {
    let Observed::Is(seen) = observed else { return Vec::new() };
    let is_named = seen.index() < facts.history.values.len();
    match is_named.then(|| facts.history.values.get(seen)) {
        Some(Value::List(items)) => {
            let tokens = items.iter().filter_map(|item| facts.history.values.find(item));
            tokens.chain([seen]).map(|token| (key, token)).collect()
        }
        _ => vec![(key, seen)],
    }
}

/// Of more operations than this, none is left out again.
const TIGHTENED: usize = 80;

/// The counterexample that these operations are.
///
/// # Errors
///
/// If they are of the level on their own, or that cannot be decided.
pub(super) fn explain(task: &Task<'_>, suspects: &Suspects) -> Result<Counterexample, String> {
    let mut shown = witnesses(task.history, &suspects.places, &suspects.as_writes);
    let mut found = broken(task, &shown);
    if found == Some(false) && !suspects.whole.is_empty() {
        shown = witnesses(task.history, &suspects.whole, &FxHashSet::default());
        found = broken(task, &shown);
    }
    match found {
        Some(true) => {}
        Some(false) => {
            return Err("the operations of the counterexample are of the level".to_owned());
        }
        None => return Err("the counterexample could not be decided again".to_owned()),
    }
    if shown.len() <= TIGHTENED {
        shown = tighten(task, shown);
    }
    let mut found = Counterexample {
        key: shown.first().and_then(|it| it.key.clone()).unwrap_or_default(),
        anomaly: Anomaly::NotLinearizable,
        sentence: String::new(),
        stale_for: None,
        stale_by_versions: None,
        operations: shown,
        cycle: Vec::new(),
        impasse: None,
        hint: None,
    };
    super::words::name(task, &mut found);
    let key = found.key.clone();
    for witness in &mut found.operations {
        witness.key = witness.key.take().filter(|own| *own != key);
    }
    Ok(found)
}

/// The operations at these places, some as the writes that they also are.
fn witnesses(
    history: &History,
    places: &[u32],
    as_writes: &FxHashSet<u32>,
) -> Vec<CounterexampleOperation> {
    let witness = |&place: &u32| {
        let operation = &history.operations[place as usize];
        let mut witness = history.witness(operation);
        if let (true, Action::Cas { new, .. }) = (as_writes.contains(&place), operation.action) {
            witness.function = Function::Write;
            witness.value = history.values.get(new).clone();
            (witness.swapped, witness.saw) = (None, None);
        }
        witness.key = Some(history.key(operation.key).clone());
        witness
    };
    let happened = |place: &&u32| !history.operations[**place as usize].is_failed();
    places.iter().filter(happened).map(witness).collect()
}

fn history_of(shown: &[CounterexampleOperation]) -> Option<History> {
    let found = Counterexample {
        key: Value::Null,
        anomaly: Anomaly::NotLinearizable,
        sentence: String::new(),
        stale_for: None,
        stale_by_versions: None,
        operations: shown.to_vec(),
        cycle: Vec::new(),
        impasse: None,
        hint: None,
    };
    History::from_events(found.events()).ok()
}

/// Whether these operations alone break the level, by its definition; nothing if that is not known.
fn broken(task: &Task<'_>, shown: &[CounterexampleOperation]) -> Option<bool> {
    let history = history_of(shown)?;
    let task = Task { history: &history, ..*task };
    let cancellation = Cancellation::new(task.stop);
    match task.level {
        Level::Linearizable | Level::Stale(_) => late(&task, &cancellation),
        Level::Sequential => match search_one_order(&task)? {
            Answer::Order(_) => Some(false),
            Answer::None => Some(true),
            Answer::Unknown(_) => None,
        },
        level => session(&task, level, &cancellation),
    }
}

fn session(task: &Task<'_>, level: Level, cancellation: &Cancellation<'_>) -> Option<bool> {
    let Options { model, initial, initial_by_key, .. } = task.options;
    let facts =
        Facts::of(task.history, (*model, initial, initial_by_key), cancellation).ok()?.ok()?;
    if *model != ModelKind::Append {
        return match exact::session(&facts, level, cancellation) {
            Tried::Order(..) => Some(false),
            Tried::None => Some(true),
            Tried::Unknown => None,
        };
    }
    match Trace::of_append(&facts, cancellation).ok()? {
        Ok(trace) => exact::holds(&trace, level, cancellation).ok().map(|order| order.is_none()),
        Err(super::trace::UnknownSource::Ambiguous(_)) => None,
        Err(_) => Some(true),
    }
}

fn late(task: &Task<'_>, cancellation: &Cancellation<'_>) -> Option<bool> {
    let Options { model, initial, .. } = task.options;
    let found = with_model!(model, initial, &task.history.values, model => {
        late_on(task, &model, cancellation)
    });
    found.ok()?
}

fn late_on<'a, M: Model + Begins<'a>>(
    task: &Task<'a>,
    _model: &M,
    cancellation: &Cancellation<'_>,
) -> Option<bool> {
    let history = task.history;
    let relaxed = relax(history, task.level, cancellation).ok()?.ok()?;
    // A counterexample is about one key.
    let own: Result<M, Stopped> = begin(task, history.keys.first()?);
    let own = own.ok()?;
    match exact::relaxed(history, &own, own.initial(), &relaxed, &task.limits())? {
        Answer::Order(_) => Some(false),
        Answer::None => Some(true),
        Answer::Unknown(_) => None,
    }
}

/// The operations without those that are not needed. What relies on one that is left out, goes too.
fn tighten(
    task: &Task<'_>,
    mut shown: Vec<CounterexampleOperation>,
) -> Vec<CounterexampleOperation> {
    let mut at = 0;
    while at < shown.len() {
        let Some(unit) = unit(task, &shown, at) else { return shown };
        let is_out = |(place, _): &(usize, &CounterexampleOperation)| !unit.contains(place);
        let fewer: Vec<CounterexampleOperation> =
            shown.iter().enumerate().filter(is_out).map(|(_, it)| it.clone()).collect();
        if !fewer.is_empty() && broken(task, &fewer) == Some(true) {
            shown = fewer;
            at = 0;
        } else {
            at += 1;
        }
    }
    shown
}

/// The operation at a place, and all whose answers rest on it.
fn unit(
    task: &Task<'_>,
    shown: &[CounterexampleOperation],
    place: usize,
) -> Option<FxHashSet<usize>> {
    let history = history_of(shown)?;
    let Options { model, initial, .. } = task.options;
    let calls: Vec<Call> = history
        .operations
        .iter()
        .map(|it| Call { action: it.action, response: it.response() })
        .collect();
    let found = with_model!(model, initial, &history.values, model => {
        let mut unit: FxHashSet<usize> = [place].into_iter().collect();
        let mut open = vec![place];
        while let Some(writer) = open.pop() {
            for observer in 0..calls.len() {
                let same = history.operations[observer].key == history.operations[writer].key;
                if same && observer != writer && model.relies_on(calls[observer], calls[writer]) && unit.insert(observer) {
                    open.push(observer);
                }
            }
        }
        unit
    });
    found.ok()
}
