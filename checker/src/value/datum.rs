//! Values that still stand in the file they are read from.
//!
//! Most values of a history were seen before or are integers: to find those in a table, nothing
//! need be copied. Lists other than the two operands of a compare-and-set are not worth it.

use super::Value;

/// A value, where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Datum<'a> {
    /// A value without parts.
    Scalar(Scalar<'a>),
    /// A list of two values without parts.
    Pair([Scalar<'a>; 2]),
    /// Any value; never one of the above, so that equal values have one form.
    Value(&'a Value),
}

/// A value without parts, where it stands. Doubles are rare enough to be made into a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// The initial state.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A string.
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Integer(number) => Some(Self::Integer(*number)),
            Value::Text(text) => Some(Self::Text(text)),
            Value::Double(_) | Value::List(_) => None,
        }
    }
}

impl Datum<'_> {
    /// The initial state.
    pub(crate) const NULL: Self = Self::Scalar(Scalar::Null);

    /// Whether this is the initial state.
    pub(crate) fn is_null(self) -> bool {
        self == Self::NULL
    }

    /// The value itself.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Scalar(scalar) => scalar.into(),
            Self::Pair(operands) => Value::list(operands.map(Value::from)),
            Self::Value(value) => value.clone(),
        }
    }
}

impl<'a> From<&'a Value> for Datum<'a> {
    fn from(value: &'a Value) -> Self {
        if let Some(scalar) = Scalar::of(value) {
            return Self::Scalar(scalar);
        }
        if let Value::List(items) = value
            && let [first, second] = &**items
            && let (Some(first), Some(second)) = (Scalar::of(first), Scalar::of(second))
        {
            return Self::Pair([first, second]);
        }
        Self::Value(value)
    }
}

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(truth) => Self::Bool(truth),
            Scalar::Integer(number) => Self::Integer(number),
            Scalar::Text(text) => Self::text(text),
        }
    }
}
