//! The runs and campaigns below a folder, in memory, as the folder has them now.
//!
//! A run's folder is one with a `run.json`, an `events.jsonl` or a `spec.json`; a campaign's has a `campaign.json`, and its
//! runs below it. A file is read again when its size or its time has changed.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use partita_reports::site::{Campaign, Entry, FileRow};

use super::answer::Known;
use super::files::Root;
use super::route::Inside;

/// How long what was seen counts as what is there.
const FRESH: Duration = Duration::from_secs(1);
/// How deep a run's folder may lie.
const DEEPEST: usize = 5;
/// The most folders that are looked into, and the most names in each.
const MOST_FOLDERS: usize = 20_000;
/// The longest `run.json` that is read, in bytes.
const LONGEST_RECORD: u64 = 32 << 20;
/// How much of the beginning and of the end of `events.jsonl` is read, in bytes.
const FIRST_EVENTS: u64 = 16 << 10;
const LAST_EVENTS: u64 = 64 << 10;
/// After so long without an event a run is looked at again, for it may have died.
const IDLE: Duration = Duration::from_secs(60);

/// What is known of the folder.
#[derive(Debug)]
pub struct Index {
    root: Arc<Root>,
    /// What was read of each run, and of which state of its files.
    runs: BTreeMap<String, (Stamp, Entry)>,
    known: Arc<Known>,
    looked_at: Option<Instant>,
}

/// By which a change of a file is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    is_idle: bool,
    has_report: bool,
}

/// What a walk through the folders finds.
#[derive(Default)]
struct Found {
    runs: Vec<(Inside, Vec<FileRow>)>,
    campaigns: Vec<Campaign>,
    folders: usize,
}

impl Index {
    /// An index of the folder, which is first looked at when it is asked for.
    pub fn new(root: Arc<Root>) -> Self {
        Self { root, runs: BTreeMap::new(), known: Arc::default(), looked_at: None }
    }

    /// What is there, at most a second old.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn known(&mut self) -> io::Result<Arc<Known>> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= FRESH) {
            self.look()?;
            self.looked_at = Some(Instant::now());
        }
        Ok(Arc::clone(&self.known))
    }

    fn look(&mut self) -> io::Result<()> {
        let mut found = Found::default();
        let rows = self.root.list(None, MOST_FOLDERS)?;
        walk(&self.root, None, &rows, &mut found);
        let mut runs = BTreeMap::new();
        for (run, files) in found.runs {
            let path = run.path();
            let stamp = stamp(&self.root, &run, &files);
            let entry = match self.runs.remove(&path) {
                Some((before, entry)) if before == stamp => entry,
                _ => read(&self.root, &run, stamp),
            };
            runs.insert(path, (stamp, entry));
        }
        self.runs = runs;
        let mut entries: Vec<Entry> = self.runs.values().map(|(_, entry)| entry.clone()).collect();
        entries.sort_by_cached_key(|entry| std::cmp::Reverse(began(entry)));
        found.campaigns.sort_by(|one, other| other.path.cmp(&one.path));
        self.known = Arc::new(Known { entries, campaigns: found.campaigns });
        Ok(())
    }
}

/// When a run began, as digits that can be compared: folders are named by that.
fn began(entry: &Entry) -> (String, String) {
    let digits =
        |text: &str| -> String { text.chars().filter(char::is_ascii_digit).take(14).collect() };
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    let time = match entry.started_at.is_empty() {
        true => digits(name.split('-').next().unwrap_or_default()),
        false => digits(&entry.started_at),
    };
    (time, entry.path.clone())
}

fn has(files: &[FileRow], name: &str) -> bool {
    files.iter().any(|file| file.name == name && file.bytes.is_some())
}

fn walk(root: &Root, here: Option<&Inside>, rows: &[FileRow], found: &mut Found) {
    for row in rows.iter().filter(|row| row.bytes.is_none()) {
        let inside = here.map_or_else(|| Inside::of(&row.name), |here| Some(here.with(&row.name)));
        let Some(inside) = inside.filter(|it| it.names().len() <= DEEPEST) else { continue };
        found.folders += 1;
        if found.folders > MOST_FOLDERS {
            return;
        }
        // What cannot be read is no run of ours.
        let Ok(files) = root.list(Some(&inside), MOST_FOLDERS) else { continue };
        if ["run.json", "events.jsonl", "spec.json"].iter().any(|name| has(&files, name)) {
            // What was played again lies in the run that it is of.
            let replays = inside.with("replays");
            if files.iter().any(|file| file.name == "replays" && file.bytes.is_none())
                && let Ok(rows) = root.list(Some(&replays), MOST_FOLDERS)
            {
                walk(root, Some(&replays), &rows, found);
            }
            found.runs.push((inside, files));
            continue;
        }
        if has(&files, "campaign.json") {
            let has_page = has(&files, "index.html");
            found.campaigns.push(Campaign { path: inside.path(), has_page });
        }
        walk(root, Some(&inside), &files, found);
    }
}

/// The state of the file that tells of a run.
fn stamp(root: &Root, run: &Inside, files: &[FileRow]) -> Stamp {
    let name = if has(files, "run.json") { "run.json" } else { "events.jsonl" };
    let has_report = has(files, "report.html");
    let none = Stamp { inode: 0, bytes: 0, modified: (0, 0), is_idle: true, has_report };
    let Ok((_, metadata)) = root.file(&run.with(name)) else { return none };
    let idle = idle(metadata.modified());
    Stamp {
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        is_idle: idle >= IDLE,
        has_report,
    }
}

fn idle(modified: io::Result<SystemTime>) -> Duration {
    modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
}

fn read(root: &Root, run: &Inside, stamp: Stamp) -> Entry {
    let path = run.path();
    match root.read(&run.with("run.json"), 0, LONGEST_RECORD) {
        Ok(json) => return Entry::of_record(&path, &json, stamp.has_report),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Entry::unreadable(&path, &format!("run.json: {error}")),
    }
    let events = run.with("events.jsonl");
    let first = root.read(&events, 0, FIRST_EVENTS).unwrap_or_default();
    // Where both pieces overlap, events are told twice, which changes nothing.
    let last_from = stamp.bytes.saturating_sub(LAST_EVENTS);
    let last = root.read(&events, last_from, LAST_EVENTS).unwrap_or_default();
    let idle = if stamp.is_idle { IDLE } else { Duration::ZERO };
    Entry::of_events(&path, &first, &last, idle.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use partita_reports::site::State;

    use super::*;

    fn index(folder: &std::path::Path) -> Index {
        Index::new(Arc::new(Root::open(folder).expect("a folder")))
    }

    /// What is there, however fresh what was seen is.
    fn now(index: &mut Index) -> Arc<Known> {
        index.looked_at = None;
        index.known().expect("readable")
    }

    #[test]
    fn runs_are_found_wherever_they_lie_the_newest_first() {
        let home = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write(
            "20260101T000000Z-a/run.json",
            r#"{"verdict":"valid","started_at":"2026-01-01T00:00:00Z"}"#,
        );
        write("nightly/campaign.json", "{}");
        write("nightly/index.html", "");
        write("nightly/runs/20260103T000000Z-b/run.json", r#"{"verdict":"violation"}"#);
        write(
            "20260102T000000Z-c/events.jsonl",
            "{\"at_ns\":1,\"type\":\"phase\",\"phase\":\"faults\"}\n{\"at_",
        );
        write("broken/run.json", "{");
        write("broken/replays/20260101T000001Z-d/run.json", r#"{"verdict":"unknown"}"#);
        write("not-a-run/readme", "");
        std::os::unix::fs::symlink("20260101T000000Z-a", home.path().join("latest"))
            .expect("linked");
        let mut index = index(home.path());
        let known = now(&mut index);
        let paths: Vec<_> = known.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "nightly/runs/20260103T000000Z-b",
                "20260102T000000Z-c",
                "broken/replays/20260101T000001Z-d",
                "20260101T000000Z-a",
                "broken"
            ]
        );
        let states: Vec<_> = known.entries.iter().map(|entry| entry.state).collect();
        let wanted =
            [State::Finding, State::UnderWay, State::Unknown, State::Valid, State::Unreadable];
        // Before findings were kept, the verdict stands for them.
        assert_eq!(states, wanted);
        assert_eq!(known.entries[1].title, "faults");
        let campaign = Campaign { path: "nightly".to_owned(), has_page: true };
        assert_eq!(known.campaigns, [campaign]);
    }

    #[test]
    fn what_changes_is_read_again_and_what_goes_is_forgotten() {
        let home = tempfile::tempdir().expect("a folder");
        let run = home.path().join("a");
        std::fs::create_dir(&run).expect("made");
        std::fs::write(run.join("spec.json"), "{}").expect("written");
        let mut index = index(home.path());
        let state = |index: &mut Index| now(index).entries.first().map(|entry| entry.state);
        assert_eq!(state(&mut index), Some(State::Unfinished), "nothing has been told of it");
        std::fs::write(run.join("events.jsonl"), "").expect("written");
        assert_eq!(state(&mut index), Some(State::UnderWay));
        std::fs::write(run.join("run.json"), r#"{"verdict":"unknown"}"#).expect("written");
        assert_eq!(state(&mut index), Some(State::Unknown));
        std::fs::remove_dir_all(&run).expect("removed");
        assert_eq!(state(&mut index), None);
    }
}
