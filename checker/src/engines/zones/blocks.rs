//! Groups operations by the value they wrote or observed, and ties the groups that a
//! compare-and-set joins.

use super::evidence::{Evidence, Finding};
use super::{Slots, Span};
use crate::engines::{Cancellation, NEVER, Stopped};
use crate::history::{Action, Response};
use crate::model::{Call, Model, Register};
use crate::value::ValueId;

/// No block, no span.
pub(super) const NONE: u32 = u32::MAX;

/// The block of the initial value, whose writer is before the history.
pub(super) const INITIAL: u32 = 0;

/// The one writer of a value and all observers of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// The span that wrote the value; [`NONE`] for the initial value.
    pub writer: u32,
    /// A span that observed the value; [`NONE`] if none did.
    pub seen_by: u32,
    /// The block whose value a compare-and-set replaced by this one's.
    pub previous: u32,
    /// The block whose value a compare-and-set put in the place of this one's.
    pub next: u32,
    /// The least return of the writer and the readers; 0 where the writer is before the history.
    pub first_return: u64,
    /// The greatest invocation of the writer and the readers; 0 if there is none.
    pub last_invocation: u64,
    /// Whether the writer surely happened, as far as anything can have an order at all.
    pub kept: bool,
}

impl Block {
    const fn new(writer: u32, kept: bool) -> Self {
        Self {
            writer,
            seen_by: NONE,
            previous: NONE,
            next: NONE,
            first_return: NEVER,
            last_invocation: 0,
            kept,
        }
    }
}

/// Why there is no order.
pub(super) enum NoOrder {
    /// The engine does not apply.
    Inexact(&'static str),
    /// A violation.
    Violation(Box<Evidence>),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoOrder {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// Why a pass over the history ended early.
pub(super) enum EarlyEnd {
    Finding(Finding),
    Stopped,
}

impl From<Stopped> for EarlyEnd {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Finding> for EarlyEnd {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// A key's spans in blocks.
pub(super) struct Blocks<'a> {
    pub spans: &'a [Span],
    pub register: Register,
    pub cancellation: &'a Cancellation<'a>,
    slots: &'a Slots,
    /// By number; the initial value's is [`INITIAL`].
    pub blocks: Vec<Block>,
    /// For every span the block that it belongs to: that of the value it wrote, or, for one that
    /// writes nothing, observed. [`NONE`] for a span that may as well never have happened.
    pub home: Vec<u32>,
}

impl<'a> Blocks<'a> {
    pub(super) fn build(
        spans: &'a [Span],
        register: Register,
        slots: &'a mut Slots,
        cancellation: &'a Cancellation<'a>,
    ) -> Result<Self, NoOrder> {
        slots.clear();
        let (blocks, home) = number(spans, register, slots, cancellation)?;
        let mut this = Self { spans, register, cancellation, slots, blocks, home };
        let found = this.observe().and_then(|()| this.link()).and_then(|()| this.measure());
        match found {
            Ok(()) => Ok(this),
            Err(halt) => Err(this.refusal(halt)),
        }
    }

    /// What a pass that ended early comes to.
    pub(super) fn refusal(&self, halt: EarlyEnd) -> NoOrder {
        match halt {
            EarlyEnd::Finding(finding) => NoOrder::Violation(Box::new(self.evidence(&finding))),
            EarlyEnd::Stopped => NoOrder::Stopped,
        }
    }

    /// The block of `value`, if anybody wrote it.
    pub(super) fn block_of(&self, value: ValueId) -> Option<u32> {
        self.slots.get(value)
    }

    pub(super) fn block(&self, number: u32) -> &Block {
        &self.blocks[number as usize]
    }

    pub(super) fn span(&self, number: u32) -> &Span {
        &self.spans[number as usize]
    }

    pub(super) fn observed(&self, span: u32) -> Option<ValueId> {
        self.register.observed(self.span(span).call)
    }

    /// Whether the span wrote its block's value, rather than read it.
    pub(super) fn is_writer(&self, span: u32) -> bool {
        let home = self.home[span as usize];
        home != NONE && self.block(home).writer == span
    }

    /// Notes who observed what. A write of unknown outcome counts only if it was observed, by an
    /// operation that counts itself: walks back along compare-and-sets of unknown outcome.
    fn observe(&mut self) -> Result<(), EarlyEnd> {
        for (place, span) in (0_u32..).zip(self.spans) {
            self.cancellation.step()?;
            if !span.is_completed() {
                continue;
            }
            if let Action::Cas { expected, .. } = span.call.action
                && span.call.response == Some(Response::Mismatch(Some(expected)))
            {
                return Err(Finding::RefusedItsOwn { cas: place }.into());
            }
            let mut observer = place;
            while let Some(value) = self.observed(observer) {
                let Some(number) = self.block_of(value) else {
                    return Err(Finding::FromNowhere { observer }.into());
                };
                if self.home[observer as usize] == NONE {
                    self.home[observer as usize] = number;
                }
                let block = &mut self.blocks[number as usize];
                if block.seen_by == NONE {
                    block.seen_by = observer;
                }
                if block.kept {
                    break;
                }
                block.kept = true;
                observer = block.writer;
            }
        }
        Ok(())
    }

    /// Ties the block of every compare-and-set that counts to the block whose value it replaced.
    fn link(&mut self) -> Result<(), EarlyEnd> {
        for number in INITIAL + 1..self.blocks.len() as u32 {
            self.cancellation.step()?;
            let Block { writer, kept, .. } = *self.block(number);
            if !kept {
                self.home[writer as usize] = NONE;
                continue;
            }
            let Some(expected) = self.observed(writer) else { continue };
            let previous = self.block_of(expected).expect("observed values were looked up before");
            let next = self.block(previous).next;
            if next != NONE {
                let first = self.block(next).writer;
                return Err(Finding::SwappedTwice { first, second: writer }.into());
            }
            self.blocks[previous as usize].next = number;
            self.blocks[number as usize].previous = previous;
        }
        Ok(())
    }

    /// Computes when blocks begin and end, and that no value was observed before its writer was
    /// invoked.
    fn measure(&mut self) -> Result<(), EarlyEnd> {
        for (place, span) in (0_u32..).zip(self.spans) {
            self.cancellation.step()?;
            let home = self.home[place as usize];
            if home == NONE {
                continue;
            }
            let block = &mut self.blocks[home as usize];
            block.first_return = block.first_return.min(span.returned);
            block.last_invocation = block.last_invocation.max(span.invoked);
            let writer = block.writer;
            if writer != NONE && span.returned < self.span(writer).invoked {
                return Err(Finding::BeforeItsWriter { writer, observer: place }.into());
            }
        }
        Ok(())
    }
}

/// Gives every written value a block, after checking all that the engine requires.
fn number(
    spans: &[Span],
    register: Register,
    slots: &mut Slots,
    cancellation: &Cancellation<'_>,
) -> Result<(Vec<Block>, Vec<u32>), NoOrder> {
    let mut blocks = vec![Block { first_return: 0, ..Block::new(NONE, true) }];
    let mut home = vec![NONE; spans.len()];
    slots.set(register.initial_value(), INITIAL);
    for (place, span) in (0_u32..).zip(spans) {
        cancellation.step()?;
        check_applies(register, span.call).map_err(NoOrder::Inexact)?;
        let Some(value) = register.written(span.call) else { continue };
        match slots.get(value) {
            Some(INITIAL) => return Err(NoOrder::Inexact("the initial value was written again")),
            Some(_) => return Err(NoOrder::Inexact("a value was written twice")),
            None => {}
        }
        let number = blocks.len() as u32;
        slots.set(value, number);
        home[place as usize] = number;
        blocks.push(Block::new(place, span.is_completed()));
    }
    Ok((blocks, home))
}

fn check_applies(register: Register, call: Call) -> Result<(), &'static str> {
    match (call.action, call.response) {
        (Action::Delete, _) => Err("a delete"),
        (Action::Cas { .. }, Some(Response::Mismatch(None))) => {
            Err("a compare-and-set that does not say what it saw")
        }
        _ if register.knows(call) => Ok(()),
        _ => Err("a function that registers do not have"),
    }
}
