//! A report from the summaries: the whole quarters of its period.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::page::{self, SummedLog};
use super::store;
use super::sums::{Cell, Column, QUARTER_MICROS, QuarterSums};
use super::{PAGE, Summarizer};
use crate::audit::reports::asked::{ReportKind, ReportPeriod};
use crate::audit::reports::tally::{self, Tally, TooMany};
use crate::database::{AnyConnection, DatabaseError, connection};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkId};
use crate::keyring::Keyring;
use crate::ledger::store::history as rows;

/// The most quarters of a report that are read from their events.
const MOST_ODD: usize = 100;

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

    /// One quarter as a period.
    pub(in crate::audit::reports) fn period_of(quarter: i64, period: &ReportPeriod) -> ReportPeriod {
        let (from, to) = (Some(beginning(quarter)), beginning(quarter.saturating_add(1)));
        ReportPeriod { from, to, zone: period.zone.clone() }
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
}

/// A report from the summaries.
pub(in crate::audit::reports) struct AddedUp {
    pub tally: Tally,
    /// The log's size that it is of.
    pub head: i64,
    /// The quarters that are not in it, whose events are read.
    pub odd: BTreeSet<i64>,
}

/// Why a report isn't counted from the summaries.
pub(in crate::audit::reports) enum Unfit {
    TooMany,
    /// Events are read as fast, or the sums were changed by hand, or many quarters are of two groups. Nothing of the period
    /// is pruned of which only sums are left.
    ReadEvents,
    Database(DatabaseError),
}

impl From<DatabaseError> for Unfit {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<TooMany> for Unfit {
    fn from(TooMany: TooMany) -> Self {
        Self::TooMany
    }
}

impl Summarizer {
    /// Counts whole quarters; `fresh` makes the tally that they are counted in.
    pub(in crate::audit::reports) async fn count(
        &self,
        wanted: &WantedSums,
        fresh: impl Fn() -> Tally,
        progress: impl Fn(),
    ) -> Result<AddedUp, Unfit> {
        let mut lost = BTreeSet::new();
        loop {
            let mut adding = Adding { wanted: wanted.clone(), tally: fresh(), odd: lost.clone(), is_again: false };
            let read = self.database.read(move |conn| {
                let (summed, size) = connection::snapshot(conn, |conn| adding.stored(conn))?;
                Ok::<_, Unfit>((adding, summed, size))
            });
            let (read, summed, size) = read.await?;
            adding = read;
            progress();
            let is_unfit = !(1..=size).contains(&summed) || adding.odd.len() > MOST_ODD;
            if (is_unfit || size - summed > self.most_asked) && adding.tally.unprovable == 0 {
                return Err(Unfit::ReadEvents);
            }
            if is_unfit {
                let detail = "their head is wrong, or many are lost, and only they count what is pruned of the period";
                return Err(Unfit::Database(DatabaseError::corrupt("report sums", detail)));
            }
            let mut from = summed;
            while from < size {
                let before = size.min(from.saturating_add(PAGE));
                let keyring = self.keyring.clone();
                let read = self.database.read(move |conn| {
                    adding.page(conn, &keyring, (from, before))?;
                    Ok::<_, Unfit>(adding)
                });
                adding = read.await?;
                from = before;
                progress();
            }
            // A quarter that is given up behind the head was counted before.
            let was = lost.len();
            lost.extend(adding.odd.iter().copied());
            if adding.is_again && lost.len() > was {
                continue;
            }
            return Ok(AddedUp { tally: adding.tally, head: size, odd: adding.odd });
        }
    }
}

/// A report being added up.
struct Adding {
    wanted: WantedSums,
    tally: Tally,
    odd: BTreeSet<i64>,
    /// True if a part of a quarter was counted that turned out to be an odd one.
    is_again: bool,
}

impl Adding {
    /// Adds the stored quarters; where they end, and where the log does.
    fn stored(&mut self, conn: &mut AnyConnection) -> Result<(i64, i64), Unfit> {
        let WantedSums { kind, merchant, quarters, .. } = self.wanted.clone();
        let size = rows::find_log_size(conn, &merchant)?.map_or(0, |(_, size)| size);
        let head = store::find_head(conn, &merchant)?.map_or(0, |head| head.log_index);
        let range = (quarters.from.unwrap_or(i64::MIN), quarters.before);
        store::each_quarter(conn, &merchant, kind, range, |quarter, sums| self.add(quarter, sums))?;
        Ok((head, size))
    }

    /// Adds what the events between these indexes come to.
    fn page(&mut self, conn: &mut AnyConnection, keyring: &Keyring, range: (i64, i64)) -> Result<(), Unfit> {
        let merchant = self.wanted.merchant.clone();
        let Some((log, _)) = rows::find_log_size(conn, &merchant)? else { return Ok(()) };
        let log = SummedLog { id: &log, merchant: &merchant, keyring: Some(keyring) };
        for ((kind, quarter), sums) in page::sum(conn, &log, range)?.sums.0 {
            if kind == self.wanted.kind && self.wanted.quarters.has(quarter) {
                self.is_again |= sums.is_lost && !self.odd.contains(&quarter);
                self.add(quarter, sums)?;
            }
        }
        Ok(())
    }

    /// Adds a quarter to what is counted.
    fn add(&mut self, quarter: i64, sums: QuarterSums) -> Result<(), Unfit> {
        let Self { wanted, tally, odd, .. } = self;
        let (at, end) = (beginning(quarter), beginning(quarter.saturating_add(1)));
        if sums.is_lost || !tally.is_one_group(at, end) {
            odd.insert(quarter);
        }
        if odd.contains(&quarter) {
            return Ok(());
        }
        let is_wanted = |perk: &Option<Arc<str>>| {
            wanted.perk.as_ref().is_none_or(|wanted| perk.as_deref() == Some(wanted.as_str()))
        };
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
            kept.add([sums.used, sums.returned, sums.refused], sums.peak);
            if let Some(held) = sums.held {
                kept.hold(&limit.location, held)?;
            }
        }
        tally.pruned = tally.pruned.saturating_add(sums.pruned);
        tally.unprovable = tally.unprovable.saturating_add(sums.unprovable);
        Ok(())
    }
}
