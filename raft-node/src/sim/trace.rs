//! Keeps the trace of a run: always a running hash of everything that happened, and, when asked,
//! the lines.
//!
//! The hash costs a few multiplications an event, so that every run has one and two runs of one
//! seed can be compared; lines are made only for a run that is to be read.

use std::fmt::{self, Write};
use std::hash::Hasher;

use super::invariants::Mix;
use super::moment::Moment;

/// The trace of one run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    mix: Mix,
    lines: Option<String>,
}

impl Trace {
    pub(super) fn new(with_lines: bool) -> Self {
        Self { mix: Mix::default(), lines: with_lines.then(String::new) }
    }

    /// Adds numbers to the hash.
    pub(super) fn mix(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.mix.write_u64(*number);
        }
    }

    /// Whether lines are wanted, which cost time to make.
    pub(super) fn wants_lines(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line, if lines are wanted.
    pub(super) fn line(&mut self, at: Moment, text: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            writeln!(lines, "{at} {text}").expect("memory takes every line");
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.mix.finish()
    }

    pub(super) fn into_lines(self) -> Option<String> {
        self.lines
    }
}
