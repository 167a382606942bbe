//! The decisions of the last day, by perk and quarter of an hour. Each look reads what the log has grown by, so a list of
//! perks costs no more where a million were decided than where ten were.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::DayDecisions;
use crate::database::DatabaseError;
use crate::foundation::ids::MerchantId;
use crate::ledger::Ledger;
use crate::ledger::read::today::{Decision, first_since, list_decisions};

/// The time that is kept: the longest day of any zone, and what replicas' clocks differ by.
const KEPT: SignedDuration = SignedDuration::from_hours(26);
/// Every zone's midnight is at the beginning of one.
const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;
/// The most pages of the log that one look reads.
const MOST_PAGES: usize = 40;

/// Decisions by perk and quarter of an hour.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The index of the log from where on nothing is read yet; none before the first look.
    next: Option<i64>,
    counts: HashMap<String, BTreeMap<i64, Counts>>,
}

/// The decisions of a perk in a quarter of an hour.
#[derive(Debug, Default)]
struct Counts {
    granted: u64,
    /// By the code of the first reason.
    refused: BTreeMap<String, u64>,
}

impl Tally {
    /// Reads on; tells whether it has read all.
    pub(super) async fn catch_up(
        &mut self,
        ledger: &Ledger,
        merchant: &MerchantId,
        now: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let since = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let database = &ledger.context().database;
        let mut next = if let Some(next) = self.next {
            next
        } else {
            let of = merchant.clone();
            database.read(move |conn| first_since(conn, &of, since)).await?
        };
        self.forget_before(since);
        for _ in 0..MOST_PAGES {
            let of = merchant.clone();
            let page = database.read(move |conn| list_decisions(conn, &of, next)).await?;
            page.decisions.iter().for_each(|decision| self.add(decision));
            next = page.next;
            self.next = Some(next);
            if page.is_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add(&mut self, decision: &Decision) {
        let quarter = decision.at.as_microsecond().div_euclid(QUARTER_MICROS);
        let of_perk = self.counts.entry(decision.perk.clone()).or_default();
        let counts = of_perk.entry(quarter).or_default();
        match decision.decision.as_str() {
            "granted" => counts.granted += 1,
            "denied" => {
                let reason = decision.reason.clone().unwrap_or_default();
                *counts.refused.entry(reason).or_default() += 1;
            }
            _ => {}
        }
    }

    fn forget_before(&mut self, since: Timestamp) {
        let first = since.as_microsecond().div_euclid(QUARTER_MICROS);
        for of_perk in self.counts.values_mut() {
            *of_perk = of_perk.split_off(&first);
        }
        self.counts.retain(|_, of_perk| !of_perk.is_empty());
    }

    /// The decisions about a perk since an instant.
    pub(super) fn since(&self, perk: &str, since: Timestamp) -> DayDecisions {
        let first = since.as_microsecond().div_euclid(QUARTER_MICROS);
        let mut day = DayDecisions::default();
        let Some(of_perk) = self.counts.get(perk) else { return day };
        for (quarter, counts) in of_perk.range(first..) {
            let refused = counts.refused.values().sum::<u64>();
            day.granted += counts.granted;
            day.refused += refused;
            for (reason, count) in &counts.refused {
                *day.reasons.entry(reason.clone()).or_default() += count;
            }
            // Hours are counted from midnight on: a zone may be half an hour off.
            let hour = usize::try_from((quarter - first) / 4).unwrap_or(0);
            day.hours.resize(day.hours.len().max(hour + 1), (0, 0));
            if let Some((granted, others)) = day.hours.get_mut(hour) {
                *granted += counts.granted;
                *others += refused;
            }
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_its_midnight_and_what_is_older_is_forgotten() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut tally = Tally::default();
        for (instant, decision, reason) in [
            ("2026-11-26T23:59:59Z", "granted", "score_met"),
            ("2026-11-27T00:00:00Z", "granted", "score_met"),
            ("2026-11-27T00:10:00Z", "denied", "score_missing"),
            ("2026-11-27T09:00:00Z", "granted", "score_met"),
            ("2026-11-27T09:59:00Z", "denied", "score_missing"),
            ("2026-11-27T09:00:00Z", "referred", "score_stale"),
        ] {
            let (decision, reason) = (decision.into(), Some(reason.into()));
            tally.add(&Decision { perk: "prk_1".into(), at: at(instant), decision, reason });
        }
        let counts = |perk: &str, since: &str| {
            let day = tally.since(perk, at(since));
            (day.granted, day.refused)
        };
        assert_eq!(counts("prk_1", "2026-11-27T00:00:00Z"), (2, 2));
        assert_eq!(counts("prk_1", "2026-11-26T00:00:00Z"), (3, 2));
        assert_eq!(counts("prk_2", "2026-11-26T00:00:00Z"), (0, 0));
        let day = tally.since("prk_1", at("2026-11-27T00:00:00Z"));
        assert_eq!(day.reasons, BTreeMap::from([("score_missing".to_owned(), 2)]));
        assert_eq!((day.hours.len(), day.hours[0], day.hours[1], day.hours[9]), (10, (1, 1), (0, 0), (1, 1)));
        tally.forget_before(at("2026-11-27T08:00:00Z"));
        assert_eq!(tally.since("prk_1", at("2026-11-26T00:00:00Z")).granted, 1);
    }
}
