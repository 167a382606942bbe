//! Signals: what is known of enrolled people, from which their scores are computed.
//!
//! - `delivery`: one line of a feed; `observed`: what was fetched; `feed`: how they are hashed and kept; `store`: the rows
//! - `store/ended`: signals that count no more, as nothing links them; `store/heard`: when a network was last heard of
//!
//! They count for 90 days (`scoring::observation`), are kept a little longer so that a change since last week can be explained,
//! and go with the person.

pub mod delivery;
mod feed;
pub mod observed;
pub(in crate::scores) mod store;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use feed::SignalFeed;
pub use store::SignalHeld;

use super::enrolment::Enrolments;
use super::error::ScoreError;
use super::history;
use super::import::Import;
use super::rows::Format;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRefs};
use crate::scoring::observation::{LIFE, day_of};
use crate::telemetry::Outage;
use delivery::DeliveryReader;

/// The days for which a signal is kept.
const KEPT: i64 = LIFE + 8;

/// Between two sweeps of what is too old.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// The most signals that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 2_000;

impl Enrolments {
    /// Begins to import a feed of signals. `refer` turns a handle into the references under which the person is enrolled.
    #[must_use]
    pub fn import_signals(
        &self,
        merchant: &MerchantId,
        format: Format,
        refer: impl Fn(&SubjectHandle) -> SubjectRefs + Send + Sync + 'static,
    ) -> Import<SignalFeed> {
        let reader = DeliveryReader::new(format, self.context.entropy.clone());
        let feed = SignalFeed::new(self.clone(), merchant.clone(), reader);
        Import::new(feed, self.database.backend(), self.context.clock.clone(), self.large_imports.clone(), refer)
    }

    /// The signals that are held on a person, by network and name.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn signals_of(&self, merchant: &MerchantId, subject: SubjectRefs) -> Result<Vec<SignalHeld>, ScoreError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| store::list_signals_of(conn, &merchant, &subject.current);
        Ok(self.database.read(read).await?)
    }

    /// Deletes what doesn't count any more, again and again until cancelled.
    pub async fn sweep(self, cancel: CancellationToken) {
        static OUTAGE: Outage =
            Outage::new("signals that don't count any more can't be deleted", "they are deleted again");
        let mut sweeps = interval(SWEEP_EVERY);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = sweeps.tick() => match self.sweep_once(self.context.clock.now()).await {
                    Ok(_) => OUTAGE.succeeded(),
                    Err(error) => OUTAGE.failed(&error),
                },
            }
        }
    }

    /// Deletes what is too old to count at `now`, what ended links left, and the days of scores' histories that are kept no more; how many signals that were.
    ///
    /// # Errors
    /// The database's; what was deleted by then remains deleted.
    pub async fn sweep_once(&self, now: Timestamp) -> Result<usize, DatabaseError> {
        history::sweep(&self.database, now).await?;
        let before = day_of(now) - KEPT;
        let mut deleted = store::ended::sweep(&self.database).await?;
        loop {
            let delete = move |conn: &mut AnyConnection| store::delete_outlived(conn, before, DELETED_AT_ONCE);
            match self.database.write(delete).await? {
                0 => return Ok(deleted),
                some => deleted += some,
            }
        }
    }
}
