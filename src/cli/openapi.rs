//! `perkgate openapi`: the description of the HTTP API, or of perk files, as it is committed.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::CliError;
use super::{Completion, Invocation};
use crate::perks::schema;

/// The HTTP API as OpenAPI 3.1, in JSON either way.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print the JSON Schema of perk files instead, for editors.
    #[arg(long)]
    schema: bool,
}

struct Description(String);

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let text = if args.schema { schema::text() } else { (invocation.doors.openapi)() };
    invocation.output.show(&Description(text.trim_end().to_owned()))?;
    Ok(Completion::Succeeded)
}
