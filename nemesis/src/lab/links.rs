//! Names the directed links between a lab's hosts, and their statistics.

use std::collections::HashMap;
use std::time::Duration;

use super::fabric::{self, Counters, PERIOD_NS, Port};

/// One direction between two hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
}

impl Link {
    /// The link from one host to another.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Link {
        Link { from: from.into(), to: to.into() }
    }
}

/// A link between hosts that the lab does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no link leads from {from:?} to {to:?}; the hosts are {known}")]
pub struct UnknownLink {
    /// Who should send.
    pub from: String,
    /// Who should receive.
    pub to: String,
    /// The hosts' names, joined by commas.
    pub known: String,
}

/// What every link did, in periods of 100 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The lab's links, to which samples refer.
    pub links: Vec<Link>,
    /// In order of the periods. A link has none of a period in which it
    /// did nothing.
    pub samples: Vec<Sample>,
    /// How many samples older than these were given up, because there were too many.
    pub forgotten: u64,
}

impl Series {
    /// The length of a period.
    pub const PERIOD: Duration = Duration::from_nanos(PERIOD_NS);
}

/// What a link did within one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the period began, counted from when the network did.
    pub start: Duration,
    /// The link's place in [`Series::links`].
    pub link: usize,
    /// What it did.
    pub counters: Counters,
}

/// The hosts' names, by which links are looked up.
#[derive(Debug)]
pub(super) struct Hosts {
    ports: HashMap<String, Port>,
    names: Vec<String>,
}

impl Hosts {
    /// Hosts of these names; a host's port is its place.
    pub(super) fn new(names: Vec<String>) -> Hosts {
        Hosts { ports: names.iter().cloned().zip(0..).collect(), names }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The ports between which each of the links leads.
    pub(super) fn places(&self, links: &[Link]) -> Result<Vec<(Port, Port)>, UnknownLink> {
        links.iter().map(|link| self.place(&link.from, &link.to)).collect()
    }

    /// The ports of two hosts between which there is a link.
    pub(super) fn place(&self, from: &str, to: &str) -> Result<(Port, Port), UnknownLink> {
        match (self.ports.get(from), self.ports.get(to)) {
            (Some(a), Some(b)) if a != b => Ok((*a, *b)),
            _ => Err(UnknownLink {
                from: from.to_owned(),
                to: to.to_owned(),
                known: self.names.join(", "),
            }),
        }
    }

    /// Samples with their links' names, in order of the periods.
    pub(super) fn series(&self, samples: Vec<fabric::Sample>, forgotten: u64) -> Series {
        let hosts = 0..self.names.len();
        let links = hosts.clone().flat_map(|from| {
            hosts.clone().map(move |to| Link::new(&*self.names[from], &*self.names[to]))
        });
        let mut samples: Vec<Sample> = samples
            .into_iter()
            .map(|sample| Sample {
                start: Duration::from_nanos(sample.period.saturating_mul(PERIOD_NS)),
                link: sample.from * self.names.len() + sample.to,
                counters: sample.counters,
            })
            .collect();
        samples.sort_by_key(|sample| sample.start);
        Series { links: links.collect(), samples, forgotten }
    }
}
