//! From a rule that somebody wrote to a numbered version, and from a draft to the one that decides.

use jiff::Timestamp;

use super::catalog::{EPOCH, MAX_NOTE, Made, NewVersion, PerkError};
use super::lint::lint;
use super::perk::{RuleVersion, VersionStatus};
use super::read::Issue;
use super::rule::Rule;
use super::store::{self, PerkRow, VersionRow};
use super::surroundings::lint_context;
use crate::database::AnyConnection;
use crate::database::followed::bump_epoch;
use crate::ids::{self, MerchantId, PerkSlug};
use crate::json::Json;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};

/// A rule that has been read and is ready to be stored.
pub(super) struct Draft {
    rule: Rule,
    publish: bool,
    change_note: Option<String>,
}

impl Draft {
    pub fn read(slug: &PerkSlug, version: NewVersion) -> Result<Self, PerkError> {
        let note = version.change_note.filter(|note| !note.trim().is_empty());
        let change_note = note.map(|note| ids::label(&note, MAX_NOTE)).transpose().map_err(PerkError::Note)?;
        let rule = Rule::parse(&version.rule, slug.as_str()).map_err(PerkError::Rule)?;
        Ok(Self { rule, publish: version.publish, change_note })
    }

    /// Lints it and writes it as the perk's next version.
    pub fn store(
        self,
        conn: &mut AnyConnection,
        events: &mut Vec<EventDraft>,
        merchant: &MerchantId,
        actor: &Actor,
        perk: &mut PerkRow,
        now: Timestamp,
    ) -> Result<Made, PerkError> {
        let context = lint_context(conn, merchant, &self.rule, now)?;
        let mut lint = lint(&self.rule, &context);
        lint.warnings.extend(moved_zone(conn, merchant, perk, &self.rule)?);
        if !lint.errors.is_empty() {
            return Err(PerkError::Rule(lint.errors));
        }
        perk.latest_version += 1;
        let version = RuleVersion {
            version: perk.latest_version,
            status: VersionStatus::Draft,
            rule: self.rule.canonical().to_owned(),
            rule_hash: self.rule.hash().to_owned(),
            change_note: self.change_note,
            author: actor.key.as_ref().map_or_else(|| actor.role.to_owned(), |key| key.as_str().to_owned()),
            created_at: now,
            published_at: None,
        };
        store::insert_version(conn, &version_row(merchant, &perk.id, &version))?;
        events.push(event(merchant, actor, "rule.drafted", &perk.id, version_facts(perk, &version)));
        let version = if self.publish {
            publish(conn, events, merchant, actor, perk, &version, now)?;
            RuleVersion { status: VersionStatus::Published, published_at: Some(now), ..version }
        } else {
            store::update_perk(conn, merchant, perk)?;
            version
        };
        Ok(Made { perk: perk.clone().try_into()?, version, warnings: lint.warnings })
    }
}

/// Calendar windows are counted by their local label and offset, so another zone begins new ones.
fn moved_zone(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
    rule: &Rule,
) -> Result<Option<Issue>, PerkError> {
    let Some(published) = perk.published_version else {
        return Ok(None);
    };
    let before = store::find_version(conn, merchant, &perk.id, published)?.map(|row| row.rule);
    let before = before.and_then(|text| Json::parse(&text).ok());
    let zone = before.as_ref().and_then(|rule| rule.member("time_zone")).and_then(Json::as_text);
    let moves = zone.is_some_and(|zone| Some(zone) != rule.time_zone().iana_name());
    Ok((moves && !rule.limits().is_empty()).then(|| Issue {
        pointer: "/time_zone".to_owned(),
        code: "limits_restart",
        detail: "calendar limits begin to count anew when the time zone changes".to_owned(),
    }))
}

/// Lets `version` decide from now on, and retires the one before it.
pub(super) fn publish(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    actor: &Actor,
    perk: &mut PerkRow,
    version: &RuleVersion,
    now: Timestamp,
) -> Result<(), PerkError> {
    if let Some(before) = perk.published_version {
        let row = store::find_version(conn, merchant, &perk.id, before)?;
        let published_at = row.and_then(|row| row.published_at);
        store::update_version_status(conn, merchant, &perk.id, before, VersionStatus::Retired, published_at)?;
    }
    let at = Some(now.as_microsecond());
    store::update_version_status(conn, merchant, &perk.id, version.version, VersionStatus::Published, at)?;
    perk.published_version = Some(version.version);
    store::update_perk(conn, merchant, perk)?;
    bump_epoch(conn, EPOCH)?;
    events.push(event(merchant, actor, "rule.published", &perk.id, version_facts(perk, version)));
    Ok(())
}

fn version_row(merchant: &MerchantId, perk: &str, version: &RuleVersion) -> VersionRow {
    VersionRow {
        merchant_id: merchant.as_str().to_owned(),
        perk_id: perk.to_owned(),
        version: version.version,
        status: version.status.as_str().to_owned(),
        rule: version.rule.clone(),
        rule_hash: version.rule_hash.clone(),
        change_note: version.change_note.clone(),
        author: version.author.clone(),
        created_at: version.created_at.as_microsecond(),
        published_at: version.published_at.map(Timestamp::as_microsecond),
    }
}

fn version_facts(perk: &PerkRow, version: &RuleVersion) -> [(&'static str, Json); 4] {
    [
        ("perk", Json::text(&perk.slug)),
        ("version", Json::whole(i64::from(version.version))),
        ("rule_hash", Json::text(&version.rule_hash)),
        ("change_note", Json::optional(version.change_note.as_deref())),
    ]
}

/// An event about a perk.
pub(super) fn event<const N: usize>(
    merchant: &MerchantId,
    actor: &Actor,
    kind: &'static str,
    about: &str,
    facts: [(&'static str, Json); N],
) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind,
        about: about.to_owned(),
        actor: actor.clone(),
        facts: Json::object(facts),
    }
}
