//! The values that a person's score had, day by day.
//!
//! The score that stands is the last of them. When another is written on a later day, the one before is kept for the
//! days at whose end it stood: so each value is kept once, a first import keeps nothing, and no check waits for it.

pub(in crate::scores) mod store;

use jiff::Timestamp;

use super::handle::Scores;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRefs;
use crate::scoring::observation::day_of;

/// The days that are kept, today among them.
pub const KEPT_DAYS: i64 = 400;

/// The days of which the highest and the lowest value are shown.
const EXTREMES: i64 = 90;

/// The most rows that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 2_000;

/// A value, and the UTC days (of 1970) at whose end it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub first_day: i64,
    pub last_day: i64,
    pub value: Decimal,
}

/// The values that a person's score from a source had by the end of `today`, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    today: i64,
    stretches: Vec<Stretch>,
}

/// The difference of today's value to those of earlier days; none where there was none, or is none today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Since the end of yesterday.
    pub day: Option<Decimal>,
    /// Since seven days ago.
    pub week: Option<Decimal>,
    /// Since thirty days ago.
    pub month: Option<Decimal>,
}

impl History {
    /// Puts stretches, given in any order, into theirs. Those that began later come before those that overlap them, and days that are kept no
    /// more are left out.
    #[must_use]
    pub fn new(today: i64, mut stretches: Vec<Stretch>) -> Self {
        let first = today - KEPT_DAYS + 1;
        stretches.sort_by_key(|it| it.first_day);
        let mut ordered: Vec<Stretch> = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            if let Some(before) = ordered.last_mut() {
                before.last_day = before.last_day.min(stretch.first_day - 1);
            }
            ordered.push(Stretch { first_day: stretch.first_day.max(first), ..stretch });
        }
        ordered.retain(|it| it.first_day <= it.last_day);
        Self { today, stretches: ordered }
    }

    /// The values with the days at whose end they stood.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// The value at the end of a day.
    #[must_use]
    pub fn on(&self, day: i64) -> Option<Decimal> {
        let found = self.stretches.iter().rev().find(|it| it.first_day <= day)?;
        (day <= found.last_day).then_some(found.value)
    }

    /// The value at the end of each of the last `days`, the earliest first, where there was one.
    pub fn last(&self, days: i64) -> impl Iterator<Item = (i64, Decimal)> {
        let first = self.today - days + 1;
        (first..=self.today).filter_map(|day| Some((day, self.on(day)?)))
    }

    #[must_use]
    pub fn changes(&self) -> Changes {
        let since = |days| Some(self.on(self.today)?.minus(self.on(self.today - days)?));
        Changes { day: since(1), week: since(7), month: since(30) }
    }

    /// The lowest and the highest value of the last 90 days.
    #[must_use]
    pub fn extremes(&self) -> Option<(Decimal, Decimal)> {
        let recent = || self.stretches.iter().filter(|it| it.last_day > self.today - EXTREMES).map(|it| it.value);
        Some((recent().min()?, recent().max()?))
    }
}

impl Scores {
    /// The values of a person's score from the source, as the database has them at `now`.
    ///
    /// # Errors
    /// The database's.
    pub async fn history(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: SubjectRefs,
        now: Timestamp,
    ) -> Result<History, DatabaseError> {
        let (merchant, source, today) = (merchant.clone(), source.clone(), day_of(now));
        let read = move |conn: &mut AnyConnection| store::list(conn, (&merchant, &source), &subject, today);
        Ok(History::new(today, self.database.read(read).await?))
    }
}

/// Deletes what lies further back than is kept.
///
/// # Errors
/// The database's; what was deleted by then remains deleted.
pub(in crate::scores) async fn sweep(database: &Database, now: Timestamp) -> Result<(), DatabaseError> {
    let before = day_of(now) - KEPT_DAYS + 1;
    let delete = move |conn: &mut AnyConnection| store::delete_outlived(conn, before, DELETED_AT_ONCE);
    while database.write(delete).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(first_day: i64, last_day: i64, value: i64) -> Stretch {
        Stretch { first_day, last_day, value: Decimal::from_whole(value) }
    }

    #[test]
    fn a_value_stands_from_its_day_until_another_does() {
        let history = History::new(1_000, vec![stretch(998, 1_000, 30), stretch(960, 970, 50), stretch(971, 997, 20)]);
        let on = [959, 960, 970, 971, 997, 998, 1_000, 1_001].map(|day| history.on(day));
        let wanted = [None, Some(50), Some(50), Some(20), Some(20), Some(30), Some(30), None];
        assert_eq!(on, wanted.map(|value| value.map(Decimal::from_whole)));
        let changes = history.changes();
        let whole = |value| Some(Decimal::from_whole(value));
        assert_eq!(changes, Changes { day: whole(0), week: whole(10), month: whole(-20) });
        assert_eq!(history.extremes(), Some((Decimal::from_whole(20), Decimal::from_whole(50))));
        assert_eq!(history.last(4).count(), 4);
    }

    #[test]
    fn days_without_a_score_are_no_zeros() {
        let ended = History::new(1_000, vec![stretch(900, 990, 40)]);
        assert_eq!(ended.changes(), Changes::default());
        assert_eq!(ended.on(1_000), None);
        assert_eq!(ended.extremes(), Some((Decimal::from_whole(40), Decimal::from_whole(40))));
        assert_eq!(History::new(1_000, Vec::new()).extremes(), None);
        assert_eq!(History::new(1_000, vec![stretch(800, 910, 40)]).extremes(), None, "longer than 90 days ago");
    }

    #[test]
    fn only_the_days_that_are_kept_are_shown() {
        let history = History::new(1_000, vec![stretch(0, 500, 10), stretch(501, 700, 20), stretch(701, 1_000, 30)]);
        assert_eq!(history.stretches(), [stretch(601, 700, 20), stretch(701, 1_000, 30)]);
        assert_eq!(history.last(KEPT_DAYS + 100).count(), 400);
    }

    #[test]
    fn of_two_that_overlap_the_later_stands() {
        let history = History::new(1_000, vec![stretch(990, 1_000, 10), stretch(995, 998, 20)]);
        assert_eq!(history.stretches(), [stretch(990, 994, 10), stretch(995, 998, 20)]);
    }
}
