//! The fields of an object by their meaning.

use super::names::{self, Name};
use super::syntax::{Node, NodeKind, SyntaxError};
use crate::event::{EventKind, Function};
use crate::formats::error::ReadProblem;
use crate::value::Value;

/// A field that has a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// Where its name stands.
    pub(super) at: usize,
    /// Its name as it is written.
    pub(super) name: &'a str,
    pub(super) node: &'a Node<'a>,
    /// How many nanoseconds one of it is, if its name says so.
    pub(super) unit: Option<u64>,
    rank: usize,
}

/// The fields of an object.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    known: [Option<Field<'a>>; Name::COUNT],
    /// Those without a meaning of ours: place and name.
    pub(super) others: Vec<(usize, &'a str)>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`; none if it is no object.
    pub(super) fn of(node: &'a Node<'a>) -> Result<Self, SyntaxError> {
        let mut fields = Self::default();
        let NodeKind::Object(entries) = &node.form else { return Ok(fields) };
        for (at, name, node) in entries {
            let Some((meaning, rank, unit)) = names::of(name) else {
                fields.others.push((*at, name));
                continue;
            };
            let field = Field { at: *at, name, node, unit, rank };
            let slot = &mut fields.known[meaning as usize];
            match slot {
                None => *slot = Some(field),
                Some(known) if known.rank == 0 => fields.others.push((*at, name)),
                Some(known) if rank == 0 => {
                    fields.others.push((known.at, known.name));
                    *slot = Some(field);
                }
                Some(known) => {
                    let expected = format!("one field that means `{}`", names::ours(meaning));
                    let found = format!("`{}` and `{name}`", known.name);
                    return Err(SyntaxError::unexpected(*at, expected, found));
                }
            }
        }
        fields.refuse_misspelt()?;
        Ok(fields)
    }

    fn refuse_misspelt(&self) -> Result<(), SyntaxError> {
        for (at, name) in &self.others {
            if let Some(meant) = names::meant(name)
                && self.get(meant).is_none()
            {
                let expected = format!("a field `{}`", names::ours(meant));
                return Err(SyntaxError::unexpected(*at, expected, format!("`{name}`")));
            }
        }
        Ok(())
    }

    /// The field with this meaning.
    pub(super) fn get(&self, name: Name) -> Option<Field<'a>> {
        self.known[name as usize]
    }

    /// As [`Self::get`], where null is as good as nothing.
    pub(super) fn given(&self, name: Name) -> Option<Field<'a>> {
        self.get(name).filter(|field| !field.node.is_null())
    }

    /// Takes the meaning of a field away from it.
    pub(super) fn disown(&mut self, name: Name) {
        if let Some(field) = self.known[name as usize].take() {
            self.others.push((field.at, field.name));
        }
    }

    /// The value that a client wrote or read.
    pub(super) fn value(&self, name: Name) -> Result<Option<Value>, SyntaxError> {
        self.get(name).map(|field| field.node.value()).transpose()
    }

    /// The argument of a compare-and-set whose operands have fields of their own.
    pub(super) fn operands(&self) -> Result<Option<Value>, SyntaxError> {
        match (self.value(Name::Expected)?, self.value(Name::New)?) {
            (Some(expected), Some(new)) => Ok(Some(Value::list([expected, new]))),
            _ => Ok(None),
        }
    }

    pub(super) fn truth(&self, name: Name) -> Result<Option<bool>, SyntaxError> {
        match self.get(name).map(|field| (field, &field.node.form)) {
            None | Some((_, NodeKind::Null)) => Ok(None),
            Some((_, NodeKind::Bool(truth))) => Ok(Some(*truth)),
            Some((field, _)) => {
                let expected = format!("`{}` to be true or false", field.name);
                Err(SyntaxError::unexpected(field.node.at, expected, field.node.describe()))
            }
        }
    }

    /// What the event says of its operation, if it says so in words that are known.
    pub(super) fn kind(&self) -> Option<EventKind> {
        self.get(Name::Kind)?.node.text().and_then(names::kind)
    }

    pub(super) fn known_kind(&self) -> Result<EventKind, SyntaxError> {
        let Some(field) = self.get(Name::Kind) else { return Err(self.missing("type")) };
        self.kind().ok_or_else(|| {
            let expected = format!("`{}` to be invoke, ok, fail or info", field.name);
            SyntaxError::unexpected(field.node.at, expected, field.node.describe())
        })
    }

    pub(super) fn function(&self) -> Result<Function, SyntaxError> {
        let Some(field) = self.get(Name::Function) else { return Err(self.missing("f")) };
        function(field)
    }

    /// Whether an event that is `ok` says of its compare-and-set that it did not swap. Where nothing
    /// is said, or what the type says already, there is no more to it.
    pub(super) fn denied(
        &mut self,
        kind: EventKind,
        function: Function,
    ) -> Result<bool, SyntaxError> {
        let Some(field) = self.get(Name::Success) else { return Ok(false) };
        match (kind, &field.node.form) {
            (EventKind::Ok, NodeKind::Bool(false)) if function == Function::Cas => Ok(true),
            (EventKind::Ok, NodeKind::Bool(false)) => {
                let expected = format!("`{}` to be true in the ok of a {function}", field.name);
                Err(SyntaxError::unexpected(field.node.at, expected, "false"))
            }
            (EventKind::Ok, NodeKind::Bool(true))
            | (EventKind::Fail | EventKind::Info, NodeKind::Bool(false)) => Ok(false),
            _ => {
                self.disown(Name::Success);
                Ok(false)
            }
        }
    }

    /// The node's name.
    pub(super) fn node(&self) -> Option<String> {
        let field = self.given(Name::Node)?;
        match &field.node.form {
            NodeKind::Text(text) => Some(text.strip_prefix(':').unwrap_or(text).to_owned()),
            NodeKind::Number(token) => Some((*token).to_owned()),
            _ => None,
        }
    }

    /// Why the operation has no answer, if that is said.
    pub(super) fn error(&self) -> Option<String> {
        let field = self.given(Name::Error)?;
        let text = match &field.node.form {
            NodeKind::Text(text) => text.to_string(),
            NodeKind::Bool(false) => return None,
            _ => field
                .node
                .value()
                .map_or_else(|_| "an object".to_owned(), |value| value.to_string()),
        };
        (!text.is_empty()).then_some(text)
    }

    /// A field is not there.
    pub(super) fn missing(&self, name: &str) -> SyntaxError {
        let known = self.known.iter().flatten().map(|field| field.name);
        let names: Vec<String> = known
            .chain(self.others.iter().map(|(_, name)| *name))
            .take(12)
            .map(|name| format!("`{}`", name.escape_debug().take(40).collect::<String>()))
            .collect();
        let found = if names.is_empty() { "no field".to_owned() } else { names.join(", ") };
        SyntaxError::new(0, ReadProblem::unexpected(format!("a field `{name}`"), found))
    }
}

/// The function that a field names.
pub(super) fn function(field: Field<'_>) -> Result<Function, SyntaxError> {
    let word = field.node.text();
    word.and_then(names::function).ok_or_else(|| {
        let known = Function::ALL.map(Function::name).join(", ");
        let mut expected = format!("`{}` to be one of {known}", field.name);
        if let Some(meant) = word.and_then(names::meant_function) {
            expected = format!("{expected} (perhaps {meant})");
        }
        SyntaxError::unexpected(field.node.at, expected, field.node.describe())
    })
}
