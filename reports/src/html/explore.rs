//! The section that the page's script draws, and the policy that allows that script and no other.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::explore::Explorer;
use crate::run::Run;
use crate::text::number::count;

/// What the page runs: a module, so that it starts when the page is there and shares no names.
const SCRIPT: &str = concat!(
    include_str!("../../templates/explore/data.js"),
    include_str!("../../templates/explore/draw.js"),
    include_str!("../../templates/explore/select.js"),
    include_str!("../../templates/explore/input.js"),
);

/// Allows the page's own script and styles, and nothing else.
pub(super) fn policy() -> String {
    static HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(SCRIPT)));
    format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'", *HASH)
}

/// The packed operations as the template places them.
pub(super) struct ExplorerView {
    pub(super) facts: String,
    pub(super) operations: String,
    pub(super) texts: String,
    pub(super) densities: String,
    pub(super) total: u64,
    pub(super) carried: u64,
    pub(super) total_words: String,
    pub(super) carried_words: String,
    pub(super) script: &'static str,
}

impl ExplorerView {
    /// `None` if the run has no operation.
    pub(super) fn of(run: &Run<'_>) -> Option<Self> {
        let Explorer { facts, operations, texts, densities, total, carried } = Explorer::of(run)?;
        let (total_words, carried_words) = (count(total), count(carried));
        let script = SCRIPT;
        Some(Self {
            facts,
            operations,
            texts,
            densities,
            total,
            carried,
            total_words,
            carried_words,
            script,
        })
    }
}
