//! The pages of one run, of two, of files, and of what went wrong.

use askama::Template;

use super::entry::{Entry, State};
use super::links::encoded;
use crate::commands::quoted;
use crate::compare::{Comparison, Row};
use crate::text::number::{amount, count, duration};
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// One file of a folder, or a folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its name.
    pub name: String,
    /// Its size in bytes; `None` for a folder.
    pub bytes: Option<u64>,
}

/// A line of the list of files.
struct FileLine {
    name: String,
    link: String,
    size: String,
}

impl FileLine {
    fn of(folder: &str, file: &FileRow) -> Self {
        let slash = if file.bytes.is_none() { "/" } else { "" };
        Self {
            name: format!("{}{slash}", visible(&file.name, TEXT_CHARACTERS)),
            link: format!("/files/{}/{}{slash}", encoded(folder), encoded(&file.name)),
            size: file.bytes.map_or_else(String::new, |bytes| format!("{} B", count(bytes))),
        }
    }
}

#[derive(Template)]
#[template(path = "site/run.html")]
struct RunPage {
    name: String,
    class: &'static str,
    mark: &'static str,
    state: &'static str,
    title: String,
    facts: Vec<(&'static str, String)>,
    report: Option<String>,
    live: String,
    folder: String,
    files: Vec<FileLine>,
    others: Vec<(String, String)>,
}

/// The page of one run: what it was, its files, and what to compare it with, which `entries` tell.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn run_page(entry: &Entry, files: &[FileRow], entries: &[Entry], folder: &str) -> String {
    let path = encoded(&entry.path);
    // Runs of the same seed had the same faults and requests: those tell most.
    let is_alike = |other: &&Entry| {
        (&other.target, &other.workload, other.seed) == (&entry.target, &entry.workload, entry.seed)
            && other.path != entry.path
            && !matches!(other.state, State::UnderWay | State::Unfinished | State::Unreadable)
    };
    let others = entries.iter().filter(is_alike).take(10).map(|other| {
        let link = format!("/compare?a={}&b={}", encoded(&other.path), path);
        let name = visible(&other.path, TEXT_CHARACTERS);
        (link, format!("{} {name}", other.state.mark()))
    });
    RunPage {
        name: visible(&entry.path, TEXT_CHARACTERS),
        class: entry.state.name(),
        mark: entry.state.mark(),
        state: entry.state.name(),
        title: entry.title.clone(),
        facts: facts(entry),
        report: entry.has_report.then(|| format!("/files/{path}/report.html")),
        live: format!("/live/{path}"),
        folder: quoted(&visible(folder, TEXT_CHARACTERS)),
        files: files.iter().map(|file| FileLine::of(&entry.path, file)).collect(),
        others: others.collect(),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

fn facts(entry: &Entry) -> Vec<(&'static str, String)> {
    let counts = entry.counts;
    let [ok, fail, info] = [counts.ok, counts.fail, counts.info].map(count);
    let all = [
        ("started", entry.started_at.clone()),
        ("target", entry.target.clone()),
        ("workload", entry.workload.clone()),
        ("faults", entry.nemesis.clone()),
        ("planted bug", entry.mutation.clone()),
        ("seed", entry.seed.to_string()),
        ("operations", format!("{ok} ok, {fail} fail, {info} info")),
        ("rate reached", entry.rate.map_or(String::new(), |rate| format!("{} op/s", amount(rate)))),
        ("longest without an ok", entry.longest_outage.map_or(String::new(), duration)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

#[derive(Template)]
#[template(path = "site/compare.html")]
struct ComparePage {
    names: [String; 2],
    links: [String; 2],
    swapped: String,
    rows: Vec<CompareRow>,
    differences: Vec<DifferenceRow>,
}

struct CompareRow {
    name: &'static str,
    first: String,
    second: String,
    differs: bool,
}

struct DifferenceRow {
    of: &'static str,
    alike: String,
    first: String,
    second: String,
    parts: bool,
}

/// Two runs side by side, by the paths of their folders.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn compare_page(paths: [&str; 2], comparison: &Comparison) -> String {
    let [a, b] = paths.map(encoded);
    let shown = |text: &String| visible(text, TEXT_CHARACTERS);
    let row = |row: &Row| CompareRow {
        name: row.name,
        differs: row.first != row.second,
        first: shown(&row.first),
        second: shown(&row.second),
    };
    let differences = comparison.differences.iter().map(|difference| {
        let [first, second] = difference.parting.clone().unwrap_or_default();
        let [first, second] = [shown(&first), shown(&second)];
        let parts = difference.parting.is_some();
        DifferenceRow {
            of: difference.of,
            alike: count(difference.alike as u64),
            first,
            second,
            parts,
        }
    });
    ComparePage {
        names: paths.map(|path| visible(path, TEXT_CHARACTERS)),
        swapped: format!("/compare?a={b}&b={a}"),
        links: [format!("/run/{a}"), format!("/run/{b}")],
        rows: comparison.rows.iter().map(row).collect(),
        differences: differences.collect(),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

#[derive(Template)]
#[template(path = "site/live.html")]
struct LivePage {
    name: String,
    path: String,
    title: String,
    state: &'static str,
    is_over: bool,
    counts: String,
}

/// The page of a run that is going on; it follows the run's events.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn live_page(entry: &Entry) -> String {
    let counts = entry.counts;
    let [ok, fail, info] = [counts.ok, counts.fail, counts.info].map(count);
    LivePage {
        name: visible(&entry.path, TEXT_CHARACTERS),
        path: encoded(&entry.path),
        title: entry.title.clone(),
        state: entry.state.name(),
        is_over: entry.state != State::UnderWay,
        counts: format!("{ok} ok, {fail} fail, {info} info"),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

#[derive(Template)]
#[template(path = "site/files.html")]
struct FilesPage {
    name: String,
    above: String,
    files: Vec<FileLine>,
}

/// The files of a folder.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn files_page(path: &str, files: &[FileRow]) -> String {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    FilesPage {
        name: visible(path, TEXT_CHARACTERS),
        above: match above {
            "" => "/".to_owned(),
            above => format!("/files/{}/", encoded(above)),
        },
        files: files.iter().map(|file| FileLine::of(path, file)).collect(),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

#[derive(Template)]
#[template(path = "site/message.html")]
struct MessagePage {
    title: String,
    text: String,
}

/// A page that says one thing: what there is not, or what cannot be done.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn message_page(title: &str, text: &str) -> String {
    let [title, text] = [title, text].map(|text| visible(text, TEXT_CHARACTERS));
    MessagePage { title, text }.render().expect("rendering into a string cannot go wrong")
}
