//! What is done on the nodes' hosts before the first node is started, and what is started there.
//!
//! The steps of a description are run one after the other, on the nodes' own hosts. What they print is
//! kept in the nodes' folders, `prepare.log`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use partita_nemesis::lab::Host;
use partita_nemesis::lab::account::{Account, RunAs};
use partita_nemesis::lab::process::once;
use partita_nemesis::units::written;
use partita_nemesis::{Lab, Program, Sidecar};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::exit_excerpt::status_in_words;
use super::folder::RunFolder;
use super::plan::Plan;
use crate::exit::{Failure, FailureContext};
use crate::targets::{Command, Launch, Launched, NodeAddress, Ports, Step, When, Words};

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// Time between two attempts at a step that has to wait for the nodes.
const PAUSE: Duration = Duration::from_millis(200);

/// How much of a step's output is told when it fails, in bytes.
const TOLD: usize = 400;

/// The file of a node's folder that holds what steps print.
const PREPARE: &str = "prepare.log";

/// What programs on the hosts of one run are made of.
pub struct HostSetup<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    partita: PathBuf,
    addresses: Vec<NodeAddress>,
    ports: Ports,
    /// As whom programs run, if not as this one's user.
    account: Option<Account>,
}

impl<'a> HostSetup<'a> {
    /// Of a lab in which nodes listen on these ports. Makes the nodes' folders.
    ///
    /// # Errors
    ///
    /// [`Failure`] if they cannot be made.
    pub fn new(
        plan: &'a Plan,
        folder: &'a RunFolder,
        lab: &Lab,
        ports: Ports,
    ) -> Result<Self, Failure> {
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
        let account = plan.target.account().or_usage(|| "the target".to_owned())?;
        Ok(Self { plan, folder, partita, addresses, ports, account })
    }

    /// Writes the description's files for every node.
    ///
    /// # Errors
    ///
    /// [`Failure`] if one cannot be written.
    pub fn write_files(&self) -> Result<(), Failure> {
        for (index, NodeAddress { name, .. }) in self.addresses.iter().enumerate() {
            let files = self.with_launch(name, |launch| self.plan.target.files_on(index, launch));
            for (path, text) in files {
                write(Path::new(&path), &text).or_harness(|| path.clone())?;
            }
        }
        Ok(())
    }

    /// The first line of what each node's program says of its version, if it does.
    pub async fn versions(&self, hosts: &[Host]) -> Vec<Option<String>> {
        let mut versions = Vec::new();
        for host in hosts {
            let Some(command) = &self.plan.target.version_command else {
                versions.push(None);
                continue;
            };
            let program = self.once(command, host, "version");
            let (output, path) = (program.stdout.clone(), program.path.clone());
            if let Err(problem) = run(host, program, VERSION_LIMIT).await {
                info!(node = host.name(), program = %path.display(), "no version: {problem}");
            }
            let text = std::fs::read_to_string(output).unwrap_or_default();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            versions.push(lines.next().map(str::to_owned));
        }
        versions
    }

    /// Runs the steps that are due `when`, in order, each on its nodes in order.
    ///
    /// # Errors
    ///
    /// [`Failure`] if one does not succeed within its limit, with what it printed last.
    pub async fn prepare(&self, hosts: &[Host], when: When) -> Result<(), Failure> {
        for step in self.plan.target.prepare.iter().filter(|step| step.when == when) {
            for host in hosts.iter().filter(|host| step.is_on(host.name())) {
                self.take(step, host).await.map_err(|problem| {
                    let name = host.name();
                    Failure::harness(miette::miette!("preparing {name}: {problem}"))
                })?;
            }
        }
        Ok(())
    }

    async fn take(&self, step: &Step, host: &Host) -> Result<(), String> {
        let end = Instant::now() + step.limit;
        loop {
            let program = self.once(&step.command, host, "prepare");
            let words = in_words(&program);
            if words.is_empty() {
                return Ok(());
            }
            info!(node = host.name(), "preparing: {words}");
            let problem = match run(host, program, end - Instant::now()).await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            };
            if step.when == When::BeforeStart || Instant::now() + PAUSE >= end {
                let path = self.folder.node(host.name()).join(PREPARE);
                let printed = last_printed(&path);
                return Err(format!("`{words}` {problem}: {printed} (in {})", path.display()));
            }
            sleep(PAUSE).await;
        }
    }

    /// The node's own program.
    pub fn program(&self, host: &Host) -> Program {
        let launched = self
            .with_launch(host.name(), |launch| self.plan.target.program(self.place(host), launch));
        self.made(host, launched, ["stdout.log", "stderr.log"])
    }

    /// What runs beside it.
    pub fn sidecars(&self, host: &Host) -> Vec<Sidecar> {
        self.with_launch(host.name(), |launch| {
            let sidecars = self.plan.target.sidecars_on(self.place(host), launch);
            let sidecar = |(form, launched): (&crate::targets::SidecarForm, Launched)| {
                let [stdout, stderr] =
                    ["stdout", "stderr"].map(|stream| format!("{}.{stream}.log", form.name));
                Sidecar {
                    name: form.name.clone(),
                    program: self.made(host, launched, [&stdout, &stderr]),
                    shares_faults: form.shares_faults,
                }
            };
            sidecars.into_iter().map(sidecar).collect()
        })
    }

    /// A command that is run once on `host`. What it prints goes to the log called `log`.
    pub fn once(&self, command: &Command, host: &Host, log: &str) -> Program {
        let launched = self.with_launch(host.name(), |launch| {
            self.plan.target.command_on(command, self.place(host), launch)
        });
        let log = format!("{log}.log");
        self.made(host, launched, [&log, &log])
    }

    /// What the node on `host` is told.
    pub fn words(&self, words: &Words, host: &Host) -> Vec<String> {
        self.with_launch(host.name(), |launch| {
            self.plan.target.words_for(words, self.place(host), launch)
        })
    }

    /// The place of a host among the nodes.
    fn place(&self, host: &Host) -> usize {
        let place = self.addresses.iter().position(|node| node.name == host.name());
        place.expect("a lab has the hosts it was asked for")
    }

    fn made(&self, host: &Host, launched: Launched, logs: [&str; 2]) -> Program {
        let home = self.folder.node(host.name());
        let Launched { words, environment, directory } = launched;
        let mut words = words.into_iter();
        let [stdout, stderr] = logs.map(|log| home.join(log));
        let pair = |(name, value): (String, String)| (name.into(), value.into());
        let run_as =
            |account: &Account| RunAs { account: account.clone(), folder: home.join("data") };
        Program {
            path: words.next().unwrap_or_default().into(),
            arguments: words.map(Into::into).collect(),
            environment: environment.into_iter().map(pair).collect(),
            stdout,
            stderr,
            user: self.account.as_ref().map(run_as),
            directory: directory.map_or(home, PathBuf::from),
        }
    }

    fn with_launch<T>(&self, node: &str, make: impl FnOnce(&Launch<'_>) -> T) -> T {
        make(&Launch {
            partita: &self.partita,
            nodes: &self.addresses,
            ports: &self.ports,
            data: &self.folder.node(node).join("data"),
            seed: self.plan.spec.seed,
            mutations: &self.plan.spec.mutations,
            arguments: &self.plan.spec.node_arguments,
        })
    }
}

/// Runs a program on `host` to its end; why it did not succeed, if it did not.
pub(super) async fn run(host: &Host, program: Program, limit: Duration) -> Result<(), String> {
    let process = once(host, program);
    process.start().map_err(|error| error.to_string())?;
    // What still runs then is killed when it is dropped.
    match timeout(limit, process.ended()).await {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(status) => Err(format!("failed ({})", status_in_words(status))),
        Err(_) => Err(format!("did not end within {}", written(limit))),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

pub(super) fn in_words(program: &Program) -> String {
    let words =
        [program.path.as_os_str()].into_iter().chain(program.arguments.iter().map(|it| &**it));
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The end of what was printed, in a line.
fn last_printed(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TOLD)..]).into_owned();
    let words = end.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { "it printed nothing".to_owned() } else { words }
}
