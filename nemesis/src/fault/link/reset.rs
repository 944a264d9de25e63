//! Connections that are reset again and again.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::overlay::Overlays;
use super::{CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{
    Description, Evidence, ExcludedNodes, Parameter, ShownBy, Victims,
};
use crate::fault::site::{Active, Clock, Healed, Injecting, Later, Site};
use crate::fault::values::Time;
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{LabBackend, Link, UnknownLink};
use crate::record::{Effect, Family};

/// Ends the TCP connections of links with a reset to both ends, again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reset {
    /// How often all connections are reset.
    pub every: Time<10, 60_000>,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Reset {
    fn default() -> Reset {
        Reset {
            every: Time::millis(200),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Reset {
    const DESCRIPTION: Description = Description {
        name: "reset",
        family: Family::Link,
        summary: "end the TCP connections of links with a reset to both ends, again and again",
        was: "behind links whose connections were reset",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Time<10, 60_000>>(
                "every",
                "how often all connections are reset, from the beginning on",
            ),
            DIRECTION,
            CLIENTS,
            LINKS,
        ],
        needs: needs(LabBackend::Proxies),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: RESET,
    };

    fn aim(&self) -> Aim {
        super::aim(self.direction, self.clients, &self.links)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Reset {
        let every = one_of(rng, &[50, 200, 1_000].map(Time::millis));
        Reset { every, ..Reset::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (all, links, every) = (site.ground.overlays, site.links, self.every.get());
        Box::pin(async move {
            let connections = all.reset(&links)?;
            let resets = Resets { all, links, every, connections, error: None };
            Ok(Box::new(resets) as Box<dyn Active + 'a>)
        })
    }
}

const RESET: Evidence = Evidence {
    felt: |it| it.unit == "connections",
    or_else: "there was no connection to reset",
    shown: ShownBy::Majority,
};

/// Links whose connections are being reset.
struct Resets<'a> {
    all: &'a Overlays<'a>,
    links: Vec<Link>,
    every: Duration,
    connections: u64,
    error: Option<UnknownLink>,
}

impl Active for Resets<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        Box::pin(async {
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
        })
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(self: Box<Self>, _: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let effect = Effect::new("connections reset", self.connections as f64, "connections");
            Healed::now(vec![effect], self.error.map(|error| error.to_string()), clock)
        })
    }
}
