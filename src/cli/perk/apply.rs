//! Perk files applied: all of them or none, and the report of each.

use std::fmt;

use serde::Serialize;

use super::effects::Effects;
use super::file::PerkFile;
use super::life;
use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::cli::once::ACTOR;
use crate::cli::output::write_line;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::apply::{self, ApplyError, Outcome, Wanted};
use crate::perks::error::PerkError;
use crate::perks::perk::NewVersion;
use crate::perks::perk::VersionStatus;

/// The outcome of applying a perk's file.
#[derive(Debug, Serialize)]
pub(super) struct Applied {
    perk: PerkSlug,
    name: String,
    version: i32,
    status: VersionStatus,
    rule_hash: String,
    pub outcome: Outcome,
    #[serde(flatten)]
    effects: Effects,
    /// Pointers into the perk file.
    warnings: Vec<FieldError>,
    /// True if the merchant asks for them; only asked where the version is in review.
    #[serde(skip)]
    four_eyes: bool,
    /// It was to be published, and waits for someone.
    #[serde(skip)]
    pub waits: bool,
}

/// The outcome of applying one file: as it is in the list that several files have, and beside it, as scripts read it.
#[derive(Serialize)]
pub(super) struct AppliedAlone<'a> {
    #[serde(flatten)]
    applied: &'a Applied,
    perks: [AppliedFile<&'a Applied>; 1],
}

/// The outcome of applying one file, `A`, in a list of several.
#[derive(Serialize)]
pub(super) struct AppliedFile<A> {
    pub file: String,
    #[serde(flatten)]
    pub applied: A,
}

impl<'a> AppliedAlone<'a> {
    pub(super) fn of(document: &Document, applied: &'a Applied) -> Self {
        Self { applied, perks: [AppliedFile { file: document.path.display().to_string(), applied }] }
    }
}

impl fmt::Display for AppliedAlone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.applied.fmt(f)
    }
}

/// Applies the files in one transaction, each with what was said of it; tells of each in their order.
///
/// # Errors
/// The errors that stand in the way of any of them: then none was applied.
pub(super) async fn apply(
    gateway: &Gateway,
    merchant: &MerchantId,
    files: Vec<(&Document, PerkFile)>,
) -> Result<Vec<Applied>, CliError> {
    let (mut documents, mut published, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for (document, file) in files {
        let PerkFile { perk, name, purpose, rule, publish, change_note } = file;
        documents.push((perk.clone(), document));
        published.push(publish);
        wanted.push(Wanted { perk, name, purpose, version: NewVersion { rule, publish, change_note } });
    }
    let applied = gateway.catalog.apply(merchant, ACTOR, wanted).await.map_err(|error| refused(error, &documents))?;
    let is_in_review = |it: &apply::Applied| it.version.status == VersionStatus::InReview;
    let four_eyes = applied.iter().any(is_in_review) && gateway.catalog.four_eyes(merchant).await?.required;
    let each = applied.into_iter().zip(published).map(|(it, publish)| {
        let waits = publish && is_in_review(&it);
        let apply::Applied { perk, version, outcome, beside, warnings } = it;
        let is_rule_new = matches!(outcome, Outcome::New | Outcome::Changed | Outcome::Published);
        let of_file = |warning: FieldError| warning.below("/rule");
        Applied {
            perk: perk.slug,
            name: perk.name,
            version: version.version,
            status: version.status,
            rule_hash: version.rule_hash,
            outcome,
            effects: Effects::of(&beside, version.status, is_rule_new),
            warnings: warnings.into_iter().map(of_file).collect(),
            four_eyes,
            waits,
        }
    });
    Ok(each.collect())
}

fn refused(error: ApplyError, documents: &[(PerkSlug, &Document)]) -> CliError {
    let (perk, latest, source) = match error {
        ApplyError::Perk { perk, latest, source } => (perk, latest, source),
        ApplyError::TooMany(perks) => return CliError::TooManyPerks(perks),
        ApplyError::Ledger(error) => return PerkError::Ledger(error).into(),
        ApplyError::Database(error) => return PerkError::Database(error).into(),
    };
    let document = documents.iter().find(|(name, _)| *name == perk).map(|(_, document)| *document);
    let source = match (source, document) {
        // These paths begin at the rule; the person looks at the whole file.
        (PerkError::Rule(errors), Some(document)) => CliError::Faulty(document.located("/rule", errors)),
        (source, _) => life::unapproved(source, &perk, latest.as_deref()),
    };
    let Some(document) = document.filter(|_| documents.len() > 1) else { return source };
    let source = CliError::InFile { path: document.path.clone(), source: Box::new(source) };
    CliError::NothingApplied { perk, of: documents.len(), source: Box::new(source) }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk, version, status, rule_hash, outcome, effects, warnings, four_eyes, .. } = self;
        match (outcome, status) {
            (_, VersionStatus::InReview) if *four_eyes => write_line!(
                f,
                "Version {version} of `{perk}` is in review: this merchant asks for four eyes, so an admin key of \
                 someone other than its author must approve it, with POST /v1/perks/{perk}/versions/{version}/approve; \
                 then publish it"
            )?,
            (_, VersionStatus::InReview) => write_line!(
                f,
                "Version {version} of `{perk}` is in review: an admin key must approve it first, with \
                 POST /v1/perks/{perk}/versions/{version}/approve, or `perkgate perk withdraw` takes it back; then \
                 publish it"
            )?,
            (Outcome::Unchanged, status) => {
                write_line!(f, "`{perk}` is unchanged: version {version}, {}", status.as_str())?;
            }
            (Outcome::Renamed, status) => write_line!(
                f,
                "`{perk}` has the name and purpose of the file: version {version} stays {}",
                status.as_str()
            )?,
            (_, VersionStatus::Draft) => write_line!(
                f,
                "Drafted version {version} of `{perk}`; it decides nothing until it is applied with --publish, or published \
                 with `perkgate perk publish {perk}`"
            )?,
            _ => write_line!(f, "Published version {version} of `{perk}`")?,
        }
        write_line!(f, "  {rule_hash}")?;
        if *outcome != Outcome::New {
            fmt::Display::fmt(effects, f)?;
        }
        warnings.iter().try_for_each(|it| write_line!(f, "  warning: {}: {}", it.path, it.detail))
    }
}
