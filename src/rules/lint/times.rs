//! Rules that hold at no time, and openings that clocks disturb when they change.

use jiff::{SignedDuration, Timestamp};

use super::Lint;
use crate::rules::rule::Rule;
use crate::rules::schedule::HORIZON_DAYS;
use crate::rules::schedule::week::Overlap;

/// The time ahead in which changes of the clocks are looked for.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366);

pub(super) fn lint(rule: &Rule, now: Timestamp, found: &mut Lint) {
    let from = rule.valid().from.map(|(_, at)| at);
    let until = rule.valid().until.map(|(_, at)| at);
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        return found.error("/valid/until", "until_not_after_from", "`until` must be later than `from`");
    }
    if rule.schedule().has_no_opening() {
        return found.error("/schedule/open", "never_open", "add the hours it is open, or leave `open` out for always");
    }
    if until.is_some_and(|until| until <= now) {
        return found.warn("/valid/until", "already_over", "this time has passed: the rule admits nobody");
    }
    lint_hours(rule, now, found);
    let begins = from.unwrap_or(now).max(now);
    let schedule = rule.schedule();
    let opens = schedule.first_open(rule.time_zone(), begins).or_else(|| {
        // Looked for over some 400 days only: a longer row of closed dates ends too.
        let after = schedule.after_closed_dates(rule.time_zone()).filter(|after| *after > begins)?;
        schedule.first_open(rule.time_zone(), after)
    });
    if opens.is_none_or(|opens| until.is_some_and(|until| opens >= until)) {
        return found.error("/schedule", "never_open", "it isn't open at any time at which the rule is valid");
    }
    if !rule.blackouts().is_empty() && opens.is_some_and(|opens| rule.first_available(opens, HORIZON_DAYS).is_none()) {
        let detail = "they cover every time at which the rule is valid and open";
        return found.error("/blackouts", "never_open", detail);
    }
    let end = now.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    lint_clock_changes(rule, begins, until.map_or(end, |until| until.min(end)), found);
}

/// Hours that work, and are likely not the ones that were meant.
fn lint_hours(rule: &Rule, now: Timestamp, found: &mut Lint) {
    let schedule = rule.schedule();
    for Overlap { openings: (before, at), shared } in schedule.overlaps() {
        let detail = format!("{shared} is open already by the opening {before}: write those hours once");
        found.warn(format!("/schedule/open/{at}"), "overlapping_hours", detail);
    }
    for (at, to, hour) in schedule.lost_minutes() {
        let detail = format!("`to` isn't part of the opening, so it closes at {to} and not at {hour}: write {hour}");
        found.warn(format!("/schedule/open/{at}/to"), "last_minute_closed", detail);
    }
    if let Some((until, _)) = rule.valid().until.filter(|(until, _)| until.minute() == 59) {
        let detail = format!(
            "`until` isn't part of the time, so the rule ends at {}, before the hour is over: write the full hour",
            until.strftime("%H:%M:%S")
        );
        found.warn("/valid/until", "last_minute_closed", detail);
    }
    let past = schedule.closed_dates_before(rule.time_zone().to_datetime(now).date());
    if let Some(first) = past.first() {
        let more = match past.len() - 1 {
            0 => "is past".to_owned(),
            more => format!("and {more} more are past"),
        };
        let detail = format!("{first} {more}: take out what is over, and check the year of what is not");
        found.warn("/schedule/closed_dates", "closed_dates_past", detail);
    }
}

fn lint_clock_changes(rule: &Rule, from: Timestamp, until: Timestamp, found: &mut Lint) {
    let zone = rule.time_zone().iana_name().unwrap_or("UTC");
    for (at, changes) in rule.schedule().clock_changes(rule.time_zone(), from, until) {
        let said: Vec<_> = changes
            .iter()
            .map(|change| {
                let (date, first, last) = (change.skipped_or_repeated.0.date(), change.first(), change.last());
                let what = if change.repeats { "come twice" } else { "don't come" };
                format!("on {date} the minutes from {first} to {last} {what} in {zone}")
            })
            .collect();
        let detail = format!("this opening begins or ends while clocks change: {}", said.join("; "));
        found.warn(format!("/schedule/open/{at}"), "crosses_dst_change", detail);
    }
}
