//! Pages of two runs side by side, made one at a time and kept for a while: reading two histories takes
//! time and memory.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use partita_reports::site::{compare_page, message_page};

use super::files::Root;
use super::http::Comparer;
use super::route::Inside;

/// How many pages are kept.
const MOST_KEPT: usize = 16;
/// The most that the histories of both runs may hold, in bytes.
const LONGEST: u64 = 256 << 20;
/// What a comparison reads of a run.
const FILES: &[&str] =
    &["run.json", "verdict.json", "history.jsonl", "schedule.jsonl", "certificate.json"];

/// By which it is seen that a file of a run has changed: inode, bytes, and time.
type Stamps = Vec<(u64, u64, i64)>;

/// The pages that were made last.
#[derive(Default)]
pub(super) struct Compared {
    kept: Mutex<VecDeque<(String, Stamps, String)>>,
}

impl Compared {
    /// The page of two runs, with its status.
    pub(super) fn page(
        &self,
        root: &Root,
        [a, b]: [&Inside; 2],
        compare: &Comparer,
    ) -> (u16, String) {
        let failed = |text: String| (422, message_page("These two cannot be compared", &text));
        let stamps = [a, b].map(|run| stamps(root, run));
        let stamps = match stamps {
            [Ok(first), Ok(second)] => [first, second].concat(),
            [Err(text), _] | [_, Err(text)] => return failed(text),
        };
        if stamps.iter().map(|stamp| stamp.1).sum::<u64>() > LONGEST {
            let text =
                "Their files are too large to be read by a server; `partita compare A B` does it.";
            return failed(text.to_owned());
        }
        let name = format!("{}\0{}", a.path(), b.path());
        if let Some(page) = self.known(&name, &stamps) {
            return (200, page);
        }
        match compare([&root.path_of(a), &root.path_of(b)]) {
            Ok(comparison) => {
                let page = compare_page([&a.path(), &b.path()], &comparison);
                self.keep(name, stamps, &page);
                (200, page)
            }
            Err(text) => failed(text),
        }
    }

    fn known(&self, name: &str, stamps: &Stamps) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = kept.iter().filter(|it| it.0 == name && it.1 == *stamps);
        same.next().map(|(_, _, page)| page.clone())
    }

    fn keep(&self, name: String, stamps: Stamps, page: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|it| it.0 != name);
        kept.push_front((name, stamps, page.to_owned()));
        kept.truncate(MOST_KEPT);
    }
}

/// The state of the files that are read of a run: each a regular file, reached by no link, or none.
fn stamps(root: &Root, run: &Inside) -> Result<Stamps, String> {
    let mut stamps = Vec::new();
    for name in FILES {
        match root.file(&run.with(name)) {
            Ok((_, metadata)) => stamps.push((metadata.ino(), metadata.len(), metadata.mtime())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A link, too.
            Err(error) => return Err(format!("{}/{name}: {error}", run.path())),
        }
    }
    Ok(stamps)
}
