//! The rows of sources that are fetched, and of the accounts that they are asked about.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use jiff::Timestamp;

use crate::database::schema::{merchants, pulls, signals, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::computing::store::lease;
use crate::scores::enrolment::store::AccountRow;

type Result<T> = std::result::Result<T, DatabaseError>;

/// A source that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = pulls, treat_none_as_default_value = false)]
pub(super) struct PullRow {
    pub merchant_id: String,
    pub source: String,
    pub spec: String,
    pub spent_day: i64,
    pub spent: i64,
    pub failures: i64,
    pub waits_until: i64,
    pub wait: Option<String>,
    pub run_at: Option<i64>,
    pub answered_at: Option<i64>,
    pub fault: Option<String>,
}

/// The outcome of paying for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spending {
    Paid,
    /// The day's budget is spent.
    Spent,
    /// Another run has the lease.
    Superseded,
}

/// The row of an account that was asked about.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub due_at: i64,
    pub answered_at: Option<i64>,
    pub etag: Option<String>,
    pub missing_since: Option<i64>,
    pub fault: Option<&'static str>,
}

pub(super) fn insert(conn: &mut AnyConnection, row: &PullRow) -> Result<()> {
    crate::on_either!(conn, |c| diesel::insert_into(pulls::table).values(row).execute(c)?);
    Ok(())
}

pub(super) fn find(conn: &mut AnyConnection, merchant: &MerchantId, source: &SourceName) -> Result<Option<PullRow>> {
    Ok(pulls::table.find((merchant.as_str(), source.as_str())).select(PullRow::as_select()).first(conn).optional()?)
}

/// All of a merchant's.
pub(super) fn list(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<PullRow>> {
    Ok(pulls::table
        .filter(pulls::merchant_id.eq(merchant.as_str()))
        .order(pulls::source)
        .select(PullRow::as_select())
        .load(conn)?)
}

/// Those of all merchants that wait for nothing at `now`.
pub(super) fn list_ready(conn: &mut AnyConnection, now: Timestamp) -> Result<Vec<(MerchantId, SourceName)>> {
    let rows: Vec<(String, String)> = pulls::table
        .filter(pulls::waits_until.le(now.as_microsecond()))
        .order((pulls::merchant_id, pulls::source))
        .select((pulls::merchant_id, pulls::source))
        .load(conn)?;
    let read = |(merchant, source): (String, String)| {
        let merchant = merchant.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
        Ok((merchant, source.parse().map_err(|e| DatabaseError::corrupt("source name", e))?))
    };
    rows.into_iter().map(read).collect()
}

/// The number of those that wait for something at `now`, by what for.
pub(super) fn count_waiting(conn: &mut AnyConnection, now: Timestamp) -> Result<Vec<(String, u64)>> {
    let rows: Vec<(Option<String>, i64)> = pulls::table
        .filter(pulls::waits_until.gt(now.as_microsecond()))
        .group_by(pulls::wait)
        .select((pulls::wait, diesel::dsl::count_star()))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(wait, count)| Some((wait?, count.unsigned_abs()))).collect())
}

/// The short name of a merchant, by which the operator names its secrets.
pub(super) fn slug_of(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Option<String>> {
    Ok(merchants::table.find(merchant.as_str()).select(merchants::slug).first(conn).optional()?)
}

/// The interval at which accounts are asked about again, in seconds.
pub(super) fn refresh_of(conn: &mut AnyConnection, merchant: &MerchantId, source: &SourceName) -> Result<Option<i64>> {
    let row = sources::table.find((merchant.as_str(), source.as_str())).select(sources::refresh_seconds);
    Ok(row.first::<Option<i64>>(conn).optional()?.flatten())
}

/// Pays for one request of the UTC day under the lease: of all replicas together no more than the budget are sent.
pub(super) fn spend(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    (name, fence): &(String, i64),
    today: i64,
    budget: i64,
) -> Result<Spending> {
    if !lease::renew(conn, name, *fence)? {
        return Ok(Spending::Superseded);
    }
    // Where the clocks of two replicas differ at midnight, the day doesn't go back.
    let statement = "UPDATE pulls SET spent = CASE WHEN spent_day >= $1 THEN spent + 1 ELSE 1 END, \
                     spent_day = CASE WHEN spent_day >= $2 THEN spent_day ELSE $2 END \
                     WHERE merchant_id = $3 AND source = $4 AND (spent_day < $5 OR spent < $6)";
    let paid = crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<BigInt, _>(today)
        .bind::<BigInt, _>(today)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(source.as_str())
        .bind::<BigInt, _>(today)
        .bind::<BigInt, _>(budget)
        .execute(c)?);
    Ok(if paid == 1 { Spending::Paid } else { Spending::Spent })
}

/// The state of a source after a run, written by who holds the lease.
#[derive(Debug, Clone)]
pub(super) struct RunState {
    pub failures: i64,
    pub waits_until: i64,
    pub wait: Option<&'static str>,
    pub run_at: i64,
    /// None where nothing was answered: what stood before stands.
    pub answered_at: Option<i64>,
    pub fault: Option<String>,
}

pub(super) fn set_state(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    (name, fence): &(String, i64),
    state: &RunState,
) -> Result<bool> {
    if !lease::renew(conn, name, *fence)? {
        return Ok(false);
    }
    let RunState { failures, waits_until, wait, run_at, answered_at, fault } = state;
    let row = pulls::table.find((merchant.as_str(), source.as_str()));
    let new = (
        pulls::failures.eq(failures),
        pulls::waits_until.eq(waits_until),
        pulls::wait.eq(wait),
        pulls::run_at.eq(run_at),
        pulls::fault.eq(fault),
    );
    diesel::update(row).set(new).execute(conn)?;
    if answered_at.is_some() {
        diesel::update(row).set(pulls::answered_at.eq(answered_at)).execute(conn)?;
    }
    Ok(true)
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Binary)]
    subject_ref: Vec<u8>,
    #[diesel(sql_type = Binary)]
    account_hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    network: String,
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
    #[diesel(sql_type = Text)]
    proof: String,
    #[diesel(sql_type = BigInt)]
    linked_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    proven_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    etag: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    missing_since: Option<i64>,
}

/// An account that is due, with what is kept of it.
pub(super) struct DueAccount {
    pub row: AccountRow,
    pub etag: Option<String>,
    pub missing_since: Option<i64>,
}

const DUE: &str = "FROM linked_accounts AS l LEFT JOIN pulled_accounts AS p ON p.merchant_id = l.merchant_id \
                   AND p.subject_ref = l.subject_ref AND p.account_hash = l.account_hash AND p.source = $1 \
                   WHERE l.merchant_id = $2 AND l.network = $3 AND COALESCE(p.due_at, 0) <= $4 \
                   AND (l.proof = 'vouched' OR l.proven_at IS NOT NULL OR l.linked_at > $5)";

/// The accounts on a network that are due at `now`, those first that were asked about longest ago. One that is still to be
/// proven is due too, if it was linked after `since`.
pub(super) fn list_due(
    conn: &mut AnyConnection,
    (merchant, source, network): (&MerchantId, &SourceName, &str),
    (now, since): (i64, i64),
    most: i64,
) -> Result<Vec<DueAccount>> {
    let statement = format!(
        "SELECT l.subject_ref, l.account_hash, l.network, l.sealed, l.proof, l.linked_at, l.proven_at, p.etag, \
         p.missing_since {DUE} ORDER BY COALESCE(p.due_at, 0), l.subject_ref, l.account_hash LIMIT $6"
    );
    let rows: Vec<DueRow> = crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<Text, _>(source.as_str())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(network)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(since)
        .bind::<BigInt, _>(most)
        .load(c)?);
    let read = |row: DueRow| {
        let DueRow { subject_ref, account_hash, network, sealed, proof, linked_at, proven_at, etag, missing_since } =
            row;
        let merchant_id = merchant.as_str().to_owned();
        let row = AccountRow { merchant_id, subject_ref, account_hash, network, sealed, proof, linked_at, proven_at };
        DueAccount { row, etag, missing_since }
    };
    Ok(rows.into_iter().map(read).collect())
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number of accounts that are due.
pub(super) fn count_due(
    conn: &mut AnyConnection,
    (merchant, source, network): (&MerchantId, &SourceName, &str),
    (now, since): (i64, i64),
) -> Result<u64> {
    let count: Count = crate::on_either!(conn, |c| diesel::sql_query(format!("SELECT COUNT(*) AS number {DUE}"))
        .bind::<Text, _>(source.as_str())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(network)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(since)
        .get_result(c)?);
    Ok(count.number.unsigned_abs())
}

/// Keeps what came of asking about an account, as long as it is linked.
pub(super) fn set_asked(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    (subject, account_hash): (&SubjectRef, &[u8]),
    asked: &Asked,
) -> Result<()> {
    let statement = "INSERT INTO pulled_accounts \
                     (merchant_id, subject_ref, account_hash, source, due_at, answered_at, etag, missing_since, fault) \
                     SELECT merchant_id, subject_ref, account_hash, $1, $2, $3, $4, $5, $6 FROM linked_accounts \
                     WHERE merchant_id = $7 AND subject_ref = $8 AND account_hash = $9 \
                     ON CONFLICT (merchant_id, subject_ref, account_hash, source) DO UPDATE SET \
                     due_at = excluded.due_at, answered_at = COALESCE(excluded.answered_at, pulled_accounts.answered_at), \
                     etag = excluded.etag, missing_since = excluded.missing_since, fault = excluded.fault";
    crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<Text, _>(source.as_str())
        .bind::<BigInt, _>(asked.due_at)
        .bind::<Nullable<BigInt>, _>(asked.answered_at)
        .bind::<Nullable<Text>, _>(asked.etag.as_deref())
        .bind::<Nullable<BigInt>, _>(asked.missing_since)
        .bind::<Nullable<Text>, _>(asked.fault)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<Binary, _>(account_hash)
        .execute(c)?);
    Ok(())
}

/// True if anything is known of the person on the network.
pub(super) fn has_signals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    network: &str,
) -> Result<bool> {
    let theirs = signals::table
        .filter(signals::merchant_id.eq(merchant.as_str()).and(signals::subject_ref.eq(&subject.0[..])))
        .filter(signals::network.eq(network))
        .select(signals::day);
    Ok(theirs.first::<i64>(conn).optional()?.is_some())
}
