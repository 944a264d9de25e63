//! From the steps of a surviving configuration to a whole order.
//!
//! The steps hold only what was ordered for its effect. Replays them beside the events, and puts
//! every other completed operation where the rules say that it has a place: where it changes
//! nothing, or hidden just before a blind write.

use super::layout::Layout;
use super::trail::Node;
use crate::engines::{Cancellation, Span, Stopped};
use crate::model::Model;

/// An open completed operation.
struct Open {
    span: u32,
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Must,
    /// It stands in this place of the order, unless it is taken out for a step of its own.
    Free(usize),
    Used,
}

struct Replay<'a, M: Model> {
    model: &'a M,
    spans: &'a [Span],
    layout: &'a Layout,
    state: M::State,
    open: Vec<Open>,
    /// The order; nothing where an operation was taken out again.
    order: Vec<Option<u32>>,
}

/// The order that `steps` stand for, which lead past all returns.
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(super) fn order<M: Model>(
    model: &M,
    spans: &[Span],
    layout: &Layout,
    steps: &[Node],
    cancellation: &Cancellation<'_>,
) -> Result<Vec<u32>, Stopped> {
    let mut replay = Replay {
        model,
        spans,
        layout,
        state: model.initial(),
        open: Vec::new(),
        order: Vec::with_capacity(spans.len()),
    };
    let mut invoked = 0;
    let mut steps = steps.iter().peekable();
    for (round, &returning) in (0..).zip(&layout.returns) {
        while spans.get(invoked).is_some_and(|s| s.invoked < spans[returning as usize].returned) {
            cancellation.step()?;
            replay.invoke(invoked as u32);
            invoked += 1;
        }
        while let Some(step) = steps.next_if(|step| step.round == round) {
            cancellation.spend(1 + replay.open.len())?;
            replay.step(step.span);
        }
        let place = replay.open.iter().position(|open| open.span == returning);
        let gone = replay.open.swap_remove(place.expect("what returns was open"));
        assert!(gone.status != Status::Must, "the trail leads past a return without its operation");
    }
    cancellation.collect(replay.order.into_iter().flatten())
}

impl<M: Model> Replay<'_, M> {
    fn invoke(&mut self, span: u32) {
        if self.spans[span as usize].is_completed() {
            self.open.push(Open { span, status: Status::Must });
            let last = self.open.len() - 1;
            self.settle_silent(last);
        }
    }

    fn step(&mut self, span: u32) {
        if self.layout.blind[span as usize] {
            self.hide();
        }
        if let Some(own) = self.open.iter_mut().find(|open| open.span == span) {
            if let Status::Free(place) = own.status {
                self.order[place] = None;
            }
            own.status = Status::Used;
        }
        self.order.push(Some(span));
        let after = self.model.step(&self.state, self.spans[span as usize].call);
        self.state = after.expect("the model accepts every step of a trail");
        for place in 0..self.open.len() {
            self.settle_silent(place);
        }
    }

    /// Orders what may stand unseen before a blind write that is about to be ordered.
    fn hide(&mut self) {
        let legal = |open: &&mut Open| {
            open.status == Status::Must
                && !self.layout.blind[open.span as usize]
                && self.model.step(&self.state, self.spans[open.span as usize].call).is_some()
        };
        let returned = |open: &&mut Open| self.spans[open.span as usize].returned;
        if let Some(first) = self.open.iter_mut().filter(legal).min_by_key(returned) {
            first.status = Status::Free(self.order.len());
            self.order.push(Some(first.span));
        }
        for open in &mut self.open {
            if open.status == Status::Must && self.layout.blind[open.span as usize] {
                open.status = Status::Free(self.order.len());
                self.order.push(Some(open.span));
            }
        }
    }

    fn settle_silent(&mut self, place: usize) {
        let open = &mut self.open[place];
        let call = self.spans[open.span as usize].call;
        if open.status == Status::Must
            && self.model.step(&self.state, call).as_ref() == Some(&self.state)
        {
            open.status = Status::Free(self.order.len());
            self.order.push(Some(open.span));
        }
    }
}
