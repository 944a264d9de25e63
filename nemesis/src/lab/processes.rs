//! Reads what the kernel says of processes, and ends whole trees of them.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long a tree of processes may take to end after it was killed: past that, the kernel is stuck.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait before looking again.
const SWEEP_STEP: Duration = Duration::from_millis(2);

/// A process, as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// `R` runs, `S` sleeps, `T` is stopped, `Z` has ended; see proc(5).
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
}

impl Process {
    /// Whether it has ended, and waits to be reaped at most.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Every process that can be seen. Takes some 20 µs for each.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// A process by its line: the name before the fields may hold anything.
fn read(pid: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { pid, state, parent, group })
}

/// The children of a process, their children and so on, those left out that are `spared` and what
/// comes from these.
pub(crate) fn descendants(ancestor: Pid, spared: &BTreeSet<i32>) -> BTreeSet<i32> {
    let all = all();
    let mut found = BTreeSet::new();
    let mut parents = vec![ancestor.as_raw()];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|it| it.parent == parent && !spared.contains(&it.pid));
        for child in children {
            if found.insert(child.pid) {
                parents.push(child.pid);
            }
        }
    }
    found
}

/// Kills everything that comes from this process, but for what is `spared`, and reaps it. The process
/// must be the one to which orphans come (PR_SET_CHILD_SUBREAPER, prctl(2)), or some may get away.
///
/// Gives up after ten seconds: what SIGKILL does not end by then, nothing does.
pub(crate) fn sweep(spared: &BTreeSet<i32>) {
    let begun = Instant::now();
    while begun.elapsed() < SWEEP_LIMIT {
        let left = descendants(Pid::this(), spared);
        if left.is_empty() {
            return;
        }
        for pid in left.iter().map(|pid| Pid::from_raw(*pid)) {
            // It may have ended by itself.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
        thread::sleep(SWEEP_STEP);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let process = Process { pid: 7, state: 'T', parent: 1, group: 5 };
        assert_eq!(read(7, "7 (a) R (b) T 1 5 5 0 -1"), Some(process));
        assert_eq!(read(7, "7 (sh"), None);
    }

    #[test]
    fn descendants_are_found_but_for_those_that_are_spared() {
        let start = || Command::new("sh").args(["-c", "sleep 100 & wait"]).spawn().expect("starts");
        let mut shells = [start(), start()];
        let begun = Instant::now();
        // What a shell starts, which takes it a moment.
        let children = shells.each_ref().map(|shell| {
            loop {
                let child = all().into_iter().find(|it| it.parent == shell.id().cast_signed());
                if let Some(child) = child {
                    break child.pid;
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "no child");
            }
        });
        let [one, other] = shells.each_ref().map(|shell| shell.id().cast_signed());
        let found = descendants(Pid::this(), &BTreeSet::from([other]));
        assert!(found.contains(&one) && found.contains(&children[0]), "{found:?}");
        assert!(!found.contains(&other) && !found.contains(&children[1]), "{found:?}");
        for child in children {
            kill(Pid::from_raw(child), Signal::SIGKILL).expect("killed");
        }
        for shell in &mut shells {
            shell.wait().expect("reaped");
        }
    }
}
