//! `perkgate key`: makes keys.

use std::fmt;

use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::error::CliError;
use super::{Ended, Invocation};
use crate::settings::master_key;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a fresh master key. It is stored nowhere: keep it safe.
    Master,
}

/// The one answer that shows a secret: it is what was asked for.
#[derive(Serialize)]
struct MasterKey {
    master_key: String,
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.master_key)
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Ended, CliError> {
    match args.action {
        Action::Master => {
            let key = master_key::fresh(&invocation.entropy);
            invocation.output.show(&MasterKey { master_key: key.expose_secret().to_owned() })?;
        }
    }
    Ok(Ended::Well)
}
