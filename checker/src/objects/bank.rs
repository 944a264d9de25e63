//! A bank: money goes from account to account, and is neither made nor lost.

use super::kind::{ObjectKind, entry};
use super::thing::State;
use crate::event::Function;
use crate::history::{Action, Response};
use crate::model::Call;
use crate::value::{Value, Values};

/// What accounts hold, by their names; before anything was read, by how much they changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Accounts {
    /// Whether that is what they hold, not by how much it changed.
    known: bool,
    balances: Vec<(Value, i128)>,
}

/// A bank for a history with these values.
#[derive(Clone, Copy)]
pub(super) struct Bank<'a> {
    pub(super) values: &'a Values,
    pub(super) kind: ObjectKind,
}

impl Bank<'_> {
    /// Whether the call is one that banks have, answered as banks answer.
    pub(super) fn knows(self, call: Call) -> bool {
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(answer))) => {
                balances(self.values.get(answer)).is_some()
            }
            (Action::Read, response) => response.is_none(),
            (Action::Other(Function::Transfer, argument), _) => {
                transfer(self.values.get(argument)).is_some()
            }
            _ => false,
        }
    }

    /// What accounts hold after the call, if it can have been answered so.
    pub(super) fn step(self, accounts: &Accounts, call: Call) -> Option<State> {
        let after = match (call.action, call.response) {
            (Action::Read, Some(Response::Value(answer))) => {
                self.read(accounts, balances(self.values.get(answer))?)?
            }
            (Action::Read, _) => accounts.clone(),
            (Action::Other(Function::Transfer, argument), _) => {
                let (from, to, amount) = transfer(self.values.get(argument))?;
                let mut after = accounts.clone();
                after.add(from, -amount)?;
                after.add(to, amount)?;
                after
            }
            _ => return None,
        };
        Some(State::Accounts(after))
    }

    /// A read shows all accounts. The first one tells what they held at the beginning.
    fn read(self, accounts: &Accounts, shown: Vec<(Value, i128)>) -> Option<Accounts> {
        let overdrawn = shown.iter().any(|(_, balance)| *balance < 0);
        if overdrawn && self.kind == ObjectKind::Bank {
            return None;
        }
        let fits = match accounts.known {
            true => accounts.balances == shown,
            false => {
                let is_shown = |(name, _): &(Value, i128)| shown.iter().any(|one| one.0 == *name);
                accounts.balances.iter().all(is_shown)
            }
        };
        fits.then_some(Accounts { known: true, balances: shown })
    }
}

impl Accounts {
    fn add(&mut self, account: &Value, amount: i128) -> Option<()> {
        match self.balances.binary_search_by(|one| one.0.cmp(account)) {
            Ok(place) => self.balances[place].1 += amount,
            Err(_) if self.known => return None,
            Err(place) => self.balances.insert(place, (account.clone(), amount)),
        }
        Some(())
    }

    /// How many accounts are known.
    pub(super) const fn len(&self) -> usize {
        self.balances.len()
    }
}

/// What accounts hold that a read shows, a map that the reader of a file makes a list of pairs, in the
/// order of their names.
pub(super) fn balances(value: &Value) -> Option<Vec<(Value, i128)>> {
    let Value::List(pairs) = value else { return None };
    let balance = |pair: &Value| match pair {
        Value::List(pair) => match &**pair {
            [name, Value::Integer(balance)] => Some((name.clone(), i128::from(*balance))),
            _ => None,
        },
        _ => None,
    };
    let mut shown: Vec<(Value, i128)> = pairs.iter().map(balance).collect::<Option<_>>()?;
    shown.sort_by(|one, other| one.0.cmp(&other.0));
    let is_once = shown.windows(2).all(|pair| pair[0].0 != pair[1].0);
    is_once.then_some(shown)
}

/// From which account, to which, and how much.
fn transfer(value: &Value) -> Option<(&Value, &Value, i128)> {
    let [from, to, amount] = [&["from"][..], &["to"], &["amount"]].map(|names| entry(value, names));
    match (from?, to?, amount?) {
        (from, to, Value::Integer(amount)) if *amount >= 0 => Some((from, to, (*amount).into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::objects::{ObjectKind, ObjectOptions, check, verify};
    use crate::{Anomaly, History, Value, Verdict, formats};

    fn judge(kind: ObjectKind, lines: &str) -> (Verdict, Option<Anomaly>) {
        let read = formats::read("bank.edn", lines.as_bytes(), &formats::ReadOptions::default());
        let history: History = read.expect("a history").history;
        let options = ObjectOptions { kind, initial: Value::Null, memory: 16 << 20 };
        let (analysis, certificate) = check(&history, &options, &|| false);
        if let Some(certificate) = certificate {
            verify(&history, &certificate, &options, &|| false).expect("a proof");
        }
        (analysis.verdict, analysis.counterexample.map(|found| found.anomaly))
    }

    fn told(lines: &str) -> Option<ObjectKind> {
        let read = formats::read("bank.edn", lines.as_bytes(), &formats::ReadOptions::default());
        ObjectKind::told_by(&read.expect("a history").history)
    }

    /// One operation after the other: reads of two accounts, and transfers from one to the other.
    fn lines(operations: &[Result<[i64; 2], (i64, &str)>]) -> String {
        let event = |process: usize, kind: &str, function: &str, value: String| {
            format!("{{:process {process}, :type :{kind}, :f :{function}, :value {value}}}\n")
        };
        let operation = |(process, one): (usize, &Result<[i64; 2], (i64, &str)>)| match one {
            Ok([a, b]) => {
                event(process, "invoke", "read", "nil".to_owned())
                    + &event(process, "ok", "read", format!("{{:a {a}, :b {b}}}"))
            }
            Err((amount, kind)) => {
                let value = format!("{{:from :a, :to :b, :amount {amount}}}");
                event(process, "invoke", "transfer", value.clone())
                    + &event(process, kind, "transfer", value)
            }
        };
        operations.iter().enumerate().map(operation).collect()
    }

    #[test]
    fn money_is_neither_made_nor_lost() {
        let bank = ObjectKind::Bank;
        let valid = (Verdict::Valid, None);
        let violation = |anomaly| (Verdict::Violation, Some(anomaly));
        for (operations, expected) in [
            (&[Ok([10, 10]), Err((4, "ok")), Ok([6, 14])][..], valid),
            (&[Err((4, "ok")), Ok([6, 14])], valid),
            (&[Ok([10, 10]), Err((4, "info")), Ok([10, 10]), Ok([6, 14])], valid),
            (&[Ok([10, 10]), Err((4, "fail")), Ok([10, 10])], valid),
            (&[Ok([10, 10]), Err((4, "ok")), Ok([6, 10])], violation(Anomaly::WrongTotal)),
            (&[Ok([10, 10]), Err((4, "ok")), Ok([10, 10])], violation(Anomaly::NotLinearizable)),
            (&[Ok([10, 10]), Err((4, "fail")), Ok([6, 14])], violation(Anomaly::NotLinearizable)),
            (&[Ok([2, 2]), Err((4, "ok")), Ok([-2, 6])], violation(Anomaly::NegativeBalance)),
        ] {
            let text = lines(operations);
            assert_eq!(judge(bank, &text), expected, "{text}");
            assert_eq!(told(&text), Some(bank));
        }
        let overdrawn = lines(&[Ok([2, 2]), Err((4, "ok")), Ok([-2, 6])]);
        assert_eq!(judge(ObjectKind::OverdraftBank, &overdrawn), valid);
    }
}
