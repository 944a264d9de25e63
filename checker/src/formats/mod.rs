//! Histories and certificates as files.

pub mod certificate;
pub mod jsonl;
