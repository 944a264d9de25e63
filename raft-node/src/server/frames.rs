//! Cuts a byte stream between servers into frames, each with its length and checksum.
//!
//! A frame is the content's length and its CRC32C, four little-endian bytes each, and the content:
//! first a greeting, then messages. An empty frame only shows that the connection lives. Content is
//! buffered as it comes, not as the length announces, and never beyond the limit; a frame that is
//! too long or whose checksum is wrong ends the connection, since the stream cannot be trusted any
//! more. TCP's own checksum is too weak to rely on where packets get corrupted on purpose.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::core::units::NodeId;

/// The longest content of a frame: a full batch and one entry of the largest request.
const MAX_FRAME_BYTES: usize = 8 << 20;
const HEADER_BYTES: usize = 8;
/// Room for one read.
const READ_BYTES: usize = 16 << 10;
const GREETING_MAGIC: [u8; 8] = *b"PARTITA4";

/// Why a connection between servers ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The network, or the other end.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end closed the connection.
    #[error("closed by the other end")]
    Closed,
    /// Nothing arrived for too long.
    #[error("silent for too long")]
    Silent,
    /// The announced length is over the limit.
    #[error("a frame of {0} bytes, {MAX_FRAME_BYTES} at most")]
    TooLong(usize),
    /// The content is not what was sent.
    #[error("a frame's checksum does not match")]
    Checksum,
}

/// Appends a frame to `out`, its content written by `encode`.
pub(super) fn put_frame(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    encode(out);
    let content = &out[start + HEADER_BYTES..];
    assert!(content.len() <= MAX_FRAME_BYTES, "batches and requests are bounded");
    let length = u32::try_from(content.len()).expect("within the limit").to_le_bytes();
    let checksum = crc32c::crc32c(content).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + HEADER_BYTES].copy_from_slice(&checksum);
}

/// Takes frames off a stream.
#[derive(Debug)]
pub(super) struct FrameReader<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Waits for the next frame's content, as long as some part of it arrives every `silence`: a
    /// slow network is no dead one.
    pub(super) async fn next(&mut self, silence: Duration) -> Result<BytesMut, FrameError> {
        loop {
            if let Some(content) = self.take()? {
                return Ok(content);
            }
            self.buffer.reserve(READ_BYTES);
            let read = timeout(silence, self.stream.read_buf(&mut self.buffer)).await;
            if read.map_err(|_| FrameError::Silent)?? == 0 {
                return Err(FrameError::Closed);
            }
        }
    }

    fn take(&mut self) -> Result<Option<BytesMut>, FrameError> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        if crc32c::crc32c(content) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(FrameError::Checksum);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(self.buffer.split_to(length)))
    }
}

/// What a dialing server says first: who it is, whom it means, and where it is reached itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) address: SocketAddr,
}

impl Greeting {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&GREETING_MAGIC);
        out.extend_from_slice(&self.from.0.to_le_bytes());
        out.extend_from_slice(&self.to.0.to_le_bytes());
        out.extend_from_slice(self.address.to_string().as_bytes());
    }

    /// The greeting that fills `content`, if it is one.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let rest = content.strip_prefix(&GREETING_MAGIC)?;
        let (from, rest) = rest.split_first_chunk()?;
        let (to, address) = rest.split_first_chunk()?;
        let (from, to) = (NodeId(u32::from_le_bytes(*from)), NodeId(u32::from_le_bytes(*to)));
        let address = std::str::from_utf8(address).ok()?.parse().ok()?;
        (from.0 > 0).then_some(Self { from, to, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_frame(&mut out, |out| out.extend_from_slice(content));
        out
    }

    async fn read_all(bytes: &[u8]) -> (Vec<BytesMut>, FrameError) {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        loop {
            match reader.next(Duration::MAX).await {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let stream = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let (frames, error) = read_all(&stream).await;
        assert_eq!(frames, [&b"one"[..], b"", b"three"]);
        assert!(matches!(error, FrameError::Closed));
    }

    #[tokio::test]
    async fn any_flipped_byte_is_noticed() {
        let stream = framed(b"a vote");
        for at in 0..stream.len() {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x04;
            let (frames, _) = read_all(&damaged).await;
            assert!(frames.is_empty(), "byte {at}");
        }
    }

    #[tokio::test]
    async fn announced_length_over_the_limit_is_refused_unread() {
        let (_, error) = read_all(&[0xff; 8]).await;
        assert!(matches!(error, FrameError::TooLong(_)));
    }

    #[test]
    fn greeting_survives_the_wire_and_no_part_of_it_is_one() {
        let address = SocketAddr::from(([10, 0, 0, 1], 7001));
        let greeting = Greeting { from: NodeId(2), to: NodeId(1), address };
        let mut bytes = Vec::new();
        greeting.put(&mut bytes);
        assert_eq!(Greeting::read(&bytes), Some(greeting));
        assert_eq!(Greeting::read(&bytes[..16]), None);
        assert_eq!(Greeting::read(&bytes[1..]), None);
        bytes.push(b'x');
        assert_eq!(Greeting::read(&bytes), None);
    }
}
