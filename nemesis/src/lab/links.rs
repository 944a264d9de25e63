//! Names the directed links between a lab's hosts, and their statistics.

use std::collections::HashMap;
use std::time::Duration;

use super::fabric::{self, Counters, Fate, LinkMessages, PERIOD_NS, Passed, Port};

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

/// What became of the latest messages between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// The lab's links, to which messages refer.
    pub links: Vec<Link>,
    /// In order of when they were sent.
    pub messages: Vec<Message>,
    /// How many more had been sent, and are forgotten because there were too many.
    pub forgotten: u64,
}

/// A frame with data, or a chunk that a relay read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// When it came to its link, counted from when the network began.
    pub sent: Duration,
    /// The link's place in [`Messages::links`].
    pub link: usize,
    /// How much data it has, in bytes.
    pub bytes: u32,
    /// How long it was held back.
    pub held: Duration,
    /// What became of it.
    pub fate: Fate,
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
        let mut samples: Vec<Sample> = samples
            .into_iter()
            .map(|sample| Sample {
                start: Duration::from_nanos(sample.period.saturating_mul(PERIOD_NS)),
                link: sample.from * self.names.len() + sample.to,
                counters: sample.counters,
            })
            .collect();
        samples.sort_by_key(|sample| sample.start);
        Series { links: self.links(), samples, forgotten }
    }

    /// Messages with their links' names, in order of when they were sent.
    pub(super) fn messages(&self, passed: LinkMessages, forgotten: u64) -> Messages {
        let of_one = |((from, to), it): ((Port, Port), Passed)| Message {
            sent: Duration::from_nanos(it.sent_ns),
            link: from * self.names.len() + to,
            bytes: it.bytes,
            held: Duration::from_nanos(it.held_ns),
            fate: it.fate,
        };
        let mut messages: Vec<Message> = passed.into_iter().map(of_one).collect();
        messages.sort_by_key(|message| message.sent);
        Messages { links: self.links(), messages, forgotten }
    }

    /// All links, those of each sender together.
    fn links(&self) -> Vec<Link> {
        let to_all = |from: &String| {
            self.names.iter().map(move |to| Link::new(&**from, &**to)).collect::<Vec<_>>()
        };
        self.names.iter().flat_map(to_all).collect()
    }
}
