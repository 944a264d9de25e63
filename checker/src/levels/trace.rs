//! A history in which it is known of every read whose write it saw.
//!
//! That is so if no value that somebody saw was written twice. Of unknown outcome, only operations
//! that somebody saw are in it: the others need not have happened.

use rustc_hash::FxHashMap;

use super::facts::{Facts, Observed};
use crate::engines::{Cancellation, Stopped};
use crate::value::{Value, ValueId};

/// No operation.
pub(super) const NONE: u32 = u32::MAX;

/// What a read saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It is no read.
    Nothing,
    /// What the key held before the first operation.
    Initial,
    /// What this operation wrote.
    Write(u32),
}

/// One operation. Its number is that of its [fact](super::facts::Fact).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    pub place: u32,
    pub session: u32,
    /// How many operations of its session are before it.
    pub at: u32,
    pub key: u32,
    /// What it saw.
    pub source: Source,
    /// What it replaced, where that is certain: nothing else came in between.
    pub replaced: Source,
    pub writes: bool,
    /// Whether it happened, for all that is known.
    pub kept: bool,
}

/// A history in which it is known who saw what.
#[derive(Debug)]
pub(super) struct Trace {
    pub ops: Vec<Op>,
    /// The operations of each session, in its order.
    pub sessions: Vec<Vec<u32>>,
    /// Writes, of which the first must come before the second.
    pub ordered: Vec<(u32, u32)>,
    pub keys: usize,
}

/// Why it is not known of every read what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnknownSource {
    /// Nobody wrote what this operation saw.
    Nowhere(u32),
    /// These reads of one key show its changes in different orders.
    Torn(u32, u32),
    /// Several may have written what was seen.
    Ambiguous(String),
}

/// More than one operation.
const MANY: u32 = u32::MAX - 1;

impl Trace {
    /// Tells who saw what, in a history of registers.
    pub(super) fn of_register(
        facts: &Facts<'_>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Self, UnknownSource>, Stopped> {
        let mut writers: FxHashMap<u64, u32> = FxHashMap::default();
        writers.reserve(facts.all.len() / 2);
        for (number, fact) in facts.all.iter().enumerate() {
            cancellation.step()?;
            if let Some(written) = fact.written {
                let writer = writers.entry(name(fact.key, written)).or_insert(number as u32);
                if *writer != number as u32 {
                    *writer = MANY;
                }
            }
        }
        let mut sources = Vec::with_capacity(facts.all.len());
        let mut doubtful = Vec::new();
        for (number, fact) in (0_u32..).zip(&facts.all) {
            cancellation.step()?;
            let seen = match fact.observed {
                Observed::Nothing => {
                    sources.push(Source::Nothing);
                    continue;
                }
                Observed::Is(seen) => seen,
                Observed::Not(_) => {
                    let reason = "a compare-and-set that did not match does not say what it saw";
                    return Ok(Err(UnknownSource::Ambiguous(reason.to_owned())));
                }
            };
            let first = facts.initial[fact.key as usize] == seen;
            let writer = writers.get(&name(fact.key, seen)).copied();
            let source = match writer.filter(|&writer| writer != number) {
                Some(writer) if writer != MANY && !first => Ok(Source::Write(writer)),
                None if first => Ok(Source::Initial),
                None => Err(UnknownSource::Nowhere(number)),
                Some(_) => {
                    let value = facts.history.values.get(seen).in_words();
                    let reason = format!("the value {value} was read and written more than once");
                    Err(UnknownSource::Ambiguous(reason))
                }
            };
            match source {
                Ok(source) => sources.push(source),
                Err(obstacle) if fact.completed => return Ok(Err(obstacle)),
                // It matters only if it happened.
                Err(obstacle) => {
                    sources.push(Source::Nothing);
                    doubtful.push((number, obstacle));
                }
            }
        }
        let trace = Self::new(facts, &sources);
        let doubt = doubtful.into_iter().find(|(number, _)| trace.op(*number).kept);
        Ok(doubt.map_or(Ok(trace), |(_, obstacle)| Err(obstacle)))
    }

    /// With what every operation saw.
    pub(super) fn new(facts: &Facts<'_>, sources: &[Source]) -> Self {
        let mut trace = Self {
            ops: Vec::with_capacity(sources.len()),
            sessions: vec![Vec::new(); facts.sessions as usize],
            ordered: Vec::new(),
            keys: facts.history.keys.len(),
        };
        for (fact, &source) in facts.all.iter().zip(sources) {
            let writes = fact.written.is_some();
            trace.ops.push(Op {
                place: fact.place,
                session: fact.session,
                at: 0,
                key: fact.key,
                source,
                replaced: if writes { source } else { Source::Nothing },
                writes,
                kept: fact.completed,
            });
        }
        trace.keep_seen();
        trace.place();
        trace
    }

    /// OrderGuarantee what somebody saw whose operation happened.
    fn keep_seen(&mut self) {
        for number in 0..self.ops.len() {
            let mut at = number;
            while self.ops[at].kept
                && let Source::Write(writer) = self.ops[at].source
                && !std::mem::replace(&mut self.ops[writer as usize].kept, true)
            {
                at = writer as usize;
            }
        }
    }

    fn place(&mut self) {
        for (number, op) in self.ops.iter_mut().enumerate().filter(|(_, op)| op.kept) {
            let session = &mut self.sessions[op.session as usize];
            op.at = session.len() as u32;
            session.push(number as u32);
        }
    }

    /// The operation with this number.
    pub(super) fn op(&self, number: u32) -> &Op {
        &self.ops[number as usize]
    }

    /// The operation that a number stands for, where numbers beyond the operations stand for their
    /// reads.
    pub(super) fn half(&self, number: u32) -> u32 {
        number % self.ops.len() as u32
    }

    /// What comes next in the same session.
    pub(super) fn next(&self, number: u32) -> Option<u32> {
        let op = self.op(number);
        self.sessions[op.session as usize].get(op.at as usize + 1).copied()
    }

    /// All operations that happened, session by session.
    pub(super) fn kept(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.ops.len() as u32).filter(|&number| self.op(number).kept)
    }

    /// The operations that saw each write, as one list and where each one's part of it ends.
    pub(super) fn readers(&self) -> Readers {
        let mut ends = vec![0_u32; self.ops.len() + 1];
        let writer = |op: &Op| match op.source {
            Source::Write(writer) if op.kept => Some(writer as usize),
            _ => None,
        };
        for writer in self.ops.iter().filter_map(writer) {
            ends[writer + 1] += 1;
        }
        for place in 1..ends.len() {
            ends[place] += ends[place - 1];
        }
        let mut list = vec![0; ends[ends.len() - 1] as usize];
        let mut next = ends.clone();
        for (number, op) in self.ops.iter().enumerate() {
            if let Some(writer) = writer(op) {
                list[next[writer] as usize] = number as u32;
                next[writer] += 1;
            }
        }
        Readers { ends, list }
    }
}

/// The readers of every write.
#[derive(Debug)]
pub(super) struct Readers {
    ends: Vec<u32>,
    list: Vec<u32>,
}

impl Readers {
    /// Those of this write.
    pub(super) fn of(&self, write: u32) -> &[u32] {
        let write = write as usize;
        &self.list[self.ends[write] as usize..self.ends[write + 1] as usize]
    }
}

fn name(key: u32, value: ValueId) -> u64 {
    u64::from(key) << 32 | u64::from(value.0)
}

impl Trace {
    /// Tells who saw what, in a history of lists that are appended to.
    ///
    /// A read shows all appends before it in their order. So of one key the longest list that was
    /// read has all others as its beginnings, and what stands in none of them comes after all that do.
    pub(super) fn of_append(
        facts: &Facts<'_>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Self, UnknownSource>, Stopped> {
        let values = &facts.history.values;
        let items = |seen: ValueId| match values.get(seen) {
            Value::List(items) => Some(&**items),
            Value::Null => Some(&[][..]),
            _ => None,
        };
        let ambiguous = |reason: &str| Ok(Err(UnknownSource::Ambiguous(reason.to_owned())));
        if facts.initial.iter().any(|initial| *initial != ValueId::NULL) {
            return ambiguous("the lists do not begin empty");
        }
        let mut longest: Vec<Option<u32>> = vec![None; facts.history.keys.len()];
        let mut appends: FxHashMap<(u32, ValueId), u32> = FxHashMap::default();
        for (number, fact) in facts.all.iter().enumerate() {
            cancellation.step()?;
            let number = number as u32;
            if let Some(token) = fact.written
                && appends.insert((fact.key, token), number).is_some()
            {
                return ambiguous("something was appended more than once");
            }
            if let Observed::Is(seen) = fact.observed {
                let Some(list) = items(seen) else { return ambiguous("texts are appended to") };
                let best = &mut longest[fact.key as usize];
                if best.is_none_or(|best| length(facts, best) < list.len()) {
                    *best = Some(number);
                }
            }
        }
        let mut orders: Vec<Vec<u32>> = vec![Vec::new(); longest.len()];
        for (order, best) in orders.iter_mut().zip(&longest) {
            let Some(best) = *best else { continue };
            let Observed::Is(seen) = facts.all[best as usize].observed else { continue };
            let key = facts.all[best as usize].key;
            for item in items(seen).unwrap_or_default() {
                cancellation.step()?;
                let token = values.find(item);
                let append = token.and_then(|token| appends.get(&(key, token)).copied());
                let Some(append) = append else { return Ok(Err(UnknownSource::Nowhere(best))) };
                order.push(append);
            }
            let mut once = order.clone();
            once.sort_unstable();
            once.dedup();
            if once.len() < order.len() {
                return Ok(Err(UnknownSource::Torn(best, best)));
            }
        }
        let mut sources = Vec::with_capacity(facts.all.len());
        for (number, fact) in facts.all.iter().enumerate() {
            let Observed::Is(seen) = fact.observed else {
                sources.push(Source::Nothing);
                continue;
            };
            let list = items(seen).unwrap_or_default();
            cancellation.spend(list.len())?;
            let best = longest[fact.key as usize].expect("one was read");
            let Observed::Is(whole) = facts.all[best as usize].observed else { continue };
            if !items(whole).unwrap_or_default().starts_with(list) {
                return Ok(Err(UnknownSource::Torn(number as u32, best)));
            }
            let order = &orders[fact.key as usize];
            let last = list.len().checked_sub(1).map(|last| order[last]);
            sources.push(last.map_or(Source::Initial, Source::Write));
        }
        Ok(Ok(Self::new(facts, &sources).in_orders(&orders)))
    }

    /// As the appends of each key were seen to follow each other.
    fn in_orders(mut self, orders: &[Vec<u32>]) -> Self {
        for order in orders {
            for (place, &append) in order.iter().enumerate() {
                let before = place.checked_sub(1).map(|before| order[before]);
                self.ops[append as usize].replaced = before.map_or(Source::Initial, Source::Write);
                self.ops[append as usize].kept = true;
            }
        }
        for session in &mut self.sessions {
            session.clear();
        }
        self.place();
        for number in 0..self.ops.len() as u32 {
            let op = self.op(number);
            let last = orders[op.key as usize].last();
            if let (true, Source::Nothing, Some(&last)) = (op.kept && op.writes, op.replaced, last)
            {
                self.ordered.push((last, number));
            }
        }
        self
    }
}

fn length(facts: &Facts<'_>, read: u32) -> usize {
    let Observed::Is(seen) = facts.all[read as usize].observed else { return 0 };
    match facts.history.values.get(seen) {
        Value::List(items) => items.len(),
        _ => 0,
    }
}
