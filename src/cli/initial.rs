//! What keys hold before the first operation, as `--initial` says.

use std::collections::BTreeMap;
use std::fmt;

use partita_checker::{KeyInitials, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What keys hold before the first operation.
#[derive(Debug, Clone, Default)]
pub struct Initial {
    /// All of them, but for those of `by_key`.
    pub value: Value,
    /// Single ones.
    pub by_key: KeyInitials,
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
        return Ok(Initial { value: Value::Null, by_key: KeyInitials::Unknown });
    }
    if !text.starts_with('{') {
        let value = super::value(text)
            .map_err(|error| format!("{error}; expected JSON, an object of keys, or unknown"))?;
        return Ok(Initial { value, by_key: KeyInitials::Same });
    }
    let pairs: Pairs = serde_json::from_str(text)
        .map_err(|error| format!("expected an object of keys and their values: {error}"))?;
    Ok(Initial { value: Value::Null, by_key: KeyInitials::Listed(pairs.0) })
}

/// The members of a JSON object, none of them twice. A name stands for the text, and for what it is
/// as JSON if that is a number: keys of histories are numbers as often as texts.
struct Pairs(BTreeMap<Value, Value>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of keys and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if let Ok(number @ Value::Integer(_)) = super::value(&name) {
                        pairs.insert(number, value.clone());
                    }
                    // A keyword of EDN is a text with its colon.
                    pairs.insert(Value::text(format!(":{name}")), value.clone());
                    if pairs.insert(Value::text(name.clone()), value).is_some() {
                        let problem = format!("expected every key once, found `{name}` again");
                        return Err(serde::de::Error::custom(problem));
                    }
                }
                Ok(Pairs(pairs))
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
        let Initial { value, by_key: KeyInitials::Listed(keys) } =
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
