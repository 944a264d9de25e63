//! Watches a cluster beside its clients and faults, and reports what it finds: nodes that write alarms, two
//! leaders in a term, a cluster that could work and does not, limits that are broken.
//!
//! It looks ten times a second in a thread of its own, from the first leader until the nodes are stopped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_nemesis::lab::CLIENTS;
use partita_nemesis::{Cluster, Family, FaultRecord, NodeSeen, Policy, ReadOnlyPhase};
use partita_reports::spec::{Limit, Measure};
use partita_reports::{Finding, FindingKind};

use super::clock::RunClock;
use super::exit_excerpt;
use super::fault_log::FaultLog;
use super::findings::Findings;
use super::folder::RunFolder;
use super::leaders::Leaders;
use super::limits::{Answers, LimitWatch, Usage};
use super::node_lines::NodeLines;
use super::poller::Poller;
use super::recorder::Recorder;
use super::recovery::{Connectivity, NodeNow, Now, Progress, RecoveryWatch};
use super::stacks;
use super::stalls::StallLog;
use crate::targets::LogForms;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(100);
/// How many looks there are between two looks at what nodes use.
const LOOKS_AT_USAGE: u64 = 5;
/// How long a node must have run to count as ready when it says so: what was asked before it was started
/// may be answered after.
const FRESH: u64 = 400_000_000;
/// How long an alarm waits for the end of the node that wrote it, which says the same.
const ALARM_WAIT: u64 = 5_000_000_000;
/// How long after its end a fault still explains what a node says of it.
const AFTER_FAULT: u64 = 1_000_000_000;
/// The longest that a line is repeated, in characters.
const LONGEST: usize = 300;
/// How long a cluster may take to recover unless a limit says so, in milliseconds.
pub const RECOVERY_MS: u64 = 10_000;
/// Faults after which a store may refuse to serve from files that it cannot trust.
const DAMAGES_FILES: [&str; 2] = ["bit-flip", "truncate"];

/// What a monitor looks at.
pub struct Watched {
    /// The nodes and their network.
    pub cluster: Arc<Cluster>,
    /// What is done to them.
    pub faults: FaultLog,
    /// What clients send and get.
    pub recorder: Arc<Recorder>,
    /// What nodes tell.
    pub poller: Poller,
    /// When the controller stood still.
    pub stalls: StallLog,
    /// Where nodes write.
    pub folder: RunFolder,
    /// When it is.
    pub clock: RunClock,
    /// Where findings go.
    pub findings: Findings,
    /// What the lines of nodes mean.
    pub forms: LogForms,
    /// What the store is to keep.
    pub limits: Vec<Limit>,
    /// What shows that the cluster works.
    pub progress: Progress,
    /// How many clients there are: the first is bound to the first node, and so on.
    pub clients: u32,
    /// When clients, and the schedule, began.
    pub load_began: Nanoseconds,
    /// When clients only read.
    pub read_only: Vec<ReadOnlyPhase>,
    /// Whether members are changed by what the nemesis does not know of.
    pub members_unknown: bool,
}

/// A thread that watches.
pub struct Monitor {
    ended: Sender<MonitorMessage>,
    thread: JoinHandle<Vec<String>>,
}

/// What the thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MonitorMessage {
    /// Clients have ended: that there are no answers means nothing any more.
    ClientsEnded,
}

impl Monitor {
    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start(watched: Watched) -> std::io::Result<Self> {
        let (ended, signs) = channel();
        let mut state = State::of(watched);
        let thread = thread::Builder::new().name("monitor".to_owned()).spawn(move || {
            loop {
                match signs.recv_timeout(STEP) {
                    Err(RecvTimeoutError::Timeout) => state.look(),
                    Ok(MonitorMessage::ClientsEnded) => state.clients_ended(),
                    Err(RecvTimeoutError::Disconnected) => return state.finish(),
                }
            }
        })?;
        Ok(Self { ended, thread })
    }

    /// Tells that clients have ended.
    pub fn clients_ended(&self) {
        // The thread ends only after this does.
        let _ = self.ended.send(MonitorMessage::ClientsEnded);
    }

    /// Looks once more, while nodes still run, and ends. Sentences on what could not be judged.
    pub fn finish(self) -> Vec<String> {
        drop(self.ended);
        self.thread.join().unwrap_or_else(|_| vec!["the monitor of the nodes failed".to_owned()])
    }
}

struct State {
    watched: Watched,
    lines: NodeLines,
    leaders: Leaders,
    recovery: RecoveryWatch,
    limits: LimitWatch,
    has_clients: bool,
    looks: u64,
    /// Looks that found a leader.
    led: u64,
    /// By node: its process, since when it is known, and whether it was ready since.
    processes: HashMap<String, (Option<i32>, Nanoseconds, bool)>,
    /// Alarms that wait for the end of their node.
    alarms: Vec<Alarm>,
    notes: Vec<String>,
}

struct Alarm {
    node: String,
    at: Nanoseconds,
    word: String,
    line: String,
    path: PathBuf,
    in_force: Vec<String>,
}

impl State {
    fn of(watched: Watched) -> Self {
        let recovery = watched.limits.iter().find(|it| it.measure == Measure::Recovery);
        let recovery =
            RecoveryWatch::new(watched.progress, recovery.map_or(RECOVERY_MS, |limit| limit.below));
        Self {
            lines: NodeLines::of(&watched.folder, watched.cluster.names()),
            leaders: Leaders::default(),
            recovery,
            limits: LimitWatch::new(watched.limits.clone()),
            has_clients: true,
            looks: 0,
            led: 0,
            processes: HashMap::new(),
            alarms: Vec::new(),
            notes: Vec::new(),
            watched,
        }
    }

    fn look(&mut self) {
        let at = self.watched.clock.now();
        let faults = self.watched.faults.all();
        self.looks += 1;
        self.read_lines(at);
        self.tell_alarms(at, &faults);
        if self.has_clients {
            self.look_at_answers(at, &faults);
        }
        if self.limits.wants_usage() && self.looks.is_multiple_of(LOOKS_AT_USAGE) {
            self.look_at_usage(at);
        }
    }

    fn clients_ended(&mut self) {
        self.has_clients = false;
        self.notes.extend(self.recovery.finish(self.watched.clock.now()));
    }

    fn finish(mut self) -> Vec<String> {
        let at = self.watched.clock.now();
        self.read_lines(at);
        self.tell_alarms(Nanoseconds(at.0 + ALARM_WAIT), &self.watched.faults.all());
        let missed = self.lines.missed();
        if missed > 0 && self.watched.forms.reads_lines() {
            self.notes.push(format!(
                "{missed} bytes of what nodes wrote came too fast to be searched for alarms and leaders"
            ));
        }
        self.notes
    }

    fn read_lines(&mut self, at: Nanoseconds) {
        let Self { watched, lines, leaders, alarms, .. } = self;
        if !watched.forms.reads_lines() {
            return;
        }
        lines.look(|node, path, line| {
            if let Some(term) = watched.forms.leader_of(line)
                && let Some(found) = leaders.wrote(node, term, at, &shown(line))
            {
                watched.findings.report(found);
            }
            if let Some(word) = watched.forms.alarm_of(line) {
                alarms.push(Alarm {
                    node: node.to_owned(),
                    at,
                    word: word.to_owned(),
                    line: shown(line),
                    path: path.to_path_buf(),
                    in_force: watched.faults.in_force(),
                });
            }
        });
    }

    /// Tells the alarms that have waited long enough, but for those of nodes that ended or are to end.
    fn tell_alarms(&mut self, now: Nanoseconds, faults: &[FaultRecord]) {
        let due = self.alarms.iter().take_while(|alarm| now.0 >= alarm.at.0 + ALARM_WAIT).count();
        let due: Vec<Alarm> = self.alarms.drain(..due).collect();
        for alarm in due {
            // A fault that ends nodes explains what they say of it.
            let is_explained = faults.iter().any(|fault| {
                fault.explains_exit()
                    && fault.nodes.contains(&alarm.node)
                    && fault.began_ns <= alarm.at.0
                    && fault.ended_ns.is_none_or(|ended| alarm.at.0 <= ended + AFTER_FAULT)
            });
            let wait = Duration::from_nanos(ALARM_WAIT);
            let has_ended = self.watched.findings.has_ended(&alarm.node, alarm.at, wait);
            if !is_explained && !has_ended {
                self.watched.findings.report(alarm.finding());
            }
        }
    }

    fn look_at_answers(&mut self, at: Nanoseconds, faults: &[FaultRecord]) {
        let updates = self.watched.recorder.outcomes().updates();
        let stood_still = u64::try_from(self.watched.stalls.total().as_nanos()).unwrap_or(u64::MAX);
        let in_force: Vec<FaultRecord> =
            faults.iter().filter(|fault| fault.ended_ns.is_none()).cloned().collect();
        let since_ms = at.0.saturating_sub(self.watched.load_began.0) / 1_000_000;
        let only_reads = self.watched.read_only.iter().any(|phase| phase.is_on(since_ms));
        let nodes = self.nodes(at, faults);
        self.led += u64::from(is_led(&nodes, &self.watched.poller.seen()));
        let (sent, answered) = match self.watched.progress {
            Progress::Updates => (updates.sent, updates.answered),
            Progress::Leaders => (self.looks, self.led),
        };
        let excused = self.excuse(only_reads, faults);
        let now = Now { at, nodes, excused, sent, answered, stood_still };
        if let Some(found) = self.recovery.look(&now) {
            stacks::keep(self.watched.cluster.nodes(), &self.watched.folder);
            self.watched.findings.report(found);
        }
        let answers = Answers {
            at,
            answered: updates.answered,
            stood_still,
            are_asked: !only_reads && self.watched.progress == Progress::Updates,
            in_force: &in_force,
        };
        for found in self.limits.answers(answers) {
            self.watched.findings.report(found);
        }
    }

    /// Why nothing can be asked of the cluster as a whole, if so.
    fn excuse(&self, only_reads: bool, faults: &[FaultRecord]) -> Option<&'static str> {
        let changes_members = |it: &FaultRecord| it.family == Family::Membership;
        if only_reads {
            Some("clients only read")
        } else if self.watched.members_unknown {
            Some("members are changed by commands of the schedule")
        } else if faults.iter().any(|it| changes_members(it) && it.ended_ns.is_none()) {
            Some("members were being changed")
        } else if faults.iter().any(|fault| fault.unhealed) {
            Some("a fault could not be undone")
        } else {
            None
        }
    }

    fn nodes(&mut self, at: Nanoseconds, faults: &[FaultRecord]) -> Vec<NodeNow> {
        let cluster = Arc::clone(&self.watched.cluster);
        let names = cluster.names();
        let says = self.watched.poller.nodes_now();
        let node = |(place, name): (usize, &String)| {
            let process = cluster.node(name).and_then(partita_nemesis::NodeProcess::pid);
            let (is_ready, says) = says.get(place).cloned().unwrap_or_default();
            let was_ready = self.was_ready(name, process, is_ready, at);
            let excused = excused(name, faults).or((!was_ready).then_some("nodes were not ready"));
            let bond = |other: &String| {
                if other == name { Connectivity::Linked } else { bond(&cluster, name, other) }
            };
            NodeNow {
                name: name.clone(),
                process,
                excused,
                bonds: names.iter().map(bond).collect(),
                has_clients: self.watched.progress == Progress::Leaders
                    || bond(&CLIENTS.to_owned()) == Connectivity::Linked
                        && place < self.watched.clients as usize,
                says,
            }
        };
        names.iter().enumerate().map(node).collect()
    }

    /// Whether the node's process has been ready since it was started.
    fn was_ready(
        &mut self,
        name: &str,
        process: Option<i32>,
        is_ready: bool,
        at: Nanoseconds,
    ) -> bool {
        let known = self.processes.entry(name.to_owned()).or_insert((process, at, false));
        if known.0 != process {
            *known = (process, at, false);
        }
        known.2 |= is_ready && at.0 >= known.1.0 + FRESH;
        known.2
    }

    fn look_at_usage(&self, at: Nanoseconds) {
        for node in self.watched.cluster.nodes() {
            let usage =
                Usage::of(&node.members(), &self.watched.folder.node(node.node()).join("data"));
            for found in self.limits.usage(node.node(), at, usage) {
                self.watched.findings.report(found);
            }
        }
    }
}

/// Whether a node says that it leads which is not cut off from most nodes.
fn is_led(nodes: &[NodeNow], seen: &[NodeSeen]) -> bool {
    nodes.iter().zip(seen).any(|(node, seen)| {
        let reached = node.bonds.iter().filter(|bond| **bond != Connectivity::Cut).count();
        seen.leads && reached > nodes.len() / 2
    })
}

/// Why nothing can be asked of a node, by what was done to it.
fn excused(node: &str, faults: &[FaultRecord]) -> Option<&'static str> {
    let of_node = faults.iter().filter(|fault| fault.nodes.iter().any(|it| it == node));
    of_node.into_iter().find_map(|fault| {
        let is_in_force = fault.ended_ns.is_none();
        match fault.family {
            _ if DAMAGES_FILES.contains(&fault.fault.as_str()) => Some("files were damaged"),
            Family::Process if is_in_force => Some("a fault held processes"),
            Family::Clock if is_in_force => Some("a fault moved clocks"),
            Family::Disk if is_in_force => Some("a fault held disks"),
            Family::Link if is_in_force => Some("a fault held links"),
            _ => None,
        }
    })
}

fn bond(cluster: &Cluster, one: &str, other: &str) -> Connectivity {
    let network = cluster.lab().network();
    match (network.policy(one, other), network.policy(other, one)) {
        (Ok(Policy::OPEN), Ok(Policy::OPEN)) => Connectivity::Linked,
        (Ok(there), Ok(back)) if there.block && back.block => Connectivity::Cut,
        // A lab without links has none that could be cut.
        (Err(_), Err(_)) => Connectivity::Linked,
        _ => Connectivity::Impaired,
    }
}

impl Alarm {
    fn finding(&self) -> Finding {
        let place = exit_excerpt::source_place(&self.line);
        let title = match &place {
            Some(place) => format!("alarm `{}` at {place}", self.word),
            None => format!("alarm `{}`", self.word),
        };
        let meanwhile = match &self.in_force[..] {
            [] => "no fault was in force".to_owned(),
            faults => format!("in force: {}", faults.join("; ")),
        };
        let sentence = format!(
            "after {:.1} s {} wrote a line that its description calls an alarm: {} ({meanwhile}; in {})",
            self.at.as_seconds(),
            self.node,
            self.line,
            display(&self.path)
        );
        Finding {
            at_ns: Some(self.at),
            node: Some(self.node.clone()),
            place,
            ..Finding::new(FindingKind::Crash, title, sentence)
        }
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

fn shown(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
