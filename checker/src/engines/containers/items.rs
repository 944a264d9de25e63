//! Groups the operations of a queue or stack by the item that they put in or took out.

use crate::engines::{Cancellation, NEVER, Slots, Span, Stopped};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::ValueId;

/// No span.
pub(super) const NONE: u32 = u32::MAX;

/// What was done with one item, and when. A *point* of time is the gap after the event at that
/// position; an operation can take effect from the point of its invocation until, and without, that
/// of its return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// The span that put it in.
    pub put: u32,
    /// The span that took it out; [`NONE`] if none did.
    pub take: u32,
    /// When the put was invoked.
    pub put_from: u64,
    /// When it had happened at the latest: when it or the take came back.
    pub put_until: u64,
    /// When the take can have happened at the earliest: when it and the put were invoked.
    pub take_from: u64,
    /// When the take came back.
    pub take_until: u64,
}

impl Item {
    fn new(put: u32, span: &Span) -> Self {
        Self {
            put,
            take: NONE,
            put_from: span.invoked,
            put_until: span.returned,
            take_from: NEVER,
            take_until: NEVER,
        }
    }

    /// This item, taken out by the span.
    pub(super) fn taken_by(self, take: u32, span: &Span) -> Self {
        Self {
            take,
            put_until: self.put_until.min(span.returned),
            take_from: self.put_from.max(span.invoked),
            take_until: span.returned,
            ..self
        }
    }

    /// Whether it surely was there for a while: from `put_until` until `take_from`.
    pub(super) const fn stays(&self) -> bool {
        self.put_until < self.take_from
    }
}

/// The functions of a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub put: Function,
    pub take: Function,
}

/// An object's operations, by what they did.
#[derive(Debug)]
pub(super) struct Items {
    /// The items that matter, by the invocation of their puts: without those that were put in by an
    /// operation of unknown outcome and never seen, which may as well not have happened.
    pub items: Vec<Item>,
    /// Spans that found nothing to take, by invocation.
    pub empty: Vec<u32>,
    /// Spans of unknown outcome that may have taken an item, by invocation.
    pub unknown: Vec<u32>,
}

/// A violation that shows on a single item. Numbers are spans.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flaw {
    /// It took an item that was never put in.
    FromNowhere { take: u32 },
    /// One item was taken out twice.
    TakenTwice { put: u32, first: u32, second: u32 },
    /// The item was taken out before its put was invoked.
    FromTheFuture { put: u32, take: u32 },
}

/// Why there are no items.
pub(super) enum NoItems {
    Inexact(&'static str),
    Flaw(Flaw),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoItems {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl Items {
    pub(super) fn of(
        spans: &[Span],
        ends: Ends,
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, NoItems> {
        slots.clear();
        let mut items = Vec::with_capacity(spans.len() / 2);
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            let Action::Other(function, value) = span.call.action else { continue };
            if function == ends.put {
                if slots.get(value).is_some() {
                    return Err(NoItems::Inexact("a value was put in twice"));
                }
                slots.set(value, items.len() as u32);
                items.push(Item::new(place, span));
            }
        }
        let mut this = Self { items, empty: Vec::new(), unknown: Vec::new() };
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            match (span.call.action, span.call.response) {
                (Action::Other(function, _), _) if function != ends.take => {}
                (_, None) => this.unknown.push(place),
                (_, Some(Response::Value(ValueId::NULL))) => this.empty.push(place),
                (_, Some(Response::Value(value))) => {
                    this.take(place, span, slots.get(value)).map_err(NoItems::Flaw)?;
                }
                _ => return Err(NoItems::Inexact("an answer that is no value")),
            }
        }
        let mut kept = 0;
        for place in 0..this.items.len() {
            cancellation.step()?;
            let item = this.items[place];
            if item.take != NONE || item.put_until != NEVER {
                this.items[kept] = item;
                kept += 1;
            }
        }
        this.items.truncate(kept);
        Ok(this)
    }

    fn take(&mut self, take: u32, span: &Span, item: Option<u32>) -> Result<(), Flaw> {
        let Some(item) = item.map(|number| &mut self.items[number as usize]) else {
            return Err(Flaw::FromNowhere { take });
        };
        if item.take != NONE {
            return Err(Flaw::TakenTwice { put: item.put, first: item.take, second: take });
        }
        if span.returned < item.put_from {
            return Err(Flaw::FromTheFuture { put: item.put, take });
        }
        *item = item.taken_by(take, span);
        Ok(())
    }
}
