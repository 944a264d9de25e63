//! Describes the faults of processes: who stops, who dies, and who comes back when.

use std::time::Duration;

use super::units::{duration_in, percent};
use super::{ANY_TARGET, Description, Fault, Parameter, Reach, TARGET, is_target};
use crate::record::Family;

/// The names of the parameters.
pub(crate) const PERIOD: &str = "period";
pub(crate) const SHARE: &str = "share";
pub(crate) const LIMIT: &str = "limit";
pub(crate) const DOWN: &str = "down";
pub(crate) const BETWEEN: &str = "between";
pub(crate) const HOW: &str = "how";
pub(crate) const WITHIN: &str = "within";
pub(crate) const TIMES: &str = "times";

/// A time that a process is down, or that is waited between two.
pub(crate) fn spell(text: &str) -> Option<Duration> {
    duration_in(text, Duration::ZERO..=Duration::from_secs(60))
}

/// How long a stop and a go take together.
pub(crate) fn period(text: &str) -> Option<Duration> {
    duration_in(text, Duration::from_millis(10)..=Duration::from_secs(10))
}

/// How much of that is the stop, in percent.
pub(crate) fn share(text: &str) -> Option<u8> {
    percent(text).filter(|percent| (1..100).contains(percent))
}

/// How often nodes are restarted.
pub(crate) fn times(text: &str) -> Option<u32> {
    text.parse().ok().filter(|times| (1..=1_000).contains(times))
}

const fn a_spell(name: &'static str, summary: &'static str, default: &'static str) -> Parameter {
    let unit = "a time from 0 to 60s";
    Parameter { name, summary, unit, default, accepts: |text| spell(text).is_some() }
}

const ALL_OR_SOME: Parameter = Parameter {
    name: TARGET,
    summary: "the victims, looked up when the fault begins; all are those that no other fault keeps \
              from running",
    unit: "leader, follower, followers, random, minority, majority, all or names of nodes",
    default: "all",
    accepts: is_target,
};

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 7] = [
    row(
        Fault::Pause,
        "pause",
        "stop one node's processes with SIGSTOP, later continue them",
        &[ANY_TARGET],
    ),
    row(
        Fault::Stutter,
        "stutter",
        "stop and continue one node's processes again and again",
        &[
            ANY_TARGET,
            Parameter {
                name: PERIOD,
                summary: "how long a stop and a go take together",
                unit: "a time from 10ms to 10s",
                default: "100ms",
                accepts: |text| period(text).is_some(),
            },
            Parameter {
                name: SHARE,
                summary: "how much of it they are stopped",
                unit: "percent, 1% to 99%",
                default: "50%",
                accepts: |text| share(text).is_some(),
            },
        ],
    ),
    row(
        Fault::Kill,
        "kill",
        "kill one node's processes with SIGKILL, later start it again",
        &[ANY_TARGET],
    ),
    row(
        Fault::Terminate,
        "terminate",
        "ask one node to end with SIGTERM, later start it again",
        &[
            ANY_TARGET,
            a_spell(LIMIT, "how long it may take before it is killed with SIGKILL", "2s"),
        ],
    ),
    row(
        Fault::KillAll,
        "kill-all",
        "kill all nodes at once with SIGKILL and start them again; watch them recover",
        &[a_spell(DOWN, "how long they stay down", "0s")],
    ),
    row(
        Fault::RollingRestart,
        "rolling-restart",
        "restart one node after the other, each when the one before is back",
        &[
            ALL_OR_SOME,
            Parameter {
                name: HOW,
                summary: "how each is ended: SIGTERM, after 2s SIGKILL, or SIGKILL at once",
                unit: "terminate or kill",
                default: "terminate",
                accepts: |text| matches!(text, "terminate" | "kill"),
            },
            a_spell(BETWEEN, "how long the next is left alone once one is back", "300ms"),
        ],
    ),
    row(
        Fault::RestartVoters,
        "restart-voters",
        "kill nodes and start them again at once, at moments within an election",
        &[
            ALL_OR_SOME,
            a_spell(WITHIN, "each time, a node is restarted once within so long", "400ms"),
            Parameter {
                name: TIMES,
                summary: "how often each node is restarted",
                unit: "a number from 1 to 1000",
                default: "3",
                accepts: |text| times(text).is_some(),
            },
        ],
    ),
];

const fn row(
    fault: Fault,
    name: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Description {
    let (family, reach) = (Family::Process, Reach::Any);
    let (shortest_ms, longest_ms) = match fault {
        // Three nodes take two seconds, and five take four.
        Fault::RollingRestart => (3_000, 5_000),
        _ => (1_500, 3_500),
    };
    Description { fault, name, family, summary, reach, shortest_ms, longest_ms, parameters }
}
