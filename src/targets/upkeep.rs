//! What keeps a target's nodes in order: whether they are started again, and within which limits they stay.

use std::collections::BTreeMap;

use partita_reports::spec::Limit;
use partita_workloads::client::TableError;
use serde::Deserialize;
use toml::Spanned;

/// Whether a node that ends on its own is started again, as what keeps a service alive does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It is not, and the run ends.
    #[default]
    Never,
    /// Unless it ended with exit code 0.
    OnFailure,
    /// However it ended.
    Always,
}

/// The limits of a description's table `[limits]`.
pub(super) fn limits(
    described: &BTreeMap<String, Spanned<toml::Value>>,
) -> Result<Vec<Limit>, TableError> {
    let limit = |(name, amount): (&String, &Spanned<toml::Value>)| {
        let text = match amount.get_ref() {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Limit::of(name, &text)
            .map_err(|error| TableError::at(amount.span(), format!("[limits] {error}")))
    };
    described.iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    const PLAIN: &str = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nports = { client = 1, peer = 2 }\n\
                         command = [\"/bin/mine\"]\n";

    #[test]
    fn a_description_says_what_lines_mean_what_is_kept_and_who_is_started_again() {
        let text = format!(
            "{PLAIN}restart = \"on-failure\"\nalarm = [\"BUG:\"]\n[log]\nleader = \"led (?<term>\\\\d+)\"\n\
             [limits]\nmemory = \"1GiB\"\nopen-files = 90\n"
        );
        let target = Target::parse("mine.toml", &text).expect("a target");
        assert_eq!(target.restart, RestartPolicy::OnFailure);
        assert_eq!(target.log.alarm_of("a BUG: b"), Some("BUG:"));
        assert_eq!(target.log.leader_of("led 7"), Some(7));
        let limits: Vec<String> = target.limits.iter().map(Limit::to_string).collect();
        assert_eq!(limits, ["memory < 1GiB", "open-files < 90"]);
        let mistakes = [
            ("[log]\nleader = \"led\"", "mine.toml:7: [log] leader: expected a group"),
            ("[limits]\nmemroy = \"1GiB\"", "mine.toml:7: [limits] nothing called `memroy`"),
        ];
        for (table, expected) in mistakes {
            let text = format!("{PLAIN}{table}\n");
            let message = Target::parse("mine.toml", &text).expect_err(table).to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
