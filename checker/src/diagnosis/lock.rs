//! What a lock did, by counting.
//!
//! Between two acquisitions that succeeded there is a release, between two releases an acquisition.
//! So of a stretch of time it is enough to look at the acquisitions that lie in it whole, and at
//! every release that can have come between: all that is in the stretch in part. If there are two
//! acquisitions more than releases, the lock had two owners, whatever happened before and after.

use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Operation};
use crate::value::{Value, ValueId};
use crate::verdict::Anomaly;
use crate::words::capital;

/// How many operations of the proof are tried as the last of a stretch, and how many operations a
/// stretch may hold.
const LAST: usize = 16;
const LONGEST: usize = 1_024;

pub(super) fn diagnose(key: &Key<'_>, proof: &[usize]) -> Result<Option<Diagnosis>, Stopped> {
    let lock = Lock { key };
    if !matches!(key.initial, Value::Null | Value::Bool(false)) {
        return Ok(None);
    }
    let done = |function: Function| {
        let mut done: Vec<usize> = proof
            .iter()
            .copied()
            .filter(|&it| lock.is(it, function) && key.get(it).is_ok())
            .collect();
        done.sort_unstable_by_key(|&it| returned(key.get(it)));
        done
    };
    let begun = |function: Function| proof.iter().filter(|&&it| lock.is(it, function)).count();
    let (acquired, released) = (done(Function::Acquire), done(Function::Release));
    let object = key.object();
    let until = |place: usize| key.instant(ended(key.get(place)));
    if let [.., one, other] = acquired[..]
        && acquired.len() > begun(Function::Release) + 1
    {
        let between = match begun(Function::Release) {
            0 => "nobody released it in between".to_owned(),
            1 => "there was one release at most in between, too few".to_owned(),
            more => format!("there were {more} releases at most in between, too few"),
        };
        let sentence = format!(
            "{} had acquired {object} by {}, and {} by {}, and {between}: two owners.",
            capital(&key.who(one)),
            until(one),
            key.who(other),
            until(other),
        );
        return Ok(Some(Diagnosis::new(Anomaly::TwoOwners, sentence)));
    }
    let Some(&last) = released.last() else { return Ok(None) };
    Ok((released.len() > begun(Function::Acquire)).then(|| {
        let sentence = format!(
            "{} released {object} by {}, but it had not been acquired as often as it was released: \
             it was free.",
            capital(&key.who(last)),
            until(last),
        );
        Diagnosis::new(Anomaly::ReleaseOfFreeLock, sentence)
    }))
}

/// A short stretch with too many acquisitions, or with too many releases.
pub(super) fn fewer(key: &Key<'_>, proof: &[usize]) -> Option<Vec<usize>> {
    let lock = Lock { key };
    if !matches!(key.initial, Value::Null | Value::Bool(false)) {
        return None;
    }
    let mut last: Vec<usize> =
        proof.iter().copied().filter(|&place| key.get(place).is_ok()).collect();
    last.sort_unstable_by_key(|&place| std::cmp::Reverse(returned(key.get(place))));
    let mut best: Option<Vec<usize>> = None;
    for &end in last.iter().take(LAST) {
        key.patience.step().ok()?;
        for (many, few) in
            [(Function::Acquire, Function::Release), (Function::Release, Function::Acquire)]
        {
            if lock.is(end, many)
                && let Some(found) = lock.stretch(end, many, few)
                && best.as_ref().is_none_or(|best| found.len() < best.len())
            {
                best = Some(found);
            }
        }
    }
    best.filter(|best| best.len() < proof.len())
}

struct Lock<'a> {
    key: &'a Key<'a>,
}

impl Lock<'_> {
    fn is(&self, place: usize, function: Function) -> bool {
        self.key.get(place).action.function() == function
    }

    /// The shortest stretch up to the return of `end` in which `many` come two times more than
    /// `few`.
    fn stretch(&self, end: usize, many: Function, few: Function) -> Option<Vec<usize>> {
        let until = returned(self.key.get(end));
        let mut inside = Vec::new();
        for from in (0..=end).rev().take(LONGEST) {
            self.key.patience.step().ok()?;
            let operation = self.key.get(from);
            if !self.is(from, many) || returned(operation) > until {
                continue;
            }
            inside.push(from);
            let since = operation.invoked.position;
            let owners: Vec<ValueId> = inside.iter().map(|&it| owner(self.key.get(it))).collect();
            let between: Vec<usize> = self.between(few, since, until, &owners)?;
            if inside.len() > between.len() + 1 {
                // With no more than are needed: the earliest go first.
                let needed = between.len() + 2;
                let mut found = inside.split_off(inside.len() - needed.min(inside.len()));
                if !found.contains(&end) {
                    found.pop();
                    found.push(end);
                }
                found.extend(between);
                found.sort_unstable();
                return Some(found);
            }
        }
        None
    }

    /// Everything of the kind that may have happened between the two moments, and matters to these
    /// owners.
    fn between(
        &self,
        few: Function,
        since: u64,
        until: u64,
        owners: &[ValueId],
    ) -> Option<Vec<usize>> {
        let anybody = owners.contains(&ValueId::NULL);
        let mut between = Vec::new();
        for (place, operation) in self.key.operations.iter().enumerate() {
            self.key.patience.step().ok()?;
            if operation.invoked.position > until {
                break;
            }
            let owner = owner(operation);
            let matters = anybody || owner == ValueId::NULL || owners.contains(&owner);
            if matters
                && !operation.is_failed()
                && self.is(place, few)
                && returned(operation) > since
            {
                between.push(place);
            }
        }
        Some(between)
    }
}

const fn owner(operation: &Operation) -> ValueId {
    match operation.action {
        Action::Other(_, owner) => owner,
        _ => ValueId::NULL,
    }
}
