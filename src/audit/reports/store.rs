//! The outcomes of grants and checks, by the events about them; never a write.

use diesel::prelude::*;

use crate::database::schema::{events, grants, perks, rule_versions};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::on_either;

/// The names of the merchant's perks, by slug.
pub(super) fn list_perk_names(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Vec<(String, String)>, DatabaseError> {
    Ok(perks::table.filter(perks::merchant_id.eq(merchant.as_str())).select((perks::slug, perks::name)).load(conn)?)
}

/// The published rule of each of the merchant's perks, by the perk's id.
pub(super) fn list_published_rules(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Vec<(String, String)>, DatabaseError> {
    let is_published =
        rule_versions::perk_id.eq(perks::id).and(perks::published_version.eq(rule_versions::version.nullable()));
    Ok(perks::table
        .inner_join(rule_versions::table.on(is_published))
        .filter(perks::merchant_id.eq(merchant.as_str()))
        .select((perks::id, rule_versions::rule))
        .load(conn)?)
}

/// Something that happened to a grant.
#[derive(Debug, Clone, Queryable)]
pub(super) struct OutcomeRow {
    pub log_index: i64,
    pub grant: String,
    pub kind: String,
}

/// The events of these kinds about these grants that stand in the log before an index.
pub(super) fn list_outcomes(
    conn: &mut AnyConnection,
    log: &str,
    grants: &[&str],
    kinds: &[&str],
    before: i64,
) -> Result<Vec<OutcomeRow>, DatabaseError> {
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| events::table
        .filter(events::about.eq_any(grants).and(events::kind.eq_any(kinds)))
        // By a bare `log_id` SQLite would go through the whole log, once for each page.
        .filter(events::log_id.concat("").eq(log).and(events::log_index.lt(before)))
        .select((events::log_index, events::about, events::kind))
        .load(c)?))
}

/// A grant and the body of an event about it.
pub(super) type BodyOfGrant = (String, Option<String>);

/// The bodies of the events of this kind about these grants that stand in the log before an index, in its order.
pub(super) fn list_bodies_before(
    conn: &mut AnyConnection,
    log: &str,
    grants: &[&str],
    kind: &str,
    before: i64,
) -> Result<Vec<BodyOfGrant>, DatabaseError> {
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| events::table
        .filter(events::about.eq_any(grants).and(events::kind.eq(kind)))
        // As above.
        .filter(events::log_id.concat("").eq(log).and(events::log_index.lt(before)))
        .order(events::log_index)
        .select((events::about, events::body))
        .load(c)?))
}

/// The bodies of the events of this kind about these things, by what they are about; none once it was pruned.
pub(super) fn list_bodies(
    conn: &mut AnyConnection,
    log: &str,
    about: &[&str],
    kind: &str,
) -> Result<Vec<(String, Option<String>)>, DatabaseError> {
    if about.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| events::table
        .filter(events::about.eq_any(about).and(events::kind.eq(kind)))
        // As above.
        .filter(events::log_id.concat("").eq(log))
        .select((events::about, events::body))
        .load(c)?))
}

/// The checks of these grants: grant, check.
pub(super) fn list_checks_of(conn: &mut AnyConnection, of: &[&str]) -> Result<Vec<(String, String)>, DatabaseError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| grants::table
        .filter(grants::id.eq_any(of))
        .select((grants::id, grants::check_id))
        .load(c)?))
}

/// An event about something, in its place.
#[derive(Debug, Clone, Queryable)]
pub(super) struct PlacedAbout {
    pub log_index: i64,
    pub about: String,
    pub at: i64,
    /// None once it was pruned.
    pub body: Option<String>,
}

/// The events of these kinds about these things that stand in the log before an index, in its order.
pub(super) fn list_placed_about(
    conn: &mut AnyConnection,
    log: &str,
    about: &[&str],
    kinds: &[&str],
    before: i64,
) -> Result<Vec<PlacedAbout>, DatabaseError> {
    if about.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| events::table
        .filter(events::about.eq_any(about).and(events::kind.eq_any(kinds)))
        // As above.
        .filter(events::log_id.concat("").eq(log).and(events::log_index.lt(before)))
        .order(events::log_index)
        .select((events::log_index, events::about, events::at, events::body))
        .load(c)?))
}
