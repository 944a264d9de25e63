//! Everything that the documents of a campaign say: the content of `buckets.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::{FaultLeft, RunResult, Signature};
use super::statistics::{Quartiles, Ratio};

/// A campaign, or a part of one, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The number of the document's form.
    pub format: u32,
    /// What it is called.
    pub name: String,
    /// The night.
    pub night: u64,
    /// How many shards it has.
    pub shards: u64,
    /// Those whose runs are here, in order.
    pub present: Vec<u64>,
    /// How many runs it was to have, if that was said.
    pub planned: Option<u64>,
    /// How many runs ended how.
    pub results: BTreeMap<String, u64>,
    /// When the first run was started, in milliseconds since 1970, UTC; absent if there is none.
    pub began_ms: Option<u64>,
    /// For how long runs were under way, in milliseconds, of all shards together.
    pub at_work_ms: u64,
    /// The buckets, those first that ask for attention.
    pub buckets: Vec<BucketRow>,
    /// What was run.
    pub configurations: Vec<ConfigurationRow>,
    /// How many runs had a measurable effect of each fault on each role.
    pub exercised: BTreeMap<String, u64>,
    /// Faults that could have been drawn and had no effect in any run.
    pub never_exercised: Vec<String>,
    /// Whether the planted bug was found; absent if the campaign has none.
    pub canary: Option<Check>,
    /// Whether the run without faults was valid; absent if the campaign has none.
    pub control: Option<Check>,
    /// Why runs proved nothing, with how many; the most frequent first.
    pub unproved: Vec<(String, u64)>,
    /// What makes the campaign say less than it seems to, a sentence each.
    pub problems: Vec<String>,
    /// The nights that the grid shows, the oldest first; the last is this one.
    pub nights: Vec<u64>,
}

/// What became of a run that must end in a certain way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// It did.
    Passed,
    /// It did not: this is what came of it instead.
    Failed(String),
    /// It was not run, or did not come to a result.
    Missing,
}

/// How a bucket stands to earlier nights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "nights")]
pub enum Status {
    /// No night before has seen it.
    New,
    /// It was closed, or had not been seen, and is there again.
    Back,
    /// An earlier night has seen it, or it is in the list of those that are known.
    Known,
    /// For so many nights it has not been seen, though it was tried.
    Gone(u64),
    /// It has not been seen for so long that it is taken to be fixed.
    Closed(u64),
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Back => "back",
            Self::Known => "known",
            Self::Gone(_) => "gone",
            Self::Closed(_) => "closed",
        }
    }

    /// Whether this night has seen it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::Back | Self::Known)
    }
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketRow {
    /// What it is called everywhere, from its first run on.
    pub id: String,
    /// Its name: with the faults that are left, once they are known.
    #[serde(default)]
    pub name: String,
    /// What its runs have in common.
    pub signature: Signature,
    /// What was found in one of them, in a sentence.
    pub sentence: String,
    /// How it stands to earlier nights.
    #[serde(flatten)]
    pub status: Status,
    /// Where it is being dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// Whether it should have been dealt with by now.
    pub is_overdue: bool,
    /// Whether it is so frequent and so uniform that the machine or the set-up is its likely cause.
    pub is_environment: bool,
    /// In how many of this night's runs it was.
    pub runs: u64,
    /// The index of the first of them.
    pub first_index: Option<u64>,
    /// After how much time at work it was found first, in milliseconds.
    pub found_after_ms: Option<u64>,
    /// The night that saw it first.
    pub first_night: u64,
    /// The configurations that it was seen in.
    pub configurations: Vec<String>,
    /// The versions that it was seen in.
    pub versions: Vec<String>,
    /// How often a run of it, played again, gave it again.
    pub replayed: Ratio,
    /// What the other replays came to, and how many of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub otherwise: BTreeMap<String, u64>,
    /// What is left of the faults of those of its runs that were shrunk.
    pub shrunk: Vec<ShrunkRow>,
    /// What else it may be than one cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<String>,
    /// The name of another bucket whose first run shrinks to the same faults and gives the same finding,
    /// proved by other reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike: Option<String>,
    /// The command that plays it again, from the campaign's folder.
    pub command: Option<String>,
    /// The run's seed.
    pub seed: Option<u64>,
    /// The report of a run that is kept, from the campaign's folder on.
    pub report: Option<String>,
    /// In which of [`Overview::nights`] it was seen.
    pub seen_in: Vec<u64>,
}

impl BucketRow {
    /// That another bucket may have the same cause, if one may.
    pub fn alike_in_words(&self) -> Option<String> {
        let other = self.alike.as_ref()?;
        Some(format!("likely one cause with {other}: the same finding after the same faults"))
    }

    /// How often its replays gave it again, and what the others came to; nothing if there are none.
    pub fn replays_in_words(&self) -> Option<String> {
        if self.replayed.n == 0 {
            return None;
        }
        let mut others: Vec<(&String, &u64)> = self.otherwise.iter().collect();
        others.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        let own = self.signature.in_words();
        let others: Vec<String> = others
            .into_iter()
            .map(|(saw, times)| {
                let cycle = if *saw == own { " by another cycle" } else { "" };
                format!("{times} {saw}{cycle}")
            })
            .collect();
        let rest = if others.is_empty() { "" } else { "; else " };
        Some(format!("{}{rest}{}", self.replayed, others.join(", ")))
    }
}

/// The faults of a run, shrunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShrunkRow {
    /// The run's index.
    pub of: u64,
    /// What is left.
    pub faults: Vec<FaultLeft>,
    /// How often the result gave the finding.
    pub reproduced: Option<Ratio>,
    /// The schedule, from the campaign's folder on.
    pub schedule: Option<String>,
    /// Why there is no result.
    pub reason: Option<String>,
}

/// A configuration and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationRow {
    /// Its name.
    pub name: String,
    /// The system under test.
    pub target: String,
    /// What clients did.
    pub workload: String,
    /// What its faults are called.
    pub faults: String,
    /// Which version of the target.
    pub version: String,
    /// How many runs ended how.
    pub results: BTreeMap<String, u64>,
    /// The CPU time of its runs, in milliseconds.
    pub cpu_ms: u64,
    /// The wall time of its runs, in milliseconds.
    pub wall_ms: u64,
    /// The rate, of 1, above which its valid runs exclude a bug at 95 %.
    pub excluded_rate: f64,
    /// How likely its next run shows what none has shown.
    pub unseen_rate: f64,
    /// How far into its runs the first finding of the store showed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_find: Option<Quartiles>,
    /// The seed of its first run.
    pub seed: Option<u64>,
    /// The buckets of the store that its runs fall into, each with how many.
    pub buckets: BTreeMap<String, u64>,
}

/// The number of the form of `buckets.json`.
pub const OVERVIEW_FORMAT: u32 = 1;

/// How many of `results` ended so.
pub fn ended(results: &BTreeMap<String, u64>, result: RunResult) -> u64 {
    results.get(result.name()).copied().unwrap_or(0)
}

impl Overview {
    /// How many runs there are.
    pub fn runs(&self) -> u64 {
        self.results.values().sum()
    }

    /// How many runs ended so.
    pub fn ended(&self, result: RunResult) -> u64 {
        ended(&self.results, result)
    }

    /// What runs of a configuration found, in words, each once: `violation: stale read`.
    pub fn found_by(&self, row: &ConfigurationRow) -> Vec<String> {
        let of = |id: &String| self.buckets.iter().find(|bucket| bucket.id == *id);
        let words: BTreeSet<String> =
            row.buckets.keys().filter_map(of).map(|it| it.signature.in_words()).collect();
        words.into_iter().collect()
    }

    /// The buckets of the store with that status.
    pub fn of_store(&self, status: Status) -> impl Iterator<Item = &BucketRow> {
        let is_it = move |row: &&BucketRow| row.status == status && !row.signature.is_harness();
        self.buckets.iter().filter(is_it)
    }

    /// Runs in an hour of work, of one shard.
    pub fn runs_an_hour(&self) -> Option<f64> {
        (self.at_work_ms > 0).then(|| self.runs() as f64 * 3_600_000.0 / self.at_work_ms as f64)
    }

    /// What the night came to, in a few words.
    pub fn title(&self) -> String {
        let count = |status| self.of_store(status).count();
        let (new, back, known) = (count(Status::New), count(Status::Back), count(Status::Known));
        let buckets = |number: usize, what: &str| match number {
            1 => format!("1 {what} bucket"),
            _ => format!("{number} {what} buckets"),
        };
        match (new, back, known) {
            (0, 0, 0) if self.ended(RunResult::Valid) == 0 => "Nothing was proved".to_owned(),
            (0, 0, 0) => "Nothing was found".to_owned(),
            (0, 0, known) => format!("Nothing new, {}", buckets(known, "known")),
            (0, back, _) => format!("{} again", buckets(back, "closed")),
            (new, 0, _) => buckets(new, "new"),
            (new, back, _) => format!("{} and {} again", buckets(new, "new"), back),
        }
    }

    /// What is known of the whole, in a sentence or two.
    pub fn lead(&self) -> String {
        let count = |result| self.ended(result);
        let valid = count(RunResult::Valid);
        let mut lead = format!("{} runs: {valid} valid", self.runs());
        for result in RunResult::ALL.into_iter().skip(1) {
            if count(result) > 0 {
                lead.push_str(&format!(", {} {result}", count(result)));
            }
        }
        if let Some(rate) = self.runs_an_hour() {
            lead.push_str(&format!("; {rate:.0} runs an hour"));
        }
        lead.push('.');
        lead
    }
}
