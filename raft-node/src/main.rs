//! The server as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use partita_raft_node::{Arguments, NodeError, run};

#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let program = Program::parse();
    match run(&program.arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            // As clap does for a bad command line.
            ExitCode::from(if matches!(error, NodeError::Arguments(_)) { 2 } else { 1 })
        }
    }
}
