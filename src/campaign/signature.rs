//! What findings have in common: from what a run told to the buckets it falls into.
//!
//! A signature holds nothing that differs from run to run or from build to build: no names of planted bugs or
//! binaries, no seeds, nodes, addresses, numbers or times.

use partita_checker::{Counterexample, Relation};
use partita_reports::campaign::record::{HARNESS, Sighting, Signature};
use partita_reports::{Finding, FindingKind};

/// How long normalised last words may be, in characters.
const LONGEST: usize = 120;

/// What trouble of the machine or the harness is called, by words that its message holds.
const TROUBLE: [(&str, &[&str]); 6] = [
    ("out of memory", &["out of memory", "cannot allocate memory", "enomem", "signal: 9"]),
    ("disk full", &["no space left", "enospc", "disk quota"]),
    ("port taken", &["address already in use", "eaddrinuse"]),
    ("too many processes or files", &["too many open files", "resource temporarily unavailable"]),
    ("no lab", &["no lab can be built"]),
    ("took too long", &["did not end within"]),
];

/// What a store that did not come up is called, likewise: the same whatever the clients would have done.
const NEVER_UP: [(&str, &str); 1] =
    [("no leader after the start", "no leader that every node follows")];

/// The bucket of a finding.
pub fn of_finding(
    target: &str,
    workload: &str,
    finding: &Finding,
    counterexample: Option<&Counterexample>,
) -> Sighting {
    let (what, shape) = match finding.kind {
        FindingKind::Violation => {
            let cycle = counterexample.map(|found| found.cycle.as_slice()).unwrap_or_default();
            (finding.title.clone(), shape(cycle.iter().map(|edge| edge.relation)))
        }
        _ => (exit_excerpt(finding), Vec::new()),
    };
    let at_ms = finding.at_ns.map(|at| at.0 / 1_000_000);
    let made = sighting(target, workload, finding.kind.name(), what, shape, &finding.sentence);
    Sighting { at_ms, ..made }
}

/// The bucket of a run that failed for a reason that is not the store's.
pub fn of_trouble(target: &str, workload: &str, failure: &str) -> Sighting {
    let lower = failure.to_lowercase();
    let known = TROUBLE.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    let never_up = NEVER_UP.iter().find(|(_, words)| lower.contains(words));
    let (target, workload, what) = match (known, never_up) {
        // Trouble of the machine is the same whatever was run.
        (Some((name, _)), _) => ("machine", "any", (*name).to_owned()),
        (None, Some((name, _))) => (target, "any", (*name).to_owned()),
        (None, None) => (target, workload, normalised(failure)),
    };
    // What every node said last is in the run's folder.
    let sentence = failure.split("; ").next().unwrap_or(failure);
    sighting(target, workload, HARNESS, what, Vec::new(), sentence)
}

fn sighting(
    target: &str,
    workload: &str,
    kind: &str,
    what: String,
    shape: Vec<String>,
    sentence: &str,
) -> Sighting {
    let signature = Signature {
        target: target.to_owned(),
        workload: workload.to_owned(),
        kind: kind.to_owned(),
        what,
        shape,
    };
    Sighting { bucket: signature.id(), signature, sentence: sentence.to_owned(), at_ms: None }
}

/// The reasons in a cycle, each once, in an order of their own: how many steps it has, and where it
/// begins, is chance.
fn shape(relations: impl Iterator<Item = Relation>) -> Vec<String> {
    let mut names: Vec<String> = relations.map(|relation| name(relation).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

const fn name(relation: Relation) -> &'static str {
    match relation {
        Relation::RealTime => "real-time",
        Relation::ReadsFrom => "reads-from",
        Relation::VersionOrder => "version-order",
        Relation::Session => "session",
        Relation::OverwrittenBefore => "overwritten-before",
        Relation::Inferred => "inferred",
    }
}

/// What a store said last, without what differs: the file of its source and the message.
fn exit_excerpt(finding: &Finding) -> String {
    let title = normalised(&finding.title);
    match &finding.place {
        Some(place) => {
            let file = place.file.rsplit('/').next().unwrap_or(&place.file);
            if title.contains(file) { title } else { format!("{title} in {file}") }
        }
        None => title,
    }
}

/// A text without numbers, addresses, names of nodes and quoted words.
pub fn normalised(text: &str) -> String {
    let words = text.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    words.chars().take(LONGEST).collect()
}

fn word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let is_node = bare.strip_prefix('n').is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_node {
        return word.replace(bare, "N");
    }
    let is_hash = bare.len() >= 6
        && bare.bytes().all(|byte| byte.is_ascii_hexdigit())
        && bare.bytes().any(|byte| byte.is_ascii_digit());
    if bare.starts_with("0x") || is_hash {
        return word.replace(bare, "#");
    }
    // Folders are a matter of the machine.
    let word = match (word.starts_with('/'), word.rsplit_once('/')) {
        (true, Some((_, last))) => last,
        _ => word,
    };
    let mut text = String::new();
    for c in word.chars() {
        if !c.is_ascii_digit() {
            text.push(c);
        } else if !text.ends_with('#') {
            text.push('#');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use partita_reports::SourcePlace;

    use super::*;

    #[test]
    fn last_words_of_two_nodes_of_two_builds_are_the_same() {
        let crash = |title: &str, file: &str, line| {
            let place = Some(SourcePlace { file: file.to_owned(), line });
            let finding =
                Finding { place, ..Finding::new(FindingKind::Crash, title, "A sentence.") };
            of_finding("store", "register", &finding, None)
        };
        let first = crash("n2 panicked: index 7 is out of 12 at 0x7f3a", "/build/a/src/log.rs", 30);
        let other = crash("n3 panicked: index 801 is out of 9 at 0x11", "src/log.rs", 38);
        assert_eq!(first.bucket, other.bucket);
        assert_eq!(first.signature.what, "N panicked: index # is out of # at # in log.rs");
        assert_ne!(crash("n2 panicked: no index", "src/log.rs", 30).bucket, first.bucket);
    }

    #[test]
    fn the_shape_of_a_cycle_does_not_depend_on_its_length_or_beginning() {
        use Relation::{OverwrittenBefore, RealTime};
        let one = shape([RealTime, OverwrittenBefore].into_iter());
        let other = shape([OverwrittenBefore, RealTime, RealTime, OverwrittenBefore].into_iter());
        assert_eq!(one, other);
        assert_ne!(one, shape([RealTime].into_iter()));
    }

    #[test]
    fn trouble_of_the_machine_is_one_bucket_whatever_was_run() {
        let one = of_trouble("etcd", "register", "n1: Address already in use (os error 98)");
        let other = of_trouble("store", "append", "listen: EADDRINUSE 127.0.0.1:4001");
        assert_eq!(one.bucket, other.bucket);
        assert_eq!(one.signature.what, "port taken");
        assert!(one.signature.is_harness());
        let unlike =
            of_trouble("store", "append", "n1 ended before the cluster was up: exit status: 3");
        assert_ne!(unlike.bucket, one.bucket);
        assert_eq!(unlike.signature.what, "N ended before the cluster was up: exit status: #");
    }

    #[test]
    fn a_store_that_never_came_up_is_one_bucket_whatever_its_nodes_were_and_did() {
        let failure = |nodes: &str| {
            format!(
                "no leader that every node follows within 20s of the start: {nodes}; n1: its last lines: a; b"
            )
        };
        let one = of_trouble("store", "register", &failure("n1 candidate in term 0"));
        let other = of_trouble("store", "append", &failure("n1 follower, n2 did not answer"));
        assert_eq!(one.bucket, other.bucket);
        assert_eq!(one.signature.what, "no leader after the start");
        assert!(one.sentence.ends_with(": n1 candidate in term 0"), "{}", one.sentence);
        assert_ne!(of_trouble("etcd", "append", &failure("n1 down")).bucket, one.bucket);
    }

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        let text = "2026-03-01T09:30:00.125Z n12 /tmp/x9/data deadbeef99 took 31ms name";
        assert_eq!(normalised(text), "#-#-#T#:#:#.#Z N data # took #ms name");
        assert_eq!(normalised(&"a ".repeat(500)).chars().count(), LONGEST);
    }
}
