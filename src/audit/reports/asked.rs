//! The question that a report answers: which one, of which period in whose time, in which groups.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Which report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    Grants,
    Billing,
    Fairness,
}

/// The property that makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    Day,
    Hour,
    /// From a Monday on (ISO 8601).
    Week,
    Month,
    Perk,
    Tier,
    Location,
    Kiosk,
    RuleVersion,
    /// The fairness report only.
    #[serde(skip_deserializing)]
    ScoreBand,
}

/// When the period begins or ends, as it was asked for: RFC 3339, or a date of the report's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Instant(Timestamp),
    /// Its first instant.
    Date(Date),
}

/// A period: from the first instant on and before the second. None is the log's beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportPeriod {
    pub from: Option<Timestamp>,
    pub to: Timestamp,
    pub zone: TimeZone,
}

/// The part of the question that doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskedError {
    #[error("there is no time zone `{0}`: give a name of the IANA time zone database, such as America/Los_Angeles")]
    Zone(String),
    #[error("`{0}` is no instant (2012-05-08T18:00:00Z) and no date (2012-05-08)")]
    Bound(String),
    #[error("`to` is not after `from`: swap them; `to` itself is not part of the period")]
    Reversed,
    #[error("`from` lies ahead of now, where the period ends without `to`: ask from an earlier instant")]
    Ahead,
    #[error("`{0}` is outside the years that can be reckoned with")]
    OutOfRange(String),
}

impl GroupBy {
    /// As it is asked for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Week => "week",
            Self::Month => "month",
            Self::Perk => "perk",
            Self::Tier => "tier",
            Self::Location => "location",
            Self::Kiosk => "kiosk",
            Self::RuleVersion => "rule_version",
            Self::ScoreBand => "score_band",
        }
    }
}

impl ReportKind {
    /// Every report.
    pub(in crate::audit) const ALL: [Self; 3] = [Self::Grants, Self::Billing, Self::Fairness];

    /// As it is asked for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Billing => "billing",
            Self::Fairness => "fairness",
        }
    }

    /// The text of its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Grants => "Grants",
            Self::Billing => "Billing",
            Self::Fairness => "Fairness",
        }
    }

    /// The meaning of its period, in words: they stand in every report.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Grants => {
                "Everything counts by its own instant, from `from` on and before `to`: checks when they were decided; redeemed, released and voided when that happened, whenever the grant was made; what a door reported afterwards, by the instant that the door gave. Of those voided, undone are the ones that the key that granted them, or a clerk, took back at once. The columns grants_… and expired_unused say what had become of the grants of the period by `as_of`: each is in one of them, redeemed before voided before released. Refusals count by their first reason. A near miss was refused with a score at most 3 points below the lowest threshold that it missed. What a person granted in the place of a check is a check too, and stands in granted_by_person once more, and in overridden where a desk overrode a refusal by hand, or, where that was paid at the desk, in paid. Events are summed up before they are pruned, by whole quarters of an hour: pruned ones are counted there, and stand in `unprovable`, as nothing proves them any more. At an end of the period that is no whole quarter, and where no sums are left, they are counted nowhere, and stand in `pruned`. What pruning keeps of events is no fair sample: grants under a limit without a window stay for good, refusals go. Dates, days and hours are those of `time_zone`: the merchant's own, unless another was asked for."
            }
            Self::Billing => {
                "A visit is a redemption; it counts by its own instant, from `from` on and before `to`, with the party of its token as guests, or those who came as that was corrected by `as_of`; such visits count in corrected. Free and charged are the guests whom a person brought, where the tier says something of guests. Visits of grants that were voided later stay counted; the columns voided_… count them once more, by the instant of the void. A visit that a door reported afterwards, having been offline, counts by the instant that the door gave and once more in late_visits; in ended_visits too where its grant had been voided or released before the report. Visits by grants that a desk gave by hand, overriding a refusal, count once more in overridden_visits, or, where they were paid at the desk, in paid_visits. Doors may report for 72 hours: a report drawn sooner after `to` may lack visits, and the next period never has them, so draw it again then before you bill. Events are summed up before they are pruned, by whole quarters of an hour: pruned ones are counted there, and stand in `unprovable`, as nothing proves them any more. At an end of the period that is no whole quarter, and where no sums are left, they are counted nowhere, and stand in `pruned`. What pruning keeps of events is no fair sample: visits of grants under a limit without a window stay for good, others go. Dates, days and hours are those of `time_zone`: the merchant's own, unless another was asked for."
            }
            Self::Fairness => {
                "Checks count by the instant at which they were decided, from `from` on and before `to`, in bands of 10 points of the score that was seen, whatever its source. Each asking is one check, whatever becomes of it: a referral stays `referred`, a refusal that is overturned stays refused, and what a person granted in its place is no further check but stands in granted_by_person, by the instant of that grant, and in overridden where a desk overrode the refusal by hand, or, where that was paid at the desk, in paid. The share admitted is of askings, by the rules alone. Contests count by the instants at which they were opened and decided, in the band of the score that was refused; `closed` are those whose person was erased before anybody judged. Contests of a refusal that was pruned, or whose person was erased, stand under `unknown`. Refusals count by their first reason. A near miss was refused with a score at most 3 points below the lowest threshold that it missed. Persons who were erased stand under `unknown`, as nobody can say their score any more. A wait is the longest that a grant of priority promised, by a rule or a person. Events are summed up before they are pruned, by whole quarters of an hour: pruned ones are counted there, and stand in `unprovable`, as nothing proves them any more. At an end of the period that is no whole quarter, and where no sums are left, they are counted nowhere, and stand in `pruned`. What pruning keeps of events is no fair sample: grants under a limit without a window stay for good, refusals go. Dates, days and hours are those of `time_zone`: the merchant's own, unless another was asked for."
            }
        }
    }
}

impl Bound {
    /// Reads an instant or a date.
    ///
    /// # Errors
    /// [`AskedError::Bound`].
    pub fn parse(text: &str) -> Result<Self, AskedError> {
        // A date parser would take the date of an instant and leave its time.
        let is_date = text.len() == 10;
        let date = if is_date { text.parse().ok().map(Self::Date) } else { text.parse().ok().map(Self::Instant) };
        date.ok_or_else(|| AskedError::Bound(text.to_owned()))
    }

    /// Its instant in a zone.
    ///
    /// # Errors
    /// [`AskedError::OutOfRange`].
    pub fn instant(self, zone: &TimeZone) -> Result<Timestamp, AskedError> {
        match self {
            Self::Instant(at) => Ok(at),
            Self::Date(date) => date
                .to_zoned(zone.clone())
                .and_then(|at| at.start_of_day())
                .map(|at| at.timestamp())
                .map_err(|_| AskedError::OutOfRange(date.to_string())),
        }
    }
}

/// The zone of this IANA name.
///
/// # Errors
/// [`AskedError::Zone`].
pub fn zone(name: &str) -> Result<TimeZone, AskedError> {
    let found = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    found.ok_or_else(|| AskedError::Zone(name.to_owned()))
}

impl ReportPeriod {
    /// The period between two bounds; without `to` it ends at `now`.
    ///
    /// # Errors
    /// [`AskedError`].
    pub fn between(from: Option<Bound>, to: Option<Bound>, zone: TimeZone, now: Timestamp) -> Result<Self, AskedError> {
        let from = from.map(|bound| bound.instant(&zone)).transpose()?;
        if to.is_none() && from.is_some_and(|from| from >= now) {
            return Err(AskedError::Ahead);
        }
        let to = to.map_or(Ok(now), |bound| bound.instant(&zone))?;
        if from.is_some_and(|from| from >= to) {
            return Err(AskedError::Reversed);
        }
        Ok(Self { from, to, zone })
    }

    /// Tells whether an instant is part of the period.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && at < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Bound {
        Bound::parse(text).unwrap()
    }

    #[test]
    fn a_date_begins_where_its_zone_begins_it() {
        let now = "2012-06-01T00:00:00Z".parse().unwrap();
        let pacific = zone("America/Los_Angeles").unwrap();
        let period = ReportPeriod::between(Some(bound("2012-05-08")), Some(bound("2012-05-09")), pacific, now).unwrap();
        assert_eq!(period.from, Some("2012-05-08T07:00:00Z".parse().unwrap()));
        assert_eq!(period.to, "2012-05-09T07:00:00Z".parse().unwrap());
        assert!(period.has("2012-05-08T07:00:00Z".parse().unwrap()) && !period.has(period.to));
        // On that day clocks went from midnight to one.
        let havana = zone("America/Havana").unwrap();
        let period = ReportPeriod::between(Some(bound("2012-04-01")), None, havana, now).unwrap();
        assert_eq!((period.from, period.to), (Some("2012-04-01T05:00:00Z".parse().unwrap()), now));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let now: Timestamp = "2012-06-01T00:00:00Z".parse().unwrap();
        let between = |from, to| ReportPeriod::between(Some(bound(from)), Some(bound(to)), TimeZone::UTC, now);
        assert_eq!(between("2012-05-09", "2012-05-08"), Err(AskedError::Reversed));
        assert_eq!(between("2012-05-09", "2012-05-09T00:00:00Z"), Err(AskedError::Reversed));
        let endless = |from| ReportPeriod::between(Some(bound(from)), None, TimeZone::UTC, now);
        assert_eq!((endless("2012-06-01"), endless("2099-01-01")), (Err(AskedError::Ahead), Err(AskedError::Ahead)));
        assert!(between("1912-05-09", "2012-05-09").is_ok(), "a hundred years are a period");
        for bad in ["", "yesterday", "2012-02-30", "2012-05-08T18:00:00", "2012-05-08 18", "20120508"] {
            assert_eq!(Bound::parse(bad), Err(AskedError::Bound(bad.to_owned())));
        }
        for bad in ["", "Mars/Olympus", "Etc/Unknown", "../etc/passwd", "EST5EDT,M3.2.0,M11.1.0"] {
            assert_eq!(zone(bad).unwrap_err(), AskedError::Zone(bad.to_owned()));
        }
    }
}
