//! The reports of made-up runs, seen from outside.

mod checks;
mod clockless;
mod files;
mod groups;
mod page;
mod support;
