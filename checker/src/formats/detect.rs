//! Tells the format of a history by how its file begins.

use super::{Format, fastlin, jepsen_log};

/// The format of the file that begins with `head`; nothing if it is none of ours.
///
/// A few kilobytes suffice. JSON and EDN differ in the first field of the first object: a text in
/// quotes, or a keyword. A key/value log is EDN in which somebody gets or puts.
pub fn detect(head: &[u8]) -> Option<Format> {
    let text = head.trim_ascii_start();
    let after = |open: usize| text[open..].trim_ascii_start().first();
    match text.first()? {
        b'{' if after(1) == Some(&b'"') => Some(Format::JsonLines),
        b'#' if fastlin::looks_like(text) => Some(Format::Fastlin),
        b'{' | b'[' | b'(' | b';' | b'#' => edn(text),
        _ => jepsen_log::looks_like(head).then_some(Format::JepsenLog),
    }
}

/// Which format of EDN maps it is, if their first field is a keyword at all.
fn edn(text: &[u8]) -> Option<Format> {
    let has = |name: &[u8]| text.windows(name.len()).any(|window| window == name);
    if !has(b":type") {
        return None;
    }
    let key_value = (has(b":f :get") || has(b":f :put")) && has(b":key \"");
    Some(if key_value { Format::PorcupineKv } else { Format::Edn })
}
