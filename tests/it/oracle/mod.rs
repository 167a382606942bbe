//! `decide` held against a second evaluator that was written from the design, on random rules and facts.

pub(crate) mod backtest;
mod forecast;
pub(crate) mod generate;
mod naive;
mod recount;
mod then;
mod trace;

use jiff::Timestamp;
use perkgate::decision::decide::decide;
use perkgate::decision::decided::Decided;
use perkgate::decision::facts::{Context, Facts, ScoreFact};
use perkgate::decision::reason::ReasonCode;
use perkgate::foundation::decimal::Decimal;
use perkgate::foundation::json::Json;
use perkgate::foundation::period::Period;
use perkgate::rules::rule::Rule;
use perkgate::rules::tier::party::Party;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use naive::{Answer, World};

fn parse(text: &str) -> (Json, Rule) {
    let json = Json::parse(text).unwrap();
    let rule = Rule::parse(&json, "lounge").unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
    (json, rule)
}

fn facts(world: &World) -> Facts {
    Facts {
        score: world
            .score
            .map(|(value, observed_at)| ScoreFact { value: Decimal::from_thousandths(value), observed_at }),
        network: world.network.clone(),
        context: Context::stored(&Json::Object(world.context.clone())).unwrap().with_party(party(world)),
        rollout_bucket: world.bucket,
        location: world.location.map(str::to_owned),
        closed_until: None,
    }
}

fn party(world: &World) -> Party {
    let said = world.context.iter().find(|(name, _)| name == "party").and_then(|(_, party)| party.as_whole());
    let size = said.map_or(1, i64::unsigned_abs);
    Party::recorded(size, world.children.clone()).unwrap()
}

fn answer_of(verdict: &Decided) -> Answer {
    let first = verdict.reasons.first();
    Answer {
        decision: verdict.decision.as_str(),
        tier: verdict.tier.clone(),
        max_wait: verdict.max_wait.map(Period::seconds),
        code: first.map(|reason| reason.code.as_str()),
        wanted: first.and_then(|reason| reason.wanted).map(Decimal::thousandths),
        short_by: first.and_then(|reason| reason.short_by).map(Decimal::thousandths),
        next: verdict.next_eligible_at,
        guests: verdict.guests.map(|it| [it.free, it.charged, it.uncounted, it.refused].map(u64::cast_signed)),
    }
}

fn case(rule: impl Strategy<Value = String>) -> impl Strategy<Value = (String, World, Timestamp)> {
    (rule, generate::instant()).prop_flat_map(|(rule, now)| (Just(rule), generate::world(now), Just(now)))
}

/// Puts `with` in the place of the `at`-th value below `json`, counted depth first.
fn replaced(json: &Json, at: &mut usize, with: &Json) -> Json {
    if *at == 0 {
        *at = usize::MAX;
        return with.clone();
    }
    *at -= 1;
    match json {
        Json::List(items) => Json::List(items.iter().map(|item| replaced(item, at, with)).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), replaced(value, at, with))).collect())
        }
        other => other.clone(),
    }
}

/// Without this the properties could hold of nothing but refusals.
#[test]
fn the_random_cases_reach_every_outcome() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = case(generate::rule());
    let mut seen = std::collections::BTreeMap::<_, usize>::new();
    for _ in 0..20_000 {
        let (text, world, now) = cases.new_tree(&mut runner).unwrap().current();
        let verdict = decide(&parse(&text).1, &facts(&world), now);
        let code = verdict.reasons.first().map_or("nothing", |reason| reason.code.as_str());
        *seen.entry((verdict.decision.as_str(), code, verdict.next_eligible_at.is_some())).or_default() += 1;
    }
    for outcome in [
        ("granted", "score_met", false),
        ("granted", "nothing", false),
        ("granted", "score_missing", false),
        ("granted", "score_stale", false),
        ("denied", "score_below_threshold", false),
        ("denied", "score_missing", false),
        ("denied", "score_stale", false),
        ("denied", "attribute_missing", false),
        ("denied", "attribute_mistyped", false),
        ("denied", "attribute_stale", false),
        ("denied", "condition_not_met", false),
        ("denied", "pass_date", false),
        ("denied", "guests_exceeded", false),
        ("denied", "outside_schedule", false),
        ("denied", "outside_schedule", true),
        ("denied", "blackout", false),
        ("denied", "blackout", true),
        ("denied", "too_early", false),
        ("denied", "too_early", true),
        ("denied", "too_late", false),
        ("denied", "not_yet_valid", false),
        ("denied", "not_yet_valid", true),
        ("denied", "no_longer_valid", false),
        ("denied", "not_in_rollout", false),
        ("referred", "too_early", false),
        ("referred", "guests_exceeded", false),
        ("referred", "score_below_threshold", false),
        ("referred", "score_missing", false),
        ("referred", "score_stale", false),
        ("referred", "attribute_missing", false),
        ("referred", "attribute_mistyped", false),
        ("referred", "condition_not_met", false),
    ] {
        assert!(seen.get(&outcome).is_some_and(|times| *times >= 3), "{outcome:?} in {seen:?}");
    }
}

/// Turns the order of every `all`, `any` and of the tiers around.
fn reversed(json: &Json) -> Json {
    match json {
        Json::List(items) => Json::List(items.iter().rev().map(reversed).collect()),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| {
                    // The ends of a `between` have an order that means something.
                    let value = if name == "values" { value.clone() } else { reversed(value) };
                    (name.clone(), value)
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decide_agrees_with_the_oracle((text, world, now) in case(generate::rule())) {
        let (json, rule) = parse(&text);
        let verdict = decide(&rule, &facts(&world), now);
        prop_assert_eq!(answer_of(&verdict), naive::answer(&json, &world, now));
    }

    #[test]
    fn hours_agree_with_the_oracle(cases in prop::collection::vec(case(generate::timed_rule()), 8)) {
        for (text, world, now) in cases {
            let (json, rule) = parse(&text);
            let verdict = decide(&rule, &facts(&world), now);
            prop_assert_eq!(answer_of(&verdict), naive::answer(&json, &world, now), "{} at {}", text, now);
        }
    }

    #[test]
    fn decide_does_not_depend_on_the_order_of_members((text, world, now) in case(generate::rule())) {
        let (json, rule) = parse(&text);
        let turned = Rule::parse(&reversed(&json), "lounge").unwrap();
        prop_assert_eq!(decide(&rule, &facts(&world), now), decide(&turned, &facts(&world), now));
    }

    #[test]
    fn a_higher_score_never_loses_a_tier(
        (text, world, now) in case(generate::rising_rule()),
        more in generate::score(),
    ) {
        let (_, rule) = parse(&text);
        let rank = |world: &World| {
            let verdict = decide(&rule, &facts(world), now);
            verdict.tier.and_then(|id| rule.tier(&id).map(|tier| tier.rank))
        };
        let higher = World { score: world.score.map(|(score, at)| (score + more, at)), ..world.clone() };
        prop_assert!(rank(&higher) >= rank(&world));
    }

    #[test]
    fn a_larger_rollout_takes_the_perk_from_nobody(
        (text, world, now) in case(generate::rule()),
        (less, more) in (0..=100_u8, 0..=100_u8).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ) {
        let at_share = |percent: u8| {
            let Json::Object(mut members) = parse(&text).0 else { unreachable!() };
            if members.iter().all(|(name, _)| name != "at_least") {
                members.retain(|(name, _)| name != "rollout");
                members.push(("rollout".into(), Json::parse(&format!(r#"{{"percent":{percent}}}"#)).unwrap()));
            }
            decide(&Rule::parse(&Json::Object(members), "lounge").unwrap(), &facts(&world), now)
        };
        let (before, after) = (at_share(less), at_share(more));
        if before.is_granted() {
            prop_assert_eq!(before, after);
        } else if after.reasons.first().is_some_and(|reason| reason.code == ReasonCode::NotInRollout) {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn referring_changes_the_decision_and_nothing_else((text, world, now) in case(generate::rule())) {
        let otherwise = |word: &str| {
            let Json::Object(mut members) = parse(&text).0 else { unreachable!() };
            members.retain(|(name, _)| name != "otherwise");
            if members.iter().all(|(name, _)| name != "at_least") {
                members.push(("otherwise".into(), Json::text(word)));
            }
            decide(&Rule::parse(&Json::Object(members), "lounge").unwrap(), &facts(&world), now)
        };
        let (denied, referred) = (otherwise("deny"), otherwise("refer"));
        prop_assert_eq!(&denied, &Decided { decision: denied.decision, ..referred.clone() });
        prop_assert_eq!(denied.is_granted(), referred.is_granted());
    }

    #[test]
    fn closing_the_gap_that_is_told_is_enough((text, world, now) in case(generate::rule())) {
        let (_, rule) = parse(&text);
        let verdict = decide(&rule, &facts(&world), now);
        let gap = verdict.reasons.first().and_then(|reason| reason.short_by.map(|gap| (gap, reason.tier.clone())));
        if let Some((gap, tier)) = gap {
            let closed = World { score: world.score.map(|(score, at)| (score + gap.thousandths(), at)), ..world };
            let then = decide(&rule, &facts(&closed), now);
            prop_assert!(then.is_granted());
            prop_assert_eq!(then.tier, tier);
        }
    }

    #[test]
    fn waiting_is_enough_where_it_is_promised((text, world, now) in case(generate::rule())) {
        let (_, rule) = parse(&text);
        let facts = facts(&world);
        if let Some(next) = decide(&rule, &facts, now).next_eligible_at {
            prop_assert!(next > now);
            prop_assert!(decide(&rule, &facts, next).is_granted());
        }
    }

    #[test]
    fn the_canonical_form_decides_alike((text, world, now) in case(generate::rule())) {
        let (_, rule) = parse(&text);
        let (_, again) = parse(rule.canonical());
        prop_assert_eq!(again.canonical(), rule.canonical());
        prop_assert_eq!(again.hash(), rule.hash());
        prop_assert_eq!(decide(&again, &facts(&world), now), decide(&rule, &facts(&world), now));
    }

    #[test]
    fn decide_is_total(
        (text, world, _) in case(generate::rule()),
        second in any::<i64>(),
        score in any::<i64>(),
    ) {
        let (_, rule) = parse(&text);
        let now = Timestamp::from_second(second % 253_402_207_200).unwrap();
        let mut facts = facts(&world);
        for value in [score, i64::MIN, i64::MAX] {
            facts.score = facts.score.map(|known| ScoreFact { value: Decimal::from_thousandths(value), ..known });
            for now in [now, Timestamp::MIN, Timestamp::MAX] {
                let verdict = decide(&rule, &facts, now);
                prop_assert!(verdict.is_granted() == verdict.tier.is_some());
                prop_assert!(verdict.is_granted() || !verdict.reasons.is_empty());
                prop_assert!(verdict.is_granted() || verdict.max_wait.is_none());
            }
        }
    }

    #[test]
    fn a_document_with_anything_anywhere_is_read_or_refused(
        (text, world, now) in case(generate::rule()),
        at in 0..120_usize,
        with in proptest::sample::select(vec!["null", "[]", "{}", "0", "-1", "\"\"", "\"A\"", "true", "[[1]]",
            "{\"not\":{}}", "{\"all\":[{}]}", "1000000000000", "\"9999-12-31T23:59\"", "\"0000-01-01T00:00\"", "\"24:00\""]),
    ) {
        let document = replaced(&Json::parse(&text).unwrap(), &mut { at }, &Json::parse(with).unwrap());
        match Rule::parse(&document, "lounge") {
            Ok(rule) => {
                let again = Rule::parse(&Json::parse(rule.canonical()).unwrap(), "lounge");
                prop_assert_eq!(again.as_ref(), Ok(&rule));
                let _ = decide(&rule, &facts(&world), now);
            }
            Err(issues) => prop_assert!(!issues.is_empty()),
        }
    }
}
