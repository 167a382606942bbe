//! The rows of perks and of their rules' versions.

use diesel::prelude::*;

use super::perk::{Perk, PerkStatus, RuleVersion, Signed, VersionStatus};
use super::purpose::Purpose;
use crate::database::followed::bump_epoch;
use crate::database::schema::{perks, rule_versions};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkSlug};

/// The epoch that every published change moves on.
pub(super) const EPOCH: &str = "catalog";

/// Below every revision; a perk that has not changed since there were any has 0.
pub(super) const BEFORE_ALL: i64 = -1;

pub(super) const DECIDES_OR_WILL: [&str; 2] = [VersionStatus::Published.as_str(), VersionStatus::Scheduled.as_str()];

type Result<T> = std::result::Result<T, DatabaseError>;

#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = perks, treat_none_as_default_value = false)]
pub struct PerkRow {
    pub id: String,
    pub merchant_id: String,
    pub slug: String,
    pub name: String,
    pub status: String,
    pub latest_version: i32,
    pub published_version: Option<i32>,
    pub created_at: i64,
    pub purpose: String,
    pub status_by: Option<String>,
    pub status_at: Option<i64>,
    pub status_note: Option<String>,
}

#[derive(Debug, Clone, Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = rule_versions, primary_key(perk_id, version))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct VersionRow {
    pub merchant_id: String,
    pub perk_id: String,
    pub version: i32,
    pub status: String,
    pub rule: String,
    pub rule_hash: String,
    pub change_note: Option<String>,
    pub author: String,
    pub created_at: i64,
    pub published_at: Option<i64>,
    /// Separated by spaces.
    pub editors: String,
    pub submitted_by: Option<String>,
    pub submitted_at: Option<i64>,
    pub approved_by: Option<String>,
    pub approved_at: Option<i64>,
    pub scheduled_by: Option<String>,
    /// When it decides from.
    pub scheduled_at: Option<i64>,
    pub published_by: Option<String>,
    pub step_note: Option<String>,
    pub saved_by: Option<String>,
    pub saved_at: Option<i64>,
}

impl TryFrom<PerkRow> for Perk {
    type Error = DatabaseError;
    fn try_from(row: PerkRow) -> Result<Self> {
        Ok(Self {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?,
            slug: row.slug.parse().map_err(|e| DatabaseError::corrupt("perk slug", e))?,
            name: row.name,
            purpose: Purpose::parse(&row.purpose).map_err(|e| DatabaseError::corrupt("purpose", e))?,
            status: PerkStatus::parse(&row.status).ok_or_else(|| DatabaseError::corrupt("perk status", &row.status))?,
            status_changed: Signed::stored(row.status_by, row.status_at),
            status_note: row.status_note,
            latest_version: row.latest_version,
            published_version: row.published_version,
            created_at: from_micros(row.created_at),
        })
    }
}

impl TryFrom<VersionRow> for RuleVersion {
    type Error = DatabaseError;
    fn try_from(row: VersionRow) -> Result<Self> {
        Ok(Self {
            version: row.version,
            status: VersionStatus::parse(&row.status)
                .ok_or_else(|| DatabaseError::corrupt("version status", &row.status))?,
            rule: row.rule,
            rule_hash: row.rule_hash,
            change_note: row.change_note,
            author: row.author,
            editors: row.editors.split_whitespace().map(str::to_owned).collect(),
            created_at: from_micros(row.created_at),
            submitted: Signed::stored(row.submitted_by, row.submitted_at),
            approved: Signed::stored(row.approved_by, row.approved_at),
            scheduled: Signed::stored(row.scheduled_by, row.scheduled_at),
            published_by: row.published_by,
            published_at: row.published_at.map(from_micros),
            step_note: row.step_note,
            saved: Signed::stored(row.saved_by, row.saved_at),
        })
    }
}

pub fn find_perk(conn: &mut AnyConnection, merchant: &MerchantId, slug: &PerkSlug) -> Result<Option<PerkRow>> {
    Ok(perks::table
        .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.eq(slug.as_str())))
        .select(PerkRow::as_select())
        .first(conn)
        .optional()?)
}

/// [`find_perk`], held until the transaction ends, so that two authors can't take one number.
pub fn lock_perk(conn: &mut AnyConnection, merchant: &MerchantId, slug: &PerkSlug) -> Result<Option<PerkRow>> {
    if let AnyConnection::Postgres(c) = conn {
        let locked: Option<String> = perks::table
            .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.eq(slug.as_str())))
            .select(perks::id)
            .for_update()
            .first(c)
            .optional()?;
        if locked.is_none() {
            return Ok(None);
        }
    }
    // Read after the lock: what another author committed meanwhile is seen.
    find_perk(conn, merchant, slug)
}

/// The merchant's perks after `cursor`, by slug, without those that have no version: of one whose only draft was
/// deleted nothing is left but its names.
pub fn list_perks(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Vec<PerkRow>> {
    let version = rule_versions::table.filter(rule_versions::perk_id.eq(perks::id));
    Ok(perks::table
        .filter(diesel::dsl::exists(version))
        .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.gt(cursor.unwrap_or_default())))
        .order(perks::slug)
        .limit(limit)
        .select(PerkRow::as_select())
        .load(conn)?)
}

pub fn insert_perk(conn: &mut AnyConnection, row: &PerkRow) -> Result<usize> {
    Ok(diesel::insert_into(perks::table).values(row).execute(conn)?)
}

/// Stores what can change of a perk; it is locked.
pub fn update_perk(conn: &mut AnyConnection, merchant: &MerchantId, row: &PerkRow) -> Result<usize> {
    Ok(diesel::update(perks::table.find(&row.id).filter(perks::merchant_id.eq(merchant.as_str())))
        .set((
            perks::name.eq(&row.name),
            perks::purpose.eq(&row.purpose),
            perks::status.eq(&row.status),
            perks::status_by.eq(&row.status_by),
            perks::status_at.eq(row.status_at),
            perks::status_note.eq(&row.status_note),
            perks::latest_version.eq(row.latest_version),
            perks::published_version.eq(row.published_version),
        ))
        .execute(conn)?)
}

pub fn insert_version(conn: &mut AnyConnection, row: &VersionRow) -> Result<usize> {
    Ok(diesel::insert_into(rule_versions::table).values(row).execute(conn)?)
}

pub fn find_version(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &str,
    version: i32,
) -> Result<Option<VersionRow>> {
    Ok(rule_versions::table
        .find((perk, version))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .select(VersionRow::as_select())
        .first(conn)
        .optional()?)
}

/// The versions of a perk below `before`, newest first.
pub fn list_versions(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &str,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<VersionRow>> {
    Ok(rule_versions::table
        .filter(rule_versions::merchant_id.eq(merchant.as_str()).and(rule_versions::perk_id.eq(perk)))
        .filter(rule_versions::version.lt(before.unwrap_or(i32::MAX)))
        .order(rule_versions::version.desc())
        .limit(limit)
        .select(VersionRow::as_select())
        .load(conn)?)
}

/// Stores a version as it is now; its perk is locked.
pub fn update_version(conn: &mut AnyConnection, merchant: &MerchantId, row: &VersionRow) -> Result<usize> {
    let stored = rule_versions::table.find((&row.perk_id, row.version));
    Ok(diesel::update(stored.filter(rule_versions::merchant_id.eq(merchant.as_str()))).set(row).execute(conn)?)
}

pub fn delete_version(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str, version: i32) -> Result<usize> {
    let stored = rule_versions::table.find((perk, version));
    Ok(diesel::delete(stored.filter(rule_versions::merchant_id.eq(merchant.as_str()))).execute(conn)?)
}

/// The perk's version that waits for its instant; there is one at most.
pub fn find_scheduled(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str) -> Result<Option<VersionRow>> {
    Ok(rule_versions::table
        .filter(rule_versions::merchant_id.eq(merchant.as_str()).and(rule_versions::perk_id.eq(perk)))
        .filter(rule_versions::status.eq(VersionStatus::Scheduled.as_str()))
        .select(VersionRow::as_select())
        .first(conn)
        .optional()?)
}

/// All versions of the merchant's perks that wait for their instant.
pub fn list_schedules(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<VersionRow>> {
    Ok(rule_versions::table
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .filter(rule_versions::status.eq(VersionStatus::Scheduled.as_str()))
        .select(VersionRow::as_select())
        .load(conn)?)
}

/// Every version of the merchant's other perks that decides.
pub fn list_deciding_beside(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str) -> Result<Vec<VersionRow>> {
    Ok(rule_versions::table
        .inner_join(perks::table.on(
            perks::id.eq(rule_versions::perk_id).and(perks::published_version.eq(rule_versions::version.nullable())),
        ))
        .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::id.ne(perk)))
        .filter(perks::status.ne(PerkStatus::Retired.as_str()))
        .select(VersionRow::as_select())
        .load(conn)?)
}

/// Moves the catalog's epoch on and gives the perk, which is locked, the new one as its revision: in the transaction of a
/// change that checks can see. Revisions appear in their order, because who moves the epoch on holds its row.
pub(super) fn record_change(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str) -> Result<()> {
    let revision = bump_epoch(conn, EPOCH)?;
    diesel::update(perks::table.find(perk).filter(perks::merchant_id.eq(merchant.as_str())))
        .set(perks::revision.eq(revision))
        .execute(conn)?;
    Ok(())
}

/// The newest revision of any perk of any merchant: for the catalog's snapshot.
pub(super) fn newest_revision(conn: &mut AnyConnection) -> Result<i64> {
    let newest: Option<i64> = perks::table.select(diesel::dsl::max(perks::revision)).first(conn)?;
    Ok(newest.unwrap_or(0))
}

/// A version that waits for its instant, but for its rule.
#[derive(Debug, Queryable)]
pub struct ScheduledRow {
    pub perk_id: String,
    pub version: i32,
    pub rule_hash: String,
    pub at: i64,
}

/// The versions that wait for their instant, of all perks or of those that changed after a revision: for the catalog's
/// snapshot.
pub(super) fn list_scheduled(conn: &mut AnyConnection, since: Option<i64>) -> Result<Vec<ScheduledRow>> {
    Ok(rule_versions::table
        .inner_join(perks::table.on(perks::id.eq(rule_versions::perk_id)))
        .filter(rule_versions::status.eq(VersionStatus::Scheduled.as_str()))
        .filter(rule_versions::scheduled_by.is_not_null())
        .filter(perks::revision.gt(since.unwrap_or(BEFORE_ALL)))
        .select((
            rule_versions::perk_id,
            rule_versions::version,
            rule_versions::rule_hash,
            rule_versions::scheduled_at.assume_not_null(),
        ))
        .filter(rule_versions::scheduled_at.is_not_null())
        .load(conn)?)
}

/// A perk as the catalog's snapshot needs to know it, and which rule decides: everything but the rule.
#[derive(Debug)]
pub struct OpenRow {
    pub id: String,
    pub merchant_id: String,
    pub slug: String,
    pub status: String,
    pub revision: i64,
    /// The published version's number and the hash of its rule.
    pub deciding: Option<(i32, String)>,
}

/// Every perk of every merchant, or those that changed after a revision: for the catalog's snapshot.
pub(super) fn list_open(conn: &mut AnyConnection, since: Option<i64>) -> Result<Vec<OpenRow>> {
    type Columns = (String, String, String, String, i64, Option<(i32, String)>);
    let rows: Vec<Columns> = perks::table
        .left_join(rule_versions::table.on(
            rule_versions::perk_id.eq(perks::id).and(rule_versions::version.nullable().eq(perks::published_version)),
        ))
        .filter(perks::revision.gt(since.unwrap_or(BEFORE_ALL)))
        .select((
            perks::id,
            perks::merchant_id,
            perks::slug,
            perks::status,
            perks::revision,
            (rule_versions::version, rule_versions::rule_hash).nullable(),
        ))
        .load(conn)?;
    let row = |(id, merchant_id, slug, status, revision, deciding)| OpenRow {
        id,
        merchant_id,
        slug,
        status,
        revision,
        deciding,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// A version's number, its rule and the hash of that.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = rule_versions)]
pub struct RuleRow {
    pub perk_id: String,
    pub version: i32,
    pub rule: String,
    pub rule_hash: String,
}

/// The rules of these perks that decide or are scheduled.
pub(super) fn list_rules(conn: &mut AnyConnection, of: &[&str]) -> Result<Vec<RuleRow>> {
    Ok(rule_versions::table
        .filter(rule_versions::perk_id.eq_any(of.iter().copied()))
        .filter(rule_versions::status.eq_any(DECIDES_OR_WILL))
        .select(RuleRow::as_select())
        .load(conn)?)
}

/// The rule of one version.
pub(super) fn find_rule(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &str,
    version: i32,
) -> Result<Option<RuleRow>> {
    Ok(rule_versions::table
        .find((perk, version))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .select(RuleRow::as_select())
        .first(conn)
        .optional()?)
}

/// The merchant's perks that are not retired, by their short names, with each rule of one of these statuses.
pub(super) fn list_rules_in(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    statuses: &[&str],
) -> Result<Vec<(String, RuleRow)>> {
    Ok(rule_versions::table
        .inner_join(perks::table.on(perks::id.eq(rule_versions::perk_id)))
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .filter(rule_versions::status.eq_any(statuses))
        .filter(perks::status.ne(PerkStatus::Retired.as_str()))
        .order((perks::slug, rule_versions::version))
        .select((perks::slug, RuleRow::as_select()))
        .load(conn)?)
}
