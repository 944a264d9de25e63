//! Performs the workload's closing operations through every node, after everything is healed.

use std::sync::Arc;
use std::time::Duration;

use partita_workloads::Closing;
use partita_workloads::client::{ClientOptions, Endpoint, RetryPolicy};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use super::clients::{Load, Processes, perform};

/// How long a node may take to answer a closing operation, retries included.
const LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to do its part of all of them: a drain of many queues takes a while, and one
/// that never ends must not.
const LIMIT_OF_ALL: Duration = Duration::from_secs(60);

/// Time before an operation that did not come back is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Performs all of `closing` through all nodes. Returns a sentence for every node that did not answer.
pub async fn perform_all(load: &Arc<Load>, closing: Vec<Closing>) -> Vec<String> {
    let closing: Arc<[Closing]> = closing.into();
    let mut closers = JoinSet::new();
    for (place, endpoint) in load.endpoints.iter().enumerate() {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let processes = Processes::of(load.clients + place, load.all_processes);
        let span = tracing::error_span!("closing", node = %endpoint.node);
        let (load, closing) = (Arc::clone(load), Arc::clone(&closing));
        let through = perform_through(load, endpoint.clone(), processes, closing);
        closers.spawn(through.instrument(span));
    }
    let mut remarks: Vec<String> = closers.join_all().await.into_iter().flatten().collect();
    remarks.sort();
    remarks
}

async fn perform_through(
    load: Arc<Load>,
    endpoint: Endpoint,
    mut processes: Processes,
    closing: Arc<[Closing]>,
) -> Option<String> {
    let end = Instant::now() + LIMIT_OF_ALL;
    let mut deadline = Instant::now() + LIMIT;
    let options = ClientOptions { retry: RetryPolicy::Never, ..load.options };
    let mut client = load.protocol.client(&endpoint, &load.dial, options);
    for Closing { invocation, until } in closing.iter() {
        loop {
            let completion =
                perform(&load.recorder, client.as_mut(), &endpoint, &mut processes, invocation)
                    .await;
            if completion.is_answer() {
                deadline = Instant::now() + LIMIT;
            }
            if until.is_met(&completion) {
                break;
            }
            let (node, pause) = (&endpoint.node, Instant::now() + PAUSE);
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
            }
        }
    }
    tracing::info!(operations = closing.len(), "performed the closing operations");
    None
}
