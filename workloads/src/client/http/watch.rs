//! Watches, in the form `[client.watch]` of a description: a request whose answer goes on, a document of
//! JSON a line, until the client has heard enough.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use partita_checker::Value;
use serde::Deserialize;
use serde_json::Value as Json;
use toml::Spanned;

use super::super::tables::TableError;
use super::answer::{Answer, Condition, Source};
use super::forms::Request;
use super::path::Path;
use super::template::Bindings;
use crate::operation::Completion;

/// How long a client listens for changes before it takes those that came for all there are.
pub(super) const LISTENS: Duration = Duration::from_millis(150);

/// The table `[client.watch]` of a description.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WatchForm {
    /// With the placeholders `{key}` and `{from}`, the number of the first change to be told.
    pub(super) request: Spanned<Request>,
    /// What holds of every document of the answer; another ends the watch.
    expect: Option<Spanned<Condition>>,
    /// Where in a document the changes stand, if it has some.
    changes: Path,
    /// Where in a change its number stands, which is greater than those of all changes before it.
    number: Path,
    /// Where in a change the value stands.
    value: Spanned<Source>,
}

/// What a client was told of a key.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    values: Vec<Value>,
    last: u64,
}

/// The same, by keys.
pub(super) type Watched = HashMap<Value, Followed>;

impl WatchForm {
    /// What the placeholders stand for in a request that goes on where the last one ended.
    pub(super) fn bindings(key: &Value, watched: &Watched) -> Bindings {
        let last = watched.get(key).map_or(0, |followed| followed.last);
        let from = Value::text((last + 1).to_string());
        Bindings::from([("key".to_owned(), key.clone()), ("from".to_owned(), from)])
    }

    /// Takes the documents of an answer; what is wrong with the first that is none.
    pub(super) fn take(&self, lines: &[Bytes], followed: &mut Followed) -> Result<(), String> {
        for line in lines {
            let Ok(document) = serde_json::from_slice::<Json>(line) else {
                return Err("a line that is no JSON".to_owned());
            };
            self.take_document(&Answer::of_document(&document), followed)?;
        }
        Ok(())
    }

    fn take_document(&self, document: &Answer, followed: &mut Followed) -> Result<(), String> {
        if self.expect.as_ref().is_some_and(|expect| !expect.get_ref().holds(document)) {
            return Err("it is not what the description expects".to_owned());
        }
        for change in document.list(&self.changes).unwrap_or_default() {
            let change = Answer::of_document(change);
            let number = change.number(&self.number);
            let number = number.ok_or_else(|| format!("no number at {}", self.number))?;
            followed.values.push(self.value.get_ref().value(&change)?);
            // A number that falls is the store's; where to go on is after the greatest.
            followed.last = followed.last.max(number);
        }
        Ok(())
    }

    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let wrong = |span, problem| Err(TableError::at(span, problem));
        let request = self.request.get_ref();
        if let Some(problem) = request.problem(&["key", "from"]) {
            return wrong(self.request.span(), problem);
        }
        if !request.holds("from") {
            return wrong(self.request.span(), "the request of a watch lacks {from}".to_owned());
        }
        if let Some(expect) = &self.expect
            && let Some(problem) = expect.get_ref().problem()
        {
            return wrong(expect.span(), problem);
        }
        match self.value.get_ref().problem() {
            Some(problem) => wrong(self.value.span(), problem),
            None => Ok(()),
        }
    }
}

impl Followed {
    /// The answer of a watch: all changes so far.
    pub(super) fn answer(&self) -> Completion {
        Completion::Answered(Value::list(self.values.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = r#"
        request = { method = "POST", path = "/watch", body = { key = "{key}", from = "{from}" } }
        expect = { path = "$.error", exists = false }
        changes = "$.events"
        number = "$.at"
        value = { path = "$.value" }
    "#;

    fn lines(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn a_watch_goes_on_after_the_last_change() {
        let form: WatchForm = toml::from_str(FORM).expect("a form");
        form.check().expect("that makes sense");
        let (key, mut watched) = (Value::text("k"), Watched::new());
        let from = |watched: &Watched| WatchForm::bindings(&key, watched)["from"].clone();
        assert_eq!(from(&watched), Value::text("1"));
        let followed = watched.entry(key.clone()).or_default();
        let told = [
            r#"{"created": true}"#,
            r#"{"events": [{"at": "4", "value": 1}, {"at": 7, "value": 2}]}"#,
        ];
        form.take(&lines(&told), followed).expect("changes");
        assert_eq!(followed.answer(), Completion::Answered(Value::list([1.into(), 2.into()])));
        assert_eq!(from(&watched), Value::text("8"));
        let followed = watched.entry(key.clone()).or_default();
        form.take(&lines(&[r#"{"events": [{"at": 9, "value": 3}]}"#]), followed).expect("one more");
        let all = Value::list([1.into(), 2.into(), 3.into()]);
        assert_eq!(followed.answer(), Completion::Answered(all));
    }

    #[test]
    fn what_is_no_document_of_a_watch_is_told() {
        let form: WatchForm = toml::from_str(FORM).expect("a form");
        for line in ["{", r#"{"error": "compacted"}"#, r#"{"events": [{"value": 1}]}"#] {
            assert!(form.take(&lines(&[line]), &mut Followed::default()).is_err(), "{line}");
        }
        let lacking: WatchForm = toml::from_str(&FORM.replace("{from}", "1")).expect("TOML");
        assert!(lacking.check().expect_err("no {from}").to_string().contains("{from}"));
    }
}
