//! What is wrong or odd about a rule that can be read: rules that can't work are refused, oddities
//! are pointed out.

use jiff::Timestamp;

use super::attribute::Attribute;
use super::condition::Condition;
use super::leaf::{Comparison, Leaf, Scalar, Test};
use super::limit::{Cost, Unit, Window};
use super::read::Issue;
use super::rule::Rule;
use super::terms::{Fallback, Otherwise, ScorePolicy};
use super::tier::Tier;
use crate::decimal::Decimal;

/// What was found; a rule with errors must not be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    pub errors: Vec<Issue>,
    pub warnings: Vec<Issue>,
}

impl Lint {
    fn error(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.errors.push(Issue { pointer: pointer.into(), code, detail: detail.into() });
    }

    fn warn(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.warnings.push(Issue { pointer: pointer.into(), code, detail: detail.into() });
    }
}

/// Looks `rule` over; `scale` is the least and the greatest score its source gives, if it has one.
#[must_use]
pub fn lint(rule: &Rule, scale: Option<(Decimal, Decimal)>, now: Timestamp) -> Lint {
    let mut found = Lint::default();
    lint_times(rule, now, &mut found);
    lint_tiers(rule, scale, &mut found);
    lint_limits(rule, &mut found);
    lint_thresholds(rule, &mut found);
    let denies = |policy: &ScorePolicy| policy.on_missing == Fallback::Deny;
    if rule.otherwise() == Otherwise::Refer && rule.looks_at_score() && rule.score().is_some_and(denies) {
        let detail = "who has no score is denied, not referred: say \"refer\" if a person is to decide about them too";
        found.warn("/score/on_missing", "missing_score_denied", detail);
    }
    if rule.score().is_some() && !rule.looks_at_score() {
        found.warn("/score", "score_unused", "no condition looks at the score: leave it out, or add one");
    }
    found
}

fn lint_times(rule: &Rule, now: Timestamp, found: &mut Lint) {
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
    let opens = rule.schedule().first_open(rule.time_zone(), from.unwrap_or(now).max(now));
    if opens.is_none_or(|opens| until.is_some_and(|until| opens >= until)) {
        found.error("/schedule", "never_open", "it isn't open at any time at which the rule is valid");
    }
}

fn lint_tiers(rule: &Rule, scale: Option<(Decimal, Decimal)>, found: &mut Lint) {
    let everything = Reach::whole(scale);
    let gate = rule.when().map_or(everything, |when| Reach::of(when, everything));
    if gate.is_empty() {
        found.error("/when", "unreachable", "no score on the source's scale meets this condition");
        return;
    }
    let ignores = |fallback| fallback == Fallback::Ignore;
    let ignores_scores = rule.score().is_some_and(|policy| ignores(policy.on_missing) || ignores(policy.on_stale));
    let mut higher: Vec<(&Tier, Decimal)> = Vec::new();
    for tier in rule.tiers() {
        let own = tier.when.as_ref().map_or(everything, |when| Reach::of(when, everything));
        let reach = own.and(gate);
        if reach.is_empty() {
            let detail = format!("no score on the source's scale reaches `{}`", tier.id);
            found.error(&tier.pointer, "unreachable_tier", detail);
            continue;
        }
        if let Some((easier, _)) = higher.iter().find(|(_, least)| *least <= reach.low) {
            let detail = format!("whoever reaches `{}` already has `{}`, which ranks higher", tier.id, easier.id);
            found.error(&tier.pointer, "shadowed_tier", detail);
            continue;
        }
        let admits_from = match &tier.when {
            None => Some(everything.low),
            // Where a missing score is ignored, a tier that asks for one never stands in the way of all.
            Some(Condition::Leaf(leaf)) if !ignores_scores => threshold(leaf),
            Some(_) => None,
        };
        if let Some(least) = admits_from {
            // A floor that promises a longest wait is there for everyone.
            let is_floor = tier.when.is_none() && tier.max_wait.is_some();
            if least <= everything.low && rule.when().is_none() && !is_floor {
                let detail = format!("`{}` admits everyone: no score is below it", tier.id);
                found.warn(&tier.pointer, "admits_everyone", detail);
            }
            higher.push((tier, least));
        }
    }
}

/// Whoever chooses the threshold can find a score by trying, and can let everyone in.
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
            let detail = format!("whoever asks sets `{}`, and so what score is enough", chosen.name());
            found.warn(pointer, "caller_sets_threshold", detail);
        }
    }
}

fn lint_limits(rule: &Rule, found: &mut Lint) {
    for (at, limit) in rule.limits().iter().enumerate() {
        if let Cost::Fixed(cost) = limit.cost
            && cost > limit.max
        {
            let detail = format!("one grant costs {cost}, which is more than the limit of {}", limit.max);
            found.error(format!("/limits/{at}/cost"), "cost_above_max", detail);
        }
        let hours = match limit.window {
            Window::Calendar(Unit::Hour) => 1,
            Window::Calendar(Unit::Day) => 24,
            Window::Calendar(Unit::Week | Unit::Month)
            | Window::Rolling(_)
            | Window::Lifetime
            | Window::Concurrent { .. } => continue,
        };
        if rule.token().ttl.seconds() > hours * 3600 {
            let detail = format!("tokens outlive the window of `{}`: a held one adds to the next window", limit.id);
            found.warn("/token/ttl", "token_outlives_window", detail);
        }
    }
}

/// The least score from which on a lone comparison holds.
fn threshold(leaf: &Leaf) -> Option<Decimal> {
    match (&leaf.attribute, &leaf.test) {
        (Attribute::Score, Test::Compares(Comparison::Gte, value)) => Some(*value),
        (Attribute::Score, Test::Compares(Comparison::Gt, value)) => Some(after(*value)),
        _ => None,
    }
}

/// The next decimal above.
fn after(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_add(1))
}

/// The next decimal below.
fn before(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_sub(1))
}

/// A stretch of scores outside of which a condition can't hold; empty when `low` is above `high`.
#[derive(Debug, Clone, Copy)]
struct Reach {
    low: Decimal,
    high: Decimal,
}

impl Reach {
    /// The source's scale, or every score there is.
    fn whole(scale: Option<(Decimal, Decimal)>) -> Self {
        let (low, high) =
            scale.unwrap_or((Decimal::from_thousandths(i64::MIN / 2), Decimal::from_thousandths(i64::MAX / 2)));
        Self { low, high }
    }

    fn is_empty(self) -> bool {
        self.low > self.high
    }

    fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    /// A bound, not the exact set: what isn't about the score, or stands under `not`, reaches everything.
    fn of(condition: &Condition, everything: Self) -> Self {
        match condition {
            Condition::All(members) => {
                members.iter().fold(everything, |reach, member| reach.and(Self::of(member, everything)))
            }
            Condition::Any(members) => members
                .iter()
                .map(|member| Self::of(member, everything))
                .filter(|reach| !reach.is_empty())
                .reduce(|a, b| Self { low: a.low.min(b.low), high: a.high.max(b.high) })
                .unwrap_or(Self { low: everything.high, high: before(everything.low) }),
            Condition::Not(_) => everything,
            Condition::Leaf(leaf) => Self::of_leaf(leaf, everything),
        }
    }

    fn of_leaf(leaf: &Leaf, everything: Self) -> Self {
        if leaf.attribute != Attribute::Score {
            return everything;
        }
        let Self { low, high } = everything;
        let (from, to) = match &leaf.test {
            Test::Compares(Comparison::Gte, value) => (*value, high),
            Test::Compares(Comparison::Gt, value) => (after(*value), high),
            Test::Compares(Comparison::Lte, value) => (low, *value),
            Test::Compares(Comparison::Lt, value) => (low, before(*value)),
            Test::Between(from, to) => (*from, *to),
            Test::Equals(Scalar::Number(value)) => (*value, *value),
            _ => (low, high),
        };
        everything.and(Self { low: from, high: to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn found(rule: &str) -> Vec<(String, &'static str, bool)> {
        let rule = Rule::parse(&Json::parse(rule).unwrap(), "sfo-lounge").unwrap();
        let scale = (Decimal::from_whole(0), Decimal::from_whole(100));
        let lint = lint(&rule, Some(scale), "2026-05-01T00:00:00Z".parse().unwrap());
        let of = |issues: Vec<Issue>, error| issues.into_iter().map(move |issue| (issue.pointer, issue.code, error));
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
        expect(&tiers(&[&either]), &[]);
        let gated = format!(
            r#"{{"score":{{"source":"klout"}},"when":{},"tiers":[{{"id":"t","when":{}}}]}}"#,
            score("between", "[0,50]"),
            score("gte", "60")
        );
        expect(&gated, &[("/tiers/0/when", "unreachable_tier", true)]);
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
}
