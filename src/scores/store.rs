//! Scores and sources in the database.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::Timestamp;

use crate::clock::from_micros;
use crate::database::schema::{scores, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::decimal::Decimal;
use crate::ids::{MerchantId, SourceName};
use crate::subject::SubjectRef;

use super::score::{Score, Source};

/// The most rows one statement writes or asks for: six binds each, and SQLite takes 32,766.
pub const MAX_ROWS: usize = 1_000;

#[derive(Insertable)]
#[diesel(table_name = scores, treat_none_as_default_value = false)]
struct NewScoreRow<'a> {
    merchant_id: &'a str,
    source: &'a str,
    subject_ref: &'a [u8],
    value: i64,
    observed_at: i64,
    recorded_at: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sources)]
struct SourceRow {
    name: String,
    minimum: i64,
    maximum: i64,
}

impl TryFrom<SourceRow> for Source {
    type Error = DatabaseError;

    fn try_from(row: SourceRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            name: row.name.parse().map_err(|e| DatabaseError::corrupt("source name", e))?,
            minimum: Decimal::from_thousandths(row.minimum),
            maximum: Decimal::from_thousandths(row.maximum),
        })
    }
}

fn score((value, observed_at): (i64, i64)) -> Score {
    Score { value: Decimal::from_thousandths(value), observed_at: from_micros(observed_at) }
}

/// The score that stands, if one does.
pub fn find_score(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRef,
) -> Result<Option<Score>, DatabaseError> {
    let row = scores::table
        .find((merchant.as_str(), source.as_str(), &subject.0[..]))
        .select((scores::value, scores::observed_at))
        .first::<(i64, i64)>(conn)
        .optional()?;
    Ok(row.map(score))
}

/// The scores that stand for any of `subjects`, at most [`MAX_ROWS`] of them.
pub fn list_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subjects: &[SubjectRef],
) -> Result<HashMap<SubjectRef, Score>, DatabaseError> {
    let rows = scores::table
        .filter(scores::merchant_id.eq(merchant.as_str()))
        .filter(scores::source.eq(source.as_str()))
        .filter(scores::subject_ref.eq_any(subjects.iter().map(|subject| &subject.0[..])))
        .select((scores::subject_ref, (scores::value, scores::observed_at)))
        .load::<(Vec<u8>, (i64, i64))>(conn)?;
    rows.into_iter()
        .map(|(subject, row)| {
            let subject = subject.try_into().map_err(|bytes: Vec<u8>| {
                DatabaseError::corrupt("subject reference", format!("{} bytes", bytes.len()))
            })?;
            Ok((SubjectRef(subject), score(row)))
        })
        .collect()
}

/// Writes those of `new` that [`Score::against`] what stands would accept, and says how many that
/// were: at most [`MAX_ROWS`], no subject twice (a statement can't touch a row twice).
///
/// The database compares, in the statement that writes: two feeds may be at it, and whoever
/// compared before writing would put an older observation over a newer one.
pub fn upsert_scores(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: &[(SubjectRef, Score)],
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    use diesel::query_dsl::methods::FilterDsl as _;
    use diesel::upsert::excluded;

    let mut rows: Vec<_> = new
        .iter()
        .map(|(subject, score)| NewScoreRow {
            merchant_id: merchant.as_str(),
            source: source.as_str(),
            subject_ref: &subject.0,
            value: score.value.thousandths(),
            observed_at: score.observed_at.as_microsecond(),
            recorded_at: now.as_microsecond(),
        })
        .collect();
    // One order for everyone: two feeds that lock the same rows in two orders would deadlock.
    rows.sort_unstable_by_key(|row| row.subject_ref);
    macro_rules! upsert {
        ($conn:expr, $values:expr) => {
            diesel::insert_into(scores::table)
                .values($values)
                .on_conflict((scores::merchant_id, scores::source, scores::subject_ref))
                .do_update()
                .set((
                    scores::value.eq(excluded(scores::value)),
                    scores::observed_at.eq(excluded(scores::observed_at)),
                    scores::recorded_at.eq(excluded(scores::recorded_at)),
                ))
                .filter(
                    excluded(scores::observed_at).gt(scores::observed_at).or(excluded(scores::observed_at)
                        .eq(scores::observed_at)
                        .and(excluded(scores::value).ne(scores::value))),
                )
                .execute($conn)
        };
    }
    // diesel has no rows-at-once upsert with a condition for SQLite. There, one prepared statement
    // run for each row is as fast: nothing goes over a wire.
    let written = match conn {
        AnyConnection::Postgres(conn) => upsert!(conn, &rows)?,
        AnyConnection::Sqlite(conn) => {
            let mut written = 0;
            for row in &rows {
                written += upsert!(conn, row)?;
            }
            written
        }
    };
    Ok(written)
}

/// Removes the score; whether there was one.
pub fn delete_score(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRef,
) -> Result<bool, DatabaseError> {
    let gone =
        diesel::delete(scores::table.find((merchant.as_str(), source.as_str(), &subject.0[..]))).execute(conn)?;
    Ok(gone > 0)
}

/// A source that the merchant made; the built-in one has no row.
pub fn find_source(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    name: &SourceName,
) -> Result<Option<Source>, DatabaseError> {
    sources::table
        .find((merchant.as_str(), name.as_str()))
        .select(SourceRow::as_select())
        .first(conn)
        .optional()?
        .map(TryInto::try_into)
        .transpose()
}

/// The sources that the merchant made, by name.
pub fn list_sources(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<Source>, DatabaseError> {
    sources::table
        .filter(sources::merchant_id.eq(merchant.as_str()))
        .order(sources::name)
        .select(SourceRow::as_select())
        .load(conn)?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
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
            sources::created_at.eq(now.as_microsecond()),
        ))
        .execute(conn)?;
    Ok(())
}
