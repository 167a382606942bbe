//! Rows of requests that are answered once, whatever they made.

use diesel::prelude::*;

use crate::database::schema::idempotency;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::IdempotencyRow;
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

/// Claims the key for `row`, from nobody, from one that has expired, or from one whose work was cut
/// off (no outcome since `abandoned_before`); says who holds it afterwards and whether that is new.
pub fn claim(conn: &mut AnyConnection, row: &IdempotencyRow, abandoned_before: i64) -> Result<(IdempotencyRow, bool)> {
    use diesel::query_dsl::methods::FilterDsl as _;
    use diesel::upsert::excluded;
    use idempotency::dsl;
    let claimed = on_either!(conn, |c| diesel::insert_into(idempotency::table)
        .values(row)
        .on_conflict((dsl::merchant_id, dsl::key_id, dsl::operation, dsl::idempotency_key))
        .do_update()
        .set((
            dsl::request_hash.eq(excluded(dsl::request_hash)),
            dsl::outcome.eq(excluded(dsl::outcome)),
            dsl::created_at.eq(excluded(dsl::created_at)),
            dsl::expires_at.eq(excluded(dsl::expires_at)),
        ))
        .filter(
            dsl::expires_at
                .le(excluded(dsl::created_at))
                .or(dsl::created_at.lt(abandoned_before).and(dsl::outcome.eq(excluded(dsl::outcome)))),
        )
        .execute(c)?);
    let holder = held(row).select(IdempotencyRow::as_select()).first(conn)?;
    Ok((holder, claimed > 0))
}

/// The most rows that one sweep takes.
pub const SWEEP_ROWS: usize = 1000;

/// Forgets up to [`SWEEP_ROWS`] rows that expired at `now`; says how many. Rows that a batch holds
/// are passed over, so that it is never waited for in a circle.
pub fn delete_expired(conn: &mut AnyConnection, now: i64) -> Result<usize> {
    let lock = match conn {
        AnyConnection::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        AnyConnection::Sqlite(_) => "",
    };
    let key = "merchant_id, key_id, operation, idempotency_key";
    let (from, bind) = ("FROM idempotency", if lock.is_empty() { "?" } else { "$1" });
    let statement = format!(
        "DELETE {from} WHERE ({key}) IN (SELECT {key} {from} WHERE expires_at <= {bind} LIMIT {SWEEP_ROWS} {lock})"
    );
    Ok(diesel::sql_query(statement).bind::<diesel::sql_types::BigInt, _>(now).execute(conn)?)
}

/// Keeps what was answered, unless another has taken the key over meanwhile.
pub fn update_outcome(conn: &mut AnyConnection, row: &IdempotencyRow, outcome: &[u8]) -> Result<usize> {
    Ok(diesel::update(held(row).filter(idempotency::created_at.eq(row.created_at)))
        .set(idempotency::outcome.eq(outcome))
        .execute(conn)?)
}

/// Frees the key: nothing was made.
pub fn delete(conn: &mut AnyConnection, row: &IdempotencyRow) -> Result<usize> {
    Ok(diesel::delete(
        held(row).filter(idempotency::created_at.eq(row.created_at).and(idempotency::outcome.eq(Vec::new()))),
    )
    .execute(conn)?)
}

type Held<'a> = diesel::dsl::Find<idempotency::table, (&'a str, &'a str, &'a str, &'a str)>;

fn held(row: &IdempotencyRow) -> Held<'_> {
    idempotency::table.find((
        row.merchant_id.as_str(),
        row.key_id.as_str(),
        row.operation.as_str(),
        row.idempotency_key.as_str(),
    ))
}
