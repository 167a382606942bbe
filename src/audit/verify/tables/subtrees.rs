//! The stored subtrees of a log, held to what its leaves come to. Proofs are read from them: one that was
//! changed is reported, and one that is missing is computed when it is read.

use std::collections::{BTreeMap, VecDeque};

use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::subtrees as rows;
use crate::tlog::merkle::{LEVEL, Subtree};

/// Those of one log, read in step with its leaves.
pub(crate) struct StoredSubtrees {
    log: String,
    levels: BTreeMap<u32, Pages>,
}

/// The rows of one level, page by page.
#[derive(Default)]
struct Pages {
    page: VecDeque<(i64, Vec<u8>)>,
    last: Option<i64>,
    is_done: bool,
}

impl StoredSubtrees {
    pub(crate) fn new(log: &str) -> Self {
        Self { log: log.to_owned(), levels: BTreeMap::new() }
    }

    /// Tells whether another hash is stored than the one that was recomputed. Those of a level are asked for
    /// in their order, as [`Frontier::append_telling`](crate::tlog::merkle::Frontier::append_telling)
    /// tells them.
    pub(crate) fn differs(&mut self, conn: &mut AnyConnection, whole: &Subtree) -> Result<bool, DatabaseError> {
        let pages = self.levels.entry(whole.level).or_default();
        loop {
            if pages.page.is_empty() && !pages.is_done {
                let page = rows::list_stored(conn, &self.log, whole.level, pages.last.unwrap_or(-1))?;
                pages.is_done = page.len() < rows::PAGE_OF_SUBTREES;
                pages.last = page.last().map(|(nth, _)| *nth).or(pages.last);
                pages.page = page.into();
            }
            let Some((nth, hash)) = pages.page.pop_front() else { return Ok(false) };
            match u64::try_from(nth) {
                Ok(nth) if nth < whole.nth => {}
                Ok(nth) if nth == whole.nth => return Ok(hash != whole.hash),
                _ => {
                    pages.page.push_front((nth, hash));
                    return Ok(false);
                }
            }
        }
    }
}

/// Level and number of a stored subtree that no leaves of a log of this size are under, if there is one.
pub(crate) fn find_beyond(conn: &mut AnyConnection, log: &str, size: u64) -> Result<Option<(i32, i64)>, DatabaseError> {
    for (level, least, most) in rows::list_bounds(conn, log)? {
        let height = u32::try_from(level).ok().filter(|level| *level > 0).and_then(|level| level.checked_mul(LEVEL));
        let whole = height.and_then(|height| size.checked_shr(height)).unwrap_or(0);
        if least < 0 || i64::try_from(whole).is_ok_and(|whole| most >= whole) {
            return Ok(Some((level, if least < 0 { least } else { most })));
        }
    }
    Ok(None)
}
