//! What a lock did, by counting.
//!
//! OperationIndex two acquisitions that succeeded there is a release, between two releases an acquisition.
//! So of a stretch of time it is enough to look at the acquisitions that lie in it whole, and at
//! every release that can have come between: all that is in the stretch in part. If there are two
//! acquisitions more than releases, the lock had two owners, whatever happened before and after.

use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Operation};
use crate::value::{Value, ValueId};
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

/// How many operations of the proof are tried as the last of a stretch, and how many operations a
/// stretch may hold.
const LAST: usize = 64;
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
        let owners: Vec<ValueId> = released.iter().map(|&it| owner(key.get(it))).collect();
        let whose = match owners[..] {
            [one, ..] if one != ValueId::NULL && owners.iter().all(|&it| it == one) => {
                let name = brief(key.value(one));
                format!(
                    "{name} had not acquired it as often as it released it: it was not its owner"
                )
            }
            _ => "it had not been acquired as often as it was released: it was free".to_owned(),
        };
        let sentence = format!(
            "{} released {object} by {}, but {whose}.",
            capital(&key.who(last)),
            until(last),
        );
        Diagnosis::new(Anomaly::ReleaseOfFreeLock, sentence)
    }))
}

/// A few operations with too many acquisitions, or with too many releases.
pub(super) fn fewer(key: &Key<'_>, proof: &[usize]) -> Option<Vec<usize>> {
    let lock = Lock { key };
    if !matches!(key.initial, Value::Null | Value::Bool(false)) {
        return None;
    }
    let mut last: Vec<usize> =
        proof.iter().copied().filter(|&place| key.get(place).is_ok()).collect();
    last.sort_unstable_by_key(|&place| std::cmp::Reverse(returned(key.get(place))));
    last.truncate(LAST);
    let mut best: Option<Vec<usize>> = None;
    for (many, few) in
        [(Function::Acquire, Function::Release), (Function::Release, Function::Acquire)]
    {
        let between = OperationIndex::of(&lock, few)?;
        for &end in last.iter().filter(|&&end| lock.is(end, many)) {
            let found = lock.pair(end, many, &between)?.or(lock.stretch(end, many, &between)?);
            if let Some(found) = found
                && best.as_ref().is_none_or(|best| found.len() < best.len())
            {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|best| best.len() <= 2) {
                break;
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

    /// The operations of the kind that came back before `end` did, the latest invoked first, `end`
    /// at the front.
    fn before(&self, end: usize, many: Function) -> impl Iterator<Item = usize> {
        let until = returned(self.key.get(end));
        let is_inside =
            move |&place: &usize| self.is(place, many) && returned(self.key.get(place)) <= until;
        (0..=end).rev().take(LONGEST).filter(is_inside)
    }

    /// `end` and another one, neither of which can have been undone before the other. Outer nothing
    /// if the time is up.
    fn pair(&self, end: usize, many: Function, few: &OperationIndex) -> Option<Option<Vec<usize>>> {
        for other in self.before(end, many).skip(1) {
            self.key.cancellation.step().ok()?;
            if !self.can_follow(other, end, many, few) && !self.can_follow(end, other, many, few) {
                return Some(Some(vec![other, end]));
            }
        }
        Some(None)
    }

    /// Whether `then` may have come next after `first`. OperationIndex two acquisitions, it takes a release
    /// by the first owner; between two releases, an acquisition by the second.
    fn can_follow(&self, first: usize, then: usize, many: Function, few: &OperationIndex) -> bool {
        let [one, other] = [first, then].map(|place| self.key.get(place));
        let owners = [owner(if many == Function::Acquire { one } else { other })];
        let (since, until) = (one.invoked.position, returned(other));
        let mut between = few.within(self, since, until, &owners);
        returned(other) > one.invoked.position && between.next().is_some()
    }

    /// The shortest stretch up to the return of `end` in which `many` come two times more than
    /// `few`. Outer nothing if the time is up.
    fn stretch(
        &self,
        end: usize,
        many: Function,
        few: &OperationIndex,
    ) -> Option<Option<Vec<usize>>> {
        let until = returned(self.key.get(end));
        let (mut inside, mut owners) = (Vec::new(), Vec::new());
        for from in self.before(end, many) {
            self.key.cancellation.step().ok()?;
            inside.push(from);
            owners.push(owner(self.key.get(from)));
            let since = self.key.get(from).invoked.position;
            let most = inside.len() - 1;
            let between: Vec<usize> = few.within(self, since, until, &owners).take(most).collect();
            if between.len() < most {
                inside.extend(between);
                inside.sort_unstable();
                return Some(Some(inside));
            }
        }
        Some(None)
    }
}

/// The operations of one kind that may have happened, so that those within a stretch are found
/// fast.
struct OperationIndex {
    /// Those that came back, by invocation, each with the latest return up to it.
    completed: Vec<(usize, u64)>,
    /// Those that may have happened at any time since their invocation.
    unknown: Vec<usize>,
}

impl OperationIndex {
    fn of(lock: &Lock<'_>, few: Function) -> Option<Self> {
        let mut this = Self { completed: Vec::new(), unknown: Vec::new() };
        let mut latest = 0;
        for (place, operation) in lock.key.operations.iter().enumerate() {
            lock.key.cancellation.step().ok()?;
            if operation.is_failed() || !lock.is(place, few) {
                continue;
            }
            if operation.is_ok() {
                latest = latest.max(returned(operation));
                this.completed.push((place, latest));
            } else {
                this.unknown.push(place);
            }
        }
        Some(this)
    }

    /// Everything that may have happened between the two moments, and matters to these owners.
    fn within<'b>(
        &'b self,
        lock: &'b Lock<'_>,
        since: u64,
        until: u64,
        owners: &'b [ValueId],
    ) -> impl Iterator<Item = usize> + 'b {
        let invoked = |place: usize| lock.key.get(place).invoked.position;
        let end = self.completed.partition_point(|&(place, _)| invoked(place) < until);
        let recent =
            self.completed[..end].iter().rev().take_while(move |(_, latest)| *latest > since);
        let open = self.unknown.iter().copied().take_while(move |&place| invoked(place) < until);
        recent.map(|&(place, _)| place).chain(open).filter(move |&place| {
            let operation = lock.key.get(place);
            let owner = owner(operation);
            let matters = owner == ValueId::NULL || owners.contains(&ValueId::NULL);
            returned(operation) > since && (matters || owners.contains(&owner))
        })
    }
}

const fn owner(operation: &Operation) -> ValueId {
    match operation.action {
        Action::Other(_, owner) => owner,
        _ => ValueId::NULL,
    }
}
