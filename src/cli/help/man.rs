//! `perkgate man`: a manual page for each command.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::builder::Resettable;
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
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // Settings are left out of the short help, and with that the generator would leave their texts out here.
    let page_of = command.clone().name(name.to_owned()).display_name(name.to_owned()).after_help(Resettable::Reset);
    let mut text = Vec::new();
    Man::new(page_of.mut_args(|arg| arg.hide_short_help(false))).render(&mut text)?;
    text.extend(section_of(&examples).into_bytes());
    std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    pages.push(page);
    let mut below = command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set());
    below.try_for_each(|below| write(below, &format!("{name}-{}", below.get_name()), directory, pages))
}

/// The section of the examples, each line as it is (man(7)).
fn section_of(examples: &str) -> String {
    let lines = examples
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .filter(|line| !matches!(*line, "Example:" | "Examples:"));
    let escaped = lines.map(|line| {
        let text = line.replace('\\', "\\e").replace('-', "\\-");
        if text.starts_with(['.', '\'']) { format!("\\&{text}\n") } else { format!("{text}\n") }
    });
    let text = escaped.collect::<String>();
    if text.trim().is_empty() { String::new() } else { format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", text.trim()) }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unwritable { path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_a_section_of_their_own_and_settings_have_their_texts() {
        assert_eq!(section_of(""), "");
        let section = section_of("Example:\n  perkgate perk show a-b\n  .hidden");
        assert_eq!(section, ".SH EXAMPLES\n.nf\nperkgate perk show a\\-b\n\\&.hidden\n.fi\n");
        let directory = tempfile::tempdir().unwrap();
        let mut command = crate::cli::command().disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        write(&command, "perkgate", directory.path(), &mut pages).unwrap();
        for page in pages {
            let text = std::fs::read_to_string(directory.path().join(&page)).unwrap();
            assert!(text.contains(".SH EXAMPLES") && !text.contains(".SH EXTRA"), "{page}");
        }
        let page = std::fs::read_to_string(directory.path().join("perkgate-key-revoke.1")).unwrap();
        assert!(page.contains("PERKGATE_DATABASE_URL"), "{page}");
    }
}
