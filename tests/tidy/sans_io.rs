//! Rooms that read no clock and open nothing: time, randomness and data come from outside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{paths, read, rust_files};

/// The rooms. What is compiled for tests alone may do as it likes.
const SANS_IO: &[&str] = &[
    "checker/src",
    "nemesis/src/lab/fabric",
    "nemesis/src/administration.rs",
    "nemesis/src/evidence.rs",
    "nemesis/src/fault/description.rs",
    "nemesis/src/fault/kind.rs",
    "nemesis/src/fault/links.rs",
    "nemesis/src/fault/read.rs",
    "nemesis/src/fault/set.rs",
    "nemesis/src/fault/target.rs",
    "nemesis/src/fault/values.rs",
    "nemesis/src/guide",
    "nemesis/src/guide.rs",
    "nemesis/src/hunt",
    "nemesis/src/hunt.rs",
    "nemesis/src/names.rs",
    "nemesis/src/random.rs",
    "nemesis/src/recipes",
    "nemesis/src/record.rs",
    "nemesis/src/roles.rs",
    "nemesis/src/schedule",
    "nemesis/src/shrink.rs",
    "nemesis/src/units.rs",
    "raft-node/src/codec",
    "raft-node/src/core",
    "raft-node/src/mutations.rs",
    "raft-node/src/sim",
    "reports/src",
    "src/serve/answer.rs",
    "src/serve/route.rs",
    "workloads/src/append.rs",
    "workloads/src/catalogue.rs",
    "workloads/src/containers.rs",
    "workloads/src/counter.rs",
    "workloads/src/generator.rs",
    "workloads/src/keys.rs",
    "workloads/src/lock.rs",
    "workloads/src/operation.rs",
    "workloads/src/random.rs",
    "workloads/src/register.rs",
    "workloads/src/set.rs",
    "workloads/src/transactions.rs",
];

/// What they may not name, as the ends or the middle of a path.
const FORBIDDEN: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "libc",
    "nix",
    "rand::rng",
    "rngs::SysRng",
    "rngs::ThreadRng",
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "thread::sleep",
    "thread::spawn",
    "tokio",
];

/// The files of those rooms that may use one of these all the same, and which.
const ALLOWED: &[(&str, &str)] = &[
    // What it stamps decides nothing.
    ("checker/src/recorder/clock.rs", "Instant::now"),
    // The type of exit codes.
    ("reports/src/exit.rs", "std::process"),
    // The folders of runs, which are read and written nowhere else.
    ("reports/src/folder.rs", "std::fs"),
    ("reports/src/logs.rs", "std::fs"),
];

#[test]
fn sans_io_rooms_read_no_clock_and_open_nothing() {
    let files = rust_files();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for room in SANS_IO {
        let is_inside = |path: &&PathBuf| path.starts_with(room) && !is_for_tests(path);
        let inside: Vec<_> = files.iter().filter(is_inside).collect();
        assert!(!inside.is_empty(), "{room} has moved: update this list");
        for path in inside {
            for (name, line) in forbidden(&read(path)) {
                let allowed = ALLOWED.iter().find(|it| path == Path::new(it.0) && name == it.1);
                match allowed {
                    Some(allowed) => _ = used.insert(allowed),
                    None => wrong.push(format!("{}:{line}: {name}", path.display())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "in rooms without input and output:\n{}", wrong.join("\n"));
    assert_eq!(used.len(), ALLOWED.len(), "more is allowed than is used: {used:?}");
}

fn is_for_tests(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.iter().any(|part| part == "tests")
}

/// What the code names that it must not, and where.
fn forbidden(text: &str) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    paths::scan(text, &[], &mut |path| {
        let spelt = format!("::{}::", path.names.join("::"));
        let named = FORBIDDEN.iter().filter(|name| spelt.contains(&format!("::{name}::")));
        found.extend(named.map(|name| (*name, path.line)));
    });
    found
}

#[test]
fn forbidden_names_are_seen_however_they_are_imported() {
    let text = r#"
        //! No std::fs here.
        use std::{fs::File, io::{self, Read}, time::SystemTime as Now};
        fn now() -> std::time::Instant { std::time::Instant::now() }
        fn told(instant: Instant) { println!("{:?}", std::env::args()); }
        #[cfg(test)]
        mod tests { use std::process::Command; }
    "#;
    let found: Vec<_> = forbidden(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["std::fs", "SystemTime", "Instant::now", "std::env"]);
}
