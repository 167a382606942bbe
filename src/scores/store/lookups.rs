//! Look-ups of single scores.

use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Text};

use super::score;
use crate::database::schema::scores;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::{SubjectRef, SubjectRefs};
use crate::scores::memory::ScoreKey;
use crate::scores::score::Score;
use crate::statement_of_columns;

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

/// True if a score stands; it is held until the transaction ends: nobody deletes it meanwhile.
pub fn hold_score(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRef,
) -> Result<bool, DatabaseError> {
    macro_rules! query {
        () => {
            scores::table.find((merchant.as_str(), source.as_str(), &subject.0[..])).select(scores::value)
        };
    }
    let found: Option<i64> = match conn {
        AnyConnection::Postgres(c) => query!().for_share().first(c).optional()?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().first(c).optional()?,
    };
    Ok(found.is_some())
}

/// The score that stands for a person, under the first of their references that has one.
pub fn find_current(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    subject: &SubjectRefs,
) -> Result<Option<Score>, DatabaseError> {
    for reference in subject.in_order() {
        let found = find_score(conn, merchant, source, &reference)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// For each of `keys` the score that stands, if one does.
pub fn find_scores(conn: &mut AnyConnection, keys: &[&ScoreKey]) -> Result<Vec<Option<Score>>, DatabaseError> {
    let AnyConnection::Postgres(conn) = conn else {
        // No round trips, and each is prepared already.
        return keys.iter().map(|key| find_score(conn, &key.merchant, &key.source, &key.subject)).collect();
    };
    let rows: Vec<(i64, i64, i64)> = FindScores::of(keys).load(conn)?;
    let mut found = vec![None; keys.len()];
    for (nth, value, observed_at) in rows {
        let at = usize::try_from(nth).ok().and_then(|nth| found.get_mut(nth.checked_sub(1)?));
        *at.ok_or_else(|| DatabaseError::corrupt("row of a score", nth))? = Some(score((value, observed_at)));
    }
    Ok(found)
}

statement_of_columns! {
    FindScores, |key: &'a ScoreKey|
    "SELECT wanted.nth, found.value, found.observed_at FROM unnest(" [
        merchants: Text = key.merchant.as_str(),
        sources: Text = key.source.as_str(),
        subjects: Binary = key.subject.0.as_slice(),
    ] ") WITH ORDINALITY AS wanted (merchant_id, source, subject_ref, nth) CROSS JOIN LATERAL (SELECT * FROM scores \
       WHERE scores.merchant_id = wanted.merchant_id AND scores.source = wanted.source \
       AND scores.subject_ref = wanted.subject_ref OFFSET 0) AS found"
}

impl Query for FindScores<'_> {
    type SqlType = (BigInt, BigInt, BigInt);
}
