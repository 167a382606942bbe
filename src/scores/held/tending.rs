//! Feeds that nobody decides about end, those that were broken off are cleared away, and what was being moved is moved on.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{GATEWAY, HeldFeed, HeldKind, HeldState, WAITS_FOR, ended_event, store};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::ids::{HeldFeedId, MerchantId};
use crate::scores::Scores;
use crate::scores::error::ScoreError;
use crate::telemetry::Outage;

/// Between two looks at what is held.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The time after which a feed whose rows came in, and come no more, was broken off.
const BROKEN_OFF_AFTER: SignedDuration = SignedDuration::from_hours(6);

/// The time for which it is known what became of one.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The most that are listed at once, and the most scores that are deleted in one transaction.
const LISTED_AT_ONCE: i64 = 100;
const DELETED_AT_ONCE: i64 = 2_000;

impl Scores {
    /// Tends to what is held, again and again until cancelled. Every replica may.
    pub async fn tend_held(self, clock: Clock, cancel: CancellationToken) {
        static OUTAGE: Outage = Outage::new("feeds that are held can't be tended to", "they are tended to again");
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = looks.tick() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                result = self.tend_held_once(clock.now()) => match result {
                    Ok(()) => OUTAGE.succeeded(),
                    Err(error) => OUTAGE.failed(&error),
                },
            }
        }
    }

    /// Ends what waited for too long at `now`, moves on what was released, and clears away what is over.
    ///
    /// # Errors
    /// The ledger's and the database's; what was done by then remains done.
    pub async fn tend_held_once(&self, now: Timestamp) -> Result<(), ScoreError> {
        let mut after = (String::new(), String::new());
        loop {
            let from = after.clone();
            let list = move |conn: &mut AnyConnection| store::list_after(conn, (&from.0, &from.1), LISTED_AT_ONCE);
            let listed = self.database.read(list).await?;
            let Some((merchant, feed)) = listed.last() else { return Ok(()) };
            after = (merchant.as_str().to_owned(), feed.id.as_str().to_owned());
            for (merchant, feed) in &listed {
                self.tend_to(merchant, feed, now).await?;
            }
        }
    }

    async fn tend_to(&self, merchant: &MerchantId, feed: &HeldFeed, now: Timestamp) -> Result<(), ScoreError> {
        let age = |at: Timestamp| now.duration_since(at);
        match feed.state {
            HeldState::Held if feed.held_at.is_some_and(|at| age(at) >= WAITS_FOR) => {
                // Released meanwhile, it is being moved: nothing of it may be deleted.
                if self.expire(merchant, &feed.id, now).await? {
                    self.clear(merchant, &feed.id, false).await?;
                }
                Ok(())
            }
            HeldState::Moving if feed.kind == HeldKind::Feed => self.finish_moving(merchant, &feed.id, now).await,
            HeldState::Coming if age(feed.touched_at) >= BROKEN_OFF_AFTER => self.clear(merchant, &feed.id, true).await,
            state if state.is_over() => self.clear(merchant, &feed.id, age(feed.touched_at) >= REMEMBERED_FOR).await,
            _ => Ok(()),
        }
    }

    async fn expire(&self, merchant: &MerchantId, id: &HeldFeedId, now: Timestamp) -> Result<bool, ScoreError> {
        let Some(guarding) = self.guarding.clone() else { return Ok(false) };
        let (merchant, id) = (merchant.clone(), id.clone());
        guarding
            .ledger
            .change(move |conn, events| {
                let waits = store::lock(conn, &merchant, &id)?.filter(|it| it.state == HeldState::Held);
                if let Some(feed) = &waits {
                    store::set_state(conn, (&merchant, &id), HeldState::Expired, now)?;
                    events.push(ended_event(&merchant, GATEWAY, "feed.expired", feed));
                }
                Ok(waits.is_some())
            })
            .await
    }

    /// Deletes the scores of a feed that is over, and what is known of it where that is to be forgotten.
    async fn clear(&self, merchant: &MerchantId, id: &HeldFeedId, forgets: bool) -> Result<(), ScoreError> {
        loop {
            let (merchant, id) = (merchant.clone(), id.clone());
            let delete = move |conn: &mut AnyConnection| {
                let stands = store::lock(conn, &merchant, &id)?;
                let is_moved = stands.is_none_or(|it| matches!(it.state, HeldState::Held | HeldState::Moving));
                if is_moved {
                    return Ok(true);
                }
                let rows = store::rows::lock_first(conn, (&merchant, &id), DELETED_AT_ONCE)?;
                match rows.last() {
                    Some((last, _)) => store::rows::delete_until(conn, (&merchant, &id), last)?,
                    None if forgets => store::delete(conn, &merchant, &id)?,
                    None => {}
                }
                Ok::<_, DatabaseError>(rows.is_empty())
            };
            if self.database.write(delete).await? {
                return Ok(());
            }
        }
    }
}
