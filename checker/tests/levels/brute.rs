//! Small histories, and levels by trying out all orders: as slow and as plain as can be.

use std::collections::BTreeMap;

use partita_checker::levels::Staleness;
use partita_checker::{Event, History, Level};

/// What an operation does; values are numbers, and nothing is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Read(Option<i64>),
    Write(i64),
    Cas(Option<i64>, i64),
    /// It found another value than the first; it says which, or not.
    Mismatch(Option<i64>, Option<Option<i64>>),
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) session: u32,
    pub(crate) key: u8,
    pub(crate) act: Act,
    pub(crate) invoked: u64,
    /// Nothing if nobody knows whether it happened.
    pub(crate) returned: Option<u64>,
    pub(crate) level: Option<Level>,
}

#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) ops: Vec<Op>,
}

/// Makes a history of steps: which session, what, on which key, with which values, and what comes of
/// it. A session's next step ends what it has begun.
pub(crate) fn draw(steps: &[(u32, u8, u8, i64, i64, u8)], unique: bool) -> Drawn {
    let mut ops: Vec<Op> = Vec::new();
    let mut open: [Option<usize>; 3] = [None; 3];
    let mut session = [0, 1, 2];
    let mut next = 10;
    let mut written: Vec<(u8, i64)> = Vec::new();
    for (at, &(client, kind, key, one, other, outcome)) in (0_u64..).zip(steps) {
        let place = client as usize;
        if let Some(number) = open[place].take() {
            match outcome {
                0 => {
                    session[place] += 3;
                }
                _ => ops[number].returned = Some(at),
            }
            continue;
        }
        let mut fresh = |value| {
            if unique {
                next += 1;
                next
            } else {
                value
            }
        };
        // What is read was written, as a rule, to the same key.
        let known: Vec<i64> =
            written.iter().filter(|(on, _)| *on == key).map(|(_, value)| *value).collect();
        let pick = |number: i64| match known.len() {
            0 => None,
            count => known.get(number as usize % (count + 1)).copied(),
        };
        let act = match kind {
            0..=5 if unique => Act::Read(pick(one)),
            0..=5 => Act::Read((one > 0).then_some(one)),
            6..=8 => Act::Write(fresh(one)),
            9 if unique => Act::Cas(pick(one), fresh(other)),
            9 => Act::Cas((one > 0).then_some(one), other),
            10 if other < 3 => Act::Mismatch(Some(77), Some(pick(one))),
            10 if !unique => Act::Mismatch((one > 0).then_some(one), None),
            11 if !unique => Act::Delete,
            _ => Act::Write(fresh(one)),
        };
        if let Act::Write(value) | Act::Cas(_, value) = act {
            written.push((key, value));
        }
        open[place] = Some(ops.len());
        let (session, returned, level) = (session[place], None, None);
        ops.push(Op { session, key, act, invoked: at, returned, level });
    }
    // Reads that did not come back say nothing.
    ops.retain(|op| op.returned.is_some() || !matches!(op.act, Act::Read(_) | Act::Mismatch(..)));
    Drawn { ops }
}

impl Drawn {
    /// With levels for some reads.
    pub(crate) fn marked(mut self, marks: &[u8]) -> Self {
        for (op, mark) in self.ops.iter_mut().zip(marks) {
            let level = match mark {
                1 => Level::Stale(Staleness::Any),
                2 => Level::Stale(Staleness::Time(partita_checker::Nanoseconds(3))),
                3 => Level::Stale(Staleness::Versions(1)),
                4 => Level::MonotonicReads,
                5 => Level::ReadYourWrites,
                _ => continue,
            };
            op.level = matches!(op.act, Act::Read(_)).then_some(level);
        }
        self
    }

    pub(crate) fn history(&self) -> History {
        let mut lines: Vec<(u64, String)> = Vec::new();
        let text = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        for op in &self.ops {
            let (function, asked, answer, more) = match op.act {
                Act::Read(value) => ("read", "null".to_owned(), text(value), String::new()),
                Act::Write(value) => ("write", text(Some(value)), text(Some(value)), String::new()),
                Act::Delete => ("delete", "null".to_owned(), "null".to_owned(), String::new()),
                Act::Cas(old, new) => {
                    let pair = format!("[{},{new}]", text(old));
                    ("cas", pair.clone(), pair, ",\"swapped\":true".to_owned())
                }
                Act::Mismatch(old, saw) => {
                    let pair = format!("[{},99]", text(old));
                    let saw = saw.map_or(String::new(), |saw| format!(",\"saw\":{}", text(saw)));
                    ("cas", pair.clone(), pair, format!(",\"swapped\":false{saw}"))
                }
            };
            let level = op.level.map_or(String::new(), |level| format!(",\"level\":\"{level}\""));
            let line = |at: u64, kind, value: &str, more: &str| {
                // Times differ from positions, so that there is a clock, and keep their order.
                let time = at + 1;
                let (session, key) = (op.session, op.key);
                format!(
                    r#"{{"index":{at},"time":{time},"process":{session},"type":"{kind}","f":"{function}","key":"k{key}","value":{value}{more}{level}}}"#
                )
            };
            lines.push((op.invoked, line(op.invoked, "invoke", &asked, "")));
            if let Some(at) = op.returned {
                lines.push((at, line(at, "ok", &answer, &more)));
            }
        }
        lines.sort();
        let event =
            |(_, line): &(u64, String)| serde_json::from_str::<Event>(line).expect("an event");
        History::from_events(lines.iter().map(event)).expect("a history")
    }
}

/// Whether the history is of the level, by its definition.
pub(crate) fn holds(drawn: &Drawn, level: Level) -> bool {
    let ops = &drawn.ops;
    match level {
        Level::Sequential => {
            let before = |a: &Op, b: &Op| a.session == b.session && a.invoked < b.invoked;
            ordered(ops, &before, &|_| 0)
        }
        Level::Linearizable | Level::Stale(_) => (0..2).all(|key| {
            let own: Vec<Op> = ops.iter().filter(|op| op.key == key).copied().collect();
            let level_of = |op: &Op| match op.act {
                Act::Read(_) => op.level.unwrap_or(level),
                _ => Level::Linearizable,
            };
            let before = |a: &Op, b: &Op| {
                let Some(returned) = a.returned else { return false };
                let strict = returned < b.invoked;
                let promised = a.session == b.session
                    && match level_of(b) {
                        Level::MonotonicReads => matches!(a.act, Act::Read(_)),
                        Level::ReadYourWrites => !matches!(a.act, Act::Read(_) | Act::Mismatch(..)),
                        _ => false,
                    };
                match level_of(b) {
                    Level::Stale(Staleness::Time(time)) => returned + time.0 < b.invoked,
                    Level::Stale(Staleness::Any) => false,
                    Level::MonotonicReads | Level::ReadYourWrites => strict && promised,
                    _ => strict,
                }
            };
            let late = |op: &Op| match level_of(op) {
                Level::Stale(Staleness::Versions(versions)) => versions as usize,
                _ => 0,
            };
            ordered(&own, &before, &late)
        }),
        _ => guaranteed(ops, level),
    }
}

type Register = BTreeMap<u8, Vec<Option<i64>>>;

/// Whether some order of the operations keeps what must come before what, and explains all answers,
/// some of which may be late by some versions.
fn ordered(ops: &[Op], before: &dyn Fn(&Op, &Op) -> bool, late: &dyn Fn(&Op) -> usize) -> bool {
    fn go(
        ops: &[Op],
        left: &[usize],
        states: &Register,
        before: &dyn Fn(&Op, &Op) -> bool,
        late: &dyn Fn(&Op) -> usize,
    ) -> bool {
        if left.iter().all(|&at| ops[at].returned.is_none()) {
            return true;
        }
        left.iter().any(|&at| {
            let op = &ops[at];
            if left.iter().any(|&other| other != at && before(&ops[other], op)) {
                return false;
            }
            let states_of_key = states.get(&op.key).cloned().unwrap_or_else(|| vec![None]);
            let now = *states_of_key.last().expect("one");
            let mut window = states_of_key.iter().rev().take(late(op) + 1);
            let after = match op.act {
                Act::Read(value) => window.any(|state| *state == value).then_some(None),
                Act::Write(value) => Some(Some(Some(value))),
                Act::Delete => Some(Some(None)),
                Act::Cas(old, new) if old == now => Some(Some(Some(new))),
                // Of unknown outcome, it does nothing.
                Act::Cas(..) => op.returned.is_none().then_some(None),
                Act::Mismatch(old, saw) => {
                    (now != old && saw.is_none_or(|saw| saw == now)).then_some(None)
                }
            };
            let Some(after) = after else { return false };
            let mut next = states.clone();
            if let Some(state) = after {
                let mut grown = states_of_key;
                grown.push(state);
                next.insert(op.key, grown);
            }
            let rest: Vec<usize> = left.iter().copied().filter(|other| *other != at).collect();
            go(ops, &rest, &next, before, late)
        })
    }
    let all: Vec<usize> = (0..ops.len()).collect();
    go(ops, &all, &Register::new(), before, late)
}

/// Whether a session guarantee holds with something that each operation may have seen, and some order
/// of all writes.
fn guaranteed(ops: &[Op], level: Level) -> bool {
    let written = |op: &Op| match op.act {
        Act::Write(value) | Act::Cas(_, value) => Some(Some(value)),
        Act::Delete => Some(None),
        _ => None,
    };
    let accepts = |op: &Op, value: Option<i64>| match op.act {
        Act::Read(seen) | Act::Cas(seen, _) => seen == value,
        Act::Mismatch(_, Some(saw)) => saw == value,
        Act::Mismatch(old, None) => old != value,
        _ => false,
    };
    let sees = |op: &Op| !matches!(op.act, Act::Write(_) | Act::Delete);
    // Which of the operations of unknown outcome happened.
    let unknown: Vec<usize> = (0..ops.len()).filter(|&at| ops[at].returned.is_none()).collect();
    (0..1_u32 << unknown.len()).any(|chosen| {
        let happened = |at: &usize| match unknown.iter().position(|other| other == at) {
            None => true,
            Some(bit) => chosen >> bit & 1 == 1,
        };
        let kept: Vec<usize> = (0..ops.len()).filter(happened).collect();
        let writes: Vec<usize> =
            kept.iter().copied().filter(|&at| written(&ops[at]).is_some()).collect();
        let readers: Vec<usize> = kept.iter().copied().filter(|&at| sees(&ops[at])).collect();
        let sources = |&at: &usize| -> Vec<Option<usize>> {
            let mut found: Vec<Option<usize>> = writes
                .iter()
                .filter(|&&write| {
                    write != at
                        && ops[write].key == ops[at].key
                        && accepts(&ops[at], written(&ops[write]).expect("a write"))
                })
                .map(|&write| Some(write))
                .collect();
            if accepts(&ops[at], None) {
                found.push(None);
            }
            found
        };
        let choices: Vec<Vec<Option<usize>>> = readers.iter().map(sources).collect();
        assignments(&choices).into_iter().any(|seen| {
            let saw: BTreeMap<usize, Option<usize>> = readers.iter().copied().zip(seen).collect();
            with_sources(ops, &kept, &writes, &saw, level)
        })
    })
}

fn assignments(choices: &[Vec<Option<usize>>]) -> Vec<Vec<Option<usize>>> {
    let mut all = vec![Vec::new()];
    for choice in choices {
        let longer = |one: &Vec<Option<usize>>| {
            let one = one.clone();
            choice.iter().map(move |it| [&one[..], &[*it]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

type Relation = Vec<Vec<bool>>;

fn closed(mut relation: Relation) -> Relation {
    let size = relation.len();
    for middle in 0..size {
        for a in 0..size {
            for b in 0..size {
                relation[a][b] |= relation[a][middle] && relation[middle][b];
            }
        }
    }
    relation
}

fn with_sources(
    ops: &[Op],
    kept: &[usize],
    writes: &[usize],
    saw: &BTreeMap<usize, Option<usize>>,
    level: Level,
) -> bool {
    let session =
        |a: usize, b: usize| ops[a].session == ops[b].session && ops[a].invoked < ops[b].invoked;
    let source = |at: usize| saw.get(&at).copied().flatten();
    if kept.iter().any(|&at| source(at).is_some_and(|write| session(at, write))) {
        return false;
    }
    let mut causal: Relation = vec![vec![false; ops.len()]; ops.len()];
    for &a in kept {
        for &b in kept {
            causal[a][b] = session(a, b) || source(b) == Some(a);
        }
    }
    let causal = closed(causal);
    if level == Level::Session && kept.iter().any(|&at| causal[at][at]) {
        return false;
    }
    // Write, read before a write in the writer's session: and so on.
    let mut follows: Relation = vec![vec![false; ops.len()]; ops.len()];
    for &write in writes {
        for &read in kept {
            if session(read, write)
                && let Some(seen) = source(read)
            {
                follows[seen][write] = true;
            }
        }
    }
    let follows_all = closed(follows.clone());
    let is_write = |at: usize| writes.contains(&at);
    let must = |read: usize, write: usize| match level {
        Level::ReadYourWrites => session(write, read),
        Level::MonotonicReads => {
            kept.iter().any(|&other| session(other, read) && source(other) == Some(write))
        }
        Level::MonotonicWrites => kept.iter().any(|&other| {
            (other == read || session(other, read))
                && source(other).is_some_and(|seen| session(write, seen))
        }),
        Level::WritesFollowReads => kept.iter().any(|&other| {
            (other == read || session(other, read))
                && source(other).is_some_and(|seen| follows_all[write][seen])
        }),
        _ => causal[write][read],
    };
    let first = |a: usize, b: usize| {
        let own = match level {
            Level::ReadYourWrites => session(a, b) && ops[a].key == ops[b].key,
            Level::MonotonicWrites => session(a, b),
            Level::WritesFollowReads => follows[a][b],
            Level::Session => causal[a][b],
            _ => false,
        };
        own || source(b) == Some(a)
    };
    let fits = |order: &[usize]| {
        let place = |at: usize| order.iter().position(|it| *it == at);
        let in_order = (0..order.len()).all(|b| (0..b).all(|a| !first(order[b], order[a])));
        in_order
            && saw.iter().all(|(&read, seen)| {
                writes.iter().all(|&write| {
                    let matters = ops[write].key == ops[read].key
                        && write != read
                        && Some(write) != *seen
                        && must(read, write);
                    !matters || seen.is_some_and(|seen| place(write) < place(seen))
                })
            })
    };
    debug_assert!(writes.iter().all(|&at| is_write(at)));
    permutations(writes).iter().any(|order| fits(order))
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(at);
        for mut order in permutations(&rest) {
            order.insert(0, *item);
            all.push(order);
        }
    }
    all
}
