//! Edges from what transactions read and wrote, where the order of versions is known.

use super::data::{INITIAL, Lists, NONE, OperationKind, Transactions};
use super::graph::{Edges, Graph, kind};
use super::order::Order;
use crate::engines::{Cancellation, Stopped};

/// The graph of all dependencies, sessions and real time.
pub(crate) fn graph(
    read: &Transactions<'_>,
    order: &Order,
    cancellation: &Cancellation<'_>,
) -> Result<Graph, Stopped> {
    let mut edges = Edges::new(&order.effective, 3 * read.micro.len() + 4 * read.all.len());
    let unseen = unseen_writers(read, order);
    let writer = |version: u32| read.versions[version as usize].transaction;
    for key in 0..read.keys.len() as u32 {
        cancellation.spend(1 + order.observed.of(key).len())?;
        for pair in order.observed.of(key).windows(2) {
            edges.add(writer(pair[0]), writer(pair[1]), kind::WW);
        }
        if let Some(&last) = order.observed.of(key).last() {
            edges.add_all(&[writer(last)], unseen.of(key), kind::WW);
        }
    }
    // Who read the last version that was seen of a key.
    let mut last_readers: Vec<(u32, u32)> = Vec::new();
    for reader in (0..read.all.len() as u32).filter(|one| order.effective[*one as usize]) {
        for one in read.of(reader) {
            cancellation.step()?;
            if one.act != OperationKind::Read || one.version == NONE {
                continue;
            }
            let place = match one.version {
                INITIAL => 0,
                version => {
                    edges.add(writer(version), reader, kind::WR);
                    order.position[version as usize] as usize + 1
                }
            };
            match order.observed.of(one.key).get(place) {
                Some(&next) => edges.add(reader, writer(next), kind::RW),
                None if !unseen.of(one.key).is_empty() => last_readers.push((one.key, reader)),
                None => {}
            }
        }
    }
    let last_readers = Lists::new(read.keys.len(), last_readers.iter().copied());
    for key in 0..read.keys.len() as u32 {
        edges.add_all(last_readers.of(key), unseen.of(key), kind::RW);
    }
    edges.add_times(read);
    Ok(edges.graph())
}

/// Who wrote the versions of every key that nobody saw, each once.
fn unseen_writers(read: &Transactions<'_>, order: &Order) -> Lists {
    let mut pairs = Vec::new();
    for key in 0..order.unseen.len() as u32 {
        let mut last = NONE;
        for &version in order.unseen.of(key) {
            let writer = read.versions[version as usize].transaction;
            // Versions are numbered by transactions.
            if writer != last {
                pairs.push((key, writer));
            }
            last = writer;
        }
    }
    Lists::new(read.keys.len(), pairs.iter().copied())
}

/// The nodes of those who wrote the versions of every key that nobody saw, each once.
pub(crate) fn unseen_nodes(read: &Transactions<'_>, order: &Order, graph: &Graph) -> Lists {
    let writers = unseen_writers(read, order);
    let mut pairs = Vec::new();
    for key in 0..writers.len() as u32 {
        for writer in writers.of(key) {
            let node = graph.transactions.binary_search(writer);
            pairs.extend(node.ok().map(|node| (key, node as u32)));
        }
    }
    Lists::new(writers.len(), pairs.iter().copied())
}
