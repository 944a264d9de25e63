//! Shards of a campaign in an object store: `s3://BUCKET/PREFIX`, or `file:///FOLDER` as one.
//!
//! Below the prefix a shard is `shard-I-of-N/`, with the files of its folder. `campaign.json` is written last
//! and `runs.jsonl` before it, each whole or not at all, so that whoever reads a shard finds everything that
//! its lines name. Credentials and the server come from the usual variables (`AWS_ACCESS_KEY_ID`,
//! `AWS_ENDPOINT_URL` and so on). Without the feature `object-store` every store is refused.

use std::path::{Path, PathBuf};

use super::folder::CampaignFolder;
use super::plan::Shard;
use crate::exit::Failure;

#[cfg(feature = "object-store")]
mod objects;

/// Whether an argument names a store, and no folder.
pub fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// A place for shards that many machines can reach.
#[derive(Debug)]
pub struct Store {
    #[cfg(feature = "object-store")]
    objects: objects::Objects,
}

#[cfg(feature = "object-store")]
impl Store {
    /// The store behind a URL.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it is no URL of one, or a setting for it is missing.
    pub fn open(url: &str) -> Result<Self, Failure> {
        Ok(Self { objects: objects::Objects::open(url)? })
    }

    /// Writes a shard's folder in place of what the store has of it.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the harness if a file cannot be read or written.
    pub fn upload(&self, folder: &CampaignFolder, shard: Shard) -> Result<(), Failure> {
        self.objects.upload(folder.path(), &name(shard))
    }

    /// Fetches a shard into a folder that is not there yet; gives whether the store has it.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the harness if the store cannot be read.
    pub fn fetch(&self, folder: &CampaignFolder, shard: Shard) -> Result<bool, Failure> {
        self.objects.fetch(&name(shard), folder.path())
    }

    /// Fetches every shard into a folder of its own in `home`.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the harness if the store cannot be read or has none.
    pub fn fetch_all(&self, home: &Path) -> Result<Vec<PathBuf>, Failure> {
        self.objects.fetch_all(home)
    }
}

#[cfg(not(feature = "object-store"))]
impl Store {
    /// Refuses every URL: this build has no object stores.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(url: &str) -> Result<Self, Failure> {
        let how = "this build has no object stores; `cargo build --features object-store` has";
        Err(Failure::usage(miette::miette!("{url}: {how}")))
    }

    /// Nothing: there is no store.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn upload(&self, _: &CampaignFolder, _: Shard) -> Result<(), Failure> {
        Ok(())
    }

    /// Nothing: there is no store.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn fetch(&self, _: &CampaignFolder, _: Shard) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Nothing: there is no store.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn fetch_all(&self, _: &Path) -> Result<Vec<PathBuf>, Failure> {
        Ok(Vec::new())
    }
}

/// What a shard is called in a store: the same, whoever works on it.
#[cfg(feature = "object-store")]
fn name(shard: Shard) -> String {
    format!("shard-{}-of-{}", shard.index, shard.of)
}
