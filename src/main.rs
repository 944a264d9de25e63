//! The `partita` program: reads the command line, prints errors, ends with the right code.

use std::process::ExitCode;

use clap::Parser;
use partita::cli::{Cli, perform};

fn main() -> ExitCode {
    match perform(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{:?}", failure.report);
            failure.exit.into()
        }
    }
}
