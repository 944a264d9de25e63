//! Makes a node's directory what its disk holds: what is left after a loss of power.
//!
//! Names first: where they differ, the directory is built anew beside itself from what is still
//! there, by hard links, and what lost its last name, by copies. Contents then, file by file, in
//! place. Costs what was changed, but for a listing of the directory.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rand::rngs::ChaCha8Rng;

use super::contents::{Contents, UnsyncedSurvival};
use super::identity::Identity;
use super::image::{Image, NameModel};
use super::names::{self, Kind, Named, Names, Placed};

/// What was lost together with the power.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Bytes that were written but not synced, and are gone or as they were before.
    pub bytes: u64,
    /// Bytes that were written and not synced, and are there all the same.
    pub survived: u64,
    /// Names that were made, taken away or given to something else, and are as they were before.
    pub names: u64,
}

/// Takes everything back that `image` does not hold.
pub(super) fn lose(
    image: &mut Image,
    model: NameModel,
    tear: UnsyncedSurvival,
    rng: &mut ChaCha8Rng,
) -> io::Result<Loss> {
    image.decide_names(model);
    let live = names::tree(&image.root)?;
    let mut loss = Loss { names: differences(image, &live), ..Loss::default() };
    let live = if loss.names > 0 {
        rebuild(image, &live)?;
        names::tree(&image.root)?
    } else {
        live
    };
    // In an order that does not depend on hashes: tearing draws from a random stream.
    let mut files: Vec<(PathBuf, Identity)> = live
        .values()
        .flat_map(|placed| placed.names.iter().map(|(name, named)| (placed.path.join(name), named)))
        .filter(|(_, named)| named.kind == Kind::File)
        .map(|(path, named)| (path, named.identity))
        .collect();
    files.sort();
    let mut seen = HashSet::new();
    for (path, identity) in files.into_iter().filter(|(_, identity)| seen.insert(*identity)) {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let contents = image.files.entry(identity).or_insert_with(|| Contents::synced(0));
        let lost = contents.lose(&file, tear, rng)?;
        loss.bytes += lost.bytes;
        loss.survived += lost.survived;
    }
    *image = Image::adopt(&image.root)?;
    Ok(loss)
}

/// How many names stand for something else than on the disk, in what is there or on the disk.
fn differences(image: &Image, live: &HashMap<Identity, Placed>) -> u64 {
    let nothing = Names::new();
    let differ = |(directory, placed): (&Identity, &Placed)| {
        let durable = image.directories.get(directory).unwrap_or(&nothing);
        let identity = |names: &Names, name: &OsString| names.get(name).map(|it| it.identity);
        let names: HashSet<&OsString> = durable.keys().chain(placed.names.keys()).collect();
        let changed = |name: &&&OsString| identity(durable, name) != identity(&placed.names, name);
        names.iter().filter(changed).count() as u64
    };
    live.iter().map(differ).sum()
}

/// Replaces what is below the root by what the disk has names for.
fn rebuild(image: &mut Image, live: &HashMap<Identity, Placed>) -> io::Result<()> {
    let root = image.root.clone();
    let mut staging = root.clone().into_os_string();
    staging.push(".after-power-loss");
    let staging = PathBuf::from(staging);
    remove(&staging)?;
    fs::create_dir(&staging)?;
    let places = live
        .values()
        .flat_map(|placed| {
            placed.names.iter().map(|(name, it)| (it.identity, placed.path.join(name)))
        })
        .collect();
    let identity = Identity::at(&root)?;
    Builder { image, places }.directory(identity, &staging, 0)?;
    for entry in fs::read_dir(&root)? {
        remove(&entry?.path())?;
    }
    for entry in fs::read_dir(&staging)? {
        let entry = entry?;
        fs::rename(entry.path(), root.join(entry.file_name()))?;
    }
    fs::remove_dir(&staging)
}

/// Removes whatever stands at `path`, if anything does.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The deepest directory that is built. No loop of the disk's own making gets past it.
const DEEPEST: usize = 64;

struct Builder<'a> {
    image: &'a mut Image,
    /// Where things are now.
    places: HashMap<Identity, PathBuf>,
}

impl Builder<'_> {
    /// Fills `target` with what the disk holds of a directory.
    fn directory(&mut self, directory: Identity, target: &Path, depth: usize) -> io::Result<()> {
        let names = self.image.directories.get(&directory).cloned().unwrap_or_default();
        for (name, named) in &names {
            self.name(named, &target.join(name), depth)?;
        }
        if depth > 0 && !names.is_empty() {
            // It is another directory now, with the same names.
            let identity = Identity::at(target)?;
            self.image.directories.insert(identity, names);
        }
        Ok(())
    }

    fn name(&mut self, named: &Named, target: &Path, depth: usize) -> io::Result<()> {
        match &named.kind {
            Kind::Directory if depth < DEEPEST => {
                fs::create_dir(target)?;
                self.directory(named.identity, target, depth + 1)?;
                fs::set_permissions(target, Permissions::from_mode(named.mode))
            }
            Kind::Link(to) => symlink(to, target),
            Kind::File | Kind::Other | Kind::Directory => match self.places.get(&named.identity) {
                Some(place) => fs::hard_link(place, target),
                None => self.revive(named, target),
            },
        }
    }

    /// Gives a file without a name its name back. What could not be held has lost it for good.
    fn revive(&mut self, named: &Named, target: &Path) -> io::Result<()> {
        let Some(mut held) = self.image.held.remove(&named.identity) else { return Ok(()) };
        let mut revived = File::create_new(target)?;
        io::copy(&mut held, &mut revived)?;
        fs::set_permissions(target, Permissions::from_mode(named.mode))?;
        let identity = Identity::at(target)?;
        if let Some(contents) = self.image.files.remove(&named.identity) {
            self.image.files.insert(identity, contents);
        }
        self.places.insert(named.identity, target.to_owned());
        Ok(())
    }
}
