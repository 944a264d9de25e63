//! What a counter did.
//!
//! Whatever the order, a read lies between the least and the most that the additions make which
//! were over, or begun, by then. Above all that can have been added, or below all that can have
//! been taken away, something was applied more than once. In between, something that was
//! acknowledged is missing.

use rustc_hash::FxHashSet;

use super::sightings::{Fate, Sight, fate};
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
            self.key.patience.step()?;
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
            let bound = if read > highest {
                format!("all that was added by then makes {most} at most")
            } else {
                format!("all that was taken away by then leaves {least} at least")
            };
            let sentence = format!("{head} {bound}: something was applied twice.");
            return Ok(Diagnosis::new(Anomaly::DuplicateApply, sentence));
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
                        Sight::Shows
                    } else {
                        Sight::Misses
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
            Fate::There(later) => (Anomaly::StaleRead, later, "a stale read"),
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
