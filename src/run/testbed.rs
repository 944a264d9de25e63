//! The system under test in its lab: hosts, programs, and whether they came up.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::lab::Host;
use partita_nemesis::{Cluster, Family, Lab, NodeProcess, Ports, Program, Schedule, Tier};
use partita_workloads::client::Dial;
use tokio::net::TcpSocket;
use tokio::time::sleep;

use super::clients::Endpoint;
use super::folder::RunFolder;
use super::last_words::{self, describe_end};
use super::observer::{Observer, Watched};
use super::plan::Plan;
use crate::exit::{Failure, OrFail};
use crate::targets::{Launch, Member, NodeAddress};

/// How long the nodes may take to come up and agree on a leader.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a node may take to end after SIGTERM before it is killed.
const STOP_LIMIT: Duration = Duration::from_millis(300);

/// Builds the lab and starts every node.
///
/// # Errors
///
/// [`Failure`] if the lab cannot be built or a program cannot be run.
pub fn build(
    plan: &Plan,
    schedule: &Schedule,
    folder: &RunFolder,
) -> Result<Arc<Cluster>, Failure> {
    let relays = plan.lab == Tier::Proxies;
    let lab = match plan.lab {
        Tier::Namespaces => Lab::build_with_seed(&plan.names(), plan.spec.seed),
        Tier::Proxies | Tier::Signals => {
            Lab::on_loopback(&plan.names(), plan.target.ports(), relays, plan.spec.seed)
        }
    };
    let lab = lab.or_harness(|| "the lab".to_owned())?;
    let ports = lab.ports(plan.target.ports());
    let partita = std::env::current_exe().or_harness(|| "finding this program".to_owned())?;
    let address = |host: &Host| NodeAddress {
        name: host.name().to_owned(),
        ip: host.address(),
        advertised: host.advertised(),
    };
    let addresses: Vec<NodeAddress> = lab.nodes().iter().map(address).collect();
    for NodeAddress { name, .. } in &addresses {
        let data = folder.node(name).join("data");
        std::fs::create_dir_all(&data).or_harness(|| data.display().to_string())?;
    }
    let mut cluster =
        Cluster::new(lab, |host| program(plan, folder, &partita, (&addresses, ports), host));
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
    Ok(Arc::new(cluster))
}

fn program(
    plan: &Plan,
    folder: &RunFolder,
    partita: &Path,
    (addresses, ports): (&[NodeAddress], Ports),
    host: &Host,
) -> Program {
    let home = folder.node(host.name());
    let index = addresses.iter().position(|node| node.name == host.name());
    let launch = Launch {
        partita,
        nodes: addresses,
        ports,
        data: &home.join("data"),
        seed: plan.spec.seed,
        mutations: &plan.spec.mutations,
        arguments: &plan.spec.node_arguments,
    };
    let mut words = plan
        .target
        .command_line(index.expect("a lab has the hosts it was asked for"), &launch)
        .into_iter();
    Program {
        path: words.next().unwrap_or_default().into(),
        arguments: words.map(Into::into).collect(),
        environment: Vec::new(),
        stdout: home.join("stdout.log"),
        stderr: home.join("stderr.log"),
        directory: home,
    }
}

/// Makes sockets on the clients' host.
pub fn clients_dial(cluster: &Arc<Cluster>) -> Dial {
    let cluster = Arc::clone(cluster);
    Arc::new(move || {
        let clients = cluster.lab().clients();
        let socket = clients.enter(TcpSocket::new_v4)??;
        if let Some(source) = clients.source() {
            // By this, relays know that it is a client who dials.
            socket.bind((source, 0).into())?;
        }
        Ok(socket)
    })
}

/// The port on which nodes listen for clients.
fn client_port(plan: &Plan, cluster: &Cluster) -> u16 {
    cluster.lab().ports(plan.target.ports()).clients
}

/// Where clients find the nodes.
pub fn endpoints(plan: &Plan, cluster: &Cluster) -> Vec<Endpoint> {
    let endpoint = |host: &Host| Endpoint {
        name: host.name().into(),
        address: SocketAddr::from((host.advertised(), client_port(plan, cluster))),
    };
    cluster.lab().nodes().iter().map(endpoint).collect()
}

/// The nodes as the observer reaches them: from inside their own hosts, past every partition.
pub fn watched(plan: &Plan, cluster: &Arc<Cluster>) -> Vec<Watched> {
    let port = client_port(plan, cluster);
    let watch = |(place, host): (usize, &Host)| {
        let cluster = Arc::clone(cluster);
        let dial: Dial = Arc::new(move || cluster.lab().nodes()[place].enter(TcpSocket::new_v4)?);
        Watched {
            name: host.name().to_owned(),
            dial,
            address: SocketAddr::from((host.address(), port)),
            advertised: host.advertised(),
        }
    };
    cluster.lab().nodes().iter().enumerate().map(watch).collect()
}

/// The nodes as an administrator's commands name them, in order.
pub fn members(plan: &Plan, cluster: &Cluster) -> Vec<Member> {
    let ports = cluster.lab().ports(plan.target.ports());
    let member = |(place, host): (usize, &Host)| Member {
        name: host.name().to_owned(),
        id: place + 1,
        address: host.address(),
        advertised: host.advertised(),
        client_port: ports.clients,
        peer_port: ports.peers,
    };
    cluster.lab().nodes().iter().enumerate().map(member).collect()
}

/// Waits until every node answers and one leads.
///
/// # Errors
///
/// [`Failure`] if a node ends or the limit passes, with the node's last words.
pub async fn await_ready(
    cluster: &Cluster,
    folder: &RunFolder,
    observer: &Observer,
) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    while !observer.is_settled() {
        if let Some(ended) = first_ended(cluster, folder) {
            return Err(Failure::harness(miette::miette!("{ended}")));
        }
        if begun.elapsed() > START_LIMIT {
            let nodes = cluster.nodes().iter().map(NodeProcess::node);
            let words: Vec<String> =
                nodes.map(|node| format!("{node}: {}", last_words(node, folder))).collect();
            return Err(Failure::harness(miette::miette!(
                "no leader that every node follows within {} s of the start: {}; {}",
                START_LIMIT.as_secs(),
                observer.describe(),
                words.join("; ")
            )));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The first node without a process, how it ended, and its last words.
pub fn first_ended(cluster: &Cluster, folder: &RunFolder) -> Option<String> {
    let ended = cluster.nodes().iter().find(|node| !node.is_running())?;
    Some(describe_end(ended.node(), ended.status(), folder))
}

/// What a node wrote last, and where.
fn last_words(node: &str, folder: &RunFolder) -> String {
    let (words, path) = last_words::of_node(node, folder);
    format!("{} (in {})", words.in_words(), path.display())
}

/// Ends every node: SIGTERM, then SIGKILL.
pub async fn shut_down(cluster: &Arc<Cluster>) {
    let mut stopping = tokio::task::JoinSet::new();
    for place in 0..cluster.nodes().len() {
        let cluster = Arc::clone(cluster);
        stopping.spawn(async move {
            // Fails if the node has ended already, which is what is wanted.
            let _ = cluster.nodes()[place].stop(STOP_LIMIT).await;
        });
    }
    stopping.join_all().await;
}
