//! A rule tried on everyone whose score is known: who would qualify, and where the thresholds lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::caveats::{attributes_unknown, party_never_fits};
use super::picture::Scale;
use crate::decision::decide::{Decision, judge};
use crate::decision::decided::Decided;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::reason::ReasonCode;
use crate::decision::rollout::rollout_bucket;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{PerkId, PerkSlug, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::rules::attribute::Attribute;
use crate::rules::availability::Availability;
use crate::rules::condition::Condition;
use crate::rules::leaf::{Leaf, Scalar, Test};
use crate::rules::rule::Rule;
use crate::rules::terms::Rollout;
use crate::scores::score::{Score, Source};

/// The most bars of a histogram.
const BINS: i64 = 20;
/// The distance from a threshold that counts as near, in points.
const NEAR: i64 = 3;

/// The effect that a rule would have on everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Everyone {
    pub perk: PerkSlug,
    /// None for a rule that is no version.
    pub version: Option<i32>,
    pub rule_hash: String,
    pub at: Timestamp,
    pub source: SourceName,
    /// Number of subjects that have a score from the source.
    pub total: u64,
    pub granted: u64,
    pub denied: u64,
    pub referred: u64,
    /// Highest rank first.
    pub tiers: Vec<TierCount>,
    /// Those who would not be granted, by their first reason.
    pub refused: Vec<ReasonCount>,
    /// Whose score is older than the rule takes.
    pub stale: u64,
    pub scores: Distribution,
    pub thresholds: Vec<Threshold>,
    /// About the lowest threshold.
    pub near: Option<Near>,
    /// Against the published version, where that is another rule over the same source.
    pub published: Option<Against>,
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierCount {
    pub tier: String,
    pub name: String,
    pub subjects: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    pub code: ReasonCode,
    pub subjects: u64,
}

/// The distribution of the scores on the source's scale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    pub minimum: Decimal,
    pub maximum: Decimal,
    pub bins: Vec<Bin>,
}

/// From `from` to below `to`; the last one has its `to` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bin {
    pub from: Decimal,
    pub to: Decimal,
    pub subjects: u64,
}

/// A score that a condition compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Threshold {
    pub value: Decimal,
    /// The tiers whose condition names it; none for the rule's own.
    pub tiers: Vec<String>,
    pub below: u64,
    pub at: u64,
    pub above: u64,
}

/// The count of subjects close to the lowest threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Near {
    pub threshold: Decimal,
    pub within: Decimal,
    /// Below it, by no more than `within`.
    pub below: u64,
    /// At it or above it, by no more than `within`.
    pub above: u64,
}

/// The changes against the published version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Against {
    pub version: i32,
    /// Granted by the rule, and not by the published version.
    pub newly_admitted: u64,
    /// Granted by the published version, and not by the rule.
    pub newly_refused: u64,
    /// Granted by both, in another tier.
    pub tier_changed: u64,
}

/// Something to know about the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub code: &'static str,
    pub detail: String,
}

/// The rule, source and context that everybody is counted by.
pub(super) struct Question {
    pub id: PerkId,
    pub perk: PerkSlug,
    pub version: Option<i32>,
    pub rule: Arc<Rule>,
    pub published: Option<(i32, Arc<Rule>)>,
    pub source: Source,
    /// The context that every visitor is taken to bring.
    pub context: Context,
    pub at: Timestamp,
    pub warnings: Vec<Warning>,
}

/// Counts subjects, a chunk at a time. Its size does not depend on how many there are.
pub(super) struct Tally {
    question: Question,
    facts: Facts,
    total: u64,
    decisions: [u64; 3],
    tiers: BTreeMap<String, u64>,
    refused: BTreeMap<&'static str, (ReasonCode, u64)>,
    stale: u64,
    bins: Vec<u64>,
    /// For each threshold how many scores are at it, and how many lie between the one before and it.
    thresholds: BTreeMap<Decimal, BTreeSet<String>>,
    at: BTreeMap<Decimal, u64>,
    under: BTreeMap<Decimal, u64>,
    near: (u64, u64),
    against: (u64, u64, u64),
}

impl Tally {
    pub(super) fn new(mut question: Question) -> Self {
        // Every member is named: what facts learn later has to be thought of here.
        let context = std::mem::take(&mut question.context);
        let facts = Facts { context, ..Facts::default() };
        let span = question.source.maximum.minus(question.source.minimum).thousandths();
        let thresholds = thresholds(&question.rule);
        question.warnings.extend(warnings(&question.rule, &facts.context, question.at));
        Self {
            bins: vec![0; usize::try_from(span.clamp(1, BINS)).unwrap_or(1)],
            question,
            facts,
            total: 0,
            decisions: [0; 3],
            tiers: BTreeMap::new(),
            refused: BTreeMap::new(),
            stale: 0,
            thresholds,
            at: BTreeMap::new(),
            under: BTreeMap::new(),
            near: (0, 0),
            against: (0, 0, 0),
        }
    }

    pub(super) fn count(&mut self, scores: impl Iterator<Item = (SubjectRef, Score)>) {
        let published = self.question.published.as_ref().map(|(_, rule)| rule.rollout());
        let in_part = |rollout: Rollout| rollout != Rollout::EVERYONE;
        let is_partial = in_part(self.question.rule.rollout()) || published.is_some_and(in_part);
        for (subject, score) in scores {
            // A digest for each subject: only where something depends on it.
            self.facts.rollout_bucket = is_partial.then(|| rollout_bucket(&self.question.id, &subject));
            self.facts.score = Some(ScoreFact { value: score.value, observed_at: score.observed_at });
            let decided = judge(&self.question.rule, &self.facts, self.question.at);
            self.place(score.value);
            if let Some((_, published)) = &self.question.published {
                let before = judge(published, &self.facts, self.question.at);
                match (before.is_granted(), decided.is_granted()) {
                    (false, true) => self.against.0 += 1,
                    (true, false) => self.against.1 += 1,
                    (true, true) if before.tier != decided.tier => self.against.2 += 1,
                    (true, true) | (false, false) => {}
                }
            }
            self.settle(decided);
        }
    }

    fn settle(&mut self, decided: Decided) {
        self.total += 1;
        let [granted, denied, referred] = &mut self.decisions;
        match decided.decision {
            Decision::Granted => *granted += 1,
            Decision::Denied => *denied += 1,
            Decision::Referred => *referred += 1,
        }
        if decided.score.as_ref().is_some_and(|score| !score.fresh) {
            self.stale += 1;
        }
        if decided.decision != Decision::Granted {
            if let Some(reason) = decided.reasons.first() {
                self.refused.entry(reason.code.as_str()).or_insert((reason.code, 0)).1 += 1;
            }
        } else if let Some(tier) = decided.tier {
            match self.tiers.get_mut(&tier) {
                Some(count) => *count += 1,
                None => drop(self.tiers.insert(tier, 1)),
            }
        }
    }

    /// Where a score lies, whatever is decided about it.
    fn place(&mut self, value: Decimal) {
        let Source { minimum, maximum, .. } = self.question.source;
        let bin = Scale { minimum, maximum, bins: self.bins.len() }.bin_of(value);
        if let Some(count) = self.bins.get_mut(bin) {
            *count += 1;
        }
        if self.thresholds.contains_key(&value) {
            *self.at.entry(value).or_default() += 1;
        } else if let Some((next, _)) = self.thresholds.range(value..).next() {
            *self.under.entry(*next).or_default() += 1;
        }
        if let Some((lowest, _)) = self.thresholds.first_key_value() {
            let away = value.minus(*lowest).thousandths();
            let near = Decimal::from_whole(NEAR).thousandths();
            if (-near..0).contains(&away) {
                self.near.0 += 1;
            } else if (0..=near).contains(&away) {
                self.near.1 += 1;
            }
        }
    }

    pub(super) fn finish(self) -> Everyone {
        let Question { perk, version, rule, published, source, at, mut warnings, .. } = self.question;
        if self.total == 0 {
            let detail = format!("Nobody has a score from `{}` yet, so there was nobody to count.", source.name);
            warnings.insert(0, Warning { code: "empty_population", detail });
        }
        let mut below = 0;
        let mut places = Vec::with_capacity(self.thresholds.len());
        for (value, tiers) in self.thresholds {
            below += self.under.get(&value).copied().unwrap_or_default();
            let here = self.at.get(&value).copied().unwrap_or_default();
            let above = self.total.saturating_sub(below + here);
            places.push(Threshold { value, tiers: tiers.into_iter().collect(), below, at: here, above });
            below += here;
        }
        let near = places.first().map(|lowest| Near {
            threshold: lowest.value,
            within: Decimal::from_whole(NEAR),
            below: self.near.0,
            above: self.near.1,
        });
        let tiers = rule.tiers().iter().map(|tier| TierCount {
            tier: tier.id.clone(),
            name: tier.name.clone(),
            subjects: self.tiers.get(&tier.id).copied().unwrap_or_default(),
        });
        let [granted, denied, referred] = self.decisions;
        let (newly_admitted, newly_refused, tier_changed) = self.against;
        Everyone {
            perk,
            version,
            rule_hash: rule.hash().to_owned(),
            at,
            source: source.name.clone(),
            total: self.total,
            granted,
            denied,
            referred,
            tiers: tiers.collect(),
            refused: self.refused.into_values().map(|(code, subjects)| ReasonCount { code, subjects }).collect(),
            stale: self.stale,
            scores: distribution(&source, &self.bins),
            thresholds: places,
            near,
            published: published.map(|(version, _)| Against { version, newly_admitted, newly_refused, tier_changed }),
            warnings,
        }
    }
}

fn distribution(source: &Source, counts: &[u64]) -> Distribution {
    let (minimum, maximum) = (source.minimum, source.maximum);
    let scale = Scale { minimum, maximum, bins: counts.len() };
    let bar = |(at, subjects): (usize, &u64)| Bin { from: scale.edge(at), to: scale.edge(at + 1), subjects: *subjects };
    Distribution { minimum, maximum, bins: counts.iter().enumerate().map(bar).collect() }
}

/// The scores that the rule's conditions compare with, and the tiers that do.
fn thresholds(rule: &Rule) -> BTreeMap<Decimal, BTreeSet<String>> {
    let mut found: BTreeMap<Decimal, BTreeSet<String>> = BTreeMap::new();
    let mut look = |condition: Option<&Condition>, tier: Option<&str>| {
        let Some(condition) = condition else { return };
        condition.each_leaf(&mut |leaf| {
            for value in compared_with(leaf) {
                found.entry(value).or_default().extend(tier.map(str::to_owned));
            }
        });
    };
    look(rule.when(), None);
    rule.tiers().iter().for_each(|tier| look(tier.when.as_ref(), Some(&tier.id)));
    found
}

fn compared_with(leaf: &Leaf) -> Vec<Decimal> {
    if leaf.attribute != Attribute::Score {
        return Vec::new();
    }
    let number = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => Some(*number),
        Scalar::Text(_) | Scalar::Bool(_) => None,
    };
    match &leaf.test {
        Test::Compares(_, bound) => vec![*bound],
        Test::Between(low, high) => vec![*low, *high],
        Test::Equals(value) | Test::Differs(value) => number(value).into_iter().collect(),
        Test::OneOf(values) | Test::NoneOf(values) => values.iter().filter_map(number).collect(),
        // Against an attribute there is no one threshold: it is another for each visit.
        Test::Exists | Test::Contains(_) | Test::StartsWith(_) | Test::Against(..) | Test::Within(_) => Vec::new(),
    }
}

/// The warnings of what makes the numbers other than they seem.
fn warnings(rule: &Rule, context: &Context, at: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail: String| warnings.push(Warning { code, detail });
    match rule.availability(at) {
        Availability::Open => {}
        Availability::NotYetValid { .. } => warn("not_yet_valid", format!("The rule does not hold yet at {at}.")),
        Availability::NoLongerValid => warn("no_longer_valid", format!("The rule does not hold any more at {at}.")),
        Availability::Blackout { id, until } => {
            let detail =
                format!("The blackout `{id}` is in force at {at}, until {until}: take an instant outside of it.");
            warn("blackout", detail);
        }
        Availability::Closed { .. } => {
            warn("outside_schedule", format!("The perk is closed at {at}: take an instant when it is open."));
        }
    }
    let mut looked_at = BTreeSet::new();
    let conditions = rule.when().into_iter().chain(rule.tiers().iter().filter_map(|tier| tier.when.as_ref()));
    conditions.for_each(|condition| condition.attributes(&mut looked_at));
    let shows_pass = looked_at.iter().any(|attribute| matches!(attribute, Attribute::BoardingPass(_)));
    let unknown = [
        (looked_at.contains(&Attribute::Network), "network_unknown", "Scores have no names here, so `subject.network`"),
        (shows_pass, "boarding_pass_unknown", "Nobody shows a boarding pass here, so what the rule asks of one"),
        (
            rule.looks_at_occupancy() && !context.knows_occupancy(),
            "occupancy_unknown",
            "Nobody counts who is inside here, so how full it is",
        ),
    ];
    for (_, code, what) in unknown.into_iter().filter(|(is_unknown, ..)| *is_unknown) {
        warn(code, format!("{what} is missing for everyone here."));
    }
    if !rule.limits().is_empty() {
        warn("limits_not_applied", "Limits are not applied: everyone is counted as if they came first.".to_owned());
    }
    warnings.extend(attributes_unknown(rule, context.person()));
    warnings.extend(party_never_fits(rule, context.party()));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn tally(rule: &str, published: Option<&str>, source: Source, scores: &[&str]) -> Everyone {
        let parse = |text: &str| Arc::new(Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap());
        let at = "2012-05-08T19:00:00Z".parse().unwrap();
        let mut tally = Tally::new(Question {
            id: PerkId::new(at, &crate::foundation::entropy::Entropy::seeded(1)),
            perk: "sfo-lounge".parse().unwrap(),
            version: None,
            rule: parse(rule),
            published: published.map(|rule| (1, parse(rule))),
            source,
            context: Context::default(),
            at,
            warnings: Vec::new(),
        });
        tally.count(
            scores.iter().map(|value| (SubjectRef([0; 32]), Score { value: value.parse().unwrap(), observed_at: at })),
        );
        tally.finish()
    }

    const TWO: &str = r#"{"score":{"source":"klout"},"tiers":[
        {"id":"first","rank":2,"when":{"attr":"score","op":"gte","value":60}},
        {"id":"main","rank":1,"when":{"attr":"score","op":"gte","value":40}}]}"#;

    #[test]
    fn everyone_is_counted_once_and_placed_at_every_threshold() {
        let scores = ["0", "36.999", "37", "39.999", "40", "43", "43.001", "60", "100"];
        let got = tally(TWO, Some(r#"{"at_least":43.001,"score":"klout"}"#), Source::klout(), &scores);
        assert_eq!((got.total, got.granted, got.denied, got.referred), (9, 5, 4, 0));
        assert_eq!(got.tiers.iter().map(|tier| tier.subjects).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(got.refused, [ReasonCount { code: ReasonCode::ScoreBelowThreshold, subjects: 4 }]);
        let places: Vec<_> = got.thresholds.iter().map(|it| (it.below, it.at, it.above)).collect();
        assert_eq!(places, [(4, 1, 4), (7, 1, 1)]);
        assert_eq!(got.thresholds[0].tiers, ["main"]);
        let near = got.near.unwrap();
        assert_eq!((near.threshold, near.below, near.above), (Decimal::from_whole(40), 2, 2));
        // 40 and 43 are new; all who had it keep it, and only their tiers' names differ.
        assert_eq!(got.published, Some(Against { version: 1, newly_admitted: 2, newly_refused: 0, tier_changed: 3 }));
        assert!(got.warnings.is_empty());
    }

    #[test]
    fn what_makes_the_numbers_odd_is_said() {
        let got = tally(TWO, None, Source::klout(), &[]);
        assert_eq!((got.total, got.warnings[0].code), (0, "empty_population"));
        let odd = r#"{"score":{"source":"klout"},"valid":{"from":"2030-01-01T00:00"},
            "tiers":[{"id":"t","when":{"all":[{"attr":"score","op":"gte","value":40},
                {"attr":"subject.network","op":"eq","value":"twitter"}]}}],
            "limits":[{"id":"d","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;
        let got = tally(odd, None, Source::klout(), &["50"]);
        let codes: Vec<_> = got.warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["not_yet_valid", "network_unknown", "limits_not_applied"]);
        assert_eq!(got.refused[0].code, ReasonCode::NotYetValid);
    }
}
