//! Gives clients that are named by texts the numbers of processes.

use rustc_hash::FxHashMap;

use super::fields::Field;
use super::syntax::{NodeKind, SyntaxError};
use crate::event::ProcessId;

/// Where the numbers of named clients begin in a file that numbers others itself.
const NAMED: u32 = 1 << 31;

/// The clients of a file.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// Whether a client was met that bears a number; then names do not begin with 0.
    numbered: bool,
    /// Whether numbers count as names, since a name came first.
    renumber: bool,
    names: FxHashMap<String, u32>,
}

impl Clients {
    /// How many clients have names.
    pub(super) fn named(&self) -> usize {
        self.names.len()
    }

    /// Notes that clients with numbers are met elsewhere.
    pub(super) const fn see_number(&mut self) {
        self.numbered = true;
    }

    /// Whether a number means the process with that number.
    pub(super) const fn keep_numbers(&self) -> bool {
        !self.renumber
    }

    /// Whether this is a name, and none of a client that was met.
    pub(super) fn is_stranger(&self, text: &str) -> bool {
        let name = text.strip_prefix(':').unwrap_or(text);
        let is_nemesis = name.eq_ignore_ascii_case("nemesis");
        !name.is_empty()
            && !is_nemesis
            && name.parse::<u32>().is_err()
            && !self.names.contains_key(name)
    }

    /// The client that a field names; nothing if it is the nemesis.
    pub(super) fn process(&mut self, field: Field<'_>) -> Result<Option<ProcessId>, SyntaxError> {
        let refused = || {
            let expected =
                format!("`{}` to be an integer from 0 to 4294967295, or a name", field.name);
            SyntaxError::unexpected(field.node.at, expected, field.node.describe())
        };
        let name = match &field.node.form {
            NodeKind::Number(token) => (*token).to_owned(),
            NodeKind::Text(text) => {
                let name = text.strip_prefix(':').unwrap_or(text);
                if name.eq_ignore_ascii_case("nemesis") {
                    return Ok(None);
                }
                name.to_owned()
            }
            _ => return Err(refused()),
        };
        let is_token = matches!(field.node.form, NodeKind::Number(_));
        match name.parse::<u32>() {
            Ok(number) if !self.renumber => {
                let clash = self.numbered && number >= NAMED && !self.names.is_empty();
                self.numbered = true;
                return if clash { Err(refused()) } else { Ok(Some(ProcessId(number))) };
            }
            Err(_) if is_token || name.is_empty() => return Err(refused()),
            _ => {}
        }
        self.renumber |= !self.numbered;
        let next = self.names.len() as u32 + if self.numbered { NAMED } else { 0 };
        let number = *self.names.entry(name).or_insert(next);
        Ok(Some(ProcessId(number)))
    }
}
