//! What a register did.
//!
//! A value is *replaced* for certain, for an operation that observed it, if some other write had
//! come after every write of it and been there before that operation was invoked. A write comes
//! after another one if it was invoked after that had returned, or after somebody had seen what
//! only that can have written, or if it is a compare-and-set that grew out of it.

use rustc_hash::FxHashMap;

use super::sightings::{MissedWrite, Observation, fate};
use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::history::{Action, Operation, Response};
use crate::value::ValueId;
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

/// What all operations on the key say of one value.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// How many operations may have written it; the beginning counts as one.
    writes: usize,
    /// The last of them, by place.
    writer: Option<usize>,
    /// When the first of them was invoked.
    first_invoked: u64,
    /// When the last of them had returned.
    all_returned: u64,
    /// When the first that observed it returned, and which that was.
    seen: u64,
    seen_by: Option<usize>,
}

impl Facts {
    const NONE: Self = Self {
        writes: 0,
        writer: None,
        first_invoked: u64::MAX,
        all_returned: 0,
        seen: u64::MAX,
        seen_by: None,
    };

    /// From when on all that can have written it surely had.
    const fn there_by(&self) -> u64 {
        if self.writes == 1 && self.seen < self.all_returned {
            self.seen
        } else {
            self.all_returned
        }
    }
}

struct Register<'a> {
    key: &'a Key<'a>,
    initial: Option<ValueId>,
    facts: FxHashMap<ValueId, Facts>,
}

/// What an operation missed.
struct MissedWrites {
    /// The writes, by place, and from when on each was there.
    writes: Vec<(usize, u64)>,
    /// The earliest of these moments.
    since: u64,
}

pub(super) fn diagnose(
    key: &Key<'_>,
    proof: &[usize],
    engine: Anomaly,
) -> Result<Option<Diagnosis>, Stopped> {
    let register = Register::of(key)?;
    if let Some(found) = proof.iter().find_map(|&place| register.unwritten(place)) {
        return Ok(Some(found));
    }
    if let Some(found) = register.swapped_twice(proof) {
        return Ok(Some(found));
    }
    if matches!(engine, Anomaly::ReadFromTheFuture | Anomaly::CircularSwaps) {
        return Ok(None);
    }
    for &reader in proof {
        let missed = register.missed(reader)?;
        if let Some(found) = missed.and_then(|missed| register.late(proof, reader, &missed)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl<'a> Register<'a> {
    fn of(key: &'a Key<'a>) -> Result<Self, Stopped> {
        let initial = key.history.values.find(key.initial);
        let mut facts: FxHashMap<ValueId, Facts> = FxHashMap::default();
        if let Some(initial) = initial {
            facts.insert(initial, Facts { writes: 1, first_invoked: 0, ..Facts::NONE });
        }
        let this = |facts| Self { key, initial, facts };
        let empty = this(FxHashMap::default());
        for (place, operation) in key.operations.iter().enumerate() {
            key.cancellation.step()?;
            if let Some(written) = empty.written(operation) {
                let fact = facts.entry(written).or_insert(Facts::NONE);
                fact.writes += 1;
                fact.writer = Some(place);
                fact.first_invoked = fact.first_invoked.min(operation.invoked.position);
                fact.all_returned = fact.all_returned.max(returned(operation));
            }
            if let Some(observed) = observed(operation)
                && operation.is_ok()
            {
                let fact = facts.entry(observed).or_insert(Facts::NONE);
                if returned(operation) < fact.seen {
                    (fact.seen, fact.seen_by) = (returned(operation), Some(place));
                }
            }
        }
        Ok(this(facts))
    }

    fn facts(&self, value: ValueId) -> Facts {
        self.facts.get(&value).copied().unwrap_or(Facts::NONE)
    }

    /// The value that the operation may have left in the register.
    fn written(&self, operation: &Operation) -> Option<ValueId> {
        if operation.is_failed() {
            return None;
        }
        match (operation.action, operation.response()) {
            (Action::Write(value), _) => Some(value),
            (Action::Cas { new, .. }, Some(Response::Swapped) | None) => Some(new),
            (Action::Delete, _) => self.initial,
            _ => None,
        }
    }

    /// Of a value that it observed and that cannot have been written by then.
    fn unwritten(&self, place: usize) -> Option<Diagnosis> {
        let operation = self.key.get(place);
        let value = observed(operation).filter(|_| operation.is_ok())?;
        let facts = self.facts(value);
        if facts.writes == 0 {
            let failed = self.key.failed(|action| match action {
                Action::Write(written) | Action::Cas { new: written, .. } => written == value,
                _ => false,
            });
            return Some(self.key.read_from_nowhere(&self.saw(place), failed, "wrote", "write"));
        }
        if facts.first_invoked < returned(operation) {
            return None;
        }
        let is_first = |it: &Operation| it.invoked.position == facts.first_invoked;
        let writer = self.key.operations.iter().position(|it| is_first(it))?;
        let ahead = self.key.get(writer).invoked.time.since(ended(operation));
        let sentence = format!(
            "{} and was done at {}, {} before {} was even asked for: a read from the future.",
            capital(&self.saw(place)),
            self.key.instant(ended(operation)),
            self.key.duration(ahead),
            self.the_write(writer),
        );
        Some(Diagnosis::new(Anomaly::ReadFromTheFuture, sentence))
    }

    /// Two compare-and-sets of the proof that both replaced what was written once.
    fn swapped_twice(&self, proof: &[usize]) -> Option<Diagnosis> {
        let swaps = || proof.iter().rev().filter_map(|&place| Some((place, self.swap(place)?)));
        let (first, second) = swaps().find_map(|(first, expected)| {
            let is_other = |&(place, other): &(usize, ValueId)| place > first && other == expected;
            let (second, _) = swaps().find(is_other)?;
            (self.facts(expected).writes == 1).then_some((first, second))
        })?;
        let expected = brief(self.key.value(self.swap(first)?));
        let sentence = format!(
            "{} swapped {}{}, and {} swapped {}: both replaced {expected}, which can only go once, \
             but went twice: a lost update.",
            capital(&self.key.who(first)),
            self.pair(first),
            self.key.on_key(),
            self.key.who(second),
            self.pair(second),
        );
        Some(Diagnosis::new(Anomaly::LostUpdate, sentence))
    }

    /// What a compare-and-set replaced that has certainly happened.
    fn swap(&self, place: usize) -> Option<ValueId> {
        let operation = self.key.get(place);
        match (operation.action, operation.response()) {
            (Action::Cas { expected, .. }, Some(Response::Swapped)) => Some(expected),
            (Action::Cas { expected, new }, None) if !operation.is_failed() => {
                let facts = self.facts(new);
                (facts.writes == 1 && facts.seen_by.is_some()).then_some(expected)
            }
            _ => None,
        }
    }

    /// From when on what the operation wrote was surely there, if it ever was.
    fn there(&self, place: usize, written: ValueId) -> u64 {
        let facts = self.facts(written);
        let seen = if facts.writes == 1 { facts.seen } else { u64::MAX };
        returned(self.key.get(place)).min(seen)
    }

    /// What the register held for certain when the operation took effect, if it did.
    fn seen(&self, place: usize) -> Option<ValueId> {
        let operation = self.key.get(place);
        observed(operation).filter(|_| operation.is_ok()).or_else(|| self.swap(place))
    }

    /// From when on all writes surely were there to which an observer that came back at `until` can
    /// owe the value.
    fn there_by(&self, value: ValueId, until: u64) -> u64 {
        let facts = self.facts(value);
        if facts.writes <= 1 {
            return facts.there_by();
        }
        let writes = self.key.operations.iter().filter(|it| self.written(it) == Some(value));
        let in_time = writes.filter(|it| it.invoked.position < until);
        in_time.map(|it| returned(it)).max().unwrap_or(0)
    }

    /// For each value, when the first of its writes was invoked that was not over by `since`.
    fn written_since(&self, since: u64) -> FxHashMap<ValueId, u64> {
        let mut written = FxHashMap::default();
        for operation in &self.key.operations {
            if let Some(value) = self.written(operation)
                && returned(operation) >= since
            {
                written.entry(value).or_insert(operation.invoked.position);
            }
        }
        written
    }

    /// What had replaced the value that the operation observed, before it was invoked.
    fn missed(&self, reader: usize) -> Result<Option<MissedWrites>, Stopped> {
        let operation = self.key.get(reader);
        let Some(seen) = self.seen(reader) else { return Ok(None) };
        let since = self.there_by(seen, returned(operation));
        let mut after = WritesAfter { register: self, seen, since, known: FxHashMap::default() };
        let mut missed = MissedWrites { writes: Vec::new(), since: u64::MAX };
        for (place, other) in self.key.operations.iter().enumerate() {
            self.key.cancellation.step()?;
            if other.invoked.position > operation.invoked.position {
                break;
            }
            let Some(written) = self.written(other).filter(|&written| written != seen) else {
                continue;
            };
            let there = self.there(place, written);
            if there < operation.invoked.position && after.holds(place) {
                missed.writes.push((place, there));
                missed.since = missed.since.min(there);
            }
        }
        Ok(Some(missed).filter(|missed| !missed.writes.is_empty()))
    }

    fn late(&self, proof: &[usize], reader: usize, missed: &MissedWrites) -> Option<Diagnosis> {
        // Of what the proof holds, that which was there first.
        let in_proof = missed.writes.iter().filter(|(place, _)| proof.contains(place));
        let told =
            in_proof.filter_map(|&(write, _)| Some((write, self.newer(proof, reader, write)?)));
        let (write, newer) = told.min_by_key(|&(_, newer)| returned(self.key.get(newer)))?;
        let (anomaly, context, moral) = self.name(reader, missed, write);
        let stale_for = self.key.get(reader).invoked.time.since(ended(self.key.get(newer)));
        let newer_words = if newer == write {
            format!("{} had completed and replaced it", self.the_write(write))
        } else {
            format!("{} had {}, which replaced it", self.key.who(newer), self.did(newer))
        };
        let sentence = format!(
            "{} at {}, {} after {newer_words}{moral}.",
            capital(&self.saw(reader)),
            self.key.instant(self.key.get(reader).invoked.time),
            self.key.duration(stale_for),
        );
        let mut found = Diagnosis::new(anomaly, sentence);
        found.context = context.filter(|place| !proof.contains(place));
        found.versions = Some(missed.writes.len() as u64);
        found.stale_for = self.key.history.has_clock().then(|| self.longest(reader, missed));
        Some(found)
    }

    /// The operation of the proof that shows first that the write was there, before the reader.
    fn newer(&self, proof: &[usize], reader: usize, write: usize) -> Option<usize> {
        let written = self.written(self.key.get(write))?;
        let shows = |&&place: &&usize| {
            let operation = self.key.get(place);
            let is_sight = self.facts(written).writes == 1 && observed(operation) == Some(written);
            (place == write || is_sight)
                && returned(operation) < self.key.get(reader).invoked.position
        };
        proof
            .iter()
            .filter(shows)
            .min_by_key(|&&it| (it != write, returned(self.key.get(it))))
            .copied()
    }

    /// How long before the reader was invoked what it saw had been replaced.
    fn longest(&self, reader: usize, missed: &MissedWrites) -> crate::event::Nanoseconds {
        let at = |operation: &&&Operation| returned(operation) == missed.since;
        let first =
            self.key.operations.iter().find(at).map_or_else(Default::default, |it| ended(it));
        self.key.get(reader).invoked.time.since(first)
    }

    /// What it is called, which later operation shows it, and how the sentence ends.
    fn name(
        &self,
        reader: usize,
        missed: &MissedWrites,
        write: usize,
    ) -> (Anomaly, Option<usize>, String) {
        if self.swap(reader).is_some() {
            let moral = ": a lost update".to_owned();
            return (Anomaly::LostUpdate, None, moral);
        }
        let seen = self.seen(reader);
        let invoked = missed.writes.iter().map(|&(place, _)| self.key.get(place).invoked.position);
        let newer = self.written_since(invoked.min().unwrap_or(0));
        let sight = |place: usize| {
            let shown = observed(self.key.get(place))?;
            let wrote =
                |&(write, _): &(usize, u64)| self.written(self.key.get(write)) == Some(shown);
            if Some(shown) != seen && missed.writes.iter().any(wrote) {
                return Some(Observation::Shows);
            }
            let until = returned(self.key.get(place));
            let follows = newer.get(&shown).is_some_and(|&invoked| invoked < until);
            Some(if follows { Observation::Replaced } else { Observation::Misses })
        };
        let value = self.written(self.key.get(write)).map_or_else(String::new, |it| self.show(it));
        let is_delete = self.key.get(write).action == Action::Delete;
        match fate(self.key, reader, Some(write), missed.since, sight) {
            // Of a deletion nothing is left to see: what was deleted is read too late.
            MissedWrite::NeverSeen | MissedWrite::Gone if is_delete => {
                (Anomaly::StaleRead, None, ": a stale read".to_owned())
            }
            MissedWrite::There(later) => (Anomaly::StaleRead, later, ": a stale read".to_owned()),
            MissedWrite::NeverSeen => {
                let moral = format!("; nobody ever saw {value}: a lost write");
                (Anomaly::LostWrite, None, moral)
            }
            MissedWrite::Gone => {
                let moral =
                    format!("; {value} had been seen, and was never seen again: a lost write");
                (Anomaly::LostWrite, None, moral)
            }
        }
    }

    /// "process 3 (via n1) read 17 from key k1"
    fn saw(&self, place: usize) -> String {
        let from = match (self.key.get(place).action, self.key.name()) {
            (Action::Read, key) if !key.is_null() => format!(" from key {}", key.in_words()),
            _ => self.key.on_key(),
        };
        format!("{} {}{from}", self.key.who(place), self.did(place))
    }

    fn did(&self, place: usize) -> String {
        let operation = self.key.get(place);
        let value = observed(operation).map_or_else(|| "nothing".to_owned(), |it| self.show(it));
        match (operation.action, operation.response()) {
            (Action::Cas { .. }, Some(Response::Mismatch(_))) => {
                format!("found {value} in a compare-and-set that did not match")
            }
            (Action::Cas { .. }, _) => format!("swapped {}", self.pair(place)),
            _ => format!("read {value}"),
        }
    }

    /// "the write of 18 by process 5"
    fn the_write(&self, place: usize) -> String {
        let who = self.key.who(place);
        match self.key.get(place).action {
            Action::Cas { .. } => format!("the compare-and-set from {} by {who}", self.pair(place)),
            Action::Write(value) => format!("the write of {} by {who}", self.show(value)),
            _ => format!("the delete by {who}"),
        }
    }

    /// "17 to 18"
    fn pair(&self, place: usize) -> String {
        match self.key.get(place).action {
            Action::Cas { expected, new } => {
                format!("{} to {}", self.show(expected), self.show(new))
            }
            _ => String::new(),
        }
    }

    fn show(&self, value: ValueId) -> String {
        brief(self.key.value(value))
    }
}

/// Which writes come after all writes of a value.
struct WritesAfter<'a> {
    register: &'a Register<'a>,
    seen: ValueId,
    /// From when on all of them were there.
    since: u64,
    known: FxHashMap<usize, bool>,
}

impl WritesAfter<'_> {
    fn holds(&mut self, write: usize) -> bool {
        let mut path = Vec::new();
        let mut at = write;
        let holds = loop {
            if let Some(&known) = self.known.get(&at) {
                break known;
            }
            // A circle of compare-and-sets has no beginning.
            self.known.insert(at, false);
            path.push(at);
            if self.register.key.get(at).invoked.position >= self.since {
                break true;
            }
            let Some(expected) = self.register.swap(at) else { break false };
            let facts = self.register.facts(expected);
            match facts.writer {
                _ if facts.writes != 1 => break false,
                _ if expected == self.seen => break true,
                Some(writer) => at = writer,
                None => break false,
            }
        };
        for place in path {
            self.known.insert(place, holds);
        }
        holds
    }
}

/// The value that the register must have held when the operation took effect, if it did.
const fn observed(operation: &Operation) -> Option<ValueId> {
    match (operation.action, operation.response()) {
        (Action::Read, Some(Response::Value(value))) => Some(value),
        (Action::Cas { .. }, Some(Response::Mismatch(saw))) => saw,
        (Action::Cas { expected, .. }, Some(Response::Swapped)) => Some(expected),
        _ => None,
    }
}
