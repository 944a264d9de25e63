//! Reads that may be late, beside changes that are linearizable, where it is known who saw what.
//!
//! A read that may be late by a time is one that was invoked so much earlier; one that may be late as
//! it likes was invoked before the history. Then the history is linearizable or not, key by key.
//! The order of a key's changes falls into *chains*, which nothing can come between: a write, and
//! what replaced what was seen of it. A chain with the reads of its values must come before another
//! if one of its operations came back before one of the other's was invoked. Besides, some reads must
//! not show less than what their session saw or wrote before. An order of chains in which all this is
//! so is an order of all operations; chains are taken one by one, whichever may come next, and any
//! will do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::trace::{NONE, Source, Trace};
use crate::engines::{Cancellation, Stopped};

/// The stretch of the history in which an operation must take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EffectInterval {
    /// The position of the first event that it may follow at once.
    pub from: u64,
    /// The position of the event that it must come before.
    pub until: u64,
}

/// What is asked of a key.
pub(super) struct Key<'a> {
    pub trace: &'a Trace,
    /// The operations of the key that happened, in the order of the history.
    pub ops: &'a [u32],
    /// By operation.
    pub stretches: &'a [EffectInterval],
    /// Changes and reads, each with a read of the same session that must not show less.
    pub promises: &'a [(u32, u32)],
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Found {
    /// An order of all operations of the key.
    Order(Vec<u32>),
    /// Operations that have none.
    Circle(Vec<u32>),
}

/// One chain, with what decides when it may come.
#[derive(Debug)]
struct Chain {
    /// What it begins with; of the chain before all changes nothing.
    writes: Vec<u32>,
    readers: Vec<Vec<u32>>,
    /// The first return of its operations, and the operation.
    first: (u64, u32),
    /// The last moment from which one of them may take effect, and the operation.
    last: (u64, u32),
}

impl Chain {
    fn new() -> Self {
        let (writes, readers) = (Vec::new(), Vec::new());
        Self { writes, readers, first: (u64::MAX, NONE), last: (0, NONE) }
    }
}

/// Scratch of [`decide`], by operation of the whole history.
pub(super) struct Places {
    /// The chain of each write, and its place in it.
    of: Vec<(u32, u32)>,
}

impl Places {
    pub(super) fn new(trace: &Trace) -> Self {
        Self { of: vec![(NONE, NONE); trace.ops.len()] }
    }
}

/// Looks for an order of a key's operations.
pub(super) fn decide(
    key: &Key<'_>,
    places: &mut Places,
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    let mut chains = match chains(key, places, cancellation)? {
        Ok(chains) => chains,
        Err(circle) => return Ok(Found::Circle(circle)),
    };
    for chain in &mut chains {
        if let Some(circle) = walk(key, chain, cancellation)? {
            return Ok(Found::Circle(circle));
        }
    }
    let chain_of = |op: u32| chain_of(key.trace, &places.of, op);
    let mut after: Vec<Vec<(u32, u32)>> = vec![Vec::new(); chains.len()];
    let mut waits = vec![0_u32; chains.len()];
    for (number, &(first, second)) in (0..).zip(key.promises) {
        let [one, other] = [first, second].map(chain_of);
        if one == other {
            let place = |op: u32| place_in_chain(key.trace, &places.of, op);
            if place(first) > place(second) {
                return Ok(Found::Circle(with_sources(key.trace, [first, second])));
            }
        } else {
            after[one as usize].push((other, number));
            waits[other as usize] += 1;
        }
    }
    let sorted = sort(&chains, &after, waits, cancellation)?;
    Ok(match sorted {
        Ok(order) => Found::Order(lay_out(key, &chains, &order)),
        Err(left) => Found::Circle(circle(key, &chains, &after, &left)),
    })
}

/// The number of the chain that an operation belongs to; 0 is that before all changes.
fn chain_of(trace: &Trace, places: &[(u32, u32)], op: u32) -> u32 {
    let found = trace.op(op);
    match found.source {
        _ if found.writes => places[op as usize].0,
        Source::Write(write) => places[write as usize].0,
        _ => 0,
    }
}

/// How many changes of its chain come before what an operation wrote or saw.
fn place_in_chain(trace: &Trace, places: &[(u32, u32)], op: u32) -> u32 {
    let found = trace.op(op);
    match found.source {
        _ if found.writes => places[op as usize].1 + 1,
        Source::Write(write) => places[write as usize].1 + 1,
        _ => 0,
    }
}

/// The chains of a key, that before all changes first; or operations that replaced the same.
fn chains(
    key: &Key<'_>,
    places: &mut Places,
    cancellation: &Cancellation<'_>,
) -> Result<Result<Vec<Chain>, Vec<u32>>, Stopped> {
    let trace = key.trace;
    let mut chains = vec![Chain::new()];
    let mut links = Vec::new();
    for &number in key.ops {
        cancellation.step()?;
        let op = trace.op(number);
        match op.replaced {
            _ if !op.writes => {}
            Source::Nothing => {
                places.of[number as usize] = (chains.len() as u32, 0);
                chains.push(Chain { writes: vec![number], ..Chain::new() });
            }
            _ => links.push(number),
        }
    }
    if let Err(circle) = link(trace, &links, &mut chains, places, cancellation)? {
        return Ok(Err(circle));
    }
    for chain in &mut chains {
        chain.readers = vec![Vec::new(); chain.writes.len() + 1];
    }
    for &number in key.ops {
        cancellation.step()?;
        let op = trace.op(number);
        if !op.writes && op.source != Source::Nothing {
            let chain = chain_of(trace, &places.of, number) as usize;
            let place = place_in_chain(trace, &places.of, number) as usize;
            chains[chain].readers[place].push(number);
        }
    }
    Ok(Ok(chains))
}

/// Adds what replaced something to its chain.
fn link(
    trace: &Trace,
    links: &[u32],
    chains: &mut [Chain],
    places: &mut Places,
    cancellation: &Cancellation<'_>,
) -> Result<Result<(), Vec<u32>>, Stopped> {
    // What replaced what: at most one each.
    let mut first = None;
    let mut followers: FxHashMap<u32, u32> = FxHashMap::default();
    for &number in links {
        cancellation.step()?;
        match trace.op(number).replaced {
            Source::Initial => {
                if let Some(other) = first.replace(number) {
                    return Ok(Err(vec![other, number]));
                }
            }
            Source::Write(before) => {
                if let Some(other) = followers.insert(before, number) {
                    return Ok(Err(vec![before, other, number]));
                }
            }
            Source::Nothing => {}
        }
    }
    let mut placed = 0;
    for (number, chain) in (0..).zip(chains.iter_mut()) {
        let mut at = match chain.writes.first() {
            Some(&start) => followers.get(&start).copied(),
            None => first,
        };
        while let Some(next) = at {
            cancellation.step()?;
            places.of[next as usize] = (number, chain.writes.len() as u32);
            chain.writes.push(next);
            placed += 1;
            at = followers.get(&next).copied();
        }
    }
    if placed == links.len() {
        return Ok(Ok(()));
    }
    // What no beginning leads to replaces itself in a circle.
    let is_placed = |number: u32| places.of[number as usize].0 != NONE;
    let mut at = *links.iter().find(|&&number| !is_placed(number)).expect("some are left");
    for _ in 0..links.len() {
        if let Source::Write(before) = trace.op(at).replaced {
            at = before;
        }
    }
    let mut circle = vec![at];
    while let Source::Write(before) = trace.op(circle[circle.len() - 1]).replaced
        && before != at
    {
        circle.push(before);
    }
    Ok(Err(circle))
}

/// Goes through a chain, and says when it may come; of operations that cannot follow each other as
/// they do in it, these.
fn walk(
    key: &Key<'_>,
    chain: &mut Chain,
    cancellation: &Cancellation<'_>,
) -> Result<Option<Vec<u32>>, Stopped> {
    let steps = (0..chain.readers.len()).flat_map(|place| {
        let write = place.checked_sub(1).map(|before| chain.writes[before]);
        write
            .into_iter()
            .map(|write| (write, true))
            .chain(chain.readers[place].iter().map(|&it| (it, false)))
    });
    // Readers of one value may come in any order, so what they ask for counts after all of them.
    let mut latest = (0, NONE);
    let mut pending = (0, NONE);
    let (mut first, mut last) = (chain.first, chain.last);
    for (number, is_write) in steps {
        cancellation.step()?;
        let stretch = key.stretches[number as usize];
        if is_write {
            latest = latest.max(pending);
        }
        if stretch.until < latest.0 {
            return Ok(Some(with_sources(key.trace, [number, latest.1])));
        }
        let own = (stretch.from, number);
        if is_write {
            latest = latest.max(own);
        }
        pending = pending.max(own);
        first = first.min((stretch.until, number));
        last = last.max(own);
    }
    (chain.first, chain.last) = (first, last);
    Ok(None)
}

/// The operations, and what they saw.
fn with_sources(trace: &Trace, ops: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut all = Vec::new();
    for number in ops {
        all.push(number);
        if let Source::Write(write) = trace.op(number).source {
            all.push(write);
        }
    }
    all
}

/// An order of the chains, or those that are left when none may come next.
fn sort(
    chains: &[Chain],
    after: &[Vec<(u32, u32)>],
    mut waits: Vec<u32>,
    cancellation: &Cancellation<'_>,
) -> Result<Result<Vec<u32>, Vec<u32>>, Stopped> {
    let mut by_first: Vec<u32> = (1..chains.len() as u32).collect();
    cancellation.spend(chains.len())?;
    by_first.sort_unstable_by_key(|&it| chains[it as usize].first);
    let mut done = vec![false; chains.len()];
    let mut at = 0;
    let mut ready: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
    let mut order = Vec::with_capacity(chains.len());
    let mut next = Some(0);
    // Nothing comes before the beginning.
    let late = chains[0].last.0;
    let is_first = waits[0] == 0
        && by_first.first().is_none_or(|&other| chains[other as usize].first.0 >= late);
    if !is_first {
        return Ok(Err((0..chains.len() as u32).collect()));
    }
    for other in 1..chains.len() as u32 {
        if waits[other as usize] == 0 {
            ready.push(Reverse((chains[other as usize].last.0, other)));
        }
    }
    loop {
        cancellation.step()?;
        let Some(taken) = next else { break };
        done[taken as usize] = true;
        order.push(taken);
        for &(later, _) in &after[taken as usize] {
            waits[later as usize] -= 1;
            if waits[later as usize] == 0 {
                ready.push(Reverse((chains[later as usize].last.0, later)));
            }
        }
        while at < by_first.len() && done[by_first[at] as usize] {
            at += 1;
        }
        while ready.peek().is_some_and(|Reverse((_, it))| done[*it as usize]) {
            ready.pop();
        }
        let Some(&earliest) = by_first.get(at) else { break };
        let second = by_first[at + 1..].iter().find(|&&it| !done[it as usize]);
        let second = second.map_or(u64::MAX, |&it| chains[it as usize].first.0);
        let bound =
            |it: u32| if it == earliest { second } else { chains[earliest as usize].first.0 };
        let soonest = ready.peek().map(|Reverse((_, it))| *it);
        let may = |it: &u32| chains[*it as usize].last.0 <= bound(*it);
        let own = Some(earliest).filter(|it| waits[*it as usize] == 0);
        next = soonest.filter(may).or(own.filter(may));
    }
    if order.len() == chains.len() {
        return Ok(Ok(order));
    }
    Ok(Err((0..chains.len() as u32).filter(|&it| !done[it as usize]).collect()))
}

/// The operations of the chains in this order.
fn lay_out(key: &Key<'_>, chains: &[Chain], order: &[u32]) -> Vec<u32> {
    let mut all = Vec::with_capacity(key.ops.len());
    for &number in order {
        let chain = &chains[number as usize];
        for (place, readers) in chain.readers.iter().enumerate() {
            all.extend(place.checked_sub(1).map(|before| chain.writes[before]));
            let from = all.len();
            all.extend(readers);
            all[from..].sort_unstable_by_key(|&it| (key.stretches[it as usize].from, it));
        }
    }
    all
}

/// Operations of `left` chains, none of which may come next.
fn circle(key: &Key<'_>, chains: &[Chain], after: &[Vec<(u32, u32)>], left: &[u32]) -> Vec<u32> {
    // What each waits for: another that must come first, and the operations that say so.
    let mut before: Vec<Option<(u32, Vec<u32>)>> = vec![None; chains.len()];
    for &number in left {
        for &(later, promise) in &after[number as usize] {
            let (first, second) = key.promises[promise as usize];
            before[later as usize] = Some((number, with_sources(key.trace, [first, second])));
        }
    }
    let mut by_first = left.to_vec();
    by_first.sort_unstable_by_key(|&it| chains[it as usize].first);
    for &number in left {
        let own = &chains[number as usize];
        let earliest = by_first.iter().take(2).find(|&&it| it != number);
        if let Some(&other) = earliest
            && chains[other as usize].first.0 < own.last.0
        {
            let ops = [chains[other as usize].first.1, own.last.1];
            before[number as usize] = Some((other, with_sources(key.trace, ops)));
        }
    }
    // All else waits for the beginning.
    if left[0] == 0
        && let Some((_, ops)) = before[0].take()
    {
        return ops;
    }
    let mut at = left[0];
    for _ in 0..left.len() {
        at = before[at as usize].as_ref().map_or(at, |(other, _)| *other);
    }
    let (start, mut all) = (at, Vec::new());
    while let Some((other, ops)) = &before[at as usize] {
        all.extend(ops);
        at = *other;
        if at == start {
            break;
        }
    }
    all
}
