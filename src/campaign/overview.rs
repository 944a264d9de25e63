//! From the lines of a campaign to what its documents say. Nothing else goes in, so that merging the same
//! lines in any order gives the same documents.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use partita_nemesis::FaultKind;
use partita_reports::campaign::overview::{
    BucketRow, Check, ConfigurationRow, OVERVIEW_FORMAT, Overview, ShrunkRow, Status, ended,
};
use partita_reports::campaign::record::{
    FaultLeft, ReplayLine, Replayed, RunLine, RunResult, Sighting, Signature,
};
use partita_reports::campaign::statistics::{Quartiles, Ratio, excluded_rate, unseen_rate};
use partita_reports::{Exit, quoted};

use super::folder::Campaign;
use super::history::{self, History};
use super::known::Known;
use crate::run::Faults;
use crate::targets::Target;

/// Nights that the grid shows.
const NIGHTS: usize = 30;

/// The part of a night's runs that makes trouble one of the set-up: one of so many.
const ENVIRONMENT: u64 = 5;

/// The fewest runs of which that is said.
const ENOUGH: u64 = 10;

/// What is known besides a campaign's own lines.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Earlier nights.
    pub history: &'a History,
    /// What somebody is dealing with.
    pub known: &'a Known,
    /// The day by which that is overdue or not.
    pub today: Date,
}

/// Which findings make a night fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// Those that are new, back, or overdue.
    New,
    /// All of the store.
    Any,
}

/// What the campaign's documents say.
pub fn overview(
    campaign: &Campaign,
    runs: &[RunLine],
    replays: &[ReplayLine],
    context: Context<'_>,
) -> Overview {
    let plan = &campaign.plan;
    let mut results = BTreeMap::new();
    let mut exercised: BTreeMap<String, u64> = BTreeMap::new();
    for line in runs {
        *results.entry(line.result.name().to_owned()).or_default() += 1;
        for what in &line.exercised {
            *exercised.entry(what.clone()).or_default() += 1;
        }
    }
    let mut nights: Vec<u64> = context.history.nights().filter(|it| *it < plan.night).collect();
    nights.push(plan.night);
    let mut overview = Overview {
        format: OVERVIEW_FORMAT,
        name: plan.name.clone(),
        night: plan.night,
        shards: campaign.shards,
        present: campaign.present.clone(),
        planned: plan.runs,
        results,
        began_ms: runs.iter().map(|line| line.started_ms).min(),
        at_work_ms: at_work(runs, u64::MAX),
        buckets: buckets(campaign, runs, replays, context),
        configurations: configurations(campaign, runs),
        never_exercised: never_exercised(campaign, &exercised),
        exercised,
        canary: plan.canary.as_ref().map(|_| canary(replays)),
        control: plan.control.as_ref().map(|_| control(replays)),
        unproved: unproved(runs),
        problems: Vec::new(),
        nights: nights.split_off(nights.len().saturating_sub(NIGHTS)),
    };
    overview.problems = problems(&overview, runs);
    overview
}

/// What a campaign ends with.
pub fn exit(overview: &Overview, fail_on: FailOn) -> Exit {
    let fails = |row: &BucketRow| match (fail_on, row.status) {
        (FailOn::Any, status) => status.is_open(),
        (FailOn::New, Status::New | Status::Back) => true,
        (FailOn::New, status) => status.is_open() && row.is_overdue,
    };
    let found = overview.buckets.iter().filter(|row| !row.signature.is_harness()).any(fails);
    let count = |result| overview.ended(result);
    let is_blind = [&overview.canary, &overview.control]
        .into_iter()
        .any(|check| matches!(check, Some(Check::Failed(_))));
    let harness = count(RunResult::Harness);
    let has_failed = is_blind
        || overview.buckets.iter().any(|row| row.is_environment)
        || harness * 2 > overview.runs()
        || (harness > 0 && count(RunResult::Valid) + count(RunResult::Finding) == 0);
    match (found, has_failed) {
        (true, _) => Exit::Finding,
        (false, true) => Exit::Harness,
        (false, false) if count(RunResult::Valid) + count(RunResult::Finding) == 0 => Exit::Unknown,
        (false, false) => Exit::Valid,
    }
}

/// For how long runs were under way, until a moment: the union of their times.
fn at_work(runs: &[RunLine], until_ms: u64) -> u64 {
    let mut times: Vec<(u64, u64)> = runs
        .iter()
        .map(|line| (line.started_ms, line.started_ms.saturating_add(line.wall_ms).min(until_ms)))
        .filter(|(from, to)| from < to)
        .collect();
    times.sort_unstable();
    let (mut sum, mut end) = (0, 0);
    for (from, to) in times {
        sum += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    sum
}

/// What is known of a bucket from this night's runs.
#[derive(Default)]
struct Seen<'a> {
    runs: Vec<&'a RunLine>,
    sighting: Option<&'a Sighting>,
}

fn buckets(
    campaign: &Campaign,
    runs: &[RunLine],
    replays: &[ReplayLine],
    context: Context<'_>,
) -> Vec<BucketRow> {
    let mut seen: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    for line in runs {
        for sighting in &line.sightings {
            let bucket = seen.entry(&sighting.bucket).or_default();
            bucket.runs.push(line);
            bucket.sighting.get_or_insert(sighting);
        }
    }
    let past = history::past(replays);
    let mut rows: Vec<BucketRow> = seen
        .iter()
        .filter_map(|(id, seen)| {
            let row = row(campaign, id, seen, replays)?;
            Some(placed(row, campaign, runs.len() as u64, &past, context))
        })
        .collect();
    for record in context.history.buckets() {
        let is_here = seen.contains_key(record.bucket.as_str());
        if !is_here && record.first_night < campaign.plan.night {
            let row = old_row(record);
            rows.push(placed(row, campaign, runs.len() as u64, &past, context));
        }
    }
    note_alike(&mut rows);
    // What asks for attention first: what the machine did comes after what the store did.
    rows.sort_by(|a, b| {
        let rank =
            |row: &BucketRow| (!row.status.is_open(), row.signature.is_harness(), row.status);
        let rest = |row: &BucketRow| (std::cmp::Reverse(row.runs), row.id.clone());
        rank(a).cmp(&rank(b)).then_with(|| rest(a).cmp(&rest(b)))
    });
    rows
}

fn row(
    campaign: &Campaign,
    id: &str,
    seen: &Seen<'_>,
    replays: &[ReplayLine],
) -> Option<BucketRow> {
    let sighting = seen.sighting?;
    let first = seen.runs.iter().min_by_key(|line| line.started_ms + line.wall_ms)?;
    let example = seen.runs.iter().filter(|line| is_kept_here(line, id)).min_by_key(|it| it.index);
    let kept = example.and_then(|line| line.kept.clone());
    let versions = seen.runs.iter().map(|it| campaign.plan.configuration(it.index).version.clone());
    let versions: BTreeSet<String> = versions.collect();
    let configurations: BTreeSet<String> =
        seen.runs.iter().map(|line| line.configuration.clone()).collect();
    let shrunk = shrunk(id, replays);
    let command = kept.as_ref().map(|kept| format!("partita replay {} --times 5", quoted(kept)));
    Some(BucketRow {
        id: id.to_owned(),
        name: sighting.signature.name(faults_of(&shrunk)),
        signature: sighting.signature.clone(),
        sentence: example
            .and_then(|line| line.sightings.iter().find(|it| it.bucket == id))
            .unwrap_or(sighting)
            .sentence
            .clone(),
        status: Status::New,
        issue: None,
        is_overdue: false,
        is_environment: false,
        runs: seen.runs.len() as u64,
        first_index: Some(first.index),
        found_after_ms: None,
        first_night: campaign.plan.night,
        mixed: mixed(&versions, &shrunk, &seen.runs),
        alike: None,
        configurations: configurations.into_iter().collect(),
        versions: versions.into_iter().collect(),
        replayed: history::replayed(id, replays),
        otherwise: history::otherwise(id, replays),
        shrunk,
        command,
        seed: example.or(Some(first)).map(|line| line.seed),
        report: kept.map(|kept| format!("{kept}/report.html")),
        seen_in: Vec::new(),
    })
}

fn is_kept_here(line: &RunLine, bucket: &str) -> bool {
    line.kept.as_ref().is_some_and(|kept| kept.split('/').nth(1) == Some(bucket))
}

/// A bucket that this night's runs did not see.
fn old_row(record: &history::BucketRecord) -> BucketRow {
    BucketRow {
        id: record.bucket.clone(),
        name: record.signature.name(&record.faults),
        signature: record.signature.clone(),
        sentence: record.sentence.clone(),
        status: Status::New,
        issue: None,
        is_overdue: false,
        is_environment: false,
        runs: 0,
        first_index: None,
        found_after_ms: None,
        first_night: record.first_night,
        configurations: Vec::new(),
        versions: Vec::new(),
        replayed: record.replayed,
        otherwise: BTreeMap::new(),
        shrunk: Vec::new(),
        mixed: None,
        alike: None,
        command: None,
        seed: None,
        report: None,
        seen_in: Vec::new(),
    }
}

/// The row with its place among nights and in the list of what is known.
fn placed(
    mut row: BucketRow,
    campaign: &Campaign,
    runs: u64,
    past: &BTreeMap<String, Ratio>,
    context: Context<'_>,
) -> BucketRow {
    let night = campaign.plan.night;
    // As it was called when its faults were found out.
    if let Some(faults) = context.history.faults(&row.id) {
        row.name = row.signature.name(faults);
    }
    let tried = past.get(&row.id).copied().unwrap_or_default();
    let is_seen = row.runs > 0 || tried.k > 0;
    row.status = context.history.status(&row.id, night, is_seen, tried.n);
    row.seen_in = context.history.seen_before(&row.id, night);
    row.first_night = row.seen_in.first().copied().unwrap_or(row.first_night);
    if is_seen {
        row.seen_in.push(night);
    }
    if row.replayed.n == 0 {
        row.replayed = tried;
    }
    if let Some(entry) = context.known.entry(&row.id).or(context.known.entry(&row.name)) {
        row.issue = Some(entry.issue.clone());
        row.is_overdue = entry.is_overdue(context.today);
        if row.status == Status::New && !row.is_overdue {
            row.status = Status::Known;
        }
    }
    let is_much = runs >= ENOUGH && row.runs * ENVIRONMENT >= runs;
    row.is_environment = row.signature.is_harness() && row.status == Status::New && is_much;
    row
}

/// The faults that stand in a bucket's name: those of the first of its runs that was shrunk.
fn faults_of(shrunk: &[ShrunkRow]) -> &[FaultLeft] {
    let first = shrunk.iter().find(|it| !it.faults.is_empty());
    first.map_or(&[], |it| &it.faults)
}

fn shrunk(bucket: &str, replays: &[ReplayLine]) -> Vec<ShrunkRow> {
    let rows = replays.iter().filter_map(|line| match line {
        ReplayLine::Shrunk {
            bucket: of_bucket,
            of,
            faults,
            reproduced,
            of_replays,
            schedule,
            reason,
        } if of_bucket == bucket => {
            let ratio = reproduced.zip(*of_replays);
            Some(ShrunkRow {
                of: *of,
                faults: faults.clone(),
                reproduced: ratio.map(|(k, n)| Ratio { k: k.into(), n: n.into() }),
                schedule: schedule.clone(),
                reason: reason.clone(),
            })
        }
        _ => None,
    });
    // The order of lines is chance.
    let mut rows: Vec<ShrunkRow> = rows.collect();
    rows.sort_by_key(|row| row.of);
    rows
}

/// Notes of buckets that differ only in what proves them that they may have one cause.
fn note_alike(rows: &mut [BucketRow]) {
    let key = |row: &BucketRow| {
        let Signature { target, workload, kind, what, .. } = row.signature.clone();
        (target, workload, kind, what, faults_of(&row.shrunk).to_vec())
    };
    let mut first: BTreeMap<_, String> = BTreeMap::new();
    for row in rows.iter_mut().filter(|row| !faults_of(&row.shrunk).is_empty()) {
        match first.entry(key(row)) {
            Entry::Vacant(vacant) => {
                vacant.insert(row.name.clone());
            }
            Entry::Occupied(other) => row.alike = Some(other.get().clone()),
        }
    }
}

/// Why a bucket may hold more than one cause, if it may.
fn mixed(versions: &BTreeSet<String>, shrunk: &[ShrunkRow], runs: &[&RunLine]) -> Option<String> {
    let left: BTreeSet<_> =
        shrunk.iter().map(|it| &it.faults).filter(|it| !it.is_empty()).collect();
    if left.len() > 1 {
        return Some(
            "its runs shrink to different faults: there may be more than one cause".to_owned(),
        );
    }
    // The first run needs these; where others had effect and none of these had, it came about in
    // another way.
    let needed: BTreeSet<&str> = faults_of(shrunk).iter().map(|it| it.fault.as_str()).collect();
    let has = |run: &RunLine, fault: &str| {
        run.exercised.iter().any(|it| it.split(' ').next() == Some(fault))
    };
    let is_other =
        |run: &&&RunLine| !run.exercised.is_empty() && !needed.iter().any(|fault| has(run, fault));
    let others = runs.iter().filter(is_other).count();
    if !needed.is_empty() && others > 0 {
        return Some(format!(
            "in {others} of its {} runs none of the faults had an effect that the first one \
             shrinks to: there may be more than one cause",
            runs.len()
        ));
    }
    (versions.len() > 1).then(|| {
        format!("seen in {} versions, which may have different causes for it", versions.len())
    })
}

fn configurations(campaign: &Campaign, runs: &[RunLine]) -> Vec<ConfigurationRow> {
    let mut by_place: Vec<Vec<&RunLine>> = vec![Vec::new(); campaign.plan.configurations.len()];
    for line in runs {
        by_place[campaign.plan.place(line.index)].push(line);
    }
    let row = |(configuration, runs): (&super::plan::Configuration, Vec<&RunLine>)| {
        let mut results = BTreeMap::new();
        let mut buckets: BTreeMap<String, u64> = BTreeMap::new();
        for line in &runs {
            *results.entry(line.result.name().to_owned()).or_default() += 1;
            for sighting in line.sightings.iter().filter(|it| !it.signature.is_harness()) {
                *buckets.entry(sighting.bucket.clone()).or_default() += 1;
            }
        }
        let shown: Vec<Vec<String>> = runs
            .iter()
            .filter(|line| matches!(line.result, RunResult::Valid | RunResult::Finding))
            .map(|line| {
                let buckets = line.sightings.iter().map(|it| it.bucket.clone());
                buckets.chain(line.exercised.iter().cloned()).collect()
            })
            .collect();
        ConfigurationRow {
            name: configuration.name.clone(),
            target: configuration.target.clone(),
            workload: configuration.spec.workload.clone(),
            faults: configuration.faults.clone(),
            version: configuration.version.clone(),
            cpu_ms: runs.iter().map(|line| line.cpu_ms).sum(),
            wall_ms: runs.iter().map(|line| line.wall_ms).sum(),
            excluded_rate: excluded_rate(ended(&results, RunResult::Valid)),
            unseen_rate: unseen_rate(shown.iter().map(Vec::as_slice)),
            time_to_find: Quartiles::of(runs.iter().filter_map(|line| found_at(line))),
            seed: runs.iter().min_by_key(|line| line.index).map(|line| line.seed),
            results,
            buckets,
        }
    };
    campaign.plan.configurations.iter().zip(by_place).map(row).collect()
}

/// How far into a run the first finding of the store showed; at its end if that is not known.
fn found_at(line: &RunLine) -> Option<u64> {
    let of_store = line.sightings.iter().filter(|it| !it.signature.is_harness());
    of_store.map(|it| it.at_ms.unwrap_or(line.wall_ms)).min()
}

/// The faults that the plan can have, without those that had an effect.
fn never_exercised(campaign: &Campaign, exercised: &BTreeMap<String, u64>) -> Vec<String> {
    let had: BTreeSet<&str> =
        exercised.keys().map(|what| what.split(' ').next().unwrap_or(what)).collect();
    let mut possible = BTreeSet::new();
    for configuration in &campaign.plan.configurations {
        let Ok(target) = Target::of(&configuration.spec.target) else { continue };
        match Faults::of(&configuration.spec.faults, &target) {
            Ok(Faults::Drawn(set)) => possible.extend(set.faults().map(FaultKind::name)),
            Ok(Faults::Written(script)) => possible.extend(script.kinds().map(FaultKind::name)),
            Err(_) => {}
        }
    }
    possible.into_iter().filter(|name| !had.contains(name)).map(str::to_owned).collect()
}

fn canary(replays: &[ReplayLine]) -> Check {
    let outcomes: Vec<&Replayed> = replays
        .iter()
        .filter_map(|line| match line {
            ReplayLine::Canary { outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect();
    if outcomes.contains(&&Replayed::Yes) {
        return Check::Passed;
    }
    last_of(&outcomes)
}

fn control(replays: &[ReplayLine]) -> Check {
    let outcomes: Vec<&Replayed> = replays
        .iter()
        .filter_map(|line| match line {
            ReplayLine::Control { outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect();
    // One that was not valid is not made good by another.
    let bad: Vec<&Replayed> = outcomes.iter().copied().filter(|it| **it != Replayed::Yes).collect();
    if outcomes.is_empty() || !bad.is_empty() { last_of(&bad) } else { Check::Passed }
}

fn last_of(outcomes: &[&Replayed]) -> Check {
    match outcomes.last() {
        None => Check::Missing,
        Some(Replayed::Yes) => Check::Passed,
        Some(Replayed::No(saw) | Replayed::Failed(saw)) => Check::Failed(saw.clone()),
    }
}

/// Why runs proved nothing, the most frequent reason first.
fn unproved(runs: &[RunLine]) -> Vec<(String, u64)> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for line in
        runs.iter().filter(|line| matches!(line.result, RunResult::Unknown | RunResult::Starved))
    {
        let reason = line.reason.clone().unwrap_or_else(|| line.result.name().to_owned());
        *reasons.entry(super::signature::normalised(&reason)).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// What makes the campaign say less than it seems to.
fn problems(overview: &Overview, runs: &[RunLine]) -> Vec<String> {
    let mut problems = Vec::new();
    let missing: Vec<String> = (0..overview.shards)
        .filter(|shard| !overview.present.contains(shard))
        .map(|shard| shard.to_string())
        .collect();
    if !missing.is_empty() {
        problems.push(format!(
            "{} of {} shards are missing: {}",
            missing.len(),
            overview.shards,
            missing.join(", ")
        ));
    }
    if let Some(planned) = overview.planned
        && missing.is_empty()
        && overview.present.len() as u64 == overview.shards
        && overview.runs() < planned
    {
        problems.push(format!("{} of {planned} runs were done", overview.runs()));
    }
    if let Some(Check::Failed(saw)) = &overview.canary {
        problems.push(format!(
            "The planted bug was not found ({saw}): that nothing else was says little."
        ));
    }
    if let Some(Check::Failed(saw)) = &overview.control {
        problems.push(format!("The run without faults was not valid ({saw})."));
    }
    let harness = overview.ended(RunResult::Harness);
    for row in overview.buckets.iter().filter(|row| row.is_environment) {
        problems.push(format!(
            "{} of {} runs failed alike: {}. The machine or the set-up is the likely cause.",
            row.runs,
            overview.runs(),
            row.signature.what
        ));
    }
    if harness * 2 > overview.runs() {
        problems.push(format!(
            "{harness} of {} runs failed for reasons that are not the store's.",
            overview.runs()
        ));
    }
    if runs.is_empty() {
        problems.push("No run was done.".to_owned());
    }
    problems
}

/// Fills in when each bucket was found first.
pub fn with_times(mut overview: Overview, runs: &[RunLine]) -> Overview {
    let by_index: BTreeMap<u64, &RunLine> = runs.iter().map(|line| (line.index, line)).collect();
    for row in &mut overview.buckets {
        let line = row.first_index.and_then(|index| by_index.get(&index));
        row.found_after_ms = line.map(|line| at_work(runs, line.started_ms + line.wall_ms));
    }
    overview
}

#[cfg(test)]
#[path = "overview/tests.rs"]
mod tests;
