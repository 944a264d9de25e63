//! What the cluster looks like from outside, twice a second: `samples.jsonl`.
//!
//! A guided campaign learns from it. No verdict depends on it, and a file that cannot be written takes nothing
//! from the run.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use partita_nemesis::guide::{Sample, SampledNode};
use partita_nemesis::{Cluster, FaultRecord};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::fault_log::FaultLog;
use super::folder::RunFolder;
use super::poller::Poller;
use super::recorder::Recorder;

/// The file, in a run's folder.
pub const FILE: &str = "samples.jsonl";

/// Its first line; those after it are samples.
pub const HEADER: &str = r#"{"format":1}"#;

/// Time between two samples.
const STEP: Duration = Duration::from_millis(500);

/// What samples are taken of.
pub struct Sampler {
    /// The nodes and their links.
    pub cluster: Arc<Cluster>,
    /// What nodes tell.
    pub poller: Poller,
    /// What is in force.
    pub faults: FaultLog,
    /// What clients get.
    pub recorder: Arc<Recorder>,
    /// Where the file goes.
    pub folder: RunFolder,
}

/// How many operations were invoked, came back ok, failed, and may have happened.
type Counts = [u64; 4];

impl Sampler {
    /// Takes samples until it is dropped, or the file cannot be written. Times count from `began`.
    pub async fn run(self, began: Instant) {
        let path = self.folder.file(FILE);
        let Ok(mut file) = std::fs::File::create(&path) else { return };
        if writeln!(file, "{HEADER}").is_err() {
            return;
        }
        let mut ticks = interval_at(began + STEP, STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.counts();
        loop {
            ticks.tick().await;
            let counts = self.counts();
            let sample = self.sample(began, before, counts);
            before = counts;
            let written = serde_json::to_string(&sample).map_err(std::io::Error::from);
            if written.and_then(|line| writeln!(file, "{line}")).is_err() {
                return;
            }
        }
    }

    fn counts(&self) -> Counts {
        let tally = self.recorder.tally();
        [&tally.invoked, &tally.ok, &tally.fail, &tally.info].map(|count| count.load(Relaxed))
    }

    fn sample(&self, began: Instant, before: Counts, now: Counts) -> Sample {
        let [_, ok, fail, info] = std::array::from_fn(|it| now[it].saturating_sub(before[it]));
        let over = now[1] + now[2] + now[3];
        let mut nodes = self.poller.sampled();
        let faults = self.faults.all();
        for (place, node) in nodes.iter_mut().enumerate() {
            self.add_surroundings(place, node, &faults);
        }
        let at_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Sample { at_ms, nodes, ok, fail, info, waiting: now[0].saturating_sub(over) }
    }

    /// Adds who does not hear the node, and which faults it is a victim of.
    fn add_surroundings(&self, place: usize, node: &mut SampledNode, faults: &[FaultRecord]) {
        let names = self.cluster.names();
        let name = &names[place];
        let network = self.cluster.lab().network();
        let is_deaf = |other: &String| {
            network.policy(name, other).is_ok_and(|policy| policy.block || policy.hold)
        };
        let others = names.iter().enumerate().filter(|(it, _)| *it != place);
        node.unheard_by = others.filter(|(_, it)| is_deaf(it)).map(|(it, _)| it).collect();
        let in_force = faults.iter().filter(|fault| fault.ended_ns.is_none());
        let own = in_force.filter(|fault| fault.nodes.contains(name));
        node.faults = own.map(|fault| fault.fault.clone()).collect();
    }
}

/// The samples of a run; none if it left no such file, or one of a newer format.
pub fn read(folder: &std::path::Path) -> Vec<Sample> {
    let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Vec::new();
    }
    // The last line of a run that was killed may not be whole.
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}
