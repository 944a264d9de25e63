//! A disk that fails, is full or is slow.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::timeout;

use super::{disk, rng_of, start_again};
use crate::disk::{self, DiskFault, Tally};
use crate::fault::process::milliseconds;
use crate::fault::site::{Active, Clock, Healed, InjectError, Injecting, Later, Site, idle};
use crate::lab::process::NodeProcess;
use crate::record::Effect;

/// How long after a failed call a process may still be about to end: it says why, and on a busy
/// machine it waits for its turn to do so.
const LONGEST_END: Duration = Duration::from_secs(2);

/// What becomes at the heal of a node that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtHeal {
    /// It ended of the fault and is started again.
    StartAgain,
    /// It is down by another fault.
    LeaveAlone,
}

/// A node whose disk is in trouble.
pub(super) struct Troubled<'a> {
    node: &'a NodeProcess,
    troubled: disk::Troubled,
    at_heal: AtHeal,
}

impl<'a> Troubled<'a> {
    /// Brings trouble to the disk of the victim.
    pub(super) fn inject(site: Site<'a>, trouble: DiskFault, at_heal: AtHeal) -> Injecting<'a> {
        Box::pin(async move {
            let node = *site.nodes.first().ok_or(InjectError::NoVictim)?;
            let troubled = disk(node)?.trouble(trouble, rng_of(&site, node));
            Ok(Box::new(Troubled { node, troubled, at_heal }) as Box<dyn Active + 'a>)
        })
    }
}

impl Active for Troubled<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let Troubled { node, troubled, at_heal } = *self;
            let tally = troubled.tally();
            // The disk is whole again before anything is started on it.
            drop(troubled);
            let may_end = !shutting_down && at_heal == AtHeal::StartAgain;
            if may_end && tally.failed > 0 {
                await_end(node).await;
            }
            let mut effects = counted(tally);
            let ended = f64::from(u8::from(!node.is_running()));
            effects.push(Effect::new("ended by itself", ended, "processes"));
            if !may_end {
                return Healed::now(effects, None, clock);
            }
            let outcome = start_again(node).await;
            Healed::now(effects, outcome.err(), clock)
        })
    }
}

/// Waits for a node that may be about to end of a call that failed. The fault is in force until
/// then: an end after the heal would look like the store's own, and nobody would start it again.
async fn await_end(node: &NodeProcess) {
    // Either way the heal goes on, with a node that runs or not.
    let _ = timeout(LONGEST_END, node.ended()).await;
}

fn counted(tally: Tally) -> Vec<Effect> {
    let all = [
        Effect::new("calls failed", tally.failed as f64, "calls"),
        Effect::new("syncs delayed", tally.delayed as f64, "calls"),
        Effect::new("delay added", milliseconds(tally.added), "ms"),
    ];
    all.into_iter().filter(|effect| effect.amount > 0.0).collect()
}
