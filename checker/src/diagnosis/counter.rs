//! What a counter did.
//!
//! Whatever the order, a read lies between the least and the most that the additions make which
//! were over, or begun, by then. Above all that can have been added, or below all that can have
//! been taken away, something was applied more than once. In between, something that was
//! acknowledged is missing.

use rustc_hash::FxHashSet;

use super::sightings::{MissedWrite, Observation, fate};
use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Operation, Response};
use crate::value::Value;
use crate::verdict::Anomaly;
use crate::words::capital;

/// How many sums of additions are tried.
const SUMS: usize = 4_096;

/// What additions make by the time of a read.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// All that increased it and began, and nothing that decreased it.
    highest: i128,
    /// All that increased it and began, and what decreased it and was over.
    most: i128,
    /// What increased it and was over, and all that decreased it and began.
    least: i128,
    /// All that decreased it and began.
    lowest: i128,
    /// What was over.
    over: i128,
    /// The last addition that was over, and whether it increased it.
    last: [Option<usize>; 2],
}

pub(super) fn diagnose(key: &Key<'_>, proof: &[usize]) -> Result<Option<Diagnosis>, Stopped> {
    let counter = Counter { key };
    for &reader in proof {
        let Some(read) = counter.read(reader) else { continue };
        let bounds = counter.bounds(key.get(reader))?;
        if read < bounds.least || read > bounds.most {
            return counter.name(reader, read, bounds).map(Some);
        }
    }
    for &reader in proof {
        let Some(read) = counter.read(reader) else { continue };
        if let Some(found) = counter.fallen(proof, reader, read)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

struct Counter<'a> {
    key: &'a Key<'a>,
}

impl Counter<'_> {
    fn added(&self, operation: &Operation) -> i128 {
        match operation.action {
            Action::Other(Function::Add, amount) if !operation.is_failed() => {
                integer(self.key.value(amount)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn read(&self, place: usize) -> Option<i128> {
        let operation = self.key.get(place);
        match (operation.action, operation.response()) {
            (Action::Read, Some(Response::Value(read))) => integer(self.key.value(read)),
            _ => None,
        }
    }

    fn bounds(&self, read: &Operation) -> Result<Bounds, Stopped> {
        let begin = integer(self.key.initial).unwrap_or(0);
        let mut bounds = Bounds {
            highest: begin,
            most: begin,
            least: begin,
            lowest: begin,
            over: begin,
            last: [None; 2],
        };
        for (place, operation) in self.key.operations.iter().enumerate() {
            self.key.cancellation.step()?;
            let added = self.added(operation);
            if added == 0 || operation.invoked.position > returned(read) {
                continue;
            }
            let is_over = returned(operation) < read.invoked.position;
            let (sure, possible) = if added > 0 {
                (&mut bounds.least, &mut bounds.most)
            } else {
                (&mut bounds.most, &mut bounds.least)
            };
            *possible += added;
            if is_over {
                *sure += added;
                bounds.over += added;
                bounds.last[usize::from(added > 0)] = Some(place);
            }
            *(if added > 0 { &mut bounds.highest } else { &mut bounds.lowest }) += added;
        }
        Ok(bounds)
    }

    /// A sum that no additions make, each of them applied once or not at all. Nothing if they are too
    /// many to try.
    fn unmade(&self, head: &str, reader: &Operation, read: i128) -> Option<Diagnosis> {
        let begun = || {
            let operations = self.key.operations.iter();
            let begun = operations.filter(|it| it.invoked.position < returned(reader));
            begun.map(|operation| self.added(operation)).filter(|&added| added != 0)
        };
        let mut sums: FxHashSet<i128> = FxHashSet::default();
        sums.insert(integer(self.key.initial).unwrap_or(0));
        for added in begun() {
            let more: Vec<i128> = sums.iter().map(|sum| sum + added).collect();
            sums.extend(more);
            if sums.len() > SUMS {
                return None;
            }
        }
        if sums.contains(&read) {
            return None;
        }
        Some(if begun().any(|added| sums.contains(&(read - added))) {
            let moral = "no additions make that, unless one of them was applied twice";
            Diagnosis::new(Anomaly::DuplicateApply, format!("{head} {moral}."))
        } else {
            let moral = "no additions make that, each applied once or not at all";
            Diagnosis::new(
                Anomaly::ValueFromNowhere,
                format!("{head} {moral}: a value from nowhere."),
            )
        })
    }

    /// A sum beyond all additions, or all subtractions, that had begun.
    fn beyond(&self, head: &str, reader: &Operation, read: i128, bounds: Bounds) -> Diagnosis {
        let Bounds { highest, most, least, lowest, .. } = bounds;
        let rises = read > highest;
        let (bound, edge) = if rises {
            (format!("all that was added by then makes {most} at most"), highest)
        } else {
            (format!("all that was taken away by then leaves {least} at least"), lowest)
        };
        let reaches = |more: i128| if rises { edge + more >= read } else { edge + more <= read };
        let amount = |operation: &Operation| match operation.action {
            Action::Other(Function::Add, amount) => integer(self.key.value(amount)).unwrap_or(0),
            _ => 0,
        };
        let began = |it: &Operation| it.invoked.position < returned(reader);
        let sum = |which: &dyn Fn(&Operation) -> bool| -> i128 {
            let those = self.key.operations.iter().filter(|it| which(it)).map(|it| amount(it));
            those.filter(|&amount| (amount > 0) == rises).sum()
        };
        let refused = sum(&|it| it.is_failed() && began(it));
        let later = sum(&|it| !it.is_failed() && !began(it));
        let (anomaly, moral) = if refused != 0 && reaches(refused) {
            let moral = "what is recorded as failed was done, or only timed out, and its outcome was \
                         unknown (info) rather than a failure (fail)";
            (Anomaly::AbortedRead, moral)
        } else if edge != integer(self.key.initial).unwrap_or(0) {
            (Anomaly::DuplicateApply, "something was applied twice")
        } else if later != 0 && reaches(later) {
            (Anomaly::ReadFromTheFuture, "it shows what was asked for only later")
        } else {
            (Anomaly::ValueFromNowhere, "a value from nowhere")
        };
        Diagnosis::new(anomaly, format!("{head} {bound}: {moral}."))
    }

    /// A read that shows less than an answer that was over before it, though nothing can have been
    /// taken away since; or more, though nothing can have been added.
    fn fallen(
        &self,
        proof: &[usize],
        reader: usize,
        read: i128,
    ) -> Result<Option<Diagnosis>, Stopped> {
        let operation = self.key.get(reader);
        for &earlier in proof {
            let Some(shown) = self.read(earlier) else { continue };
            let before = self.key.get(earlier);
            if returned(before) > operation.invoked.position || shown == read {
                continue;
            }
            let falls = read < shown;
            let (mut changed, mut made) = (false, None);
            for (place, other) in self.key.operations.iter().enumerate() {
                self.key.cancellation.step()?;
                let added = self.added(other);
                if added == 0 || other.invoked.position > returned(operation) {
                    continue;
                }
                if (added > 0) == falls {
                    made = made.or(Some(place));
                } else if returned(other) > before.invoked.position {
                    changed = true;
                }
            }
            if changed {
                continue;
            }
            // What is taken away later may hide it again.
            let opposed = self.key.operations.iter().find(|it| {
                let added = self.added(it);
                added != 0 && (added > 0) != falls && returned(it) > before.invoked.position
            });
            let opposed = opposed.map_or(u64::MAX, |it| it.invoked.position);
            let sight = |place: usize| {
                let sum = self.read(place)?;
                if returned(self.key.get(place)) > opposed {
                    return Some(Observation::Replaced);
                }
                let shows = if falls { sum >= shown } else { sum <= shown };
                Some(if shows { Observation::Shows } else { Observation::Misses })
            };
            return Ok(Some(self.missed(reader, earlier, made, sight)));
        }
        Ok(None)
    }

    /// A read of what `earlier` had shown otherwise.
    fn missed(
        &self,
        reader: usize,
        earlier: usize,
        made: Option<usize>,
        sight: impl Fn(usize) -> Option<Observation>,
    ) -> Diagnosis {
        let [operation, before] = [reader, earlier].map(|place| self.key.get(place));
        let [read, shown] = [reader, earlier].map(|place| self.read(place).unwrap_or(0));
        let (anomaly, context, moral) = match fate(self.key, reader, made, returned(before), sight)
        {
            MissedWrite::There(later) => (Anomaly::StaleRead, later, "a stale read"),
            _ if read < shown => (Anomaly::LostWrite, None, "a lost addition"),
            _ => (Anomaly::LostWrite, None, "a lost subtraction"),
        };
        let late = operation.invoked.time.since(ended(before));
        let verb = if read < shown { "taken away" } else { "added" };
        let sentence = format!(
            "{} read {read} from {} at {}, {} after {} had read {shown}, and nothing can have been \
             {verb} since: {moral}.",
            capital(&self.key.who(reader)),
            self.key.object(),
            self.key.instant(operation.invoked.time),
            self.key.duration(late),
            self.key.who(earlier),
        );
        let mut found = Diagnosis::new(anomaly, sentence);
        found.context = context;
        found.stale_for = self.key.history.has_clock().then_some(late);
        found
    }

    fn name(&self, reader: usize, read: i128, bounds: Bounds) -> Result<Diagnosis, Stopped> {
        let operation = self.key.get(reader);
        let head = format!(
            "{} read {read} from {} at {}, but",
            capital(&self.key.who(reader)),
            self.key.object(),
            self.key.instant(operation.invoked.time),
        );
        let Bounds { highest, most, least, lowest, .. } = bounds;
        if read > highest || read < lowest {
            return Ok(self.beyond(&head, operation, read, bounds));
        }
        if let Some(found) = self.unmade(&head, operation, read) {
            return Ok(found);
        }
        // Whether reads after it agree with all that they must show.
        let mut fits = Vec::new();
        for place in 0..self.key.operations.len() {
            let shown = self.read(place);
            let fit = match shown {
                Some(read) if returned(self.key.get(place)) > operation.invoked.position => {
                    let bounds = self.bounds(self.key.get(place))?;
                    Some(if (bounds.least..=bounds.most).contains(&read) {
                        Observation::Shows
                    } else {
                        Observation::Misses
                    })
                }
                _ => None,
            };
            fits.push(fit);
        }
        let rises = read < least;
        let made = bounds.last[usize::from(rises)];
        let since = made.map_or(0, |place| returned(self.key.get(place)));
        let (anomaly, context, moral) = match fate(self.key, reader, made, since, |it| fits[it]) {
            MissedWrite::There(later) => (Anomaly::StaleRead, later, "a stale read"),
            _ if rises => (Anomaly::LostWrite, None, "a lost addition"),
            _ => (Anomaly::LostWrite, None, "a lost subtraction"),
        };
        let bound = if rises {
            format!("what had been added before makes {least} at least")
        } else {
            format!("what had been taken away before leaves {most} at most")
        };
        let mut found = Diagnosis::new(anomaly, format!("{head} {bound}: {moral}."));
        found.context = context;
        let late = made.map(|place| operation.invoked.time.since(ended(self.key.get(place))));
        found.stale_for = late.filter(|_| self.key.history.has_clock());
        Ok(found)
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Null => Some(0),
        Value::Integer(number) => Some((*number).into()),
        _ => None,
    }
}
