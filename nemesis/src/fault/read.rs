//! Reads and writes the parameters of faults, and says of what is wrong where it is, what was
//! expected and what may have been meant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::description::{TARGET, Victims};
use super::{Fault, FaultKind};
use crate::names::or_similar;

/// What parameters are read from: a table with the places of all that it holds.
pub(crate) type Parameters<'a> = toml::de::Deserializer<'a>;

/// A parameter that a fault does not have, or a value that it cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}: {problem}")]
pub struct ParameterError {
    /// The fault.
    pub fault: FaultKind,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// Where that stands in the text that was read.
    pub(crate) place: Range<usize>,
}

/// What a schedule can say of a fault, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedParameter {
    /// Its name in a schedule.
    pub name: &'static str,
    /// What it decides.
    pub summary: &'static str,
    /// The unit and its bounds, or the words it accepts.
    pub unit: String,
    /// What holds if a schedule does not say.
    pub default: String,
}

/// The keys of a table with the places of their values, by which an error is told to be one of them.
pub(crate) struct Keys(Vec<(String, Range<usize>)>);

impl Keys {
    pub(crate) fn of(table: &DeTable<'_>) -> Keys {
        let key = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            (key.get_ref().to_string(), value.span())
        };
        Keys(table.iter().map(key).collect())
    }

    /// Where the error is, and what is wrong there.
    pub(crate) fn locate(&self, error: &toml::de::Error) -> (Range<usize>, String) {
        let place = error.span().unwrap_or_default();
        let named = self.0.iter().find(|(_, span)| span.contains(&place.start));
        let name = named.map_or_else(String::new, |(name, _)| format!("{name}: "));
        (place, format!("{name}{}", error.message()))
    }
}

impl FaultKind {
    /// The fault with these parameters, and the defaults of all others.
    ///
    /// # Errors
    ///
    /// The first parameter that the fault does not have, or value that it cannot take.
    pub fn with_parameters<'a>(
        self,
        parameters: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Fault, ParameterError> {
        let mut table = DeTable::new();
        for (place, (name, value)) in parameters.into_iter().enumerate() {
            // There is no text; places only tell parameters apart.
            let place = place..place + 1;
            let name: Spanned<Cow<'_, str>> = Spanned::new(place.clone(), name.into());
            table.insert(name, Spanned::new(place, DeValue::String(value.into())));
        }
        self.read(Spanned::new(0..0, table), &[])
    }

    /// Reads the fault from a table that holds its parameters and nothing else; `beside` are words
    /// that may stand beside these where they were taken from.
    pub(crate) fn read(
        self,
        table: Spanned<DeTable<'_>>,
        beside: &[&'static str],
    ) -> Result<Fault, ParameterError> {
        let known: Vec<&str> = self.description().parameters.iter().map(|it| it.name).collect();
        let wrong = |place, problem| ParameterError { fault: self, problem, place };
        for key in table.get_ref().keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                return Err(wrong(key.span(), self.unknown(key.get_ref(), beside)));
            }
        }
        let keys = Keys::of(table.get_ref());
        self.made(table.into()).map_err(|error| {
            let (place, problem) = keys.locate(&error);
            wrong(place, problem)
        })
    }

    /// What is said of a parameter that it does not have.
    pub(crate) fn unknown(self, name: &str, beside: &[&'static str]) -> String {
        let mut takes = beside.to_vec();
        if matches!(self.description().victims, Victims::Chosen { .. }) {
            takes.push(TARGET);
        }
        takes.extend(self.description().parameters.iter().map(|it| it.name));
        if takes.is_empty() {
            return format!("unknown `{name}`; it takes no parameters");
        }
        format!("unknown `{name}`; {}", or_similar(name, &takes, &format!("{self} takes ")))
    }

    /// What a schedule can say of it, for people: its victims, if it may choose them, and then its
    /// parameters.
    pub fn parameters(self) -> Vec<ListedParameter> {
        let mut listed = Vec::new();
        if let Victims::Chosen { default, summary, unit, .. } = &self.description().victims {
            let (default, unit) = (default.to_string(), (*unit).to_owned());
            listed.push(ListedParameter { name: TARGET, summary, unit, default });
        }
        let mut defaults = self.with_defaults().parameters();
        listed.extend(self.description().parameters.iter().map(|it| ListedParameter {
            name: it.name,
            summary: it.summary,
            unit: it.unit(),
            default: defaults.remove(it.name).unwrap_or_default(),
        }));
        listed
    }
}

/// The parameters of a fault as they are written.
pub(super) fn parameters(fault: &impl Serialize) -> BTreeMap<String, String> {
    let written = serde_json::to_value(fault).unwrap_or_default();
    let fields = written.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect()
}
