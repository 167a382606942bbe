//! `perkgate merchant`: makes, changes and lists merchants.

use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{ACTOR, Needs, all_pages, merchant_of};
use super::output::{table, write_part};
use super::{Completion, Invocation, log_origins};
use crate::access::Merchant;
use crate::foundation::ids::{MerchantId, MerchantSlug};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a merchant. A SQLite database that is not there yet is made with it.
    Create {
        /// Its short name, in URLs and tokens: a-z, 0-9 and hyphens.
        #[arg(value_name = "SLUG")]
        slug: MerchantSlug,
        /// Its name for people.
        #[arg(long)]
        name: String,
        /// Whose days and hours its reports count by, such as `Asia/Hong_Kong`; UTC without it.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
    },
    /// Change a merchant. Each change is an event of its log.
    Set {
        /// Its short name.
        #[arg(value_name = "SLUG")]
        slug: MerchantSlug,
        /// Whose days and hours its reports count by, such as `Asia/Hong_Kong`. Rules keep their own zones.
        #[arg(long, value_name = "ZONE")]
        time_zone: String,
    },
    /// List the merchants in the order they were made.
    List,
}

#[derive(Serialize)]
struct MerchantView {
    id: MerchantId,
    slug: MerchantSlug,
    name: String,
    time_zone: String,
    created_at: Timestamp,
}

impl From<Merchant> for MerchantView {
    fn from(merchant: Merchant) -> Self {
        let Merchant { id, slug, name, created_at, time_zone, .. } = merchant;
        Self { id, slug, name, time_zone, created_at }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Created(MerchantView);

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MerchantView { id, slug, name, .. } = &self.0;
        write_part!(f, "Made the merchant `{slug}`, {name} ({id})")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Changed(MerchantView);

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MerchantView { slug, time_zone, .. } = &self.0;
        write_part!(f, "The reports of `{slug}` count by the days of {time_zone}")
    }
}

#[derive(Serialize)]
struct Listed {
    merchants: Vec<MerchantView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.merchants.is_empty() {
            return f.write_str("There is no merchant yet.");
        }
        let rows = self.merchants.iter().map(|it| {
            let since = it.created_at.strftime("%Y-%m-%d").to_string();
            [it.slug.to_string(), it.name.clone(), it.time_zone.clone(), since, it.id.to_string()]
        });
        f.write_str(&table(["slug", "name", "time zone", "since", "id"], rows))
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Create { slug, name, time_zone } => {
            let made = invocation.with_gateway(Needs::AnyDatabase, async |gateway| {
                let made = gateway.directory.create_merchant(slug, &name, time_zone.as_deref(), ACTOR).await?;
                if let Some(warning) = log_origins::warning_of_new(&gateway.settings, made.slug.as_str()) {
                    tracing::warn!("{warning}");
                }
                Ok(made)
            })?;
            invocation.output.show(&Created(made.into()))?;
        }
        Action::Set { slug, time_zone } => {
            let changed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let known = merchant_of(gateway, &slug).await?;
                Ok(gateway.directory.set_time_zone(known.slug, &time_zone, ACTOR).await?)
            })?;
            invocation.output.show(&Changed(changed.into()))?;
        }
        Action::List => {
            let merchants = invocation.with_gateway(Needs::Existing, async |gateway| {
                let directory = &gateway.directory;
                let page =
                    async |last: Option<&Merchant>| directory.list_merchants(last.map(|it| it.id.clone()), 200).await;
                Ok(all_pages(200, page).await?)
            })?;
            invocation.output.show(&Listed { merchants: merchants.into_iter().map(MerchantView::from).collect() })?;
        }
    }
    Ok(Completion::Succeeded)
}
