//! Hands leadership over, takes nodes out of the members and brings them back, and measures it.
//!
//! A change is asked for again and again, whatever the store answers, until the members are read back
//! as they shall be: an answer may be lost, and a refusal is no more than "not now". One node is out
//! at a time. A node that is out keeps its data: one that forgot what it voted for in the store's
//! present term and comes back under its old name could vote twice in it.
//!
//! Changes are made while the fault is in force, so that a play that is stopped need not wait for
//! them; the heal brings a node back from whatever point they came to. It leaves a cluster as it is
//! that is about to be shut down. What a play that is dropped has changed stays changed: bringing a
//! node back takes time, and nobody is there to wait.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::administration::{Administration, AdministrationError, Configuration, agreed};
use crate::fault::{Fault, Target, membership};
use crate::lab::process::NodeProcess;
use crate::record::Effect;
use crate::schedule::PlannedFault;

use super::Roles;
use super::inject::{Healed, InjectError};
use super::processes::{milliseconds, prove_life};

/// How long to wait before asking again.
const STEP: Duration = Duration::from_millis(25);
/// How long another leader may take to be seen after the one before said that it handed over.
const HANDOVER: Duration = Duration::from_millis(500);
/// How long, if it said anything else.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);
/// How long beyond its time a fault may take that did not come about in it, such as when nobody led.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may take to bring a node back, other faults' ends included.
const RETURN_LIMIT: Duration = Duration::from_secs(20);
/// How many voters must stay when a node is taken out that nobody named.
const FEWEST_VOTERS: usize = 3;

/// What all changes of the members in one play share: whoever is at it. The next waits until the one
/// before has brought its node back.
pub(super) type Turn = Arc<Mutex<()>>;

/// A fault of membership in force.
pub(super) enum Membership<'a, R> {
    /// Leadership is handed over.
    Transfer(Transfer<'a, R>),
    /// A node leaves or comes.
    Change(Box<Change<'a>>),
}

impl<'a, R: Roles> Membership<'a, R> {
    /// Begins `planned` for `node`.
    pub(super) fn begin(
        planned: &PlannedFault,
        node: &'a NodeProcess,
        administration: &'a dyn Administration,
        roles: &'a R,
        turn: &Turn,
    ) -> Result<Membership<'a, R>, InjectError> {
        if planned.fault == Fault::TransferLeadership {
            return Ok(Membership::Transfer(Transfer {
                administration,
                roles,
                to: node.node(),
                from: None,
                since: None,
                took: None,
                is_over: false,
                why: None,
            }));
        }
        let out_for = membership::out(planned.word(membership::OUT)).unwrap_or_default();
        let is_named = matches!(planned.target, Target::Nodes(_));
        Ok(Membership::Change(Box::new(Change {
            fault: planned.fault,
            node,
            administration,
            out_for,
            fewest: if is_named { 1 } else { FEWEST_VOTERS },
            waiting_for: Arc::clone(turn),
            turn: None,
            course: Course::default(),
        })))
    }

    /// Makes the change; ready never.
    pub(super) async fn act(&mut self) -> Infallible {
        match self {
            Membership::Transfer(transfer) => transfer.act().await,
            Membership::Change(change) => change.act().await,
        }
        pending().await
    }

    /// Undoes it, as far as it can be undone.
    pub(super) async fn heal(self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        match self {
            Membership::Transfer(transfer) => transfer.heal(shutting_down, clock).await,
            Membership::Change(change) => change.heal(shutting_down, clock).await,
        }
    }
}

/// A leader that is asked to hand over.
pub(super) struct Transfer<'a, R> {
    administration: &'a dyn Administration,
    roles: &'a R,
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

impl<R: Roles> Transfer<'_, R> {
    async fn act(&mut self) {
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

    /// There is nothing to undo: whoever leads, leads.
    async fn heal(mut self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        if !shutting_down {
            // What it comes to is in `self`.
            let _ = timeout(GRACE, self.act()).await;
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

/// A node that leaves the members, or comes.
pub(super) struct Change<'a> {
    fault: Fault,
    node: &'a NodeProcess,
    administration: &'a dyn Administration,
    /// How long a node is out that is to be added.
    out_for: Duration,
    /// How many voters must stay.
    fewest: usize,
    waiting_for: Turn,
    turn: Option<OwnedMutexGuard<()>>,
    course: Course,
}

/// How far a change has come, as read back.
#[derive(Default)]
struct Course {
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

impl Change<'_> {
    async fn act(&mut self) {
        self.course.why = Some("the change before is not over".to_owned());
        if self.turn.is_none() {
            self.turn = Some(Arc::clone(&self.waiting_for).lock_owned().await);
        }
        let before = self.members().await;
        let (name, votes) = (self.node.node(), before.voters.contains(self.node.node()));
        let stay = before.voters.len() - usize::from(votes);
        if votes && stay < self.fewest {
            let fewest = self.fewest;
            self.course.why = Some(format!("only {stay} voters would stay, and {fewest} must"));
            self.course.is_impossible = true;
            return;
        }
        if !before.holds(name) && self.fault != Fault::AddNode {
            self.course.why = Some(format!("it is out already: the voters are {before}"));
            self.course.is_impossible = true;
            return;
        }
        let was_in = before.holds(name);
        self.course.before = Some(before);
        if was_in {
            self.take_out().await;
        }
        match self.fault {
            Fault::AddNode => {
                if was_in {
                    sleep(self.out_for).await;
                }
                self.bring_in().await;
            }
            Fault::ReplaceNode => {
                self.course.killing = true;
                match self.node.kill().await {
                    Ok(_) => self.course.killed = true,
                    Err(error) => self.course.why = Some(error.to_string()),
                }
            }
            _ => {}
        }
    }

    /// The members, once a majority of the voters tells them alike and nobody is on the way out.
    async fn members(&mut self) -> Configuration {
        loop {
            match self.look().await {
                Some(members) if members.is_settled() => return members,
                Some(members) => self.course.why = Some(format!("the voters are {members}")),
                None => {
                    let what = "no majority of the voters tells who they are";
                    self.course.why = Some(what.to_owned());
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
        self.course.removing = true;
        loop {
            let members = self.look().await;
            if let Some(members) = members.filter(|it| it.is_settled() && !it.holds(name)) {
                self.course.left = Some((since.elapsed(), members));
                self.course.why = None;
                return;
            }
            // What was done shows at once; what was not is not asked for without a pause.
            sleep(std::mem::replace(&mut pause, STEP)).await;
            let answer = self.administration.remove(name).await;
            self.course.why = answer.err().map(|error| error.to_string());
        }
    }

    async fn bring_in(&mut self) {
        let since = *self.course.asked_back.get_or_insert_with(Instant::now);
        let (name, mut pause) = (self.node.node(), Duration::ZERO);
        loop {
            let members = self.look().await;
            if let Some(members) = members.filter(|it| it.is_settled() && it.voters.contains(name))
            {
                self.course.back = Some((since.elapsed(), members));
                self.course.why = None;
                return;
            }
            sleep(std::mem::replace(&mut pause, STEP)).await;
            let answer = self.administration.add(name).await;
            self.course.why = answer.err().map(|error| error.to_string());
        }
    }

    async fn heal(mut self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        let mut errors = Vec::new();
        if self.course.before.is_none() && !self.course.is_impossible && !shutting_down {
            // What it comes to is in `self`.
            let _ = timeout(GRACE, self.act()).await;
        }
        if self.course.before.is_some() && !shutting_down {
            if self.course.killing
                && let Err(error) = self.start_again().await
            {
                errors.push(format!("{}: {error}", self.node.node()));
            }
            if self.course.back.is_none() && timeout(RETURN_LIMIT, self.restore()).await.is_err() {
                let why = self.course.why.as_deref().unwrap_or("no answer in time");
                let (node, limit) = (self.node.node(), RETURN_LIMIT);
                errors.push(format!("{node} did not become a voter within {limit:?}: {why}"));
            }
        }
        let unhealed = !errors.is_empty();
        if !shutting_down && !self.course.came_about(self.fault) {
            let why = self.course.why.as_deref().unwrap_or("the fault was over too soon");
            errors.push(format!("the members did not change: {why}"));
        }
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        let effects = self.course.effects(self.fault);
        Healed { ended_ns: clock(), effects, error, unhealed }
    }

    /// Makes it a voter again. A removal that was asked for and not seen yet may still come about,
    /// so that it is seen through first.
    async fn restore(&mut self) {
        if self.course.removing && self.course.left.is_none() {
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
            self.course.killed = true;
            self.node.start().map_err(|error| error.to_string())?;
            prove_life(self.node).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Course {
    /// Whether what the fault is about was seen.
    fn came_about(&self, fault: Fault) -> bool {
        if fault == Fault::AddNode { self.back.is_some() } else { self.left.is_some() }
    }

    fn effects(&self, fault: Fault) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let (Some(before), Some((took, members))) = (&self.before, &self.left) {
            let what = format!("voters {before} became {members}");
            effects.push(Effect::new(&what, milliseconds(*took), "ms"));
        }
        if self.killed && fault == Fault::ReplaceNode {
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
