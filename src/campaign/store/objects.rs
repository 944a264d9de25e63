//! An object store, as far as campaigns use one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::super::folder::{CAMPAIGN, LOCK, RUNS, WORK, entries};
use crate::exit::{Failure, FailureContext};

/// Objects that are written or read at a time.
const AT_A_TIME: usize = 8;

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Bucket { bucket: &'a str, prefix: &'a str },
    Folder(&'a Path),
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> Option<Self> {
        if let Some(folder) = url.strip_prefix("file://") {
            return folder.starts_with('/').then(|| Self::Folder(Path::new(folder)));
        }
        let (bucket, prefix) = match url.strip_prefix("s3://")?.split_once('/') {
            Some((bucket, prefix)) => (bucket, prefix.trim_matches('/')),
            None => (url.strip_prefix("s3://")?, ""),
        };
        (!bucket.is_empty()).then_some(Self::Bucket { bucket, prefix })
    }
}

/// The objects below a prefix.
#[derive(Debug)]
pub(super) struct Objects {
    url: String,
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    runtime: Runtime,
}

impl Objects {
    pub(super) fn open(url: &str) -> Result<Self, Failure> {
        let context = || url.to_owned();
        let place = Place::of(url).ok_or_else(|| {
            let expected = "expected s3://BUCKET/PREFIX or file:///FOLDER";
            Failure::usage(miette::miette!("{url}: {expected}"))
        })?;
        let (store, prefix): (Arc<dyn ObjectStore>, &str) = match place {
            Place::Bucket { bucket, prefix } => {
                // Fails if there is one already, which is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
                (Arc::new(builder.build().or_usage(context)?), prefix)
            }
            Place::Folder(folder) => {
                std::fs::create_dir_all(folder).or_usage(context)?;
                (Arc::new(LocalFileSystem::new_with_prefix(folder).or_usage(context)?), "")
            }
        };
        let prefix = Key::parse(prefix).or_usage(context)?;
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().or_harness(context)?;
        Ok(Self { url: url.to_owned(), store, prefix, runtime })
    }

    fn key(&self, parts: &[&str]) -> Key {
        let mut key = self.prefix.clone();
        key.extend(parts.iter().copied());
        key
    }

    pub(super) fn upload(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        let home = self.key(&[name]);
        let mut files = files(folder).or_harness(|| folder.display().to_string())?;
        // What names other files comes after them, and what makes a shard of all of it comes last.
        let rank = |path: &Path| [RUNS, CAMPAIGN].iter().position(|last| path == folder.join(last));
        files.sort_by_key(|path| rank(path));
        let split = files.partition_point(|path| rank(path).is_none());
        let (first, last) = files.split_at(split);
        let groups = first.chunks(AT_A_TIME).chain(last.chunks(1));
        let written = self.runtime.block_on(async {
            for group in groups {
                let mut puts = JoinSet::new();
                for path in group {
                    let key = inside(&home, path.strip_prefix(folder).unwrap_or(path));
                    puts.spawn(put(Arc::clone(&self.store), key, path.clone()));
                }
                while let Some(done) = puts.join_next().await {
                    done??;
                }
            }
            io::Result::Ok(())
        });
        written.or_harness(|| format!("writing to {}", self.url))
    }

    pub(super) fn fetch(&self, name: &str, folder: &Path) -> Result<bool, Failure> {
        let fetched = self.runtime.block_on(self.try_fetch(&self.key(&[name]), folder));
        fetched.or_harness(|| format!("reading from {}", self.url))
    }

    pub(super) fn fetch_all(&self, home: &Path) -> Result<Vec<PathBuf>, Failure> {
        let fetched = self.runtime.block_on(async {
            let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
            let mut fetched = Vec::new();
            for shard in self.store.list_with_delimiter(prefix).await?.common_prefixes {
                let folder = home.join(shard.filename().unwrap_or_default());
                if self.try_fetch(&shard, &folder).await? {
                    fetched.push(folder);
                }
            }
            io::Result::Ok(fetched)
        });
        let fetched = fetched.or_harness(|| format!("reading from {}", self.url))?;
        if fetched.is_empty() {
            return Err(Failure::harness(miette::miette!("{}: there are no shards", self.url)));
        }
        Ok(fetched)
    }

    /// Fetches what is below a key, if that is a shard which was written to its end.
    async fn try_fetch(&self, shard: &Key, folder: &Path) -> io::Result<bool> {
        let (mut open, mut keys) = (vec![shard.clone()], Vec::new());
        while let Some(next) = open.pop() {
            let listed = self.store.list_with_delimiter(Some(&next)).await?;
            open.extend(listed.common_prefixes);
            keys.extend(listed.objects.into_iter().map(|object| object.location));
        }
        let whole = inside(shard, Path::new(CAMPAIGN));
        if !keys.contains(&whole) {
            return Ok(false);
        }
        // A folder with this file is a campaign's: a copy that broke off must not look like one.
        keys.sort_by_key(|key| *key == whole);
        let split = keys.len() - 1;
        for group in keys[..split].chunks(AT_A_TIME).chain([&keys[split..]]) {
            let mut gets = JoinSet::new();
            for key in group {
                let path = folder.join(relative(shard, key)?);
                gets.spawn(get(Arc::clone(&self.store), key.clone(), path));
            }
            while let Some(done) = gets.join_next().await {
                done??;
            }
        }
        Ok(true)
    }
}

async fn put(store: Arc<dyn ObjectStore>, key: Key, path: PathBuf) -> io::Result<()> {
    let bytes = tokio::fs::read(&path).await?;
    store.put(&key, bytes.into()).await?;
    Ok(())
}

async fn get(store: Arc<dyn ObjectStore>, key: Key, path: PathBuf) -> io::Result<()> {
    let bytes = store.get(&key).await?.bytes().await?;
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    tokio::fs::write(&path, &bytes).await
}

/// The key of a file of a folder whose own key is `home`.
fn inside(home: &Key, file: &Path) -> Key {
    let mut key = home.clone();
    key.extend(file.iter().map(|part| part.to_string_lossy().into_owned()));
    key
}

/// The path of an object from the folder on.
fn relative(shard: &Key, key: &Key) -> io::Result<PathBuf> {
    let parts: Option<Vec<String>> =
        key.prefix_match(shard).map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
    let is_plain = |part: &String| part != ".." && !part.contains(['/', '\\']);
    match parts {
        Some(parts) if !parts.is_empty() && parts.iter().all(is_plain) => {
            Ok(parts.into_iter().collect())
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{key}: no name of a file"))),
    }
}

/// The files of a campaign's folder that others need: links and what is under way are left out.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in entries(&next)? {
            let kind = path.symlink_metadata()?.file_type();
            if path == folder.join(WORK) || path == folder.join(LOCK) {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_with_a_prefix_or_a_folder() {
        let of = Place::of;
        assert_eq!(of("s3://b/p/q/"), Some(Place::Bucket { bucket: "b", prefix: "p/q" }));
        assert_eq!(of("s3://b"), Some(Place::Bucket { bucket: "b", prefix: "" }));
        assert_eq!(of("file:///tmp/x"), Some(Place::Folder(Path::new("/tmp/x"))));
        for wrong in ["s3://", "s3:///p", "gs://b/p", "file://x", "b/p"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_that_leaves_the_folder_is_no_name_of_a_file() {
        let shard = Key::from("night/shard-0-of-1");
        let name = relative(&shard, &Key::from("night/shard-0-of-1/failing/b/7/run.json"));
        assert_eq!(name.expect("a name"), Path::new("failing/b/7/run.json"));
        for wrong in ["night/shard-0-of-1", "night/other/run.json"] {
            assert!(relative(&shard, &Key::from(wrong)).is_err(), "{wrong}");
        }
    }
}
