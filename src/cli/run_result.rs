//! What a person, or a program, reads of a run that is over.

use indicatif::HumanCount;
use partita_checker::{Analysis, Verdict};
use partita_nemesis::FaultRecord;
use partita_reports::text::visible::{TEXT_CHARACTERS, visible};
use partita_reports::{Finding, FindingKind, RunRecord};
use serde::Serialize;

use super::show;
use crate::exit::Failure;
use crate::run::Concluded;
use crate::{outln, terminal};

/// How many notes are printed of what does not touch the verdict; the others are in `run.json`.
const NOTES_SHOWN: usize = 4;

/// How many findings are printed; all are in `run.json`.
const FINDINGS_SHOWN: usize = 20;

/// Lines of errors at the end of a run that is valid, and of any other; `run.json` has all of them.
const ERRORS_SHOWN: (usize, usize) = (2, 8);

/// What `--json` prints: the content of `run.json`, with the number of its form.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    #[serde(flatten)]
    run: &'a RunRecord,
}

/// The form of [`Document`].
const FORMAT: u32 = 1;

/// Prints the result, in words or as JSON.
///
/// # Errors
///
/// [`Failure`] if there is no such JSON.
pub fn print(concluded: &Concluded, as_json: bool) -> Result<(), Failure> {
    for problem in &concluded.problems {
        terminal::failure(problem);
    }
    if as_json {
        return terminal::document(&Document { format: FORMAT, run: &concluded.record });
    }
    print_words(&concluded.record, &concluded.analysis, &concluded.faults);
    Ok(())
}

fn print_words(record: &RunRecord, analysis: &Analysis, faults: &[FaultRecord]) {
    let counts = &record.counts;
    let others = record.findings.iter().filter(|it| it.kind != FindingKind::Violation);
    let has_violation = record.verdict == Verdict::Violation;
    if !has_violation && let Some(finding) = others.clone().next() {
        outln!("{}", finding.in_words());
        outln!("  {}", visible(&finding.sentence, TEXT_CHARACTERS));
        print_findings(others.clone().skip(1));
    }
    match record.verdict {
        Verdict::Valid if let Some(elections) = record.elections => {
            if record.findings.is_empty() {
                outln!("valid: {}", elections.judged());
            } else {
                outln!("  {}", elections.seen());
            }
        }
        Verdict::Valid if record.findings.is_empty() => outln!(
            "valid: {}, linearizable, and the certificate proves it",
            show::counted(analysis.keys.len(), "key")
        ),
        Verdict::Valid => outln!(
            "  what clients saw is linearizable all the same: {}, and the certificate proves it",
            show::counted(analysis.keys.len(), "key")
        ),
        Verdict::Violation => {
            let found = analysis.counterexample.as_ref();
            outln!("violation: {}", found.map_or("", |found| found.anomaly.title()));
            show::violations(analysis, faults);
            print_findings(others);
        }
        Verdict::Unknown => match record.findings.first() {
            Some(_) => {}
            None if record.failure.is_some() => outln!("unknown: the run failed before its end"),
            None => outln!("unknown: the run proved nothing"),
        },
    }
    for remark in record.remarks.iter().chain(record.notes.iter().take(NOTES_SHOWN)) {
        outln!("  note: {remark}");
    }
    if record.notes.len() > NOTES_SHOWN {
        outln!("  note: {} more of this kind, see run.json", record.notes.len() - NOTES_SHOWN);
    }
    outln!(
        "  {} operations: {} ok ({} under faults), {} fail, {} unknown",
        HumanCount(counts.invoked),
        HumanCount(counts.ok),
        HumanCount(counts.ok_during_faults),
        HumanCount(counts.fail),
        HumanCount(counts.info)
    );
    print_outcomes(record);
    outln!("  report: {}", std::path::Path::new(&record.folder).join("report.html").display());
    outln!("  again:  {}", record.command);
}

/// The sentence of each finding.
fn print_findings<'a>(findings: impl Iterator<Item = &'a Finding>) {
    for finding in findings.take(FINDINGS_SHOWN) {
        outln!("  {}: {}", finding.in_words(), visible(&finding.sentence, TEXT_CHARACTERS));
    }
}

/// What was reached of the rate asked for, and the errors that were met most.
fn print_outcomes(record: &RunRecord) {
    if let Some(reached) = record.rate_reached {
        outln!("  rate: {reached:.0} op/s of {} asked for", record.rate);
    }
    let (if_valid, otherwise) = ERRORS_SHOWN;
    let at_most = if record.verdict == Verdict::Valid { if_valid } else { otherwise };
    let errors = &record.outcomes.errors;
    for error in errors.iter().take(at_most) {
        outln!("  errors: {}", error.sentence());
    }
    if errors.len() > at_most {
        let more = errors[at_most..].iter().map(|error| error.count).sum();
        outln!("  errors: {} more operations, see run.json", HumanCount(more));
    }
}
