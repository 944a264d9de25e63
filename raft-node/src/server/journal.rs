//! Writes log lines to standard error, each with a banner of where the server stands.
//!
//! The banner is text made when the line is written, from the state that the engine publishes after
//! each turn. A closed standard error is no reason to stop.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::peers::client_address;
use crate::core::membership::Configuration;
use crate::core::units::NodeId;
use crate::core::{Banner, Status};

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// What needs a person.
    Warn,
    /// Changes of state: roles, leaders, members, connections, start and stop; slow requests.
    Info,
    /// Each message between servers.
    Debug,
}

/// What the server last made known of itself.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) status: Status,
    pub(super) configuration: Arc<Configuration>,
    /// Where clients reach the servers, as the command line has it.
    pub(super) addresses: Arc<BTreeMap<NodeId, SocketAddr>>,
}

impl View {
    /// Where clients reach a server, if anyone said so.
    pub(super) fn client_address(&self, id: NodeId) -> Option<SocketAddr> {
        let told = self.configuration.addresses.get(&id).and_then(|words| client_address(words));
        self.addresses.get(&id).copied().or(told)
    }

    /// Where clients reach the leader, if both are known.
    pub(super) fn leader_address(&self) -> Option<SocketAddr> {
        self.client_address(self.status.leader?)
    }
}

/// The log, and the server's published state. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    level: Level,
    view: Arc<Mutex<View>>,
}

impl Journal {
    pub(super) fn new(level: Level, view: View) -> Self {
        Self { level, view: Arc::new(Mutex::new(view)) }
    }

    /// Makes a new state known.
    pub(super) fn publish(&self, status: Status) {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).status = status;
    }

    /// Makes new members known.
    pub(super) fn publish_members(&self, configuration: Arc<Configuration>) {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).configuration = configuration;
    }

    /// The state last made known.
    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn banner(&self) -> Banner {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).status.banner
    }

    /// Whether each message is to be logged.
    pub(super) fn debugs(&self) -> bool {
        self.level >= Level::Debug
    }

    pub(super) fn warn(&self, line: &str) {
        write(self.banner(), line);
    }

    pub(super) fn info(&self, line: &str) {
        self.info_at(self.banner(), line);
    }

    /// An `info` line about a moment that may be past.
    pub(super) fn info_at(&self, banner: Banner, line: &str) {
        if self.level >= Level::Info {
            write(banner, line);
        }
    }

    pub(super) fn debug(&self, line: &str) {
        if self.debugs() {
            write(self.banner(), line);
        }
    }
}

fn write(banner: Banner, line: &str) {
    // One write per line, so that lines of two threads do not mix.
    let text = format!("{banner} {line}\n");
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
