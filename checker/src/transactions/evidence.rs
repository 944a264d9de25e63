//! Why one transaction must come before another, in words.

use super::cycles::DependencyEdge;
use super::data::{INITIAL, NONE, OperationKind, Transactions};
use super::graph::kind;
use super::kind::TransactionKind;
use super::order::Order;
use super::registers::Registers;
use super::saturate::Inferred;
use crate::words;

/// Why a link holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// What follows "since".
    pub(crate) text: String,
    /// The key that it is about, if it is about one.
    pub(crate) key: Option<u32>,
    /// Another transaction that shows it.
    pub(crate) shown_by: Option<u32>,
}

/// Tells reasons, given what was inferred.
pub(crate) struct Evidence<'a, 'h> {
    pub(crate) read: &'a Transactions<'h>,
    pub(crate) order: &'a Order,
    /// For registers, of which `order` is a likely one.
    pub(crate) registers: Option<&'a Registers>,
    pub(crate) kind: TransactionKind,
}

impl Evidence<'_, '_> {
    /// Why the link holds.
    pub(crate) fn reason(&self, link: DependencyEdge) -> Reason {
        let DependencyEdge { from, to, kind } = link;
        let [a, b] = [from, to].map(|one| self.call(one));
        let plain = |text: String| Reason { text, key: None, shown_by: None };
        match kind {
            kind::WR => self.read_from(from, to),
            kind::RW => self.overwritten(from, to),
            kind::WW => self.versions(from, to),
            kind::SESSION => {
                let process = self.read.all[from as usize].process;
                plain(format!("process {process} did {a} before {b}"))
            }
            _ => plain(format!("{a} came back before {b} was invoked")),
        }
    }

    /// A transaction as people know it.
    pub(crate) fn call(&self, transaction: u32) -> String {
        format!("#{}", self.read.index(transaction))
    }

    fn wrote(&self) -> &'static str {
        match self.kind {
            TransactionKind::ListAppend => "appended",
            TransactionKind::RwRegister => "wrote",
        }
    }

    /// A version as its value.
    fn value(&self, version: u32) -> String {
        words::brief(self.read.versions[version as usize].value)
    }

    fn key(&self, key: u32) -> String {
        words::brief(self.read.keys[key as usize])
    }

    /// What a read of the version shows.
    fn shown(&self, key: u32, version: u32) -> String {
        let key_name = self.key(key);
        match (version, self.kind) {
            (INITIAL, TransactionKind::ListAppend) => format!("read {key_name} = []"),
            (INITIAL, TransactionKind::RwRegister) => {
                format!("read {key_name} = its initial value")
            }
            (version, TransactionKind::ListAppend) => {
                let dots = if self.order.position[version as usize] == 0 { "" } else { "…, " };
                format!("read {key_name} = [{dots}{}]", self.value(version))
            }
            (version, TransactionKind::RwRegister) => {
                format!("read {key_name} = {}", self.value(version))
            }
        }
    }

    fn reads(&self, reader: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let reads = self.read.of(reader).iter();
        reads
            .filter(|one| one.act == OperationKind::Read && one.version != NONE)
            .map(|one| (one.key, one.version))
    }

    fn writes(&self, writer: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let writes = self.read.of(writer).iter();
        writes.filter(|one| one.act == OperationKind::Write).map(|one| (one.key, one.version))
    }

    fn read_from(&self, writer: u32, reader: u32) -> Reason {
        let wrote = |(_, version): &(u32, u32)| {
            *version != INITIAL && self.read.versions[*version as usize].transaction == writer
        };
        let found = self.reads(reader).find(wrote);
        let text = found.map_or_else(String::new, |(key, version)| {
            let (reader, writer) = (self.call(reader), self.call(writer));
            let shown = self.shown(key, version);
            format!("{reader} {shown}, which {writer} {}", self.wrote())
        });
        Reason { text, key: found.map(|(key, _)| key), shown_by: None }
    }

    fn overwritten(&self, reader: u32, writer: u32) -> Reason {
        let next = |(key, version): (u32, u32)| {
            let place = self.place_after(version);
            let written = self.writes(writer).find(|(of, made)| {
                let at = self.order.position[*made as usize];
                *of == key && *made != version && (at == NONE || at >= place)
            });
            written.map(|(_, made)| (key, version, made))
        };
        let any = |(key, version): (u32, u32)| {
            let mut written = self.writes(writer).filter(|(of, _)| *of == key);
            written.next().map(|(_, made)| (key, version, made))
        };
        let found = self.reads(reader).find_map(next).or_else(|| {
            // A likely order may have it otherwise.
            self.registers.and_then(|_| self.reads(reader).find_map(any))
        });
        let text = found.map_or_else(String::new, |(key, version, made)| {
            let (reader, writer) = (self.call(reader), self.call(writer));
            let (shown, made) = (self.shown(key, version), self.value(made));
            match self.kind {
                TransactionKind::ListAppend => {
                    format!("{reader} {shown}, without the {made} that {writer} appended")
                }
                TransactionKind::RwRegister => {
                    format!("{reader} {shown}, which {writer} overwrote with {made}")
                }
            }
        });
        Reason { text, key: found.map(|(key, ..)| key), shown_by: None }
    }

    /// The place of the version after this one.
    fn place_after(&self, version: u32) -> u32 {
        if version == INITIAL { 0 } else { self.order.position[version as usize].saturating_add(1) }
    }

    /// Why the first wrote an older version of a register.
    fn older(&self, registers: &Registers, first: u32, second: u32) -> Reason {
        let pairs = || {
            self.writes(first).flat_map(|(key, one)| {
                let others = self.writes(second).filter(move |(of, _)| *of == key);
                others.map(move |(_, other)| (key, one, other))
            })
        };
        let is_replaced =
            |&(_, one, other): &(u32, u32, u32)| registers.replaced[other as usize] == one;
        let [a, b] = [first, second].map(|one| self.call(one));
        let (text, key) = match (pairs().find(is_replaced), pairs().next()) {
            (Some((key, one, other)), _) => {
                let (name, one, other) = (self.key(key), self.value(one), self.value(other));
                (format!("{b} read {name} = {one} of {a} and wrote {other}"), Some(key))
            }
            (None, Some((key, one, other))) => {
                let (name, one, other) = (self.key(key), self.value(one), self.value(other));
                let text = format!("{name} = {one} of {a} came before {other} of {b} in time");
                (text, Some(key))
            }
            (None, None) => (String::new(), None),
        };
        Reason { text, key, shown_by: None }
    }

    /// Why one committed before another.
    pub(crate) fn inferred(&self, one: &Inferred) -> Reason {
        let [before, after, reader] = [one.before, one.after, one.reader].map(|it| self.call(it));
        let key = self.key(one.key);
        let text = format!(
            "{reader} had {before} in its past, which wrote {key}, and read {key} of {after}"
        );
        Reason { text, key: Some(one.key), shown_by: Some(one.reader) }
    }

    fn versions(&self, first: u32, second: u32) -> Reason {
        if let Some(registers) = self.registers {
            return self.older(registers, first, second);
        }
        let pair = self.writes(first).find_map(|(key, one)| {
            let at = self.order.position[one as usize];
            let other = self.writes(second).find(|(of, other)| {
                let next = self.order.position[*other as usize];
                let is_last = self.order.observed.of(key).len() as u32 == at.wrapping_add(1);
                *of == key && at != NONE && (next == at + 1 || next == NONE && is_last)
            });
            other.map(|(_, other)| (key, one, other))
        });
        let shown_by = pair.and_then(|(key, one, other)| self.who_saw(key, [one, other]));
        let text = pair.map_or_else(String::new, |(key, one, other)| {
            let key = self.key(key);
            let [a, b] = [first, second].map(|one| self.call(one));
            let [one, other] = [one, other].map(|one| self.value(one));
            let by = shown_by.map_or_else(String::new, |by| format!(", as {} saw", self.call(by)));
            format!("{key} got {one} of {a} before {other} of {b}{by}")
        });
        Reason { text, key: pair.map(|(key, ..)| key), shown_by }
    }

    /// Some transaction whose read shows that the first version came before the second.
    fn who_saw(&self, key: u32, [first, second]: [u32; 2]) -> Option<u32> {
        let needed = match self.order.position[second as usize] {
            NONE => self.order.position[first as usize],
            place => place,
        };
        let shows = |reader: u32| {
            self.reads(reader).any(|(of, version)| {
                of == key && version != INITIAL && self.order.position[version as usize] >= needed
            })
        };
        (0..self.read.all.len() as u32).find(|reader| shows(*reader))
    }
}
