//! Decides whether the history of a set that only grows is linearizable, with reads of all of it.
//!
//! Where nothing is removed and every element is added once, nothing is left to choose: reads
//! follow each other by what they show; an addition comes before the first read that shows its
//! element, and after the last that does not; who saw the element comes after the addition, who
//! missed it before. Give every operation the earliest point that those before it leave it: the
//! history is linearizable exactly if that is before its return (and reads show ever more). An
//! addition of unknown outcome whose element was never observed is left out.
//!
//! Costs O(n log n) besides looking once at every element of every read.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Fault, Finding, Moment, NONE, NoOrder, Role, role};
use crate::engines::{Cancellation, NEVER, Slots, Span, Stopped};
use crate::history::{Action, Response};
use crate::model::Set;
use crate::value::ValueId;

/// How many elements of a read are hashed or compared in one step of [`Cancellation`].
const ELEMENTS: usize = 8;

/// What is known of an element.
#[derive(Debug, Clone, Copy)]
struct Element {
    add: u32,
    /// One that saw it there; [`NONE`] if none did.
    seen_by: u32,
    /// The first group of reads that show it; later than all if none does.
    group: u32,
}

/// Reads that show the same.
struct Group<'a> {
    elements: &'a [u32],
    reads: Vec<u32>,
}

pub(super) fn decide(
    set: &Set<'_>,
    spans: &[Span],
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Moment>, NoOrder> {
    let elements = elements(set, spans, slots, cancellation)?;
    let groups = groups(set, spans, cancellation)?;
    let mut growing = Growing { set, spans, slots, cancellation, elements, groups };
    growing.look()?;
    growing.order()
}

/// The elements that were added, numbered in `slots`.
fn elements(
    set: &Set<'_>,
    spans: &[Span],
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Element>, NoOrder> {
    slots.clear();
    let mut elements = Vec::new();
    for (place, span) in (0_u32..).zip(spans) {
        cancellation.step()?;
        match role(set, span.call) {
            Role::Remove => return Err(NoOrder::Inexact("a set that shrinks is read whole")),
            Role::Add => {
                let element = set.touch(span.call).expect("an addition is of an element").element;
                if slots.get(element).is_some() {
                    return Err(NoOrder::Inexact("an element was added twice"));
                }
                slots.set(element, elements.len() as u32);
                elements.push(Element { add: place, seen_by: NONE, group: u32::MAX });
            }
            _ => {}
        }
    }
    Ok(elements)
}

/// The reads, by how much they show.
fn groups<'a>(
    set: &'a Set<'_>,
    spans: &[Span],
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Group<'a>>, Stopped> {
    let mut by_list: FxHashMap<&[u32], Vec<u32>> = FxHashMap::default();
    for (place, span) in (0_u32..).zip(spans) {
        cancellation.step()?;
        if let (Action::Read, Some(Response::Value(list))) = (span.call.action, span.call.response)
        {
            let elements = set.elements(list).expect("a list of elements");
            cancellation.spend(elements.len() / ELEMENTS)?;
            by_list.entry(elements).or_default().push(place);
        }
    }
    let lists = by_list.into_iter().map(|(elements, reads)| Group { elements, reads });
    let mut groups = cancellation.collect(lists)?;
    let place = |(place, group): (usize, &Group<'_>)| (group.elements.len(), group.reads[0], place);
    let mut order = cancellation.collect(groups.iter().enumerate().map(place))?;
    cancellation.sort(&mut order)?;
    let group = |(.., place): (_, _, usize)| {
        let Group { elements, ref mut reads } = groups[place];
        Group { elements, reads: std::mem::take(reads) }
    };
    cancellation.collect(order.into_iter().map(group))
}

struct Growing<'a> {
    set: &'a Set<'a>,
    spans: &'a [Span],
    slots: &'a Slots,
    cancellation: &'a Cancellation<'a>,
    elements: Vec<Element>,
    groups: Vec<Group<'a>>,
}

impl Growing<'_> {
    fn span(&self, place: u32) -> &Span {
        &self.spans[place as usize]
    }

    fn number(&self, element: u32) -> Option<usize> {
        self.slots.try_get(ValueId(element)).map(|number| number as usize)
    }

    /// The number of the element that the operation speaks of.
    fn touched(&self, place: u32) -> Option<usize> {
        self.set.touch(self.span(place).call).and_then(|touch| self.number(touch.element.0))
    }

    /// Notes which read saw what. Finds elements that were never added, and reads that do not
    /// contain each other.
    fn look(&mut self) -> Result<(), NoOrder> {
        for place in 0..self.spans.len() as u32 {
            self.cancellation.step()?;
            if role(self.set, self.span(place).call) != Role::SawThere {
                continue;
            }
            let Some(number) = self.touched(place) else {
                let fault = Fault::FromNowhere { observer: place };
                return Err(NoOrder::Finding(Finding { members: vec![place], fault }));
            };
            self.elements[number].seen_by = place;
        }
        let mut shown = 0;
        for number in 0..self.groups.len() {
            let Group { elements, ref reads } = self.groups[number];
            let read = reads[0];
            let mut again = 0;
            for &element in elements {
                self.cancellation.step()?;
                let Some(place) = self.number(element) else {
                    let fault = Fault::FromNowhere { observer: read };
                    return Err(self.finding(&[read], fault));
                };
                let element = &mut self.elements[place];
                element.seen_by = read;
                again += usize::from(element.group != u32::MAX);
                element.group = element.group.min(number as u32);
            }
            if again < shown {
                let other = self.groups[number - 1].reads[0];
                return Err(
                    self.finding(&[other, read], Fault::Incomparable { one: other, other: read })
                );
            }
            shown = elements.len();
        }
        Ok(())
    }

    fn order(&self) -> Result<Vec<Moment>, NoOrder> {
        let mut order = Order { growing: self, moments: Vec::with_capacity(self.spans.len()) };
        // By group: additions, and what was said of the element before and after them.
        let groups = self.groups.len();
        let mut adds: Vec<Vec<usize>> = vec![Vec::new(); groups + 1];
        for (number, element) in self.elements.iter().enumerate() {
            self.cancellation.step()?;
            if element.seen_by != NONE || self.span(element.add).is_completed() {
                adds[groups.min(element.group as usize)].push(number);
            }
        }
        let mut missed: Vec<Latest> = vec![Latest::default(); self.elements.len()];
        let mut saw: Vec<Vec<u32>> = vec![Vec::new(); self.elements.len()];
        for place in 0..self.spans.len() as u32 {
            self.cancellation.step()?;
            match (role(self.set, self.span(place).call), self.touched(place)) {
                (Role::SawMissing, number) => {
                    let latest = order.put(place, Latest::default(), 0)?;
                    if let Some(number) = number {
                        missed[number] = missed[number].max(latest);
                    }
                }
                (Role::SawThere, Some(number)) => saw[number].push(place),
                _ => {}
            }
        }
        let mut reached = Latest::default();
        for (group, adds) in adds.iter().enumerate() {
            let rank = 3 * group as u64 + 1;
            let mut all = reached;
            for &number in adds {
                self.cancellation.step()?;
                let before = reached.max(missed[number]);
                let add = order.put(self.elements[number].add, before, rank)?;
                for &observer in &saw[number] {
                    self.cancellation.step()?;
                    order.put(observer, add, rank + 1)?;
                }
                all = all.max(add);
            }
            reached = all;
            for &read in self.groups.get(group).map_or(&[][..], |group| &group.reads) {
                self.cancellation.step()?;
                let latest = order.put(read, all, rank + 2)?;
                reached = reached.max(latest);
            }
        }
        Ok(order.moments)
    }

    /// The finding that `late`, which came back before `early` was invoked, had to come after it.
    fn late(&self, late: u32, early: u32) -> NoOrder {
        let mut members = vec![late, early];
        members.extend(self.between(early, late));
        let fault = self.fault(early, late);
        self.finding(&members, fault)
    }

    /// Who shows, besides the two, that the one had to come before the other.
    fn between(&self, early: u32, late: u32) -> Vec<u32> {
        let role = |place: u32| role(self.set, self.span(place).call);
        let mut members = Vec::new();
        // The addition that an observation stands for.
        let mut addition = |place: u32| match self.touched(place) {
            Some(number) if role(place) != Role::Add => {
                members.push(self.elements[number].add);
                Some(self.elements[number])
            }
            number => number.map(|number| self.elements[number]),
        };
        let (first, second) = (addition(early), addition(late));
        if let (Some(first), Some(second)) = (first, second)
            && first.add != second.add
        {
            // Only a read that shows the one without the other orders two additions.
            members.push(self.groups[first.group as usize].reads[0]);
        }
        members
    }

    fn fault(&self, early: u32, late: u32) -> Fault {
        let role = |place: u32| role(self.set, self.span(place).call);
        let is_read = |place: u32| matches!(self.span(place).call.action, Action::Read);
        match (role(early), role(late)) {
            _ if is_read(early) && is_read(late) => Fault::Shrunk { earlier: late, later: early },
            (_, Role::Add) if is_read(early) || role(early) == Role::SawMissing => {
                let seen = self.touched(late).is_some_and(|it| self.elements[it].seen_by != NONE);
                Fault::Missing { add: late, observer: early, seen }
            }
            (Role::Add, Role::SawThere) => Fault::FromTheFuture { add: early, observer: late },
            (Role::Add, _) if is_read(late) => Fault::FromTheFuture { add: early, observer: late },
            _ => Fault::Contradiction,
        }
    }

    /// A finding with these members and all that they rely on: of reads, the additions of all that
    /// they show; of an addition of unknown outcome, one that saw its element.
    fn finding(&self, core: &[u32], fault: Fault) -> NoOrder {
        let mut members: FxHashSet<u32> = core.iter().copied().collect();
        let mut pending = core.to_vec();
        while let Some(place) = pending.pop() {
            let span = self.span(place);
            let more: Vec<u32> = match (span.call.action, span.call.response) {
                (Action::Read, Some(Response::Value(list))) => {
                    let shown = self.set.elements(list).unwrap_or(&[]).iter();
                    let numbers = shown.filter_map(|&element| self.number(element));
                    numbers.map(|number| self.elements[number].add).collect()
                }
                _ if span.is_completed() => Vec::new(),
                _ => {
                    let seen_by = self.touched(place).map(|number| self.elements[number].seen_by);
                    seen_by.into_iter().filter(|&it| it != NONE).collect()
                }
            };
            pending.extend(more.into_iter().filter(|&it| members.insert(it)));
        }
        NoOrder::Finding(Finding { members: members.into_iter().collect(), fault })
    }
}

/// A point that operations leave to those after them, and the operation that was invoked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Latest {
    point: u64,
    by: u32,
}

impl Default for Latest {
    fn default() -> Self {
        Self { point: 0, by: NONE }
    }
}

struct Order<'a> {
    growing: &'a Growing<'a>,
    moments: Vec<Moment>,
}

impl Order<'_> {
    /// Places the operation after `before`.
    fn put(&mut self, place: u32, before: Latest, rank: u64) -> Result<Latest, NoOrder> {
        let span = self.growing.span(place);
        let own = Latest { point: span.invoked, by: place };
        let latest = if own.point >= before.point { own } else { before };
        if latest.point >= span.returned && span.returned != NEVER {
            return Err(self.growing.late(place, latest.by));
        }
        self.moments.push((latest.point, rank, 0, place));
        Ok(latest)
    }
}
