//! From a rule that someone wrote to a numbered version, and from a draft to the one that decides.

use jiff::Timestamp;

use super::attributes;
use super::error::PerkError;
use super::four_eyes;
use super::keys;
use super::life::{Change, version_of};
use super::lint_inputs::lint_context;
use super::perk::{Made, NewVersion, PerkStatus, VersionStatus};
use super::store::{self, PerkRow, VersionRow};
use crate::database::AnyConnection;
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::{CanonicalValue, WrittenFacts};
use crate::rules::lint::{Lint, lint, restarts};
use crate::rules::rule::Rule;

/// A rule that has been read and is ready to be stored.
pub(super) struct Draft {
    pub rule: Rule,
    pub publish: bool,
    pub change_note: Option<String>,
}

impl Draft {
    pub(super) fn read(slug: &PerkSlug, version: NewVersion) -> Result<Self, PerkError> {
        let change_note = note_of(version.change_note)?;
        let rule = Rule::parse(&version.rule, slug.as_str()).map_err(PerkError::Rule)?;
        Ok(Self { rule, publish: version.publish, change_note })
    }

    /// Lints it and writes it as the perk's next version.
    pub(super) fn store(self, change: &mut Change<'_>, perk: &mut PerkRow) -> Result<Made, PerkError> {
        let (merchant, now) = (change.merchant, change.now);
        let mut warnings = check(change.conn, merchant, perk, &self.rule, now)?;
        perk.latest_version += 1;
        let mut row = VersionRow {
            merchant_id: merchant.as_str().to_owned(),
            perk_id: perk.id.clone(),
            version: perk.latest_version,
            status: VersionStatus::Draft.as_str().to_owned(),
            rule: self.rule.canonical().to_owned(),
            rule_hash: self.rule.hash().to_owned(),
            change_note: self.change_note,
            author: name_of(change.actor),
            created_at: now.as_microsecond(),
            published_at: None,
            editors: String::new(),
            submitted_by: None,
            submitted_at: None,
            approved_by: None,
            approved_at: None,
            scheduled_by: None,
            scheduled_at: None,
            published_by: None,
            step_note: None,
            saved_by: Some(name_of(change.actor)),
            saved_at: Some(now.as_microsecond()),
        };
        store::insert_version(change.conn, &row)?;
        change.tell("rule.drafted", perk, &version_of(perk, &row));
        if !self.publish {
            store::update_perk(change.conn, merchant, perk)?;
        } else if four_eyes::is_required(change.conn, merchant)? {
            // As far as one person may go.
            store::update_perk(change.conn, merchant, perk)?;
            change.submit(perk, &mut row, VersionStatus::Draft, None)?;
        } else {
            change.publish(perk, &mut row, now)?;
            warnings.extend(still_scheduled(change.conn, merchant, perk)?);
            warnings.extend(paused(perk));
        }
        Ok(Made { perk: perk.clone().try_into()?, version: row.try_into()?, warnings })
    }
}

/// Checks that the rule can work for the merchant as things are; returns what is odd about it.
pub(super) fn check(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
    rule: &Rule,
    now: Timestamp,
) -> Result<Vec<FieldError>, PerkError> {
    attributes::share_named(conn, merchant, rule)?;
    let lint = lint_for(conn, merchant, Some(perk), rule, now)?;
    if lint.errors.is_empty() { Ok(lint.warnings) } else { Err(PerkError::Rule(lint.errors)) }
}

/// The warning that what decides now won't for long: another version takes over at its instant.
pub(super) fn still_scheduled(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
) -> Result<Option<FieldError>, PerkError> {
    let Some(VersionRow { version, scheduled_at: Some(at), .. }) = store::find_scheduled(conn, merchant, &perk.id)?
    else {
        return Ok(None);
    };
    let at = from_micros(at);
    let detail =
        format!("version {version} is scheduled, and decides from {at} on: unschedule it if this one is to last");
    Ok(Some(FieldError::at("", "still_scheduled", detail)))
}

/// The warning that a version is let decide while the perk grants nothing.
pub(super) fn paused(perk: &PerkRow) -> Option<FieldError> {
    let detail = "the perk is paused: it grants nothing until it is resumed";
    (perk.status == PerkStatus::Paused.as_str()).then(|| FieldError::at("", "perk_paused", detail))
}

/// The errors and oddities of a rule as the next version of `perk`, or the first of a new one.
pub(super) fn lint_for(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: Option<&PerkRow>,
    rule: &Rule,
    now: Timestamp,
) -> Result<Lint, PerkError> {
    let context = lint_context(conn, merchant, rule, now)?;
    let mut lint = lint(rule, &context);
    if let Some(perk) = perk {
        lint.warnings.extend(restarts_of(conn, merchant, perk, rule, now)?);
    }
    lint.warnings.extend(keys::warnings_of_rule(conn, merchant, perk, rule, now)?);
    Ok(lint)
}

/// The limits that begin again when `rule` takes over from what decides now.
fn restarts_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
    rule: &Rule,
    now: Timestamp,
) -> Result<Vec<FieldError>, PerkError> {
    let Some(published) = perk.published_version else {
        return Ok(Vec::new());
    };
    let before = store::find_version(conn, merchant, &perk.id, published)?;
    let before = before.and_then(|row| Json::parse(&row.rule).ok());
    // One that can't be read any more decides nothing that could go on.
    let before = before.and_then(|json| Rule::parse(&json, &perk.slug).ok());
    Ok(before.map(|before| restarts(&before, rule, now)).unwrap_or_default())
}

/// The name of an actor in a row: its key, or `cli`.
pub(super) fn name_of(actor: &Actor) -> String {
    actor.key.as_ref().map_or_else(|| actor.role.to_owned(), |key| key.as_str().to_owned())
}

/// An event about a perk.
pub(super) fn event(
    merchant: &MerchantId,
    actor: &Actor,
    kind: &'static str,
    about: &str,
    facts: &impl CanonicalValue,
) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind,
        about: about.to_owned(),
        actor: actor.clone(),
        facts: WrittenFacts::of(facts),
        personal: None,
    }
}

/// A change note, trimmed; none when it is empty.
pub(super) fn note_of(note: Option<String>) -> Result<Option<String>, PerkError> {
    let note = note.filter(|note| !note.trim().is_empty());
    note.map(|note| ids::label(&note, MAX_NOTE)).transpose().map_err(PerkError::Note)
}
