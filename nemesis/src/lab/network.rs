//! What carries between a lab's hosts: a switch, relays, or the machine's own loopback alone.

use std::path::Path;
use std::time::Instant;

use tracing::{Level, debug, enabled};

use super::fabric::{Counters, Policy};
use super::links::{Hosts, Link, Messages, Series, UnknownLink};
use super::proxies::Proxies;
use super::switch::{Capture, CaptureError, CaptureLimits, Switch};

/// What carries between the hosts. It ends with its lab.
#[derive(Debug)]
pub enum Network {
    /// Frames between namespaces.
    Switch(Switch),
    /// Byte streams between addresses of one machine.
    Proxies(Proxies),
    /// Nothing of the lab's: there are no links.
    Bare(Bare),
}

/// Hosts between which nothing is governed.
#[derive(Debug)]
pub struct Bare {
    nothing: Hosts,
    started: Instant,
}

impl Bare {
    pub(super) fn start() -> Bare {
        Bare { nothing: Hosts::new(Vec::new()), started: Instant::now() }
    }
}

impl Network {
    /// Sets a link's policy. Once this returns, nothing passes by the old one.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn set(&self, from: &str, to: &str, policy: Policy) -> Result<(), UnknownLink> {
        self.change(&[Link::new(from, to)], |old| *old = policy)
    }

    /// Changes the policies of several links at one moment: nothing passes in between.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then none is changed.
    pub fn change(&self, links: &[Link], change: impl Fn(&mut Policy)) -> Result<(), UnknownLink> {
        match self {
            Network::Switch(switch) => switch.change(links, change),
            Network::Proxies(proxies) => proxies.change(links, change),
            Network::Bare(bare) => bare.nothing.places(links).map(drop),
        }?;
        self.tell(links);
        Ok(())
    }

    /// Puts the policies of links into the log, as they are now.
    fn tell(&self, links: &[Link]) {
        if !enabled!(Level::DEBUG) {
            return;
        }
        for Link { from, to } in links {
            match self.policy(from, to) {
                Ok(Policy::OPEN) => debug!("link {from} to {to} is open"),
                Ok(policy) => debug!(?policy, "link {from} to {to} changes"),
                Err(_) => {}
            }
        }
    }

    /// A link's policy.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn policy(&self, from: &str, to: &str) -> Result<Policy, UnknownLink> {
        match self {
            Network::Switch(switch) => switch.policy(from, to),
            Network::Proxies(proxies) => proxies.policy(from, to),
            Network::Bare(bare) => bare.nothing.place(from, to).map(|_| Policy::OPEN),
        }
    }

    /// What a link did since the lab was built.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn counters(&self, from: &str, to: &str) -> Result<Counters, UnknownLink> {
        match self {
            Network::Switch(switch) => switch.counters(from, to),
            Network::Proxies(proxies) => proxies.counters(from, to),
            Network::Bare(bare) => bare.nothing.place(from, to).map(|_| Counters::default()),
        }
    }

    /// Resets every connection on one of these links: sends a reset to both of its ends, past all
    /// policies. The number of connections; one on several of the links counts once.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then nothing is reset.
    pub fn reset(&self, links: &[Link]) -> Result<u64, UnknownLink> {
        let connections = match self {
            Network::Switch(switch) => switch.reset(links),
            Network::Proxies(proxies) => proxies.reset(links),
            Network::Bare(bare) => bare.nothing.places(links).map(|_| 0),
        }?;
        debug!(connections, links = links.len(), "reset connections");
        Ok(connections)
    }

    /// What every link did in each period of 100 ms: up to 262,144 samples, newest kept.
    pub fn series(&self) -> Series {
        match self {
            Network::Switch(switch) => switch.series(),
            Network::Proxies(proxies) => proxies.series(),
            Network::Bare(bare) => bare.nothing.series(Vec::new(), 0),
        }
    }

    /// What became of the latest messages with data between nodes: up to 1,048,576, an equal share for each
    /// link, in order of when they were sent.
    pub fn messages(&self) -> Messages {
        match self {
            Network::Switch(switch) => switch.messages(),
            Network::Proxies(proxies) => proxies.messages(),
            Network::Bare(bare) => bare.nothing.messages(Vec::new(), 0),
        }
    }

    /// When it began, from which its series counts.
    pub fn started(&self) -> Instant {
        match self {
            Network::Switch(switch) => switch.started(),
            Network::Proxies(proxies) => proxies.started(),
            Network::Bare(bare) => bare.started,
        }
    }

    /// Writes the frames that links deliver from now on into files in `folder`, which is made if it
    /// is not there: `n1-to-n2.pcap` for each directed link.
    ///
    /// # Errors
    ///
    /// If there are no frames here, there is a capture already or the folder cannot be made.
    pub fn capture(&self, folder: &Path, limits: CaptureLimits) -> Result<Capture, CaptureError> {
        match self {
            Network::Switch(switch) => switch.capture(folder, limits),
            Network::Proxies(_) | Network::Bare(_) => Err(CaptureError::NoFrames),
        }
    }

    /// Why it carries nothing any more, if so: a run on a dead network proves nothing.
    pub fn failure(&self) -> Option<String> {
        match self {
            Network::Switch(switch) => {
                switch.failure().map(|problem| format!("the switch failed: {problem}"))
            }
            Network::Proxies(proxies) => {
                proxies.failure().map(|problem| format!("a relay failed: {problem}"))
            }
            Network::Bare(_) => None,
        }
    }

    /// The unit of its counters, in the plural: frames, or the chunks that relays read.
    pub fn unit(&self) -> &'static str {
        match self {
            Network::Switch(_) => "frames",
            Network::Proxies(_) | Network::Bare(_) => "chunks",
        }
    }
}
