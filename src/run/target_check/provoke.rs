//! Provokes errors on several nodes, shows what each was taken for, and looks whether what was called a failure
//! happened after all.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;
use partita_nemesis::{Cluster, NodeProcess};
use partita_workloads::operation::Kind;
use partita_workloads::{Completion, Invocation};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::super::poller::Poller;
use super::{Asked, Counter, LIMITS, Provoked, Stage, in_words, read_as};
use crate::exit::{Failure, FailureContext};
use crate::run::cluster_setup;

/// How many writes are sent at once through each node: some of them are on their way whatever happens.
const WRITES: u32 = 8;

/// How long after them something breaks.
const HEAD_START: Duration = Duration::from_millis(15);

/// How long a cluster may take to be at rest again.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// How long a value may take to be seen that was said not to be written.
const SEEN_LIMIT: Duration = Duration::from_secs(3);

/// What is done to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provocation {
    FollowerDown,
    LeaderDown,
    NoQuorum,
    LeaderPaused,
}

impl Provocation {
    const ALL: [Self; 4] =
        [Self::FollowerDown, Self::LeaderDown, Self::NoQuorum, Self::LeaderPaused];

    /// What happens, of a cluster in which `leader` leads.
    fn in_words(self, leader: &str) -> String {
        match self {
            Self::FollowerDown => "a node is down".to_owned(),
            Self::LeaderDown => format!("{leader}, which leads, is down"),
            Self::NoQuorum => format!("{leader} is alone"),
            Self::LeaderPaused => format!("{leader}, which leads, is paused"),
        }
    }

    /// The nodes that it falls on.
    fn victims(self, leader: &str, names: &[String]) -> Vec<String> {
        let others = names.iter().filter(|name| *name != leader).cloned();
        match self {
            Self::FollowerDown => others.take(1).collect(),
            Self::LeaderDown | Self::LeaderPaused => vec![leader.to_owned()],
            Self::NoQuorum => others.collect(),
        }
    }
}

/// A write that failed, as its answer was read.
struct Failed {
    key: Value,
    value: Value,
    why: String,
}

impl Stage<'_, '_> {
    /// Provokes everything in turn.
    pub(super) async fn provoke(
        &mut self,
        cluster: &Arc<Cluster>,
        poller: &Poller,
    ) -> Result<(), Failure> {
        let protocol = Arc::clone(&self.plan.target.protocol);
        if !protocol.supports(Kind::Read) || !protocol.supports(Kind::Write) {
            self.report.notes.push("nothing is provoked without reads and writes".to_owned());
            return Ok(());
        }
        let mut failed = Vec::new();
        for (number, provocation) in Provocation::ALL.into_iter().enumerate() {
            let leader = poller.leader().unwrap_or_else(|| cluster.names()[0].clone());
            let what = provocation.in_words(&leader);
            (self.say)(format!("while {what}:"));
            let victims = provocation.victims(&leader, cluster.names());
            let began = self.burst(cluster, &format!("{number}-before"));
            sleep(HEAD_START).await;
            for victim in victims.iter().filter_map(|name| cluster.node(name)) {
                strike(provocation, victim).await?;
            }
            let mut ended = began.join_all().await;
            let during = self.burst(cluster, &format!("{number}-during"));
            ended.extend(during.join_all().await);
            for victim in victims.iter().filter_map(|name| cluster.node(name)) {
                heal(provocation, victim)?;
            }
            failed.extend(self.count(&what, ended));
            if !at_rest(poller).await {
                let note = format!("after {what}, not at rest within 20 s: {}", poller.describe());
                self.report.notes.push(note);
            }
            self.look_for(cluster, &mut failed).await;
        }
        Ok(())
    }

    /// Sends writes, a compare-and-set and a read through every node at once.
    fn burst(
        &self,
        cluster: &Arc<Cluster>,
        name: &str,
    ) -> JoinSet<(String, Invocation, Completion)> {
        let has_cas = self.plan.target.protocol.supports(Kind::Cas);
        let mut sent = JoinSet::new();
        for endpoint in cluster_setup::endpoints(self.plan, cluster) {
            let key = |number: u32| {
                Value::text(format!("partita-check-{name}-{}-{number}", endpoint.node))
            };
            let writes = (0..WRITES).map(|number| Invocation::write(key(number), 71.into()));
            let cas = has_cas.then(|| Invocation::cas(key(WRITES), 7.into(), 8.into()));
            let rest = [Some(Invocation::read(key(WRITES))), cas].into_iter().flatten();
            for invocation in writes.chain(rest) {
                let mut asked = self.asked(cluster, &endpoint);
                sent.spawn(async move {
                    let completion = asked.client.invoke(&invocation).await;
                    (asked.node, invocation, completion)
                });
            }
        }
        sent
    }

    /// Says what answers were taken for; the writes that failed.
    fn count(&mut self, what: &str, ended: Vec<(String, Invocation, Completion)>) -> Vec<Failed> {
        let mut counter = Counter::default();
        let mut failed = Vec::new();
        for (node, invocation, completion) in ended {
            let operation = invocation.kind.word().to_owned();
            let read_as = match &completion {
                Completion::Answered(_) => "answered".to_owned(),
                other => read_as(other),
            };
            let row = (node, operation, read_as, what.to_owned());
            *counter.0.entry(row).or_default() += 1;
            if let (Kind::Write, Completion::Fail(why)) = (invocation.kind, &completion) {
                let Invocation { key, value, .. } = invocation;
                failed.push(Failed { key, value, why: why.to_string() });
            }
        }
        for ((node, operation, read_as, while_), count) in counter.0 {
            (self.say)(format!("  {count:>2} × {operation} via {node}: {read_as}"));
            self.report.errors.push(Provoked { while_, operation, node, read_as, count });
        }
        failed
    }

    /// Looks whether a write that was said to have failed is there. It may come late: what has been looked for once
    /// is looked for again after the next provocation.
    async fn look_for(&mut self, cluster: &Arc<Cluster>, failed: &mut Vec<Failed>) {
        let endpoints = cluster_setup::endpoints(self.plan, cluster);
        let mut readers: Vec<Asked> =
            endpoints.iter().map(|endpoint| self.asked(cluster, endpoint)).collect();
        let mut seen: Vec<(String, Failed)> = Vec::new();
        let mut left = Vec::new();
        for write in failed.drain(..) {
            let read = Invocation::read(write.key.clone());
            let found = timeout(SEEN_LIMIT, found(&mut readers, &read)).await.unwrap_or(None);
            match found {
                Some(value) if value == write.value => seen.push((in_words(&read), write)),
                _ => left.push(write),
            }
        }
        *failed = left;
        seen.sort_by(|one, other| one.1.why.cmp(&other.1.why));
        seen.dedup_by(|one, other| one.1.why == other.1.why);
        for (_, Failed { key, value, why }) in seen {
            self.contradiction(format!(
                "an error that is not definite: write {key} {value} was taken for a failure (`{why}`), and \
                 {value} stands there now"
            ));
        }
    }
}

/// What a read answers through the first node that answers it.
async fn found(readers: &mut [Asked], read: &Invocation) -> Option<Value> {
    loop {
        for reader in &mut *readers {
            if let Completion::Answered(value) = reader.client.invoke(read).await {
                return Some(value);
            }
        }
        sleep(LIMITS.connect / 5).await;
    }
}

async fn strike(provocation: Provocation, node: &NodeProcess) -> Result<(), Failure> {
    match provocation {
        Provocation::LeaderPaused => node.pause().await.or_harness(|| "pausing a node".to_owned()),
        _ => node.kill().await.map(drop).or_harness(|| "ending a node".to_owned()),
    }
}

fn heal(provocation: Provocation, node: &NodeProcess) -> Result<(), Failure> {
    match provocation {
        Provocation::LeaderPaused => {
            node.resume().map(drop).or_harness(|| "continuing a node".to_owned())
        }
        _ => node.start().map(drop).or_harness(|| "starting a node again".to_owned()),
    }
}

/// Waits until the cluster is at rest: whether it is.
async fn at_rest(poller: &Poller) -> bool {
    let deadline = Instant::now() + REST_LIMIT;
    // What the last polls told is of the time before.
    sleep(Duration::from_millis(500)).await;
    while Instant::now() < deadline {
        if poller.is_settled() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}
