//! Summaries: what the events of the log add up to, a quarter of an hour at a time, so that a report over a million events
//! adds up some thousand rows.
//!
//! # What is kept
//! For each merchant, report and UTC quarter of an hour that anything counts in, a row of sums (`sums.rs`; `packed.rs` as bytes):
//! - cells of the report's dimensions. Of grants and billing: perk, version of its rule, tier, location and kiosk, which is
//!   all that they group by beside time. Of fairness: perk and band of score, and nothing of place. None is by person: a
//!   cell a person would be nearly an event each, and no report asks for it.
//! - grants that nothing became of, by the instant at which they expire: whether they have, each report says by its own time.
//! - limits by location, of which a report shows the maxima that the last checks were held to.
//!
//! A row a quarter and not a row a cell: a busy quarter has dozens of cells, which are always read together. A quarter, because
//! the clocks of all zones differ from UTC by whole ones, so that days, hours, weeks and months of any of them are made of whole
//! ones. Zones had other offsets when towns still went by the sun: a report that meets such a quarter reads events instead.
//!
//! # How they are made
//! In the log's order and up to an index, which is kept (`report_heads`): `page.rs` looks at each event as it stands behind those
//! before it. What an event changes of what was counted earlier it adds as a difference: a redemption moves the
//! grant of its check, in the quarter of that check, from unspent to redeemed; a correction counts the visits of its grant again.
//! So sums are the same however the log is cut into pages. Nobody who asks for a check waits for this: a task of the gateway does
//! it, and a report that finds much that is not summed up.
//!
//! A page is read and summed up without a lock. Its transaction moves the head on, if the head is still as it was read, and writes
//! the rows: of two replicas that sum up the same page, one finds that it was done and begins again. Whatever else changes
//! sums changes the head's revision in its own transaction, so it can't slip in between either.
//!
//! # What is taken away
//! (`taken.rs`) An erasure looks its person's events up (`report_people`) and counts them as nobody's, in its transaction: what they
//! were counted as is sealed under the secret that goes with it. A pruned event is counted on, and its quarter says so:
//! reports call it no longer provable. What links it to a person goes with its body, so a later erasure changes
//! nothing of it: by then it is nobody's.
//!
//! # How a report reads them
//! (`asking.rs`) The whole quarters of its period from here; the events behind the head, summed up the same way and kept
//! nowhere; and the two ends of the period that are no whole quarters from their events. If that fails, all from the events.
//!
//! `perkgate audit verify` sums the log up again and names each cell that differs (`verify/tables/summaries.rs`).

pub(in crate::audit) mod asking;
mod packed;
pub(in crate::audit) mod page;
pub(in crate::audit) mod store;
pub(in crate::audit) mod sums;
pub mod taken;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::database::{Database, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::keyring::Keyring;
use crate::ledger::store::history as rows;
use crate::telemetry::Outage;
use page::SummedLog;
use store::SummedHead;

/// Number of events that are summed up at once.
pub(in crate::audit) const PAGE: i64 = 1_000;

/// The number of events behind the head from which they are summed up: fewer are read by each report, in a moment.
const LEAST: i64 = 5_000;

/// Between two looks at the logs that have grown.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Between two pages, when nobody waits for them.
const BREATH: Duration = Duration::from_millis(20);

/// The number of times that a page is begun again because something else changed the sums.
const MOST_TRIES: usize = 100;

/// Makes summaries; cheap to clone.
#[derive(Clone)]
pub(super) struct Summarizer {
    pub database: Database,
    pub keyring: Keyring,
    /// Number of events that a page spans, and from which it is made.
    pub page: i64,
    pub least: i64,
}

impl Summarizer {
    pub(super) const fn new(database: Database, keyring: Keyring) -> Self {
        Self { database, keyring, page: PAGE, least: LEAST }
    }

    /// Sums up what the logs have gained, until cancelled; every replica may.
    pub(super) async fn follow(&self, cancel: &CancellationToken) {
        static OUTAGE: Outage = Outage::new("reports can't be summed up", "reports are summed up again");
        while cancel.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            match cancel.run_until_cancelled(self.catch_up(BREATH)).await {
                None => return,
                Some(Ok(())) => OUTAGE.succeeded(),
                Some(Err(error)) => OUTAGE.failed(&error),
            }
        }
    }

    /// Sums up every log that has gained enough. One that can't be read keeps no other waiting.
    async fn catch_up(&self, breath: Duration) -> Result<(), DatabaseError> {
        let (least, mut failed) = (self.least, None);
        for merchant in self.database.read(move |conn| store::list_behind(conn, least)).await? {
            let merchant: MerchantId = merchant.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
            if let Err(error) = self.extend(&merchant, breath, || {}).await {
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sums up the merchant's log if enough is not: whole pages, and never the last events, of which a report reads so
    /// many anyhow. `progress` hears of each page.
    pub(super) async fn extend(
        &self,
        merchant: &MerchantId,
        breath: Duration,
        progress: impl Fn(),
    ) -> Result<(), DatabaseError> {
        let (mut least, mut tries) = (self.least, 0);
        while tries < MOST_TRIES {
            match self.step(merchant, least).await? {
                Step::Done => return Ok(()),
                Step::Again => tries += 1,
                Step::Further => (least, tries) = (self.page, 0),
            }
            progress();
            if !breath.is_zero() {
                tokio::time::sleep(breath).await;
            }
        }
        Err(DatabaseError::Conflict)
    }

    async fn step(&self, merchant: &MerchantId, least: i64) -> Result<Step, DatabaseError> {
        let (keyring, of, length) = (self.keyring.clone(), merchant.clone(), self.page);
        let found = self.database.read(move |conn| {
            let Some((log, size)) = rows::find_log_size(conn, &of)? else { return Ok(None) };
            let head = store::find_head(conn, &of)?;
            let from = head.map_or(0, |head| head.log_index);
            if size.saturating_sub(from) < least {
                return Ok(None);
            }
            let Some(head) = head else { return Ok::<_, DatabaseError>(Some(Prepared::Nothing)) };
            let before = from.saturating_add(length).min(size);
            let log = SummedLog { id: &log, merchant: &of, keyring: Some(&keyring) };
            let page = page::sum(conn, &log, (from, before))?;
            let rows = store::added(conn, &of, page.sums)?;
            Ok(Some(Prepared::Page { head, before, rows, people: page.people }))
        });
        let of = merchant.clone();
        match found.await? {
            None => Ok(Step::Done),
            Some(Prepared::Nothing) => {
                self.database.write(move |conn| store::begin(conn, &of)).await?;
                Ok(Step::Again)
            }
            Some(Prepared::Page { head, before, rows, people }) => {
                let written = self.database.write(move |conn| {
                    // First: it holds the head, so that what follows is written by one.
                    let is_first = store::advance(conn, &of, head, before)?;
                    if is_first {
                        store::put(conn, &of, &rows)?;
                        store::insert_people(conn, &of, &people)?;
                    }
                    Ok::<_, DatabaseError>(is_first)
                });
                match written.await {
                    Ok(true) => Ok(Step::Further),
                    Ok(false) | Err(DatabaseError::Conflict) => Ok(Step::Again),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

enum Step {
    Done,
    /// Something else changed the sums meanwhile.
    Again,
    Further,
}

enum Prepared {
    /// There is no head yet.
    Nothing,
    Page {
        head: SummedHead,
        before: i64,
        rows: Vec<store::QuarterRow>,
        people: Vec<(String, i64)>,
    },
}
