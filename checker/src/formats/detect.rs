//! Tells the format of a history by how its file begins.

use super::{Format, fastlin, jepsen_log, stores};

/// The format of the file that begins with `head`; nothing if it is none of ours.
///
/// A few kilobytes suffice. JSON and EDN differ in the first field of the first object: a text in
/// quotes, or a keyword. A key/value log is EDN in which somebody gets or puts.
pub fn detect(head: &[u8]) -> Option<Format> {
    let text = head.trim_ascii_start();
    let after = |open: usize| text[open..].trim_ascii_start().first();
    // Nothing at all is a history of nothing, in any format.
    let Some(first) = text.first() else { return Some(Format::JsonLines) };
    match first {
        b'{' if stores::etcd::looks_like(text) => Some(Format::EtcdOperations),
        b'{' if stores::s2::looks_like(text) => Some(Format::S2),
        b'{' if after(1) == Some(&b'"') => Some(Format::JsonLines),
        b'[' if is_json_array(&text[1..]) => Some(Format::JsonLines),
        b'#' if fastlin::looks_like(text) => Some(Format::Fastlin),
        b'[' | b'(' if !begins_with_forms(text) => log(text),
        b'{' | b'[' | b'(' | b';' | b'#' if has(text, b":type") => Some(edn(text)),
        _ => log(text),
    }
}

fn log(text: &[u8]) -> Option<Format> {
    jepsen_log::looks_like(text).then_some(Format::JepsenLog)
}

/// Whether what follows the first bracket may be operations of EDN, of which none begins with a word:
/// a log's line may, as in `[main] INFO`.
pub(super) fn begins_with_forms(text: &[u8]) -> bool {
    let is_blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b',';
    let inside = text.trim_ascii_start().get(1..).unwrap_or_default();
    let first = inside.iter().find(|byte| !is_blank(byte));
    first.is_none_or(|byte| matches!(byte, b'{' | b'[' | b'(' | b'#' | b';' | b']' | b')' | b'^'))
}

/// Whether what follows `[` is an array of objects, or the end of an empty one.
fn is_json_array(text: &[u8]) -> bool {
    match text.trim_ascii_start() {
        [b'{', rest @ ..] => rest.trim_ascii_start().first() == Some(&b'"'),
        [b']', rest @ ..] => rest.trim_ascii_start().is_empty(),
        _ => false,
    }
}

/// Which format of EDN maps it is.
fn edn(text: &[u8]) -> Format {
    let gets_or_puts = has(text, b":f :get") || has(text, b":f :put");
    if gets_or_puts && has(text, b":key \"") { Format::PorcupineKv } else { Format::Edn }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
