//! The errors and oddities of a rule that can be read: rules that can't work are refused, oddities
//! are pointed out.
//!
//! To add a finding: a function beside its neighbours in `lint/`, an error only where the rule can't do
//! what it says, and a test of both a rule that has it and one that only looks as if.

mod blackouts;
mod limits;
mod occupancy;
mod passes;
mod people;
mod reach;
mod restarts;
mod tiers;
mod times;
mod types;

pub use restarts::restarts;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::attribute::{Attribute, PARTY, ValueType};
use super::condition::Condition;
use super::leaf::{Leaf, Test};
use super::limit::Limit;
use super::rule::Rule;
use super::terms::{Fallback, Otherwise, ScorePolicy};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::below;
use crate::foundation::field_error::FieldError;
use crate::foundation::period::Period;

/// The findings; a rule with errors must not be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    pub errors: Vec<FieldError>,
    pub warnings: Vec<FieldError>,
}

/// The context that a rule is held against.
#[derive(Debug, Clone)]
pub struct LintContext {
    /// The least and the greatest score that the rule's source gives, if it has one.
    pub scale: Option<(Decimal, Decimal)>,
    /// The interval at which the source's scores are renewed, if it says so.
    pub refresh: Option<Period>,
    /// The declared attributes of people, with their types.
    pub declared: BTreeMap<String, ValueType>,
    /// Those of them that everyone must have a value of: without one, a person is denied or referred.
    pub required: BTreeSet<String>,
    /// The names of the context attributes that checks have sent; none while that can't be known.
    pub sent: Option<BTreeSet<String>>,
    pub now: Timestamp,
}

impl Lint {
    fn error(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError::at(pointer, code, detail));
    }

    fn warn(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.warnings.push(FieldError::at(pointer, code, detail));
    }
}

/// Looks `rule` over.
#[must_use]
pub fn lint(rule: &Rule, context: &LintContext) -> Lint {
    let mut found = Lint::default();
    times::lint(rule, context.now, &mut found);
    blackouts::lint(rule, context.now, &mut found);
    tiers::lint(rule, context.scale, &mut found);
    limits::lint(rule, &mut found);
    lint_score(rule, context.refresh, &mut found);
    people::lint(rule, &context.declared, &context.required, &mut found);
    lint_attributes(rule, context.sent.as_ref(), &mut found);
    lint_thresholds(rule, &mut found);
    passes::lint(rule, &mut found);
    occupancy::lint(rule, &mut found);
    types::lint(rule, &mut found);
    if rule.rollout().percent() == 0 {
        found.warn(
            "/rollout/percent",
            "rollout_of_nobody",
            "a rollout of 0 % admits nobody: raise it, or pause the perk",
        );
    }
    let denies = |policy: &ScorePolicy| policy.on_missing == Fallback::Deny;
    if rule.otherwise() == Otherwise::Refer && rule.looks_at_score() && rule.score().is_some_and(denies) {
        let detail = "who has no score is denied, not referred: say \"refer\" if a person is to decide about them too";
        found.warn("/score/on_missing", "missing_score_denied", detail);
    }
    found
}

fn lint_score(rule: &Rule, refresh: Option<Period>, found: &mut Lint) {
    let Some(policy) = rule.score() else { return };
    if !rule.looks_at_score() {
        return found.warn("/score", "score_unused", "no condition looks at the score: leave it out, or add one");
    }
    if let Some((max_age, refresh)) = policy.max_age.zip(refresh).filter(|(max_age, refresh)| max_age < refresh) {
        let detail = format!(
            "scores of `{}` are renewed every {refresh} and count for {max_age}: in between, nobody's counts",
            policy.source
        );
        found.warn("/score/max_age", "max_age_below_refresh", detail);
    }
}

/// A condition on an attribute that no check brings is never met, and a misspelt name looks just so.
fn lint_attributes(rule: &Rule, sent: Option<&BTreeSet<String>>, found: &mut Lint) {
    let Some(sent) = sent else { return };
    let of_context = |name: &&String| matches!(Attribute::of_member(name), Attribute::Context(_));
    let unsent = rule.attributes().iter().filter(of_context).filter(|name| *name != PARTY && !sent.contains(*name));
    for name in unsent {
        let mut first = None;
        each_leaf(rule, &mut |leaf, pointer| {
            let is_named = |attribute: &Attribute| *attribute == Attribute::Context(name.clone());
            let member = match (is_named(&leaf.attribute), leaf.test.other().is_some_and(is_named)) {
                (true, _) => "attr",
                (false, true) if matches!(leaf.test, Test::Within(_)) => "opens_by",
                (false, true) => "ref",
                (false, false) => return,
            };
            if first.is_none() {
                first = Some(below(pointer, member));
            }
        });
        let is_counted = |limit: &Limit| limit.scope.iter().any(|scope| scope.member() == Some(name));
        let counted = || rule.limits().iter().position(is_counted).map(|nth| format!("/limits/{nth}/scope"));
        let first = first.or_else(counted);
        let detail = format!("no check has ever sent `{name}`: have the kiosks send it, or mend the name");
        found.warn(first.unwrap_or_default(), "attribute_not_sent", detail);
    }
}

/// Warns of thresholds that the caller chooses: they can find a score by trying, and can let everyone in.
fn lint_thresholds(rule: &Rule, found: &mut Lint) {
    let tiers = rule.tiers().iter().map(|tier| (tier.when.as_ref(), tier.pointer.as_str()));
    for (condition, pointer) in std::iter::once((rule.when(), "/when")).chain(tiers) {
        let Some(condition) = condition else { continue };
        let mut chosen = None;
        condition.each_leaf(&mut |leaf| match (&leaf.attribute, leaf.test.other()) {
            (Attribute::Score, Some(other)) | (other, Some(Attribute::Score)) => chosen = Some(other),
            _ => {}
        });
        if let Some(chosen) = chosen {
            let detail = format!(
                "the caller sets `{}`, and so what score is enough: by asking again and again they find out anybody's \
                 score, to the last decimal, and can let everyone in. Compare with a `value` instead, unless all who \
                 may check may know the scores",
                chosen.name()
            );
            found.warn(pointer, "caller_sets_threshold", detail);
        }
    }
}

/// Every leaf of the rule with its pointer in the document that was read.
fn each_leaf<'a>(rule: &'a Rule, visit: &mut impl FnMut(&'a Leaf, &str)) {
    if let Some(when) = rule.when() {
        walk(when, "/when", visit);
    }
    for tier in rule.tiers() {
        if let Some(when) = &tier.when {
            walk(when, &tier.pointer, visit);
        }
    }
}

fn walk<'a>(condition: &'a Condition, pointer: &str, visit: &mut impl FnMut(&'a Leaf, &str)) {
    let mut members = |members: &'a [Condition], word: &str| {
        for (at, member) in members.iter().enumerate() {
            walk(member, &below(&below(pointer, word), &at.to_string()), visit);
        }
    };
    match condition {
        Condition::All(all) => members(all, "all"),
        Condition::Any(any) => members(any, "any"),
        Condition::Not(inner) => walk(inner, &below(pointer, "not"), visit),
        Condition::Leaf(leaf) => visit(leaf, pointer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    /// The built-in scale, a source renewed every day, and checks that have sent a few names.
    fn context() -> LintContext {
        LintContext {
            scale: Some((Decimal::from_whole(0), Decimal::from_whole(100))),
            refresh: Some("P1D".parse().unwrap()),
            declared: BTreeMap::new(),
            required: BTreeSet::new(),
            sent: Some(["", "x", "member", "terminal", "bar", "seats"].map(str::to_owned).into()),
            now: "2026-05-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn found(rule: &str) -> Vec<(String, &'static str, bool)> {
        let rule = Rule::parse(&Json::parse(rule).unwrap(), "sfo-lounge").unwrap();
        let lint = lint(&rule, &context());
        let of = |found: Vec<FieldError>, is_error| {
            found.into_iter().map(move |it| (it.path.to_string(), it.code, is_error))
        };
        of(lint.errors, true).chain(of(lint.warnings, false)).collect()
    }

    fn score(op: &str, value: &str) -> String {
        let key = if op == "between" { "values" } else { "value" };
        format!(r#"{{"attr":"score","op":"{op}","{key}":{value}}}"#)
    }

    /// Tiers with ranks 1, 2, …, in the order given.
    fn tiers(conditions: &[&str]) -> String {
        let tiers: Vec<_> = conditions
            .iter()
            .enumerate()
            .map(|(at, when)| format!(r#"{{"id":"t{at}","rank":{},"when":{when}}}"#, at + 1))
            .collect();
        format!(r#"{{"score":{{"source":"klout"}},"tiers":[{}]}}"#, tiers.join(","))
    }

    #[track_caller]
    fn expect(rule: &str, wanted: &[(&str, &'static str, bool)]) {
        let wanted: Vec<_> = wanted.iter().map(|(at, code, error)| ((*at).to_owned(), *code, *error)).collect();
        assert_eq!(found(rule), wanted, "{rule}");
    }

    #[test]
    fn a_tier_that_turns_parties_away_hides_no_other() {
        let codes = |low: &str, high: &str| {
            let rule = format!(r#"{{"tiers":[{{"id":"low","rank":1{low}}},{{"id":"high","rank":2{high}}}]}}"#);
            found(&rule).into_iter().map(|(_, code, _)| code).collect::<Vec<_>>()
        };
        let guests = |terms: &str| format!(r#","guests":{{{terms}}}"#);
        let hides = |low: &str, high: &str| codes(low, high).contains(&"shadowed_tier");
        assert!(hides("", ""));
        assert!(!hides("", &guests(r#""max":1"#)) && !hides(&guests(r#""max":2"#), &guests(r#""max":1"#)));
        assert!(hides(&guests(r#""max":1"#), &guests(r#""max":1"#)));
        assert!(hides("", &guests(r#""max":1,"over":"admit_max""#)));
    }

    #[test]
    fn a_limit_has_to_hold_the_guests_that_count() {
        let rule = |max: u32, guests: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t","guests":{guests},"when":{{"attr":"context.member","op":"exists"}}}}],
                    "limits":[{{"id":"l","scope":["perk"],"max":{max},"cost":"party","window":{{"lifetime":true}}}}]}}"#
            )
        };
        for over in ["deny", "admit_max"] {
            let guests = format!(r#"{{"max":3,"over":"{over}"}}"#);
            expect(&rule(4, &guests), &[]);
            expect(&rule(3, &guests), &[("/limits/0/max", "limit_below_party", false)]);
        }
    }

    #[test]
    fn what_no_boarding_pass_says_is_never_met() {
        let with = |leaf: &str| format!(r#"{{"tiers":[{{"id":"t","when":{{"attr":"boarding_pass.{leaf}}}}}]}}"#);
        for leaf in [
            r#"flight","op":"eq","value":"0879""#,
            r#"from","op":"eq","value":"sfo""#,
            r#"seat","op":"eq","value":"012A""#,
            r#"date","op":"eq","value":"2026-2-1""#,
            r#"days_from_today","op":"eq","value":0.5"#,
            r#"days_from_today","op":"eq","value":500"#,
            r#"days_from_today","op":"gte","value":184"#,
            r#"flight","op":"starts_with","value":"08""#,
            r#"carrier","op":"contains","value":"cx""#,
        ] {
            expect(&with(leaf), &[("/tiers/0/when/value", "never_met", false)]);
        }
        expect(&with(r#"to","op":"in","values":["HKG","sin"]"#), &[("/tiers/0/when/values/1", "never_met", false)]);
        expect(&with(r#"to","op":"neq","value":"hkg""#), &[("/tiers/0/when/value", "always_met", false)]);
        expect(
            &with(r#"days_from_today","op":"between","values":[0.1,0.9]"#),
            &[("/tiers/0/when/values", "never_met", false)],
        );
        for leaf in [
            r#"flight","op":"in","values":["879","1","12A","0"]"#,
            r#"date","op":"starts_with","value":"2026-02""#,
            r#"days_from_today","op":"between","values":[0,1]"#,
            r#"compartment","op":"in","values":["F","J"]"#,
            r#"frequent_flyer_airline","op":"eq","value":"CX""#,
            r#"days_from_today","op":"lte","value":0.5"#,
        ] {
            expect(&with(leaf), &[]);
        }
    }

    #[test]
    fn one_member_of_the_context_is_of_one_type() {
        let with = |one: &str, other: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t","when":{{"any":[{{"attr":"context.x",{one}}},{{"attr":"context.x",{other}}}]}}}}]}}"#
            )
        };
        let (text, number) = (r#""op":"eq","value":"A""#, r#""op":"gte","value":3"#);
        let (part, window) = (r#""op":"contains","value":"A""#, r#""op":"within","before":"PT3H""#);
        let differ = [("/tiers/0/when/any/1", "contradictory_types", false)];
        expect(&with(text, number), &differ);
        expect(&with(number, text), &differ);
        expect(&with(window, number), &differ);
        expect(&with(number, part), &differ);
        expect(&with(text, part), &[]);
        expect(&with(part, window), &[]);
        expect(&with(r#""op":"exists""#, number), &[]);
    }

    #[test]
    fn what_everyone_must_have_is_never_asked_whether_it_is_there() {
        let rule = |op: &str| {
            let banned = format!(r#"{{"attr":"subject.banned",{op}}}"#);
            let rule = format!(r#"{{"tiers":[{{"id":"t","when":{{"not":{banned}}}}}]}}"#);
            Rule::parse(&Json::parse(&rule).unwrap(), "sfo-lounge").unwrap()
        };
        let declared: BTreeMap<String, ValueType> = [("banned".to_owned(), ValueType::Boolean)].into();
        let of = |rule: &Rule, required: &[&str]| {
            let required = required.iter().map(|name| (*name).to_owned()).collect();
            let found = lint(rule, &LintContext { declared: declared.clone(), required, ..context() });
            assert!(found.errors.is_empty(), "{found:?}");
            found.warnings.into_iter().map(|it| (it.path.to_string(), it.code)).collect::<Vec<_>>()
        };
        let exists = rule(r#""op":"exists""#);
        assert_eq!(of(&exists, &[]), []);
        assert_eq!(of(&exists, &["nights"]), []);
        assert_eq!(of(&exists, &["banned"]), [("/tiers/0/when/not".to_owned(), "fallback_decides")]);
        assert_eq!(of(&rule(r#""op":"eq","value":true"#), &["banned"]), []);
    }

    #[test]
    fn what_limits_count_by_is_sent_and_no_list() {
        let with = |name: &str, tier: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t"{tier}}}],"limits":[{{"id":"l","scope":["perk","context.{name}"],"max":1,
                    "window":{{"calendar":"day"}}}}]}}"#
            )
        };
        let member = r#","when":{"attr":"context.member","op":"contains","value":"A"}"#;
        expect(&with("member", member), &[("/limits/0/scope", "counts_by_list", false)]);
        expect(&with("x", member), &[]);
        let unsent = ("/limits/0/scope", "attribute_not_sent", false);
        expect(&with("receipt", member), &[unsent]);
    }

    #[test]
    fn a_sound_rule_is_left_alone() {
        expect(r#"{"at_least":40,"score":"klout"}"#, &[]);
        expect(&tiers(&[&score("gte", "40"), &score("gte", "60")]), &[]);
        let members =
            r#"{"all":[{"attr":"context.member","op":"eq","value":"gold"},{"attr":"score","op":"gte","value":30}]}"#;
        expect(&tiers(&[&score("gte", "40"), members]), &[]);
    }

    #[test]
    fn tiers_that_nobody_reaches_are_errors() {
        expect(r#"{"at_least":100.001,"score":"klout"}"#, &[("/at_least", "unreachable_tier", true)]);
        expect(&tiers(&[&score("gt", "100")]), &[("/tiers/0/when", "unreachable_tier", true)]);
        expect(&tiers(&[&score("lt", "0")]), &[("/tiers/0/when", "unreachable_tier", true)]);
        let both = format!(r#"{{"all":[{},{}]}}"#, score("gte", "60"), score("lt", "60"));
        expect(&tiers(&[&both]), &[("/tiers/0/when", "unreachable_tier", true)]);
        let either = format!(r#"{{"any":[{},{}]}}"#, score("gte", "160"), score("gte", "60"));
        expect(&tiers(&[&either]), &[("/tiers/0/when/any/0", "threshold_off_scale", false)]);
        let gated = format!(
            r#"{{"score":{{"source":"klout"}},"when":{},"tiers":[{{"id":"t","when":{}}}]}}"#,
            score("between", "[0,50]"),
            score("gte", "60")
        );
        expect(&gated, &[("/tiers/0/when", "unreachable_tier", true)]);
    }

    #[test]
    fn a_tier_that_admits_no_party_that_meets_its_condition_is_an_error() {
        let with = |least: u32, guests: &str, limits: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t","when":{{"attr":"context.party","op":"gte","value":{least}}},
                    "guests":{guests}}}{limits}"#
            )
        };
        let unreachable = [("/tiers/0/guests", "unreachable_tier", true)];
        expect(&with(5, r#"{"max":2}"#, "]}"), &unreachable);
        expect(&with(4, r#"{"max":3}"#, "]}"), &[]);
        expect(&with(5, r#"{"max":3}"#, "]}"), &unreachable);
        // Children who don't count may be any number, and who is too many may wait outside.
        expect(&with(5, r#"{"max":2,"under":2}"#, "]}"), &[]);
        expect(&with(5, r#"{"max":2,"over":"admit_max"}"#, "]}"), &[]);
        // A tier that no party can meet counts for no limit.
        let both =
            r#"{"all":[{"attr":"context.party","op":"gte","value":6},{"attr":"context.party","op":"lte","value":4}]}"#;
        let limited = format!(
            r#"{{"tiers":[{{"id":"a","rank":2,"when":{both},"guests":{{"max":2}}}},
                {{"id":"b","rank":1,"when":{{"attr":"context.party","op":"gte","value":5}}}}],
                "limits":[{{"id":"l","scope":["perk"],"max":4,"cost":"party","window":{{"calendar":"day"}}}}]}}"#
        );
        expect(&limited, &[("/limits/0/max", "limit_below_party", true)]);
    }

    #[test]
    fn tiers_in_the_shadow_of_an_easier_one_are_errors() {
        expect(&tiers(&[&score("gte", "40"), &score("gte", "30")]), &[("/tiers/0/when", "shadowed_tier", true)]);
        expect(&tiers(&[&score("gte", "40"), &score("gte", "40")]), &[("/tiers/0/when", "shadowed_tier", true)]);
        expect(&tiers(&[&score("gt", "40"), &score("gte", "40.001")]), &[("/tiers/0/when", "shadowed_tier", true)]);
        expect(&tiers(&[&score("gte", "40"), &score("gt", "40")]), &[]);
        expect(
            r#"{"tiers":[{"id":"a","rank":1},{"id":"b","rank":2}]}"#,
            &[("/tiers/0/when", "shadowed_tier", true), ("/tiers/1/when", "admits_everyone", false)],
        );
    }

    #[test]
    fn a_threshold_that_the_caller_sets_is_odd() {
        let with = |leaf: &str| format!(r#"{{"score":{{"source":"klout"}},"tiers":[{{"id":"t","when":{leaf}}}]}}"#);
        for leaf in [
            r#"{"attr":"score","op":"gte","ref":"context.bar"}"#,
            r#"{"not":{"attr":"context.bar","op":"gt","ref":"score"}}"#,
        ] {
            expect(&with(leaf), &[("/tiers/0/when", "caller_sets_threshold", false)]);
        }
        expect(r#"{"tiers":[{"id":"t","when":{"attr":"context.party","op":"lte","ref":"context.seats"}}]}"#, &[]);
    }

    #[test]
    fn a_rule_that_refers_all_but_those_without_a_score_is_odd() {
        let with = |on_missing: &str| {
            format!(
                r#"{{"score":{{"source":"klout","on_missing":"{on_missing}"}},"otherwise":"refer",
                    "tiers":[{{"id":"t","when":{}}}]}}"#,
                score("gte", "40")
            )
        };
        expect(&with("deny"), &[("/score/on_missing", "missing_score_denied", false)]);
        expect(&with("refer"), &[]);
    }

    #[test]
    fn a_floor_for_those_without_a_score_is_in_no_shadow() {
        let bands = |on_missing: &str| {
            format!(
                r#"{{"score":{{"source":"klout","on_missing":"{on_missing}"}},"tiers":[{{"id":"floor","rank":1}},
                    {{"id":"scored","rank":2,"when":{}}}]}}"#,
                score("gte", "0")
            )
        };
        expect(&bands("ignore"), &[("/tiers/0/when", "admits_everyone", false)]);
        expect(
            &bands("deny"),
            &[("/tiers/0/when", "shadowed_tier", true), ("/tiers/1/when", "admits_everyone", false)],
        );
    }

    #[test]
    fn a_floor_that_promises_a_longest_wait_is_for_everyone() {
        let bands = |floor: &str| {
            format!(
                r#"{{"score":{{"source":"klout","on_missing":"ignore"}},"tiers":[{{"id":"all","rank":1{floor}}},
                    {{"id":"first","rank":2,"max_wait":"PT2M","when":{}}}]}}"#,
                score("gte", "60")
            )
        };
        expect(&bands(r#","max_wait":"PT10M""#), &[]);
        expect(&bands(""), &[("/tiers/0/when", "admits_everyone", false)]);
    }

    #[test]
    fn times_at_which_it_cannot_work_are_errors() {
        let with = |members: &str| {
            format!(r#"{{"tiers":[{{"id":"t","when":{{"attr":"context.x","op":"exists"}}}}],{members}}}"#)
        };
        expect(
            &with(r#""valid":{"from":"2027-01-02T00:00","until":"2027-01-01T00:00"}"#),
            &[("/valid/until", "until_not_after_from", true)],
        );
        expect(
            &with(r#""valid":{"from":"2027-01-01T00:00","until":"2027-01-01T00:00"}"#),
            &[("/valid/until", "until_not_after_from", true)],
        );
        expect(&with(r#""valid":{"until":"2026-05-01T00:00"}"#), &[("/valid/until", "already_over", false)]);
        // Closed on each of the next sixty Mondays, and open on the one after.
        let first: jiff::civil::Date = "2026-05-04".parse().unwrap();
        let weeks = |nth: i64| first.checked_add(jiff::ToSpan::weeks(nth)).unwrap().to_string();
        let closed: Vec<_> = (0..60).map(|nth| format!("\"{}\"", weeks(nth))).collect();
        let rarely = r#""schedule":{"open":[{"days":["mon"],"from":"09:00","to":"10:00"}],"closed_dates":["#;
        expect(&with(&format!("{rarely}{}]}}", closed.join(","))), &[]);
        expect(&with(r#""schedule":{"open":[]}"#), &[("/schedule/open", "never_open", true)]);
        // From a Friday to a Sunday, open on Mondays.
        let monday = r#""schedule":{"open":[{"days":["mon"],"from":"09:00","to":"10:00"}]}"#;
        expect(
            &with(&format!(r#""valid":{{"from":"2026-05-01T00:00","until":"2026-05-03T00:00"}},{monday}"#)),
            &[("/schedule", "never_open", true)],
        );
        expect(&with(&format!(r#""valid":{{"from":"2026-05-01T00:00","until":"2026-05-05T00:00"}},{monday}"#)), &[]);
    }

    #[test]
    fn blackouts_that_make_no_difference_are_odd_and_those_that_leave_nothing_are_errors() {
        // It is Friday, 1 May 2026.
        let rule = |members: &str| format!(r#"{{"tiers":[{{"id":"t","max_wait":"PT1M"}}],{members}}}"#);
        let once = |id: &str, from: &str, until: &str| {
            format!(r#"{{"id":"{id}","from":"{from}T00:00","until":"{until}T00:00"}}"#)
        };
        let yearly =
            |id: &str, from: &str, to: &str| format!(r#"{{"id":"{id}","yearly":{{"from":"{from}","to":"{to}"}}}}"#);
        let with = |blackouts: &[String], more: &str| rule(&format!(r#""blackouts":[{}]{more}"#, blackouts.join(",")));
        expect(&with(&[once("a", "2026-10-01", "2026-10-08"), yearly("b", "12-31", "01-01")], ""), &[]);
        let past = [once("a", "2025-10-01", "2026-05-01")];
        expect(&with(&past, ""), &[("/blackouts/0", "blackout_past", false)]);
        let never = |at: usize| (format!("/blackouts/{at}"), "blackout_never_bites", false);
        for (blackout, more) in [
            // A Saturday and a Sunday; before it begins; after it ends.
            (
                once("a", "2026-10-03", "2026-10-05"),
                r#","schedule":{"open":[{"days":["mon"],"from":"08:00","to":"09:00"}]}"#,
            ),
            (once("a", "2026-10-03", "2026-10-05"), r#","valid":{"from":"2026-10-05T00:00"}"#),
            (once("a", "2026-10-03", "2026-10-05"), r#","valid":{"until":"2026-10-03T00:00"}"#),
            (yearly("a", "12-24", "12-24"), r#","valid":{"until":"2026-10-03T00:00"}"#),
        ] {
            assert_eq!(found(&with(std::slice::from_ref(&blackout), more)), [never(0)], "{blackout} {more}");
        }
        // A date of each year falls on a Monday sooner or later.
        let mondays = r#","schedule":{"open":[{"days":["mon"],"from":"08:00","to":"09:00"}]}"#;
        expect(&with(&[yearly("a", "12-24", "12-24")], mondays), &[]);
        let within = |at: usize| (format!("/blackouts/{at}"), "blackout_within_another", false);
        let (week, day) = (once("a", "2026-10-01", "2026-10-08"), once("b", "2026-10-02", "2026-10-03"));
        assert_eq!(found(&with(&[day.clone(), week.clone()], "")), [within(0)]);
        assert_eq!(found(&with(&[week.clone(), week.replace('a', "c")], "")), [within(1)]);
        let (winter, christmas) = (yearly("a", "12-01", "02-29"), yearly("b", "12-24", "12-26"));
        assert_eq!(found(&with(&[winter, christmas.clone()], "")), [within(1)]);
        assert_eq!(found(&with(&[christmas, once("a", "2026-12-20", "2027-01-02")], "")), []);
        let all = ("/blackouts".to_owned(), "never_open", true);
        let valid = r#","valid":{"from":"2026-10-01T00:00","until":"2026-10-05T00:00"}"#;
        assert!(found(&with(&[week], valid)).contains(&all));
        assert!(found(&with(&[yearly("a", "03-01", "02-29")], "")).contains(&all));
        expect(&with(&[yearly("a", "03-01", "02-28")], ""), &[]);
    }

    #[test]
    fn oddities_are_warnings() {
        expect(r#"{"at_least":0,"score":"klout"}"#, &[("/at_least", "admits_everyone", false)]);
        expect(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"context.x","op":"exists"}}]}"#,
            &[("/score", "score_unused", false)],
        );
        let limit = |cost: u8, ttl: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t","when":{{"attr":"context.x","op":"exists"}}}}],"token":{{"ttl":"{ttl}"}},
                    "limits":[{{"id":"l","scope":["perk"],"max":3,"cost":{cost},"window":{{"calendar":"hour"}}}}]}}"#
            )
        };
        expect(&limit(3, "PT1H"), &[]);
        expect(&limit(4, "PT1H"), &[("/limits/0/cost", "cost_above_max", true)]);
        expect(&limit(1, "PT61M"), &[("/token/ttl", "token_outlives_window", false)]);
    }

    fn warned(rule: &str) -> Vec<(String, &'static str, String)> {
        let rule = Rule::parse(&Json::parse(rule).unwrap(), "sfo-lounge").unwrap();
        lint(&rule, &context()).warnings.into_iter().map(|it| (it.path.to_string(), it.code, it.detail)).collect()
    }

    #[test]
    fn a_tier_that_asks_for_less_than_a_lesser_one_is_odd() {
        let band = score("between", "[20,39]");
        expect(&tiers(&[&score("gte", "40"), &band]), &[("/tiers/1/when", "higher_tier_easier", false)]);
        expect(&tiers(&[&score("gte", "40"), &score("lt", "40")]), &[("/tiers/1/when", "higher_tier_easier", false)]);
        // The right way up.
        expect(&tiers(&[&band, &score("gte", "40")]), &[]);
        // It asks for something else too; unless the lesser one asks for that as well.
        let member = r#"{"attr":"context.member","op":"eq","value":"gold"}"#;
        let gold = |score: &str| format!(r#"{{"all":[{member},{score}]}}"#);
        expect(&tiers(&[&score("gte", "40"), &gold(&band)]), &[]);
        expect(&tiers(&[&gold(&score("gte", "40")), &gold(&band)]), &[("/tiers/1/when", "higher_tier_easier", false)]);
    }

    #[test]
    fn a_shadow_is_seen_through_the_form_of_conditions() {
        let member = |values: &str| format!(r#"{{"attr":"context.member","op":"in","values":{values}}}"#);
        let shadowed = [("/tiers/0/when", "shadowed_tier", true)];
        let both = format!(r#"{{"all":[{},{}]}}"#, member(r#"["gold"]"#), score("gte", "50"));
        expect(&tiers(&[&both, &member(r#"["gold","ruby"]"#)]), &shadowed);
        expect(&tiers(&[&member(r#"["gold","ruby"]"#), &both]), &[]);
        expect(&tiers(&[&both, r#"{"attr":"context.member","op":"exists"}"#]), &shadowed);
        let either = format!(r#"{{"any":[{},{}]}}"#, member(r#"["gold"]"#), score("gte", "50"));
        expect(&tiers(&[&score("between", "[60,70]"), &either]), &shadowed);
        expect(&tiers(&[&either, &score("between", "[60,70]")]), &[]);
        let not = format!(r#"{{"not":{}}}"#, member(r#"["gold"]"#));
        expect(&tiers(&[&not, &not]), &[("/tiers/0/when", "shadowed_tier", true), ("/score", "score_unused", false)]);
    }

    #[test]
    fn thresholds_off_the_scale_are_pointed_at() {
        let off = |rule: &str, pointer: &str| {
            expect(&format!(r#"{{"score":{{"source":"klout"}},{rule}}}"#), &[(pointer, "threshold_off_scale", false)]);
        };
        let tier = |when: &str| format!(r#""tiers":[{{"id":"t","when":{when}}}]"#);
        let either = |other: &str| format!(r#"{{"any":[{},{other}]}}"#, score("gte", "60"));
        off(&tier(&either(&score("gte", "160"))), "/tiers/0/when/any/1");
        off(&tier(&score("lte", "150")), "/tiers/0/when");
        off(&tier(&score("between", "[50,101]")), "/tiers/0/when");
        off(&tier(&format!(r#"{{"not":{}}}"#, score("eq", "-1"))), "/tiers/0/when/not");
        off(&format!(r#""when":{},{}"#, score("gt", "-5"), tier(&score("gte", "40"))), "/when");
        expect(&tiers(&[&score("between", "[0,100]")]), &[]);
        // Nobody reaches it: that is why, and is said once.
        expect(&tiers(&[&score("gte", "160")]), &[("/tiers/0/when", "unreachable_tier", true)]);
    }

    #[test]
    fn hours_and_dates_that_were_hardly_meant_are_odd() {
        // It is Friday, 1 May 2026.
        let rule = |schedule: &str| format!(r#"{{"schedule":{{{schedule}}},"tiers":[{{"id":"t"}}]}}"#);
        let open = |openings: &[(&str, &str, &str)]| {
            let openings: Vec<_> = openings
                .iter()
                .map(|(days, from, to)| format!(r#"{{"days":{days},"from":"{from}","to":"{to}"}}"#))
                .collect();
            rule(&format!(r#""open":[{}]"#, openings.join(",")))
        };
        let without = found(&open(&[(r#"["mon"]"#, "08:00", "12:00")]));
        let hours = |openings: &[(&str, &str, &str)]| {
            found(&open(openings)).into_iter().filter(|it| !without.contains(it)).collect::<Vec<_>>()
        };
        let odd = |pointer: &str, code: &'static str| vec![(pointer.to_owned(), code, false)];
        let (mon, both) = (r#"["mon"]"#, r#"["mon","tue"]"#);
        let overlap = |at: usize| odd(&format!("/schedule/open/{at}"), "overlapping_hours");
        assert_eq!(hours(&[(both, "08:00", "12:00"), (mon, "10:00", "11:00")]), overlap(1));
        assert_eq!(hours(&[(mon, "08:00", "12:00"), (mon, "12:00", "14:00"), (mon, "13:00", "15:00")]), overlap(2));
        assert_eq!(hours(&[(mon, "22:00", "02:00"), (r#"["tue"]"#, "01:00", "03:00")]), overlap(1));
        assert_eq!(hours(&[(mon, "08:00", "12:00"), (r#"["tue"]"#, "08:00", "12:00")]), []);
        let lost = |at: usize| odd(&format!("/schedule/open/{at}/to"), "last_minute_closed");
        assert_eq!(hours(&[(mon, "08:00", "23:59")]), lost(0));
        assert_eq!(hours(&[(mon, "08:00", "11:59")]), lost(0));
        assert_eq!(hours(&[(mon, "08:00", "23:59"), (mon, "23:59", "02:00")]), []);
        assert_eq!(hours(&[(both, "08:00", "11:59"), (mon, "11:59", "14:00")]), lost(0), "not on Tuesdays");
        let dates = |dates: &str| {
            let found = found(&rule(&format!(r#""closed_dates":[{dates}]"#)));
            found.into_iter().filter(|it| !without.contains(it)).collect::<Vec<_>>()
        };
        assert_eq!(dates(r#""2026-12-25","2025-12-25""#), odd("/schedule/closed_dates", "closed_dates_past"));
        assert_eq!(dates(r#""2026-05-01","2026-12-25""#), []);
        let valid = |until: &str| {
            let found = found(&format!(r#"{{"valid":{{"until":"{until}"}},"tiers":[{{"id":"t"}}]}}"#));
            found.into_iter().filter(|it| !without.contains(it)).collect::<Vec<_>>()
        };
        assert_eq!(valid("2026-12-31T23:59"), odd("/valid/until", "last_minute_closed"));
        assert_eq!(valid("2026-12-31T23:59:59"), odd("/valid/until", "last_minute_closed"));
        assert_eq!(valid("2027-01-01T00:00"), []);
        let rollout = |percent: u8| {
            let found = found(&format!(r#"{{"rollout":{{"percent":{percent}}},"tiers":[{{"id":"t"}}]}}"#));
            found.into_iter().filter(|it| !without.contains(it)).collect::<Vec<_>>()
        };
        assert_eq!(rollout(0), odd("/rollout/percent", "rollout_of_nobody"));
        assert_eq!(rollout(1), []);
    }

    #[test]
    fn limits_that_hold_no_party_are_pointed_at() {
        let rule = |when: &str, max: u8, cost: &str| {
            format!(
                r#"{{"score":{{"source":"klout"}},"tiers":[{{"id":"t","when":{{"all":[{},{when}]}}}}],
                    "limits":[{{"id":"l","scope":["subject"],"max":{max},"cost":{cost},"window":{{"calendar":"day"}}}}]}}"#,
                score("gte", "40")
            )
        };
        let party = |op: &str, value: &str| format!(r#"{{"attr":"context.party","op":"{op}","value":{value}}}"#);
        let warned = [("/limits/0/max", "limit_below_party", false)];
        let anyone = r#"{"attr":"context.x","op":"exists"}"#;
        expect(&rule(anyone, 2, "\"party\""), &[]);
        expect(&rule(anyone, 1, "\"party\""), &warned);
        expect(&rule(anyone, 1, "1"), &[]);
        expect(&rule(&party("lte", "4"), 4, "\"party\""), &[]);
        expect(&rule(&party("lte", "4"), 3, "\"party\""), &warned);
        expect(&rule(&party("eq", "1"), 1, "\"party\""), &[]);
        expect(&rule(&party("gte", "5"), 4, "\"party\""), &[("/limits/0/max", "limit_below_party", true)]);
        expect(&rule(&party("gte", "5"), 5, "\"party\""), &[]);
    }

    #[test]
    fn each_location_must_hold_what_is_admitted() {
        let rule = |scope: &str, max: &str, cost: &str| {
            format!(
                r#"{{"tiers":[{{"id":"t","when":{{"attr":"context.party","op":"between","values":[2,4]}}}}],
                    "limits":[{{"id":"l","scope":[{scope}],"max":{max},"cost":{cost},"window":{{"calendar":"day"}}}}]}}"#
            )
        };
        let own = r#""location""#;
        let max = |default: u8, sfo: u8| format!(r#"{{"default":{default},"by_location":{{"LAX":9,"S/FO":{sfo}}}}}"#);
        let sfo = "/limits/0/max/by_location/S~1FO";
        expect(&rule(own, &max(4, 4), "\"party\""), &[]);
        expect(&rule(own, &max(4, 3), "\"party\""), &[(sfo, "limit_below_party", false)]);
        expect(&rule(own, &max(4, 1), "\"party\""), &[(sfo, "limit_below_party", true)]);
        expect(&rule(own, &max(1, 4), "\"party\""), &[("/limits/0/max/default", "limit_below_party", true)]);
        expect(&rule(own, &max(5, 3), "4"), &[(sfo, "cost_above_max", true)]);
        expect(&rule(own, &max(3, 4), "4"), &[("/limits/0/cost", "cost_above_max", true)]);
        // One count of all locations, held to another maximum at each.
        let shared = [("/limits/0/scope", "maxima_share_a_count", false)];
        expect(&rule(r#""perk""#, &max(4, 4), "\"party\""), &shared);
        expect(&rule(r#""perk","location""#, &max(4, 4), "\"party\""), &[]);
        expect(&rule(r#""kiosk""#, &max(4, 4), "1"), &shared);
        expect(&rule(r#""perk""#, r#"{"default":4}"#, "1"), &[]);
        let detail = &warned(&rule(own, &max(4, 3), "\"party\""))[0].2;
        assert_eq!(detail, "parties of up to 4 are admitted, and those above 3 never fit this limit at S/FO");
    }

    #[test]
    fn openings_that_clock_changes_disturb_name_the_day() {
        let rule = |zone: &str, valid: &str, from: &str| {
            format!(
                r#"{{"time_zone":"{zone}","valid":{valid},"tiers":[{{"id":"t","when":{{"attr":"context.x","op":"exists"}}}}],
                    "schedule":{{"open":[{{"days":["mon"],"from":"08:00","to":"10:00"}},
                                         {{"days":["sun"],"from":"{from}","to":"10:00"}}]}}}}"#
            )
        };
        expect(&rule("America/New_York", "null", "06:00"), &[]);
        expect(&rule("UTC", "null", "02:30"), &[]);
        let found = warned(&rule("America/New_York", "null", "02:30"));
        assert_eq!(
            found,
            [(
                "/schedule/open/1".to_owned(),
                "crosses_dst_change",
                "this opening begins or ends while clocks change: on 2027-03-14 the minutes from 02:00 to 03:00 \
                 don't come in America/New_York"
                    .to_owned()
            )]
        );
        // Over before the clocks change.
        expect(&rule("America/New_York", r#"{"until":"2027-03-01T00:00"}"#, "02:30"), &[]);
        expect(
            &rule("America/New_York", r#"{"from":"2026-06-01T00:00"}"#, "01:30"),
            &[("/schedule/open/1", "crosses_dst_change", false)],
        );
    }

    #[test]
    fn scores_that_age_faster_than_they_are_renewed_are_odd() {
        let rule = |age: &str| {
            format!(
                r#"{{"score":{{"source":"klout","max_age":"{age}"}},"tiers":[{{"id":"t","when":{}}}]}}"#,
                score("gte", "40")
            )
        };
        expect(&rule("PT24H"), &[]);
        expect(&rule("PT23H59M59S"), &[("/score/max_age", "max_age_below_refresh", false)]);
        let quiet = LintContext { refresh: None, ..context() };
        let parsed = Rule::parse(&Json::parse(&rule("PT1S")).unwrap(), "sfo-lounge").unwrap();
        assert_eq!(lint(&parsed, &quiet), Lint::default());
    }

    #[test]
    fn attributes_that_no_check_sends_are_pointed_at_once() {
        let exists = |name: &str| format!(r#"{{"attr":"context.{name}","op":"exists"}}"#);
        let rule = format!(
            r#"{{"when":{{"all":[{},{},{{"not":{}}},{}]}},"tiers":[{{"id":"t","when":{}}}]}}"#,
            exists("terminal"),
            exists("party"),
            exists("termnal"),
            exists("termnal"),
            exists("seat")
        );
        expect(
            &rule,
            &[
                ("/tiers/0/when/attr", "attribute_not_sent", false),
                ("/when/all/2/not/attr", "attribute_not_sent", false),
            ],
        );
        // Before the first check nobody can know.
        let unknown = LintContext { sent: None, ..context() };
        let parsed = Rule::parse(&Json::parse(&rule).unwrap(), "sfo-lounge").unwrap();
        assert_eq!(lint(&parsed, &unknown), Lint::default());
    }

    #[test]
    fn overrides_that_fill_a_count_of_several_perks_are_pointed_out() {
        let rule = |scope: &str, own: &str, past: &str| {
            format!(
                r#"{{"tiers":[{{"id":"main"}}],"limits":[{{"id":"house","scope":[{scope}],"max":5,"window":{{"calendar":"day"}}}}],
                "override":{{"reasons":["courtesy"],"max":3,"window":{{"calendar":"day"}},"scope":[{own}],"past_limits":[{past}]}}}}"#
            )
        };
        let codes = |rule: &str| -> Vec<String> {
            let found = found(rule).into_iter().filter(|(_, code, _)| *code == "shared_counter");
            found.map(|(path, ..)| path).collect()
        };
        assert_eq!(
            codes(&rule(r#""merchant""#, r#""merchant""#, r#""house""#)),
            ["/override/past_limits", "/override/scope"]
        );
        assert_eq!(codes(&rule(r#""merchant","perk""#, r#""perk""#, r#""house""#)), [""; 0]);
        assert_eq!(codes(&rule(r#""merchant""#, r#""perk""#, "")), [""; 0]);
    }
}
