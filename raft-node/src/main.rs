//! The server as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use partita_raft_node::{Arguments, run};

#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let failed = |code, error: &dyn std::error::Error| {
        eprintln!("error: {error}");
        ExitCode::from(code)
    };
    match program.arguments.settings().map(|settings| run(&settings)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(1, &error),
        // As clap does for a bad command line.
        Err(error) => failed(2, &error),
    }
}
