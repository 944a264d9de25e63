//! A small program that uses its disk as it is told to: the victim of disk faults.
//!
//! It says what it finds in its current directory, a line a file, then carries its script out once
//! (one that has no end, whenever it is started),
//! says `done`, and waits to be killed.

#![expect(unsafe_code, reason = "writing through mapped memory has no safe interface")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::exit;
use std::time::Duration;

/// Holds the script; with it set, this program is the victim.
pub(crate) const SCRIPT: &str = "PARTITA_TEST_SCRIPT";
/// The file that says that the script was carried out: beside the disk, not on it.
const RAN: &str = "../ran";

/// What a victim saw: files with their contents, zeros shown as dots; directories end in a slash.
pub(crate) type Seen = BTreeMap<String, String>;

/// Becomes the victim and never returns, if this process was started to be it.
pub(crate) fn run_if_asked() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    for (path, contents) in look(Path::new(".")) {
        say(&format!("found {path}={contents}"));
    }
    say("looked");
    let is_tireless = script.contains("or-end");
    if fs::metadata(RAN).is_err() || is_tireless {
        File::create(RAN).expect("made");
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            if let Err(error) = obey(line) {
                say(&format!("{line}: os error {}", error.raw_os_error().unwrap_or(0)));
            }
        }
    }
    say("done");
    std::thread::sleep(Duration::from_secs(1_000));
    exit(1)
}

fn say(line: &str) {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("somebody listens");
}

/// Everything below a directory.
fn look(directory: &Path) -> Seen {
    let mut seen = Seen::new();
    for entry in fs::read_dir(directory).expect("readable").flatten() {
        let path = entry.path();
        let name = path.strip_prefix("./").unwrap_or(&path).display().to_string();
        if path.is_dir() {
            seen.insert(format!("{name}/"), String::new());
            seen.extend(look(&path));
        } else {
            let contents = fs::read(&path).expect("readable");
            let end = contents.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let shown = String::from_utf8_lossy(&contents[..end]).replace('\0', ".");
            let zeros = contents.len() - end;
            let zeros = if zeros > 0 { format!("+{zeros}") } else { String::new() };
            seen.insert(name, format!("{shown}{zeros}"));
        }
    }
    seen
}

/// Parses what a victim said it found, the last time it was started.
pub(crate) fn found(stdout: &str) -> Seen {
    let latest = stdout.rsplit("done\n").find(|part| part.contains("looked")).unwrap_or_default();
    let lines = latest.lines().filter_map(|line| line.strip_prefix("found ")?.split_once('='));
    lines.map(|(path, contents)| (path.to_owned(), contents.to_owned())).collect()
}

fn open(path: &str, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).custom_flags(flags).open(path)
}

fn obey(line: &str) -> io::Result<()> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["append", file, text] => open(file, libc::O_APPEND)?.write_all(text.as_bytes()),
        ["fill", file, count] => {
            let bytes = vec![b'x'; number(count) as usize];
            open(file, libc::O_APPEND)?.write_all(&bytes)
        }
        ["rewrite", file, text] => File::create(file)?.write_all(text.as_bytes()),
        ["put", file, at, text] => open(file, 0)?.write_all_at(text.as_bytes(), number(at)),
        ["over", file, at, text] => {
            let mut opened = open(file, 0)?;
            opened.seek(SeekFrom::Start(number(at)))?;
            opened.write_all(text.as_bytes())
        }
        ["paint", file, count] => {
            open(file, 0)?.write_all_at(&vec![b'y'; number(count) as usize], 0)
        }
        ["dsync", file, text] => open(file, libc::O_DSYNC)?.write_all(text.as_bytes()),
        ["truncate", file, length] => open(file, 0)?.set_len(number(length)),
        ["reserve", file, length] => {
            let opened = open(file, 0)?;
            // SAFETY: takes numbers only.
            checked(unsafe { libc::fallocate(opened.as_raw_fd(), 0, 0, number(length) as i64) })
        }
        ["fsync", file] => File::open(file)?.sync_all(),
        ["fdatasync", file] => File::open(file)?.sync_data(),
        ["sync"] => {
            nix::unistd::sync();
            Ok(())
        }
        ["rename", from, to] => fs::rename(from, to),
        ["link", from, to] => fs::hard_link(from, to),
        ["unlink", file] => fs::remove_file(file),
        ["mkdir", directory] => fs::create_dir(directory),
        ["map", file, at, text] => map(file, number(at) as usize, text.as_bytes(), false),
        ["mapsync", file, at, text] => map(file, number(at) as usize, text.as_bytes(), true),
        ["forever", file] => loop {
            let mut log = open(file, libc::O_APPEND)?;
            log.write_all(b"a line that is synced\n")?;
            log.sync_data()?;
            log.write_all(b"a line that is not\n")?;
            std::thread::sleep(Duration::from_millis(2));
        },
        ["or-end", file] => loop {
            let mut log = open(file, libc::O_APPEND)?;
            if log.write_all(b"line\n").and_then(|()| log.sync_data()).is_err() {
                exit(7);
            }
            std::thread::sleep(Duration::from_millis(2));
        },
        ["uring"] => {
            // SAFETY: the kernel refuses before it reads anything.
            checked(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) } as i32)
        }
        _ => panic!("{line:?} is no order"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn checked(outcome: i32) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes through a shared mapping, and leaves it mapped.
fn map(file: &str, at: usize, text: &[u8], sync: bool) -> io::Result<()> {
    let opened = open(file, 0)?;
    let length = opened.metadata()?.len() as usize;
    assert!(at + text.len() <= length, "a store behind the end would be a fault");
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, of which only bytes within the file are written.
    unsafe {
        let shared = libc::MAP_SHARED;
        let fd = opened.as_raw_fd();
        let mapping = libc::mmap(std::ptr::null_mut(), length, protection, shared, fd, 0);
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        mapping.cast::<u8>().add(at).copy_from(text.as_ptr(), text.len());
        if sync { checked(libc::msync(mapping, length, libc::MS_SYNC)) } else { Ok(()) }
    }
}
