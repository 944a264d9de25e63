//! A campaign as Markdown, for a job's summary: the worst first, and never more than such a page takes.

use crate::summary::plain;
use crate::text::number::counted;
use crate::text::visible::{TEXT_CHARACTERS, visible};

use super::overview::{BucketRow, Check, Overview};
use super::record::RunResult;

/// The most that a summary holds, in bytes. GitHub takes 1 MiB and drops what is larger altogether.
pub(super) const LARGEST: usize = 900_000;

/// Room for the line that says how much was left out.
const RESERVE: usize = 200;

/// The summary of a campaign: at most 900 kB.
pub fn campaign_summary(overview: &Overview) -> String {
    let mut text = String::new();
    let mark = match overview.buckets.iter().any(|bucket| bucket.status.is_open()) {
        true => "❌",
        false if overview.ended(RunResult::Valid) == 0 => "❔",
        false => "✅",
    };
    let title = plain(&overview.title());
    text.push_str(&format!("### {mark} {} – {title}\n\n", bounded(&overview.name)));
    text.push_str(&format!("Night {}. {}\n", overview.night, plain(&overview.lead())));
    for problem in &overview.problems {
        text.push_str(&format!("\n⚠ {}\n", bounded(problem)));
    }
    let mut left_out = 0;
    for bucket in &overview.buckets {
        put(&mut text, &row(bucket), &mut left_out);
    }
    put(&mut text, &checks(overview), &mut left_out);
    put(
        &mut text,
        "\n| configuration | runs | valid | found | median time | as | excludes a bug above | the next shows something new |\n| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n",
        &mut left_out,
    );
    for row in &overview.configurations {
        let runs: u64 = row.results.values().sum();
        let count = |result| super::overview::ended(&row.results, result);
        let (valid, found) = (count(RunResult::Valid), count(RunResult::Finding));
        let time = row.time_to_find.map(|it| seconds(it.median)).unwrap_or_default();
        let line = format!(
            "| {} | {runs} | {valid} | {found} | {time} | {} | {} | {} |\n",
            bounded(&row.name),
            bounded(&overview.found_by(row).join(", ")),
            percent(row.excluded_rate),
            percent(row.unseen_rate)
        );
        put(&mut text, &line, &mut left_out);
    }
    if left_out > 0 {
        text.push_str(&format!("\n{left_out} more lines are left out; index.html has them.\n"));
    }
    text
}

/// Adds a part if it fits.
fn put(text: &mut String, part: &str, left_out: &mut usize) {
    if text.len() + part.len() + RESERVE > LARGEST {
        *left_out += part.lines().count();
    } else {
        text.push_str(part);
    }
}

fn row(bucket: &BucketRow) -> String {
    let mut text = format!(
        "\n#### {}: {}\n\n{}\n\n",
        bucket.status.name(),
        bounded(&bucket.signature.in_words()),
        bounded(&bucket.sentence)
    );
    text.push_str(&format!(
        "- bucket {}, in {} of this night\n",
        bounded(&bucket.name),
        counted(bucket.runs, "run")
    ));
    if let Some(replays) = bucket.replays_in_words() {
        text.push_str(&format!("- played again: {}\n", bounded(&replays)));
    }
    for shrunk in bucket.shrunk.iter().filter(|it| !it.faults.is_empty()) {
        let faults: Vec<String> = shrunk.faults.iter().map(|it| bounded(&it.to_string())).collect();
        text.push_str(&format!("- faults left: {}\n", faults.join(", ")));
    }
    let alike = bucket.alike_in_words();
    for line in bucket.mixed.iter().chain(alike.iter()).chain(bucket.issue.iter()) {
        text.push_str(&format!("- {}\n", bounded(line)));
    }
    if let Some(command) = &bucket.command {
        let command = visible(command, TEXT_CHARACTERS).replace('`', "'");
        text.push_str(&format!("- again: `{command}`\n"));
    }
    text
}

fn checks(overview: &Overview) -> String {
    let line = |name: &str, check: &Option<Check>| match check {
        None => String::new(),
        Some(Check::Passed) => format!("\n{name}: as it must be.\n"),
        Some(Check::Failed(saw)) => format!("\n⚠ {name}: {}\n", bounded(saw)),
        Some(Check::Missing) => format!("\n⚠ {name}: not run.\n"),
    };
    line("Canary", &overview.canary) + &line("Control", &overview.control)
}

/// A rate in per cent.
pub(super) fn percent(rate: f64) -> String {
    match rate * 100.0 {
        percent if percent >= 9.95 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// Milliseconds as people read them.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1_000.0)
}

fn bounded(text: &str) -> String {
    plain(&visible(text, TEXT_CHARACTERS))
}
