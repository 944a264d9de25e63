//! What is found of the system under test while a run is under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_reports::event::RunEvent;
use partita_reports::{Finding, FindingKind};

use super::events::Events;

/// Findings that are kept apart; more are counted with the last.
const MOST: usize = 200;

/// How much later than the end of its node a line may be seen, in nanoseconds.
const SEEN_LATE: u64 = 500_000_000;

/// The findings so far, in the order in which they were seen first. Clones share them.
#[derive(Clone)]
pub struct Findings {
    found: Arc<Mutex<Vec<Finding>>>,
    /// When which node ended, whatever that means.
    ends: Arc<Mutex<Vec<(String, Nanoseconds)>>>,
    events: Events,
}

impl Findings {
    /// None yet; `events` are told of each new one.
    pub fn new(events: Events) -> Self {
        Self { found: Arc::default(), ends: Arc::default(), events }
    }

    /// Takes a finding. The same once more is counted.
    pub fn report(&self, finding: Finding) {
        let mut found = self.lock();
        if let Some(same) = found.iter_mut().find(|it| it.is_same(&finding)) {
            same.times += 1;
            return;
        }
        if found.len() >= MOST {
            if let Some(last) = found.last_mut() {
                last.times += 1;
            }
            return;
        }
        found.push(finding.clone());
        drop(found);
        self.events.tell(RunEvent::Found { finding: Box::new(finding) });
    }

    /// Notes that a node has ended on its own: what it wrote just before is told with that.
    pub fn note_end(&self, node: &str, at: Nanoseconds) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push((node.to_owned(), at));
    }

    /// Whether a node ended on its own soon after that, or was seen to end just before.
    pub fn has_ended(&self, node: &str, after: Nanoseconds, within: Duration) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let last = u128::from(after.0) + within.as_nanos();
        let is_near = |at: &Nanoseconds| {
            at.0.saturating_add(SEEN_LATE) >= after.0 && u128::from(at.0) <= last
        };
        ends.iter().any(|(ended, at)| ended == node && is_near(at))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Finding> {
        self.lock().clone()
    }

    /// The first, if there is any.
    pub fn first(&self) -> Option<Finding> {
        self.lock().first().cloned()
    }

    /// Whether there is one of this kind.
    pub fn has(&self, kind: FindingKind) -> bool {
        self.lock().iter().any(|finding| finding.kind == kind)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Finding>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::RunClock;
    use super::*;

    #[test]
    fn the_same_is_counted_and_the_number_of_different_ones_is_bounded() {
        let findings = Findings::new(Events::new(RunClock::start(), Vec::new()));
        assert_eq!(findings.first(), None);
        for number in 0..MOST + 5 {
            findings.report(Finding::new(FindingKind::Crash, format!("{number}"), "first"));
        }
        findings.report(Finding::new(FindingKind::Crash, "0", "once more"));
        let all = findings.all();
        assert_eq!(all.len(), MOST);
        assert_eq!((all[0].times, all[0].sentence.as_str()), (2, "first"));
        assert_eq!(all[MOST - 1].times, 6);
        findings.note_end("n1", Nanoseconds(7_000_000_000));
        let ended = |node, second: u64| {
            findings.has_ended(node, Nanoseconds(second * 1_000_000_000), Duration::from_secs(5))
        };
        assert!(ended("n1", 3) && ended("n1", 7) && !ended("n1", 8) && !ended("n1", 1));
        assert!(!ended("n2", 3));
        assert!(findings.has(FindingKind::Crash) && !findings.has(FindingKind::TwoLeaders));
    }
}
