//! What the user of a checker may have forgotten, where a violation looks like that.

use crate::event::{EventKind, Function};
use crate::formats::{DecidedBy, Reading};
use crate::history::{Action, History, Outcome, Response};
use crate::initial::KeyInitials;
use crate::model::ModelKind;
use crate::options::Options;
use crate::value::{Value, ValueId};
use crate::verdict::{Analysis, Counterexample};

/// Adds hints to the counterexamples of `analysis`: at an initial value that was not given, and at a
/// meaning of failed compare-and-sets that only the format has.
pub fn add(history: &History, options: &Options, reading: &Reading, analysis: &mut Analysis) {
    let conventional = reading
        .decisions
        .iter()
        .any(|decision| decision.subject == "failed cas" && decision.by == DecidedBy::Format);
    let keys = analysis.keys.iter_mut().filter_map(|key| key.counterexample.as_deref_mut());
    for found in keys.chain(&mut analysis.counterexample) {
        let hint = || initial_value(history, options, found);
        if let Some(hint) = hint().or_else(|| failed_cas(found, conventional)) {
            let others = found.hint.take().filter(|other| *other != hint);
            found.hint = Some(others.map_or(hint.clone(), |other| format!("{other} {hint}")));
        }
    }
}

/// All reads at the start of a key show one value that was never written.
fn initial_value(history: &History, options: &Options, found: &Counterexample) -> Option<String> {
    if !options.model.splits_by_key() {
        return None;
    }
    let (begun, advice): (_, fn(&Value, &str) -> String) = match &options.initial_by_key {
        KeyInitials::Same => (&options.initial, give),
        KeyInitials::Listed(values) => (values.get(&found.key).unwrap_or(&options.initial), list),
        KeyInitials::Unknown => return None,
    };
    let key = history.keys.iter().position(|key| *key == found.key)?;
    let operations = || history.operations.iter().filter(move |one| one.key.0 as usize == key);
    let (first, seen) = operations().find_map(|one| match one.outcome {
        Outcome::Ok(seen, Response::Value(value)) if one.action == Action::Read => {
            Some((value, seen))
        }
        Outcome::Ok(seen, Response::Swapped) => match one.action {
            Action::Cas { expected, .. } => Some((expected, seen)),
            _ => None,
        },
        _ => None,
    })?;
    let shown = history.values.get(first);
    if shown == begun || operations().any(|one| writes(one.action, first)) {
        return None;
    }
    // What grows out of several operations was written by none of them, and is no value from before.
    let may_have_grown = options.model != ModelKind::Register
        && operations()
            .any(|one| !matches!(one.action, Action::Read) && one.invoked.position < seen.position);
    (!may_have_grown).then(|| {
        let value = serde_json::to_string(shown).unwrap_or_default();
        let begun = serde_json::to_string(begun).unwrap_or_default();
        format!(
            "Nobody wrote {value}, which {} shows first: if it was there before the first \
             operation, {} or --initial unknown; the initial value taken here is {begun}.",
            crate::words::key(&found.key),
            advice(&found.key, &value)
        )
    })
}

/// How to give a value to all keys.
fn give(_: &Value, value: &str) -> String {
    format!("give --initial '{value}'")
}

/// How to give a value to one key beside others.
fn list(key: &Value, value: &str) -> String {
    let name = match key {
        // The option names keywords of EDN without their colon as well.
        Value::Text(text) => text.strip_prefix(':').unwrap_or(text).to_owned(),
        other => other.to_string(),
    };
    let name = serde_json::to_string(&name).unwrap_or_default();
    format!("name this key in --initial as well, with {name}:{value},")
}

fn writes(action: Action, value: ValueId) -> bool {
    match action {
        Action::Write(written) => written == value,
        Action::Cas { new, .. } => new == value,
        Action::Other(_, argument) => argument == value,
        Action::Read | Action::Delete => false,
    }
}

/// The contradiction rests on a failed compare-and-set that did not say why it failed.
fn failed_cas(found: &Counterexample, conventional: bool) -> Option<String> {
    let rests = found.operations.iter().any(|witness| {
        witness.function == Function::Cas
            && witness.outcome == EventKind::Ok
            && witness.swapped == Some(false)
            && witness.saw.is_none()
    });
    (conventional && rests).then(|| {
        "It rests on a compare-and-set that failed and did not say why, which this format takes to \
         have found another value; --failed-cas ignore takes it as not happened."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::formats::{ReadHistory, ReadOptions, read};
    use crate::verdict::Verdict;

    /// The hint of the first counterexample.
    fn hint(file: &str, text: &str, initial: Value) -> Option<String> {
        hint_with(file, text, &Options { initial, ..Options::default() })
    }

    fn hint_with(file: &str, text: &str, options: &Options) -> Option<String> {
        let ReadHistory { history, reading } =
            read(file, text.as_bytes(), &ReadOptions::default()).expect("a history");
        let (mut analysis, _) = check(&history, options, &|| false);
        assert_eq!(analysis.verdict, Verdict::Violation);
        add(&history, options, &reading, &mut analysis);
        analysis.counterexample.and_then(|found| found.hint)
    }

    fn edn(operations: &[(&str, &str)]) -> String {
        let one = |(function, value): &(&str, &str)| {
            format!(
                "{{:process 0 :type :invoke :f :{function} :value {value}}}\n\
                 {{:process 0 :type :ok :f :{function} :value {value}}}\n"
            )
        };
        operations.iter().map(one).collect()
    }

    #[test]
    fn value_that_was_there_first_leads_to_the_option() {
        let text = edn(&[("write", "5"), ("read", "5")]).replacen("5", "7", 0);
        let first = edn(&[("read", "4"), ("write", "5"), ("read", "5")]);
        let told = hint("h.edn", &first, Value::Null).expect("a hint");
        assert!(told.contains("--initial '4' or --initial unknown"), "{told}");
        // What was written is no initial value, and neither is what another value contradicts later.
        let lost = text + &edn(&[("write", "6"), ("read", "5")]);
        assert_eq!(hint("h.edn", &lost, Value::Null), None);
        let later = edn(&[("read", "4"), ("read", "3")]);
        assert_eq!(hint("h.edn", &later, 4.into()), None);
    }

    #[test]
    fn what_grew_out_of_several_operations_was_not_there_before() {
        let options = Options::of(ModelKind::Append);
        let grown = edn(&[("append", "\"a\""), ("append", "\"b\""), ("read", "\"ab\"")]);
        let stale = grown + &edn(&[("read", "\"a\"")]);
        assert_eq!(hint_with("h.edn", &stale, &options), None);
        let before = edn(&[("read", "\"x\""), ("append", "\"b\""), ("read", "\"xb\"")]);
        let told = hint_with("h.edn", &before, &options).expect("a hint");
        assert!(told.contains("Nobody wrote \"x\""), "{told}");
    }

    #[test]
    fn key_beside_those_of_a_list_leads_to_its_place_there() {
        let text = edn(&[("write", "[:a 5]"), ("read", "[:b 4]"), ("read", "[:b 4]")]);
        let text =
            text.replace(":invoke :f :read :value [:b 4]", ":invoke :f :read :value [:b nil]");
        let listed = |key: &str, value: i64| Options {
            initial_by_key: KeyInitials::Listed([(Value::text(key), value.into())].into()),
            ..Options::default()
        };
        let told = hint_with("h.edn", &text, &listed(":a", 1)).expect("a hint");
        assert!(told.contains("with \"b\":4, or --initial unknown"), "{told}");
        assert!(told.contains("taken here is null"), "{told}");
        let other = hint_with("h.edn", &text, &listed(":b", 3)).expect("a hint");
        assert!(other.contains("taken here is 3"), "{other}");
    }

    #[test]
    fn failure_that_only_the_format_explains_leads_to_the_option() {
        let line = |text: &str| format!("INFO  jepsen.util - 0\t{text}\n");
        let begin = line(":invoke\t:write\t1") + &line(":ok\t:write\t1");
        let log = begin + &line(":invoke\t:cas\t[1 2]") + &line(":fail\t:cas\t[1 2]");
        let told = hint("etcd.log", &log, Value::Null).expect("a hint");
        assert!(told.contains("--failed-cas ignore"), "{told}");
        let named = log.replace(":fail\t:cas\t[1 2]", ":fail\t:cas\t[1 2]\t:mismatch");
        assert_eq!(hint("etcd.log", &named, Value::Null), None);
    }
}
