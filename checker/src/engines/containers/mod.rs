//! Decides on queues and stacks whose items are all different.
//!
//! Whatever was done with one item can be left out without harm to the others, and so can an
//! operation that found nothing. So a violation is shown by the operations on a few items. What
//! each container demands of them, and why that is exact, is said in [`queue`] and [`stack`].
//!
//! Leaves alone, as [`Decision::Inexact`], containers that do not begin empty and values that were
//! put in twice; and, where it cannot tell, operations of unknown outcome that may have taken an
//! item.

mod cover;
mod explanation;
mod items;
mod queue;
mod stack;
mod trees;

use super::{Cancellation, Decision, Monitored, Slots, Span, Stopped};
use crate::event::Function;
use crate::history::History;
use crate::model::{Queue, Stack};
use items::{Ends, Flaw, Item, Items, NONE, NoItems};

impl Monitored for Queue {
    const ENGINE: &'static str = "queue";

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
        let ends = Ends { put: Function::Enqueue, take: Function::Dequeue };
        let engine = Engine { ends, solve: queue::solve, give_out: queue::give_out };
        if !self.begins_empty() {
            return Decision::Inexact("it does not begin empty");
        }
        engine.decide(history, spans, slots, cancellation)
    }
}

impl Monitored for Stack {
    const ENGINE: &'static str = "stack";

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
        let ends = Ends { put: Function::Push, take: Function::Pop };
        let engine = Engine { ends, solve: stack::solve, give_out: stack::give_out };
        if !self.begins_empty() {
            return Decision::Inexact("it does not begin empty");
        }
        engine.decide(history, spans, slots, cancellation)
    }
}

/// Spans by what they did.
struct Problem<'a> {
    spans: &'a [Span],
    items: &'a Items,
    cancellation: &'a Cancellation<'a>,
}

impl<'a> Problem<'a> {
    fn span(&self, place: u32) -> &'a Span {
        &self.spans[place as usize]
    }

    /// Whether an operation is known to have taken the item.
    fn was_seen_taken(&self, item: &Item) -> bool {
        item.take != NONE && self.span(item.take).is_completed()
    }
}

/// A violation. Numbers are places of spans.
#[derive(Debug)]
enum Finding {
    /// It shows on one item.
    Flaw(Flaw),
    /// Nothing was found although one of these items was there all the time.
    FalseEmpty { empty: u32, chain: Vec<Item> },
    /// The second item left a queue before the first, which was in it before.
    Overtaken { first: Item, second: Item },
    /// A stack held one of these items all the time, and none of them could lie below the others.
    Crossing { chain: Vec<Item> },
}

/// Why an order was not found.
enum NoOrder {
    Finding(Finding),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoOrder {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Finding> for NoOrder {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// What is different about queues and stacks.
struct Engine {
    ends: Ends,
    /// An order of the items, each of which was taken by its take or not at all.
    solve: fn(&Problem<'_>) -> Result<Vec<u32>, NoOrder>,
    give_out: GiveOut,
}

/// The items by the invocations of their puts, with takes of unknown outcome assigned to some.
type GiveOut = fn(&Problem<'_>, &[Deadline]) -> Result<Option<Vec<Item>>, Stopped>;

/// What an attempt to give out takes taught: an item that was never seen taken stands in others'
/// way unless it is gone by then. The least that helps those others, not what every order has to
/// obey.
struct Deadline {
    /// The span that put the item in.
    put: u32,
    gone_by: u64,
}

impl Engine {
    fn decide(
        &self,
        history: &History,
        spans: &[Span],
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Decision {
        assert!(spans.len() < NONE as usize, "at most 2^32 - 2 operations on a key");
        let found = match Items::of(spans, self.ends, slots, cancellation) {
            Ok(items) => self.order(&Problem { spans, items: &items, cancellation }),
            Err(NoItems::Inexact(obstacle)) => return Decision::Inexact(obstacle),
            Err(NoItems::Flaw(flaw)) => {
                Err(Contradiction::Finding(Finding::Flaw(flaw), Vec::new()))
            }
            Err(NoItems::Stopped) => return Decision::Stopped,
        };
        match found {
            Ok(order) => Decision::Valid(order),
            Err(Contradiction::Inexact(obstacle)) => Decision::Inexact(obstacle),
            Err(Contradiction::Stopped) => Decision::Stopped,
            Err(Contradiction::Finding(finding, unknown)) => Decision::Violation(Box::new(
                explanation::explain(history, spans, &finding, &unknown),
            )),
        }
    }

    fn order(&self, problem: &Problem<'_>) -> Result<Vec<u32>, Contradiction> {
        let Items { items, empty, unknown } = problem.items;
        let earliest = unknown.first().copied();
        let Some(earliest) = earliest.filter(|_| items.iter().any(|item| item.take == NONE)) else {
            return (self.solve)(problem).map_err(|halt| match halt {
                NoOrder::Finding(found) => Contradiction::Finding(found, Vec::new()),
                NoOrder::Stopped => Contradiction::Stopped,
            });
        };
        let with = |items| Items { items, empty: empty.clone(), unknown: unknown.clone() };
        let span = problem.span(earliest);
        let gone = |item: &Item| match item.take {
            NONE => item.taken_by(earliest, span),
            _ => *item,
        };
        let relaxed = with(problem.cancellation.collect(items.iter().map(gone))?);
        (self.solve)(&Problem { items: &relaxed, ..*problem }).map_err(|halt| match halt {
            NoOrder::Finding(finding) => problem.with_unknown(finding),
            NoOrder::Stopped => Contradiction::Stopped,
        })?;
        let mut sooner = Vec::new();
        for _ in 0..ATTEMPTS {
            let obstacle = Contradiction::Inexact("a take of unknown outcome");
            let given = (self.give_out)(problem, &sooner)?.map(with).ok_or(obstacle)?;
            match (self.solve)(&Problem { items: &given, ..*problem }) {
                Ok(order) => return Ok(order),
                Err(NoOrder::Stopped) => return Err(Contradiction::Stopped),
                Err(NoOrder::Finding(finding)) => match problem.in_the_way(&finding) {
                    Some(deadline) => sooner.push(deadline),
                    None => break,
                },
            }
        }
        Err(Contradiction::Inexact("takes of unknown outcome"))
    }
}

/// How often takes of unknown outcome are given out before the engine says that it does not know.
/// Each costs as much as the decision on a history without them; one in a million operations of
/// which one in a thousand is unknown needs two.
const ATTEMPTS: usize = 16;

enum Contradiction {
    Inexact(&'static str),
    /// The time is up.
    Stopped,
    /// With takes of unknown outcome that belong to it.
    Finding(Finding, Vec<u32>),
}

impl From<Stopped> for Contradiction {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl Problem<'_> {
    /// An item of those that cannot all be where they are, that was never seen taken, and when it
    /// would have to be gone, which is sooner than the take that it was given comes back.
    fn in_the_way(&self, finding: &Finding) -> Option<Deadline> {
        let (chain, nothing) = match finding {
            Finding::Crossing { chain } => (chain, None),
            Finding::FalseEmpty { empty, chain } => (chain, Some(self.span(*empty).returned)),
            Finding::Flaw(_) | Finding::Overtaken { .. } => return None,
        };
        chain.iter().filter(|item| !self.was_seen_taken(item)).find_map(|item| {
            // Whatever lies below it can only go after it. The last moment that helps asks least.
            let others = chain.iter().filter(|other| self.was_seen_taken(other));
            others
                .map(|other| other.take_until)
                .chain(nothing)
                .filter(|&gone_by| item.put_until < gone_by && gone_by < item.take_from)
                .max()
                .map(|gone_by| Deadline { put: item.put, gone_by })
        })
    }

    /// The violation with as many of the unknown takes as can have taken one of its items. Of
    /// several, those that were invoked first can stand for all: in the order in which they take
    /// effect, the first for the first, and so on.
    fn with_unknown(&self, finding: Finding) -> Contradiction {
        let (Finding::FalseEmpty { chain, .. } | Finding::Crossing { chain }) = &finding else {
            // Of an item that was overtaken, all of them came too late.
            return Contradiction::Finding(finding, Vec::new());
        };
        let unsure = chain.iter().filter(|item| !self.was_seen_taken(item)).count();
        let unknown = self.items.unknown[..unsure.min(self.items.unknown.len())].to_vec();
        Contradiction::Finding(finding, unknown)
    }
}
