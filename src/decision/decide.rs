//! The decision: a pure, total function of a rule, the facts and the instant.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decided::{Decided, ScoreSeen};
use super::evaluate::{Causes, Mistyped, Truth, World};
use super::facts::Facts;
use super::forecast::Forecast;
use super::merits::{admitting_tier, guests_exceeded, is_fresh, lacking_score, tier_while_open, uncountable};
use super::reason::{Reason, ReasonCode};
use super::timing::Missed;
use crate::foundation::decimal::Decimal;
use crate::foundation::json::Json;
use crate::rules::attribute::{Attribute, BOARDING_PASS, PassField};
use crate::rules::availability::Availability;
use crate::rules::rule::Rule;
use crate::rules::terms::{Fallback, Otherwise};
use crate::rules::tier::Tier;

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Granted,
    Denied,
    /// A person is to decide.
    Referred,
}

impl Decision {
    pub const ALL: [Self; 3] = [Self::Granted, Self::Denied, Self::Referred];

    /// The name on the wire and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Referred => "referred",
        }
    }

    /// Reads what [`Decision::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}

/// The context that a decision by `rule` can depend on, as an object: what an event keeps of it.
#[must_use]
pub fn looked_at(rule: &Rule, facts: &Facts) -> Json {
    facts.context.only(rule.attributes())
}

/// Decides at `now`, but for the limits: `next_eligible_at` is when they would have the last word.
#[must_use]
pub fn decide(rule: &Rule, facts: &Facts, now: Timestamp) -> Decided {
    let (decided, refused) = weigh(rule, facts, now);
    let next_eligible_at = if decided.is_granted() { None } else { next_grant(rule, facts, now) };
    let waiting = next_eligible_at.zip(refused).and_then(|(next, world)| reasons_to_wait(rule, world, next));
    Decided { next_eligible_at, ..with_wait(decided, waiting) }
}

/// [`decide`] without saying when waiting is enough.
#[must_use]
pub fn judge(rule: &Rule, facts: &Facts, now: Timestamp) -> Decided {
    let (decided, refused) = weigh(rule, facts, now);
    with_wait(decided, refused.and_then(|world| waits(rule, world)))
}

/// The reasons of someone whom the rule refuses on its merits, and who has nothing to do but to wait.
pub(super) fn waits(rule: &Rule, world: World<'_>) -> Option<Vec<Reason>> {
    let may_turn = !rule.instants().is_empty() || rule.attributes().contains(PassField::DaysFromToday.attribute());
    let next = if may_turn { next_grant(rule, world.facts, world.now) } else { None };
    reasons_to_wait(rule, world, next?)
}

/// The decision about someone who comes too early: what speaks against the tier that waiting opens. No person has to
/// decide about that.
fn with_wait(decided: Decided, waiting: Option<Vec<Reason>>) -> Decided {
    match waiting {
        Some(reasons) => Decided { decision: Decision::Denied, reasons, ..decided },
        None => decided,
    }
}

/// The reasons against the tier that is granted at `next`, if one of them is that it is too early.
fn reasons_to_wait(rule: &Rule, world: World<'_>, next: Timestamp) -> Option<Vec<Reason>> {
    let refused = match world.meets(rule.when()) {
        Truth::False => (rule.when(), None),
        // Someone whom a tier admits with fewer guests has more to do than to wait.
        Truth::True if guests_exceeded(rule, world).is_some() => return None,
        Truth::True => {
            let tier = tier_while_open(rule, world.facts, next)?;
            (tier.when.as_ref(), Some(tier))
        }
        Truth::Unknown => return None,
    };
    let (when, tier) = (refused.0.filter(|when| world.meets(Some(when)) == Truth::False)?, refused.1);
    let reasons = because(world, ReasonCode::ConditionNotMet, tier, &world.causes(when));
    let is_early = |reason: &Reason| match reason.code {
        ReasonCode::TooEarly => true,
        ReasonCode::PassDate => world.is_before_flight(),
        _ => false,
    };
    reasons.iter().any(is_early).then_some(reasons)
}

/// The decision, and the world that the rule's condition and tiers refused on their merits. The first of these that
/// applies is the answer: the place closed, not valid, blacked out, not open, not in the rollout, no score, a stale one, the rule's own
/// condition, then the tiers, highest rank first.
fn weigh<'a>(rule: &Rule, facts: &'a Facts, now: Timestamp) -> (Decided, Option<World<'a>>) {
    let closed = |reason: Reason| (Decided::because(Decision::Denied, vec![reason]), None);
    let (decided, refused) = match rule.availability(now) {
        _ if facts.is_closed(now) => closed(lifted(ReasonCode::PlaceClosed, facts.closed_until)),
        Availability::NotYetValid { from } => closed(lifted(ReasonCode::NotYetValid, Some(from))),
        Availability::NoLongerValid => closed(Reason::new(ReasonCode::NoLongerValid)),
        Availability::Blackout { id, until } => {
            closed(Reason { blackout: Some(id.to_owned()), ..lifted(ReasonCode::Blackout, Some(until)) })
        }
        Availability::Closed { opens } => closed(lifted(ReasonCode::OutsideSchedule, opens)),
        Availability::Open => while_open(rule, facts, now),
    };
    (Decided { score: seen(rule, facts, now), ..decided }, refused)
}

/// The least instant at which it would be granted if limits had room: a party that is larger than one ever admits
/// remains so.
fn next_grant(rule: &Rule, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
    let (party, location) = (facts.context.party(), facts.location.as_deref());
    let fits = |tier: &str| {
        let counted = rule.tier(tier)?.admitted(party).counted();
        (!rule.limits().iter().any(|limit| limit.never_fits(counted, location))).then_some(now)
    };
    Forecast::new(rule, facts, now).first(fits)
}

/// A reason that time lifts.
fn lifted(code: ReasonCode, at: Option<Timestamp>) -> Reason {
    Reason { next_eligible_at: at, ..Reason::new(code) }
}

/// The score of the source that the rule asks, if there is one.
fn seen(rule: &Rule, facts: &Facts, now: Timestamp) -> Option<ScoreSeen> {
    let (policy, score) = rule.score().zip(facts.score)?;
    let fresh = is_fresh(rule, facts, now)?;
    Some(ScoreSeen { source: policy.source.clone(), value: score.value, observed_at: score.observed_at, fresh })
}

/// The decision when the rule is valid and open, and the world that it refused on its merits.
fn while_open<'a>(rule: &Rule, facts: &'a Facts, now: Timestamp) -> (Decided, Option<World<'a>>) {
    if !rule.rollout().admits(facts.rollout_bucket) {
        return (Decided::because(Decision::Denied, vec![Reason::new(ReasonCode::NotInRollout)]), None);
    }
    let world = World::new(facts, now);
    let Some((fallback, code)) = lacking_score(rule, facts, now) else {
        return on_its_merits(rule, world);
    };
    let reason = Reason::new(code);
    match fallback {
        Fallback::Deny => (Decided::because(Decision::Denied, vec![reason]), None),
        Fallback::Refer => (Decided::because(Decision::Referred, vec![reason]), None),
        Fallback::Ignore => {
            let (decided, refused) = on_its_merits(rule, world.without_score());
            // A grant that took no notice of a score has to say so.
            let reasons = if decided.is_granted() { vec![reason] } else { decided.reasons };
            (Decided { reasons, ..decided }, refused)
        }
    }
}

/// The decision of the rule's condition and tiers about a person, unless what is kept of them lacks what must be there,
/// and the world that they refused.
fn on_its_merits<'a>(rule: &Rule, world: World<'a>) -> (Decided, Option<World<'a>>) {
    if let Some((fallback, lacking)) = world.facts.context.person().lacks(rule, world.now) {
        let reason = |name: &&str| {
            let attribute = Attribute::Subject((*name).to_owned());
            let code =
                if is_stale(world, &attribute) { ReasonCode::AttributeStale } else { ReasonCode::AttributeMissing };
            Reason { attribute: Some(attribute.name()), ..Reason::new(code) }
        };
        let decision = if fallback == Fallback::Deny { Decision::Denied } else { Decision::Referred };
        return (Decided::because(decision, lacking.iter().map(reason).collect()), None);
    }
    let gate = world.meets(rule.when());
    if gate == Truth::True
        && let Some(tier) = admitting_tier(rule, world)
    {
        let uncountable = uncountable(rule, &world.facts.context, world.now);
        let decided = if uncountable.is_empty() {
            grant(rule, tier, world)
        } else {
            Decided::because(Decision::Denied, uncountable)
        };
        return (decided, None);
    }
    let decision = match rule.otherwise() {
        Otherwise::Deny => Decision::Denied,
        Otherwise::Refer => Decision::Referred,
    };
    (Decided::because(decision, not_admitted(rule, gate, world)), Some(world))
}

/// Why no tier admits, `gate` being the truth of the rule's own condition.
fn not_admitted(rule: &Rule, gate: Truth, world: World<'_>) -> Vec<Reason> {
    if let (Truth::Unknown, Some(when)) = (gate, rule.when()) {
        return because(world, ReasonCode::AttributeMissing, None, &world.causes(when));
    }
    if gate == Truth::True {
        // What the person lacks of other tiers they learn when they come with fewer.
        if let Some(reason) = guests_exceeded(rule, world) {
            return vec![reason];
        }
        let of_truth = |truth: Truth| {
            let tiers = rule.tiers().iter().rev().filter_map(|tier| Some((tier, tier.when.as_ref()?)));
            tiers.filter(move |(_, when)| world.meets(Some(when)) == truth)
        };
        let unknown = of_truth(Truth::Unknown).map(|(tier, when)| (tier, world.causes(when)));
        // One who is decided about without a score lacks none where it is the day or the hour that is wrong.
        let (of_score, others): (Vec<_>, Vec<_>) = unknown.partition(|(_, causes)| causes.are_of_score());
        if let Some((tier, causes)) = others.first() {
            return because(world, ReasonCode::AttributeMissing, Some(tier), causes);
        }
        if let Some((tier, causes)) = of_score.first() {
            let refused = of_truth(Truth::False);
            let mut reasons = refused
                .map(|(tier, when)| because(world, ReasonCode::ConditionNotMet, Some(tier), &world.causes(when)));
            let of_time = reasons.find(|reasons| reasons.iter().any(|reason| reason.code.is_of_time()));
            return of_time.unwrap_or_else(|| because(world, ReasonCode::AttributeMissing, Some(tier), causes));
        }
    }
    if let Some(reasons) = gap(rule, world) {
        return reasons;
    }
    // The lowest rank is meant to be the easiest to reach: say what it lacks.
    match (gate, rule.when(), rule.tiers().last()) {
        (Truth::False, Some(when), _) => because(world, ReasonCode::ConditionNotMet, None, &world.causes(when)),
        (_, _, Some(tier)) => {
            let causes = tier.when.as_ref().map(|when| world.causes(when)).unwrap_or_default();
            because(world, ReasonCode::ConditionNotMet, Some(tier), &causes)
        }
        _ => Vec::new(),
    }
}

/// One reason for each attribute, in the order of their names, then one for each that a time window lies around, the
/// earliest to open first; attributes that are there, of the wrong type, come last. A boarding pass that isn't there, or
/// isn't of the day, is one reason, whatever is asked of it.
fn because(world: World<'_>, code: ReasonCode, tier: Option<&Tier>, causes: &Causes) -> Vec<Reason> {
    let is_of_no_pass = |attribute: &Attribute| matches!(attribute, Attribute::BoardingPass(_)) && !world.has_pass();
    let name = |attribute: &Attribute| {
        if is_of_no_pass(attribute) { BOARDING_PASS.to_owned() } else { attribute.name() }
    };
    let reason = |attribute: Option<&Attribute>, mistyped: Option<Mistyped>| Reason {
        tier: tier.map(|tier| tier.id.clone()),
        tier_name: tier.map(|tier| tier.name.clone()),
        attribute: attribute.map(name),
        wanted_type: mistyped.map(|it| it.wanted),
        given_type: mistyped.map(|it| it.given),
        ..Reason::new(match attribute {
            _ if mistyped.is_some() => ReasonCode::AttributeMistyped,
            Some(attribute) if is_for_pass_date(world, code, attribute) => ReasonCode::PassDate,
            Some(attribute) if code == ReasonCode::AttributeMissing && is_stale(world, attribute) => {
                ReasonCode::AttributeStale
            }
            _ => code,
        })
    };
    let Causes { attributes, windows } = causes;
    if attributes.is_empty() && windows.is_empty() {
        return vec![reason(None, None)];
    }
    let (mistyped, others): (Vec<_>, Vec<_>) = attributes.iter().partition(|(_, mistyped)| mistyped.is_some());
    let of_attribute = |(attribute, mistyped): (&Attribute, &Option<Mistyped>)| reason(Some(attribute), *mistyped);
    // Of one attribute the window that opens first is enough to name.
    let mut named = BTreeSet::new();
    let first = windows.iter().filter(|(missed, attribute)| named.insert((*missed == Missed::Late, attribute)));
    let missed = first.map(|(missed, attribute)| {
        let (code, lifted) = match missed {
            Missed::Early { opens } => (ReasonCode::TooEarly, Some(*opens)),
            Missed::Late => (ReasonCode::TooLate, None),
        };
        Reason { code, next_eligible_at: lifted, ..reason(Some(attribute), None) }
    });
    let mut reasons: Vec<Reason> = Vec::new();
    for reason in others.into_iter().map(of_attribute).chain(missed).chain(mistyped.into_iter().map(of_attribute)) {
        let is_said = |known: &Reason| match reason.code {
            ReasonCode::PassDate => known.code == ReasonCode::PassDate,
            _ => *known == reason,
        };
        if !reasons.iter().any(is_said) {
            reasons.push(reason);
        }
    }
    reasons
}

/// Tells whether it is kept of the person, and not good any more.
fn is_stale(world: World<'_>, attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Subject(name) if world.facts.context.person().is_stale(name, world.now))
}

/// Tells whether it is the day of the flight that speaks against the person: none counts, so that nothing of the pass is
/// known, or not this one. Without a pass it is the pass that is missing.
fn is_for_pass_date(world: World<'_>, code: ReasonCode, attribute: &Attribute) -> bool {
    let Attribute::BoardingPass(field) = attribute else { return false };
    world.has_undated_pass() || (code == ReasonCode::ConditionNotMet && field.is_dated() && world.knows(attribute))
}

/// The tier whose condition would hold if the score were `score`, all else being as it is: one that admits the party, if
/// there is one.
fn met_at<'a>(rule: &'a Rule, world: World<'_>, score: Decimal) -> Option<&'a Tier> {
    let world = world.if_score_were(score);
    // Whom limits can't count no score helps.
    let is_met =
        world.meets(rule.when()) == Truth::True && uncountable(rule, &world.facts.context, world.now).is_empty();
    let met = || rule.tiers().iter().find(|tier| world.meets(tier.when.as_ref()) == Truth::True);
    if is_met { admitting_tier(rule, world).or_else(met) } else { None }
}

fn grant(rule: &Rule, tier: &Tier, world: World<'_>) -> Decided {
    Decided::granted(tier, world.facts.context.party(), threshold_met(rule, tier, world).into_iter().collect())
}

/// The highest threshold at or below the score from which on the tier is open, and below which it isn't.
fn threshold_met(rule: &Rule, tier: &Tier, world: World<'_>) -> Option<Reason> {
    let score = world.score()?;
    let mut points = BTreeSet::new();
    world.turning_points(rule.when(), &mut points);
    world.turning_points(tier.when.as_ref(), &mut points);
    let admits = |score: Decimal| {
        let world = world.if_score_were(score);
        world.meets(rule.when()) == Truth::True && world.meets(tier.when.as_ref()) == Truth::True
    };
    let below = |point: Decimal| Decimal::from_thousandths(point.thousandths().saturating_sub(1));
    let wanted = points.range(..=score).rev().find(|point| admits(**point) && !admits(below(**point)))?;
    Some(Reason {
        tier: Some(tier.id.clone()),
        tier_name: Some(tier.name.clone()),
        wanted: Some(*wanted),
        ..Reason::new(ReasonCode::ScoreMet)
    })
}

/// The least score above the present one with which the condition of a tier holds, and which tier that is; then the
/// guests by whom the party is too large for it, if it is. The reason is true even for rules in which a higher score can
/// do harm.
fn gap(rule: &Rule, world: World<'_>) -> Option<Vec<Reason>> {
    let score = world.score()?;
    let mut points = BTreeSet::new();
    world.turning_points(rule.when(), &mut points);
    rule.tiers().iter().for_each(|tier| world.turning_points(tier.when.as_ref(), &mut points));
    let above = (std::ops::Bound::Excluded(score), std::ops::Bound::Unbounded);
    let (wanted, tier) =
        points.range(above).find_map(|point| met_at(rule, world, *point).map(|tier| (*point, tier)))?;
    let below = Reason {
        tier: Some(tier.id.clone()),
        tier_name: Some(tier.name.clone()),
        wanted: Some(wanted),
        short_by: Some(wanted.minus(score)),
        ..Reason::new(ReasonCode::ScoreBelowThreshold)
    };
    let exceeded = Reason::guests_exceeded(tier, world.facts.context.party());
    Some(std::iter::once(below).chain(exceeded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::facts::{Context, ScoreFact};
    use crate::foundation::period::Period;

    const OBSERVED: &str = "2026-05-01T08:00:00Z";

    fn rule(text: &str) -> Rule {
        Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap()
    }

    fn facts(score: Option<&str>, context: &str) -> Facts {
        let score =
            score.map(|value| ScoreFact { value: value.parse().unwrap(), observed_at: OBSERVED.parse().unwrap() });
        let context = Context::parse(&Json::parse(context).unwrap()).unwrap();
        Facts {
            score,
            network: Some("twitter".into()),
            context,
            rollout_bucket: None,
            location: None,
            closed_until: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The decision in a line: decision, tier, reasons as JSON.
    fn said(rule: &Rule, facts: &Facts, now: &str) -> String {
        let verdict = decide(rule, facts, at(now));
        // The name is for the sentence, which has a test of its own.
        let bare = |reason: &Reason| Reason { tier_name: None, ..reason.clone() };
        let reasons: Vec<_> = verdict.reasons.iter().map(|r| serde_json::to_string(&bare(r)).unwrap()).collect();
        let next = verdict.next_eligible_at.map(|at| format!(" next {at}")).unwrap_or_default();
        format!("{:?} {} {}{next}", verdict.decision, verdict.tier.unwrap_or_default(), reasons.join(" "))
    }

    const NOON: &str = "2026-05-01T12:00:00Z";

    fn two_tiers() -> Rule {
        rule(
            r#"{"score":{"source":"klout","max_age":"P7D"},
                "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}},
                         {"id":"first","rank":2,"when":{"all":[{"attr":"score","op":"gt","value":60},
                            {"attr":"context.member","op":"eq","value":"gold"}]}}]}"#,
        )
    }

    #[test]
    fn the_highest_rank_that_admits_is_granted() {
        let rule = two_tiers();
        for (score, context, wanted) in [
            ("40", "{}", r#"Granted standard {"code":"score_met","tier":"standard","wanted":40}"#),
            ("99", "{}", r#"Granted standard {"code":"score_met","tier":"standard","wanted":40}"#),
            ("60", r#"{"member":"gold"}"#, r#"Granted standard {"code":"score_met","tier":"standard","wanted":40}"#),
            ("60.001", r#"{"member":"gold"}"#, r#"Granted first {"code":"score_met","tier":"first","wanted":60.001}"#),
            ("99", r#"{"member":"blue"}"#, r#"Granted standard {"code":"score_met","tier":"standard","wanted":40}"#),
        ] {
            assert_eq!(said(&rule, &facts(Some(score), context), NOON), wanted, "{score} {context}");
        }
    }

    #[test]
    fn no_score_helps_whom_limits_cannot_count() {
        let rule = rule(
            r#"{"score":{"source":"klout","max_age":"P7D"},
                "tiers":[{"id":"in","when":{"attr":"score","op":"gte","value":40}}],
                "limits":[{"id":"one","scope":["context.receipt"],"max":1,"window":{"calendar":"day"}}]}"#,
        );
        for (score, context, wanted) in [
            ("37", r#"{"receipt":"r"}"#, r#"{"code":"score_below_threshold","tier":"in","wanted":40,"short_by":3}"#),
            ("37", "{}", r#"{"code":"condition_not_met","tier":"in","attribute":"score"}"#),
            ("40", "{}", r#"{"code":"attribute_missing","attribute":"context.receipt"}"#),
        ] {
            assert_eq!(
                said(&rule, &facts(Some(score), context), NOON),
                format!("Denied  {wanted}"),
                "{score} {context}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_smallest_gap() {
        let rule = two_tiers();
        let member = r#"{"member":"gold"}"#;
        assert_eq!(
            said(&rule, &facts(Some("37"), member), NOON),
            r#"Denied  {"code":"score_below_threshold","tier":"standard","wanted":40,"short_by":3}"#
        );
        let verdict = decide(&rule, &facts(Some("37"), member), at(NOON));
        assert_eq!(verdict.reasons[0].message(), "The score is 3 points short of the 40 that Main lounge asks for.");
        // A gap is only stated where closing it would be enough.
        let gated = self::rule(
            r#"{"score":{"source":"klout"},"when":{"attr":"context.terminal","op":"eq","value":"A"},
                "tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}]}"#,
        );
        assert_eq!(
            said(&gated, &facts(Some("37"), r#"{"terminal":"B"}"#), NOON),
            r#"Denied  {"code":"condition_not_met","attribute":"context.terminal"}"#
        );
    }

    #[test]
    fn a_score_that_is_missing_or_stale_is_said_to_be() {
        let rule = two_tiers();
        assert_eq!(said(&rule, &facts(None, "{}"), NOON), r#"Denied  {"code":"score_missing"}"#);
        let known = facts(Some("50"), "{}");
        for (now, code, fresh) in [
            ("2026-05-08T08:00:00Z", ReasonCode::ScoreMet, true),
            ("2026-05-08T08:00:00.000001Z", ReasonCode::ScoreStale, false),
            // Observed in the future, by a clock that is ahead.
            ("2026-04-30T00:00:00Z", ReasonCode::ScoreMet, true),
        ] {
            let verdict = decide(&rule, &known, at(now));
            assert_eq!((verdict.reasons[0].code, verdict.score.unwrap().fresh), (code, fresh), "{now}");
        }
        let members = self::rule(
            r#"{"score":{"source":"klout","max_age":"PT1S"},"tiers":[{"id":"t","when":{"attr":"context.x","op":"exists"}}]}"#,
        );
        assert_eq!(said(&members, &facts(None, r#"{"x":1}"#), NOON), "Granted t ");
    }

    #[test]
    fn an_unknown_tier_falls_to_the_next_and_is_named_if_none_admits() {
        let rule = two_tiers();
        // `first` is unknown without the membership; `standard` admits all the same.
        assert!(decide(&rule, &facts(Some("70"), "{}"), at(NOON)).is_granted());
        let strict = self::rule(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"all":[{"attr":"score","op":"gte","value":40},
                {"any":[{"attr":"context.b","op":"eq","value":1},{"attr":"context.a","op":"eq","value":1}]}]}}]}"#,
        );
        assert_eq!(
            said(&strict, &facts(Some("70"), "{}"), NOON),
            r#"Denied  {"code":"attribute_missing","tier":"t","attribute":"context.a"} {"code":"attribute_missing","tier":"t","attribute":"context.b"}"#
        );
        // Below the score nothing that is missing could help.
        assert_eq!(
            said(&strict, &facts(Some("30"), r#"{"a":1}"#), NOON),
            r#"Denied  {"code":"score_below_threshold","tier":"t","wanted":40,"short_by":10}"#
        );
        assert_eq!(
            said(&strict, &facts(Some("30"), "{}"), NOON),
            r#"Denied  {"code":"condition_not_met","tier":"t","attribute":"score"}"#
        );
        let gated =
            self::rule(r#"{"when":{"not":{"attr":"context.banned","op":"eq","value":true}},"tiers":[{"id":"t"}]}"#);
        assert_eq!(
            said(&gated, &facts(None, "{}"), NOON),
            r#"Denied  {"code":"attribute_missing","attribute":"context.banned"}"#
        );
    }

    #[test]
    fn the_age_of_a_score_is_exact() {
        let fresh = self::rule(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score.age","op":"lte","value":"PT4H"}}]}"#,
        );
        assert_eq!(said(&fresh, &facts(Some("1"), "{}"), NOON), "Granted t ");
        assert_eq!(
            said(&fresh, &facts(Some("1"), "{}"), "2026-05-01T12:00:00.000001Z"),
            r#"Denied  {"code":"condition_not_met","tier":"t","attribute":"score.age"}"#
        );
    }

    #[test]
    fn time_is_promised_only_where_it_is_enough() {
        let hours = self::rule(
            r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P1D"},
                "valid":{"from":"2026-05-01T00:00","until":"2026-05-03T07:00"},
                "schedule":{"open":[{"days":["fri","sat","sun"],"from":"06:00","to":"23:00"}]},
                "tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}]}"#,
        );
        let good = facts(Some("41"), "{}");
        for (now, wanted) in [
            (
                "2026-05-01T06:59:59Z",
                r#"Denied  {"code":"not_yet_valid","next_eligible_at":"2026-05-01T07:00:00Z"} next 2026-05-01T13:00:00Z"#,
            ),
            (
                "2026-05-01T07:00:00Z",
                r#"Denied  {"code":"outside_schedule","next_eligible_at":"2026-05-01T13:00:00Z"} next 2026-05-01T13:00:00Z"#,
            ),
            ("2026-05-01T13:00:00Z", r#"Granted t {"code":"score_met","tier":"t","wanted":40}"#),
            // It opens again, but by then the score is stale.
            (
                "2026-05-02T06:00:00Z",
                r#"Denied  {"code":"outside_schedule","next_eligible_at":"2026-05-02T13:00:00Z"}"#,
            ),
            ("2026-05-03T14:00:00Z", r#"Denied  {"code":"no_longer_valid"}"#),
        ] {
            assert_eq!(said(&hours, &good, now), wanted, "{now}");
        }
        let poor = facts(Some("39"), "{}");
        assert_eq!(decide(&hours, &poor, at("2026-05-01T07:00:00Z")).next_eligible_at, None);
        let small = self::rule(
            r#"{"schedule":{"open":[{"days":["fri"],"from":"06:00","to":"23:00"}]},"tiers":[{"id":"t"}],
                "limits":[{"id":"l","scope":["perk"],"max":5,"cost":"party","window":{"calendar":"day"}}]}"#,
        );
        let next = |party: &str| decide(&small, &facts(None, party), at("2026-05-01T00:00:00Z")).next_eligible_at;
        assert_eq!(next(r#"{"party":5}"#), Some(at("2026-05-01T06:00:00Z")));
        assert_eq!(next(r#"{"party":6}"#), None, "it never fits");
    }

    #[test]
    fn a_blackout_refuses_until_it_is_over() {
        let rule = self::rule(
            r#"{"time_zone":"Asia/Shanghai","tiers":[{"id":"t"}],
                "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}]},
                "blackouts":[{"id":"golden-week","from":"2026-10-01T00:00","until":"2026-10-08T00:00"},
                    {"id":"new-year","yearly":{"from":"12-31","to":"01-01"}}]}"#,
        );
        let none = facts(None, "{}");
        for (now, wanted) in [
            ("2026-09-30T14:59:59Z", "Granted t ".to_owned()),
            // Closed for the night, and no opening before the blackout.
            (
                "2026-09-30T15:00:00Z",
                r#"Denied  {"code":"outside_schedule","next_eligible_at":"2026-09-30T22:00:00Z"} next 2026-10-07T22:00:00Z"#
                    .to_owned(),
            ),
            (
                "2026-10-03T04:00:00Z",
                r#"Denied  {"code":"blackout","blackout":"golden-week","next_eligible_at":"2026-10-07T16:00:00Z"} next 2026-10-07T22:00:00Z"#
                    .to_owned(),
            ),
            ("2026-10-07T22:00:00Z", "Granted t ".to_owned()),
            (
                "2026-12-31T10:00:00Z",
                r#"Denied  {"code":"blackout","blackout":"new-year","next_eligible_at":"2027-01-01T16:00:00Z"} next 2027-01-01T22:00:00Z"#
                    .to_owned(),
            ),
        ] {
            assert_eq!(said(&rule, &none, now), wanted, "{now}");
        }
    }

    #[test]
    fn a_time_window_refuses_before_it_opens_and_after_it_closes() {
        let rule = self::rule(
            r#"{"tiers":[{"id":"t","when":{"attr":"context.departure","op":"within","before":"PT3H","after":"PT30M",
                "opens_by":"context.scheduled"}}]}"#,
        );
        let early = |opens: &str| {
            format!(
                r#"Denied  {{"code":"too_early","tier":"t","attribute":"context.departure","next_eligible_at":"{opens}"}} next {opens}"#
            )
        };
        let late = r#"Denied  {"code":"too_late","tier":"t","attribute":"context.departure"}"#.to_owned();
        let granted = "Granted t ".to_owned();
        let departs = r#"{"departure":"2026-05-01T18:00:00+02:00"}"#;
        let delayed = r#"{"departure":"2026-05-01T18:00:00Z","scheduled":"2026-05-01T16:00:00Z"}"#;
        let moved_up = r#"{"departure":"2026-05-01T10:00:00Z","scheduled":"2026-05-01T16:00:00Z"}"#;
        for (now, context, wanted) in [
            ("2026-05-01T12:59:59.999999Z", departs, early("2026-05-01T13:00:00Z")),
            ("2026-05-01T13:00:00Z", departs, granted.clone()),
            ("2026-05-01T16:30:00Z", departs, granted.clone()),
            ("2026-05-01T16:30:00.000001Z", departs, late.clone()),
            ("2026-05-01T12:59:59Z", delayed, early("2026-05-01T13:00:00Z")),
            ("2026-05-01T18:30:00Z", delayed, granted),
            // Of a flight that leaves earlier it would open after it has closed: it never does.
            ("2026-05-01T10:00:00Z", moved_up, late.clone()),
            ("2026-05-01T12:00:00Z", moved_up, late),
            (
                NOON,
                "{}",
                r#"Denied  {"code":"attribute_missing","tier":"t","attribute":"context.departure"}"#.to_owned(),
            ),
            (
                NOON,
                r#"{"scheduled":"2026-05-01T16:00:00Z"}"#,
                r#"Denied  {"code":"attribute_missing","tier":"t","attribute":"context.departure"}"#.to_owned(),
            ),
            (
                NOON,
                r#"{"departure":"tomorrow"}"#,
                r#"Denied  {"code":"attribute_mistyped","tier":"t","attribute":"context.departure","wanted_type":"instant","given_type":"text"}"#
                    .to_owned(),
            ),
            (
                NOON,
                r#"{"departure":"2026-05-01T16:00:00Z","scheduled":7}"#,
                r#"Denied  {"code":"attribute_mistyped","tier":"t","attribute":"context.scheduled","wanted_type":"instant","given_type":"number"}"#
                    .to_owned(),
            ),
        ] {
            assert_eq!(said(&rule, &facts(None, context), now), wanted, "{now} {context}");
        }
    }

    #[test]
    fn of_several_time_windows_those_are_named_that_refuse() {
        let window =
            |attr: &str, before: &str| format!(r#"{{"attr":"context.{attr}","op":"within","before":"{before}"}}"#);
        let (in_time, out_of_time) = (window("arrival", "P1D"), window("departure", "PT3H"));
        let context = r#"{"arrival":"2026-05-01T14:00:00Z","departure":"2026-05-01T18:00:00Z","gate":"B"}"#;
        let terminal = r#"{"attr":"context.gate","op":"eq","value":"A"}"#;
        let named = |when: &str| {
            let rule = self::rule(&format!(r#"{{"tiers":[{{"id":"t","when":{when}}}]}}"#));
            let decided = decide(&rule, &facts(None, context), at(NOON));
            let reasons =
                decided.reasons.iter().map(|it| format!("{} {}", it.code.as_str(), it.attribute.clone().unwrap()));
            (reasons.collect::<Vec<_>>(), decided.next_eligible_at.map(|at| at.to_string()))
        };
        let opens = |at: &str| Some(at.to_owned());
        let early = vec!["too_early context.departure".to_owned()];
        assert_eq!(named(&format!(r#"{{"all":[{in_time},{out_of_time}]}}"#)), (early.clone(), None));
        let longer = in_time.replace(r#""before""#, r#""after":"PT1H","before""#);
        assert_eq!(
            named(&format!(r#"{{"all":[{longer},{out_of_time}]}}"#)),
            (early.clone(), opens("2026-05-01T15:00:00Z"))
        );
        // The other one has to be over first.
        let not = format!(r#"{{"not":{in_time}}}"#);
        assert_eq!(
            named(&not),
            (vec!["condition_not_met context.arrival".to_owned()], opens("2026-05-01T14:00:00.000001Z"))
        );
        assert_eq!(named(&format!(r#"{{"any":[{not},{out_of_time}]}}"#)).1, opens("2026-05-01T14:00:00.000001Z"));
        assert_eq!(
            named(&format!(r#"{{"not":{{"not":{out_of_time}}}}}"#)),
            (early.clone(), opens("2026-05-01T15:00:00Z"))
        );
        assert_eq!(
            named(&format!(r#"{{"any":[{out_of_time},{}]}}"#, window("departure", "PT5H"))),
            (early.clone(), opens("2026-05-01T13:00:00Z"))
        );
        assert_eq!(
            named(&format!(r#"{{"all":[{out_of_time},{terminal}]}}"#)),
            (vec!["condition_not_met context.gate".to_owned(), early[0].clone()], None)
        );
        let passed = window("arrival", "PT1H").replace(r#""before""#, r#""after":"PT0S","before""#);
        let (reasons, next) = named(&format!(r#"{{"any":[{passed},{}]}}"#, terminal.replace("gate", "arrival")));
        assert_eq!((reasons.len(), next), (2, opens("2026-05-01T13:00:00Z")));
    }

    #[test]
    fn one_who_is_only_too_early_waits_for_the_tier_that_opens_and_for_no_person() {
        let window = |attr: &str, before: &str| {
            format!(r#"{{"attr":"context.{attr}","op":"within","before":"{before}","after":"PT0S"}}"#)
        };
        let with = |otherwise: &str, schedule: &str| {
            self::rule(&format!(
                r#"{{"score":{{"source":"klout"}},"otherwise":"{otherwise}"{schedule},"tiers":[
                    {{"id":"near","rank":2,"when":{}}},
                    {{"id":"first","rank":3,"when":{{"attr":"score","op":"gte","value":60}}}},
                    {{"id":"low","rank":1,"when":{{"attr":"context.member","op":"eq","value":true}}}}]}}"#,
                window("departure", "PT3H")
            ))
        };
        let of = |otherwise: &str| with(otherwise, "");
        let departs = r#"{"departure":"2026-05-01T18:00:00Z","member":false}"#;
        let early = r#"Denied  {"code":"too_early","tier":"near","attribute":"context.departure","next_eligible_at":"2026-05-01T15:00:00Z"} next 2026-05-01T15:00:00Z"#;
        for otherwise in ["deny", "refer"] {
            let rule = of(otherwise);
            assert_eq!(said(&rule, &facts(Some("50"), departs), NOON), early, "{otherwise}");
            let decided = judge(&rule, &facts(Some("50"), departs), at(NOON));
            assert_eq!((decided.decision, decided.reasons[0].code), (Decision::Denied, ReasonCode::TooEarly));
        }
        let late = said(&of("refer"), &facts(Some("50"), departs), "2026-05-01T18:00:01Z");
        assert!(late.starts_with(r#"Referred  {"code":"score_below_threshold""#), "{late}");
        // No wait is enough where the house is closed whenever the window is open.
        let shut = with("refer", r#","schedule":{"open":[{"days":["fri"],"from":"06:00","to":"13:00"}]}"#);
        assert_eq!(decide(&shut, &facts(Some("50"), departs), at(NOON)).decision, Decision::Referred);
    }

    #[test]
    fn a_wrong_day_is_said_to_be_one_whatever_score_there_is() {
        let rule = self::rule(
            r#"{"score":{"source":"klout","on_missing":"ignore"},"tiers":[
                {"id":"first","rank":2,"when":{"attr":"score","op":"gte","value":60}},
                {"id":"today","rank":1,"when":{"all":[{"attr":"boarding_pass.days_from_today","op":"eq","value":0},
                    {"attr":"boarding_pass.date","op":"neq","value":"2026-04-30"},
                    {"attr":"boarding_pass.from","op":"eq","value":"SFO"}]}}]}"#,
        );
        let with = |pass: Option<&str>| {
            let mut facts = facts(None, "{}");
            if let Some(day) = pass {
                let pass = format!("M1DESMARAIS/LUC       EABC123 SFOHKGCX 0873 {day}J001A0025 100").parse().unwrap();
                facts.context = facts.context.with_pass(&pass, rule.time_zone(), at(NOON), &["SFO".to_owned()]);
            }
            said(&rule, &facts, NOON)
        };
        let reason = |code: &str, attribute: &str| {
            format!(r#"Denied  {{"code":"{code}","tier":"today","attribute":"{attribute}"}}"#)
        };
        assert_eq!(with(Some("120")), reason("pass_date", "boarding_pass.date"), "once for date and days");
        assert_eq!(
            with(Some("122")),
            format!("{} next 2026-05-02T00:00:00Z", reason("pass_date", "boarding_pass.days_from_today"))
        );
        assert_eq!(with(None), reason("attribute_missing", "boarding_pass"), "one pass is missing");
    }

    #[test]
    fn a_threshold_may_be_another_attribute() {
        let rule = self::rule(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"all":[
                {"attr":"score","op":"gte","ref":"context.bar"},
                {"attr":"context.party","op":"lte","ref":"context.seats"}]}}]}"#,
        );
        for (score, context, wanted) in [
            ("47", r#"{"bar":45,"seats":1}"#, r#"Granted t {"code":"score_met","tier":"t","wanted":45}"#),
            (
                "44",
                r#"{"bar":45,"seats":1}"#,
                r#"Denied  {"code":"score_below_threshold","tier":"t","wanted":45,"short_by":1}"#,
            ),
            (
                "47",
                r#"{"bar":45,"seats":2,"party":3}"#,
                r#"Denied  {"code":"condition_not_met","tier":"t","attribute":"context.party"}"#,
            ),
            (
                "47",
                "{}",
                r#"Denied  {"code":"attribute_missing","tier":"t","attribute":"context.bar"} {"code":"attribute_missing","tier":"t","attribute":"context.seats"}"#,
            ),
            (
                "47",
                r#"{"bar":"high","seats":1}"#,
                r#"Denied  {"code":"attribute_mistyped","tier":"t","attribute":"context.bar","wanted_type":"number","given_type":"text"}"#,
            ),
        ] {
            assert_eq!(said(&rule, &facts(Some(score), context), NOON), wanted, "{score} {context}");
        }
        let seen = looked_at(&rule, &facts(Some("1"), r#"{"bar":45,"seats":1,"party":3,"x":1}"#));
        assert_eq!(seen.canonical(), r#"{"bar":45,"party":3,"seats":1}"#);
        // The score is looked at from the other side too.
        let turned = self::rule(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"context.bar","op":"lt","ref":"score"}}]}"#,
        );
        assert!(turned.looks_at_score());
        assert_eq!(
            said(&turned, &facts(Some("45"), r#"{"bar":45}"#), NOON),
            r#"Denied  {"code":"score_below_threshold","tier":"t","wanted":45.001,"short_by":0.001}"#
        );
    }

    #[test]
    fn a_rollout_lets_in_the_lowest_buckets() {
        let of = |percent: u8| {
            rule(&format!(
                r#"{{"score":{{"source":"klout"}},"rollout":{{"percent":{percent}}},
                    "tiers":[{{"id":"t","when":{{"attr":"score","op":"gte","value":40}}}}],"otherwise":"refer"}}"#
            ))
        };
        let at_bucket = |bucket| Facts { rollout_bucket: bucket, ..facts(Some("50"), "{}") };
        let outside = r#"Denied  {"code":"not_in_rollout"}"#;
        let inside = r#"Granted t {"code":"score_met","tier":"t","wanted":40}"#;
        for (percent, bucket, wanted) in [
            (25, Some(0), inside),
            (25, Some(2499), inside),
            (25, Some(2500), outside),
            (25, None, outside),
            (0, Some(0), outside),
            (99, Some(9899), inside),
            (99, Some(9900), outside),
            (100, Some(9999), inside),
            (100, None, inside),
        ] {
            assert_eq!(said(&of(percent), &at_bucket(bucket), NOON), wanted, "{percent} {bucket:?}");
        }
        // It comes before the score, which is nobody's business while they are outside.
        let unscored = Facts { rollout_bucket: Some(5000), ..facts(None, "{}") };
        assert_eq!(said(&of(25), &unscored, NOON), outside);
        // Waiting for the doors to open is not enough for those who stay outside.
        let later =
            self::rule(r#"{"valid":{"from":"2026-05-08T00:00"},"rollout":{"percent":25},"tiers":[{"id":"t"}]}"#);
        assert_eq!(decide(&later, &at_bucket(Some(2499)), at(NOON)).next_eligible_at, Some(at("2026-05-08T00:00:00Z")));
        assert_eq!(decide(&later, &at_bucket(Some(2500)), at(NOON)).next_eligible_at, None);
    }

    #[test]
    fn a_score_that_cannot_be_relied_on_is_denied_referred_or_ignored() {
        let of = |on_missing: &str, on_stale: &str, floor: &str| {
            rule(&format!(
                r#"{{"score":{{"source":"klout","max_age":"P1D","on_missing":"{on_missing}","on_stale":"{on_stale}"}},
                    "tiers":[{{"id":"gold","rank":2,"max_wait":"PT2M","when":{{"attr":"score","op":"gte","value":40}}}}{floor}]}}"#
            ))
        };
        let floor = r#",{"id":"all","rank":1,"max_wait":"PT10M"}"#;
        let (none, old) = (facts(None, "{}"), facts(Some("50"), "{}"));
        let later = "2026-05-03T12:00:00Z";
        for (on_missing, on_stale, floor, missing, stale) in [
            ("deny", "deny", floor, r#"Denied  {"code":"score_missing"}"#, r#"Denied  {"code":"score_stale"}"#),
            ("refer", "refer", floor, r#"Referred  {"code":"score_missing"}"#, r#"Referred  {"code":"score_stale"}"#),
            (
                "ignore",
                "ignore",
                floor,
                r#"Granted all {"code":"score_missing"}"#,
                r#"Granted all {"code":"score_stale"}"#,
            ),
            (
                "ignore",
                "ignore",
                "",
                r#"Denied  {"code":"attribute_missing","tier":"gold","attribute":"score"}"#,
                r#"Denied  {"code":"attribute_missing","tier":"gold","attribute":"score"}"#,
            ),
        ] {
            let rule = of(on_missing, on_stale, floor);
            assert_eq!(said(&rule, &none, later), missing, "{on_missing}");
            assert_eq!(said(&rule, &old, later), stale, "{on_stale}");
        }
        let bands = of("ignore", "ignore", floor);
        let wait = |facts: &Facts, now: &str| decide(&bands, facts, at(now)).max_wait.map(Period::seconds);
        assert_eq!((wait(&old, NOON), wait(&old, later), wait(&none, NOON)), (Some(120), Some(600), Some(600)));
        // The age of a score that is left out of account isn't known either.
        let young = self::rule(
            r#"{"score":{"source":"klout","max_age":"P1D","on_stale":"ignore"},
                "tiers":[{"id":"t","when":{"attr":"score.age","op":"gt","value":"PT1S"}}]}"#,
        );
        assert_eq!(
            said(&young, &old, later),
            r#"Denied  {"code":"attribute_missing","tier":"t","attribute":"score.age"}"#
        );
    }

    #[test]
    fn a_rule_may_refer_whom_it_does_not_admit() {
        let of = |otherwise: &str| {
            rule(&format!(
                r#"{{"score":{{"source":"klout","max_age":"P7D"}},"otherwise":"{otherwise}",
                    "when":{{"attr":"context.terminal","op":"eq","value":"A"}},"valid":{{"until":"2026-05-10T00:00"}},
                    "tiers":[{{"id":"t","max_wait":"PT5M","when":{{"attr":"score","op":"gte","value":40}}}}]}}"#
            ))
        };
        let (deny, refer) = (of("deny"), of("refer"));
        for (score, context) in [("37", r#"{"terminal":"A"}"#), ("50", r#"{"terminal":"B"}"#), ("50", "{}")] {
            let facts = facts(Some(score), context);
            let (denied, referred) = (decide(&deny, &facts, at(NOON)), decide(&refer, &facts, at(NOON)));
            assert_eq!((denied.decision, referred.decision), (Decision::Denied, Decision::Referred));
            assert_eq!(denied.reasons, referred.reasons);
            assert_eq!((referred.tier, referred.max_wait), (None, None));
        }
        let terminal = r#"{"terminal":"A"}"#;
        assert!(decide(&refer, &facts(Some("41"), terminal), at(NOON)).is_granted());
        // What is no judgement of the person's merits is a refusal as before.
        for (score, now) in [(None, NOON), (Some("50"), "2026-05-09T12:00:00Z"), (Some("37"), "2026-05-11T12:00:00Z")] {
            assert_eq!(decide(&refer, &facts(score, terminal), at(now)).decision, Decision::Denied, "{now}");
        }
    }

    #[test]
    fn an_event_keeps_only_what_the_rule_looked_at() {
        let facts = facts(Some("50"), r#"{"member":"gold","seat":"12A","party":3}"#);
        assert_eq!(looked_at(&two_tiers(), &facts).canonical(), r#"{"member":"gold"}"#);
    }
}
