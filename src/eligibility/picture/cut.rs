//! The meaning of given thresholds on a picture: the sentences that a page says when a handle is moved.

use jiff::civil::Date;

use super::{DailyLimit, Picture};
use crate::foundation::decimal::Decimal;

/// People by where the thresholds put them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Number of people of each handle of the picture: from its threshold to below the next.
    pub tiers: Vec<u64>,
    /// Number of people below the lowest threshold, by no more than the picture's `within`.
    pub just_short: u64,
    /// Number of people below that.
    pub rest: u64,
    /// Last week's days, the earliest first.
    pub days: Vec<DayCut>,
    /// True if a threshold lies inside a bar, so that its people are an estimate.
    pub is_inexact: bool,
}

/// A day of last week under the thresholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCut {
    pub date: Date,
    /// Number of people, or of visits where the limit counts those, that would have come in.
    pub came: u64,
    /// True if that reaches the limit.
    pub is_full: bool,
    /// Number of those that would have met a full perk.
    pub over: u64,
}

impl Cut {
    /// Number of people that come in.
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.tiers.iter().sum()
    }
}

impl Picture {
    /// The people by these thresholds, one for each handle of the picture; a higher tier's threshold may lie below a lower
    /// one's, whose people are then fewer.
    #[must_use]
    pub fn cut(&self, thresholds: &[Decimal]) -> Cut {
        let scale = self.scale();
        let is_inexact = thresholds.iter().any(|threshold| !scale.is_exact_at(*threshold));
        // The first bar of those who have a threshold: one that lies inside a bar leaves that bar out.
        let first_bar = |threshold: Decimal| {
            if threshold <= scale.minimum {
                return 0;
            }
            (0..scale.bins).find(|bin| scale.edge(*bin) >= threshold).unwrap_or(scale.bins)
        };
        let from = |counts: &[u64], bar: usize| counts.iter().skip(bar).sum::<u64>();
        let bars: Vec<usize> = thresholds.iter().map(|threshold| first_bar(*threshold)).collect();
        let lowest = bars.iter().copied().min().unwrap_or(scale.bins);
        let mut tiers = Vec::with_capacity(bars.len());
        for (at, bar) in bars.iter().enumerate() {
            // The highest tier that fits wins, so all that a higher one takes is not left for this one.
            let above = bars.iter().skip(at + 1).copied().min().unwrap_or(scale.bins);
            tiers.push(from(&self.counts, *bar).saturating_sub(from(&self.counts, above.max(*bar))));
        }
        let short_from = thresholds.iter().min().map_or(scale.bins, |low| first_bar(low.minus(self.within)));
        let just_short = from(&self.counts, short_from).saturating_sub(from(&self.counts, lowest));
        let rest = self.counts.iter().sum::<u64>().saturating_sub(from(&self.counts, short_from));
        let days = self.week.iter().map(|day| {
            let visits = from(&day.asked, lowest);
            let came = if self.limit.as_ref().is_some_and(|limit| limit.cost == "visit") {
                visits
            } else {
                times(visits, self.party)
            };
            let over = self.limit.as_ref().map_or(0, |limit: &DailyLimit| came.saturating_sub(limit.max));
            let is_full = self.limit.as_ref().is_some_and(|limit| came >= limit.max);
            DayCut { date: day.date, came, is_full, over }
        });
        let days = days.collect();
        Cut { tiers, just_short, rest, days, is_inexact }
    }
}

/// So many visits of so many people each, to the nearest whole.
fn times(visits: u64, party: Decimal) -> u64 {
    let thousandths = u64::try_from(party.thousandths()).unwrap_or(1000);
    (visits.saturating_mul(thousandths) + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::super::{DayAsked, Handle};
    use super::*;

    fn whole(points: i64) -> Decimal {
        Decimal::from_whole(points)
    }

    /// One person at each point from 0 to 99; on the one day of the week, one visitor at each.
    fn picture(limit: Option<DailyLimit>) -> Picture {
        let handle = |tier: &str, at: i64| Handle {
            tier: tier.to_owned(),
            name: tier.to_owned(),
            at_least: whole(at),
            asks_more: false,
            is_own: true,
            floor: None,
        };
        Picture {
            perk: "sfo-lounge".parse().unwrap(),
            version: 1,
            source: "klout".parse().unwrap(),
            at: "2026-11-27T22:31:08Z".parse().unwrap(),
            minimum: whole(0),
            maximum: whole(100),
            within: whole(3),
            counts: vec![1; 100],
            total: 100,
            counted: 100,
            stale: 0,
            tiers: vec![handle("main", 40), handle("first", 60)],
            published: None,
            incomparable: None,
            without_threshold: Vec::new(),
            limit,
            party: Decimal::from_thousandths(1_400),
            week: vec![DayAsked { date: "2026-11-26".parse().unwrap(), asked: vec![1; 100], unknown: 2 }],
            is_week_estimated: false,
        }
    }

    #[test]
    fn everyone_is_in_one_place() {
        let cut = picture(None).cut(&[whole(45), whole(60)]);
        assert_eq!((cut.tiers.clone(), cut.just_short, cut.rest), (vec![15, 40], 3, 42));
        assert_eq!((cut.admitted(), cut.is_inexact), (55, false));
        let all = picture(None).cut(&[whole(0), whole(0)]);
        assert_eq!((all.tiers, all.just_short, all.rest), (vec![0, 100], 0, 0));
        let none = picture(None).cut(&[whole(101), whole(101)]);
        assert_eq!((none.tiers, none.just_short, none.rest), (vec![0, 0], 2, 98));
    }

    #[test]
    fn a_higher_tier_that_asks_for_less_leaves_nothing_to_the_lower() {
        let cut = picture(None).cut(&[whole(70), whole(50)]);
        assert_eq!((cut.tiers, cut.just_short, cut.rest), (vec![0, 50], 3, 47));
    }

    #[test]
    fn a_threshold_inside_a_bar_is_said_to_be_one() {
        let cut = picture(None).cut(&["45.5".parse().unwrap(), whole(60)]);
        assert_eq!((cut.tiers, cut.is_inexact), (vec![14, 40], true));
    }

    #[test]
    fn thresholds_at_the_end_of_the_scale_are_exact() {
        for low in 0..3 {
            assert!(!picture(None).cut(&[whole(low), whole(60)]).is_inexact, "{low}");
        }
    }

    #[test]
    fn last_weeks_days_are_held_against_the_limit() {
        let people = picture(Some(DailyLimit { id: "house-day".to_owned(), max: 70, cost: "party" }));
        // 55 visits of 1.4 people.
        let day = people.cut(&[whole(45), whole(60)]).days.remove(0);
        assert_eq!((day.came, day.over), (77, 7));
        let visits = picture(Some(DailyLimit { id: "house-day".to_owned(), max: 70, cost: "visit" }));
        let day = visits.cut(&[whole(45), whole(60)]).days.remove(0);
        assert_eq!((day.came, day.is_full, day.over), (55, false, 0));
        let exactly = picture(Some(DailyLimit { id: "house-day".to_owned(), max: 55, cost: "visit" }));
        let day = exactly.cut(&[whole(45), whole(60)]).days.remove(0);
        assert_eq!((day.is_full, day.over), (true, 0));
    }
}
