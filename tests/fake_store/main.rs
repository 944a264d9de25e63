//! A store that misbehaves in one way at a time, and the verdict of a run against each of its modes.
//!
//! The harmless modes are valid and no other is: whatever a store sends, a run neither believes what
//! it cannot know nor ends by it. The table is in `modes.rs`, the store in `store.rs`; `docs/fake-store.md`
//! tells of both. The store is this very program, so that the test needs nothing else: it brings its
//! own main function.

mod modes;
mod requests;
mod store;
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, mode, ip, port, ..] = &words[..]
        && role == suite::STORE
    {
        return store::serve(mode, ip, port);
    }
    let trials = vec![
        Trial::test("only_the_harmless_modes_are_valid", suite::every_mode_has_its_verdict),
        Trial::test("the_page_of_modes_lists_the_table", suite::the_page_lists_every_mode),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
