//! The levels by their definitions, without regard to cost: for counterexamples, for what repeats
//! values, and for objects other than registers.

use rustc_hash::FxHashSet;

use super::Level;
use super::effect_intervals::Relaxed;
use super::facts::{Facts, Observed};
use super::search::{Answer, Machine, Problem, search};
use super::trace::{Source, Trace};
use crate::engines::wgl::Limits;
use crate::engines::{Cancellation, Stopped};
use crate::history::{History, Outcome};
use crate::model::{Call, Model};

/// Operations of a history on one model.
pub(super) struct Calls<'a, M> {
    pub model: &'a M,
    /// By item.
    pub calls: Vec<Call>,
}

impl<M: Model> Machine for Calls<'_, M> {
    type State = M::State;

    fn step(&self, state: &M::State, item: u32) -> Option<M::State> {
        self.model.step(state, self.calls[item as usize])
    }

    fn is_pure(&self, item: u32) -> bool {
        self.model.is_pure(self.calls[item as usize])
    }

    fn heap_bytes(&self, state: &M::State) -> usize {
        self.model.heap_bytes(state)
    }
}

/// The operations of the history that may matter, by their places; nothing if one has no meaning.
fn calls<M: Model>(history: &History, model: &M) -> Option<Vec<(u32, Call)>> {
    let mut calls = Vec::new();
    for (place, operation) in (0..).zip(&history.operations) {
        let response = match operation.outcome {
            Outcome::Ok(_, response) => Some(response),
            Outcome::Info(_) => None,
            Outcome::Fail(_) => continue,
        };
        let call = Call { action: operation.action, response };
        if !model.knows(call) {
            return None;
        }
        if response.is_some() || !model.is_pure(call) {
            calls.push((place, call));
        }
    }
    Some(calls)
}

/// Searches an order of all operations that keeps every session's own; as places in the history.
pub(super) fn sequential<M: Model>(
    history: &History,
    model: &M,
    initial: &dyn Fn(u32) -> M::State,
    limits: &Limits<'_>,
) -> Option<Answer> {
    let all = calls(history, model)?;
    let mut problem = Problem::default();
    let mut last = rustc_hash::FxHashMap::default();
    for (place, call) in &all {
        let operation = &history.operations[*place as usize];
        let item = problem.add(operation.key.0, call.response.is_some());
        if let Some(before) = last.insert(operation.process, item) {
            problem.order(before, item);
        }
    }
    let states = (0..history.keys.len() as u32).map(initial).collect();
    let machine = Calls { model, calls: all.iter().map(|(_, call)| *call).collect() };
    Some(in_places(search(&problem, &machine, states, limits), &all))
}

fn in_places(answer: Answer, all: &[(u32, Call)]) -> Answer {
    match answer {
        Answer::Order(order) => {
            Answer::Order(order.into_iter().map(|item| all[item as usize].0).collect())
        }
        other => other,
    }
}

/// A state with the last changes before it, for reads that may be some versions late.
type Window<S> = Vec<S>;

/// As [`Calls`], where reads may see an older state.
struct Lagging<'a, M> {
    calls: Calls<'a, M>,
    /// By item, by how many versions it may be late.
    lag: Vec<u32>,
    most: usize,
}

impl<M: Model> Machine for Lagging<'_, M> {
    type State = Window<M::State>;

    fn step(&self, window: &Window<M::State>, item: u32) -> Option<Window<M::State>> {
        let lag = self.lag[item as usize] as usize;
        if self.is_pure(item) {
            let mut newest = window.iter().rev().take(lag.saturating_add(1));
            return newest.any(|it| self.calls.step(it, item).is_some()).then(|| window.clone());
        }
        let newest = window.last().expect("there is a state");
        let after = self.calls.step(newest, item)?;
        let mut window = window.clone();
        let has_response = self.calls.calls[item as usize].response.is_some();
        // What had no effect is no version.
        if has_response || after != *newest {
            window.push(after);
        }
        if window.len() > self.most + 1 {
            window.remove(0);
        }
        Some(window)
    }

    fn is_pure(&self, item: u32) -> bool {
        self.calls.is_pure(item)
    }

    fn heap_bytes(&self, window: &Window<M::State>) -> usize {
        window.iter().map(|it| size_of::<M::State>() + self.calls.heap_bytes(it)).sum()
    }
}

/// Searches an order of a history of one key whose reads may be late.
pub(super) fn relaxed<M: Model>(
    history: &History,
    model: &M,
    initial: M::State,
    relaxed: &Relaxed,
    limits: &Limits<'_>,
) -> Option<Answer> {
    let all = calls(history, model)?;
    let mut problem = Problem::default();
    let mut items = vec![None; history.operations.len()];
    for (place, call) in &all {
        items[*place as usize] = Some(problem.add(0, call.response.is_some()));
    }
    let stretch = |place: u32| relaxed.stretches[place as usize];
    for (one, (first, _)) in (0..).zip(&all) {
        for (other, (second, _)) in (0..).zip(&all) {
            if one != other && stretch(*first).until < stretch(*second).from {
                problem.order(one, other);
            }
        }
    }
    for &(first, second) in &relaxed.promises {
        if let (Some(first), Some(second)) = (items[first as usize], items[second as usize]) {
            problem.order(first, second);
        }
    }
    let calls = Calls { model, calls: all.iter().map(|(_, call)| *call).collect() };
    let lag: Vec<u32> = all.iter().map(|(place, _)| relaxed.lags[*place as usize]).collect();
    let most = lag.iter().copied().max().unwrap_or(0) as usize;
    let machine = Lagging { calls, lag, most };
    Some(in_places(search(&problem, &machine, vec![vec![initial]], limits), &all))
}

/// What trying out what reads may have seen came to.
#[derive(Debug)]
pub(super) enum Tried {
    /// What every operation saw, and an order of all writes.
    Order(Vec<Source>, Vec<u32>),
    /// Whatever they saw, the guarantee is broken.
    None,
    /// The time ran out.
    Unknown,
}

/// Tries all that reads of a register may have seen, for a session guarantee.
pub(super) fn session(facts: &Facts<'_>, level: Level, cancellation: &Cancellation<'_>) -> Tried {
    let candidates: Vec<Vec<Source>> =
        (0..facts.all.len() as u32).map(|number| candidates(facts, number)).collect();
    let required = |number: usize| facts.all[number].completed;
    let is_read = |number: usize| facts.all[number].observed != Observed::Nothing;
    let none = |number: usize| is_read(number) && required(number) && candidates[number].is_empty();
    if (0..candidates.len()).any(none) {
        return Tried::None;
    }
    // One choice of each, counted through like the digits of a number.
    let mut digits = vec![0_usize; candidates.len()];
    loop {
        if cancellation.spend(facts.all.len() * facts.all.len()).is_err() {
            return Tried::Unknown;
        }
        let choose = |(number, &digit): (usize, &usize)| {
            candidates[number].get(digit).copied().unwrap_or(Source::Nothing)
        };
        let sources: Vec<Source> = digits.iter().enumerate().map(choose).collect();
        let trace = Trace::new(facts, &sources);
        let lost = |number: usize| {
            trace.ops[number].kept && is_read(number) && sources[number] == Source::Nothing
        };
        if !(0..sources.len()).any(lost) {
            match holds(&trace, level, cancellation) {
                Ok(Some(order)) => return Tried::Order(sources, order),
                Ok(None) => {}
                Err(Stopped) => return Tried::Unknown,
            }
        }
        let next = (0..digits.len()).find(|&at| digits[at] + 1 < candidates[at].len());
        let Some(next) = next else { return Tried::None };
        digits[next] += 1;
        digits[..next].fill(0);
    }
}

/// What an operation may have seen, the likeliest first.
fn candidates(facts: &Facts<'_>, number: u32) -> Vec<Source> {
    let fact = &facts.all[number as usize];
    let fits = |value| match fact.observed {
        Observed::Nothing => false,
        Observed::Is(seen) => seen == value,
        Observed::Not(other) => other != value,
    };
    let writes = |(other, it): (u32, &super::facts::Fact)| {
        let fits = other != number && it.key == fact.key && it.written.is_some_and(fits);
        fits.then_some(Source::Write(other))
    };
    let mut found: Vec<Source> = (0..).zip(&facts.all).filter_map(writes).collect();
    found.reverse();
    if fits(facts.initial[fact.key as usize]) {
        found.push(Source::Initial);
    }
    found
}

/// An order of all writes with which the guarantee holds, straight from its definition.
pub(super) fn holds(
    trace: &Trace,
    level: Level,
    cancellation: &Cancellation<'_>,
) -> Result<Option<Vec<u32>>, Stopped> {
    let kept: Vec<u32> = trace.kept().collect();
    let precedes = |one: u32, other: u32| {
        let (one, other) = (trace.op(one), trace.op(other));
        one.session == other.session && one.at < other.at
    };
    let source = |number: u32| match trace.op(number).source {
        Source::Write(write) => Some(write),
        _ => None,
    };
    let writes = || kept.iter().copied().filter(|&it| trace.op(it).writes);
    let mut first: FxHashSet<(u32, u32)> = trace.ordered.iter().copied().collect();
    for write in writes() {
        if let Source::Write(before) = trace.op(write).replaced {
            first.insert((before, write));
        }
    }
    let causal = causal(&kept, &precedes, &source, cancellation)?;
    if level == Level::Session {
        if kept.iter().any(|&it| causal.contains(&(it, it))) {
            return Ok(None);
        }
        first.extend(causal.iter().filter(|(a, b)| trace.op(*a).writes && trace.op(*b).writes));
    }
    for second in writes() {
        for &one in &kept {
            cancellation.step()?;
            if !precedes(one, second) {
                continue;
            }
            let same = trace.op(one).key == trace.op(second).key;
            match level {
                Level::MonotonicWrites if trace.op(one).writes => _ = first.insert((one, second)),
                Level::ReadYourWrites if trace.op(one).writes && same => {
                    first.insert((one, second));
                }
                Level::WritesFollowReads => {
                    first.extend(source(one).map(|seen| (seen, second)));
                }
                _ => {}
            }
        }
    }
    for &read in &kept {
        if source(read).is_some_and(|write| precedes(read, write)) {
            return Ok(None);
        }
        if trace.op(read).source == Source::Nothing {
            continue;
        }
        for must in musts(trace, level, read, (&kept, &precedes, &source), &causal, cancellation)? {
            if trace.op(must).key != trace.op(read).key || must == read {
                continue;
            }
            match source(read) {
                Some(seen) if seen == must => {}
                Some(seen) => _ = first.insert((must, seen)),
                None => return Ok(None),
            }
        }
    }
    // Whatever comes first in no pair may come next.
    let mut left: Vec<u32> = writes().collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        cancellation.spend(left.len() * left.len())?;
        let free = |&it: &u32| !left.iter().any(|&other| first.contains(&(other, it)));
        let Some(next) = left.iter().position(free) else { return Ok(None) };
        order.push(left.remove(next));
    }
    Ok(Some(order))
}

type Pairs = FxHashSet<(u32, u32)>;

/// The causal order: of sessions and of reads after what they saw, and so on.
fn causal(
    kept: &[u32],
    precedes: &dyn Fn(u32, u32) -> bool,
    source: &dyn Fn(u32) -> Option<u32>,
    cancellation: &Cancellation<'_>,
) -> Result<Pairs, Stopped> {
    let mut pairs = Pairs::default();
    for &one in kept {
        for &other in kept {
            if precedes(one, other) || source(other) == Some(one) {
                pairs.insert((one, other));
            }
        }
    }
    for &middle in kept {
        for &one in kept {
            cancellation.spend(1 + kept.len() / 8)?;
            if pairs.contains(&(one, middle)) {
                let beyond = kept.iter().filter(|it| pairs.contains(&(middle, **it)));
                let beyond: Vec<u32> = beyond.copied().collect();
                pairs.extend(beyond.into_iter().map(|other| (one, other)));
            }
        }
    }
    Ok(pairs)
}

type Relations<'a> = (&'a [u32], &'a dyn Fn(u32, u32) -> bool, &'a dyn Fn(u32) -> Option<u32>);

/// The writes that a read must not miss.
fn musts(
    trace: &Trace,
    level: Level,
    read: u32,
    (kept, precedes, source): Relations<'_>,
    causal: &Pairs,
    cancellation: &Cancellation<'_>,
) -> Result<FxHashSet<u32>, Stopped> {
    let before = || kept.iter().copied().filter(|&it| precedes(it, read));
    let writes = |it: &u32| trace.op(*it).writes;
    cancellation.spend(kept.len())?;
    Ok(match level {
        Level::ReadYourWrites => before().filter(writes).collect(),
        Level::MonotonicReads => before().filter_map(source).collect(),
        Level::MonotonicWrites => {
            let seen: Vec<u32> = before().chain([read]).filter_map(source).collect();
            let earlier = |it: &u32| seen.iter().any(|&write| precedes(*it, write));
            kept.iter().copied().filter(writes).filter(earlier).collect()
        }
        Level::WritesFollowReads => {
            let mut open: Vec<u32> = before().chain([read]).filter_map(source).collect();
            let mut found = FxHashSet::default();
            while let Some(write) = open.pop() {
                cancellation.spend(kept.len())?;
                let read_before = kept.iter().copied().filter(|&it| precedes(it, write));
                open.extend(read_before.filter_map(source).filter(|it| found.insert(*it)));
            }
            found
        }
        _ => {
            kept.iter().copied().filter(writes).filter(|&it| causal.contains(&(it, read))).collect()
        }
    })
}
