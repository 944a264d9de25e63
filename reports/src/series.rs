//! Sums a history up over time, so that a chart's size does not grow with the history's.

pub(crate) mod buckets;
pub(crate) mod latency;
pub(crate) mod throughput;
pub(crate) mod windows;
pub(crate) mod written;

pub(crate) use buckets::Buckets;
pub(crate) use windows::Windows;
