//! `perkgate perk close`, `closures` and `open`: a place is closed for a while.

use std::collections::BTreeMap;
use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs};
use crate::cli::output::{table, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{ClosureId, PerkSlug};
use crate::foundation::json::Json;
use crate::perks::closures::{Closing, Closure, NewClosure};
use crate::scores::score::parse_instant;

#[derive(Subcommand)]
pub(crate) enum Closures {
    /// Close a perk, or one of its locations, until an instant: every check there is denied, and it opens by itself.
    Close {
        #[command(flatten)]
        of: OfPerk,
        /// When it opens by itself: 2026-12-01T08:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// One location, as keys name it; without it the whole perk.
        #[arg(long, value_name = "NAME")]
        location: Option<String>,
        /// The words for guests, as a JSON object by language: '{"en":"We open again at ten."}'.
        #[arg(long, value_name = "JSON")]
        message: Option<String>,
    },
    /// List the places of a perk that are closed now.
    #[command(name = "closures")]
    List(OfPerk),
    /// Open a place before its time.
    Open {
        #[command(flatten)]
        of: OfPerk,
        /// The closure's id (`clo_…`).
        #[arg(value_name = "CLOSURE")]
        closure: ClosureId,
    },
}

#[derive(clap::Args)]
pub(crate) struct OfPerk {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    perk: PerkSlug,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
struct Shown {
    closure: ClosureId,
    perk: PerkSlug,
    location: Option<String>,
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<BTreeMap<String, String>>,
    closed_at: Timestamp,
    closed_by: String,
}

impl Shown {
    fn of(perk: PerkSlug, closure: Closure) -> Self {
        let Closure { id, location, until, message, made_at, made_by } = closure;
        let message = message.map(|words| words.iter().map(|(tag, text)| (tag.to_owned(), text.to_owned())).collect());
        Self { closure: id, perk, location, until, message, closed_at: made_at, closed_by: made_by }
    }
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    closure: Shown,
    warnings: Vec<FieldError>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { closure, location, until, .. } = &self.closure;
        let place = location.as_deref().unwrap_or("the whole perk");
        write_part!(f, "{closure}: {place} is closed until {until}; a server that runs follows within a second")?;
        for warning in &self.warnings {
            write_line!(f)?;
            write_part!(f, "  {}", warning.detail)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Listed {
    closures: Vec<Shown>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.closures.is_empty() {
            return f.write_str("No place is closed.");
        }
        let rows = self.closures.iter().map(|it| {
            let place = it.location.clone().unwrap_or_else(|| "all".to_owned());
            [it.closure.to_string(), place, it.until.to_string(), it.closed_by.clone()]
        });
        f.write_str(&table(["closure", "place", "until", "by"], rows))
    }
}

#[derive(Serialize)]
struct Opened {
    closure: ClosureId,
    opened: bool,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} is open again", self.closure)
    }
}

pub(super) fn run(action: Closures, invocation: &Invocation) -> Result<Completion, CliError> {
    match action {
        Closures::Close { of: OfPerk { perk, merchant }, until, location, message } => {
            let unfit = |pointer: &'static str, detail: &str| {
                CliError::Faulty(vec![FieldError::at(pointer, "invalid_value", detail)])
            };
            let until =
                parse_instant(&until).ok_or_else(|| unfit("/until", "write an instant: 2026-12-01T08:00:00Z"))?;
            let message = message.map(|text| Json::parse(&text)).transpose();
            let message = message.map_err(|error| unfit("/message", &error.to_string()))?;
            let new = NewClosure { location, until, message };
            let Closing { closure, warnings } = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                Ok(gateway.catalog.close_place(&merchant.id, ACTOR, &perk, new).await?)
            })?;
            invocation.output.show(&Made { closure: Shown::of(perk, closure), warnings })?;
        }
        Closures::List(OfPerk { perk, merchant }) => {
            let closures = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                Ok(gateway.catalog.list_closures(&merchant.id, &perk).await?)
            })?;
            invocation.output.show(&Listed {
                closures: closures.into_iter().map(|closure| Shown::of(perk.clone(), closure)).collect(),
            })?;
        }
        Closures::Open { of: OfPerk { perk, merchant }, closure } => {
            invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let opened = gateway.catalog.open_place(&merchant.id, ACTOR, &perk, closure.clone()).await?;
                opened.map(drop).ok_or_else(|| CliError::absent("closure", closure.as_str()))
            })?;
            invocation.output.show(&Opened { closure, opened: true })?;
        }
    }
    Ok(Completion::Succeeded)
}
