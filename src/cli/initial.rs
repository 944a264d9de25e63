//! What keys hold before the first operation, as `--initial` says.

use std::collections::BTreeMap;
use std::fmt;

use partita_checker::{History, KeyInitials, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What keys hold before the first operation.
#[derive(Debug, Clone, Default)]
pub struct Initial {
    /// All of them, but for those of `by_key`.
    pub value: Value,
    /// Single ones.
    pub by_key: KeyInitials,
    /// The names that were given for those, in their order.
    names: Vec<String>,
}

/// How many keys of a history an error names.
const FEW: usize = 5;

impl Initial {
    /// Why this cannot be what the keys of `history` hold, if it cannot: a name that is none of them
    /// would say nothing.
    pub fn refusal(&self, history: &History) -> Option<String> {
        // Of nothing there is nothing to say.
        if history.operations().is_empty() {
            return None;
        }
        let is_key = |name: &&String| meanings(name).any(|key| history.keys().contains(&key));
        let stranger = self.names.iter().find(|name| !is_key(name))?;
        let keys: Vec<String> = history
            .keys()
            .iter()
            .filter(|key| !key.is_null())
            .map(|key| key.in_words().to_string())
            .collect();
        let more = if keys.len() > FEW { ", …" } else { "" };
        let there = match keys.len() {
            0 => "its operations name no keys, so give one value for all".to_owned(),
            _ => format!("its keys are {}{more}", keys[..keys.len().min(FEW)].join(", ")),
        };
        Some(format!("--initial names `{stranger}`, which is no key of the history; {there}"))
    }
}

/// The keys that a name stands for: the text, the keyword of EDN, which is a text with its colon, and
/// the number if it is one, since keys of histories are numbers as often as texts.
fn meanings(name: &str) -> impl Iterator<Item = Value> {
    let number = super::value(name).ok().filter(|value| matches!(value, Value::Integer(_)));
    [Value::text(name), Value::text(format!(":{name}"))].into_iter().chain(number)
}

/// The value of `--initial`: a JSON value for all keys, an object with a value for each key, or
/// `unknown`.
///
/// # Errors
///
/// What was expected instead.
pub fn initial(text: &str) -> Result<Initial, String> {
    let text = text.trim();
    if text == "unknown" {
        return Ok(Initial { by_key: KeyInitials::Unknown, ..Initial::default() });
    }
    if !text.starts_with('{') {
        let value = super::value(text)
            .map_err(|error| format!("{error}; expected JSON, an object of keys, or unknown"))?;
        return Ok(Initial { value, ..Initial::default() });
    }
    let Pairs { by_key, names } = serde_json::from_str(text)
        .map_err(|error| format!("expected an object of keys and their values: {error}"))?;
    Ok(Initial { value: Value::Null, by_key: KeyInitials::Listed(by_key), names })
}

/// The members of a JSON object, none of them twice, each under all keys that its name stands for.
#[derive(Default)]
struct Pairs {
    by_key: BTreeMap<Value, Value>,
    names: Vec<String>,
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of keys and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Pairs::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if pairs.names.contains(&name) {
                        let problem = format!("expected every key once, found `{name}` again");
                        return Err(serde::de::Error::custom(problem));
                    }
                    pairs.by_key.extend(meanings(&name).map(|key| (key, value.clone())));
                    pairs.names.push(name);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_texts_numbers_and_keywords() {
        let Initial { value, by_key: KeyInitials::Listed(keys), .. } =
            initial("{\"x\":0,\"7\":\"a\"}").unwrap()
        else {
            panic!("a list of keys")
        };
        assert!(value.is_null());
        for (key, expected) in [
            (Value::text("x"), Value::Integer(0)),
            (Value::text(":x"), Value::Integer(0)),
            (Value::text("7"), Value::text("a")),
            (Value::Integer(7), Value::text("a")),
        ] {
            assert_eq!(keys.get(&key), Some(&expected));
        }
    }

    #[test]
    fn anything_else_is_one_value_or_refused() {
        assert_eq!(initial(" [1,2] ").unwrap().value, Value::list([1.into(), 2.into()]));
        assert_eq!(initial("unknown").unwrap().by_key, KeyInitials::Unknown);
        for text in ["{\"x\":0,\"x\":1}", "{x:0}", "unknwon", "{"] {
            assert!(initial(text).is_err(), "{text}");
        }
    }
}
