//! A file that was damaged under a node that was started again.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;

use rand::rngs::ChaCha8Rng;

use super::{DataFile, DiskFaultError, disk, kill, rng_of, start_again};
use crate::disk::damage::{self, Damage};
use crate::fault::site::{Active, Clock, Healed, InjectError, Later, Site, idle};
use crate::lab::process::NodeProcess;
use crate::record::Effect;

/// A node that runs on a damaged file.
pub(super) struct Damaged<'a> {
    node: &'a NodeProcess,
    damage: Damage,
}

impl<'a> Damaged<'a> {
    /// Kills the victim, does damage to the file, and starts it again.
    pub(super) async fn begin(
        site: &Site<'a>,
        file: &DataFile,
        damage: impl FnOnce(PathBuf, &mut ChaCha8Rng) -> io::Result<Damage>,
    ) -> Result<Damaged<'a>, InjectError> {
        let node = *site.nodes.first().ok_or(InjectError::NoVictim)?;
        let disk = disk(node)?.clone();
        kill(node).await?;
        let failed = |source| DiskFaultError::Damage { node: node.node().to_owned(), source };
        let path = damage::find(disk.directory(), file.name()).map_err(failed)?;
        let damage = damage(path, &mut rng_of(site, node)).map_err(failed)?;
        disk.settle().map_err(DiskFaultError::from)?;
        node.start().map_err(DiskFaultError::from)?;
        Ok(Damaged { node, damage })
    }

    fn mend(&self) -> Result<(), DiskFaultError> {
        let node = self.node.node();
        let failed = |source| DiskFaultError::Damage { node: node.to_owned(), source };
        self.damage.mend().map_err(failed)?;
        Ok(disk(self.node)?.settle()?)
    }
}

impl Active for Damaged<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        vec![Effect::new("bytes damaged", self.damage.bytes() as f64, "bytes")]
    }

    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let mut effects = self.effects_so_far();
            if !self.node.is_running() {
                effects.push(Effect::new("refused to run", 1.0, "processes"));
                if let Err(error) = self.mend() {
                    let error = format!("{}: mending: {error}", self.node.node());
                    return Healed::now(effects, Some(error), clock);
                }
            }
            if shutting_down {
                return Healed::now(effects, None, clock);
            }
            let outcome = start_again(self.node).await;
            Healed::now(effects, outcome.err(), clock)
        })
    }
}
