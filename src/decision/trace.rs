//! Why a decision came out as it did: each part of the rule, what it wanted, what it had, whether it held.

use jiff::Timestamp;
use serde::Serialize;

use super::decide::{Decision, waits};
use super::evaluate::{Truth, World};
use super::facts::Facts;
use super::merits::uncountable;
use super::reason::ReasonCode;
use super::shown_value::{ShownValue, had, wanted};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::rules::attribute::Attribute;
use crate::rules::availability::Availability;
use crate::rules::blackout;
use crate::rules::condition::Condition;
use crate::rules::leaf::{Comparison, Test};
use crate::rules::rule::Rule;
use crate::rules::terms::{Fallback, Otherwise, Rollout, ScorePolicy};
use crate::rules::tier::guests::GuestTerms;
use crate::rules::tier::party::Party;
use crate::rules::time_window::WITHIN;

/// A decision taken apart. Every part is looked at, also those that the decision never got to:
/// someone who mends one refusal wants to know of the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub valid: Validity,
    /// None where the rule has no blackouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackouts: Option<Blackouts>,
    pub schedule: Hours,
    /// None where everybody is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Share>,
    /// None where no condition needs the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreTrace>,
    /// The attributes of the person that must be there and aren't; none where nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Lacking>,
    /// The rule's own condition; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Node>,
    /// Highest rank first.
    pub tiers: Vec<TierTrace>,
    /// The decision that follows from the parts; limits are for the caller to ask.
    pub decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// From when until when the rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validity {
    pub passed: bool,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// The blackouts: is none in force at the instant?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blackouts {
    pub passed: bool,
    /// The one that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The opening hours: is the perk open at the instant, validity aside?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hours {
    pub passed: bool,
    /// When it next opens, for one that is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
}

/// The rollout: is the subject among those that a partial one lets in?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    pub passed: bool,
    pub percent: u8,
    /// Where the subject stands, in hundredths of a percent; none when nobody was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub had: Option<u16>,
}

/// The score: is there one to go by?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScoreTrace {
    pub passed: bool,
    pub source: SourceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub had: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// The oldest that it may be; none is too old without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// The fault of the score, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<ReasonCode>,
}

/// The attributes of a person that have no value, and what becomes of that before any condition is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    pub passed: bool,
    pub missing: Vec<String>,
}

/// One tier and its condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierTrace {
    pub tier: String,
    pub name: String,
    pub passed: Passed,
    /// None for a tier that admits everybody who passes the rule's own condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Node>,
    /// None for a tier that says nothing of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestsTrace>,
}

/// The guests of the party, as a tier counts them: are they no more than it admits?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuestsTrace {
    pub passed: bool,
    pub max: u64,
    /// Those that count.
    pub had: u64,
    /// Those that would be let in, the uncounted ones among them; none where the tier doesn't admit the party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<u64>,
}

/// The truth of something that was tested; unknown where an attribute is missing. In the order of Kleene's logic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    False,
    Unknown,
    True,
}

/// A condition and those within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Node {
    All { passed: Passed, members: Vec<Node> },
    Any { passed: Passed, members: Vec<Node> },
    Not { passed: Passed, member: Box<Node> },
    Leaf(LeafTrace),
}

/// One test of one attribute. Ages are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeafTrace {
    pub passed: Passed,
    pub attr: String,
    pub op: &'static str,
    /// A list for `in`, `not_in`, `between` and `within`; none for `exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<ShownValue>,
    /// The attribute that `wanted` is the value of, where one is compared with another, or that a time window opens by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// None when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub had: Option<ShownValue>,
}

impl From<Truth> for Passed {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::False => Self::False,
            Truth::Unknown => Self::Unknown,
            Truth::True => Self::True,
        }
    }
}

impl Node {
    /// Tells whether the whole of it held.
    #[must_use]
    pub const fn passed(&self) -> Passed {
        match self {
            Self::All { passed, .. } | Self::Any { passed, .. } | Self::Not { passed, .. } => *passed,
            Self::Leaf(leaf) => leaf.passed,
        }
    }
}

/// Takes the decision by `rule` about `facts` at `now` apart. It agrees with
/// [`decide`](super::decide::decide), which a test holds it to: the parts are evaluated one by one
/// here, and what follows from them is worked out from what is shown.
#[must_use]
pub fn trace(rule: &Rule, facts: &Facts, now: Timestamp) -> Trace {
    let (valid, schedule) = times(rule, now);
    let blackouts = (!rule.blackouts().is_empty()).then(|| blackouts(rule, now));
    let policy = rule.score().filter(|_| rule.looks_at_score());
    let score = policy.map(|policy| score_trace(policy, facts, now));
    let rollout = (rule.rollout() != Rollout::EVERYONE).then(|| Share {
        passed: rule.rollout().admits(facts.rollout_bucket),
        percent: rule.rollout().percent(),
        had: facts.rollout_bucket,
    });
    let lacking = policy.zip(score.as_ref()).and_then(|(policy, score)| instead_of_score(policy, score));
    let world = World::new(facts, now);
    // What can't be relied on is not known to any condition.
    let world = if lacking == Some(Fallback::Ignore) { world.without_score() } else { world };
    let node = |condition: &Condition| node(condition, facts, world, now);
    let when = rule.when().map(node);
    let tiers: Vec<TierTrace> = rule
        .tiers()
        .iter()
        .map(|tier| {
            let when = tier.when.as_ref().map(node);
            let passed = when.as_ref().map_or(Passed::True, Node::passed);
            let guests = tier.guests.map(|terms| guests_trace(&terms, facts.context.party()));
            TierTrace { tier: tier.id.clone(), name: tier.name.clone(), passed, when, guests }
        })
        .collect();
    let gate = when.as_ref().map_or(Passed::True, Node::passed);
    let is_offered = blackouts.as_ref().is_none_or(|blackouts| blackouts.passed);
    let is_open = valid.passed && is_offered && schedule.passed && rollout.as_ref().is_none_or(|share| share.passed);
    let attributes = facts.context.person().lacks(rule, now);
    let instead_of = |fallback: Fallback| match fallback {
        Fallback::Deny => Some(Decision::Denied),
        Fallback::Refer => Some(Decision::Referred),
        Fallback::Ignore => None,
    };
    let lacks = |(fallback, _): &(Fallback, _)| instead_of(*fallback);
    let instead = lacking.and_then(instead_of).or_else(|| attributes.as_ref().and_then(lacks));
    let missing = |names: Vec<&str>| names.into_iter().map(|name| Attribute::Subject(name.to_owned()).name()).collect();
    let attributes = attributes.map(|(_, names)| Lacking { passed: false, missing: missing(names) });
    let otherwise = match rule.otherwise() {
        Otherwise::Deny => Decision::Denied,
        Otherwise::Refer => Decision::Referred,
    };
    let is_open_to = |tier: &&TierTrace| tier.passed == Passed::True && tier.guests.as_ref().is_none_or(|it| it.passed);
    let admitting = tiers.iter().find(is_open_to).filter(|_| gate == Passed::True);
    let (decision, tier) = match (is_open, instead, admitting) {
        (true, Some(instead), _) => (instead, None),
        // Nobody is granted whom the limits can't count.
        (true, None, Some(_)) if !uncountable(rule, &facts.context, now).is_empty() => (Decision::Denied, None),
        (true, None, Some(tier)) => (Decision::Granted, Some(tier.tier.clone())),
        // No person has to decide about someone who is only too early.
        (true, None, None) if otherwise == Decision::Referred && waits(rule, world).is_some() => {
            (Decision::Denied, None)
        }
        (true, None, None) => (otherwise, None),
        (false, _, _) => (Decision::Denied, None),
    };
    Trace { valid, blackouts, schedule, rollout, score, attributes, when, tiers, decision, tier }
}

fn guests_trace(terms: &GuestTerms, party: &Party) -> GuestsTrace {
    let (guests, passed) = (terms.of(party), terms.over_by(party).is_none());
    let had = guests.counted().saturating_add(guests.refused);
    GuestsTrace { passed, max: terms.max, had, admitted: passed.then(|| guests.admitted()) }
}

fn times(rule: &Rule, now: Timestamp) -> (Validity, Hours) {
    let valid = match rule.availability(now) {
        Availability::NotYetValid { .. } | Availability::NoLongerValid => false,
        Availability::Blackout { .. } | Availability::Closed { .. } | Availability::Open => true,
    };
    let (from, until) = (rule.valid().from.map(|(_, at)| at), rule.valid().until.map(|(_, at)| at));
    let open = rule.schedule().is_open(rule.time_zone(), now);
    let opens = if open { None } else { rule.schedule().first_open(rule.time_zone(), now) };
    (Validity { passed: valid, from, until }, Hours { passed: open, opens })
}

fn blackouts(rule: &Rule, now: Timestamp) -> Blackouts {
    match blackout::in_force(rule.blackouts(), rule.time_zone(), now) {
        Some((blackout, until)) => Blackouts { passed: false, id: Some(blackout.id.clone()), until: Some(until) },
        None => Blackouts { passed: true, id: None, until: None },
    }
}

fn score_trace(policy: &ScorePolicy, facts: &Facts, now: Timestamp) -> ScoreTrace {
    let stale = |age_micros: i64| policy.max_age.is_some_and(|max_age| age_micros > max_age.micros());
    let code = match facts.score {
        None => Some(ReasonCode::ScoreMissing),
        Some(score) if stale(score.age_micros(now)) => Some(ReasonCode::ScoreStale),
        Some(_) => None,
    };
    ScoreTrace {
        passed: code.is_none(),
        source: policy.source.clone(),
        had: facts.score.map(|score| score.value),
        observed_at: facts.score.map(|score| score.observed_at),
        age_seconds: facts.score.map(|score| score.age_micros(now) / 1_000_000),
        max_age_seconds: policy.max_age.map(crate::foundation::period::Period::seconds),
        code,
    }
}

/// The rule's fallback for a score that can't be relied on.
fn instead_of_score(policy: &ScorePolicy, score: &ScoreTrace) -> Option<Fallback> {
    Some(match score.code? {
        ReasonCode::ScoreMissing => policy.on_missing,
        _ => policy.on_stale,
    })
}

fn node(condition: &Condition, facts: &Facts, world: World<'_>, now: Timestamp) -> Node {
    let members = |all: &[Condition]| all.iter().map(|one| node(one, facts, world, now)).collect::<Vec<_>>();
    match condition {
        Condition::All(all) => {
            let members = members(all);
            Node::All { passed: members.iter().map(Node::passed).min().unwrap_or(Passed::True), members }
        }
        Condition::Any(all) => {
            let members = members(all);
            Node::Any { passed: members.iter().map(Node::passed).max().unwrap_or(Passed::False), members }
        }
        Condition::Not(inner) => {
            let member = node(inner, facts, world, now);
            let passed = match member.passed() {
                Passed::False => Passed::True,
                Passed::Unknown => Passed::Unknown,
                Passed::True => Passed::False,
            };
            Node::Not { passed, member: Box::new(member) }
        }
        Condition::Leaf(leaf) => Node::Leaf(LeafTrace {
            passed: world.meets(Some(condition)).into(),
            attr: leaf.attribute.name(),
            op: op(&leaf.test),
            wanted: wanted(leaf, facts, world, now),
            against: leaf.test.other().map(Attribute::name),
            had: facts.value(&leaf.attribute, now).map(|value| had(&leaf.attribute, value)),
        }),
    }
}

/// The operator as rules write it.
const fn op(test: &Test) -> &'static str {
    match test {
        Test::Exists => "exists",
        Test::Equals(_) => "eq",
        Test::Differs(_) => "neq",
        Test::OneOf(_) => "in",
        Test::NoneOf(_) => "not_in",
        Test::Compares(Comparison::Gt, _) => "gt",
        Test::Compares(Comparison::Gte, _) => "gte",
        Test::Compares(Comparison::Lt, _) => "lt",
        Test::Compares(Comparison::Lte, _) => "lte",
        Test::Between(..) => "between",
        Test::Contains(_) => "contains",
        Test::StartsWith(_) => "starts_with",
        Test::Against(relation, _) => relation.name(),
        Test::Within(_) => WITHIN,
    }
}
