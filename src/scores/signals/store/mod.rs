//! The rows of signals.

pub(in crate::scores) mod ended;
pub(in crate::scores::signals) mod heard;
pub(in crate::scores::signals) mod seen;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text};

use crate::database::rows::in_powers_of_two;
use crate::database::schema::signals;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;
use crate::statement_of_rows;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The most signals of a person that are counted for an event: more are very many.
const COUNTED: i64 = 100_000;

/// A signal about a person, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scores::signals) struct SignalRow {
    pub merchant_id: String,
    pub subject_ref: Vec<u8>,
    pub id: Vec<u8>,
    pub network: String,
    pub signal: String,
    pub kind: i32,
    pub day: i64,
    pub seen_at: i64,
    pub actor: Option<Vec<u8>>,
    pub object: Option<Vec<u8>>,
    pub value: i64,
}

/// The signals of one name that are held on a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalHeld {
    pub network: String,
    pub signal: String,
    pub number: u64,
    /// The first and the last UTC day, counted from 1970.
    pub first_day: i64,
    pub last_day: i64,
}

statement_of_rows! {
    InsertSignals, SignalRow,
    "INSERT INTO signals (merchant_id, subject_ref, id, network, signal, kind, day, seen_at, actor, object, value) VALUES "
    [merchant_id: Text, subject_ref: Binary, id: Binary, network: Text, signal: Text, kind: Integer, day: BigInt,
     seen_at: BigInt, actor: Nullable<Binary>, object: Nullable<Binary>, value: BigInt]
    " ON CONFLICT DO NOTHING"
}

/// Adds those that are not there yet, none twice and in the order of the table; how many were added.
pub(in crate::scores::signals) fn insert_signals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rows: &[SignalRow],
) -> Result<usize> {
    let conn = match conn {
        AnyConnection::Postgres(conn) => {
            macro_rules! all {
                ($member:ident) => {
                    rows.iter().map(|row| row.$member.clone()).collect::<Vec<_>>()
                };
            }
            let insert = diesel::sql_query(
                "INSERT INTO signals (merchant_id, subject_ref, id, network, signal, kind, day, seen_at, actor, object, value) \
                 SELECT $1, new.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS new \
                 ON CONFLICT DO NOTHING",
            );
            return Ok(insert
                .bind::<Text, _>(merchant.as_str())
                .bind::<Array<Binary>, _>(all!(subject_ref))
                .bind::<Array<Binary>, _>(all!(id))
                .bind::<Array<Text>, _>(all!(network))
                .bind::<Array<Text>, _>(all!(signal))
                .bind::<Array<Integer>, _>(all!(kind))
                .bind::<Array<BigInt>, _>(all!(day))
                .bind::<Array<BigInt>, _>(all!(seen_at))
                .bind::<Array<Nullable<Binary>>, _>(all!(actor))
                .bind::<Array<Nullable<Binary>>, _>(all!(object))
                .bind::<Array<BigInt>, _>(all!(value))
                .execute(conn)?);
        }
        AnyConnection::Sqlite(conn) => conn,
    };
    let mut added = 0;
    for some in in_powers_of_two(rows) {
        added += InsertSignals(some).execute(conn)?;
    }
    Ok(added)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number of signals that are kept of a person; above [`COUNTED`] that many.
pub(in crate::scores) fn count_signals_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<u64> {
    let statement = "SELECT COUNT(*) AS number FROM \
                     (SELECT 1 FROM signals WHERE merchant_id = $1 AND subject_ref = $2 LIMIT $3) AS counted";
    let count: Count = crate::on_either!(conn, |c| diesel::sql_query(statement)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<BigInt, _>(COUNTED)
        .get_result(c)?);
    Ok(count.number.unsigned_abs())
}

/// The signals that are held on a person, by network and signal.
pub(in crate::scores::signals) fn list_signals_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<Vec<SignalHeld>> {
    use diesel::dsl::{count_star, max, min};
    type Row = (String, String, i64, Option<i64>, Option<i64>);
    let rows: Vec<Row> = signals::table
        .filter(signals::merchant_id.eq(merchant.as_str()))
        .filter(signals::subject_ref.eq(&subject.0[..]))
        .group_by((signals::network, signals::signal))
        .order((signals::network, signals::signal))
        .select((signals::network, signals::signal, count_star(), min(signals::day), max(signals::day)))
        .load(conn)?;
    let held = |(network, signal, number, first, last): Row| SignalHeld {
        network,
        signal,
        number: number.unsigned_abs(),
        first_day: first.unwrap_or_default(),
        last_day: last.unwrap_or_default(),
    };
    Ok(rows.into_iter().map(held).collect())
}

/// Deletes signals of days before `day`, up to `most`; how many there were. Two who do so at one time don't wait for each
/// other.
pub(in crate::scores::signals) fn delete_outlived(conn: &mut AnyConnection, day: i64, most: i64) -> Result<usize> {
    let lock = match conn {
        AnyConnection::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        AnyConnection::Sqlite(_) => "",
    };
    let delete = diesel::sql_query(format!(
        "DELETE FROM signals WHERE (merchant_id, subject_ref, id) IN \
         (SELECT merchant_id, subject_ref, id FROM signals WHERE day < $1 LIMIT $2{lock})"
    ));
    let delete = delete.bind::<BigInt, _>(day).bind::<BigInt, _>(most);
    Ok(crate::on_either!(conn, |c| delete.execute(c)?))
}
