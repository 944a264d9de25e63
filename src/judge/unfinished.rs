//! Runs that never came to their verdict: killed, out of disk, or still under way.
//!
//! What such a run recorded is judged like any other history, up to its last whole line. A violation
//! in it stands: what would have followed takes nothing back. It is never valid, since what would
//! have followed is not known.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use partita_checker::formats::{self, ReadHistory, ReadOptions};
use partita_checker::{Analysis, History, Outcome, Verdict};
use partita_reports::text::visible::escaped;
use serde::de::IgnoredAny;

use super::source::Source;
use crate::exit::Failure;

/// The history of the run that `path`, a run's folder or the history in it, belongs to, if that run
/// has not come to its verdict. There need not be such a file yet.
pub fn history(path: &Path) -> Option<PathBuf> {
    let folder = match path.file_name() {
        _ if path.is_dir() => path,
        Some(name) if name == "history.jsonl" => path.parent()?,
        _ => return None,
    };
    let is_run = folder.join("spec.json").is_file() && !folder.join("run.json").is_file();
    is_run.then(|| folder.join("history.jsonl"))
}

/// Whether there is not one whole line in the history at `path`, or no such file.
pub fn is_empty(path: &Path) -> bool {
    // A last line may be whole but for its end.
    let is_whole = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    !std::fs::read(path).is_ok_and(|bytes| bytes.contains(&b'\n') || is_whole(&bytes))
}

/// Reads the history at `path`, or as many of its lines as are whole; nothing if there is none.
///
/// # Errors
///
/// [`Failure`] if a line that is whole cannot be read.
pub fn read(path: &Path) -> Result<ReadHistory, Failure> {
    if is_empty(path) {
        return Ok(ReadHistory::default());
    }
    let source = Source::open(path, None)?;
    let name = escaped(&source.name);
    let input = BufReader::with_capacity(256 * 1024, source);
    formats::read(&name, input, &ReadOptions::default())
        .map_err(|error| Failure::usage(miette::miette!("{error}")))
}

/// Why what was read of an unfinished run is not valid: where it is cut off.
pub fn cut(read: &ReadHistory) -> String {
    read.reading.withholds_valid().unwrap_or_else(|| cut_off_at(&read.history))
}

/// Lets an analysis say no more than a history allows that may go on.
pub fn withhold(analysis: &mut Analysis, history: &History) {
    if analysis.verdict == Verdict::Valid {
        analysis.verdict = Verdict::Unknown;
    }
    analysis.reasons.insert(0, cut_off_at(history));
}

fn cut_off_at(history: &History) -> String {
    match events(history) {
        0 => "cut off at event 0: nothing was recorded".to_owned(),
        events => format!("cut off at event {events}"),
    }
}

/// How many events a history was made from.
pub fn events(history: &History) -> usize {
    let is_over = |outcome: &Outcome| !matches!(outcome, Outcome::Info(None));
    let over = history.operations().iter().filter(|operation| is_over(&operation.outcome));
    history.operations().len() + over.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "\
        {\"index\":0,\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"k\",\"value\":1}\n\
        {\"index\":1,\"time\":2,\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"key\":\"k\",\"value\":1}\n\
        {\"index\":2,\"time\":3,\"process\":1,\"type\":\"invoke\",\"f\":\"read\",\"key\":\"k\",\"value\":null}\n";

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, text).expect("written");
        std::fs::write(folder.path().join("spec.json"), "{}").expect("written");
        (folder, path)
    }

    #[test]
    fn a_history_is_read_up_to_its_last_whole_line_wherever_it_is_cut() {
        for length in 0..=WRITTEN.len() {
            let (_folder, path) = written(&WRITTEN[..length]);
            let read =
                read(&path).unwrap_or_else(|failure| panic!("{length}: {:?}", failure.report));
            // A last line may be whole but for its end.
            let whole = WRITTEN[..length].lines().filter(|line| line.ends_with('}')).count();
            assert_eq!(events(&read.history), whole, "cut after {length} bytes");
            assert!(cut(&read).starts_with(&format!("cut off at event {whole}")), "{length}");
        }
    }

    #[test]
    fn a_run_is_unfinished_until_it_has_its_record() {
        let (folder, path) = written(WRITTEN);
        assert_eq!(history(folder.path()).as_ref(), Some(&path));
        assert_eq!(history(&path).as_ref(), Some(&path));
        assert_eq!(history(&folder.path().join("spec.json")), None);
        std::fs::write(folder.path().join("run.json"), "{}").expect("written");
        assert_eq!((history(folder.path()), history(&path)), (None, None));
    }
}
