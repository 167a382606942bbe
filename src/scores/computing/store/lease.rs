//! A lease by the database's clock: of many who would do a thing one does it at a time, and who was held up for too long
//! finds that another has begun: each has a fencing number, which every chunk of work holds against the row.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::database::{AnyConnection, DatabaseError};

/// The time for which a lease is held without being renewed, in microseconds.
const HELD_FOR: i64 = 60_000_000;

#[derive(QueryableByName)]
struct Fence {
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

/// The database's clock, in microseconds.
const fn now_of(conn: &AnyConnection) -> &'static str {
    match conn {
        AnyConnection::Postgres(_) => "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
        AnyConnection::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    }
}

/// Takes the lease, unless another holds it: the fencing number.
pub(in crate::scores) fn take(conn: &mut AnyConnection, name: &str) -> Result<Option<i64>, DatabaseError> {
    let now = now_of(conn);
    let statement = format!(
        "INSERT INTO leases (name, fence, held_until) VALUES ($1, 1, {now} + $2) ON CONFLICT (name) DO UPDATE \
         SET fence = leases.fence + 1, held_until = excluded.held_until WHERE leases.held_until < {now} RETURNING fence"
    );
    let query = diesel::sql_query(statement).bind::<Text, _>(name).bind::<BigInt, _>(HELD_FOR);
    let fence: Option<Fence> = crate::on_either!(conn, |c| query.get_result(c).optional()?);
    Ok(fence.map(|it| it.fence))
}

/// Renews the lease in the transaction of a piece of work; false where another has taken it, who does it instead.
pub(in crate::scores) fn renew(conn: &mut AnyConnection, name: &str, fence: i64) -> Result<bool, DatabaseError> {
    let now = now_of(conn);
    let statement = format!("UPDATE leases SET held_until = {now} + $1 WHERE name = $2 AND fence = $3");
    let query = diesel::sql_query(statement).bind::<BigInt, _>(HELD_FOR).bind::<Text, _>(name).bind::<BigInt, _>(fence);
    Ok(crate::on_either!(conn, |c| query.execute(c)?) == 1)
}

/// Gives the lease back, if it is still held.
pub(in crate::scores) fn give_back(conn: &mut AnyConnection, name: &str, fence: i64) -> Result<(), DatabaseError> {
    let query = diesel::sql_query("UPDATE leases SET held_until = 0 WHERE name = $1 AND fence = $2")
        .bind::<Text, _>(name)
        .bind::<BigInt, _>(fence);
    crate::on_either!(conn, |c| query.execute(c)?);
    Ok(())
}
