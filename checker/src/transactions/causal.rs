//! Causal consistency, where the order of versions is known.
//!
//! Every transaction has a clock: how many transactions of every process happened before it. What is
//! the newest version of a key in a past is looked up process by process, in lists of the versions
//! that each wrote. After Bouajjani, Enea, Guerraoui and Hamza, *On Verifying Causal Consistency*
//! (POPL 2017).

use rustc_hash::FxHashMap;

use super::cycles::DependencyEdge;
use super::data::{INITIAL, NONE, OperationKind, Transactions};
use super::graph::{Graph, kind};
use super::order::Order;
use crate::engines::{Cancellation, Stopped};

/// What came of it.
pub(crate) enum CausalCheck {
    /// Nobody misses anything.
    Kept,
    /// A cycle of what happened before a reader, and what it missed of that.
    Missed(Vec<DependencyEdge>),
    /// The clocks need more memory than there is.
    TooLarge,
}

/// Looks for a read that misses what happened before it. The graph has no cycle of sessions and
/// reads, and `sorted` is an order of its nodes that follows these.
pub(crate) fn examine(
    (read, order, graph): (&Transactions<'_>, &Order, &Graph),
    sorted: &[u32],
    memory: usize,
    cancellation: &Cancellation<'_>,
) -> Result<CausalCheck, Stopped> {
    let nodes = graph.transactions.len();
    let sessions = Sessions::new(read, graph);
    let width = sessions.count;
    if nodes.saturating_mul(width).saturating_mul(size_of::<u32>()) > memory {
        return Ok(CausalCheck::TooLarge);
    }
    let written = Written::new(read, order, graph, &sessions);
    let mut clocks = vec![0_u32; nodes * width];
    for &node in sorted.iter().filter(|node| graph.is_transaction(**node)) {
        cancellation.spend(width)?;
        let own = node as usize * width..(node as usize + 1) * width;
        let reader = graph.transactions[node as usize];
        let clock: Vec<u32> = clocks[own.clone()].to_vec();
        for one in read.of(reader).iter().filter(|one| one.act == OperationKind::Read) {
            if one.version == NONE {
                continue;
            }
            let age = match one.version {
                INITIAL => 0,
                version => order.position[version as usize] + 1,
            };
            cancellation.spend(width)?;
            if let Some(writer) = written.newer(one.key, age, &clock) {
                let writer_node = graph.transactions.binary_search(&writer).unwrap_or(0);
                let mut links = path(graph, writer_node as u32, node);
                links.push(DependencyEdge { from: reader, to: writer, kind: kind::RW });
                return Ok(CausalCheck::Missed(links));
            }
        }
        // What comes after it knows it and all that it knows.
        clocks[node as usize * width + sessions.of[node as usize] as usize] =
            sessions.place[node as usize] + 1;
        let known: Vec<u32> = clocks[own].to_vec();
        for (to, kind) in graph.edges(node) {
            if kind & (kind::WR | kind::SESSION) == 0 {
                continue;
            }
            cancellation.spend(width)?;
            let later = &mut clocks[to as usize * width..(to as usize + 1) * width];
            for (mine, other) in later.iter_mut().zip(&known) {
                *mine = (*mine).max(*other);
            }
        }
    }
    Ok(CausalCheck::Kept)
}

/// A shortest way by sessions and reads.
pub(crate) fn path(graph: &Graph, from: u32, to: u32) -> Vec<DependencyEdge> {
    let mut came: FxHashMap<u32, (u32, u8)> = FxHashMap::default();
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        for (next, kind) in graph.edges(node) {
            if kind & (kind::WR | kind::SESSION) != 0 && next != from && !came.contains_key(&next) {
                came.insert(next, (node, kind));
                queue.push_back(next);
            }
        }
    }
    let mut links = Vec::new();
    let mut at = to;
    while let Some(&(before, kind)) = came.get(&at).filter(|_| at != from) {
        let [a, b] = [before, at].map(|node| graph.transactions[node as usize]);
        links.push(DependencyEdge { from: a, to: b, kind });
        at = before;
    }
    links.reverse();
    links
}

/// Which transaction is number how much of which process.
pub(crate) struct Sessions {
    pub(crate) count: usize,
    /// The process of every node, numbered anew.
    pub(crate) of: Vec<u32>,
    /// Its place among those of its process.
    pub(crate) place: Vec<u32>,
}

impl Sessions {
    pub(crate) fn new(read: &Transactions<'_>, graph: &Graph) -> Self {
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut lengths: Vec<u32> = Vec::new();
        let (mut of, mut place) = (Vec::new(), Vec::new());
        for transaction in &graph.transactions {
            let process = read.all[*transaction as usize].process;
            let next = numbers.len() as u32;
            let number = *numbers.entry(process).or_insert(next);
            if number == next {
                lengths.push(0);
            }
            of.push(number);
            place.push(lengths[number as usize]);
            lengths[number as usize] += 1;
        }
        Self { count: lengths.len(), of, place }
    }
}

/// One process's writes of one key: their places in the process, how new the newest version is up to
/// each, and who wrote that.
type Writes = Vec<(u32, u32, u32)>;

/// For every key, the processes that wrote it, with what they wrote.
struct Written(Vec<Vec<(u32, Writes)>>);

impl Written {
    fn new(read: &Transactions<'_>, order: &Order, graph: &Graph, sessions: &Sessions) -> Self {
        let mut keys: Vec<Vec<(u32, Writes)>> = vec![Vec::new(); read.keys.len()];
        let mut slots: FxHashMap<(u32, u32), usize> = FxHashMap::default();
        for (node, &writer) in graph.transactions.iter().enumerate() {
            let (session, place) = (sessions.of[node], sessions.place[node]);
            for one in read.of(writer).iter().filter(|one| one.act == OperationKind::Write) {
                let of_key = &mut keys[one.key as usize];
                let slot = *slots.entry((one.key, session)).or_insert_with(|| {
                    of_key.push((session, Vec::new()));
                    of_key.len() - 1
                });
                let writes = &mut of_key[slot].1;
                let age = order.position[one.version as usize].saturating_add(1);
                let newest = match writes.last() {
                    Some(&(_, known, who)) if known > age => (place, known, who),
                    _ => (place, age, writer),
                };
                writes.push(newest);
            }
        }
        Self(keys)
    }

    /// Who wrote a version of the key that is newer than so many, in what the clock tells of.
    fn newer(&self, key: u32, age: u32, clock: &[u32]) -> Option<u32> {
        self.0[key as usize].iter().find_map(|(session, writes)| {
            let known = writes.partition_point(|(place, ..)| *place < clock[*session as usize]);
            let (_, newest, writer) = *writes.get(known.checked_sub(1)?)?;
            (newest > age).then_some(writer)
        })
    }
}
