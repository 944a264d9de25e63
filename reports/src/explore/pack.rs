//! Packs numbers and texts into the few bytes that a page carries: variable-length integers,
//! deflated, in base64.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// One number per operation, all of one kind.
#[derive(Debug, Default)]
pub(super) struct Column {
    bytes: Vec<u8>,
    last: u64,
}

impl Column {
    /// Appends a number as it is.
    pub(super) fn push(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// Appends a number as its difference to the one before, which may be larger.
    pub(super) fn push_difference(&mut self, number: u64) {
        let difference = number.wrapping_sub(self.last) as i64;
        self.last = number;
        self.push(((difference << 1) ^ (difference >> 63)) as u64);
    }
}

/// The columns one after another, packed.
pub(super) fn columns<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    deflated(columns.into_iter().map(|column| column.bytes.as_slice()))
}

/// The lines one after another, packed. None of them may contain a line feed.
pub(super) fn lines(lines: &[String]) -> String {
    deflated([lines.join("\n").as_bytes()])
}

fn deflated<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for part in parts {
        encoder.write_all(part).expect("memory takes everything");
    }
    STANDARD.encode(encoder.finish().expect("memory takes everything"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_seven_bits_a_byte_and_differences_either_sign() {
        let mut column = Column::default();
        for number in [0, 127, 128, 300] {
            column.push(number);
        }
        assert_eq!(column.bytes, [0, 127, 0x80, 1, 0xac, 2]);
        let mut column = Column::default();
        for number in [5, 3, 67] {
            column.push_difference(number);
        }
        assert_eq!(column.bytes, [10, 3, 0x80, 1]);
    }

    #[test]
    fn the_largest_number_fits() {
        let mut column = Column::default();
        column.push(u64::MAX);
        assert_eq!(column.bytes.len(), 10);
        column.push_difference(u64::MAX);
        assert_eq!(column.bytes[10..], [1], "one less than nothing");
    }
}
