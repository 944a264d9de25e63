//! When a container surely was not empty.

use super::items::Item;
use crate::engines::{Cancellation, Span, Stopped};

/// The stretches in which some item surely was there, apart from each other and in order: each from
/// its first point until, and without, its second.
pub(super) struct Cover(Vec<(u64, u64)>);

impl Cover {
    /// The cover by these items.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up.
    pub(super) fn of(items: &[Item], cancellation: &Cancellation<'_>) -> Result<Self, Stopped> {
        let mut stretches = Vec::with_capacity(items.len());
        for item in items {
            cancellation.step()?;
            if item.stays() {
                stretches.push((item.put_until, item.take_from));
            }
        }
        cancellation.sort(&mut stretches)?;
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, until) in stretches {
            cancellation.step()?;
            match merged.last_mut() {
                Some((_, end)) if from <= *end => *end = until.max(*end),
                _ => merged.push((from, until)),
            }
        }
        Ok(Self(merged))
    }

    /// The earliest point at which the span can have found nothing, if there is one.
    pub(super) fn gap(&self, span: &Span) -> Option<u64> {
        let next = self.0.partition_point(|&(from, _)| from <= span.invoked);
        let point = match next.checked_sub(1).map(|last| self.0[last]) {
            Some((_, until)) => until.max(span.invoked),
            None => span.invoked,
        };
        (point < span.returned).then_some(point)
    }
}

/// As few of the items as can be of which one was there at every point from `from` until `until`.
///
/// # Panics
///
/// If not even all of them were.
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(super) fn chain(
    items: &[Item],
    from: u64,
    until: u64,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Item>, Stopped> {
    let mut chain = Vec::new();
    let mut reached = from;
    while reached < until {
        let mut longest: Option<&Item> = None;
        for item in items.iter().filter(|item| item.stays() && item.put_until <= reached) {
            cancellation.step()?;
            if longest.is_none_or(|longest| longest.take_from <= item.take_from) {
                longest = Some(item);
            }
        }
        let longest = longest.expect("an item is there");
        assert!(longest.take_from > reached, "an item is there at every point");
        reached = longest.take_from;
        chain.push(*longest);
    }
    Ok(chain)
}
