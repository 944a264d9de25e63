//! What a blind score comes to: which planted bugs one and the same default campaign finds, and how soon.
//!
//! An *attempt* is a row of default runs on one subject, one seed after the other, until something is found
//! or the budget is used up. Every subject has the same seeds, which derive from a text that nobody chose,
//! such as a commit's hash, and no run knows which bug it is to find. Nothing here starts a run or looks at a
//! clock: attempts come in, numbers and tables go out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use askama::Template;
use serde::{Deserialize, Serialize};

use super::statistics::Quartiles;
use super::summary::seconds;
use crate::summary::plain;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// The number of the form of [`Score`].
pub const FORMAT: u32 = 1;

/// What a subject is to the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// It has a bug that is to be found.
    Bug,
    /// It has none: whatever is found is a false alarm.
    Control,
    /// It has a bug that everything finds: if it is not found, the measurement is broken.
    Canary,
}

/// One row of runs on one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The subject's name.
    pub subject: String,
    /// What it is.
    pub part: Part,
    /// Which row of seeds, from 0.
    pub series: u32,
    /// How many runs were made.
    pub runs: u32,
    /// How many of them came to no result or proved nothing.
    pub inconclusive: u32,
    /// How long they took together, in milliseconds.
    pub wall_ms: u64,
    /// What was found, if anything was.
    pub found: Option<Found>,
}

/// What ended an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The kind of finding: `violation`, `no-recovery`.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// The seed of the run.
    pub seed: u64,
}

/// All attempts of a measurement, and how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// [`FORMAT`].
    pub format: u32,
    /// What the seeds derive from.
    pub from: String,
    /// The target.
    pub target: String,
    /// The fault set.
    pub faults: String,
    /// How long a run is, in milliseconds.
    pub run_ms: u64,
    /// How long an attempt may take, in milliseconds.
    pub budget_ms: u64,
    /// How many rows of seeds each subject has.
    pub series: u32,
    /// The attempts.
    pub attempts: Vec<Attempt>,
}

/// The seed of a run: short enough to be typed, the same for every subject.
pub fn seed(from: &str, series: u32, run: u32) -> u64 {
    let text = format!("{from} {series} {run}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

impl Score {
    fn of(&self, part: Part) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(move |attempt| attempt.part == part)
    }

    /// The bugs, in the order of the attempts.
    fn bugs(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let names = self.of(Part::Bug).map(|attempt| attempt.subject.as_str());
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// How many bugs were found in at least one series, and how many there are.
    pub fn found(&self) -> (usize, usize) {
        let found: BTreeSet<&str> = self
            .of(Part::Bug)
            .filter(|it| it.found.is_some())
            .map(|it| it.subject.as_str())
            .collect();
        (found.len(), self.bugs().len())
    }

    /// The times after which bugs were found, all attempts together.
    pub fn times(&self) -> Option<Quartiles> {
        Quartiles::of(self.of(Part::Bug).filter(|it| it.found.is_some()).map(|it| it.wall_ms))
    }

    /// The attempts on the control in which something was found.
    pub fn false_alarms(&self) -> Vec<&Attempt> {
        self.of(Part::Control).filter(|attempt| attempt.found.is_some()).collect()
    }

    /// The attempts on the canary in which nothing was found.
    pub fn silent_canaries(&self) -> Vec<&Attempt> {
        self.of(Part::Canary).filter(|attempt| attempt.found.is_none()).collect()
    }

    /// How many attempts each kind of finding ended.
    pub fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for found in self.of(Part::Bug).filter_map(|attempt| attempt.found.as_ref()) {
            *kinds.entry(found.kind.as_str()).or_default() += 1;
        }
        kinds
    }

    /// The whole in one sentence.
    pub fn sentence(&self) -> String {
        let (found, all) = self.found();
        let mut text = format!("{found} of {all} bugs found");
        if let Some(times) = self.times() {
            let _ = write!(
                text,
                ", median {}, quartiles {} and {}",
                seconds(times.median),
                seconds(times.lower),
                seconds(times.upper)
            );
        }
        let kinds = self.kinds().into_iter().map(|(kind, count)| format!("{count} {kind}"));
        let kinds: Vec<String> = kinds.collect();
        if !kinds.is_empty() {
            let _ = write!(text, "; by kind: {}", kinds.join(", "));
        }
        text
    }

    /// How it was measured.
    fn setting(&self) -> String {
        format!(
            "Target {}, faults {}, runs of {}, at most {} an attempt, {} series of seeds from {}.",
            self.target,
            self.faults,
            seconds(self.run_ms),
            seconds(self.budget_ms),
            self.series,
            self.from,
        )
    }

    /// What makes the measurement worth nothing, or less than it seems.
    pub fn problems(&self) -> Vec<String> {
        let told = |attempt: &Attempt, what: &str| {
            format!("{} in series {}: {what}", attempt.subject, attempt.series)
        };
        let false_alarms = self.false_alarms().into_iter();
        let silent = self.silent_canaries().into_iter();
        let mut problems: Vec<String> =
            false_alarms.map(|it| told(it, "something was found of the control")).collect();
        let silent = silent.map(|it| told(it, "the canary was not found: this score says nothing"));
        problems.extend(silent);
        problems
    }

    /// A table in Markdown: what was found first, and soonest. Short enough for a job's summary.
    pub fn markdown(&self) -> String {
        let cell = |text: &str| plain(&visible(text, TEXT_CHARACTERS));
        let mut text = format!("{}.\n\n{}\n", self.sentence(), cell(&self.setting()));
        for problem in self.problems() {
            let _ = write!(text, "\n⚠ {}\n", cell(&problem));
        }
        text.push_str("\n| bug | found | median time | as |\n| --- | --- | --- | --- |\n");
        for row in self.rows() {
            let (name, titles) = (cell(&row.name), cell(&row.found_as));
            let _ = writeln!(text, "| {name} | {} of {} | {} | {titles} |", row.k, row.n, row.time);
        }
        text
    }

    /// The same as a page: static, without script.
    ///
    /// # Panics
    ///
    /// Never: rendering a template into a string cannot go wrong.
    pub fn html(&self) -> String {
        let text = |text: &String| visible(text, TEXT_CHARACTERS);
        let rows = self.rows().into_iter().map(|row| Row {
            name: text(&row.name),
            found_as: text(&row.found_as),
            ..row
        });
        let problems = self.problems();
        let (class, mark) = match problems.is_empty() {
            true => ("valid", "✓ "),
            false => ("unknown", "? "),
        };
        let page = Page {
            class,
            mark,
            title: self.sentence(),
            lead: text(&self.setting()),
            problems: problems.iter().map(text).collect(),
            rows: rows.collect(),
        };
        page.render().expect("a string takes everything")
    }

    /// Bugs, those that were found soonest first, then the canary and the control.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<(Option<u64>, Row)> =
            self.bugs().into_iter().map(|name| self.row(name, Part::Bug)).collect();
        rows.sort_by_key(|(time, _)| time.unwrap_or(u64::MAX));
        for part in [Part::Canary, Part::Control] {
            let names: BTreeSet<&str> = self.of(part).map(|it| it.subject.as_str()).collect();
            rows.extend(names.into_iter().map(|name| self.row(name, part)));
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn row(&self, name: &str, part: Part) -> (Option<u64>, Row) {
        let all: Vec<&Attempt> = self.of(part).filter(|attempt| attempt.subject == name).collect();
        let found: Vec<&Attempt> =
            all.iter().copied().filter(|attempt| attempt.found.is_some()).collect();
        let times = Quartiles::of(found.iter().map(|it| it.wall_ms));
        let titles: BTreeSet<String> = found
            .iter()
            .filter_map(|attempt| attempt.found.as_ref())
            .map(|found| format!("{}: {}", found.kind, found.title))
            .collect();
        let titles: Vec<String> = titles.into_iter().collect();
        let row = Row {
            name: match part {
                Part::Bug => name.to_owned(),
                Part::Canary => format!("{name} (canary)"),
                Part::Control => format!("{name} (control)"),
            },
            k: found.len(),
            n: all.len(),
            time: times.map(|it| seconds(it.median)).unwrap_or_default(),
            quartiles: times
                .map(|it| format!("{} to {}", seconds(it.lower), seconds(it.upper)))
                .unwrap_or_default(),
            found_as: titles.join(", "),
        };
        (times.map(|it| it.median), row)
    }
}

/// A subject and what came of its attempts.
struct Row {
    name: String,
    k: usize,
    n: usize,
    time: String,
    quartiles: String,
    found_as: String,
}

#[derive(Template)]
#[template(path = "score.html")]
struct Page {
    class: &'static str,
    mark: &'static str,
    title: String,
    lead: String,
    problems: Vec<String>,
    rows: Vec<Row>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(subject: &str, part: Part, series: u32, found_ms: Option<u64>) -> Attempt {
        let found =
            |_| Found { kind: "violation".to_owned(), title: "stale read".to_owned(), seed: 7 };
        Attempt {
            subject: subject.to_owned(),
            part,
            series,
            runs: 2,
            inconclusive: 0,
            wall_ms: found_ms.unwrap_or(90_000),
            found: found_ms.map(found),
        }
    }

    fn score(attempts: Vec<Attempt>) -> Score {
        Score {
            format: FORMAT,
            from: "0123abcd".to_owned(),
            target: "raft-node".to_owned(),
            faults: "default".to_owned(),
            run_ms: 60_000,
            budget_ms: 90_000,
            series: 2,
            attempts,
        }
    }

    #[test]
    fn seeds_are_the_same_for_every_subject_and_differ_by_series_and_run() {
        assert_eq!(seed("a", 0, 0), seed("a", 0, 0));
        let all: BTreeSet<u64> =
            (0..8).flat_map(|s| (0..8).map(move |r| seed("a", s, r))).collect();
        assert_eq!(all.len(), 64);
        assert_ne!(seed("a", 0, 0), seed("b", 0, 0));
        assert!(all.iter().all(|seed| *seed <= u64::from(u32::MAX)));
    }

    #[test]
    fn a_bug_is_found_if_any_series_finds_it_and_times_are_those_of_all_that_did() {
        let score = score(vec![
            attempt("a", Part::Bug, 0, Some(4_000)),
            attempt("a", Part::Bug, 1, None),
            attempt("b", Part::Bug, 0, None),
            attempt("b", Part::Bug, 1, None),
            attempt("c", Part::Bug, 0, Some(10_000)),
            attempt("c", Part::Bug, 1, Some(1_000)),
            attempt("leader", Part::Canary, 0, Some(500)),
            attempt("honest", Part::Control, 0, None),
        ]);
        assert_eq!(score.found(), (2, 3));
        let times = score.times().expect("some were found");
        assert_eq!(times, Quartiles { lower: 1_000, median: 4_000, upper: 4_000 });
        assert!(score.sentence().starts_with("2 of 3 bugs found, median 4.0 s"));
        assert!(score.false_alarms().is_empty() && score.silent_canaries().is_empty());
        let table = score.markdown();
        let at = |row: &str| table.find(row).unwrap_or_else(|| panic!("{row}: {table}"));
        let c = at("| c | 2 of 2 | 1.0 s | violation: stale read |");
        let a = at("| a | 1 of 2 | 4.0 s |");
        let b = at("| b | 0 of 2 |  |  |");
        assert!(c < a && a < b && b < at("| leader (canary) | 1 of 1 |"));
        at("| honest (control) | 0 of 1 |");
        let page = score.html();
        assert!(page.contains("2 of 3 bugs found") && page.contains("1.0 s to 1.0 s"), "{page}");
    }

    #[test]
    fn what_is_found_of_the_control_is_a_false_alarm_and_a_canary_that_is_not_found_is_told() {
        let score = score(vec![
            attempt("honest", Part::Control, 0, Some(3_000)),
            attempt("leader", Part::Canary, 0, None),
        ]);
        assert_eq!(score.false_alarms().len(), 1);
        assert_eq!(score.silent_canaries().len(), 1);
        assert_eq!((score.found(), score.times()), ((0, 0), None));
        for document in [score.markdown(), score.html()] {
            assert!(document.contains("honest in series 0: something was found"), "{document}");
            assert!(document.contains("this score says nothing"), "{document}");
        }
        assert!(score.kinds().is_empty(), "the control's are no bug's");
    }
}
