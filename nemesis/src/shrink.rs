//! Finds a schedule with few and short faults that still gives what a longer one gave.
//!
//! What is asked of a candidate, again and again, is whether it still *reproduces*; the answer
//! comes from whoever plays it, as often as it takes ([`shrink`] itself plays nothing). In this
//! order: nothing after the violation; no long pauses; only the last one, two or three faults before
//! the violation, which are the likeliest culprits; delta debugging (`ddmin`, Zeller & Hildebrandt,
//! *Simplifying and Isolating Failure-Inducing Input*, TSE 2002, §3.2) on what is left; each
//! fault's duration, halved as long as that reproduces. At worst quadratic in the faults, mostly a
//! few questions for each that stays. A fault keeps its number and with it the stream its victims are
//! drawn from. Leaves out simpler faults in place of complicated ones, and parameters.
//!
//! Real processes race: a candidate may reproduce and not do so the next time. Every candidate that
//! was accepted is kept ([`Shrunk::steps`]), so that the caller can go back to a larger one if the
//! smallest does not reproduce often enough.

use crate::schedule::{PlannedFault, Schedule};

/// The longest time without a fault that is kept, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 1_000;
/// The shortest fault, in milliseconds.
const SHORTEST_MS: u64 = 100;
/// How often one fault is halved.
const HALVINGS: usize = 4;
/// How many faults before the violation are tried by themselves.
const SUSPECTS: usize = 3;

/// What shrinking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// Every candidate that reproduced, each smaller than the one before; the schedule that was
    /// given comes first.
    pub steps: Vec<Schedule>,
    /// How many candidates were asked about.
    pub asked: usize,
}

impl Shrunk {
    /// The smallest candidate that reproduced.
    pub fn smallest(&self) -> &Schedule {
        self.steps.last().expect("the schedule that was given")
    }
}

/// Shrinks `schedule`, which gave a finding that had shown `found_ms` after its beginning, if that is
/// known. `reproduces` says whether a candidate still does, and is told in words what was
/// tried.
///
/// # Errors
///
/// What `reproduces` fails with.
pub fn shrink<E>(
    schedule: &Schedule,
    found_ms: Option<u64>,
    reproduces: impl FnMut(&Schedule, &str) -> Result<bool, E>,
) -> Result<Shrunk, E> {
    let steps = vec![schedule.clone()];
    let mut search = Search { reproduces, steps, asked: 0, pauses: true };
    if let Some(found_ms) = found_ms {
        let mut before = schedule.clone();
        before.faults.retain(|planned| planned.at_ms < found_ms);
        search.offer(before, "without what came after the finding")?;
    }
    let current = search.current();
    search.pauses = false;
    if !search.offer(current, "without long pauses")? {
        search.pauses = true;
    }
    search.suspects()?;
    search.minimise()?;
    search.shorten()?;
    Ok(Shrunk { steps: search.steps, asked: search.asked })
}

struct Search<F> {
    reproduces: F,
    steps: Vec<Schedule>,
    asked: usize,
    /// Whether long pauses between faults are kept.
    pauses: bool,
}

impl<E, F: FnMut(&Schedule, &str) -> Result<bool, E>> Search<F> {
    fn current(&self) -> Schedule {
        self.steps.last().expect("the schedule that was given").clone()
    }

    /// Makes a candidate the current schedule if it is another, not empty, and reproduces.
    fn offer(&mut self, mut candidate: Schedule, what: &str) -> Result<bool, E> {
        if !self.pauses {
            close_pauses(&mut candidate);
        }
        if candidate.faults.is_empty() || self.steps.last() == Some(&candidate) {
            return Ok(false);
        }
        self.asked += 1;
        let accepted = (self.reproduces)(&candidate, what)?;
        if accepted {
            self.steps.push(candidate);
        }
        Ok(accepted)
    }

    /// Tries the last few faults by themselves.
    fn suspects(&mut self) -> Result<(), E> {
        let current = self.current();
        let all = current.faults.len();
        for count in (1..=SUSPECTS).take_while(|count| *count < all) {
            let mut last = current.clone();
            last.faults.drain(..all - count);
            if self.offer(last, &format!("the last {} only", faults(count)))? {
                break;
            }
        }
        Ok(())
    }

    /// `ddmin`: leaves out ever smaller parts until no single fault can be left out.
    fn minimise(&mut self) -> Result<(), E> {
        let mut parts = 2;
        loop {
            let current = self.current();
            let all = current.faults.len();
            if all < 2 {
                return Ok(());
            }
            parts = parts.min(all);
            if self.leave_out_one_of(parts, &current)? {
                parts = parts.saturating_sub(1).max(2);
            } else if parts < all {
                parts *= 2;
            } else {
                return Ok(());
            }
        }
    }

    /// Leaves out one of so many parts of `current`, the earliest that can be: it is the farthest
    /// from the violation.
    fn leave_out_one_of(&mut self, parts: usize, current: &Schedule) -> Result<bool, E> {
        let all = current.faults.len();
        for part in 0..parts {
            let (from, to) = (all * part / parts, all * (part + 1) / parts);
            let mut rest = current.clone();
            rest.faults.drain(from..to);
            if self.offer(rest, &format!("without {} of {all}", faults(to - from)))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Halves each fault's duration as long as that reproduces.
    fn shorten(&mut self) -> Result<(), E> {
        for place in 0..self.current().faults.len() {
            for _ in 0..HALVINGS {
                let mut shorter = self.current();
                let PlannedFault { id, duration_ms, .. } = &mut shorter.faults[place];
                if *duration_ms / 2 < SHORTEST_MS {
                    break;
                }
                *duration_ms /= 2;
                let what = format!("fault {id} for {duration_ms} ms only");
                if !self.offer(shorter, &what)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn faults(count: usize) -> String {
    if count == 1 { "fault".to_owned() } else { format!("{count} faults") }
}

/// Brings faults forward so that none begins more than [`LONGEST_PAUSE_MS`] after all that began
/// before it are over. Faults that overlap keep their distances.
fn close_pauses(schedule: &mut Schedule) {
    let (mut earlier_ms, mut busy_until_ms) = (0, 0);
    for planned in &mut schedule.faults {
        let at_ms = planned.at_ms - earlier_ms;
        let pause_ms = at_ms.saturating_sub(busy_until_ms);
        earlier_ms += pause_ms.saturating_sub(LONGEST_PAUSE_MS);
        planned.at_ms -= earlier_ms;
        busy_until_ms = busy_until_ms.max(planned.at_ms + planned.duration_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use super::*;
    use crate::fault::Target;
    use crate::fault::process::Kill;

    fn schedule(faults: u32) -> Schedule {
        let planned = |id: u32| PlannedFault {
            id,
            at_ms: 2_000 + 4_000 * u64::from(id),
            trigger: None,
            duration_ms: 2_000,
            fault: Kill::default().into(),
            target: Target::Random,
        };
        Schedule { seed: 1, faults: (0..faults).map(planned).collect(), read_only: Vec::new() }
    }

    fn ids(schedule: &Schedule) -> Vec<u32> {
        schedule.faults.iter().map(|planned| planned.id).collect()
    }

    fn shrunk(
        schedule: &Schedule,
        found_ms: Option<u64>,
        reproduces: impl Fn(&Schedule) -> bool,
    ) -> Shrunk {
        let answered: Result<Shrunk, Infallible> =
            shrink(schedule, found_ms, |candidate, _| Ok(reproduces(candidate)));
        answered.unwrap_or_else(|never| match never {})
    }

    #[test]
    fn exactly_the_faults_that_matter_are_left() {
        for culprits in [vec![3], vec![0, 17], vec![5, 6, 20], vec![1, 9, 12, 23]] {
            let needs = |candidate: &Schedule| {
                let has: BTreeSet<u32> = ids(candidate).into_iter().collect();
                culprits.iter().all(|culprit| has.contains(culprit))
            };
            let result = shrunk(&schedule(24), None, needs);
            assert_eq!(ids(result.smallest()), culprits);
            assert!(result.asked < 150, "{} questions", result.asked);
            assert!(result.steps.iter().all(needs), "every step reproduced");
        }
    }

    #[test]
    fn the_last_fault_before_the_violation_is_suspected_first() {
        let needs = |candidate: &Schedule| ids(candidate).contains(&11);
        let result = shrunk(&schedule(24), Some(2_000 + 4_000 * 11 + 1), needs);
        assert_eq!(ids(result.smallest()), [11]);
        assert!(result.asked <= 3 + HALVINGS, "{} questions", result.asked);
    }

    #[test]
    fn pauses_close_and_overlaps_stay() {
        let mut schedule = schedule(3);
        schedule.faults[1].at_ms = 2_500;
        close_pauses(&mut schedule);
        let times: Vec<u64> = schedule.faults.iter().map(|planned| planned.at_ms).collect();
        assert_eq!(times, [1_000, 1_500, 4_500]);
    }

    #[test]
    fn faults_become_as_short_as_they_can() {
        let needs = |candidate: &Schedule| {
            candidate.faults.iter().any(|it| it.id == 2 && it.duration_ms >= 400)
        };
        let result = shrunk(&schedule(5), None, needs);
        assert_eq!(result.smallest().faults[0].duration_ms, 500);
        assert_eq!(result.smallest().faults[0].at_ms, LONGEST_PAUSE_MS);
    }

    #[test]
    fn what_needs_its_pauses_keeps_them() {
        let needs = |candidate: &Schedule| candidate.faults.iter().any(|it| it.at_ms == 14_000);
        let result = shrunk(&schedule(5), None, needs);
        assert_eq!(ids(result.smallest()), [3]);
    }
}
