//! Tells texts, keywords and numbers of EDN apart, and writes values as EDN.
//!
//! A keyword is the text that it is written as, its colon included: `:x` is `":x"`. A text that
//! looks like a keyword, or like one with further colons before it, has one colon more than in the
//! file; so each text stands for one thing, and each thing has one text.

use std::io::{self, Write};

use crate::value::Value;

/// Whether `token` is a keyword: a colon, then a name.
pub(super) fn is_keyword(token: &str) -> bool {
    token.strip_prefix(':').is_some_and(is_name)
}

/// Whether `text` is colons, one at least, and then a name.
fn has_colons(text: &str) -> bool {
    let name = text.trim_start_matches(':');
    name.len() < text.len() && is_name(name)
}

fn is_name(text: &str) -> bool {
    let in_names = |letter: char| letter.is_alphanumeric() || ".*+!-_?$%&=<>/:#'|".contains(letter);
    !text.is_empty() && !text.starts_with(':') && text.chars().all(in_names)
}

/// The value of a text in quotes.
pub(super) fn from_string(text: String) -> Value {
    if has_colons(&text) { Value::text([":", &text].concat()) } else { Value::text(text) }
}

/// As many digits as every double has at least one spelling in.
const MOST_DIGITS: usize = 17;

/// The value of a number: an integer, with or without `N`, or a decimal fraction, of which `M` says
/// that it is exact. Nothing for a number that would have to be rounded.
pub(super) fn number(token: &str) -> Option<Value> {
    let unsigned = token.strip_prefix(['+', '-']).unwrap_or(token);
    let digits = unsigned.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(unsigned.len());
    if digits == 0 || (digits > 1 && unsigned.starts_with('0')) {
        return None;
    }
    let end = &unsigned[digits..];
    if matches!(end, "" | "N" | "M") {
        let integer = token.strip_suffix(['N', 'M']).unwrap_or(token);
        return integer.parse().ok().map(Value::Integer);
    }
    let exact = end.ends_with('M');
    let decimal = token.strip_suffix('M').unwrap_or(token);
    // What Rust takes for a double beyond this, as `1_0` or `inf`, does not get here.
    if !end.starts_with(['.', 'e', 'E']) || significant_digits(unsigned) > MOST_DIGITS {
        return None;
    }
    let number: f64 = decimal.parse().ok()?;
    // Nearly all exact fractions are between two doubles.
    if exact && number.fract() != 0.0 {
        return None;
    }
    Value::number(number)
}

/// How many digits a decimal fraction has without zeros at its beginning and end.
fn significant_digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E', 'M']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

/// Writes a value.
pub(super) fn write_value(output: &mut impl Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => output.write_all(b"nil"),
        Value::Bool(truth) => write!(output, "{truth}"),
        Value::Integer(number) => write!(output, "{number}"),
        Value::Double(bits) => write!(output, "{:?}", f64::from_bits(*bits)),
        Value::Text(text) => write_text(output, text),
        Value::List(items) => {
            output.write_all(b"[")?;
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    output.write_all(b" ")?;
                }
                write_value(output, item)?;
            }
            output.write_all(b"]")
        }
    }
}

/// Writes a text, or the keyword that it stands for.
fn write_text(output: &mut impl Write, text: &str) -> io::Result<()> {
    if is_keyword(text) {
        return output.write_all(text.as_bytes());
    }
    let text = if has_colons(text) { &text[1..] } else { text };
    write_string(output, text)
}

/// Writes a text in quotes.
pub(super) fn write_string(output: &mut impl Write, text: &str) -> io::Result<()> {
    output.write_all(b"\"")?;
    let mut written = 0;
    for (at, letter) in text.char_indices() {
        let escape = match letter {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\t' => "\\t",
            '\r' => "\\r",
            _ => continue,
        };
        output.write_all(&text.as_bytes()[written..at])?;
        output.write_all(escape.as_bytes())?;
        written = at + 1;
    }
    output.write_all(&text.as_bytes()[written..])?;
    output.write_all(b"\"")
}
