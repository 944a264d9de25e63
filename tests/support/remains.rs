//! What may be left of a run that was killed: processes, mounts, interfaces.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take until nothing is left.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The processes that have a path in their command line or environment, as all of a run have that of
/// the run's folder.
pub(crate) fn processes(path: &Path) -> BTreeSet<i32> {
    let name = path.to_str().expect("a plain path").as_bytes();
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let names = |pid: i32, file: &str| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(name.len()).any(|window| window == name)
    };
    pids.filter(|pid| names(*pid, "cmdline") || names(*pid, "environ")).collect()
}

/// Waits until no process is left of what has `path`, and looks for everything else that could be.
pub(crate) fn assert_none(path: &Path) {
    let begun = Instant::now();
    loop {
        let left = processes(path);
        if left.is_empty() {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "still there: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
    assert!(!mounts.contains(path.to_str().expect("a path")), "{mounts}");
    let interfaces = fs::read_to_string("/proc/self/net/dev").expect("interfaces");
    assert!(!interfaces.contains("lab-"), "{interfaces}");
}
