//! The lab of a test: its hosts, what runs on them, and the faults that a test injects by hand.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::entry::Setup;
use crate::clock::ClockError;
use crate::cluster::Cluster;
use crate::disk::DiskError;
use crate::fault::partition::Cut;
use crate::fault::{Fault, FaultKind, NamedLinks, Target};
use crate::lab::process::{NodeProcess, Program, StartError};
use crate::lab::{BuildError, Host, Lab, Link};
use crate::nemesis::manual::{Held, Manual};
use crate::record::FaultRecord;

/// How long to wait before dialling again.
const DIAL_STEP: Duration = Duration::from_millis(5);
/// How long one attempt to connect may take while a server is waited for.
const DIAL_LIMIT: Duration = Duration::from_millis(250);

/// Why a test's lab did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// It could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Clocks of the nodes' own.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The watch on the nodes' folders.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file or a folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A fault could not be injected, or not be healed.
    #[error("{fault}: {why}")]
    Fault {
        /// Which.
        fault: FaultKind,
        /// Why.
        why: String,
    },
}

/// The lab of a test: a host per node, one for clients, and a switch between them.
///
/// The hosts are `n1` and so on, or as the test's attribute names them, and `clients`. Everything
/// in it ends with the test.
///
/// Methods that take the name of a node panic if there is none of that name: the test is wrong then,
/// not what it tests.
#[derive(Debug)]
pub struct TestLab {
    // Never dropped: it ends with the process, and so do its namespaces.
    cluster: &'static Cluster,
    faults: &'static Manual,
    folder: PathBuf,
}

impl TestLab {
    pub(super) fn build(setup: &Setup, folder: &Path) -> Result<TestLab, TestError> {
        let folders: Vec<PathBuf> = setup.nodes.iter().map(|name| folder.join(name)).collect();
        for path in &folders {
            let made = fs::create_dir_all(path.join("data"));
            made.map_err(|source| TestError::File { path: path.clone(), source })?;
        }
        let mut cluster = Cluster::new(Lab::build(&setup.nodes)?, |host| {
            program(&Command::new("true"), &folder.join(host.name()))
        });
        if setup.has_clocks {
            cluster.give_clocks()?;
        }
        if setup.has_disks {
            cluster.watch_disks(|name| folder.join(name).join("data"))?;
        }
        let cluster: &Cluster = Box::leak(Box::new(cluster));
        let faults = Box::leak(Box::new(Manual::new(cluster)));
        Ok(TestLab { cluster, faults, folder: folder.to_owned() })
    }

    /// The host of a node, or of `clients`.
    pub fn host(&self, name: &str) -> &'static Host {
        let known = || format!("no host is called {name}: there are {}", self.names().join(", "));
        self.cluster.lab().host(name).unwrap_or_else(|| panic!("{}", known()))
    }

    /// The nodes' names, in order.
    pub fn names(&self) -> &'static [String] {
        self.cluster.names()
    }

    /// The process of a node, to pause, kill or wait for.
    pub fn node(&self, name: &str) -> &'static NodeProcess {
        self.host(name);
        self.cluster.node(name).unwrap_or_else(|| panic!("{name} is not a node"))
    }

    /// An empty folder for a node's data, which disk faults can break.
    pub fn folder(&self, node: &str) -> PathBuf {
        self.folder.join(self.node(node).node()).join("data")
    }

    /// Starts a program on a node's host; its process number. Of the command, the program, its
    /// arguments, its environment and its directory are used, which is the node's
    /// [folder](Self::folder) unless said otherwise. What it prints goes to files, see
    /// [`output`](Self::output).
    ///
    /// # Errors
    ///
    /// If it cannot be run, or something still runs on this node.
    pub fn start(&self, node: &str, command: &Command) -> Result<i32, TestError> {
        let process = self.node(node);
        process.set_program(program(command, &self.folder.join(node)));
        Ok(process.start()?)
    }

    /// All that the node's programs printed so far, standard output first.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn output(&self, node: &str) -> Result<String, TestError> {
        let folder = self.folder.join(self.node(node).node());
        let mut all = String::new();
        for path in [STDOUT, STDERR].map(|name| folder.join(name)) {
            match fs::read(&path) {
                Ok(bytes) => all.push_str(&String::from_utf8_lossy(&bytes)),
                // Nothing was started yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(TestError::File { path, source }),
            }
        }
        Ok(all)
    }

    /// Connects the clients' host to a port of a node. The connection belongs to that host for good;
    /// what is sent through it meets the faults of the links between the two.
    ///
    /// # Errors
    ///
    /// What the kernel says: `TimedOut` where nothing comes back within `limit`, `ConnectionRefused`
    /// where nothing listens.
    pub fn connect(&self, node: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
        self.connect_from(crate::lab::CLIENTS, node, port, limit)
    }

    /// [`connect`](Self::connect) from the host of another node.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_from(
        &self,
        from: &str,
        to: &str,
        port: u16,
        limit: Duration,
    ) -> io::Result<TcpStream> {
        let address = SocketAddr::from((self.host(to).address(), port));
        self.host(from).enter(|| TcpStream::connect_timeout(&address, limit))?
    }

    /// Waits until a port of a node takes connections from the clients' host.
    ///
    /// # Errors
    ///
    /// How the last attempt failed, if none succeeds within `limit`.
    pub fn wait_for(&self, node: &str, port: u16, limit: Duration) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            match self.connect(node, port, DIAL_LIMIT) {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() >= limit => return Err(error),
                Err(_) => thread::sleep(DIAL_STEP),
            }
        }
    }

    /// Cuts all links between the hosts of one group and those of another, in both directions, until
    /// the result is healed or dropped. The clients' host is `clients`. What is sent meanwhile is
    /// lost, without a word to the sender.
    ///
    /// # Errors
    ///
    /// If the groups share a host, or one is empty.
    pub fn partition<'n>(
        &self,
        one: impl IntoIterator<Item = &'n str>,
        other: impl IntoIterator<Item = &'n str>,
    ) -> Result<ActiveFault, TestError> {
        let other: Vec<&str> = other.into_iter().map(|name| self.host(name).name()).collect();
        let mut links = Vec::new();
        for from in one.into_iter().map(|name| self.host(name).name()) {
            links.extend(other.iter().flat_map(|to| [Link::new(from, *to), Link::new(*to, from)]));
        }
        let shared = links.iter().find(|link| link.from == link.to);
        if let Some(host) = shared.map(|link| &link.from) {
            let why = format!("{host} cannot be cut off from itself");
            return Err(TestError::Fault { fault: Cut::KIND, why });
        }
        if links.is_empty() {
            let why = "a group without hosts cannot be cut off".to_owned();
            return Err(TestError::Fault { fault: Cut::KIND, why });
        }
        self.fault(Cut { links: NamedLinks::new(links) }).inject()
    }

    /// A fault to inject, any of [`FAULTS`](crate::FAULTS) by its type: `lab.fault(Kill::default())`.
    ///
    /// Clock and disk faults need the attribute's `clocks` or `disks`. A test has no administrator
    /// and does not say which node leads: changes of the members are refused, and what is aimed at a
    /// leader strikes a random node.
    pub fn fault(&self, fault: impl Into<Fault>) -> Injection<'_> {
        let fault = fault.into();
        let target = fault.kind().description().victims.default_target().clone();
        Injection { lab: self, fault, target }
    }
}

/// The files that a node's programs write to.
pub(super) const STDOUT: &str = "stdout.log";
const STDERR: &str = "stderr.log";

/// What is to run, in the lab's own terms.
fn program(command: &Command, folder: &Path) -> Program {
    let environment = command.get_envs().filter_map(|(name, value)| {
        // What is taken away from the environment stays: nodes inherit that of the test.
        value.map(|value: &OsStr| (name.to_owned(), value.to_owned()))
    });
    Program {
        path: command.get_program().into(),
        arguments: command.get_args().map(OsStr::to_owned).collect(),
        environment: environment.collect(),
        directory: command.get_current_dir().map_or_else(|| folder.join("data"), Path::to_owned),
        user: None,
        stdout: folder.join(STDOUT),
        stderr: folder.join(STDERR),
    }
}

/// A fault that is not injected yet.
#[derive(Debug, Clone)]
#[must_use = "a fault that is not injected does nothing"]
pub struct Injection<'a> {
    lab: &'a TestLab,
    fault: Fault,
    target: Target,
}

impl Injection<'_> {
    /// Strikes these nodes. Unless said otherwise, the fault's own default holds.
    pub fn on<'n>(self, nodes: impl IntoIterator<Item = &'n str>) -> Self {
        let nodes = nodes.into_iter().map(str::to_owned).collect();
        Self { target: Target::Nodes(nodes), ..self }
    }

    /// Injects it, and returns once it is in force. It is healed when the result is.
    ///
    /// # Errors
    ///
    /// If its victims cannot be chosen, or it cannot be injected.
    pub fn inject(self) -> Result<ActiveFault, TestError> {
        let Injection { lab, fault, target } = self;
        let kind = fault.kind();
        let failed = |why: String| TestError::Fault { fault: kind, why };
        let victims = &kind.description().victims;
        if !victims.accept(&target) && target != *victims.default_target() {
            return Err(failed(format!("it cannot be aimed at {target}")));
        }
        let held = lab.faults.inject(fault, target).map_err(failed)?;
        Ok(ActiveFault { fault: kind, held: Some(held) })
    }
}

/// A fault in force. Dropping it heals it.
#[derive(Debug)]
#[must_use = "a fault is healed when this is dropped"]
pub struct ActiveFault {
    fault: FaultKind,
    held: Option<Held>,
}

impl ActiveFault {
    /// Heals it, and returns once that is done; what it was, and what it measurably did.
    ///
    /// # Errors
    ///
    /// If something went wrong; the error says what.
    pub fn heal(mut self) -> Result<FaultRecord, TestError> {
        let record = self.held.take().and_then(Held::heal);
        let fault = self.fault;
        let failed = |why: String| TestError::Fault { fault, why };
        let record = record.ok_or_else(|| failed("it ended without a record".to_owned()))?;
        match record.error {
            Some(why) => Err(failed(why)),
            None => Ok(record),
        }
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        if let Some(record) = self.held.take().and_then(Held::heal)
            && let Some(error) = record.error
        {
            // A test that unwinds already has its reason to fail.
            eprintln!("{} was not healed properly: {error}", self.fault);
        }
    }
}
