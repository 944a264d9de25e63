//! Updates that are done by reads, and then by writes on the condition that what was read still stands
//! there: transfers between accounts, and guarded transactions.
//!
//! The reads change nothing, so whatever goes wrong before the writes are sent is a `fail`. If the condition
//! does not hold nothing is done, for certain. If it holds, nothing has changed since the reads that they
//! would not show, and all of it happens at the moment of the writes.

use partita_checker::Value;

use crate::operation::{Completion, Invocation, Kind, OPENING_BALANCE};

/// Why nothing was done where the condition did not hold.
pub(super) const CHANGED: &str = "what was read has changed meanwhile";

/// An update that begins with reads.
#[derive(Debug)]
pub(super) enum Optimistic<'a> {
    /// From an account, to another, so much.
    Transfer { from: &'a Value, to: &'a Value, amount: i64 },
    /// The steps of a transaction, in which no register is read that was written before.
    Steps(&'a [Value]),
}

/// A key and the value that is written to it.
pub(super) type Write = (Value, Value);

impl<'a> Optimistic<'a> {
    /// The update that `invocation` asks for; none if it is to be done otherwise.
    pub(super) fn of(invocation: &'a Invocation) -> Option<Self> {
        let Value::List(parts) = &invocation.value else { return None };
        match invocation.kind {
            Kind::Transfer => {
                let value = |place: usize| match parts.get(place) {
                    Some(Value::List(pair)) => pair.get(1),
                    _ => None,
                };
                let Value::Integer(amount) = value(2)? else { return None };
                Some(Self::Transfer { from: value(0)?, to: value(1)?, amount: *amount })
            }
            Kind::Transaction if invocation.guarded => Some(Self::Steps(parts)),
            _ => None,
        }
    }

    /// What is read, in this order.
    pub(super) fn reads(&self) -> Vec<Value> {
        match self {
            Self::Transfer { from, to, .. } => vec![(*from).clone(), (*to).clone()],
            Self::Steps(steps) => steps.iter().filter_map(read_of).cloned().collect(),
        }
    }

    /// What is written after the reads showed `seen`, if that is still so; or what came of the update, if
    /// it ends there.
    pub(super) fn writes(&self, seen: &[Value]) -> Result<Vec<Write>, Completion> {
        match self {
            Self::Transfer { from, to, amount } => {
                let no_balance = || Completion::Fail("an account holds what is no balance".into());
                let balance = |place: usize| seen.get(place).and_then(balance);
                let (had, has) = balance(0).zip(balance(1)).ok_or_else(no_balance)?;
                if had < *amount {
                    return Err(Completion::Refused("the account holds less".into()));
                }
                let sums = had.checked_sub(*amount).zip(has.checked_add(*amount));
                let (left, gets) = sums.ok_or_else(no_balance)?;
                Ok(vec![((*from).clone(), left.into()), ((*to).clone(), gets.into())])
            }
            Self::Steps(steps) => Ok(steps
                .iter()
                .filter_map(|step| match parts(step)? {
                    ("w", key, value) => Some((key.clone(), value.clone())),
                    _ => None,
                })
                .collect()),
        }
    }

    /// What came of the update, once it was done.
    pub(super) fn done(&self, seen: &[Value]) -> Completion {
        let Self::Steps(steps) = self else { return Completion::Done };
        let mut seen = seen.iter();
        let answered = steps.iter().map(|step| match (read_of(step), parts(step)) {
            (Some(key), Some((function, ..))) => {
                let value = seen.next().cloned().unwrap_or(Value::Null);
                Value::list([Value::text(function), key.clone(), value])
            }
            _ => step.clone(),
        });
        Completion::Answered(Value::list(answered.collect::<Vec<_>>()))
    }
}

/// The answer to a read of these accounts that showed `seen`.
pub(super) fn balances(accounts: &Value, seen: &[Value]) -> Completion {
    let names: &[Value] = if let Value::List(names) = accounts { names } else { &[] };
    let pair = |(name, seen): (&Value, &Value)| {
        let shown = balance(seen).map_or_else(|| seen.clone(), Value::Integer);
        Value::list([name.clone(), shown])
    };
    Completion::Answered(Value::list(names.iter().zip(seen).map(pair).collect::<Vec<_>>()))
}

/// What an account holds of which this was read.
fn balance(seen: &Value) -> Option<i64> {
    match seen {
        Value::Null => Some(OPENING_BALANCE),
        Value::Integer(balance) => Some(*balance),
        _ => None,
    }
}

/// The register that a step reads, if it does.
fn read_of(step: &Value) -> Option<&Value> {
    parts(step).filter(|(function, ..)| *function == "r").map(|(_, key, _)| key)
}

fn parts(step: &Value) -> Option<(&str, &Value, &Value)> {
    let Value::List(parts) = step else { return None };
    match &parts[..] {
        [Value::Text(function), key, value] => Some((function, key, value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_moves_what_is_there_and_an_untouched_account_holds_the_opening_balance() {
        let transfer = Invocation::transfer("k".into(), "ka".into(), "kb".into(), 30);
        let update = Optimistic::of(&transfer).expect("one");
        assert_eq!(update.reads(), ["ka".into(), "kb".into()]);
        let writes = update.writes(&[Value::Null, 5.into()]);
        let expected = vec![("ka".into(), (OPENING_BALANCE - 30).into()), ("kb".into(), 35.into())];
        assert_eq!(writes, Ok(expected));
        let refused = update.writes(&[29.into(), Value::Null]);
        assert!(matches!(refused, Err(Completion::Refused(_))), "{refused:?}");
        let strange = update.writes(&["x".into(), Value::Null]);
        assert!(matches!(strange, Err(Completion::Fail(_))), "{strange:?}");
        assert_eq!(update.done(&[]), Completion::Done);
    }

    #[test]
    fn a_guarded_transaction_answers_what_its_reads_showed() {
        let step = |function: &str, key: &str, value: Value| {
            Value::list([Value::text(function), key.into(), value])
        };
        let steps = vec![
            step("r", "a", Value::Null),
            step("r", "b", Value::Null),
            step("w", "a", 7.into()),
        ];
        let plain = Invocation::transaction(steps.clone());
        assert!(Optimistic::of(&plain).is_none());
        let guarded = Invocation::guarded_transaction(steps);
        let update = Optimistic::of(&guarded).expect("one");
        assert_eq!(update.reads(), ["a".into(), "b".into()]);
        let seen = [3.into(), Value::Null];
        assert_eq!(update.writes(&seen), Ok(vec![("a".into(), 7.into())]));
        let answered =
            [step("r", "a", 3.into()), step("r", "b", Value::Null), step("w", "a", 7.into())];
        assert_eq!(update.done(&seen), Completion::Answered(Value::list(answered)));
    }

    #[test]
    fn what_is_no_balance_is_shown_as_it_is() {
        let accounts = Value::list(["a".into(), "b".into()]);
        let pair = |name: &str, value: Value| Value::list([name.into(), value]);
        let shown = [pair("a", OPENING_BALANCE.into()), pair("b", "x".into())];
        let seen = [Value::Null, "x".into()];
        assert_eq!(balances(&accounts, &seen), Completion::Answered(Value::list(shown)));
    }
}
