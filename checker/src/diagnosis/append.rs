//! What a growing string or list did.

use super::sightings::{MissedWrite, Observation, fate};
use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Operation, Response};
use crate::value::{Value, ValueId};
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

pub(super) fn diagnose(
    key: &Key<'_>,
    proof: &[usize],
    engine: Anomaly,
) -> Result<Option<Diagnosis>, Stopped> {
    let append = Append { key, changes: changes(key)? };
    if engine == Anomaly::ValueFromNowhere {
        let found = |&read: &usize| append.aborted(read).or_else(|| append.future(read));
        return Ok(proof.iter().find_map(found));
    }
    if let Some(found) = proof.iter().find_map(|&read| append.twice(read)) {
        return Ok(Some(found));
    }
    let unordered =
        [Anomaly::ReadFromTheFuture, Anomaly::ContradictoryOrder, Anomaly::NotLinearizable];
    if unordered.contains(&engine)
        && let Some(found) = proof.iter().find_map(|&read| append.reversed(read, proof))
    {
        return Ok(Some(found));
    }
    if engine == Anomaly::ReadFromTheFuture {
        return Ok(None);
    }
    let mut stale = None;
    for &read in proof {
        for change in proof.iter().rev() {
            match append.missing(read, *change, proof) {
                Some(found) if found.anomaly == Anomaly::StaleRead => {
                    stale.get_or_insert(found);
                }
                Some(found) => return Ok(Some(found)),
                None => {}
            }
        }
    }
    Ok(stale)
}

/// The appends and puts that may have happened, each with what it adds.
fn changes(key: &Key<'_>) -> Result<Vec<(usize, ValueId, bool)>, Stopped> {
    let mut changes = Vec::new();
    for (place, operation) in key.operations.iter().enumerate() {
        key.cancellation.step()?;
        match operation.action {
            _ if operation.is_failed() => {}
            Action::Other(Function::Append, token) => changes.push((place, token, false)),
            Action::Write(content) => changes.push((place, content, true)),
            Action::Delete => changes.push((place, ValueId::NULL, true)),
            _ => {}
        }
    }
    Ok(changes)
}

struct Append<'a> {
    key: &'a Key<'a>,
    /// The appends and puts that may have happened: their places, what they add, whether they put.
    changes: Vec<(usize, ValueId, bool)>,
}

impl<'a> Append<'a> {
    fn content(&self, read: usize) -> Option<&'a Value> {
        let operation = self.key.get(read);
        match (operation.action, operation.response()) {
            (Action::Read, Some(Response::Value(content))) => Some(self.key.value(content)),
            _ => None,
        }
    }

    fn saw(&self, read: usize) -> Option<String> {
        let place = match self.key.name() {
            Value::Null => String::new(),
            key => format!(" from key {}", key.in_words()),
        };
        Some(format!("{} read {}{place}", self.key.who(read), brief(self.content(read)?)))
    }

    /// A read that shows what was appended by an operation that failed.
    fn aborted(&self, read: usize) -> Option<Diagnosis> {
        let content = self.content(read)?;
        let failed = self.key.failed(|action| match action {
            Action::Other(Function::Append, token) | Action::Write(token) => {
                let token = self.key.value(token);
                !self.changes.iter().any(|&(_, other, _)| self.key.value(other) == token)
                    && count(content, token) > 0
            }
            _ => false,
        })?;
        Some(self.key.read_from_nowhere(&self.saw(read)?, Some(failed), "appended", "append"))
    }

    /// A read that shows what was asked for only later.
    fn future(&self, read: usize) -> Option<Diagnosis> {
        let content = self.content(read)?;
        let operation = self.key.get(read);
        let is_shown = |change: &&(usize, ValueId, bool)| {
            let value = self.key.value(change.1);
            count(content, value) > 0 || change.2 && begins(content, value) && !is_empty(value)
        };
        let is_later = |change: &&(usize, ValueId, bool)| {
            let mut same = self.changes.iter().filter(|it| it.1 == change.1);
            same.all(|it| self.key.get(it.0).invoked.position > returned(operation))
        };
        let &(change, token, _) = self.changes.iter().filter(is_shown).find(is_later)?;
        let sentence = format!(
            "{} and was done at {}, before {} asked for {} at {}: a read from the future.",
            capital(&self.saw(read)?),
            self.key.instant(ended(operation)),
            self.key.who(change),
            brief(self.key.value(token)),
            self.key.instant(self.key.get(change).invoked.time),
        );
        let mut found = Diagnosis::new(Anomaly::ReadFromTheFuture, sentence);
        found.context = Some(change);
        Some(found)
    }

    /// A read that shows a piece before one that was appended before it was even asked for.
    fn reversed(&self, read: usize, proof: &[usize]) -> Option<Diagnosis> {
        let content = self.content(read)?;
        let mut shown: Vec<(usize, usize)> = Vec::new();
        let mut until = Vec::new();
        for &(place, token, is_put) in self.changes.iter().filter(|it| proof.contains(&it.0)) {
            let value = self.key.value(token);
            if is_put {
                return None;
            }
            let is_only = self.changes.iter().filter(|it| it.1 == token).count() == 1;
            if let Some(at) = position(content, value)
                && is_only
                && count(content, value) == 1
            {
                shown.push((at, place));
                until.push((at, at + extent(value)));
            }
        }
        shown.sort_unstable();
        until.sort_unstable();
        // Pieces of texts may hold each other by chance.
        if until.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return None;
        }
        // Of all pieces further right, the one that was over first.
        let mut over: Option<usize> = None;
        let mut found = None;
        for &(_, place) in shown.iter().rev() {
            let is_over = |it: usize| returned(self.key.get(it));
            if let Some(right) =
                over.filter(|&it| is_over(it) < self.key.get(place).invoked.position)
            {
                found = Some((place, right));
                break;
            }
            if over.is_none_or(|it| is_over(place) < is_over(it)) {
                over = Some(place);
            }
        }
        let (left, right) = found?;
        let piece = |place: usize| match self.key.get(place).action {
            Action::Other(_, token) => brief(self.key.value(token)),
            _ => String::new(),
        };
        let sentence = format!(
            "{}, with {} before {}, but {} had appended {} by {}, before {} asked for {} at {}: a \
             contradictory order.",
            capital(&self.saw(read)?),
            piece(left),
            piece(right),
            self.key.who(right),
            piece(right),
            self.key.instant(ended(self.key.get(right))),
            self.key.who(left),
            piece(left),
            self.key.instant(self.key.get(left).invoked.time),
        );
        Some(Diagnosis::new(Anomaly::ContradictoryOrder, sentence))
    }

    /// A read that shows something more often than it was added.
    fn twice(&self, read: usize) -> Option<Diagnosis> {
        let content = self.content(read)?;
        let until = returned(self.key.get(read));
        let begun = || {
            self.changes.iter().filter(|(place, ..)| self.key.get(*place).invoked.position < until)
        };
        // Pieces of texts may hold each other by chance; items are what they are.
        let Value::List(items) = content else { return None };
        let mut shown: rustc_hash::FxHashMap<&Value, usize> = rustc_hash::FxHashMap::default();
        for item in items.iter() {
            *shown.entry(item).or_default() += 1;
        }
        let is_put = |item: &Value| {
            let puts = self.changes.iter().filter(|change| change.2);
            puts.map(|&(_, value, _)| self.key.value(value))
                .chain([self.key.initial])
                .any(|value| count(value, item) > 0)
        };
        let (item, _, adder) =
            shown.into_iter().filter(|&(_, times)| times > 1).find_map(|(item, times)| {
                let mut adds = begun().filter(|&&(_, value, _)| self.key.value(value) == item);
                let (adder, ..) = adds.next()?;
                (adds.count() + 1 < times && !is_put(item)).then_some((item, times, *adder))
            })?;
        let times = match count(content, item) {
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        let sentence = format!(
            "{} at {}, which shows {} {times}, but it was added only once, by {}: applied twice.",
            capital(&self.saw(read)?),
            self.key.instant(ended(self.key.get(read))),
            brief(item),
            self.key.who(adder),
        );
        Some(Diagnosis::new(Anomaly::DuplicateApply, sentence))
    }

    /// Whether something may have been put in the place of what `append` left, by the return of
    /// `read`.
    fn is_put_between(&self, append: &Operation, read: &Operation) -> bool {
        let mut puts = self.changes.iter().filter(|it| it.2).map(|it| self.key.get(it.0));
        puts.any(|put| {
            returned(put) > append.invoked.position && put.invoked.position < returned(read)
        })
    }

    /// A read that misses an append that was there for certain.
    fn missing(&self, read: usize, change: usize, proof: &[usize]) -> Option<Diagnosis> {
        let content = self.content(read)?;
        let operation = self.key.get(read);
        let &(_, token, is_put) = self.changes.iter().find(|(place, ..)| *place == change)?;
        let value = self.key.value(token);
        let is_only =
            || self.changes.iter().filter(|it| self.key.value(it.1) == value).count() == 1;
        if is_put || !is_only() || count(content, value) > 0 {
            return None;
        }
        let append = self.key.get(change);
        // The first of the proof that shows that it was there.
        let began = operation.invoked.position;
        let shows = |place: usize| self.content(place).is_some_and(|it| count(it, value) > 0);
        let evidence = proof
            .iter()
            .copied()
            .filter(|&place| place == change || shows(place))
            .filter(|&place| returned(self.key.get(place)) < began)
            .min_by_key(|&place| returned(self.key.get(place)))?;
        if self.is_put_between(append, operation) {
            return None;
        }
        let newer_put = |shown: &Value| {
            self.changes.iter().any(|&(place, put, is_put)| {
                let put_value = self.key.value(put);
                is_put
                    && returned(self.key.get(place)) > append.invoked.position
                    && !put_value.is_null()
                    && begins(shown, put_value)
            })
        };
        let sight = |place: usize| {
            let shown = self.content(place)?;
            Some(if count(shown, value) > 0 {
                Observation::Shows
            } else if newer_put(shown) {
                Observation::Replaced
            } else {
                Observation::Misses
            })
        };
        let since = returned(self.key.get(evidence));
        let shown = brief(value);
        let (anomaly, context, moral) = match fate(self.key, read, Some(change), since, sight) {
            MissedWrite::There(later) => (Anomaly::StaleRead, later, ": a stale read".to_owned()),
            MissedWrite::NeverSeen => {
                (Anomaly::LostWrite, None, format!("; nobody ever saw {shown}: a lost write"))
            }
            MissedWrite::Gone => (
                Anomaly::LostWrite,
                None,
                format!("; {shown} had been seen, and was never seen again: a lost write"),
            ),
        };
        let late = operation.invoked.time.since(ended(self.key.get(evidence)));
        let newer = if evidence == change {
            format!("the append of {shown} by {} had completed", self.key.who(change))
        } else {
            format!("{} had read {shown}", self.key.who(evidence))
        };
        let sentence = format!(
            "{} at {}, without {shown}, {} after {newer}{moral}.",
            capital(&self.saw(read)?),
            self.key.instant(operation.invoked.time),
            self.key.duration(late),
        );
        let mut found = Diagnosis::new(anomaly, sentence);
        found.context = context.filter(|place| !proof.contains(place));
        found.stale_for = self.key.history.has_clock().then_some(late);
        Some(found)
    }
}

/// Where the content first shows the piece.
fn position(content: &Value, piece: &Value) -> Option<usize> {
    match (content, piece) {
        (Value::Text(content), Value::Text(piece)) if !piece.is_empty() => content.find(&**piece),
        (Value::List(items), piece) => items.iter().position(|item| item == piece),
        _ => None,
    }
}

/// How many places of a content it takes.
fn extent(piece: &Value) -> usize {
    match piece {
        Value::Text(piece) => piece.len(),
        _ => 1,
    }
}

/// How often the content shows the piece.
fn count(content: &Value, piece: &Value) -> usize {
    match (content, piece) {
        (Value::Text(content), Value::Text(piece)) if !piece.is_empty() => {
            content.matches(&**piece).count()
        }
        (Value::List(items), piece) => items.iter().filter(|item| *item == piece).count(),
        _ => 0,
    }
}

fn is_empty(content: &Value) -> bool {
    match content {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

fn begins(content: &Value, base: &Value) -> bool {
    match (content, base) {
        (Value::Text(content), Value::Text(base)) => content.starts_with(&**base),
        (Value::List(items), Value::List(base)) => items.starts_with(base),
        _ => false,
    }
}
