//! Finds violations while the history is still being made.
//!
//! Linearizability is prefix-closed: if a history has a linearization, so has each of its prefixes
//! (Herlihy & Wing 1990, §3.3), with what is still open taken as indeterminate. So the prefix of a
//! key can be checked at any time, and a violation in it is one for good; only a *valid* must wait
//! for the end. A [`StreamingChecker`] keeps the events of every key that is in use, and checks a
//! key again whenever it has grown by a quarter, so that a history of n operations costs as much as
//! a few checks of its whole. A violation is thus reported at the latest when the key has grown by a
//! quarter (or [`SLACK`] events) past the event that proves it, or is finished.
//!
//! Memory: the events of a bounded number of keys. A key that is finished, because the caller
//! [says so](StreamingChecker::finish_key) or because it has been idle for longest when there are too
//! many, is checked a last time and forgotten; events that it still gets are passed over, since
//! nothing is known of its state any more. This is an early warning; the verdict on the whole is
//! [`check`](crate::check())'s.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::check::check;
use crate::event::Event;
use crate::history::{History, HistoryError};
use crate::options::Options;
use crate::value::Value;
use crate::verdict::{Analysis, Verdict};

/// Events that a key gets, at least, between two checks.
pub const SLACK: usize = 16;

/// Takes events as they happen.
#[derive(Debug)]
pub struct StreamingChecker {
    options: Options,
    prefixes: Prefixes,
}

impl StreamingChecker {
    /// A checker that has seen nothing yet and will keep the events of at most `most_keys` keys.
    ///
    /// # Panics
    ///
    /// If that is none.
    pub fn new(options: Options, most_keys: usize) -> Self {
        Self { options, prefixes: Prefixes::new(most_keys) }
    }

    /// Takes the next event. Returns the analysis of its key, or of one that had to go for it, if
    /// that is a violation; what `stop` cuts short is found later or not at all.
    ///
    /// # Errors
    ///
    /// If the key's events are no history; the error names the event. Rules that span several keys
    /// are left to the check of the whole.
    pub fn push(
        &mut self,
        event: &Event,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Analysis>, HistoryError> {
        self.prefixes.push(event, &self.options, stop)
    }

    /// Checks everything that `key` got, and forgets it.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn finish_key(
        &mut self,
        key: &Value,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Analysis>, HistoryError> {
        self.prefixes.finish_key(key, &self.options, stop)
    }

    /// How many events are kept: what memory grows with.
    pub fn events_kept(&self) -> usize {
        self.prefixes.events_kept()
    }
}

/// Checks a whole history.
pub(crate) trait Judge {
    /// Whether every key is an object of its own, to be judged apart.
    fn splits_by_key(&self) -> bool;

    /// The analysis of a history.
    fn analyse(&self, history: &History, stop: &(dyn Fn() -> bool + Sync)) -> Analysis;
}

impl Judge for Options {
    fn splits_by_key(&self) -> bool {
        self.model.splits_by_key()
    }

    fn analyse(&self, history: &History, stop: &(dyn Fn() -> bool + Sync)) -> Analysis {
        check(history, self, stop).0
    }
}

/// What clients did so far to the keys that are in use.
#[derive(Debug)]
pub(crate) struct Prefixes {
    most_keys: usize,
    open: FxHashMap<Value, Prefix>,
    finished: FxHashSet<Value>,
}

/// What a key's clients did so far.
#[derive(Debug, Default)]
struct Prefix {
    events: Vec<Event>,
    checked: usize,
}

impl Prefix {
    fn is_due(&self) -> bool {
        self.events.len() >= self.checked + SLACK.max(self.checked / 4)
    }
}

impl Prefixes {
    pub(crate) fn new(most_keys: usize) -> Self {
        assert!(most_keys > 0, "a streaming checker needs room for a key");
        Self { most_keys, open: FxHashMap::default(), finished: FxHashSet::default() }
    }

    /// See [`StreamingChecker::push`].
    pub(crate) fn push(
        &mut self,
        event: &Event,
        judge: &dyn Judge,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Analysis>, HistoryError> {
        // Of one object that has all keys, no key alone can be judged.
        let key = if judge.splits_by_key() { &event.key } else { &Value::Null };
        if self.finished.contains(key) {
            return Ok(None);
        }
        if self.open.len() == self.most_keys && !self.open.contains_key(key) {
            let found = self.finish_the_idlest(judge, stop)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let prefix = self.open.entry(key.clone()).or_default();
        prefix.events.push(event.clone());
        if !prefix.is_due() {
            return Ok(None);
        }
        prefix.checked = prefix.events.len();
        violation(&prefix.events, judge, stop)
    }

    /// See [`StreamingChecker::finish_key`].
    pub(crate) fn finish_key(
        &mut self,
        key: &Value,
        judge: &dyn Judge,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Analysis>, HistoryError> {
        let Some(prefix) = self.open.remove(key) else { return Ok(None) };
        self.finished.insert(key.clone());
        violation(&prefix.events, judge, stop)
    }

    fn finish_the_idlest(
        &mut self,
        judge: &dyn Judge,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Analysis>, HistoryError> {
        let last = |prefix: &Prefix| prefix.events.last().map(|event| event.index);
        let idlest = self.open.iter().min_by_key(|(_, prefix)| last(prefix));
        let Some(key) = idlest.map(|(key, _)| key.clone()) else { return Ok(None) };
        self.finish_key(&key, judge, stop)
    }

    fn events_kept(&self) -> usize {
        self.open.values().map(|prefix| prefix.events.len()).sum()
    }
}

fn violation(
    events: &[Event],
    judge: &dyn Judge,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Analysis>, HistoryError> {
    let history = History::from_events(events.iter().cloned())?;
    let analysis = judge.analyse(&history, stop);
    Ok(Some(analysis).filter(|analysis| analysis.verdict == Verdict::Violation))
}
