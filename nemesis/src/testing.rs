//! A lab for an ordinary test.
//!
//! ```no_run
//! use std::process::Command;
//! use std::time::Duration;
//!
//! use partita_nemesis::testing::TestLab;
//!
//! # mod tests { use super::*;
//! #[partita_nemesis::test(nodes = 2)]
//! fn a_server_is_cut_off_and_heals(lab: TestLab) {
//!     let address = format!("{}:7000", lab.host("n1").address());
//!     lab.start("n1", Command::new("my-server").args(["--listen", &address])).unwrap();
//!     lab.wait_for("n1", 7000, Duration::from_secs(10)).unwrap();
//!
//!     let partition = lab.partition(["clients"], ["n1"]).unwrap();
//!     lab.connect("n1", 7000, Duration::from_millis(200)).unwrap_err();
//!     drop(partition);
//!     lab.connect("n1", 7000, Duration::from_secs(2)).unwrap();
//! }
//! # }
//! ```
//!
//! # How it runs
//!
//! Namespaces are made by a process with one thread, and a test of `cargo test` is a thread among
//! others. So the test starts its own program again, for this one test, in fresh namespaces, and waits:
//! the body runs once, in there, and the threads of the test runner go on. What the body prints is
//! printed by the test and captured as usual; if it panics, the test panics with the same message; if
//! it ends the process, the test fails and says with which code. Everything that was started ends with
//! the body. It needs no root, no `harness = false` and no code before `main` of yours; that code is
//! in this crate, behind its feature `testing`, and returns at once in all other programs.
//!
//! Tests may run in parallel, each has a lab of its own. `#[ignore]`, `#[should_panic]`, results and
//! `async` functions work as they do in any test.
//!
//! # Where no lab can be made
//!
//! Some machines and containers forbid user namespaces. A test with a lab fails there and says which
//! step was refused. With `PARTITA_SKIP=lab` in the environment such tests pass and say that they
//! were skipped; `PARTITA_REQUIRE=lab` overrides that, for a machine on which a skipped test would be
//! an error. Either may name several things, joined by commas.

mod entry;
mod lab;

pub use entry::{Outcome, Setup, block_on, run};
pub use lab::{ActiveFault, Injection, TestError, TestLab};
