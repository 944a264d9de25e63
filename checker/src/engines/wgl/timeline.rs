//! The invocations and returns of the operations that are not ordered yet, in real-time order.
//!
//! A doubly linked list in vectors, after Lowe: taking an operation out and putting it back, in the
//! reverse order, are a few stores.

use super::{Cancellation, Span, Stopped};

/// An entry of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The operation was invoked.
    Invoked(u32),
    /// The operation came back.
    Returned(u32),
}

/// The list. Entry 0 is its head; span `i` is invoked at entry `2i + 1` and returns at `2i + 2`.
pub(super) struct Timeline {
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Timeline {
    pub(super) fn new(spans: &[Span], cancellation: &Cancellation<'_>) -> Result<Self, Stopped> {
        assert!(spans.len() < 1 << 30, "at most 2^30 operations on a key");
        let mut events: Vec<(u64, u32)> = Vec::with_capacity(2 * spans.len());
        for (number, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            events.push((span.invoked, Self::invocation(number)));
            if span.is_completed() {
                events.push((span.returned, Self::invocation(number) + 1));
            }
        }
        cancellation.sort(&mut events)?;
        let mut timeline =
            Self { next: vec![0; 2 * spans.len() + 1], previous: vec![0; 2 * spans.len() + 1] };
        let mut last = 0;
        for (_, entry) in events {
            cancellation.step()?;
            timeline.join(last, entry);
            last = entry;
        }
        timeline.join(last, 0);
        Ok(timeline)
    }

    /// Bytes that the list takes.
    pub(super) const fn bytes(&self) -> usize {
        4 * (self.next.capacity() + self.previous.capacity())
    }

    pub(super) const fn invocation(span: u32) -> u32 {
        2 * span + 1
    }

    pub(super) fn first(&self) -> u32 {
        self.next[0]
    }

    pub(super) fn after(&self, entry: u32) -> u32 {
        self.next[entry as usize]
    }

    /// What the entry is. The head is none: a search that still lacks a completed operation meets
    /// its return first.
    pub(super) fn event(&self, entry: u32) -> Event {
        assert_ne!(entry, 0, "ran past the last return");
        let span = (entry - 1) / 2;
        if entry % 2 == 1 { Event::Invoked(span) } else { Event::Returned(span) }
    }

    pub(super) fn lift(&mut self, span: u32, completed: bool) {
        let entry = Self::invocation(span);
        self.unlink(entry);
        if completed {
            self.unlink(entry + 1);
        }
    }

    pub(super) fn put_back(&mut self, span: u32, completed: bool) {
        let entry = Self::invocation(span);
        if completed {
            self.relink(entry + 1);
        }
        self.relink(entry);
    }

    fn join(&mut self, left: u32, right: u32) {
        self.next[left as usize] = right;
        self.previous[right as usize] = left;
    }

    fn unlink(&mut self, entry: u32) {
        self.join(self.previous[entry as usize], self.next[entry as usize]);
    }

    fn relink(&mut self, entry: u32) {
        self.next[self.previous[entry as usize] as usize] = entry;
        self.previous[self.next[entry as usize] as usize] = entry;
    }
}
