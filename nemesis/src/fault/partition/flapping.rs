//! A partition that comes and goes.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{EITHER_WAY, WITH_CLIENTS, aim, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy, Victims};
use crate::fault::link::altered::{DROPPED, effect};
use crate::fault::link::overlay::{Overlay, Overlays};
use crate::fault::site::{Active, Clock, Healed, Later};
use crate::fault::values::Time;
use crate::fault::{Aim, Clients, Direction, FaultType, Injecting, Site, one_of};
use crate::lab::{Link, UnknownLink};
use crate::record::{Effect, Family};

/// Cuts the victims off from their peers again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flapping {
    /// How long they are cut off each time.
    pub down: Time<10, 60_000>,
    /// How long they are not, in between.
    pub up: Time<10, 60_000>,
    /// What is cut.
    pub direction: Direction,
    /// Whether the victims' clients are cut off.
    pub clients: Clients,
}

impl Default for Flapping {
    fn default() -> Flapping {
        Flapping {
            down: Time::millis(300),
            up: Time::millis(300),
            direction: Direction::Both,
            clients: Clients::No,
        }
    }
}

impl FaultType for Flapping {
    const DESCRIPTION: Description = Description {
        name: "flapping",
        family: Family::Partition,
        summary: "cut one node off from its peers again and again",
        was: "cut off again and again",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Time<10, 60_000>>("down", "how long it is cut off each time"),
            Parameter::of::<Time<10, 60_000>>("up", "how long it is not, in between"),
            EITHER_WAY,
            WITH_CLIENTS,
        ],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: evidence(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        aim(self.direction, self.clients)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Flapping {
        Flapping {
            down: one_of(rng, &[100, 300, 700].map(Time::millis)),
            up: one_of(rng, &[100, 300, 700].map(Time::millis)),
            ..Flapping::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let all = site.ground.overlays;
        let (down, up) = (self.down.get(), self.up.get());
        let mut flaps = Flaps {
            all,
            links: site.links,
            down,
            up,
            cut: None,
            count: 0,
            dropped: 0,
            error: None,
        };
        Box::pin(async move {
            flaps.cut()?;
            Ok(Box::new(flaps) as Box<dyn Active + 'a>)
        })
    }
}

/// Links that are cut and mended in turn.
struct Flaps<'a> {
    all: &'a Overlays<'a>,
    links: Vec<Link>,
    down: Duration,
    up: Duration,
    cut: Option<Overlay<'a>>,
    count: u64,
    dropped: u64,
    error: Option<UnknownLink>,
}

impl Flaps<'_> {
    fn cut(&mut self) -> Result<(), UnknownLink> {
        self.cut = Some(self.all.begin(self.links.clone(), |policy| policy.block = true)?);
        self.count += 1;
        Ok(())
    }

    fn mend(&mut self) -> Result<(), UnknownLink> {
        if let Some(mut cut) = self.cut.take() {
            cut.end()?;
            self.dropped += cut.grown(|counters| counters.blocked)?;
        }
        Ok(())
    }
}

impl Active for Flaps<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        Box::pin(async {
            loop {
                sleep(self.down).await;
                let mended = self.mend();
                sleep(self.up).await;
                if let Err(error) = mended.and_then(|()| self.cut()) {
                    self.error = Some(error);
                    pending::<()>().await;
                }
            }
        })
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(mut self: Box<Self>, _: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let mended = self.mend();
            let error = self.error.take().or(mended.err()).map(|error| error.to_string());
            // That it was cut off proves nothing if nothing was sent meanwhile.
            let effects = match self.dropped {
                0 => Vec::new(),
                dropped => vec![
                    effect(DROPPED, dropped, self.all.unit()),
                    Effect::new("cut off", self.count as f64, "times"),
                ],
            };
            Healed::now(effects, error, clock)
        })
    }
}
