//! Blackouts that never make a difference.

use jiff::{SignedDuration, Timestamp};

use super::Lint;
use crate::rules::blackout::{Blackout, BlackoutTimes};
use crate::rules::rule::Rule;

/// The time ahead in which yearly dates are looked at: every weekday has its turn, and leap years too.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 12);
/// The most stretches of one that are looked at.
const MOST: usize = 13;

type Stretch = (Timestamp, Timestamp);

pub(super) fn lint(rule: &Rule, now: Timestamp, found: &mut Lint) {
    let until = rule.valid().until.map_or(Timestamp::MAX, |(_, until)| until);
    let begins = rule.valid().from.map_or(now, |(_, from)| from).max(now);
    let end = until.min(begins.checked_add(HORIZON).unwrap_or(Timestamp::MAX));
    let all: Vec<Vec<Stretch>> =
        rule.blackouts().iter().map(|blackout| stretches(blackout, rule, begins, end)).collect();
    for (at, (blackout, own)) in rule.blackouts().iter().zip(&all).enumerate() {
        let pointer = format!("/blackouts/{at}");
        if let BlackoutTimes::Once { until: (local, until), .. } = blackout.times
            && until <= now
        {
            let detail = format!("`{}` was over at {}: take it out", blackout.id, local.strftime("%Y-%m-%d %H:%M"));
            found.warn(pointer, "blackout_past", detail);
            continue;
        }
        if !own.iter().any(|(from, until)| is_open_within(rule, ((*from).max(begins), (*until).min(end)))) {
            let detail = format!("`{}` refuses nobody: the perk isn't open at any time of it", blackout.id);
            found.warn(pointer, "blackout_never_bites", detail);
            continue;
        }
        let within = rule.blackouts().iter().zip(&all).enumerate().find(|(other_at, (_, other))| {
            // Of two that are the same the later one is spare.
            *other_at != at && are_within(own, other) && (*other_at < at || !are_within(other, own))
        });
        if let Some((_, (other, _))) = within {
            let detail = format!("`{}` lies wholly within `{}`: write those times once", blackout.id, other.id);
            found.warn(pointer, "blackout_within_another", detail);
        }
    }
}

/// The stretches of a blackout that lie in the time from `begins` to `end`, whole.
fn stretches(blackout: &Blackout, rule: &Rule, begins: Timestamp, end: Timestamp) -> Vec<Stretch> {
    let (mut stretches, mut at) = (Vec::new(), begins);
    while stretches.len() < MOST
        && let Some((from, until)) = blackout.next(rule.time_zone(), at).filter(|(from, _)| *from < end)
    {
        stretches.push((from, until));
        at = until;
    }
    stretches
}

fn is_open_within(rule: &Rule, (from, until): Stretch) -> bool {
    from < until && rule.schedule().first_open(rule.time_zone(), from).is_some_and(|open| open < until)
}

fn are_within(these: &[Stretch], others: &[Stretch]) -> bool {
    these.iter().all(|this| others.iter().any(|that| that.0 <= this.0 && this.1 <= that.1))
}
