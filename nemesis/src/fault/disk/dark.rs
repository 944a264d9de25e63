//! Nodes that have lost power: killed at once, with what their disks do not hold taken back.

use std::convert::Infallible;
use std::time::Instant;

use tokio::task::spawn_blocking;

use super::{DiskFaultError, cut_power, disk, rng_of, start_again};
use crate::disk::{Loss, NameModel, UnsyncedSurvival};
use crate::fault::process::{PROOF_OF_LIFE, milliseconds};
use crate::fault::site::{Active, Clock, Healed, Later, Site, idle, joined};
use crate::join_all::all;
use crate::lab::process::NodeProcess;
use crate::record::Effect;

/// Nodes without power.
pub(super) struct Dark<'a> {
    nodes: Vec<&'a NodeProcess>,
    effects: Vec<Effect>,
    since: Instant,
}

impl<'a> Dark<'a> {
    /// Kills all victims at once, and takes back what their disks do not hold.
    pub(super) async fn begin(
        site: &Site<'a>,
        model: NameModel,
        tear: UnsyncedSurvival,
    ) -> Result<Dark<'a>, DiskFaultError> {
        let nodes = site.nodes.clone();
        for node in &nodes {
            disk(node)?;
        }
        let since = Instant::now();
        let mut killed = 0.0;
        for outcome in all(nodes.iter().map(|node| cut_power(node)).collect()).await {
            killed += f64::from(u8::from(outcome?));
        }
        let mut lost = Loss::default();
        for node in &nodes {
            let (disk, mut rng) = (disk(node)?.clone(), rng_of(site, node));
            let losing = spawn_blocking(move || disk.lose_power(model, tear, &mut rng));
            let loss = losing
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            lost.bytes += loss.bytes;
            lost.survived += loss.survived;
            lost.names += loss.names;
        }
        let effects = vec![
            Effect::new("lost power", killed, "processes"),
            Effect::new("bytes lost", lost.bytes as f64, "bytes"),
            Effect::new("unsynced bytes kept", lost.survived as f64, "bytes"),
            Effect::new("directory entries lost", lost.names as f64, "entries"),
        ];
        Ok(Dark { nodes, effects, since })
    }

    /// Starts the nodes.
    pub(super) fn power_up(&mut self) -> Result<(), DiskFaultError> {
        for node in &self.nodes {
            node.start()?;
        }
        self.effects.push(Effect::new("time down", milliseconds(self.since.elapsed()), "ms"));
        Ok(())
    }
}

impl Active for Dark<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        self.effects.clone()
    }

    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let Dark { nodes, mut effects, since } = *self;
            if shutting_down {
                return Healed::now(effects, None, clock);
            }
            let are_down = nodes.iter().all(|node| !node.is_running());
            let outcomes = all(nodes.into_iter().map(start_again).collect()).await;
            let errors: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
            if are_down && errors.is_empty() {
                let down = milliseconds(since.elapsed().saturating_sub(PROOF_OF_LIFE));
                effects.push(Effect::new("time down", down, "ms"));
            }
            Healed::now(effects, joined(&errors), clock)
        })
    }
}
