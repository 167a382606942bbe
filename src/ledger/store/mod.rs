//! The ledger's rows. A batch spans merchants, so its functions take rows that carry theirs;
//! every look-up of one thing takes the merchant first.

mod batches;
mod cases;
mod columns;
mod counters;
pub mod ends;
pub mod heads;
pub mod history;
mod idempotency;
pub mod overrides;
pub mod people;
pub mod pruning;
mod referrals;
pub mod requests;
pub mod standing;
pub mod subtrees;
mod uses;

use diesel::prelude::*;

use crate::database::schema::{checkpoints, events, grants, logs, merchants, redemptions, subjects};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::on_either;

pub use batches::{BatchRows, ExpectedState, HeadVersion, MovedHead, record_at_once, record_batch, touch_every_log};
pub use cases::{
    AdditionRow, OpenReferral, find_addition, insert_addition, list_additions, lock_open_contest, share_open_referrals,
};
pub use counters::{CounterRow, find_counters, list_counters, lock_counters, update_counters};
pub use ends::{correct_grant, list_events_about, list_unvoided_grants, release_grant, void_grants};
pub use idempotency::{IdempotencyRow, insert_idempotency, list_idempotency, update_idempotency};
pub use people::{insert_subjects, list_subjects};
pub use referrals::{
    ReferralRow, count_referrals, find_referral, insert_referrals, list_granted_to, list_ids_of_referrals,
    list_referrals, lock_referral, update_referral,
};
pub use subtrees::{SubtreeRow, put_subtrees};
pub use uses::{
    PAGE_OF_USES, UseRow, UsesWanted, delete_uses, insert_uses, list_lapsed_uses, list_uses, list_uses_of, sum_uses,
};

type Result<T> = std::result::Result<T, DatabaseError>;

/// The only row that names a person, sealed.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = subjects, treat_none_as_default_value = false)]
pub struct SubjectRow {
    pub merchant_id: String,
    pub subject_ref: Vec<u8>,
    pub pseudonym: String,
    pub sealed: Vec<u8>,
    pub created_at: i64,
}

/// A grant.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = grants, treat_none_as_default_value = false)]
pub struct GrantRow {
    pub id: String,
    pub merchant_id: String,
    pub perk_id: String,
    pub check_id: String,
    pub kid: String,
    pub claims: String,
    pub audience: String,
    pub single_use: bool,
    pub granted_at: i64,
    pub expires_at: i64,
    pub released_at: Option<i64>,
    pub voided_at: Option<i64>,
    /// As they were granted: canonical JSON.
    pub guests: Option<String>,
    /// The party as it was corrected last: canonical JSON.
    pub corrected: Option<String>,
    /// When what it used of limits is to be free, where that waits.
    pub frees_at: Option<i64>,
}

/// A token spent. A single-use token has one slot, so the primary key lets one door win.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = redemptions, treat_none_as_default_value = false)]
pub struct RedemptionRow {
    pub grant_id: String,
    pub slot: String,
    pub merchant_id: String,
    pub key_id: String,
    pub door: String,
    pub attempt: String,
    pub redeemed_at: i64,
    /// When a door that had been offline reported it.
    pub heard_at: Option<i64>,
    /// How the grant had ended when it was reported.
    pub meanwhile: Option<String>,
}

/// The head of a log.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = logs, treat_none_as_default_value = false)]
pub struct LogRow {
    pub id: String,
    pub merchant_id: Option<String>,
    pub name: String,
    pub size: i64,
    pub frontier: Vec<u8>,
    pub root: Vec<u8>,
    pub checkpoint: String,
    /// The first line of its checkpoints; it never changes.
    pub origin: String,
}

/// An event in its place.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub struct EventRow {
    pub log_id: String,
    pub log_index: i64,
    pub id: String,
    pub kind: String,
    pub about: String,
    pub at: i64,
    pub leaf_hash: Vec<u8>,
    pub body: Option<String>,
}

/// A signed tree head.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = checkpoints, treat_none_as_default_value = false)]
pub struct CheckpointRow {
    pub log_id: String,
    pub size: i64,
    pub note: String,
    pub signed_at: i64,
}

/// The subject that a merchant's events call by this pseudonym.
pub fn find_subject(conn: &mut AnyConnection, merchant: &MerchantId, pseudonym: &str) -> Result<Option<SubjectRow>> {
    Ok(subjects::table
        .filter(subjects::merchant_id.eq(merchant.as_str()).and(subjects::pseudonym.eq(pseudonym)))
        .select(SubjectRow::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_grant(conn: &mut AnyConnection, merchant: &MerchantId, grant: &str) -> Result<Option<GrantRow>> {
    Ok(grants::table
        .find(grant)
        .filter(grants::merchant_id.eq(merchant.as_str()))
        .select(GrantRow::as_select())
        .first(conn)
        .optional()?)
}

/// Those of these grants that are the merchant's, in the order of their ids.
pub fn list_grants(conn: &mut AnyConnection, merchant: &MerchantId, ids: &[&str]) -> Result<Vec<GrantRow>> {
    Ok(on_either!(conn, |c| grants::table
        .filter(grants::id.eq_any(ids).and(grants::merchant_id.eq(merchant.as_str())))
        .order(grants::id)
        .select(GrantRow::as_select())
        .load(c)?))
}

/// Locks the grants in the order of their ids, so that doors on two replicas take turns.
pub fn lock_grants(conn: &mut AnyConnection, ids: &[&str]) -> Result<Vec<GrantRow>> {
    macro_rules! query {
        () => {
            grants::table.filter(grants::id.eq_any(ids)).order(grants::id).select(GrantRow::as_select())
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_update().load(c)?,
        AnyConnection::Sqlite(c) => query!().load(c)?,
    })
}

pub fn list_redemptions(conn: &mut AnyConnection, ids: &[&str]) -> Result<Vec<RedemptionRow>> {
    Ok(on_either!(conn, |c| redemptions::table
        .filter(redemptions::grant_id.eq_any(ids))
        .order((redemptions::grant_id, redemptions::redeemed_at))
        .select(RedemptionRow::as_select())
        .load(c)?))
}

pub fn insert_redemptions(conn: &mut AnyConnection, rows: &[RedemptionRow]) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    Ok(on_either!(conn, |c| diesel::insert_into(redemptions::table).values(rows).execute(c)?))
}

/// The log of a merchant, or the operator's.
pub fn find_log(conn: &mut AnyConnection, merchant: Option<&MerchantId>) -> Result<Option<LogRow>> {
    let query = logs::table.select(LogRow::as_select());
    Ok(match merchant {
        Some(id) => query.filter(logs::merchant_id.eq(id.as_str())).first(conn).optional()?,
        None => query.filter(logs::merchant_id.is_null()).first(conn).optional()?,
    })
}

/// Makes a log unless another replica just did.
pub fn insert_log(conn: &mut AnyConnection, row: &LogRow) -> Result<usize> {
    Ok(on_either!(conn, |c| diesel::insert_into(logs::table).values(row).on_conflict_do_nothing().execute(c)?))
}

/// Locks the heads in the order of their ids: last of all locks, and held for the shortest time.
pub fn lock_logs(conn: &mut AnyConnection, ids: &[&str]) -> Result<Vec<LogRow>> {
    match conn {
        AnyConnection::Postgres(c) => {
            let query = logs::table.filter(logs::id.eq_any(ids)).order(logs::id).select(LogRow::as_select());
            Ok(query.for_no_key_update().load(c)?)
        }
        // Nearly always one. A list would be prepared again each time.
        AnyConnection::Sqlite(c) => {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.extend(logs::table.find(*id).select(LogRow::as_select()).load(c)?);
            }
            Ok(rows)
        }
    }
}

/// Waits until nobody is appending anywhere: a transaction that is still committing holds a head.
pub fn lock_every_log(conn: &mut AnyConnection) -> Result<usize> {
    let query = || logs::table.order(logs::id).select(logs::id);
    Ok(match conn {
        AnyConnection::Postgres(c) => query().for_no_key_update().load::<String>(c)?.len(),
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(_) => 0,
    })
}

/// The event of this kind about `about`, in the merchant's log.
pub fn find_event(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    about: &str,
    kind: &str,
) -> Result<Option<EventRow>> {
    Ok(events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(logs::merchant_id.eq(merchant.as_str()).and(events::about.eq(about)).and(events::kind.eq(kind)))
        .select(EventRow::as_select())
        .first(conn)
        .optional()?)
}

/// Keeps the event of this kind about `about` from being pruned until the transaction ends. In a log, not in a
/// merchant's log: joined with it, its head would be locked too.
pub fn hold_event(conn: &mut AnyConnection, log: &str, about: &str, kind: &str) -> Result<usize> {
    Ok(match conn {
        AnyConnection::Postgres(c) => events::table
            .filter(events::about.eq(about).and(events::kind.eq(kind)).and(events::log_id.eq(log)))
            .select(events::log_index)
            .for_share()
            .load::<i64>(c)?
            .len(),
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(_) => 0,
    })
}

/// Tells whether one of these events is committed.
pub fn any_event_exists(conn: &mut AnyConnection, ids: &[String]) -> Result<bool> {
    let found: i64 = on_either!(conn, |c| events::table.filter(events::id.eq_any(ids)).count().get_result(c)?);
    Ok(found > 0)
}

/// The first checkpoint that covers the event at `index`.
pub fn covering_checkpoint(conn: &mut AnyConnection, log: &str, index: i64) -> Result<Option<CheckpointRow>> {
    Ok(checkpoints::table
        .filter(checkpoints::log_id.eq(log).and(checkpoints::size.gt(index)))
        .order(checkpoints::size)
        .select(CheckpointRow::as_select())
        .first(conn)
        .optional()?)
}

/// A merchant's short name, which its log goes by.
pub fn merchant_slug(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<String> {
    Ok(merchants::table.find(merchant.as_str()).select(merchants::slug).first(conn)?)
}
