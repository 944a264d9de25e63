//! The reports of made-up runs, seen from outside.

mod files;
mod page;
mod support;
