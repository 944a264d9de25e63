//! Runs a [`Core`] on real sockets and a real disk until it is told to stop.
//!
//! One thread, the [`engine`], owns the core and the storage: it takes all that has arrived, steps
//! the core, makes its records durable in one sync, and only then hands out messages and answers.
//! The other thread runs the sockets: [`peers`] dials the other servers and sends, [`inbound`]
//! accepts them and receives, [`clients`] speaks RESP2. Between the two are bounded queues; what
//! does not fit is dropped (messages, which Raft lets get lost) or refused (requests).
//!
//! A disk error ends the server with an error: it promises nothing that it could not keep. SIGTERM
//! and SIGINT end it cleanly. Every wait here has a limit: connecting, writing, silence of a peer.
//! Leaves out TLS and authentication: run it where only friends can reach it.

mod clients;
mod commands;
mod engine;
mod frames;
mod inbound;
mod journal;
mod peers;
mod resp;
mod writing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use self::engine::Engine;
use self::journal::Journal;
pub use self::journal::Level;
use crate::arguments::{Arguments, ArgumentsError};
use crate::core::Core;
use crate::storage::{self, Directory, Opened, Storage, StorageError};

/// How long answers may take to reach their clients once the server stops.
const FAREWELL: Duration = Duration::from_millis(50);

/// Why a server did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The arguments contradict each other.
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    /// The data directory cannot be used, or the disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A listening address cannot be had.
    #[error("listening to {whom} on {address}: {source}")]
    Listen {
        /// Who was to connect there.
        whom: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused something else.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The core broke one of its own invariants; the message is on standard error.
    #[error("the server stopped on a broken invariant")]
    Broken,
}

fn system(action: &'static str) -> impl FnOnce(io::Error) -> NodeError {
    move |source| NodeError::System { action, source }
}

/// Runs one server until SIGTERM or SIGINT. Blocks the thread, and logs to standard error.
///
/// # Errors
///
/// When the server cannot start, or its disk fails while it runs.
pub fn run(arguments: &Arguments) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the runtime"))?;
    let outcome = runtime.block_on(serve(arguments));
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

async fn serve(arguments: &Arguments) -> Result<(), NodeError> {
    let config = arguments.config()?;
    let client_addresses = arguments.clients_reach()?;
    let own = arguments.peers.iter().find(|(id, _)| *id == config.id);
    let own_address = own.map(|(_, address)| *address).expect("a member, as was checked");
    let mut terminate = signal(SignalKind::terminate()).map_err(system("handle SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("handle SIGINT"))?;
    let peer_listener = listen("peers", own_address).await?;
    let client_listener = listen("clients", arguments.listen).await?;

    let options = storage::Options { mutations: config.mutations, ..storage::Options::default() };
    let opened = Storage::open(Directory::new(&arguments.data), config.id, options)?;
    let Opened { storage, restored, torn_bytes, .. } = opened;
    let (boot, entries) = (restored.boot.0, restored.entries.len());
    let began = Instant::now();
    let silence = (config.heartbeat * 5).max(Duration::from_millis(500));
    let mutated = !config.mutations.none();
    let core = Core::new(config.clone(), restored, Duration::ZERO);
    let journal = Journal::new(arguments.log_level, core.status());
    if torn_bytes > 0 {
        journal.warn(&format!("removed a torn tail of {torn_bytes} bytes, never acknowledged"));
    }
    if mutated {
        journal.warn("runs with planted bugs: answers may be wrong");
    }
    journal.info(&format!("started, life {boot}, {entries} log entries"));

    let members = arguments.peers.iter().copied().filter(|(id, _)| *id != config.id);
    let links = peers::dial(members, config.id, config.heartbeat, silence, &journal);
    let stop = Arc::new(AtomicBool::new(false));
    let (engine, inbox) = Engine::new(core, storage, links, began, journal.clone());
    let (done, ended) = oneshot::channel();
    let told = Arc::clone(&stop);
    let body = move || {
        // Dropped on a panic too, which the other end then sees.
        let _ = done.send(engine.run(&told));
    };
    thread::Builder::new().name("raft".to_owned()).spawn(body).map_err(system("start a thread"))?;

    let inbound = inbound::Inbound { config, silence, inbox: inbox.clone() };
    tokio::spawn(inbound::accept(peer_listener, Arc::new(inbound), journal.clone()));
    let shared = clients::Shared::new(inbox, client_addresses, journal.clone());
    tokio::spawn(clients::accept(client_listener, Arc::new(shared)));

    let mut ended = ended;
    let early = tokio::select! {
        outcome = &mut ended => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    if early.is_none() {
        journal.info("stopping");
        stop.store(true, Ordering::Relaxed);
    }
    let outcome = match early {
        Some(outcome) => outcome,
        None => ended.await,
    };
    tokio::time::sleep(FAREWELL).await;
    outcome.map_err(|_| NodeError::Broken)?.map_err(NodeError::Storage)
}

async fn listen(whom: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| NodeError::Listen { whom, address, source })
}
