//! Counting events into groups. Whatever is counted in a group is counted in the totals, by the same call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::asked::{GroupBy, ReportKind, ReportPeriod};
use super::counting::{self, Fate, LimitMove, Person};
use super::facts::{Facts, PartyFacts};
use crate::rules::limit::MAX_LOCATIONS;

/// The most groups that a report may have, and the most limits: what memory holds.
pub(super) const MOST_GROUPS: usize = 10_000;

/// A group, counted under one name. Groups are in the order of their numbers, then of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    number: i64,
    /// None where the events say nothing.
    pub name: Option<String>,
}

/// The counts, by column.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// The place of an event: its index in the log, and the instant by which it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub index: i64,
    pub at: Timestamp,
}

/// The properties of an event that make groups.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Properties<'a> {
    pub perk: Option<&'a str>,
    pub tier: Option<&'a str>,
    pub location: Option<&'a str>,
    pub kiosk: Option<&'a str>,
    pub rule_version: Option<i64>,
}

/// The maximum of a limit that checks at a location were held to: from the check at the first index on, and by the
/// one at the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Held {
    pub first: i64,
    pub last: i64,
    pub max: u64,
}

impl Held {
    pub(super) fn merge(&mut self, other: Self) {
        if other.last >= self.last {
            (self.last, self.max) = (other.last, other.max);
        }
        self.first = self.first.min(other.first);
    }
}

/// The uses that a perk's limit let through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LimitUse {
    pub used: u64,
    pub returned: u64,
    pub peak: u64,
    pub refused: u64,
    held: BTreeMap<String, Held>,
}

impl LimitUse {
    /// The maximum that the last check was held to.
    pub(super) fn max(&self) -> u64 {
        self.held.values().max_by_key(|held| held.last).map_or(0, |held| held.max)
    }

    /// The maxima by location, where they differ: of the locations that were seen first, as many as one limit can name.
    pub(super) fn differing_maxima(self) -> BTreeMap<String, u64> {
        let max = self.max();
        let mut held: Vec<(String, Held)> = self.held.into_iter().collect();
        held.sort_by_key(|(_, held)| held.first);
        held.truncate(MAX_LOCATIONS);
        if held.iter().all(|(_, held)| held.max == max) {
            return BTreeMap::new();
        }
        held.into_iter().map(|(location, held)| (location, held.max)).collect()
    }

    /// Adds what was used, returned and refused, and the most that stood against it.
    pub(super) fn add(&mut self, [used, returned, refused]: [u64; 3], peak: u64) {
        self.used = self.used.saturating_add(used);
        self.returned = self.returned.saturating_add(returned);
        self.refused = self.refused.saturating_add(refused);
        self.peak = self.peak.max(peak);
    }

    /// Notes the maximum that checks at a location were held to.
    pub(super) fn hold(&mut self, location: &str, held: Held) -> Result<(), TooMany> {
        if let Some(known) = self.held.get_mut(location) {
            known.merge(held);
            return Ok(());
        }
        if self.held.len() >= MOST_GROUPS {
            return Err(TooMany);
        }
        self.held.insert(location.to_owned(), held);
        Ok(())
    }
}

/// There are more groups than a report may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// A report being counted.
pub(super) struct Tally {
    kind: ReportKind,
    group_by: Option<GroupBy>,
    zone: TimeZone,
    as_of: Timestamp,
    pub totals: Counts,
    pub groups: BTreeMap<Group, Counts>,
    /// By perk and limit.
    pub limits: BTreeMap<(String, String), LimitUse>,
    /// Number of events of the period that have lost their bodies, and are counted nowhere.
    pub pruned: u64,
    /// Number of those that lost them after they were counted in a summary.
    pub unprovable: u64,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { index: 0, at }
    }
}

impl<'a> From<&'a Facts<'_>> for Properties<'a> {
    fn from(facts: &'a Facts<'_>) -> Self {
        Self {
            perk: facts.perk.as_deref(),
            tier: facts.tier.as_deref(),
            location: facts.location.as_deref(),
            kiosk: facts.kiosk.as_deref(),
            rule_version: facts.rule_version,
        }
    }
}

impl Tally {
    pub(super) fn new(kind: ReportKind, group_by: Option<GroupBy>, period: &ReportPeriod, as_of: Timestamp) -> Self {
        Self {
            kind,
            group_by,
            zone: period.zone.clone(),
            as_of,
            totals: Counts::new(),
            groups: BTreeMap::new(),
            limits: BTreeMap::new(),
            pruned: 0,
            unprovable: 0,
        }
    }

    /// A check, what had become of its grant, and what is known of its person.
    pub(super) fn check(
        &mut self,
        moment: impl Into<Moment>,
        facts: &Facts<'_>,
        fate: Fate,
        person: &Person,
    ) -> Result<(), TooMany> {
        let moment = moment.into();
        let mut counted = match self.kind {
            ReportKind::Billing => return Ok(()),
            kind => counting::check(kind, facts, person),
        };
        if self.kind == ReportKind::Fairness {
            return self.count(band(counting::band(person)), &counted);
        }
        if let Some(grant) = &facts.grant {
            let unspent = counting::unspent_column(grant.expires_at <= self.as_of);
            counted.push((fate.column().unwrap_or(unspent), 1));
        }
        self.limits(moment, facts, &counting::limits_of_check(facts))?;
        self.count(self.group(moment.at, &facts.into()), &counted)
    }

    /// A door took a token; `corrected` is who came, if that was corrected by the time of the report.
    pub(super) fn redeemed(
        &mut self,
        at: Timestamp,
        facts: &Facts<'_>,
        corrected: Option<PartyFacts>,
    ) -> Result<(), TooMany> {
        let counted = match self.kind {
            ReportKind::Grants => vec![("redeemed", 1)],
            ReportKind::Billing => counting::visit(facts, corrected),
            ReportKind::Fairness => return Ok(()),
        };
        self.count(self.group(at, &facts.into()), &counted)
    }

    /// A party was corrected.
    pub(super) fn corrected(&mut self, moment: Moment, facts: &Facts<'_>) -> Result<(), TooMany> {
        if self.kind != ReportKind::Grants {
            return Ok(());
        }
        self.limits(moment, facts, &counting::limits_of_correction(facts))?;
        self.count(self.group(moment.at, &facts.into()), &[("corrected", 1)])
    }

    /// A grant was released, or voided after so many visits.
    pub(super) fn ended(
        &mut self,
        moment: Moment,
        facts: &Facts<'_>,
        is_void: bool,
        visits: u64,
    ) -> Result<(), TooMany> {
        if self.kind == ReportKind::Grants {
            self.freed(moment, facts)?;
        }
        let counted = counting::end(self.kind, facts, is_void, visits);
        if counted.is_empty() { Ok(()) } else { self.count(self.group(moment.at, &facts.into()), &counted) }
    }

    /// Counts uses of limits that came back.
    pub(super) fn freed(&mut self, moment: Moment, facts: &Facts<'_>) -> Result<(), TooMany> {
        self.limits(moment, facts, &counting::limits_returned(facts))
    }

    /// Someone contested a refusal, or decided about that; the person is as the refusal knew them.
    pub(super) fn contested(&mut self, column: &'static str, person: &Person) -> Result<(), TooMany> {
        match self.kind {
            ReportKind::Fairness => self.count(band(counting::band(person)), &[(column, 1)]),
            ReportKind::Grants | ReportKind::Billing => Ok(()),
        }
    }

    fn limits(&mut self, moment: Moment, facts: &Facts<'_>, moves: &[LimitMove<'_>]) -> Result<(), TooMany> {
        for it in moves {
            let kept = self.limit(facts.perk.as_deref().unwrap_or_default(), it.limit)?;
            kept.add([it.used, it.returned, it.refused], it.peak);
            if let Some(max) = it.max {
                let held = Held { first: moment.index, last: moment.index, max };
                kept.hold(facts.location.as_deref().unwrap_or_default(), held)?;
            }
        }
        Ok(())
    }

    /// The uses of a perk's limit.
    pub(super) fn limit(&mut self, perk: &str, limit: &str) -> Result<&mut LimitUse, TooMany> {
        let key = (perk.to_owned(), limit.to_owned());
        if self.limits.len() >= MOST_GROUPS && !self.limits.contains_key(&key) {
            return Err(TooMany);
        }
        Ok(self.limits.entry(key).or_default())
    }

    fn count(&mut self, group: Group, counted: &[(&'static str, u64)]) -> Result<(), TooMany> {
        let counted = counted.iter().map(|(column, count)| (*column, count.cast_signed()));
        self.add(group, counted)
    }

    /// Adds counts to a group; those that only take away stand behind what they take away from.
    pub(super) fn add(
        &mut self,
        group: Group,
        counted: impl Iterator<Item = (&'static str, i64)>,
    ) -> Result<(), TooMany> {
        let is_full = self.groups.len() >= MOST_GROUPS;
        if is_full && !self.groups.contains_key(&group) {
            return Err(TooMany);
        }
        let counts = self.groups.entry(group).or_default();
        for (column, count) in counted {
            for sums in [&mut *counts, &mut self.totals] {
                let sum = sums.entry(column).or_default();
                *sum = sum.saturating_add_signed(count);
            }
        }
        Ok(())
    }

    /// The column of a grant that expires at `expires_at` and of which nothing became.
    pub(super) fn unspent_column(&self, expires_at: Timestamp) -> &'static str {
        counting::unspent_column(expires_at <= self.as_of)
    }

    /// Tells whether all instants from the first on and before the second are of one group, as far as time makes groups.
    pub(super) fn is_one_group(&self, from: Timestamp, before: Timestamp) -> bool {
        let last = before.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(before);
        let group = |at| self.group(at, &Properties::default());
        group(from) == group(last)
    }

    pub(super) fn group(&self, at: Timestamp, of: &Properties<'_>) -> Group {
        let named = |name: Option<&str>| Group { number: 0, name: name.map(str::to_owned) };
        match self.group_by {
            None | Some(GroupBy::ScoreBand) => named(None),
            Some(GroupBy::Day) => {
                let day = at.to_zoned(self.zone.clone()).date();
                // Years before 0 don't sort by their digits.
                Group { number: i64::from(day.year()), name: Some(day.to_string()) }
            }
            Some(GroupBy::Hour) => {
                let local = at.to_zoned(self.zone.clone());
                let into = i64::from(local.minute()) * 60 + i64::from(local.second());
                // An hour that is lived through twice is two: its offset tells them apart.
                let name = local.strftime("%Y-%m-%dT%H:00%:z").to_string();
                Group { number: at.as_second() - into, name: Some(name) }
            }
            Some(GroupBy::Week) => {
                let week = at.to_zoned(self.zone.clone()).date().iso_week_date();
                let (year, name) = (week.year(), format!("{:04}-W{:02}", week.year(), week.week()));
                Group { number: i64::from(year), name: Some(name) }
            }
            Some(GroupBy::Month) => {
                let day = at.to_zoned(self.zone.clone()).date();
                let name = format!("{:04}-{:02}", day.year(), day.month());
                Group { number: i64::from(day.year()), name: Some(name) }
            }
            Some(GroupBy::Perk) => named(of.perk),
            Some(GroupBy::Tier) => named(of.tier),
            Some(GroupBy::Location) => named(of.location),
            Some(GroupBy::Kiosk) => named(of.kiosk),
            Some(GroupBy::RuleVersion) => {
                let number = of.rule_version.unwrap_or(0);
                let name = of.perk.map(|perk| format!("{perk} v{number}"));
                Group { number, name }
            }
        }
    }
}

/// The group of a band of scores.
pub(super) fn band(number: i64) -> Group {
    Group { number, name: Some(counting::band_name(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reports::asked::zone;
    use crate::audit::reports::facts::{Personal, PersonalScore};
    use crate::foundation::decimal::Decimal;

    fn facts(text: &str) -> Facts<'_> {
        serde_json::from_str(text).unwrap()
    }

    fn tally(kind: ReportKind, group_by: Option<GroupBy>, zone_name: &str) -> Tally {
        let zone = zone(zone_name).unwrap();
        let as_of: Timestamp = "2012-12-01T00:00:00Z".parse().unwrap();
        Tally::new(kind, group_by, &ReportPeriod { from: None, to: as_of, zone }, as_of)
    }

    fn names(tally: &Tally) -> Vec<&str> {
        tally.groups.keys().map(|group| group.name.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_groups_in_order() {
        let mut it = tally(ReportKind::Billing, Some(GroupBy::Hour), "America/Los_Angeles");
        for at in ["2012-11-04T09:30:00Z", "2012-11-04T08:30:00Z", "2012-11-04T10:00:00Z"] {
            it.redeemed(at.parse().unwrap(), &facts(r#"{"party":2}"#), None).unwrap();
        }
        assert_eq!(names(&it), ["2012-11-04T01:00-07:00", "2012-11-04T01:00-08:00", "2012-11-04T02:00-08:00"]);
        assert_eq!((it.totals["visits"], it.totals["guests"]), (3, 6));
        let mut it = tally(ReportKind::Billing, Some(GroupBy::Hour), "Asia/Kolkata");
        it.redeemed("2012-11-04T09:30:00Z".parse().unwrap(), &facts("{}"), None).unwrap();
        assert_eq!(names(&it), ["2012-11-04T15:00+05:30"]);
    }

    #[test]
    fn weeks_begin_on_mondays_and_months_on_their_first_day_of_the_zone() {
        let groups = |by, zone: &str| {
            let mut it = tally(ReportKind::Billing, Some(by), zone);
            // A Sunday, the Monday after it, and the last day of a year whose week is the next one's first.
            for at in ["2012-05-06T23:30:00Z", "2012-05-07T00:30:00Z", "2012-12-31T12:00:00Z", "2012-05-31T23:30:00Z"] {
                it.redeemed(at.parse().unwrap(), &facts("{}"), None).unwrap();
            }
            names(&it).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(groups(GroupBy::Week, "UTC"), ["2012-W18", "2012-W19", "2012-W22", "2013-W01"]);
        assert_eq!(groups(GroupBy::Week, "Asia/Tokyo"), ["2012-W19", "2012-W22", "2013-W01"]);
        assert_eq!(groups(GroupBy::Month, "UTC"), ["2012-05", "2012-12"]);
        assert_eq!(groups(GroupBy::Month, "Asia/Tokyo"), ["2012-05", "2012-06", "2012-12"]);
    }

    #[test]
    fn bands_are_ten_points_wide_also_below_nought() {
        let named = |thousandths| {
            let score = Some(PersonalScore { value: Decimal::from_thousandths(thousandths) });
            band(counting::band(&Person::Known(Personal { reasons: Vec::new(), score }))).name.unwrap()
        };
        assert_eq!(named(39_999), "30 to below 40");
        assert_eq!(named(40_000), "40 to below 50");
        assert_eq!(named(-1), "-10 to below 0");
        assert_eq!(named(0), "0 to below 10");
    }

    #[test]
    fn near_misses_are_those_within_three_points_and_the_erased_are_unknown() {
        let mut it = tally(ReportKind::Fairness, None, "UTC");
        let denied = r#"{"decision":"denied","reasons":[{"code":"score_below_threshold"}]}"#;
        let short =
            |by: &str| Person::Known(serde_json::from_str(&format!(r#"{{"reasons":[{{"short_by":{by}}}]}}"#)).unwrap());
        for person in [short("3"), short("3.001"), short("0.5"), Person::Unknown] {
            it.check(Timestamp::UNIX_EPOCH, &facts(denied), Fate::default(), &person).unwrap();
        }
        let counts = ["checks", "denied", "near_misses", "near_unknown", "refused_score_below_threshold"];
        assert_eq!(counts.map(|name| it.totals[name]), [4, 4, 2, 1, 4]);
        assert_eq!(names(&it), ["no score", "unknown"]);
    }

    #[test]
    fn a_grant_has_one_fate() {
        let mut it = tally(ReportKind::Grants, None, "UTC");
        let grant = |at: &str| format!(r#"{{"decision":"granted","grant":{{"id":"g","expires_at":"{at}"}}}}"#);
        let (past, future) = (grant("2012-12-01T00:00:00Z"), grant("2012-12-01T00:00:01Z"));
        let all = Fate { redeemed: true, voided: true, released: true };
        for (text, fate) in [
            (&past, all),
            (&past, Fate { redeemed: false, ..all }),
            (&past, Fate { released: true, ..Fate::default() }),
            (&past, Fate::default()),
            (&future, Fate::default()),
        ] {
            it.check(Timestamp::UNIX_EPOCH, &facts(text), fate, &Person::Unasked).unwrap();
        }
        for name in ["grants_redeemed", "grants_voided", "grants_released", "expired_unused", "grants_open"] {
            assert_eq!(it.totals[name], 1, "{name}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut it = tally(ReportKind::Billing, Some(GroupBy::Kiosk), "UTC");
        let visit = |it: &mut Tally, nth: usize| {
            it.redeemed(Timestamp::UNIX_EPOCH, &facts(&format!(r#"{{"kiosk":"k{nth}"}}"#)), None)
        };
        for nth in 0..MOST_GROUPS {
            visit(&mut it, nth).unwrap();
        }
        assert_eq!(visit(&mut it, 0), Ok(()));
        assert_eq!(visit(&mut it, MOST_GROUPS), Err(TooMany));
    }
}
