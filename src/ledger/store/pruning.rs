//! The obstacles to pruning, and taking bodies away.

use diesel::prelude::*;

use super::Result;
use crate::database::AnyConnection;
use crate::database::schema::{
    contest_additions, events, grants, limit_uses, logs, redemptions, referrals, rule_versions,
};
use crate::foundation::ids::MerchantId;
use crate::on_either;

/// A count, and when the last of what it counts is over.
pub type CountUntil = (i64, Option<i64>);

/// Grants from before `before` whose tokens a door may still take at `now`, undone ones too until what they used is free.
pub fn count_unspent_grants(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    before: i64,
    now: i64,
) -> Result<CountUntil> {
    let spent = || redemptions::table.filter(redemptions::grant_id.eq(grants::id));
    Ok(grants::table
        .filter(grants::merchant_id.eq(merchant.as_str()).and(grants::granted_at.lt(before)))
        .filter(
            grants::frees_at.is_not_null().or(grants::expires_at
                .gt(now)
                .and(grants::released_at.is_null())
                .and(grants::voided_at.is_null())
                // A token that is not spent at once opens the door again.
                .and(grants::single_use.eq(false).or(diesel::dsl::not(diesel::dsl::exists(spent()))))),
        )
        .select((diesel::dsl::count_star(), diesel::dsl::max(grants::expires_at)))
        .first(conn)?)
}

/// Places that guests of grants from before `before` hold at `now`.
pub fn count_held_places(conn: &mut AnyConnection, merchant: &MerchantId, before: i64, now: i64) -> Result<CountUntil> {
    Ok(limit_uses::table
        .inner_join(grants::table.on(grants::id.eq(limit_uses::grant_id)))
        .filter(limit_uses::merchant_id.eq(merchant.as_str()).and(grants::granted_at.lt(before)))
        .filter(limit_uses::stay.gt(0).and(limit_uses::counts_at.gt(now)))
        .select((diesel::dsl::count_star(), diesel::dsl::max(limit_uses::counts_at)))
        .first(conn)?)
}

/// Referrals of checks from before `before` that nobody has decided, with the refusals that were added to a case.
pub fn count_open_referrals(conn: &mut AnyConnection, merchant: &MerchantId, before: i64, open: &str) -> Result<i64> {
    let own: i64 = referrals::table
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(open)))
        .filter(referrals::created_at.lt(before))
        .count()
        .get_result(conn)?;
    let added: i64 = contest_additions::table
        .inner_join(referrals::table.on(referrals::check_id.eq(contest_additions::case_id)))
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(open)))
        .filter(contest_additions::asked_at.lt(before))
        .count()
        .get_result(conn)?;
    Ok(own + added)
}

/// Which of these checks nobody has decided about: their own case is open, or the one that they were added to.
pub fn list_open_referrals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    checks: &[&str],
    open: &str,
) -> Result<Vec<String>> {
    let mut found: Vec<String> = on_either!(conn, |c| referrals::table
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(open)))
        .filter(referrals::check_id.eq_any(checks))
        .select(referrals::check_id)
        .load(c)?);
    let added: Vec<String> = on_either!(conn, |c| contest_additions::table
        .inner_join(referrals::table.on(referrals::check_id.eq(contest_additions::case_id)))
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(open)))
        .filter(contest_additions::check_id.eq_any(checks))
        .select(contest_additions::check_id)
        .load(c)?);
    found.extend(added);
    Ok(found)
}

/// Locks these events until the transaction ends, in their order; the indexes of those whose bodies are still there.
pub fn lock_events(conn: &mut AnyConnection, log: &str, indexes: &[i64]) -> Result<Vec<i64>> {
    macro_rules! query {
        () => {
            events::table
                .filter(events::log_id.eq(log).and(events::log_index.eq_any(indexes)))
                .order(events::log_index)
                .select((events::log_index, events::body.is_not_null()))
        };
    }
    let locked: Vec<(i64, bool)> = match conn {
        AnyConnection::Postgres(c) => query!().for_no_key_update().load(c)?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().load(c)?,
    };
    Ok(locked.into_iter().filter_map(|(index, has_body)| has_body.then_some(index)).collect())
}

/// The rules of all the merchant's versions.
pub fn list_rules(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<String>> {
    Ok(rule_versions::table
        .filter(rule_versions::merchant_id.eq(merchant.as_str()))
        .select(rule_versions::rule)
        .load(conn)?)
}

/// An event about something, with when it was.
#[derive(Debug, Clone, Queryable)]
pub struct AboutRow {
    pub id: String,
    pub kind: String,
    pub about: String,
    pub at: i64,
    /// None once it was pruned.
    pub body: Option<String>,
}

/// The events of these kinds about these things.
pub fn list_bodies_about(conn: &mut AnyConnection, log: &str, kinds: &[&str], about: &[&str]) -> Result<Vec<AboutRow>> {
    if about.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| events::table
        .filter(events::log_id.eq(log).and(events::kind.eq_any(kinds)))
        .filter(events::about.eq_any(about))
        .select((events::id, events::kind, events::about, events::at, events::body))
        .load(c)?))
}

/// The ids and the bodies of the merchant's events of this kind about the merchant.
pub fn list_bodies_about_merchant(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    kind: &str,
) -> Result<Vec<(String, String)>> {
    let found: Vec<(String, Option<String>)> = events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(logs::merchant_id.eq(merchant.as_str()))
        .filter(events::about.eq(merchant.as_str()).and(events::kind.eq(kind)))
        .select((events::id, events::body))
        .load(conn)?;
    Ok(found.into_iter().filter_map(|(id, body)| Some((id, body?))).collect())
}

/// Takes these events' bodies away; says how many there were. Their leaf hashes are retained.
pub fn prune_bodies(conn: &mut AnyConnection, log: &str, indexes: &[i64]) -> Result<usize> {
    let these = || {
        events::table
            .filter(events::log_id.eq(log).and(events::body.is_not_null()))
            .filter(events::log_index.eq_any(indexes.to_vec()))
    };
    Ok(on_either!(conn, |c| diesel::update(these()).set(events::body.eq(None::<String>)).execute(c)?))
}
