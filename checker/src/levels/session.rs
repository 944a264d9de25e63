//! Session guarantees where it is known of every read what it saw.
//!
//! Each guarantee says two things: which writes a read must not miss, and which writes come in which
//! order for all. A history has it if there is one order of all writes, of all keys, in which every
//! read saw the last of the writes to its key that it must not miss, or a later one. As what must not
//! be missed does not depend on that order, each read that saw `w` asks for an edge to `w` from every
//! other write to its key that it must not miss, and the order exists exactly if the edges are in no
//! circle.
//!
//! | level | a read must not miss | the order of writes keeps |
//! | --- | --- | --- |
//! | read your writes | its session's writes before it | each session's writes to one key |
//! | monotonic reads | what its session read before it | nothing |
//! | monotonic writes | what the writer of something read so far had written before that | each session's writes |
//! | writes follow reads | what the writer of something read so far had read before that, and so on | what was read before what its reader wrote then |
//! | session | all of these, and so on: its causal past | the causal past |

use super::Level;
use super::graph::Graph;
use super::past::{Pasts, TooMuch};
use super::trace::{NONE, Source, Trace};
use crate::engines::{Cancellation, Stopped};

/// What came of it.
#[derive(Debug)]
pub(super) enum Found {
    /// An order of all writes that happened.
    Order(Vec<u32>),
    /// Operations that break the guarantee among themselves.
    Circle(Vec<u32>),
    /// What sessions knew does not fit into memory.
    TooMuch,
}

/// What a step of a circle rests on.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// The guarantee's own order.
    Plain,
    /// This read, which must not miss the first write and saw the second.
    Read(u32),
}

/// Decides whether the history has a session guarantee. `time` says when each write had surely taken
/// effect.
pub(super) fn decide(
    trace: &Trace,
    level: Level,
    time: &[u64],
    memory: usize,
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    if let Some(own) = reads_own_future(trace) {
        return Ok(Found::Circle(own));
    }
    // What writers knew has to be known before it is asked about. Where that goes in a circle, a
    // write came before what its writer had read, which breaks both of these guarantees.
    let order = match level {
        Level::Session | Level::WritesFollowReads => {
            let causal = causal(trace);
            match causal.sort(cancellation)? {
                Ok(order) => order,
                Err(left) => return circle_of(trace, &causal, &left, cancellation),
            }
        }
        _ => trace.sessions.iter().flatten().copied().collect(),
    };
    // By time, most histories are as they should be.
    let by_time = by_time(trace, time, cancellation)?;
    let mut rank = vec![NONE; trace.ops.len()];
    for (place, &write) in (0..).zip(&by_time) {
        rank[write as usize] = place;
    }
    let mut fits = is_causal(trace, &rank);
    let mut missed = None;
    let pasts = Pasts { trace, level, memory, cancellation };
    let walked = pasts.walk(&order, &mut |first, second, read| match second {
        Some(second) => fits &= rank[first as usize] < rank[second as usize],
        None => missed = missed.or(Some((first, read))),
    })?;
    if let Err(TooMuch) = walked {
        return Ok(Found::TooMuch);
    }
    if let Some((write, read)) = missed {
        return Ok(Found::Circle(pasts.reasons(write, read)?));
    }
    if fits {
        return Ok(Found::Order(by_time));
    }
    let mut graph = base(trace, level);
    let walked = pasts.walk(&order, &mut |first, second, read| {
        if let Some(second) = second {
            graph.add(first, second, Why::Read(read));
        }
    })?;
    debug_assert!(walked.is_ok(), "it went well before");
    match graph.sort(cancellation)? {
        Ok(order) => Ok(Found::Order(writes(trace, order))),
        Err(left) => {
            let mut all = Vec::new();
            let circle = graph.circle(&left, cancellation)?;
            for (number, why) in circle {
                all.push(trace.half(number));
                if let Why::Read(read) = why {
                    all.extend(pasts.reasons(number, read)?);
                }
            }
            Ok(Found::Circle(all))
        }
    }
}

fn circle_of(
    trace: &Trace,
    graph: &Graph<Why>,
    left: &[u32],
    cancellation: &Cancellation<'_>,
) -> Result<Found, Stopped> {
    let circle = graph.circle(left, cancellation)?;
    Ok(Found::Circle(circle.into_iter().map(|(number, _)| trace.half(number)).collect()))
}

/// A read that saw what its own session wrote only later, with that write.
fn reads_own_future(trace: &Trace) -> Option<Vec<u32>> {
    let own_future = |&number: &u32| match trace.op(number).source {
        Source::Write(write) => {
            let (read, write) = (trace.op(number), trace.op(write));
            read.session == write.session && write.at > read.at
        }
        _ => false,
    };
    let number = trace.kept().find(own_future)?;
    match trace.op(number).source {
        Source::Write(write) => Some(vec![number, write]),
        _ => None,
    }
}

fn writes(trace: &Trace, order: Vec<u32>) -> Vec<u32> {
    let is_op = |number: &u32| (*number as usize) < trace.ops.len();
    order.into_iter().filter(is_op).filter(|&it| trace.op(it).kept && trace.op(it).writes).collect()
}

fn by_time(
    trace: &Trace,
    time: &[u64],
    cancellation: &Cancellation<'_>,
) -> Result<Vec<u32>, Stopped> {
    let mut order: Vec<u32> = trace.kept().filter(|&it| trace.op(it).writes).collect();
    cancellation.spend(order.len())?;
    order.sort_unstable_by_key(|&write| (time[write as usize], write));
    Ok(order)
}

/// Whether writes come after all that their sessions had written and read before.
fn is_causal(trace: &Trace, rank: &[u32]) -> bool {
    trace.sessions.iter().all(|session| {
        let mut least = 0;
        session.iter().all(|&number| {
            let op = trace.op(number);
            if let Source::Write(write) = op.source {
                least = least.max(rank[write as usize] + 1);
            }
            let own = rank[number as usize];
            let fits = !op.writes || own >= least;
            if op.writes {
                least = own + 1;
            }
            fits
        })
    }) && trace.ordered.iter().all(|&(first, second)| rank[first as usize] < rank[second as usize])
        && trace.kept().all(|number| match trace.op(number).replaced {
            Source::Write(before) if trace.op(number).writes => {
                rank[before as usize] < rank[number as usize]
            }
            _ => true,
        })
}

/// What sessions did before, and what was written before it was read.
fn causal(trace: &Trace) -> Graph<Why> {
    let mut graph = Graph::new(trace.ops.len());
    for session in &trace.sessions {
        for pair in session.windows(2) {
            graph.add(pair[0], pair[1], Why::Plain);
        }
        for &place in session {
            if let Source::Write(write) = trace.op(place).source {
                graph.add(write, place, Why::Plain);
            }
        }
    }
    graph
}

/// The order of writes that the guarantee keeps, with reads where it passes through them. A read has
/// a number of its own beyond the operations, since an operation may read and write.
fn base(trace: &Trace, level: Level) -> Graph<Why> {
    let size = trace.ops.len() as u32;
    let mut graph = Graph::new(trace.ops.len() * 2);
    let mut last_of_key: Vec<(u32, u32)> = vec![(NONE, NONE); trace.keys];
    for (number, session) in (0..).zip(&trace.sessions) {
        let (mut last, mut last_write, mut last_read) = (None, None, None);
        for &place in session {
            let op = trace.op(place);
            if let Source::Write(write) = op.source {
                if level == Level::Session {
                    graph.add(write, place, Why::Plain);
                } else if level == Level::WritesFollowReads {
                    graph.add(write, size + place, Why::Plain);
                    if let Some(read) = last_read.replace(size + place) {
                        graph.add(read, size + place, Why::Plain);
                    }
                }
            }
            let before = match level {
                Level::Session => last,
                Level::MonotonicWrites => last_write.filter(|_| op.writes),
                Level::WritesFollowReads => last_read.filter(|_| op.writes),
                Level::ReadYourWrites => {
                    let (session, write) = last_of_key[op.key as usize];
                    (op.writes && session == number).then_some(write)
                }
                _ => None,
            };
            if let Some(before) = before {
                graph.add(before, place, Why::Plain);
            }
            // What an operation replaced comes before what it wrote.
            if let (Source::Write(before), true) = (op.replaced, op.writes) {
                graph.add(before, place, Why::Plain);
            }
            last = Some(place);
            if op.writes {
                last_write = Some(place);
                last_of_key[op.key as usize] = (number, place);
            }
        }
    }
    for &(first, second) in &trace.ordered {
        graph.add(first, second, Why::Plain);
    }
    graph
}
