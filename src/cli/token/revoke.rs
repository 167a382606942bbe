//! `perkgate token revoke-key`: a token key that was stolen is believed no more.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{ACTOR, Needs};
use crate::cli::output::confirmation::Confirmation;
use crate::cli::output::{write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::keyring::rotation::{Revocation, Succession};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The key: the `kid` in the header of the tokens that it has signed, and in /.well-known/jwks.json.
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are JSON members, as the API has them")]
struct Revoked {
    kid: String,
    revoked_at: Timestamp,
    /// The key that signs in its stead; null when it had been withdrawn before.
    next: Option<Next>,
}

#[derive(Serialize)]
struct Next {
    kid: String,
    signs_from: Timestamp,
}

impl From<Revocation> for Revoked {
    fn from(revocation: Revocation) -> Self {
        let next = revocation.change.map(|Succession { next, .. }| Next { kid: next.kid, signs_from: next.signs_from });
        Self { kid: revocation.kid, revoked_at: revocation.revoked_at, next }
    }
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(next) = &self.next else {
            return write_part!(f, "The token key {} was withdrawn before, at {}", self.kid, self.revoked_at);
        };
        write_line!(f, "The token key {} is withdrawn: servers refuse its tokens within a second", self.kid)?;
        write_line!(f, "  {} signs, since {}", next.kid, next.signs_from)?;
        write_part!(f, "  doors that verify offline believe the old key until they fetch the published keys again")
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let revocation = invocation.with_gateway(Needs::Existing, async |gateway| {
        args.confirmation.ask(&format!("withdraw the token key {}: its tokens open no door any more", args.kid))?;
        let revocation = gateway.ledger.revoke_token_key(args.kid.clone(), ACTOR).await?.ok_or_else(|| {
            let published = gateway.keyring.token_keys().iter().map(|key| key.kid().to_owned()).collect();
            CliError::UnknownTokenKey { kid: args.kid.clone(), published }
        })?;
        gateway.keys.follow_own_change().await;
        Ok(revocation)
    })?;
    invocation.output.show(&Revoked::from(revocation))?;
    Ok(Completion::Succeeded)
}
