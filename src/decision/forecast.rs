//! When waiting alone is enough: the least instant, within two weeks, at which the same facts are granted, all else
//! unchanged.
//!
//! A decision turns only at a few instants: where a time window opens or closes, where the score becomes stale or its
//! age reaches what it is compared with, and where the rule opens. Between two turns of its conditions they grant the
//! same tier or none, so each such stretch is decided once; within one that grants, the rule has to be open, and its
//! limits have to have room. A limit that has room goes on having it until another check uses it, so an instant for
//! each tier says all there is to know of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::evaluate::World;
use super::facts::Facts;
use super::merits::tier_while_open;
use super::timing::DAYS_AHEAD;
use crate::rules::limit::{Cost, Limit, Scope};
use crate::rules::rule::Rule;

/// How far ahead an instant is looked for; the last instant of it included.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The days over which an opening is looked for: those of the horizon, and those that it begins and ends in.
const DAYS: i64 = 17;

/// A question that limits may refuse, kept with what decided it: then it is asked when waiting is enough.
#[derive(Debug, Clone)]
pub struct Outlook {
    pub rule: Arc<Rule>,
    pub facts: Facts,
}

impl Outlook {
    /// Tells whether tiers have counters of their own, or use more or less of the same.
    #[must_use]
    pub fn counts_by_tier(&self) -> bool {
        counts_by_tier(&self.rule)
    }

    /// The time behind `now`.
    #[must_use]
    pub fn forecast(&self, now: Timestamp) -> Forecast<'_> {
        Forecast::new(&self.rule, &self.facts, now)
    }
}

/// Tells whether the tiers of a rule have counters of their own, or use more or less of the same.
#[must_use]
pub fn counts_by_tier(rule: &Rule) -> bool {
    // Those that say something of guests count other numbers of the same party.
    let by_guests = rule.tiers().iter().any(|tier| tier.guests.is_some());
    let is_of_tier = |limit: &Limit| limit.scope.contains(&Scope::Tier) || (by_guests && limit.cost == Cost::Party);
    rule.tiers().len() > 1 && rule.limits().iter().any(is_of_tier)
}

/// A stretch of time in which the conditions grant one tier, from its first instant to before its last. The rule needn't
/// be open at all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch<'a> {
    from: Timestamp,
    until: Timestamp,
    tier: &'a str,
}

/// The stretches behind one instant at which the conditions of a rule grant something.
#[derive(Debug, Clone)]
pub struct Forecast<'a> {
    rule: &'a Rule,
    stretches: Vec<Stretch<'a>>,
    /// How many instants were decided to know them: what looking ahead costs.
    decided: usize,
}

impl<'a> Forecast<'a> {
    /// Looks ahead from `now`, at which these facts are refused.
    #[must_use]
    pub fn new(rule: &'a Rule, facts: &Facts, now: Timestamp) -> Self {
        let mut stretches: Vec<Stretch<'a>> = Vec::new();
        let (first, end) = (next_micro(now), next_micro(now.checked_add(HORIZON).unwrap_or(Timestamp::MAX)));
        let is_over = rule.valid().until.is_some_and(|(_, until)| until <= first);
        if is_over {
            return Self { rule, stretches, decided: 0 };
        }
        let mut turns = turning_instants(rule, facts, now);
        turns.insert(first);
        let turns: Vec<Timestamp> = turns.into_iter().filter(|at| first <= *at && *at < end).collect();
        let ends = turns.iter().skip(1).copied().chain([end]);
        for (from, until) in turns.iter().copied().zip(ends) {
            let Some(tier) = tier_while_open(rule, facts, from) else { continue };
            match stretches.last_mut() {
                Some(last) if last.until == from && last.tier == tier.id => last.until = until,
                _ => stretches.push(Stretch { from, until, tier: &tier.id }),
            }
        }
        Self { rule, stretches, decided: turns.len() }
    }

    /// Number of instants that were decided: at most two for each test of a time, and two more.
    #[must_use]
    pub const fn decided(&self) -> usize {
        self.decided
    }

    /// The tiers that may be granted, each once, in the order in which they first are.
    #[must_use]
    pub fn tiers(&self) -> Vec<&'a str> {
        let mut tiers = Vec::new();
        for stretch in &self.stretches {
            if !tiers.contains(&stretch.tier) {
                tiers.push(stretch.tier);
            }
        }
        tiers
    }

    /// The least instant at which a tier is granted, if its limits have room from the instant on that `room` names;
    /// none where they never have.
    pub fn first(&self, mut room: impl FnMut(&str) -> Option<Timestamp>) -> Option<Timestamp> {
        let begins = self.rule.valid().from.map(|(_, from)| from);
        // What was looked up last: from when on, and when it is open then.
        let mut looked_up: Option<(Timestamp, Option<Timestamp>)> = None;
        for stretch in &self.stretches {
            let Some(room) = room(stretch.tier) else { continue };
            let at = begins.into_iter().fold(stretch.from.max(room), Timestamp::max);
            if at >= stretch.until {
                continue;
            }
            let known = looked_up.filter(|(from, open)| *from <= at && open.is_none_or(|open| at <= open));
            let open = known.map_or_else(|| self.rule.first_available(at, DAYS), |(_, open)| open);
            looked_up = Some((at, open));
            if let Some(open) = open.filter(|open| *open < stretch.until) {
                return Some(open);
            }
        }
        None
    }
}

/// The instants behind `now` at which what the conditions grant may turn, each the first on its far side.
fn turning_instants(rule: &Rule, facts: &Facts, now: Timestamp) -> BTreeSet<Timestamp> {
    let world = World::new(facts, now);
    let mut turns = BTreeSet::new();
    world.turning_instants(rule.when(), &mut turns);
    rule.tiers().iter().for_each(|tier| world.turning_instants(tier.when.as_ref(), &mut turns));
    if rule.digested().contains(&Scope::BoardingPass) {
        // A pass can be counted from one midnight on, and to another.
        turns.extend(facts.context.midnights(now, DAYS_AHEAD));
    }
    turns.extend(facts.context.person().turns(rule));
    let max_age = rule.score().filter(|_| rule.looks_at_score()).and_then(|policy| policy.max_age);
    if let Some((score, max_age)) = facts.score.zip(max_age) {
        let last = score.observed_at.as_microsecond().saturating_add(max_age.micros());
        turns.extend(Timestamp::from_microsecond(last.saturating_add(1)).ok());
    }
    turns
}

/// The microsecond after it: no instant is finer.
fn next_micro(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::decide::decide;
    use crate::decision::facts::{Context, ScoreFact};
    use crate::foundation::json::Json;

    fn rule(text: &str) -> Rule {
        Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap()
    }

    fn facts(context: &str) -> Facts {
        let score = ScoreFact { value: "50".parse().unwrap(), observed_at: at("2026-05-01T08:00:00Z") };
        let context = Context::parse(&Json::parse(context).unwrap()).unwrap();
        Facts { score: Some(score), context, ..Facts::default() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const NOW: &str = "2026-05-01T12:00:00Z";
    const DAILY: &str = r#""days":["mon","tue","wed","thu","fri","sat","sun"]"#;

    /// When waiting is enough, with room from `room` on; what decides is held to it.
    fn first(text: &str, context: &str, room: Option<&str>) -> Option<String> {
        let (rule, facts) = (rule(text), facts(context));
        let found = Forecast::new(&rule, &facts, at(NOW)).first(|_| room.map(at));
        if let Some(found) = found {
            assert!(decide(&rule, &facts, found).is_granted());
            assert!(room.is_none_or(|room| at(room) <= found));
        }
        found.map(|at| at.to_string())
    }

    fn hours(hours: &str, more: &str) -> String {
        let (from, to) = hours.split_once('-').unwrap();
        format!(r#"{{"schedule":{{"open":[{{{DAILY},"from":"{from}","to":"{to}"}}]}},"tiers":[{{"id":"t"{more}}}]}}"#)
    }

    #[test]
    fn the_greater_of_two_instants_is_not_the_answer() {
        let window = |before: &str| {
            format!(r#","when":{{"attr":"context.departure","op":"within","before":"{before}","after":"PT12H"}}"#)
        };
        let departs = r#"{"departure":"2026-05-02T02:30:00Z"}"#;
        // The window opens at 23:30, when the house has closed; it is open until 14:30 of the next day.
        assert_eq!(first(&hours("06:00-23:00", &window("PT3H")), departs, Some(NOW)).unwrap(), "2026-05-02T06:00:00Z");
        assert_eq!(first(&hours("06:00-23:00", &window("PT8H")), departs, Some(NOW)).unwrap(), "2026-05-01T18:30:00Z");
        // A limit that has room at midnight: the house opens later. One that has room in between is waited for.
        let midnight = Some("2026-05-02T00:00:00Z");
        assert_eq!(first(&hours("06:00-23:00", &window("PT3H")), departs, midnight).unwrap(), "2026-05-02T06:00:00Z");
        let noon = Some("2026-05-02T12:00:00Z");
        assert_eq!(first(&hours("06:00-23:00", &window("PT3H")), departs, noon).unwrap(), "2026-05-02T12:00:00Z");
        // The window is over by then, or no limit ever has room.
        assert_eq!(first(&hours("06:00-23:00", &window("PT3H")), departs, Some("2026-05-02T14:30:00.000001Z")), None);
        assert_eq!(first(&hours("06:00-23:00", &window("PT3H")), departs, None), None);
        assert_eq!(first(&hours("15:00-22:00", &window("PT3H")), departs, Some(NOW)), None);
    }

    #[test]
    fn days_pass_while_one_waits() {
        let pass =
            |day: &str| format!("M1DESMARAIS/LUC       EABC123 SFOHKGCX 0873 {day}J001A0025 100").parse().unwrap();
        let next = |rule: &Rule, day: &str| {
            let context = Context::default().with_pass(&pass(day), rule.time_zone(), at(NOW), &["SFO".to_owned()]);
            let facts = Facts { context, ..Facts::default() };
            let found = decide(rule, &facts, at(NOW)).next_eligible_at;
            assert!(found.is_none_or(|found| decide(rule, &facts, found).is_granted()));
            found.map(|at| at.to_string())
        };
        let days =
            |days: i64| format!(r#","when":{{"attr":"boarding_pass.days_from_today","op":"lte","value":{days}}}"#);
        let zoned = |days: i64| {
            let rule = format!(
                r#"{{"time_zone":"America/Los_Angeles","tiers":[{{"id":"t","when":{{"attr":"boarding_pass.days_from_today",
                    "op":"eq","value":{days}}}}}]}}"#
            );
            self::rule(&rule)
        };
        // It is day 121, early in the morning in Los Angeles.
        assert_eq!(next(&zoned(0), "122").unwrap(), "2026-05-02T07:00:00Z");
        assert_eq!(next(&zoned(0), "135").unwrap(), "2026-05-15T07:00:00Z");
        assert_eq!(next(&zoned(0), "136"), None, "beyond the horizon");
        assert_eq!(next(&zoned(0), "120"), None);
        // Today's flight is yesterday's when the house opens again.
        assert_eq!(next(&rule(&hours("13:00-14:00", &days(0))), "121").unwrap(), "2026-05-01T13:00:00Z");
        // Limits count a pass from two months before its day until a week after it.
        let counted = rule(
            r#"{"tiers":[{"id":"t"}],
                "limits":[{"id":"l","scope":["boarding_pass"],"max":1,"window":{"rolling":"P9D"}}]}"#,
        );
        assert_eq!(next(&counted, "182").unwrap(), "2026-05-02T00:00:00Z");
        assert_eq!(next(&counted, "112"), None);
        let only_today = hours("08:00-09:00", &days(0).replace("lte", "eq"));
        assert_eq!(next(&rule(&only_today), "121"), None);
        assert_eq!(next(&rule(&only_today), "122").unwrap(), "2026-05-02T08:00:00Z");
    }

    #[test]
    fn the_horizon_is_exact_and_belongs_to_it() {
        let from = |from: &str| format!(r#"{{"valid":{{"from":"{from}"}},"tiers":[{{"id":"t"}}]}}"#);
        assert_eq!(first(&from("2026-05-15T12:00:00"), "{}", Some(NOW)).unwrap(), "2026-05-15T12:00:00Z");
        assert_eq!(first(&from("2026-05-15T12:00:01"), "{}", Some(NOW)), None);
        let always = r#"{"tiers":[{"id":"t"}]}"#;
        assert_eq!(first(always, "{}", Some("2026-05-15T12:00:00Z")).unwrap(), "2026-05-15T12:00:00Z");
        assert_eq!(first(always, "{}", Some("2026-05-15T12:00:00.000001Z")), None);
        let over = r#"{"valid":{"until":"2026-05-01T12:00:00"},"tiers":[{"id":"t"}]}"#;
        assert_eq!(first(over, "{}", Some(NOW)), None);
    }

    #[test]
    fn a_score_ages_while_one_waits() {
        let aged = |op: &str, age: &str| {
            format!(
                r#"{{"score":{{"source":"klout","max_age":"PT10H"}},"tiers":[{{"id":"t",
                    "when":{{"attr":"score.age","op":"{op}","value":"{age}"}}}}]}}"#
            )
        };
        assert_eq!(first(&aged("gte", "PT6H"), "{}", Some(NOW)).unwrap(), "2026-05-01T14:00:00Z");
        assert_eq!(first(&aged("gt", "PT6H"), "{}", Some(NOW)).unwrap(), "2026-05-01T14:00:00.000001Z");
        // Stale by then.
        assert_eq!(first(&aged("gt", "PT10H"), "{}", Some(NOW)), None);
        assert_eq!(first(&aged("gte", "PT10H"), "{}", Some(NOW)).unwrap(), "2026-05-01T18:00:00Z");
        let beside = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score.age","op":"gte","ref":"context.age"}}]}"#;
        assert_eq!(first(beside, r#"{"age":21600.5}"#, Some(NOW)).unwrap(), "2026-05-01T14:00:00.5Z");
        let ignored = r#"{"score":{"source":"klout","max_age":"PT10H","on_stale":"ignore"},
            "tiers":[{"id":"t","rank":2,"when":{"not":{"attr":"score","op":"exists"}}}]}"#;
        assert_eq!(first(ignored, "{}", Some(NOW)).unwrap(), "2026-05-01T18:00:00.000001Z");
    }

    #[test]
    fn looking_ahead_decides_few_instants_however_many_hours_and_windows_there_are() {
        let window = |nth: usize| {
            let (before, after) = (nth * 311, nth * 97 + 1);
            format!(r#"{{"attr":"context.departure","op":"within","before":"PT{before}M","after":"PT{after}M"}}"#)
        };
        let windows = |from: usize, to: usize| (from..to).map(window).collect::<Vec<_>>().join(",");
        let never = r#"{"attr":"context.never","op":"eq","value":true}"#;
        let openings: Vec<_> =
            (0..50).map(|nth| format!(r#"{{{DAILY},"from":"{:02}:{:02}","to":"24:00"}}"#, nth / 3, nth % 3)).collect();
        let dates: Vec<_> = (1..=15).map(|day| format!("\"2026-05-{day:02}\"")).collect();
        let closed = format!(r#""open":[{}],"closed_dates":[{}]"#, openings.join(","), dates.join(","));
        let rule = rule(&format!(
            r#"{{"schedule":{{{closed}}},"when":{{"any":[{},{never}]}},"tiers":[{{"id":"t","when":{{"any":[{}]}}}}]}}"#,
            windows(1, 32),
            windows(32, 64)
        ));
        let facts = facts(r#"{"departure":"2026-05-08T12:00:00Z"}"#);
        let forecast = Forecast::new(&rule, &facts, at(NOW));
        assert!((60..=130).contains(&forecast.decided()), "{}", forecast.decided());
        let mut asked = 0;
        let first = forecast.first(|_| {
            asked += 1;
            Some(at(NOW))
        });
        assert_eq!((first, asked), (None, 1), "what grants without a break is one stretch");
        // A rule that no time turns is decided once.
        let plain = self::rule(r#"{"tiers":[{"id":"t","when":{"attr":"context.gate","op":"eq","value":"A"}}]}"#);
        assert_eq!(Forecast::new(&plain, &facts, at(NOW)).decided(), 1);
    }

    #[test]
    fn each_tier_has_limits_of_its_own() {
        let rule = rule(
            r#"{"tiers":[{"id":"late","rank":2,"when":{"attr":"context.departure","op":"within","before":"PT1H"}},
                {"id":"early","rank":1,"when":{"attr":"context.departure","op":"within","before":"PT3H"}}]}"#,
        );
        let facts = facts(r#"{"departure":"2026-05-01T18:00:00Z"}"#);
        let forecast = Forecast::new(&rule, &facts, at(NOW));
        assert_eq!(forecast.tiers(), ["early", "late"]);
        let with = |early: Option<&str>, late: Option<&str>| {
            let first = forecast.first(|tier| if tier == "early" { early.map(at) } else { late.map(at) });
            first.map(|at| at.to_string())
        };
        assert_eq!(with(Some(NOW), Some(NOW)).unwrap(), "2026-05-01T15:00:00Z");
        assert_eq!(with(None, Some(NOW)).unwrap(), "2026-05-01T17:00:00Z");
        assert_eq!(with(Some("2026-05-01T16:00:00Z"), None).unwrap(), "2026-05-01T16:00:00Z");
        assert_eq!(with(Some("2026-05-01T17:30:00Z"), Some("2026-05-01T18:00:00Z")).unwrap(), "2026-05-01T18:00:00Z");
        assert_eq!(with(None, None), None);
    }
}
