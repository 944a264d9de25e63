//! What a history is about: one of the models, or another object.

use std::fmt;

use partita_checker::objects::{OBJECTS, ObjectKind};
use partita_checker::{History, IsolationLevel, Level, ModelKind};
use partita_workloads::Judged;

use crate::names::Names;
use crate::unknown_name::UnknownName;

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedModel {
    /// One of the models with engines of their own.
    Model(ModelKind),
    /// Another object.
    Object(ObjectKind),
}

impl Default for CheckedModel {
    fn default() -> Self {
        Self::Model(ModelKind::default())
    }
}

impl From<Judged> for CheckedModel {
    fn from(judged: Judged) -> Self {
        match judged {
            Judged::Model(model) => Self::Model(model),
            Judged::Object(object) => Self::Object(object),
        }
    }
}

impl CheckedModel {
    /// The name that stands in certificates.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model(model) => model.name(),
            Self::Object(object) => object.name(),
        }
    }

    /// The model, if it is one.
    pub const fn model(self) -> Option<ModelKind> {
        match self {
            Self::Model(model) => Some(model),
            Self::Object(_) => None,
        }
    }

    /// What the operations of a history tell.
    pub fn told_by(history: &History) -> Option<Self> {
        let object = ObjectKind::told_by(history).map(Self::Object);
        object.or_else(|| ModelKind::told_by(history).map(Self::Model))
    }

    /// All names.
    pub fn names() -> Vec<&'static str> {
        let models = partita_checker::MODELS.iter().map(|entry| entry.name);
        models.chain(OBJECTS.iter().map(|entry| entry.name)).collect()
    }
}

impl fmt::Display for CheckedModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The subject of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn subject(name: &str) -> Result<CheckedModel, UnknownName> {
    let object = ObjectKind::from_name(name).map(CheckedModel::Object);
    let found = name.parse().ok().map(CheckedModel::Model).or(object);
    found.ok_or_else(|| Names::Subjects.unknown(name))
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromisedLevel {
    /// Of operations on single keys.
    Single(Level),
    /// Of transactions.
    Isolation(IsolationLevel),
}

impl PromisedLevel {
    /// The level of single operations and that of transactions, each the strongest if it is not
    /// given.
    pub fn both(given: Option<Self>) -> (Level, IsolationLevel) {
        match given {
            Some(Self::Single(level)) => (level, IsolationLevel::default()),
            Some(Self::Isolation(level)) => (Level::Linearizable, level),
            None => (Level::Linearizable, IsolationLevel::default()),
        }
    }
}

impl fmt::Display for PromisedLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(level) => level.fmt(out),
            Self::Isolation(level) => out.write_str(level.name()),
        }
    }
}

/// The level of that name.
///
/// # Errors
///
/// [`UnknownName`].
pub fn promise(name: &str) -> Result<PromisedLevel, UnknownName> {
    let isolation = name.parse().ok().map(PromisedLevel::Isolation);
    let found = name.parse().ok().map(PromisedLevel::Single).or(isolation);
    found.ok_or_else(|| Names::Levels.unknown(name))
}
