//! Turns numbers, times, values and operations into the words that every report and the terminal use.

pub mod fault;
pub mod number;
pub mod operation;
pub(crate) mod unit;
pub mod visible;
