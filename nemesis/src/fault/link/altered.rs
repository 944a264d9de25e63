//! Links whose policy a fault changes, and the counts that tell what that did to what they carried.
//!
//! What is counted is what the links did while the fault was in force: two faults of one kind on one
//! link count the same frames.

use std::convert::Infallible;

use super::overlay::Overlay;
use crate::fault::site::{Active, Clock, Healed, Injecting, Later, Site, idle};
use crate::lab::{Counters, Policy};
use crate::record::Effect;

/// Something that links count, as an effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    /// What became of frames or chunks: `dropped`.
    what: &'static str,
    of: fn(&Counters) -> u64,
}

impl Count {
    pub(crate) const fn new(what: &'static str, of: fn(&Counters) -> u64) -> Count {
        Count { what, of }
    }

    /// Frames that a cut link dropped.
    pub(crate) const BLOCKED: Count = Count::new(DROPPED, |it| it.blocked);
    /// Frames that came late.
    pub(crate) const DELAYED: Count = Count::new("delayed", |it| it.delayed);
}

/// What becomes of frames on a blocked link. Where nothing travels in frames, it is withheld.
pub(crate) const DROPPED: &str = "dropped";

/// An effect on so many frames, or whatever the links carry.
pub(crate) fn effect(what: &str, amount: u64, unit: &str) -> Effect {
    let what = if what == DROPPED && unit != "frames" { "withheld" } else { what };
    Effect::new(&format!("{unit} {what}"), amount as f64, unit)
}

/// Links that carry otherwise.
struct Altered<'a> {
    overlay: Overlay<'a>,
    counts: &'static [Count],
}

/// Changes the policies of the links of `site` until the heal, which measures by `counts`.
pub(crate) fn alter<'a>(
    site: Site<'a>,
    counts: &'static [Count],
    change: impl Fn(&mut Policy) + Send + Sync + 'static,
) -> Injecting<'a> {
    let overlay = site.ground.overlays.begin(site.links, change);
    let altered =
        overlay.map(|overlay| -> Box<dyn Active + 'a> { Box::new(Altered { overlay, counts }) });
    Box::pin(async { Ok(altered?) })
}

impl Active for Altered<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(mut self: Box<Self>, _: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let measured = self.overlay.end().and_then(|()| {
                let unit = self.overlay.unit();
                let measured = |it: &Count| Ok(effect(it.what, self.overlay.grown(it.of)?, unit));
                self.counts.iter().map(measured).collect::<Result<Vec<_>, _>>()
            });
            match measured {
                Ok(effects) => Healed::now(effects, None, clock),
                Err(error) => Healed::now(Vec::new(), Some(error.to_string()), clock),
            }
        })
    }
}
