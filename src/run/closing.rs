//! Performs the workload's closing operations, after everything is healed: through every node, or, where
//! the target's description says that not every node answers, through any.

use std::sync::Arc;
use std::time::Duration;

use partita_workloads::Closing;
use partita_workloads::client::{ClientOptions, Endpoint, RetryPolicy};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use super::clients::{Load, Processes, perform};
use crate::targets::FinalReads;

/// How long a node may take to answer a closing operation, retries included.
const LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to do its part of all of them: a drain of many queues takes a while, and one
/// that never ends must not.
const LIMIT_OF_ALL: Duration = Duration::from_secs(60);

/// Time before an operation that did not come back is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Performs all of `closing` through all nodes, or through any. Returns a sentence for every node that
/// did not answer, or that none did.
pub async fn perform_all(load: &Arc<Load>, closing: Vec<Closing>) -> Vec<String> {
    let closing: Arc<[Closing]> = closing.into();
    let ways = match load.final_reads {
        FinalReads::EveryNode => load.endpoints.iter().map(|it| vec![it.clone()]).collect(),
        FinalReads::AnyNode => vec![leader_first(load)],
    };
    let mut closers = JoinSet::new();
    for (place, endpoints) in (0..).zip(ways) {
        let processes = Processes::of(load.clients + place, load.all_processes);
        let span = tracing::error_span!("closing", node = %endpoints[0].node);
        let (load, closing) = (Arc::clone(load), Arc::clone(&closing));
        closers.spawn(perform_through(load, endpoints, processes, closing).instrument(span));
    }
    let mut remarks: Vec<String> = closers.join_all().await.into_iter().flatten().collect();
    remarks.sort();
    remarks
}

/// All nodes, the one that leads first.
fn leader_first(load: &Load) -> Vec<Endpoint> {
    let leader = load.leader();
    let others = load.endpoints.iter().filter(|endpoint| Some(*endpoint) != leader);
    leader.into_iter().chain(others).cloned().collect()
}

/// Performs them through the first of `endpoints`, and through the next whenever one does not answer.
async fn perform_through(
    load: Arc<Load>,
    endpoints: Vec<Endpoint>,
    mut processes: Processes,
    closing: Arc<[Closing]>,
) -> Option<String> {
    let mut nodes = endpoints.iter().cycle();
    let mut endpoint = nodes.next()?;
    let end = Instant::now() + LIMIT_OF_ALL;
    let mut deadline = Instant::now() + LIMIT;
    let options = ClientOptions { retry: RetryPolicy::Never, ..load.options };
    let mut client = load.protocol.client(endpoint, &load.dial, options);
    for Closing { invocation, until } in closing.iter() {
        loop {
            let completion =
                perform(&load.recorder, client.as_mut(), endpoint, &mut processes, invocation)
                    .await;
            if completion.is_answer() {
                deadline = Instant::now() + LIMIT;
            }
            if until.is_met(&completion) {
                break;
            }
            let (node, pause) = (names(&endpoints), Instant::now() + PAUSE);
            if pause >= deadline {
                let limit = LIMIT.as_secs();
                return Some(format!("{node} did not answer a final operation within {limit} s"));
            }
            if pause >= end {
                let limit = LIMIT_OF_ALL.as_secs();
                return Some(format!("{node} did not end the final operations within {limit} s"));
            }
            if !completion.is_answer() {
                sleep(PAUSE).await;
                if endpoints.len() > 1 {
                    endpoint = nodes.next()?;
                    client = load.protocol.client(endpoint, &load.dial, options);
                }
            }
        }
    }
    tracing::info!(operations = closing.len(), "performed the closing operations");
    None
}

/// The names of nodes: `n1, n2, n3`.
fn names(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(|endpoint| &*endpoint.node).collect::<Vec<_>>().join(", ")
}
