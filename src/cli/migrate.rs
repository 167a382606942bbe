//! `perkgate migrate`: brings the schema to what this program needs.

use std::fmt;

use serde::Serialize;

use super::error::CliError;
use super::{Ended, Invocation};
use crate::database::{Backend, Database};
use crate::settings::master_key;

/// Safe to run by several at once, and again when there is nothing to do.
#[derive(clap::Args)]
pub struct Args {
    /// Only say what would be applied.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Migrated {
    database: String,
    /// The names of the migrations, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Vec<String>>,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, verb) = match (&self.applied, &self.pending) {
            (Some(names), _) => (names, "applied"),
            (None, Some(names)) => (names, "pending"),
            (None, None) => return Ok(()),
        };
        if names.is_empty() {
            return write!(f, "{} is up to date", self.database);
        }
        writeln!(f, "{}: {} {verb}", self.database, names.len())?;
        names.iter().try_for_each(|name| writeln!(f, "  {name}"))
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Ended, CliError> {
    let settings = invocation.settings()?;
    let url = &settings.storage.database_url;
    if url.backend() == Backend::Sqlite && !args.dry_run {
        // A new database file gets its key first, or `serve` would find a database that lost it.
        master_key::resolve(&settings, master_key::is_new(url), &invocation.entropy)?;
    }
    let database = Database::connect(url, 1)?;
    let (applied, pending) =
        if args.dry_run { (None, Some(database.pending_migrations()?)) } else { (Some(database.migrate()?), None) };
    invocation.output.show(&Migrated { database: url.to_string(), applied, pending })?;
    Ok(Ended::Well)
}
