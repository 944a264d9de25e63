//! What a server is told before it starts: plain data, whatever it was read from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::journal::Level;
use crate::core::Config;
use crate::core::units::NodeId;

/// How one server is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What its core is told.
    pub config: Config,
    /// Where it keeps its log; created if missing.
    pub data: PathBuf,
    /// The servers that it knows of, and where others reach them. This server is among them.
    pub peers: BTreeMap<NodeId, SocketAddr>,
    /// Where it listens to the other servers.
    pub peer_listen: SocketAddr,
    /// Where it listens to clients.
    pub client_listen: SocketAddr,
    /// Where clients reach each server, as far as known. This server is among them.
    pub client_addresses: BTreeMap<NodeId, SocketAddr>,
    /// Where it serves metrics over HTTP, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Clients' connections at once.
    pub max_clients: u32,
    /// How long a request may take before it is logged as slow.
    pub slow_request: Duration,
    /// How much to log.
    pub log: Level,
}
