//! Decides what becomes of a message between servers: when it arrives, how often, or never.
//!
//! Every direction of every pair is a link of its own, which can be blocked (messages vanish, those
//! under way included) or held (messages wait, all of them, until the link is released). On top of
//! that come delay, loss of requests and of replies, copies, and a share of messages that take so
//! long that they overtake nothing and are overtaken by everything.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use super::moment::{Moment, ms};
use super::random::{between, chance};
use crate::core::Message;
use crate::core::message::Body;

/// How the network treats messages that are neither blocked nor held.
#[derive(Clone, Debug)]
pub(super) struct NetworkConditions {
    /// How long most messages take.
    pub(super) delay: RangeInclusive<Duration>,
    /// The share of requests that get lost.
    pub(super) request_loss: f64,
    /// The share of replies that get lost.
    pub(super) reply_loss: f64,
    /// The share of messages that arrive twice.
    pub(super) duplication: f64,
    /// The share of messages that take a long time.
    pub(super) straggling: f64,
    /// How long these take.
    pub(super) long_delay: RangeInclusive<Duration>,
}

impl NetworkConditions {
    /// A local network on a good day.
    pub(super) fn fair() -> Self {
        Self {
            delay: Duration::from_micros(200)..=Duration::from_micros(2_000),
            request_loss: 0.0,
            reply_loss: 0.0,
            duplication: 0.0,
            straggling: 0.0,
            long_delay: ms(200)..=ms(2_400),
        }
    }

    /// A network that keeps messages in their order, as the labs' reliable one does: where messages
    /// are counted, none is sent again because it was overtaken.
    pub(super) fn orderly() -> Self {
        Self { delay: ms(1)..=ms(1), ..Self::fair() }
    }

    /// The labs' unreliable network: a tenth of the requests and of the replies lost, and delays up
    /// to 26 ms.
    pub(super) fn unreliable() -> Self {
        Self { delay: ms(0)..=ms(26), request_loss: 0.1, reply_loss: 0.1, ..Self::fair() }
    }

    /// Unreliable, and two thirds of the replies take up to 2.4 s.
    pub(super) fn long_reordering() -> Self {
        Self { straggling: 0.4, ..Self::unreliable() }
    }
}

/// The links between servers, by position.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) conditions: NetworkConditions,
    /// For each sender, the set of receivers that its messages do not reach.
    blocked: Vec<u32>,
    held: Vec<u32>,
    waiting: Vec<(usize, usize, Message)>,
}

/// What becomes of one message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Held,
    Arrives(Moment),
    ArrivesTwice(Moment, Moment),
}

impl Network {
    pub(super) fn new(size: usize) -> Self {
        assert!(size <= 32, "links are kept in 32-bit sets");
        Self {
            conditions: NetworkConditions::fair(),
            blocked: vec![0; size],
            held: vec![0; size],
            waiting: Vec::new(),
        }
    }

    /// Draws the fate of a message that is sent now.
    pub(super) fn fate(
        &self,
        now: Moment,
        (from, to): (usize, usize),
        message: &Message,
        random: &mut ChaCha8Rng,
    ) -> Fate {
        if self.is_blocked(from, to) {
            return Fate::Lost;
        }
        let conditions = &self.conditions;
        let loss = if is_reply(message) { conditions.reply_loss } else { conditions.request_loss };
        if chance(random, loss) {
            return Fate::Lost;
        }
        if self.held[from] & 1 << to != 0 {
            return Fate::Held;
        }
        let first = self.arrival(now, random);
        if chance(random, conditions.duplication) {
            return Fate::ArrivesTwice(first, self.arrival(now, random));
        }
        Fate::Arrives(first)
    }

    fn arrival(&self, now: Moment, random: &mut ChaCha8Rng) -> Moment {
        let conditions = &self.conditions;
        let long = chance(random, conditions.straggling);
        now.plus(between(random, if long { &conditions.long_delay } else { &conditions.delay }))
    }

    pub(super) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked[from] & 1 << to != 0
    }

    pub(super) fn block(&mut self, from: usize, to: usize) {
        self.blocked[from] |= 1 << to;
    }

    pub(super) fn unblock(&mut self, from: usize, to: usize) {
        self.blocked[from] &= !(1 << to);
    }

    /// Lets messages of one direction wait from now on.
    pub(super) fn hold(&mut self, from: usize, to: usize) {
        self.held[from] |= 1 << to;
    }

    /// Keeps a message until its link is released.
    pub(super) fn keep(&mut self, from: usize, to: usize, message: Message) {
        self.waiting.push((from, to, message));
    }

    /// Ends every block and every hold; returns what was held, oldest first.
    pub(super) fn heal(&mut self) -> Vec<(usize, usize, Message)> {
        self.blocked.fill(0);
        self.release()
    }

    /// Ends every hold; returns what was held, oldest first.
    pub(super) fn release(&mut self) -> Vec<(usize, usize, Message)> {
        self.held.fill(0);
        std::mem::take(&mut self.waiting)
    }
}

fn is_reply(message: &Message) -> bool {
    matches!(message.body, Body::Vote { .. } | Body::Appended { .. } | Body::Answer { .. })
}
