//! Lays what several faults do to one link over its open policy, and takes each away by itself.
//!
//! A link's policy is what all overlays in force, in the order in which they began, make of the open
//! policy. An overlay begins on all of its links at one moment and ends on them one by one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::lab::{Counters, Link, Network, Policy, UnknownLink};

type Change = Arc<dyn Fn(&mut Policy) + Send + Sync>;

/// The overlays in force on all links of a lab.
pub(crate) struct Overlays<'a> {
    network: &'a Network,
    in_force: Mutex<BTreeMap<u64, (Vec<Link>, Change)>>,
}

impl std::fmt::Debug for Overlays<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlays").field("in_force", &self.lock().len()).finish_non_exhaustive()
    }
}

impl<'a> Overlays<'a> {
    /// No overlay on the links of `network`.
    pub(crate) fn new(network: &'a Network) -> Overlays<'a> {
        Overlays { network, in_force: Mutex::default() }
    }

    /// Changes the policies of `links` until the result is dropped.
    pub(crate) fn begin(
        &'a self,
        links: Vec<Link>,
        change: impl Fn(&mut Policy) + Send + Sync + 'static,
    ) -> Result<Overlay<'a>, UnknownLink> {
        let before = self.counters(&links)?;
        let mut in_force = self.lock();
        self.network.change(&links, &change)?;
        let number = in_force.last_key_value().map_or(0, |(last, _)| last + 1);
        in_force.insert(number, (links.clone(), Arc::new(change)));
        Ok(Overlay { all: self, number, links, before, is_over: false })
    }

    /// Resets the connections of `links`, which has no end; how many there were.
    pub(crate) fn reset(&self, links: &[Link]) -> Result<u64, UnknownLink> {
        self.network.reset(links)
    }

    /// The unit of the counters of links, in the plural.
    pub(crate) fn unit(&self) -> &'static str {
        self.network.unit()
    }

    fn end(&self, number: u64) -> Result<(), UnknownLink> {
        let mut in_force = self.lock();
        let Some((links, _)) = in_force.remove(&number) else { return Ok(()) };
        for link in links {
            let changes = in_force.values().filter(|(links, _)| links.contains(&link));
            let changes: Vec<Change> = changes.map(|(_, change)| Arc::clone(change)).collect();
            self.network.change(&[link], |policy| {
                *policy = Policy::OPEN;
                changes.iter().for_each(|change| change(policy));
            })?;
        }
        Ok(())
    }

    fn counters(&self, links: &[Link]) -> Result<Vec<Counters>, UnknownLink> {
        links.iter().map(|link| self.network.counters(&link.from, &link.to)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Vec<Link>, Change)>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Links whose policy is changed until this is dropped.
pub(crate) struct Overlay<'a> {
    all: &'a Overlays<'a>,
    number: u64,
    links: Vec<Link>,
    /// What the links had done before.
    before: Vec<Counters>,
    is_over: bool,
}

impl Overlay<'_> {
    /// How much `count` of all its links has grown since it began.
    pub(crate) fn grown(&self, count: impl Fn(&Counters) -> u64) -> Result<u64, UnknownLink> {
        let now = self.all.counters(&self.links)?;
        Ok(now.iter().zip(&self.before).map(|(now, before)| count(now) - count(before)).sum())
    }

    /// The unit of its counters, in the plural.
    pub(crate) fn unit(&self) -> &'static str {
        self.all.unit()
    }

    /// Ends it.
    pub(crate) fn end(&mut self) -> Result<(), UnknownLink> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        self.all.end(self.number)
    }
}

impl Drop for Overlay<'_> {
    fn drop(&mut self) {
        // The links were known when they were looked up.
        let _ = self.end();
    }
}
