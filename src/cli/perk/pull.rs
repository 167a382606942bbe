//! `perkgate perk pull`: writes a merchant's perks into a directory, one file each, and writes over nothing.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files::{self, Kind, Sheet};
use crate::cli::document::has_yaml_name;
use crate::cli::error::CliError;
use crate::cli::once::{self, MerchantFlag, Needs, all_pages};
use crate::cli::output::write_line;
use crate::cli::{Completion, Invocation};
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::yaml::write::write;
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, PerkStatus, RuleVersion};
use crate::rules::normalize::normalize;
use crate::rules::rule::Rule;

const EXAMPLES: &str = "\
The latest version of each perk is written, what goes without saying left out. A file that says the same
in other words, or with comments, is left alone; one that says something else is not written over.

Examples:
  perkgate perk pull perks/ --merchant cathay
  perkgate perk pull perks/ --merchant cathay --force";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where the files go; made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    merchant: MerchantFlag,
    /// Write over files that say something else.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Written,
    Replaced,
    Unchanged,
}

#[derive(Serialize)]
struct Pulled {
    perks: Vec<PulledPerk>,
}

#[derive(Serialize)]
struct PulledPerk {
    perk: PerkSlug,
    version: i32,
    file: String,
    outcome: Outcome,
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.perks.is_empty() {
            return f.write_str("The merchant has no perk yet.");
        }
        for PulledPerk { perk, version, file, outcome } in &self.perks {
            let outcome = match outcome {
                Outcome::Written => "written",
                Outcome::Replaced => "replaced",
                Outcome::Unchanged => "unchanged",
            };
            write_line!(f, "{outcome:<9}  {file}: version {version} of `{perk}`")?;
        }
        Ok(())
    }
}

/// A perk's latest version, and the file that it goes into.
struct Target {
    perk: Perk,
    version: RuleVersion,
    rule: Rule,
    path: PathBuf,
    outcome: Outcome,
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let Args { directory, merchant, force } = args;
    let existing = if directory.is_dir() { files::in_directory(&directory, Kind::Perks)? } else { Vec::new() };
    let latest = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &merchant).await?.id;
        latest_of_all(gateway, &merchant).await
    })?;
    let targets = aim(&directory, &existing, latest, force)?;
    fs::create_dir_all(&directory).map_err(|e| unwritable(&directory, &e))?;
    for target in targets.iter().filter(|target| target.outcome != Outcome::Unchanged) {
        put(target)?;
    }
    let pulled = |Target { perk, version, path, outcome, .. }: Target| PulledPerk {
        perk: perk.slug,
        version: version.version,
        file: path.display().to_string(),
        outcome,
    };
    invocation.output.show(&Pulled { perks: targets.into_iter().map(pulled).collect() })?;
    Ok(Completion::Succeeded)
}

async fn latest_of_all(gateway: &Gateway, merchant: &MerchantId) -> Result<Vec<(Perk, RuleVersion)>, CliError> {
    let page =
        async |last: Option<&Perk>| gateway.catalog.list_perks(merchant, last.map(|it| it.slug.to_string()), 200).await;
    let mut latest = Vec::new();
    for perk in all_pages(200, page).await?.into_iter().filter(|perk| perk.status != PerkStatus::Retired) {
        let version = gateway.catalog.latest_version(merchant, &perk.slug).await?;
        latest.extend(version.map(|version| (perk, version)));
    }
    Ok(latest)
}

/// Finds each perk's file. Nothing is written unless everything can be.
fn aim(
    directory: &Path,
    existing: &[PathBuf],
    latest: Vec<(Perk, RuleVersion)>,
    force: bool,
) -> Result<Vec<Target>, CliError> {
    let own_name = |perk: &Perk| directory.join(format!("{}.yaml", perk.slug));
    // A file that can't be read may be about any perk; one that is written over need not be read.
    let is_replaced = |path: &PathBuf| force && latest.iter().any(|(perk, _)| own_name(perk) == *path);
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut wrong = Vec::new();
    for path in existing {
        match Sheet::open(path) {
            Ok(sheet) => sheets.push(sheet),
            Err(_) if is_replaced(path) => {}
            Err(error) => wrong.push(error),
        }
    }
    let mut targets = Vec::new();
    for (perk, version) in latest {
        let rule = rule_of(&perk, &version)?;
        let sheet = sheets.iter().find(|sheet| sheet.file.perk == perk.slug);
        let path = sheet.map_or_else(|| own_name(&perk), |sheet| sheet.document.path.clone());
        // Not even --force takes the file of another perk.
        if sheet.is_none()
            && let Some(other) = sheets.iter().find(|sheet| sheet.document.path == path)
        {
            wrong.push(CliError::AnothersFile { path, perk: perk.slug, of: other.file.perk.clone() });
            continue;
        }
        let outcome = match sheet {
            Some(sheet) if says(sheet, &perk, &rule) => Outcome::Unchanged,
            None if !path.exists() => Outcome::Written,
            _ if force => Outcome::Replaced,
            _ => {
                wrong.push(CliError::Differs(path));
                continue;
            }
        };
        targets.push(Target { perk, version, rule, path, outcome });
    }
    if wrong.is_empty() { Ok(targets) } else { Err(CliError::Several(wrong)) }
}

fn says(sheet: &Sheet, perk: &Perk, rule: &Rule) -> bool {
    let file = &sheet.file;
    sheet.rule == *rule && file.name == perk.name && file.purpose.is_none_or(|purpose| purpose == perk.purpose)
}

fn rule_of(perk: &Perk, version: &RuleVersion) -> Result<Rule, CliError> {
    Ok(version.read(&perk.slug)?)
}

fn content(target: &Target) -> String {
    let Target { perk, version, rule, path, .. } = target;
    let body = Json::object([
        ("perk", Json::text(perk.slug.as_str())),
        ("name", Json::text(&perk.name)),
        // Always: a file without it leaves the gateway's purpose as it is.
        ("purpose", Json::text(perk.purpose.as_str())),
        ("rule", normalize(rule, perk.slug.as_str())),
    ]);
    if !has_yaml_name(path) {
        return format!("{}\n", serde_json::to_string_pretty(&body).unwrap_or_else(|_| body.canonical()));
    }
    let RuleVersion { version, status, rule_hash, change_note, .. } = version;
    let note = change_note.as_ref().map(|note| format!("# {note}\n")).unwrap_or_default();
    format!("# Version {version}, {}\n# {rule_hash}\n{note}{}", status.as_str(), write(&body))
}

/// Writes beside it and renames, so that a file is never half written.
fn put(target: &Target) -> Result<(), CliError> {
    let path = &target.path;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.new"));
    let write = || {
        let mut file = fs::File::create(&draft)?;
        file.write_all(content(target).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unwritable { path: path.to_owned(), why: error.to_string() }
}
