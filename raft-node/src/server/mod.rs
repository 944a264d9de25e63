//! Runs a [`Core`] on real sockets and a real disk until it is told to stop.
//!
//! One thread runs the sockets and, as a task among theirs, the [`engine`] that owns the core:
//! [`peers`] dials the other servers and sends, [`inbound`] accepts them and receives, [`clients`]
//! accepts clients and each [`connection`] speaks RESP, [`scrape`] serves metrics. Threads of their
//! own write to the disk: [`log_thread`] the log, [`snapshots`] the rest, so that syncs overlap with
//! everything else. Between tasks and threads are bounded queues. Clients that ask for more than
//! fits are not read from until it does ([`admission`]); messages between servers that do not fit
//! are dropped, which Raft lets get lost.
//!
//! A disk error ends the server with an error: it promises nothing that it could not keep. SIGTERM
//! and SIGINT end it cleanly: a leader hands over, requests under way are answered, records are
//! synced, within two seconds. Every wait here has a limit: connecting, writing, silence of a peer.
//! Leaves out TLS and authentication: run it where only friends can reach it.

mod admission;
mod clients;
mod commands;
mod connection;
mod engine;
mod frames;
mod inbound;
mod info;
mod journal;
mod log_thread;
mod metrics;
mod peers;
mod resp;
mod scrape;
mod settings;
mod slow;
mod snapshots;
mod writing;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use self::clients::Shared;
use self::engine::{Engine, Event, Parts};
use self::inbound::Inbound;
pub use self::journal::Level;
use self::journal::{Journal, View};
use self::log_thread::LogThread;
use self::metrics::Metrics;
use self::peers::{Dialing, Links};
pub use self::settings::Settings;
use self::slow::SlowLog;
use self::snapshots::Snapshots;
use crate::core::Core;
use crate::core::units::NodeId;
use crate::storage::{self, Directory, Opened, Storage, StorageError};

/// How long answers may take to reach their clients once the server stops.
const FAREWELL: Duration = Duration::from_millis(50);
/// What the disk's threads may have to say at once.
const DONE: usize = 256;
/// The least time for which another server's connection may be silent before it is given up.
const LEAST_SILENCE: Duration = Duration::from_millis(500);
/// Descriptors for everything but clients: files, listeners, the other servers.
const OTHER_DESCRIPTORS: u64 = 256;

/// Why a server did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
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
pub fn run(settings: &Settings) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the runtime"))?;
    let outcome = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

/// What the server listens to.
struct Listeners {
    peers: TcpListener,
    clients: TcpListener,
    metrics: Option<TcpListener>,
}

async fn serve(settings: &Settings) -> Result<(), NodeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("handle SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("handle SIGINT"))?;
    allow_descriptors(settings.max_clients);
    let listeners = Listeners::open(settings).await?;
    let node = Node::open(settings)?;
    // Everything that logs runs on this thread.
    let _logging = tracing::dispatcher::set_default(&node.journal.dispatch(settings.log));
    node.announce();
    let mut running = node.start(settings, listeners)?;

    let early = tokio::select! {
        outcome = &mut running.engine => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let outcome = match early {
        Some(outcome) => outcome,
        None => {
            info!("stopping");
            running.accepting.abort();
            running.stopping.send_replace(true);
            // If the engine is gone, that is what comes out of it.
            let _ = running.inbox.send(Event::Retire).await;
            running.engine.await
        }
    };
    tokio::time::sleep(FAREWELL).await;
    outcome.map_err(|_| NodeError::Broken)?.map_err(NodeError::Storage)
}

impl Listeners {
    async fn open(settings: &Settings) -> Result<Self, NodeError> {
        Ok(Self {
            peers: listen("peers", settings.peer_listen).await?,
            clients: listen("clients", settings.client_listen).await?,
            metrics: match settings.metrics_listen {
                Some(address) => Some(listen("scrapers", address).await?),
                None => None,
            },
        })
    }
}

/// A server that knows what it was and does nothing yet.
struct Node {
    own: NodeId,
    heartbeat: Duration,
    core: Core,
    storage: Storage,
    snapshots: storage::Snapshots<Directory>,
    began: Instant,
    journal: Journal,
    mutated: bool,
    found: Found,
}

/// What the data directory held.
#[derive(Clone, Copy)]
struct Found {
    torn_bytes: u64,
    boot: u64,
    entries: usize,
}

/// A server at work.
struct Running {
    engine: JoinHandle<Result<(), StorageError>>,
    accepting: JoinHandle<()>,
    stopping: watch::Sender<bool>,
    inbox: mpsc::Sender<Event>,
}

impl Node {
    fn open(settings: &Settings) -> Result<Self, NodeError> {
        let config = settings.config.clone();
        let addresses = Arc::new(settings.client_addresses.clone());
        let options =
            storage::Options { mutations: config.mutations, ..storage::Options::default() };
        let opened = Storage::open(Directory::new(&settings.data), config.id, options)?;
        let Opened { storage, snapshots, restored, torn_bytes } = opened;
        let (boot, entries) = (restored.boot.0, restored.entries.len());
        let (own, heartbeat) = (config.id, config.heartbeat);
        let mutated = !config.mutations.none();
        let began = Instant::now();
        let core = Core::new(config, restored, Duration::ZERO);
        let configuration = Arc::clone(core.configuration());
        let view = View { status: core.status(), configuration, addresses };
        let journal = Journal::new(view);
        let found = Found { torn_bytes, boot, entries };
        Ok(Self { own, heartbeat, core, storage, snapshots, began, journal, mutated, found })
    }

    /// Logs how it starts.
    fn announce(&self) {
        let Found { torn_bytes, boot, entries } = self.found;
        if torn_bytes > 0 {
            warn!("removed a torn tail of {torn_bytes} bytes, never acknowledged");
        }
        if self.mutated {
            warn!("runs with planted bugs: answers may be wrong");
        }
        info!("started, life {boot}, {entries} log entries");
    }

    fn start(self, settings: &Settings, listeners: Listeners) -> Result<Running, NodeError> {
        let Self { own, heartbeat, core, storage, snapshots, began, journal, mutated, .. } = self;
        let metrics = Arc::new(Metrics::default());
        let (done_sender, done) = mpsc::channel(DONE);
        let (inbox_sender, inbox) = mpsc::channel(engine::INBOX);
        let stopping = watch::Sender::new(false);
        let silence = (heartbeat * 5).max(LEAST_SILENCE);
        let own_address = settings.peers[&own];
        let dialing = Dialing { own, own_address, heartbeat, silence };
        let log =
            LogThread::start(storage, done_sender.clone()).map_err(system("start a thread"))?;
        let snapshots =
            Snapshots::start(snapshots, done_sender).map_err(system("start a thread"))?;
        let engine = Engine::new(Parts {
            core,
            log,
            snapshots,
            done,
            links: Links::new(dialing, settings.peers.clone()),
            inbox,
            slow: SlowLog::new(settings.slow_request),
            began,
            mutated,
            journal: journal.clone(),
            metrics: Arc::clone(&metrics),
        });
        let inbound =
            Inbound { own, silence, inbox: inbox_sender.clone(), metrics: Arc::clone(&metrics) };
        let clients = Shared::new(
            inbox_sender.clone(),
            journal,
            metrics,
            stopping.subscribe(),
            usize::try_from(settings.max_clients).unwrap_or(usize::MAX),
        );
        let engine = tokio::spawn(engine.run());
        let accepting = accept_all(listeners, inbound, clients);
        Ok(Running { engine, accepting, stopping, inbox: inbox_sender })
    }
}

/// Starts to accept everyone; says how to stop accepting clients.
fn accept_all(listeners: Listeners, inbound: Inbound, clients: Shared) -> JoinHandle<()> {
    tokio::spawn(inbound::accept(listeners.peers, Arc::new(inbound)));
    if let Some(listener) = listeners.metrics {
        let metrics = Arc::clone(&clients.metrics);
        tokio::spawn(scrape::accept(listener, metrics, clients.journal.clone()));
    }
    tokio::spawn(clients::accept(listeners.clients, Arc::new(clients)))
}

/// Raises the limit on open descriptors, as far as the system lets it, to what the clients may
/// need. If that is not enough, accepting pauses when they run out.
fn allow_descriptors(clients: u32) {
    let wanted = u64::from(clients) + OTHER_DESCRIPTORS;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}

async fn listen(whom: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| NodeError::Listen { whom, address, source })
}
