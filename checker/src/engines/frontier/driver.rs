//! Drives sweeps: narrow as long as that goes well, wider where configurations ran out, and as wide
//! as need be in the end.

use super::layout::Layout;
use super::locate::{self, EventRange};
use super::order::order;
use super::snapshots::{SPACING, Snapshots};
use super::sweep::Sweep;
use super::{Engine, Plan};
use crate::engines::wgl::{Cause, Limits, Search};
use crate::engines::{Cancellation, Span, Stopped};
use crate::model::Model;

/// How many configurations a sweep keeps at first.
pub(super) const NARROW: usize = 16;
/// The widths to try again with, and how many returns before the one that was fatal.
const QUICK: [(usize, usize); 2] = [(64, 128), (256, 256)];
const THOROUGH: [(usize, usize); 3] = [(256, 2_048), (4_096, 512), (4_096, 8_192)];
/// How many returns a sweep stays wide beyond the fatal one.
const BEYOND: usize = 128;
/// How many configurations may be looked at before a search counts as hard, per return and besides.
const EASY_PER_RETURN: u64 = 200;
const EASY: u64 = 200_000;

pub(super) struct Driver<'a, M: Model, const W: usize> {
    plan: &'a Plan<'a, M>,
    sweep: Sweep<'a, M, W>,
    snapshots: Snapshots<W>,
    width: usize,
    /// The latest return that a sweep could not go past.
    fatal: usize,
    /// Whether the sweep died there, with nothing tried yet to repair that.
    dead: bool,
    /// What is open at the fatal return.
    open: Vec<u32>,
    /// All states the object can ever have, once asked for.
    states: Option<Option<Vec<M::State>>>,
}

impl<M: Model, const W: usize> Engine for Driver<'_, M, W> {
    fn easy(&mut self, limits: &Limits<'_>) -> Option<Search> {
        self.sweep.frugal = true;
        let most = EASY + EASY_PER_RETURN * self.layout().returns.len() as u64;
        loop {
            match self.run(self.width, usize::MAX, Some(most), limits) {
                End::Over => return Some(self.valid(limits)),
                End::Hard => return None,
                End::Early(cause) => return Some(self.unknown(cause)),
                End::Dead => {}
            }
            if let Some(found) = self.look(0..locate::QUICK, limits) {
                return Some(found);
            }
            if let Some(end) = self.retry(&QUICK, limits) {
                return Some(end);
            }
            if self.dead {
                return None;
            }
        }
    }

    fn hard(&mut self, limits: &Limits<'_>) -> Search {
        loop {
            // What easy left behind was tried quickly already.
            if !self.dead {
                match self.run(self.width, usize::MAX, None, limits) {
                    End::Over => return self.valid(limits),
                    End::Early(cause) => return self.unknown(cause),
                    End::Hard | End::Dead => {}
                }
                if let Some(found) = self.look(0..locate::QUICK, limits) {
                    return found;
                }
                if let Some(found) = self.retry(&QUICK, limits) {
                    return found;
                }
            }
            if self.dead
                && let Some(found) = self.retry(&THOROUGH[..2], limits)
            {
                return found;
            }
            if self.dead
                && let Some(found) = self.look(locate::QUICK..locate::ALL, limits)
            {
                return found;
            }
            if self.dead
                && let Some(found) = self.retry(&THOROUGH[2..], limits)
            {
                return found;
            }
            if self.dead {
                return self.run_uncut(limits);
            }
        }
    }
}

/// How a run ended.
enum End {
    /// Past all returns, or past as many as asked for.
    Over,
    /// No configuration was left.
    Dead,
    /// It took too long for an easy search.
    Hard,
    /// Something ran out.
    Early(Cause),
}

impl<'a, M: Model, const W: usize> Driver<'a, M, W> {
    pub(super) fn new(plan: &'a Plan<'a, M>) -> Self {
        let starts = [plan.model.initial()];
        let sweep = Sweep::new(plan.model, plan.spans, &plan.layout, plan.rules, &starts);
        Self {
            snapshots: Snapshots::new(&sweep.now),
            sweep,
            width: plan.narrow,
            fatal: 0,
            dead: false,
            open: Vec::new(),
            states: None,
            plan,
        }
    }

    const fn layout(&self) -> &'a Layout {
        &self.plan.layout
    }

    fn span(&self, round: usize) -> &'a Span {
        &self.plan.spans[self.layout().returns[round] as usize]
    }

    /// Sweeps on until `round`.
    fn run(&mut self, width: usize, round: usize, most: Option<u64>, limits: &Limits<'_>) -> End {
        while self.sweep.returning().is_some() && self.sweep.now.cursor.round < round {
            let at = self.sweep.now.cursor.round;
            if at.is_multiple_of(SPACING) {
                self.snapshots.keep(&self.sweep.now);
                if let Some(course) = self.plan.course {
                    course.pass(at);
                }
                if (limits.stop)() {
                    return End::Early(Cause::Stopped);
                }
                if self.bytes() > limits.memory {
                    return End::Early(Cause::Memory);
                }
                if most.is_some_and(|most| self.sweep.effort > most) {
                    return End::Hard;
                }
            }
            if self.sweep.trail.is_due() {
                let cancellation = Cancellation::new(limits.stop);
                if self.sweep.reclaim(self.snapshots.iter_mut(), &cancellation) == Err(Stopped) {
                    return End::Early(Cause::Stopped);
                }
            }
            match self.sweep.advance(width, &self.within(limits)) {
                Ok(true) => {}
                Ok(false) => {
                    if at >= self.fatal || !self.dead {
                        self.fatal = at.max(self.fatal);
                        self.open = self.sweep.now.cursor.open.clone();
                    }
                    self.dead = true;
                    return End::Dead;
                }
                Err(cause) => return End::Early(cause),
            }
        }
        End::Over
    }

    /// The limits of the sweep: what the rest takes is taken off.
    fn within<'l>(&self, limits: &Limits<'l>) -> Limits<'l> {
        let rest = self.layout().bytes() + self.snapshots.bytes();
        Limits { memory: limits.memory.saturating_sub(rest), stop: limits.stop }
    }

    fn bytes(&self) -> usize {
        self.layout().bytes() + self.snapshots.bytes() + self.sweep.bytes()
    }

    /// Tries to go past the fatal return with more configurations, from some way before it.
    fn retry(&mut self, tries: &[(usize, usize)], limits: &Limits<'_>) -> Option<Search> {
        for &(width, back) in tries {
            let from = self.snapshots.before(self.fatal.saturating_sub(back)).clone();
            self.sweep.put_back(from);
            self.sweep.frugal = false;
            let end = self.run(width, self.fatal + BEYOND, None, limits);
            self.sweep.frugal = true;
            match end {
                End::Over => {
                    self.dead = false;
                    return self.sweep.returning().is_none().then(|| self.valid(limits));
                }
                End::Early(cause) => return Some(self.unknown(cause)),
                End::Hard | End::Dead => {}
            }
        }
        None
    }

    /// Tries to show that the history up to the fatal return is not linearizable.
    fn look(&mut self, looks: std::ops::Range<usize>, limits: &Limits<'_>) -> Option<Search> {
        let (model, spans, taken) = (self.plan.model, self.plan.spans, self.bytes());
        let states = match &mut self.states {
            Some(states) => states,
            None => {
                let states =
                    locate::all_states(model, spans, &Cancellation::new(limits.stop)).ok()?;
                self.states.insert(states)
            }
        };
        let open: Vec<u32> = self.open.iter().copied().filter(|&it| it != super::NONE).collect();
        // The sweep, which may go on, keeps what it has.
        let limits = Limits { memory: limits.memory.saturating_sub(taken), stop: limits.stop };
        let (layout, round) = (&self.plan.layout, self.fatal);
        let stretch = EventRange { spans, layout, round, open: &open };
        stretch.find(model, states.as_deref()?, looks, &limits)?;
        Some(self.violation())
    }

    /// Keeps all configurations from the last moment on at which none was lacking.
    fn run_uncut(&mut self, limits: &Limits<'_>) -> Search {
        self.sweep.put_back(self.snapshots.whole().clone());
        self.sweep.frugal = false;
        match self.run(usize::MAX, usize::MAX, None, limits) {
            End::Over => self.valid(limits),
            End::Early(cause) => self.unknown(cause),
            End::Hard | End::Dead => self.violation(),
        }
    }

    fn valid(&mut self, limits: &Limits<'_>) -> Search {
        let cancellation = Cancellation::new(limits.stop);
        let trail = self.sweep.now.frontier[0].trail;
        let order = self.sweep.trail.steps(trail, &cancellation).and_then(|steps| {
            order(self.plan.model, self.plan.spans, self.layout(), &steps, &cancellation)
        });
        order.map_or_else(|Stopped| self.unknown(Cause::Stopped), Search::Valid)
    }

    /// Some sweep went past the return before the fatal one, so that one is the first to prove it.
    fn violation(&self) -> Search {
        Search::Violation { proven_at: self.span(self.fatal).returned }
    }

    /// The end of a search that has run out of something.
    fn unknown(&mut self, cause: Cause) -> Search {
        if matches!(cause, Cause::Stopped) {
            self.sweep.states.discard();
        }
        let rounds = self.fatal.max(self.sweep.now.cursor.round).min(self.layout().returns.len());
        Search::Unknown {
            cause,
            ordered: rounds,
            completed: self.layout().returns.len(),
            passed: rounds.checked_sub(1).map_or(0, |round| self.span(round).returned),
        }
    }
}
