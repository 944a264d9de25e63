//! Reads every key through every node, after everything is healed.
//!
//! Whatever was acknowledged must still be there, and every node must say so; this is where a lost
//! write shows that no client happened to read in time.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::{EventKind, Value};
use partita_workloads::Invocation;
use partita_workloads::client::RespClient;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::clients::{Endpoint, Load, Processes, perform};

/// How long a node may take to answer all of its final reads, retries included.
const LIMIT: Duration = Duration::from_secs(10);

/// Time before a read that did not come back is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads all `keys` through all nodes. Returns a sentence for every node that would not answer.
pub async fn read_all(load: &Arc<Load>, keys: &[Value]) -> Vec<String> {
    let keys: Arc<[Value]> = keys.into();
    let mut readers = JoinSet::new();
    for (place, endpoint) in load.endpoints.iter().enumerate() {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let processes = Processes::of(load.clients + place, load.all_processes);
        readers.spawn(read_through(
            Arc::clone(load),
            endpoint.clone(),
            processes,
            Arc::clone(&keys),
        ));
    }
    let mut troubles: Vec<String> = readers.join_all().await.into_iter().flatten().collect();
    troubles.sort();
    troubles
}

async fn read_through(
    load: Arc<Load>,
    endpoint: Endpoint,
    mut processes: Processes,
    keys: Arc<[Value]>,
) -> Option<String> {
    let deadline = Instant::now() + LIMIT;
    let mut client = RespClient::new(Arc::clone(&load.dial), endpoint.address, load.limits);
    for key in keys.iter() {
        let read = Invocation::read(key.clone());
        loop {
            let completion =
                perform(&load.recorder, &mut client, &endpoint, &mut processes, &read).await;
            if completion.kind() == EventKind::Ok {
                break;
            }
            if Instant::now() + PAUSE >= deadline {
                return Some(format!(
                    "{} did not answer the final reads within {} s of the heal",
                    endpoint.name,
                    LIMIT.as_secs()
                ));
            }
            sleep(PAUSE).await;
        }
    }
    None
}
