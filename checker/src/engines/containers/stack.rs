//! Decides whether the history of a stack is linearizable where no value was put in twice.
//!
//! An item whose put and take overlap can be pushed and popped at one point, without affecting
//! others. Every other surely lies on the stack for a while; these stretches cover the time in
//! *components*.
//!
//! At a point that no stretch covers the stack may as well be empty: of the items that lie there in
//! some order of the operations, those that can be popped before the point are popped just before
//! it, in that order's sequence, the others are pushed just after it. So takes that found nothing go
//! to any uncovered point, and every component is a problem of its own.
//!
//! Throughout a component the stack holds something, hence one item all the time, at its bottom. It
//! has to be one whose put was invoked before the component begins and whose take comes back after
//! it ends. Without such an item there is no order. With several, any will do: an order that has it
//! elsewhere can push it first and pop it last instead, since every other item's push can wait until
//! just before the component begins, its pop can happen just after it ends. Without that item, what
//! is left falls into smaller components, and so on.
//!
//! A put of unknown outcome whose item was never observed is left out. So is a take of unknown
//! outcome if all items that were surely put in were seen taken. Otherwise these takes are given
//! out, the earliest to the items that have to be gone first. If that leads to an order, there is
//! one. If there is none even if every such item may be gone since the earliest unknown take, there
//! is none. In between the items that stood in the way tell which of them has to be gone sooner,
//! and the takes are assigned again, a few times. If that does not help, the engine does not know,
//! and says so.
//!
//! Costs O(n log n): every item is taken out once, and every place between stretches is found once.
//! Picking one value after the other is the plan of Lee & Mathur, *Efficient Decrease-and-Conquer
//! Linearizability Monitoring* (OOPSLA 2025); Abdulla et al., *Efficient Linearizability Monitoring*
//! (PLDI 2025), decide the same in O(n²) and show where earlier work was wrong.

use super::cover::{Cover, chain};
use super::items::{Item, Items, NONE};
use super::trees::{Coverage, RangeMinimum};
use super::{Deadline, Finding, NoOrder, Problem};
use crate::engines::{Cancellation, NEVER, Stopped};

/// An order of the items of `problem` with all else that has to happen, as places of spans.
pub(super) fn solve(problem: &Problem<'_>) -> Result<Vec<u32>, NoOrder> {
    problem.cancellation.ask()?;
    let Items { items, empty, .. } = problem.items;
    let cover = Cover::of(items, problem.cancellation)?;
    let mut moments = Vec::with_capacity(2 * items.len() + empty.len());
    for &place in empty {
        problem.cancellation.step()?;
        let span = problem.span(place);
        let Some(point) = cover.gap(span) else {
            let chain = chain(items, span.invoked, span.returned, problem.cancellation)?;
            return Err(Finding::FalseEmpty { empty: place, chain }.into());
        };
        moments.push((point, PointEvent::Whole(place, 0), place));
    }
    let mut stays = Vec::with_capacity(items.len());
    for item in items {
        problem.cancellation.step()?;
        if item.stays() {
            stays.push(*item);
            continue;
        }
        let point = item.take_from;
        moments.push((point, PointEvent::Whole(item.put, 0), item.put));
        moments.push((point, PointEvent::Whole(item.put, 1), item.take));
    }
    Nesting::new(stays, problem.cancellation)?.solve(&mut moments)?;
    problem.cancellation.sort(&mut moments)?;
    Ok(problem.cancellation.collect(moments.into_iter().map(|(_, _, place)| place))?)
}

/// The items with unknown takes given out: the earliest takes to the items that have to be gone
/// first. An item has to be gone when one that surely lay below it was taken, or nothing was found.
pub(super) fn give_out(
    problem: &Problem<'_>,
    sooner: &[Deadline],
) -> Result<Option<Vec<Item>>, Stopped> {
    let cancellation = problem.cancellation;
    let Items { items, empty, unknown } = problem.items;
    let mut below = Vec::with_capacity(items.len());
    for item in items {
        cancellation.step()?;
        if item.take != NONE {
            below.push(item);
        }
    }
    cancellation.sort_by_key(&mut below, |item| item.take_from)?;
    let mut pushed: Vec<usize> = (0..below.len()).collect();
    cancellation.sort_by_key(&mut pushed, |&place| below[place].put_until)?;
    let mut pushed = pushed.into_iter().peekable();
    let mut popped = RangeMinimum::new(below.iter().map(|_| NEVER), cancellation)?;
    let mut gone_by = Vec::with_capacity(items.len() - below.len());
    for (number, item) in items.iter().enumerate() {
        cancellation.spend(SEARCH)?;
        if item.take != NONE {
            continue;
        }
        while let Some(place) = pushed.next_if(|&place| below[place].put_until < item.put_from) {
            cancellation.spend(SEARCH)?;
            popped.set(place, below[place].take_until);
        }
        let first = below.partition_point(|other| other.take_from < item.put_until);
        let deadline = popped.least(first, below.len());
        gone_by.push((deadline, number));
    }
    let first_empty = |item: &Item| {
        let later = empty.partition_point(|&it| problem.span(it).invoked < item.put_until);
        empty.get(later).map_or(NEVER, |&it| problem.span(it).returned)
    };
    for (deadline, number) in &mut gone_by {
        cancellation.spend(SEARCH)?;
        *deadline = (*deadline).min(first_empty(&items[*number]));
    }
    for it in sooner {
        for (deadline, number) in &mut gone_by {
            cancellation.step()?;
            if items[*number].put == it.put {
                *deadline = (*deadline).min(it.gone_by);
            }
        }
    }
    cancellation.sort(&mut gone_by)?;
    let mut items = items.clone();
    let needed = gone_by.iter().filter(|(deadline, _)| *deadline != NEVER);
    for (&(_, number), &take) in needed.zip(unknown) {
        items[number] = items[number].taken_by(take, problem.span(take));
    }
    Ok(Some(items))
}

/// A search in a sorted row or a tree, in steps of [`Cancellation`].
const SEARCH: usize = 8;

/// What comes first at one point: pops of components that end there, the last pushed first; then
/// what leaves the stack as it was; then pushes of components that begin there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PointEvent {
    Pop(std::cmp::Reverse<u32>),
    Whole(u32, u8),
    Push(u32),
}

/// A stretch of time that the items of a range cover, without a gap.
struct Component {
    /// The first and one past the last of its items, by `put_until`.
    items: (usize, usize),
    from: u64,
    until: u64,
}

/// The items that stay, and which of them lie on which.
struct Nesting<'a> {
    cancellation: &'a Cancellation<'a>,
    /// By `put_until`.
    items: Vec<Item>,
    /// All ends of stretches, in order; a place is the stretch from one to the next.
    ends: Vec<u64>,
    coverage: Coverage,
    /// Of the items that are left and whose put was not yet seen to be early enough for the bottom
    /// of their component: when it was invoked. Components only shrink, so what was early enough
    /// once stays so.
    late: RangeMinimum,
    /// Of the others that are left: how long before the end of time their take came back.
    early: RangeMinimum,
}

impl<'a> Nesting<'a> {
    fn new(mut items: Vec<Item>, cancellation: &'a Cancellation<'a>) -> Result<Self, Stopped> {
        cancellation.sort_by_key(&mut items, |item| item.put_until)?;
        let mut ends = Vec::with_capacity(2 * items.len());
        for item in &items {
            cancellation.step()?;
            ends.extend([item.put_until, item.take_from]);
        }
        cancellation.sort(&mut ends)?;
        ends.dedup();
        let mut begun = vec![0_i32; ends.len()];
        let place = |end: u64| ends.partition_point(|&other| other < end);
        for item in &items {
            cancellation.spend(SEARCH)?;
            begun[place(item.put_until)] += 1;
            begun[place(item.take_from)] -= 1;
        }
        let counters = begun.iter().scan(0, |open, &change| {
            *open += change;
            Some(*open as u32)
        });
        let counters = cancellation.collect(counters)?;
        let (late, early) =
            (items.iter().map(|item| item.put_from), items.iter().map(|_| u64::MAX));
        Ok(Self {
            cancellation,
            coverage: Coverage::new(counters.into_iter(), cancellation)?,
            late: RangeMinimum::new(late, cancellation)?,
            early: RangeMinimum::new(early, cancellation)?,
            items,
            ends,
        })
    }

    /// Adds the pushes and pops of all items to `moments`.
    fn solve(&mut self, moments: &mut Vec<(u64, PointEvent, u32)>) -> Result<(), NoOrder> {
        let mut components = Vec::new();
        // A first look at all places but the last, which begins where all stretches have ended.
        let places = self.ends.len().saturating_sub(1);
        let gaps = self.first_gaps()?;
        self.split((0, places), &gaps, &mut components)?;
        let mut turn = 0;
        while let Some(component) = components.pop() {
            self.cancellation.step()?;
            let Some(bottom) = self.bottom(&component)? else {
                let (first, end) = component.items;
                let mut left = Vec::new();
                for place in first..end {
                    self.cancellation.spend(SEARCH)?;
                    if self.is_left(place) {
                        left.push(self.items[place]);
                    }
                }
                let chain = chain(&left, component.from, component.until, self.cancellation)?;
                return Err(Finding::Crossing { chain }.into());
            };
            let item = self.items[bottom];
            moments.push((component.from - 1, PointEvent::Push(turn), item.put));
            if item.take != NONE && component.until != NEVER {
                let pop = PointEvent::Pop(std::cmp::Reverse(turn));
                moments.push((component.until, pop, item.take));
            }
            turn += 1;
            self.late.set(bottom, u64::MAX);
            self.early.set(bottom, u64::MAX);
            self.take_out(item, &component, &mut components)?;
        }
        Ok(())
    }

    /// An item that can lie at the bottom throughout.
    fn bottom(&mut self, component: &Component) -> Result<Option<usize>, Stopped> {
        let (first, end) = component.items;
        while let Some(place) = self.late.below(component.from, first, end) {
            self.cancellation.spend(SEARCH)?;
            self.late.set(place, u64::MAX);
            self.early.set(place, NEVER - self.items[place].take_until);
        }
        // A take that never came back may happen at the end of time, or not at all.
        let bound = (NEVER - component.until).max(1);
        Ok(self.early.below(bound, first, end))
    }

    fn is_left(&self, place: usize) -> bool {
        [&self.late, &self.early]
            .iter()
            .any(|tree| tree.below(u64::MAX, place, place + 1).is_some())
    }

    fn take_out(
        &mut self,
        item: Item,
        component: &Component,
        into: &mut Vec<Component>,
    ) -> Result<(), Stopped> {
        let mut gaps = Vec::new();
        let stretch = (self.place(item.put_until), self.place(item.take_from));
        self.coverage.uncover(stretch.0, stretch.1, &mut |place| {
            gaps.push(place);
            self.cancellation.spend(SEARCH)
        })?;
        let stretch = (self.place(component.from), self.place(component.until));
        self.split(stretch, &gaps, into)
    }

    /// The places that no stretch covers to begin with.
    fn first_gaps(&self) -> Result<Vec<usize>, Stopped> {
        let mut gaps = Vec::new();
        let mut reached = 0;
        for item in &self.items {
            self.cancellation.spend(SEARCH)?;
            if reached > 0 && item.put_until > reached {
                gaps.push(self.place(reached));
            }
            reached = reached.max(item.take_from);
        }
        Ok(gaps)
    }

    /// Adds the components between the gaps among the places of a stretch.
    fn split(
        &self,
        stretch: (usize, usize),
        gaps: &[usize],
        into: &mut Vec<Component>,
    ) -> Result<(), Stopped> {
        let mut from = stretch.0;
        for until in gaps.iter().copied().chain([stretch.1]) {
            self.cancellation.spend(2 * SEARCH)?;
            if from < until {
                let (begin, end) = (self.ends[from], self.ends[until]);
                let place = |point: u64| self.items.partition_point(|it| it.put_until < point);
                let items = (place(begin), place(end));
                into.push(Component { items, from: begin, until: end });
            }
            from = until + 1;
        }
        Ok(())
    }

    fn place(&self, end: u64) -> usize {
        self.ends.partition_point(|&other| other < end)
    }
}
