//! Packed files give what was packed, and say where they end early.

use std::io::Write;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    compress_to_vec(text, CompressionLevel::Fastest)
}

fn text() -> Vec<u8> {
    (0..20_000).flat_map(|number: u32| format!("{}\n", number * 7919).into_bytes()).collect()
}

fn unpacked(packed: &[u8]) -> (io::Result<Vec<u8>>, bool) {
    let packing = Packing::told_by(packed).expect("a packed file");
    let (mut input, ending) = unpack(packing, packed);
    let mut text = Vec::new();
    let read = input.read_to_end(&mut text);
    (read.map(|_| text), ending.is_early())
}

#[test]
fn packed_text_is_the_text() {
    let text = text();
    for packed in [gzip(&text), zstd(&text)] {
        let (found, early) = unpacked(&packed);
        assert!(found.unwrap() == text && !early);
    }
}

#[test]
fn members_and_frames_after_one_another_are_one_file() {
    let (first, second) = (b"one\n", b"two\n");
    let skipped = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    for packed in [
        [gzip(first), gzip(second)].concat(),
        [zstd(first), skipped.to_vec(), zstd(second)].concat(),
        [skipped.to_vec(), zstd(first), zstd(second), skipped.to_vec()].concat(),
    ] {
        let (found, early) = unpacked(&packed);
        assert_eq!(found.unwrap(), b"one\ntwo\n");
        assert!(!early);
    }
}

#[test]
fn file_that_ends_early_gives_its_beginning_and_says_so() {
    let text = text();
    for packed in [gzip(&text), zstd(&text)] {
        for length in [5, packed.len() / 2, packed.len() - 5, packed.len() - 1] {
            let (found, early) = unpacked(&packed[..length]);
            assert!(early, "{length} of {} bytes", packed.len());
            assert!(text.starts_with(&found.unwrap()));
        }
    }
}

#[test]
fn damage_is_no_early_end() {
    let text = text();
    let mut packed = gzip(&text);
    let end = packed.len();
    packed[end - 6] ^= 1;
    packed.extend(gzip(b"more\n"));
    let (found, early) = unpacked(&packed);
    assert!(found.unwrap_err().to_string().contains("damaged"));
    assert!(!early);
    let trailing = [zstd(&text), b"not a frame".to_vec()].concat();
    assert!(unpacked(&trailing).0.unwrap_err().to_string().contains("damaged"));
}

#[test]
fn other_text_is_not_packed() {
    for head in [&b"{\"index\":0}"[..], b"", b"\x1f", b"; \x28\xb5\x2f\xfd"] {
        assert_eq!(Packing::told_by(head), None);
    }
}
