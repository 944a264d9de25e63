//! A leader that hands over to another node.

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{CHANGED, GRACE, STEP, needs};
use crate::administration::{Administration, AdministrationError};
use crate::fault::description::{Description, Drawn, ExcludedNodes, Reach, Resource, Victims};
use crate::fault::process::milliseconds;
use crate::fault::site::{Active, Clock, Healed, InjectError, Later};
use crate::fault::{Aim, FaultType, Injecting, Site, Target};
use crate::record::{Effect, Family};
use crate::roles::AnyRoles;

/// How long another leader may take to be seen after the one before said that it handed over.
const HANDOVER: Duration = Duration::from_millis(500);
/// How long, if it said anything else.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Has the leader hand over to the victim; nothing is undone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferLeadership {}

impl FaultType for TransferLeadership {
    const DESCRIPTION: Description = Description {
        name: "transfer-leadership",
        family: Family::Membership,
        summary: "have the leader hand over to another node; nothing is undone",
        was: "asked to lead",
        victims: Victims::Chosen {
            default: Target::Follower,
            reach: Reach::One,
            summary: "the next leader, looked up when the fault begins",
            unit: "follower or a node's name",
            // The leader leads already.
            takes_any: false,
            is_drawn: false,
        },
        parameters: &[],
        needs: needs(2, true),
        holds: &[Resource::Membership],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn { shortest_ms: 800, longest_ms: 1_500, keeps: ExcludedNodes::All },
        evidence: CHANGED,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> TransferLeadership {
        TransferLeadership {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let transfer = Transfer {
                administration: site.ground.administration.ok_or(InjectError::NoAdministration)?,
                roles: site.ground.roles,
                to: site.nodes.first().ok_or(InjectError::NoVictim)?.node(),
                from: None,
                since: None,
                took: None,
                is_over: false,
                why: None,
            };
            Ok(Box::new(transfer) as Box<dyn Active + 'a>)
        })
    }
}

/// A leader that is asked to hand over.
struct Transfer<'a> {
    administration: &'a dyn Administration,
    roles: &'a dyn AnyRoles,
    to: &'a str,
    /// Who led before.
    from: Option<String>,
    /// Since when it was asked for.
    since: Option<Instant>,
    took: Option<Duration>,
    is_over: bool,
    /// What last went wrong.
    why: Option<String>,
}

impl Transfer<'_> {
    async fn make(&mut self) {
        while !self.is_over {
            self.ask().await;
            if !self.is_over {
                sleep(STEP).await;
            }
        }
    }

    /// Asks once, if somebody leads who can hand over.
    async fn ask(&mut self) {
        let Some(leader) = self.roles.leader().await else {
            self.why = Some(AdministrationError::NoLeader.to_string());
            return;
        };
        if leader != self.to {
            self.since.get_or_insert_with(Instant::now);
            self.from = Some(leader);
            let asked = self.administration.transfer(self.to).await;
            let limit = if asked.is_ok() { HANDOVER } else { AFTER_REFUSAL };
            self.why = asked.err().map(|error| error.to_string());
            if timeout(limit, self.leads()).await.is_err() {
                return;
            }
        }
        match self.since {
            Some(since) => self.took = Some(since.elapsed()),
            None => self.why = Some("it leads already".to_owned()),
        }
        self.is_over = true;
    }

    async fn leads(&self) {
        while self.roles.leader().await.as_deref() != Some(self.to) {
            sleep(STEP).await;
        }
    }

    /// There is nothing to undo: the node that leads, leads.
    async fn finish(mut self, shutting_down: bool, clock: Clock<'_>) -> Healed {
        if !shutting_down {
            // What it comes to is in `self`.
            let _ = timeout(GRACE, self.make()).await;
        }
        let (effects, error) = match (self.from, self.took) {
            (Some(from), Some(took)) => {
                let what = format!("leadership moved from {from} to {}", self.to);
                (vec![Effect::new(&what, milliseconds(took), "ms")], None)
            }
            _ if shutting_down => (Vec::new(), None),
            _ => {
                let why = self.why.unwrap_or_else(|| "no answer in time".to_owned());
                (Vec::new(), Some(format!("leadership did not move to {}: {why}", self.to)))
            }
        };
        Healed { ended_ns: clock(), effects, error, unhealed: false }
    }
}

impl Active for Transfer<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        Box::pin(async {
            self.make().await;
            pending().await
        })
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(self.finish(shutting_down, clock))
    }
}
