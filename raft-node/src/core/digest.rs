//! Sums up the replicated state in a number, so that the states of two servers can be compared.

use bytes::Bytes;

use super::Core;
use super::machine::Machine;
use super::sessions::Session;
use super::value::{Collection, Value};
use super::values::Place;

impl Core {
    /// A checksum over all keys and sessions. Servers that applied the same entries have the same.
    /// Looks at the whole state: for tests and simulators.
    #[must_use]
    pub fn state_digest(&self) -> u64 {
        digest(&self.machine)
    }
}

fn digest(machine: &Machine) -> u64 {
    let mut sum = 0;
    let mut add = |bytes: &[u8]| sum = crc32c::crc32c_append(sum, bytes);
    let mut place = Place::default();
    while let Some((key, value)) = machine.values.next_after(&mut place) {
        add(&(key.len() as u64).to_le_bytes());
        add(key);
        add_value(value, &mut add);
    }
    let mut last = None;
    while let Some((id, session)) = machine.sessions.next_after(last) {
        last = Some(id);
        let Session { used, last, .. } = session;
        add(&id.0.to_le_bytes());
        add(&used.0.to_le_bytes());
        add(&last.as_ref().map_or(0, |(sequence, _)| *sequence).to_le_bytes());
    }
    u64::from(sum)
}

fn add_value(value: &Value, add: &mut impl FnMut(&[u8])) {
    match value {
        Value::String(string) => {
            add(&(string.len() as u64).to_le_bytes());
            add(string);
        }
        Value::Collection(collection) => {
            // No string is as long as this says.
            add(&u64::MAX.to_le_bytes());
            match &**collection {
                Collection::List(list) => add_elements(b"l", list.len(), list.iter(), add),
                Collection::Set(set) => add_elements(b"s", set.len(), set.iter(), add),
            }
        }
    }
}

fn add_elements<'a>(
    kind: &[u8],
    count: usize,
    elements: impl Iterator<Item = &'a Bytes>,
    add: &mut impl FnMut(&[u8]),
) {
    add(kind);
    add(&(count as u64).to_le_bytes());
    for element in elements {
        add(&(element.len() as u64).to_le_bytes());
        add(element);
    }
}
