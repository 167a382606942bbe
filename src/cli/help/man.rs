//! `perkgate man`: a manual page for each command.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::output::{counted, write_part};
use crate::cli::{Completion, Invocation};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the pages go; made if it is not there. Pages that are there already are written over.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Serialize)]
struct Written {
    directory: String,
    pages: Vec<String>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, pages } = self;
        write_part!(f, "Wrote {} into {directory}: man -l {directory}/perkgate.1", counted(pages.len(), "page"))
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    let mut command = crate::cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    write(&command, "perkgate", directory, &mut pages)?;
    invocation.output.show(&Written { directory: directory.display().to_string(), pages })?;
    Ok(Completion::Succeeded)
}

/// The page of a command and those of all below it: `perkgate-key-create.1`.
fn write(command: &Command, name: &str, directory: &Path, pages: &mut Vec<String>) -> Result<(), CliError> {
    let page = format!("{name}.1");
    let path = directory.join(&page);
    let mut text = Vec::new();
    Man::new(command.clone().name(name.to_owned()).display_name(name.to_owned())).render(&mut text)?;
    std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    pages.push(page);
    let mut below = command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
    below.try_for_each(|below| write(below, &format!("{name}-{}", below.get_name()), directory, pages))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unwritable { path: path.to_owned(), why: error.to_string() }
}
