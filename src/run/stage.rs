//! The phases under load: clients, faults, heal; what interrupts them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use partita_nemesis::{Nemesis, NodeSeen, Roles, Schedule, Stop};
use partita_reports::FindingKind;
use partita_reports::event::{RunEvent, Tally};
use partita_reports::spec::{Limit, Measure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::admin_client::AdminClient;
use super::clients::{self, Load};
use super::clock::RunClock;
use super::cluster_setup;
use super::events::Events;
use super::fault_log::FaultLog;
use super::monitor::{Monitor, RECOVERY_MS};
use super::own_faults::OwnFaults;
use super::phases::Phases;
use super::plan::Plan;
use super::poller::Poller;
use super::samples::Sampler;
use super::stalls::Stalls;
use super::stop_reason::{Interruption, Interrupts, Watch};
use crate::exit::Failure;

/// How long clients go on after the last fault was healed: what a fault broke may show only then.
const AFTER_HEAL: Duration = Duration::from_secs(1);

/// How long a cluster may take to recover unless a limit says so.
const RECOVERY_LIMIT: Duration = Duration::from_millis(RECOVERY_MS);

/// What is waited beyond that limit until it can be told.
const AFTER_LIMIT: Duration = Duration::from_secs(2);

/// Time between two looks at whether there is an answer.
const STEP: Duration = Duration::from_millis(50);

/// Time between two tallies.
const TALLY_STEP: Duration = Duration::from_millis(250);

/// How the phases ended, as the verdict needs it.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) remarks: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) stopped: Option<String>,
    pub(super) failure: Option<String>,
}

impl Ended {
    /// Before their time.
    fn early(interruption: Interruption, clock: RunClock, events: &Events) -> Self {
        let (when, reason) = (clock.now().as_seconds(), interruption.reason());
        let mut ended = Self::default();
        let text = match interruption {
            Interruption::Violation => {
                ended.remark(format!("stopped at the first violation, after {when:.1} s"))
            }
            Interruption::Signal => ended.remark(format!("interrupted after {when:.1} s")),
            Interruption::Finding(finding) => ended
                .stopped
                .insert(format!(
                    "the run ended at {when:.1} s, by this finding: {}",
                    finding.in_words()
                ))
                .clone(),
            Interruption::Failed(what) => {
                ended.failure.insert(format!("after {when:.1} s {what}")).clone()
            }
        };
        events.tell(RunEvent::Stopping { reason, text });
        ended
    }

    pub(super) fn remark(&mut self, text: String) -> String {
        self.remarks.push(text.clone());
        text
    }
}

/// Everything that the phases under load work with.
pub(super) struct Stage<'a> {
    pub(super) plan: &'a Plan,
    pub(super) schedule: &'a Schedule,
    pub(super) watch: Watch,
    pub(super) poller: Poller,
    pub(super) faults: FaultLog,
    pub(super) load: Arc<Load>,
    pub(super) clock: RunClock,
    pub(super) events: &'a Events,
    pub(super) stalls: &'a Stalls,
    pub(super) monitor: Monitor,
    /// Tells clients to stop.
    pub(super) stopped: watch::Receiver<bool>,
}

impl Roles for Poller {
    async fn leader(&self) -> Option<String> {
        Self::leader(self)
    }

    fn seen(&self) -> Vec<NodeSeen> {
        Self::seen(self)
    }
}

impl Stage<'_> {
    /// Load, faults, heal, settle, final reads. Ends early if it is interrupted, with everything healed.
    pub(super) async fn play(&self, phases: &mut Phases, interrupts: &mut Interrupts) -> Ended {
        let early = |interruption| Ended::early(interruption, self.clock, self.events);
        let clients = match self.plan.workload.asks_nothing() {
            true => JoinSet::new(),
            false => clients::start(&self.load, &self.stopped),
        };
        let sampling = tokio::spawn(self.sampler().run(self.load.began));
        let interruption = self.under_load(phases, interrupts).await;
        sampling.abort();
        self.monitor.clients_ended();
        // The receivers are gone if every client has ended, which is what is wanted.
        let _ = self.watch.stop_clients.send(true);
        clients.join_all().await;
        if let Some(interruption) = interruption {
            return early(interruption);
        }
        let interruption = tokio::select! {
            ended = self.aftermath(phases) => return ended,
            interruption = self.watch.interruption(interrupts) => interruption,
        };
        self.watch.hold(&interruption, interrupts).await;
        early(interruption)
    }

    fn sampler(&self) -> Sampler {
        Sampler {
            cluster: Arc::clone(&self.watch.cluster),
            poller: self.poller.clone(),
            faults: self.faults.clone(),
            recorder: Arc::clone(&self.load.recorder),
            folder: self.watch.folder.clone(),
        }
    }

    /// Everything during which clients are at work.
    async fn under_load(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        phases.begin("lead-in");
        if let Some(interruption) = self.under_faults(phases, interrupts).await {
            return Some(interruption);
        }
        phases.begin("heal");
        let (healed, before) = (Instant::now(), self.updates_answered());
        let interruption = self.sleep_until(healed + AFTER_HEAL, interrupts).await;
        if interruption.is_some() {
            return interruption;
        }
        // Where nothing is answered any more, clients go on until it can be said what that means.
        let limit = self.recovery_limit() + AFTER_LIMIT;
        let stood_still = self.stalls.total();
        while before > 0
            && self.updates_answered() == before
            && !self.watch.findings.has(FindingKind::NoRecovery)
            && healed.elapsed() < limit + (self.stalls.total() - stood_still)
        {
            let interruption = self.sleep_until(Instant::now() + STEP, interrupts).await;
            if interruption.is_some() {
                return interruption;
            }
        }
        None
    }

    fn updates_answered(&self) -> u64 {
        self.load.recorder.outcomes().updates().answered
    }

    /// How long the cluster may take to recover.
    fn recovery_limit(&self) -> Duration {
        let limits = self.plan.limits();
        let limit = limits.iter().find(|limit| limit.measure == Measure::Recovery);
        limit.map_or(RECOVERY_LIMIT, Limit::duration)
    }

    /// Plays the schedule, and waits out the planned time.
    async fn under_faults(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        let plan = self.plan;
        let until = Instant::now() + plan.spec.time.duration();
        let admin = match self.admin_client() {
            Ok(admin) => admin,
            Err(failure) => return Some(Interruption::Failed(failure.messages().join(": "))),
        };
        let nemesis = Nemesis::new(&self.watch.cluster, &self.poller, || self.clock.now().0)
            .administered_by(&admin);
        let (stop, stopping) = tokio::sync::oneshot::channel();
        let stopping = async { stopping.await.unwrap_or(Stop::ShutDown) };
        let play = nemesis.play(self.schedule, stopping, |moment, record| {
            phases.begin_once("faults");
            self.faults.take(moment, record, self.events);
        });
        let mut play = std::pin::pin!(play);
        let commands = plan.commands();
        let sending = admin.send_all(&commands);
        tokio::select! {
            // A run that is interrupted does not wait for commands to come.
            ended = async { tokio::join!(&mut play, sending).0 } => match ended {
                Ok(_) => self.sleep_until(until, interrupts).await,
                Err(error) => Some(Interruption::Failed(error.to_string())),
            },
            interruption = self.tally_until_interrupted(until, interrupts) => {
                self.watch.hold(&interruption, interrupts).await;
                // The play heals what is in force before it ends.
                let _ = stop.send(Stop::ShutDown);
                let _ = play.await;
                Some(interruption)
            }
        }
    }

    fn admin_client(&self) -> Result<AdminClient, Failure> {
        let Self { plan, watch, poller, .. } = self;
        let nodes = cluster_setup::inside_nodes(plan, &watch.cluster);
        let members = cluster_setup::members(plan, &watch.cluster);
        let protocol = plan.target.protocol.as_ref();
        let own_faults = OwnFaults::new(plan, &watch.cluster, &watch.folder)?;
        let folder = watch.folder.clone();
        Ok(AdminClient::new(protocol, nodes, members, poller.clone(), own_faults, folder))
    }

    /// Sleeps, unless it is interrupted first.
    async fn sleep_until(
        &self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        let interruption = tokio::select! {
            () = sleep_until(until) => return None,
            interruption = self.tally_until_interrupted(until, interrupts) => interruption,
        };
        self.watch.hold(&interruption, interrupts).await;
        Some(interruption)
    }

    /// Tells the tally, over and over, until something interrupts the run.
    async fn tally_until_interrupted(
        &self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Interruption {
        let telling = async {
            let (mut answered, mut last) =
                (self.load.recorder.tally().ok.load(Relaxed), Instant::now());
            loop {
                sleep(TALLY_STEP).await;
                let seconds = last.elapsed().as_secs_f64();
                let tally = self.tally(until, answered, seconds);
                (answered, last) = (tally.ok, Instant::now());
                self.events.tell(RunEvent::Tally(tally));
            }
        };
        tokio::select! {
            interruption = self.watch.interruption(interrupts) => interruption,
            never = telling => never,
        }
    }

    /// The operations so far; so many had been `answered` so many seconds ago.
    fn tally(&self, until: Instant, answered: u64, seconds: f64) -> Tally {
        let counted = self.load.recorder.tally();
        let ok = counted.ok.load(Relaxed);
        let left = until.saturating_duration_since(Instant::now());
        Tally {
            invoked: counted.invoked.load(Relaxed),
            ok,
            fail: counted.fail.load(Relaxed),
            info: counted.info.load(Relaxed),
            ok_per_s: (ok - answered) as f64 / seconds,
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            leader: self.poller.leader(),
            in_force: self.faults.in_force(),
        }
    }
}
