//! Sets the cluster up: hosts, programs, how they are reached, and whether they came up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::lab::Host;
use partita_nemesis::units::written;
use partita_nemesis::{Cluster, Family, Lab, LabBackend, NodeProcess, Schedule};
use partita_workloads::client::{BoxStream, Dial, Endpoint, Member};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client_programs;
use super::clock::RunClock;
use super::events::Events;
use super::exit_excerpt::{self, describe_end};
use super::folder::RunFolder;
use super::plan::Plan;
use super::poller::{InsideNode, Poller};
use super::preparation::HostSetup;
use crate::exit::{Failure, FailureContext};
use crate::targets::{Ports, When};

/// How long the nodes may take to come up and agree on a leader.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long nodes that follow one leader may take to apply what it has committed before clients begin all
/// the same.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(3);

/// How long a node may take to end after SIGTERM before it is killed.
const STOP_LIMIT: Duration = Duration::from_millis(300);

/// Builds the lab, prepares the nodes' hosts and starts every node; what the nodes' programs say of
/// their versions, in order.
///
/// # Errors
///
/// [`Failure`] if the lab cannot be built, a program cannot be run, or a step of the preparation fails.
pub async fn build(
    plan: &Plan,
    schedule: &Schedule,
    folder: &RunFolder,
) -> Result<(Arc<Cluster>, Vec<Option<String>>), Failure> {
    let wanted = plan.target.ports.numbers();
    let relays = plan.lab == LabBackend::Proxies;
    let lab = match plan.lab {
        LabBackend::Namespaces => Lab::build_with_seed(&plan.names(), plan.spec.seed),
        LabBackend::Proxies | LabBackend::Signals => {
            Lab::on_loopback(&plan.names(), &wanted, relays, plan.spec.seed)
        }
    };
    let lab = lab.or_harness(|| "the lab".to_owned())?;
    let ports = plan.target.ports.with_numbers(&lab.ports(&wanted));
    let grounds = HostSetup::new(plan, folder, &lab, ports)?;
    grounds.write_files()?;
    let versions = grounds.versions(lab.nodes()).await;
    grounds.prepare(lab.nodes(), When::BeforeStart).await?;
    let mut cluster = Cluster::new(lab, |host| grounds.program(host));
    cluster.add_sidecars(|host| grounds.sidecars(host));
    if let Some(command) = &plan.target.stop_command {
        cluster.stop_by(|host| grounds.once(command, host, "stop"));
    }
    // Both make some calls of the nodes slower: only where such a fault is planned.
    if schedule.has_any(Family::Clock) {
        cluster.give_clocks().or_harness(|| "clock faults".to_owned())?;
    }
    if schedule.has_any(Family::Disk) {
        cluster
            .watch_disks(|node| folder.node(node).join("data"))
            .or_harness(|| "watching the nodes' disks".to_owned())?;
    }
    for node in cluster.nodes() {
        node.start().or_harness(|| "starting the nodes".to_owned())?;
    }
    grounds.prepare(cluster.lab().nodes(), When::AfterStart).await?;
    Ok((Arc::new(cluster), versions))
}

/// Connects from the clients' host.
pub fn clients_dial(cluster: &Arc<Cluster>) -> Dial {
    let cluster = Arc::clone(cluster);
    dial(move || {
        let clients = cluster.lab().clients();
        let socket = clients.enter(TcpSocket::new_v4)??;
        if let Some(source) = clients.source() {
            // By this, relays know that it is a client who dials.
            socket.bind((source, 0).into())?;
        }
        Ok(socket)
    })
}

/// Connects by TCP from sockets that `make` makes. The network namespace of a socket is that of the
/// thread that made it, wherever it is connected from.
fn dial(make: impl Fn() -> io::Result<TcpSocket> + Send + Sync + 'static) -> Dial {
    Arc::new(move |to: Endpoint| {
        let socket = make();
        Box::pin(async move {
            let socket = socket?;
            socket.set_nodelay(true)?;
            Ok(Box::new(socket.connect(to.address).await?) as BoxStream)
        })
    })
}

/// The ports on which nodes listen.
pub(super) fn ports(plan: &Plan, cluster: &Cluster) -> Ports {
    let wanted = &plan.target.ports;
    wanted.with_numbers(&cluster.lab().ports(&wanted.numbers()))
}

/// Where clients find the nodes.
pub fn endpoints(plan: &Plan, cluster: &Cluster) -> Vec<Endpoint> {
    let port = ports(plan, cluster).client();
    let endpoint = |host: &Host| Endpoint {
        node: host.name().into(),
        address: SocketAddr::from((host.advertised(), port)),
    };
    cluster.lab().nodes().iter().map(endpoint).collect()
}

/// The nodes as they are reached from inside their own hosts.
pub fn inside_nodes(plan: &Plan, cluster: &Arc<Cluster>) -> Vec<InsideNode> {
    let port = ports(plan, cluster).client();
    let inside = |(place, host): (usize, &Host)| {
        let cluster = Arc::clone(cluster);
        let dial = dial(move || cluster.lab().nodes()[place].enter(TcpSocket::new_v4)?);
        let dial = plan.target.protocol.secured(dial);
        let address = SocketAddr::from((host.address(), port));
        let endpoint = Endpoint { node: host.name().into(), address };
        InsideNode { endpoint, dial, advertised: host.advertised() }
    };
    cluster.lab().nodes().iter().enumerate().map(inside).collect()
}

/// Starts polling the nodes from inside their own hosts, as [`Poller::start`] does.
pub fn poll(
    plan: &Plan,
    cluster: &Arc<Cluster>,
    folder: &RunFolder,
    clock: RunClock,
    events: &Events,
) -> (Poller, JoinSet<()>) {
    let nodes = client_programs::for_probes(plan, cluster, folder, inside_nodes(plan, cluster));
    Poller::start(plan.target.protocol.as_ref(), nodes, clock, events.clone())
}

/// The nodes as requests to administrators name them, in order.
pub fn members(plan: &Plan, cluster: &Cluster) -> Vec<Member> {
    let ports = ports(plan, cluster);
    let member = |(place, host): (usize, &Host)| Member {
        name: host.name().to_owned(),
        id: place + 1,
        address: host.address(),
        advertised: host.advertised(),
        ports: ports.by_name().clone(),
    };
    cluster.lab().nodes().iter().enumerate().map(member).collect()
}

/// Waits until every node answers and one leads.
///
/// # Errors
///
/// [`Failure`] if a node ends or the limit passes, with the node's last words.
pub async fn await_ready(
    plan: &Plan,
    cluster: &Cluster,
    folder: &RunFolder,
    poller: &Poller,
) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    let mut led_since = None;
    let limit = plan.target.start_limit.unwrap_or(START_LIMIT);
    while !poller.is_settled() {
        led_since = led_since.or(Some(tokio::time::Instant::now())).filter(|_| poller.is_led());
        if led_since.is_some_and(|since| since.elapsed() > CATCH_UP_LIMIT) {
            return Ok(());
        }
        if let Some(ended) = first_ended(cluster, folder) {
            return Err(Failure::harness(miette::miette!("{ended}")));
        }
        if begun.elapsed() > limit {
            let nodes = cluster.nodes().iter().map(NodeProcess::node);
            let words: Vec<String> =
                nodes.map(|node| format!("{node}: {}", exit_excerpt(node, folder))).collect();
            return Err(Failure::harness(miette::miette!(
                "no leader that every node follows within {} of the start: {}; {}",
                written(limit),
                poller.describe(),
                words.join("; ")
            )));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The first node without a process, how it ended, and its last words; or the first sidecar.
pub fn first_ended(cluster: &Cluster, folder: &RunFolder) -> Option<String> {
    match cluster.nodes().iter().find(|node| !node.is_running()) {
        Some(ended) => Some(describe_end(ended.node(), ended.status(), folder)),
        None => ended_sidecars(cluster, folder).into_iter().next(),
    }
}

/// A sentence on every sidecar that has ended on its own.
fn ended_sidecars(cluster: &Cluster, folder: &RunFolder) -> Vec<String> {
    let of_node = |node: &NodeProcess| {
        let sentence = |(name, status): (&str, _)| {
            let (node, how) = (node.node(), exit_excerpt::status_in_words(Some(status)));
            let path = folder.node(node).join(format!("{name}.stderr.log"));
            format!("{name} of {node} ended on its own ({how}), see {}", path.display())
        };
        node.ended_sidecars().into_iter().map(sentence).collect::<Vec<_>>()
    };
    cluster.nodes().iter().flat_map(of_node).collect()
}

/// What a node wrote last, and where.
fn exit_excerpt(node: &str, folder: &RunFolder) -> String {
    let (words, path) = exit_excerpt::of_node(node, folder, [0; 2]);
    format!("{} (in {})", words.in_words(), path.display())
}

/// Ends every node: SIGTERM, then SIGKILL.
pub async fn shut_down(cluster: &Arc<Cluster>) {
    let mut stopping = JoinSet::new();
    for place in 0..cluster.nodes().len() {
        let cluster = Arc::clone(cluster);
        stopping.spawn(async move {
            // Fails if the node has ended already, which is what is wanted.
            let _ = cluster.nodes()[place].shut_down(STOP_LIMIT).await;
        });
    }
    stopping.join_all().await;
}
