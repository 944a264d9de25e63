//! One run as Markdown, for a pull request's comment or a job's summary.
//!
//! Values come from a store that is being corrupted on purpose and end up on a page where `@name`
//! notifies people and `#12` links to an issue: every foreign text is escaped, and those two are
//! broken up by an invisible word joiner.

use std::fmt::Write as _;

use partita_checker::Verdict;

use crate::chart::faults::family_name;
use crate::commands::{Commands, folder};
use crate::evidence::{Evidence, ending};
use crate::groups::Groups;
use crate::headline::{self, Headline};
use crate::run::Run;
use crate::text::fault::effects;
use crate::text::number::{amount, count, duration, instant, instant_short};
use crate::text::unit::TimeUnit;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// Rows of the tables; a comment is no place for more.
const MOST_ROWS: usize = 20;

/// The summary of one run.
pub fn summary(run: &Run<'_>) -> String {
    let headline = Headline::of(run);
    let mark = match (headline.finding, headline.verdict) {
        (Some(_), _) | (None, Verdict::Violation) => "❌",
        (None, Verdict::Valid) => "✅",
        (None, Verdict::Unknown) => "❔",
    };
    let mut text = String::new();
    let record = run.record;
    let mutation = record.mutation.as_ref();
    let mutation = mutation.map_or(String::new(), |name| format!(", planted bug {name}"));
    let subject = format!("{}, {}{mutation}, seed {}", record.target, record.workload, record.seed);
    put(&mut text, format_args!("### {mark} {} – {}\n", plain(&headline.title), bounded(&subject)));
    put(&mut text, format_args!("\n{}\n", plain(&headline.lead)));
    for remark in &headline.remarks {
        put(&mut text, format_args!("\n{}\n", plain(remark)));
    }
    proof(&mut text, run);
    groups(&mut text, run);
    counts(&mut text, run);
    outcomes(&mut text, run);
    faults(&mut text, run);
    recovery(&mut text, run);
    again(&mut text, run);
    text
}

fn proof(text: &mut String, run: &Run<'_>) {
    let Some(evidence) = Evidence::of(run.history, run.analysis, TimeUnit::Clock) else { return };
    put(text, format_args!("\n| operation | process | invoked | came back | history line |\n"));
    put(text, format_args!("| --- | --- | ---: | ---: | ---: |\n"));
    for exhibit in evidence.operations.iter().take(MOST_ROWS) {
        let label = plain(&exhibit.label);
        let label = match exhibit.blame {
            Some(blame) => format!("**{label}** ({blame})"),
            None => label,
        };
        let witness = exhibit.witness;
        put(
            text,
            format_args!(
                "| {label} | {} | {} | {} | {} |\n",
                witness.process,
                instant(witness.invoked),
                ending(witness, TimeUnit::Clock),
                exhibit.lines.0
            ),
        );
    }
    let left_out = evidence.operations.len().saturating_sub(MOST_ROWS) + evidence.left_out;
    if left_out > 0 {
        put(text, format_args!("\n{left_out} more operations are in the report.\n"));
    }
}

/// The violations of other groups than the one that is shown in full.
fn groups(text: &mut String, run: &Run<'_>) {
    let Some(groups) = Groups::of(run.analysis, run.faults) else { return };
    for (group, found) in groups.others(run.analysis).take(MOST_ROWS) {
        let (title, sentence) = headline::of_group(group, found);
        put(text, format_args!("\n{}: {}\n", plain(&title), plain(&sentence)));
    }
}

/// How long clients went without an answer under each fault.
fn recovery(text: &mut String, run: &Run<'_>) {
    let recovery = &run.record.recovery;
    if recovery.is_empty() {
        return;
    }
    put(text, format_args!("\n<details><summary>Recovery</summary>\n\n"));
    for it in recovery.iter().take(MOST_ROWS) {
        let latencies = it.latencies();
        put(text, format_args!("- {}; {latencies}\n", plain(&it.in_words())));
    }
    if recovery.len() > MOST_ROWS {
        put(text, format_args!("- {} more are in run.json\n", recovery.len() - MOST_ROWS));
    }
    put(text, format_args!("\n</details>\n"));
}

fn counts(text: &mut String, run: &Run<'_>) {
    let counts = run.record.counts;
    put(
        text,
        format_args!(
            "\n| operations | ok | fail | info | ok during faults | faults | op/s asked | op/s reached |\n"
        ),
    );
    put(text, format_args!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"));
    put(
        text,
        format_args!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            count(counts.invoked),
            count(counts.ok),
            count(counts.fail),
            count(counts.info),
            count(counts.ok_during_faults),
            run.faults.len(),
            amount(run.record.rate),
            run.record.rate_reached.map_or("–".to_owned(), amount)
        ),
    );
}

fn outcomes(text: &mut String, run: &Run<'_>) {
    let outcomes = &run.record.outcomes;
    if !outcomes.kinds.is_empty() {
        put(text, format_args!("\n| kind | sent | ok | with effect | fail | info |\n"));
        put(text, format_args!("| --- | ---: | ---: | ---: | ---: | ---: |\n"));
    }
    for it in outcomes.kinds.iter().take(MOST_ROWS) {
        let numbers = [it.sent, it.ok, it.effective, it.fail, it.info].map(count).join(" | ");
        put(text, format_args!("| {} | {numbers} |\n", bounded(&it.kind)));
    }
    let violations = &outcomes.protocol_violations;
    if !outcomes.errors.is_empty() || !violations.is_empty() {
        put(text, format_args!("\n<details><summary>Errors</summary>\n\n"));
        for error in outcomes.errors.iter().take(MOST_ROWS) {
            put(text, format_args!("- {}\n", plain(&error.sentence())));
        }
        for violation in violations.iter().take(MOST_ROWS) {
            put(text, format_args!("- {}\n", bounded(&violation.sentence())));
        }
        let left_out = outcomes.errors.len().saturating_sub(MOST_ROWS)
            + violations.len().saturating_sub(MOST_ROWS);
        if left_out > 0 {
            put(text, format_args!("- {left_out} more are in run.json\n"));
        }
        put(text, format_args!("\n</details>\n"));
    }
}

fn faults(text: &mut String, run: &Run<'_>) {
    if run.faults.is_empty() {
        return;
    }
    put(text, format_args!("\n<details><summary>Faults</summary>\n\n"));
    put(text, format_args!("| fault | family | nodes | began | lasted | measured effect |\n"));
    put(text, format_args!("| --- | --- | --- | ---: | ---: | --- |\n"));
    for fault in run.faults.iter().take(MOST_ROWS) {
        let (began, ended) = crate::series::windows::span(fault, run.end());
        let effect = match &fault.error {
            Some(error) => format!("error: {error}"),
            None if fault.effects.is_empty() => "none".to_owned(),
            None => effects(fault),
        };
        put(
            text,
            format_args!(
                "| {} {} | {} | {} | {} | {} | {} |\n",
                fault.id,
                bounded(&fault.fault),
                family_name(fault.family),
                bounded(&fault.nodes.join(", ")),
                instant_short(began),
                duration(ended.since(began)),
                bounded(&effect)
            ),
        );
    }
    if run.faults.len() > MOST_ROWS {
        let left_out = run.faults.len() - MOST_ROWS;
        put(text, format_args!("\n{left_out} more are in the report.\n"));
    }
    put(text, format_args!("\n</details>\n"));
}

fn again(text: &mut String, run: &Run<'_>) {
    let commands = Commands::of(run);
    let lines: Vec<_> = [Some(commands.again), Some(commands.check), commands.verify]
        .into_iter()
        .flatten()
        .collect();
    put(text, format_args!("\nRun it again, or check it again:\n\n{}", fenced(&lines.join("\n"))));
    let report = format!("{}/report.html", folder(run));
    put(text, format_args!("\nReport: {}\n", plain(&report)));
}

/// A code block whose fence is longer than any run of backticks inside.
fn fenced(code: &str) -> String {
    let longest = code.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{code}\n{fence}\n")
}

/// Foreign text as Markdown that shows just that text. Only what would be markup is escaped, so
/// that the file can be read as it is, too.
pub(crate) fn plain(text: &str) -> String {
    let text = visible(text, usize::MAX);
    let mut escaped = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let begins_a_list = || escaped.chars().all(|before| before.is_ascii_digit());
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' | '#' => escaped.extend(['\\', character, '\u{2060}']),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '^' => {
                escaped.extend(['\\', character]);
            }
            ':' if characters.peek() == Some(&'/') => escaped.push_str("\\:"),
            '.' | ')' | '-' | '+' | '=' if begins_a_list() => escaped.extend(['\\', character]),
            '.' if escaped.to_ascii_lowercase().ends_with("www") => escaped.push_str("\\."),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Foreign text that nobody has bounded yet, as Markdown that shows just that text.
fn bounded(text: &str) -> String {
    plain(&visible(text, TEXT_CHARACTERS))
}

fn put(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("writing to a string cannot go wrong");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_value_is_shown_rather_than_obeyed() {
        let hostile = "|a| <b> [x](http://e.org) @ops #12 `c` *d* _e_";
        let text = plain(hostile);
        for markup in ["|a|", "<b>", "[x]", "http://", "@ops", "#12", "`c`", "*d*", "_e_"] {
            assert!(!text.contains(markup), "{markup} in {text}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_the_backticks_inside() {
        assert!(fenced("a ```` b").starts_with("`````sh\n"));
        assert!(fenced("plain").starts_with("```sh\n"));
    }
}
