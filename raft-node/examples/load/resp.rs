//! Speaks as much RESP as `SET` and `GET` take.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::measure::Client;

/// A connection of one client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    output: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(4096), output: Vec::new() })
    }

    async fn call(&mut self, words: &[&[u8]]) -> io::Result<()> {
        use std::io::Write as _;
        self.output.clear();
        write!(self.output, "*{}\r\n", words.len())?;
        for word in words {
            write!(self.output, "${}\r\n", word.len())?;
            self.output.extend_from_slice(word);
            self.output.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&self.output).await?;
        while !self.take_reply()? {
            self.input.reserve(4096);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Takes a whole reply off the input, if it is there.
    fn take_reply(&mut self) -> io::Result<bool> {
        let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(false);
        };
        let line = &self.input[..end];
        let mut taken = end + 2;
        match line.first() {
            Some(b'-') => {
                let text = String::from_utf8_lossy(line).into_owned();
                self.input.advance(taken);
                return Err(io::Error::other(text));
            }
            Some(b'$') if line != b"$-1" => {
                let length =
                    std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok());
                let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
                taken += length + 2;
            }
            _ => {}
        }
        let whole = self.input.len() >= taken;
        if whole {
            self.input.advance(taken);
        }
        Ok(whole)
    }
}

impl Client for Connection {
    async fn write(&mut self, key: &str, value: &Bytes) -> io::Result<()> {
        self.call(&[b"SET", key.as_bytes(), value]).await
    }

    async fn read(&mut self, key: &str) -> io::Result<()> {
        self.call(&[b"GET", key.as_bytes()]).await
    }
}
