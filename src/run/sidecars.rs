//! Sidecars that end on their own: a finding, as the end of a node is.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use partita_nemesis::NodeProcess;
use partita_reports::Finding;

use super::clock::RunClock;
use super::exit_excerpt::{self, ExitExcerpt};
use super::folder::RunFolder;

/// Looks in a row that must find a sidecar ended before that counts, as with nodes.
const LOOKS: usize = 3;

/// What is known of sidecars that do not run.
#[derive(Debug, Default)]
pub struct SidecarWatch {
    down: BTreeMap<(String, String), Down>,
}

#[derive(Debug, Default)]
struct Down {
    looks: usize,
    /// A fault was in force that ends processes, or the end is one of those that are expected.
    is_explained: bool,
}

impl SidecarWatch {
    /// Looks at the sidecars of `node`: those of which it is due to say, now and once for each end, that they
    /// ended on their own. `is_explained` says whether a fault may have ended them.
    pub fn look(
        &mut self,
        node: &NodeProcess,
        is_explained: bool,
        expected: &[i32],
    ) -> Vec<(String, ExitStatus)> {
        let ended = node.ended_sidecars();
        self.down.retain(|(of, name), _| {
            of != node.node() || ended.iter().any(|(ended, _)| *ended == name.as_str())
        });
        let due = |(name, status): (&str, ExitStatus)| {
            let key = (node.node().to_owned(), name.to_owned());
            let is_expected = status.code().is_some_and(|code| expected.contains(&code));
            let down = self.down.entry(key).or_default();
            down.is_explained |= down.looks < LOOKS && (is_explained || is_expected);
            down.looks = down.looks.saturating_add(1);
            (down.looks == LOOKS && !down.is_explained).then(|| (name.to_owned(), status))
        };
        ended.into_iter().filter_map(due).collect()
    }
}

/// That a sidecar ended on its own, with what it wrote last.
pub fn crash(
    node: &str,
    (name, status): &(String, ExitStatus),
    folder: &RunFolder,
    clock: RunClock,
) -> Finding {
    let how = exit_excerpt::status_in_words(Some(*status));
    let path = folder.node(node).join(format!("{name}.stderr.log"));
    let output = folder.node(node).join(format!("{name}.stdout.log"));
    let (mut words, mut path) = (ExitExcerpt::of(&path, 0), path);
    if words.lines.is_empty() {
        (words, path) = (ExitExcerpt::of(&output, 0), output);
    }
    let title = match &words.place {
        Some(place) => format!("{name} panicked at {place}"),
        None => format!("{name} ended ({how})"),
    };
    let end = format!("{name} of {node} ended on its own ({how})");
    words.crash(node, title, &end, &path, clock.now())
}
