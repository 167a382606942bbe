//! `perkgate perk diff`: how perk files differ from the gateway, with the exit codes of `diff`.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::files::{Sheet, open_all};
use super::plan::Planned;
use super::{PerkView, list};
use crate::cli::error::CliError;
use crate::cli::once::{self, MerchantFlag, Needs};
use crate::cli::output::write_line;
use crate::cli::{Completion, Invocation};
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::perks::apply::Outcome;
use crate::perks::perk::PerkStatus;

const EXAMPLES: &str = "\
Each file is compared with the latest version of its perk, and `refused` says why `apply` would not take
it. With a directory, the perks on the gateway that have no file are listed too.

Exit codes: 0 no difference, 1 differences, 2 the question can't be answered.

Examples:
  perkgate perk diff -f perks/ --merchant cathay
  perkgate perk diff -f lounge.yaml --merchant cathay --json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A perk file, or a directory of them. May be given several times.
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
struct Differences {
    differs: bool,
    perks: Vec<Planned>,
    /// Perks on the gateway that have no file.
    without_file: Vec<PerkView>,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.perks.iter().try_for_each(|planned| planned.fmt(f))?;
        for PerkView { perk, latest_version, .. } in &self.without_file {
            write_line!(
                f,
                "no file    {perk}: version {latest_version} is only on the gateway; `perk pull` writes its file"
            )?;
        }
        if !self.differs {
            f.write_str("No difference.")?;
        }
        Ok(())
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let differences = compare(args, invocation).map_err(|error| CliError::NoAnswer(Box::new(error)))?;
    invocation.output.show(&differences)?;
    Ok(if differences.differs { Completion::Failed } else { Completion::Succeeded })
}

fn compare(args: Args, invocation: &Invocation) -> Result<Differences, CliError> {
    let Args { files, merchant } = args;
    let sheets = open_all(&files)?;
    let are_all = files.iter().any(|path| path.is_dir());
    invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &merchant).await?.id;
        let four_eyes = gateway.catalog.four_eyes(&merchant).await?.required;
        let mut perks = Vec::new();
        for sheet in &sheets {
            let mut planned = Planned::of(gateway, &merchant, four_eyes, sheet).await?;
            // It differs all the same, and so do the others: `apply` would take none of them.
            planned.refused = planned.lint(gateway, &merchant, sheet).await?;
            perks.push(planned);
        }
        let without_file = if are_all { without_file(gateway, &merchant, &sheets).await? } else { Vec::new() };
        let differs = !without_file.is_empty() || perks.iter().any(|it| it.outcome != Outcome::Unchanged);
        Ok(Differences { differs, perks, without_file })
    })
}

async fn without_file(
    gateway: &Gateway,
    merchant: &crate::foundation::ids::MerchantId,
    sheets: &[Sheet],
) -> Result<Vec<PerkView>, CliError> {
    let have: HashSet<&PerkSlug> = sheets.iter().map(|sheet| &sheet.file.perk).collect();
    let perks = list(gateway, merchant).await?;
    // A perk that is retired has no business with files any more.
    let is_missing = |it: &PerkView| it.status != PerkStatus::Retired.as_str() && !have.contains(&it.perk);
    Ok(perks.into_iter().filter(is_missing).collect())
}
