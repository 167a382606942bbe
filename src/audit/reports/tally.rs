//! Counting events into groups. Whatever is counted in a group is counted in the totals, by the same call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::asked::{GroupBy, ReportKind, ReportPeriod};
use super::columns;
use super::facts::{Facts, GuestFacts, PartyFacts, Personal};
use crate::foundation::decimal::Decimal;
use crate::foundation::period::Period as Span;
use crate::rules::limit::MAX_LOCATIONS;

/// The most groups that a report may have, and the most limits: what memory holds.
pub(super) const MOST_GROUPS: usize = 10_000;

/// The largest gap of a near miss.
const NEAR: Decimal = Decimal::from_thousandths(3_000);

/// The width of a band of scores, in points.
const BAND: i64 = 10;

/// A group, counted under one name. Groups are in the order of their numbers, then of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    number: i64,
    /// None where the events say nothing.
    pub name: Option<String>,
}

/// The counts, by column.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// The uses that a perk's limit let through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LimitUse {
    pub used: u64,
    pub returned: u64,
    pub peak: u64,
    pub max: u64,
    /// By the locations of checks, as many as one limit can name.
    pub max_by_location: BTreeMap<String, u64>,
    pub refused: u64,
}

impl LimitUse {
    /// The maxima by location, where they differ.
    pub(super) fn differing_maxima(self) -> BTreeMap<String, u64> {
        let differ = self.max_by_location.values().any(|max| *max != self.max);
        if differ { self.max_by_location } else { BTreeMap::new() }
    }
}

/// There are more groups than a report may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// The outcome of a grant, as of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    pub redeemed: bool,
    pub voided: bool,
    pub released: bool,
}

/// The person of a check, as far as they are known.
pub(super) enum Person {
    /// Nobody asked.
    Unasked,
    /// Erased: nothing can be opened any more.
    Unknown,
    Known(Personal),
}

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
    /// Number of events of the period that have lost their bodies.
    pub pruned: u64,
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
        }
    }

    /// A check, what had become of its grant, and what is known of its person.
    pub(super) fn check(
        &mut self,
        at: Timestamp,
        facts: &Facts<'_>,
        fate: Fate,
        person: &Person,
    ) -> Result<(), TooMany> {
        if self.kind == ReportKind::Billing {
            return Ok(());
        }
        // What a person grants in the place of a check is no further asking: the share admitted is of askings.
        let is_asking = facts.resolves.is_none() || self.kind == ReportKind::Grants;
        let mut counted = vec![("checks", 1)];
        match facts.decision.as_deref() {
            _ if !is_asking => counted.clear(),
            Some("granted") => counted.push(("granted", 1)),
            Some("referred") => counted.push(("referred", 1)),
            _ => {
                counted.push(("denied", 1));
                counted.push((columns::refused_by(first_reason(facts)), 1));
            }
        }
        if facts.is_below() {
            match person {
                Person::Known(known) => {
                    if known.gap().is_some_and(|gap| gap <= NEAR) {
                        counted.push(("near_misses", 1));
                    }
                }
                Person::Unknown | Person::Unasked => counted.push(("near_unknown", 1)),
            }
        }
        if facts.resolves.is_some() {
            counted.push(("granted_by_person", 1));
        }
        if facts.override_reason.is_some() {
            counted.push((if facts.paid.is_some() { "paid" } else { "overridden" }, 1));
        }
        if self.kind == ReportKind::Fairness {
            if let Some(wait) = facts.max_wait.as_deref().and_then(|text| text.parse::<Span>().ok()) {
                counted.push(("waits", 1));
                counted.push(("wait_seconds", u64::try_from(wait.seconds()).unwrap_or(0)));
            }
            return self.count(band(person), &counted);
        }
        if let Some(grant) = &facts.grant {
            let column = match fate {
                Fate { redeemed: true, .. } => "grants_redeemed",
                Fate { voided: true, .. } => "grants_voided",
                Fate { released: true, .. } => "grants_released",
                Fate { .. } if grant.expires_at <= self.as_of => "expired_unused",
                Fate { .. } => "grants_open",
            };
            counted.push((column, 1));
        }
        self.limits(facts)?;
        self.count(self.group(at, facts), &counted)
    }

    /// A door took a token; `corrected` is who came, if that was corrected by the time of the report.
    pub(super) fn redeemed(
        &mut self,
        at: Timestamp,
        facts: &Facts<'_>,
        corrected: Option<PartyFacts>,
    ) -> Result<(), TooMany> {
        match self.kind {
            ReportKind::Grants => self.count(self.group(at, facts), &[("redeemed", 1)]),
            ReportKind::Billing => {
                let as_redeemed = PartyFacts { party: facts.party.unwrap_or(1), guests: facts.guests };
                let PartyFacts { party, guests } = corrected.unwrap_or(as_redeemed);
                let GuestFacts { free, charged } = guests.unwrap_or(GuestFacts { free: 0, charged: 0 });
                let is_ended = matches!(facts.meanwhile.as_deref(), Some("voided" | "released"));
                let is_paid = facts.paid.is_some();
                let is_overridden = facts.override_reason.is_some() && !is_paid;
                let [corrected, late, ended, by_hand, paid] =
                    [corrected.is_some(), facts.redeemed_at.is_some(), is_ended, is_overridden, is_paid].map(u64::from);
                let counted = [
                    ("visits", 1),
                    ("guests", party),
                    ("free", free),
                    ("charged", charged),
                    ("corrected", corrected),
                    ("late_visits", late),
                    ("ended_visits", ended),
                    ("overridden_visits", by_hand),
                    ("paid_visits", paid),
                ];
                self.count(self.group(at, facts), &counted)
            }
            ReportKind::Fairness => Ok(()),
        }
    }

    /// Someone's party was corrected.
    pub(super) fn corrected(&mut self, at: Timestamp, facts: &Facts<'_>) -> Result<(), TooMany> {
        if self.kind != ReportKind::Grants {
            return Ok(());
        }
        for touched in &facts.limits {
            let was = touched.was_cost.unwrap_or(touched.cost);
            let kept = self.limit(facts, &touched.id)?;
            kept.peak = kept.peak.max(touched.used);
            kept.used += touched.cost.saturating_sub(was);
            kept.returned += was.saturating_sub(touched.cost);
        }
        self.count(self.group(at, facts), &[("corrected", 1)])
    }

    /// A grant was released, or voided after so many visits.
    pub(super) fn ended(
        &mut self,
        at: Timestamp,
        facts: &Facts<'_>,
        is_void: bool,
        visits: u64,
    ) -> Result<(), TooMany> {
        match self.kind {
            ReportKind::Grants => {
                self.freed(facts)?;
                let mut counted = vec![(if is_void { "voided" } else { "released" }, 1)];
                counted.extend((is_void && facts.reason.is_some()).then_some(("undone", 1)));
                self.count(self.group(at, facts), &counted)
            }
            ReportKind::Billing if is_void && visits > 0 => {
                let guests = visits.saturating_mul(facts.party.unwrap_or(1));
                let charged = visits.saturating_mul(facts.guests.map_or(0, |guests| guests.charged));
                let counted = [("voided_visits", visits), ("voided_guests", guests), ("voided_charged", charged)];
                self.count(self.group(at, facts), &counted)
            }
            ReportKind::Billing | ReportKind::Fairness => Ok(()),
        }
    }

    /// Counts uses of limits that came back.
    pub(super) fn freed(&mut self, facts: &Facts<'_>) -> Result<(), TooMany> {
        for part in &facts.returned {
            self.limit(facts, &part.id)?.returned += part.cost;
        }
        Ok(())
    }

    /// Someone contested a refusal, or decided about that; the person is as the refusal knew them.
    pub(super) fn contested(&mut self, column: &'static str, person: &Person) -> Result<(), TooMany> {
        match self.kind {
            ReportKind::Fairness => self.count(band(person), &[(column, 1)]),
            ReportKind::Grants | ReportKind::Billing => Ok(()),
        }
    }

    fn limits(&mut self, facts: &Facts<'_>) -> Result<(), TooMany> {
        let is_granted = facts.grant.is_some();
        for touched in &facts.limits {
            let kept = self.limit(facts, &touched.id)?;
            kept.max = touched.max;
            let location = facts.location.as_deref().unwrap_or_default();
            if kept.max_by_location.len() < MAX_LOCATIONS || kept.max_by_location.contains_key(location) {
                kept.max_by_location.insert(location.to_owned(), touched.max);
            }
            kept.peak = kept.peak.max(touched.used);
            if is_granted {
                kept.used += touched.cost;
            }
        }
        for reason in &facts.reasons {
            if let Some(limit) = reason.limit.as_ref().filter(|_| facts.decision.as_deref() == Some("denied")) {
                self.limit(facts, limit)?.refused += 1;
            }
        }
        Ok(())
    }

    fn limit(&mut self, facts: &Facts<'_>, limit: &str) -> Result<&mut LimitUse, TooMany> {
        let key = (facts.perk.as_deref().unwrap_or_default().to_owned(), limit.to_owned());
        if self.limits.len() >= MOST_GROUPS && !self.limits.contains_key(&key) {
            return Err(TooMany);
        }
        Ok(self.limits.entry(key).or_default())
    }

    fn count(&mut self, group: Group, counted: &[(&'static str, u64)]) -> Result<(), TooMany> {
        let is_full = self.groups.len() >= MOST_GROUPS;
        if is_full && !self.groups.contains_key(&group) {
            return Err(TooMany);
        }
        let counts = self.groups.entry(group).or_default();
        for (column, count) in counted {
            *counts.entry(column).or_default() += count;
            *self.totals.entry(column).or_default() += count;
        }
        Ok(())
    }

    fn group(&self, at: Timestamp, facts: &Facts<'_>) -> Group {
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
            Some(GroupBy::Perk) => named(facts.perk.as_deref()),
            Some(GroupBy::Tier) => named(facts.tier.as_deref()),
            Some(GroupBy::Location) => named(facts.location.as_deref()),
            Some(GroupBy::Kiosk) => named(facts.kiosk.as_deref()),
            Some(GroupBy::RuleVersion) => {
                let number = facts.rule_version.unwrap_or(0);
                let name = facts.perk.as_deref().map(|perk| format!("{perk} v{number}"));
                Group { number, name }
            }
        }
    }
}

/// The first reason that speaks against it.
fn first_reason<'a>(facts: &'a Facts<'_>) -> &'a str {
    facts.reasons.iter().map(|reason| &*reason.code).find(|code| *code != "score_met").unwrap_or_default()
}

/// From a multiple of 10 to below the next one; then who has no score, then who is not known.
fn band(person: &Person) -> Group {
    match person {
        Person::Known(Personal { score: Some(score), .. }) => {
            let from = score.value.thousandths().div_euclid(BAND * 1_000).saturating_mul(BAND);
            Group { number: from, name: Some(format!("{from} to below {}", from.saturating_add(BAND))) }
        }
        Person::Known(_) => Group { number: i64::MAX - 1, name: Some("no score".to_owned()) },
        Person::Unknown | Person::Unasked => Group { number: i64::MAX, name: Some("unknown".to_owned()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reports::asked::zone;
    use crate::audit::reports::facts::PersonalScore;

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
            band(&Person::Known(Personal { reasons: Vec::new(), score })).name.unwrap()
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
