//! Takes a node out of the members and brings it back.
//!
//! A change is asked for again and again, whatever the store answers, until the members are read back
//! as they should be: an answer may be lost, and a refusal is no more than "not now". One node is out
//! at a time. A node that is out keeps its data: one that forgot what it voted for in the store's
//! present term and comes back under its old name could vote twice in it.
//!
//! Changes are made while the fault is in force, so that a play that is stopped need not wait for
//! them; the heal brings a node back from whatever point they came to. It leaves a cluster as it is
//! that is about to be shut down. What a play that is dropped has changed stays changed: bringing a
//! node back takes time, and nothing is left to wait for it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{sleep, timeout};

use super::{GRACE, STEP, Turn};
use crate::administration::{Administration, Configuration, agreed};
use crate::fault::process::{milliseconds, prove_life};
use crate::fault::site::{Active, Clock, Healed, InjectError, Injecting, Later, Site, joined};
use crate::lab::process::NodeProcess;
use crate::record::Effect;

/// How long it may take to bring a node back, other faults' ends included.
const RETURN_LIMIT: Duration = Duration::from_secs(20);
/// How many voters must stay when a node is taken out that was not named.
const FEWEST_VOTERS: usize = 3;

/// How the members change while the fault is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    /// The victim joins; if it is a member, it is out for so long before.
    Add {
        /// How long.
        out_for: Duration,
    },
    /// The victim leaves.
    Remove,
    /// The victim leaves and is killed.
    Replace,
}

impl ChangeKind {
    const fn adds(self) -> bool {
        matches!(self, ChangeKind::Add { .. })
    }
}

/// A node that leaves the members, or comes.
pub(super) struct Change<'a> {
    way: ChangeKind,
    node: &'a NodeProcess,
    administration: &'a dyn Administration,
    /// How many voters must stay.
    fewest: usize,
    waiting_for: Turn,
    turn: Option<OwnedMutexGuard<()>>,
    progress: Progress,
}

/// How far a change has come, as read back.
#[derive(Default)]
struct Progress {
    /// The members before.
    before: Option<Configuration>,
    /// Whether it cannot be done as the members are.
    is_impossible: bool,
    /// Whether its removal was asked for.
    removing: bool,
    /// Whether the node was to be killed: it may be down.
    killing: bool,
    /// Whether it was seen to end by that.
    killed: bool,
    /// How long it took to leave, and the members then.
    left: Option<(Duration, Configuration)>,
    /// When its return was asked for.
    asked_back: Option<Instant>,
    /// How long it took to come, and the members then.
    back: Option<(Duration, Configuration)>,
    /// What last went wrong.
    why: Option<String>,
}

impl<'a> Change<'a> {
    /// Begins to change the members by the victim.
    pub(super) fn inject(site: Site<'a>, way: ChangeKind) -> Injecting<'a> {
        Box::pin(async move {
            let change = Change {
                way,
                node: site.nodes.first().ok_or(InjectError::NoVictim)?,
                administration: site.ground.administration.ok_or(InjectError::NoAdministration)?,
                fewest: if site.are_named { 1 } else { FEWEST_VOTERS },
                waiting_for: Arc::clone(site.ground.turn),
                turn: None,
                progress: Progress::default(),
            };
            Ok(Box::new(change) as Box<dyn Active + 'a>)
        })
    }

    async fn make(&mut self) {
        self.progress.why = Some("the change before is not over".to_owned());
        if self.turn.is_none() {
            self.turn = Some(Arc::clone(&self.waiting_for).lock_owned().await);
        }
        let before = self.members().await;
        let (name, votes) = (self.node.node(), before.voters.contains(self.node.node()));
        let stay = before.voters.len() - usize::from(votes);
        if votes && stay < self.fewest {
            let fewest = self.fewest;
            self.progress.why = Some(format!("only {stay} voters would stay, and {fewest} must"));
            self.progress.is_impossible = true;
            return;
        }
        if !before.holds(name) && !self.way.adds() {
            self.progress.why = Some(format!("it is out already: the voters are {before}"));
            self.progress.is_impossible = true;
            return;
        }
        let was_in = before.holds(name);
        self.progress.before = Some(before);
        if was_in {
            self.take_out().await;
        }
        match self.way {
            ChangeKind::Add { out_for } => {
                if was_in {
                    sleep(out_for).await;
                }
                self.bring_in().await;
            }
            ChangeKind::Remove => {}
            ChangeKind::Replace => {
                self.progress.killing = true;
                match self.node.kill().await {
                    Ok(_) => self.progress.killed = true,
                    Err(error) => self.progress.why = Some(error.to_string()),
                }
            }
        }
    }

    /// The members, once a majority of the voters tells them alike and nobody is on the way out.
    async fn members(&mut self) -> Configuration {
        loop {
            match self.look().await {
                Some(members) if members.is_settled() => return members,
                Some(members) => self.progress.why = Some(format!("the voters are {members}")),
                None => {
                    let what = "no majority of the voters tells who they are";
                    self.progress.why = Some(what.to_owned());
                }
            }
            sleep(STEP).await;
        }
    }

    async fn look(&self) -> Option<Configuration> {
        agreed(&self.administration.views().await).cloned()
    }

    async fn take_out(&mut self) {
        let (since, name) = (Instant::now(), self.node.node());
        let mut pause = Duration::ZERO;
        self.progress.removing = true;
        loop {
            let members = self.look().await;
            if let Some(members) = members.filter(|it| it.is_settled() && !it.holds(name)) {
                self.progress.left = Some((since.elapsed(), members));
                self.progress.why = None;
                return;
            }
            // What was done shows at once; what was not is not asked for without a pause.
            sleep(std::mem::replace(&mut pause, STEP)).await;
            let answer = self.administration.remove(name).await;
            self.progress.why = answer.err().map(|error| error.to_string());
        }
    }

    async fn bring_in(&mut self) {
        let since = *self.progress.asked_back.get_or_insert_with(Instant::now);
        let (name, mut pause) = (self.node.node(), Duration::ZERO);
        loop {
            let members = self.look().await;
            if let Some(members) = members.filter(|it| it.is_settled() && it.voters.contains(name))
            {
                self.progress.back = Some((since.elapsed(), members));
                self.progress.why = None;
                return;
            }
            sleep(std::mem::replace(&mut pause, STEP)).await;
            let answer = self.administration.add(name).await;
            self.progress.why = answer.err().map(|error| error.to_string());
        }
    }

    async fn bring_back(mut self, shutting_down: bool, clock: Clock<'_>) -> Healed {
        let mut errors = Vec::new();
        if self.progress.before.is_none() && !self.progress.is_impossible && !shutting_down {
            // What it comes to is in `self`.
            let _ = timeout(GRACE, self.make()).await;
        }
        if self.progress.before.is_some() && !shutting_down {
            if self.progress.killing
                && let Err(error) = self.start_again().await
            {
                errors.push(format!("{}: {error}", self.node.node()));
            }
            if self.progress.back.is_none() && timeout(RETURN_LIMIT, self.restore()).await.is_err()
            {
                let why = self.progress.why.as_deref().unwrap_or("no answer in time");
                let (node, limit) = (self.node.node(), RETURN_LIMIT);
                errors.push(format!("{node} did not become a voter within {limit:?}: {why}"));
            }
        }
        let unhealed = !errors.is_empty();
        if !shutting_down && !self.progress.came_about(self.way) {
            let why = self.progress.why.as_deref().unwrap_or("the fault was over too soon");
            errors.push(format!("the members did not change: {why}"));
        }
        let error = joined(&errors);
        let effects = self.progress.effects(self.way);
        Healed { ended_ns: clock(), effects, error, unhealed }
    }

    /// Makes it a voter again. A removal that was asked for and not seen yet may still come about,
    /// so that it is seen through first.
    async fn restore(&mut self) {
        if self.progress.removing && self.progress.left.is_none() {
            self.take_out().await;
        }
        self.bring_in().await;
    }

    /// Starts a node that was killed, or was about to be.
    async fn start_again(&mut self) -> Result<(), String> {
        if self.node.is_running() {
            // The fault ended in the middle of the kill.
            let _ = timeout(STEP * 4, self.node.ended()).await;
        }
        if !self.node.is_running() {
            self.progress.killed = true;
            self.node.start().map_err(|error| error.to_string())?;
            prove_life(self.node).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Active for Change<'_> {
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
        Box::pin(self.bring_back(shutting_down, clock))
    }
}

impl Progress {
    /// Whether what the fault is about was seen.
    fn came_about(&self, way: ChangeKind) -> bool {
        if way.adds() { self.back.is_some() } else { self.left.is_some() }
    }

    fn effects(&self, way: ChangeKind) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let (Some(before), Some((took, members))) = (&self.before, &self.left) {
            let what = format!("voters {before} became {members}");
            effects.push(Effect::new(&what, milliseconds(*took), "ms"));
        }
        if self.killed && way == ChangeKind::Replace {
            effects.push(Effect::new("killed by signal 9", 1.0, "processes"));
        }
        if let Some((took, members)) = &self.back {
            let before = self.left.as_ref().map(|(_, members)| members).or(self.before.as_ref());
            let before = before.map(ToString::to_string).unwrap_or_default();
            let what = format!("voters {before} became {members}");
            effects.push(Effect::new(&what, milliseconds(*took), "ms"));
        }
        effects
    }
}
