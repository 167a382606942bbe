//! Simulations of the past held against what was said at that very instant: random rules, guests who
//! come and leave, mistakes that are taken back, and rules that changed since.

use jiff::Timestamp;
use perkgate::access::{Merchant, Role};
use perkgate::decimal::Decimal;
use perkgate::eligibility::chosen::Choice;
use perkgate::eligibility::decide::Decision;
use perkgate::eligibility::facts::Context;
use perkgate::eligibility::reason::{Reason, ReasonCode};
use perkgate::eligibility::simulator::{Simulated, Trial};
use perkgate::json::Json;
use perkgate::perks::period::Period;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::backtest::{
    Crowd, Pending, SINGLES, SUBJECTS, SUMS, check_at_once, crowd, draw, full_house, handle, limited_rule, live_on,
    publish,
};
use super::generate;
use super::recount::History;
use crate::support::world::{CLI, World, question};

/// A question that was asked live, and what was said.
struct Remembered {
    trial: Trial,
    said: Said,
}

/// What must be the same. A stranger has another pseudonym at each question, so scopes are left out.
#[derive(Debug, PartialEq)]
struct Said {
    decision: Decision,
    tier: Option<String>,
    reasons: Vec<Reason>,
    limits: Vec<(String, String, [u64; 3], Option<Timestamp>)>,
    next_eligible_at: Option<Timestamp>,
    max_wait: Option<Period>,
}

impl From<Simulated> for Said {
    fn from(simulated: Simulated) -> Self {
        let limits = simulated.limits.into_iter();
        let limits = limits.map(|it| (it.id, it.window, [it.cost, it.max, it.used], it.resets_at)).collect();
        let Simulated { decision, tier, reasons, next_eligible_at, max_wait, .. } = simulated;
        Self { decision, tier, reasons, limits, next_eligible_at, max_wait }
    }
}

async fn ask(world: &World, merchant: &Merchant, trial: &Trial) -> Simulated {
    world.gateway.simulator.simulate(merchant, &CLI, trial.clone()).await.unwrap()
}

/// Somebody with something in their hands, at a kiosk.
fn trial(world: &World, crowd: &Crowd, history: &History, runner: &mut TestRunner) -> Trial {
    let facts = draw(runner, generate::world(world.now()));
    // One that is given: of their own only the newest is kept.
    let (value, observed_at) = facts.score.unwrap_or_else(|| (draw(runner, generate::score()), world.now()));
    let place = crowd.kiosks[draw(runner, 0..crowd.kiosks.len())].1;
    Trial {
        perk: history.perk.parse().unwrap(),
        choice: Choice::Version(i32::try_from(history.rules.len()).unwrap()),
        subject: Some(handle(draw(runner, 0..SUBJECTS)).parse().unwrap()),
        score: Some((Decimal::from_thousandths(value.min(100_000)), Some(observed_at))),
        network: None,
        context: Context::parse(&Json::Object(facts.context)).unwrap(),
        at: Some(world.now()),
        location: place.map(|(location, _)| location.to_owned()),
        kiosk: place.map(|(_, kiosk)| kiosk.to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_of_an_instant_that_is_past_as_they_were_told_then() {
    for world in World::all().await {
        let mut runner = TestRunner::deterministic();
        world.clock.set("2026-03-07T12:00:00Z".parse().unwrap());
        let merchant = world.merchant("cathay").await;
        let mut crowd = crowd(&world, &merchant).await;
        let all = [&SUMS[..], &SINGLES[..]].concat();
        // Limits of both have the same ids: where a scope is the merchant's, they share counters.
        let rules = [full_house(all).boxed(), limited_rule().boxed(), full_house(SINGLES.to_vec()).boxed()];
        let mut perks: Vec<(History, Vec<Pending>)> = (0..rules.len())
            .map(|nth| (History { perk: format!("perk-{nth}"), rules: Vec::new(), checks: Vec::new() }, Vec::new()))
            .collect();
        let mut remembered: Vec<Remembered> = Vec::new();
        for round in 0..9 {
            for ((history, pending), rules) in perks.iter_mut().zip(&rules) {
                if round % 3 == 0 {
                    let rule = publish(&world, &merchant, &history.perk, rules, &mut runner, round == 0).await;
                    history.rules.push(rule);
                }
                world.pass(draw(&mut runner, 60..8_000_i64));
                pending.extend(check_at_once(&world, &merchant, &mut crowd, history, &mut runner).await);
                for _ in 0..2 {
                    live_on(&world, &merchant, &crowd, history, pending, &mut runner).await;
                    world.pass(1);
                    for _ in 0..4 {
                        let trial = trial(&world, &crowd, history, &mut runner);
                        let said = ask(&world, &merchant, &trial).await.into();
                        remembered.push(Remembered { trial, said });
                    }
                }
            }
        }
        world.pass(60);
        let (mut granted, mut refused) = (0, 0);
        for Remembered { trial, said } in &remembered {
            let again = ask(&world, &merchant, trial).await;
            let is_about_limits = |code: &str| code.starts_with("limits_");
            assert!(!again.warnings.iter().any(|it| is_about_limits(it.code)), "{:?}", again.warnings);
            assert_eq!(Said::from(again), *said, "{trial:?}");
            granted += usize::from(said.decision == Decision::Granted && !said.limits.is_empty());
            refused += usize::from(said.reasons.iter().any(|reason| reason.code == ReasonCode::LimitReached));
        }
        assert!(granted > 20 && refused > 20, "{granted} granted, {refused} refused: this would show nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_whose_uses_are_pruned_is_left_out_and_named() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        let day = r#"{"id":"day","scope":["subject"],"max":1,"window":{"calendar":"day"}}"#;
        world.perk(&merchant, "lounge", &format!(r#"{{"tiers":[{{"id":"in"}}],"limits":[{day}]}}"#)).await;
        assert_eq!(
            world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap().decision,
            Decision::Granted
        );
        let (used, hour) = (world.now(), jiff::SignedDuration::from_hours(1));
        let rule = format!(
            r#"{{"tiers":[{{"id":"in"}}],"limits":[{day},
            {{"id":"ever","scope":["subject"],"max":2,"window":{{"lifetime":true}}}}]}}"#
        );
        let asked = async |at: Timestamp| {
            let trial = Trial {
                perk: "lounge".parse().unwrap(),
                choice: Choice::Rule(Json::parse(&rule).unwrap()),
                subject: Some("twitter:ada".parse().unwrap()),
                score: None,
                network: None,
                context: Context::default(),
                at: Some(at),
                location: None,
                kiosk: None,
            };
            let told = ask(&world, &merchant, &trial).await;
            let limits: Vec<_> = told.limits.iter().map(|it| (it.id.clone(), it.used)).collect();
            (told.decision, limits, told.warnings)
        };
        let both = |day, ever| vec![("day".to_owned(), day), ("ever".to_owned(), ever)];
        world.pass(40 * 24 * 3600);
        assert_eq!(asked(used).await, (Decision::Granted, both(1, 1), vec![]), "just before it was used");
        assert_eq!(asked(used + hour).await, (Decision::Denied, both(1, 0), vec![]));
        let plan = world.gateway.ledger.plan_pruning(&merchant.id, used + 24 * hour, |_, _| ()).await.unwrap();
        assert_eq!(world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 1);
        let (decision, limits, warnings) = asked(used + hour).await;
        assert_eq!((decision, limits), (Decision::Granted, vec![("ever".to_owned(), 1)]));
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert_eq!(warning.code, "limits_not_known");
        assert_eq!(
            warning.detail,
            "What had been used of `day` by 2012-05-08T20:00:00Z can't be told any more: the bodies of checks that \
             counted were pruned from the log. This is what is decided without."
        );
        assert_eq!(asked(used).await, (Decision::Granted, both(1, 1), vec![]), "what is gone came later");
        assert_eq!(asked(used + 72 * hour).await, (Decision::Granted, both(1, 1), vec![]), "the day is long over");
    }
}
