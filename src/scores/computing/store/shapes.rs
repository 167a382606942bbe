//! How the acts about one person fall to people and days, as `scoring::signs` defines it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;
use crate::scoring::signs::{MOST_ACTS, Shape};

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Text)]
    network: String,
    #[diesel(sql_type = Text)]
    signal: String,
    #[diesel(sql_type = BigInt)]
    day: i64,
    #[diesel(sql_type = BigInt)]
    acts: i64,
}

#[derive(QueryableByName)]
struct EngagerRow {
    #[diesel(sql_type = Text)]
    network: String,
    #[diesel(sql_type = Text)]
    signal: String,
    #[diesel(sql_type = BigInt)]
    engagers: i64,
    #[diesel(sql_type = BigInt)]
    acts: i64,
}

/// The acts that count today: in the order of SQLite's parameters.
const ACTS: &str = "CASE WHEN value > $1 THEN $1 ELSE value END";
const MINE: &str = "FROM signals WHERE merchant_id = $2 AND subject_ref = $3 AND kind = 0 AND $4 - day < 90";

/// The shapes of the acts about a person on a day, by network and signal.
pub(in crate::scores) fn shapes_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    today: i64,
) -> Result<Vec<Shape>, DatabaseError> {
    let most = i64::try_from(MOST_ACTS).unwrap_or(i64::MAX);
    let days = format!(
        "SELECT network, signal, day, CAST(SUM({ACTS}) AS BIGINT) AS acts {MINE} \
         GROUP BY network, signal, day ORDER BY network, signal, day"
    );
    let days: Vec<DayRow> = crate::on_either!(conn, |c| diesel::sql_query(days)
        .bind::<BigInt, _>(most)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<BigInt, _>(today)
        .load(c)?);
    let engagers = format!(
        "SELECT network, signal, COUNT(*) AS engagers, CAST(MAX(acts) AS BIGINT) AS acts FROM (\
         SELECT network, signal, actor, SUM({ACTS}) AS acts {MINE} AND actor IS NOT NULL \
         GROUP BY network, signal, actor) AS each_one GROUP BY network, signal"
    );
    let engagers: Vec<EngagerRow> = crate::on_either!(conn, |c| diesel::sql_query(engagers)
        .bind::<BigInt, _>(most)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<BigInt, _>(today)
        .load(c)?);
    let whole = |number: i64| u64::try_from(number).map_err(|e| DatabaseError::corrupt("acts of a signal", e));
    let mut shapes: BTreeMap<(String, String), Shape> = BTreeMap::new();
    for DayRow { network, signal, day, acts } in days {
        let acts = whole(acts)?;
        let new = Shape { network: network.clone(), signal: signal.clone(), ..Shape::default() };
        let shape = shapes.entry((network, signal)).or_insert(new);
        shape.acts += acts;
        if acts > shape.of_a_day {
            (shape.of_a_day, shape.day) = (acts, day);
        }
    }
    for EngagerRow { network, signal, engagers, acts } in engagers {
        if let Some(shape) = shapes.get_mut(&(network, signal)) {
            (shape.engagers, shape.of_one) = (whole(engagers)?, whole(acts)?);
        }
    }
    Ok(shapes.into_values().collect())
}
