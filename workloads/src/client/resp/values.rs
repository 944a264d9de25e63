//! Values as they travel: byte for byte, and read back as they were written.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use partita_checker::Value;

use super::reply::{Reply, sample};

/// The longest value that is recorded whole, in bytes: longer than any that a workload writes. What
/// is longer is another value in any case, and would only fill the history.
pub(super) const WHOLE_VALUE: usize = 64 << 10;

/// Scalars travel as text: a text is sent as it is, an integer in digits and read back as one.
pub(super) fn encode(value: &Value) -> Bytes {
    match value {
        Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        other => Bytes::from(other.to_string()),
    }
}

/// The value that these bytes stand for: an integer only if they are exactly what [`encode`] makes of
/// one, and otherwise a text. What is no UTF-8, or longer than any value that was written, becomes a
/// text in ASCII that no workload writes.
pub(super) fn decode(reply: &Reply) -> Value {
    let Reply::Bulk(bytes) = reply else { return Value::Null };
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

/// The values in an array of bulk strings, which is what a set or a list is read as.
pub(super) fn elements(reply: &Reply) -> Option<Vec<Value>> {
    let Reply::Array(items) = reply else { return None };
    items.iter().map(|item| matches!(item, Reply::Bulk(_)).then(|| decode(item))).collect()
}
