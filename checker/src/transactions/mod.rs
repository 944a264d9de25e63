//! Transactions: which isolation levels a history keeps, with proof either way.
//!
//! A history of transactions over lists or registers is taken apart into micro-operations
//! ([`read`]), reads are matched with the versions that they saw, which orders the versions
//! ([`lists`]), and what follows from that is a graph of which transaction must come before which
//! ([`graph`], [`dependencies`]). Levels are decided on it ([`judge`]): an order that all edges
//! follow proves a level, and is replayed by a verifier that knows nothing of the graph
//! ([`verify`]); a cycle or an impossible read disproves it, and is looked at again in the history
//! itself ([`confirm`]).
//!
//! After Adya, *Weak Consistency* (MIT 1999), and Kingsbury and Alvaro, *Elle* (VLDB 2020).

mod blocks;
mod causal;
mod confirm;
mod cycles;
mod data;
mod dependencies;
mod evidence;
mod explain;
mod finding;
mod found;
mod graph;
mod internal;
mod judge;
mod judge_lists;
mod judge_registers;
mod kind;
mod lists;
mod order;
mod polygraph;
mod read;
mod read_atomicity;
mod refine;
mod registers;
mod saturate;
mod snapshot;
mod verify;
mod verify_commits;
mod verify_snapshots;

pub(crate) use judge::check;
pub(crate) use kind::TransactionKind;
pub(crate) use verify::{OrderClaim, verify_certificate};
