//! Turns numbers, times, values and operations into the words that every report uses.

pub(crate) mod number;
pub(crate) mod operation;
pub(crate) mod visible;
