//! The commands that do a run again or check it again, as one would type them.

use crate::run::Run;
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
        let verify = (run.analysis.verdict == partita_checker::Verdict::Valid).then(|| {
            format!("partita verify {} {}", file("history.jsonl"), file("certificate.json"))
        });
        Self {
            again: visible(&run.record.command, COMMAND_CHARACTERS),
            check: format!("partita check {}", file("history.jsonl")),
            verify,
        }
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
