//! Does faults to links, undoes them, and counts what they did to frames and connections.
//!
//! What is counted is what the links concerned did while the fault was in force: two faults of one
//! kind on one link count the same frames.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use crate::fault::link::{self, Alteration, alteration};
use crate::fault::{Fault, partition};
use crate::lab::UnknownLink;
use crate::lab::{Counters, Link};
use crate::record::Effect;
use crate::schedule::PlannedFault;

use super::alterations::{Alterations, Altered};
use super::inject::{InjectError, result};

/// A fault of links in force.
pub(super) enum Network<'a> {
    /// Links that carry otherwise.
    Altered { altered: Altered<'a>, counts: &'static [Count] },
    /// Links that are cut and mended again and again.
    Flapping(Flapping<'a>),
    /// Links whose connections are reset again and again.
    Resets(Resets<'a>),
}

/// Something that links count, as an effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    /// What became of pieces: `dropped`.
    what: &'static str,
    of: fn(&Counters) -> u64,
}

const fn count(what: &'static str, of: fn(&Counters) -> u64) -> Count {
    Count { what, of }
}

const BLOCKED: &[Count] = &[count(DROPPED, |it| it.blocked)];
const HELD: &[Count] = &[count("held", |it| it.delayed)];
const DELAYED: &[Count] = &[count("delayed", |it| it.delayed)];
const LOST: &[Count] = &[count("lost", |it| it.dropped)];
const DUPLICATED: &[Count] = &[count("duplicated", |it| it.duplicated)];
const REORDERED: &[Count] = &[count("overtaken", |it| it.reordered)];
const CORRUPTED: &[Count] = &[count("corrupted", |it| it.corrupted)];
const LIMITED: &[Count] = &[count("delayed", |it| it.delayed), count(DROPPED, |it| it.overflowed)];

/// What becomes of frames on a blocked link. Where nothing travels in frames, it is withheld.
const DROPPED: &str = "dropped";

/// An effect of so many pieces, by what they are called.
fn effect(what: &str, amount: u64, pieces: &str) -> Effect {
    let what = if what == DROPPED && pieces != "frames" { "withheld" } else { what };
    Effect::new(&format!("{pieces} {what}"), amount as f64, pieces)
}

fn counts(alteration: Alteration, pieces: &str) -> &'static [Count] {
    match alteration {
        Alteration::Block => BLOCKED,
        Alteration::Hold => HELD,
        Alteration::Delay { .. } => DELAYED,
        Alteration::Loss(_) => LOST,
        Alteration::Duplicate(_) => DUPLICATED,
        Alteration::Reorder(_) => REORDERED,
        Alteration::Corrupt(_) => CORRUPTED,
        // A relay holds senders back and drops nothing.
        Alteration::Rate(_) if pieces != "frames" => DELAYED,
        Alteration::Rate(_) => LIMITED,
    }
}

impl<'a> Network<'a> {
    /// Does `planned` to `links`.
    pub(super) fn begin(
        planned: &PlannedFault,
        all: &'a Alterations<'a>,
        links: Vec<Link>,
    ) -> Result<Network<'a>, InjectError> {
        let unknown = || InjectError::Parameters(planned.fault);
        match planned.fault {
            Fault::Flapping => {
                let spell = |name| partition::spell(planned.word(name)).ok_or_else(unknown);
                let (down, up) = (spell(partition::DOWN)?, spell(partition::UP)?);
                Ok(Network::Flapping(Flapping::begin(all, links, down, up)?))
            }
            Fault::Reset => {
                let every = link::every(planned.word(link::EVERY)).ok_or_else(unknown)?;
                Ok(Network::Resets(Resets::begin(all, links, every)?))
            }
            _ => {
                let alteration = alteration(planned).ok_or_else(unknown)?;
                let altered = all.begin(links, move |policy| alteration.apply(policy))?;
                Ok(Network::Altered { altered, counts: counts(alteration, all.pieces()) })
            }
        }
    }

    /// Does what the fault does again and again, until this is dropped.
    pub(super) async fn act(&mut self) -> Infallible {
        match self {
            Network::Altered { .. } => pending().await,
            Network::Flapping(flapping) => flapping.act().await,
            Network::Resets(resets) => resets.act().await,
        }
    }

    /// Undoes it; what it did, and what went wrong.
    pub(super) fn heal(self) -> (Vec<Effect>, Option<String>) {
        match self {
            Network::Altered { mut altered, counts } => {
                let measured = altered.end().and_then(|()| {
                    let pieces = altered.pieces();
                    let measured =
                        |count: &Count| Ok(effect(count.what, altered.grown(count.of)?, pieces));
                    counts.iter().map(measured).collect::<Result<Vec<_>, _>>()
                });
                result(measured)
            }
            Network::Flapping(flapping) => flapping.heal(),
            Network::Resets(resets) => resets.effects(),
        }
    }
}

/// A partition that comes and goes.
pub(super) struct Flapping<'a> {
    all: &'a Alterations<'a>,
    links: Vec<Link>,
    down: Duration,
    up: Duration,
    cut: Option<Altered<'a>>,
    flaps: u64,
    dropped: u64,
    error: Option<UnknownLink>,
}

impl<'a> Flapping<'a> {
    fn begin(
        all: &'a Alterations<'a>,
        links: Vec<Link>,
        down: Duration,
        up: Duration,
    ) -> Result<Flapping<'a>, UnknownLink> {
        let (flaps, dropped, error) = (0, 0, None);
        let mut flapping = Flapping { all, links, down, up, cut: None, flaps, dropped, error };
        flapping.cut()?;
        Ok(flapping)
    }

    fn cut(&mut self) -> Result<(), UnknownLink> {
        self.cut = Some(self.all.begin(self.links.clone(), |policy| policy.block = true)?);
        self.flaps += 1;
        Ok(())
    }

    fn mend(&mut self) -> Result<(), UnknownLink> {
        if let Some(mut cut) = self.cut.take() {
            cut.end()?;
            self.dropped += cut.grown(|counters| counters.blocked)?;
        }
        Ok(())
    }

    async fn act(&mut self) -> Infallible {
        loop {
            sleep(self.down).await;
            let mended = self.mend();
            sleep(self.up).await;
            if let Err(error) = mended.and_then(|()| self.cut()) {
                self.error = Some(error);
                pending::<()>().await;
            }
        }
    }

    fn heal(mut self) -> (Vec<Effect>, Option<String>) {
        let mended = self.mend();
        let effects = vec![
            effect(DROPPED, self.dropped, self.all.pieces()),
            Effect::new("cut off", self.flaps as f64, "times"),
        ];
        let error = self.error.or(mended.err());
        // That it was cut off proves nothing if nobody sent anything meanwhile.
        let effects = if self.dropped == 0 { Vec::new() } else { effects };
        (effects, error.map(|error| error.to_string()))
    }
}

/// Connections that are reset again and again.
pub(super) struct Resets<'a> {
    all: &'a Alterations<'a>,
    links: Vec<Link>,
    every: Duration,
    connections: u64,
    error: Option<UnknownLink>,
}

impl<'a> Resets<'a> {
    fn begin(
        all: &'a Alterations<'a>,
        links: Vec<Link>,
        every: Duration,
    ) -> Result<Resets<'a>, UnknownLink> {
        let connections = all.reset(&links)?;
        Ok(Resets { all, links, every, connections, error: None })
    }

    async fn act(&mut self) -> Infallible {
        loop {
            sleep(self.every).await;
            match self.all.reset(&self.links) {
                Ok(connections) => self.connections += connections,
                Err(error) => {
                    self.error = Some(error);
                    pending::<()>().await;
                }
            }
        }
    }

    fn effects(self) -> (Vec<Effect>, Option<String>) {
        let effect = Effect::new("connections reset", self.connections as f64, "connections");
        (vec![effect], self.error.map(|error| error.to_string()))
    }
}
