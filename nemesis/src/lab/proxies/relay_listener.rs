//! Accepts for a node on one port, as long as the node does so itself.
//!
//! A node that is down refuses, and a client that is refused knows that nothing happened. So the
//! relay stops listening when it finds that the node does not, and begins again when the node does.
//! Behind a blocked link the difference cannot be seen: the relay then listens in any case.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::connection::serve;
use super::dialler::{self, Dialler};
use super::{Shared, abort, lock};
use crate::lab::fabric::Port;

/// How often a node that does not listen is looked at.
const LOOK_STEP: Duration = Duration::from_millis(10);
/// How long the kernel may refuse to let a relay listen, or a dialler may be unknown.
const LIMIT: Duration = Duration::from_secs(1);
/// How long a node may take to accept a connection before it counts as silent.
const KNOCK_LIMIT: Duration = Duration::from_millis(200);
/// How long to wait after the kernel refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// One port of a node, and the relay before it.
#[derive(Debug)]
pub(super) struct RelayListener {
    pub(super) shared: Arc<Shared>,
    /// The node.
    pub(super) node: Port,
    /// Where the relay listens.
    relay: SocketAddrV4,
    /// Where the node does.
    pub(super) target: SocketAddrV4,
    /// Whether clients dial it, and not the other nodes.
    serves_clients: bool,
    /// Says that the node may no longer listen.
    suspicion: Notify,
}

impl RelayListener {
    pub(super) fn new(
        shared: Arc<Shared>,
        node: Port,
        relay: SocketAddrV4,
        target: SocketAddrV4,
        serves_clients: bool,
    ) -> RelayListener {
        RelayListener { shared, node, relay, target, serves_clients, suspicion: Notify::new() }
    }

    /// Asks to check whether the node still listens: it has ended or refused a connection, or a dialler
    /// was not connected to it.
    pub(super) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Whether connections should be accepted.
    async fn shall_listen(&self) -> bool {
        self.is_shut() || self.node_listens().await
    }

    /// Whether the node listens, found out by dialling it. One that is stopped does: it is silent.
    async fn node_listens(&self) -> bool {
        let dialled = timeout(KNOCK_LIMIT, TcpStream::connect(SocketAddr::from(self.target))).await;
        !matches!(dialled, Ok(Err(_)))
    }

    /// Whether a link to or from a possible dialler is blocked.
    fn is_shut(&self) -> bool {
        let clients = self.shared.clients_port();
        let diallers = if self.serves_clients { clients..clients + 1 } else { 0..clients };
        let mut core = lock(&self.shared.core);
        let streams = &mut core.streams;
        let mut others = diallers.filter(|other| *other != self.node);
        others
            .any(|other| streams.is_shut((other, self.node)) || streams.is_shut((self.node, other)))
    }

    /// Serves for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut refused_since = None;
        loop {
            self.await_reason().await;
            match TcpListener::bind(SocketAddr::from(self.relay)).await {
                Ok(listener) => {
                    refused_since = None;
                    debug!(relay = %self.relay, node = %self.target, "a relay listens");
                    self.accept_on(&listener).await;
                    debug!(relay = %self.relay, "a relay listens no more: its node does not");
                }
                Err(error) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > LIMIT {
                        let what = format!("listening on {}: {error}", self.relay);
                        debug!("{what}");
                        lock(&self.shared.state).failure.get_or_insert(what);
                    }
                    sleep(LOOK_STEP).await;
                }
            }
        }
    }

    async fn await_reason(&self) {
        let mut changes = self.shared.changes.subscribe();
        while !self.shall_listen().await {
            // Once policies are never changed again, time is all there is to wait for.
            let _ = timeout(LOOK_STEP, changes.changed()).await;
        }
    }

    /// Accepts until there is no reason to.
    async fn accept_on(self: &Arc<Self>, listener: &TcpListener) {
        let mut changes = self.shared.changes.subscribe();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, SocketAddr::V4(from))) => {
                        tokio::spawn(Arc::clone(self).take(stream, from));
                    }
                    Ok((_, SocketAddr::V6(_))) => {}
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                () = self.suspicion.notified() => {
                    if !self.shall_listen().await {
                        return;
                    }
                }
                Ok(()) = changes.changed() => {
                    if !self.shall_listen().await {
                        return;
                    }
                }
            }
        }
    }

    /// Serves one connection, once it is known whose it is.
    async fn take(self: Arc<Self>, stream: TcpStream, from: SocketAddrV4) {
        let Some(dialler) = self.recognise(from).await else {
            debug!(relay = %self.relay, %from, "reset: it cannot be told who dialled");
            // It was not taken to the node, which would have shown whether that listens.
            self.suspect();
            abort(&stream);
            return;
        };
        serve(self, dialler, stream).await;
    }

    /// Who dialled from there. A process that is only just being started gets a moment to be known.
    async fn recognise(&self, from: SocketAddrV4) -> Option<Port> {
        if *from.ip() == self.shared.clients {
            return Some(self.shared.clients_port());
        }
        let begun = Instant::now();
        loop {
            let (shared, relay) = (Arc::clone(&self.shared), self.relay);
            let find = move || dialler::find(from, relay, &shared.occupants);
            // Fails only when the lab ends.
            match spawn_blocking(find).await.unwrap_or(Dialler::Gone) {
                Dialler::Host(host) => return Some(host),
                Dialler::Gone => return None,
                Dialler::Stranger if begun.elapsed() > LIMIT => {
                    lock(&self.shared.state).strangers += 1;
                    return None;
                }
                Dialler::Stranger => sleep(LOOK_STEP).await,
            }
        }
    }
}
