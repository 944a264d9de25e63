//! Says the verdict in words that a newcomer understands; the same words in every format.

use partita_checker::{Analysis, Counterexample, Verdict};
use partita_nemesis::FaultRecord;

use crate::checked::CheckedHistory;
use crate::finding::{Finding, FindingKind};
use crate::groups::{Group, Groups};
use crate::run::{Run, RunRecord};
use crate::text::number::{count, counted};
use crate::text::operation::value;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// The verdict in words.
pub(crate) struct Headline {
    /// What it is.
    pub(crate) verdict: Verdict,
    /// What it is about, if that was found of the system under test.
    pub(crate) finding: Option<FindingKind>,
    /// A few words: `Violation: stale read`.
    pub(crate) title: String,
    /// One or two sentences: what was shown, or why nothing was.
    pub(crate) lead: String,
    /// What else a reader must know, one sentence each; nothing that the lead says already.
    pub(crate) remarks: Vec<String>,
    /// How many of the last remarks only say how the run went.
    notes: usize,
}

impl Headline {
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let verdict = run.verdict();
        let mut reasons = run.record.remarks.clone();
        let mut notes = 0;
        for (reason, is_note) in run
            .analysis
            .reasons
            .iter()
            .map(|reason| (reason, false))
            .chain(run.record.notes.iter().map(|note| (note, true)))
        {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
                notes += usize::from(is_note);
            }
        }
        let mut reasons: Vec<_> = reasons.iter().map(|text| sentence(text)).collect();
        let finding = leading(run.record, verdict);
        let others = others(run.record, finding);
        reasons.retain(|reason| !others.iter().any(|other| other.ends_with(reason)));
        reasons.splice(0..0, others);
        let (title, lead, remarks) = match (verdict, finding) {
            (Verdict::Valid | Verdict::Unknown, Some(finding)) => {
                let lead = sentence(&finding.sentence);
                reasons.retain(|reason| *reason != lead);
                if verdict == Verdict::Valid && run.record.elections.is_none() {
                    let proved = format!(
                        "What clients saw is linearizable all the same: certificate.json proves it for {}.",
                        extent(run.analysis)
                    );
                    reasons.insert(reasons.len().saturating_sub(notes), proved);
                }
                (capital(&finding.in_words()), lead, reasons)
            }
            (Verdict::Valid, None) if let Some(elections) = run.record.elections => {
                let lead =
                    format!("No client asked for anything. {}", sentence(&elections.judged()));
                ("Elections are sound".to_owned(), lead, reasons)
            }
            (Verdict::Valid, None) => {
                let lead = format!(
                    "{PROVED} certificate.json holds that order for {}.",
                    extent(run.analysis)
                );
                ("Linearizable".to_owned(), lead, reasons)
            }
            (Verdict::Violation, _) => {
                let (title, lead) = violated(run.analysis);
                let counted = counted_violations(run.analysis, run.faults);
                (title, lead, counted.chain(staleness(run.analysis)).chain(reasons).collect())
            }
            (Verdict::Unknown, None) => {
                let (lead, remarks) = undecided(run, reasons);
                ("Unknown: nothing was proved".to_owned(), lead, remarks)
            }
        };
        let finding = match verdict {
            Verdict::Violation => Some(FindingKind::Violation),
            _ => finding.map(|finding| finding.kind),
        };
        Self { verdict, finding, title, lead, remarks, notes }
    }

    /// The remarks that a page begins with, and those that can wait: where something was found, how the
    /// run went besides.
    pub(crate) fn by_weight(&self) -> (&[String], &[String]) {
        let later = self.finding.map_or(0, |_| self.notes.min(self.remarks.len()));
        self.remarks.split_at(self.remarks.len() - later)
    }

    /// The verdict on a history that was checked by itself.
    pub(crate) fn of_checked(file: &CheckedHistory) -> Self {
        let analysis = &file.analysis;
        let mut remarks: Vec<_> = analysis.reasons.iter().map(|text| sentence(text)).collect();
        let (title, lead) = match analysis.verdict {
            Verdict::Valid => {
                let lead = format!("{PROVED} That holds for {}.", extent(analysis));
                ("Linearizable".to_owned(), lead)
            }
            Verdict::Violation => {
                let counted = counted_violations(analysis, &file.faults);
                remarks.splice(0..0, counted.chain(staleness(analysis)));
                violated(analysis)
            }
            Verdict::Unknown => {
                let lead = match remarks.is_empty() {
                    true => "Neither a proof nor a counterexample was found.".to_owned(),
                    false => remarks.remove(0),
                };
                ("Unknown: nothing was proved".to_owned(), lead)
            }
        };
        let verdict = analysis.verdict;
        let finding = (verdict == Verdict::Violation).then_some(FindingKind::Violation);
        Self { verdict, finding, title, lead, remarks, notes: 0 }
    }
}

/// What a run is told by that found something without a violation.
fn leading(record: &RunRecord, verdict: Verdict) -> Option<&Finding> {
    let is_told = |finding: &&Finding| finding.kind != FindingKind::Violation;
    record.findings.iter().find(is_told).filter(|_| verdict != Verdict::Violation)
}

/// What else was found, one sentence each: all but violations, which have a place of their own.
fn others(record: &RunRecord, told: Option<&Finding>) -> Vec<String> {
    let is_other = |finding: &&Finding| {
        finding.kind != FindingKind::Violation && told.is_none_or(|told| *finding != told)
    };
    let in_words = |finding: &Finding| {
        format!("{}: {}", capital(&finding.in_words()), sentence(&finding.sentence))
    };
    record.findings.iter().filter(is_other).map(in_words).collect()
}

const PROVED: &str =
    "Proved: one order of operations per key explains every answer that clients got.";

fn extent(analysis: &Analysis) -> String {
    let operations = analysis.keys.iter().map(|key| key.operations as u64).sum();
    format!("{}, {}", counted(analysis.keys.len() as u64, "key"), counted(operations, "operation"),)
}

/// How many keys hold a violation, of which kinds, where there is more than one key.
fn counted_violations(
    analysis: &Analysis,
    faults: &[FaultRecord],
) -> impl Iterator<Item = String> + use<> {
    let groups = Groups::of(analysis, faults).filter(|_| analysis.keys.len() > 1);
    groups.map(|groups| format!("{}.", groups.in_words())).into_iter()
}

fn staleness(analysis: &Analysis) -> impl Iterator<Item = String> {
    let stale = analysis.counterexample.as_ref().and_then(Counterexample::staleness);
    stale.map(|by| format!("Stale by {by}.")).into_iter()
}

fn violated(analysis: &Analysis) -> (String, String) {
    if let Some(found) = &analysis.counterexample {
        return (format!("Violation: {}", found.anomaly.title()), sentence(&found.sentence));
    }
    let keys: Vec<_> = analysis
        .keys
        .iter()
        .filter(|key| key.verdict == Verdict::Violation)
        .map(|key| value(&key.key))
        .collect();
    let lead = match keys.as_slice() {
        [] => "The run is on record as a violation, but no counterexample was kept.".to_owned(),
        [key] => format!("No order of the operations on key {key} explains what clients saw."),
        [key, rest @ ..] => format!(
            "No order of operations explains what clients saw on key {key} and {} more.",
            count(rest.len() as u64)
        ),
    };
    ("Violation: not linearizable".to_owned(), lead)
}

fn undecided(run: &Run<'_>, mut reasons: Vec<String>) -> (String, Vec<String>) {
    let history_is_valid =
        run.analysis.verdict == Verdict::Valid && !run.history.operations().is_empty();
    let remainder = if reasons.is_empty() { Vec::new() } else { reasons.split_off(1) };
    let mut lead = match reasons.pop() {
        Some(reason) => reason,
        None => {
            "Neither a proof nor a counterexample was found; no reason is on record.".to_owned()
        }
    };
    if history_is_valid {
        lead.push_str(
            " What clients saw has a linearization, but that says nothing about the store \
             under faults.",
        );
    }
    (lead, remainder)
}

/// What is wrong with one key of a group that the headline is not about: title and sentence.
pub(crate) fn of_group(group: &Group, found: &Counterexample) -> (String, String) {
    (capital(&group.in_words()), sentence(&found.sentence))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Foreign text as a sentence: visible, bounded, with a full stop. Its first letter stays as it is,
/// since it may be that of a key.
fn sentence(text: &str) -> String {
    let mut sentence = visible(text.trim(), TEXT_CHARACTERS);
    if !sentence.ends_with(['.', '!', '?', '…']) {
        sentence.push('.');
    }
    sentence
}
