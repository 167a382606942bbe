//! The holders of idempotency keys.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::{Result, columns};
use crate::database::AnyConnection;
use crate::database::schema::idempotency;

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

/// Claims the keys that nobody holds, or whose hold has expired; who holds each afterwards is to be
/// read back. `rows` are sorted, so that two batches can't wait for each other in a circle.
pub fn insert_idempotency(conn: &mut AnyConnection, rows: &[IdempotencyRow]) -> Result<()> {
    use diesel::query_dsl::methods::FilterDsl as _;
    use idempotency::dsl;
    match conn {
        AnyConnection::Postgres(c) => {
            columns::ClaimIdempotency::of(rows).execute(c)?;
        }
        AnyConnection::Sqlite(c) => {
            for row in rows {
                diesel::insert_into(idempotency::table)
                    .values(row)
                    .on_conflict((dsl::merchant_id, dsl::key_id, dsl::operation, dsl::idempotency_key))
                    .do_update()
                    .set((
                        dsl::request_hash.eq(excluded(dsl::request_hash)),
                        dsl::outcome.eq(excluded(dsl::outcome)),
                        dsl::created_at.eq(excluded(dsl::created_at)),
                        dsl::expires_at.eq(excluded(dsl::expires_at)),
                    ))
                    .filter(dsl::expires_at.le(excluded(dsl::created_at)))
                    .execute(c)?;
            }
        }
    }
    Ok(())
}

/// The holders of the keys of `rows`, in no order.
pub fn list_idempotency(conn: &mut AnyConnection, rows: &[IdempotencyRow]) -> Result<Vec<IdempotencyRow>> {
    match conn {
        AnyConnection::Postgres(c) => Ok(columns::ListIdempotency::of(rows).load(c)?),
        AnyConnection::Sqlite(c) => {
            let mut holders = Vec::with_capacity(rows.len());
            for row in rows {
                let key = (&row.merchant_id, &row.key_id, &row.operation, &row.idempotency_key);
                holders.extend(idempotency::table.find(key).select(IdempotencyRow::as_select()).first(c).optional()?);
            }
            Ok(holders)
        }
    }
}
