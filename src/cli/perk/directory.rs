//! `perkgate perk apply` of a directory or of several files: all are checked, then all are applied or none.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::apply::{Applied, AppliedFile, apply};
use super::file::PerkFile;
use super::files::{Sheet, open_all};
use super::plan::Planned;
use crate::cli::error::CliError;
use crate::cli::once::{self, MerchantFlag, Needs};
use crate::cli::output::write_part;
use crate::cli::{Completion, Invocation};
use crate::foundation::ids::MerchantId;
use crate::gateway::Gateway;
use crate::perks::apply::Outcome;

/// The flags of the command line that hold for every file.
pub(super) struct Wishes {
    pub merchant: MerchantFlag,
    pub publish: bool,
    pub note: Option<String>,
}

impl Wishes {
    /// The command line has the last word.
    pub(super) fn amend(&self, file: &mut PerkFile) {
        file.publish |= self.publish;
        if self.note.is_some() {
            file.change_note.clone_from(&self.note);
        }
    }
}

/// The changes that would be made; none was.
#[derive(Serialize)]
struct Plan {
    dry_run: bool,
    perks: Vec<Planned>,
}

#[derive(Serialize)]
struct AllApplied {
    perks: Vec<AppliedFile<Applied>>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.perks.iter().try_for_each(|planned| planned.fmt(f))?;
        let count = |outcome| self.perks.iter().filter(|it| it.outcome == outcome).count();
        let (new, changed) = (count(Outcome::New), count(Outcome::Changed));
        let (renamed, unchanged) = (count(Outcome::Renamed), count(Outcome::Unchanged));
        // Beside the others: what is new is published too where that is asked for.
        let publish = self.perks.iter().filter(|it| it.would_be_published()).count();
        let review = self.perks.iter().filter(|it| it.waits).count();
        let review = if review == 0 { String::new() } else { format!(", {review} to review") };
        write_part!(
            f,
            "{new} new, {changed} changed, {renamed} renamed, {unchanged} unchanged; {publish} to publish{review}; \
             nothing was applied"
        )
    }
}

impl fmt::Display for AllApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.perks.iter().try_for_each(|it| it.applied.fmt(f))?;
        let changed = self.perks.iter().filter(|it| it.applied.outcome != Outcome::Unchanged).count();
        write_part!(f, "{changed} changed, {} unchanged", self.perks.len() - changed)
    }
}

pub(super) fn run(
    paths: &[PathBuf],
    wishes: &Wishes,
    dry_run: bool,
    invocation: &Invocation,
) -> Result<Completion, CliError> {
    let mut sheets = open_all(paths)?;
    for sheet in &mut sheets {
        wishes.amend(&mut sheet.file);
    }
    if dry_run {
        let plan = invocation.with_gateway(Needs::Existing, async |gateway| {
            let merchant = once::merchant(gateway, &wishes.merchant).await?.id;
            Ok(Plan { dry_run, perks: check(gateway, &merchant, &sheets).await? })
        })?;
        invocation.output.show(&plan)?;
        return Ok(Completion::Succeeded);
    }
    let applied = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &wishes.merchant).await?.id;
        check(gateway, &merchant, &sheets).await?;
        apply_all(gateway, &merchant, &sheets).await
    })?;
    invocation.output.show(&applied)?;
    Ok(if applied.perks.iter().any(|it| it.applied.waits) { Completion::Failed } else { Completion::Succeeded })
}

/// Works out what each file would do.
///
/// # Errors
/// All that can't work in any of them.
async fn check(gateway: &Gateway, merchant: &MerchantId, sheets: &[Sheet]) -> Result<Vec<Planned>, CliError> {
    let four_eyes = gateway.catalog.four_eyes(merchant).await?.required;
    let (mut plan, mut faults) = (Vec::new(), Vec::new());
    for sheet in sheets {
        let planned = async {
            let mut planned = Planned::of(gateway, merchant, four_eyes, sheet).await?;
            let faults = planned.lint(gateway, merchant, sheet).await?;
            Ok((planned, faults))
        };
        let (planned, wrong) = planned.await.map_err(|error: CliError| match sheets.len() {
            1 => error,
            _ => CliError::InFile { path: sheet.document.path.clone(), source: Box::new(error) },
        })?;
        faults.extend(wrong);
        plan.push(planned);
    }
    if faults.is_empty() { Ok(plan) } else { Err(CliError::Faulty(faults)) }
}

async fn apply_all(gateway: &Gateway, merchant: &MerchantId, sheets: &[Sheet]) -> Result<AllApplied, CliError> {
    let names: Vec<String> = sheets.iter().map(|sheet| sheet.document.path.display().to_string()).collect();
    let files = sheets.iter().map(|Sheet { document, file, .. }| (document, file.clone())).collect();
    let applied = apply(gateway, merchant, files).await?;
    let each = names.into_iter().zip(applied).map(|(file, applied)| AppliedFile { file, applied });
    Ok(AllApplied { perks: each.collect() })
}
