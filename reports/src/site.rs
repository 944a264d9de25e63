//! The pages of a site of runs: lists, two runs side by side, trends, a run that is going on.
//!
//! Everything here is a pure function from data to text; `partita serve` reads folders and speaks HTTP.
//! Names of folders and all that stands in them are foreign: texts are made visible and bounded when an
//! [`Entry`] is made of them, names are percent-encoded in links, and the templates escape the rest.

mod entry;
mod filter;
mod links;
mod list;
mod pages;
mod trends;

pub use entry::{Entry, State};
pub use filter::{Filter, Wanted};
pub use links::encoded;
pub use list::{Campaign, ROWS_A_PAGE, list_page};
pub use pages::{FileRow, compare_page, files_page, live_page, message_page, run_page};
pub use trends::trends_page;

/// The stylesheet of all pages of the site.
pub const STYLE: &str =
    concat!(include_str!("../templates/report.css"), include_str!("../templates/site/site.css"));

/// The script of the page of a run that is going on.
pub const LIVE_SCRIPT: &str = include_str!("../templates/site/live.js");

/// What the site's own pages may load and run: their stylesheet, their script, their events.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[cfg(test)]
mod tests;
