//! One sweep along the history: from return to return, all configurations that are possible.

use rustc_hash::FxHashMap;

use super::bits::Bits;
use super::configuration::{Configuration, Configurations, DEAD};
use super::layout::{Layout, NONE};
use super::rules::Rules;
use super::states::{Interned, UNUSED, Usage, count_of, usage_bytes, with_one_more};
use super::successors::SuccessorCache;
use super::trail::{ROOT, Trail};
use crate::engines::Span;
use crate::engines::memory_estimate::map_bytes;
use crate::engines::wgl::{Cause, Limits};
use crate::model::Model;

/// Where in the history a sweep stands: before a return, with what was invoked until then.
#[derive(Clone)]
pub(super) struct Cursor<const W: usize> {
    /// The next span to be invoked.
    pub invoked: usize,
    /// The next return.
    pub round: usize,
    /// Per slot the span that is open in it.
    pub open: Vec<u32>,
    /// The slots of blind writes that are open.
    pub blind: Bits<W>,
    /// Per kind how many unknown operations were invoked.
    pub available: Vec<u32>,
    /// The kinds of which there are some.
    pub active: Vec<u32>,
}

/// A moment of a sweep to which it can be put back.
#[derive(Clone)]
pub(super) struct Snapshot<const W: usize> {
    /// Where the sweep stands.
    pub cursor: Cursor<W>,
    /// What may have happened up to here.
    pub frontier: Vec<Configuration<W>>,
    /// Whether the frontier lacks nothing that is possible.
    pub complete: bool,
}

impl<const W: usize> Snapshot<W> {
    pub(super) const fn bytes(&self) -> usize {
        self.frontier.capacity() * size_of::<Configuration<W>>()
            + 4 * (self.cursor.open.capacity()
                + self.cursor.available.capacity()
                + self.cursor.active.capacity())
    }
}

pub(super) struct Sweep<'a, M: Model, const W: usize> {
    /// What is correct.
    pub model: &'a M,
    /// All operations, by invocation.
    pub spans: &'a [Span],
    /// The tables for them.
    pub layout: &'a Layout,
    /// How to prune.
    pub rules: Rules,
    /// The states in configurations and in the cache.
    pub states: Interned<M::State>,
    /// How often unknown operations were used, in configurations.
    pub usages: Interned<Usage>,
    /// The steps that led to configurations.
    pub trail: Trail,
    /// What is open, as seen from states.
    pub successors: SuccessorCache<W>,
    /// The moment that the sweep has come to.
    pub now: Snapshot<W>,
    /// Configurations in which the operation that returns has yet to be ordered, or may be.
    work: Configurations<W>,
    /// Configurations beyond the return at hand.
    pub next: Configurations<W>,
    /// Whether unknown operations are used only where nothing survives without.
    pub frugal: bool,
    /// Whether none is used for the return at hand.
    sparing: bool,
    /// The usages with one more of a kind.
    pub more: FxHashMap<(u32, u32), u32>,
    /// How many configurations were looked at.
    pub effort: u64,
    /// What was done since it was last asked whether to stop, in looks at a span.
    unasked: usize,
}

/// How much is done between two questions whether to stop, in looks at a span: less than a few
/// milliseconds.
const EFFORT_PER_POLL: usize = 1 << 14;
/// To look at a configuration, and maybe admit it beyond a return, in looks at a span.
pub(super) const LOOK: usize = 1 << 8;
/// Of this many pairs of open operations, each is compared in the time of a look at a span.
const PAIRS: usize = 16;

/// An operation about to be ordered.
#[derive(Clone, Copy)]
enum Choice {
    /// The completed one in this slot.
    Slot(u32),
    /// An unknown one of this kind.
    Kind(u32),
}

impl<'a, M: Model, const W: usize> Sweep<'a, M, W> {
    /// A sweep that begins with the object in any of the `starts`.
    pub(super) fn new(
        model: &'a M,
        spans: &'a [Span],
        layout: &'a Layout,
        rules: Rules,
        starts: &[M::State],
    ) -> Self {
        let mut states = Interned::new();
        let mut usages = Interned::new();
        usages.intern(&Usage::default(), 0);
        let begin = |state| Configuration {
            state: states.intern(state, 0),
            usage: UNUSED,
            used: Bits::EMPTY,
            free: Bits::EMPTY,
            trail: ROOT,
        };
        let frontier = starts.iter().map(begin).collect();
        let cursor = Cursor {
            invoked: 0,
            round: 0,
            open: vec![NONE; layout.slots],
            blind: Bits::EMPTY,
            available: vec![0; layout.kinds.len()],
            active: Vec::new(),
        };
        Self {
            model,
            spans,
            layout,
            rules,
            states,
            usages,
            trail: Trail::new(),
            successors: SuccessorCache::new(layout.slots),
            now: Snapshot { cursor, frontier, complete: true },
            work: Configurations::new(),
            next: Configurations::new(),
            frugal: false,
            sparing: false,
            more: FxHashMap::default(),
            effort: 0,
            unasked: 0,
        }
    }

    /// The span that returns next, if one does.
    pub(super) fn returning(&self) -> Option<u32> {
        self.layout.returns.get(self.now.cursor.round).copied()
    }

    /// Goes past the next return with at most `width` configurations. Whether any is left.
    ///
    /// # Errors
    ///
    /// If a limit was met; then the sweep is of no more use.
    pub(super) fn advance(&mut self, width: usize, limits: &Limits<'_>) -> Result<bool, Cause> {
        let span = self.returning().expect("a return is left");
        let slot = self.layout.places[span as usize];
        let fresh = self.invoke_until(self.spans[span as usize].returned);
        self.retire(self.spans[span as usize].returned, limits)?;
        self.successors.begin_round(slot, fresh);
        self.free_silent(fresh, limits)?;
        self.sparing = self.frugal && !self.now.cursor.active.is_empty();
        self.explore(span, slot, width, limits)?;
        if self.sparing {
            self.now.complete = false;
            if self.next.items.is_empty() {
                self.sparing = false;
                self.explore(span, slot, width, limits)?;
            }
        }
        let cursor = &mut self.now.cursor;
        cursor.open[slot as usize] = NONE;
        cursor.blind.remove(slot);
        cursor.round += 1;
        if self.next.items.len() > width {
            self.cut(width, limits)?;
        }
        std::mem::swap(&mut self.now.frontier, &mut self.next.items);
        self.next.clear();
        Ok(!self.now.frontier.is_empty())
    }

    /// Finds all configurations past the return.
    fn explore(
        &mut self,
        span: u32,
        slot: u32,
        width: usize,
        limits: &Limits<'_>,
    ) -> Result<(), Cause> {
        self.sort_frontier(span, slot, limits)?;
        let most = width.saturating_mul(16).saturating_add(256);
        // Unknown operations offer more than is kept in any case.
        let generous = self.frugal && !self.sparing && !self.now.cursor.active.is_empty();
        // At worst every open operation is compared with every other.
        let expansion = LOOK + self.layout.slots * self.layout.slots / PAIRS;
        let mut place = 0;
        while let Some(&from) = self.work.items.get(place) {
            let enough = generous && self.next.items.len() >= width.saturating_mul(2);
            if place >= most || enough {
                self.now.complete = false;
                break;
            }
            self.expand(&from, span, slot);
            place += 1;
            self.poll(expansion, limits)?;
        }
        self.effort += (place + self.now.frontier.len()) as u64;
        Ok(())
    }

    /// Notes that so many spans were looked at, or as much was done.
    pub(super) const fn note(&mut self, effort: usize) {
        self.unasked = self.unasked.saturating_add(effort);
    }

    /// Keeps to the limits in a loop that does so much each time.
    ///
    /// # Errors
    ///
    /// If a limit was met.
    pub(super) fn poll(&mut self, effort: usize, limits: &Limits<'_>) -> Result<(), Cause> {
        self.successors.rein_in();
        self.note(effort);
        if self.unasked < EFFORT_PER_POLL {
            return Ok(());
        }
        self.unasked = 0;
        if (limits.stop)() {
            Err(Cause::Stopped)
        } else if self.bytes() > limits.memory {
            Err(Cause::Memory)
        } else {
            Ok(())
        }
    }

    /// Goes back, or on, to another moment.
    pub(super) fn put_back(&mut self, moment: Snapshot<W>) {
        self.now = moment;
        self.successors.forget();
    }

    /// Takes in all invocations before `position`. Gives the slots of the completed ones.
    fn invoke_until(&mut self, position: u64) -> Bits<W> {
        let mut fresh = Bits::EMPTY;
        let cursor = &mut self.now.cursor;
        while let Some(span) = self.spans.get(cursor.invoked)
            && span.invoked < position
        {
            let place = self.layout.places[cursor.invoked];
            if span.is_completed() {
                cursor.open[place as usize] = cursor.invoked as u32;
                fresh.insert(place);
                if self.layout.blind[cursor.invoked] {
                    cursor.blind.insert(place);
                }
            } else if place != NONE {
                let available = &mut cursor.available[place as usize];
                if *available == 0 {
                    cursor.active.push(place);
                    self.successors.kinds_changed();
                }
                *available += 1;
            }
            cursor.invoked += 1;
        }
        fresh
    }

    /// Orders what was just invoked wherever it changes nothing, or may have happened before.
    fn free_silent(&mut self, fresh: Bits<W>, limits: &Limits<'_>) -> Result<(), Cause> {
        let mut before = Bits::EMPTY;
        if self.layout.begins_at > 0 {
            for slot in
                fresh.iter().filter(|&slot| self.open_span(slot).invoked < self.layout.begins_at)
            {
                before.insert(slot);
            }
        }
        for place in 0..self.now.frontier.len() {
            self.poll(LOOK, limits)?;
            let entry = self.refresh(self.now.frontier[place].state);
            let silent = self.successors.get(entry).silent.and(&fresh);
            let configuration = &mut self.now.frontier[place];
            configuration.free = configuration.free.or(&silent).or(&before);
        }
        Ok(())
    }

    /// Splits the frontier: what survives the return as it is, and what needs a step for it.
    fn sort_frontier(&mut self, span: u32, slot: u32, limits: &Limits<'_>) -> Result<(), Cause> {
        self.work.clear();
        self.next.clear();
        let wanted = self.may_be_wanted(span);
        let frontier = std::mem::take(&mut self.now.frontier);
        let taken = frontier.capacity() * size_of::<Configuration<W>>();
        let limits = Limits { memory: limits.memory.saturating_sub(taken), ..*limits };
        for configuration in &frontier {
            self.poll(LOOK, &limits)?;
            if configuration.used.contains(slot) {
                self.survive(*configuration, slot);
                continue;
            }
            if configuration.free.contains(slot) {
                self.survive(*configuration, slot);
                if !wanted {
                    continue;
                }
            }
            self.work.add(*configuration);
        }
        self.now.frontier = frontier;
        Ok(())
    }

    /// Whether the operation that returns may be of use besides having its place: whether anybody
    /// may look at what it leaves.
    fn may_be_wanted(&mut self, span: u32) -> bool {
        let call = self.spans[span as usize].call;
        if self.rules.silent && self.model.is_pure(call) {
            return false;
        }
        let after = self.model.overwrites(call).or_else(|| {
            let demanded = self.model.demands(call)?;
            self.model.step(&demanded, call)
        });
        after.is_none_or(|state| {
            let state = self.intern(&state);
            let entry = self.refresh(state);
            let silent = self.successors.get(entry).silent.minus(&self.now.cursor.blind);
            !silent.is_empty() || self.is_live(state)
        })
    }

    pub(super) fn intern(&mut self, state: &M::State) -> u32 {
        self.states.intern(state, self.model.heap_bytes(state))
    }

    /// Takes the configuration past the return.
    fn survive(&mut self, mut configuration: Configuration<W>, slot: u32) {
        configuration.used.remove(slot);
        configuration.free.remove(slot);
        if configuration.state != DEAD && !self.is_live(configuration.state) {
            configuration.state = DEAD;
        }
        self.next.admit(configuration, &self.usages, self.rules);
    }

    /// Orders one more operation in every way that may lead to `returning` being ordered.
    fn expand(&mut self, from: &Configuration<W>, returning: u32, slot: u32) {
        self.refresh_groups();
        for number in 0..self.successors.groups().len() {
            self.expand_blind(from, number, returning, slot);
        }
        if from.state == DEAD {
            return;
        }
        let here = self.refresh(from.state);
        let moves = self.successors.get(here).moves.minus(&from.used);
        let designated = self.designated(from);
        for choice in moves.iter() {
            let target = self.successors.get(here).next[choice as usize];
            let must = !from.free.contains(choice);
            let always = choice == slot || (must && Some(choice) != designated);
            if self.is_first(choice, moves, from) && (always || self.is_useful(from, target)) {
                self.take(from, Choice::Slot(choice), target, returning, slot);
            }
        }
        for number in 0..self.successors.get(here).unknown_moves.len() {
            let (kind, target) = self.successors.get(here).unknown_moves[number];
            let action = self.layout.kinds[kind as usize].call.action;
            let mut same = moves.iter().filter(|&other| {
                self.open_span(other).call.action == action
                    && self.successors.get(here).next[other as usize] == target
            });
            let known = self.rules.interchange && same.next().is_some();
            if !known && self.is_left(from, kind) && self.is_useful(from, target) {
                self.take(from, Choice::Kind(kind), target, returning, slot);
            }
        }
    }

    /// Orders blind writes of one group: the one that must be ordered and returns first, the free
    /// one that returns first, or, if there is neither, one of unknown outcome.
    fn expand_blind(&mut self, from: &Configuration<W>, number: usize, returning: u32, slot: u32) {
        let target = self.successors.groups()[number].target;
        let useful = self.is_useful(from, target);
        let mut seen = [false; 2];
        for place in 0..self.successors.groups()[number].slots.len() {
            let choice = self.successors.groups()[number].slots[place];
            if from.used.contains(choice) {
                continue;
            }
            let status = usize::from(from.free.contains(choice));
            if !(self.rules.interchange && seen[status]) && (useful || choice == slot) {
                self.take(from, Choice::Slot(choice), target, returning, slot);
            }
            seen[status] = true;
        }
        let known = self.rules.interchange && seen.contains(&true);
        if let Some(kind) = self.successors.groups()[number].kind
            && useful
            && !known
            && self.is_left(from, kind)
        {
            self.take(from, Choice::Kind(kind), target, returning, slot);
        }
    }

    fn is_left(&self, from: &Configuration<W>, kind: u32) -> bool {
        !self.sparing
            && self.now.cursor.available[kind as usize]
                > count_of(self.usages.get(from.usage), kind)
    }

    fn open_span(&self, slot: u32) -> &'a Span {
        &self.spans[self.now.cursor.open[slot as usize] as usize]
    }

    /// Whether no other of the `moves` asks and answers the same, is as free, and returns earlier.
    fn is_first(&self, choice: u32, moves: Bits<W>, from: &Configuration<W>) -> bool {
        let span = self.open_span(choice);
        !self.rules.interchange
            || !moves.iter().any(|other| {
                let earlier = self.open_span(other);
                earlier.returned < span.returned
                    && earlier.call == span.call
                    && from.free.contains(other) == from.free.contains(choice)
            })
    }

    /// Whether somebody who is at work may notice the state `target` when it follows on `from`.
    fn is_useful(&mut self, from: &Configuration<W>, target: u32) -> bool {
        if !(self.rules.useful && self.rules.burial) {
            return true;
        }
        let entry = self.refresh(target);
        let entry = self.successors.get(entry);
        let silent = entry.silent.minus(&self.now.cursor.blind).minus(&from.free);
        !silent.or(&entry.moves).minus(&from.used).is_empty()
            || entry.unknown_moves.iter().any(|&(kind, _)| self.is_left(from, kind))
    }

    /// The one operation besides blind writes that a blind write after `from` would hide.
    fn designated(&mut self, from: &Configuration<W>) -> Option<u32> {
        if !self.rules.burial || from.state == DEAD {
            return None;
        }
        let entry = self.refresh(from.state);
        let moves = self.successors.get(entry).moves.minus(&from.used).minus(&from.free);
        moves.iter().min_by_key(|&slot| self.open_span(slot).returned)
    }

    /// Orders `choice` next, which leads to the state `target`.
    fn take(
        &mut self,
        from: &Configuration<W>,
        choice: Choice,
        target: u32,
        returning: u32,
        slot: u32,
    ) {
        let mut to = *from;
        let blind = match choice {
            Choice::Slot(slot) => self.now.cursor.blind.contains(slot),
            Choice::Kind(kind) => self.layout.kinds[kind as usize].blind,
        };
        if blind && self.rules.burial {
            to.free = to.free.or(&self.now.cursor.blind);
            if let Some(hidden) = self.designated(from) {
                to.free.insert(hidden);
            }
        }
        let span = match choice {
            Choice::Slot(slot) => {
                to.used.insert(slot);
                self.now.cursor.open[slot as usize]
            }
            Choice::Kind(kind) => {
                let count = count_of(self.usages.get(from.usage), kind);
                to.usage = self.use_one_more(from.usage, kind);
                self.layout.kinds[kind as usize].members[count as usize]
            }
        };
        let entry = self.refresh(target);
        to.free = to.free.or(&self.successors.get(entry).silent).minus(&to.used);
        to.state = target;
        if to.used.contains(slot) {
            to.trail = self.trail.push(from.trail, span, self.now.cursor.round as u32);
            return self.survive(to, slot);
        }
        let settled = to.free.contains(slot);
        if settled && !self.may_be_wanted(returning) {
            to.trail = self.trail.push(from.trail, span, self.now.cursor.round as u32);
            return self.survive(to, slot);
        }
        if self.work.add(to) {
            to.trail = self.trail.push(from.trail, span, self.now.cursor.round as u32);
            self.work.set_last_trail(to.trail);
            if settled {
                self.survive(to, slot);
            }
        }
    }

    fn use_one_more(&mut self, usage: u32, kind: u32) -> u32 {
        let Self { usages, more, .. } = self;
        *more.entry((usage, kind)).or_insert_with(|| {
            let usage = with_one_more(usages.get(usage), kind);
            usages.intern(&usage, usage_bytes(&usage))
        })
    }

    /// Bytes that the sweep takes.
    pub(super) fn bytes(&self) -> usize {
        self.states.bytes()
            + self.usages.bytes()
            + self.trail.bytes()
            + map_bytes(&self.more)
            + self.successors.bytes(self.now.cursor.active.len())
            + self.now.bytes()
            + self.work.bytes()
            + self.next.bytes()
    }
}
