//! The forms that a description gives: which request performs an operation, and what its answers mean.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::super::tables::TableError;
use super::super::tls::TlsTable;
use super::answer::{Answer, Condition, Source};
use super::path::Path;
use super::template::{ANY_SECRET, Bindings, Body, Template};
use super::transaction::TransactionForm;
use super::watch::WatchForm;
use crate::operation::Kind;

/// A request, with placeholders.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: Template,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Template>,
    pub(super) body: Option<Body>,
}

/// What a request does, of RFC 9110, section 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Request {
    /// The request that these words are: a method, a path and if need be a body.
    ///
    /// # Errors
    ///
    /// What was expected, if they are none.
    pub(super) fn of_words(words: &[String]) -> Result<Self, String> {
        let expected = || "expected a method, a path and if need be a body".to_owned();
        let (method, path, body) = match words {
            [method, path] => (method, path, None),
            [method, path, body] => (method, path, Some(body)),
            _ => return Err(expected()),
        };
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(method);
        let method = Method::deserialize(name).map_err(|_| expected())?;
        let plain = |text: &String| Template::plain(text);
        let body = body.map(|body| Body::Text(plain(body)));
        Ok(Self { method, path: plain(path), headers: BTreeMap::new(), body })
    }

    /// Its method, its path and its body for these values.
    pub(super) fn in_words(&self, bindings: &Bindings) -> String {
        let method = format!("{:?}", self.method).to_uppercase();
        let body = self.body.as_ref().map(|body| format!(" {}", body.fill(bindings)));
        format!("{method} {}{}", self.path.fill(bindings), body.unwrap_or_default())
    }

    /// Whether it has a placeholder of that name.
    pub(super) fn holds(&self, name: &str) -> bool {
        let in_headers = self.headers.values().any(|header| header.holds(name));
        let in_body = self.body.as_ref().is_some_and(|body| body.holds(name));
        self.path.holds(name) || in_headers || in_body
    }

    pub(super) fn problem(&self, known: &[&str]) -> Option<String> {
        let with_secrets = [known, &[ANY_SECRET]].concat();
        let headers = self.headers.values().find_map(|header| header.problem(&with_secrets));
        let body = || self.body.as_ref().and_then(|body| body.problem(known));
        self.path.problem(known).or(headers).or_else(body)
    }
}

/// A read before an update, whose answer the update needs: a version that guards it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Before {
    pub(super) request: Spanned<Request>,
    /// The value of the key as the read finds it.
    pub(super) value: Option<Spanned<Source>>,
    /// Further placeholders, and where they stand in the answer.
    #[serde(default)]
    pub(super) capture: BTreeMap<String, Spanned<Capture>>,
}

/// Where a text stands that a later request needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Capture {
    path: Path,
    /// What it is if nothing stands there.
    absent: Option<String>,
}

impl Capture {
    /// The text, if there is one.
    pub(super) fn text(&self, answer: &Answer) -> Result<String, String> {
        let found = answer.text(&self.path).or_else(|| self.absent.clone());
        found.ok_or_else(|| format!("nothing at {}", self.path))
    }
}

/// How one kind of operation is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Form {
    pub(super) before: Option<Before>,
    pub(super) request: Spanned<Request>,
    /// What holds of every answer that counts as done. One of which it does not makes no sense.
    pub(super) expect: Option<Spanned<Condition>>,
    /// The value that was read, or another answer.
    pub(super) value: Option<Spanned<Source>>,
    /// For a compare-and-set: what holds if it matched; else it did not. For a lock: what holds if it was
    /// taken, or given back. Without it, an answer that counts as done is one that did.
    pub(super) swapped: Option<Spanned<Condition>>,
    /// For a compare-and-set that did not match: what it found.
    pub(super) saw: Option<Spanned<Source>>,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    /// The operation was done.
    Ok,
    /// The key has no value: nothing was read, nothing was to be deleted, nothing was there to compare.
    Nothing,
    /// A compare-and-set did not match.
    Mismatch,
    /// It certainly did not happen and never will.
    Fail,
    /// It may have happened.
    Unknown,
}

/// A rule: of an answer of which all this holds, it says what it means.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Rule {
    /// What holds.
    pub(super) when: Spanned<Condition>,
    /// The kinds of operations that it is about: all without it.
    operations: Option<Vec<String>>,
    means: Meaning,
}

/// The table `[client]` of a description.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Forms {
    /// Headers of every request.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Template>,
    /// How connections are secured; they are not without it.
    pub(super) tls: Option<TlsTable>,
    read: Option<Form>,
    write: Option<Form>,
    cas: Option<Form>,
    delete: Option<Form>,
    append: Option<Form>,
    add: Option<Form>,
    stale_read: Option<Form>,
    next: Option<Form>,
    acquire: Option<Form>,
    release: Option<Form>,
    /// What transactions, transfers and reads of several keys are made of.
    pub(super) transaction: Option<Spanned<TransactionForm>>,
    pub(super) watch: Option<WatchForm>,
    /// In order; the first that fits says what an answer means.
    #[serde(default)]
    outcome: Vec<Rule>,
}

/// The table `[status]` of a description.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StatusForm {
    pub(super) request: Option<Spanned<Request>>,
    /// What holds of a node that is ready: by default, that the status is 2xx.
    pub(super) ready: Option<Spanned<Condition>>,
    /// What holds of a node that leads.
    pub(super) leader: Option<Spanned<Condition>>,
    /// Its role in the store's words; `leader` decides who leads.
    pub(super) role: Option<Path>,
    pub(super) term: Option<Path>,
    pub(super) commit_index: Option<Path>,
    pub(super) applied_index: Option<Path>,
}

/// The kinds that have a table in descriptions.
const TABLES: [Kind; 12] = [
    Kind::Read,
    Kind::Write,
    Kind::Cas,
    Kind::Delete,
    Kind::Append,
    Kind::Increment,
    Kind::StaleRead,
    Kind::Next,
    Kind::Acquire,
    Kind::Release,
    Kind::Transaction,
    Kind::Watch,
];

/// The name of a kind's table in descriptions.
pub(super) const fn table_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Transaction | Kind::Transfer | Kind::Balances => Kind::Transaction.word(),
        Kind::WatchedWrite => Kind::Write.word(),
        kind => kind.word(),
    }
}

const ARGUMENTS: [&str; 4] = ["key", "value", "old", "new"];

impl Forms {
    /// The form of operations of this kind, if there is one.
    pub(super) fn of(&self, kind: Kind) -> Option<&Form> {
        match kind {
            Kind::Read => self.read.as_ref(),
            Kind::Write | Kind::WatchedWrite => self.write.as_ref(),
            Kind::Cas => self.cas.as_ref(),
            Kind::Delete => self.delete.as_ref(),
            Kind::Append => self.append.as_ref(),
            Kind::Increment => self.add.as_ref(),
            Kind::StaleRead => self.stale_read.as_ref(),
            Kind::Next => self.next.as_ref(),
            Kind::Acquire => self.acquire.as_ref(),
            Kind::Release => self.release.as_ref(),
            _ => None,
        }
    }

    /// Whether the store has operations of this kind.
    pub(super) fn have(&self, kind: Kind) -> bool {
        let transaction = self.transaction.as_ref().map(Spanned::get_ref);
        match kind {
            Kind::Transaction | Kind::Balances => transaction.is_some(),
            Kind::Transfer => transaction.is_some_and(TransactionForm::has_checks),
            Kind::Watch => self.watch.is_some(),
            Kind::WatchedWrite => self.watch.is_some() && self.write.is_some(),
            kind => self.of(kind).is_some(),
        }
    }

    /// What an answer to an operation of this kind means.
    pub(super) fn meaning(&self, kind: Kind, answer: &Answer) -> Meaning {
        let about = |rule: &&Rule| {
            rule.operations.as_ref().is_none_or(|all| all.iter().any(|name| name == table_of(kind)))
        };
        let mut rules = self.outcome.iter().filter(about);
        let fitting = rules.find(|rule| rule.when.get_ref().holds(answer));
        let default = if answer.is_success() { Meaning::Ok } else { Meaning::Unknown };
        fitting.map_or(default, |rule| rule.means)
    }

    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        for kind in Kind::ALL {
            if let Some(form) = self.of(kind) {
                form.check(kind)?;
            }
        }
        if let Some(transaction) = &self.transaction {
            transaction.get_ref().check()?;
        }
        if let Some(watch) = &self.watch {
            watch.check()?;
        }
        for rule in &self.outcome {
            check(&rule.when, Condition::problem)?;
            for name in rule.operations.iter().flatten() {
                let tables = TABLES.map(table_of);
                if !tables.contains(&&**name) {
                    let problem = format!("no operation `{name}`; expected {}", tables.join(", "));
                    return Err(TableError::at(rule.when.span(), problem));
                }
            }
        }
        for header in self.headers.values() {
            if let Some(problem) = header.problem(&["key", ANY_SECRET]) {
                return Err(TableError { span: None, problem });
            }
        }
        Ok(())
    }
}

impl Form {
    fn check(&self, kind: Kind) -> Result<(), TableError> {
        let mut known: Vec<&str> = ARGUMENTS.to_vec();
        if kind != Kind::Cas {
            known.truncate(2);
        }
        if let Some(before) = &self.before {
            check(&before.request, |request| request.problem(&known))?;
            check_each(&before.value, Source::problem)?;
            known.extend(before.capture.keys().map(String::as_str));
        }
        check(&self.request, |request| request.problem(&known))?;
        check_each(&self.expect, Condition::problem)?;
        check_each(&self.swapped, Condition::problem)?;
        check_each(&self.value, Source::problem)?;
        check_each(&self.saw, Source::problem)?;
        let refuse = |span, problem: &str| Err(TableError::at(span, problem));
        match (&self.swapped, &self.saw) {
            _ if kind == Kind::Cas => {}
            (Some(_), None) if matches!(kind, Kind::Acquire | Kind::Release) => {}
            (Some(wrong), _) => {
                return refuse(wrong.span(), "only a compare-and-set or a lock has `swapped`");
            }
            (None, Some(wrong)) => return refuse(wrong.span(), "only a compare-and-set has `saw`"),
            (None, None) => {}
        }
        if matches!(kind, Kind::Read | Kind::StaleRead | Kind::Next) && self.value.is_none() {
            let problem = "it needs `value`: where the value stands in the answer";
            return refuse(self.request.span(), problem);
        }
        Ok(())
    }
}

impl StatusForm {
    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        check_each(&self.request, |request| request.problem(&["node"]))?;
        check_each(&self.ready, Condition::problem)?;
        check_each(&self.leader, Condition::problem)
    }
}

fn check<T>(
    spanned: &Spanned<T>,
    problem: impl Fn(&T) -> Option<String>,
) -> Result<(), TableError> {
    match problem(spanned.get_ref()) {
        Some(problem) => Err(TableError::at(spanned.span(), problem)),
        None => Ok(()),
    }
}

fn check_each<T>(
    spanned: &Option<Spanned<T>>,
    problem: impl Fn(&T) -> Option<String>,
) -> Result<(), TableError> {
    spanned.as_ref().map_or(Ok(()), |spanned| check(spanned, problem))
}
