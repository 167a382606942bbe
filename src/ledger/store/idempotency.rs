//! The holders of idempotency keys.

use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Text};

use super::{Result, columns};
use crate::database::AnyConnection;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::idempotency;
use crate::statement_of_rows;

/// A request that was answered under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = idempotency, treat_none_as_default_value = false)]
pub struct IdempotencyRow {
    pub merchant_id: String,
    pub key_id: String,
    pub operation: String,
    pub idempotency_key: String,
    pub request_hash: Vec<u8>,
    pub outcome: Vec<u8>,
    pub created_at: i64,
    pub expires_at: i64,
}

impl IdempotencyRow {
    /// The columns that it stands under.
    pub fn key(&self) -> [&str; 4] {
        [&self.merchant_id, &self.key_id, &self.operation, &self.idempotency_key].map(String::as_str)
    }
}

/// Claims the keys that nobody holds, or whose hold has expired, and tells how many: where it is not all, who holds each
/// is to be read back. `rows` are sorted, so that two batches can't wait for each other in a circle.
pub fn insert_idempotency(conn: &mut AnyConnection, rows: &[IdempotencyRow]) -> Result<usize> {
    match conn {
        AnyConnection::Postgres(c) => Ok(columns::ClaimIdempotency::of(rows).execute(c)?),
        AnyConnection::Sqlite(c) => {
            let mut claimed = 0;
            for rows in in_powers_of_two(rows) {
                claimed += ClaimIdempotency(rows).execute(c)?;
            }
            Ok(claimed)
        }
    }
}

/// Gives the key of `holder`, which the transaction has locked, to `row`.
pub fn update_idempotency(conn: &mut AnyConnection, holder: &IdempotencyRow, row: &IdempotencyRow) -> Result<usize> {
    use idempotency::dsl;
    let held = idempotency::table.find((
        holder.merchant_id.as_str(),
        holder.key_id.as_str(),
        holder.operation.as_str(),
        holder.idempotency_key.as_str(),
    ));
    Ok(diesel::update(held.filter(dsl::outcome.eq(&holder.outcome)))
        .set((
            dsl::request_hash.eq(&row.request_hash),
            dsl::outcome.eq(&row.outcome),
            dsl::created_at.eq(row.created_at),
            dsl::expires_at.eq(row.expires_at),
        ))
        .execute(conn)?)
}

/// The holders of the keys of `rows`, in no order.
pub fn list_idempotency(conn: &mut AnyConnection, rows: &[IdempotencyRow]) -> Result<Vec<IdempotencyRow>> {
    match conn {
        AnyConnection::Postgres(c) => Ok(columns::ListIdempotency::of(rows).load(c)?),
        AnyConnection::Sqlite(c) => {
            let mut holders = Vec::with_capacity(rows.len());
            for rows in in_powers_of_two(rows) {
                holders.extend(ListIdempotency(rows).load::<IdempotencyRow>(c)?);
            }
            Ok(holders)
        }
    }
}

statement_of_rows! {
    ClaimIdempotency, IdempotencyRow,
    "INSERT INTO idempotency (merchant_id, key_id, operation, idempotency_key, request_hash, outcome, created_at, \
     expires_at) VALUES " [
        merchant_id: Text,
        key_id: Text,
        operation: Text,
        idempotency_key: Text,
        request_hash: Binary,
        outcome: Binary,
        created_at: BigInt,
        expires_at: BigInt,
    ] " ON CONFLICT (merchant_id, key_id, operation, idempotency_key) DO UPDATE \
       SET request_hash = excluded.request_hash, outcome = excluded.outcome, \
       created_at = excluded.created_at, expires_at = excluded.expires_at \
       WHERE idempotency.expires_at <= excluded.created_at"
}

// From the list to the rows: the other way round all keys would be read.
statement_of_rows! {
    ListIdempotency, IdempotencyRow,
    "WITH asked (merchant_id, key_id, operation, idempotency_key) AS (VALUES " [
        merchant_id: Text,
        key_id: Text,
        operation: Text,
        idempotency_key: Text,
    ] ") SELECT held.merchant_id, held.key_id, held.operation, held.idempotency_key, held.request_hash, held.outcome, \
       held.created_at, held.expires_at FROM asked CROSS JOIN idempotency AS held \
       ON held.merchant_id = asked.merchant_id AND held.key_id = asked.key_id \
       AND held.operation = asked.operation AND held.idempotency_key = asked.idempotency_key"
}

impl Query for ListIdempotency<'_> {
    type SqlType = (Text, Text, Text, Text, Binary, Binary, BigInt, BigInt);
}
