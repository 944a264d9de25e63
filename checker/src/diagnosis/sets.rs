//! What a set did.

use rustc_hash::FxHashSet;

use super::sightings::{MissedWrite, Observation, fate};
use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Operation, Response};
use crate::value::Value;
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

/// All that was done with one element.
#[derive(Default)]
struct Element {
    added: bool,
    adds: Vec<usize>,
    removes: Vec<usize>,
}

pub(super) fn diagnose(key: &Key<'_>, proof: &[usize]) -> Result<Option<Diagnosis>, Stopped> {
    let sets = Sets { key };
    if let Some(found) = proof.iter().find_map(|&place| sets.repeated(place)) {
        return Ok(Some(found));
    }
    let mut elements: Vec<&Value> = Vec::new();
    for &place in proof {
        if let Some(element) = sets.argument(place) {
            elements.push(element);
        }
        if let Some(items) = sets.items(place) {
            elements.extend(items);
        }
    }
    let mut known = FxHashSet::default();
    elements.retain(|&element| known.insert(element));
    let mut stale = None;
    for value in elements {
        let element = sets.element(value)?;
        for &reader in proof {
            let found = match sets.shows(reader, value) {
                Some(true) => sets.there(reader, value, &element),
                Some(false) => sets.missing(reader, value, &element),
                None => None,
            };
            match found {
                // What is gone for good says more than what came late.
                Some(found) if found.anomaly == Anomaly::StaleRead => {
                    stale.get_or_insert(found);
                }
                Some(found) => return Ok(Some(found)),
                None => {}
            }
        }
    }
    Ok(stale)
}

struct Sets<'a> {
    key: &'a Key<'a>,
}

impl<'a> Sets<'a> {
    fn argument(&self, place: usize) -> Option<&'a Value> {
        match self.key.get(place).action {
            Action::Other(_, element) => Some(self.key.value(element)),
            _ => None,
        }
    }

    /// What a read shows.
    fn items(&self, place: usize) -> Option<&'a [Value]> {
        let operation = self.key.get(place);
        match (operation.action, operation.response()) {
            (Action::Read, Some(Response::Value(list))) => match self.key.value(list) {
                Value::List(items) => Some(items),
                _ => Some(&[]),
            },
            _ => None,
        }
    }

    /// Whether the operation found the element there, if it says.
    fn shows(&self, place: usize, element: &Value) -> Option<bool> {
        if let Some(items) = self.items(place) {
            return Some(items.contains(element));
        }
        let operation = self.key.get(place);
        let (Action::Other(function, argument), Some(Response::Value(answer))) =
            (operation.action, operation.response())
        else {
            return None;
        };
        if self.key.value(argument) != element || answer == argument {
            return None;
        }
        match (function, self.key.value(answer)) {
            (Function::Add, &Value::Bool(added)) => Some(!added),
            (Function::Remove | Function::Contains, &Value::Bool(there)) => Some(there),
            _ => None,
        }
    }

    fn element(&self, value: &Value) -> Result<Element, Stopped> {
        let initial = matches!(self.key.initial, Value::List(items) if items.contains(value));
        let mut element = Element { added: initial, ..Element::default() };
        for (place, operation) in self.key.operations.iter().enumerate() {
            self.key.cancellation.step()?;
            if operation.is_failed() || self.argument(place) != Some(value) {
                continue;
            }
            match operation.action.function() {
                Function::Add => element.adds.push(place),
                Function::Remove => element.removes.push(place),
                _ => {}
            }
        }
        Ok(element)
    }

    /// A read that shows an element more than once.
    fn repeated(&self, place: usize) -> Option<Diagnosis> {
        let items = self.items(place)?;
        let mut shown = FxHashSet::default();
        let element = items.iter().find(|item| !shown.insert(*item))?;
        let count = match items.iter().filter(|item| *item == element).count() {
            2 => "twice".to_owned(),
            more => format!("in {more} places"),
        };
        let is_add = |place: &usize| {
            self.key.get(*place).action.function() == Function::Add
                && self.argument(*place) == Some(element)
        };
        let adds = (0..self.key.operations.len()).filter(is_add).count();
        let added = match adds {
            1 => "which was added once".to_owned(),
            0 => "which nobody added".to_owned(),
            adds => format!("which was added {adds} times, and is in a set once"),
        };
        let sentence = format!(
            "{} read {} from {} at {}, which shows {} {count}, {added}: a duplicate element.",
            capital(&self.key.who(place)),
            brief(self.key.value(match self.key.get(place).response() {
                Some(Response::Value(list)) => list,
                _ => return None,
            })),
            self.key.object(),
            self.key.instant(ended(self.key.get(place))),
            brief(element),
        );
        Some(Diagnosis::new(Anomaly::DuplicateElement, sentence))
    }

    /// What is wrong with an operation that found the element there.
    fn there(&self, reader: usize, value: &Value, element: &Element) -> Option<Diagnosis> {
        let operation = self.key.get(reader);
        let invoked = |place: &usize| self.key.get(*place).invoked.position;
        let shown = brief(value);
        let saw = format!("{} found {shown} in {}", self.key.who(reader), self.key.object());
        if element.added {
            return None;
        }
        if element.adds.is_empty() {
            let failed = self.key.failed(|action| {
                matches!(action, Action::Other(Function::Add, it) if self.key.value(it) == value)
            });
            return Some(self.key.read_from_nowhere(&saw, failed, "added", "add"));
        }
        let by_then = || element.adds.iter().filter(|add| invoked(add) < returned(operation));
        if by_then().next().is_none() {
            let add = *element.adds.first()?;
            let sentence = format!(
                "{} and was done at {}, before the addition of {shown} by {} was even asked for at \
                 {}: a read from the future.",
                capital(&saw),
                self.key.instant(ended(operation)),
                self.key.who(add),
                self.key.instant(self.key.get(add).invoked.time),
            );
            return Some(Diagnosis::new(Anomaly::ReadFromTheFuture, sentence));
        }
        let added = by_then().map(|&add| returned(self.key.get(add))).max()?;
        let is_late = |remove: &&usize| {
            invoked(remove) > added && returned(self.key.get(**remove)) < operation.invoked.position
        };
        let remove = *element.removes.iter().find(is_late)?;
        let gone = returned(self.key.get(remove));
        let sight = |place: usize| {
            let there = self.shows(place, value)?;
            Some(if there { Observation::Misses } else { Observation::Shows })
        };
        let (anomaly, context, moral) = match fate(self.key, reader, Some(remove), gone, sight) {
            MissedWrite::There(later) => (Anomaly::StaleRead, later, "a stale read"),
            _ => (Anomaly::ResurrectedElement, None, "a removed element came back"),
        };
        let sentence = format!(
            "{} at {}, after the removal of {shown} by {} had come back at {}: {moral}.",
            capital(&saw),
            self.key.instant(operation.invoked.time),
            self.key.who(remove),
            self.key.instant(ended(self.key.get(remove))),
        );
        Some(self.late(reader, remove, Diagnosis { context, ..Diagnosis::new(anomaly, sentence) }))
    }

    /// What is wrong with an operation that did not find the element.
    fn missing(&self, reader: usize, value: &Value, element: &Element) -> Option<Diagnosis> {
        let operation = self.key.get(reader);
        let began = operation.invoked.position;
        let shown = brief(value);
        // The earliest that shows that it was there: its addition, or whoever saw it.
        let is_early = |place: &usize| returned(self.key.get(*place)) < began;
        let adds = element.adds.iter().copied().filter(is_early);
        let observers = (0..self.key.operations.len())
            .filter(|place| is_early(place) && self.shows(*place, value) == Some(true));
        let evidence = adds.chain(observers).min_by_key(|&place| returned(self.key.get(place)))?;
        let since = self.key.get(evidence);
        // It was not removed since: what is removed may be missing.
        let is_add = element.adds.contains(&evidence);
        let removed = element.removes.iter().map(|&remove| self.key.get(remove)).any(|remove| {
            let before = if is_add { since.invoked.position } else { 0 };
            remove.invoked.position < returned(operation) && returned(remove) > before
        });
        if removed {
            return None;
        }
        let sight = |place: usize| {
            let there = self.shows(place, value)?;
            Some(if there { Observation::Shows } else { Observation::Misses })
        };
        let made = element.adds.first().copied();
        let (anomaly, context, moral) = match fate(self.key, reader, made, returned(since), sight) {
            MissedWrite::There(later) => (Anomaly::StaleRead, later, ": a stale read"),
            MissedWrite::NeverSeen => {
                (Anomaly::LostElement, None, "; nobody ever saw it: a lost element")
            }
            MissedWrite::Gone => (
                Anomaly::LostElement,
                None,
                "; it had been seen, and was never seen again: a lost element",
            ),
        };
        let by = self.key.instant(ended(since));
        let newer = if is_add {
            format!("the addition of {shown} by {} had come back at {by}", self.key.who(evidence))
        } else {
            format!("{} had found it there by {by} and it was not removed", self.key.who(evidence))
        };
        let sentence = format!(
            "{} did not find {shown} in {} at {}, after {newer}{moral}.",
            capital(&self.key.who(reader)),
            self.key.object(),
            self.key.instant(operation.invoked.time),
        );
        let found = Diagnosis { context, ..Diagnosis::new(anomaly, sentence) };
        Some(self.late(reader, evidence, found))
    }

    /// With how late it is.
    fn late(&self, reader: usize, newer: usize, mut found: Diagnosis) -> Diagnosis {
        let [reader, newer]: [&Operation; 2] = [reader, newer].map(|place| self.key.get(place));
        let late = reader.invoked.time.since(ended(newer));
        found.stale_for = self.key.history.has_clock().then_some(late);
        found
    }
}
