//! Models, and the scores that a run writes.
//!
//! - `due`: who is to be computed by when; `gathering`: their signals, grouped in the database (`gather.sql`)
//! - `lease`: one run of a source at a time

pub(in crate::scores) mod due;
pub mod gathering;
pub(in crate::scores) mod lease;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text};
use jiff::Timestamp;

use super::Models;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{models, score_due, scores, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectRef;
use crate::scores::score::Score;
use crate::scoring::model::Model;
use crate::scoring::observation::day_of;
use crate::statement_of_rows;

type Result<T> = std::result::Result<T, DatabaseError>;

/// Keeps a model of the merchant under its hash; one that is there is the same.
pub(in crate::scores) fn insert_model(conn: &mut AnyConnection, merchant: &MerchantId, model: &Model) -> Result<()> {
    let row = (
        models::merchant_id.eq(merchant.as_str()),
        models::hash.eq(model.hash()),
        models::body.eq(model.to_json().canonical()),
    );
    crate::on_either!(conn, |c| diesel::insert_into(models::table).values(row).on_conflict_do_nothing().execute(c)?);
    Ok(())
}

/// A model of the merchant.
pub(in crate::scores) fn find_model(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    hash: &str,
) -> Result<Option<Model>> {
    let body: Option<String> =
        models::table.find((merchant.as_str(), hash)).select(models::body).first(conn).optional()?;
    body.map(|body| read_model(hash, &body)).transpose()
}

/// The models by which a source computes at `now`; none for one that doesn't compute.
pub(in crate::scores) fn find_models_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    now: Timestamp,
) -> Result<Option<Models>> {
    type Row = (Option<String>, Option<String>, Option<i64>);
    let row: Option<Row> = sources::table
        .find((merchant.as_str(), source.as_str()))
        .select((sources::model, sources::grace_model, sources::grace_until))
        .first(conn)
        .optional()?;
    let Some((Some(current), before, until)) = row else { return Ok(None) };
    let mut find = |hash: &str| {
        find_model(conn, merchant, hash)?.ok_or_else(|| DatabaseError::corrupt("model", "there is none of its hash"))
    };
    let before = before.filter(|_| until.is_some_and(|until| until > now.as_microsecond()));
    Ok(Some(Models { current: find(&current)?, before: before.map(|hash| find(&hash)).transpose()? }))
}

/// The source computes by this model, and until then by the one before too.
pub(super) fn set_model(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    hash: &str,
    grace_until: Option<Timestamp>,
) -> Result<()> {
    let row = sources::table.find((merchant.as_str(), source.as_str()));
    let until = grace_until.map(Timestamp::as_microsecond);
    let new = (sources::model.eq(hash), sources::grace_until.eq(until));
    if until.is_some() {
        diesel::update(row).set((sources::grace_model.eq(sources::model), new)).execute(conn)?;
    } else {
        diesel::update(row).set((sources::grace_model.eq(None::<String>), new)).execute(conn)?;
    }
    Ok(())
}

/// Ends a grace that is over: everyone is due, as the model before counts no more.
pub(in crate::scores) fn end_grace(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    now: Timestamp,
) -> Result<()> {
    let over = sources::table
        .filter(sources::merchant_id.eq(merchant.as_str()).and(sources::name.eq(source.as_str())))
        .filter(sources::grace_until.le(now.as_microsecond()));
    let none = (sources::grace_model.eq(None::<String>), sources::grace_until.eq(None::<i64>));
    if diesel::update(over).set(none).execute(conn)? > 0 {
        due::begin_all_due(conn, merchant, Some(source))?;
    }
    Ok(())
}

/// A stored model is what its hash says, or it computes nothing.
fn read_model(hash: &str, body: &str) -> Result<Model> {
    let json = Json::parse(body).map_err(|e| DatabaseError::corrupt("model", e))?;
    let model = Model::read(&json).map_err(|_| DatabaseError::corrupt("model", "it can't be read"))?;
    if model.hash() == hash { Ok(model) } else { Err(DatabaseError::corrupt("model", "it is not what its hash says")) }
}

/// The sources of all merchants for which anyone is due by `now`, or is still to be made so.
pub(in crate::scores) fn list_due_sources(
    conn: &mut AnyConnection,
    now: Timestamp,
) -> Result<Vec<(MerchantId, SourceName)>> {
    let mut rows: Vec<(String, String)> = score_due::table
        .filter(score_due::day.le(day_of(now)))
        .select((score_due::merchant_id, score_due::source))
        .distinct()
        .load(conn)?;
    let is_over = sources::grace_until.le(now.as_microsecond());
    let begun = sources::table
        .filter(sources::due_after.is_not_null().or(is_over))
        .select((sources::merchant_id, sources::name));
    rows.extend(begun.load::<(String, String)>(conn)?);
    rows.sort_unstable();
    rows.dedup();
    let read = |(merchant, source): (String, String)| {
        let merchant = merchant.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
        Ok((merchant, source.parse().map_err(|e| DatabaseError::corrupt("source name", e))?))
    };
    rows.into_iter().map(read).collect()
}

/// The number of people whose score from the source is below `value`.
pub(in crate::scores) fn count_below(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    value: Decimal,
) -> Result<u64> {
    let count: i64 = scores::table
        .filter(scores::merchant_id.eq(merchant.as_str()).and(scores::source.eq(source.as_str())))
        .filter(scores::value.lt(value.thousandths()))
        .count()
        .get_result(conn)?;
    u64::try_from(count).map_err(|e| DatabaseError::corrupt("number of scores", e))
}

struct ScoreRow {
    merchant: String,
    source: String,
    subject: Vec<u8>,
    value: i64,
    observed_at: i64,
    recorded_at: i64,
}

statement_of_rows! {
    ReplaceScores, ScoreRow,
    "INSERT INTO scores (merchant_id, source, subject_ref, value, observed_at, recorded_at) VALUES "
    [merchant: Text, source: Text, subject: Binary, value: BigInt, observed_at: BigInt, recorded_at: BigInt]
    " ON CONFLICT (merchant_id, source, subject_ref) DO UPDATE SET value = excluded.value, \
     observed_at = excluded.observed_at, recorded_at = excluded.recorded_at"
}

/// Writes these scores over what stands, whenever that was observed: a network that was heard of long ago may have been
/// added since. `new` is sorted, and has no subject twice.
pub(in crate::scores) fn replace_scores(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    new: &[(SubjectRef, Score)],
    now: Timestamp,
) -> Result<()> {
    match conn {
        AnyConnection::Postgres(conn) => {
            let subjects: Vec<_> = new.iter().map(|(subject, _)| &subject.0[..]).collect();
            let values: Vec<_> = new.iter().map(|(_, score)| score.value.thousandths()).collect();
            let times: Vec<_> = new.iter().map(|(_, score)| score.observed_at.as_microsecond()).collect();
            diesel::sql_query(
                "INSERT INTO scores (merchant_id, source, subject_ref, value, observed_at, recorded_at) \
                 SELECT $1, $2, new.subject_ref, new.value, new.observed_at, $6 \
                 FROM unnest($3, $4, $5) AS new (subject_ref, value, observed_at) \
                 ON CONFLICT (merchant_id, source, subject_ref) DO UPDATE \
                 SET value = excluded.value, observed_at = excluded.observed_at, recorded_at = excluded.recorded_at",
            )
            .bind::<Text, _>(merchant.as_str())
            .bind::<Text, _>(source.as_str())
            .bind::<Array<Binary>, _>(subjects)
            .bind::<Array<BigInt>, _>(values)
            .bind::<Array<BigInt>, _>(times)
            .bind::<BigInt, _>(now.as_microsecond())
            .execute(conn)?;
        }
        AnyConnection::Sqlite(conn) => {
            let row = |(subject, score): &(SubjectRef, Score)| ScoreRow {
                merchant: merchant.as_str().to_owned(),
                source: source.as_str().to_owned(),
                subject: subject.0.to_vec(),
                value: score.value.thousandths(),
                observed_at: score.observed_at.as_microsecond(),
                recorded_at: now.as_microsecond(),
            };
            let rows: Vec<ScoreRow> = new.iter().map(row).collect();
            for some in in_powers_of_two(&rows) {
                ReplaceScores(some).execute(conn)?;
            }
        }
    }
    Ok(())
}
