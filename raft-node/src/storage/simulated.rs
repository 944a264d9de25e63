//! Simulates a disk that forgets what was not synced and fails when it is told to.
//!
//! Each file is kept twice, as its readers see it and as a power loss would leave it, with a list of
//! the ranges in which the two differ; the directory likewise. A sync copies those ranges. A power
//! loss makes up what became of the rest, from a generator that is passed in: each sector of 512
//! bytes reached the disk or not, the last one that did may be torn at any byte, and the file has
//! any length that this allows; of the changes to the directory some happened, in order, and some
//! did not. That is all that POSIX allows a disk to do, and more than most do.
//!
//! A failed sync drops what it could not write, as Linux does: readers still see it, later syncs
//! succeed, and a power loss takes it (Rebello et al. 2020). Costs two copies of what is written.
//! One thread only; clones are handles to the same disk. Leaves out time: how long an operation
//! takes is the simulator's business.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use rand::{Rng, RngExt};

use super::disk::{Disk, DiskFile};

/// What reaches a disk at once or not at all, in bytes.
const SECTOR: usize = 512;

/// A kind of operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writing to a file.
    Write,
    /// Syncing a file or the directory.
    Sync,
}

/// A simulated disk with one directory. Clones are handles to it, until its power is lost.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Rc<RefCell<State>>,
    /// Which life of the machine this handle belongs to.
    life: u64,
}

#[derive(Debug, Default)]
struct State {
    life: u64,
    locked: bool,
    /// The names, as they are seen.
    names: Names,
    /// The names that a power loss leaves for certain.
    durable_names: Names,
    /// Changes to the names since the last sync.
    changes: Vec<Change>,
    /// How many bytes all files may have together.
    capacity: Option<usize>,
    /// How many operations of a kind succeed before one fails.
    failing: Option<(Operation, u64)>,
    /// How many operations that change something happen before one is interrupted.
    remaining: Option<u64>,
    /// The power is off.
    off: bool,
    operations: u64,
    trusted_again: u64,
}

type Names = BTreeMap<String, Rc<RefCell<Content>>>;

#[derive(Debug, Default)]
struct Content {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Where the two may differ, but for what a failed sync dropped.
    dirty: Vec<Range<usize>>,
    /// The shortest length since the last sync.
    shortest: usize,
    /// A sync failed in this life.
    failed: bool,
}

#[derive(Debug)]
enum Change {
    Link(String, Rc<RefCell<Content>>),
    Rename(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(name, file) => {
                names.insert(name.clone(), Rc::clone(file));
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// An I/O error: it may have happened in part.
    Failed,
    /// The power is lost while it is under way: all of it is on its way.
    Interrupted,
}

impl Fate {
    fn result(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Failed => Err(io::Error::other("input/output error")),
            Self::Interrupted => Err(off()),
        }
    }
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Rc::default(), life: 0 }
    }

    /// Cuts the power and restores it: returns the disk as the machine finds it when it comes up.
    /// What was not synced is there or not, as the generator has it. Older handles are dead.
    #[must_use]
    pub fn lose_power(&self, random: &mut impl Rng) -> Self {
        let mut state = self.state.borrow_mut();
        let State { names, durable_names, changes, .. } = &mut *state;
        // Of a quarter of the losses nothing or everything is left: extremes find more.
        let share = match random.random_range(0..8) {
            0 => 0.0,
            1 => 1.0,
            _ => random.random_range(0.0..1.0),
        };
        for change in changes.drain(..) {
            if random.random_bool(share) {
                change.apply(durable_names);
            }
        }
        names.clone_from(durable_names);
        for content in names.values() {
            content.borrow_mut().settle(random);
        }
        state.restart();
        Self { state: Rc::clone(&self.state), life: state.life }
    }

    /// Ends the process and starts another one: what was written stays, synced or not. Older
    /// handles are dead.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.state.borrow_mut();
        state.restart();
        Self { state: Rc::clone(&self.state), life: state.life }
    }

    /// Lets `after` more operations of a kind succeed and the next one fail with an I/O error. Of a
    /// failing write some may have been written.
    pub fn fail(&self, operation: Operation, after: u64) {
        self.state.borrow_mut().failing = Some((operation, after));
    }

    /// Lets everything succeed again.
    pub fn repair(&self) {
        let mut state = self.state.borrow_mut();
        (state.failing, state.capacity) = (None, None);
    }

    /// Lets the files have this many bytes together; writes beyond fail.
    pub fn limit(&self, bytes: usize) {
        self.state.borrow_mut().capacity = Some(bytes);
    }

    /// Lets this many more operations that change something happen; every one after that fails, as
    /// if the power were lost during the first of them. Call [`SimulatedDisk::lose_power`] then.
    pub fn stop_after(&self, operations: u64) {
        self.state.borrow_mut().remaining = Some(operations);
    }

    /// How many operations that change something, syncs included, were tried.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.borrow().operations
    }

    /// How often a file was used after a sync of it had failed; zero in a sound program.
    #[must_use]
    pub fn trusted_again(&self) -> u64 {
        self.state.borrow().trusted_again
    }

    /// How many bytes the files have that have a name.
    #[must_use]
    pub fn used(&self) -> usize {
        self.state.borrow().used()
    }

    /// What a file holds, as it is seen; nothing if there is no such file.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        state.names.get(name).map(|file| file.borrow().visible.clone())
    }

    /// Replaces what a file holds, durably: damage done from outside. Creates it if need be.
    pub fn overwrite(&self, name: &str, contents: &[u8]) {
        let mut state = self.state.borrow_mut();
        let (visible, durable) = (contents.to_vec(), contents.to_vec());
        let shortest = contents.len();
        let content = Content { visible, durable, shortest, ..Content::default() };
        let file = Rc::new(RefCell::new(content));
        state.names.insert(name.to_owned(), Rc::clone(&file));
        state.durable_names.insert(name.to_owned(), file);
    }

    /// Flips one bit of a file, durably. The position is in bits and must lie in the file.
    ///
    /// # Panics
    ///
    /// When there is no such file or it is shorter.
    pub fn flip(&self, name: &str, bit: usize) {
        let state = self.state.borrow();
        let file = state.names.get(name).expect("a file of this name");
        let mut content = file.borrow_mut();
        content.visible[bit / 8] ^= 1 << (bit % 8);
        if let Some(byte) = content.durable.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.borrow_mut();
        if state.life == self.life && !state.off { act(&mut state) } else { Err(off()) }
    }
}

/// What an operation says while the power is off.
fn off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    fn restart(&mut self) {
        self.life += 1;
        (self.locked, self.off, self.remaining) = (false, false, None);
        for content in self.names.values() {
            content.borrow_mut().failed = false;
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| file.borrow().visible.len()).sum()
    }

    /// Counts an operation that changes something, and decides what becomes of it.
    fn operate(&mut self, operation: Option<Operation>) -> Fate {
        self.operations += 1;
        match &mut self.remaining {
            Some(0) => {
                self.off = true;
                return Fate::Interrupted;
            }
            Some(remaining) => *remaining -= 1,
            None => {}
        }
        match &mut self.failing {
            Some((failing, 0)) if Some(*failing) == operation => {
                self.failing = None;
                Fate::Failed
            }
            Some((failing, after)) if Some(*failing) == operation => {
                *after -= 1;
                Fate::Done
            }
            _ => Fate::Done,
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let fate = self.operate(None);
        change.apply(&mut self.names);
        self.changes.push(change);
        fate.result()
    }

    fn find(&self, name: &str) -> io::Result<Rc<RefCell<Content>>> {
        self.names.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], at: usize) {
        if bytes.is_empty() && at > self.visible.len() {
            // Writing nothing makes no file longer.
            return;
        }
        let end = at + bytes.len();
        if self.visible.len() < end {
            self.visible.resize(end, 0);
        }
        self.visible[at..end].copy_from_slice(bytes);
        match self.dirty.last_mut() {
            Some(last) if last.end == at => last.end = end,
            _ => self.dirty.push(at..end),
        }
    }

    fn truncate(&mut self, length: usize) {
        self.visible.resize(length, 0);
        self.shortest = self.shortest.min(length);
    }

    fn sync(&mut self) {
        // What lay beyond a cut is gone, whatever was written there since.
        self.durable.truncate(self.shortest);
        self.durable.resize(self.visible.len(), 0);
        for range in self.dirty.drain(..) {
            let range = range.start.min(self.visible.len())..range.end.min(self.visible.len());
            self.durable[range.clone()].copy_from_slice(&self.visible[range]);
        }
        self.shortest = self.visible.len();
    }

    /// Decides what a power loss leaves of what was not synced.
    fn settle(&mut self, random: &mut impl Rng) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut left = self.durable.clone();
        if self.shortest < left.len() && random.random() {
            left.truncate(self.shortest);
        }
        let share = match random.random_range(0..4) {
            0 => 0.0,
            1 => 1.0,
            _ => random.random_range(0.0..1.0),
        };
        for range in dirty {
            let mut at = range.start;
            while at < range.end.min(self.visible.len()) {
                let next = (at / SECTOR + 1) * SECTOR;
                let mut end = next.min(range.end).min(self.visible.len());
                if random.random_bool(share) {
                    if random.random_range(0..8) == 0 {
                        end = random.random_range(at..=end);
                    }
                    if left.len() < end {
                        left.resize(end, 0);
                    }
                    left[at..end].copy_from_slice(&self.visible[at..end]);
                }
                at = next;
            }
        }
        // The length may have reached the disk before the data did.
        if left.len() < self.visible.len() && random.random_range(0..4) == 0 {
            let length = random.random_range(left.len()..=self.visible.len());
            left.resize(length, 0);
        }
        self.shortest = left.len();
        self.visible.clone_from(&left);
        self.durable = left;
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;
    type Lock = SimulatedLock;

    fn locate(&self, name: &str) -> PathBuf {
        PathBuf::from("simulated").join(name)
    }

    fn prepare(&self) -> io::Result<()> {
        self.with(|_| Ok(()))
    }

    fn lock(&self, _name: &str) -> io::Result<Option<SimulatedLock>> {
        self.with(|state| {
            let free = !std::mem::replace(&mut state.locked, true);
            Ok(free.then(|| SimulatedLock { disk: self.clone() }))
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.with(|state| Ok(state.names.keys().cloned().collect()))
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        self.with(|state| {
            let content = Rc::new(RefCell::new(Content::default()));
            state.change(Change::Link(name.to_owned(), Rc::clone(&content)))?;
            Ok(SimulatedFile { disk: self.clone(), content })
        })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        self.with(|state| Ok(SimulatedFile { disk: self.clone(), content: state.find(name)? }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|state| {
            state.find(from)?;
            state.change(Change::Rename(from.to_owned(), to.to_owned()))
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|state| {
            state.find(name)?;
            state.change(Change::Remove(name.to_owned()))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            state.operate(Some(Operation::Sync)).result()?;
            state.durable_names.clone_from(&state.names);
            state.changes.clear();
            Ok(())
        })
    }
}

/// Keeps others out of a simulated disk until it is dropped.
#[derive(Debug)]
pub struct SimulatedLock {
    disk: SimulatedDisk,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.borrow_mut();
        // The lock of a life that is over is nobody's.
        if state.life == self.disk.life {
            state.locked = false;
        }
    }
}

/// An open file of a simulated disk.
#[derive(Debug)]
pub struct SimulatedFile {
    disk: SimulatedDisk,
    content: Rc<RefCell<Content>>,
}

impl SimulatedFile {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut State, &Rc<RefCell<Content>>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.with(|state| {
            if self.content.borrow().failed {
                state.trusted_again += 1;
            }
            act(state, &self.content)
        })
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.with(|_, content| Ok(content.borrow().visible.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|_, content| {
            let content = content.borrow();
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            let bytes = content.visible.get(at..at + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, content| {
            let fate = state.operate(Some(Operation::Write));
            let at = usize::try_from(offset).map_err(io::Error::other)?;
            let grown = (at + bytes.len()).saturating_sub(content.borrow().visible.len());
            let free = state.capacity.map_or(usize::MAX, |it| it.saturating_sub(state.used()));
            let fits = bytes.len() - grown.saturating_sub(free).min(bytes.len());
            let taken = if fate == Fate::Failed { fits / 2 } else { fits };
            content.borrow_mut().write(&bytes[..taken], at);
            fate.result()?;
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|state, content| {
            let fate = state.operate(None);
            content.borrow_mut().truncate(usize::try_from(length).map_err(io::Error::other)?);
            fate.result()
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state, content| {
            let fate = state.operate(Some(Operation::Sync));
            let mut content = content.borrow_mut();
            match fate {
                Fate::Done => content.sync(),
                Fate::Failed => {
                    content.dirty.clear();
                    content.failed = true;
                }
                Fate::Interrupted => {}
            }
            fate.result()
        })
    }
}
