//! What registers under transactions did, each register looked at as one of its own.

use rustc_hash::FxHashMap;

use super::sightings::{MissedWrite, Observation, fate};
use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::history::{Action, Operation, Response};
use crate::value::Value;
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

pub(super) fn diagnose(
    key: &Key<'_>,
    proof: &[usize],
    engine: Anomaly,
) -> Result<Option<Diagnosis>, Stopped> {
    let registers = Registers::of(key)?;
    let unwritten = proof.iter().find_map(|&reader| registers.unwritten(reader));
    let first = unwritten
        .or_else(|| registers.replaced_twice(proof))
        .or_else(|| proof.iter().find_map(|&reader| registers.intermediate(reader)));
    if first.is_some() || engine == Anomaly::FracturedRead {
        return Ok(first);
    }
    let mut late = None;
    for &reader in proof {
        for &(register, seen) in &registers.effects[reader].reads {
            key.cancellation.step()?;
            match registers.late(proof, reader, register, seen) {
                Some(found) if found.anomaly == Anomaly::StaleRead => {
                    late.get_or_insert(found);
                }
                Some(found) => return Ok(Some(found)),
                None => {}
            }
        }
    }
    Ok(late.or_else(|| registers.crossing(proof)))
}

/// What one transaction read that it had not written itself, and what it left.
#[derive(Default)]
struct Effects<'a> {
    reads: Vec<(&'a Value, &'a Value)>,
    /// The last write of each register.
    writes: Vec<(&'a Value, &'a Value)>,
    /// What it wrote and replaced itself.
    replaced: Vec<(&'a Value, &'a Value)>,
}

impl<'a> Effects<'a> {
    fn of(key: &Key<'a>, operation: &Operation) -> Self {
        let mut this = Self::default();
        let asked = match operation.action {
            Action::Other(_, asked) if !operation.is_failed() => key.value(asked),
            _ => return this,
        };
        let answer = match operation.response() {
            Some(Response::Value(answer)) if !key.value(answer).is_null() => {
                Some(key.value(answer))
            }
            _ => None,
        };
        for (writes, register, value) in steps(answer.unwrap_or(asked)) {
            let own = this.writes.iter().position(|it| it.0 == register);
            match own {
                Some(own) if writes => {
                    this.replaced.push(this.writes[own]);
                    this.writes[own] = (register, value);
                }
                None if writes => this.writes.push((register, value)),
                None if answer.is_some() => this.reads.push((register, value)),
                _ => {}
            }
        }
        this
    }

    fn read(&self, register: &Value) -> Option<&'a Value> {
        self.reads.iter().find(|it| it.0 == register).map(|it| it.1)
    }

    fn written(&self, register: &Value) -> Option<&'a Value> {
        self.writes.iter().find(|it| it.0 == register).map(|it| it.1)
    }
}

/// What all transactions say of one value of one register.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// How many may have written it; the beginning counts as one.
    writes: usize,
    first_invoked: u64,
    all_returned: u64,
    /// When the first that observed it returned.
    seen: u64,
}

impl Facts {
    const NONE: Self = Self { writes: 0, first_invoked: u64::MAX, all_returned: 0, seen: u64::MAX };

    /// From when on all that can have written it surely had.
    const fn there_by(&self) -> u64 {
        if self.writes == 1 && self.seen < self.all_returned {
            self.seen
        } else {
            self.all_returned
        }
    }
}

struct Registers<'a> {
    key: &'a Key<'a>,
    /// By the places of the operations.
    effects: Vec<Effects<'a>>,
    facts: FxHashMap<(&'a Value, &'a Value), Facts>,
}

impl<'a> Registers<'a> {
    fn of(key: &'a Key<'a>) -> Result<Self, Stopped> {
        let mut effects = Vec::with_capacity(key.operations.len());
        let mut facts: FxHashMap<(&Value, &Value), Facts> = FxHashMap::default();
        for operation in &key.operations {
            key.cancellation.step()?;
            let those = Effects::of(key, operation);
            for write in those.writes.iter().chain(&those.replaced) {
                let fact = facts.entry(*write).or_insert(Facts::NONE);
                fact.writes += 1;
                fact.first_invoked = fact.first_invoked.min(operation.invoked.position);
                fact.all_returned = fact.all_returned.max(returned(operation));
            }
            for read in &those.reads {
                let fact = facts.entry(*read).or_insert(Facts::NONE);
                fact.seen = fact.seen.min(returned(operation));
            }
            effects.push(those);
        }
        Ok(Self { key, effects, facts })
    }

    fn facts(&self, register: &Value, value: &Value) -> Facts {
        let mut facts = self.facts.get(&(register, value)).copied().unwrap_or(Facts::NONE);
        if value == self.key.initial {
            facts.writes += 1;
            facts.first_invoked = 0;
        }
        facts
    }

    /// A read of what cannot have been written by then.
    fn unwritten(&self, reader: usize) -> Option<Diagnosis> {
        let operation = self.key.get(reader);
        let is_early = |&&(register, value): &&(&Value, &Value)| {
            self.facts(register, value).first_invoked >= returned(operation)
        };
        let &(register, value) = self.effects[reader].reads.iter().find(is_early)?;
        let saw = self.saw(reader, register, value, ended(operation));
        let later = |effects: &Effects<'_>| effects.written(register) == Some(value);
        if let Some(writer) = self.effects.iter().position(later) {
            let sentence = format!(
                "{}, before {} asked for it to be written at {}: a read from the future.",
                capital(&saw),
                self.key.who(writer),
                self.key.instant(self.key.get(writer).invoked.time),
            );
            let found = Diagnosis::new(Anomaly::ReadFromTheFuture, sentence);
            return Some(Diagnosis { context: Some(writer), ..found });
        }
        let failed = self.key.failed(|action| {
            let Action::Other(_, asked) = action else { return false };
            steps(self.key.value(asked)).any(|step| step == (true, register, value))
        });
        Some(self.key.read_from_nowhere(&saw, failed, "wrote", "write"))
    }

    /// Two transactions of the proof that both read and replaced what was written once.
    fn replaced_twice(&self, proof: &[usize]) -> Option<Diagnosis> {
        let updates = |place: usize| {
            let effects = &self.effects[place];
            effects.reads.iter().filter(|it| effects.written(it.0).is_some())
        };
        let (first, second, register, value) = proof.iter().rev().find_map(|&first| {
            updates(first).find_map(|&(register, value)| {
                let same = |place: usize| updates(place).any(|&it| it == (register, value));
                let is_once = self.facts(register, value).writes == 1;
                let second = proof.iter().rev().find(|&&it| it > first && is_once && same(it))?;
                Some((first, *second, register, value))
            })
        })?;
        let sentence = format!(
            "{} and {} both read {} in register {register} and wrote to it in a transaction: it was \
             replaced twice: a lost update.",
            capital(&self.key.who(first)),
            self.key.who(second),
            brief(value),
        );
        Some(Diagnosis::new(Anomaly::LostUpdate, sentence))
    }

    /// A read of what was replaced by the transaction that wrote it.
    fn intermediate(&self, reader: usize) -> Option<Diagnosis> {
        self.effects[reader].reads.iter().find_map(|&(register, value)| {
            if self.facts(register, value).writes != 1 || value == self.key.initial {
                return None;
            }
            let replaced = |it: &Effects<'_>| it.replaced.contains(&(register, value));
            let writer = self.effects.iter().position(replaced)?;
            let newer = self.effects[writer].written(register)?;
            let sentence = format!(
                "{}, which {} had replaced by {} in the same transaction that wrote it: a fractured \
                 read.",
                capital(&self.saw(reader, register, value, ended(self.key.get(reader)))),
                self.key.who(writer),
                brief(newer),
            );
            let found = Diagnosis::new(Anomaly::FracturedRead, sentence);
            Some(Diagnosis { context: Some(writer), ..found })
        })
    }

    /// From when on the transaction's write of the register was surely there, if it ever was.
    fn there(&self, place: usize, register: &Value, written: &Value) -> u64 {
        let facts = self.facts(register, written);
        let seen = if facts.writes == 1 { facts.seen } else { u64::MAX };
        returned(self.key.get(place)).min(seen)
    }

    /// A read of a value that had been replaced in the register before the reader was invoked.
    fn late(
        &self,
        proof: &[usize],
        reader: usize,
        register: &'a Value,
        seen: &'a Value,
    ) -> Option<Diagnosis> {
        let operation = self.key.get(reader);
        let old = self.facts(register, seen);
        let is_newer = |place: usize| {
            let written = self.effects[place].written(register).filter(|&it| it != seen)?;
            let there = self.there(place, register, written);
            let follows = self.key.get(place).invoked.position >= old.there_by()
                || old.writes == 1 && self.effects[place].read(register) == Some(seen);
            (place != reader && follows && there < operation.invoked.position)
                .then_some((place, written, there))
        };
        let missed: Vec<_> = (0..self.effects.len()).filter_map(is_newer).collect();
        let in_proof = missed.iter().filter(|it| proof.contains(&it.0));
        let &(write, newer, there) = in_proof.min_by_key(|it| it.2)?;
        let first = missed.iter().map(|it| self.key.get(it.0).invoked.position).min()?;
        let since = self.written_since(register, first);
        let sight = |place: usize| {
            let shown = self.effects[place].read(register)?;
            let until = returned(self.key.get(place));
            Some(if missed.iter().any(|it| it.1 == shown) {
                Observation::Shows
            } else if since.get(shown).is_some_and(|&invoked| invoked < until) {
                Observation::Replaced
            } else {
                Observation::Misses
            })
        };
        let (anomaly, context, moral) = if self.effects[reader].written(register).is_some() {
            (Anomaly::LostUpdate, None, "a lost update, for it wrote to that register, too".into())
        } else {
            match fate(self.key, reader, Some(write), there, sight) {
                MissedWrite::There(later) => (Anomaly::StaleRead, later, "a stale read".to_owned()),
                MissedWrite::NeverSeen | MissedWrite::Gone
                    if self.shows_newer(reader, register, there) =>
                {
                    let moral = "beside what was written later: a stale read".to_owned();
                    (Anomaly::StaleRead, None, moral)
                }
                MissedWrite::NeverSeen => {
                    let moral = format!("nobody ever saw {}: a lost write", brief(newer));
                    (Anomaly::LostWrite, None, moral)
                }
                MissedWrite::Gone => {
                    let moral = format!(
                        "{} had been seen, and was never seen again: a lost write",
                        brief(newer)
                    );
                    (Anomaly::LostWrite, None, moral)
                }
            }
        };
        let at = |it: &&Operation| returned(it) == there;
        let evidence = self.key.operations.iter().copied().find(at)?;
        let late = operation.invoked.time.since(ended(evidence));
        let sentence = format!(
            "{}, {} after the write of {} by {} was there: {moral}.",
            capital(&self.saw(reader, register, seen, operation.invoked.time)),
            self.key.duration(late),
            brief(newer),
            self.key.who(write),
        );
        let mut found = Diagnosis::new(anomaly, sentence);
        found.context = context.filter(|place| !proof.contains(place));
        found.versions = Some(missed.len() as u64);
        found.stale_for = self.key.history.has_clock().then_some(late);
        Some(found)
    }

    /// Whether the transaction shows in another register what was written only after `there`. Then
    /// it mixes moments, which says nothing of whether what it misses is gone.
    fn shows_newer(&self, reader: usize, register: &Value, there: u64) -> bool {
        let mut others = self.effects[reader].reads.iter().filter(|read| read.0 != register);
        others.any(|&(other, shown)| {
            let wrote = |place: &usize| self.effects[*place].written(other) == Some(shown);
            let writes: Vec<usize> = (0..self.effects.len()).filter(wrote).collect();
            let is_later = |place: &usize| self.key.get(*place).invoked.position > there;
            !writes.is_empty() && writes.iter().all(is_later)
        })
    }

    /// For each value of the register, when the first of its writes was invoked that was not over
    /// by `since`.
    fn written_since(&self, register: &Value, since: u64) -> FxHashMap<&'a Value, u64> {
        let mut written = FxHashMap::default();
        for (effects, operation) in self.effects.iter().zip(&self.key.operations) {
            if let Some(value) = effects.written(register)
                && returned(operation) >= since
            {
                written.entry(value).or_insert(operation.invoked.position);
            }
        }
        written
    }

    /// Two transactions each of which misses what the other shows.
    fn crossing(&self, proof: &[usize]) -> Option<Diagnosis> {
        // Of what a register began with, if nobody wrote it again, any other value is newer.
        let is_old = |register: &Value, value: &Value| {
            value == self.key.initial && self.facts(register, value).writes == 1
        };
        let newer = |one: usize, other: usize| {
            self.effects[one].reads.iter().copied().find(|&(register, value)| {
                value != self.key.initial
                    && self.effects[other].read(register).is_some_and(|it| is_old(register, it))
            })
        };
        let mut pairs = proof.iter().flat_map(|&one| proof.iter().map(move |&other| (one, other)));
        let (one, other, first, second) = pairs.find_map(|(one, other)| {
            (one < other).then_some(())?;
            Some((one, other, newer(one, other)?, newer(other, one)?))
        })?;
        let sentence = format!(
            "{} read {} in register {} in a transaction, and not yet {} in register {}; {} read it \
             the other way round: a contradictory order.",
            capital(&self.key.who(one)),
            brief(first.1),
            first.0,
            brief(second.1),
            second.0,
            self.key.who(other),
        );
        Some(Diagnosis::new(Anomaly::ContradictoryOrder, sentence))
    }

    /// "process 3 read 1 in register x in a transaction at 1.200 s"
    fn saw(
        &self,
        reader: usize,
        register: &Value,
        value: &Value,
        at: crate::event::Nanoseconds,
    ) -> String {
        format!(
            "{} read {} in register {register} in a transaction at {}",
            self.key.who(reader),
            brief(value),
            self.key.instant(at),
        )
    }
}

/// Whether each step writes, which register, and what.
fn steps(list: &Value) -> impl Iterator<Item = (bool, &Value, &Value)> {
    let steps: &[Value] = if let Value::List(steps) = list { steps } else { &[] };
    steps.iter().filter_map(|step| match step {
        Value::List(parts) => match &**parts {
            [Value::Text(function), register, value] => {
                Some((function.starts_with('w'), register, value))
            }
            _ => None,
        },
        _ => None,
    })
}
