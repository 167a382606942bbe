//! Histories of scores in the database.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text};
use jiff::Timestamp;

use super::Stretch;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{score_history, scores, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::{SubjectRef, SubjectRefs};
use crate::scores::score::SourceKind;
use crate::scoring::observation::day_of;
use crate::statement_of_rows;

type Result<T> = std::result::Result<T, DatabaseError>;

struct Wanted {
    merchant: String,
    source: String,
    subject: Vec<u8>,
    today: i64,
}

statement_of_rows! {
    KeepHistory, Wanted,
    "WITH wanted (merchant_id, source, subject_ref, today) AS (VALUES "
    [merchant: Text, source: Text, subject: Binary, today: BigInt]
    ") INSERT INTO score_history (merchant_id, source, subject_ref, first_day, last_day, value) \
     SELECT old.merchant_id, old.source, old.subject_ref, old.recorded_at / 86400000000, wanted.today - 1, old.value \
     FROM wanted CROSS JOIN scores AS old WHERE old.merchant_id = wanted.merchant_id AND old.source = wanted.source \
     AND old.subject_ref = wanted.subject_ref AND old.recorded_at < wanted.today * 86400000000 ON CONFLICT (merchant_id, source, subject_ref, first_day) \
     DO UPDATE SET last_day = excluded.last_day, value = excluded.value"
}

/// Keeps the scores that stood at the end of a day before `now`'s, ahead of what is written or deleted in the same transaction.
/// The days of one that is then sent unchanged grow by the next call.
/// `subjects` are sorted: their rows are locked, so that an erasure of one of them finds what is kept here.
pub(in crate::scores) fn keep(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    subjects: &[&SubjectRef],
    now: Timestamp,
) -> Result<()> {
    let today = day_of(now);
    match conn {
        AnyConnection::Postgres(conn) => {
            let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
            diesel::sql_query(
                "INSERT INTO score_history (merchant_id, source, subject_ref, first_day, last_day, value) \
                 SELECT $1, $2, old.subject_ref, old.recorded_at / 86400000000, $4 - 1, old.value \
                 FROM unnest($3) AS wanted (subject_ref) CROSS JOIN LATERAL (SELECT subject_ref, value, recorded_at \
                 FROM scores WHERE merchant_id = $1 AND source = $2 AND subject_ref = wanted.subject_ref \
                 AND recorded_at < $4 * 86400000000 LIMIT 1 FOR UPDATE) AS old ON CONFLICT (merchant_id, source, subject_ref, first_day) \
     DO UPDATE SET last_day = excluded.last_day, value = excluded.value",
            )
            .bind::<Text, _>(merchant.as_str())
            .bind::<Text, _>(source.as_str())
            .bind::<Array<Binary>, _>(subjects)
            .bind::<BigInt, _>(today)
            .execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            let row = |subject: &&SubjectRef| Wanted {
                merchant: merchant.as_str().to_owned(),
                source: source.as_str().to_owned(),
                subject: subject.0.to_vec(),
                today,
            };
            let rows: Vec<Wanted> = subjects.iter().map(row).collect();
            for some in in_powers_of_two(&rows) {
                KeepHistory(some).execute(conn)?;
            }
        }
    }
    Ok(())
}

/// The values that the person's score had, with the one that stands until `today`: under the former form of their handle too.
pub(super) fn list(
    conn: &mut AnyConnection,
    of: (&MerchantId, &SourceName),
    subject: &SubjectRefs,
    today: i64,
) -> Result<Vec<Stretch>> {
    let mut stretches = Vec::new();
    // The former first: of two that began on one day the later in this list stands.
    let references: Vec<SubjectRef> = subject.in_order().collect();
    for reference in references.iter().rev() {
        stretches.extend(list_kept(conn, of, reference)?);
        let stands: Option<(i64, i64)> = scores::table
            .find((of.0.as_str(), of.1.as_str(), &reference.0[..]))
            .select((scores::recorded_at, scores::value))
            .first(conn)
            .optional()?;
        stretches.extend(stands.map(|(at, value)| stretch((day_of(from_micros(at)), today, value))));
    }
    Ok(stretches)
}

/// The values that were kept under one reference, the earliest first.
pub(in crate::scores) fn list_kept(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    subject: &SubjectRef,
) -> Result<Vec<Stretch>> {
    let kept: Vec<(i64, i64, i64)> = score_history::table
        .filter(score_history::merchant_id.eq(merchant.as_str()).and(score_history::source.eq(source.as_str())))
        .filter(score_history::subject_ref.eq(&subject.0[..]))
        .order(score_history::first_day)
        .select((score_history::first_day, score_history::last_day, score_history::value))
        .load(conn)?;
    Ok(kept.into_iter().map(stretch).collect())
}

fn stretch((first_day, last_day, value): (i64, i64, i64)) -> Stretch {
    Stretch { first_day, last_day, value: Decimal::from_thousandths(value) }
}

/// Deletes the person's history from a source; true if there was any.
pub(in crate::scores) fn delete(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRef,
) -> Result<bool> {
    let theirs = score_history::table
        .filter(score_history::merchant_id.eq(merchant.as_str()).and(score_history::source.eq(source.as_str())))
        .filter(score_history::subject_ref.eq(&subject.0[..]));
    Ok(diesel::delete(theirs).execute(conn)? > 0)
}

/// Deletes the person's history from all computed sources, as they are scored no more.
pub(in crate::scores) fn delete_computed(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<()> {
    let computed: Vec<String> = sources::table
        .filter(sources::merchant_id.eq(merchant.as_str()).and(sources::kind.eq(SourceKind::Computed.as_str())))
        .select(sources::name)
        .load(conn)?;
    for name in computed {
        let source = name.parse().map_err(|e| DatabaseError::corrupt("source name", e))?;
        delete(conn, merchant, &source, subject)?;
    }
    Ok(())
}

/// Deletes what ended before `day`, up to `most` rows; how many there were. Two who do so at one time don't wait for each
/// other.
pub(super) fn delete_outlived(conn: &mut AnyConnection, day: i64, most: i64) -> Result<usize> {
    let lock = match conn {
        AnyConnection::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        AnyConnection::Sqlite(_) => "",
    };
    let delete = diesel::sql_query(format!(
        "DELETE FROM score_history WHERE (merchant_id, source, subject_ref, first_day) IN \
         (SELECT merchant_id, source, subject_ref, first_day FROM score_history WHERE last_day < $1 LIMIT $2{lock})"
    ));
    let delete = delete.bind::<BigInt, _>(day).bind::<BigInt, _>(most);
    Ok(crate::on_either!(conn, |c| delete.execute(c)?))
}
