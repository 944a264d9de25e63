//! Sequential consistency where it is known of every read what it saw.
//!
//! The order of the writes of each key decides: with one, an order of all operations must keep each
//! session's own order, put a write before its readers and those before the next write of the key.
//! That is a graph, and the order exists if the graph has no circle. To find the orders of writes is
//! the hard part (Gibbons and Korach 1997: NP-complete). Here each key's writes are ordered as their
//! sessions saw them and then by time. If that ends in a circle, the circle says more: with all its
//! steps certain, there is no order; with one order of two writes that was only assumed, these two
//! are the other way round in every order. So it goes on until either is the case; what needs more
//! than that is left to a [search](super::search).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::graph::Graph;
use super::trace::{NONE, Op, Readers, Source, Trace};
use crate::engines::{Cancellation, Stopped};
use crate::history::{History, Outcome};

/// What came of it.
#[derive(Debug)]
pub(super) enum Found {
    /// An order of all operations.
    Order(Vec<u32>),
    /// Operations that have none.
    Circle(Vec<u32>),
    /// More than orders of two writes at a time has to be tried.
    Open,
}

/// How many circles are learned from, before the rest is left to a search.
const ROUNDS: usize = 400;

/// Looks for an order that every session's own order is part of.
pub(super) fn decide(
    history: &History,
    trace: &Trace,
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    let readers = trace.readers();
    let time = first_returns(history, trace, &readers);
    let mut orders = by_time(trace, &time, cancellation)?;
    if follow_sessions(trace, &orders, cancellation)?
        && let Some(order) = try_orders(trace, &readers, &orders, cancellation)?
    {
        return Ok(Found::Order(order));
    }
    let mut known = Known::of(trace, cancellation)?;
    for _ in 0..ROUNDS {
        let certain = known.graph(trace, &readers);
        if let Err(left) = certain.sort(cancellation)? {
            let circle = certain.circle(&left, cancellation)?;
            return Ok(Found::Circle(known.reasons(trace, &circle)));
        }
        match known.orders(trace, &time, cancellation)? {
            Ok(ordered) => orders = ordered,
            Err(()) => return Ok(Found::Open),
        }
        if let Some(order) = try_orders(trace, &readers, &orders, cancellation)? {
            return Ok(Found::Order(order));
        }
        if !known.learn(trace, &readers, &orders, cancellation)? {
            return Ok(Found::Open);
        }
    }
    Ok(Found::Open)
}

/// The writes of each key, and each one's place among them.
struct Orders {
    of_key: Vec<Vec<u32>>,
    place: Vec<u32>,
}

impl Orders {
    fn next(&self, trace: &Trace, write: u32) -> Option<u32> {
        let key = trace.op(write).key as usize;
        self.of_key[key].get(self.place[write as usize] as usize + 1).copied()
    }

    /// What replaces what `reader` saw.
    fn next_of(&self, trace: &Trace, reader: &Op) -> Option<u32> {
        match reader.source {
            Source::Nothing => None,
            Source::Initial => self.of_key[reader.key as usize].first().copied(),
            Source::Write(write) => self.next(trace, write),
        }
    }

    fn of(of_key: Vec<Vec<u32>>, size: usize) -> Self {
        let mut place = vec![NONE; size];
        for order in &of_key {
            for (at, &write) in (0..).zip(order) {
                place[write as usize] = at;
            }
        }
        Self { of_key, place }
    }
}

/// When each write had surely taken effect, by the first answer that shows it.
pub(super) fn first_returns(history: &History, trace: &Trace, readers: &Readers) -> Vec<u64> {
    let returned = |op: u32| match history.operations[trace.op(op).place as usize].outcome {
        Outcome::Ok(moment, _) => moment.position,
        _ => u64::MAX,
    };
    let of = |op: u32| {
        let seen = readers.of(op).iter().map(|&reader| returned(reader)).min();
        returned(op).min(seen.unwrap_or(u64::MAX))
    };
    (0..trace.ops.len() as u32).map(|op| if trace.op(op).writes { of(op) } else { 0 }).collect()
}

fn by_time(
    trace: &Trace,
    time: &[u64],
    cancellation: &Cancellation<'_>,
) -> Result<Orders, Stopped> {
    let mut writes: Vec<u32> = trace.kept().filter(|&op| trace.op(op).writes).collect();
    cancellation.spend(writes.len())?;
    writes.sort_unstable_by_key(|&write| (time[write as usize], write));
    let mut of_key = vec![Vec::new(); trace.keys];
    for write in writes {
        of_key[trace.op(write).key as usize].push(write);
    }
    Ok(Orders::of(of_key, trace.ops.len()))
}

/// Calls `each` with every two writes of a key that some session saw one after the other, and the
/// operations that saw them; the first is absent where the key was as in the beginning.
fn for_each_sight(
    trace: &Trace,
    cancellation: &Cancellation<'_>,
    mut each: impl FnMut(Option<u32>, Option<u32>, [u32; 2]),
) -> Result<(), Stopped> {
    // By key: the session that saw it last, what it saw, and where.
    let mut last: Vec<(u32, Option<u32>, u32)> = vec![(NONE, None, NONE); trace.keys];
    for (number, session) in (0..).zip(&trace.sessions) {
        for &place in session {
            cancellation.step()?;
            let op = trace.op(place);
            let mut see = |seen: Option<u32>, slot: &mut (u32, Option<u32>, u32)| {
                if slot.0 == number && slot.1 != seen {
                    each(slot.1, seen, [slot.2, place]);
                }
                *slot = (number, seen, place);
            };
            let slot = &mut last[op.key as usize];
            match op.source {
                Source::Nothing => {}
                Source::Initial => see(None, slot),
                Source::Write(write) => see(Some(write), slot),
            }
            if op.writes {
                see(Some(place), slot);
            }
        }
    }
    Ok(())
}

/// Whether the orders of writes are as all sessions saw them, and nothing comes between what an
/// operation replaced and what it wrote.
fn follow_sessions(
    trace: &Trace,
    orders: &Orders,
    cancellation: &Cancellation<'_>,
) -> Result<bool, Stopped> {
    let mut follow = true;
    for_each_sight(trace, cancellation, |first, second, _| {
        follow &= match (first, second) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(first), Some(second)) => {
                orders.place[first as usize] < orders.place[second as usize]
            }
        };
    })?;
    let place = |write: u32| orders.place[write as usize];
    let fits = |number: u32| match trace.op(number).replaced {
        Source::Nothing => true,
        Source::Initial => place(number) == 0,
        Source::Write(before) => place(before) != NONE && place(number) == place(before) + 1,
    };
    let in_order = |&(first, second): &(u32, u32)| place(first) < place(second);
    Ok(follow && trace.ordered.iter().all(in_order) && trace.kept().all(fits))
}

/// The order of all operations that these orders of writes allow, if they do.
fn try_orders(
    trace: &Trace,
    readers: &Readers,
    orders: &Orders,
    cancellation: &Cancellation<'_>,
) -> Result<Option<Vec<u32>>, Stopped> {
    let size = trace.ops.len();
    let mut waits = vec![0_u32; size];
    let kept = trace.kept().count();
    let each = |number: u32, visit: &mut dyn FnMut(u32)| {
        let op = trace.op(number);
        if let Some(next) = trace.next(number) {
            visit(next);
        }
        if op.writes {
            readers.of(number).iter().for_each(|&reader| visit(reader));
            if let Some(next) = orders.next(trace, number) {
                visit(next);
            }
        }
        if let Some(next) = orders.next_of(trace, op).filter(|&next| next != number) {
            visit(next);
        }
    };
    for number in trace.kept() {
        cancellation.step()?;
        each(number, &mut |next| waits[next as usize] += 1);
    }
    let mut order = Vec::with_capacity(kept);
    order.extend(trace.kept().filter(|&number| waits[number as usize] == 0));
    let mut at = 0;
    while at < order.len() {
        cancellation.step()?;
        let number = order[at];
        each(number, &mut |next| {
            waits[next as usize] -= 1;
            if waits[next as usize] == 0 {
                order.push(next);
            }
        });
        at += 1;
    }
    Ok((order.len() == kept).then_some(order))
}

/// Why something must come before something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The session's own order, or what was read.
    Plain,
    /// A known order of two writes, by its number.
    Known(u32),
    /// An order of two writes that is only assumed.
    Assumed,
}

/// Which writes are known to come before which others of their key.
struct Known {
    /// The two, and the operations that prove it.
    pairs: Vec<(u32, u32, Vec<u32>)>,
    by_pair: FxHashMap<(u32, u32), u32>,
}

impl Known {
    fn of(trace: &Trace, cancellation: &Cancellation<'_>) -> Result<Self, Stopped> {
        let mut known = Self { pairs: Vec::new(), by_pair: FxHashMap::default() };
        for_each_sight(trace, cancellation, |first, second, sights| {
            if let (Some(first), Some(second)) = (first, second) {
                known.add(first, second, sights.to_vec());
            }
        })?;
        for &(first, second) in &trace.ordered {
            known.add(first, second, Vec::new());
        }
        for number in trace.kept() {
            if let (Source::Write(before), true) =
                (trace.op(number).replaced, trace.op(number).writes)
            {
                known.add(before, number, Vec::new());
            }
        }
        Ok(known)
    }

    fn add(&mut self, first: u32, second: u32, reasons: Vec<u32>) {
        let next = self.pairs.len() as u32;
        if *self.by_pair.entry((first, second)).or_insert(next) == next {
            self.pairs.push((first, second, reasons));
        }
    }

    /// All that is certain. What has to come between nothing is after what it replaced, and what
    /// comes after that is after it: it saw what it replaced.
    fn graph(&self, trace: &Trace, readers: &Readers) -> Graph<Why> {
        let size = trace.ops.len() as u32;
        // Beyond the operations, each key has a number that stands for its beginning.
        let mut graph = Graph::new(trace.ops.len() + trace.keys);
        let first = |key: u32| size + key;
        let mut from_first: Vec<Vec<u32>> = vec![Vec::new(); trace.keys];
        for number in trace.kept() {
            let op = trace.op(number);
            if let Some(next) = trace.next(number) {
                graph.add(number, next, Why::Plain);
            }
            if op.writes {
                for &reader in readers.of(number) {
                    graph.add(number, reader, Why::Plain);
                }
                graph.add(first(op.key), number, Why::Plain);
                from_first[op.key as usize].push(number);
            }
        }
        for (number, (first, second, _)) in (0..).zip(&self.pairs) {
            graph.add(*first, *second, Why::Known(number));
            for &reader in readers.of(*first).iter().filter(|reader| *reader != second) {
                graph.add(reader, *second, Why::Known(number));
            }
            // Nothing comes between what was replaced and what replaced it.
            for &after in readers.of(*first) {
                let op = trace.op(after);
                if op.writes && after != *second && op.replaced == Source::Write(*first) {
                    graph.add(after, *second, Why::Known(number));
                }
            }
            if let Source::Write(before) = trace.op(*second).replaced
                && before != *first
            {
                graph.add(*first, before, Why::Known(number));
            }
        }
        for number in trace.kept() {
            let op = trace.op(number);
            if op.writes && op.replaced == Source::Initial {
                for &write in from_first[op.key as usize].iter().filter(|it| **it != number) {
                    graph.add(number, write, Why::Plain);
                }
            } else if op.source == Source::Initial {
                graph.add(number, first(op.key), Why::Plain);
            }
        }
        graph
    }

    /// The operations on a circle, and those that its steps rest on.
    fn reasons(&self, trace: &Trace, circle: &[(u32, Why)]) -> Vec<u32> {
        let is_op = |number: &u32| (*number as usize) < trace.ops.len();
        let mut all: Vec<u32> = circle.iter().map(|(number, _)| *number).filter(is_op).collect();
        for (_, why) in circle {
            if let Why::Known(pair) = why {
                let (first, second, reasons) = &self.pairs[*pair as usize];
                all.extend([*first, *second]);
                all.extend(reasons);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// An order of each key's writes in which all that is known is so, by time besides.
    fn orders(
        &self,
        trace: &Trace,
        time: &[u64],
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Orders, ()>, Stopped> {
        let size = trace.ops.len();
        // What replaces something follows it at once, so a chain of those is ordered as one.
        let mut follower = vec![NONE; size];
        let mut head: Vec<u32> = (0..size as u32).collect();
        for number in trace.kept() {
            cancellation.step()?;
            if let Source::Write(before) = trace.op(number).replaced {
                if follower[before as usize] != NONE {
                    return Ok(Err(()));
                }
                follower[before as usize] = number;
            }
        }
        let starts = |number: u32| {
            let op = trace.op(number);
            op.kept && op.writes && !matches!(op.replaced, Source::Write(_))
        };
        for start in (0..size as u32).filter(|&number| starts(number)) {
            let mut at = start;
            while follower[at as usize] != NONE {
                cancellation.step()?;
                at = follower[at as usize];
                head[at as usize] = start;
            }
        }
        let mut waits = vec![0_u32; size];
        let mut out: Vec<Vec<u32>> = vec![Vec::new(); size];
        for (first, second, _) in &self.pairs {
            let (first, second) = (head[*first as usize], head[*second as usize]);
            if first != second {
                out[first as usize].push(second);
                waits[second as usize] += 1;
            }
        }
        // A chain's time is that of its last part: all of it has happened then.
        let mut heap = BinaryHeap::new();
        let entry = |start: u32| {
            let is_first = trace.op(start).replaced == Source::Initial;
            Reverse((!is_first, time[start as usize], start))
        };
        let all: Vec<u32> = (0..size as u32).filter(|&number| starts(number)).collect();
        heap.extend(all.iter().filter(|&&it| waits[it as usize] == 0).map(|&it| entry(it)));
        let mut of_key = vec![Vec::new(); trace.keys];
        let mut placed = 0;
        while let Some(Reverse((_, _, start))) = heap.pop() {
            cancellation.step()?;
            placed += 1;
            let mut at = start;
            while at != NONE {
                of_key[trace.op(at).key as usize].push(at);
                at = follower[at as usize];
            }
            for &next in &out[start as usize] {
                waits[next as usize] -= 1;
                if waits[next as usize] == 0 {
                    heap.push(entry(next));
                }
            }
        }
        if placed < all.len() {
            return Ok(Err(()));
        }
        Ok(Ok(Orders::of(of_key, size)))
    }

    /// Learns from these orders of writes, which no order of all operations fits: two writes that
    /// are the other way round in all.
    fn learn(
        &mut self,
        trace: &Trace,
        readers: &Readers,
        orders: &Orders,
        cancellation: &Cancellation<'_>,
    ) -> Result<bool, Stopped> {
        let certain = self.graph(trace, readers);
        let mut whole = self.graph(trace, readers);
        for number in trace.kept() {
            let op = trace.op(number);
            if op.writes
                && let Some(next) = orders.next(trace, number)
            {
                whole.add(number, next, Why::Assumed);
            }
            if let Some(next) = orders.next_of(trace, op).filter(|&next| next != number) {
                whole.add(number, next, Why::Assumed);
            }
        }
        let Err(left) = whole.sort(cancellation)? else { return Ok(false) };
        let mut tried = 0;
        let circle = whole.circle(&left, cancellation)?;
        let on_circle = circle.iter().map(|(number, _)| *number).chain(left.iter().copied());
        let on_circle = on_circle.filter(|number| (*number as usize) < trace.ops.len());
        let mut learned = false;
        for number in on_circle {
            let Some(later) = orders.next_of_any(trace, number) else { continue };
            tried += 1;
            if tried > TRIES {
                break;
            }
            // From each later write of the key back to what this one is or saw.
            for second in later.iter().copied().take(TRIES) {
                let Some(way) = certain.way(second, number, cancellation)? else { continue };
                let first = match trace.op(number) {
                    Op { writes: true, .. } => number,
                    Op { source: Source::Write(write), .. } => *write,
                    _ => continue,
                };
                if first == second || self.by_pair.contains_key(&(second, first)) {
                    continue;
                }
                let mut reasons = self.reasons(trace, &way);
                reasons.extend([number, first, second]);
                self.add(second, first, reasons);
                learned = true;
                break;
            }
            if learned {
                break;
            }
        }
        Ok(learned)
    }
}

impl Orders {
    /// The writes of the same key that come after this one, or after what it saw.
    fn next_of_any(&self, trace: &Trace, number: u32) -> Option<&[u32]> {
        let op = trace.op(number);
        let order = &self.of_key[op.key as usize];
        let at = match op.source {
            _ if op.writes => self.place[number as usize] as usize,
            Source::Write(write) => self.place[write as usize] as usize,
            _ => return None,
        };
        order.get(at + 1..)
    }
}

/// From how many places an order of two writes is looked for in one round.
const TRIES: usize = 64;
