//! Values in replies.

use partita_checker::Value;

use super::super::encoding::decode as decode_bytes;
pub(super) use super::super::encoding::encode;
use super::reply::Reply;

/// The value that a reply stands for; null if it is no bulk string.
pub(super) fn decode(reply: &Reply) -> Value {
    match reply {
        Reply::Bulk(bytes) => decode_bytes(bytes),
        _ => Value::Null,
    }
}

/// The values in an array of bulk strings, which is what a set or a list is read as.
pub(super) fn elements(reply: &Reply) -> Option<Vec<Value>> {
    let Reply::Array(items) = reply else { return None };
    items.iter().map(|item| matches!(item, Reply::Bulk(_)).then(|| decode(item))).collect()
}
