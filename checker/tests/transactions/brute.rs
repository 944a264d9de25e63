//! The definitions of the levels, tried on all orders. Knows nothing of graphs.

use std::collections::BTreeMap;

use partita_checker::EventKind;
use partita_checker::isolation::IsolationLevel as Level;

use crate::drawn::{Drawn, KEYS, Micro, Transaction};

/// Which levels the history keeps.
pub(crate) fn levels(drawn: &Drawn) -> BTreeMap<Level, bool> {
    let mut holds: BTreeMap<Level, bool> = Level::all().map(|level| (level, false)).collect();
    let unknown: Vec<usize> = places(drawn, EventKind::Info);
    for chosen in 0..1_u32 << unknown.len() {
        let mut happened = places(drawn, EventKind::Ok);
        let picked = unknown.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        happened.extend(picked.map(|(_, place)| *place));
        let all: Vec<&Transaction> =
            happened.iter().map(|place| &drawn.transactions[*place]).collect();
        permute(all.len(), &mut |order| {
            let order: Vec<&Transaction> = order.iter().map(|place| all[*place]).collect();
            let one = Order { lists: drawn.lists, order };
            for (level, holds) in &mut holds {
                *holds = *holds || one.keeps(*level);
            }
        });
    }
    holds
}

fn places(drawn: &Drawn, kind: EventKind) -> Vec<usize> {
    (0..drawn.transactions.len()).filter(|at| drawn.transactions[*at].kind == kind).collect()
}

/// Calls with every permutation of so many places.
fn permute(count: usize, call: &mut dyn FnMut(&[usize])) {
    fn go(done: &mut Vec<usize>, count: usize, call: &mut dyn FnMut(&[usize])) {
        if done.len() == count {
            return call(done);
        }
        for next in 0..count {
            if !done.contains(&next) {
                done.push(next);
                go(done, count, call);
                done.pop();
            }
        }
    }
    go(&mut Vec::new(), count, call);
}

/// Transactions that took effect, in the order in which they committed.
struct Order<'a> {
    lists: bool,
    order: Vec<&'a Transaction>,
}

type Store = Vec<Vec<i64>>;

impl Order<'_> {
    fn keeps(&self, level: Level) -> bool {
        match level {
            Level::Serializable => self.serial(),
            Level::StrongSessionSerializable => self.sessions() && self.serial(),
            Level::StrictSerializable => self.real_time() && self.serial(),
            Level::SnapshotIsolation => self.snapshots(false),
            Level::StrongSessionSnapshotIsolation => self.sessions() && self.snapshots(true),
            Level::ReadCommitted => self.versions(level),
            Level::MonotonicAtomicView | Level::ReadAtomic => {
                self.versions(level) && (level != Level::ReadAtomic || self.repeats())
            }
            Level::Causal => self.sessions() && self.versions(level) && self.repeats(),
        }
    }

    fn sessions(&self) -> bool {
        self.pairs(|first, later| first.process != later.process || first.invoked < later.invoked)
    }

    fn real_time(&self) -> bool {
        self.pairs(|first, later| later.kind != EventKind::Ok || later.returned > first.invoked)
    }

    /// Whether something is so of every two transactions, in their order.
    fn pairs(&self, is_so: impl Fn(&Transaction, &Transaction) -> bool) -> bool {
        (0..self.order.len())
            .all(|later| (0..later).all(|at| is_so(self.order[at], self.order[later])))
    }

    fn shown(&self, held: &[i64]) -> Vec<i64> {
        if self.lists { held.to_vec() } else { held.last().copied().into_iter().collect() }
    }

    /// Whether the transaction may answer so from a store, and the store after it.
    fn run(&self, one: &Transaction, store: &mut Store) -> bool {
        one.micro.iter().all(|micro| match micro {
            Micro::Write(key, value) => {
                store[*key].push(*value);
                true
            }
            Micro::Read(..) if one.kind != EventKind::Ok => true,
            Micro::Read(key, answer) => *answer == self.shown(&store[*key]),
        })
    }

    fn serial(&self) -> bool {
        let mut store = vec![Vec::new(); KEYS];
        self.order.iter().all(|one| self.run(one, &mut store))
    }

    /// Whether there are snapshots: each transaction reads what those before its start left, and
    /// none that wrote the same key commits between its start and its commit.
    fn snapshots(&self, sessions: bool) -> bool {
        (0..self.order.len()).all(|at| {
            let one = self.order[at];
            (0..=at).any(|start| {
                let mut store = vec![Vec::new(); KEYS];
                for before in &self.order[..start] {
                    for (key, value) in writes(before) {
                        store[key].push(value);
                    }
                }
                let mut between = self.order[start..at].iter();
                let conflicts = between.any(|other| {
                    writes(other).any(|(key, _)| writes(one).any(|(own, _)| own == key))
                });
                let forgets = sessions
                    && self.order[start..at].iter().any(|other| other.process == one.process);
                !conflicts && !forgets && self.run(one, &mut store)
            })
        })
    }

    /// Whether every read shows a version that the commit order makes and that may be read.
    fn versions(&self, level: Level) -> bool {
        (0..self.order.len())
            .all(|at| self.order[at].kind != EventKind::Ok || self.reads(at, level))
    }

    fn reads(&self, at: usize, level: Level) -> bool {
        let one = self.order[at];
        let mut own: Vec<(usize, i64)> = Vec::new();
        // The place in the order of the writer of every read of others, with the key.
        let mut seen: Vec<(usize, Option<usize>)> = Vec::new();
        for micro in &one.micro {
            match micro {
                Micro::Write(key, value) => own.push((*key, *value)),
                Micro::Read(key, answer) => {
                    let mine: Vec<i64> =
                        own.iter().filter(|it| it.0 == *key).map(|it| it.1).collect();
                    let Some(writer) = self.writer(at, *key, answer, &mine) else { return false };
                    if mine.is_empty() {
                        seen.push((*key, writer));
                    }
                }
            }
        }
        // A writer that is read from commits before.
        seen.iter().all(|(_, writer)| writer.is_none_or(|writer| writer < at))
            && (0..seen.len()).all(|place| {
                let (key, writer) = seen[place];
                self.before(at, &seen, place, level).into_iter().all(|other| {
                    let writes_key = writes(self.order[other]).any(|(of, _)| of == key);
                    !writes_key || writer.is_some_and(|writer| other <= writer)
                })
            })
    }

    /// What a read at that place of a transaction must not miss.
    fn before(
        &self,
        at: usize,
        seen: &[(usize, Option<usize>)],
        place: usize,
        level: Level,
    ) -> Vec<usize> {
        let writers = |seen: &[(usize, Option<usize>)]| -> Vec<usize> {
            seen.iter().filter_map(|(_, writer)| *writer).collect()
        };
        match level {
            Level::MonotonicAtomicView => writers(&seen[..place]),
            Level::ReadAtomic => writers(seen),
            Level::Causal => {
                let mut past = vec![false; self.order.len()];
                self.past(at, &mut past);
                (0..past.len()).filter(|other| past[*other]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What happened before, by sessions and reads.
    fn past(&self, at: usize, past: &mut Vec<bool>) {
        for other in 0..self.order.len() {
            let session = self.order[other].process == self.order[at].process
                && self.order[other].invoked < self.order[at].invoked;
            let read = self.order[at].kind == EventKind::Ok && self.reads_from(at).contains(&other);
            if (session || read) && !past[other] {
                past[other] = true;
                self.past(other, past);
            }
        }
    }

    fn reads_from(&self, at: usize) -> Vec<usize> {
        let one = self.order[at];
        let wrote = |micro: &[Micro], key: usize| {
            micro.iter().any(|it| matches!(it, Micro::Write(of, _) if *of == key))
        };
        let reads = one.micro.iter().enumerate().filter_map(|(place, micro)| match micro {
            Micro::Read(key, answer) if !wrote(&one.micro[..place], *key) => {
                let last = *answer.last()?;
                let made = |it: &&Transaction| writes(it).any(|write| write == (*key, last));
                self.order.iter().position(made)
            }
            _ => None,
        });
        reads.collect()
    }

    /// Whose version the answer is, `None` inside for the initial one; nothing if it is no version.
    fn writer(&self, at: usize, key: usize, answer: &[i64], mine: &[i64]) -> Option<Option<usize>> {
        if !mine.is_empty() && !self.lists {
            return (self.shown(mine) == answer).then_some(None);
        }
        let mut held: Vec<i64> = Vec::new();
        let mut last = None;
        for (place, other) in self.order.iter().enumerate() {
            // Its own version, or one that comes before it, as far as it has written.
            if place == at && !mine.is_empty() {
                held.extend(mine);
                return (held == answer).then_some(last);
            }
            if held == answer && mine.is_empty() || !self.lists && self.shown(&held) == answer {
                return Some(last);
            }
            let more: Vec<i64> =
                writes(other).filter(|(of, _)| *of == key).map(|(_, value)| value).collect();
            if !more.is_empty() {
                held.extend(more);
                last = Some(place);
            }
        }
        (mine.is_empty() && self.shown(&held) == answer).then_some(last)
    }

    /// Whether no transaction sees two versions of a key besides its own.
    fn repeats(&self) -> bool {
        self.order.iter().filter(|one| one.kind == EventKind::Ok).all(|one| {
            (0..KEYS).all(|key| {
                let (mut mine, mut seen) = (0, None);
                one.micro.iter().all(|micro| match micro {
                    Micro::Write(of, _) => {
                        mine += usize::from(*of == key);
                        true
                    }
                    Micro::Read(of, answer) if *of == key && (self.lists || mine == 0) => {
                        let others = answer.len().saturating_sub(mine);
                        let now = if self.lists { &answer[..others] } else { &answer[..] };
                        *seen.get_or_insert(now) == now
                    }
                    Micro::Read(..) => true,
                })
            })
        })
    }
}

fn writes(one: &Transaction) -> impl Iterator<Item = (usize, i64)> + '_ {
    one.micro.iter().filter_map(|micro| match micro {
        Micro::Write(key, value) => Some((*key, *value)),
        Micro::Read(..) => None,
    })
}
