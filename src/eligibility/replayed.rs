//! Limits as a backtest counts them: in memory, in the order of the log, twice beside each other: as
//! they were really used, and as they would have been.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use super::reason::Reason;
use crate::ledger::entry::LimitTouched;
use crate::perks::limit::{LimitClaim, Unit, Window};
use crate::perks::rule::Rule;
use crate::subject::Pseudonym;

/// Which of the two histories is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// What the ledger did.
    Really,
    /// What the rule would have done.
    Replayed,
}

/// From where on the log has to be read for the counters to be right when the period begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Beginning,
    At(Timestamp),
}

/// What the limits would have said to one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admission {
    pub admitted: bool,
    pub limits: Vec<LimitTouched>,
    pub refusals: Vec<Reason>,
    pub next_eligible_at: Option<Timestamp>,
}

/// A counter's name, digested: a period can touch millions of them.
type Key = [u8; 16];

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    really: u64,
    replayed: u64,
}

/// The counters of one rule's limits.
pub(super) struct Counters {
    counted: HashMap<Key, Used>,
    /// The limits of the rule by id; others are not counted.
    limits: HashSet<String>,
    /// Whether other perks of the merchant use some of the counters too.
    across_perks: bool,
}

impl Counters {
    pub fn of(rule: &Rule) -> Self {
        let limits = rule.limits().iter().map(|limit| limit.id.clone()).collect();
        let across_perks = rule.limits().iter().any(crate::perks::limit::Limit::is_across_perks);
        Self { counted: HashMap::new(), limits, across_perks }
    }

    /// Whether what other perks granted counts.
    pub const fn are_across_perks(&self) -> bool {
        self.across_perks
    }

    /// A limit that was there before goes on from what it had really used when the period begins, so
    /// the log is read from the start of the longest window that `from` can lie in.
    pub fn since(rule: &Rule, from: Timestamp) -> Since {
        let longest = rule.limits().iter().try_fold(SignedDuration::ZERO, |longest, limit| {
            // Longer than any such window, summer time and all: what is too old has another key.
            let hours = match limit.window {
                Window::Calendar(Unit::Hour) => 2,
                Window::Calendar(Unit::Day) => 2 * 24,
                Window::Calendar(Unit::Week) => 8 * 24,
                Window::Calendar(Unit::Month) => 32 * 24,
                Window::Rolling(length) => length.seconds() / 3600 + 1,
                Window::Concurrent { max_stay } => max_stay.seconds() / 3600 + 26,
                Window::Lifetime => return None,
            };
            Some(longest.max(SignedDuration::from_hours(hours)))
        });
        match longest.map(|longest| from.checked_sub(longest)) {
            Some(Ok(at)) => Since::At(at),
            Some(Err(_)) | None => Since::Beginning,
        }
    }

    /// A grant of the past used these. `of_this_perk` is false for another perk of the merchant, whose
    /// uses count only where the counter is shared.
    pub fn used(&mut self, touched: &[LimitTouched], of_this_perk: bool, courses: &[Course]) {
        for limit in touched.iter().filter(|limit| self.limits.contains(&limit.id)) {
            let across = is_across_perks(&limit.scope);
            if !of_this_perk && !across {
                continue;
            }
            let used = self.counted.entry(key(across, &limit.id, &limit.scope, &limit.window)).or_default();
            for course in courses {
                let counter = used.of(*course);
                *counter = counter.saturating_add(limit.cost);
            }
        }
    }

    /// What the limits say to a grant in `course`, as the ledger asks them: one that any limit refuses
    /// uses nothing.
    pub fn ask(&self, course: Course, rule: &Rule, claims: &[LimitClaim], subject: &Pseudonym) -> Admission {
        let mut refusals = Vec::new();
        let mut limits = Vec::with_capacity(claims.len());
        for (limit, claim) in rule.limits().iter().zip(claims) {
            let scope = claim.scope.resolve(subject);
            let key = key(claim.across_perks, &claim.limit, &scope, &claim.window_key);
            let mut used = self.counted.get(&key).copied().unwrap_or_default();
            let used = match limit.window {
                Window::Calendar(_) | Window::Lifetime | Window::Rolling(_) | Window::Concurrent { .. } => {
                    *used.of(course)
                }
            };
            if used.saturating_add(claim.cost) > claim.max {
                refusals.push(Reason::limit_reached(&claim.limit, claim.resets_at));
            }
            limits.push(LimitTouched {
                id: claim.limit.clone(),
                scope,
                window: claim.window_key.clone(),
                cost: claim.cost,
                max: claim.max,
                used,
                resets_at: claim.resets_at,
                counted: None,
            });
        }
        let admitted = refusals.is_empty();
        if admitted {
            for limit in &mut limits {
                limit.used = limit.used.saturating_add(limit.cost);
            }
        }
        let next_eligible_at = refusals.iter().map(|r| r.next_eligible_at).reduce(|a, b| Some(a?.max(b?))).flatten();
        Admission { admitted, limits, refusals, next_eligible_at }
    }
}

impl Used {
    const fn of(&mut self, course: Course) -> &mut u64 {
        match course {
            Course::Really => &mut self.really,
            Course::Replayed => &mut self.replayed,
        }
    }
}

/// Whether a resolved scope is one that all perks of the merchant share: it names the merchant, and no
/// perk. It is a JSON pointer of names and values; `perk` alone has no value.
fn is_across_perks(scope: &str) -> bool {
    let mut steps = scope.split('/').skip(1);
    let mut merchant = false;
    while let Some(name) = steps.next() {
        match name {
            "perk" => return false,
            "merchant" => merchant = true,
            _ => {}
        }
        steps.next();
    }
    merchant
}

fn key(across: bool, limit: &str, scope: &str, window: &str) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [if across { "merchant" } else { "perk" }, limit, scope, window] {
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
    use crate::json::Json;
    use crate::perks::limit::Place;

    fn rule(limits: &str) -> Rule {
        let text = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{limits}]}}"#);
        Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap()
    }

    const DAY: &str = r#"{"id":"day","scope":["subject"],"max":2,"window":{"calendar":"day"}}"#;

    fn claims(rule: &Rule, at: &str) -> Vec<LimitClaim> {
        let place = Place { merchant: "mer_1", location: None, kiosk: None };
        rule.claims("t", 1, &place, at.parse().unwrap())
    }

    #[test]
    fn a_limit_admits_its_number_and_then_refuses_until_the_window_turns() {
        let (rule, ada) = (rule(DAY), Pseudonym::stored("sub_a"));
        let mut counters = Counters::of(&rule);
        let today = claims(&rule, "2012-05-08T12:00:00Z");
        for used in [1, 2] {
            let admission = counters.ask(Course::Replayed, &rule, &today, &ada);
            assert!(admission.admitted);
            assert_eq!(admission.limits[0].used, used);
            counters.used(&admission.limits, true, &[Course::Replayed]);
        }
        let refused = counters.ask(Course::Replayed, &rule, &today, &ada);
        assert!(!refused.admitted);
        assert_eq!(refused.limits[0].used, 2);
        assert_eq!(refused.next_eligible_at, Some("2012-05-09T00:00:00Z".parse().unwrap()));
        // The other history has not moved, and neither have another person and another day.
        assert!(counters.ask(Course::Really, &rule, &today, &ada).admitted);
        assert!(counters.ask(Course::Replayed, &rule, &today, &Pseudonym::stored("sub_b")).admitted);
        assert!(counters.ask(Course::Replayed, &rule, &claims(&rule, "2012-05-09T00:00:00Z"), &ada).admitted);
    }

    #[test]
    fn another_perk_counts_only_where_the_counter_is_shared() {
        let shared = r#"{"id":"all","scope":["subject","merchant"],"max":1,"window":{"lifetime":true}}"#;
        let rule = rule(&format!("{DAY},{shared}"));
        let (mut counters, ada) = (Counters::of(&rule), Pseudonym::stored("sub_a"));
        assert!(counters.are_across_perks());
        let claims = claims(&rule, "2012-05-08T12:00:00Z");
        let touched = counters.ask(Course::Really, &rule, &claims, &ada).limits;
        counters.used(&touched, false, &[Course::Really, Course::Replayed]);
        let admission = counters.ask(Course::Replayed, &rule, &claims, &ada);
        assert_eq!(admission.limits.iter().map(|limit| limit.used).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(admission.refusals.len(), 1);
        assert_eq!(admission.next_eligible_at, None, "a lifetime never resets");
    }

    #[test]
    fn a_scope_is_shared_when_it_names_the_merchant_and_no_perk() {
        for (scope, across) in [
            ("/subject/sub_a", false),
            ("/subject/sub_a/merchant/mer_1", true),
            ("/perk/merchant/mer_1", false),
            ("/location/merchant", false),
            ("/location/perk/merchant/mer_1", true),
            ("/location/a~1b/merchant/mer_1", true),
        ] {
            assert_eq!(is_across_perks(scope), across, "{scope}");
        }
    }

    #[test]
    fn the_log_is_read_from_the_longest_window_on() {
        let from: Timestamp = "2012-05-08T12:00:00Z".parse().unwrap();
        let since = |limits: &str| Counters::since(&rule(limits), from);
        assert_eq!(since(""), Since::At(from));
        assert_eq!(since(DAY), Since::At("2012-05-06T12:00:00Z".parse().unwrap()));
        let month = DAY.replace("day\"}", "month\"}").replace("\"day\"", "\"m\"");
        assert_eq!(since(&format!("{DAY},{month}")), Since::At("2012-04-06T12:00:00Z".parse().unwrap()));
        let life = r#"{"id":"life","scope":["subject"],"max":1,"window":{"lifetime":true}}"#;
        assert_eq!(since(&format!("{DAY},{life}")), Since::Beginning);
    }
}
