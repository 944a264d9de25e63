//! Values and keys as clients name them, and their interned form.
//!
//! A history of a million operations names few distinct values or many; either way an engine wants
//! to compare and index them cheaply. [`Values`] gives each distinct [`Value`] a dense [`ValueId`],
//! so that engines use plain vectors where they would need maps.

mod datum;

pub(crate) use datum::{Datum, Scalar};

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// A JSON value that a client wrote or read: a scalar, or a list of values (the two operands of a
/// compare-and-set, the content of a set).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Value {
    /// The initial state: nothing was ever written.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A number with a fraction, kept by the bits of its double so that it has an equality. Whole
    /// numbers are integers, however they are spelt: see [`Value::number`].
    Double(u64),
    /// A string.
    Text(Arc<str>),
    /// Several values in order.
    List(Arc<[Value]>),
}

impl Value {
    /// Makes a text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a value of a number that was read as a double. Whole numbers are integers: 5.0 is 5, and
    /// -0.0 is 0.
    ///
    /// Refuses what is no number, infinities, and whole numbers from 2^53: they come from integers
    /// that a double does not hold, and two of those can round to one double, which would make one
    /// value of two.
    pub fn number(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        if number.fract() != 0.0 {
            return Some(Self::Double(number.to_bits()));
        }
        (number.abs() < 9_007_199_254_740_992.0).then_some(Self::Integer(number as i64))
    }

    /// Makes a list value.
    pub fn list(items: impl Into<Arc<[Value]>>) -> Self {
        Self::List(items.into())
    }

    /// Whether this is the initial state.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as people write it in a sentence: `null` as `nothing`, and text in quotes unless it
    /// is a plain word, which is nothing else on sight.
    ///
    /// ```
    /// use partita_checker::Value;
    /// assert_eq!(Value::text("1").in_words().to_string(), "\"1\"");
    /// assert_eq!(Value::from(1).in_words().to_string(), "1");
    /// ```
    pub const fn in_words(&self) -> InWords<'_> {
        InWords(self)
    }

    fn print(
        &self,
        out: &mut fmt::Formatter<'_>,
        text_to: &dyn Fn(&str, &mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> fmt::Result {
        match self {
            Self::Null => out.write_str("nothing"),
            Self::Bool(truth) => fmt::Display::fmt(truth, out),
            Self::Integer(number) => fmt::Display::fmt(number, out),
            Self::Double(bits) => fmt::Display::fmt(&f64::from_bits(*bits), out),
            Self::Text(text) => text_to(text, out),
            Self::List(items) => {
                out.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.write_str(", ")?;
                    }
                    item.print(out, text_to)?;
                }
                out.write_str("]")
            }
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// Prints the value as it is: text without quotes, `null` as `nothing`. Sentences show it
/// [in words](Value::in_words), where a text is not taken for a number.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(out, &|text, out| out.write_str(text))
    }
}

/// A value as people write it in a sentence; see [`Value::in_words`].
#[derive(Debug, Clone, Copy)]
pub struct InWords<'a>(&'a Value);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.print(out, &|text, out| match is_word(text) {
            true => out.write_str(text),
            false => write!(out, "{text:?}"),
        })
    }
}

/// Whether a text can be taken for nothing else than a text.
fn is_word(text: &str) -> bool {
    const OTHERS: [&str; 8] = ["nothing", "null", "nil", "true", "false", "NaN", "inf", "infinity"];
    let begins = |letter: char| letter.is_alphabetic() || matches!(letter, ':' | '_' | '/');
    let goes_on = |letter: char| letter.is_alphanumeric() || "_-.:/#@".contains(letter);
    text.starts_with(begins) && text.chars().all(goes_on) && !OTHERS.contains(&text)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Double(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("null, a boolean, a number, a string or a list of these")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| {
            E::invalid_value(de::Unexpected::Unsigned(number), &"an integer below 2^63")
        })
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Value::number(number).ok_or_else(|| {
            E::invalid_value(
                de::Unexpected::Float(number),
                &"a number that a 64-bit integer or a double holds exactly",
            )
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::list(items))
    }
}

/// A value's place in a [`Values`] table. Meaningless without the table that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// [`Value::Null`], which every table holds first.
    pub const NULL: Self = Self(0);

    /// This identifier as an index into vectors that run parallel to the table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A hash under which integers that follow each other lie next to each other in a table. Clients
/// count their values up, and read what was written lately: of a million values, those that are
/// looked for are then in a cache.
#[derive(Debug, Clone, Copy, Default)]
struct NearbyHasher(u64);

impl NearbyHasher {
    /// The bits of an integer that stay as they are, the least ones.
    const NEAR: u64 = 63;
    /// The bits by which a table tells two integers apart that may have the same place.
    const TAG: u64 = 0x7f << 57;
    /// 2^64 divided by the golden ratio: Knuth, *The Art of Computer Programming*, volume 3, §6.4.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
}

impl Hasher for NearbyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Which 64 places of the table, from the bits that a product mixes best; which place; and a tag.
        let far = (number / (Self::NEAR + 1)).wrapping_mul(Self::GOLDEN).swap_bytes();
        let tag = number.wrapping_mul(Self::GOLDEN);
        self.0 = tag & Self::TAG | far & !Self::TAG & !Self::NEAR | number & Self::NEAR;
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The distinct values of one history, numbered densely from 0 in order of first appearance.
///
/// Integers and texts have tables of their own: they are found without making a [`Value`] of them
/// first, and an integer takes 16 bytes there.
#[derive(Debug, Clone)]
pub struct Values {
    by_id: Vec<Value>,
    integers: HashMap<i64, ValueId, BuildHasherDefault<NearbyHasher>>,
    texts: FxHashMap<Arc<str>, ValueId>,
    /// Other values by their hashes, so that a value is hashed once; of several with one hash the
    /// first.
    others: FxHashMap<u64, ValueId>,
    /// Those whose hash another value has as well.
    collided: FxHashMap<Value, ValueId>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            by_id: vec![Value::Null],
            integers: HashMap::default(),
            texts: FxHashMap::default(),
            others: FxHashMap::default(),
            collided: FxHashMap::default(),
        }
    }
}

impl Values {
    /// The identifier of `value`, new if it was never seen.
    ///
    /// # Panics
    ///
    /// With more than 2^32 distinct values.
    pub fn intern(&mut self, value: &Value) -> ValueId {
        match value {
            Value::Null => ValueId::NULL,
            Value::Integer(number) => self.intern_integer(*number),
            Value::Text(text) => {
                if let Some(&id) = self.texts.get(text) {
                    return id;
                }
                let id = self.add(value.clone());
                self.texts.insert(text.clone(), id);
                id
            }
            other => self.intern_other(other),
        }
    }

    /// As [`Self::intern`], for a value that still stands in a file; copies a text only if it is
    /// new.
    pub(crate) fn intern_scalar(&mut self, scalar: Scalar<'_>) -> ValueId {
        match scalar {
            Scalar::Integer(number) => self.intern_integer(number),
            Scalar::Text(text) => match self.texts.get(text) {
                Some(&id) => id,
                None => self.intern(&Value::text(text)),
            },
            Scalar::Null | Scalar::Bool(_) => self.intern(&scalar.into()),
        }
    }

    /// As [`Self::intern`], for a value that still stands in a file.
    pub(crate) fn intern_datum(&mut self, datum: Datum<'_>) -> ValueId {
        match datum {
            Datum::Scalar(scalar) => self.intern_scalar(scalar),
            Datum::Pair(_) => self.intern(&datum.to_value()),
            Datum::Value(value) => self.intern(value),
        }
    }

    fn intern_integer(&mut self, number: i64) -> ValueId {
        if let Some(&id) = self.integers.get(&number) {
            return id;
        }
        let id = self.add(Value::Integer(number));
        self.integers.insert(number, id);
        id
    }

    fn intern_other(&mut self, value: &Value) -> ValueId {
        let hash = FxBuildHasher.hash_one(value);
        match self.others.get(&hash) {
            Some(&id) if self.by_id[id.index()] == *value => id,
            None => {
                let id = self.add(value.clone());
                self.others.insert(hash, id);
                id
            }
            Some(_) => {
                if let Some(&id) = self.collided.get(value) {
                    return id;
                }
                let id = self.add(value.clone());
                self.collided.insert(value.clone(), id);
                id
            }
        }
    }

    fn add(&mut self, value: Value) -> ValueId {
        let id = ValueId(u32::try_from(self.by_id.len()).expect("at most 2^32 distinct values"));
        self.by_id.push(value);
        id
    }

    /// The identifier of `value` if it was interned.
    pub fn find(&self, value: &Value) -> Option<ValueId> {
        match value {
            Value::Null => Some(ValueId::NULL),
            Value::Integer(number) => self.integers.get(number).copied(),
            Value::Text(text) => self.texts.get(text).copied(),
            other => {
                let first = *self.others.get(&FxBuildHasher.hash_one(other))?;
                match self.by_id[first.index()] == *other {
                    true => Some(first),
                    false => self.collided.get(other).copied(),
                }
            }
        }
    }

    /// The value that `id` names.
    ///
    /// # Panics
    ///
    /// If `id` comes from another table.
    pub fn get(&self, id: ValueId) -> &Value {
        &self.by_id[id.index()]
    }

    /// How many distinct values there are, the null value included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Never true: the table always holds the null value.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Option<Value> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn number_is_one_value_however_it_is_spelt() {
        for (one, other) in
            [("5", "5.0"), ("5", "5e0"), ("0", "-0"), ("0", "-0.0"), ("1.5", "15e-1")]
        {
            assert_eq!(json(one), json(other));
            let mut values = Values::default();
            assert_eq!(values.intern(&json(one).unwrap()), values.intern(&json(other).unwrap()));
        }
        assert_ne!(json("1.5"), json("1.25"));
    }

    #[test]
    fn number_that_would_be_rounded_is_refused() {
        for text in ["9223372036854775808", "-9223372036854775809", "9007199254740992.0", "1e300"] {
            assert_eq!(json(text), None, "{text}");
        }
        assert_eq!(Value::number(f64::NAN), None);
        assert_eq!(Value::number(f64::INFINITY), None);
        assert_eq!(json("9223372036854775807"), Some(Value::Integer(i64::MAX)));
    }

    #[test]
    fn text_and_what_it_looks_like_differ_on_sight() {
        for text in
            ["1", "-1.5", "", "nothing", "null", "true", "a b", "[1]", "x\n", "\"", "\u{202e}a"]
        {
            assert!(Value::text(text).in_words().to_string().starts_with('"'), "{text:?}");
        }
        assert_eq!(Value::text("k1").in_words().to_string(), "k1");
        assert_eq!(Value::list([1.into(), "1".into()]).in_words().to_string(), "[1, \"1\"]");
    }
}
