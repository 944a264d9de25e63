//! The forms in which a target speaks RESP, as far as its description says so: the table `[client]`.
//!
//! Without it, they are raft-node's. A description gives the errors that are definite, the operations
//! that the store has, and commands of its own for some of them: of a compare-and-set Redis needs a
//! script, Valkey has `IFEQ` as raft-node does.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use partita_checker::Value;
use serde::Deserialize;
use toml::Spanned;

use super::super::tables::TableError;
use super::commands::DEFINITE;
use super::reply::Reply;
use super::values::{decode, encode};
use crate::operation::{Completion, Invocation, Kind};

/// A command, word by word.
type Command = Spanned<Vec<String>>;

/// What the reply to a compare-and-set tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CasAnswer {
    /// The value that stood there, or nil: it matched if that is the expected one.
    #[default]
    Saw,
    /// 1 or `OK` if it matched, 0 or nil if it did not.
    Swapped,
    /// Both, in an array: 1 or 0, and the value that stood there, or nil.
    SwappedAndSaw,
}

/// The table `[client]` of a description.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Forms {
    /// How errors begin after which nothing has happened and nothing will.
    definite_errors: Option<Vec<Spanned<String>>>,
    /// The operations that the store has; all without it.
    operations: Option<Vec<Spanned<String>>>,
    /// Whether it has `SESSION` and `ONCE`.
    sessions: Option<bool>,
    /// Whether its transactions have `CHECK`.
    checks: Option<bool>,
    /// What the reply to a compare-and-set tells.
    #[serde(default)]
    cas_answer: CasAnswer,
    /// Commands that take the place of the usual ones, by operation.
    #[serde(default)]
    commands: BTreeMap<Spanned<String>, Command>,
}

impl Forms {
    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        for error in self.definite_errors.iter().flatten() {
            if error.get_ref().trim().is_empty() || error.get_ref().starts_with('-') {
                let problem =
                    "expected how an error begins, without the hyphen, such as \"LOADING\"";
                return Err(TableError::at(error.span(), problem));
            }
        }
        for word in self.operations.iter().flatten() {
            kind_of(word)?;
        }
        self.commands.iter().try_for_each(|(word, command)| check_command(kind_of(word)?, command))
    }

    /// Whether the store has operations of this kind.
    pub(super) fn supports(&self, kind: Kind) -> bool {
        let is_this = |word: &Spanned<String>| word.get_ref() == kind.word();
        let is_listed = self.operations.as_ref().is_none_or(|words| words.iter().any(is_this));
        is_listed && (kind != Kind::Transfer || self.has_checks())
    }

    /// Whether a transaction can be made to depend on what keys hold.
    pub(super) fn has_checks(&self) -> bool {
        self.checks.unwrap_or(true)
    }

    /// Whether the store has sessions in which an update is applied once.
    pub(super) fn has_sessions(&self) -> bool {
        self.sessions.unwrap_or(true)
    }

    /// Whether nothing has happened and nothing will after an error with this text.
    pub(super) fn is_definite(&self, error: &str) -> bool {
        let begins = |beginning: &str| {
            error
                .strip_prefix(beginning)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        match &self.definite_errors {
            Some(errors) => errors.iter().any(|error| begins(error.get_ref())),
            None => DEFINITE.iter().any(|row| begins(row.word)),
        }
    }

    /// The description's command for `invocation`, if it has one.
    pub(super) fn command(&self, invocation: &Invocation) -> Option<Vec<Bytes>> {
        let words = self.commands.iter().find(|(name, _)| name.get_ref() == invocation.kind.word());
        let arguments = arguments(invocation);
        Some(words?.1.get_ref().iter().map(|word| filled(word, &arguments)).collect())
    }

    /// What the reply to a compare-and-set says of it, unless there is no such reply to it.
    pub(super) fn cas(&self, expected: &Value, reply: &Reply) -> Option<Completion> {
        let is_value = |reply: &Reply| matches!(reply, Reply::Null | Reply::Bulk(_));
        match (self.cas_answer, reply) {
            (CasAnswer::Saw, reply) if is_value(reply) => {
                let saw = decode(reply);
                Some(if *expected == saw { Completion::Swapped } else { mismatch(Some(saw)) })
            }
            (CasAnswer::Swapped, Reply::Integer(1)) => Some(Completion::Swapped),
            (CasAnswer::Swapped, Reply::Simple(text)) if &text[..] == b"OK" => {
                Some(Completion::Swapped)
            }
            (CasAnswer::Swapped, Reply::Integer(0) | Reply::Null) => Some(mismatch(None)),
            (CasAnswer::SwappedAndSaw, Reply::Array(items)) => match &items[..] {
                [Reply::Integer(1), saw] if is_value(saw) && decode(saw) == *expected => {
                    Some(Completion::Swapped)
                }
                [Reply::Integer(0), saw] if is_value(saw) => Some(mismatch(Some(decode(saw)))),
                _ => None,
            },
            _ => None,
        }
    }
}

const fn mismatch(saw: Option<Value>) -> Completion {
    Completion::Mismatch { saw }
}

/// The kind that a word of a description names.
fn kind_of(word: &Spanned<String>) -> Result<Kind, TableError> {
    Kind::of_word(word.get_ref()).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::word).join(", ");
        let problem = format!("no operation `{}`; expected {known}", word.get_ref());
        TableError::at(word.span(), problem)
    })
}

/// The placeholders that a command of this kind must hold.
const fn needed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Cas => &["{key}", "{old}", "{new}"],
        Kind::Expire => &["{key}", "{after-ms}"],
        Kind::Read
        | Kind::StaleRead
        | Kind::Delete
        | Kind::ReadElements
        | Kind::Dequeue
        | Kind::Pop
        | Kind::Next => &["{key}"],
        Kind::Transaction | Kind::WatchedWrite | Kind::Watch | Kind::Transfer | Kind::Balances => {
            &[]
        }
        Kind::Write
        | Kind::Append
        | Kind::Increment
        | Kind::AddElement
        | Kind::RemoveElement
        | Kind::HasElement
        | Kind::Enqueue
        | Kind::Push
        | Kind::Acquire
        | Kind::Release => &["{key}", "{value}"],
    }
}

fn check_command(kind: Kind, command: &Command) -> Result<(), TableError> {
    let refuse = |problem: String| Err(TableError::at(command.span(), problem));
    let words = command.get_ref();
    if needed(kind).is_empty() {
        let name = kind.name();
        return refuse(format!("a {name} is more than one command; it has none of its own"));
    }
    if words.first().is_none_or(|word| word.trim().is_empty()) {
        return refuse("an empty command; expected words such as [\"GET\", \"{key}\"]".to_owned());
    }
    let is_missing = |name: &&&str| !words.iter().any(|word| word.contains(**name));
    match needed(kind).iter().find(is_missing) {
        Some(missing) => refuse(format!("the command of `{}` lacks {missing}", kind.word())),
        None => Ok(()),
    }
}

/// What placeholders stand for.
fn arguments(invocation: &Invocation) -> Vec<(&'static str, Bytes)> {
    let mut arguments = vec![("{key}", encode(&invocation.key))];
    match &invocation.value {
        Value::List(operands) if invocation.kind == Kind::Cas => {
            arguments.extend(["{old}", "{new}"].into_iter().zip(operands.iter().map(encode)));
        }
        value => arguments.push(("{value}", encode(value))),
    }
    if let Some(after) = invocation.after {
        arguments.push(("{after-ms}", after.as_millis().to_string().into()));
    }
    arguments
}

/// `word` with its placeholders replaced, in one pass: what an argument holds is no placeholder. Other
/// braces stay.
fn filled(word: &str, arguments: &[(&'static str, Bytes)]) -> Bytes {
    let (mut rest, mut filled) = (word, BytesMut::new());
    while let Some(start) = rest.find('{') {
        filled.extend_from_slice(&rest.as_bytes()[..start]);
        rest = &rest[start..];
        let found = arguments.iter().find(|(name, _)| rest.starts_with(name));
        let (taken, bytes) = found.map_or((1, &b"{"[..]), |(name, bytes)| (name.len(), &bytes[..]));
        filled.extend_from_slice(bytes);
        rest = &rest[taken..];
    }
    filled.extend_from_slice(rest.as_bytes());
    filled.freeze()
}

#[cfg(test)]
mod tests;
