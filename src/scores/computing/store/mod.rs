//! Models, and the scores that a run writes.
//!
//! - `due`: who is to be computed by when; `gathering`: their signals, grouped in the database (`gather.sql`)
//! - `lease`: one run of a source at a time; `shapes`: how acts fall to people and days

pub(in crate::scores) mod due;
pub mod gathering;
pub(in crate::scores) mod lease;
pub(in crate::scores) mod shapes;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text};
use jiff::Timestamp;

use super::Models;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{model_graces, models, score_due, scores, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectRef;
use crate::scores::score::Score;
use crate::scores::store::graces;
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
    let row = sources::table.find((merchant.as_str(), source.as_str())).select(sources::model);
    let Some(current) = row.first::<Option<String>>(conn).optional()?.flatten() else { return Ok(None) };
    let graces = graces::list(conn, merchant, source)?;
    let mut find = |hash: &str| {
        find_model(conn, merchant, hash)?.ok_or_else(|| DatabaseError::corrupt("model", "there is none of its hash"))
    };
    let current = find(&current)?;
    let before =
        graces.into_iter().filter(|(_, until)| *until > now).map(|(hash, _)| find(&hash)).collect::<Result<_>>()?;
    Ok(Some(Models { current, before }))
}

/// The hash of the model in use, and of those whose grace is not over: held until the transaction ends, so that no other is
/// published meanwhile.
pub(in crate::scores) fn hold_models(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
) -> Result<Option<String>> {
    let row = sources::table.find((merchant.as_str(), source.as_str())).select(sources::model);
    let found: Option<Option<String>> = match conn {
        AnyConnection::Postgres(c) => row.for_share().first(c).optional()?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => row.first(c).optional()?,
    };
    let Some(current) = found.flatten() else { return Ok(None) };
    let graces = graces::list(conn, merchant, source)?;
    Ok(Some(graces.into_iter().fold(current, |all, (hash, until)| format!("{all} {hash} {until}"))))
}

/// The source computes by this model, and until then by the one before too. A grace that began earlier goes on: nobody loses
/// what was promised to last.
pub(super) fn set_model(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    hash: &str,
    grace_until: Option<Timestamp>,
) -> Result<()> {
    if let Some(until) = grace_until {
        graces::begin(conn, (merchant, source), until)?;
    }
    graces::end(conn, (merchant, source), hash)?;
    let row = sources::table.find((merchant.as_str(), source.as_str()));
    diesel::update(row).set(sources::model.eq(hash)).execute(conn)?;
    Ok(())
}

/// Ends graces that are over: everyone is due, as a model counts no more.
pub(in crate::scores) fn end_grace(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    now: Timestamp,
) -> Result<()> {
    // A source that nobody's grace ends for is not written to.
    if graces::end_outlived(conn, (merchant, source), now)? > 0 {
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
    let begun = sources::table.filter(sources::due_after.is_not_null()).select((sources::merchant_id, sources::name));
    rows.extend(begun.load::<(String, String)>(conn)?);
    let over = model_graces::table
        .filter(model_graces::until.le(now.as_microsecond()))
        .select((model_graces::merchant_id, model_graces::source));
    rows.extend(over.load::<(String, String)>(conn)?);
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
