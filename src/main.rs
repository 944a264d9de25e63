//! The `partita` program: reads the command line, prints errors, ends with the right code.

use std::process::ExitCode;

use clap::Parser;
use miette::MietteHandlerOpts;
use partita::cli::{Cli, perform};

fn main() -> ExitCode {
    // Lines are left whole: a name broken at its hyphen can be neither copied nor searched for.
    let plain = |_: &_| Box::new(MietteHandlerOpts::new().wrap_lines(false).build()) as _;
    miette::set_hook(Box::new(plain)).expect("nothing set a hook before");
    match perform(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{:?}", failure.report);
            failure.exit.into()
        }
    }
}
