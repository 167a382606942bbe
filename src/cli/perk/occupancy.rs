//! `perkgate perk occupancy` and `correct-occupancy`: who is inside.

use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs};
use crate::cli::output::{write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::occupancy::{Occupancy, PlaceAsked};
use crate::foundation::decimal::{Decimal, DecimalError};
use crate::foundation::ids::{self, MAX_LABEL, MAX_NOTE, OccupancyId, PerkSlug};
use crate::ledger::occupancy::MOST;
use crate::rules::attribute::percent_taken;

#[derive(Subcommand)]
pub(crate) enum Occupancies {
    /// Show who is inside a perk's place, by its concurrent limit, and when places are free at the latest.
    Occupancy(OfPlace),
    /// Correct how many are inside: some came or left unseen.
    CorrectOccupancy {
        #[command(flatten)]
        of: OfPlace,
        /// How many more (2), or fewer (-2), are inside than are counted.
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-MOST..=MOST))]
        by: i64,
        /// Why. It stands in the log in the clear: name nobody.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct OfPlace {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    perk: PerkSlug,
    /// One location, as keys name it, where the perk counts each by itself.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| ids::label(text, MAX_LABEL))]
    location: Option<String>,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Occupancy);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(it) = self;
        let place = it.location.as_deref().unwrap_or(it.perk.as_str());
        write_part!(
            f,
            "{place}: {} of {} inside, {} free, {} at most today",
            it.inside,
            it.capacity,
            it.free,
            it.peak_today
        )?;
        for release in &it.expected_releases {
            write_line!(f)?;
            write_part!(f, "  {} more by {}", release.count, release.by)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Recounted {
    correction: OccupancyId,
    perk: PerkSlug,
    location: Option<String>,
    delta: i64,
    inside: u64,
    corrected_at: Timestamp,
    lapses_at: Timestamp,
}

impl fmt::Display for Recounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.location.as_deref().unwrap_or(self.perk.as_str());
        write_part!(f, "{place}: {} inside", self.inside)
    }
}

pub(super) fn run(action: Occupancies, invocation: &Invocation) -> Result<Completion, CliError> {
    match action {
        Occupancies::Occupancy(OfPlace { perk, location, merchant }) => {
            let asked = PlaceAsked { perk, location, own: None };
            let found = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                Ok(gateway.floor.occupancy(&merchant, &asked).await?)
            })?;
            invocation.output.show(&Shown(found))?;
        }
        Occupancies::CorrectOccupancy { of: OfPlace { perk, location, merchant }, by, reason } => {
            let asked = PlaceAsked { perk, location, own: None };
            let reason = ids::label(&reason, MAX_NOTE).map_err(CliError::Reason)?;
            if by == 0 {
                return Err(CliError::NothingToCorrect);
            }
            let corrected = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                Ok(gateway.floor.correct(&merchant, &asked, ACTOR, (by, reason)).await?)
            })?;
            invocation.output.show(&Recounted {
                correction: corrected.id,
                perk: corrected.place.slug,
                location: corrected.place.house.location,
                delta: by,
                inside: corrected.corrected.inside,
                corrected_at: corrected.corrected.at,
                lapses_at: corrected.corrected.until,
            })?;
        }
    }
    Ok(Completion::Succeeded)
}

/// How full a place is, as it is said in trials.
pub(super) fn percent(text: &str) -> Result<Decimal, String> {
    Ok(percent_taken(text.parse().map_err(|error: DecimalError| error.to_string())?)?)
}
