//! The fields of an event, and their names.

use crate::formats::error::ReadError;
use crate::value::Value;

/// The name of a field that has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum Name {
    Process,
    Type,
    Function,
    Value,
    Key,
    Time,
    Index,
    Node,
    Swapped,
    Saw,
    Known,
    Error,
    Level,
    Consistency,
}

impl Name {
    const ALL: [(&'static str, Self); 14] = [
        (":process", Self::Process),
        (":type", Self::Type),
        (":f", Self::Function),
        (":value", Self::Value),
        (":key", Self::Key),
        (":time", Self::Time),
        (":index", Self::Index),
        (":node", Self::Node),
        (":partita/swapped", Self::Swapped),
        (":partita/saw", Self::Saw),
        (":partita/known", Self::Known),
        (":error", Self::Error),
        (":level", Self::Level),
        (":consistency", Self::Consistency),
    ];

    /// The name that this keyword is, if it has a meaning.
    pub(in crate::formats) fn of(keyword: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == keyword).map(|&(_, name)| name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Self::ALL.iter().filter(|(_, name)| name == self);
        names.take(1).try_for_each(|(keyword, _)| out.write_str(keyword))
    }
}

/// The fields of an event as they stand in a file.
#[derive(Debug, Default)]
pub(in crate::formats) struct Fields {
    pub(in crate::formats) process: Option<Value>,
    pub(in crate::formats) kind: Option<Value>,
    pub(in crate::formats) function: Option<Value>,
    pub(in crate::formats) value: Option<Value>,
    pub(in crate::formats) key: Option<Value>,
    pub(in crate::formats) time: Option<Value>,
    pub(in crate::formats) index: Option<Value>,
    pub(in crate::formats) node: Option<Value>,
    pub(in crate::formats) swapped: Option<Value>,
    pub(in crate::formats) saw: Option<Value>,
    pub(in crate::formats) known: Option<Value>,
    pub(in crate::formats) error: Option<Value>,
    pub(in crate::formats) level: Option<Value>,
    pub(in crate::formats) consistency: Option<Value>,
    /// The names of other fields that may mean something.
    pub(in crate::formats) others: Vec<String>,
    /// Why one of the fields is no value; it matters for clients only.
    pub(in crate::formats) refusal: Option<ReadError>,
    /// Why the value is none; it matters only where there is an answer or an argument.
    pub(in crate::formats) value_refusal: Option<ReadError>,
}

/// Fields that say nothing of what an operation did.
const HARMLESS: [&str; 16] = [
    ":exception",
    ":debug",
    ":clock-offsets",
    ":wall-time",
    ":final?",
    ":final",
    ":client",
    ":thread",
    ":via",
    ":trace",
    ":cause",
    ":msg",
    ":message",
    ":comment",
    ":sub-via",
    ":latency",
];

/// Whether a field that we do not know is worth a warning.
pub(in crate::formats) fn may_matter(name: &str) -> bool {
    !HARMLESS.contains(&name)
}

impl Fields {
    /// The field with this name.
    pub(in crate::formats) const fn field(&mut self, name: Name) -> &mut Option<Value> {
        match name {
            Name::Process => &mut self.process,
            Name::Type => &mut self.kind,
            Name::Function => &mut self.function,
            Name::Value => &mut self.value,
            Name::Key => &mut self.key,
            Name::Time => &mut self.time,
            Name::Index => &mut self.index,
            Name::Node => &mut self.node,
            Name::Swapped => &mut self.swapped,
            Name::Saw => &mut self.saw,
            Name::Known => &mut self.known,
            Name::Error => &mut self.error,
            Name::Level => &mut self.level,
            Name::Consistency => &mut self.consistency,
        }
    }
}
