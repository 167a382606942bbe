//! Backtests held against the real record and against the naive evaluator: random rules, random checks,
//! limits counted by hand.

use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::decimal::Decimal;
use perkgate::eligibility::backtest::Backtest;
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::checker::Question;
use perkgate::eligibility::chosen::Choice;
use perkgate::eligibility::facts::Context;
use perkgate::eligibility::runs::Run;
use perkgate::json::Json;
use perkgate::perks::catalog::{NewVersion, PerkError};
use perkgate::scores::score::{PutOutcome, Score, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::naive::{self, World as Facts};
use super::{generate, parse};
use crate::support::world::{CLI, World, question};

/// How many checks are made at the same instant.
const AT_ONCE: usize = 40;
const SUBJECTS: usize = 30;

/// Limits of every kind of window and scope that there is, some with the party's size.
fn limits() -> impl Strategy<Value = String> {
    let scope = proptest::sample::subsequence(vec!["subject", "perk", "tier", "location", "kiosk", "merchant"], 1..=3);
    let window = proptest::sample::select(vec![
        r#"{"calendar":"hour"}"#,
        r#"{"calendar":"day"}"#,
        r#"{"calendar":"week"}"#,
        r#"{"calendar":"month"}"#,
        r#"{"lifetime":true}"#,
    ]);
    let limit = (scope, window, 1..60_u32, proptest::sample::select(vec!["1", "2", "\"party\""]));
    prop::collection::vec(limit, 0..4).prop_map(|limits| {
        let limits = limits.iter().enumerate().map(|(at, (scope, window, max, cost))| {
            format!(r#"{{"id":"l{at}","scope":{scope:?},"max":{},"cost":{cost},"window":{window}}}"#, max + 3)
        });
        limits.collect::<Vec<_>>().join(",")
    })
}

/// A rule with limits, which the short form can't have.
fn limited_rule() -> impl Strategy<Value = String> {
    (generate::rule(), limits()).prop_map(|(rule, limits)| match rule.strip_suffix('}') {
        Some(open) if rule.contains("\"tiers\"") => format!("{open},\"limits\":[{limits}]}}"),
        _ => rule,
    })
}

/// One check as it was made.
struct Made {
    index: u64,
    at: Timestamp,
    subject: String,
    place: Option<(&'static str, &'static str)>,
    facts: Facts,
    rule: usize,
    tier: Option<String>,
}

/// A perk, the rules that decided about it, and the checks that were made.
struct History {
    perk: String,
    rules: Vec<Json>,
    checks: Vec<Made>,
}

struct Crowd {
    /// What is known of each subject, as it was accepted.
    scores: HashMap<String, Score>,
    kiosks: Vec<(Principal, Option<(&'static str, &'static str)>)>,
}

async fn crowd(world: &World, merchant: &Merchant) -> Crowd {
    let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "k");
    let placed = NewKey { location: Some("SFO".to_owned()), kiosk: Some("A12".to_owned()), ..key.clone() };
    let kiosks =
        vec![(world.principal_with(placed).await, Some(("SFO", "A12"))), (world.principal_with(key).await, None)];
    Crowd { scores: HashMap::new(), kiosks }
}

fn handle(at: usize) -> String {
    match at % 3 {
        0 => format!("twitter:s{at}"),
        1 => format!("cx:s{at}"),
        _ => format!("s{at}"),
    }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// A rule that may be published, as a new perk or a new version of one.
async fn publish(world: &World, merchant: &Merchant, perk: &str, runner: &mut TestRunner, is_new: bool) -> Json {
    loop {
        let rule = Json::parse(&draw(runner, limited_rule())).unwrap();
        let version = NewVersion { rule: rule.clone(), publish: true, change_note: None };
        let catalog = &world.gateway.catalog;
        let slug = perk.parse().unwrap();
        let made = if is_new {
            catalog.create_perk(&merchant.id, CLI, slug, perk, version).await
        } else {
            catalog.create_version(&merchant.id, CLI, &slug, version).await
        };
        match made {
            Ok(_) => return rule,
            Err(PerkError::Rule(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn check_at_once(
    world: &World,
    merchant: &Merchant,
    crowd: &mut Crowd,
    history: &mut History,
    runner: &mut TestRunner,
) {
    for _ in 0..6 {
        let subject = handle(draw(runner, 0..SUBJECTS));
        let reference = world.gateway.keyring.subject_ref(&merchant.id, &subject.parse().unwrap());
        let (value, age) = (draw(runner, generate::score()).min(100_000), draw(runner, 0..700_000_i64));
        let score = Score::new(Decimal::from_thousandths(value), world.now() - SignedDuration::from_secs(age));
        let klout = Source::klout();
        let put = world.gateway.lookup.put(&merchant.id, &klout, reference, score, world.now());
        if put.await.unwrap() == PutOutcome::Accepted {
            crowd.scores.insert(subject, score);
        }
    }
    let at = world.now();
    let mut asked = Vec::new();
    for _ in 0..AT_ONCE {
        let subject = handle(draw(runner, 0..SUBJECTS));
        let kiosk = draw(runner, 0..crowd.kiosks.len());
        let drawn = draw(runner, generate::world(at));
        let score = crowd.scores.get(&subject).map(|score| (score.value.thousandths(), score.observed_at));
        let network = subject.split_once(':').map(|(network, _)| network.to_owned());
        let facts = Facts { score, network, context: drawn.context, bucket: None };
        let context = Context::parse(&Json::Object(facts.context.clone())).unwrap();
        let question = Question { context, ..question(&history.perk, &subject) };
        asked.push((subject, kiosk, facts, question));
    }
    let answers = asked.iter().map(|(_, kiosk, _, question)| world.check(&crowd.kiosks[*kiosk].0, question.clone()));
    let answers = join_all(answers).await;
    for ((subject, kiosk, facts, _), answer) in asked.into_iter().zip(answers) {
        let answer = answer.unwrap();
        history.checks.push(Made {
            index: answer.receipt.unwrap().index,
            at,
            subject,
            place: crowd.kiosks[kiosk].1,
            facts,
            rule: history.rules.len() - 1,
            tier: answer.tier,
        });
    }
}

/// Two versions of a perk, each with checks under it; the clock goes forward all the while.
async fn history(
    world: &World,
    merchant: &Merchant,
    crowd: &mut Crowd,
    perk: String,
    checks: usize,
    runner: &mut TestRunner,
) -> History {
    let mut history = History { perk, rules: Vec::new(), checks: Vec::new() };
    for version in 0..2 {
        let rule = publish(world, merchant, &history.perk, runner, version == 0).await;
        history.rules.push(rule);
        for _ in 0..checks.div_ceil(2 * AT_ONCE) {
            world.pass(draw(runner, 60..20_000_i64));
            check_at_once(world, merchant, crowd, &mut history, runner).await;
        }
    }
    world.pass(1);
    history.checks.sort_by_key(|check| check.index);
    history
}

async fn backtest(world: &World, merchant: &Merchant, perk: &str, choice: Choice, from: Timestamp) -> Backtest {
    let trial = PastTrial { perk: perk.parse().unwrap(), choice, from, to: None };
    let mut run = world.gateway.backtester.backtest(merchant, trial).await.unwrap();
    while run.step().await.unwrap().is_some() {}
    run.finish().unwrap()
}

/// A limit's counter, named in full, and what the check would use of it.
fn uses(rule: &Json, perk: &str, check: &Made, tier: &str) -> Vec<(String, u64, u64)> {
    let zone = rule.member("time_zone").and_then(Json::as_text).unwrap_or("UTC");
    let local = check.at.to_zoned(TimeZone::get(zone).unwrap());
    let limits = rule.member("limits").and_then(Json::as_list).unwrap_or_default();
    let party = check.facts.context.iter().find(|(name, _)| name == "party").and_then(|(_, party)| party.as_whole());
    let use_of = |limit: &Json| {
        let window = limit.member("window").unwrap();
        let window = match window.member("calendar").and_then(Json::as_text) {
            None => "lifetime".to_owned(),
            Some("hour") => format!("hour {} {} {}", local.date(), local.hour(), local.offset()),
            Some("day") => {
                let start = local.start_of_day().unwrap();
                format!("day {} {}", start.date(), start.offset())
            }
            Some("week") => {
                let back = i64::from(local.weekday().to_monday_zero_offset());
                let monday = local.date().checked_sub(jiff::Span::new().days(back)).unwrap();
                let start = monday.to_zoned(local.time_zone().clone()).unwrap();
                format!("week {monday} {}", start.offset())
            }
            Some(_) => {
                let start = local.first_of_month().unwrap().start_of_day().unwrap();
                format!("month {} {}", start.date(), start.offset())
            }
        };
        let mut scope: Vec<&str> =
            limit.member("scope").unwrap().as_list().unwrap().iter().filter_map(Json::as_text).collect();
        scope.sort_unstable();
        // Without the perk in the name, whose counters the merchant's other perks share.
        let shared = scope.contains(&"merchant") && !scope.contains(&"perk");
        let values: Vec<_> = scope
            .iter()
            .map(|part| match *part {
                "subject" => format!("subject {}", check.subject),
                "tier" => format!("tier {tier}"),
                "location" => format!("location {:?}", check.place.map(|place| place.0)),
                "kiosk" => format!("kiosk {:?}", check.place.map(|place| place.1)),
                other => other.to_owned(),
            })
            .collect();
        let perk = if shared { "" } else { perk };
        let id = limit.member("id").and_then(Json::as_text).unwrap();
        let cost = match limit.member("cost").unwrap() {
            Json::Text(_) => party.unwrap_or(1).unsigned_abs(),
            cost => cost.as_whole().unwrap().unsigned_abs(),
        };
        let max = limit.member("max").and_then(Json::as_whole).unwrap().unsigned_abs();
        (format!("{perk}|{id}|{}|{window}", values.join(",")), cost, max)
    };
    limits.iter().map(use_of).collect()
}

/// Newly admitted, newly refused, another tier, the same: by the naive evaluator, from `from` on.
fn expected(histories: &[History], replayed: &History, draft: &Json, from: Timestamp) -> [u64; 4] {
    let mut counters: HashMap<String, u64> = HashMap::new();
    let mut all: Vec<(&History, &Made)> =
        histories.iter().flat_map(|history| history.checks.iter().map(move |check| (history, check))).collect();
    all.sort_by_key(|(_, check)| check.index);
    let mut counts = [0; 4];
    for (history, check) in all {
        if history.perk != replayed.perk || check.at < from {
            // As it was.
            if let Some(tier) = &check.tier {
                for (key, cost, _) in uses(&history.rules[check.rule], &history.perk, check, tier) {
                    *counters.entry(key).or_default() += cost;
                }
            }
            continue;
        }
        let answer = naive::answer(draft, &check.facts, check.at);
        let tier = answer.tier.filter(|tier| {
            let wanted = uses(draft, &history.perk, check, tier);
            let before = |key: &String| counters.get(key).copied().unwrap_or_default();
            let admitted = wanted.iter().all(|(key, cost, max)| before(key) + cost <= *max);
            for (key, cost, _) in wanted.into_iter().filter(|_| admitted) {
                *counters.entry(key).or_default() += cost;
            }
            admitted
        });
        let kind = match (check.tier.as_ref(), tier.as_ref()) {
            (None, Some(_)) => 0,
            (Some(_), None) => 1,
            (Some(was), Some(now)) if was != now => 2,
            _ => 3,
        };
        counts[kind] += 1;
    }
    counts
}

fn counts(found: &Backtest) -> [u64; 4] {
    [found.newly_admitted, found.newly_refused, found.tier_changed, found.same]
}

/// A draft that looks only at what the checks were recorded with.
fn draft(runner: &mut TestRunner, history: &History) -> Option<Json> {
    let ran: Vec<_> = history.rules.iter().map(|rule| parse(&rule.canonical()).1).collect();
    (0..400).find_map(|_| {
        let text = draw(runner, limited_rule());
        let (json, rule) = parse(&text);
        let kept = ran.iter().all(|ran| {
            let named = rule.attributes().iter().all(|name| name == "party" || ran.attributes().contains(name));
            named && (ran.looks_at_score() || !rule.looks_at_score())
        });
        kept.then_some(json)
    })
}

async fn hold_to_the_record(perks: usize, checks_each: usize) {
    for world in World::all().await {
        let mut runner = TestRunner::deterministic();
        let merchant = world.merchant("cathay").await;
        let mut crowd = crowd(&world, &merchant).await;
        let (mut histories, mut drafts, mut changed) = (Vec::new(), 0, 0);
        for perk in 0..perks {
            let made = history(&world, &merchant, &mut crowd, format!("perk-{perk}"), checks_each, &mut runner);
            histories.push(made.await);
            let replayed = histories.last().unwrap();
            let (first, last) = (&replayed.checks[0], replayed.checks.last().unwrap());
            let middle = &replayed.checks[replayed.checks.len() / 2];
            let total = replayed.checks.len() as u64;
            // Each version reproduces the half that it decided, also where the other half would have gone
            // another way and left other counters behind.
            for version in [1, 2] {
                for from in [first.at, middle.at] {
                    let found = backtest(&world, &merchant, &replayed.perk, Choice::Version(version), from).await;
                    let ran = |check: &&Made| check.at >= from && check.rule + 1 == usize::try_from(version).unwrap();
                    let ran = replayed.checks.iter().filter(ran).count() as u64;
                    let again = &found.reproduction;
                    assert_eq!((again.mismatches, again.other_engine), (0, 0), "{found:#?}");
                    assert!(again.checks == ran || replayed.rules[0] == replayed.rules[1], "{found:#?}");
                    assert_eq!(found.not_replayed.erased + found.not_replayed.pruned, 0);
                }
            }
            let second = backtest(&world, &merchant, &replayed.perk, Choice::Version(2), middle.at).await;
            assert_eq!(counts(&second), [0, 0, 0, total / 2], "what ran all the period changes nothing");
            // Another rule comes to what the naive evaluator says.
            let Some(draft) = draft(&mut runner, replayed) else { continue };
            drafts += 1;
            for from in [first.at, middle.at, last.at] {
                let choice = Choice::Rule(draft.clone());
                let found = backtest(&world, &merchant, &replayed.perk, choice, from).await;
                assert_eq!(found.not_replayed, perkgate::eligibility::backtest::NotReplayed::default());
                let wanted = expected(&histories, replayed, &draft, from);
                assert_eq!(counts(&found), wanted, "{} from {from}", draft.canonical());
                changed += found.newly_admitted + found.newly_refused;
            }
        }
        assert!(drafts * 2 > perks && changed > 0, "{drafts} drafts, {changed} changes: this would show nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_reproduces_the_record_and_agrees_with_the_oracle() {
    hold_to_the_record(7, 320).await;
}

/// At the size that a year of a busy desk has: `cargo test --test it -- --ignored oracle`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_backtest_agrees_with_the_oracle_over_a_hundred_thousand_checks() {
    hold_to_the_record(20, 5_000).await;
}
