//! The successors of states under the open operations: computed once per state and return, and only for
//! what changed since.

use rustc_hash::FxHashMap;

use super::bits::Bits;
use super::configuration::{Configuration, DEAD};
use super::layout::NONE;
use super::states::{UNUSED, Usage, usage_bytes};
use super::sweep::{LOOK, Snapshot, Sweep};
use crate::engines::memory_estimate::{ALLOCATION, map_bytes};
use crate::engines::wgl::{Cause, Limits};
use crate::engines::{Cancellation, Stopped};
use crate::history::Action;
use crate::model::Model;

/// What it costs to compute one successor, in looks at a span.
const REFRESH: usize = 8;
/// How many states the cache holds before it is emptied.
const MOST_ENTRIES: usize = 256;
/// How many are within one round, where many are looked at again.
const MOST_IN_A_ROUND: usize = 1 << 12;

/// What the open operations do in one state.
pub(super) struct Successors<const W: usize> {
    /// For which round this was last brought up to date.
    round: u64,
    /// Per slot the span that `next` is about.
    spans: Vec<u32>,
    /// Per slot the state that follows; [`NONE`] if the operation is not legal.
    pub next: Vec<u32>,
    /// What is legal and changes nothing.
    pub silent: Bits<W>,
    /// What is legal, not blind, and changes something.
    pub moves: Bits<W>,
    /// Kinds of unknown operations that are not blind and change something, and to what.
    pub unknown_moves: Vec<(u32, u32)>,
    /// For which choice of kinds that is.
    kinds: u64,
    live: Option<bool>,
    /// A span that observes the state; it may lie in the past.
    observer: usize,
}

/// Open blind writes that do the same.
pub(super) struct Group {
    action: Action,
    /// The state that they leave.
    pub target: u32,
    /// The completed ones, by return.
    pub slots: Vec<u32>,
    /// The unknown ones.
    pub kind: Option<u32>,
}

/// The successors of all states of a round.
pub(super) struct SuccessorCache<const W: usize> {
    numbers: FxHashMap<u32, usize>,
    entries: Vec<Successors<W>>,
    /// How many of the entries are in use; the rest are kept for their memory.
    count: usize,
    groups: Vec<Group>,
    groups_of: u64,
    round: u64,
    /// Counts the changes of which kinds there are.
    kinds: u64,
    slots: usize,
    returning: u32,
    /// The slots that were filled or emptied since the round before.
    changed: Bits<W>,
}

/// The entry of [`DEAD`], in which no operation is legal.
const FROM_DEAD: usize = 0;

impl<const W: usize> SuccessorCache<W> {
    pub(super) fn new(slots: usize) -> Self {
        let mut cache = Self {
            numbers: FxHashMap::default(),
            entries: Vec::new(),
            count: 0,
            groups: Vec::new(),
            groups_of: 0,
            round: 0,
            kinds: 0,
            slots,
            returning: NONE,
            changed: Bits::EMPTY,
        };
        cache.open(DEAD);
        cache
    }

    /// Makes all entries stale. `returning` is the slot of the operation that returns, `fresh` are
    /// those of operations invoked since the last return.
    pub(super) fn begin_round(&mut self, returning: u32, mut fresh: Bits<W>) {
        self.round += 1;
        if self.returning != NONE {
            fresh.insert(self.returning);
        }
        self.changed = fresh;
        self.returning = returning;
        if self.count > MOST_ENTRIES {
            self.forget();
        }
    }

    /// Empties the cache if it has very many entries. Numbers from [`Sweep::refresh`] are void then.
    pub(super) fn rein_in(&mut self) {
        if self.count > MOST_IN_A_ROUND {
            self.forget();
        }
    }

    /// Bytes that the cache takes, with `kinds` of unknown operations at most.
    pub(super) fn bytes(&self, kinds: usize) -> usize {
        let tables = self.slots * 2 * size_of::<u32>() + kinds * size_of::<(u32, u32)>();
        self.entries.len() * (size_of::<Successors<W>>() + tables + 3 * ALLOCATION)
            + map_bytes(&self.numbers)
    }

    /// Notes that there are unknown operations of other kinds than before.
    pub(super) const fn kinds_changed(&mut self) {
        self.kinds += 1;
    }

    /// Empties the cache, as states may have new numbers.
    pub(super) fn forget(&mut self) {
        self.kinds += 1;
        self.numbers.clear();
        self.count = 0;
        self.open(DEAD);
    }

    fn open(&mut self, state: u32) -> usize {
        let number = self.count;
        self.count += 1;
        self.numbers.insert(state, number);
        let entry = Successors {
            round: 0,
            spans: vec![NONE; self.slots],
            next: vec![NONE; self.slots],
            silent: Bits::EMPTY,
            moves: Bits::EMPTY,
            unknown_moves: Vec::new(),
            kinds: 0,
            live: None,
            observer: 0,
        };
        match self.entries.get_mut(number) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        number
    }

    pub(super) fn get(&self, number: usize) -> &Successors<W> {
        &self.entries[number]
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

impl<M: Model, const W: usize> Sweep<'_, M, W> {
    /// The number of the entry of `state`, up to date.
    pub(super) fn refresh(&mut self, state: u32) -> usize {
        if state == DEAD {
            return FROM_DEAD;
        }
        let known = self.successors.numbers.get(&state).copied();
        let number = known.unwrap_or_else(|| self.successors.open(state));
        if self.successors.entries[number].round == self.successors.round {
            return number;
        }
        if self.successors.entries[number].round + 1 == self.successors.round {
            for slot in self.successors.changed.iter() {
                self.refresh_slot(number, state, slot);
            }
        } else {
            for slot in 0..self.now.cursor.open.len() {
                if self.now.cursor.open[slot] != self.successors.entries[number].spans[slot] {
                    self.refresh_slot(number, state, slot as u32);
                }
            }
        }
        if self.successors.entries[number].kinds != self.successors.kinds {
            self.refresh_unknown(number, state);
        }
        let entry = &mut self.successors.entries[number];
        entry.round = self.successors.round;
        entry.live = None;
        number
    }

    fn refresh_unknown(&mut self, number: usize, state: u32) {
        let mut unknown = std::mem::take(&mut self.successors.entries[number].unknown_moves);
        unknown.clear();
        for place in 0..self.now.cursor.active.len() {
            let kind = self.now.cursor.active[place];
            if !self.layout.kinds[kind as usize].blind {
                self.note(REFRESH);
                let call = self.layout.kinds[kind as usize].call;
                let after = self.model.step(self.states.get(state), call);
                let after = after.map(|after| self.intern(&after));
                unknown.extend(after.filter(|&after| after != state).map(|after| (kind, after)));
            }
        }
        let entry = &mut self.successors.entries[number];
        entry.unknown_moves = unknown;
        entry.kinds = self.successors.kinds;
    }

    fn refresh_slot(&mut self, number: usize, state: u32, slot: u32) {
        self.note(REFRESH);
        let span = self.now.cursor.open[slot as usize];
        let after = (span != NONE)
            .then(|| self.model.step(self.states.get(state), self.spans[span as usize].call))
            .flatten()
            .map(|after| self.intern(&after));
        let entry = &mut self.successors.entries[number];
        entry.spans[slot as usize] = span;
        entry.next[slot as usize] = after.unwrap_or(NONE);
        entry.silent.remove(slot);
        entry.moves.remove(slot);
        let Some(after) = after else { return };
        if after == state && self.rules.silent {
            entry.silent.insert(slot);
        } else if !self.layout.blind[span as usize] {
            entry.moves.insert(slot);
        }
    }

    /// Whether an operation may observe `state` after the current return, before it must have been
    /// overwritten. False is certain.
    pub(super) fn is_live(&mut self, state: u32) -> bool {
        if !self.rules.forget {
            return true;
        }
        let number = self.refresh(state);
        let entry = &self.successors.entries[number];
        if let Some(live) = entry.live {
            return live;
        }
        let mut at_work = entry.moves;
        if self.successors.returning != NONE {
            at_work.remove(self.successors.returning);
        }
        let live = !at_work.is_empty()
            || !entry.unknown_moves.is_empty()
            || self.will_be_observed(state, number);
        self.successors.entries[number].live = Some(live);
        live
    }

    /// Whether an operation yet to be invoked may observe `state`. All invoked after `horizon` come
    /// after a blind write that is invoked after now.
    fn will_be_observed(&mut self, state: u32, number: usize) -> bool {
        let first = self.now.cursor.invoked;
        let horizon = self.layout.horizon[first];
        let from = self.successors.entries[number].observer.max(first);
        let mut place = from;
        while let Some(span) = self.spans.get(place)
            && span.invoked < horizon
        {
            let considered = self.layout.places[place] != NONE && !self.layout.blind[place];
            let after =
                considered.then(|| self.model.step(self.states.get(state), span.call)).flatten();
            if after.is_some_and(|it| span.is_completed() || it != *self.states.get(state)) {
                self.note(place - from);
                self.successors.entries[number].observer = place;
                return true;
            }
            place += 1;
        }
        self.note(place - from);
        self.successors.entries[number].observer = place;
        false
    }

    /// Brings the groups of open blind writes up to date.
    pub(super) fn refresh_groups(&mut self) {
        if self.successors.groups_of == self.successors.round {
            return;
        }
        self.successors.groups_of = self.successors.round;
        let mut groups: Vec<Group> = Vec::new();
        let mut blind: Vec<u32> = self.now.cursor.blind.iter().collect();
        blind.sort_unstable_by_key(|&slot| {
            self.spans[self.now.cursor.open[slot as usize] as usize].returned
        });
        for slot in blind {
            let call = self.spans[self.now.cursor.open[slot as usize] as usize].call;
            self.group(&mut groups, call).slots.push(slot);
        }
        for place in 0..self.now.cursor.active.len() {
            let kind = self.now.cursor.active[place];
            if self.layout.kinds[kind as usize].blind {
                let call = self.layout.kinds[kind as usize].call;
                self.group(&mut groups, call).kind = Some(kind);
            }
        }
        self.successors.groups = groups;
    }

    fn group<'g>(&mut self, groups: &'g mut Vec<Group>, call: crate::model::Call) -> &'g mut Group {
        let found = groups.iter().position(|group| group.action == call.action);
        let number = found.unwrap_or_else(|| {
            let state = self.model.overwrites(call).expect("the write is blind");
            let target = self.intern(&state);
            groups.push(Group { action: call.action, target, slots: Vec::new(), kind: None });
            groups.len() - 1
        });
        &mut groups[number]
    }

    /// Forgets the uses of unknown operations that nothing asks for after `position`.
    ///
    /// # Errors
    ///
    /// If a limit was met.
    pub(super) fn retire(&mut self, position: u64, limits: &Limits<'_>) -> Result<(), Cause> {
        let kinds = &self.layout.kinds;
        let is_over = |kind: u32| kinds[kind as usize].last_look < position;
        let cursor = &mut self.now.cursor;
        if !cursor.active.iter().any(|&kind| is_over(kind)) {
            return Ok(());
        }
        cursor.active.retain(|&kind| !is_over(kind));
        self.successors.kinds_changed();
        for place in 0..self.now.frontier.len() {
            self.poll(LOOK, limits)?;
            let configuration = &mut self.now.frontier[place];
            let usage = self.usages.get(configuration.usage);
            if usage.iter().any(|&(kind, _)| is_over(kind)) {
                let left: Usage =
                    usage.iter().copied().filter(|&(kind, _)| !is_over(kind)).collect();
                configuration.usage = self.usages.intern(&left, usage_bytes(&left));
            }
        }
        Ok(())
    }

    /// Gives up all steps, states and usages but those of the frontier and of the snapshots.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up; then the sweep is of no more use.
    pub(super) fn reclaim<'s>(
        &mut self,
        snapshots: impl Iterator<Item = &'s mut Snapshot<W>>,
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped>
    where
        Self: 's,
    {
        let mut kept: Vec<&mut Configuration<W>> = self.now.frontier.iter_mut().collect();
        kept.extend(snapshots.flat_map(|snapshot| &mut snapshot.frontier));
        let states = kept.iter().map(|it| it.state).filter(|&state| state != DEAD);
        self.states.retain(states, cancellation)?;
        self.usages.retain(kept.iter().map(|it| it.usage).chain([UNUSED]), cancellation)?;
        self.trail.reclaim(kept.into_iter().map(|it| &mut it.trail), cancellation)?;
        self.successors.forget();
        self.more.clear();
        Ok(())
    }
}
