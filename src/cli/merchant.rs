//! `perkgate merchant`: makes and lists merchants.

use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{ACTOR, Needs, all_pages};
use super::output::table;
use super::{Ended, Invocation};
use crate::access::Merchant;
use crate::ids::{MerchantId, MerchantSlug};

#[derive(clap::Args)]
pub struct Args {
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
    },
    /// List the merchants in the order they were made.
    List,
}

#[derive(Serialize)]
struct MerchantView {
    id: MerchantId,
    slug: MerchantSlug,
    name: String,
    created_at: Timestamp,
}

impl From<Merchant> for MerchantView {
    fn from(merchant: Merchant) -> Self {
        let Merchant { id, slug, name, created_at } = merchant;
        Self { id, slug, name, created_at }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Created(MerchantView);

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MerchantView { id, slug, name, .. } = &self.0;
        write!(f, "Made the merchant `{slug}`, {name} ({id})")
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
            [it.slug.to_string(), it.name.clone(), it.created_at.strftime("%Y-%m-%d").to_string(), it.id.to_string()]
        });
        f.write_str(&table(["slug", "name", "since", "id"], rows))
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Ended, CliError> {
    match args.action {
        Action::Create { slug, name } => {
            let made = invocation.with_gateway(Needs::AnyDatabase, async |gateway| {
                Ok(gateway.directory.create_merchant(slug, &name, ACTOR).await?)
            })?;
            invocation.output.show(&Created(made.into()))?;
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
    Ok(Ended::Well)
}
