//! The other operation that a read which cannot be explained is about: what it missed, or what had failed.

use partita_checker::{
    Action, Anomaly, CounterexampleOperation, EventKind, Function, History, Nanoseconds, Operation,
    Outcome, Relation,
};

use super::Moment;
use crate::evidence::Evidence;
use crate::text::number::instant_short;
use crate::text::operation::{name, operation, returned, witness};

/// An operation that was sent to a node.
pub(super) struct Source {
    /// `write k1 = 17`.
    pub(super) label: String,
    /// Where it was sent.
    pub(super) node: String,
    /// When it was invoked.
    pub(super) invoked: Nanoseconds,
    /// When it came back.
    pub(super) returned: Nanoseconds,
    /// What it has to do with what was found: `which it missed`.
    bond: Connectivity,
}

/// What the other operation has to do with what was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connectivity {
    /// The read that cannot be explained missed it.
    Missed,
    /// None of the proof's reads after it saw it.
    Unseen,
    /// Its value was seen though it had failed.
    Failed,
}

impl Source {
    /// What the read that cannot be explained, at the place `blamed` of a proof, missed, or saw though it had
    /// failed; without such a read, what none of its reads saw.
    pub(super) fn of(
        history: &History,
        evidence: &Evidence<'_>,
        blamed: Option<usize>,
    ) -> Option<Self> {
        let anomaly = evidence.found.anomaly;
        let Some(place) = blamed else {
            let unseen = unseen(evidence).filter(|_| anomaly == Anomaly::LostWrite)?;
            return Self::answered(evidence, unseen, Connectivity::Unseen);
        };
        if anomaly == Anomaly::AbortedRead {
            return Self::failed(history, evidence, place);
        }
        let mut steps = evidence.steps.iter();
        let overwritten =
            steps.find(|it| it.relation == Relation::OverwrittenBefore && it.from == place);
        let missed = match overwritten {
            Some(step) => evidence.operations.get(step.to)?.witness,
            None => unseen(evidence).filter(|_| evidence.steps.is_empty())?,
        };
        Self::answered(evidence, missed, Connectivity::Missed)
    }

    fn answered(
        evidence: &Evidence<'_>,
        operation: &CounterexampleOperation,
        bond: Connectivity,
    ) -> Option<Self> {
        Some(Self {
            label: witness(&evidence.found.key, operation),
            node: operation.node.clone()?,
            invoked: operation.invoked,
            returned: returned(operation)?,
            bond,
        })
    }

    /// The one failed operation on the key whose value the read saw.
    fn failed(history: &History, evidence: &Evidence<'_>, place: usize) -> Option<Self> {
        let saw = evidence.operations[place].witness.value.in_words().to_string();
        let key = history.keys().iter().position(|key| *key == evidence.found.key)?;
        let brought = |operation: &&Operation| {
            let is_of_key = operation.key.0 as usize == key;
            is_of_key && argument(history, operation).is_some_and(|value| holds(&saw, &value))
        };
        let all: Vec<&Operation> = history.operations().iter().filter(brought).collect();
        let has_failed = |it: &&&Operation| matches!(it.outcome, Outcome::Fail(_));
        let mut failed = all.iter().filter(has_failed);
        let (found, None) = (failed.next()?, failed.next()) else { return None };
        let value = argument(history, found)?;
        // Another that brought the same value may have been the one.
        let others = all.iter().filter(|it| argument(history, it).as_ref() == Some(&value)).count();
        if others > 1 {
            return None;
        }
        let node = history.nodes().get(usize::from(found.node?.0))?;
        Some(Self {
            label: operation(history, found),
            node: node.to_string(),
            invoked: found.invoked.time,
            returned: found.completed()?.time,
            bond: Connectivity::Failed,
        })
    }
}

/// The one change of a proof whose value none of the proof's reads that were invoked after it had come back
/// saw, though there are some.
fn unseen<'a>(evidence: &Evidence<'a>) -> Option<&'a CounterexampleOperation> {
    let is_read = |it: &&CounterexampleOperation| {
        it.function == Function::Read && it.outcome == EventKind::Ok
    };
    let is_unseen = |it: &&CounterexampleOperation| {
        let (Some(at), EventKind::Ok) = (returned(it), it.outcome) else { return false };
        let value = it.value.in_words().to_string();
        let mut later =
            evidence.found.proof().filter(is_read).filter(|read| read.invoked >= at).peekable();
        it.function != Function::Read
            && later.peek().is_some()
            && later.all(|read| !holds(&read.value.in_words().to_string(), &value))
    };
    let mut unseen = evidence.found.proof().filter(is_unseen);
    let found = unseen.next()?;
    unseen.next().is_none().then_some(found)
}

/// What an operation would have brought to its key, in words.
fn argument(history: &History, operation: &Operation) -> Option<String> {
    let value = match operation.action {
        Action::Write(value) | Action::Cas { new: value, .. } => value,
        Action::Other(Function::Append, value) => value,
        _ => return None,
    };
    Some(history.values().get(value).in_words().to_string())
}

/// Whether what was seen holds a value as a whole, alone or after others.
fn holds(seen: &str, value: &str) -> bool {
    let bare = |text: &'_ str| text.trim_matches('"').to_owned();
    let (seen, value) = (bare(seen), bare(value));
    if value.is_empty() {
        return false;
    }
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    seen.match_indices(&value).any(|(at, _)| {
        let (before, after) = (&seen.as_bytes()[..at], &seen.as_bytes()[at + value.len()..]);
        let goes_on = is_part(value.as_bytes().last()) && is_part(after.first());
        !(goes_on || is_part(value.as_bytes().first()) && is_part(before.last()))
    })
}

/// Who had answered it, when, and what that node said that it was.
pub(super) fn told(moment: &Moment<'_>) -> Option<String> {
    let source = moment.source.as_ref()?;
    let (label, node) = (&source.label, name(&source.node));
    let what = match source.bond {
        Connectivity::Missed => format!("“{label}”, which it missed, had been answered by {node}"),
        Connectivity::Unseen => {
            format!("“{label}”, which no later read of the proof saw, had been answered by {node}")
        }
        Connectivity::Failed => {
            format!("“{label}”, whose value was read, had been refused by {node}")
        }
    };
    let at = instant_short(source.returned);
    let Some(then) = moment.role_at(&source.node, source.returned) else {
        return (source.bond != Connectivity::Missed || source.node != moment.node)
            .then(|| format!("{what} at {at}."));
    };
    let asked = moment.role_at(&source.node, source.invoked).filter(|asked| *asked != then);
    Some(match asked {
        Some(asked) => format!(
            "{what} at {at}: {node} had last said that it was {asked} when it was asked, at {}, and {then} \
             when it answered.",
            instant_short(source.invoked),
        ),
        None => format!("{what} at {at}, when {node} had last said that it was {then}."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_held_as_a_whole() {
        for (seen, value) in [("17", "17"), ("\"1,17,\"", "\"17,\""), ("[3, 17]", "17")] {
            assert!(holds(seen, value), "{seen} {value}");
        }
        for (seen, value) in [("117", "17"), ("171", "17"), ("\"1,117,\"", "\"17,\""), ("17", "")] {
            assert!(!holds(seen, value), "{seen} {value}");
        }
    }
}
