//! How scalars travel: as text, and back.
//!
//! Values are compared byte for byte: an integer is what the store sends exactly as it was written, so
//! that a store which answers `017` or `17.0` for 17 answers with a value that no client wrote.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use partita_checker::Value;

/// The longest value that is recorded whole, in bytes: longer than any that a workload writes. What
/// is longer is another value in any case, and would only fill the history.
pub(super) const WHOLE_VALUE: usize = 64 << 10;

/// How many bytes of what a store sent a message shows.
pub(super) const SAMPLE_BYTES: usize = 48;

/// The bytes that `value` is sent as: a text as it is, an integer in digits.
pub(super) fn encode(value: &Value) -> Bytes {
    match value {
        Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        other => Bytes::from(other.to_string()),
    }
}

/// The value that these bytes stand for: an integer only if they are exactly what [`encode`] makes of
/// one, and otherwise a text. What is no UTF-8, or longer than any value that was written, becomes a
/// text in ASCII that no workload writes.
pub(super) fn decode(bytes: &[u8]) -> Value {
    if bytes.len() > WHOLE_VALUE {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let (length, hash) = (bytes.len(), hasher.finish());
        return Value::text(format!("{} [{length} bytes, hash {hash:016x}]", sample(bytes)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Value::text(bytes.escape_ascii().to_string());
    };
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Integer(number),
        _ => Value::text(text),
    }
}

/// The first of these bytes in ASCII: whatever else is there is escaped, a longer text is cut.
pub(super) fn sample(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let cut = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{}{cut}", shown.escape_ascii())
}
