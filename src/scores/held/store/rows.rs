//! The scores of feeds that are held.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};

use super::Result;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{held_feeds, held_scores};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{HeldFeedId, MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::held::guard::{Guard, Moves};
use crate::scores::score::Score;
use crate::statement_of_rows;

/// A feed of a merchant.
pub(in crate::scores) type Of<'a> = (&'a MerchantId, &'a HeldFeedId);

struct HeldRow {
    merchant: String,
    feed: String,
    subject: Vec<u8>,
    value: i64,
    observed_at: i64,
}

statement_of_rows! {
    KeepHeld, HeldRow,
    "INSERT INTO held_scores (merchant_id, feed, subject_ref, value, observed_at) VALUES "
    [merchant: Text, feed: Text, subject: Binary, value: BigInt, observed_at: BigInt]
    " ON CONFLICT (merchant_id, feed, subject_ref) DO UPDATE SET value = excluded.value, observed_at = excluded.observed_at"
}

/// Keeps scores with the feed, over those that it had of the same people: no person twice.
pub(in crate::scores) fn upsert(
    conn: &mut AnyConnection,
    (merchant, feed): Of<'_>,
    new: &[(SubjectRef, Score)],
) -> Result<()> {
    match conn {
        AnyConnection::Postgres(conn) => {
            let subjects: Vec<_> = new.iter().map(|(subject, _)| &subject.0[..]).collect();
            let values: Vec<_> = new.iter().map(|(_, score)| score.value.thousandths()).collect();
            let times: Vec<_> = new.iter().map(|(_, score)| score.observed_at.as_microsecond()).collect();
            diesel::sql_query(
                "INSERT INTO held_scores (merchant_id, feed, subject_ref, value, observed_at) \
                 SELECT $1, $2, new.subject_ref, new.value, new.observed_at \
                 FROM unnest($3, $4, $5) AS new (subject_ref, value, observed_at) \
                 ON CONFLICT (merchant_id, feed, subject_ref) \
                 DO UPDATE SET value = excluded.value, observed_at = excluded.observed_at",
            )
            .bind::<Text, _>(merchant.as_str())
            .bind::<Text, _>(feed.as_str())
            .bind::<Array<Binary>, _>(subjects)
            .bind::<Array<BigInt>, _>(values)
            .bind::<Array<BigInt>, _>(times)
            .execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            let row = |(subject, score): &(SubjectRef, Score)| HeldRow {
                merchant: merchant.as_str().to_owned(),
                feed: feed.as_str().to_owned(),
                subject: subject.0.to_vec(),
                value: score.value.thousandths(),
                observed_at: score.observed_at.as_microsecond(),
            };
            let rows: Vec<HeldRow> = new.iter().map(row).collect();
            for some in in_powers_of_two(&rows) {
                KeepHeld(some).execute(conn)?;
            }
        }
    }
    Ok(())
}

fn read((subject, value, observed_at): (Vec<u8>, i64, i64)) -> Result<(SubjectRef, Score)> {
    let bytes = subject.try_into().map_err(|_| DatabaseError::corrupt("subject reference", "its length"))?;
    let score = Score { value: Decimal::from_thousandths(value), observed_at: from_micros(observed_at) };
    Ok((SubjectRef(bytes), score))
}

/// The scores that the feed has of these people so far: some thousands of them at most.
pub(in crate::scores) fn list_of(
    conn: &mut AnyConnection,
    (merchant, feed): Of<'_>,
    subjects: &[SubjectRef],
) -> Result<HashMap<SubjectRef, Score>> {
    let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
    let rows: Vec<(Vec<u8>, i64, i64)> = held_scores::table
        .filter(held_scores::merchant_id.eq(merchant.as_str()).and(held_scores::feed.eq(feed.as_str())))
        .filter(held_scores::subject_ref.eq_any(subjects))
        .select((held_scores::subject_ref, held_scores::value, held_scores::observed_at))
        .load(conn)?;
    rows.into_iter().map(read).collect()
}

/// The first of the feed's scores in the order of their keys, held until the transaction ends.
pub(in crate::scores) fn lock_first(
    conn: &mut AnyConnection,
    (merchant, feed): Of<'_>,
    most: i64,
) -> Result<Vec<(SubjectRef, Score)>> {
    macro_rules! query {
        () => {
            held_scores::table
                .filter(held_scores::merchant_id.eq(merchant.as_str()).and(held_scores::feed.eq(feed.as_str())))
                .order(held_scores::subject_ref)
                .limit(most)
                .select((held_scores::subject_ref, held_scores::value, held_scores::observed_at))
        };
    }
    let rows: Vec<(Vec<u8>, i64, i64)> = match conn {
        AnyConnection::Postgres(c) => query!().for_update().load(c)?,
        AnyConnection::Sqlite(c) => query!().load(c)?,
    };
    rows.into_iter().map(read).collect()
}

/// Deletes the feed's scores up to this person's.
pub(in crate::scores) fn delete_until(
    conn: &mut AnyConnection,
    (merchant, feed): Of<'_>,
    last: &SubjectRef,
) -> Result<()> {
    let first = held_scores::table
        .filter(held_scores::merchant_id.eq(merchant.as_str()).and(held_scores::feed.eq(feed.as_str())))
        .filter(held_scores::subject_ref.le(&last.0[..]));
    diesel::delete(first).execute(conn)?;
    Ok(())
}

/// Deletes what feeds hold of a person, who is erased; true if they held anything.
pub(in crate::scores) fn delete_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<bool> {
    let feeds: Vec<String> =
        held_feeds::table.filter(held_feeds::merchant_id.eq(merchant.as_str())).select(held_feeds::id).load(conn)?;
    let mut deleted = 0;
    // One by one, by the primary key: there are never many, and an index of people would slow every feed down.
    for feed in feeds {
        let row = held_scores::table.find((merchant.as_str(), feed, &subject.0[..]));
        deleted += diesel::delete(row).execute(conn)?;
    }
    Ok(deleted > 0)
}

#[derive(QueryableByName)]
struct MovedRow {
    #[diesel(sql_type = BigInt)]
    up: i64,
    #[diesel(sql_type = BigInt)]
    down: i64,
    #[diesel(sql_type = BigInt)]
    largest: i64,
}

#[derive(QueryableByName)]
struct CommonRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
    #[diesel(sql_type = BigInt)]
    people: i64,
}

/// The parts into which the people of a feed fall, by the first byte of their references: these are keyed hashes.
pub(in crate::scores) const PARTS: usize = 256;

/// The feed's scores of one part beside those that stand. The points are the first parameter: SQLite counts them as they
/// come in the text. On PostgreSQL each is looked up by the primary key, whatever the
/// server knows of the tables.
fn beside(conn: &AnyConnection) -> &'static str {
    match conn {
        AnyConnection::Postgres(_) => {
            "FROM held_scores AS h CROSS JOIN LATERAL (SELECT value FROM scores WHERE merchant_id = $2 AND source = $3 \
             AND subject_ref = h.subject_ref AND observed_at <= h.observed_at LIMIT 1) AS s \
             WHERE h.merchant_id = $2 AND h.feed = $4 AND h.subject_ref >= $5 AND ($6 IS NULL OR h.subject_ref < $6)"
        }
        AnyConnection::Sqlite(_) => {
            "FROM held_scores AS h CROSS JOIN scores AS s ON s.merchant_id = $2 AND s.source = $3 \
             AND s.subject_ref = h.subject_ref AND s.observed_at <= h.observed_at \
             WHERE h.merchant_id = $2 AND h.feed = $4 AND h.subject_ref >= $5 AND ($6 IS NULL OR h.subject_ref < $6)"
        }
    }
}

/// The bytes with which a part begins, and with which the next does; none behind the last.
fn bounds(first: usize, behind: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let byte = |part: usize| u8::try_from(part).ok().map(|byte| vec![byte]);
    (byte(first).unwrap_or_default(), byte(behind))
}

/// How the feed moves the people of the parts from `first` to before `behind`; whom it compares is counted elsewhere.
pub(in crate::scores) fn moves_of_parts(
    conn: &mut AnyConnection,
    source: &SourceName,
    (merchant, feed): Of<'_>,
    guard: &Guard,
    (first, behind): (usize, usize),
) -> Result<Moves> {
    let statement = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN h.value - s.value > $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS up, \
         CAST(COALESCE(SUM(CASE WHEN s.value - h.value > $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS down, \
         CAST(COALESCE(MAX(ABS(h.value - s.value)), 0) AS BIGINT) AS largest {}",
        beside(conn)
    );
    let (from, to) = bounds(first, behind);
    let row: MovedRow = crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<BigInt, _>(guard.points.thousandths())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(source.as_str())
        .bind::<Text, _>(feed.as_str())
        .bind::<Binary, _>(from)
        .bind::<Nullable<Binary>, _>(to)
        .get_result(c)?);
    let whole = |number: i64| u64::try_from(number).map_err(|e| DatabaseError::corrupt("moves of a feed", e));
    let largest = Decimal::from_thousandths(row.largest);
    Ok(Moves { compared: 0, up: whole(row.up)?, down: whole(row.down)?, largest, common: None })
}

/// The score that most of those would have whom the feed moves, and how many they are.
pub(in crate::scores) fn most_common(
    conn: &mut AnyConnection,
    source: &SourceName,
    (merchant, feed): Of<'_>,
    guard: &Guard,
) -> Result<Option<(Decimal, u64)>> {
    let statement = format!(
        "SELECT x.value AS value, COUNT(*) AS people FROM (SELECT h.value AS value, ABS(h.value - s.value) - $1 AS beyond {}) \
         AS x WHERE x.beyond > 0 GROUP BY x.value ORDER BY people DESC, x.value LIMIT 1",
        beside(conn)
    );
    let row: Option<CommonRow> = crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<BigInt, _>(guard.points.thousandths())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(source.as_str())
        .bind::<Text, _>(feed.as_str())
        .bind::<Binary, _>(Vec::<u8>::new())
        .bind::<Nullable<Binary>, _>(None::<Vec<u8>>)
        .get_result(c)
        .optional()?);
    let read = |row: CommonRow| {
        let people = u64::try_from(row.people).map_err(|e| DatabaseError::corrupt("moves of a feed", e))?;
        Ok((Decimal::from_thousandths(row.value), people))
    };
    row.map(read).transpose()
}
