//! Remembers what became of the latest messages between nodes: what carries data, and no bare
//! acknowledgement.
//!
//! A lab's last host is its clients', and what goes to or comes from there is not remembered. Memory is
//! bounded: each link between nodes has an equal share of [`MESSAGES`], and forgets its oldest.

use std::collections::VecDeque;

use super::Port;

/// The most messages that a lab remembers, all links together: 24 MiB.
pub(crate) const MESSAGES: usize = 1 << 20;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It was delivered to the receiver's interface, or written to its connection.
    Delivered,
    /// It was dropped because the link was blocked; or its connection ended before the link was open again.
    Blocked,
    /// It was dropped by the policy's loss.
    Dropped,
    /// It was dropped because too many were held back already.
    Overflowed,
    /// The kernel did not take it, or its connection ended before it left.
    Lost,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Fate; 5] =
        [Fate::Delivered, Fate::Blocked, Fate::Dropped, Fate::Overflowed, Fate::Lost];

    /// The fate as files have it.
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Blocked => "blocked",
            Fate::Dropped => "dropped",
            Fate::Overflowed => "overflowed",
            Fate::Lost => "lost",
        }
    }
}

/// A message that has left its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// When it came to the link.
    pub(crate) sent_ns: u64,
    /// How long the link held it back.
    pub(crate) held_ns: u64,
    /// Its length without headers.
    pub(crate) bytes: u32,
    pub(crate) fate: Fate,
}

/// Messages with the ends of their links.
pub(crate) type LinkMessages = Vec<((Port, Port), Passed)>;

/// The latest messages of a lab's links.
#[derive(Debug)]
pub(crate) struct MessageLog {
    nodes: Port,
    /// From node `f` to node `t` at `f * nodes + t`.
    rings: Vec<VecDeque<Passed>>,
    /// The most that a ring has.
    share: usize,
    forgotten: u64,
}

impl MessageLog {
    /// Of a lab with this many hosts, of which the last is the clients'.
    pub(crate) fn new(hosts: Port) -> MessageLog {
        let nodes = hosts.saturating_sub(1);
        let share = MESSAGES / (nodes * nodes.saturating_sub(1)).max(1);
        MessageLog { nodes, rings: vec![VecDeque::new(); nodes * nodes], share, forgotten: 0 }
    }

    /// Remembers a message if it went from one node to another and has data.
    pub(crate) fn note(&mut self, (from, to): (Port, Port), passed: Passed) {
        if from >= self.nodes || to >= self.nodes || from == to || passed.bytes == 0 {
            return;
        }
        let ring = &mut self.rings[from * self.nodes + to];
        if ring.len() >= self.share {
            ring.pop_front();
            self.forgotten += 1;
        }
        ring.push_back(passed);
    }

    /// What is remembered, by link and in order of departure, and how many older ones are forgotten.
    pub(crate) fn all(&self) -> (LinkMessages, u64) {
        let nodes = self.nodes.max(1);
        let of_ring = |(place, ring): (usize, &'_ VecDeque<Passed>)| {
            let link = (place / nodes, place % nodes);
            ring.iter().map(move |passed| (link, *passed)).collect::<Vec<_>>()
        };
        (self.rings.iter().enumerate().flat_map(of_ring).collect(), self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(sent_ns: u64, bytes: u32) -> Passed {
        Passed { sent_ns, held_ns: 0, bytes, fate: Fate::Delivered }
    }

    #[test]
    fn only_data_between_nodes_is_remembered() {
        let mut log = MessageLog::new(3);
        for link in [(0, 1), (1, 0), (0, 2), (2, 1), (1, 1)] {
            log.note(link, passed(1, 9));
            log.note(link, passed(2, 0));
        }
        assert_eq!(log.all(), (vec![((0, 1), passed(1, 9)), ((1, 0), passed(1, 9))], 0));
    }

    #[test]
    fn each_link_forgets_its_own_oldest() {
        let mut log = MessageLog::new(3);
        log.note((1, 0), passed(7, 1));
        let share = MESSAGES as u64 / 2;
        for sent_ns in 0..share + 3 {
            log.note((0, 1), passed(sent_ns, 1));
        }
        let (all, forgotten) = log.all();
        assert_eq!((all.len() as u64, forgotten), (share + 1, 3));
        assert_eq!((all[0], all.last()), (((0, 1), passed(3, 1)), Some(&((1, 0), passed(7, 1)))));
        assert!(size_of::<Passed>() <= 24);
    }

    #[test]
    fn a_lab_without_nodes_remembers_nothing() {
        for hosts in [0, 1, 2] {
            let mut log = MessageLog::new(hosts);
            log.note((0, 1), passed(1, 1));
            assert_eq!(log.all(), (Vec::new(), 0));
        }
    }
}
