//! Texts with placeholders, which are parsed once: `{key}`, `{value:base64}`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use partita_checker::Value;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::secrets::{SECRET, secret};
use super::super::template::{PORT, is_port};

/// What placeholders stand for.
pub(super) type Bindings = BTreeMap<String, Value>;

/// A text with placeholders. What merely looks like one, such as the braces of JSON, stays.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole { name: String, form: String },
}

/// What stands for every port among the placeholders that are known.
pub(super) const ANY_PORT: &str = "port.NAME";

/// What stands for every secret among them.
pub(super) const ANY_SECRET: &str = "secret.NAME";

/// How the value of a placeholder is written: as it is, or after a colon one of these.
const FORMS: [&str; 4] = ["base64", "json", "list", "url"];

impl From<String> for Template {
    fn from(text: String) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = &*text;
        while let Some(start) = rest.find('{') {
            plain.push_str(&rest[..start]);
            rest = &rest[start..];
            match hole(rest) {
                Some((hole, length)) => {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(hole);
                    rest = &rest[length..];
                }
                None => {
                    plain.push('{');
                    rest = &rest[1..];
                }
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        Self(parts)
    }
}

/// The placeholder at the beginning of `text`, and how long it is.
fn hole(text: &str) -> Option<(Part, usize)> {
    let end = text.find('}')?;
    let inside = &text[1..end];
    let (name, form) = inside.split_once(':').unwrap_or((inside, ""));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let word = |word: &str| word.bytes().all(fits);
    let is_one = name.starts_with(|first: char| first.is_ascii_lowercase());
    (is_one && name.split('.').all(word) && word(form))
        .then(|| (Part::Hole { name: name.to_owned(), form: form.to_owned() }, end + 1))
}

impl Template {
    /// What is wrong with a placeholder, if it is none of `known` or has a form that there is not.
    pub(super) fn problem(&self, known: &[&str]) -> Option<String> {
        self.0.iter().find_map(|part| match part {
            Part::Hole { name, .. } if !is_known(name, known) => {
                let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
                let known = known.join(", ");
                Some(format!("`{self}` holds an unknown placeholder {{{name}}}; expected {known}"))
            }
            Part::Hole { form, .. } if !form.is_empty() && !FORMS.contains(&&**form) => {
                let known = FORMS.join("`, `");
                Some(format!("`{self}` holds an unknown form `{form}`; expected `{known}`"))
            }
            _ => None,
        })
    }

    /// With the secrets that it holds, which are in the environment, for the placeholders that name them.
    ///
    /// # Errors
    ///
    /// The first that is not there.
    pub(super) fn fill_with_secrets(&self, bindings: &Bindings) -> Result<String, String> {
        let mut all = bindings.clone();
        for part in &self.0 {
            if let Part::Hole { name, .. } = part
                && let Some(wanted) = name.strip_prefix(SECRET)
            {
                all.insert(name.clone(), Value::text(secret(wanted)?));
            }
        }
        Ok(self.fill(&all))
    }

    /// A text in which nothing is a placeholder.
    pub(super) fn plain(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// Whether it has a placeholder of that name.
    pub(super) fn holds(&self, wanted: &str) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Hole { name, .. } if name == wanted))
    }

    /// The text for these values. A placeholder without one becomes nothing.
    pub(super) fn fill(&self, bindings: &Bindings) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hole { name, form } => bindings.get(name).map_or(String::new(), |value| {
                let text = text_of(value);
                match &**form {
                    "base64" => BASE64_STANDARD.encode(text),
                    "url" => utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string(),
                    "json" => json_of(value).to_string(),
                    "list" => list_of(value).to_string(),
                    _ => text,
                }
            }),
        };
        self.0.iter().map(part).collect()
    }

    /// The text as a string of JSON; if it is nothing but a placeholder of the form `json`, the value
    /// as JSON has it, so that a number is one.
    fn fill_json(&self, bindings: &Bindings) -> Json {
        match &self.0[..] {
            [Part::Hole { name, form }] if form == "json" => {
                bindings.get(name).map_or(Json::Null, json_of)
            }
            [Part::Hole { name, form }] if form == "list" => {
                bindings.get(name).map_or(Json::Null, list_of)
            }
            _ => Json::String(self.fill(bindings)),
        }
    }
}

/// Whether `name` is one of `known`, of which `port.NAME` is any port.
fn is_known(name: &str, known: &[&str]) -> bool {
    let is_port = || name.strip_prefix(PORT).is_some_and(is_port);
    let is_secret = || name.starts_with(SECRET) && known.contains(&ANY_SECRET);
    known.contains(&name) || (known.contains(&ANY_PORT) && is_port()) || is_secret()
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Hole { name, form } if form.is_empty() => write!(f, "{{{name}}}"),
            Part::Hole { name, form } => write!(f, "{{{name}:{form}}}"),
        })
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) => Json::from(*number),
        other => Json::String(text_of(other)),
    }
}

/// A list whose items are documents, each as a text.
fn list_of(value: &Value) -> Json {
    let Value::List(items) = value else { return json_of(value) };
    let document = |item: &Value| serde_json::from_str(&text_of(item)).unwrap_or(json_of(item));
    Json::Array(items.iter().map(document).collect())
}

/// The body of a request: a text, or a document whose strings are templates.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "toml::Value")]
pub(super) enum Body {
    /// A text.
    Text(Template),
    /// A document.
    Json(Document),
}

/// A JSON document whose strings are templates.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "toml::Value")]
pub(super) enum Document {
    String(Template),
    List(Vec<Document>),
    Object(Vec<(String, Document)>),
    /// A number or a truth value.
    Constant(Json),
}

impl From<toml::Value> for Body {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self::Text(text.into()),
            other => Self::Json(other.into()),
        }
    }
}

impl From<toml::Value> for Document {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self::String(text.into()),
            toml::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            toml::Value::Table(table) => {
                Self::Object(table.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
            toml::Value::Integer(number) => Self::Constant(number.into()),
            toml::Value::Float(number) => Self::Constant(number.into()),
            toml::Value::Boolean(truth) => Self::Constant(truth.into()),
            toml::Value::Datetime(time) => Self::Constant(time.to_string().into()),
        }
    }
}

impl Document {
    /// As [`Template::problem`].
    pub(super) fn problem(&self, known: &[&str]) -> Option<String> {
        match self {
            Self::String(template) => template.problem(known),
            Self::List(items) => items.iter().find_map(|item| item.problem(known)),
            Self::Object(members) => members.iter().find_map(|(_, item)| item.problem(known)),
            Self::Constant(_) => None,
        }
    }

    fn holds(&self, name: &str) -> bool {
        match self {
            Self::String(template) => template.holds(name),
            Self::List(items) => items.iter().any(|item| item.holds(name)),
            Self::Object(members) => members.iter().any(|(_, item)| item.holds(name)),
            Self::Constant(_) => false,
        }
    }

    /// The document for these values.
    pub(super) fn fill(&self, bindings: &Bindings) -> Json {
        match self {
            Self::String(template) => template.fill_json(bindings),
            Self::List(items) => items.iter().map(|item| item.fill(bindings)).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, item)| (name.clone(), item.fill(bindings))).collect()
            }
            Self::Constant(value) => value.clone(),
        }
    }
}

impl Body {
    /// As [`Template::problem`].
    pub(super) fn problem(&self, known: &[&str]) -> Option<String> {
        match self {
            Self::Text(template) => template.problem(known),
            Self::Json(document) => document.problem(known),
        }
    }

    /// As [`Template::holds`].
    pub(super) fn holds(&self, name: &str) -> bool {
        match self {
            Self::Text(template) => template.holds(name),
            Self::Json(document) => document.holds(name),
        }
    }

    /// The bytes for these values.
    pub(super) fn fill(&self, bindings: &Bindings) -> String {
        match self {
            Self::Text(template) => template.fill(bindings),
            Self::Json(document) => document.fill(bindings).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings() -> Bindings {
        [("key", Value::text("k 1/é")), ("value", Value::Integer(17)), ("old", Value::text("a\"b"))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn filled(text: &str) -> String {
        Template::from(text.to_owned()).fill(&bindings())
    }

    #[test]
    fn placeholders_are_filled_in_the_form_that_is_asked_for() {
        assert_eq!(filled("/kv/{key:url}?old={value}"), "/kv/k%201%2F%C3%A9?old=17");
        assert_eq!(filled("{value:base64}"), "MTc=");
        assert_eq!(filled(r#"{"v": {old:json}, "n": {value:json}}"#), r#"{"v": "a\"b", "n": 17}"#);
    }

    #[test]
    fn secrets_come_from_the_environment_into_headers_alone() {
        let template = Template::from("Bearer {secret.PATH} {key:url}".to_owned());
        assert!(template.problem(&["key"]).is_some(), "not everywhere");
        assert_eq!(template.problem(&["key", ANY_SECRET]), None);
        let path = std::env::var("PATH").expect("a path");
        let filled = template.fill_with_secrets(&bindings());
        assert_eq!(filled, Ok(format!("Bearer {path} k%201%2F%C3%A9")));
        let missing = Template::from("{secret.PARTITA_NO_SUCH}".to_owned());
        assert!(missing.fill_with_secrets(&bindings()).is_err());
    }

    #[test]
    fn braces_that_are_no_placeholder_stay() {
        for text in [r#"{"a": {}}"#, "{", "}", "{Key}", "a{b c}d", "{:url}"] {
            assert_eq!(filled(text), text);
        }
    }

    #[test]
    fn an_unknown_placeholder_or_form_is_named() {
        let problem = |text: &str| Template::from(text.to_owned()).problem(&["key", "value"]);
        assert_eq!(problem("{key}={value:url}"), None);
        let unknown = problem("/{kye}").expect("misspelt");
        assert!(unknown.contains("{kye}") && unknown.contains("{key}, {value}"), "{unknown}");
        let unknown = problem("{key:bas64}").expect("misspelt");
        assert!(unknown.contains("`bas64`") && unknown.contains("`base64`"), "{unknown}");
    }

    #[test]
    fn a_document_keeps_the_types_of_its_values() {
        let value: toml::Value = toml::from_str(
            "key = \"{key:base64}\"\nnumber = \"{value:json}\"\ntext = \"v{value}\"\nn = 3\nis = true",
        )
        .expect("TOML");
        let body = Body::from(value);
        let sent: Json = serde_json::from_str(&body.fill(&bindings())).expect("JSON");
        let expected = serde_json::json!({
            "key": "ayAxL8Op", "number": 17, "text": "v17", "n": 3, "is": true
        });
        assert_eq!(sent, expected);
        assert!(body.problem(&["key"]).expect("unknown").contains("{value}"));
    }
}
