//! The rows of perks and of their rules' versions.

use diesel::prelude::*;

use super::period::Period;
use super::perk::{Perk, RuleVersion, VersionStatus};
use crate::clock::from_micros;
use crate::database::schema::{perks, rule_versions, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::decimal::Decimal;
use crate::ids::{MerchantId, PerkSlug, SourceName};
use crate::scores::score::Source;

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
}

#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = rule_versions, treat_none_as_default_value = false)]
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
}

impl TryFrom<PerkRow> for Perk {
    type Error = DatabaseError;
    fn try_from(row: PerkRow) -> Result<Self> {
        Ok(Self {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?,
            slug: row.slug.parse().map_err(|e| DatabaseError::corrupt("perk slug", e))?,
            name: row.name,
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
            created_at: from_micros(row.created_at),
            published_at: row.published_at.map(from_micros),
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

/// The merchant's perks after `cursor`, by slug.
pub fn list_perks(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Vec<PerkRow>> {
    Ok(perks::table
        .filter(perks::merchant_id.eq(merchant.as_str()).and(perks::slug.gt(cursor.unwrap_or_default())))
        .order(perks::slug)
        .limit(limit)
        .select(PerkRow::as_select())
        .load(conn)?)
}

pub fn insert_perk(conn: &mut AnyConnection, row: &PerkRow) -> Result<usize> {
    Ok(diesel::insert_into(perks::table).values(row).execute(conn)?)
}

/// Points the perk at its newest and its published version.
pub fn update_perk(conn: &mut AnyConnection, merchant: &MerchantId, row: &PerkRow) -> Result<usize> {
    Ok(diesel::update(perks::table.find(&row.id).filter(perks::merchant_id.eq(merchant.as_str())))
        .set((perks::latest_version.eq(row.latest_version), perks::published_version.eq(row.published_version)))
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

pub fn update_version_status(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &str,
    version: i32,
    status: VersionStatus,
    published_at: Option<i64>,
) -> Result<usize> {
    Ok(diesel::update(
        rule_versions::table.find((perk, version)).filter(rule_versions::merchant_id.eq(merchant.as_str())),
    )
    .set((rule_versions::status.eq(status.as_str()), rule_versions::published_at.eq(published_at)))
    .execute(conn)?)
}

/// Every perk of every merchant with the version that decides: the catalog's snapshot.
pub fn list_deciding(conn: &mut AnyConnection) -> Result<Vec<(PerkRow, Option<VersionRow>)>> {
    Ok(perks::table
        .left_join(rule_versions::table.on(
            rule_versions::perk_id.eq(perks::id).and(rule_versions::version.nullable().eq(perks::published_version)),
        ))
        .select((PerkRow::as_select(), Option::<VersionRow>::as_select()))
        .load(conn)?)
}

/// A source that the merchant made, with what rules are held against.
pub fn find_source(conn: &mut AnyConnection, merchant: &MerchantId, name: &SourceName) -> Result<Option<Source>> {
    let found: Option<(i64, i64, Option<i64>)> = sources::table
        .find((merchant.as_str(), name.as_str()))
        .select((sources::minimum, sources::maximum, sources::refresh_seconds))
        .first(conn)
        .optional()?;
    Ok(found.map(|(low, high, refresh)| Source {
        name: name.clone(),
        minimum: Decimal::from_thousandths(low),
        maximum: Decimal::from_thousandths(high),
        refresh: refresh.map(Period::from_seconds),
    }))
}
