//! The epochs of scores: rows that move on with every write, so that every process can tell for how long what it read
//! has stood.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::database::schema::score_epochs;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::subject::SubjectRef;

/// Number of the stripes that have an epoch each.
pub const STRIPES: u16 = 1024;

/// The row for writes to many stripes at once: to move them all on is more work than the write.
const MANY: i32 = -1;

/// The most stripes that are moved on one by one.
const FEW: usize = 32;

/// The stripe of a subject's scores, below [`STRIPES`]. The reference is a keyed hash, so they are spread.
#[must_use]
pub fn stripe_of(subject: &SubjectRef) -> u16 {
    let SubjectRef([first, second, ..]) = subject;
    u16::from_be_bytes([*first, *second]) >> 6
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moved {
    Stripe(u16),
    /// Many stripes at once, which ones it doesn't say.
    Many,
}

/// Moves on the epochs of those whose scores were written in this transaction, which it must end: until the commit all
/// others wait who write to the same stripe.
///
/// # Errors
/// [`DatabaseError`].
pub fn bump_epochs<'a>(
    conn: &mut AnyConnection,
    written: impl IntoIterator<Item = &'a SubjectRef>,
) -> Result<(), DatabaseError> {
    let stripes: BTreeSet<i32> = written.into_iter().map(|subject| i32::from(stripe_of(subject))).collect();
    let rows = if stripes.len() > FEW { BTreeSet::from([MANY]) } else { stripes };
    // One after the other and in order: nobody waits for each other in a circle.
    for row in rows {
        let row = score_epochs::table.find(row);
        // By some random step: a standby that took over without the last one moves on to another number.
        match conn {
            AnyConnection::Postgres(conn) => {
                let next = sql::<BigInt>("epoch + 1 + floor(random() * 1000000000)::bigint");
                diesel::update(row).set(score_epochs::epoch.eq(next)).execute(conn)?;
            }
            AnyConnection::Sqlite(conn) => {
                let next = sql::<BigInt>("epoch + 1 + abs(random() % 1000000000)");
                diesel::update(row).set(score_epochs::epoch.eq(next)).execute(conn)?;
            }
        }
    }
    Ok(())
}

/// All epochs, each with what it moves on with.
///
/// # Errors
/// [`DatabaseError`].
pub fn list_epochs(conn: &mut AnyConnection) -> Result<Vec<(Moved, i64)>, DatabaseError> {
    let rows: Vec<(i32, i64)> = score_epochs::table
        .select((score_epochs::stripe, score_epochs::epoch))
        .order(score_epochs::stripe)
        .load(conn)?;
    let moved = |row: i32| match u16::try_from(row) {
        Ok(stripe) if stripe < STRIPES => Ok(Moved::Stripe(stripe)),
        _ if row == MANY => Ok(Moved::Many),
        _ => Err(DatabaseError::corrupt("stripe of scores", row)),
    };
    rows.into_iter().map(|(row, epoch)| Ok((moved(row)?, epoch))).collect()
}
