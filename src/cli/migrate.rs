//! `perkgate migrate`: brings the schema to what this program needs.

use std::fmt;

use serde::Serialize;

use super::error::CliError;
use super::output::{write_line, write_part};
use super::{Completion, Invocation};
use crate::database::{Backend, Database};
use crate::settings::master_key;

/// Safe to run by several at once, and again when there is nothing to do.
#[derive(clap::Args)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Migrated {
    database: String,
    /// The versions of the migrations, oldest first.
    applied: Vec<String>,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.applied.is_empty() {
            return write_part!(f, "{} is up to date", self.database);
        }
        write_line!(f, "{}: {} applied", self.database, self.applied.len())?;
        self.applied.iter().try_for_each(|name| write_line!(f, "  {name}"))
    }
}

pub(super) fn run(_: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let settings = invocation.settings()?;
    let url = &settings.storage.database_url;
    url.check()?;
    if url.backend() == Backend::Sqlite {
        // A new database file gets its key first, or `serve` would find a database that lost it.
        master_key::resolve(&settings, master_key::is_new(url), &invocation.entropy)?;
    }
    let applied = Database::connect(url, 1)?.migrate()?;
    invocation.output.show(&Migrated { database: url.to_string(), applied })?;
    Ok(Completion::Succeeded)
}
