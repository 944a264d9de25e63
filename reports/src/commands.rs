//! The commands that do a run again or check it again, as one would type them.

use partita_checker::{Nanoseconds, Verdict};

use crate::run::Run;
use crate::text::number::duration;
use crate::text::visible::{COMMAND_CHARACTERS, TEXT_CHARACTERS, visible};

/// What to type, each line for a POSIX shell.
pub(crate) struct Commands {
    /// Does the whole run again.
    pub(crate) again: String,
    /// Checks the recorded history again.
    pub(crate) check: String,
    /// Re-checks the certificate; absent where there is none.
    pub(crate) verify: Option<String>,
}

impl Commands {
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let folder = folder(run);
        let file = |name: &str| quoted(&format!("{folder}/{name}"));
        let verify = (run.analysis.verdict == Verdict::Valid).then(|| {
            format!("partita verify {} {}", file("history.jsonl"), file("certificate.json"))
        });
        Self {
            again: visible(&run.record.command, COMMAND_CHARACTERS),
            check: format!("partita check {}", file("history.jsonl")),
            verify,
        }
    }
}

/// Something to do after a finding.
pub(crate) struct NextStep {
    /// What it does.
    pub(crate) what: String,
    /// What to type, for a POSIX shell.
    pub(crate) command: String,
}

impl NextStep {
    /// What to do next about what was found, the most telling first; nothing if nothing was.
    pub(crate) fn of(run: &Run<'_>) -> Vec<Self> {
        let is_violation = run.verdict() == Verdict::Violation;
        if !is_violation && run.record.findings.is_empty() {
            return Vec::new();
        }
        let folder = quoted(&folder(run));
        let step = |what: &str, command| Self { what: what.to_owned(), command };
        let mut steps = vec![step(
            "Next: does it happen again under the same faults?",
            format!("partita replay --times 5 {folder}"),
        )];
        // These two are about histories.
        if !is_violation {
            return steps;
        }
        if !run.faults.is_empty() {
            let shrink = format!("partita shrink {folder}");
            let length = Nanoseconds((run.record.duration_s * 1e9) as u64);
            let what = format!(
                "Then: the fewest and shortest faults that still do it, by runs of {} each",
                duration(length)
            );
            steps.push(step(&what, shrink));
        }
        let check = format!("partita check --explain {folder}/history.jsonl");
        steps.push(step("Without the store: check the recorded history alone", check));
        steps
    }
}

/// The run's folder, as one would type it.
pub(crate) fn folder(run: &Run<'_>) -> String {
    visible(&run.record.folder, TEXT_CHARACTERS)
}

/// `word` as one word for a shell.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=+,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_space_or_quote_stays_one_word() {
        assert_eq!(quoted("partita-runs/a-1"), "partita-runs/a-1");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted("--node-argument=--every=64KiB"), "--node-argument=--every=64KiB");
        assert_eq!(quoted(""), "''");
    }
}
