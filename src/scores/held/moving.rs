//! Moves the scores of a feed to where checks find them, piece by piece, so that no check waits and a crash loses nothing.

use jiff::Timestamp;

use super::{HeldKind, HeldState, store};
use crate::database::{AnyConnection, Backend, DatabaseError};
use crate::foundation::ids::{HeldFeedId, MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::Scores;
use crate::scores::cache::{FORGOTTEN_AT_ONCE, to_the_end};
use crate::scores::error::ScoreError;
use crate::scores::history;
use crate::scores::memory::ScoreKey;
use crate::scores::store::epochs::bump_epochs;
use crate::scores::store::upsert_scores;

/// The scores that are moved in one transaction.
const fn at_once(backend: Backend) -> i64 {
    match backend {
        // Few enough that the ledger soon has its turn again.
        Backend::Sqlite => 2_000,
        Backend::Postgres => 8_000,
    }
}

impl Scores {
    /// Moves the next scores of a feed that was released, or passed; false when there are none left, or another has done it.
    pub(in crate::scores) async fn move_some(
        &self,
        merchant: &MerchantId,
        feed: &HeldFeedId,
        now: Timestamp,
    ) -> Result<bool, ScoreError> {
        let (merchant, feed, this) = (merchant.clone(), feed.clone(), self.clone());
        to_the_end(async move {
            let (of, most) = (merchant.clone(), at_once(this.database.backend()));
            let moved = this.database.write(move |conn| move_next(conn, (&of, &feed), most, now)).await;
            let Some((source, subjects)) = moved? else { return Ok(false) };
            let key = |subject| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject };
            let keys: Vec<ScoreKey> = subjects.into_iter().map(key).collect();
            for some in keys.chunks(FORGOTTEN_AT_ONCE) {
                this.cache.forget(some).await;
            }
            Ok(!keys.is_empty())
        })
        .await
    }
}

/// Moves the next scores, or ends the feed where there are none: its source, and whose scores were moved.
fn move_next(
    conn: &mut AnyConnection,
    (merchant, id): (&MerchantId, &HeldFeedId),
    most: i64,
    now: Timestamp,
) -> Result<Option<(SourceName, Vec<SubjectRef>)>, DatabaseError> {
    // Held, so that two who move it do so one after the other.
    let Some(feed) = store::lock(conn, merchant, id)? else { return Ok(None) };
    if feed.state != HeldState::Moving || feed.kind != HeldKind::Feed {
        return Ok(None);
    }
    let rows = store::rows::lock_first(conn, (merchant, id), most)?;
    let subjects: Vec<SubjectRef> = rows.iter().map(|(subject, _)| *subject).collect();
    let Some(last) = subjects.last() else {
        if feed.held_at.is_some() {
            store::set_state(conn, (merchant, id), HeldState::Released, now)?;
        } else {
            store::delete(conn, merchant, id)?;
        }
        return Ok(None);
    };
    let sorted: Vec<&SubjectRef> = subjects.iter().collect();
    history::store::keep(conn, (merchant, &feed.source), &sorted, now)?;
    let written = upsert_scores(conn, merchant, &feed.source, &rows, now)?;
    store::rows::delete_until(conn, (merchant, id), last)?;
    bump_epochs(conn, subjects.iter().filter(|_| written > 0))?;
    Ok(Some((feed.source, subjects)))
}
