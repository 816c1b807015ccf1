//! `redrive completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::session::Session;
use super::{Cli, Exit};
use crate::error::Result;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  redrive completions bash > ~/.local/share/bash-completion/completions/redrive\n  redrive completions zsh > \"${fpath[1]}/_redrive\"\n  redrive completions fish > ~/.config/fish/completions/redrive.fish"
)]
pub(super) struct Completions {
    /// Shell to complete in
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "redrive", &mut script);
        session.output.data(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
