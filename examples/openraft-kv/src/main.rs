//! A replicated key/value store of openraft: what an author of a Raft library writes to have it tested.
//!
//!     openraft-kv --id 1 --data FOLDER --clients ADDRESS --peers ADDRESS --node 1=ADDRESS --node 2=ADDRESS …

mod journal;
mod log;
mod machine;
mod network;
mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use openraft::{BasicNode, Raft, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

openraft::declare_raft_types!(
    /// What this store has openraft replicate.
    pub Config:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
);

/// A write: what goes through the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// The key that is written.
    pub key: String,
    /// What it is to hold.
    pub value: String,
    /// Nothing is written unless the key holds this.
    pub only_if: Option<String>,
}

/// What a write did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it was written.
    pub done: bool,
    /// What the key held before.
    pub saw: Option<String>,
}

struct Options {
    id: u64,
    data: PathBuf,
    clients: String,
    peers: String,
    nodes: BTreeMap<u64, BasicNode>,
    /// A snapshot is made when the log has grown by so many entries.
    snapshot_every: u64,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut nodes = BTreeMap::new();
    let mut given = BTreeMap::new();
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} needs a value"))?;
        if name == "--node" {
            let (id, address) = value.split_once('=').ok_or("--node is ID=ADDRESS")?;
            nodes.insert(id.parse()?, BasicNode::new(address));
        } else {
            given.insert(name, value);
        }
    }
    let mut take = |name: &str| given.remove(name).ok_or(format!("{name} is missing"));
    let (id, data, clients, peers) =
        (take("--id")?, take("--data")?, take("--clients")?, take("--peers")?);
    let snapshot_every = take("--snapshot-every").unwrap_or("1000".into());
    Ok(Options {
        id: id.parse()?,
        data: data.into(),
        clients,
        peers,
        nodes,
        snapshot_every: snapshot_every.parse()?,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let config = openraft::Config {
        heartbeat_interval: 100,
        election_timeout_min: 500,
        election_timeout_max: 1000,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
        max_in_snapshot_log_to_keep: options.snapshot_every / 2,
        ..openraft::Config::default()
    };
    std::fs::create_dir_all(&options.data)?;
    let log = log::Log::open(&options.data.join("journal"))?;
    let started = log.term_and_last_index();
    let machine = machine::Machine::open(&options.data.join("snapshot"))?;
    let config = Arc::new(config.validate()?);
    let raft = Raft::new(options.id, config, network::Peers, log, machine.clone()).await?;
    // All nodes begin with the same members, as openraft allows. A node that has begun before keeps what it has.
    if !raft.is_initialized().await? {
        raft.initialize(options.nodes).await?;
    }
    let node =
        server::Node { id: options.id, raft: raft.clone(), machine, started, passes_on: false };
    tokio::spawn(server::serve(TcpListener::bind(&options.peers).await?, node.clone()));
    let node = server::Node { passes_on: true, ..node };
    tokio::spawn(server::serve(TcpListener::bind(&options.clients).await?, node));
    // A node whose storage failed ends: what its memory holds may be more than what its disk does.
    let mut metrics = raft.metrics();
    loop {
        metrics.borrow_and_update().running_state.clone()?;
        metrics.changed().await?;
    }
}
