//! Compares what the nodes themselves hold, after they have settled.
//!
//! Of nodes that have applied the same, two that hold different data are a finding. What a node says counts
//! only if it says the same a moment later.

use std::collections::BTreeMap;
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_reports::{Finding, FindingKind};
use partita_workloads::client::{Protocol, Replica};
use tokio::time::{Instant, sleep};

use super::poller::InsideNode;

/// How long a node may take to tell what it holds.
const LIMIT: Duration = Duration::from_secs(2);
/// How long nodes may take to have applied the same.
const LIMIT_OF_ALL: Duration = Duration::from_secs(3);
/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// All nodes hold the same.
    Equal,
    /// Some do not: what is to be said of them.
    Different(Box<Finding>),
    /// It cannot be said, and why.
    Unknown(String),
}

/// Asks every node for what it holds, until all have applied the same; `now` says when it is.
pub async fn compare(
    protocol: &dyn Protocol,
    nodes: &[InsideNode],
    now: impl Fn() -> Nanoseconds,
) -> Compared {
    let first = nodes.first();
    if first.is_none_or(|it| protocol.replica(&it.endpoint, &it.dial, LIMIT).is_none()) {
        return Compared::Unknown("the target's description has no [replicas]".to_owned());
    }
    let until = Instant::now() + LIMIT_OF_ALL;
    let mut before: Option<Vec<Replica>> = None;
    loop {
        let told = match ask_all(protocol, nodes).await {
            Ok(told) => told,
            Err(why) if Instant::now() >= until => return Compared::Unknown(why),
            Err(_) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        let is_at_one = told.iter().all(|replica| replica.index == told[0].index);
        // Said twice, at the same index of the log.
        if before.as_ref() == Some(&told) && (is_at_one || Instant::now() >= until) {
            return judge(nodes, &told, now());
        }
        if Instant::now() >= until + PAUSE * 2 {
            return Compared::Unknown("what nodes had applied kept changing".to_owned());
        }
        before = Some(told);
        sleep(PAUSE).await;
    }
}

async fn ask_all(protocol: &dyn Protocol, nodes: &[InsideNode]) -> Result<Vec<Replica>, String> {
    let mut told = Vec::new();
    for node in nodes {
        let Some(mut probe) = protocol.replica(&node.endpoint, &node.dial, LIMIT) else {
            return Err("the target's description has no [replicas]".to_owned());
        };
        let replica = probe.replica().await;
        told.push(replica.map_err(|why| format!("{}: {why}", node.name()))?);
    }
    Ok(told)
}

fn judge(nodes: &[InsideNode], told: &[Replica], at: Nanoseconds) -> Compared {
    let names: Vec<&str> = nodes.iter().map(InsideNode::name).collect();
    let mut by_index: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, replica) in names.iter().zip(told) {
        by_index.entry(replica.index).or_default().push((name, &replica.digest));
    }
    let differing = by_index.iter().find(|(_, held)| held.iter().any(|it| it.1 != held[0].1));
    if let Some((index, held)) = differing {
        let held: Vec<String> =
            held.iter().map(|(name, digest)| format!("{name} {digest}")).collect();
        let sentence = format!(
            "nodes that had all applied {index} after everything had settled held different data; in \
             digests: {}",
            held.join(", ")
        );
        let finding = Finding::new(FindingKind::ReplicasDiffer, "replicas differ", sentence);
        return Compared::Different(Box::new(Finding { at_ns: Some(at), ..finding }));
    }
    match by_index.len() {
        0 | 1 => Compared::Equal,
        _ => {
            let said: Vec<String> =
                names.iter().zip(told).map(|(name, it)| format!("{name} {}", it.index)).collect();
            Compared::Unknown(format!("nodes had not applied the same: {}", said.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use partita_workloads::client::{Dial, Endpoint};

    use super::*;

    fn judged(told: &[(u64, &str)]) -> Compared {
        let dial: Dial = Arc::new(|_| Box::pin(async { Err(std::io::Error::other("nowhere")) }));
        let node = |number: usize| InsideNode {
            endpoint: Endpoint {
                node: format!("n{number}").into(),
                address: ([127, 0, 0, 1], 1).into(),
            },
            dial: Arc::clone(&dial),
            advertised: std::net::Ipv4Addr::LOCALHOST,
        };
        let nodes: Vec<InsideNode> = (1..=told.len()).map(node).collect();
        let told: Vec<Replica> = told
            .iter()
            .map(|(index, digest)| Replica { index: *index, digest: (*digest).to_owned() })
            .collect();
        judge(&nodes, &told, Nanoseconds(5))
    }

    #[test]
    fn nodes_are_compared_only_where_they_have_applied_the_same() {
        assert_eq!(judged(&[(7, "a"), (7, "a"), (7, "a")]), Compared::Equal);
        let Compared::Different(found) = judged(&[(7, "a"), (8, "b"), (7, "c")]) else {
            panic!("n1 and n3 differ");
        };
        assert!(found.sentence.contains("n1 a, n3 c"), "{}", found.sentence);
        let Compared::Unknown(why) = judged(&[(7, "a"), (8, "b"), (9, "c")]) else {
            panic!("nothing can be said");
        };
        assert!(why.contains("n2 8"), "{why}");
    }
}
