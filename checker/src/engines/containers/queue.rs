//! Decides whether the history of a queue is linearizable where no value was put in twice.
//!
//! An order of the items is an order of their puts and of their takes at once. So an item must come
//! before another if its put came back before the other's was invoked, or its take did (of one that
//! never taken: never). Both are interval orders, so if together they have a cycle, they have one
//! of two items (Henzinger, Sezgin & Vafeiadis, *Aspect-Oriented Linearizability Proofs*, 2013,
//! `VOrd`): each cycle alternates between the two orders, and of two pairs of an interval order, the
//! first of one comes before the second of the other. Without a cycle any order of the items that
//! keeps to both will do: give every operation, item by item, the earliest point that the ones
//! before leave it; that is the invocation of itself or of an earlier item's operation, which its
//! own return cannot precede.
//!
//! A take that found nothing needs a point at which no item surely was there (`VWit`). Any such
//! point will do, and all of them at once: an item of which put and take were invoked before the
//! point can be over and done with before it, any other can come after it, and these two kinds never
//! have to change places. So the points cut the history into parts, each with its own items.
//!
//! A put of unknown outcome whose item was never observed is left out. So is a take of unknown
//! outcome if all items that were surely put in were seen taken. Otherwise such takes are given out
//! while the order is made: only when an item stands in the way that no take is known to have
//! taken, and then the earliest take, to the item whose put came back first. If that leads to an
//! order, there is one. If there is none even if every such item may be gone since the earliest
//! unknown take, there is none. In between the engine does not know, and says so.
//!
//! Costs O(n log n). What is decided is what Abdulla et al., *Efficient Linearizability Monitoring*
//! (PLDI 2025), and Lee & Mathur, *Efficient Decrease-and-Conquer Linearizability Monitoring*
//! (OOPSLA 2025), decide within the same bound, without operations of unknown outcome.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cover::{Cover, chain};
use super::items::{Item, Items, NONE};
use super::{Deadline, Finding, NoOrder, Problem};
use crate::engines::{Cancellation, NEVER, Stopped};

/// An order of the items of `problem` with all else that has to happen, as places of spans.
pub(super) fn solve(problem: &Problem<'_>) -> Result<Vec<u32>, NoOrder> {
    problem.cancellation.ask()?;
    let Items { items, empty, .. } = problem.items;
    let cover = Cover::of(items, problem.cancellation)?;
    let mut gaps = Vec::with_capacity(empty.len());
    for &place in empty {
        problem.cancellation.step()?;
        let span = problem.span(place);
        let Some(gap) = cover.gap(span) else {
            let chain = chain(items, span.invoked, span.returned, problem.cancellation)?;
            return Err(Finding::FalseEmpty { empty: place, chain }.into());
        };
        gaps.push((gap, place));
    }
    problem.cancellation.sort(&mut gaps)?;
    let mut order = Vec::with_capacity(2 * items.len() + empty.len());
    for part in parts(items, &gaps, problem.cancellation)? {
        let sequence = sequence(&part.items, &[], problem)?;
        lay_out(&sequence, part.begin, &mut order, problem.cancellation)?;
        order.extend(part.empty.iter().map(|&(_, place)| place));
    }
    Ok(order)
}

/// The items with unknown takes given out as far as they are needed, and then to whom else they
/// may be of use; or nothing, if that was not enough.
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(super) fn give_out(
    problem: &Problem<'_>,
    _: &[Deadline],
) -> Result<Option<Vec<Item>>, Stopped> {
    let Items { items, unknown, .. } = problem.items;
    let mut sequence = match sequence(items, unknown, problem) {
        Ok(sequence) => sequence,
        Err(NoOrder::Finding(_)) => return Ok(None),
        Err(NoOrder::Stopped) => return Err(Stopped),
    };
    let cancellation = problem.cancellation;
    let used =
        cancellation.count(&sequence, |item| item.take != NONE && !problem.was_seen_taken(item))?;
    let mut left = unknown[used..].iter();
    for item in &mut sequence {
        cancellation.step()?;
        if item.take == NONE {
            let Some(&take) = left.next() else { break };
            *item = item.taken_by(take, problem.span(take));
        }
    }
    cancellation.sort_by_key(&mut sequence, |item| item.put_from)?;
    Ok(Some(sequence))
}

/// A part of the history before, between or after takes that found nothing.
struct Part<'a> {
    begin: u64,
    items: Vec<Item>,
    /// Those at its end.
    empty: &'a [(u64, u32)],
}

fn parts<'a>(
    items: &[Item],
    gaps: &'a [(u64, u32)],
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Part<'a>>, Stopped> {
    let mut parts = Vec::new();
    let mut rest = gaps;
    let mut begin = 0;
    while let Some(&(point, _)) = rest.first() {
        cancellation.step()?;
        let (here, later) = rest.split_at(rest.partition_point(|&(gap, _)| gap == point));
        parts.push(Part { begin, items: Vec::new(), empty: here });
        (begin, rest) = (point, later);
    }
    parts.push(Part { begin, items: Vec::new(), empty: &[] });
    for item in items {
        cancellation.step()?;
        let invoked = item.put_from.max(item.take_from);
        // The first part that ends after both operations were invoked.
        let part = parts
            .partition_point(|part| part.empty.first().is_some_and(|&(point, _)| point < invoked));
        parts[part].items.push(*item);
    }
    Ok(parts)
}

/// The items, which are sorted by `put_from`, in an order that keeps to both orders. Those that were
/// never taken stand last, but for those that one of the `unknown` takes was given to.
fn sequence(items: &[Item], unknown: &[u32], problem: &Problem<'_>) -> Result<Vec<Item>, NoOrder> {
    let sorted = |key: fn(&Item) -> u64| {
        let mut places: Vec<u32> = (0..items.len() as u32).collect();
        let by = |&place: &u32| key(&items[place as usize]);
        problem.cancellation.sort_by_key(&mut places, by).map(|()| places)
    };
    let (by_put, by_take) = (sorted(|item| item.put_until)?, sorted(|item| item.take_until)?);
    let (mut by_put, mut by_take) = (by_put.iter().peekable(), by_take.iter().peekable());
    let mut unknown = unknown.iter().peekable();
    let mut done = vec![false; items.len()];
    let mut entered = 0;
    // Of those that no put must come before: the ones with a take by when it was invoked, the
    // others by when their put came back.
    let (mut taken, mut left) = (BinaryHeap::new(), BinaryHeap::new());
    let mut sequence: Vec<Item> = Vec::with_capacity(items.len());
    while sequence.len() < items.len() {
        problem.cancellation.step()?;
        while by_put.next_if(|&&place| done[place as usize]).is_some() {
            problem.cancellation.step()?;
        }
        while by_take.next_if(|&&place| done[place as usize]).is_some() {
            problem.cancellation.step()?;
        }
        let (&&first, &&second) = by_put.peek().zip(by_take.peek()).expect("an item is left");
        let (put_until, take_until) =
            (items[first as usize].put_until, items[second as usize].take_until);
        while let Some(item) = items.get(entered).filter(|item| item.put_from < put_until) {
            problem.cancellation.step()?;
            if item.take == NONE {
                left.push(Reverse((item.put_until, entered)));
            } else {
                taken.push(Reverse((item.take_from, entered)));
            }
            entered += 1;
        }
        let is_free = |from: u64| from < take_until || take_until == NEVER;
        let earliest = |take: &&u32| problem.span(**take).invoked;
        let (place, take) = if let Some(&Reverse((from, place))) = taken.peek()
            && is_free(from)
        {
            taken.pop();
            (place, None)
        } else if take_until == NEVER || unknown.peek().is_some_and(|it| is_free(earliest(it))) {
            let Some(Reverse((_, place))) = left.pop() else {
                return Err(overtaken(items, first, second).into());
            };
            (place, if take_until == NEVER { None } else { unknown.next() })
        } else {
            return Err(overtaken(items, first, second).into());
        };
        done[place] = true;
        sequence.push(match take {
            Some(&take) => items[place].taken_by(take, problem.span(take)),
            None => items[place],
        });
    }
    Ok(sequence)
}

/// The put of the first item came back before that of the second was invoked, and the take of the
/// second before that of the first: otherwise one of them could come next.
fn overtaken(items: &[Item], first: u32, second: u32) -> Finding {
    let [first, second] = [first, second].map(|place| items[place as usize]);
    Finding::Overtaken { first, second }
}

/// Adds the operations of the items, which follow each other in this order, from `begin` on.
fn lay_out(
    sequence: &[Item],
    begin: u64,
    order: &mut Vec<u32>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Stopped> {
    let mut puts = Vec::with_capacity(sequence.len());
    let mut takes = Vec::with_capacity(sequence.len());
    let (mut put_at, mut take_at) = (begin, begin);
    // Takes of unknown outcome after an item that stays there for good do not happen.
    let mut stays = false;
    for (number, item) in sequence.iter().enumerate() {
        cancellation.step()?;
        put_at = put_at.max(item.put_from);
        puts.push((put_at, number, item.put));
        stays |= item.take == NONE;
        if !stays {
            take_at = take_at.max(item.take_from).max(put_at);
            takes.push((take_at, number, item.take));
        }
    }
    let (mut puts, mut takes) = (puts.into_iter().peekable(), takes.into_iter().peekable());
    while let Some(&(put_at, number, _)) = puts.peek() {
        cancellation.step()?;
        let next = takes.next_if(|&(take_at, other, _)| (take_at, other) < (put_at, number));
        order.extend(next.or_else(|| puts.next()).map(|(_, _, place)| place));
    }
    order.extend(takes.map(|(_, _, place)| place));
    Ok(())
}
