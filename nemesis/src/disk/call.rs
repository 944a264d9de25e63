//! Reads a notified call: which file of the node it is about, and what it would do to it.
//!
//! Everything is read from `/proc` and from the caller's memory while the call waits, and may have
//! changed when the call goes on (seccomp_unotify(2)): another thread can move a shared file
//! position, close a descriptor or rewrite a path in between. What is thereby missed counts as
//! durable, which is always legal. A descriptor that is replaced *during an fsync of it* is the one
//! case in which a promise could be seen for the wrong file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::identity::Identity;
use crate::seccomp::listener::Notice;

/// The most of a list of buffers that is added up.
const MOST_BUFFERS: u64 = 1_024;
/// What a path may have, and the least a page has, in bytes.
const PATH_LIMIT: usize = 4_096;

/// What a call would do.
#[derive(Debug)]
pub(super) enum Call {
    /// fsync, fdatasync.
    Sync(OpenFile),
    /// sync, syncfs.
    SyncAll,
    /// msync.
    SyncMapped,
    /// Any call that writes.
    Write(Write),
    /// ftruncate, truncate, opening with O_TRUNC: cuts the file to that length, or makes it longer.
    Cut { file: PathBuf, length: u64 },
    /// mmap for writing.
    Map(OpenFile),
    /// unlink, rename: the file may lose that name.
    Unname(PathBuf),
    /// mkdir, or opening a file that is not there.
    Make,
}

/// A write to come.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) file: OpenFile,
    pub(super) range: Range<u64>,
    /// Whether it is durable when it returns.
    pub(super) is_synced: bool,
    /// Blocks are moved or taken away, not only filled.
    pub(super) moves_blocks: bool,
}

/// A file or directory that the node has open.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Where it can be opened anew, below `/proc`.
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) length: u64,
    pub(super) is_directory: bool,
}

/// Where a call writes.
enum Place {
    /// At the file's position.
    Position,
    At(u64),
    /// Nobody knows.
    Anywhere,
}

/// What `notice` would do to a file below `root`; none if nothing, or if the paths it was given make
/// no sense.
///
/// # Errors
///
/// If a descriptor of the caller cannot be looked at: a promise may have gone unseen.
pub(super) fn read(notice: &Notice, root: &Path) -> io::Result<Option<Call>> {
    let arguments = &notice.arguments;
    let file = |place: usize| open_file(notice, arguments[place], root);
    let caller = Caller { notice, root };
    match notice.number {
        libc::SYS_fsync | libc::SYS_fdatasync => Ok(file(0)?.map(Call::Sync)),
        libc::SYS_sync | libc::SYS_syncfs => Ok(Some(Call::SyncAll)),
        libc::SYS_msync => Ok(Some(Call::SyncMapped)),
        libc::SYS_mmap => Ok(file(4)?.map(Call::Map)),
        libc::SYS_ftruncate => {
            let cut = |file: OpenFile| Call::Cut { file: file.path, length: arguments[1] };
            Ok(file(0)?.map(cut))
        }
        libc::SYS_truncate => {
            let path = caller.inside(libc::AT_FDCWD as u64, arguments[0], true);
            Ok(path.map(|file| Call::Cut { file, length: arguments[1] }))
        }
        libc::SYS_openat => Ok(caller.open(arguments[0], arguments[1], arguments[2])),
        libc::SYS_unlinkat => Ok(caller.unname(arguments[0], arguments[1])),
        libc::SYS_renameat | libc::SYS_renameat2 => Ok(caller.unname(arguments[2], arguments[3])),
        libc::SYS_mkdirat => Ok(caller.make(arguments[0], arguments[1])),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open
        | libc::SYS_creat
        | libc::SYS_unlink
        | libc::SYS_rename
        | libc::SYS_mkdir => Ok(caller.old()),
        _ => write(notice, root),
    }
}

/// Who called, and where its node's files are.
struct Caller<'a> {
    notice: &'a Notice,
    root: &'a Path,
}

impl Caller<'_> {
    /// Calls whose paths begin in the current directory.
    #[cfg(target_arch = "x86_64")]
    fn old(&self) -> Option<Call> {
        let here = libc::AT_FDCWD as u64;
        let [first, second, ..] = self.notice.arguments;
        match self.notice.number {
            libc::SYS_open => self.open(here, first, second),
            libc::SYS_creat => self.open(here, first, (libc::O_CREAT | libc::O_TRUNC) as u64),
            libc::SYS_unlink => self.unname(here, first),
            libc::SYS_rename => self.unname(here, second),
            _ => self.make(here, first),
        }
    }

    fn open(&self, directory: u64, path: u64, flags: u64) -> Option<Call> {
        let path = self.inside(directory, path, true)?;
        match fs::metadata(&path) {
            Ok(found) => (found.is_file() && flags & libc::O_TRUNC as u64 != 0)
                .then_some(Call::Cut { file: path, length: 0 }),
            Err(_) => (flags & libc::O_CREAT as u64 != 0).then_some(Call::Make),
        }
    }

    fn unname(&self, directory: u64, path: u64) -> Option<Call> {
        let path = self.inside(directory, path, false)?;
        fs::symlink_metadata(&path).is_ok().then_some(Call::Unname(path))
    }

    fn make(&self, directory: u64, path: u64) -> Option<Call> {
        self.inside(directory, path, false).map(|_| Call::Make)
    }

    /// The path that the caller's memory holds at `address`, without links but perhaps the last,
    /// if it is below the root.
    fn inside(&self, directory: u64, address: u64, follow: bool) -> Option<PathBuf> {
        let path = self.text(address).ok()?;
        let base = match directory as i32 {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.notice.thread),
            descriptor => format!("/proc/{}/fd/{descriptor}", self.notice.thread),
        };
        let path = Path::new(&base).join(path);
        if follow && let Ok(path) = path.canonicalize() {
            return Some(path).filter(|path| path.starts_with(self.root));
        }
        let path = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
        Some(path).filter(|path| path.starts_with(self.root) && *path != self.root)
    }

    /// The text that ends in a zero byte at `address` of the caller's memory.
    fn text(&self, address: u64) -> io::Result<PathBuf> {
        let mut text = Vec::new();
        let mut at = address as usize;
        while text.len() < PATH_LIMIT {
            // Never over the end of a page: the next one may not be there.
            let mut chunk = vec![0; PATH_LIMIT - at % PATH_LIMIT];
            let read = memory(self.notice, at, &mut chunk)?;
            let end = chunk[..read].iter().position(|byte| *byte == 0);
            text.extend_from_slice(&chunk[..end.unwrap_or(read)]);
            if end.is_some() {
                return Ok(OsString::from_vec(text).into());
            }
            at += read;
        }
        Err(io::ErrorKind::InvalidFilename.into())
    }
}

fn memory(notice: &Notice, address: usize, buffer: &mut [u8]) -> io::Result<usize> {
    let remote = [RemoteIoVec { base: address, len: buffer.len() }];
    let pid = Pid::from_raw(notice.thread.cast_signed());
    match process_vm_readv(pid, &mut [IoSliceMut::new(buffer)], &remote)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => Ok(read),
    }
}

fn number_at(notice: &Notice, address: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    memory(notice, address as usize, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The regular file or directory below `root` that is open as `descriptor`.
fn open_file(notice: &Notice, descriptor: u64, root: &Path) -> io::Result<Option<OpenFile>> {
    let path = PathBuf::from(format!("/proc/{}/fd/{}", notice.thread, descriptor as i32));
    let metadata = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() || metadata.is_dir() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !fs::read_link(&path)?.starts_with(root) {
        return Ok(None);
    }
    let identity = Identity::of(&path, &metadata, true)?;
    let (length, is_directory) = (metadata.len(), metadata.is_dir());
    Ok(Some(OpenFile { path, identity, length, is_directory }))
}

/// A call of the write family.
fn write(notice: &Notice, root: &Path) -> io::Result<Option<Call>> {
    let arguments = &notice.arguments;
    let pointed = |address: u64| match address {
        0 => Place::Position,
        address => number_at(notice, address).map_or(Place::Anywhere, Place::At),
    };
    let descriptor = match notice.number {
        libc::SYS_copy_file_range | libc::SYS_splice => arguments[2],
        _ => arguments[0],
    };
    let Some(file) = open_file(notice, descriptor, root)? else { return Ok(None) };
    let (place, length) = match notice.number {
        libc::SYS_write => (Place::Position, arguments[2]),
        libc::SYS_pwrite64 => (Place::At(arguments[3]), arguments[2]),
        libc::SYS_writev => (Place::Position, buffers(notice)),
        libc::SYS_pwritev2 if arguments[3] == u64::MAX => (Place::Position, buffers(notice)),
        libc::SYS_pwritev | libc::SYS_pwritev2 => (Place::At(arguments[3]), buffers(notice)),
        libc::SYS_fallocate => (Place::At(arguments[2]), arguments[3]),
        libc::SYS_sendfile => (Place::Position, arguments[3]),
        _ => (pointed(arguments[3]), arguments[4]),
    };
    let descriptor = Descriptor::read(notice, descriptor)?;
    let is_fallocate = notice.number == libc::SYS_fallocate;
    let start = match place {
        Place::Position | Place::At(_) if descriptor.has(libc::O_APPEND) && !is_fallocate => {
            file.length
        }
        Place::Position => descriptor.position,
        Place::At(offset) => offset,
        Place::Anywhere => 0,
    };
    let length = if matches!(place, Place::Anywhere) { u64::MAX } else { length };
    let mut range = start..start.saturating_add(length);
    let mut moves_blocks = false;
    if is_fallocate {
        const KEEP_SIZE: u64 = libc::FALLOC_FL_KEEP_SIZE as u64;
        match arguments[1] {
            // Makes room, and changes nothing that is there.
            0 | KEEP_SIZE => range.start = range.start.max(file.length.min(range.end)),
            mode => {
                moves_blocks = true;
                let moved = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;
                if mode & moved as u64 != 0 {
                    range.end = u64::MAX;
                }
            }
        }
    }
    let asks = notice.number == libc::SYS_pwritev2
        && arguments[5] & (libc::RWF_DSYNC | libc::RWF_SYNC) as u64 != 0;
    // O_SYNC holds O_DSYNC's bit.
    let is_synced = asks || descriptor.has(libc::O_DSYNC);
    Ok(Some(Call::Write(Write { file, range, is_synced, moves_blocks })))
}

/// How much a list of buffers holds together, in bytes.
fn buffers(notice: &Notice) -> u64 {
    let (address, count) = (notice.arguments[1], notice.arguments[2].min(MOST_BUFFERS));
    let length = |place: u64| number_at(notice, address + 16 * place + 8);
    (0..count)
        .map(length)
        .try_fold(0_u64, |sum, length| Some(sum.saturating_add(length.ok()?)))
        .unwrap_or(u64::MAX)
}

/// What `/proc` says of a descriptor.
struct Descriptor {
    position: u64,
    flags: i32,
}

impl Descriptor {
    fn read(notice: &Notice, descriptor: u64) -> io::Result<Descriptor> {
        let path = format!("/proc/{}/fdinfo/{}", notice.thread, descriptor as i32);
        let text = fs::read_to_string(path)?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let position = field("pos:").and_then(|text| text.trim().parse().ok());
        let flags = field("flags:").and_then(|text| i32::from_str_radix(text.trim(), 8).ok());
        position
            .zip(flags)
            .map(|(position, flags)| Descriptor { position, flags })
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn has(&self, flag: i32) -> bool {
        self.flags & flag != 0
    }
}

impl OpenFile {
    /// Opens it anew, for reading.
    pub(super) fn reopen(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}
