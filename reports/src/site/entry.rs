//! One run of the list: what its folder says of it, in short.

use std::collections::BTreeMap;

use partita_checker::{Nanoseconds, Verdict};
use serde::Deserialize;

use crate::event::{RunEvent, Stamped};
use crate::exit::Exit;
use crate::finding::Finding;
use crate::recovery::Recovery;
use crate::run::Counts;
use crate::text::visible::visible;

/// How much of a name or a title is kept, in characters.
const MOST_CHARACTERS: usize = 200;

/// How a run is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Something was found of the store.
    Finding,
    /// The harness failed, or the store could not be started.
    Harness,
    /// Nothing was proved.
    Unknown,
    /// Proved.
    Valid,
    /// It is going on.
    UnderWay,
    /// It never came to a verdict, and nothing is written any more.
    Unfinished,
    /// Its files cannot be read.
    Unreadable,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Finding,
        Self::Harness,
        Self::Unknown,
        Self::Valid,
        Self::UnderWay,
        Self::Unfinished,
        Self::Unreadable,
    ];

    /// The word for it, also in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Harness => "harness",
            Self::Unknown => "unknown",
            Self::Valid => "valid",
            Self::UnderWay => "running",
            Self::Unfinished => "unfinished",
            Self::Unreadable => "unreadable",
        }
    }

    /// A sign that tells it without colour.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Finding => "✕",
            Self::Valid => "✓",
            Self::Unknown => "?",
            Self::Harness | Self::Unreadable => "!",
            Self::UnderWay => "▶",
            Self::Unfinished => "–",
        }
    }

    fn of(exit: Exit) -> Self {
        match exit {
            Exit::Finding => Self::Finding,
            Exit::Valid => Self::Valid,
            Exit::Unknown => Self::Unknown,
            Exit::Harness | Exit::Usage => Self::Harness,
        }
    }
}

/// One run of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where its folder is, from the site's folder on, parts joined by `/`: what addresses hold.
    pub path: String,
    /// When it began, RFC 3339, where that is known.
    pub started_at: String,
    /// The system under test.
    pub target: String,
    /// What clients did.
    pub workload: String,
    /// Which faults were asked for.
    pub nemesis: String,
    /// The planted bug that was switched on; empty if there was none.
    pub mutation: String,
    /// Where everything random came from.
    pub seed: u64,
    /// How it is, or how it ended.
    pub state: State,
    /// What was found, or what is going on, in a few words.
    pub title: String,
    /// What became of the operations.
    pub counts: Counts,
    /// The rate that clients reached, in operations a second.
    pub rate: Option<f64>,
    /// The longest time without an ok answer under a fault.
    pub longest_outage: Option<Nanoseconds>,
    /// Whether there is a `report.html`.
    pub has_report: bool,
}

/// What is read of `run.json`: as little as is needed, so that older forms are read as well.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Record {
    started_at: String,
    target: String,
    workload: String,
    nemesis: String,
    mutation: Option<String>,
    seed: u64,
    counts: Counts,
    rate_reached: Option<f64>,
    recovery: Vec<Recovery>,
    findings: Vec<Finding>,
    verdict: Verdict,
    failure: Option<String>,
    remarks: Vec<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            started_at: String::new(),
            target: String::new(),
            workload: String::new(),
            nemesis: String::new(),
            mutation: None,
            seed: 0,
            counts: Counts::default(),
            rate_reached: None,
            recovery: Vec::new(),
            findings: Vec::new(),
            verdict: Verdict::Unknown,
            failure: None,
            remarks: Vec::new(),
        }
    }
}

impl Entry {
    /// The run whose folder nothing can be said of, for this reason.
    pub fn unreadable(path: &str, reason: &str) -> Self {
        Self { state: State::Unreadable, title: short(reason), ..Self::empty(path) }
    }

    fn empty(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            started_at: String::new(),
            target: String::new(),
            workload: String::new(),
            nemesis: String::new(),
            mutation: String::new(),
            seed: 0,
            state: State::Unfinished,
            title: String::new(),
            counts: Counts::default(),
            rate: None,
            longest_outage: None,
            has_report: false,
        }
    }

    /// The run of a `run.json`.
    pub fn of_record(path: &str, json: &[u8], has_report: bool) -> Self {
        // A list would be taken for the fields of a record in their order.
        let is_object = json.trim_ascii_start().first() == Some(&b'{');
        let record: Record = match serde_json::from_slice(json) {
            Ok(record) if is_object => record,
            Ok(_) => return Self::unreadable(path, "run.json: expected an object"),
            Err(error) => return Self::unreadable(path, &format!("run.json: {error}")),
        };
        // Of a version that kept no findings, a verdict is all there is.
        let exit = Exit::of_run(&record.findings, record.failure.is_some(), record.verdict);
        let outages = record.recovery.iter().filter_map(|it| it.cluster);
        Self {
            started_at: short(&record.started_at),
            target: short(&record.target),
            workload: short(&record.workload),
            nemesis: short(&record.nemesis),
            mutation: short(record.mutation.as_deref().unwrap_or_default()),
            seed: record.seed,
            state: State::of(exit),
            title: short(&title(&record)),
            counts: record.counts,
            rate: record.rate_reached,
            longest_outage: outages.map(|outage| outage.length()).max(),
            has_report,
            ..Self::empty(path)
        }
    }

    /// A run without `run.json`, by the first lines and the last lines of its `events.jsonl`, the
    /// file having been written last so many milliseconds ago.
    pub fn of_events(path: &str, first: &[u8], last: &[u8], idle_ms: u64) -> Self {
        /// Judging tells how it goes less often than clients do.
        const LONG_IDLE: u64 = 60_000;
        let mut entry = Self::empty(path);
        entry.state = if idle_ms < LONG_IDLE { State::UnderWay } else { State::Unfinished };
        let mut phase = "starting".to_owned();
        for stamped in lines(first).into_iter().chain(lines(last)) {
            match stamped.event {
                RunEvent::Started(started) => {
                    entry.target = short(&started.target);
                    entry.workload = short(&started.workload);
                    entry.seed = started.seed;
                }
                RunEvent::Phase { phase: name } => phase = name,
                RunEvent::Tally(tally) => {
                    let (invoked, ok, fail, info) =
                        (tally.invoked, tally.ok, tally.fail, tally.info);
                    entry.counts = Counts { invoked, ok, fail, info, ok_during_faults: 0 };
                }
                RunEvent::Stopping { text, .. } => phase = text,
                RunEvent::Finished { exit, .. } => entry.state = State::of(exit),
                _ => {}
            }
        }
        entry.title = short(&phase);
        entry
    }
}

/// The events in a piece of `events.jsonl`; its first and last line need not be whole.
fn lines(piece: &[u8]) -> Vec<Stamped> {
    piece
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// `violation: stale read`, or each title with how often it is there.
fn title(record: &Record) -> String {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for finding in &record.findings {
        *counted.entry(finding.in_words()).or_default() += 1;
    }
    let told = counted.into_iter().map(|(title, times)| match times {
        1 => title,
        times => format!("{title} ({times} times)"),
    });
    let told = told.collect::<Vec<_>>().join("; ");
    let reason = || record.failure.as_ref().or(record.remarks.first()).cloned();
    match (told.is_empty(), record.verdict) {
        (false, _) => told,
        (true, Verdict::Valid) if record.failure.is_none() => "linearizable".to_owned(),
        (true, Verdict::Violation) => "violation".to_owned(),
        (true, _) => reason().unwrap_or_default(),
    }
}

fn short(text: &str) -> String {
    visible(text.trim(), MOST_CHARACTERS)
}
