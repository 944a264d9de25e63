//! The made-up clients: a register per key, operations that stall when nobody leads.

use std::collections::BTreeMap;

use partita_checker::{Event, EventKind, Function, History, Nanoseconds, ProcessId, Value};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::cluster::Stall;
use super::{Plan, SECOND};

const TIMEOUT: u64 = SECOND;

/// One operation before events have positions.
struct Draft {
    process: u32,
    key: usize,
    node: u16,
    write: Option<i64>,
    cas: bool,
    invoked: u64,
    ended: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    Fail,
    Info,
}

/// What the clients did and saw: truthful, so linearizable.
pub(crate) fn history(plan: &Plan, stalls: &[Stall], random: &mut ChaCha8Rng) -> History {
    let drafts = drafts(plan, stalls, random);
    let positions = positions(&drafts);
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by_key(|&index| drafts[index].invoked / 2 + drafts[index].ended / 2);
    let mut registers = BTreeMap::new();
    let mut events = Vec::new();
    for index in order {
        let draft = &drafts[index];
        let register = registers.entry(draft.key).or_insert(Value::Null);
        events.extend(draft.events(positions[index], register));
    }
    events.sort_by_key(|event| event.index);
    History::from_events(events).expect("a history")
}

impl Draft {
    /// Its two events, and what it does to the register of its key.
    fn events(&self, (invoked, ended): (u64, u64), register: &mut Value) -> [Event; 2] {
        let written = self.write.map(Value::from);
        let (function, asked, answered) = match &written {
            None => (Function::Read, Value::Null, register.clone()),
            Some(new) if !self.cas => (Function::Write, new.clone(), new.clone()),
            Some(new) => {
                let pair = Value::list([register.clone(), new.clone()]);
                (Function::Cas, pair.clone(), pair)
            }
        };
        if let (Some(new), End::Ok) = (written, self.end) {
            *register = new;
        }
        let invocation = Event {
            index: invoked,
            time: Nanoseconds(self.invoked),
            process: ProcessId(self.process),
            kind: EventKind::Invoke,
            function,
            key: Value::from(format!("k{}", self.key).as_str()),
            value: asked.clone(),
            swapped: None,
            saw: None,
            level: None,
            revision: None,
            node: Some(format!("n{}", self.node + 1).into()),
            error: None,
        };
        let (kind, value) = match self.end {
            End::Ok => (EventKind::Ok, answered),
            End::Fail => (EventKind::Fail, asked),
            End::Info => (EventKind::Info, asked),
        };
        let (index, time) = (ended, Nanoseconds(self.ended));
        [invocation.clone(), Event { index, time, kind, value, ..invocation }]
    }
}

fn drafts(plan: &Plan, stalls: &[Stall], random: &mut ChaCha8Rng) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut next_process = plan.clients;
    let pause = SECOND * u64::from(plan.clients) / plan.rate.max(1);
    for client in 0..plan.clients {
        let mut process = client;
        let mut time = plan.seconds * SECOND / 40 + random.random_range(0..pause.max(1));
        while time < plan.seconds * SECOND * 99 / 100 {
            let (took, end) = fate(time, stalls, random);
            let number = i64::from(random.random_range(0..1_u32 << 20)) * 64 + i64::from(client);
            drafts.push(Draft {
                process,
                key: random.random_range(0..plan.keys),
                node: random.random_range(0..plan.nodes) as u16,
                write: random.random_bool(0.5).then_some(number),
                cas: random.random_bool(0.15),
                invoked: time,
                ended: time + took,
                end,
            });
            if end == End::Info {
                process = next_process;
                next_process += 1;
            }
            time += took.max(random.random_range(pause / 2..=pause * 3 / 2));
        }
    }
    drafts
}

fn fate(time: u64, stalls: &[Stall], random: &mut ChaCha8Rng) -> (u64, End) {
    let usual = |random: &mut ChaCha8Rng| {
        let spread: f64 = (0..6).map(|_| random.random_range(-0.5..0.5)).sum();
        (1.4e6 * (spread * 0.9).exp()) as u64 + 250_000
    };
    let took = usual(random);
    let Some(&(_, elected)) =
        stalls.iter().find(|(began, elected)| (*began..*elected).contains(&time))
    else {
        return (took * if random.random_bool(0.003) { 30 } else { 1 }, End::Ok);
    };
    match random.random_range(0..10) {
        0..3 => (took, End::Fail),
        3..5 => (TIMEOUT, End::Info),
        _ if elected - time > TIMEOUT => (TIMEOUT, End::Info),
        _ => (elected - time + took * 4, End::Ok),
    }
}

/// The positions of every draft's two events, by time.
fn positions(drafts: &[Draft]) -> Vec<(u64, u64)> {
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        events.push((draft.invoked, index, false));
        events.push((draft.ended, index, true));
    }
    events.sort_unstable();
    let mut positions = vec![(0, 0); drafts.len()];
    for (position, (_, index, ended)) in events.into_iter().enumerate() {
        let place = &mut positions[index];
        *(if ended { &mut place.1 } else { &mut place.0 }) = position as u64;
    }
    positions
}
