//! A person releases what is held, or drops it: one is enough, and the log says who.

use std::time::Duration;

use jiff::Timestamp;

use super::{HeldFeed, HeldState, ended_event, store};
use crate::database::AnyConnection;
use crate::foundation::ids::{HeldFeedId, MerchantId, SourceName};
use crate::ledger::Ledger;
use crate::ledger::entry::Actor;
use crate::scores::Scores;
use crate::scores::error::ScoreError;

/// The time for which an answer waits until all of a feed counts; the rest is moved behind it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A person's decision about what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldDecision {
    /// It counts.
    Release,
    /// It never does. Of a run nothing is written; the next one is judged by itself.
    Drop,
}

impl Scores {
    /// Decides about a feed or run that is held. The same again gets the same answer.
    ///
    /// # Errors
    /// [`ScoreError::NotHeld`] where there is none of the source; [`ScoreError::HeldDecided`] where it was decided otherwise;
    /// [`ScoreError::Ledger`] and [`ScoreError::Database`].
    pub async fn decide_held(
        &self,
        ledger: &Ledger,
        actor: Actor,
        (merchant, source, id): (&MerchantId, &SourceName, &HeldFeedId),
        decision: HeldDecision,
        now: Timestamp,
    ) -> Result<HeldFeed, ScoreError> {
        let of = (merchant.clone(), source.clone(), id.clone());
        let decided = ledger
            .change(move |conn, events| {
                let (merchant, source, id) = of;
                let feed = store::lock(conn, &merchant, &id)?.filter(|it| it.source == source && it.held_at.is_some());
                let feed = feed.ok_or(ScoreError::NotHeld)?;
                let (state, kind) = match decision {
                    HeldDecision::Release => (HeldState::Moving, "feed.released"),
                    HeldDecision::Drop => (HeldState::Dropped, "feed.dropped"),
                };
                match (decision, feed.state) {
                    (_, HeldState::Held) => {}
                    (HeldDecision::Release, HeldState::Moving | HeldState::Released)
                    | (HeldDecision::Drop, HeldState::Dropped) => return Ok(feed),
                    _ => return Err(ScoreError::HeldDecided(feed.state.as_str())),
                }
                store::set_state(conn, (&merchant, &id), state, now)?;
                events.push(ended_event(&merchant, actor, kind, &feed));
                Ok(HeldFeed { state, touched_at: now, ..feed })
            })
            .await?;
        if decided.state != HeldState::Moving {
            return Ok(decided);
        }
        let (this, of) = (self.clone(), (merchant.clone(), id.clone()));
        let moving = tokio::spawn(async move {
            while this.move_some(&of.0, &of.1, now).await? {}
            Ok::<_, ScoreError>(())
        });
        // It goes on without us; after a fault the tender does.
        let _ = tokio::time::timeout(PATIENCE, moving).await;
        Ok(self.find_held(merchant, id).await?.unwrap_or(decided))
    }

    /// A feed or run that is held, or was lately.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn find_held(&self, merchant: &MerchantId, id: &HeldFeedId) -> Result<Option<HeldFeed>, ScoreError> {
        let of = (merchant.clone(), id.clone());
        Ok(self.database.read(move |conn: &mut AnyConnection| store::find(conn, &of.0, &of.1)).await?)
    }

    /// Moves what is left of a feed that was released.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn finish_moving(
        &self,
        merchant: &MerchantId,
        id: &HeldFeedId,
        now: Timestamp,
    ) -> Result<(), ScoreError> {
        while self.move_some(merchant, id, now).await? {}
        Ok(())
    }
}
