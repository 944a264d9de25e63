//! What a sweep wants to know of the spans beforehand: in which order they return, which bit stands
//! for which, and until when anybody looks.

use rustc_hash::FxHashMap;

use crate::engines::{Cancellation, NEVER, Span, Stopped};
use crate::model::{Call, Model};

/// No slot, no kind, no span.
pub(super) const NONE: u32 = u32::MAX;

/// Tables that run parallel to the spans, which are sorted by invocation.
pub(super) struct Layout {
    /// The completed spans, by return.
    pub returns: Vec<u32>,
    /// Of a completed span its slot, of an unknown one its kind; [`NONE`] for one that need not be
    /// considered.
    pub places: Vec<u32>,
    /// How many slots there are: the most completed operations that are open at once.
    pub slots: usize,
    /// Whether the span is a blind write.
    pub blind: Vec<bool>,
    /// Whatever was invoked before this position may be left out.
    pub begins_at: u64,
    /// Of the completed blind writes from a span on that may not be left out, the first return; one
    /// entry more than spans.
    pub horizon: Vec<u64>,
    /// The unknown operations by what they ask.
    pub kinds: Vec<Kind>,
}

/// Unknown operations that all ask the same, so that one is as good as another.
pub(super) struct Kind {
    /// What they ask.
    pub call: Call,
    /// Whether they are blind writes.
    pub blind: bool,
    /// The spans, by invocation.
    pub members: Vec<u32>,
    /// The last return of an operation that may notice what this one leaves.
    pub last_look: u64,
}

impl Layout {
    /// The tables for `spans`, of which those invoked before `begins_at` may be left out.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up.
    pub(super) fn new<M: Model>(
        model: &M,
        spans: &[Span],
        begins_at: u64,
        forget: bool,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        assert!(spans.len() < NONE as usize, "at most 2^32 - 2 operations on a key");
        let blind = spans.iter().map(|span| model.overwrites(span.call).is_some());
        let blind: Vec<bool> = cancellation.collect(blind)?;
        let mut returns = Vec::with_capacity(spans.len());
        for (number, span) in (0..).zip(spans) {
            cancellation.step()?;
            if span.is_completed() {
                returns.push(number);
            }
        }
        cancellation.sort_by_key(&mut returns, |&span| spans[span as usize].returned)?;
        let looks = StateUses::new(model, spans, &blind, cancellation)?;
        let mut layout = Self {
            places: vec![NONE; spans.len()],
            slots: 0,
            horizon: horizon(spans, &blind, begins_at, cancellation)?,
            begins_at,
            blind,
            returns,
            kinds: Vec::new(),
        };
        layout.assign_slots(spans, cancellation)?;
        layout.assign_kinds(model, spans, &looks, forget, cancellation)?;
        Ok(layout)
    }

    /// Bytes that the tables take.
    pub(super) fn bytes(&self) -> usize {
        4 * self.returns.capacity()
            + 4 * self.places.capacity()
            + self.blind.capacity()
            + 8 * self.horizon.capacity()
            + self.kinds.iter().map(|it| size_of_val(it) + 4 * it.members.capacity()).sum::<usize>()
    }

    /// Gives every completed span the lowest slot that is free while it is open.
    fn assign_slots(
        &mut self,
        spans: &[Span],
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped> {
        let mut spare: Vec<u32> = Vec::new();
        let mut returned = 0;
        for (number, span) in spans.iter().enumerate() {
            cancellation.step()?;
            if !span.is_completed() {
                continue;
            }
            while let Some(&first) = self.returns.get(returned)
                && spans[first as usize].returned < span.invoked
            {
                spare.push(self.places[first as usize]);
                returned += 1;
            }
            self.places[number] = spare.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots as u32 - 1
            });
        }
        Ok(())
    }

    fn assign_kinds<M: Model>(
        &mut self,
        model: &M,
        spans: &[Span],
        looks: &StateUses<M::State>,
        forget: bool,
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped> {
        let mut numbers: FxHashMap<Call, u32> = FxHashMap::default();
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            if span.is_completed() {
                continue;
            }
            let kind = *numbers.entry(span.call).or_insert_with(|| {
                let blind = self.blind[place as usize];
                let last_look = if forget { looks.last(model, span.call) } else { NEVER };
                let kind = Kind { call: span.call, blind, members: Vec::new(), last_look };
                self.kinds.push(kind);
                self.kinds.len() as u32 - 1
            });
            let found = &mut self.kinds[kind as usize];
            if found.last_look > span.invoked {
                found.members.push(place);
                self.places[place as usize] = kind;
            }
        }
        Ok(())
    }
}

fn horizon(
    spans: &[Span],
    blind: &[bool],
    begins_at: u64,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<u64>, Stopped> {
    let mut horizon = vec![NEVER; spans.len() + 1];
    for number in (0..spans.len()).rev() {
        cancellation.step()?;
        let counts = blind[number] && spans[number].invoked >= begins_at;
        let own = if counts { spans[number].returned } else { NEVER };
        horizon[number] = horizon[number + 1].min(own);
    }
    Ok(horizon)
}

/// Until when the states are looked at by operations that are not blind.
struct StateUses<S> {
    by_state: FxHashMap<S, u64>,
    /// By operations that look at several states.
    anywhere: u64,
}

impl<S: Clone + Eq + std::hash::Hash> StateUses<S> {
    fn new<M: Model<State = S>>(
        model: &M,
        spans: &[Span],
        blind: &[bool],
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        let mut looks = Self { by_state: FxHashMap::default(), anywhere: 0 };
        for (span, &blind) in spans.iter().zip(blind) {
            cancellation.step()?;
            if blind {
                continue;
            }
            let last = match model.demands(span.call) {
                Some(state) => looks.by_state.entry(state).or_insert(0),
                None => &mut looks.anywhere,
            };
            *last = span.returned.max(*last);
        }
        Ok(looks)
    }

    /// When the state that an unknown `call` leads to is last looked at.
    fn last<M: Model<State = S>>(&self, model: &M, call: Call) -> u64 {
        let after = model.overwrites(call).or_else(|| {
            let demanded = model.demands(call)?;
            model.step(&demanded, call)
        });
        let Some(state) = after else { return NEVER };
        self.anywhere.max(self.by_state.get(&state).copied().unwrap_or(0))
    }
}
