//! Who is to be computed by when: one row for a person and computed source, with the first day on which the score may be
//! another. `turn` moves on with every new signal, so that a run that has not seen one leaves the row as it is.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text};
use jiff::Timestamp;

use crate::database::schema::{enrolments, score_due, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::score::SourceKind;
use crate::scoring::observation::day_of;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The most people who are made due in one transaction.
const MARKED_AT_ONCE: i64 = 2_000;

/// Makes these people due today, for all computed sources of the merchant. `subjects` are sorted: everyone locks in one
/// order.
pub(in crate::scores) fn mark_due(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
    now: Timestamp,
) -> Result<()> {
    let (day, turn) = (day_of(now), now.as_microsecond());
    match conn {
        AnyConnection::Postgres(conn) => {
            let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
            diesel::sql_query(
                "INSERT INTO score_due (merchant_id, source, subject_ref, day, turn) \
                 SELECT $1, sources.name, who.subject_ref, $2, $3 FROM sources CROSS JOIN unnest($4) AS who (subject_ref) \
                 WHERE sources.merchant_id = $1 AND sources.kind = 'computed' ORDER BY sources.name, who.subject_ref \
                 ON CONFLICT (merchant_id, source, subject_ref) \
                 DO UPDATE SET day = LEAST(score_due.day, excluded.day), turn = score_due.turn + 1",
            )
            .bind::<Text, _>(merchant.as_str())
            .bind::<BigInt, _>(day)
            .bind::<BigInt, _>(turn)
            .bind::<Array<Binary>, _>(subjects)
            .execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            for subject in subjects {
                diesel::sql_query(
                    "INSERT INTO score_due (merchant_id, source, subject_ref, day, turn) \
                     SELECT merchant_id, name, $1, $2, $3 FROM sources WHERE merchant_id = $4 AND kind = 'computed' \
                     ON CONFLICT (merchant_id, source, subject_ref) \
                     DO UPDATE SET day = min(score_due.day, excluded.day), turn = score_due.turn + 1",
                )
                .bind::<Binary, _>(&subject.0[..])
                .bind::<BigInt, _>(day)
                .bind::<BigInt, _>(turn)
                .bind::<Text, _>(merchant.as_str())
                .execute(conn)?;
            }
        }
    }
    Ok(())
}

/// Notes that everyone who is enrolled is to be made due, for one computed source of the merchant or for all; how many sources
/// that are. They may be millions, so `mark_some_due` does it, in pieces.
pub(in crate::scores) fn begin_all_due(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: Option<&SourceName>,
) -> Result<usize> {
    let of_merchant = sources::merchant_id.eq(merchant.as_str()).and(sources::kind.eq(SourceKind::Computed.as_str()));
    let begin = sources::due_after.eq(&[][..]);
    Ok(match source {
        Some(source) => {
            let one = sources::table.filter(of_merchant).filter(sources::name.eq(source.as_str()));
            diesel::update(one).set(begin).execute(conn)?
        }
        None => diesel::update(sources::table.filter(of_merchant)).set(begin).execute(conn)?,
    })
}

/// Makes the next of those due of whom `begin_all_due` noted that they are to be; false when there are none. Two who do so
/// at one time do no harm.
pub(in crate::scores) fn mark_some_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    now: Timestamp,
) -> Result<bool> {
    let row = sources::table.find((merchant.as_str(), source.as_str()));
    let after: Option<Option<Vec<u8>>> = row.select(sources::due_after).first(conn).optional()?;
    let Some(after) = after.flatten() else { return Ok(false) };
    macro_rules! next {
        () => {
            enrolments::table
                .filter(enrolments::merchant_id.eq(merchant.as_str()).and(enrolments::subject_ref.gt(&after)))
                .order(enrolments::subject_ref)
                .limit(MARKED_AT_ONCE)
                .select(enrolments::subject_ref)
        };
    }
    // Held, so that who is erased meanwhile is not made due afterwards.
    let people: Vec<Vec<u8>> = match conn {
        AnyConnection::Postgres(c) => next!().for_key_share().load(c)?,
        AnyConnection::Sqlite(c) => next!().load(c)?,
    };
    let last = people.last();
    let moved = row.filter(sources::due_after.eq(&after));
    if diesel::update(moved).set(sources::due_after.eq(last)).execute(conn)? == 0 {
        // Another was faster, or it has begun again.
        return Ok(true);
    }
    let Some(last) = last else { return Ok(false) };
    let statement = "INSERT INTO score_due (merchant_id, source, subject_ref, day, turn) \
                     SELECT merchant_id, $1, subject_ref, $2, $3 FROM enrolments \
                     WHERE merchant_id = $4 AND subject_ref > $5 AND subject_ref <= $6 \
                     ORDER BY subject_ref ON CONFLICT (merchant_id, source, subject_ref) \
                     DO UPDATE SET day = excluded.day, turn = score_due.turn + 1";
    crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<Text, _>(source.as_str())
        .bind::<BigInt, _>(day_of(now))
        .bind::<BigInt, _>(now.as_microsecond())
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&after)
        .bind::<Binary, _>(last)
        .execute(c)?);
    Ok(true)
}

/// Nobody is due for a source that doesn't compute; how many people were let go.
pub(in crate::scores) fn delete_some_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
) -> Result<usize> {
    let statement = "DELETE FROM score_due WHERE merchant_id = $1 AND source = $2 AND subject_ref IN \
                     (SELECT subject_ref FROM score_due WHERE merchant_id = $1 AND source = $2 \
                     ORDER BY subject_ref LIMIT $3) AND NOT EXISTS \
                     (SELECT 1 FROM sources WHERE merchant_id = $1 AND name = $2 AND kind = 'computed')";
    Ok(crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(source.as_str())
        .bind::<BigInt, _>(MARKED_AT_ONCE)
        .execute(c)?))
}

/// Nothing is to be computed of the person any more: they are erased. A run that is about to write about them has done so, or
/// writes nothing.
pub(in crate::scores) fn delete_due_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<usize> {
    let theirs = score_due::table
        .filter(score_due::merchant_id.eq(merchant.as_str()))
        .filter(score_due::subject_ref.eq(&subject.0[..]));
    Ok(diesel::delete(theirs).execute(conn)?)
}

/// The number of people who are due by `today`.
pub(in crate::scores) fn count_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    today: i64,
) -> Result<u64> {
    let count: i64 = score_due::table
        .filter(score_due::merchant_id.eq(merchant.as_str()).and(score_due::source.eq(source.as_str())))
        .filter(score_due::day.le(today))
        .count()
        .get_result(conn)?;
    u64::try_from(count).map_err(|e| DatabaseError::corrupt("number of people", e))
}

/// The next of those who are due by `today`, in the order of their references, each with their turn.
pub(in crate::scores) fn list_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    after: &[u8],
    today: i64,
    most: i64,
) -> Result<Vec<(SubjectRef, i64)>> {
    let rows: Vec<(Vec<u8>, i64)> = score_due::table
        .filter(score_due::merchant_id.eq(merchant.as_str()).and(score_due::source.eq(source.as_str())))
        .filter(score_due::subject_ref.gt(after).and(score_due::day.le(today)))
        .order(score_due::subject_ref)
        .limit(most)
        .select((score_due::subject_ref, score_due::turn))
        .load(conn)?;
    rows.into_iter().map(read_turn).collect()
}

fn read_turn((subject, turn): (Vec<u8>, i64)) -> Result<(SubjectRef, i64)> {
    let bytes = subject.try_into().map_err(|_| DatabaseError::corrupt("subject reference", "its length"))?;
    Ok((SubjectRef(bytes), turn))
}

/// The turns of these people, held until the transaction ends: none of them is erased meanwhile, and no signal of theirs is
/// written.
pub(in crate::scores) fn hold_turns(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    subjects: &[SubjectRef],
) -> Result<HashMap<SubjectRef, i64>> {
    let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
    macro_rules! query {
        () => {
            score_due::table
                .filter(score_due::merchant_id.eq(merchant.as_str()).and(score_due::source.eq(source.as_str())))
                .filter(score_due::subject_ref.eq_any(subjects))
                .order(score_due::subject_ref)
                .select((score_due::subject_ref, score_due::turn))
        };
    }
    let rows: Vec<(Vec<u8>, i64)> = match conn {
        AnyConnection::Postgres(c) => query!().for_update().load(c)?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().load(c)?,
    };
    rows.into_iter().map(read_turn).collect()
}

/// Makes a person due on another day, or on none.
pub(in crate::scores) fn set_due(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    subject: &SubjectRef,
    day: Option<i64>,
) -> Result<()> {
    let row = score_due::table.find((merchant.as_str(), source.as_str(), &subject.0[..]));
    match day {
        Some(day) => diesel::update(row).set(score_due::day.eq(day)).execute(conn)?,
        None => diesel::delete(row).execute(conn)?,
    };
    Ok(())
}
