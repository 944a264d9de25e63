//! Logs the events of a run.
//!
//! What the terminal shows of them is logged as such and not shown a second time.

use std::io;

use partita_reports::event::{RunEvent, Stamped};
use tracing::{debug, info, trace};

use crate::run::events::Sink;
use crate::telemetry::{self, SHOWN};

/// Takes the events of a run to its log.
pub struct LogSink;

impl Sink for LogSink {
    fn name(&self) -> &str {
        telemetry::FILE
    }

    fn take(&mut self, Stamped { event, .. }: &Stamped) -> io::Result<()> {
        match event {
            RunEvent::Started(it) => {
                info!(target: SHOWN, lab = it.lab, seed = it.seed, "run {} begins", it.run);
            }
            RunEvent::ClusterUp { nodes, leader } => {
                info!(target: SHOWN, leader, "{nodes} nodes are up");
            }
            RunEvent::Phase { phase } => {
                telemetry::set_phase(phase);
                info!("phase begins");
            }
            RunEvent::RoleChanged { node, role, term } => info!(node, term, "is now {role}"),
            RunEvent::NodeEnded { node, status, explained_by, expected } => {
                info!(node, explained_by, expected, "has ended: {status}");
            }
            RunEvent::NodeRestarted { node, restarts } => info!(node, restarts, "is started again"),
            RunEvent::Found { finding } => {
                info!(target: SHOWN, "found {}: {}", finding.in_words(), finding.sentence);
            }
            RunEvent::Holding { commands } => {
                info!(target: SHOWN, ?commands, "the cluster is held as it is");
            }
            RunEvent::Remark { text } => info!(target: SHOWN, "{text}"),
            RunEvent::Stopping { text, .. } => info!(target: SHOWN, "stopping: {text}"),
            RunEvent::Tally(tally) => trace!(tally.ok, tally.fail, tally.info, "operations so far"),
            RunEvent::Checking(checking) => debug!(?checking, "checking"),
            RunEvent::Judged { verdict, findings } => {
                info!(target: SHOWN, ?findings, "the run's verdict: {verdict:?}");
            }
            RunEvent::Finished { exit, failure: Some(failure), .. } => {
                tracing::error!(target: SHOWN, code = exit.code(), "{failure}");
            }
            RunEvent::Finished { exit, failure: None, .. } => {
                info!(target: SHOWN, code = exit.code(), "the run is over");
            }
            // The nemesis logs its faults itself, each in its span.
            RunEvent::FaultInjected(_)
            | RunEvent::FaultHealed(_)
            | RunEvent::FaultSkipped(_)
            | RunEvent::Unrecognized => {}
        }
        Ok(())
    }
}
