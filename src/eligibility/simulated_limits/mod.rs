//! Limits as a backtest counts them: in memory, in the order of the log, twice beside each other: as
//! they were really used, and as they would have been.

mod visits;

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use crate::decision::decided::{Admission, LimitTouched};
use crate::foundation::period::Period;
use crate::foundation::subject::Pseudonym;
use crate::ledger::write::arithmetic::{ClaimTime, Met, admit, behind, room_at};
use crate::ledger::write::uses::Uses;
use crate::rules::limit::{
    CONCURRENT, Cost, Counting, Limit, LimitClaim, MissingDigest, ROLLING, ScopeDigests, Unit, Window, is_across_perks,
};
use crate::rules::rule::Rule;
use visits::{Stands, Use, Visit};

/// Which of the two histories is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timeline {
    /// The history of what the ledger did.
    Actual,
    /// The history of what the rule would have done.
    Hypothetical,
}

/// From where on the log has to be read for the counters to be right when the period begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Since {
    Beginning,
    At(Timestamp),
}

/// The longest `max_stay` that limits had in any version, by their ids: their guests may still be there.
pub(super) type MaxStays = HashMap<String, Period>;

impl Since {
    /// From where on this limit counts what can matter at `from`.
    pub(super) fn of(limit: &Limit, from: Timestamp, max_stays: &MaxStays) -> Self {
        // Longer than any such window, summer time and all: what is too old has another key.
        let hours = match limit.window {
            Window::Calendar(Unit::Hour) => 2,
            Window::Calendar(Unit::Day) => 2 * 24,
            Window::Calendar(Unit::Week) => 8 * 24,
            Window::Calendar(Unit::Month) => 32 * 24,
            Window::Calendar(Unit::Quarter) => 93 * 24,
            Window::Calendar(Unit::Year) => 367 * 24,
            Window::Rolling(length) => length.seconds() / 3600 + 1,
            Window::Concurrent { max_stay } => {
                let before = max_stays.get(&limit.id).map_or(0, |stay| stay.seconds());
                // A token may live for a day, and a moment longer.
                max_stay.seconds().max(before) / 3600 + 26
            }
            Window::Lifetime => return Self::Beginning,
        };
        from.checked_sub(SignedDuration::from_hours(hours)).map_or(Self::Beginning, Self::At)
    }
}

/// A name, digested: a period can touch millions of counters and grants.
pub(super) type Key = [u8; 16];

/// Behind this much time nothing comes any more: the log is nearly in the order of its instants.
const SETTLED_MICROS: i64 = 24 * 3600 * 1_000_000;

/// Number of grants and lines from which it is worth looking for what is over.
const CROWDED: usize = 8192;

/// A check that asks for room.
pub(super) struct Asking<'a> {
    pub subject: &'a Pseudonym,
    pub digests: &'a ScopeDigests,
    pub at: Timestamp,
    /// When the token would expire, in seconds.
    pub expires: i64,
}

/// A grant as it used limits.
pub(super) struct Granting<'a> {
    /// Its digest, or that of its check where no grant is on record.
    pub grant: Key,
    pub at: Timestamp,
    pub touched: &'a [LimitTouched],
    /// False for another perk of the merchant, whose uses count only where the counter is shared.
    pub of_this_perk: bool,
}

/// The counters of one rule's limits, in both courses.
pub(super) struct Counters {
    /// The limits of the rule by id; others are not counted.
    limits: HashMap<String, (Counting, Cost)>,
    /// Where one check is all that will ask: its counters, and no others are kept.
    only: Option<HashSet<Key>>,
    /// True if other perks of the merchant use some of the counters too.
    across_perks: bool,
    /// The counters that only add up.
    sums: HashMap<Key, [u64; 2]>,
    /// Where uses lapse one by one.
    lines: HashMap<Key, Lines>,
    /// The uses of grants, so that they can be moved and given back.
    visits: HashMap<Key, Visit>,
    /// The latest instant met, in microseconds.
    latest: i64,
    crowded: usize,
}

struct Lines {
    /// The distance of the horizon behind the time, in microseconds.
    behind: i64,
    courses: [Line; 2],
}

/// One rolling or concurrent counter in one course.
#[derive(Default)]
struct Line {
    uses: Uses<Key>,
    /// Its own time, which never goes back.
    last_used_at: i64,
}

impl Counters {
    pub(super) fn of(rule: &Rule) -> Self {
        let limits =
            rule.limits().iter().map(|limit| (limit.id.clone(), (limit.window.counting(), limit.cost))).collect();
        Self {
            limits,
            only: None,
            across_perks: rule.limits().iter().any(Limit::is_across_perks),
            sums: HashMap::new(),
            lines: HashMap::new(),
            visits: HashMap::new(),
            latest: 0,
            crowded: CROWDED,
        }
    }

    /// Those that one check by the rule would use, if these are its claims.
    pub(super) fn of_check(
        rule: &Rule,
        claims: &[LimitClaim],
        subject: &Pseudonym,
        digests: &ScopeDigests,
    ) -> Result<Self, MissingDigest> {
        let key = |claim: &LimitClaim| {
            let scope = claim.scope.resolve(subject, digests)?;
            Ok(key_of(&claim.limit, &scope, &claim.window_key))
        };
        Ok(Self { only: Some(claims.iter().map(key).collect::<Result<_, _>>()?), ..Self::of(rule) })
    }

    /// True if what other perks granted counts.
    pub(super) const fn are_across_perks(&self) -> bool {
        self.across_perks
    }

    /// True if there is anything to count.
    pub(super) fn are_there(&self) -> bool {
        !self.limits.is_empty()
    }

    /// A limit that was there before goes on from what it had really used when the period begins, so
    /// the log is read from the start of the longest window that `from` can lie in.
    pub(super) fn since(rule: &Rule, from: Timestamp, max_stays: &MaxStays) -> Since {
        let each = rule.limits().iter().map(|limit| Since::of(limit, from, max_stays));
        each.fold(Since::At(from), Since::min)
    }

    /// A grant of the past, as the ledger admitted it.
    pub(super) fn used(&mut self, granting: &Granting<'_>, courses: &[Timeline]) {
        self.latest = self.latest.max(granting.at.as_microsecond());
        for course in courses {
            self.take(granting, *course, false);
        }
        if granting.of_this_perk && self.are_there() && self.only.is_none() {
            // It may have used nothing that counts here, and yet do in the other course.
            self.visits.entry(granting.grant).or_default();
        }
    }

    /// The rule has decided the check of a grant; in its course the grant used these, or nothing.
    pub(super) fn decided(&mut self, granting: &Granting<'_>) {
        self.take(granting, Timeline::Hypothetical, true);
        if let Some(visit) = self.visits.get_mut(&granting.grant) {
            visit.is_decided = true;
        }
    }

    fn take(&mut self, granting: &Granting<'_>, course: Timeline, is_decided: bool) {
        for limit in granting.touched {
            let Some((counting, cost)) = self.limits.get(&limit.id).copied() else { continue };
            if !granting.of_this_perk && !is_across_perks(&limit.scope) {
                continue;
            }
            let counter = key_of(&limit.id, &limit.scope, &limit.window);
            if self.only.as_ref().is_some_and(|only| !only.contains(&counter)) {
                continue;
            }
            let stands = match (counting, limit.counted.and_then(|counted| Some((counted.horizon, counted.counts_at?))))
            {
                (Counting::Sum, None) => {
                    let used = self.sums.entry(counter).or_default().of(course);
                    *used = used.saturating_add(limit.cost);
                    if self.only.is_some() {
                        // In one course the end of a grant says all: see `give_back_sums`.
                        continue;
                    }
                    Stands::Sum { over: limit.resets_at.map_or(i64::MAX, Timestamp::as_microsecond) }
                }
                (Counting::Rolling(length), Some((_, at))) if limit.window == ROLLING => {
                    let at = at.as_microsecond();
                    self.line(counter, length.micros(), course).take(at, granting.grant, limit.cost, at);
                    Stands::Made { at, over: at.saturating_add(length.micros()) }
                }
                (Counting::Held { max_stay }, Some((now, until))) if limit.window == CONCURRENT => {
                    let (now, until) = (now.as_microsecond(), until.as_microsecond());
                    self.line(counter, 0, course).take(until, granting.grant, limit.cost, now);
                    Stands::Held { until, stay: if is_decided { max_stay.micros() } else { 0 } }
                }
                // The limit counted in another way then, by a counter that this rule does not ask.
                _ => continue,
            };
            let visit = self.visits.entry(granting.grant).or_default();
            visit.used.of(course).push(Use { counter, cost: limit.cost, is_of_people: cost == Cost::Party, stands });
        }
    }

    fn line(&mut self, counter: Key, behind: i64, course: Timeline) -> &mut Line {
        let lines = self.lines.entry(counter).or_insert_with(|| Lines { behind, courses: <[Line; 2]>::default() });
        lines.courses.of(course)
    }

    /// The answer of the limits to a grant in `course`, as the ledger asks them: one that any limit refuses
    /// uses nothing, and neither does asking.
    pub(super) fn ask(
        &mut self,
        course: Timeline,
        claims: &[LimitClaim],
        asking: &Asking<'_>,
    ) -> Result<Admission, MissingDigest> {
        Ok(admit(self.met(course, claims, asking)?))
    }

    /// From when on all of the claims have room, if nobody else asks.
    pub(super) fn room_at(
        &mut self,
        course: Timeline,
        claims: &[LimitClaim],
        asking: &Asking<'_>,
    ) -> Result<Option<Timestamp>, MissingDigest> {
        Ok(room_at(&self.met(course, claims, asking)?))
    }

    fn met<'a>(
        &mut self,
        course: Timeline,
        claims: &'a [LimitClaim],
        asking: &Asking<'_>,
    ) -> Result<Vec<Met<'a>>, MissingDigest> {
        let at = asking.at.as_microsecond();
        self.latest = self.latest.max(at);
        let asked = ClaimTime { at, expires: Some(asking.expires) };
        let mut met = Vec::with_capacity(claims.len());
        for claim in claims {
            let scope = claim.scope.resolve(asking.subject, asking.digests)?;
            let counter = key_of(&claim.limit, &scope, &claim.window_key);
            met.push(if let Some(behind) = behind(claim.counting) {
                let line = self.line(counter, behind, course);
                Met::new(claim, scope, &mut line.uses, line.last_used_at, asked)
            } else {
                let used = *self.sums.entry(counter).or_default().of(course);
                Met::new(claim, scope, &mut Uses::<Key>::new(i64::try_from(used).unwrap_or(i64::MAX), 0), 0, asked)
            });
        }
        Ok(met)
    }

    /// Between two events: forgets what is over, so that a long period takes no more memory than its longest window.
    pub(super) fn tidy_if_crowded(&mut self) {
        if self.visits.len() + self.lines.len() <= self.crowded {
            return;
        }
        let settled = self.latest.saturating_sub(SETTLED_MICROS);
        self.visits.retain(|_, visit| visit.used.iter().flatten().any(|used| used.stands.over() > settled));
        self.lines.retain(|_, lines| {
            let horizon = settled.saturating_sub(lines.behind);
            for line in &mut lines.courses {
                if line.uses.horizon() < horizon {
                    line.uses.move_to(horizon);
                }
                line.uses.forget_lapsed();
            }
            lines.courses.iter().any(|line| !line.uses.is_empty())
        });
        self.crowded = CROWDED.max(2 * (self.visits.len() + self.lines.len()));
    }
}

impl Line {
    fn take(&mut self, stands: i64, grant: Key, cost: u64, now: i64) {
        self.uses.add(stands, grant, i64::try_from(cost).unwrap_or(i64::MAX));
        self.last_used_at = self.last_used_at.max(now);
    }
}

impl Timeline {
    pub(super) const BOTH: [Self; 2] = [Self::Actual, Self::Hypothetical];
}

/// Something kept for each course.
pub(super) trait Each<T> {
    fn of(&mut self, course: Timeline) -> &mut T;
    fn get_of(&self, course: Timeline) -> &T;
}

impl<T> Each<T> for [T; 2] {
    fn of(&mut self, course: Timeline) -> &mut T {
        let [really, replayed] = self;
        match course {
            Timeline::Actual => really,
            Timeline::Hypothetical => replayed,
        }
    }

    fn get_of(&self, course: Timeline) -> &T {
        let [really, replayed] = self;
        match course {
            Timeline::Actual => really,
            Timeline::Hypothetical => replayed,
        }
    }
}

fn key_of(limit: &str, scope: &str, window: &str) -> Key {
    digest_of(&[if is_across_perks(scope) { "merchant" } else { "perk" }, limit, scope, window])
}

/// 128 bits of SHA-256 over the parts.
pub(super) fn digest_of(parts: &[&str]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
        // No part holds it, so no two names run together.
        context.update(b"\0");
    }
    let mut key = Key::default();
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;
    use crate::ledger::read::decisions::{PastEnd, PastRedemption};
    use crate::rules::limit::Place;
    use crate::rules::tier::party::Party;

    fn rule(limits: &str) -> Rule {
        let text = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{limits}]}}"#);
        Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap()
    }

    const DAY: &str = r#"{"id":"day","scope":["subject"],"max":2,"window":{"calendar":"day"}}"#;

    fn claims(rule: &Rule, at: &str) -> Vec<LimitClaim> {
        let place = Place { merchant: "mer_1", location: None, kiosk: None, pass_month: None };
        rule.claims("t", &Party::default(), &place, at.parse().unwrap())
    }

    const NOON: &str = "2012-05-08T12:00:00Z";

    static NOTHING: std::sync::LazyLock<ScopeDigests> = std::sync::LazyLock::new(ScopeDigests::default);

    fn asking<'a>(subject: &'a Pseudonym, at: &str) -> Asking<'a> {
        let at: Timestamp = at.parse().unwrap();
        Asking { subject, digests: &NOTHING, at, expires: at.as_second() + 900 }
    }

    fn granting<'a>(grant: &str, at: &str, admission: &'a Admission) -> Granting<'a> {
        let touched = &admission.limits;
        Granting { grant: digest_of(&[grant]), at: at.parse().unwrap(), touched, of_this_perk: true }
    }

    #[test]
    fn a_limit_admits_its_number_and_then_refuses_until_the_window_turns() {
        let (rule, ada) = (rule(DAY), Pseudonym::stored("sub_a"));
        let mut counters = Counters::of(&rule);
        let today = claims(&rule, NOON);
        for (grant, used) in [("a", 1), ("b", 2)] {
            let admission = counters.ask(Timeline::Hypothetical, &today, &asking(&ada, NOON)).unwrap();
            assert!(admission.admitted);
            assert_eq!(admission.limits[0].used, used);
            counters.decided(&granting(grant, NOON, &admission));
        }
        let refused = counters.ask(Timeline::Hypothetical, &today, &asking(&ada, NOON)).unwrap();
        assert!(!refused.admitted);
        assert_eq!(refused.limits[0].used, 2);
        assert_eq!(refused.room_at, Some("2012-05-09T00:00:00Z".parse().unwrap()));
        // The other history has not moved, and neither have another person and another day.
        assert!(counters.ask(Timeline::Actual, &today, &asking(&ada, NOON)).unwrap().admitted);
        assert!(
            counters.ask(Timeline::Hypothetical, &today, &asking(&Pseudonym::stored("sub_b"), NOON)).unwrap().admitted
        );
        let tomorrow = "2012-05-09T00:00:00Z";
        assert!(
            counters.ask(Timeline::Hypothetical, &claims(&rule, tomorrow), &asking(&ada, tomorrow)).unwrap().admitted
        );
    }

    #[test]
    fn another_perk_counts_only_where_the_counter_is_shared() {
        let shared = r#"{"id":"all","scope":["subject","merchant"],"max":1,"window":{"lifetime":true}}"#;
        let rule = rule(&format!("{DAY},{shared}"));
        let (mut counters, ada) = (Counters::of(&rule), Pseudonym::stored("sub_a"));
        assert!(counters.are_across_perks());
        let claims = claims(&rule, NOON);
        let admission = counters.ask(Timeline::Actual, &claims, &asking(&ada, NOON)).unwrap();
        let elsewhere = Granting { of_this_perk: false, ..granting("a", NOON, &admission) };
        counters.used(&elsewhere, &Timeline::BOTH);
        let admission = counters.ask(Timeline::Hypothetical, &claims, &asking(&ada, NOON)).unwrap();
        assert_eq!(admission.limits.iter().map(|limit| limit.used).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(admission.refusals.len(), 1);
        assert_eq!(admission.room_at, None, "a lifetime never resets");
    }

    #[test]
    fn the_log_is_read_from_the_longest_window_on() {
        let from: Timestamp = "2012-05-08T12:00:00Z".parse().unwrap();
        let since = |limits: &str| Counters::since(&rule(limits), from, &HashMap::new());
        assert_eq!(since(""), Since::At(from));
        assert_eq!(since(DAY), Since::At("2012-05-06T12:00:00Z".parse().unwrap()));
        let month = DAY.replace("day\"}", "month\"}").replace("\"day\"", "\"m\"");
        assert_eq!(since(&format!("{DAY},{month}")), Since::At("2012-04-06T12:00:00Z".parse().unwrap()));
        let life = r#"{"id":"life","scope":["subject"],"max":1,"window":{"lifetime":true}}"#;
        assert_eq!(since(&format!("{DAY},{life}")), Since::Beginning);
    }

    const HOUSE: &str = r#"{"id":"house","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT2H"}}}"#;
    const SIX: &str = r#"{"id":"six","scope":["perk"],"max":2,"window":{"rolling":"PT6H"}}"#;

    /// Asks as the rule, and takes what is granted.
    fn visit(counters: &mut Counters, rule: &Rule, grant: &str, at: &str) -> (bool, Option<String>) {
        let subject = Pseudonym::stored("sub_a");
        let admission = counters.ask(Timeline::Hypothetical, &claims(rule, at), &asking(&subject, at)).unwrap();
        if admission.admitted {
            counters.decided(&granting(grant, at, &admission));
        }
        (admission.admitted, admission.room_at.map(|at| at.to_string()))
    }

    fn redeemed(grant: &str, at: &str) -> PastRedemption {
        PastRedemption { grant: grant.into(), at: at.parse().unwrap(), entered: None, holds: Vec::new() }
    }

    fn ended(grant: &str, is_void: bool) -> PastEnd {
        let (at, perk) = (NOON.parse().unwrap(), String::new());
        PastEnd { grant: grant.into(), at, perk, is_void, keeps_uses: false, waits: false, returned: Vec::new() }
    }

    #[test]
    fn a_use_lapses_when_it_is_as_old_as_the_rolling_window_is_long() {
        let rule = rule(SIX);
        let mut counters = Counters::of(&rule);
        assert_eq!(visit(&mut counters, &rule, "a", "2012-05-08T12:00:00Z"), (true, None));
        assert_eq!(visit(&mut counters, &rule, "b", "2012-05-08T13:00:00Z"), (true, None));
        let soon = Some("2012-05-08T18:00:00Z".to_owned());
        assert_eq!(visit(&mut counters, &rule, "c", "2012-05-08T17:59:59Z"), (false, soon));
        assert_eq!(visit(&mut counters, &rule, "d", "2012-05-08T18:00:00Z"), (true, None));
        counters.end(&ended("b", true));
        assert!(visit(&mut counters, &rule, "e", "2012-05-08T18:00:01Z").0, "what was taken back has room again");
        assert!(!visit(&mut counters, &rule, "f", "2012-05-08T18:00:02Z").0);
    }

    #[test]
    fn a_place_is_held_until_the_token_lapses_or_the_guest_has_left() {
        let rule = rule(HOUSE);
        let mut counters = Counters::of(&rule);
        assert!(visit(&mut counters, &rule, "a", "2012-05-08T12:00:00Z").0);
        assert_eq!(visit(&mut counters, &rule, "b", "2012-05-08T12:15:29Z"), (false, None));
        assert!(visit(&mut counters, &rule, "c", "2012-05-08T12:15:30Z").0, "nobody came");
        counters.enter(&redeemed("c", "2012-05-08T12:20:00Z"));
        counters.enter(&redeemed("c", "2012-05-08T12:25:00Z"));
        assert!(!visit(&mut counters, &rule, "d", "2012-05-08T14:19:59Z").0);
        assert!(visit(&mut counters, &rule, "e", "2012-05-08T14:20:00Z").0, "the longest stay is over");
        counters.enter(&redeemed("e", "2012-05-08T14:21:00Z"));
        counters.end(&ended("e", true));
        assert!(!visit(&mut counters, &rule, "f", "2012-05-08T14:22:00Z").0, "a void leaves a guest's place alone");
        assert!(visit(&mut counters, &rule, "g", "2012-05-08T16:21:00Z").0);
        counters.enter(&redeemed("g", "2012-05-08T16:22:00Z"));
        counters.end(&ended("g", false));
        assert!(visit(&mut counters, &rule, "h", "2012-05-08T16:23:00Z").0, "the guest has left");
    }

    #[test]
    fn what_is_over_is_forgotten_and_nothing_else() {
        let rule = rule(&format!("{SIX},{DAY},{}", HOUSE.replace("\"max\":1", "\"max\":9")));
        let mut counters = Counters::of(&rule);
        for (grant, at) in [("a", "2012-05-08T12:00:00Z"), ("b", "2012-05-08T16:00:00Z")] {
            assert!(visit(&mut counters, &rule, grant, at).0);
        }
        assert!(!visit(&mut counters, &rule, "c", "2012-05-08T17:00:00Z").0);
        assert!(visit(&mut counters, &rule, "d", "2012-05-11T12:00:00Z").0);
        assert_eq!((counters.visits.len(), counters.lines.len()), (3, 2));
        counters.crowded = 0;
        counters.tidy_if_crowded();
        assert_eq!(counters.visits.len(), 1);
        assert_eq!(counters.lines.len(), 2);
    }
}
