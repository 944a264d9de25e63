//! Records what nodes use and tell while a run goes on: `nodes.jsonl`.
//!
//! Ten times a second: what each node last told of its log, how far its clocks are from the run's, and how
//! often it asked its disk to sync where the lab hears of that; every second time also the memory and
//! the CPU time of its processes. The file explains what was found and decides nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use partita_nemesis::{Cluster, NodeProcess};
use partita_reports::samples::{FORMAT, Header, NodeSample};

use super::clock::RunClock;
use super::folder::RunFolder;
use super::poller::Poller;
use crate::exit::{Failure, FailureContext};

/// Time between two samples.
const STEP: Duration = Duration::from_millis(100);
/// How many samples there are to one that has what processes use.
const SAMPLES_OF_USAGE: u64 = 2;
const FILE: &str = "nodes.jsonl";

/// A thread that takes samples. It ends with [`NodeSamples::finish`], or when this is dropped.
pub struct NodeSamples {
    stop: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl NodeSamples {
    /// Begins to take them of the nodes of `cluster`, which `poller` asks.
    ///
    /// # Errors
    ///
    /// If the file cannot be made or the thread not be started.
    pub fn start(
        cluster: &Arc<Cluster>,
        poller: &Poller,
        clock: RunClock,
        folder: &RunFolder,
    ) -> Result<Self, Failure> {
        let path = folder.file(FILE);
        let mut file =
            BufWriter::new(File::create(&path).or_harness(|| path.display().to_string())?);
        line(&mut file, &Header { format: FORMAT }).or_harness(|| path.display().to_string())?;
        let (stop, stopped) = channel::<()>();
        let (cluster, poller) = (Arc::clone(cluster), poller.clone());
        let thread = thread::Builder::new().name("node samples".to_owned()).spawn(move || {
            let mut meters: Vec<Meter> = cluster.nodes().iter().map(|_| Meter::new()).collect();
            let mut taken: u64 = 0;
            while stopped.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                let has_usage = taken.is_multiple_of(SAMPLES_OF_USAGE);
                let told = poller.indexes();
                for (place, (node, meter)) in cluster.nodes().iter().zip(&mut meters).enumerate() {
                    let (applied, committed) = told.get(place).copied().unwrap_or_default();
                    let sample = NodeSample { applied, committed, ..look(node) };
                    let sample = if has_usage { meter.read(node, sample) } else { sample };
                    line(&mut file, &NodeSample { at_ns: clock.now(), ..sample })?;
                }
                taken += 1;
            }
            file.flush()
        });
        Ok(Self { stop, thread: thread.or_harness(|| "a thread".to_owned())? })
    }

    /// Ends it, while nodes still run; a sentence if the file is incomplete.
    pub fn finish(self) -> Option<String> {
        drop(self.stop);
        match self.thread.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{FILE} is incomplete: {error}")),
            Err(_) => Some(format!("{FILE} is incomplete: its thread failed")),
        }
    }
}

fn line(file: &mut impl Write, what: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, what)?;
    file.write_all(b"\n")
}

/// What the lab knows of a node by itself.
fn look(node: &NodeProcess) -> NodeSample {
    let shift = node.clock().map(|clock| clock.shift());
    let syncs = node.disk().map(partita_nemesis::Disk::syncs);
    NodeSample {
        node: node.node().to_owned(),
        realtime_ns: shift.map(|shift| shift.realtime_ns),
        monotonic_ns: shift.map(|shift| shift.monotonic_ns),
        syncs: syncs.map(|syncs| syncs.calls),
        sync_delay_ns: syncs.map(|syncs| u64::try_from(syncs.added.as_nanos()).unwrap_or(u64::MAX)),
        ..NodeSample::default()
    }
}

/// Reads what the processes of one node use.
struct Meter {
    /// Bytes in a page of memory.
    page: u64,
    /// Nanoseconds in a tick of the kernel's accounts.
    tick: u64,
    /// By process: what it had used at the last reading, in ticks.
    used: HashMap<i32, u64>,
}

impl Meter {
    fn new() -> Self {
        let number = |what, usual: u64| {
            let found = sysconf(what).ok().flatten().and_then(|found| u64::try_from(found).ok());
            found.filter(|found| *found > 0).unwrap_or(usual)
        };
        let page = number(SysconfVar::PAGE_SIZE, 4_096);
        Self { page, tick: 1_000_000_000 / number(SysconfVar::CLK_TCK, 100), used: HashMap::new() }
    }

    /// Adds what the processes of `node` use to `sample`; nothing if it has none.
    fn read(&mut self, node: &NodeProcess, sample: NodeSample) -> NodeSample {
        self.read_all(&node.members(), sample)
    }

    fn read_all(&mut self, processes: &[i32], sample: NodeSample) -> NodeSample {
        self.used.retain(|process, _| processes.contains(process));
        let (mut ticks, mut pages, mut known) = (0, 0, false);
        for process in processes {
            let Some(usage) = usage(*process) else { continue };
            known = true;
            pages += usage.pages;
            // Of one that was started since then, all that it used was used since then.
            let before = self.used.insert(*process, usage.ticks).unwrap_or(0);
            ticks += usage.ticks.saturating_sub(before);
        }
        let cpu_ns = known.then_some(ticks * self.tick);
        NodeSample { cpu_ns, memory: known.then_some(pages * self.page), ..sample }
    }
}

/// What a process uses, in the kernel's units.
struct Usage {
    /// User and system time since it began.
    ticks: u64,
    /// Resident memory.
    pages: u64,
}

/// By `/proc/PID/stat` (proc(5)); `None` if the process has ended.
fn usage(process: i32) -> Option<Usage> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Usage { ticks: number(11)? + number(12)?, pages: number(21)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_counted_from_one_reading_to_the_next() {
        let process = i32::try_from(std::process::id()).expect("a process id");
        let mut meter = Meter::new();
        let before = meter.read_all(&[process], NodeSample::default());
        assert!(before.memory.is_some_and(|bytes| bytes > 1 << 20), "{before:?}");
        // At least three ticks of work.
        let begun = meter.used[&process];
        while usage(process).expect("this process").ticks < begun + 3 {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
        let after = meter.read_all(&[process], NodeSample::default());
        assert!(after.cpu_ns.is_some_and(|used| used >= 3 * meter.tick), "{after:?}");
        let none = meter.read_all(&[], NodeSample::default());
        assert_eq!((none.cpu_ns, none.memory), (None, None), "no process");
        assert!(meter.used.is_empty());
    }
}
