//! Draws a run's charts as inline SVG; pure functions from data to text.
//!
//! All charts over the run share one horizontal axis ([`Plot`]), so that a line down the page is
//! one moment. Nothing is told by colour alone: kinds differ in shape, dash or words too. Every
//! chart carries a title and a description in words for those who cannot see it.

pub(crate) mod axis;
pub(crate) mod faults;
pub(crate) mod latency;
pub(crate) mod lines;
pub(crate) mod links;
pub(crate) mod messages;
pub(crate) mod nearby;
pub(crate) mod nodes;
pub(crate) mod paint;
pub(crate) mod pen;
pub(crate) mod plot;
pub(crate) mod proof;
pub(crate) mod roles;
pub(crate) mod throughput;
pub(crate) mod written;

pub(crate) use paint::{MarkStyle, TextStyle};
pub(crate) use pen::SvgBuilder;
pub(crate) use plot::Plot;
