//! The exit codes, which scripts depend on, and what a run ends with. `docs/exit-codes.md` is the
//! contract.
//!
//! A command that comes to several results, such as the verdicts on several files, ends with the
//! worst of them, by [`Exit::worse`]: a finding stands whatever else went wrong, and *valid* means
//! that nothing did.

use std::process::ExitCode;

use partita_checker::Verdict;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// How a command ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// 0: every verdict is valid, or the command simply did what it was asked.
    Valid,
    /// 1: something was found of the system under test: a violation, a crash.
    Finding,
    /// 2: bad arguments or bad input.
    Usage,
    /// 3: unknown; a budget ran out, or nothing was tested.
    Unknown,
    /// 4: the harness failed, or the system under test could not be started.
    Harness,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Finding => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Harness => 4,
        }
    }

    /// What a run ends with: findings before a failure of the harness, that before the verdict.
    pub fn of_run(findings: &[Finding], has_failed: bool, verdict: Verdict) -> Self {
        let found = if findings.is_empty() { Self::Valid } else { Self::Finding };
        let failed = if has_failed { Self::Harness } else { Self::Valid };
        found.worse(failed).worse(verdict.into())
    }

    /// The one of two results that a command ends with that came to both. A finding (1) outweighs
    /// a failure of the harness (4), which outweighs what could not be read or written (2), which
    /// outweighs an unknown verdict (3), which outweighs a valid one (0).
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Valid => 0,
            Self::Unknown => 1,
            Self::Usage => 2,
            Self::Harness => 3,
            Self::Finding => 4,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// How a process of this program ended that ended with `code`: killed, or with anything else
    /// that no command ends with, means that the harness failed.
    pub fn of_code(code: i32) -> Self {
        [Self::Valid, Self::Finding, Self::Usage, Self::Unknown]
            .into_iter()
            .find(|exit| i32::from(exit.code()) == code)
            .unwrap_or(Self::Harness)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::Valid,
            Verdict::Unknown => Self::Unknown,
            Verdict::Violation => Self::Finding,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingKind;

    #[test]
    fn the_worst_of_several_results_is_the_one_that_counts() {
        let by_weight = [Exit::Valid, Exit::Unknown, Exit::Usage, Exit::Harness, Exit::Finding];
        for (place, lighter) in by_weight.into_iter().enumerate() {
            for heavier in &by_weight[place..] {
                assert_eq!(lighter.worse(*heavier), *heavier);
                assert_eq!(heavier.worse(lighter), *heavier);
            }
        }
    }

    #[test]
    fn a_run_ends_by_findings_then_the_harness_then_the_verdict() {
        let crash = [Finding::new(FindingKind::Crash, "n2 ended", "n2 ended on its own.")];
        for verdict in [Verdict::Valid, Verdict::Unknown, Verdict::Violation] {
            assert_eq!(Exit::of_run(&crash, true, verdict), Exit::Finding);
            assert_eq!(Exit::of_run(&crash, false, verdict), Exit::Finding);
        }
        assert_eq!(Exit::of_run(&[], true, Verdict::Valid), Exit::Harness);
        assert_eq!(Exit::of_run(&[], true, Verdict::Violation), Exit::Finding);
        assert_eq!(Exit::of_run(&[], false, Verdict::Unknown), Exit::Unknown);
        assert_eq!(Exit::of_run(&[], false, Verdict::Valid), Exit::Valid);
    }

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let contract = include_str!("../../docs/exit-codes.md");
        for exit in [Exit::Valid, Exit::Finding, Exit::Usage, Exit::Unknown, Exit::Harness] {
            let name = serde_json::to_value(exit).expect("JSON");
            let row = format!("| {} | `{}` |", exit.code(), name.as_str().expect("a word"));
            assert!(contract.contains(&row), "{row}");
            assert_eq!(Exit::of_code(exit.code().into()), exit);
        }
        assert_eq!(Exit::of_code(137), Exit::Harness);
    }
}
