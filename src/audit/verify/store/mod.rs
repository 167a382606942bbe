//! The auditor's reads: one snapshot, in pages of bounded size, and never a write.
//!
//! It reads other rooms' tables by itself: it must see what stands there, not what their rooms
//! make of it.

mod accounts;
mod brief;
mod floor;
mod limits;
mod pages;

use std::collections::BTreeSet;

use diesel::dsl::{max, min};
use diesel::prelude::*;

use crate::database::schema::{
    api_keys, checkpoints, contest_additions, events, four_eyes, grants, keyring_keys, limit_counters, logs, merchants,
    perks, redemptions, referrals, rule_versions, subjects,
};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::{AdditionRow, CheckpointRow, LogRow, ReferralRow};
use crate::on_either;
pub(crate) use accounts::{ConfirmedDevice, list_devices, list_linked, list_pins, list_suspensions};
use brief::{Brief, Stored};
pub(crate) use floor::{
    list_closures, list_enrolments, list_graces, list_guards, list_models, list_overrides, list_requests,
    list_source_models, list_submitted_models, list_waiting_grants,
};
pub(crate) use limits::{CounterRow, UseRow, list_counters, list_uses};
pub(crate) use pages::each_row;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The most rows of a page: enough to make little of asking for it, which SQLite plans again each time, and so few
/// that it is still near the processor when it is looked at.
pub(crate) const PAGE: usize = 1024;
const LIMIT: i64 = 1024;

/// An event in its place, its log aside.
#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(crate) struct EventRow {
    pub log_index: i64,
    pub id: Brief,
    pub kind: Brief,
    pub about: Brief,
    pub at: i64,
    pub leaf_hash: Stored,
    pub body: Option<String>,
}

/// A grant.
#[derive(Queryable, Selectable)]
#[diesel(table_name = grants)]
pub(crate) struct GrantRow {
    pub id: Brief,
    pub merchant_id: Brief,
    pub perk_id: Brief,
    pub check_id: Brief,
    pub kid: Brief,
    pub claims: String,
    pub audience: Brief,
    pub single_use: bool,
    pub granted_at: i64,
    pub expires_at: i64,
    pub released_at: Option<i64>,
    pub voided_at: Option<i64>,
    pub guests: Option<String>,
    pub corrected: Option<String>,
}

/// A token spent.
#[derive(Queryable, Selectable)]
#[diesel(table_name = redemptions)]
pub(crate) struct RedemptionRow {
    pub grant_id: Brief,
    pub slot: Brief,
    pub merchant_id: Brief,
    pub key_id: Brief,
    pub door: Brief,
    pub attempt: Brief,
    pub redeemed_at: i64,
    pub heard_at: Option<i64>,
    pub meanwhile: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = perks)]
pub(crate) struct PerkRow {
    pub id: String,
    pub slug: String,
    pub name: String,
    pub purpose: String,
    pub status: String,
    pub status_by: Option<String>,
    pub status_at: Option<i64>,
    pub created_at: i64,
    pub latest_version: i32,
    pub published_version: Option<i32>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = rule_versions)]
pub(crate) struct RuleRow {
    pub merchant_id: String,
    pub version: i32,
    pub status: String,
    pub rule: String,
    pub rule_hash: String,
    pub author: String,
    pub created_at: i64,
    /// Separated by spaces.
    pub editors: String,
    pub submitted_by: Option<String>,
    pub submitted_at: Option<i64>,
    pub approved_by: Option<String>,
    pub approved_at: Option<i64>,
    pub scheduled_by: Option<String>,
    pub scheduled_at: Option<i64>,
    pub published_by: Option<String>,
    pub published_at: Option<i64>,
}

/// The setting by which a merchant asks for a second person, and who made it.
#[derive(Default, Queryable, Selectable)]
#[diesel(table_name = four_eyes)]
pub(crate) struct FourEyesRow {
    pub required: bool,
    pub changed_by: Option<String>,
    #[diesel(deserialize_as = i64)]
    pub changed_at: Option<i64>,
    pub lift_by: Option<String>,
    pub lift_at: Option<i64>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub(crate) struct KeyRow {
    pub id: String,
    pub role: String,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
    pub created_by: Option<String>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub origins: Option<String>,
    pub airports: Option<String>,
}

/// A key of the gateway; nothing is unwrapped.
#[derive(Queryable, Selectable)]
#[diesel(table_name = keyring_keys)]
pub(crate) struct GatewayKeyRow {
    pub kid: String,
    pub purpose: String,
    pub public_key: Option<Vec<u8>>,
    pub signs_from: i64,
    pub retires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

#[derive(diesel::QueryableByName)]
struct Table {
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    name: Option<String>,
}

/// All logs: one for each merchant and the operator's.
pub(crate) fn list_logs(conn: &mut AnyConnection) -> Result<Vec<LogRow>> {
    if let AnyConnection::Postgres(c) = conn {
        // Asked first: its error would not show that a table is missing.
        let is_there = diesel::sql_query("SELECT to_regclass('logs')::text AS name").get_result::<Table>(c)?;
        if is_there.name.is_none() {
            return Err(DatabaseError::Query("there is no table `logs`".to_owned()));
        }
    }
    Ok(logs::table.order(logs::name).select(LogRow::as_select()).load(conn)?)
}

/// Ids and slugs of all merchants.
pub(crate) fn list_merchants(conn: &mut AnyConnection) -> Result<Vec<(String, String)>> {
    Ok(merchants::table.order(merchants::id).select((merchants::id, merchants::slug)).load(conn)?)
}

/// A merchant's name and time zone, and whether its data is a test's.
pub(crate) fn find_merchant(conn: &mut AnyConnection, merchant: &str) -> Result<Option<(String, String, bool)>> {
    let columns = (merchants::name, merchants::time_zone, merchants::is_test);
    Ok(merchants::table.find(merchant).select(columns).first(conn).optional()?)
}

/// Names and public halves of the log keys; nothing is unwrapped.
pub(crate) fn list_log_keys(conn: &mut AnyConnection) -> Result<Vec<(String, Option<Vec<u8>>)>> {
    Ok(keyring_keys::table
        .filter(keyring_keys::purpose.eq("log"))
        .select((keyring_keys::kid, keyring_keys::public_key))
        .load(conn)?)
}

/// The gateway's keys by their names.
pub(crate) fn list_gateway_keys(conn: &mut AnyConnection) -> Result<Vec<GatewayKeyRow>> {
    Ok(keyring_keys::table.order(keyring_keys::kid).select(GatewayKeyRow::as_select()).load(conn)?)
}

/// The log's events after an index, in their order.
pub(crate) fn list_events(conn: &mut AnyConnection, log: &str, after: i64) -> Result<Vec<EventRow>> {
    Ok(on_either!(conn, |c| events::table
        .filter(events::log_id.eq(log).and(events::log_index.gt(after)))
        .order(events::log_index)
        .limit(LIMIT)
        .select(EventRow::as_select())
        .load(c)?))
}

/// When the newest event of any log was, by the last one of each.
pub(crate) fn find_newest_instant(conn: &mut AnyConnection) -> Result<Option<i64>> {
    let last = events::log_id.eq(logs::id).and(events::log_index.eq(logs::size - 1));
    // For each log by its key: of a join SQLite would go through all events.
    let at = events::table.filter(last).select(events::at).single_value();
    Ok(logs::table.select(max(at)).first(conn)?)
}

/// The log's checkpoints after a size, in their order.
pub(crate) fn list_checkpoints(conn: &mut AnyConnection, log: &str, after: i64) -> Result<Vec<CheckpointRow>> {
    Ok(on_either!(conn, |c| checkpoints::table
        .filter(checkpoints::log_id.eq(log).and(checkpoints::size.gt(after)))
        .order(checkpoints::size)
        .limit(LIMIT)
        .select(CheckpointRow::as_select())
        .load(c)?))
}

/// Each value of an indexed column, from one to the next: to look at every row would take minutes where
/// there are millions.
macro_rules! values {
    ($conn:expr, $table:expr, $column:expr) => {{
        let mut found = BTreeSet::new();
        let mut next: Option<String> = $table.select(min($column)).first($conn)?;
        while let Some(value) = next {
            next = $table.filter($column.gt(&value)).select(min($column)).first($conn)?;
            found.insert(value);
        }
        found
    }};
}

/// Logs that events or checkpoints stand in, and that are not there.
pub(crate) fn list_lost_logs(conn: &mut AnyConnection) -> Result<Vec<String>> {
    let known: BTreeSet<String> = logs::table.select(logs::id).load(conn)?.into_iter().collect();
    let mut found = values!(conn, events::table, events::log_id);
    found.append(&mut values!(conn, checkpoints::table, checkpoints::log_id));
    Ok(found.difference(&known).cloned().collect())
}

/// Merchants that keys or counters belong to, and that have no log.
pub(crate) fn list_unlogged_owners(conn: &mut AnyConnection) -> Result<Vec<String>> {
    let logged = logs::table.filter(logs::merchant_id.is_not_null()).select(logs::merchant_id.assume_not_null());
    let logged: BTreeSet<String> = logged.load(conn)?.into_iter().collect();
    let mut found = values!(conn, limit_counters::table, limit_counters::merchant_id);
    let keys = api_keys::table.filter(api_keys::merchant_id.is_not_null());
    let keys: Vec<String> = keys.select(api_keys::merchant_id.assume_not_null()).distinct().load(conn)?;
    found.extend(keys);
    Ok(found.difference(&logged).cloned().collect())
}

/// All grants after an id, in the order of their ids.
pub(crate) fn list_grants(conn: &mut AnyConnection, after: &str) -> Result<Vec<GrantRow>> {
    Ok(on_either!(conn, |c| grants::table
        .filter(grants::id.gt(after))
        .order(grants::id)
        .limit(LIMIT)
        .select(GrantRow::as_select())
        .load(c)?))
}

/// Those of these grants that are there.
pub(crate) fn list_grant_ids(conn: &mut AnyConnection, ids: &[String]) -> Result<Vec<String>> {
    Ok(on_either!(conn, |c| grants::table.filter(grants::id.eq_any(ids)).select(grants::id).load(c)?))
}

/// All redemptions after a grant and slot, in that order.
pub(crate) fn list_redemptions(conn: &mut AnyConnection, after: (&str, &str)) -> Result<Vec<RedemptionRow>> {
    let (grant, slot) = after;
    Ok(on_either!(conn, |c| redemptions::table
        .filter(redemptions::grant_id.ge(grant))
        .filter(redemptions::grant_id.gt(grant).or(redemptions::slot.gt(slot)))
        .order((redemptions::grant_id, redemptions::slot))
        .limit(LIMIT)
        .select(RedemptionRow::as_select())
        .load(c)?))
}

/// The slots of these grants that are taken.
pub(crate) fn list_slots(conn: &mut AnyConnection, grants: &[String]) -> Result<Vec<(String, String)>> {
    Ok(on_either!(conn, |c| redemptions::table
        .filter(redemptions::grant_id.eq_any(grants))
        .select((redemptions::grant_id, redemptions::slot))
        .load(c)?))
}

/// Events of any kind about these things, with the merchant whose log they stand in.
pub(crate) fn list_events_about(conn: &mut AnyConnection, about: &[&str]) -> Result<Vec<(Option<String>, EventRow)>> {
    Ok(on_either!(conn, |c| events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(events::about.eq_any(about))
        .select((logs::merchant_id, EventRow::as_select()))
        .load(c)?))
}

/// The merchant's referrals after a check.
pub(crate) fn list_referrals(conn: &mut AnyConnection, merchant: &str, after: &str) -> Result<Vec<ReferralRow>> {
    Ok(referrals::table
        .filter(referrals::merchant_id.eq(merchant).and(referrals::check_id.gt(after)))
        .order(referrals::check_id)
        .limit(LIMIT)
        .select(ReferralRow::as_select())
        .load(conn)?)
}

/// The merchant's refusals that were added to cases, after a check.
pub(crate) fn list_additions(conn: &mut AnyConnection, merchant: &str, after: &str) -> Result<Vec<AdditionRow>> {
    Ok(contest_additions::table
        .filter(contest_additions::merchant_id.eq(merchant).and(contest_additions::check_id.gt(after)))
        .order(contest_additions::check_id)
        .limit(LIMIT)
        .select(AdditionRow::as_select())
        .load(conn)?)
}

/// References and pseudonyms of the merchant's people after a reference, and since when they are known. What is
/// sealed is not read.
pub(crate) fn list_subjects(
    conn: &mut AnyConnection,
    merchant: &str,
    after: &[u8],
) -> Result<Vec<(Vec<u8>, String, i64)>> {
    Ok(on_either!(conn, |c| subjects::table
        .filter(subjects::merchant_id.eq(merchant).and(subjects::subject_ref.gt(after)))
        .order(subjects::subject_ref)
        .limit(LIMIT)
        .select((subjects::subject_ref, subjects::pseudonym, subjects::created_at))
        .load(c)?))
}

/// The merchant's perks after an id.
pub(crate) fn list_perks(conn: &mut AnyConnection, merchant: &str, after: &str) -> Result<Vec<PerkRow>> {
    Ok(perks::table
        .filter(perks::merchant_id.eq(merchant).and(perks::id.gt(after)))
        .order(perks::id)
        .limit(LIMIT)
        .select(PerkRow::as_select())
        .load(conn)?)
}

/// The merchant's setting of four eyes; none where nothing was ever said.
pub(crate) fn find_four_eyes(conn: &mut AnyConnection, merchant: &str) -> Result<Option<FourEyesRow>> {
    Ok(four_eyes::table.find(merchant).select(FourEyesRow::as_select()).first(conn).optional()?)
}

/// The versions of a perk's rule.
pub(crate) fn list_rules(conn: &mut AnyConnection, perk: &str) -> Result<Vec<RuleRow>> {
    Ok(rule_versions::table
        .filter(rule_versions::perk_id.eq(perk))
        .order(rule_versions::version)
        .select(RuleRow::as_select())
        .load(conn)?)
}

/// The keys of a merchant, or the operator's, after an id.
pub(crate) fn list_keys(conn: &mut AnyConnection, merchant: Option<&str>, after: &str) -> Result<Vec<KeyRow>> {
    let query = api_keys::table.filter(api_keys::id.gt(after)).order(api_keys::id).limit(LIMIT);
    Ok(match merchant {
        Some(id) => query.filter(api_keys::merchant_id.eq(id)).select(KeyRow::as_select()).load(conn)?,
        None => query.filter(api_keys::merchant_id.is_null()).select(KeyRow::as_select()).load(conn)?,
    })
}
