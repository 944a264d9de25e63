//! What is read from an answer: whether something holds of it, and the values that it carries.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use partita_checker::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::encoding::{decode, sample};
use super::path::Path;

/// How much of an error's text is recorded, in characters.
const ERROR_CHARACTERS: usize = 300;

/// An answer of a node, whole.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The body as JSON, if it is a document.
    document: Option<Json>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let document = serde_json::from_slice(&body).ok();
        Self { status, headers, body, document }
    }

    /// A document that is part of an answer, taken for one.
    pub(super) fn of_document(document: &Json) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::from(document.to_string()));
        Self { status: StatusCode::OK, headers, body, document: Some(document.clone()) }
    }

    pub(super) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The answer as it is recorded where it is an error: its status and the beginning of its body.
    pub(super) fn in_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let words: String =
            words.chars().filter(|c| !c.is_control()).take(ERROR_CHARACTERS).collect();
        let colon = if words.is_empty() { "" } else { ": " };
        format!("HTTP {}{colon}{words}", self.status.as_u16())
    }

    /// The beginning of the answer, escaped.
    pub(super) fn sample(&self) -> String {
        format!("{} {}", self.status.as_u16(), sample(&self.body))
    }

    fn find(&self, path: &Path) -> Option<&Json> {
        self.document.as_ref().and_then(|document| path.find(document))
    }

    fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// The whole number at `path`, also one that is written as a string, as 64-bit numbers are in the
    /// JSON of Protocol Buffers.
    pub(super) fn number(&self, path: &Path) -> Option<u64> {
        match self.find(path)? {
            Json::Number(number) => number.as_u64(),
            Json::String(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The list at `path`.
    pub(super) fn list(&self, path: &Path) -> Option<&[Json]> {
        self.find(path)?.as_array().map(Vec::as_slice)
    }

    /// The text at `path`.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        self.find(path).map(text_of)
    }
}

/// A text as it is, anything else as JSON.
fn text_of(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Statuses: numbers, or classes such as `5xx`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
struct Statuses(Vec<(u16, u16)>);

impl TryFrom<toml::Value> for Statuses {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let one = |value: &toml::Value| match value {
            toml::Value::Integer(number) if (100..600).contains(number) => {
                u16::try_from(*number).ok().map(|number| (number, number))
            }
            toml::Value::String(class) => {
                let digit = class.strip_suffix("xx")?.parse::<u16>().ok()?;
                (1..=5).contains(&digit).then_some((digit * 100, digit * 100 + 99))
            }
            _ => None,
        };
        let all = match &value {
            toml::Value::Array(items) if !items.is_empty() => items.iter().map(one).collect(),
            value => one(value).map(|one| vec![one]),
        };
        let wrong = || format!("`{value}` is no status; expected 409, \"5xx\" or a list of such");
        all.map(Self).ok_or_else(wrong)
    }
}

/// Something that may hold of an answer: everything that it says at once. What it looks at is what
/// stands at `path`, or in `header`, or the whole body.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Condition {
    status: Option<Statuses>,
    path: Option<Path>,
    header: Option<String>,
    /// It is this.
    is: Option<toml::Value>,
    /// It is what stands at another path.
    equals_path: Option<Path>,
    /// It holds one of these texts, in this case of letters.
    contains: Option<Vec<String>>,
    /// It is there, or is not.
    exists: Option<bool>,
}

impl Condition {
    /// What is wrong with the condition.
    pub(super) fn problem(&self) -> Option<String> {
        let tests = usize::from(self.is.is_some())
            + usize::from(self.equals_path.is_some())
            + usize::from(self.contains.is_some())
            + usize::from(self.exists.is_some());
        let subject = self.path.is_some() || self.header.is_some();
        let problem = match tests {
            _ if self.path.is_some() && self.header.is_some() => {
                "one looks at `path` or at `header`, not at both"
            }
            0 if subject => {
                "what is to hold of it? Expected `is`, `equals-path`, `contains` or `exists`"
            }
            0 if self.status.is_none() => {
                "nothing that could hold; expected `status`, `path`, `header` or `contains`"
            }
            2.. => "only one of `is`, `equals-path`, `contains`, `exists` can be given",
            _ => return None,
        };
        Some(problem.to_owned())
    }

    /// Whether it holds of `answer`.
    pub(super) fn holds(&self, answer: &Answer) -> bool {
        let status = answer.status.as_u16();
        let fits = |Statuses(all): &Statuses| {
            all.iter().any(|(first, last)| (*first..=*last).contains(&status))
        };
        self.status.as_ref().is_none_or(fits) && self.test(answer)
    }

    fn test(&self, answer: &Answer) -> bool {
        let subject = self.subject(answer);
        if let Some(exists) = self.exists {
            return subject.is_some() == exists;
        }
        if let Some(texts) = &self.contains {
            let text = subject.as_ref().map(text_of);
            return text.is_some_and(|text| texts.iter().any(|part| text.contains(part)));
        }
        if let Some(expected) = &self.is {
            let expected = serde_json::to_value(expected).ok();
            return subject.is_some() && subject == expected;
        }
        match &self.equals_path {
            Some(other) => {
                let other = answer.find(other).map(text_of);
                subject.is_some() && subject.as_ref().map(text_of) == other
            }
            None => true,
        }
    }

    fn subject(&self, answer: &Answer) -> Option<Json> {
        match (&self.path, &self.header) {
            (Some(path), _) => answer.find(path).cloned(),
            (None, Some(name)) => answer.header(name).map(Json::String),
            (None, None) => Some(Json::String(String::from_utf8_lossy(&answer.body).into_owned())),
        }
    }
}

/// Where a value stands in an answer, and how it is written there.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Source {
    /// Where it stands: the whole body without this and `header`.
    path: Option<Path>,
    header: Option<String>,
    #[serde(default)]
    decode: Coding,
    /// What it is if nothing stands there; without it such an answer makes no sense.
    absent: Option<Absent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Coding {
    /// As it is.
    #[default]
    Text,
    /// Base64, of RFC 4648, section 4.
    Base64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Absent {
    /// The key has no value.
    Nothing,
}

impl Source {
    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        let both = self.path.is_some() && self.header.is_some();
        both.then(|| "a value stands at `path` or in `header`, not in both".to_owned())
    }

    /// The value; why there is none, if the answer makes no sense.
    pub(super) fn value(&self, answer: &Answer) -> Result<Value, String> {
        let text = match (&self.path, &self.header) {
            (Some(path), _) => {
                if answer.document.is_none() {
                    return Err("a body that is no JSON".to_owned());
                }
                answer.find(path).map(text_of).ok_or_else(|| format!("nothing at {path}"))
            }
            (None, Some(name)) => answer.header(name).ok_or_else(|| format!("no header {name}")),
            // Byte for byte.
            (None, None) if self.decode == Coding::Text => return Ok(decode(&answer.body)),
            (None, None) => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        };
        match (text, self.absent, self.decode) {
            (Ok(text), _, Coding::Text) => Ok(decode(text.as_bytes())),
            (Ok(text), _, Coding::Base64) => match BASE64_STANDARD.decode(&text) {
                Ok(bytes) => Ok(decode(&bytes)),
                Err(_) => Err("a value that is no Base64".to_owned()),
            },
            (Err(_), Some(Absent::Nothing), _) => Ok(Value::Null),
            (Err(problem), None, _) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-index", "12".parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        Answer::new(status, headers, Bytes::from(body.to_owned()))
    }

    fn condition(toml: &str) -> Condition {
        toml::from_str(toml).expect(toml)
    }

    fn source(toml: &str) -> Source {
        toml::from_str(toml).expect(toml)
    }

    #[test]
    fn conditions_hold_of_status_body_and_headers() {
        let refused = answer(503, r#"{"code": 14, "error": "etcdserver: not leader", "at": "14"}"#);
        let holds = [
            "status = 503",
            "status = \"5xx\"",
            "status = [409, 503]",
            "path = \"$.code\"\nis = 14",
            "path = \"$.error\"\ncontains = [\"no quorum\", \"not leader\"]",
            "status = 503\ncontains = [\"not leader\"]",
            "path = \"$.leader\"\nexists = false",
            "path = \"$.code\"\nequals-path = \"$.at\"",
            "header = \"X-Index\"\nis = \"12\"",
        ];
        for toml in holds {
            assert_eq!(condition(toml).problem(), None, "{toml}");
            assert!(condition(toml).holds(&refused), "{toml}");
        }
        let not = [
            "status = 500",
            "status = 503\npath = \"$.code\"\nis = 9",
            "path = \"$.code\"\nis = \"14\"",
            "path = \"$.leader\"\ncontains = [\"\"]",
            "path = \"$.a\"\nequals-path = \"$.b\"",
            "header = \"X-Term\"\nis = \"12\"",
        ];
        for toml in not {
            assert!(!condition(toml).holds(&refused), "{toml}");
        }
    }

    #[test]
    fn a_condition_that_says_nothing_or_too_much_is_refused() {
        let wrong = [
            "",
            "path = \"$.a\"",
            "path = \"$.a\"\nheader = \"b\"\nis = 1",
            "path = \"$.a\"\nis = 1\nexists = true",
        ];
        for toml in wrong {
            assert!(condition(toml).problem().is_some(), "{toml}");
        }
        for toml in ["status = 99", "status = \"9xx\"", "status = []", "stauts = 200"] {
            assert!(toml::from_str::<Condition>(toml).is_err(), "{toml}");
        }
    }

    #[test]
    fn values_are_read_byte_for_byte() {
        let found =
            answer(200, r#"{"kvs": [{"value": "MTc="}], "text": "017", "n": 17, "f": 17.0}"#);
        let read = |toml: &str| source(toml).value(&found);
        let base64 = "path = \"$.kvs[0].value\"\ndecode = \"base64\"";
        assert_eq!(read(base64), Ok(Value::Integer(17)));
        assert_eq!(read("path = \"$.n\""), Ok(Value::Integer(17)));
        assert_eq!(read("path = \"$.text\""), Ok(Value::text("017")));
        assert_eq!(read("path = \"$.f\""), Ok(Value::text("17.0")));
        assert_eq!(read("header = \"x-index\""), Ok(Value::Integer(12)));
        assert_eq!(source("").value(&answer(200, "v 1")), Ok(Value::text("v 1")));
    }

    #[test]
    fn nothing_is_an_answer_only_where_the_description_says_so() {
        let empty = answer(200, r#"{"kvs": []}"#);
        let path = "path = \"$.kvs[0].value\"\n";
        assert!(source(path).value(&empty).is_err());
        let absent = source(&format!("{path}absent = \"nothing\""));
        assert_eq!(absent.value(&empty), Ok(Value::Null));
        // A proxy's page is no answer of the store.
        assert!(absent.value(&answer(200, "<html>")).is_err());
        let coded = source("path = \"$.n\"\ndecode = \"base64\"");
        assert!(coded.value(&answer(200, r#"{"n": "%"}"#)).is_err());
    }
}
