//! `partita serve`: a folder of runs as a site.
//!
//! Files are the truth: an index in memory is kept current by looking at the folder when somebody asks, and
//! nothing is ever written. What is asked for ([`route`]), whether it may be ([`access`]) and what is
//! answered ([`answer`], with the pages of [`partita_reports::site`]) are decided without input and
//! output; [`files`] opens what lies below the folder, following no symbolic link, and `http` speaks to
//! clients, of whom none can hold more than a bounded amount of memory, for a bounded time.

pub mod access;
pub mod answer;
mod body;
mod compared;
mod events;
pub mod files;
mod http;
pub mod index;
pub mod route;

pub use self::http::{Comparer, Settings, serve};
