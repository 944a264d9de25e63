//! Writes log lines to standard error, each with a banner of where the server stands.
//!
//! The banner is text made when the line is written, from the state that the engine publishes after
//! each turn. A closed standard error is no reason to stop.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::{Banner, Status};

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// What needs a person.
    Warn,
    /// Changes of state: roles, leaders, connections, start and stop.
    Info,
    /// Each message between servers.
    Debug,
}

/// The log, and the server's published state. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    level: Level,
    status: Arc<Mutex<Status>>,
}

impl Journal {
    pub(super) fn new(level: Level, status: Status) -> Self {
        Self { level, status: Arc::new(Mutex::new(status)) }
    }

    /// Makes a new state known.
    pub(super) fn publish(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// The state last made known.
    pub(super) fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether each message is to be logged.
    pub(super) fn debugs(&self) -> bool {
        self.level >= Level::Debug
    }

    pub(super) fn warn(&self, line: &str) {
        write(self.status().banner, line);
    }

    pub(super) fn info(&self, line: &str) {
        self.info_at(self.status().banner, line);
    }

    /// An `info` line about a moment that may be past.
    pub(super) fn info_at(&self, banner: Banner, line: &str) {
        if self.level >= Level::Info {
            write(banner, line);
        }
    }

    pub(super) fn debug(&self, line: &str) {
        if self.debugs() {
            write(self.status().banner, line);
        }
    }
}

fn write(banner: Banner, line: &str) {
    // One write per line, so that lines of two threads do not mix.
    let text = format!("{banner} {line}\n");
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
