//! Writes a run's reports into its folder.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::logs::{NodeLines, Stream};
use crate::messages::{self, MessageLog, messages};
use crate::run::Run;
use crate::samples::samples;
use crate::surroundings::{LoggedLine, RunArtifacts, Window};
use crate::traffic::periods;
use crate::{html_around, junit, summary};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct WriteReportsError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// The longest `links.jsonl`, `messages.jsonl` or `nodes.jsonl` that is read, in bytes.
const LONGEST: u64 = 256 << 20;
/// The most lines of each stream of a node that are told around a finding.
const MOST_LINES: usize = 400;

/// Reads what lies in a run's folder beside its record: what links did, what nodes used and told, and what they
/// wrote around the finding. What is not there or cannot be read is left out: it explains a verdict and decides none.
pub fn read_surroundings(folder: &Path, run: &Run<'_>) -> RunArtifacts {
    let links = fair_text(&folder.join("links.jsonl")).map_or_else(Vec::new, |it| periods(&it));
    let samples = fair_text(&folder.join("nodes.jsonl")).map_or_else(Vec::new, |it| samples(&it));
    let mut found = RunArtifacts { links, samples, ..RunArtifacts::default() };
    let Some(window) = Window::of(run) else { return found };
    let text = fair_text(&folder.join(messages::FILE));
    found.messages = text.map_or_else(MessageLog::default, |it| messages(&it));
    for node in &run.record.nodes {
        for stream in Stream::ALL {
            let Ok(lines) = NodeLines::open(folder, &node.name, stream, window.from) else {
                continue;
            };
            let lines = lines.map_while(Result::ok).take_while(|line| line.at <= window.to);
            let mut kept = VecDeque::new();
            for line in lines {
                let is_after = line.at > window.at;
                kept.push_back(line);
                if kept.len() > MOST_LINES {
                    // Those nearest to the moment stay.
                    _ = if is_after { kept.pop_back() } else { kept.pop_front() };
                    found.lines_left_out += 1;
                }
            }
            found.lines.extend(kept.into_iter().map(|line| LoggedLine {
                node: node.name.clone(),
                at: line.at,
                stream,
                text: line.text,
            }));
        }
    }
    found.lines.sort_by_key(|line| line.at);
    found
}

/// The text of a file, if it is there and not too long.
fn fair_text(path: &Path) -> Option<String> {
    let is_fair = std::fs::metadata(path).is_ok_and(|file| file.len() <= LONGEST);
    is_fair.then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// Writes `report.html`, `junit.xml` and `summary.md` into `folder`, which must exist. Files of
/// these names are replaced.
///
/// # Errors
///
/// [`WriteReportsError`] names the first file that could not be written; earlier ones stay.
pub fn write_all(folder: &Path, run: &Run<'_>) -> Result<(), WriteReportsError> {
    write_all_to(folder, folder, run)
}

/// Like [`write_all`], but writes the reports of the run in `folder` into the folder `out`.
///
/// # Errors
///
/// As for [`write_all`].
pub fn write_all_to(out: &Path, folder: &Path, run: &Run<'_>) -> Result<(), WriteReportsError> {
    let page = html_around(run, &read_surroundings(folder, run));
    let reports = [("report.html", page), ("junit.xml", junit(run)), ("summary.md", summary(run))];
    for (name, text) in reports {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|source| WriteReportsError { path, source })?;
    }
    Ok(())
}
