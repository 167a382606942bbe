//! `perkgate perk`: rules as code (new, test, diff, apply, pull), lists, shows and tries perks.

mod diff;
mod directory;
mod files;
mod new;
mod plan;
mod pull;
mod test;

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::document::Document;
use super::error::CliError;
use super::once::{self, ACTOR, Needs, all_pages};
use super::output::table;
use super::perk_file::PerkFile;
use super::perk_life::{self, Life};
use super::{Ended, Invocation, perk_backtest, perk_simulate};
use crate::database::DatabaseError;
use crate::gateway::Gateway;
use crate::ids::{MerchantId, MerchantSlug, PerkSlug};
use crate::perks::catalog::{Made, NewVersion, PerkError};
use crate::perks::perk::{Perk, PerkStatus, RuleVersion, VersionStatus};
use crate::perks::purpose::Purpose;
use crate::perks::read::Issue;
use crate::perks::rule::Rule;
use crate::perks::versions::{self, Taken};
use plan::{Standing, Step};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make perks, or new versions of their rules; nothing when nothing changed.
    #[command(after_help = APPLY_EXAMPLES)]
    Apply {
        /// A perk as YAML or JSON, the body of POST /v1/perks: `{"perk", "name", "purpose"?, "rule", "publish"?, "change_note"?}`; or a
        /// directory of them. `-` is standard input. May be given several times: all are checked before any is applied.
        #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
        files: Vec<PathBuf>,
        #[arg(long, value_name = "SLUG", help = "Whose perk")]
        merchant: MerchantSlug,
        /// Let the version decide at once, whatever the file says; else it may stay a draft.
        #[arg(long)]
        publish: bool,
        /// Why the rule changes, in place of the file's `change_note`.
        #[arg(long, value_name = "TEXT")]
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
        #[arg(long, value_name = "SLUG", help = "Whose perks")]
        merchant: MerchantSlug,
    },
    /// Show a perk and one version of its rule: the one that decides, or the latest draft.
    Show {
        #[arg(value_name = "PERK")]
        perk: PerkSlug,
        #[arg(long, value_name = "SLUG", help = "Whose perk")]
        merchant: MerchantSlug,
        /// Another version.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
    /// See what a rule would do, to one subject or to everyone; nothing is recorded or consumed.
    Simulate(perk_simulate::Args),
    /// See what a rule would have made of the checks of a period.
    ///
    /// Exits with 1 when replaying the version that ran does not reproduce what it decided.
    Backtest(perk_backtest::Args),
    #[command(flatten)]
    Life(Life),
}

const APPLY_EXAMPLES: &str = "\
A directory's `*.yaml`, `*.yml` and `*.json` are perk files, but for `*.test.yaml` and the like.
The latest version of a perk is what a file is compared with.

Exit codes: 0 done or nothing to do, 1 refused or failed.

Examples:
  perkgate perk apply -f lounge.yaml --merchant cathay --publish
  perkgate perk apply -f perks/ --merchant cathay --dry-run
  perkgate perk apply -f perks/ --merchant cathay --note 'Busy in May'";

#[derive(Debug, Serialize)]
struct Applied {
    perk: PerkSlug,
    name: String,
    version: i32,
    status: VersionStatus,
    rule_hash: String,
    changed: bool,
    /// Pointers into the perk file.
    warnings: Vec<Issue>,
    /// Whether the merchant asks for them; only asked where the version is in review.
    #[serde(skip)]
    four_eyes: bool,
}

impl Applied {
    fn new(perk: Perk, version: RuleVersion, changed: bool) -> Self {
        let RuleVersion { version, status, rule_hash, .. } = version;
        Self {
            perk: perk.slug,
            name: perk.name,
            version,
            status,
            rule_hash,
            changed,
            warnings: Vec::new(),
            four_eyes: false,
        }
    }

    fn made(made: Made) -> Self {
        let of_file = |issue: Issue| Issue { pointer: format!("/rule{}", issue.pointer), ..issue };
        let warnings = made.warnings.into_iter().map(of_file).collect();
        Self { warnings, ..Self::new(made.perk, made.version, true) }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk, version, status, rule_hash, changed, warnings, four_eyes, .. } = self;
        match (changed, status) {
            (_, VersionStatus::InReview) if *four_eyes => writeln!(
                f,
                "Version {version} of `{perk}` is in review: this merchant asks for four eyes, so an admin key of \
                 somebody other than its author must approve it, with POST /v1/perks/{perk}/versions/{version}/approve; \
                 then publish it"
            )?,
            (_, VersionStatus::InReview) => writeln!(
                f,
                "Version {version} of `{perk}` is in review: an admin key must approve it first, with \
                 POST /v1/perks/{perk}/versions/{version}/approve, or `perkgate perk withdraw` takes it back; then \
                 publish it"
            )?,
            (false, status) => writeln!(f, "`{perk}` is unchanged: version {version}, {}", status.as_str())?,
            (true, VersionStatus::Draft) => writeln!(
                f,
                "Drafted version {version} of `{perk}`; it decides nothing until it is applied with --publish"
            )?,
            (true, _) => writeln!(f, "Published version {version} of `{perk}`")?,
        }
        writeln!(f, "  {rule_hash}")?;
        warnings.iter().try_for_each(|it| writeln!(f, "  warning: {}: {}", it.pointer, it.detail))
    }
}

#[derive(Serialize)]
struct PerkView {
    perk: PerkSlug,
    name: String,
    purpose: Purpose,
    standing: PerkStatus,
    latest_version: i32,
    published_version: Option<i32>,
    created_at: Timestamp,
}

impl From<Perk> for PerkView {
    fn from(perk: Perk) -> Self {
        let Perk { slug, name, purpose, status, latest_version, published_version, created_at, .. } = perk;
        Self { perk: slug, name, purpose, standing: status, latest_version, published_version, created_at }
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
            let standing = it.standing.as_str().to_owned();
            [it.perk.to_string(), it.name.clone(), standing, published, it.latest_version.to_string()]
        });
        f.write_str(&table(["perk", "name", "standing", "published", "latest"], rows))
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    perk: PerkView,
    version: i32,
    status: VersionStatus,
    rule_hash: String,
    change_note: Option<String>,
    /// The API key that wrote it, or `cli`.
    author: String,
    published_at: Option<Timestamp>,
    rule: Value,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk: PerkView { perk, name, latest_version, .. }, version, status, .. } = self;
        writeln!(f, "{perk}, {name}: version {version} of {latest_version}, {}", status.as_str())?;
        writeln!(f, "  {}, written by {}", self.rule_hash, self.author)?;
        if self.perk.standing != PerkStatus::Active {
            writeln!(f, "  the perk is {}", self.perk.standing.as_str())?;
        }
        if self.perk.purpose != Purpose::Other {
            writeln!(f, "  for {}", self.perk.purpose.as_str())?;
        }
        if let Some(at) = self.published_at {
            writeln!(f, "  published {at}")?;
        }
        if let Some(note) = &self.change_note {
            writeln!(f, "  {note}")?;
        }
        write!(f, "{:#}", self.rule)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Ended, CliError> {
    let existing = Needs::Existing;
    match args.action {
        Action::Simulate(args) => return perk_simulate::run(args, invocation),
        Action::Backtest(args) => return perk_backtest::run(&args, invocation),
        Action::Apply { files, merchant, publish, note, dry_run } => {
            let wishes = directory::Wishes { merchant, publish, note };
            let [file] = files.as_slice() else {
                return directory::run(&files, &wishes, dry_run, invocation);
            };
            if dry_run || file.is_dir() {
                return directory::run(&files, &wishes, dry_run, invocation);
            }
            let (document, mut file) = PerkFile::open(file, false)?;
            wishes.amend(&mut file);
            let publish_wanted = file.publish;
            let applied = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &wishes.merchant).await?;
                apply(gateway, &merchant.id, &document, file).await
            })?;
            invocation.output.show(&applied)?;
            // It was to be published, and waits for somebody.
            if publish_wanted && applied.status == VersionStatus::InReview {
                return Ok(Ended::Badly);
            }
        }
        Action::Pull(args) => return pull::run(args, invocation),
        Action::Diff(args) => return diff::run(args, invocation),
        Action::Test(args) => return test::run(&args, invocation),
        Action::New(args) => return new::run(&args, invocation),
        Action::Life(life) => return perk_life::run(life, invocation),
        Action::List { merchant } => {
            let perks = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let page = async |last: Option<&Perk>| {
                    gateway.catalog.list_perks(&merchant, last.map(|it| it.slug.to_string()), 200).await
                };
                Ok(all_pages(200, page).await?)
            })?;
            invocation.output.show(&Listed { perks: perks.into_iter().map(PerkView::from).collect() })?;
        }
        Action::Show { perk, merchant, version } => {
            let shown = invocation.with_gateway(existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                show(gateway, &merchant.id, &perk, version).await
            })?;
            invocation.output.show(&shown)?;
        }
    }
    Ok(Ended::Well)
}

async fn apply(
    gateway: &Gateway,
    merchant: &MerchantId,
    document: &Document,
    file: PerkFile,
) -> Result<Applied, CliError> {
    let PerkFile { perk: slug, name, purpose, rule, publish, change_note } = file;
    let catalog = &gateway.catalog;
    // The rule's issues point into the rule; the person looks at the whole file.
    let of_file = |error| match error {
        PerkError::Rule(issues) => CliError::Faulty(document.faults("/rule", issues)),
        other => other.into(),
    };
    let hash = Rule::parse(&rule, slug.as_str()).map_err(PerkError::Rule).map_err(of_file)?.hash().to_owned();
    let new = NewVersion { rule, publish, change_note };
    let standing = Standing::find(gateway, merchant, &slug).await?;
    let step = standing.step(&hash, publish);
    let Some((perk, latest)) = standing.0 else {
        let purpose = purpose.unwrap_or_default();
        let made = catalog.create_perk_for(merchant, ACTOR, slug, &name, purpose, new).await;
        return told(gateway, merchant, Applied::made(made.map_err(of_file)?)).await;
    };
    let is_renamed = perk.name != name || purpose.is_some_and(|purpose| purpose != perk.purpose);
    let mut applied = match (step, latest) {
        (Step::Publish(version), latest) => {
            let is_draft = latest.as_ref().is_some_and(|latest| latest.status == VersionStatus::Draft);
            let published = match catalog.publish_version(merchant, ACTOR, &slug, version).await {
                // As far as one person may go.
                Err(PerkError::ApprovalRequired) if is_draft => {
                    catalog.step(merchant, ACTOR, &slug, version, Taken::of(versions::Step::Submit)).await?
                }
                published => published.map_err(|error| perk_life::unapproved(error, latest.as_ref()))?,
            };
            Applied::new(perk, published, true)
        }
        (Step::Nothing, Some(latest)) => Applied::new(perk, latest, is_renamed),
        (Step::AddVersion | Step::Create | Step::Nothing, _) => {
            Applied::made(catalog.create_version(merchant, ACTOR, &slug, new).await.map_err(of_file)?)
        }
    };
    // Last, so that a version that can't be published leaves the name as it was.
    if is_renamed {
        applied.name = catalog.update_perk(merchant, ACTOR, &slug, Some(name), purpose).await?.name;
    }
    told(gateway, merchant, applied).await
}

/// With what a person must know of a version in review.
async fn told(gateway: &Gateway, merchant: &MerchantId, mut applied: Applied) -> Result<Applied, CliError> {
    if applied.status == VersionStatus::InReview {
        applied.four_eyes = gateway.catalog.four_eyes(merchant).await?.required;
    }
    Ok(applied)
}

async fn show(
    gateway: &Gateway,
    merchant: &MerchantId,
    slug: &PerkSlug,
    version: Option<i32>,
) -> Result<Shown, CliError> {
    let known = |error| match error {
        PerkError::NotFound => CliError::UnknownPerk(slug.clone()),
        other => other.into(),
    };
    let perk = gateway.catalog.find_perk(merchant, slug).await.map_err(known)?;
    let wanted = if let Some(wanted) = version.or(perk.published_version) {
        wanted
    } else {
        let latest = gateway.catalog.latest_version(merchant, slug).await.map_err(known)?;
        latest.ok_or_else(|| CliError::NoVersion(slug.clone()))?.version
    };
    let found = gateway.catalog.find_version(merchant, slug, wanted).await.map_err(|error| match error {
        PerkError::VersionNotFound => CliError::UnknownVersion { perk: slug.clone(), version: wanted },
        other => known(other),
    })?;
    let RuleVersion { version, status, rule, rule_hash, change_note, author, published_at, .. } = found;
    let rule = serde_json::from_str(&rule).map_err(|e| DatabaseError::corrupt("rule", e))?;
    Ok(Shown { perk: perk.into(), version, status, rule_hash, change_note, author, published_at, rule })
}
