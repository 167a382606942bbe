//! The hours of a week that openings fill: which of them two openings share, and which minutes none has.

use jiff::civil::Date;

use super::{DAY_MINUTES, DAYS, Opening, Schedule, clock};
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::json::Json;

const WEEK_MINUTES: u16 = 7 * DAY_MINUTES;

/// Minutes since Monday's midnight, each stretch from its first and up to its second: sorted, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Week(Vec<(u16, u16)>);

/// Two openings that are open at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// Their places in the list.
    pub openings: (usize, usize),
    /// The first of the hours that they share: `mon 10:00–12:00`.
    pub shared: String,
}

impl Week {
    fn of<'a>(openings: impl IntoIterator<Item = &'a Opening>) -> Self {
        let mut stretches: Vec<_> = openings.into_iter().flat_map(stretches).collect();
        stretches.sort_unstable();
        let mut apart: Vec<(u16, u16)> = Vec::with_capacity(stretches.len());
        for (from, to) in stretches {
            match apart.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                _ => apart.push((from, to)),
            }
        }
        Self(apart)
    }

    /// The hours of openings as rules write them; one that can't be read has none.
    pub(crate) fn of_documents<'a>(openings: impl IntoIterator<Item = &'a Json>) -> Self {
        let read = |json| Opening::read(&Node::root(json), &mut FieldErrors::default());
        Self::of(&openings.into_iter().filter_map(read).collect::<Vec<_>>())
    }

    /// The hours that both have.
    pub(crate) fn shared(&self, other: &Self) -> Self {
        let both = |one: &(u16, u16), two: &(u16, u16)| {
            let (from, to) = (one.0.max(two.0), one.1.min(two.1));
            (from < to).then_some((from, to))
        };
        let mut shared: Vec<_> =
            self.0.iter().flat_map(|one| other.0.iter().filter_map(move |two| both(one, two))).collect();
        shared.sort_unstable();
        Self(shared)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The days of an opening, from Monday's 0.
fn days(opening: &Opening) -> impl Iterator<Item = u16> + use<> {
    let days: Vec<u16> = (0..7).zip(DAYS).filter(|(_, (_, day))| opening.is_on(*day)).map(|(nth, _)| nth).collect();
    days.into_iter()
}

/// Where an opening of this day ends: beyond the week's last midnight for one that crosses it.
fn end(day: u16, opening: &Opening) -> u16 {
    day * DAY_MINUTES + opening.to + if opening.to < opening.from { DAY_MINUTES } else { 0 }
}

/// An opening on each of its days; what goes beyond Sunday's midnight stands at the beginning.
fn stretches(opening: &Opening) -> impl Iterator<Item = (u16, u16)> + use<'_> {
    days(opening).flat_map(|day| {
        let (begin, end) = (day * DAY_MINUTES + opening.from, end(day, opening));
        let beyond = end.saturating_sub(WEEK_MINUTES);
        [(begin, end.min(WEEK_MINUTES)), (0, beyond)].into_iter().filter(|(from, to)| from < to)
    })
}

impl Schedule {
    /// For each opening that is open while one before it is: the first such one.
    pub(crate) fn overlaps(&self) -> Vec<Overlap> {
        let weeks: Vec<Week> = self.open.iter().map(|opening| Week::of([opening])).collect();
        let overlap = |(at, week): (usize, &Week)| {
            weeks.iter().take(at).enumerate().find_map(|(before, other)| {
                let (from, to) = *week.shared(other).0.first()?;
                let (day, _) = DAYS.get(usize::from(from / DAY_MINUTES))?;
                let end = to - from / DAY_MINUTES * DAY_MINUTES;
                let end = if end > DAY_MINUTES { end - DAY_MINUTES } else { end };
                let shared = format!("{day} {}–{}", clock(from % DAY_MINUTES), clock(end));
                Some(Overlap { openings: (before, at), shared })
            })
        };
        weeks.iter().enumerate().filter_map(overlap).collect()
    }

    /// The openings that end a minute before a full hour, with it, where no other is open in that minute.
    pub(crate) fn lost_minutes(&self) -> Vec<(usize, String, String)> {
        let all = Week::of(&self.open);
        let lost = |(at, opening): (usize, &Opening)| {
            let to = opening.to;
            let ends = days(opening).map(|day| end(day, opening) % WEEK_MINUTES);
            let mut minutes: Vec<_> = ends.map(|end| (end, end + 1)).collect();
            minutes.sort_unstable();
            let minutes = Week(minutes);
            let is_lost = to % 60 == 59 && minutes.shared(&all) != minutes;
            is_lost.then(|| (at, clock(to), clock(to + 1)))
        };
        self.open.iter().enumerate().filter_map(lost).collect()
    }

    /// The closed dates before `today`.
    pub(crate) fn closed_dates_before(&self, today: Date) -> &[Date] {
        let past = self.closed_dates.partition_point(|date| *date < today);
        self.closed_dates.get(..past).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(days: &str, from: &str, to: &str) -> Json {
        let days = days.split(' ').map(|day| format!("\"{day}\"")).collect::<Vec<_>>().join(",");
        Json::parse(&format!(r#"{{"days":[{days}],"from":"{from}","to":"{to}"}}"#)).unwrap()
    }

    #[test]
    fn hours_are_shared_across_midnight_and_across_the_week() {
        for (one, other, shared) in [
            (("mon", "08:00", "12:00"), ("mon", "12:00", "14:00"), vec![]),
            (("mon tue", "08:00", "12:00"), ("tue", "10:00", "14:00"), vec![(34 * 60, 36 * 60)]),
            (("sun", "22:00", "02:00"), ("mon", "00:00", "24:00"), vec![(0, 120)]),
            (("mon", "22:00", "02:00"), ("tue", "01:00", "03:00"), vec![(25 * 60, 26 * 60)]),
            (("mon", "22:00", "02:00"), ("mon", "01:00", "03:00"), vec![]),
        ] {
            let week = |(days, from, to): (&str, &str, &str)| Week::of_documents([&opening(days, from, to)]);
            assert_eq!(week(one).shared(&week(other)), Week(shared), "{one:?} {other:?}");
        }
        let two = [opening("mon", "08:00", "12:00"), opening("mon", "12:00", "14:00")];
        assert_eq!(Week::of_documents(&two), Week(vec![(480, 840)]));
    }
}
