//! `perkgate token redeem-late`: what a door took while it was offline, from a file.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::cli::once::{self, MerchantFlag, Needs};
use crate::cli::output::{write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::late_reports::{LateFault, LateItem, MOST};
use crate::eligibility::shown::late::LateShown;
use crate::foundation::field_error::FieldError;

/// More than a hundred tokens take.
const MAX_BYTES: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The report: the body of POST /v1/tokens/redeem/late, as JSON or YAML; `-` is standard input.
    #[arg(value_name = "REPORT")]
    file: PathBuf,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    token: String,
    door: String,
    attempt: String,
    at: String,
}

#[derive(Serialize)]
struct Reported {
    results: Vec<LateShown>,
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, result) in self.results.iter().enumerate() {
            if nth > 0 {
                write_line!(f)?;
            }
            match result {
                LateShown::Recorded { grant, redeemed_at, meanwhile: None, .. } => {
                    write_part!(f, "{grant}: recorded, redeemed {redeemed_at}")?;
                }
                LateShown::Recorded { grant, redeemed_at, meanwhile: Some(meanwhile), .. } => {
                    write_part!(
                        f,
                        "{grant}: recorded, redeemed {redeemed_at}; {meanwhile} by the time it was reported"
                    )?;
                }
                LateShown::Duplicate { grant, door, redeemed_at } => {
                    write_part!(f, "{grant}: a duplicate, the door {door} took it at {redeemed_at}")?;
                }
                LateShown::Refused { code, detail } => write_part!(f, "item {}: refused, {code}: {detail}", nth + 1)?,
            }
        }
        Ok(())
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let items = read(&Document::open(&args.file, MAX_BYTES)?)?;
    let outcomes = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &args.merchant).await?;
        Ok(gateway.redeemer.redeem_late(None, &merchant, items, Instant::now() + PATIENCE).await?)
    })?;
    let reported = Reported { results: outcomes.into_iter().map(LateShown::from).collect() };
    invocation.output.show(&reported)?;
    let all_refused = reported.results.iter().all(|result| matches!(result, LateShown::Refused { .. }));
    Ok(if all_refused { Completion::Failed } else { Completion::Succeeded })
}

fn read(document: &Document) -> Result<Vec<Result<LateItem, LateFault>>, CliError> {
    let unfit =
        |detail: String| CliError::Faulty(document.located("", vec![FieldError::at("/items", "out_of_range", detail)]));
    let items = document.json().member("items").and_then(|items| items.as_list());
    let items = items.filter(|items| (1..=MOST).contains(&items.len()));
    let items = items.ok_or_else(|| unfit(format!("it reports 1 to {MOST} items")))?;
    let each = items.iter().map(|item| {
        let item: Item = serde_json::from_str(&item.canonical()).map_err(|error| LateFault::Item(error.to_string()))?;
        LateItem::read(item.token, &item.door, &item.attempt, &item.at).map_err(|errors| LateFault::of_item(&errors))
    });
    Ok(each.collect())
}
