//! What lines of a node's output mean: alarms, and that it was elected.

use partita_workloads::client::TableError;
use regex_lite::Regex;
use serde::Deserialize;
use toml::Spanned;

/// The table `[log]` of a description.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LogTable {
    /// What a line matches that says that its node was elected.
    leader: Option<Spanned<String>>,
}

impl LogTable {
    /// What it says, with the words that make a line an alarm.
    pub(super) fn forms(&self, alarms: Vec<String>) -> Result<LogForms, TableError> {
        let span = self.leader.as_ref().map_or(0..0, Spanned::span);
        let leader = self.leader.as_ref().map(|it| it.get_ref().as_str());
        LogForms::new(alarms, leader)
            .map_err(|problem| TableError::at(span, format!("[log] leader: {problem}")))
    }
}

/// What a target's description says of its nodes' lines.
#[derive(Debug, Clone, Default)]
pub struct LogForms {
    alarms: Vec<String>,
    leader: Option<Regex>,
}

/// The group of a pattern that is the term.
const TERM: &str = "term";

impl LogForms {
    /// Lines that have one of the words `alarms`, and those that `leader` matches, a regular expression
    /// with a group `term`.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression.
    pub fn new(alarms: Vec<String>, leader: Option<&str>) -> Result<Self, String> {
        let leader = leader.map(Regex::new).transpose().map_err(|error| error.to_string())?;
        let has_term = |it: &Regex| it.capture_names().flatten().any(|name| name == TERM);
        if leader.as_ref().is_some_and(|it| !has_term(it)) {
            return Err(r"expected a group for the term, such as `term=(?<term>\d+)`".to_owned());
        }
        Ok(Self { alarms, leader })
    }

    /// Whether lines mean anything at all.
    pub fn reads_lines(&self) -> bool {
        !self.alarms.is_empty() || self.leader.is_some()
    }

    /// Whether lines tell of elections.
    pub const fn tells_leaders(&self) -> bool {
        self.leader.is_some()
    }

    /// The word that makes a line an alarm, if it is one.
    pub fn alarm_of(&self, line: &str) -> Option<&str> {
        self.alarms.iter().find(|word| line.contains(*word)).map(String::as_str)
    }

    /// The term in which the node was elected, if the line says that it was.
    pub fn leader_of(&self, line: &str) -> Option<u64> {
        self.leader.as_ref()?.captures(line)?.name(TERM)?.as_str().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_alarm_by_a_word_and_an_election_by_a_pattern() {
        let alarms = vec!["panic".to_owned(), "BUG:".to_owned()];
        let forms =
            LogForms::new(alarms, Some(r"term=(?<term>\d+).* became leader")).expect("well");
        assert_eq!(forms.alarm_of("12 BUG: no such index"), Some("BUG:"));
        assert_eq!(forms.alarm_of("12 bug: no such index"), None);
        let line = "[server 1, term=34, commit index=1] became leader, votes=[1, 2]";
        assert_eq!(forms.leader_of(line), Some(34));
        assert_eq!(forms.leader_of("[server 1, term=34] follows leader 2"), None);
        assert!(forms.reads_lines() && !LogForms::default().reads_lines());
    }

    #[test]
    fn a_pattern_without_a_term_is_refused() {
        let problem = |pattern| LogForms::new(Vec::new(), Some(pattern)).expect_err("refused");
        assert!(problem(r"became leader (\d+)").contains("(?<term>"));
        assert!(!problem("(").is_empty());
    }
}
