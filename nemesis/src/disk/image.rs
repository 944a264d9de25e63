//! Knows what of a node's directory would survive a loss of power.
//!
//! Contents are known file by file ([`Contents`]), names directory by directory, as they stood
//! when the directory was synced last. A file that lost its name before the loss of the name was
//! synced is held open here, so that it can be given its name back.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::identity::Identity;
use super::journal::Journal;
use super::names::{self, Kind, Names};

/// How many files without a name are held open. Past that, the loss of a name counts as synced.
const MOST_HELD: usize = 256;

/// Which changes of names survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameModel {
    /// Those that were made before the latest sync of anything, as in the journals of ext4 and XFS.
    Journal,
    /// Those in directories that were synced afterwards: all that fsync(2) promises.
    Posix,
}

/// What a node's disk holds.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) root: PathBuf,
    /// By file; one that is missing was made since and never synced.
    pub(super) files: HashMap<Identity, Contents>,
    /// By directory; one that is missing was made since and never synced.
    pub(super) directories: HashMap<Identity, Names>,
    /// All names as they stood at the latest sync of anything.
    journal: Journal,
    /// Files whose names may come back.
    pub(super) held: HashMap<Identity, File>,
}

impl Image {
    /// Takes everything below `root` as it is for what the disk holds.
    pub(super) fn adopt(root: &Path) -> io::Result<Image> {
        let mut image = Image {
            root: root.to_owned(),
            files: HashMap::new(),
            directories: HashMap::new(),
            journal: Journal::read(root)?,
            held: HashMap::new(),
        };
        image.sync_all()?;
        Ok(image)
    }

    /// Everything is about to be on the disk.
    pub(super) fn sync_all(&mut self) -> io::Result<()> {
        self.journal = Journal::read(&self.root)?;
        let live = &self.journal.names;
        let mut mapped: HashMap<Identity, Contents> = std::mem::take(&mut self.files);
        for placed in live.values() {
            for (name, named) in placed.names.iter().filter(|(_, named)| named.kind == Kind::File) {
                let length = match fs::symlink_metadata(placed.path.join(name)) {
                    Ok(metadata) => metadata.len(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                // What is mapped or written through stays so.
                let before = mapped.remove(&named.identity);
                let mut contents = before.unwrap_or_else(|| Contents::synced(length));
                contents.sync(length);
                self.files.insert(named.identity, contents);
            }
        }
        self.directories =
            live.iter().map(|(identity, placed)| (*identity, placed.names.clone())).collect();
        self.held.clear();
        Ok(())
    }

    /// Something is about to be synced, and with it the journal.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if !self.journal.is_current() {
            self.journal = Journal::read(&self.root)?;
        }
        Ok(())
    }

    /// Makes what the disk has names for that which `model` says it has.
    pub(super) fn decide_names(&mut self, model: NameModel) {
        if model == NameModel::Journal {
            let journal = self.journal.names.iter();
            self.directories =
                journal.map(|(identity, placed)| (*identity, placed.names.clone())).collect();
        }
    }

    /// The contents of a file; one that is not known was made since.
    pub(super) fn contents(&mut self, file: Identity) -> &mut Contents {
        self.files.entry(file).or_insert_with(|| Contents::synced(0))
    }

    /// Everything mapped is about to be on the disk.
    pub(super) fn sync_mapped(&mut self) {
        self.files.values_mut().for_each(Contents::sync_mapped);
    }

    /// A directory's names are about to be on the disk.
    pub(super) fn sync_directory(&mut self, directory: Identity, path: &Path) -> io::Result<()> {
        let names = names::read(path)?;
        let before = self.directories.insert(directory, names).unwrap_or_default();
        let names = &self.directories[&directory];
        let now: HashSet<Identity> = names.values().map(|named| named.identity).collect();
        let gone: HashSet<Identity> = before
            .values()
            .map(|named| named.identity)
            .filter(|identity| !now.contains(identity))
            .collect();
        let elsewhere = self.directories.iter().filter(|(other, _)| **other != directory);
        let moved_here = elsewhere
            .flat_map(|(_, names)| names.values())
            .any(|named| now.contains(&named.identity));
        if !gone.is_empty() || moved_here {
            self.follow_moves(directory, &gone, &now)?;
        }
        let named: HashSet<Identity> = self.named().collect();
        self.held.retain(|identity, _| named.contains(identity));
        Ok(())
    }

    /// A move between directories happens in both or in neither (rename(2) is one transaction of
    /// the journal): what left `directory` has arrived, and what arrived there has left.
    fn follow_moves(
        &mut self,
        directory: Identity,
        gone: &HashSet<Identity>,
        arrived: &HashSet<Identity>,
    ) -> io::Result<()> {
        let live = names::tree(&self.root)?;
        for (other, placed) in live.iter().filter(|(other, _)| **other != directory) {
            for (name, named) in &placed.names {
                if gone.contains(&named.identity) {
                    let names = self.directories.entry(*other).or_default();
                    names.insert(name.clone(), named.clone());
                }
            }
        }
        for (other, names) in self.directories.iter_mut().filter(|(other, _)| **other != directory)
        {
            let Some(placed) = live.get(other) else { continue };
            names.retain(|name, named| {
                let stands = placed.names.get(name).map(|now| now.identity);
                !arrived.contains(&named.identity) || stands == Some(named.identity)
            });
        }
        Ok(())
    }

    /// What the disk has a name for, by either model.
    fn named(&self) -> impl Iterator<Item = Identity> + '_ {
        let journal = self.journal.names.values().map(|placed| &placed.names);
        let names = self.directories.values().chain(journal);
        names.flat_map(|names| names.values()).map(|named| named.identity)
    }

    /// The name at `path` is about to be taken away: holds the file, if the name may come back.
    pub(super) fn hold(&mut self, path: &Path) -> io::Result<()> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Ok(());
        }
        if self.held.len() >= MOST_HELD {
            let journal = self.journal.names.values().flat_map(|placed| placed.names.values());
            let named: HashSet<Identity> = journal.map(|named| named.identity).collect();
            self.held.retain(|identity, _| named.contains(identity));
        }
        if self.held.len() >= MOST_HELD {
            return Ok(());
        }
        let identity = Identity::at(path)?;
        if !self.held.contains_key(&identity) && self.named().any(|named| named == identity) {
            self.held.insert(identity, File::open(path)?);
        }
        Ok(())
    }
}
