//! What the store is to keep, measured while a run is under way.

use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};
use partita_checker::{History, Nanoseconds, Outcome};
use partita_nemesis::FaultRecord;
use partita_reports::spec::{Limit, Measure};
use partita_reports::{Finding, FindingKind};

/// How much of the operations a limit of latency is about: all but one of so many.
const TAIL: usize = 100;
/// The fewest operations of which latency is judged.
const FEWEST: usize = 100;

/// What a node uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open files.
    pub open_files: u64,
    /// What its data directory holds, in bytes.
    pub log_size: u64,
}

impl Usage {
    /// Of these processes, with this data directory. What cannot be read counts as nothing: a process
    /// may end meanwhile.
    pub fn of(processes: &[i32], data: &Path) -> Self {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4_096).cast_unsigned();
        let mut usage = Self { log_size: size(data), ..Self::default() };
        for process in processes {
            let statm = std::fs::read_to_string(format!("/proc/{process}/statm"));
            let pages = statm.ok().and_then(|it| it.split(' ').nth(1)?.parse::<u64>().ok());
            usage.memory += pages.unwrap_or(0) * page;
            let files = std::fs::read_dir(format!("/proc/{process}/fd"));
            usage.open_files += files.map_or(0, Iterator::count) as u64;
        }
        usage
    }
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// The limits of a run, and how long no update was answered.
#[derive(Debug)]
pub struct LimitWatch {
    limits: Vec<Limit>,
    answered: u64,
    /// Of each limit: since when no update was answered while it was to be kept, and how long the
    /// controller had stood still by then; none when that was told.
    silent: Vec<Option<(Nanoseconds, u64)>>,
}

/// What is known at one moment of answers.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// When.
    pub at: Nanoseconds,
    /// Updates answered so far.
    pub answered: u64,
    /// How long the controller stood still so far, in nanoseconds.
    pub stood_still: u64,
    /// Whether clients ask for updates.
    pub are_asked: bool,
    /// The faults in force.
    pub in_force: &'a [FaultRecord],
}

impl LimitWatch {
    /// Of these limits.
    pub fn new(limits: Vec<Limit>) -> Self {
        let silent = vec![None; limits.len()];
        Self { limits, answered: 0, silent }
    }

    /// Whether anything is to be measured of nodes' processes.
    pub fn wants_usage(&self) -> bool {
        let of_nodes = [Measure::Memory, Measure::OpenFiles, Measure::LogSize];
        self.limits.iter().any(|limit| of_nodes.contains(&limit.measure))
    }

    /// Judges what a node uses.
    pub fn usage(&self, node: &str, at: Nanoseconds, usage: Usage) -> Vec<Finding> {
        let judge = |limit: &Limit| {
            let (amount, what) = match limit.measure {
                Measure::Memory => (usage.memory, "bytes of memory"),
                Measure::OpenFiles => (usage.open_files, "open files"),
                Measure::LogSize => (usage.log_size, "bytes in its data directory"),
                Measure::Recovery | Measure::Unavailable | Measure::Latency => return None,
            };
            let sentence = format!(
                "{node} had {amount} {what} at {:.1} s: the limit is {}",
                at.as_seconds(),
                limit.measure.amount(limit.below)
            );
            let broken = || Finding { node: Some(node.to_owned()), ..broken(limit, at, sentence) };
            (amount >= limit.below).then(broken)
        };
        self.limits.iter().filter_map(judge).collect()
    }

    /// Judges how long no update was answered.
    pub fn answers(&mut self, now: Answers<'_>) -> Vec<Finding> {
        let is_new = now.answered != self.answered;
        self.answered = now.answered;
        let mut found = Vec::new();
        for (limit, silent) in self.limits.iter().zip(&mut self.silent) {
            let fault = limit
                .under
                .as_ref()
                .map(|name| now.in_force.iter().find(|fault| fault.fault == *name));
            if limit.measure != Measure::Unavailable || !now.are_asked || fault == Some(None) {
                *silent = None;
                continue;
            }
            if is_new {
                *silent = Some((now.at, now.stood_still));
            }
            let (since, stood_still) = *silent.get_or_insert((now.at, now.stood_still));
            let length = now.at.0.saturating_sub(since.0);
            let length = length.saturating_sub(now.stood_still - stood_still);
            if length < limit.below.saturating_mul(1_000_000) {
                continue;
            }
            let meanwhile = fault.flatten().map_or(String::new(), |fault| {
                format!(" under {} of {}", fault.fault, fault.nodes.join(", "))
            });
            let sentence = format!(
                "no update was answered for {:.1} s, from {:.1} s on{meanwhile}: the limit is {}",
                Nanoseconds(length).as_seconds(),
                since.as_seconds(),
                limit.measure.amount(limit.below)
            );
            found.push(broken(limit, now.at, sentence));
            // The rest of this silence is the same.
            *silent = Some((Nanoseconds(u64::MAX / 2), stood_still));
        }
        found
    }
}

/// Judges the latencies of a whole history.
pub fn latencies(limits: &[Limit], history: &History, faults: &[FaultRecord]) -> Vec<Finding> {
    let of_latency = limits.iter().filter(|limit| limit.measure == Measure::Latency);
    of_latency.filter_map(|limit| latency(limit, history, faults)).collect()
}

fn latency(limit: &Limit, history: &History, faults: &[FaultRecord]) -> Option<Finding> {
    let under = limit.under.as_deref();
    let windows: Vec<(u64, u64)> = faults
        .iter()
        .filter(|fault| under.is_none_or(|name| name == fault.fault))
        .map(|fault| (fault.began_ns, fault.ended_ns.unwrap_or(u64::MAX)))
        .collect();
    let answered = history.operations().iter().filter_map(|operation| {
        let Outcome::Ok(returned, _) = operation.outcome else { return None };
        let (from, to) = (operation.invoked.time.0, returned.time.0);
        let is_within = under.is_none() || windows.iter().any(|it| it.0 <= to && from <= it.1);
        is_within.then_some((to - from, to))
    });
    let mut latencies: Vec<(u64, u64)> = answered.collect();
    if latencies.len() < FEWEST {
        return None;
    }
    latencies.sort_unstable();
    let (latency, at) = latencies[latencies.len() - 1 - latencies.len() / TAIL];
    if latency < limit.below.saturating_mul(1_000_000) {
        return None;
    }
    let sentence = format!(
        "one of {TAIL} operations took {:.3} s or longer, such as the one that was answered at {:.1} s: \
         the limit is {}",
        Nanoseconds(latency).as_seconds(),
        Nanoseconds(at).as_seconds(),
        limit.measure.amount(limit.below)
    );
    Some(broken(limit, Nanoseconds(at), sentence))
}

fn broken(limit: &Limit, at: Nanoseconds, sentence: String) -> Finding {
    let finding = Finding::new(FindingKind::LimitBroken, limit.to_string(), sentence);
    Finding { at_ns: Some(at), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(texts: &[&str]) -> Vec<Limit> {
        texts.iter().map(|text| text.parse().expect("a limit")).collect()
    }

    #[test]
    fn this_very_process_uses_memory_and_has_files_open() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join("inner")).expect("made");
        std::fs::write(place.path().join("inner/file"), [7; 1_000]).expect("written");
        let process = i32::try_from(std::process::id()).expect("a process id");
        let usage = Usage::of(&[process], place.path());
        assert!(usage.memory > 1 << 20 && usage.open_files >= 3, "{usage:?}");
        assert_eq!(usage.log_size, 1_000);
    }

    #[test]
    fn a_node_that_uses_too_much_is_named_with_what_it_used() {
        let watch = LimitWatch::new(limits(&["memory < 1MiB", "open-files < 10"]));
        let usage = Usage { memory: 2 << 20, open_files: 9, log_size: 0 };
        let found = watch.usage("n2", Nanoseconds(1), usage);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].title, found[0].node.as_deref()), ("memory < 1MiB", Some("n2")));
    }

    #[test]
    fn silence_is_told_once_and_only_while_the_limit_is_to_be_kept() {
        let fault = FaultRecord {
            id: 1,
            fault: "isolate".to_owned(),
            family: partita_nemesis::Family::Partition,
            target: "leader".to_owned(),
            nodes: vec!["n1".to_owned()],
            parameters: std::collections::BTreeMap::new(),
            began_ns: 0,
            ended_ns: None,
            effects: Vec::new(),
            error: None,
            unhealed: false,
        };
        let mut watch =
            LimitWatch::new(limits(&["unavailable < 2s", "unavailable < 1s under isolate"]));
        let mut titles = Vec::new();
        for tenth in 0..60_u64 {
            let in_force = if tenth >= 30 { std::slice::from_ref(&fault) } else { &[] };
            let now = Answers {
                at: Nanoseconds(tenth * 100_000_000),
                answered: tenth.min(5),
                stood_still: 0,
                are_asked: true,
                in_force,
            };
            titles.extend(watch.answers(now).into_iter().map(|found| (tenth, found.title)));
        }
        let expected = [(25, "unavailable < 2s"), (40, "unavailable < 1s under isolate")];
        let expected = expected.map(|(tenth, title)| (tenth, title.to_owned()));
        assert_eq!(titles, expected);
    }
}
