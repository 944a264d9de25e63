//! What registers under transactions did: only what nobody can have written has a name here, the
//! rest is named by its cycle.

use rustc_hash::FxHashSet;

use super::{Diagnosis, Key, ended};
use crate::engines::Stopped;
use crate::history::{Action, Operation, Response};
use crate::value::Value;
use crate::words::brief;

pub(super) fn diagnose(key: &Key<'_>, proof: &[usize]) -> Result<Option<Diagnosis>, Stopped> {
    let mut written: FxHashSet<(&Value, &Value)> = FxHashSet::default();
    for operation in &key.operations {
        key.patience.step()?;
        if !operation.is_failed() {
            written.extend(steps(asked(key, operation)).filter(|it| it.0).map(|it| (it.1, it.2)));
        }
    }
    for &reader in proof {
        let operation = key.get(reader);
        let Some(Response::Value(answer)) = operation.response() else { continue };
        if key.value(answer).is_null() {
            continue;
        }
        let strange = steps(key.value(answer)).find(|&(writes, register, value)| {
            !writes && value != key.initial && !written.contains(&(register, value))
        });
        let Some((_, register, value)) = strange else { continue };
        let failed = key.failed(|action| {
            let Action::Other(_, asked) = action else { return false };
            steps(key.value(asked)).any(|step| step == (true, register, value))
        });
        let saw = format!(
            "{} read {} in register {register} in a transaction at {}",
            key.who(reader),
            brief(value),
            key.instant(ended(operation)),
        );
        return Ok(Some(key.read_from_nowhere(&saw, failed, "wrote", "write")));
    }
    Ok(None)
}

fn asked<'a>(key: &Key<'a>, operation: &Operation) -> &'a Value {
    match operation.action {
        Action::Other(_, asked) => key.value(asked),
        _ => &Value::Null,
    }
}

/// Whether each step writes, which register, and what.
fn steps(list: &Value) -> impl Iterator<Item = (bool, &Value, &Value)> {
    let steps: &[Value] = if let Value::List(steps) = list { steps } else { &[] };
    steps.iter().filter_map(|step| match step {
        Value::List(parts) => match &**parts {
            [Value::Text(function), register, value] => {
                Some((function.starts_with('w'), register, value))
            }
            _ => None,
        },
        _ => None,
    })
}
