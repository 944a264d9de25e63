//! Operations on several keys at one moment, in the form `[client.transaction]` of a description: one
//! request that carries checks and steps. Of it are made transactions, transfers between accounts and reads
//! of several keys.

use std::collections::BTreeMap;

use partita_checker::Value;
use serde::Deserialize;
use serde_json::Value as Json;
use toml::Spanned;

use super::super::optimistic::Write;
use super::super::tables::TableError;
use super::answer::{Answer, Condition, Source};
use super::forms::{Capture, Request};
use super::path::Path;
use super::template::{Bindings, Document};

/// The table `[client.transaction]` of a description.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TransactionForm {
    /// With the placeholders `{steps:list}`, and `{checks:list}` if the store has checks.
    request: Spanned<Request>,
    /// What holds of every answer that counts as done.
    expect: Option<Spanned<Condition>>,
    /// A step that reads `{key}`.
    read: Document,
    /// A step that writes `{value}` to `{key}`.
    write: Document,
    /// What holds of an answer to a transaction that was carried out, not refused by a check.
    done: Option<Spanned<Condition>>,
    /// A check that `{key}` has not changed since a read that found `{version}`.
    check: Option<Document>,
    /// Where the answers to the steps stand, one for each.
    answers: Path,
    /// Where in the answer to a read the value stands.
    value: Spanned<Source>,
    /// Where in the answer to a read the version stands that checks need.
    version: Option<Capture>,
}

/// What a read of a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: Value,
    /// What a check of it needs; empty if the store has none.
    version: String,
}

/// A step of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Read(&'a Value),
    Write(&'a Value, &'a Value),
}

impl<'a> Step<'a> {
    /// The steps of a transaction's argument.
    pub(super) fn all(steps: &'a Value) -> Option<Vec<Self>> {
        let Value::List(steps) = steps else { return None };
        let step = |step: &'a Value| match step {
            Value::List(parts) => match &parts[..] {
                [Value::Text(function), key, _] if &**function == "r" => Some(Self::Read(key)),
                [Value::Text(function), key, value] if &**function == "w" => {
                    Some(Self::Write(key, value))
                }
                _ => None,
            },
            _ => None,
        };
        steps.iter().map(step).collect()
    }
}

impl TransactionForm {
    pub(super) const fn request(&self) -> &Spanned<Request> {
        &self.request
    }

    /// Whether a transaction can be made to depend on what keys hold.
    pub(super) const fn has_checks(&self) -> bool {
        self.check.is_some() && self.version.is_some() && self.done.is_some()
    }

    /// What the placeholders of a request with these steps stand for.
    pub(super) fn steps(&self, steps: &[Step<'_>]) -> Bindings {
        let step = |step: &Step<'_>| match *step {
            Step::Read(key) => filled(&self.read, [("key", key)]),
            Step::Write(key, value) => filled(&self.write, [("key", key), ("value", value)]),
        };
        bindings(Vec::new(), steps.iter().map(step).collect())
    }

    /// What they stand for in a request that writes if `keys` still hold what was `found`.
    pub(super) fn guarded(&self, keys: &[Value], found: &[Found], writes: &[Write]) -> Bindings {
        let check = |(key, found): (&Value, &Found)| {
            let version = Value::text(&*found.version);
            let values = [("key", key), ("version", &version), ("value", &found.value)];
            self.check.as_ref().map_or(Json::Null, |check| filled(check, values))
        };
        let write = |(key, value): &Write| filled(&self.write, [("key", key), ("value", value)]);
        let checks = keys.iter().zip(found).map(check).collect();
        bindings(checks, writes.iter().map(write).collect())
    }

    /// Whether a transaction was carried out that has this answer; why it makes no sense, if it does not.
    pub(super) fn is_done(&self, answer: &Answer) -> Result<bool, String> {
        if self.expect.as_ref().is_some_and(|expect| !expect.get_ref().holds(answer)) {
            return Err("it is not what the description expects".to_owned());
        }
        Ok(self.done.as_ref().is_none_or(|done| done.get_ref().holds(answer)))
    }

    /// What each read of a transaction that was carried out found, in the order of the steps.
    pub(super) fn found(&self, steps: &[Step<'_>], answer: &Answer) -> Result<Vec<Found>, String> {
        let answers = answer.list(&self.answers).unwrap_or_default();
        if answers.len() != steps.len() {
            return Err(format!("{} answers to {} steps", answers.len(), steps.len()));
        }
        let reads = steps.iter().zip(answers).filter(|(step, _)| matches!(step, Step::Read(_)));
        let found = |(_, answer): (&Step<'_>, &Json)| {
            let answer = Answer::of_document(answer);
            let value = self.value.get_ref().value(&answer)?;
            let version = self.version.as_ref().map(|version| version.text(&answer)).transpose()?;
            Ok(Found { value, version: version.unwrap_or_default() })
        };
        reads.map(found).collect()
    }

    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let request = self.request.get_ref();
        let wrong = |problem: String| Err(TableError::at(self.request.span(), problem));
        if let Some(problem) = request.problem(&["steps", "checks"]) {
            return wrong(problem);
        }
        for (name, needed) in [("steps", true), ("checks", self.check.is_some())] {
            if needed && !request.holds(name) {
                return wrong(format!("the request of a transaction lacks {{{name}:list}}"));
            }
        }
        if self.check.is_some() && !self.has_checks() {
            return wrong("`check` needs `version` and `done`".to_owned());
        }
        let parts = [
            (Some(&self.read), &["key"][..]),
            (Some(&self.write), &["key", "value"]),
            (self.check.as_ref(), &["key", "value", "version"]),
        ];
        for (part, known) in parts {
            if let Some(problem) = part.and_then(|part| part.problem(known)) {
                return wrong(problem);
            }
        }
        for condition in self.expect.iter().chain(&self.done) {
            if let Some(problem) = condition.get_ref().problem() {
                return Err(TableError::at(condition.span(), problem));
            }
        }
        match self.value.get_ref().problem() {
            Some(problem) => Err(TableError::at(self.value.span(), problem)),
            None => Ok(()),
        }
    }
}

fn filled<'v>(
    document: &Document,
    values: impl IntoIterator<Item = (&'static str, &'v Value)>,
) -> Json {
    let bindings: Bindings =
        values.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    document.fill(&bindings)
}

fn bindings(checks: Vec<Json>, steps: Vec<Json>) -> Bindings {
    let list = |items: Vec<Json>| {
        Value::list(items.iter().map(|item| Value::text(item.to_string())).collect::<Vec<_>>())
    };
    BTreeMap::from([("checks".to_owned(), list(checks)), ("steps".to_owned(), list(steps))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{HeaderMap, StatusCode};

    const FORM: &str = r#"
        request = { method = "POST", path = "/txn", body = { if = "{checks:list}", then = "{steps:list}" } }
        read = { get = "{key}" }
        write = { put = ["{key}", "{value:json}"] }
        check = { at = "{version}", key = "{key}" }
        done = { path = "$.done", is = true }
        answers = "$.answers"
        value = { path = "$.value", absent = "nothing" }
        version = { path = "$.version", absent = "0" }
    "#;

    fn form() -> TransactionForm {
        let form: TransactionForm = toml::from_str(FORM).expect("a form");
        form.check().expect("that makes sense");
        form
    }

    fn answer(body: &str) -> Answer {
        Answer::new(StatusCode::OK, HeaderMap::new(), body.to_owned().into())
    }

    fn body(form: &TransactionForm, bindings: &Bindings) -> Json {
        let body = form.request.get_ref().body.as_ref().expect("a body");
        serde_json::from_str(&body.fill(bindings)).expect("JSON")
    }

    #[test]
    fn steps_stand_in_the_request_and_reads_in_the_answer() {
        let (form, key, value) = (form(), Value::text("a\"b"), Value::Integer(7));
        let steps = [Step::Read(&key), Step::Write(&key, &value), Step::Read(&key)];
        let expected = serde_json::json!({
            "if": [], "then": [{"get": "a\"b"}, {"put": ["a\"b", 7]}, {"get": "a\"b"}]
        });
        assert_eq!(body(&form, &form.steps(&steps)), expected);
        let told = r#"{"done": true, "answers": [{}, {}, {"value": 7, "version": "4"}]}"#;
        let found = form.found(&steps, &answer(told)).expect("three answers");
        let nothing = Found { value: Value::Null, version: "0".to_owned() };
        assert_eq!(found, [nothing, Found { value: 7.into(), version: "4".to_owned() }]);
        assert!(form.found(&steps, &answer(r#"{"done": true, "answers": [{}]}"#)).is_err());
    }

    #[test]
    fn writes_depend_on_the_versions_that_were_read() {
        let form = form();
        let found = [Found { value: 3.into(), version: "9".to_owned() }];
        let bindings = form.guarded(&["a".into()], &found, &[("b".into(), 4.into())]);
        let expected =
            serde_json::json!({"if": [{"at": "9", "key": "a"}], "then": [{"put": ["b", 4]}]});
        assert_eq!(body(&form, &bindings), expected);
        assert_eq!(form.is_done(&answer(r#"{"done": true}"#)), Ok(true));
        assert_eq!(form.is_done(&answer("{}")), Ok(false));
    }

    #[test]
    fn a_form_that_cannot_work_is_refused() {
        for (part, other, expected) in [
            ("{steps:list}", "", "lacks {steps:list}"),
            ("{checks:list}", "", "lacks {checks:list}"),
            ("done = { path = \"$.done\", is = true }", "", "`check` needs"),
            ("{version}", "{versoin}", "{versoin}"),
        ] {
            let form: TransactionForm = toml::from_str(&FORM.replace(part, other)).expect("TOML");
            let error = form.check().expect_err(part).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
