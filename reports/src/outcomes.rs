//! What became of a run's operations, by their kind, and what the store said where it did not do them.

use serde::{Deserialize, Serialize};

use crate::text::number::{count, counted};
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// Operations of a kind that must have been sent before it counts that none of them came back ok.
const ENOUGH_SENT: u64 = 20;

/// How many different protocol violations a verdict names.
const MOST_NAMED: usize = 5;

/// What became of a run's operations. Part of `run.json`; a list that is absent there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    /// By kind of operation, the kinds by name.
    pub kinds: Vec<KindCounts>,
    /// Why operations failed or are unknown, the most frequent first.
    pub errors: Vec<ErrorCount>,
    /// What nodes sent against the clients' protocol, the most frequent first.
    pub protocol_violations: Vec<ProtocolViolationCount>,
    /// How requests came, if they did so whatever became of those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
}

/// Requests of an open loop, and how long each took from the moment at which it was meant to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals {
    /// How many came.
    pub came: u64,
    /// How many of them were sent by nobody, since no client of the node was free.
    pub shed: u64,
    /// The latency of half of the others, in nanoseconds; at most 7 % more than it was.
    pub median_ns: u64,
    /// That of 99 of 100.
    pub p99_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

impl Arrivals {
    /// The whole in one sentence.
    pub fn sentence(&self) -> String {
        let time = |ns: u64| format!("{:.1} ms", ns as f64 / 1e6);
        format!(
            "open loop: {} came, {} were shed while all clients of their node were waiting; from the moment at \
             which each was to be sent, half took {}, 99 % {} and the longest {}",
            counted(self.came, "request"),
            count(self.shed),
            time(self.median_ns),
            time(self.p99_ns),
            time(self.longest_ns),
        )
    }
}

/// What became of the operations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCounts {
    /// The kind: `read`, `write`, `compare-and-set` and so on, as the workload calls it.
    pub kind: String,
    /// How many were sent.
    pub sent: u64,
    /// How many came back with an answer. Of expirations, those that the store accepted: it
    /// tells nobody when they happen.
    pub ok: u64,
    /// Of those, how many did what they are for: all, but a compare-and-set only if it swapped, and a
    /// lock's acquisition only if it was free.
    pub effective: u64,
    /// How many certainly did not happen.
    pub fail: u64,
    /// How many may or may not have happened.
    pub info: u64,
}

/// How often operations of one kind through one node ended with one error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The kind of operation.
    pub kind: String,
    /// The node that was asked.
    pub node: String,
    /// `fail` (they certainly did not happen) or `info` (they may have).
    pub outcome: String,
    /// The store's words, or what happened to the connection.
    pub text: String,
    /// How many operations.
    pub count: u64,
}

/// How often one node broke the clients' protocol in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolViolationCount {
    /// The node.
    pub node: String,
    /// What it sent.
    pub what: String,
    /// The first such bytes, escaped and cut.
    pub sample: String,
    /// How often.
    pub count: u64,
}

impl Outcomes {
    /// Why a run with these outcomes is not valid, a sentence each; empty if nothing speaks against
    /// it. The sentences hold text of the store as it came.
    pub fn objections(&self) -> Vec<String> {
        let kinds = self.kinds.iter().filter(|kind| kind.is_unproved());
        let mut reasons: Vec<String> = kinds.map(|kind| self.without_effect(kind)).collect();
        let violations = &self.protocol_violations;
        let named = violations.iter().take(MOST_NAMED);
        reasons.extend(named.map(ProtocolViolationCount::sentence));
        if violations.len() > MOST_NAMED {
            let more = violations[MOST_NAMED..].iter().map(|found| found.count).sum();
            reasons.push(format!("the protocol was broken {} more", counted(more, "time")));
        }
        reasons
    }

    fn without_effect(&self, counts: &KindCounts) -> String {
        let KindCounts { kind, sent, ok, .. } = counts;
        let mut reason = match ok {
            0 => format!("none of the {} came back ok", counted(*sent, kind)),
            _ => format!(
                "none of the {} took effect, {} were refused",
                counted(*sent, kind),
                count(*ok)
            ),
        };
        if let Some(error) = self.errors.iter().find(|error| error.kind == *kind) {
            let text = visible(&error.text, TEXT_CHARACTERS);
            reason.push_str(&format!("; most often: `{text}`, {}", counted(error.count, "time")));
        }
        reason
    }

    /// Whether operations of this kind are named by [`Self::objections`].
    pub fn has_unproved(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.kinds.iter().any(|kind| is_meant(&kind.kind) && kind.is_unproved())
    }
}

impl KindCounts {
    /// Whether enough were sent and none of them did what it is for.
    fn is_unproved(&self) -> bool {
        self.sent >= ENOUGH_SENT && self.effective == 0
    }
}

impl ProtocolViolationCount {
    /// In one line, with the node's text as it came.
    pub fn sentence(&self) -> String {
        format!(
            "{} broke the clients' protocol {}: {}, first `{}`",
            self.node,
            counted(self.count, "time"),
            self.what,
            self.sample
        )
    }
}

impl ErrorCount {
    /// In one line: `860 compare-and-sets via n1, fail: ERR no`. The store's text as it can be shown.
    pub fn sentence(&self) -> String {
        format!(
            "{} via {}, {}: {}",
            counted(self.count, &self.kind),
            visible(&self.node, 40),
            self.outcome,
            visible(&self.text, 200)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(kind: &str, sent: u64, ok: u64, effective: u64) -> KindCounts {
        KindCounts { kind: kind.into(), sent, ok, effective, fail: sent - ok, info: 0 }
    }

    #[test]
    fn a_kind_of_which_none_came_back_is_an_objection_from_twenty_on() {
        let of = |sent| Outcomes { kinds: vec![kind("delete", sent, 0, 0)], ..Outcomes::default() };
        assert_eq!(of(19).objections(), Vec::<String>::new());
        assert_eq!(of(20).objections(), ["none of the 20 deletes came back ok"]);
        let one = Outcomes { kinds: vec![kind("delete", 900, 1, 1)], ..Outcomes::default() };
        assert_eq!(one.objections(), Vec::<String>::new());
    }

    #[test]
    fn a_compare_and_set_counts_only_if_it_swapped_and_the_commonest_error_is_told() {
        let error = |text: &str, count| ErrorCount {
            kind: "compare-and-set".into(),
            node: "n1".into(),
            outcome: "fail".into(),
            text: text.into(),
            count,
        };
        let mut outcomes = Outcomes {
            kinds: vec![kind("compare-and-set", 860, 0, 0), kind("read", 900, 900, 900)],
            errors: vec![error("ERR syntax", 800), error("ERR busy", 60)],
            ..Outcomes::default()
        };
        let refused = "none of the 860 compare-and-sets came back ok; most often: `ERR syntax`, \
                       800 times";
        assert_eq!(outcomes.objections(), [refused]);
        outcomes.kinds[0] = kind("compare-and-set", 860, 40, 0);
        outcomes.errors.clear();
        let mismatched = "none of the 860 compare-and-sets took effect, 40 were refused";
        assert_eq!(outcomes.objections(), [mismatched]);
        outcomes.kinds[0] = kind("compare-and-set", 860, 40, 1);
        assert_eq!(outcomes.objections(), Vec::<String>::new());
    }

    #[test]
    fn every_protocol_violation_is_an_objection_and_few_are_named() {
        let violation = |count| ProtocolViolationCount {
            node: "n2".into(),
            what: format!("oddity {count}"),
            sample: "_\\r\\n".into(),
            count,
        };
        let one = Outcomes { protocol_violations: vec![violation(1)], ..Outcomes::default() }
            .objections();
        assert_eq!(one, ["n2 broke the clients' protocol 1 time: oddity 1, first `_\\r\\n`"]);
        let many = Outcomes {
            protocol_violations: (1..=8).map(violation).collect(),
            ..Outcomes::default()
        };
        let reasons = many.objections();
        assert_eq!(reasons.len(), 6);
        assert_eq!(reasons[5], "the protocol was broken 21 times more");
    }
}
