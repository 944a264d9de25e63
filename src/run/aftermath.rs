//! What follows when clients have ended: nodes settle, what they hold is compared, everything is read.

use std::time::Duration;

use partita_reports::{Finding, FindingKind};
use tokio::time::{Instant, sleep};

use super::closing;
use super::cluster_setup;
use super::phases::Phases;
use super::replicas::{self, Compared};
use super::stage::{Ended, Stage};
use crate::targets::FinalReads;

/// How long the nodes may take to agree after clients have stopped.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// The same while anything about them changes.
const LONGEST_SETTLE: Duration = Duration::from_secs(60);

/// How long nothing may have changed for nodes to be at rest.
const AT_REST: Duration = Duration::from_secs(3);

impl Stage<'_> {
    /// Settle and final reads.
    pub(super) async fn aftermath(&self, phases: &mut Phases) -> Ended {
        let mut ended = Ended::default();
        phases.begin("settle");
        if self.watch.findings.has(FindingKind::NoRecovery) && !self.poller.is_settled() {
            ended
                .remark("the cluster had not recovered: there were no final operations".to_owned());
            return ended;
        }
        if let Some(problem) = self.settle().await {
            ended.remark(problem);
            return ended;
        }
        self.compare_replicas(&mut ended).await;
        if self.plan.workload.asks_nothing() {
            return ended;
        }
        phases.begin("final reads");
        let closing = {
            let generator = self.load.generator.lock();
            generator.unwrap_or_else(std::sync::PoisonError::into_inner).closing()
        };
        let through = match self.plan.target.final_reads {
            FinalReads::EveryNode => "every node",
            FinalReads::AnyNode => "any node",
        };
        self.events.remark(format!("{} final operations through {through}", closing.len()));
        ended.remarks = closing::perform_all(&self.load, closing).await;
        ended
    }

    /// Compares what nodes themselves hold.
    async fn compare_replicas(&self, ended: &mut Ended) {
        let nodes = cluster_setup::inside_nodes(self.plan, &self.watch.cluster);
        let protocol = self.plan.target.protocol.as_ref();
        match replicas::compare(protocol, &nodes, || self.clock.now()).await {
            Compared::Equal => {}
            Compared::Different(found) => self.watch.findings.report(*found),
            Compared::Unknown(why) => {
                ended.notes.push(format!("what nodes themselves hold was not compared: {why}"));
            }
        }
    }

    /// Waits until the nodes agree, as far as they tell: why they did not, if so. As long as anything moves
    /// they may still come to it. Nodes that could agree and do not are a finding.
    async fn settle(&self) -> Option<String> {
        let (began, stood_still) = (Instant::now(), self.stalls.total());
        let (mut moved, mut before) = (began, self.poller.describe());
        loop {
            if self.poller.is_settled() {
                return None;
            }
            let now = self.poller.describe();
            if now != before {
                (moved, before) = (Instant::now(), now);
            }
            // Nodes are not to blame for what the controller missed.
            let waited = began.elapsed().saturating_sub(self.stalls.total() - stood_still);
            let is_at_rest = waited >= SETTLE_LIMIT && moved.elapsed() >= AT_REST;
            if is_at_rest || waited >= LONGEST_SETTLE {
                return Some(self.report_unsettled(waited));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Says that the nodes did not come to agree, and reports it where nothing explains it.
    fn report_unsettled(&self, waited: Duration) -> String {
        let sentence = format!(
            "the nodes did not agree within {} s of the heal: {}",
            waited.as_secs(),
            self.poller.describe()
        );
        let faults = self.faults.all();
        let is_explained = faults.iter().any(|fault| fault.unhealed || fault.ended_ns.is_none())
            || !self.plan.commands().is_empty()
            || !self.poller.are_all_ready();
        if !is_explained {
            let title = match self.poller.is_led() {
                true => "a node does not catch up",
                false => "the nodes do not agree on a leader",
            };
            let finding = Finding::new(FindingKind::NoRecovery, title, sentence.clone());
            self.watch.findings.report(Finding { at_ns: Some(self.clock.now()), ..finding });
        }
        sentence
    }
}
