//! The reports of made-up runs, seen from outside.

mod accessible;
mod browser;
mod checks;
mod chromium;
mod clockless;
mod comparisons;
mod files;
mod groups;
mod nodes;
mod page;
mod panels;
mod support;
mod traces;
mod why;
mod why_messages;
mod why_others;
