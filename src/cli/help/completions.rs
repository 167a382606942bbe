//! `perkgate completions`: what a shell needs to complete this program's command lines.

use std::fmt;

use clap_complete::Shell;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::output::write_block;
use crate::cli::{Completion, Invocation};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

impl fmt::Display for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_block(f, self.script.trim_end())
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::command(), "perkgate", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    invocation.output.show(&Completions { shell: args.shell.to_string(), script })?;
    Ok(Completion::Succeeded)
}
