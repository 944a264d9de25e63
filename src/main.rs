//! The `partita` program: reads the command line, prints errors, ends with the right code.

use std::process::ExitCode;

use clap::Parser;
use partita::cli::{Cli, perform};
use partita::exit::Exit;
use partita::terminal;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help, which was asked for, or a complaint, which repeats what was typed.
        Err(error) if error.use_stderr() => {
            terminal::usage(&error.render().to_string());
            return Exit::Usage.into();
        }
        Err(error) => {
            terminal::own_text(&error.render().to_string());
            return Exit::Valid.into();
        }
    };
    match perform(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::failure(&failure);
            failure.exit.into()
        }
    }
}
