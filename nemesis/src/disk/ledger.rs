//! Notes in a disk's image what the node's calls do, and decides what becomes of them.
//!
//! A call is noted, then goes on in the kernel; a sync is noted *before* it goes on, so that
//! whatever it promises is already held to be durable when it returns.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::call::{self, Call, Write};
use super::contents::Contents;
use super::disk_fault::{CallOutcome, DiskCall};
use super::identity::Identity;
use super::{Disk, State};
use crate::seccomp::listener::Report;

impl Disk {
    /// Notes what a call will do. What becomes of it, `answer` is told before anything else is
    /// noted.
    pub(crate) fn take(&self, report: Report<'_>, answer: impl FnOnce(CallOutcome)) {
        let mut state = self.shared.state();
        answer(state.take(report));
    }

    /// Notes a call that was delayed and goes on as soon as `answer` returns.
    pub(crate) fn take_again(&self, report: Report<'_>, answer: impl FnOnce()) {
        let mut state = self.shared.state();
        state.note_again(report);
        answer();
    }

    /// Calls may have been missed, so that nothing may be taken back any more.
    pub(crate) fn lose_track(&self, error: &io::Error) {
        self.shared.state().problem.get_or_insert_with(|| error.to_string());
    }
}

impl State {
    /// Notes what a call will do, and decides what becomes of it.
    fn take(&mut self, report: Report<'_>) -> CallOutcome {
        let Some(call) = self.read(report) else { return CallOutcome::Pass };
        let deed = deed(&call);
        let fate = match (&mut self.armed, deed) {
            (Some(armed), Some(deed)) => armed.judge(deed),
            _ => CallOutcome::Pass,
        };
        if deed == Some(DiskCall::Sync) {
            self.syncs.calls += 1;
            if let CallOutcome::Wait(delay) = fate {
                self.syncs.added += delay;
            }
        }
        if fate == CallOutcome::Pass {
            self.note(call, report);
        }
        fate
    }

    /// Notes a delayed call that goes on now.
    fn note_again(&mut self, report: Report<'_>) {
        if let Some(call) = self.read(report) {
            self.note(call, report);
        }
    }

    fn read(&mut self, report: Report<'_>) -> Option<Call> {
        call::read(report.notice, &self.image.root).unwrap_or_else(|error| {
            self.miss(&error, report);
            None
        })
    }

    /// Something promised may have been missed, so that nothing may be taken back any more. A
    /// caller that has ended meanwhile was promised nothing; what is asked about it is then refused
    /// in several ways (EACCES among them).
    fn miss(&mut self, error: &io::Error, report: Report<'_>) {
        let has_ended =
            error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH);
        if !has_ended && report.is_awaited() {
            self.problem.get_or_insert_with(|| error.to_string());
        }
    }

    fn note(&mut self, call: Call, report: Report<'_>) {
        let is_promise = is_promise(&call);
        let noted = self.try_note(call);
        if let Err(error) = noted
            && is_promise
        {
            self.miss(&error, report);
        }
    }

    fn try_note(&mut self, call: Call) -> io::Result<()> {
        let image = &mut self.image;
        if is_promise(&call) {
            image.commit()?;
        }
        match call {
            Call::Sync(file) if file.is_directory => {
                image.sync_directory(file.identity, &file.path)
            }
            Call::Sync(file) => {
                // Its length now, not as it was when the call was read.
                let length = fs::metadata(&file.path).map_or(file.length, |found| found.len());
                image.contents(file.identity).sync(length);
                Ok(())
            }
            Call::SyncAll => image.sync_all(),
            Call::SyncMapped => {
                image.sync_mapped();
                Ok(())
            }
            Call::Write(write) => note_write(image.contents(write.file.identity), &write),
            Call::Cut { file, length } => {
                let contents = image.contents(identify(&file)?);
                contents.save_cut(&File::open(&file)?, length)
            }
            Call::Map(file) => {
                let live = file.reopen()?;
                image.contents(file.identity).map(live)
            }
            Call::Unname(path) => image.hold(&path),
            Call::Make => Ok(()),
        }
    }
}

/// Whether something is durable when the call returns.
fn is_promise(call: &Call) -> bool {
    match call {
        Call::Sync(_) | Call::SyncAll | Call::SyncMapped => true,
        Call::Write(write) => write.is_synced,
        Call::Cut { .. } | Call::Map(_) | Call::Unname(_) | Call::Make => false,
    }
}

fn note_write(contents: &mut Contents, write: &Write) -> io::Result<()> {
    if write.is_synced {
        contents.write_through();
        return Ok(());
    }
    if contents.replaces(&write.range) {
        contents.save(&write.file.reopen()?, &write.range)?;
    }
    if write.moves_blocks {
        contents.forbid_tearing();
    }
    Ok(())
}

/// Which file stands at `path`, links followed.
fn identify(path: &Path) -> io::Result<Identity> {
    Identity::of(path, &fs::metadata(path)?, true)
}

/// What a call does to the disk, as far as trouble is concerned.
fn deed(call: &Call) -> Option<DiskCall> {
    match call {
        Call::Sync(_) | Call::SyncAll | Call::SyncMapped => Some(DiskCall::Sync),
        Call::Write(write) => {
            let growth = write.range.end.saturating_sub(write.file.length.max(write.range.start));
            let bytes = write.range.end.saturating_sub(write.range.start);
            Some(DiskCall::Write { bytes, growth })
        }
        Call::Make => Some(DiskCall::Make),
        Call::Cut { .. } | Call::Map(_) | Call::Unname(_) => None,
    }
}
