//! The plan of what applying a perk file would do, shown before it is done.

use std::fmt;

use serde::Serialize;

use super::effects::Effects;
use super::file::PerkFile;
use super::files::Sheet;
use crate::cli::error::CliError;
use crate::cli::output::{write_line, write_part};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::apply::{ApplyStep, Outcome};
use crate::perks::error::PerkError;
use crate::perks::perk::{Perk, PerkStatus, VersionStatus};
use crate::perks::purpose::Purpose;
use crate::rules::diff::{Change, diff};
use crate::rules::rule::Rule;

/// One perk file, and what applying it would do.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    pub perk: PerkSlug,
    pub file: String,
    pub outcome: Outcome,
    /// The latest version on the gateway, that the file was compared with.
    pub version: Option<i32>,
    pub status: Option<VersionStatus>,
    /// True if the rule is to decide at once.
    pub publish: bool,
    /// True if someone must approve it first.
    pub waits: bool,
    #[serde(flatten)]
    effects: Effects,
    /// Nothing can be done with it any more.
    #[serde(skip)]
    is_retired: bool,
    pub changes: Vec<Change>,
    /// The changes to the name and the purpose.
    renamed: Vec<String>,
    /// Pointers into the perk file.
    pub warnings: Vec<FieldError>,
    /// The reasons for which `apply` would refuse the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<FieldError>,
}

impl Planned {
    /// Compares a file with the gateway; `four_eyes` is whether the merchant asks for them.
    pub(super) async fn of(
        gateway: &Gateway,
        merchant: &MerchantId,
        four_eyes: bool,
        sheet: &Sheet,
    ) -> Result<Self, CliError> {
        let Sheet { document, file, rule } = sheet;
        let perk = match gateway.catalog.find_perk(merchant, &file.perk).await {
            Err(PerkError::NotFound(_)) => None,
            found => Some(found?),
        };
        let latest = match &perk {
            Some(perk) => gateway.catalog.latest_version(merchant, &perk.slug).await?,
            None => None,
        };
        let changed = perk.as_ref().map(|perk| renamed(perk, file)).unwrap_or_default();
        let (mut beside, renamed): (Vec<&'static str>, Vec<String>) = changed.into_iter().unzip();
        let outcome = match ApplyStep::of(latest.as_ref(), rule.hash(), file.publish) {
            _ if perk.is_none() => {
                beside = vec!["name", "purpose"];
                Outcome::New
            }
            step => Outcome::of(step, !renamed.is_empty()),
        };
        let status = latest.as_ref().map(|latest| latest.status);
        let is_unseen = match outcome {
            Outcome::New | Outcome::Changed => true,
            Outcome::Published => status == Some(VersionStatus::Draft),
            Outcome::Renamed | Outcome::Unchanged => false,
        };
        let waits = four_eyes && file.publish && is_unseen;
        let is_rule_new = matches!(outcome, Outcome::New | Outcome::Changed | Outcome::Published);
        let then = match status {
            _ if is_rule_new && waits => VersionStatus::InReview,
            _ if is_rule_new && file.publish => VersionStatus::Published,
            Some(status) if !is_rule_new => status,
            _ => VersionStatus::Draft,
        };
        let before = latest.as_ref().and_then(|latest| Json::parse(&latest.rule).ok());
        let before = before.and_then(|json| Rule::stored(&json, file.perk.as_str()).ok());
        Ok(Self {
            perk: file.perk.clone(),
            file: document.path.display().to_string(),
            outcome,
            version: latest.as_ref().map(|latest| latest.version),
            status,
            publish: file.publish,
            waits,
            effects: Effects::of(&beside, then, is_rule_new),
            is_retired: perk.is_some_and(|perk| perk.status == PerkStatus::Retired),
            changes: before.map(|before| diff(&before, rule)).unwrap_or_default(),
            renamed,
            warnings: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// Tells whether applying it lets a version decide that doesn't yet.
    pub(super) const fn would_be_published(&self) -> bool {
        let is_to_decide = matches!(self.outcome, Outcome::New | Outcome::Changed | Outcome::Published);
        self.publish && !self.waits && is_to_decide
    }

    /// Adds what is odd about a rule that would become a version; what can't work is returned as errors.
    pub(super) async fn lint(
        &mut self,
        gateway: &Gateway,
        merchant: &MerchantId,
        sheet: &Sheet,
    ) -> Result<Vec<FieldError>, CliError> {
        if self.is_retired && self.outcome != Outcome::Unchanged {
            let detail = "this perk is retired: take its file out".to_owned();
            let error = FieldError::at("/perk", "perk_retired", detail);
            return Ok(sheet.document.located("", vec![error]));
        }
        if matches!(self.outcome, Outcome::Unchanged | Outcome::Renamed) {
            return Ok(Vec::new());
        }
        match gateway.catalog.lint(merchant, &sheet.file.perk, &sheet.rule).await {
            Ok(lint) => {
                let of_file = |warning: FieldError| warning.below("/rule");
                self.warnings.extend(lint.warnings.into_iter().map(of_file));
                Ok(sheet.document.located("/rule", lint.errors))
            }
            Err(PerkError::Rule(errors)) => Ok(sheet.document.located("/rule", errors)),
            Err(other) => Err(other.into()),
        }
    }
}

/// The parts that change beside the rule, each with its sentence.
fn renamed(perk: &Perk, file: &PerkFile) -> Vec<(&'static str, String)> {
    let name = (perk.name != file.name).then(|| ("name", format!("Name: {} → {}", perk.name, file.name)));
    let purpose = file.purpose.filter(|purpose| *purpose != perk.purpose);
    let of_purpose = |purpose: Purpose| format!("Purpose: {} → {}", perk.purpose.as_str(), purpose.as_str());
    name.into_iter().chain(purpose.map(|purpose| ("purpose", of_purpose(purpose)))).collect()
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk, file, outcome, version, status, publish, waits, changes, renamed, warnings, refused, .. } =
            self;
        let (at_once, of_rule) = (self.effects.prefix(false), self.effects.prefix(true));
        let version = version.unwrap_or_default();
        let verb = match (publish, waits) {
            (_, true) => "would go into review",
            (true, false) => "would be published",
            (false, false) => "would be drafted",
        };
        let status = status.map(VersionStatus::as_str).unwrap_or_default();
        match outcome {
            Outcome::New => write_part!(f, "new        {perk}: {verb} as its first version")?,
            Outcome::Changed if changes.is_empty() => {
                write_part!(f, "changed    {perk}: version {version} {verb} again")?;
            }
            Outcome::Changed => write_part!(f, "changed    {perk}: a version after {version} {verb}")?,
            Outcome::Published => write_part!(f, "publish    {perk}: version {version}, {status}, {verb}")?,
            Outcome::Renamed => write_part!(f, "renamed    {perk}: version {version} is kept")?,
            Outcome::Unchanged => write_part!(f, "unchanged  {perk}: version {version}, {status}")?,
        }
        write_line!(f, " ({file})")?;
        renamed.iter().try_for_each(|sentence| write_line!(f, "  {at_once}{sentence}"))?;
        changes.iter().try_for_each(|change| write_line!(f, "  {of_rule}{}", change.sentence))?;
        warnings.iter().try_for_each(|it| write_line!(f, "  warning: {}: {}", it.path, it.detail))?;
        refused.iter().try_for_each(|it| write_line!(f, "  refused: {}: {}", it.path, it.detail))
    }
}
