//! `perkgate openapi`: the description of the HTTP API, as it is committed.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::CliError;
use super::{Ended, Invocation};
use crate::http::openapi;

/// OpenAPI 3.1, in JSON either way.
#[derive(clap::Args)]
pub struct Args {}

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

pub(super) fn run(_: &Args, invocation: &Invocation) -> Result<Ended, CliError> {
    invocation.output.show(&Description(openapi::json(&openapi::document())))?;
    Ok(Ended::Well)
}
