//! One check of recorded histories as one HTML page: the verdict, the proof, the files.

use askama::Template;
use partita_checker::Verdict;

use super::rows::{Fact, GroupView, Keys, ProofView};
use super::{Charts, MOST_ROWS};
use crate::chart::Plot;
use crate::checked::{CheckRecord, CheckedHistory, UnreadableFile};
use crate::evidence::Evidence;
use crate::headline::Headline;
use crate::text::number::{count, counted};
use crate::text::unit::TimeUnit;
use crate::text::visible::{COMMAND_CHARACTERS, TEXT_CHARACTERS, visible};

/// Files that have a section of their own, at most: the worst come first.
const MOST_SECTIONS: usize = 20;

/// The page for a check.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn check_html(check: &CheckRecord) -> String {
    let mut order: Vec<&CheckedHistory> = check.files.iter().collect();
    order.sort_by_key(|file| std::cmp::Reverse(file.analysis.verdict));
    let (mark, verdict_class) = super::mark(check.verdict());
    let page = Page {
        heading: match (check.files.as_slice(), check.unreadable.len()) {
            ([file], 0) => visible(&file.file, TEXT_CHARACTERS),
            (files, unreadable) => counted((files.len() + unreadable) as u64, "file"),
        },
        headline: order.first().map(|file| Headline::of_checked(file)),
        checked_at: visible(&check.checked_at, TEXT_CHARACTERS),
        mark,
        verdict_class,
        tally: tally(check),
        is_single: check.files.len() == 1 && check.unreadable.is_empty(),
        unreadable: check.unreadable.iter().take(MOST_ROWS).map(unreadable).collect(),
        unreadable_left_out: check.unreadable.len().saturating_sub(MOST_ROWS),
        files: check.files.iter().take(MOST_ROWS).map(FileRow::of).collect(),
        files_left_out: check.files.len().saturating_sub(MOST_ROWS),
        sections: order.iter().take(MOST_SECTIONS).map(|file| Section::of(file)).collect(),
        sections_left_out: order.len().saturating_sub(MOST_SECTIONS),
        command: visible(&check.command, COMMAND_CHARACTERS),
        version: check.version.clone(),
    };
    page.render().expect("rendering into a string cannot go wrong")
}

/// Everything that the template fills in.
#[derive(Template)]
#[template(path = "check.html")]
struct Page {
    heading: String,
    /// That of the worst file.
    headline: Option<Headline>,
    checked_at: String,
    mark: &'static str,
    verdict_class: &'static str,
    tally: String,
    is_single: bool,
    /// The files that could not be read, and why not.
    unreadable: Vec<(String, String)>,
    unreadable_left_out: usize,
    files: Vec<FileRow>,
    files_left_out: usize,
    sections: Vec<Section>,
    sections_left_out: usize,
    command: String,
    version: String,
}

fn unreadable(file: &UnreadableFile) -> (String, String) {
    (visible(&file.file, TEXT_CHARACTERS), visible(&file.error, TEXT_CHARACTERS))
}

fn tally(check: &CheckRecord) -> String {
    let with = |verdict| {
        let number = check.files.iter().filter(|file| file.analysis.verdict == verdict).count();
        (number > 0).then(|| format!("{} {verdict}", count(number as u64)))
    };
    let parts = [Verdict::Violation, Verdict::Unknown, Verdict::Valid].into_iter().filter_map(with);
    let unreadable = check.unreadable.len() as u64;
    let unreadable = (unreadable > 0).then(|| format!("{} unreadable", count(unreadable)));
    parts.chain(unreadable).collect::<Vec<_>>().join(", ")
}

/// One file of the table.
struct FileRow {
    name: String,
    title: String,
    is_bad: bool,
    operations: String,
    keys: String,
    model: String,
}

impl FileRow {
    fn of(file: &CheckedHistory) -> Self {
        Self {
            name: visible(&file.file, TEXT_CHARACTERS),
            title: Headline::of_checked(file).title,
            is_bad: file.analysis.verdict == Verdict::Violation,
            operations: count(file.history.operations().len() as u64),
            keys: count(file.analysis.keys.len() as u64),
            model: visible(&file.model, TEXT_CHARACTERS),
        }
    }
}

/// One file at length.
struct Section {
    name: String,
    headline: Headline,
    facts: Vec<Fact>,
    is_timed: bool,
    proof: Option<ProofView>,
    groups: Vec<GroupView>,
    charts: Option<Charts>,
    keys: Keys,
    verify: Option<String>,
}

impl Section {
    fn of(file: &CheckedHistory) -> Self {
        let unit = TimeUnit::of(&file.history);
        let is_timed = unit == TimeUnit::Clock;
        let plot = Plot::until(file.end().max(unit.short()), unit, &[], &[]);
        let plot = plot.marking(&file.analysis);
        let evidence = Evidence::of(&file.history, &file.analysis, unit);
        let name = visible(&file.file, TEXT_CHARACTERS);
        let verify = file.certificate.as_ref().map(|certificate| {
            let words = [&file.file, certificate].map(|word| crate::commands::quoted(word));
            let model = crate::commands::quoted(&file.model);
            format!("partita verify --model {model} {}", words.join(" "))
        });
        Self {
            headline: Headline::of_checked(file),
            facts: Fact::of_checked(file),
            is_timed,
            proof: evidence.map(|evidence| {
                ProofView::of(&file.history, &evidence, &plot, "the history", String::new())
            }),
            groups: GroupView::of(&file.history, &file.analysis, &file.faults, unit),
            charts: (is_timed && !file.history.operations().is_empty())
                .then(|| Charts::of(&file.history, &plot, false)),
            keys: Keys::of(&file.analysis, MOST_ROWS),
            verify: verify.map(|text| visible(&text, COMMAND_CHARACTERS)),
            name,
        }
    }
}
