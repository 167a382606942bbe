//! The thresholds of a rule that a picture can show as handles, and a rule with other ones.

use serde::Serialize;

use crate::foundation::decimal::Decimal;
use crate::foundation::json::Json;
use crate::rules::attribute::Attribute;
use crate::rules::condition::Condition;
use crate::rules::leaf::{Comparison, Leaf, Test};
use crate::rules::rule::Rule;

/// The threshold of one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handle {
    pub tier: String,
    pub name: String,
    /// The least score that is enough, as far as the score decides.
    pub at_least: Decimal,
    /// True if the score is not all that the tier asks for.
    pub asks_more: bool,
    /// True if the bound stands in the tier's own condition, so that it can be moved for this tier alone.
    pub is_own: bool,
    /// The least score that the rule asks of every tier: a lower threshold lets nobody else in.
    pub floor: Option<Decimal>,
}

/// The handles of a rule, lowest rank first. A tier has one where its condition, together with the rule's own, holds the
/// score to exactly one lower bound; where it says more than one thing of the score (either–or, exceptions, upper bounds)
/// no single handle would be true.
pub(super) fn handles(rule: &Rule) -> Vec<Handle> {
    let of_rule = rule.when().map(bounds);
    let mut tiers: Vec<_> = rule.tiers().iter().collect();
    tiers.sort_by_key(|tier| tier.rank);
    let handle = |tier: &&crate::rules::tier::Tier| {
        let of_tier = tier.when.as_ref().map(bounds);
        let parts = [of_rule, of_tier];
        let mut parts = parts.iter().flatten();
        let both = parts.try_fold(Bounds::default(), |all, part| Some(all.and((*part)?)));
        let Bounds { at_least, asks_more, .. } = both?;
        let is_own = of_tier.flatten().is_some_and(|own| own.count == 1 && own.at_least == at_least);
        let floor = of_rule.flatten().and_then(|own| own.at_least);
        Some(Handle { tier: tier.id.clone(), name: tier.name.clone(), at_least: at_least?, asks_more, is_own, floor })
    };
    tiers.iter().filter_map(handle).collect()
}

/// The rule, in its canonical form, with another threshold for some tiers; none where one of them has no lower bound of
/// its own in just one place.
#[must_use]
pub fn with_thresholds(rule: &Json, moved: &[(String, Decimal)]) -> Option<Json> {
    let mut rule = rule.clone();
    for (tier, at_least) in moved {
        let tiers = member_mut(&mut rule, "tiers")?;
        let Json::List(tiers) = tiers else { return None };
        let tier = tiers.iter_mut().find(|it| it.member("id").and_then(Json::as_text) == Some(tier))?;
        (replace_bound(member_mut(tier, "when")?, *at_least) == 1).then_some(())?;
    }
    Some(rule)
}

/// Replaces the lower bounds of the score that the condition asks for in any case, and returns their number.
fn replace_bound(condition: &mut Json, at_least: Decimal) -> usize {
    if let Some(Json::List(members)) = member_mut(condition, "all") {
        return members.iter_mut().map(|member| replace_bound(member, at_least)).sum();
    }
    let says = |name: &str| condition.member(name).and_then(Json::as_text).map(str::to_owned);
    if says("attr").as_deref() != Some("score") || says("op").as_deref() != Some("gte") {
        return 0;
    }
    let Some(value) = member_mut(condition, "value") else { return 0 };
    *value = Json::Number(at_least);
    1
}

fn member_mut<'a>(object: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    match object {
        Json::Object(members) => members.iter_mut().find(|(it, _)| it == name).map(|(_, value)| value),
        _ => None,
    }
}

/// The part of a condition that is about the score.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    at_least: Option<Decimal>,
    /// Number of the bounds, of which the highest decides.
    count: usize,
    asks_more: bool,
}

impl Bounds {
    fn and(self, other: Self) -> Self {
        // Both hold: the higher one decides.
        let at_least = self.at_least.max(other.at_least);
        let (count, asks_more) = (self.count + other.count, self.asks_more || other.asks_more);
        Self { at_least, count, asks_more }
    }
}

/// None where the score decides by more than one lower bound.
fn bounds(condition: &Condition) -> Option<Bounds> {
    match condition {
        Condition::Leaf(Leaf { attribute: Attribute::Score, test: Test::Compares(Comparison::Gte, at_least) }) => {
            Some(Bounds { at_least: Some(*at_least), count: 1, asks_more: false })
        }
        Condition::All(members) => {
            members.iter().try_fold(Bounds::default(), |all, member| Some(all.and(bounds(member)?)))
        }
        other => (!mentions_score(other)).then_some(Bounds { at_least: None, count: 0, asks_more: true }),
    }
}

fn mentions_score(condition: &Condition) -> bool {
    let mut found = false;
    condition.each_leaf(&mut |leaf| {
        found |= leaf.attribute == Attribute::Score || leaf.test.other() == Some(&Attribute::Score);
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: &str) -> Vec<(String, String, bool)> {
        let rule = Rule::parse(&Json::parse(rule).unwrap(), "lounge").unwrap();
        handles(&rule).into_iter().map(|it| (it.tier, it.at_least.to_string(), it.asks_more)).collect()
    }

    #[test]
    fn a_tier_has_a_handle_where_one_lower_bound_decides() {
        assert_eq!(of(r#"{"at_least":40,"score":"klout"}"#), [("standard".into(), "40".into(), false)]);
        let two = r#"{"score":{"source":"klout"},"when":{"attr":"score","op":"gte","value":30},"tiers":[
            {"id":"first","rank":2,"when":{"all":[{"attr":"score","op":"gte","value":60},
                {"attr":"context.cabin","op":"eq","value":"first"}]}},
            {"id":"main","rank":1,"when":{"attr":"score","op":"gte","value":20}}]}"#;
        // The rule's own bound is the higher one for the main tier.
        assert_eq!(of(two), [("main".into(), "30".into(), false), ("first".into(), "60".into(), true)]);
    }

    #[test]
    fn a_moved_threshold_stands_where_the_old_one_stood() {
        let text = r#"{"score":{"source":"klout"},"when":{"attr":"score","op":"gte","value":30},"tiers":[
            {"id":"first","rank":2,"when":{"all":[{"attr":"score","op":"gte","value":60},
                {"attr":"context.cabin","op":"eq","value":"first"}]}},
            {"id":"main","rank":1,"when":{"attr":"context.cabin","op":"exists"}}]}"#;
        let parsed = Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap();
        let canonical = Json::parse(parsed.canonical()).unwrap();
        let first = [("first".to_owned(), "62.5".parse().unwrap())];
        let moved = with_thresholds(&canonical, &first).unwrap();
        let moved = Rule::parse(&moved, "lounge").unwrap();
        let expected = Rule::parse(&Json::parse(&text.replace("60", "62.5")).unwrap(), "lounge").unwrap();
        assert_eq!(moved.hash(), expected.hash());
        let floor = Some("30".parse().unwrap());
        assert_eq!(
            handles(&moved).iter().map(|it| (it.is_own, it.floor)).collect::<Vec<_>>(),
            [(false, floor), (true, floor)]
        );
        // The main tier's threshold is the rule's own.
        assert!(with_thresholds(&canonical, &[("main".to_owned(), "50".parse().unwrap())]).is_none());
        assert!(with_thresholds(&canonical, &[("none".to_owned(), "50".parse().unwrap())]).is_none());
    }

    #[test]
    fn a_tier_that_asks_for_two_bounds_is_not_moved_by_one() {
        let text = r#"{"score":{"source":"klout"},"tiers":[{"id":"main","when":{"all":[
            {"attr":"score","op":"gte","value":60},{"attr":"score","op":"gte","value":50}]}}]}"#;
        let rule = Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap();
        let handle = handles(&rule).remove(0);
        assert_eq!((handle.at_least.to_string().as_str(), handle.is_own), ("60", false));
    }

    #[test]
    fn a_tier_by_either_or_or_without_a_score_has_none() {
        let either = r#"{"score":{"source":"klout"},"tiers":[
            {"id":"gold","rank":3,"when":{"attr":"context.status","op":"eq","value":"gold"}},
            {"id":"either","rank":2,"when":{"any":[{"attr":"score","op":"gte","value":60},
                {"attr":"context.status","op":"eq","value":"silver"}]}},
            {"id":"between","rank":1,"when":{"attr":"score","op":"between","values":[10,20]}}]}"#;
        assert!(of(either).is_empty());
    }
}
