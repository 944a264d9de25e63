//! What a shell and a manual have of the command line: `partita completions`, `partita man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::exit::{Exit, Failure, FailureContext};
use crate::{outln, terminal};

/// Prints a script with which a shell completes commands and options.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  partita completions bash >~/.local/share/bash-completion/completions/partita"
)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Performs the command.
    pub fn perform(&self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "partita", &mut script);
        terminal::own_text(&String::from_utf8_lossy(&script));
        Exit::Valid
    }
}

/// Writes manual pages, one for each command.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  partita man ~/.local/share/man/man1")]
pub struct Man {
    /// The folder that they go into.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    /// Performs the command.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a page cannot be written.
    pub fn perform(&self) -> Result<Exit, Failure> {
        let context = || self.folder.display().to_string();
        std::fs::create_dir_all(&self.folder).or_usage(context)?;
        clap_mangen::generate_to(Cli::command(), &self.folder).or_usage(context)?;
        outln!("{}", self.folder.join("partita.1").display());
        Ok(Exit::Valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_help_shows_has_a_page_and_is_completed() {
        let folder = tempfile::tempdir().expect("a folder");
        let man = Man { folder: folder.path().join("man1") };
        assert_eq!(man.perform().expect("written"), Exit::Valid);
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Cli::command(), "partita", &mut script);
        let script = String::from_utf8(script).expect("text");
        for command in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
            let name = command.get_name();
            let page = folder.path().join(format!("man1/partita-{name}.1"));
            let text = std::fs::read_to_string(&page).expect(name);
            assert!(text.contains(".SH") && text.contains(&format!("partita\\-{name}")), "{text}");
            assert!(script.contains(&format!("partita,{name})")), "{name}");
        }
    }
}
