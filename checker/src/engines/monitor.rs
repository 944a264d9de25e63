//! Which engine decides fast, and what a violation is called, for every model.
//!
//! A monitor is exact where it applies and says so where it does not. A model without one, or a
//! history that asks too much of it, is left to a search.

use rustc_hash::FxHashMap;

use super::wgl::{self, Limits};
use super::{Cancellation, Span, named, zones};
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
    /// [knows](Model::knows). Ends when `cancellation` does.
    fn monitor(
        &self,
        history: &History,
        spans: &[Span],
        scratch: &mut Self::Scratch,
        cancellation: &Cancellation<'_>,
    ) -> Decision;

    /// The parts of the object that have nothing to do with each other: places in `spans`, in order.
    /// One part is always right.
    fn parts(&self, spans: &[Span]) -> Vec<Vec<u32>> {
        vec![(0..spans.len() as u32).collect()]
    }

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
        cancellation: &Cancellation<'_>,
    ) -> Decision {
        match zones::decide(spans, *self, slots, cancellation) {
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

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Cancellation<'_>) -> Decision {
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

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Cancellation<'_>) -> Decision {
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

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Cancellation<'_>) -> Decision {
        NO_MONITOR
    }

    fn parts(&self, spans: &[Span]) -> Vec<Vec<u32>> {
        let registers = |span: &Span| self.registers(span.call).collect();
        connected(spans.iter().map(registers))
    }

    fn diagnose(&self, history: &History, part: &[Span]) -> Option<(Anomaly, String)> {
        named::transactions(self, history, part)
    }
}

/// The numbers of the items in groups: two that have a name in common are in one, and so are those
/// that others connect. Groups are in the order of their first items.
fn connected(items: impl Iterator<Item = Vec<u32>>) -> Vec<Vec<u32>> {
    // The parent of each name, as far as it has one.
    let mut parents: FxHashMap<u32, u32> = FxHashMap::default();
    let items: Vec<Option<u32>> = items
        .map(|names| {
            let first = names.first().copied();
            for pair in names.windows(2) {
                let [one, other] = [pair[0], pair[1]].map(|name| root(&mut parents, name));
                if one != other {
                    parents.insert(one, other);
                }
            }
            first
        })
        .collect();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut places: FxHashMap<Option<u32>, usize> = FxHashMap::default();
    for (number, name) in (0..).zip(items) {
        let root = name.map(|name| root(&mut parents, name));
        let place = *places.entry(root).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(number);
    }
    groups
}

/// The name that stands for the group of `name`. Shortens the way to it.
fn root(parents: &mut FxHashMap<u32, u32>, name: u32) -> u32 {
    let mut root = name;
    while let Some(&parent) = parents.get(&root) {
        root = parent;
    }
    let mut at = name;
    while at != root {
        at = parents.insert(at, root).unwrap_or(root);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::connected;

    #[test]
    fn items_are_in_one_group_if_names_connect_them() {
        let groups = |items: &[&[u32]]| connected(items.iter().map(|names| names.to_vec()));
        assert_eq!(groups(&[&[1], &[2], &[1, 3], &[4, 2], &[3]]), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(groups(&[&[1], &[2], &[3], &[1, 2], &[2, 3]]), [vec![0, 1, 2, 3, 4]]);
        assert_eq!(groups(&[&[7, 7], &[]]), [vec![0], vec![1]]);
        assert!(groups(&[]).is_empty());
    }
}
