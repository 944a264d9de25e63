//! Chooses which configurations a narrow sweep keeps.
//!
//! Decides nothing: whatever is kept is possible, and a sweep that was cut never says violation.

use super::bits::Bits;
use super::configuration::Configuration;
use super::layout::NONE;
use super::states::count_of;
use super::sweep::{LOOK, Sweep};
use crate::engines::wgl::{Cause, Limits};
use crate::engines::{Cancellation, Stopped};
use crate::model::{Call, Model};

/// How many returns ahead are soon.
const SOON: usize = 8;
/// What it costs to lack a state that will be demanded; all else costs a few points at most.
const LACKING: i64 = 1_000;

/// A state that is demanded soon and that nothing yet to be invoked provides in time.
struct ExpiringState<const W: usize> {
    state: u32,
    /// Whether an operation yet to be invoked demands it.
    later: bool,
    /// The open operations that demand it.
    demanding: Bits<W>,
    /// The open operations that lead to it.
    sources: Bits<W>,
    /// The unknown operations that do.
    kinds: Vec<u32>,
}

impl<M: Model, const W: usize> Sweep<'_, M, W> {
    /// Keeps the `width` most promising configurations, of every state about as many: those that
    /// can still provide what will be demanded; that are done with most operations which not every
    /// state allows, above all with those that return next; and that have used up few writes,
    /// above all of unknown outcome.
    ///
    /// # Errors
    ///
    /// If a limit was met.
    pub(super) fn cut(&mut self, width: usize, limits: &Limits<'_>) -> Result<(), Cause> {
        self.now.complete = false;
        let scarce = self.scarce();
        let urgent = self.returning_next();
        let mut order: Vec<(u32, i64, usize)> = Vec::with_capacity(self.next.items.len());
        for place in 0..self.next.items.len() {
            self.poll(LOOK / 4, limits)?;
            let it = &self.next.items[place];
            order.push((it.state, self.cost(it, &scarce, urgent), place));
        }
        let cancellation = Cancellation::new(limits.stop);
        cancellation.sort(&mut order).map_err(|Stopped| Cause::Stopped)?;
        let mut rank = 0;
        let mut last = None;
        for entry in &mut order {
            rank = if last == Some(entry.0) { rank + 1 } else { 0 };
            last = Some(entry.0);
            entry.0 = rank + if entry.1 >= LACKING / 2 { width as u32 } else { 0 };
        }
        cancellation.sort(&mut order).map_err(|Stopped| Cause::Stopped)?;
        order.truncate(width);
        let kept = order.iter().map(|&(.., place)| self.next.items[place]);
        self.next.items = kept.collect();
        Ok(())
    }

    fn cost(&self, it: &Configuration<W>, scarce: &[ExpiringState<W>], urgent: Bits<W>) -> i64 {
        let usage = self.usages.get(it.usage);
        let unknown: i64 = usage.iter().map(|&(_, count)| i64::from(count)).sum();
        let done = it.used.or(&it.free).minus(&self.now.cursor.blind);
        let spent = it.used.and(&self.now.cursor.blind).len();
        let lacks = |scarce: &&ExpiringState<W>| {
            let needed =
                scarce.later || !scarce.demanding.minus(&it.free).minus(&it.used).is_empty();
            let left =
                |&kind: &u32| self.now.cursor.available[kind as usize] > count_of(usage, kind);
            needed
                && it.state != scarce.state
                && scarce.sources.minus(&it.used).is_empty()
                && !scarce.kinds.iter().any(left)
        };
        LACKING * scarce.iter().filter(lacks).count() as i64 + 4 * unknown + i64::from(spent)
            - 4 * i64::from(done.len() + done.and(&urgent).len())
    }

    /// The slots of open operations that return soon.
    fn returning_next(&self) -> Bits<W> {
        let mut next = Bits::EMPTY;
        let round = self.now.cursor.round;
        for &span in self.layout.returns.iter().skip(round).take(SOON) {
            let slot = self.layout.places[span as usize];
            if self.now.cursor.open[slot as usize] == span {
                next.insert(slot);
            }
        }
        next
    }

    /// The states that are demanded soon and hard to come by.
    fn scarce(&mut self) -> Vec<ExpiringState<W>> {
        let mut scarce: Vec<ExpiringState<W>> = Vec::new();
        let round = self.now.cursor.round;
        let ahead = 2 * self.now.cursor.open.len();
        for place in round..(round + ahead).min(self.layout.returns.len()) {
            let span = self.layout.returns[place];
            let demanding = &self.spans[span as usize];
            let Some(state) = self.model.demands(demanding.call) else { continue };
            let state = self.intern(&state);
            let known = scarce.iter().position(|it| it.state == state);
            let number = match known {
                Some(number) => number,
                None if self.is_provided(state, demanding.returned) => continue,
                None => {
                    scarce.push(self.with_sources(state));
                    scarce.len() - 1
                }
            };
            let slot = self.layout.places[span as usize];
            if self.now.cursor.open[slot as usize] == span {
                scarce[number].demanding.insert(slot);
            } else if known.is_none() || !self.is_provided(state, demanding.returned) {
                scarce[number].later = true;
            }
        }
        scarce
    }

    /// Whether an operation to be invoked before `until` leads to `state`.
    fn is_provided(&self, state: u32, until: u64) -> bool {
        let coming = self.spans[self.now.cursor.invoked..].iter();
        let mut coming = coming.take_while(|span| span.invoked < until);
        coming.any(|span| self.leads_to(span.call, state))
    }

    fn leads_to(&self, call: Call, state: u32) -> bool {
        let after = self.model.overwrites(call).or_else(|| {
            let demanded = self.model.demands(call)?;
            self.model.step(&demanded, call).filter(|after| *after != demanded)
        });
        after.as_ref() == Some(self.states.get(state))
    }

    fn with_sources(&self, state: u32) -> ExpiringState<W> {
        let mut sources = Bits::EMPTY;
        for (slot, &span) in (0..).zip(&self.now.cursor.open) {
            if span != NONE && self.leads_to(self.spans[span as usize].call, state) {
                sources.insert(slot);
            }
        }
        let active = self.now.cursor.active.iter().copied();
        let kinds =
            active.filter(|&kind| self.leads_to(self.layout.kinds[kind as usize].call, state));
        ExpiringState {
            state,
            later: false,
            demanding: Bits::EMPTY,
            sources,
            kinds: kinds.collect(),
        }
    }
}
