//! A report from the summaries: the whole quarters of its period.

use std::sync::Arc;

use jiff::Timestamp;

use super::page::{self, SummedLog};
use super::store::{self, SummedHead};
use super::sums::{Cell, Column, QUARTER_MICROS, QuarterSums};
use super::{PAGE, Summarizer};
use crate::audit::reports::asked::{ReportKind, ReportPeriod};
use crate::audit::reports::tally::{self, Tally, TooMany};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkId};
use crate::ledger::store::history as rows;

/// Number of quarters that are read at once.
const QUARTERS: i64 = 2_000;

/// The number of times that quarters are read again because they changed meanwhile.
const MOST_TRIES: usize = 5;

/// The whole quarters of a period: from the first on and before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit::reports) struct WholeQuarters {
    from: Option<i64>,
    before: i64,
}

impl WholeQuarters {
    /// Those of this period, if it has any.
    pub(in crate::audit::reports) fn of(period: &ReportPeriod) -> Option<Self> {
        // The first that begins at an instant or later, also where that is no whole microsecond.
        let up = |at: Timestamp| {
            let down = super::sums::quarter_of(at);
            if beginning(down) == at { down } else { down.saturating_add(1) }
        };
        let (from, before) = (period.from.map(up), super::sums::quarter_of(period.to));
        from.is_none_or(|from| from < before).then_some(Self { from, before })
    }

    /// The two ends of the period that are none of them.
    pub(in crate::audit::reports) fn ends(self, period: &ReportPeriod) -> [Option<ReportPeriod>; 2] {
        let between = |from: Timestamp, to: Timestamp| {
            (from < to).then(|| ReportPeriod { from: Some(from), to, zone: period.zone.clone() })
        };
        [
            period.from.zip(self.from).and_then(|(from, whole)| between(from, beginning(whole))),
            between(beginning(self.before), period.to),
        ]
    }

    fn has(self, quarter: i64) -> bool {
        self.from.is_none_or(|from| from <= quarter) && quarter < self.before
    }
}

fn beginning(quarter: i64) -> Timestamp {
    from_micros(quarter.saturating_mul(QUARTER_MICROS))
}

/// The part of the sums that is asked for.
#[derive(Clone)]
pub(in crate::audit::reports) struct WantedSums {
    pub kind: ReportKind,
    pub merchant: MerchantId,
    pub perk: Option<PerkId>,
    pub quarters: WholeQuarters,
    /// The log's size when the report was begun.
    pub head: i64,
}

/// Why a report isn't counted from the summaries.
pub(in crate::audit::reports) enum Unfit {
    TooMany,
    /// A quarter is of two groups, or the sums went on changing: events are read instead.
    ReadEvents,
    Database(DatabaseError),
}

impl From<DatabaseError> for Unfit {
    fn from(error: DatabaseError) -> Self {
        match error {
            // An event or a sum was changed by hand: what the report asks for may not be touched by that.
            DatabaseError::Corrupt { .. } => Self::ReadEvents,
            error => Self::Database(error),
        }
    }
}

impl From<TooMany> for Unfit {
    fn from(TooMany: TooMany) -> Self {
        Self::TooMany
    }
}

impl Summarizer {
    /// Counts whole quarters; `fresh` makes the tally that they are counted in. With it comes the log's size that it is of:
    /// another replica may have summed up more since the report was begun.
    pub(in crate::audit::reports) async fn count(
        &self,
        wanted: &WantedSums,
        fresh: impl Fn() -> Tally,
        progress: impl Fn(),
    ) -> Result<(Tally, i64), Unfit> {
        for _ in 0..MOST_TRIES {
            let (asked, tally) = (wanted.clone(), fresh());
            let read = self.database.read(move |conn| stored(conn, &asked, tally)).await?;
            progress();
            let Some((summed, mut tally)) = read else { continue };
            if summed.log_index == 0 {
                // A log that short is read as fast, and of one report only.
                return Err(Unfit::ReadEvents);
            }
            let (mut from, head) = (summed.log_index, wanted.head.max(summed.log_index));
            while from < head {
                let before = head.min(from.saturating_add(PAGE));
                let (asked, keyring) = (wanted.clone(), self.keyring.clone());
                let read = self.database.read(move |conn| {
                    let Some((log, _)) = rows::find_log_size(conn, &asked.merchant)? else { return Ok(tally) };
                    let log = SummedLog { id: &log, merchant: &asked.merchant, keyring: Some(&keyring) };
                    for ((kind, quarter), sums) in page::sum(conn, &log, (from, before))?.sums.0 {
                        if kind == asked.kind && asked.quarters.has(quarter) {
                            add(&mut tally, &asked, quarter, sums)?;
                        }
                    }
                    Ok::<_, Unfit>(tally)
                });
                tally = read.await?;
                from = before;
                progress();
            }
            return Ok((tally, head));
        }
        Err(Unfit::ReadEvents)
    }
}

/// The stored quarters, added up, and the head that they belong to; none if that moved meanwhile.
fn stored(
    conn: &mut AnyConnection,
    wanted: &WantedSums,
    mut tally: Tally,
) -> Result<Option<(SummedHead, Tally)>, Unfit> {
    let none = SummedHead { log_index: 0, revision: 0 };
    let head = store::find_head(conn, &wanted.merchant)?.unwrap_or(none);
    let mut from = wanted.quarters.from.unwrap_or(i64::MIN);
    loop {
        let range = (from, wanted.quarters.before);
        let page = store::list_quarters(conn, &wanted.merchant, wanted.kind, range, QUARTERS)?;
        let next = page.last().map(|(quarter, _)| quarter.saturating_add(1));
        let is_last = i64::try_from(page.len()).is_ok_and(|length| length < QUARTERS);
        for (quarter, sums) in page {
            add(&mut tally, wanted, quarter, sums)?;
        }
        match next {
            Some(next) if !is_last => from = next,
            _ => break,
        }
    }
    let now = store::find_head(conn, &wanted.merchant)?.unwrap_or(none);
    Ok((now == head).then_some((head, tally)))
}

/// Adds a quarter to what is counted.
fn add(tally: &mut Tally, wanted: &WantedSums, quarter: i64, sums: QuarterSums) -> Result<(), Unfit> {
    let (at, end) = (beginning(quarter), beginning(quarter.saturating_add(1)));
    if !tally.is_one_group(at, end) {
        return Err(Unfit::ReadEvents);
    }
    let is_wanted =
        |perk: &Option<Arc<str>>| wanted.perk.as_ref().is_none_or(|wanted| perk.as_deref() == Some(wanted.as_str()));
    for (cell, counts) in sums.cells {
        if !is_wanted(&cell.perk_id) {
            continue;
        }
        let Cell { band, .. } = cell;
        let group = band.map_or_else(|| tally.group(at, &cell.properties()), tally::band);
        let counts: Vec<(&'static str, i64)> = counts
            .into_iter()
            .map(|(column, count)| match column {
                Column::Named(name) => (name, count),
                Column::Unspent(until) => (tally.unspent_column(from_micros(until)), count),
            })
            .collect();
        tally.add(group, counts.into_iter())?;
    }
    for (limit, sums) in sums.limits {
        if !is_wanted(&limit.perk_id) {
            continue;
        }
        let kept = tally.limit(&limit.perk, &limit.limit)?;
        kept.used += sums.used;
        kept.returned += sums.returned;
        kept.refused += sums.refused;
        kept.peak = kept.peak.max(sums.peak);
        if let Some(held) = sums.held {
            kept.hold(&limit.location, held)?;
        }
    }
    tally.pruned += sums.pruned;
    tally.unprovable += sums.unprovable;
    Ok(())
}
