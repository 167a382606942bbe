//! The most that were inside at once since midnight in the perk's zone, from the log: another process finds the
//! same. A count only rises where someone comes in, or is found to be in, and the event of that says what it came to; so
//! the peak is the greatest of these and of what stood at midnight.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::Floor;
use crate::ledger::LedgerError;
use crate::ledger::occupancy::{self, CountedPlace, Inside};
use crate::ledger::read::decisions::PastEvent;
use crate::ledger::read::history::{Interest, Stretch};
use crate::rules::limit::CONCURRENT;
use crate::rules::rule::Rule;

/// A peak so far.
struct Peak {
    midnight: Timestamp,
    /// The index of the log from where on events are not in it.
    next: i64,
    most: u64,
}

impl Floor {
    /// The peak of the day of `inside`, by the rule's zone.
    pub(super) async fn peak_today(
        &self,
        place: &CountedPlace,
        rule: &Rule,
        inside: &Inside,
    ) -> Result<u64, LedgerError> {
        let zoned = inside.at.to_zoned(rule.time_zone().clone());
        let midnight = zoned.start_of_day().map_or(inside.at, |start| start.timestamp());
        // One reads, and the others wait for what it finds; one that is cut short leaves what it has read.
        let reading = self.peak_of(place);
        let mut reading = reading.lock().await;
        let is_known = reading.as_ref().is_some_and(|day| day.peak.midnight == midnight);
        let before = if is_known {
            let of = place.merchant.clone();
            self.ledger.context().database.read(move |conn| occupancy::log_size(conn, &of)).await?
        } else {
            // Before the log: what leaves meanwhile is then in one of the two at least.
            let of = place.clone();
            let uses = self.ledger.context().database.read(move |conn| occupancy::list_since(conn, &of, midnight));
            let since = SinceMidnight { uses: uses.await?, ..SinceMidnight::default() };
            let stretch = self.ledger.reader().stretch(&place.merchant, Some(midnight), Timestamp::MAX).await?;
            let peak = Peak { midnight, next: stretch.from, most: 0 };
            *reading = Some(Day { peak, since_midnight: Some(since) });
            stretch.before
        };
        let Some(day) = reading.as_mut() else { return Ok(inside.count) };
        let interest = Interest {
            perk: place.perk.clone(),
            personal_from: Timestamp::MAX,
            moves: true,
            other_perks: false,
            person: None,
        };
        while day.peak.next < before {
            let stretch = Stretch { from: day.peak.next, before };
            let page = self.ledger.reader().past_events(&place.merchant, stretch, &interest).await?;
            page.events.iter().for_each(|event| day.take(place, event));
            day.peak.next = page.next;
        }
        day.peak.most = day.most().max(inside.count);
        day.since_midnight = None;
        Ok(day.peak.most)
    }
}

/// A day being read.
pub(super) struct Day {
    peak: Peak,
    /// Gathered by the first reading only.
    since_midnight: Option<SinceMidnight>,
}

/// The uses by which it is known who was inside at midnight.
#[derive(Default)]
struct SinceMidnight {
    /// The uses that had not lapsed then, also those of today.
    uses: HashMap<String, i64>,
    /// The grants and corrections of today.
    made: HashSet<String>,
    /// The cost of a grant before it was first corrected today.
    were: HashMap<String, i64>,
}

impl Day {
    fn take(&mut self, place: &CountedPlace, event: &PastEvent) {
        let house = &place.house;
        let is_its = |limit: &str, scope: &str, window: &str| {
            limit == house.limit && scope == house.scope && window == CONCURRENT
        };
        match event {
            PastEvent::Check(check) if check.at >= self.peak.midnight && check.decided.is_granted() => {
                let touched = check.decided.limits.iter().find(|it| is_its(&it.id, &it.scope, &it.window));
                let (Some(touched), Some(grant)) = (touched, &check.grant) else { return };
                self.peak.most = self.peak.most.max(touched.used);
                self.made(grant);
            }
            PastEvent::Corrected(correction) if correction.at >= self.peak.midnight => {
                let recount = correction.limits.iter().find(|it| is_its(&it.limit, &it.scope, &it.window));
                let Some(recount) = recount else { return };
                self.peak.most = self.peak.most.max(recount.used);
                if let Some(since) = &mut self.since_midnight {
                    let was = i64::try_from(recount.was_cost).unwrap_or(i64::MAX);
                    since.were.entry(correction.grant.clone()).or_insert(was);
                }
            }
            PastEvent::Ended(end) if end.at >= self.peak.midnight => {
                let Some(since) = &mut self.since_midnight else { return };
                let stood = |lapsed_at: Option<Timestamp>| lapsed_at.is_none_or(|at| at > self.peak.midnight);
                let ours = end.returned.iter().filter(|it| is_its(&it.limit, &it.scope, &it.window));
                for part in ours.filter(|it| stood(it.lapsed_at)) {
                    let cost = i64::try_from(part.cost).unwrap_or(i64::MAX);
                    since.uses.entry(end.grant.clone()).or_insert(cost);
                }
            }
            PastEvent::Occupied(correction) if correction.at >= self.peak.midnight => {
                for inside in correction.limits.iter().filter(|it| is_its(&it.limit, &it.scope, CONCURRENT)) {
                    self.peak.most = self.peak.most.max(inside.used);
                    inside.uses.iter().for_each(|one| self.made(&one.name));
                }
            }
            PastEvent::Check(_)
            | PastEvent::Redeemed(_)
            | PastEvent::Corrected(_)
            | PastEvent::Ended(_)
            | PastEvent::Occupied(_) => {}
        }
    }

    fn made(&mut self, name: &str) {
        if let Some(since) = &mut self.since_midnight {
            since.made.insert(name.to_owned());
        }
    }

    fn most(&self) -> u64 {
        let at_midnight = self.since_midnight.as_ref().map_or(0, |since| {
            let uses = since.uses.iter().filter(|(name, _)| !since.made.contains(*name));
            uses.fold(0_i64, |sum, (name, cost)| sum.saturating_add(*since.were.get(name).unwrap_or(cost)))
        });
        self.peak.most.max(u64::try_from(at_midnight).unwrap_or(0))
    }
}
