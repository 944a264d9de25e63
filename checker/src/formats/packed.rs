//! Unpacks histories that were packed with gzip or zstd, which their first bytes tell.
//!
//! What is unpacked is never held as a whole: the readers bound what they keep of any file, so a
//! few kilobytes that unpack to terabytes cost time, not memory. A zstd frame whose window is
//! greater than the decoder's limit of 100 MiB is refused. Several members or frames after one
//! another are one file, as `cat` makes them. A packed file that ends early gives what can be
//! unpacked of it and says so ([`Ending`]); damage elsewhere is an error.
//!
//! Sources: RFC 1952 (gzip) and RFC 8878 (Zstandard), sections 3.1.1 and 3.1.2 for the magic
//! numbers.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// The magic number of a frame.
const FRAME: u32 = 0xfd2f_b528;

/// The magic number of a frame to be skipped, without its last four bits.
const SKIPPABLE: u32 = 0x184d_2a50;

impl Packing {
    /// How the file is packed that begins with `head`; nothing if it is not.
    pub(super) fn told_by(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [a, b, c, d, ..] => {
                let magic = u32::from_le_bytes([*a, *b, *c, *d]);
                (magic == FRAME || magic & !0xf == SKIPPABLE).then_some(Self::Zstd)
            }
            _ => None,
        }
    }

    /// The name of the program that packs so.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// How a file is packed that is not unpacked here, and how people get at what it holds.
pub(super) fn packed_otherwise(head: &[u8]) -> Option<(&'static str, &'static str)> {
    match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(("xz", "unpack it with `xz -d`")),
        // A block of bzip2 begins with the digits of pi, the last one with those of its root.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, ..] => {
            Some(("bzip2", "unpack it with `bzip2 -d`"))
        }
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => {
            Some(("zip", "unpack it with `unzip` and name the history in it"))
        }
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some(("7z", "unpack it with `7z x`")),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(("lz4", "unpack it with `lz4 -d`")),
        _ => None,
    }
}

/// How a packed file ended; shared with the one who reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Rc<Cell<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    early: bool,
    line_ends: u64,
}

impl Ending {
    /// Whether the packed file ended before it was whole.
    pub(super) fn is_early(&self) -> bool {
        self.0.get().early
    }

    /// The line that was unpacked last, from 1.
    pub(super) fn line(&self) -> u64 {
        self.0.get().line_ends + 1
    }

    fn update(&self, update: impl FnOnce(&mut State)) {
        let mut state = self.0.get();
        update(&mut state);
        self.0.set(state);
    }
}

/// What `input` holds, unpacked.
pub(super) fn unpack<R: BufRead>(packing: Packing, input: R) -> (Unpacked<R>, Ending) {
    let source = Source { input, at_end: false, failed: None };
    let decoder = match packing {
        Packing::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
        Packing::Zstd => {
            let decoder = FrameDecoder::new();
            Decoder::Zstd(Box::new(Frames { source, decoder, in_frame: false }))
        }
    };
    let ending = Ending::default();
    (BufReader::new(Unpacking { decoder, ending: ending.clone(), over: false }), ending)
}

/// A packed file as text.
pub(super) type Unpacked<R> = BufReader<Unpacking<R>>;

/// The bytes of a packed file, and what became of it.
#[derive(Debug)]
struct Source<R> {
    input: R,
    /// Whether somebody asked for more than there is.
    at_end: bool,
    /// Why the file itself could not be read on: decoders wrap it beyond recognition.
    failed: Option<io::Error>,
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer);
        self.at_end |= !buffer.is_empty() && matches!(read, Ok(0));
        read.map_err(|error| self.keep(error))
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match super::line_reader::fill(&mut self.input) {
            Ok(buffer) => {
                self.at_end |= buffer.is_empty();
                Ok(buffer)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }

    fn consume(&mut self, length: usize) {
        self.input.consume(length);
    }
}

impl<R> Source<R> {
    fn keep(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        if kind != ErrorKind::Interrupted {
            self.failed = Some(error);
        }
        kind.into()
    }
}

/// Reads what a packed file holds.
pub(super) struct Unpacking<R: BufRead> {
    decoder: Decoder<R>,
    ending: Ending,
    over: bool,
}

enum Decoder<R: BufRead> {
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(Box<Frames<R>>),
}

/// A file of frames, each to be decoded or skipped.
struct Frames<R> {
    source: Source<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        let (read, source) = match &mut self.decoder {
            Decoder::Gzip(decoder) => (decoder.read(buffer), decoder.get_mut()),
            Decoder::Zstd(frames) => (frames.read(buffer), &mut frames.source),
        };
        let error = match read {
            Ok(length) => {
                self.over = length == 0 && !buffer.is_empty();
                let ends = buffer[..length].iter().filter(|&&byte| byte == b'\n').count();
                self.ending.update(|state| state.line_ends += ends as u64);
                return Ok(length);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => error,
        };
        if let Some(failed) = source.failed.take() {
            return Err(failed);
        }
        self.over = true;
        if source.at_end {
            self.ending.update(|state| state.early = true);
            return Ok(0);
        }
        let problem = format!("the packed data is damaged: {error}");
        Err(io::Error::new(ErrorKind::InvalidData, problem))
    }
}

impl<R: BufRead> Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.enter()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 if !buffer.is_empty() => self.leave()?,
                length => return Ok(length),
            }
        }
    }

    /// Goes to the next frame that holds something; false at the end of the file.
    fn enter(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                self.source.at_end = false;
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = (&mut self.source).take(u64::from(length));
                    let skipped = io::copy(&mut { skipped }, &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Compares the checksum of the frame that was decoded, if it has one.
    fn leave(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("a checksum that does not match"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
