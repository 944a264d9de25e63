//! Places in a JSON document: `$.kvs[0].value`, of JSONPath (RFC 9535) what names one place.

use std::fmt;

use serde::Deserialize;
use serde_json::Value as Json;

/// A place in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Path {
    written: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

impl Path {
    /// The whole document.
    pub(super) fn root() -> Self {
        Self { written: "$".to_owned(), steps: Vec::new() }
    }

    /// What stands there; none if nothing does, or null.
    pub(super) fn find<'a>(&self, document: &'a Json) -> Option<&'a Json> {
        let step = |at: &'a Json, step: &Step| match step {
            Step::Member(name) => at.get(name),
            Step::Element(index) => at.get(index),
        };
        self.steps.iter().try_fold(document, step).filter(|found| !found.is_null())
    }

    fn parse(written: &str) -> Option<Vec<Step>> {
        let mut rest = written.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(name) = rest.strip_prefix('.') {
                let end = name.find(['.', '[']).unwrap_or(name.len());
                (Step::Member(name[..end].to_owned()), &name[end..])
            } else if let Some(name) = rest.strip_prefix("[\"") {
                let end = name.find("\"]")?;
                (Step::Member(name[..end].to_owned()), &name[end + 2..])
            } else {
                let index = rest.strip_prefix('[')?;
                let end = index.find(']')?;
                (Step::Element(index[..end].parse().ok()?), &index[end + 1..])
            };
            if step == Step::Member(String::new()) {
                return None;
            }
            steps.push(step);
        }
        Some(steps)
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        match Self::parse(&written) {
            Some(steps) => Ok(Self { written, steps }),
            None => Err(format!(
                "`{written}` names no place in a JSON document; expected something like `$.kvs[0].value`"
            )),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(written: &str) -> Path {
        written.to_owned().try_into().expect(written)
    }

    #[test]
    fn a_path_names_members_and_elements() {
        let document = json!({"kvs": [{"value": "MTc="}], "a.b": 1, "none": null});
        assert_eq!(path("$.kvs[0].value").find(&document), Some(&json!("MTc=")));
        assert_eq!(path("$[\"a.b\"]").find(&document), Some(&json!(1)));
        assert_eq!(path("$").find(&document), Some(&document));
        for nothing in ["$.kvs[1].value", "$.kvs.value", "$[0]", "$.none"] {
            assert_eq!(path(nothing).find(&document), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for written in ["kvs", "$.", "$..a", "$[a]", "$[0", "$.a[", "$a", ""] {
            let refused = Path::try_from(written.to_owned()).expect_err(written);
            assert!(refused.contains("$.kvs[0].value"), "{refused}");
        }
    }
}
