//! `perkgate perk`: rules as code (new, test, diff, apply, pull), lists, shows and tries perks.

mod apply;
pub(crate) mod backtest;
mod closures;
mod diff;
mod directory;
mod effects;
pub(crate) mod file;
mod files;
pub(crate) mod life;
mod new;
mod occupancy;
mod plan;
mod pull;
pub(crate) mod simulate;
mod test;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::error::CliError;
use super::once::{self, MerchantFlag, Needs, all_pages};
use super::output::{table, write_block, write_line};
use super::{Completion, Invocation};
use crate::database::DatabaseError;
use crate::eligibility::shown::version::VersionShown;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, PerkStatus, RuleVersion, Scheduled};
use crate::perks::purpose::Purpose;
use apply::AppliedAlone;
use closures::Closures;
use file::PerkFile;
use life::Life;
use occupancy::Occupancies;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make perks, or new versions of their rules; nothing when nothing changed.
    #[command(after_help = APPLY_EXAMPLES)]
    Apply {
        /// A perk as YAML or JSON, the body of POST /v1/perks: `{"perk", "name", "purpose"?, "rule", "publish"?, "change_note"?}`; or a
        /// directory of them. `-` is standard input. May be given several times: all are applied, or none.
        #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Let the version decide at once, whatever the file says; else it may stay a draft. A server that runs follows
        /// within a second.
        #[arg(long)]
        publish: bool,
        /// Why the rule changes, in place of the file's `change_note`.
        #[arg(long = "change-note", alias = "note", value_name = "TEXT")]
        note: Option<String>,
        /// Check everything, tell what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write a merchant's perks into a directory, one file each.
    Pull(pull::Args),
    /// Tell how perk files differ from the gateway.
    Diff(diff::Args),
    /// Run files of cases against perk files; needs no gateway.
    Test(test::Args),
    /// Write a commented perk file to begin with, and cases that test it.
    New(new::Args),
    /// List a merchant's perks.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Show a perk and one version of its rule: the one that decides, or the latest draft.
    Show {
        #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
        perk: PerkSlug,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Another version.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
    /// See what a rule would do, to one subject or to everyone; nothing is recorded or consumed.
    Simulate(Box<simulate::Args>),
    /// See what a rule would have made of the checks of a period.
    ///
    /// Exits with 1 when replaying the version that ran does not reproduce what it decided.
    Backtest(backtest::Args),
    #[command(flatten)]
    Closures(Closures),
    #[command(flatten)]
    Occupancies(Occupancies),
    #[command(flatten)]
    Life(Life),
}

const APPLY_EXAMPLES: &str = "\
A directory's `*.yaml`, `*.yml` and `*.json` are perk files, but for `*.test.yaml` and the like.
The latest version of a perk is what a file is compared with. All files are applied in one transaction:
whatever stands in the way of one, now or at that moment, leaves every perk as it is.

Exit codes: 0 done or nothing to do, 1 refused or failed.

Examples:
  perkgate perk apply -f lounge.yaml --merchant cathay --publish
  perkgate perk apply -f perks/ --merchant cathay --dry-run
  perkgate perk apply -f perks/ --merchant cathay --change-note 'Busy in May'";

#[derive(Serialize)]
struct PerkView {
    perk: PerkSlug,
    name: String,
    purpose: Purpose,
    status: &'static str,
    latest_version: i32,
    published_version: Option<i32>,
    /// The version that decides from `scheduled_at` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Timestamp>,
    created_at: Timestamp,
    /// The one who paused, resumed or retired it last: a key, or `cli`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_note: Option<String>,
}

impl PerkView {
    fn of(perk: Perk, scheduled: Option<Scheduled>) -> Self {
        let status = perk.shown_status();
        let (status_by, status_at) = perk.status_changed.map(|it| (it.by, it.at)).unzip();
        let (scheduled_version, scheduled_at) = scheduled.map(|it| (it.version, it.at)).unzip();
        Self {
            perk: perk.slug,
            name: perk.name,
            purpose: perk.purpose,
            status,
            latest_version: perk.latest_version,
            published_version: perk.published_version,
            scheduled_version,
            scheduled_at,
            created_at: perk.created_at,
            status_by,
            status_at,
            status_note: perk.status_note,
        }
    }

    /// Tells whether no rule of it decides, whatever was published.
    fn is_halted(&self) -> bool {
        [PerkStatus::Paused, PerkStatus::Retired].iter().any(|it| it.as_str() == self.status)
    }
}

#[derive(Serialize)]
struct Listed {
    perks: Vec<PerkView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.perks.is_empty() {
            return f.write_str("The merchant has no perk yet.");
        }
        let rows = self.perks.iter().map(|it| {
            let published = it.published_version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            let scheduled = it.scheduled_version.zip(it.scheduled_at);
            let scheduled = scheduled.map_or_else(String::new, |(version, at)| format!("{version} from {at}"));
            let (status, latest) = (it.status.to_owned(), it.latest_version.to_string());
            let why = it.status_note.clone().filter(|_| it.is_halted()).unwrap_or_default();
            [it.perk.to_string(), it.name.clone(), status, published, scheduled, latest, why]
        });
        f.write_str(&table(["perk", "name", "status", "published", "scheduled", "latest", "note"], rows))
    }
}

/// A perk, and the version of its rule that is shown.
#[derive(Serialize)]
struct PerkWithVersion {
    #[serde(flatten)]
    perk: PerkView,
    shown: VersionShown,
    /// The version's rule, for the text.
    #[serde(skip)]
    rule: Value,
    /// The label of the key that paused or retired the perk.
    #[serde(skip)]
    status_by_label: Option<String>,
}

impl fmt::Display for PerkWithVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PerkView { perk, name, latest_version, .. } = &self.perk;
        let (shown, rule) = (&self.shown, &self.rule);
        let VersionShown { version, status, .. } = shown;
        write_line!(f, "{perk}, {name}: version {version} of {latest_version}, {}", status.as_str())?;
        write_line!(f, "  {}, written by {}", shown.rule_hash, shown.person(&shown.created_by))?;
        if self.perk.is_halted() {
            let by = self.status_by_label.as_ref().or(self.perk.status_by.as_ref());
            let since =
                self.perk.status_at.zip(by).map_or_else(String::new, |(at, by)| format!(" since {at}, by {by}"));
            let why = self.perk.status_note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
            write_line!(f, "  the perk is {}{since}{why}", self.perk.status)?;
        }
        if let Some((version, at)) = self.perk.scheduled_version.zip(self.perk.scheduled_at) {
            write_line!(f, "  version {version} decides from {at} on")?;
        }
        if self.perk.purpose != Purpose::Other {
            write_line!(f, "  for {}", self.perk.purpose.as_str())?;
        }
        if let Some(at) = shown.published_at {
            write_line!(f, "  published {at}")?;
        }
        if let Some(note) = &shown.change_note {
            write_line!(f, "  {note}")?;
        }
        write_block(f, &format!("{rule:#}"))
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let existing = Needs::Existing;
    match args.action {
        Action::Simulate(args) => return simulate::run(*args, invocation),
        Action::Backtest(args) => return backtest::run(&args, invocation),
        Action::Apply { files, merchant, publish, note, dry_run } => {
            let wishes = directory::Wishes { merchant, publish, note };
            let [file] = files.as_slice() else {
                return directory::run(&files, &wishes, dry_run, invocation);
            };
            if dry_run || file.is_dir() {
                return directory::run(&files, &wishes, dry_run, invocation);
            }
            let (document, mut file) = PerkFile::open(file)?;
            wishes.amend(&mut file);
            let applied = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &wishes.merchant).await?;
                apply::apply(gateway, &merchant.id, vec![(&document, file)]).await
            })?;
            for applied in applied {
                invocation.output.show(&AppliedAlone::of(&document, &applied))?;
                if applied.waits {
                    return Ok(Completion::Failed);
                }
            }
        }
        Action::Pull(args) => return pull::run(args, invocation),
        Action::Diff(args) => return diff::run(args, invocation),
        Action::Test(args) => return test::run(&args, invocation),
        Action::New(args) => return new::run(&args, invocation),
        Action::Closures(action) => return closures::run(action, invocation),
        Action::Occupancies(action) => return occupancy::run(action, invocation),
        Action::Life(life) => return life::run(life, invocation),
        Action::List { merchant } => {
            let perks = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                list(gateway, &merchant).await
            })?;
            invocation.output.show(&Listed { perks })?;
        }
        Action::Show { perk, merchant, version } => {
            let shown = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                show(gateway, &merchant.id, &perk, version).await
            })?;
            invocation.output.show(&shown)?;
        }
    }
    Ok(Completion::Succeeded)
}

/// The version as it is shown.
fn version_shown(
    perk: PerkSlug,
    version: RuleVersion,
    labels: &BTreeMap<String, String>,
) -> Result<VersionShown, CliError> {
    Ok(VersionShown::of(perk, version, labels).map_err(|error| DatabaseError::corrupt("rule", error))?)
}

/// All perks of the merchant, by short name.
async fn list(gateway: &Gateway, merchant: &MerchantId) -> Result<Vec<PerkView>, CliError> {
    let page =
        async |last: Option<&Perk>| gateway.catalog.list_perks(merchant, last.map(|it| it.slug.to_string()), 200).await;
    let perks = all_pages(200, page).await?;
    let mut schedules = gateway.catalog.list_schedules(merchant).await?;
    Ok(perks
        .into_iter()
        .map(|perk| (schedules.remove(&perk.id), perk))
        .map(|(at, perk)| PerkView::of(perk, at))
        .collect())
}

async fn show(
    gateway: &Gateway,
    merchant: &MerchantId,
    slug: &PerkSlug,
    version: Option<i32>,
) -> Result<PerkWithVersion, CliError> {
    let perk = gateway.catalog.find_perk(merchant, slug).await?;
    let wanted = if let Some(wanted) = version.or(perk.published_version) {
        wanted
    } else {
        let latest = gateway.catalog.latest_version(merchant, slug).await?;
        latest.ok_or_else(|| CliError::NoVersion(slug.clone()))?.version
    };
    let found = gateway.catalog.find_version(merchant, slug, wanted).await?;
    let scheduled = gateway.catalog.list_schedules(merchant).await?.remove(&perk.id);
    let by = perk.status_changed.as_ref().map(|change| change.by.clone());
    let people = found.people().map(str::to_owned).chain(by.clone()).collect();
    let labels = gateway.directory.labels_of(merchant, people).await?;
    let rule = serde_json::from_str(&found.rule).map_err(|e| DatabaseError::corrupt("rule", e))?;
    Ok(PerkWithVersion {
        perk: PerkView::of(perk, scheduled),
        shown: version_shown(slug.clone(), found, &labels)?,
        rule,
        status_by_label: by.and_then(|by| labels.get(&by).cloned()),
    })
}
