//! Scores and sources in the database.

pub mod epochs;
pub mod graces;
mod lookups;

pub use lookups::{find_current, find_score, find_scores, hold_score};

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use jiff::Timestamp;

use crate::database::schema::{scores, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::period::Period;
use crate::foundation::subject::SubjectRef;

use super::score::{Score, Source, SourceKind};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sources)]
struct SourceRow {
    name: String,
    minimum: i64,
    maximum: i64,
    refresh_seconds: Option<i64>,
    kind: String,
    model: Option<String>,
}

impl TryFrom<SourceRow> for Source {
    type Error = DatabaseError;

    fn try_from(row: SourceRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            name: row.name.parse().map_err(|e| DatabaseError::corrupt("source name", e))?,
            minimum: Decimal::from_thousandths(row.minimum),
            maximum: Decimal::from_thousandths(row.maximum),
            refresh: row.refresh_seconds.map(Period::from_seconds),
            kind: SourceKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == row.kind)
                .ok_or_else(|| DatabaseError::corrupt("kind of a source", &row.kind))?,
            model: row.model,
            graces: Vec::new(),
        })
    }
}

fn score((value, observed_at): (i64, i64)) -> Score {
    Score { value: Decimal::from_thousandths(value), observed_at: from_micros(observed_at) }
}

/// The scores that stand for any of `subjects`: some thousands of them at most, as each is a parameter on SQLite.
pub fn list_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subjects: &[SubjectRef],
) -> Result<HashMap<SubjectRef, Score>, DatabaseError> {
    let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
    let rows: Vec<ScoreRow> = match conn {
        AnyConnection::Postgres(conn) => list_postgres(conn, merchant, source, subjects)?,
        AnyConnection::Sqlite(conn) => scores::table
            .filter(scores::merchant_id.eq(merchant.as_str()))
            .filter(scores::source.eq(source.as_str()))
            .filter(scores::subject_ref.eq_any(subjects))
            .select(ScoreRow::as_select())
            .load(conn)?,
    };
    rows.into_iter().map(|row| Ok((reference(row.subject_ref)?, score((row.value, row.observed_at))))).collect()
}

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = scores)]
struct ScoreRow {
    subject_ref: Vec<u8>,
    value: i64,
    observed_at: i64,
}

/// Each subject is looked up by the primary key, whatever the server knows of the table. (Asked for `= ANY`, it read all
/// of a source's scores and compared each with thousands of subjects, until autovacuum had come by.)
fn list_postgres(
    conn: &mut PgConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subjects: Vec<&[u8]>,
) -> QueryResult<Vec<ScoreRow>> {
    use diesel::sql_types::Array;

    diesel::sql_query(
        "SELECT found.subject_ref, found.value, found.observed_at FROM unnest($3) AS wanted (subject_ref) \
         CROSS JOIN LATERAL (SELECT subject_ref, value, observed_at FROM scores WHERE merchant_id = $1 AND source = $2 \
         AND subject_ref = wanted.subject_ref LIMIT 1) AS found",
    )
    .bind::<Text, _>(merchant.as_str())
    .bind::<Text, _>(source.as_str())
    .bind::<Array<Binary>, _>(subjects)
    .load(conn)
}

/// The person's scores from these sources, each with the instant at which it was written.
pub fn list_scores_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    names: &[SourceName],
    subject: &SubjectRef,
) -> Result<Vec<(SourceName, Score, Timestamp)>, DatabaseError> {
    let mut found = Vec::new();
    // One by one, by the primary key: without the source it would be no range of it.
    for source in names {
        let row = scores::table
            .find((merchant.as_str(), source.as_str(), &subject.0[..]))
            .select(((scores::value, scores::observed_at), scores::recorded_at))
            .first::<((i64, i64), i64)>(conn)
            .optional()?;
        found.extend(row.map(|(row, recorded_at)| (source.clone(), score(row), from_micros(recorded_at))));
    }
    Ok(found)
}

/// True if at least so many people have a score from the source.
pub fn has_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    least: u64,
) -> Result<bool, DatabaseError> {
    let nth: Option<Vec<u8>> = scores::table
        .filter(scores::merchant_id.eq(merchant.as_str()).and(scores::source.eq(source.as_str())))
        .order(scores::subject_ref)
        .offset(i64::try_from(least.saturating_sub(1)).unwrap_or(i64::MAX))
        .limit(1)
        .select(scores::subject_ref)
        .first(conn)
        .optional()?;
    Ok(nth.is_some())
}

/// The number of scores that stand from a source.
pub fn count_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
) -> Result<u64, DatabaseError> {
    let count: i64 = scores::table
        .filter(scores::merchant_id.eq(merchant.as_str()).and(scores::source.eq(source.as_str())))
        .count()
        .get_result(conn)?;
    u64::try_from(count).map_err(|e| DatabaseError::corrupt("number of scores", e))
}

/// The scores after `after` in the order of their keys, at most `limit`: a range of the primary key,
/// however far on.
pub fn list_scores_after(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    after: Option<SubjectRef>,
    limit: i64,
) -> Result<Vec<(SubjectRef, Score)>, DatabaseError> {
    let after = after.map_or_else(Vec::new, |subject| subject.0.to_vec());
    let rows = scores::table
        .filter(scores::merchant_id.eq(merchant.as_str()).and(scores::source.eq(source.as_str())))
        .filter(scores::subject_ref.gt(after))
        .order(scores::subject_ref)
        .limit(limit)
        .select((scores::subject_ref, (scores::value, scores::observed_at)))
        .load::<(Vec<u8>, (i64, i64))>(conn)?;
    rows.into_iter().map(|(subject, row)| Ok((reference(subject)?, score(row)))).collect()
}

fn reference(bytes: Vec<u8>) -> Result<SubjectRef, DatabaseError> {
    let bytes = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| DatabaseError::corrupt("subject reference", format!("{} bytes", bytes.len())))?;
    Ok(SubjectRef(bytes))
}

/// Writes those of `new` that [`Score::against`] what stands would accept, and says how many that
/// were: no subject twice (a statement can't touch a row twice).
///
/// The database compares, in the statement that writes: two feeds may be at it, and a feed that
/// compared before writing would put an older observation over a newer one.
pub fn upsert_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: &[(SubjectRef, Score)],
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let mut new: Vec<_> = new.iter().collect();
    // One order for everyone: two feeds that lock the same rows in two orders would deadlock.
    new.sort_unstable_by_key(|(subject, _)| *subject);
    let written = match conn {
        AnyConnection::Postgres(conn) => upsert_postgres(conn, merchant, source, &new, now)?,
        AnyConnection::Sqlite(conn) => upsert_sqlite(conn, merchant, source, &new, now)?,
    };
    Ok(written)
}

/// All rows as three arrays: the statement is short and has one shape, whatever their number. (A
/// list of a thousand rows took ten times as long.)
fn upsert_postgres(
    conn: &mut PgConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: &[&(SubjectRef, Score)],
    now: Timestamp,
) -> QueryResult<usize> {
    use diesel::sql_types::Array;

    let subjects: Vec<_> = new.iter().map(|(subject, _)| &subject.0[..]).collect();
    let values: Vec<_> = new.iter().map(|(_, score)| score.value.thousandths()).collect();
    let times: Vec<_> = new.iter().map(|(_, score)| score.observed_at.as_microsecond()).collect();
    diesel::sql_query(
        "INSERT INTO scores (merchant_id, source, subject_ref, value, observed_at, recorded_at) \
         SELECT $1, $2, new.subject_ref, new.value, new.observed_at, $6 \
         FROM unnest($3, $4, $5) AS new (subject_ref, value, observed_at) \
         ON CONFLICT (merchant_id, source, subject_ref) DO UPDATE \
         SET value = excluded.value, observed_at = excluded.observed_at, recorded_at = excluded.recorded_at \
         WHERE excluded.observed_at > scores.observed_at \
         OR (excluded.observed_at = scores.observed_at AND excluded.value <> scores.value)",
    )
    .bind::<Text, _>(merchant.as_str())
    .bind::<Text, _>(source.as_str())
    .bind::<Array<Binary>, _>(subjects)
    .bind::<Array<BigInt>, _>(values)
    .bind::<Array<BigInt>, _>(times)
    .bind::<BigInt, _>(now.as_microsecond())
    .execute(conn)
}

/// One prepared statement, run for each row: nothing goes over a wire.
fn upsert_sqlite(
    conn: &mut SqliteConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: &[&(SubjectRef, Score)],
    now: Timestamp,
) -> QueryResult<usize> {
    let mut written = 0;
    for (subject, score) in new {
        let upsert = SqliteUpsert {
            merchant: merchant.as_str(),
            source: source.as_str(),
            subject: &subject.0,
            value: score.value.thousandths(),
            observed_at: score.observed_at.as_microsecond(),
            recorded_at: now.as_microsecond(),
        };
        written += upsert.execute(conn)?;
    }
    Ok(written)
}

/// The upsert of one score. By hand, because diesel prepares a statement of its own with `ON CONFLICT` again each
/// time, which took four times as long as the writing.
struct SqliteUpsert<'a> {
    merchant: &'a str,
    source: &'a str,
    subject: &'a [u8],
    value: i64,
    observed_at: i64,
    recorded_at: i64,
}

/// The text is always the same, so it is prepared once a connection.
impl QueryId for SqliteUpsert<'_> {
    type QueryId = SqliteUpsert<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Sqlite> for SqliteUpsert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO scores (merchant_id, source, subject_ref, value, observed_at, recorded_at) VALUES (");
        out.push_bind_param::<Text, _>(&self.merchant)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.source)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(&self.subject)?;
        for number in [&self.value, &self.observed_at, &self.recorded_at] {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(number)?;
        }
        out.push_sql(
            ") ON CONFLICT (merchant_id, source, subject_ref) DO UPDATE \
             SET value = excluded.value, observed_at = excluded.observed_at, recorded_at = excluded.recorded_at \
             WHERE excluded.observed_at > scores.observed_at \
             OR (excluded.observed_at = scores.observed_at AND excluded.value <> scores.value)",
        );
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for SqliteUpsert<'_> {}

/// Removes the score; whether there was one.
pub fn delete_score(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRef,
) -> Result<bool, DatabaseError> {
    let deleted =
        diesel::delete(scores::table.find((merchant.as_str(), source.as_str(), &subject.0[..]))).execute(conn)?;
    Ok(deleted > 0)
}

/// A source that the merchant made; the built-in one has no row.
pub fn find_source(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    name: &SourceName,
) -> Result<Option<Source>, DatabaseError> {
    let row: Option<SourceRow> = sources::table
        .find((merchant.as_str(), name.as_str()))
        .select(SourceRow::as_select())
        .first(conn)
        .optional()?;
    row.map(|row| with_graces(conn, merchant, row)).transpose()
}

fn with_graces(conn: &mut AnyConnection, merchant: &MerchantId, row: SourceRow) -> Result<Source, DatabaseError> {
    let source = Source::try_from(row)?;
    let graces = if source.model.is_some() { graces::list(conn, merchant, &source.name)? } else { Vec::new() };
    Ok(Source { graces, ..source })
}

/// The sources that the merchant made, by name.
pub fn list_sources(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<Source>, DatabaseError> {
    let rows: Vec<SourceRow> = sources::table
        .filter(sources::merchant_id.eq(merchant.as_str()))
        .order(sources::name)
        .select(SourceRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| with_graces(conn, merchant, row)).collect()
}

/// Adds a source.
///
/// # Errors
/// [`DatabaseError::Duplicate`] when the merchant has one of that name.
pub fn insert_source(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &Source,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    diesel::insert_into(sources::table)
        .values((
            sources::merchant_id.eq(merchant.as_str()),
            sources::name.eq(source.name.as_str()),
            sources::minimum.eq(source.minimum.thousandths()),
            sources::maximum.eq(source.maximum.thousandths()),
            sources::refresh_seconds.eq(source.refresh.map(Period::seconds)),
            sources::created_at.eq(now.as_microsecond()),
            sources::kind.eq(source.kind.as_str()),
            sources::model.eq(source.model.as_deref()),
        ))
        .execute(conn)?;
    Ok(())
}
