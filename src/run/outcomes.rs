//! Counts what became of operations, as they come back: by kind, by error, and what nodes sent against
//! their protocol.
//!
//! The texts are the store's, which may never say the same twice: beyond a number of different ones,
//! errors of a kind at a node are counted together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use partita_reports::{ErrorCount, KindCounts, Outcomes, ProtocolViolationCount};
use partita_workloads::client::ProtocolViolation;
use partita_workloads::{Completion, Invocation, Kind};

/// Different texts that are kept apart for one kind of operation at one node.
const MOST_TEXTS: usize = 50;

/// What stands for the texts beyond those.
const OTHER_TEXTS: &str = "(other texts)";

/// Updates that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Updates {
    /// Sent.
    pub sent: u64,
    /// Answered: done, or refused by the rules of what they were sent to.
    pub answered: u64,
}

fn is_read(kind: &str) -> bool {
    Kind::ALL.into_iter().any(|it| it.is_read() && it.name() == kind)
}

/// The counts so far.
#[derive(Debug, Default)]
pub struct OutcomeCounter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    kinds: BTreeMap<&'static str, KindCounts>,
    /// By kind, node, outcome and text.
    errors: BTreeMap<(&'static str, String, &'static str), BTreeMap<String, u64>>,
    /// By node and what it was: a sample, and how often.
    violations: BTreeMap<(String, String), (String, u64)>,
}

impl OutcomeCounter {
    /// Counts one operation that was sent to `node`.
    pub fn count(&self, node: &str, invocation: &Invocation, completion: &Completion) {
        let mut counts = self.lock();
        let kind = invocation.kind.name();
        let of_kind = counts.kinds.entry(kind).or_default();
        of_kind.sent += 1;
        let error = match completion {
            Completion::Fail(text) => {
                of_kind.fail += 1;
                Some(("fail", text))
            }
            Completion::Unknown(text) => {
                of_kind.info += 1;
                Some(("info", text))
            }
            Completion::Mismatch { .. } | Completion::Refused(_) => {
                of_kind.ok += 1;
                None
            }
            Completion::Answered(_)
            | Completion::Done
            | Completion::Swapped
            | Completion::Scheduled => {
                of_kind.ok += 1;
                of_kind.effective += 1;
                None
            }
        };
        let Some((outcome, text)) = error else { return };
        let texts = counts.errors.entry((kind, node.to_owned(), outcome)).or_default();
        let is_kept = texts.len() < MOST_TEXTS || texts.contains_key(&**text);
        let text = if is_kept { &**text } else { OTHER_TEXTS };
        *texts.entry(text.to_owned()).or_default() += 1;
    }

    /// How many updates were sent and are over, and how many of them the store answered.
    pub fn updates(&self) -> Updates {
        let counts = self.lock();
        let of_updates = counts.kinds.iter().filter(|(kind, _)| !is_read(kind)).map(|(_, it)| it);
        of_updates.fold(Updates::default(), |sum, it| Updates {
            sent: sum.sent + it.sent,
            answered: sum.answered + it.ok,
        })
    }

    /// Counts what `node` sent against the protocol.
    pub fn distrust(&self, node: &str, violation: ProtocolViolation) {
        let mut counts = self.lock();
        let key = (node.to_owned(), violation.what);
        let (_, count) = counts.violations.entry(key).or_insert((violation.sample, 0));
        *count += 1;
    }

    /// What was counted.
    pub fn outcomes(&self) -> Outcomes {
        let counts = self.lock();
        let kinds = counts
            .kinds
            .iter()
            .map(|(kind, of_kind)| KindCounts { kind: (*kind).to_owned(), ..of_kind.clone() });
        let errors = counts.errors.iter().flat_map(|((kind, node, outcome), texts)| {
            texts.iter().map(|(text, count)| ErrorCount {
                kind: (*kind).to_owned(),
                node: node.clone(),
                outcome: (*outcome).to_owned(),
                text: text.clone(),
                count: *count,
            })
        });
        let violations = counts.violations.iter().map(|((node, what), (sample, count))| {
            ProtocolViolationCount {
                node: node.clone(),
                what: what.clone(),
                sample: sample.clone(),
                count: *count,
            }
        });
        let mut outcomes = Outcomes {
            kinds: kinds.collect(),
            errors: errors.collect(),
            protocol_violations: violations.collect(),
            arrivals: None,
        };
        outcomes.errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        outcomes.protocol_violations.sort_by_key(|violation| std::cmp::Reverse(violation.count));
        outcomes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use partita_checker::Value;

    use super::*;

    #[test]
    fn kinds_are_counted_apart_and_a_mismatch_has_no_effect() {
        let counter = OutcomeCounter::default();
        let cas = Invocation::cas("k".into(), 1.into(), 2.into());
        counter.count("n1", &cas, &Completion::Mismatch { saw: Some(Value::Null) });
        counter.count("n1", &cas, &Completion::Swapped);
        let expiry = Invocation::expire("k".into(), Duration::from_millis(9));
        counter.count("n1", &expiry, &Completion::Scheduled);
        counter.count("n1", &Invocation::delete("k".into()), &Completion::Fail("ERR no".into()));
        let kinds = counter.outcomes().kinds;
        let shown: Vec<_> =
            kinds.iter().map(|it| (it.kind.as_str(), it.sent, it.ok, it.effective)).collect();
        let wanted = [("compare-and-set", 2, 2, 1), ("delete", 1, 0, 0), ("expiration", 1, 1, 1)];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn errors_are_counted_by_kind_node_and_text_and_the_commonest_comes_first() {
        let counter = OutcomeCounter::default();
        let write = Invocation::write("k".into(), 1.into());
        let read = Invocation::read("k".into());
        counter.count("n1", &write, &Completion::Fail("ERR no".into()));
        for _ in 0..3 {
            counter.count("n2", &write, &Completion::Unknown("no reply".into()));
        }
        counter.count("n2", &read, &Completion::Unknown("no reply".into()));
        let errors = counter.outcomes().errors;
        let shown: Vec<_> = errors.iter().map(ErrorCount::sentence).collect();
        assert_eq!(
            shown,
            [
                "3 writes via n2, info: no reply",
                "1 read via n2, info: no reply",
                "1 write via n1, fail: ERR no",
            ]
        );
    }

    #[test]
    fn a_store_that_never_says_the_same_twice_fills_no_memory() {
        let counter = OutcomeCounter::default();
        let write = Invocation::write("k".into(), 1.into());
        for number in 0..10_000 {
            counter.count("n1", &write, &Completion::Fail(format!("ERR {number}").into()));
        }
        let errors = counter.outcomes().errors;
        assert_eq!(errors.len(), MOST_TEXTS + 1);
        assert_eq!((errors[0].text.as_str(), errors[0].count), (OTHER_TEXTS, 9_950));
        assert_eq!(errors.iter().map(|error| error.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn a_protocol_violation_keeps_its_first_sample() {
        let counter = OutcomeCounter::default();
        for sample in ["a", "b"] {
            counter.distrust("n1", ProtocolViolation::new("surplus bytes", sample));
        }
        let found = counter.outcomes().protocol_violations;
        assert_eq!((found.len(), found[0].count, found[0].sample.as_str()), (1, 2, "a"));
    }
}
