//! Which engine decides fast, and what a violation is called, for every model.
//!
//! A monitor is exact where it applies and says so where it does not. A model without one, or a
//! history that asks too much of it, is left to a search.

use super::wgl::{self, Limits};
use super::{Patience, Span, named, zones};
use crate::history::History;
use crate::model::{Counter, Lock, Model, MultiRegister, Register};
use crate::verdict::{Anomaly, Counterexample};

/// What a monitor found.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The monitor does not apply; the text says what stands in the way.
    Inexact(&'static str),
    /// Linearizable in this order of places in the spans.
    Valid(Vec<u32>),
    /// Not linearizable.
    Violation(Box<Counterexample>),
    /// The time was up.
    Stopped,
}

/// A model that engines can decide on, one object at a time.
pub(crate) trait Monitored: Model + Sync {
    /// What stands in an analysis as the engine, where the monitor decided.
    const ENGINE: &'static str;

    /// Memory that decisions on several objects of a history share.
    type Scratch;

    /// Fresh memory for objects of `history`.
    fn scratch(&self, history: &History) -> Self::Scratch;

    /// Decides on the spans of one object, by invocation, all of which the model
    /// [knows](Model::knows). Ends when `patience` does.
    fn monitor(
        &self,
        history: &History,
        spans: &[Span],
        scratch: &mut Self::Scratch,
        patience: &Patience<'_>,
    ) -> Decision;

    /// What is wrong with spans that a search found not to be linearizable, and on which the monitor
    /// did not decide, in the words of the field and in a sentence; nothing if it has no name.
    fn diagnose(&self, _history: &History, _part: &[Span]) -> Option<(Anomaly, String)> {
        None
    }

    /// A small part of `spans` that is not linearizable on its own, where leaving out the rest was
    /// sound. `proven_at` is what a search said of them.
    fn minimise(&self, spans: &[Span], proven_at: u64, limits: &Limits<'_>) -> Vec<Span>
    where
        Self: Sized,
    {
        wgl::minimise(self, spans, proven_at, limits)
    }

    /// The few `spans`, which are not linearizable, without those that are not needed for that, as
    /// far as leaving them out is sound.
    fn tighten(&self, spans: &[Span], limits: &Limits<'_>) -> Vec<Span>
    where
        Self: Sized,
    {
        wgl::tighten(self, spans, limits)
    }
}

impl Monitored for Register {
    const ENGINE: &'static str = "zones";

    type Scratch = zones::Slots;

    fn scratch(&self, history: &History) -> zones::Slots {
        zones::Slots::new(history.values.len())
    }

    fn monitor(
        &self,
        history: &History,
        spans: &[Span],
        slots: &mut zones::Slots,
        patience: &Patience<'_>,
    ) -> Decision {
        match zones::decide(spans, *self, slots, patience) {
            zones::Decision::Stopped => Decision::Stopped,
            zones::Decision::Inexact(obstacle) => Decision::Inexact(obstacle),
            zones::Decision::Valid(order) => Decision::Valid(order),
            zones::Decision::Violation(evidence) => {
                Decision::Violation(Box::new(zones::explain(history, spans, &evidence)))
            }
        }
    }
}

/// What a model without a monitor says.
const NO_MONITOR: Decision = Decision::Inexact("there is no monitor for such objects");

impl Monitored for Counter<'_> {
    const ENGINE: &'static str = "none";

    type Scratch = ();

    fn scratch(&self, _: &History) {}

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Patience<'_>) -> Decision {
        NO_MONITOR
    }

    fn diagnose(&self, history: &History, part: &[Span]) -> Option<(Anomaly, String)> {
        named::counter(self, history, part)
    }
}

impl Monitored for Lock<'_> {
    const ENGINE: &'static str = "none";

    type Scratch = ();

    fn scratch(&self, _: &History) {}

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Patience<'_>) -> Decision {
        NO_MONITOR
    }

    fn diagnose(&self, history: &History, part: &[Span]) -> Option<(Anomaly, String)> {
        if self.initial().is_none() { named::lock(history, part) } else { None }
    }
}

impl Monitored for MultiRegister {
    const ENGINE: &'static str = "none";

    type Scratch = ();

    fn scratch(&self, _: &History) {}

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Patience<'_>) -> Decision {
        NO_MONITOR
    }

    fn diagnose(&self, history: &History, part: &[Span]) -> Option<(Anomaly, String)> {
        named::transactions(self, history, part)
    }
}
