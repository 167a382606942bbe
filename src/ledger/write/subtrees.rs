//! Filling in the subtrees that nobody stored: of logs that are older than the table, and of what a
//! replica of an earlier version appended.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::ledger::read::proof;
use crate::ledger::store::{self, SubtreeRow, subtrees as rows};
use crate::tlog::merkle::{LEVEL, Subtree};
use crate::tlog::tree::WIDTH;

/// Between two looks whether some are missing.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// The most that are computed at once: each reads 256 rows.
const STEP: usize = 32;

/// Where to go on looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct From {
    level: u32,
    nth: u64,
}

/// Fills in at the start, and looks again from time to time, until cancelled. Proofs are right
/// without it, only slower.
pub(crate) async fn keep(database: &Database, cancel: &CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            filled = fill_missing(database) => match filled {
                Ok(0) => {}
                Ok(filled) => tracing::info!(filled, "filled in subtrees of logs that lacked them"),
                Err(error) => tracing::warn!(%error, "could not fill in the logs' subtrees"),
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Stores every subtree that is whole and missing; how many there were. In small steps, and what
/// takes long is done outside the transactions that write: checks go on meanwhile.
///
/// # Errors
/// [`DatabaseError`]; what was stored before it is retained.
pub async fn fill_missing(database: &Database) -> Result<u64, DatabaseError> {
    let smallest = i64::try_from(WIDTH).unwrap_or(i64::MAX);
    let mut filled = 0;
    for (log, size) in database.read(move |conn| rows::list_logs_of(conn, smallest)).await? {
        match fill_log(database, &log, size).await {
            Ok(some) => filled += some,
            // Events are missing from it. The others' proofs must not wait until someone sees to that.
            Err(error @ DatabaseError::Corrupt { .. }) => {
                tracing::error!(log, %error, "a log is not whole: `perkgate audit verify` says where");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

async fn fill_log(database: &Database, log: &str, size: i64) -> Result<u64, DatabaseError> {
    let size = u64::try_from(size).map_err(|e| DatabaseError::corrupt("log size", e))?;
    let id = log.to_owned();
    if !database.read(move |conn| is_lacking(conn, &id, size)).await? {
        return Ok(0);
    }
    let (mut filled, mut from) = (0, Some(From { level: 1, nth: 0 }));
    while let Some(at) = from {
        let id = log.to_owned();
        let (found, next) = database.read(move |conn| missing(conn, &id, size, at)).await?;
        if !found.is_empty() {
            filled += u64::try_from(found.len()).unwrap_or(u64::MAX);
            database.write(move |conn| store::put_subtrees(conn, &found)).await?;
        }
        from = next;
    }
    Ok(filled)
}

/// Number of subtrees of the level that are whole.
const fn whole(size: u64, level: u32) -> u64 {
    match size.checked_shr(LEVEL * level) {
        Some(whole) => whole,
        None => 0,
    }
}

fn is_lacking(conn: &mut AnyConnection, log: &str, size: u64) -> Result<bool, DatabaseError> {
    let stored = rows::count_subtrees(conn, log)?;
    let levels = (1..).take_while(|level| whole(size, *level) > 0);
    let is_full = |level: u32| {
        let count = stored.iter().find(|(at, _)| u32::try_from(*at) == Ok(level)).map_or(0, |(_, count)| *count);
        // The log may have grown since its size was read.
        u64::try_from(count).is_ok_and(|count| count >= whole(size, level))
    };
    Ok(levels.into_iter().any(|level| !is_full(level)))
}

/// Some of the missing ones, computed, and where to go on; a level is done before the next, which is
/// computed from it.
fn missing(
    conn: &mut AnyConnection,
    log: &str,
    size: u64,
    from: From,
) -> Result<(Vec<SubtreeRow>, Option<From>), DatabaseError> {
    let From { level, nth } = from;
    let whole_here = whole(size, level);
    if whole_here == 0 {
        return Ok((Vec::new(), None));
    }
    let before = whole_here.min(nth + WIDTH);
    let mut stored = rows::list_subtrees(conn, log, level, (nth, before))?.into_iter().peekable();
    let mut found = Vec::new();
    for nth in nth..before {
        if stored.next_if(|(at, _)| *at == nth).is_some() {
            continue;
        }
        if found.len() == STEP {
            return Ok((found, Some(From { level, nth })));
        }
        let hash = proof::computed(conn, log, level, nth)?;
        found.push(SubtreeRow::new(log, &Subtree { level, nth, hash })?);
    }
    let next = if before == whole_here { From { level: level + 1, nth: 0 } } else { From { level, nth: before } };
    Ok((found, Some(next)))
}
