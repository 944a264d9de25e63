//! Decides on sets: element by element, or as sets that only grow.
//!
//! Without reads of all elements, a set is one small object per element: whether it is there.
//! Linearizability is local (Herlihy & Wing 1990, §3.3), so each [element] is judged by itself, and
//! orders of all of them make one of the whole: give every operation the latest invocation among
//! itself and those before it in its own order, and sort.
//!
//! A read of all elements ties them together. If nothing is ever removed and every element is
//! added once, what must come before what is known without a choice; see [growing].
//!
//! Leaves alone, as [`Decision::Inexact`], sets that do not begin empty, reads of sets that shrink
//! or to which an element is added twice, and elements whose own small search runs out of memory.

mod element;
mod explanation;
mod growing;

use super::{Cancellation, Decision, Monitored, Slots, Span, Stopped};
use crate::history::{Action, History};
use crate::model::{Call, Set};

/// No span.
const NONE: u32 = u32::MAX;

/// When an operation takes effect: at a point, the gap after the event of that position; then
/// by rank, then by its turn among those of equal rank. Last its place in the spans.
type Moment = (u64, u64, u32, u32);

impl Monitored for Set<'_> {
    const ENGINE: &'static str = "set";

    type Scratch = Slots;

    fn scratch(&self, history: &History) -> Slots {
        Slots::new(history.values.len())
    }

    fn monitor(
        &self,
        history: &History,
        spans: &[Span],
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Decision {
        assert!(spans.len() < NONE as usize, "at most 2^32 - 2 operations on a key");
        if !self.begins_empty() {
            return Decision::Inexact("it does not begin empty");
        }
        match self.order(spans, slots, cancellation) {
            Ok(order) => Decision::Valid(order),
            Err(NoOrder::Inexact(obstacle)) => Decision::Inexact(obstacle),
            Err(NoOrder::Stopped) => Decision::Stopped,
            Err(NoOrder::Finding(finding)) => {
                Decision::Violation(Box::new(explanation::explain(self, history, spans, &finding)))
            }
        }
    }
}

impl Set<'_> {
    fn order(
        &self,
        spans: &[Span],
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Result<Vec<u32>, NoOrder> {
        if self.has_repeated() {
            for (place, span) in (0_u32..).zip(spans) {
                cancellation.step()?;
                if self.repeats(span.call) {
                    let (members, fault) = (vec![place], Fault::Repeated { read: place });
                    return Err(NoOrder::Finding(Finding { members, fault }));
                }
            }
        }
        let is_read = |span: &Span| matches!(span.call.action, Action::Read);
        let mut moments = if cancellation.count(spans, is_read)? > 0 {
            growing::decide(self, spans, slots, cancellation)?
        } else {
            element::decide(self, spans, slots, cancellation)?
        };
        cancellation.sort(&mut moments)?;
        Ok(cancellation.collect(moments.into_iter().map(|(_, _, _, place)| place))?)
    }
}

/// Why there is no order.
enum NoOrder {
    Inexact(&'static str),
    Finding(Finding),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoOrder {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// A violation. Numbers are places of spans.
struct Finding {
    /// The operations that prove it.
    members: Vec<u32>,
    fault: Fault,
}

/// Its explanation.
enum Fault {
    /// It saw an element that was never added.
    FromNowhere { observer: u32 },
    /// A read that shows an element more than once.
    Repeated { read: u32 },
    /// It saw an element before its addition was invoked.
    FromTheFuture { add: u32, observer: u32 },
    /// It missed an element whose addition had come back; `seen` says whether anybody saw it.
    Missing { add: u32, observer: u32, seen: bool },
    /// It saw an element whose removal had come back.
    Resurrected { remove: u32, observer: u32 },
    /// The later of two reads misses what the earlier one shows.
    Shrunk { earlier: u32, later: u32 },
    /// Each of two reads shows what the other misses.
    Incomparable { one: u32, other: u32 },
    /// None of these.
    Contradiction,
}

/// What an operation does to an element, or says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Add,
    Remove,
    SawThere,
    SawMissing,
    /// It says nothing.
    Nothing,
}

fn role(set: &Set<'_>, call: Call) -> Role {
    let Some(touch) = set.touch(call) else { return Role::Nothing };
    match (touch.was_there, touch.is_there) {
        (Some(true), None | Some(true)) => Role::SawThere,
        (Some(false), None | Some(false)) => Role::SawMissing,
        (_, Some(true)) => Role::Add,
        (_, Some(false)) => Role::Remove,
        (None, None) => Role::Nothing,
    }
}

/// For every element, by the number of its value's first appearance, the places of its spans: in
/// one row, and where each element's begin.
struct ByElement {
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl ByElement {
    fn of(
        set: &Set<'_>,
        spans: &[Span],
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        slots.clear();
        let mut numbers = Vec::with_capacity(spans.len());
        let mut starts: Vec<u32> = vec![0];
        for span in spans {
            cancellation.step()?;
            let number = set.touch(span.call).map(|touch| {
                slots.get(touch.element).unwrap_or_else(|| {
                    let number = starts.len() as u32 - 1;
                    slots.set(touch.element, number);
                    starts.push(0);
                    number
                })
            });
            if let Some(number) = number {
                starts[number as usize + 1] += 1;
            }
            numbers.push(number);
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![NONE; starts[starts.len() - 1] as usize];
        for (place, number) in (0_u32..).zip(numbers) {
            cancellation.step()?;
            if let Some(number) = number {
                let slot = &mut next[number as usize];
                places[*slot as usize] = place;
                *slot += 1;
            }
        }
        Ok(Self { starts, places })
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.starts.windows(2).map(|ends| &self.places[ends[0] as usize..ends[1] as usize])
    }
}
