//! Writes what the links deliver into files that packet analysers open.
//!
//! One file per directed link, `n1-to-n2.pcap`, in the classic format of libpcap with nanoseconds
//! (draft-ietf-opsawg-pcap); a link that carries nothing has none. Holds frames as the receiver got
//! them, at the moment its interface took them: what a policy dropped is missing, and what it did
//! to the rest can be seen; resets that the switch made up are there too. The switch only copies a
//! frame into a bounded queue: if the disk is slower than the network, frames are missing and
//! counted, and no other frame is late.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::{Link, Shared, lock};
use crate::lab::fabric::Port;

/// The most frames that wait to be written.
const QUEUE: usize = 4_096;
/// Nanoseconds, in the byte order of the writer.
const MAGIC: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;

/// How much a capture may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Of every frame, only so many bytes from its beginning are kept.
    pub frame_bytes: u32,
    /// How long each file may get, in bytes; frames beyond that are not kept.
    pub file_bytes: u64,
}

impl Default for CaptureLimits {
    /// Whole frames, 256 MiB a link.
    fn default() -> CaptureLimits {
        CaptureLimits { frame_bytes: 65_535, file_bytes: 256 << 20 }
    }
}

/// Why frames cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Another capture has not ended.
    #[error("the lab's frames are being captured already")]
    Busy,
    /// Nothing here travels in frames.
    #[error("only a lab of namespaces has frames that can be captured")]
    NoFrames,
    /// A file or folder could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread that writes could not be started.
    #[error("starting to capture: {0}")]
    Thread(io::Error),
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Captured {
    /// Frames written.
    pub frames: u64,
    /// Frames left out because the disk was too slow or a file full.
    pub missed: u64,
}

/// A capture under way. It ends with [`Capture::finish`], or when this is dropped.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    missed: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<Captured, CaptureError>>>,
}

impl Capture {
    pub(super) fn start(
        shared: &Arc<Shared>,
        names: &[String],
        folder: &Path,
        limits: CaptureLimits,
    ) -> Result<Capture, CaptureError> {
        let failed = |source| CaptureError::Write { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let sink =
            Sink { sender, missed: Arc::clone(&missed), frame_bytes: limits.frame_bytes as usize };
        let mut core = lock(&shared.core);
        if core.sink.is_some() {
            return Err(CaptureError::Busy);
        }
        let mut files = Files {
            folder: folder.to_owned(),
            names: names.to_vec(),
            limits,
            wall_ns: shared.wall_ns,
            open: HashMap::new(),
            captured: Captured::default(),
        };
        let writer = thread::Builder::new().name("capture".into());
        let thread = writer.spawn(move || files.write_all(&receiver));
        core.sink = Some(sink);
        let thread = Some(thread.map_err(|error| {
            core.sink = None;
            CaptureError::Thread(error)
        })?);
        drop(core);
        Ok(Capture { shared: Arc::clone(shared), missed, thread })
    }

    /// Ends the capture and waits until everything is written.
    ///
    /// # Errors
    ///
    /// If a file could not be written; what was written before it failed is there.
    pub fn finish(mut self) -> Result<Captured, CaptureError> {
        let mut captured = self.stop().unwrap_or(Ok(Captured::default()))?;
        captured.missed += self.missed.load(Ordering::Relaxed);
        Ok(captured)
    }

    fn stop(&mut self) -> Option<Result<Captured, CaptureError>> {
        let thread = self.thread.take()?;
        lock(&self.shared.core).sink = None;
        // A panic in there was already reported as one.
        thread.join().ok()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Where the switch leaves copies of frames.
#[derive(Debug)]
pub(super) struct Sink {
    sender: SyncSender<Copied>,
    missed: Arc<AtomicU64>,
    frame_bytes: usize,
}

/// A frame as it was delivered.
#[derive(Debug)]
struct Copied {
    link: (Port, Port),
    /// Since the switch began.
    at_ns: u64,
    length: usize,
    beginning: Box<[u8]>,
}

impl Sink {
    pub(super) fn take(&self, link: (Port, Port), frame: &[u8], at_ns: u64) {
        let beginning = frame[..frame.len().min(self.frame_bytes)].into();
        let copied = Copied { link, at_ns, length: frame.len(), beginning };
        match self.sender.try_send(copied) {
            Ok(()) => {}
            // The latter means that a file could not be written, which is reported at the end.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The files of a capture.
struct Files {
    folder: PathBuf,
    names: Vec<String>,
    limits: CaptureLimits,
    /// When the switch began, in nanoseconds since 1970.
    wall_ns: u64,
    open: HashMap<(Port, Port), OpenFile>,
    captured: Captured,
}

struct OpenFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Files {
    fn write_all(&mut self, copies: &Receiver<Copied>) -> Result<Captured, CaptureError> {
        for copied in copies {
            self.write(&copied)?;
        }
        for open in self.open.values_mut() {
            let flushed = open.file.flush();
            flushed.map_err(|source| CaptureError::Write { path: open.path.clone(), source })?;
        }
        Ok(self.captured)
    }

    fn write(&mut self, copied: &Copied) -> Result<(), CaptureError> {
        let (from, to) = copied.link;
        if !self.open.contains_key(&copied.link) {
            let link = Link::new(&*self.names[from], &*self.names[to]);
            let path = self.folder.join(format!("{}-to-{}.pcap", link.from, link.to));
            let open = OpenFile::create(&path, self.limits.frame_bytes)
                .map_err(|source| CaptureError::Write { path, source })?;
            self.open.insert(copied.link, open);
        }
        let Some(open) = self.open.get_mut(&copied.link) else { return Ok(()) };
        let bytes = 16 + copied.beginning.len() as u64;
        if open.bytes + bytes > self.limits.file_bytes {
            self.captured.missed += 1;
            return Ok(());
        }
        open.bytes += bytes;
        self.captured.frames += 1;
        let written = open.record(copied, self.wall_ns.saturating_add(copied.at_ns));
        written.map_err(|source| CaptureError::Write { path: open.path.clone(), source })
    }
}

impl OpenFile {
    fn create(path: &Path, frame_bytes: u32) -> io::Result<OpenFile> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&MAGIC.to_ne_bytes())?;
        // Version 2.4.
        file.write_all(&2_u16.to_ne_bytes())?;
        file.write_all(&4_u16.to_ne_bytes())?;
        // Universal time, and an accuracy that is not given.
        file.write_all(&[0; 8])?;
        file.write_all(&frame_bytes.to_ne_bytes())?;
        file.write_all(&ETHERNET.to_ne_bytes())?;
        Ok(OpenFile { path: path.to_owned(), file, bytes: 24 })
    }

    fn record(&mut self, copied: &Copied, at_ns: u64) -> io::Result<()> {
        let seconds = (at_ns / 1_000_000_000) as u32;
        let rest = (at_ns % 1_000_000_000) as u32;
        let kept = copied.beginning.len() as u32;
        for field in [seconds, rest, kept, copied.length as u32] {
            self.file.write_all(&field.to_ne_bytes())?;
        }
        self.file.write_all(&copied.beginning)
    }
}
