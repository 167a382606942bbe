//! Summaries: what the events of the log add up to, a quarter of an hour at a time, so that a report over a million events
//! adds up some thousand rows.
//!
//! # What is kept
//! For each merchant, report and UTC quarter of an hour that anything counts in, a row of sums (`sums.rs`; `packed.rs` as bytes):
//! - cells of the report's dimensions. Of grants and billing: perk, version of its rule, tier, location and kiosk, which is
//!   all that they group by beside time. Of fairness: perk and band of score, and nothing of place. None is by person: a
//!   cell a person would be nearly an event each, and no report asks for it.
//! - grants that nothing became of, by the instant at which they expire: whether they have, each report says by its own time.
//!   On a quiet day that is nearly one for each grant; of a cell it is no more than 900 if one rule gives all tokens as long.
//! - limits by location, of which a report shows the maxima that the last checks were held to.
//!
//! A row a quarter and not a row a cell: a busy quarter has dozens of cells, which are always read together. A quarter, because
//! the clocks of all zones differ from UTC by whole ones, so that days, hours, weeks and months of any of them are made of whole
//! ones. Zones had other offsets when towns still went by the sun: of such a quarter a report reads the events.
//!
//! # How they are made
//! In the log's order and up to an index, which is kept (`report_heads`): `page.rs` looks at each event as it stands behind those
//! before it. What an event changes of what was counted earlier it adds as a difference: a redemption moves the
//! grant of its check, in the quarter of that check, from unspent to redeemed; a correction counts the visits of its grant again.
//! So sums are the same however the log is cut into pages. Nobody who asks for a check waits for this: a task of the gateway does
//! it, and a report that finds some thousand events that are not summed up; what is more it leaves to the task.
//!
//! A page is read and summed up without a lock. Its transaction moves the head on, if the head is still as it was read, and writes
//! the rows: of two replicas that sum up the same page, one finds that it was done and begins again. Whatever else changes
//! sums changes the head's revision in its own transaction, so it can't slip in between either.
//!
//! # What is taken away
//! (`taken.rs`) An erasure looks its person's events up (`report_people`) and counts them as nobody's, in its transaction: what they
//! were counted as is sealed under the secret that goes with it. Of someone with many events that is reckoned beforehand.
//! Pruning sums all up first, whatever is worth while. A pruned event is counted on, and its quarter says so:
//! reports call it no longer provable. What links it to a person goes with its body, so a later erasure changes
//! nothing of it: by then it is nobody's. A contest whose refusal goes is of no band any more, as it is by the events.
//!
//! # What can't be read
//! A quarter that rests on an event, a secret or a row that can't be read is given up (`QuarterSums::is_lost`): it holds nothing,
//! reports read its events, which tell them what is wrong, and `audit verify` names it. So nothing damaged stands in the way of
//! the rest, of an erasure or of pruning. It remains given up when the damage is mended: that costs a little time, no more.
//!
//! # What it costs
//! A page that ends within a quarter has it written again with the next one: a quarter of 10,000 events is packed ten times.
//! PostgreSQL retains the older rows until a vacuum, also that of an erasure, which then says that it is not purged yet.
//! `report_people` has a row for each check of a person who is known, of 80 bytes and as much for its key.
//!
//! # How a report reads them
//! (`asking.rs`) The whole quarters of its period from here, on one snapshot; the events behind the head, summed up the same way
//! and kept nowhere; and from their events the two ends of the period that are no whole quarters, and quarters that are given up.
//! Where little is summed up, all from the events; never where only sums are left of some of them. What is pruned in the
//! moment between the snapshot and the events behind it is not counted, and stands in `pruned`.
//!
//! `perkgate audit verify` sums the log up again and names each cell that differs (`verify/tables/summaries.rs`).

pub(in crate::audit) mod asking;
mod packed;
pub(in crate::audit) mod page;
pub(in crate::audit) mod store;
pub(in crate::audit) mod sums;
pub mod taken;

use std::ops::RangeInclusive;
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
const MOST_TRIES: u32 = 100;

/// The wait after a try that was lost, and so much longer after each one more.
const LOST: Duration = Duration::from_millis(1);

/// A report leaves more to the task.
const MOST_ASKED: i64 = 20_000;

/// Makes summaries; cheap to clone.
#[derive(Clone)]
pub(super) struct Summarizer {
    pub database: Database,
    pub keyring: Keyring,
    /// Number of events that a page spans, and from which it is made.
    pub page: i64,
    pub least: i64,
    /// Number of events from which a page is made behind another one.
    pub rest: i64,
    /// The most events that one report sums up before it is counted, and the most that it adds to the sums where the events
    /// of its period say the same.
    pub most_asked: i64,
}

impl Summarizer {
    pub(super) const fn new(database: Database, keyring: Keyring) -> Self {
        Self { database, keyring, page: PAGE, least: LEAST, rest: PAGE, most_asked: MOST_ASKED }
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
            match self.extend(&merchant, i64::MAX, breath, || {}).await {
                // Another was faster all the time.
                Ok(()) | Err(DatabaseError::Conflict) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sums up the merchant's log if enough is not, and not more than `most` events: whole pages, and not the last events,
    /// of which a report reads so many anyhow. `progress` hears of each page.
    pub(super) async fn extend(
        &self,
        merchant: &MerchantId,
        most: i64,
        breath: Duration,
        progress: impl Fn(),
    ) -> Result<(), DatabaseError> {
        let (mut least, mut tries, mut known) = (self.least, 0, None);
        while tries < MOST_TRIES {
            match self.step(merchant, least..=most).await? {
                Step::Done => return Ok(()),
                Step::Further => (least, tries) = (self.rest, 0),
                // Another got further in its place.
                Step::Again(head) if head != known => (known, tries) = (head, 0),
                Step::Again(_) => {
                    tries += 1;
                    tokio::time::sleep(LOST * tries).await;
                }
            }
            progress();
            if !breath.is_zero() {
                tokio::time::sleep(breath).await;
            }
        }
        Err(DatabaseError::Conflict)
    }

    async fn step(&self, merchant: &MerchantId, worth: RangeInclusive<i64>) -> Result<Step, DatabaseError> {
        let (keyring, of, length) = (self.keyring.clone(), merchant.clone(), self.page);
        let found = self.database.read(move |conn| {
            let Some((log, size)) = rows::find_log_size(conn, &of)? else { return Ok(None) };
            let head = store::find_head(conn, &of)?;
            let from = head.map_or(0, |head| head.log_index);
            if from >= size || !worth.contains(&size.saturating_sub(from)) {
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
                Ok(Step::Again(Some(0)))
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
                    Ok(false) | Err(DatabaseError::Conflict) => Ok(Step::Again(Some(head.log_index))),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

enum Step {
    Done,
    /// Something else changed the sums meanwhile, which ended here.
    Again(Option<i64>),
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
