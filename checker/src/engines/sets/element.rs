//! Decides whether what was done with one element of a set, and said of it, has an order.
//!
//! An element that was added once and removed at most once is there from the one to the other. Give
//! it as little time as what was seen of it allows: from just before the first who saw it there (or
//! added it) came back, to just after the last who saw it there (or removed it) was invoked. Then
//! an operation that missed it must have a point outside; more time would leave fewer such points.
//! A removal that does not say whether it found the element may also have come before the addition,
//! in vain.
//!
//! With more additions or removals, searches: an element's history is small.

use super::{ByElement, Fault, Finding, Moment, NONE, NoOrder, Role, role};
use crate::engines::wgl::{self, Cause, Limits, Search};
use crate::engines::{Cancellation, NEVER, Slots, Span};
use crate::model::{Model, Set};

/// Bytes that the search on one element may use.
const MEMORY: usize = 32 << 20;

pub(super) fn decide(
    set: &Set<'_>,
    spans: &[Span],
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Moment>, NoOrder> {
    let mut moments = Vec::with_capacity(spans.len());
    let elements = ByElement::of(set, spans, slots, cancellation)?;
    for (number, places) in (0_u32..).zip(elements.iter()) {
        cancellation.step()?;
        let element = Element::of(set, spans, places);
        match element.map(|element| element.place(spans, number, &mut moments)) {
            Some(true) => {}
            Some(false) => return Err(NoOrder::Finding(explain(set, spans, places))),
            None => {
                let element = Searched { set, spans, places, number };
                element.search(&mut moments, cancellation)?;
            }
        }
    }
    Ok(moments)
}

/// The operations on one element that was added and removed at most once.
struct Element<'a> {
    add: u32,
    remove: u32,
    /// Whether the removal surely found the element.
    found: bool,
    places: &'a [u32],
    roles: Vec<Role>,
}

/// The part of time in which the element is there; and whether the removal ends it, or came before
/// in vain.
struct Presence {
    from: u64,
    until: u64,
    removed: bool,
}

impl<'a> Element<'a> {
    /// Nothing if it was added or removed several times.
    fn of(set: &Set<'_>, spans: &[Span], places: &'a [u32]) -> Option<Self> {
        let call = |place: u32| spans[place as usize].call;
        let roles = places.iter().map(|&place| role(set, call(place))).collect();
        let mut this = Self { add: NONE, remove: NONE, found: false, places, roles };
        for (&place, role) in places.iter().zip(&this.roles) {
            let change = match role {
                Role::Add => &mut this.add,
                Role::Remove => &mut this.remove,
                _ => continue,
            };
            if *change != NONE {
                return None;
            }
            *change = place;
        }
        if this.remove != NONE {
            this.found = set.touch(call(this.remove))?.was_there == Some(true);
        }
        Some(this)
    }

    /// Adds a moment for every operation; false if there is no order of them.
    fn place(&self, spans: &[Span], number: u32, moments: &mut Vec<Moment>) -> bool {
        let Some(presence) = self.presence(spans) else { return false };
        for (&place, role) in self.places.iter().zip(&self.roles) {
            let invoked = spans[place as usize].invoked;
            let Presence { from, until, removed } = presence;
            let (point, rank) = match role {
                // It never happened.
                Role::Add if from == NEVER => continue,
                Role::Add => (from, 1),
                Role::SawThere => (from.max(invoked), 2),
                Role::Remove if removed => (until, 3),
                Role::Remove if !spans[place as usize].is_completed() => continue,
                Role::Remove => (invoked, 0),
                Role::SawMissing | Role::Nothing if invoked <= from => (invoked, 0),
                Role::SawMissing | Role::Nothing => (until.max(invoked), 4),
            };
            moments.push((point, rank, number, place));
        }
        true
    }

    fn presence(&self, spans: &[Span]) -> Option<Presence> {
        let span = |place: u32| &spans[place as usize];
        let with = |wanted: Role| {
            let all = self.places.iter().zip(&self.roles);
            all.filter(move |(_, role)| **role == wanted).map(|(&place, _)| span(place))
        };
        let seen_until = with(Role::SawThere).map(|it| it.returned).min();
        let must_be = seen_until.is_some() || self.found;
        if self.add == NONE {
            return (!must_be).then_some(Presence { from: NEVER, until: NEVER, removed: false });
        }
        let add = span(self.add);
        if !add.is_completed() && !must_be {
            return Some(Presence { from: NEVER, until: NEVER, removed: false });
        }
        let latest = add.returned.min(seen_until.unwrap_or(NEVER)) - 1;
        if latest < add.invoked {
            return None;
        }
        let missed = || with(Role::SawMissing);
        if self.remove != NONE {
            let remove = span(self.remove);
            let seen_from = with(Role::SawThere).map(|it| it.invoked).max().unwrap_or(0);
            let latest = latest.min(remove.returned - 1);
            let until = seen_from.max(remove.invoked).max(add.invoked);
            let bad = |it: &Span| it.invoked > latest && it.returned <= until;
            if latest >= add.invoked && until < remove.returned && !missed().any(bad) {
                let from = latest.min(until);
                return Some(Presence { from, until, removed: true });
            }
            if self.found {
                return None;
            }
        }
        // Without the removal, or after it.
        let remove = (self.remove != NONE).then(|| span(self.remove));
        let remove = remove.filter(|remove| remove.is_completed());
        let missed_from = missed().map(|it| it.invoked).max().unwrap_or(0);
        let from = add.invoked.max(missed_from).max(remove.map_or(0, |it| it.invoked));
        (from <= latest).then_some(Presence { from, until: NEVER, removed: false })
    }
}

/// An element that was added or removed several times.
struct Searched<'a> {
    set: &'a Set<'a>,
    spans: &'a [Span],
    places: &'a [u32],
    number: u32,
}

impl Searched<'_> {
    /// Adds a moment for every operation, if there is an order of them.
    fn search(
        &self,
        moments: &mut Vec<Moment>,
        cancellation: &Cancellation<'_>,
    ) -> Result<(), NoOrder> {
        let Self { set, spans, places, number } = *self;
        let own: Vec<Span> = places.iter().map(|&place| spans[place as usize]).collect();
        let limits = Limits { memory: MEMORY, stop: cancellation.stop() };
        match wgl::search(set, &own, &limits) {
            Search::Valid(order) => {
                let mut point = 0;
                for (rank, &span) in (0..).zip(&order) {
                    point = own[span as usize].invoked.max(point);
                    moments.push((point, rank, number, places[span as usize]));
                }
                Ok(())
            }
            Search::Violation { proven_at } => {
                let part = wgl::minimise(set, &own, proven_at, &limits);
                let member = |it: &Span| {
                    own.iter().position(|own| own.operation == it.operation).map(|own| places[own])
                };
                let members: Vec<u32> = part.iter().filter_map(member).collect();
                Err(NoOrder::Finding(match Element::of(set, spans, &members) {
                    Some(_) => explain(set, spans, &members),
                    None => Finding { members, fault: Fault::Contradiction },
                }))
            }
            Search::Unknown { cause: Cause::Stopped, .. } => Err(NoOrder::Stopped),
            Search::Unknown { .. } => Err(NoOrder::Inexact("a laborious element")),
        }
    }
}

/// Of the operations on an element that have no order, those that matter.
fn explain(set: &Set<'_>, spans: &[Span], places: &[u32]) -> Finding {
    let span = |place: u32| &spans[place as usize];
    let role = |place: u32| role(set, span(place).call);
    let extreme = |wanted: Role, key: fn(&Span) -> u64| {
        places.iter().copied().filter(|&it| role(it) == wanted).max_by_key(|&it| key(span(it)))
    };
    let earliest: fn(&Span) -> u64 = |span| NEVER - span.returned;
    let latest: fn(&Span) -> u64 = |span| span.invoked;
    let mut members: Vec<u32> = places
        .iter()
        .copied()
        .filter(|&it| matches!(role(it), Role::Add | Role::Remove))
        .chain(extreme(Role::SawThere, earliest))
        .chain(extreme(Role::SawThere, latest))
        .chain(extreme(Role::SawMissing, latest))
        .collect();
    let is_violation = |members: &[u32]| {
        let element = Element::of(set, spans, members);
        element.is_some_and(|element| element.presence(spans).is_none())
    };
    if !is_violation(&members) {
        // Somebody missed it while it was there, but not as the last.
        let missed = places.iter().copied().filter(|&it| role(it) == Role::SawMissing);
        let bad = missed.clone().find(|&it| is_violation(&[&members[..], &[it]].concat()));
        members.extend(bad);
    }
    for place in members.clone() {
        let rest: Vec<u32> = members.iter().copied().filter(|&it| it != place).collect();
        let relies = |&observer: &u32| set.relies_on(span(observer).call, span(place).call);
        if !rest.iter().any(relies) && is_violation(&rest) {
            members = rest;
        }
    }
    let fault = fault(set, spans, &members, places);
    Finding { members, fault }
}

fn fault(set: &Set<'_>, spans: &[Span], members: &[u32], places: &[u32]) -> Fault {
    let span = |place: u32| &spans[place as usize];
    let role = |place: u32| role(set, span(place).call);
    let of = |wanted: Role| members.iter().copied().filter(move |&it| role(it) == wanted);
    let saw_there = |place: u32| {
        role(place) == Role::SawThere
            || set.touch(span(place).call).is_some_and(|it| it.was_there == Some(true))
    };
    let there: Vec<u32> = members.iter().copied().filter(|&it| saw_there(it)).collect();
    let (add, remove) = (of(Role::Add).next(), of(Role::Remove).next());
    let Some(add) = add else {
        return there
            .first()
            .map_or(Fault::Contradiction, |&observer| Fault::FromNowhere { observer });
    };
    if let Some(&observer) = there.iter().find(|&&it| span(it).returned < span(add).invoked) {
        return Fault::FromTheFuture { add, observer };
    }
    if let Some(remove) = remove
        && let Some(&observer) = there.iter().find(|&&it| span(it).invoked > span(remove).returned)
    {
        return Fault::Resurrected { remove, observer };
    }
    let missed = of(Role::SawMissing).find(|&it| span(it).invoked > span(add).returned);
    let seen = places.iter().any(|&place| saw_there(place));
    missed.map_or(Fault::Contradiction, |observer| Fault::Missing { add, observer, seen })
}
