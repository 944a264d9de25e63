//! What a read must not miss, by the guarantee.

use std::collections::VecDeque;

use super::Level;
use super::trace::{NONE, Source, Trace};
use crate::engines::{Cancellation, Stopped};

/// What sessions knew does not fit into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

/// Tells of every read what it must not miss.
pub(super) struct Pasts<'a> {
    pub trace: &'a Trace,
    pub level: Level,
    /// How many bytes clocks may take.
    pub memory: usize,
    pub cancellation: &'a Cancellation<'a>,
}

/// Takes a write that a read must not miss, what the read saw instead, if that is not the beginning,
/// and the read.
type Emit<'e> = &'e mut dyn FnMut(u32, Option<u32>, u32);

/// How far each session is known, as a count of its operations.
type Clock = Vec<u32>;

impl Pasts<'_> {
    /// Calls `emit` for every write that some read must not miss, unless a later one of the same
    /// session stands for it, and that is not what the read saw. `order` has what writers knew before
    /// what is known of them.
    pub(super) fn walk(
        &self,
        order: &[u32],
        emit: Emit<'_>,
    ) -> Result<Result<(), TooMuch>, Stopped> {
        match self.level {
            Level::ReadYourWrites => self.own(order, false, emit).map(Ok),
            Level::MonotonicReads => self.own(order, true, emit).map(Ok),
            _ => self.clocked(order, emit),
        }
    }

    /// What a session itself wrote, or read.
    fn own(&self, order: &[u32], reads: bool, emit: Emit<'_>) -> Result<(), Stopped> {
        let mut last: Vec<(u32, u32)> = vec![(NONE, NONE); self.trace.keys];
        for &number in order {
            self.cancellation.step()?;
            let op = self.trace.op(number);
            let slot = &mut last[op.key as usize];
            let must = (slot.0 == op.session).then_some(slot.1);
            match (op.source, must) {
                (Source::Initial, Some(must)) => emit(must, None, number),
                (Source::Write(seen), Some(must)) if must != seen => emit(must, Some(seen), number),
                _ => {}
            }
            match op.source {
                Source::Write(seen) if reads => *slot = (op.session, seen),
                _ => {}
            }
            if op.writes && !reads {
                *slot = (op.session, number);
            }
        }
        Ok(())
    }

    fn clocked(&self, order: &[u32], emit: Emit<'_>) -> Result<Result<(), TooMuch>, Stopped> {
        let (trace, count) = (self.trace, self.trace.sessions.len());
        let snapshots = self.level != Level::MonotonicWrites;
        let readers = trace.readers();
        let is_shared = |number: u32| {
            let session = trace.op(number).session;
            readers.of(number).iter().any(|&reader| trace.op(reader).session != session)
        };
        let shared = if snapshots { trace.kept().filter(|&it| is_shared(it)).count() } else { 0 };
        if (shared + count).saturating_mul(count).saturating_mul(4) > self.memory {
            return Ok(Err(TooMuch));
        }
        let of_key = self.of_keys();
        let mut clocks: Vec<Clock> = vec![vec![0; count]; count];
        let mut at_write: Vec<Option<Clock>> =
            vec![None; if snapshots { trace.ops.len() } else { 0 }];
        for &number in order.iter().filter(|&&number| (number as usize) < trace.ops.len()) {
            let op = trace.op(number);
            if !op.kept {
                continue;
            }
            self.cancellation.spend(1 + of_key[op.key as usize].len())?;
            let own = op.session as usize;
            if let Source::Write(write) = op.source {
                let writer = trace.op(write);
                let theirs = writer.session as usize;
                if let Some(Some(known)) = at_write.get(write as usize) {
                    self.cancellation.spend(count / 8)?;
                    for (mine, known) in clocks[own].iter_mut().zip(known) {
                        *mine = (*mine).max(*known);
                    }
                }
                // Of the causal past, what was read is a part.
                let until = writer.at + u32::from(self.level == Level::Session);
                clocks[own][theirs] = clocks[own][theirs].max(until);
            }
            if self.level == Level::Session {
                clocks[own][own] = clocks[own][own].max(op.at);
            }
            if op.source != Source::Nothing {
                self.demand(number, &clocks[own], &of_key[op.key as usize], emit)?;
            }
            if snapshots && op.writes && is_shared(number) {
                at_write[number as usize] = Some(clocks[own].clone());
            }
        }
        Ok(Ok(()))
    }

    fn demand(
        &self,
        number: u32,
        clock: &Clock,
        of_key: &[Line],
        emit: Emit<'_>,
    ) -> Result<(), Stopped> {
        let op = self.trace.op(number);
        for Line { session, entries } in of_key {
            let until = clock[*session as usize];
            let known = entries.partition_point(|(at, _)| *at < until);
            // Of a session's writes the last stands for all, of what it read each for itself.
            let from = match self.level {
                Level::WritesFollowReads => 0,
                _ => known.saturating_sub(1),
            };
            self.cancellation.spend(known - from)?;
            for &(_, must) in &entries[from..known] {
                match op.source {
                    Source::Write(seen) if seen == must => {}
                    Source::Write(seen) => emit(must, Some(seen), number),
                    _ => emit(must, None, number),
                }
            }
        }
        Ok(())
    }

    /// By key and session, the writes, or what was read, and where.
    fn of_keys(&self) -> Vec<Vec<Line>> {
        let mut of_key: Vec<Vec<Line>> = (0..self.trace.keys).map(|_| Vec::new()).collect();
        for (session, operations) in (0..).zip(&self.trace.sessions) {
            for &number in operations {
                let op = self.trace.op(number);
                let entry = match (self.level, op.source) {
                    (Level::WritesFollowReads, Source::Write(seen)) => seen,
                    (Level::WritesFollowReads, _) => continue,
                    _ if op.writes => number,
                    _ => continue,
                };
                let lines = &mut of_key[op.key as usize];
                if lines.last().is_none_or(|line| line.session != session) {
                    lines.push(Line { session, entries: Vec::new() });
                }
                let entries = &mut lines.last_mut().expect("one was added").entries;
                if entries.last().is_none_or(|&(_, last)| last != entry) {
                    entries.push((op.at, entry));
                }
            }
        }
        of_key
    }

    /// The operations that show that `read` must not miss `write`.
    pub(super) fn reasons(&self, write: u32, read: u32) -> Result<Vec<u32>, Stopped> {
        let mut all = vec![write, read];
        if let Source::Write(seen) = self.trace.op(read).source {
            all.push(seen);
        }
        let op = self.trace.op(read);
        let before = &self.trace.sessions[op.session as usize][..op.at as usize];
        match self.level {
            Level::ReadYourWrites => {}
            Level::MonotonicReads => {
                let saw = |&&number: &&u32| self.trace.op(number).source == Source::Write(write);
                all.extend(before.iter().rev().find(saw));
            }
            Level::MonotonicWrites => {
                let must = self.trace.op(write);
                let shows = |&&number: &&u32| match self.trace.op(number).source {
                    Source::Write(seen) => {
                        let seen = self.trace.op(seen);
                        seen.session == must.session && seen.at > must.at
                    }
                    _ => false,
                };
                if let Some(&seer) = before.iter().chain([&read]).rev().find(shows) {
                    all.extend(self.sight(seer));
                }
            }
            _ => all.extend(self.path(write, read)?),
        }
        Ok(all)
    }

    /// A read, and what it saw.
    fn sight(&self, read: u32) -> Vec<u32> {
        match self.trace.op(read).source {
            Source::Write(seen) => vec![read, seen],
            _ => vec![read],
        }
    }

    /// A short way from the write to the read, along reads of what was written and the own order of
    /// sessions. For writes that follow reads, that order counts from a read to a later write only,
    /// and at the end from a read to the read.
    fn path(&self, write: u32, read: u32) -> Result<Vec<u32>, Stopped> {
        let readers = self.trace.readers();
        let follows = self.level == Level::WritesFollowReads;
        let target = self.trace.op(read);
        let mut came = vec![NONE; self.trace.ops.len()];
        // From here on all of a session was reached, from one operation or another.
        let mut reached: Vec<u32> = self.trace.sessions.iter().map(|it| it.len() as u32).collect();
        let mut queue = VecDeque::from([write]);
        while let Some(at) = queue.pop_front() {
            self.cancellation.step()?;
            let op = self.trace.op(at);
            let saw = op.source == Source::Write(came[at as usize]);
            let counts = at != write && (!follows || (saw && came[at as usize] != write));
            if counts && op.session == target.session && op.at <= target.at {
                if at != read {
                    came[read as usize] = at;
                }
                break;
            }
            let mut reach = |next: u32| {
                if came[next as usize] == NONE && next != write {
                    came[next as usize] = at;
                    queue.push_back(next);
                }
            };
            readers.of(at).iter().for_each(|&reader| reach(reader));
            // Of a session's operations after a read, only writes carry on what it saw.
            if follows && (at == write || op.source == Source::Nothing) {
                continue;
            }
            let from = op.at + 1;
            let reached = &mut reached[op.session as usize];
            let until = std::mem::replace(reached, from.min(*reached));
            for place in from..until {
                let next = self.trace.sessions[op.session as usize][place as usize];
                if !follows || self.trace.op(next).writes {
                    reach(next);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = read;
        while at != NONE && at != write {
            path.push(at);
            at = came[at as usize];
        }
        Ok(path)
    }
}

/// What one session did to one key, with the places in the session.
struct Line {
    session: u32,
    entries: Vec<(u32, u32)>,
}
