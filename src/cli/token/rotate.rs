//! `perkgate token rotate-key`: another key signs tokens from a given time on.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{ACTOR, Needs};
use crate::cli::output::write_part;
use crate::cli::{Completion, Invocation};
use crate::keyring::rotation::Rotation;

/// A month ahead is a plan; a year is a typing error.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the key is published before it signs, such as `1h`. Servers take it up within a second and
    /// doors may keep a copy of the published keys for 5 minutes, so less makes some doors refuse good tokens
    /// for a while. For a key that was stolen there is `revoke-key`.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = ahead)]
    after: SignedDuration,
}

/// A text that says no such time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("use a duration from 0s to 31 days, such as 10m or 24h")]
struct NoDuration;

fn ahead(text: &str) -> Result<SignedDuration, NoDuration> {
    let ahead: SignedDuration = text.parse().map_err(|_| NoDuration)?;
    if ahead.is_negative() || ahead > LONGEST { Err(NoDuration) } else { Ok(ahead) }
}

#[derive(Serialize)]
struct Rotated {
    kid: String,
    signs_from: Timestamp,
    /// Those that it takes over from: their tokens go on opening doors until then.
    retires: Vec<Retired>,
}

#[derive(Serialize)]
struct Retired {
    kid: String,
    at: Timestamp,
}

impl From<Rotation> for Rotated {
    fn from(rotation: Rotation) -> Self {
        let retires = rotation.retires.into_iter().map(|(kid, at)| Retired { kid, at }).collect();
        Self { kid: rotation.key.kid, signs_from: rotation.key.signs_from, retires }
    }
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "The token key {} signs from {} on", self.kid, self.signs_from)?;
        for Retired { kid, at } in &self.retires {
            write_part!(f, "\n  {kid} remains published until {at}: tokens that it has signed go on opening doors")?;
        }
        Ok(())
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let rotation = invocation.with_gateway(Needs::Existing, async |gateway| {
        let rotation = gateway.ledger.rotate_token_key(args.after, ACTOR).await?;
        gateway.keys.follow_own_change().await;
        Ok(rotation)
    })?;
    invocation.output.show(&Rotated::from(rotation))?;
    Ok(Completion::Succeeded)
}
