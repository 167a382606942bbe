//! Limits: how often, for whom, in which window; and what one grant would use of each.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::read::{Issues, Spot, below, object, text};
use crate::decimal::Decimal;
use crate::json::{Json, push_pointer};
use crate::subject::Pseudonym;

pub(super) const MAX_LIMITS: usize = 16;
pub(super) const MAX_MAX: i64 = 1_000_000_000;
/// The most people one check may be for.
pub const MAX_PARTY: i64 = 100;

/// One limit of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub id: String,
    /// Whose uses are counted together: one counter for each combination. Sorted, no repeats.
    pub scope: Vec<Scope>,
    pub max: u64,
    pub cost: Cost,
    pub window: Window,
}

/// One part of what a counter is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Subject,
    /// The perk as a whole.
    Perk,
    Tier,
    /// The API key's location.
    Location,
    /// The API key's kiosk.
    Kiosk,
    /// The merchant: limits of one id count together over all its perks, unless `perk` is there too.
    Merchant,
}

/// What one grant uses of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One for each person of the party.
    Party,
    Fixed(u64),
}

/// In which stretch of time uses are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Calendar(Unit),
    Lifetime,
}

/// A stretch of the calendar in the rule's zone; weeks begin on Monday (ISO 8601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
}

/// Where a check is made, by its API key.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub merchant: &'a str,
    pub location: Option<&'a str>,
    pub kiosk: Option<&'a str>,
}

/// What one grant would use of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitClaim {
    /// The limit's id.
    pub limit: String,
    pub scope: ScopeKey,
    /// Names the window: a calendar window by its local label and the offset at its start.
    pub window_key: String,
    pub cost: u64,
    pub max: u64,
    /// When the next window starts; never for a lifetime.
    pub resets_at: Option<Timestamp>,
    /// The counter is shared by all perks of the merchant, so its key must name no perk.
    pub across_perks: bool,
}

/// The counter's scope, with a blank for the subject, whose pseudonym only the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeKey(Vec<(Scope, String)>);

impl ScopeKey {
    /// The key with the subject filled in; two scopes have the same key only if they are the same.
    #[must_use]
    pub fn resolve(&self, subject: &Pseudonym) -> String {
        let mut key = String::new();
        for (scope, value) in &self.0 {
            push_pointer(&mut key, scope.name());
            match scope {
                Scope::Perk => {}
                Scope::Subject => push_pointer(&mut key, subject.as_str()),
                _ => push_pointer(&mut key, value),
            }
        }
        key
    }
}

impl Limit {
    /// What a grant of `tier` to `party` people at `place` would use of it at `now`.
    pub fn claim(&self, zone: &TimeZone, tier: &str, party: u64, place: &Place<'_>, now: Timestamp) -> LimitClaim {
        let value = |scope: &Scope| match scope {
            Scope::Subject | Scope::Perk => "",
            Scope::Tier => tier,
            Scope::Location => place.location.unwrap_or_default(),
            Scope::Kiosk => place.kiosk.unwrap_or_default(),
            Scope::Merchant => place.merchant,
        };
        let (window_key, resets_at) = self.window.key(zone, now);
        LimitClaim {
            limit: self.id.clone(),
            scope: ScopeKey(self.scope.iter().map(|scope| (*scope, value(scope).to_owned())).collect()),
            window_key,
            cost: match self.cost {
                Cost::Party => party,
                Cost::Fixed(cost) => cost,
            },
            max: self.max,
            resets_at,
            across_perks: self.scope.contains(&Scope::Merchant) && !self.scope.contains(&Scope::Perk),
        }
    }

    /// Reads the limits of a rule.
    pub(super) fn read_all(spot: &Spot<'_>, issues: &mut Issues) -> Option<Vec<Self>> {
        let items = spot.list(0..=MAX_LIMITS, issues)?;
        let mut limits: Vec<Self> = Vec::new();
        let mut all = true;
        for item in &items {
            let Some(limit) = Self::read(item, issues) else {
                all = false;
                continue;
            };
            if limits.iter().any(|other| other.id == limit.id) {
                issues.add(&below(item.pointer(), "id"), "repeated", "another limit has this id");
            }
            limits.push(limit);
        }
        all.then_some(limits)
    }

    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["id", "scope", "max", "cost", "window"], issues)?;
        let id = fields.required("id", issues).and_then(|id| id.slug(issues));
        let scope = fields.required("scope", issues).and_then(|scope| Scope::read(&scope, issues));
        let max = fields.required("max", issues).and_then(|max| max.whole(1..=MAX_MAX, issues));
        let cost = fields.or("cost", Cost::Fixed(1), |cost| Cost::read(&cost, issues));
        let window = fields.required("window", issues).and_then(|window| Window::read(&window, issues));
        Some(Self { id: id?.to_owned(), scope: scope?, max: max?.unsigned_abs(), cost: cost?, window: window? })
    }

    /// The canonical form.
    pub fn to_json(&self) -> Json {
        let whole = |value: u64| Json::Number(Decimal::from_whole(i64::try_from(value).unwrap_or(MAX_MAX)));
        let cost = match self.cost {
            Cost::Party => text("party"),
            Cost::Fixed(cost) => whole(cost),
        };
        let window = match self.window {
            Window::Calendar(unit) => object([("calendar", text(unit.name()))]),
            Window::Lifetime => object([("lifetime", Json::Bool(true))]),
        };
        object([
            ("id", text(&self.id)),
            ("scope", Json::List(self.scope.iter().map(|scope| text(scope.name())).collect())),
            ("max", whole(self.max)),
            ("cost", cost),
            ("window", window),
        ])
    }
}

impl Scope {
    pub(super) const ALL: [Self; 6] =
        [Self::Subject, Self::Perk, Self::Tier, Self::Location, Self::Kiosk, Self::Merchant];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Perk => "perk",
            Self::Tier => "tier",
            Self::Location => "location",
            Self::Kiosk => "kiosk",
            Self::Merchant => "merchant",
        }
    }

    /// Sorted, so that writing the same scope in another order doesn't begin a new counter.
    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Vec<Self>> {
        let mut scopes = Vec::new();
        for item in spot.list(1..=Self::ALL.len(), issues)? {
            let name = item.text(issues)?;
            let Some(scope) = Self::ALL.into_iter().find(|scope| scope.name() == name) else {
                return item.refuse(issues, "bad_form", "use subject, perk, tier, location, kiosk or merchant");
            };
            if scopes.contains(&scope) {
                return item.refuse(issues, "repeated", "name each part of the scope once");
            }
            scopes.push(scope);
        }
        scopes.sort_unstable();
        Some(scopes)
    }
}

impl Cost {
    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        match spot.json() {
            Json::Text(word) if word == "party" => Some(Self::Party),
            Json::Text(_) => spot.refuse(issues, "bad_form", "use \"party\", or a whole number from 1 to 100"),
            _ => spot.whole(1..=100, issues).map(|cost| Self::Fixed(cost.unsigned_abs())),
        }
    }
}

impl Window {
    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        for later in ["rolling", "concurrent"] {
            if let Some(window) = spot.member(later) {
                let detail = format!("{later} windows are not available yet: use a calendar window or a lifetime");
                return window.refuse(issues, "not_available_yet", detail);
            }
        }
        let fields = spot.fields(&["calendar", "lifetime"], issues)?;
        match (fields.optional("calendar"), fields.optional("lifetime")) {
            (Some(unit), None) => Unit::read(&unit, issues).map(Self::Calendar),
            (None, Some(lifetime)) if lifetime.boolean(issues)? => Some(Self::Lifetime),
            _ => spot.refuse(issues, "bad_form", "write {\"calendar\":\"day\"} or {\"lifetime\":true}"),
        }
    }

    /// The name of the window that `now` is in, and when the next one starts.
    fn key(self, zone: &TimeZone, now: Timestamp) -> (String, Option<Timestamp>) {
        match self {
            Self::Lifetime => ("lifetime".into(), None),
            Self::Calendar(unit) => unit.window(zone, now),
        }
    }
}

impl Unit {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        let name = spot.text(issues)?;
        match Self::ALL.into_iter().find(|unit| unit.name() == name) {
            Some(unit) => Some(unit),
            None => spot.refuse(issues, "bad_form", "use hour, day, week or month"),
        }
    }

    /// `day:2012-05-08@-07`: the offset keeps windows apart that bear the same label, as the two
    /// hours from one to two when the clocks go back, or a day after the rule moved to another zone.
    fn window(self, zone: &TimeZone, now: Timestamp) -> (String, Option<Timestamp>) {
        let local = zone.to_datetime(now);
        let today = local.date();
        let mut key = format!("{}:", self.name());
        let (start, next) = match self {
            Self::Hour => {
                let offset = zone.to_offset(now);
                let _ = write!(key, "{today}T{:02}@{offset}", local.hour());
                return (key, next_hour(zone, local, offset, now));
            }
            Self::Day => {
                let _ = write!(key, "{today}");
                (today, today.tomorrow().ok())
            }
            Self::Week => {
                let week = today.iso_week_date();
                let _ = write!(key, "{}-W{:02}", week.year(), week.week());
                let monday =
                    today.checked_sub(i32::from(today.weekday().to_monday_zero_offset()).days()).unwrap_or(today);
                (monday, monday.checked_add(7.days()).ok())
            }
            Self::Month => {
                let _ = write!(key, "{:04}-{:02}", today.year(), today.month());
                let first = today.first_of_month();
                (first, first.checked_add(1.month()).ok())
            }
        };
        let offset = start_of(zone, start).map_or_else(|| zone.to_offset(now), |start| zone.to_offset(start));
        let _ = write!(key, "@{offset}");
        (key, next.and_then(|next| start_of(zone, next)))
    }
}

/// The first instant of a date: after the gap where midnight is skipped, the earlier midnight
/// where it comes twice.
fn start_of(zone: &TimeZone, date: Date) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(DateTime::from_parts(date, jiff::civil::Time::MIN)).compatible().ok()
}

/// When the local hour of `now` ends: on the clock's full hour, or earlier, when the clocks jump.
fn next_hour(zone: &TimeZone, local: DateTime, offset: Offset, now: Timestamp) -> Option<Timestamp> {
    let into = i64::from(local.minute()) * 60 + i64::from(local.second());
    let started = SignedDuration::new(into, local.subsec_nanosecond());
    let full = now.checked_add(SignedDuration::from_hours(1)).ok()?.checked_sub(started).ok()?;
    let jump = zone.following(now).next().map(|jump| jump.timestamp());
    jump.filter(|at| *at < full && zone.to_offset(*at) != offset).or(Some(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: Unit, zone: &str, now: &str) -> (String, String) {
        let (key, resets) = unit.window(&TimeZone::get(zone).unwrap(), now.parse().unwrap());
        (key, resets.unwrap().to_string())
    }

    #[track_caller]
    fn expect(unit: Unit, zone: &str, now: &str, key: &str, resets: &str) {
        assert_eq!(window(unit, zone, now), (key.to_owned(), resets.to_owned()), "{now}");
    }

    #[test]
    fn a_day_is_the_local_one_however_long_it_is() {
        let zone = "America/New_York";
        expect(Unit::Day, zone, "2026-03-08T04:59:59Z", "day:2026-03-07@-05", "2026-03-08T05:00:00Z");
        expect(Unit::Day, zone, "2026-03-08T05:00:00Z", "day:2026-03-08@-05", "2026-03-09T04:00:00Z");
        expect(Unit::Day, zone, "2026-03-09T03:59:59Z", "day:2026-03-08@-05", "2026-03-09T04:00:00Z");
        expect(Unit::Day, zone, "2026-11-01T04:00:00Z", "day:2026-11-01@-04", "2026-11-02T05:00:00Z");
        expect(Unit::Day, zone, "2026-11-02T04:59:59Z", "day:2026-11-01@-04", "2026-11-02T05:00:00Z");
        // Midnight itself is skipped in Cairo on 2026-04-24.
        expect(Unit::Day, "Africa/Cairo", "2026-04-24T10:00:00Z", "day:2026-04-24@+03", "2026-04-24T21:00:00Z");
        expect(Unit::Day, "Africa/Cairo", "2026-04-23T21:59:59Z", "day:2026-04-23@+02", "2026-04-23T22:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday_and_bear_the_iso_year() {
        expect(Unit::Week, "UTC", "2027-01-03T23:59:59Z", "week:2026-W53@+00", "2027-01-04T00:00:00Z");
        expect(Unit::Week, "UTC", "2027-01-04T00:00:00Z", "week:2027-W01@+00", "2027-01-11T00:00:00Z");
        // The clocks change on its Sunday: the key is that of its Monday all along.
        for now in ["2026-03-02T05:00:00Z", "2026-03-08T12:00:00Z"] {
            expect(Unit::Week, "America/New_York", now, "week:2026-W10@-05", "2026-03-09T04:00:00Z");
        }
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        expect(Unit::Month, "UTC", "2024-02-29T12:00:00Z", "month:2024-02@+00", "2024-03-01T00:00:00Z");
        expect(Unit::Month, "America/New_York", "2026-03-20T00:00:00Z", "month:2026-03@-05", "2026-04-01T04:00:00Z");
        expect(Unit::Month, "Asia/Tokyo", "2026-12-31T15:00:00Z", "month:2027-01@+09", "2027-01-31T15:00:00Z");
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_windows() {
        let zone = "America/New_York";
        expect(Unit::Hour, zone, "2026-11-01T05:59:59.5Z", "hour:2026-11-01T01@-04", "2026-11-01T06:00:00Z");
        expect(Unit::Hour, zone, "2026-11-01T06:00:00Z", "hour:2026-11-01T01@-05", "2026-11-01T07:00:00Z");
        expect(Unit::Hour, zone, "2026-03-08T06:30:00Z", "hour:2026-03-08T01@-05", "2026-03-08T07:00:00Z");
        expect(Unit::Hour, "Asia/Kolkata", "2026-05-01T00:10:00Z", "hour:2026-05-01T05@+05:30", "2026-05-01T00:30:00Z");
        // Half an hour back from 02:00 to 01:30, half an hour on from 02:00 to 02:30.
        let howe = "Australia/Lord_Howe";
        expect(Unit::Hour, howe, "2026-04-05T01:59:00+11:00", "hour:2026-04-05T01@+11", "2026-04-04T15:00:00Z");
        expect(Unit::Hour, howe, "2026-04-05T01:30:00+10:30", "hour:2026-04-05T01@+10:30", "2026-04-04T15:30:00Z");
        expect(Unit::Hour, howe, "2026-10-04T02:30:00+11:00", "hour:2026-10-04T02@+11", "2026-10-03T16:00:00Z");
    }

    #[test]
    fn the_ends_of_time_have_windows() {
        for unit in Unit::ALL {
            for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
                let zone = TimeZone::get(zone).unwrap();
                assert!(unit.window(&zone, Timestamp::MIN).0.contains('@'));
                assert!(unit.window(&zone, Timestamp::MAX).0.contains('@'));
            }
        }
    }

    fn claim(limit: &str, party: u64, place: &Place<'_>) -> LimitClaim {
        let json = Json::parse(limit).unwrap();
        let mut issues = Issues::default();
        let limit = Limit::read(&Spot::root(&json), &mut issues);
        let limit = issues.unless_any(limit).unwrap();
        limit.claim(&TimeZone::UTC, "gold", party, place, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_scope_names_all_that_it_is_counted_for() {
        let place = Place { merchant: "mer_1", location: Some("SFO/A"), kiosk: None };
        let ada = Pseudonym::stored("sub_ada");
        for (scope, key, across) in [
            (r#"["subject"]"#, "/subject/sub_ada", false),
            (r#"["perk"]"#, "/perk", false),
            (r#"["tier"]"#, "/tier/gold", false),
            (r#"["location","subject"]"#, "/subject/sub_ada/location/SFO~1A", false),
            (r#"["kiosk"]"#, "/kiosk/", false),
            (r#"["merchant","subject"]"#, "/subject/sub_ada/merchant/mer_1", true),
            (r#"["merchant","perk"]"#, "/perk/merchant/mer_1", false),
        ] {
            let claim =
                claim(&format!(r#"{{"id":"l","scope":{scope},"max":3,"window":{{"lifetime":true}}}}"#), 4, &place);
            assert_eq!((claim.scope.resolve(&ada).as_str(), claim.across_perks), (key, across));
            assert_eq!((claim.cost, claim.max, claim.window_key.as_str(), claim.resets_at), (1, 3, "lifetime", None));
        }
    }

    #[test]
    fn a_party_costs_as_many_as_it_is() {
        let place = Place { merchant: "mer_1", location: None, kiosk: None };
        let cost = |cost: &str| {
            let limit =
                format!(r#"{{"id":"l","scope":["perk"],"max":200,"cost":{cost},"window":{{"calendar":"day"}}}}"#);
            claim(&limit, 4, &place).cost
        };
        assert_eq!((cost("\"party\""), cost("2"), cost("null")), (4, 2, 1));
    }
}
