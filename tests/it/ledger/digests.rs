//! Limits that count by a boarding pass or a member of the context: exactly, on any replica, across months, and by digests
//! that name nobody and are lost with their month's secret.

use diesel::prelude::*;
use futures_util::future::join_all;
use jiff::Timestamp;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::Request;
use perkgate::database::schema::{limit_counters, month_secrets};
use perkgate::database::{AnyConnection, Database, DatabaseError};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::decision::person::PersonFacts;
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::eligibility::referral_decision::{ReferralDecision, ReferralDecisionError};
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run as _;
use perkgate::eligibility::trial::Trial;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::ledger::retention::erasure::Erasure;
use perkgate::ledger::retention::sweep::destroy_month_secrets;
use perkgate::perks::error::PerkError;
use perkgate::perks::perk::NewVersion;

use crate::support::world::{CLI, World, question};

const DAY: i64 = 24 * 3600;

/// Of day 129 of 2012, the day on which the tests begin.
const PASS: &str = "M1DESMARAIS/LUC       EABC123 SFOHKGCX 0873 129J001A0025 100";

fn rule(scope: &str, max: u32, window: &str) -> String {
    format!(r#"{{"tiers":[{{"id":"in"}}],"limits":[{{"id":"one","scope":{scope},"max":{max},"window":{window}}}]}}"#)
}

const PASS_ONCE: &str = r#"["boarding_pass"]"#;
const FOR_DAYS: &str = r#"{"rolling":"P9D"}"#;

fn with_pass(who: &str, pass: &str) -> Question {
    Question { boarding_pass: Some(pass.parse().unwrap()), ..question("lounge", who) }
}

fn with_context(who: &str, context: &str) -> Question {
    Question { context: Context::parse(&Json::parse(context).unwrap()).unwrap(), ..question("lounge", who) }
}

/// The decision, and the code and attribute of the first reason.
fn said(answer: &Answer) -> (Decision, Option<&str>, Option<&str>) {
    let reason = answer.decided.reasons.first();
    (answer.decided.decision, reason.map(|it| it.code.as_str()), reason.and_then(|it| it.attribute.as_deref()))
}

fn is_granted(answer: &Answer) -> bool {
    answer.decided.decision == Decision::Granted
}

async fn house(world: &World, rule: &str) -> (Merchant, Principal) {
    let cathay = world.merchant("cathay").await;
    world.perk(&cathay, "lounge", rule).await;
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    (cathay, kiosk)
}

async fn publish(world: &World, merchant: &Merchant, rule: &str) -> Result<(), PerkError> {
    let version = NewVersion { rule: Json::parse(rule).unwrap(), publish: true, change_note: None };
    let made = world.gateway.catalog.create_version(&merchant.id, CLI, &"lounge".parse().unwrap(), version).await;
    made.map(drop)
}

fn months(database: &Database) -> Vec<String> {
    let months = month_secrets::table.select(month_secrets::month).order(month_secrets::month);
    database.read_blocking(|conn| Ok::<_, DatabaseError>(months.load(conn)?)).unwrap()
}

fn scopes(database: &Database) -> Vec<String> {
    let scopes = limit_counters::table.select(limit_counters::scope_key).order(limit_counters::scope_key);
    database.read_blocking(|conn| Ok::<_, DatabaseError>(scopes.load(conn)?)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_is_one_visit_whoever_shows_it_and_wherever() {
    for world in World::all().await {
        let (cathay, kiosk) = house(&world, &rule(PASS_ONCE, 1, FOR_DAYS)).await;
        let replica = world.replica().await;
        let checkers = [&world.gateway.checker, &replica.checker];
        for round in 1..=6 {
            // The first round makes the month's secret, on both replicas at once.
            let pass = PASS.replace("0025", &format!("{round:03} "));
            let asks = (0..12).map(|nth| {
                let seat = format!("{nth:03}A");
                let asked = with_pass(&format!("twitter:p{nth}"), &pass.replace("001A", &seat));
                checkers[nth % 2].check(&kiosk, &cathay, asked)
            });
            let answers: Vec<Answer> = join_all(asks).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers.iter().filter(|answer| is_granted(answer)).count(), 1, "round {round}");
        }
        let database = world.database.open();
        assert_eq!(months(&database), ["2012-05"]);
        let scopes = scopes(&database);
        assert_eq!(scopes.len(), 6);
        assert!(scopes.iter().all(|scope| scope.len() == "/boarding_pass/".len() + 32), "{scopes:?}");
        let tally = world.tally(&cathay);
        assert_eq!((tally.granted, tally.denied), (6, 66));

        // Without a sequence number the passenger and the booking tell passes apart.
        let unnumbered = PASS.replace("0025 ", "     ");
        let ask = async |pass: &str| is_granted(&world.check(&kiosk, with_pass("twitter:x", pass)).await.unwrap());
        assert!(ask(&unnumbered).await && !ask(&unnumbered.replace("001A", "022K")).await);
        assert!(ask(&unnumbered.replace("ABC123", "ABC124")).await);
        assert!(ask(&unnumbered.replace("LUC", "LOU")).await);
        for (from, to) in [("0873", "0874"), ("SFO", "OAK"), ("HKG", "SIN"), ("129", "130"), ("CX ", "AA ")] {
            assert!(ask(&PASS.replace("0025", "0001").replace(from, to)).await, "{from}");
        }
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_counted_is_not_granted() {
    for world in World::all().await {
        let (cathay, kiosk) = house(&world, &rule(r#"["context.receipt"]"#, 1, r#"{"calendar":"day"}"#)).await;
        let ask = async |asked: Question| world.check(&kiosk, asked).await.unwrap();
        let denied = |code, attribute| (Decision::Denied, Some(code), Some(attribute));
        let answer = ask(question("lounge", "twitter:a")).await;
        assert_eq!(said(&answer), denied("attribute_missing", "context.receipt"));
        let answer = ask(with_context("twitter:a", r#"{"receipt":["7"]}"#)).await;
        assert_eq!(said(&answer), denied("attribute_mistyped", "context.receipt"));
        // A number, a text and a truth are three; the same value is one, whoever brings it.
        for value in ["1", "\"1\"", "true", "\"true\"", "1.5", "\"\""] {
            let context = format!(r#"{{"receipt":{value}}}"#);
            assert!(is_granted(&ask(with_context("twitter:a", &context)).await), "{value}");
            let again = ask(with_context("twitter:b", &context.replace("1.5", "1.500"))).await;
            assert_eq!(said(&again).1, Some("limit_reached"), "{value}");
        }
        publish(&world, &cathay, &rule(PASS_ONCE, 1, FOR_DAYS)).await.unwrap();
        assert_eq!(said(&ask(question("lounge", "twitter:a")).await), denied("attribute_missing", "boarding_pass"));
        let day = |day: &str| with_pass("twitter:a", &PASS.replace("129J", &format!("{day}J")));
        assert_eq!(said(&ask(day("132")).await), denied("pass_date", "boarding_pass"), "no leg counts");
        let of_sfo = perkgate::access::NewKey {
            airports: vec!["SFO".into()],
            ..perkgate::access::NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "sfo")
        };
        let at_sfo = world.principal_with(of_sfo).await;
        for (date, granted) in [("121", true), ("120", false), ("189", true), ("190", false), ("300", false)] {
            let answer = world.check(&at_sfo, day(date)).await.unwrap();
            assert_eq!(is_granted(&answer), granted, "{date}: {:?}", answer.decided.reasons);
        }
        assert_eq!(months(&world.database.open()), ["2012-04", "2012-05", "2012-07"], "none of what is never counted");
        for window in [r#"{"lifetime":true}"#, r#"{"rolling":"P32D"}"#, r#"{"concurrent":{"max_stay":"P32D"}}"#] {
            let refused = publish(&world, &cathay, &rule(PASS_ONCE, 1, window)).await.unwrap_err();
            let PerkError::Rule(errors) = refused else { panic!("{refused}") };
            assert_eq!((errors[0].path.as_str(), errors[0].code), ("/limits/0/window", "window_too_long"));
        }
        for (scope, window, pointer) in [
            (r#"["context.receipt"]"#, r#"{"rolling":"P28D"}"#, "/limits/0/window"),
            (r#"["context.party"]"#, r#"{"calendar":"day"}"#, "/limits/0/scope/0"),
            (r#"["context.Receipt"]"#, r#"{"calendar":"day"}"#, "/limits/0/scope/0"),
            (r#"["boarding_pass","boarding_pass"]"#, r#"{"calendar":"day"}"#, "/limits/0/scope/1"),
        ] {
            let refused = publish(&world, &cathay, &rule(scope, 1, window)).await.unwrap_err();
            let PerkError::Rule(errors) = refused else { panic!("{refused}") };
            assert_eq!(errors[0].path.as_str(), pointer);
        }
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_again_at_the_turn_of_a_month_but_a_month() {
    for world in World::all().await {
        let (cathay, kiosk) = house(&world, &rule(r#"["context.receipt"]"#, 1, r#"{"rolling":"P2D"}"#)).await;
        let ask = async || {
            let answer = world.check(&kiosk, with_context("twitter:a", r#"{"receipt":"r1"}"#)).await.unwrap();
            assert!(answer.decided.reasons.len() < 2 && answer.decided.limits.len() == 2);
            is_granted(&answer)
        };
        let at = |text: &str| world.clock.set(text.parse().unwrap());
        at("2012-05-31T23:00:00Z");
        assert!(ask().await && !ask().await);
        at("2012-06-01T01:00:00Z");
        assert!(!ask().await, "in the next month");
        at("2012-06-02T22:59:59Z");
        assert!(!ask().await);
        at("2012-06-02T23:00:00Z");
        assert!(ask().await, "two days later");
        // A longer window of a new version goes on with what the shorter one counted.
        publish(&world, &cathay, &rule(r#"["context.receipt"]"#, 1, r#"{"rolling":"P27D"}"#)).await.unwrap();
        at("2012-06-29T22:59:59Z");
        assert!(!ask().await);
        at("2012-06-29T23:00:00Z");
        assert!(ask().await);
        at("2012-07-26T22:00:00Z");
        assert!(!ask().await, "in the next month, at the end of a long window");

        // A week is one, whichever month it ends in; a month is its own.
        publish(&world, &cathay, &rule(r#"["context.receipt"]"#, 1, r#"{"calendar":"week"}"#)).await.unwrap();
        let ask =
            async || is_granted(&world.check(&kiosk, with_context("twitter:a", r#"{"receipt":"r2"}"#)).await.unwrap());
        at("2012-07-30T12:00:00Z");
        assert!(ask().await);
        at("2012-08-02T12:00:00Z");
        assert!(!ask().await);
        at("2012-08-06T00:00:00Z");
        assert!(ask().await, "on Monday");

        // A pass of the last evening is the same pass after midnight.
        publish(&world, &cathay, &rule(PASS_ONCE, 1, FOR_DAYS)).await.unwrap();
        let pass = PASS.replace("129J", "244J");
        let ask = async || is_granted(&world.check(&kiosk, with_pass("twitter:a", &pass)).await.unwrap());
        at("2012-08-31T23:00:00Z");
        assert!(ask().await);
        at("2012-09-01T00:30:00Z");
        assert!(!ask().await);
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_grants_what_the_check_brought_and_an_erasure_gives_no_pass_back() {
    for world in World::all().await {
        let limited = rule(PASS_ONCE, 1, FOR_DAYS);
        let referring = limited.replace(
            r#"{"id":"in"}"#,
            r#"{"id":"in","when":{"attr":"boarding_pass.compartment","op":"eq","value":"F"}}"#,
        );
        let referring = referring.replace(r#""limits""#, r#""otherwise":"refer","limits""#);
        let (cathay, kiosk) = house(&world, &referring).await;
        let admin = world.principal(&cathay, Role::Admin).await;
        let refer = async |asked: Question| {
            let answer = world.check(&kiosk, asked).await.unwrap();
            assert_eq!(answer.decided.decision, Decision::Referred);
            answer.check.unwrap()
        };
        let decide = async |check| {
            let decision = ReferralDecision { check, tier: Some("in".into()), note: "fine".into() };
            world.gateway.checker.decide_referral(&admin, &cathay, decision).await
        };
        let (first, second) = (refer(with_pass("twitter:a", PASS)).await, refer(with_pass("twitter:b", PASS)).await);
        let without = refer(question("lounge", "twitter:c")).await;
        world.pass(DAY);
        assert!(is_granted(&decide(first).await.unwrap()));
        let Err(ReferralDecisionError::NoRoom(reasons)) = decide(second).await else { panic!("it was used") };
        assert_eq!(reasons[0].code.as_str(), "limit_reached");
        let Err(ReferralDecisionError::NoRoom(reasons)) = decide(without).await else { panic!("nothing to count by") };
        assert_eq!(reasons[0].code.as_str(), "attribute_missing");
        let in_first = PASS.replace("129J", "129F");
        let ask =
            async |who: &str| said(&world.check(&kiosk, with_pass(who, &in_first)).await.unwrap()).1.map(str::to_owned);
        assert_eq!(ask("twitter:d").await.as_deref(), Some("limit_reached"));

        let subject = world.gateway.keyring.subject_refs(&cathay.id, &"twitter:a".parse().unwrap());
        let erasure = Erasure { merchant: cathay.id.clone(), subject, by: CLI, asked: None };
        assert!(world.gateway.scores.erase(&world.gateway.ledger, erasure).await.unwrap().is_some());
        assert_eq!(ask("twitter:e").await.as_deref(), Some("limit_reached"), "the pass was used all the same");
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_grants_in_the_month_in_which_it_is_decided() {
    for world in World::all().await {
        let gold = r#"{"id":"in","when":{"attr":"context.member","op":"eq","value":"gold"}}"#;
        let referring = |window: &str| {
            let rule = rule(r#"["context.receipt"]"#, 1, window).replace(r#"{"id":"in"}"#, gold);
            rule.replace(r#""limits""#, r#""otherwise":"refer","limits""#)
        };
        let (cathay, kiosk) = house(&world, &referring(r#"{"calendar":"day"}"#)).await;
        let admin = world.principal(&cathay, Role::Admin).await;
        let ask = async |receipt: &str, member: &str| {
            let context = format!(r#"{{"receipt":"{receipt}","member":"{member}"}}"#);
            world.check(&kiosk, with_context("twitter:a", &context)).await.unwrap()
        };
        let grant = async |referred: Answer| {
            assert_eq!(referred.decided.decision, Decision::Referred);
            let decision =
                ReferralDecision { check: referred.check.unwrap(), tier: Some("in".into()), note: "fine".into() };
            world.gateway.checker.decide_referral(&admin, &cathay, decision).await.unwrap()
        };
        let at = |text: &str| world.clock.set(text.parse().unwrap());
        at("2012-05-31T23:50:00Z");
        let referred = ask("r1", "blue").await;
        at("2012-06-01T00:10:00Z");
        assert!(is_granted(&grant(referred).await));
        at("2012-06-01T09:00:00Z");
        assert_eq!(said(&ask("r1", "gold").await).1, Some("limit_reached"), "the day's one visit was granted");

        publish(&world, &cathay, &referring(r#"{"rolling":"P27D"}"#)).await.unwrap();
        let referred = ask("r2", "blue").await;
        at("2012-08-01T12:00:00Z");
        let granted = grant(referred).await;
        assert_eq!((is_granted(&granted), granted.decided.limits.len()), (true, 2), "in the counters of both months");
        assert_eq!(said(&ask("r2", "gold").await).1, Some("limit_reached"));
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_replays_what_it_has_the_months_of() {
    for world in World::all().await {
        let receipt = r#"["context.receipt"]"#;
        let (cathay, kiosk) = house(&world, &rule(receipt, 1, r#"{"calendar":"day"}"#)).await;
        world.clock.set("2012-05-31T20:00:00Z".parse().unwrap());
        let begin = world.now();
        for who in ["twitter:a", "twitter:b"] {
            world.check(&kiosk, with_context(who, r#"{"receipt":"r1"}"#)).await.unwrap();
            world.pass(60);
        }
        let found = async |text: String| {
            let wanted = Choice::Rule(Json::parse(&text).unwrap());
            let trial = PastTrial { perk: "lounge".parse().unwrap(), choice: wanted, from: begin, to: None };
            let mut run = world.gateway.backtester.backtest(&cathay, trial).await.unwrap();
            while run.step().await.unwrap().is_some() {}
            let found = run.finish().unwrap();
            (found.replayed, found.same, found.newly_admitted, found.not_replayed.unkept)
        };
        assert_eq!(found(rule(receipt, 1, r#"{"rolling":"P2D"}"#)).await, (2, 2, 0, 0), "another window");
        assert_eq!(found(rule(receipt, 2, r#"{"rolling":"P2D"}"#)).await, (2, 1, 1, 0));
        // There it is June already.
        let ahead = rule(receipt, 2, r#"{"calendar":"day"}"#).replacen('{', r#"{"time_zone":"Pacific/Kiritimati","#, 1);
        assert_eq!(found(ahead).await, (0, 0, 0, 2));
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_recounted_until_the_secret_is_destroyed() {
    for world in World::all().await {
        let (cathay, kiosk) = house(&world, &rule(PASS_ONCE, 1, FOR_DAYS)).await;
        let begin: Timestamp = world.now();
        assert!(is_granted(&world.check(&kiosk, with_pass("twitter:a", PASS)).await.unwrap()));
        world.pass(60);
        assert!(!is_granted(&world.check(&kiosk, with_pass("twitter:b", PASS)).await.unwrap()));
        world.pass(60);
        let other = PASS.replace("0025", "0026");
        assert!(is_granted(&world.check(&kiosk, with_pass("twitter:b", &other)).await.unwrap()));
        let asked = async |pass: &str, at: Option<Timestamp>| {
            let trial = Trial {
                perk: "lounge".parse().unwrap(),
                choice: Choice::Deciding,
                subject: Some("twitter:z".parse().unwrap()),
                score: None,
                network: None,
                context: Context::default(),
                at,
                location: None,
                kiosk: None,
                attributes: PersonFacts::default(),
                boarding_pass: Some(pass.parse().unwrap()),
                airports: Vec::new(),
            };
            let simulated = world.gateway.simulator.simulate(&cathay, &CLI, trial).await.unwrap();
            let warnings: Vec<_> = simulated.warnings.into_iter().map(|it| it.code).collect();
            (simulated.decided.decision, warnings)
        };
        let hour = jiff::SignedDuration::from_hours(1);
        world.pass(3600);
        assert_eq!(asked(PASS, Some(begin)).await, (Decision::Granted, vec![]), "just before it was used");
        assert_eq!(asked(PASS, Some(begin + hour)).await, (Decision::Denied, vec![]));
        assert_eq!(asked(PASS, None).await.0, Decision::Denied);
        assert_eq!(asked(&PASS.replace("0025", "0099"), None).await.0, Decision::Granted);
        assert_eq!(asked(&PASS.replace("129J", "130J"), Some(begin + hour)).await, (Decision::Granted, vec![]));

        let trial = PastTrial { perk: "lounge".parse().unwrap(), choice: Choice::Deciding, from: begin, to: None };
        let mut run = world.gateway.backtester.backtest(&cathay, trial).await.unwrap();
        while run.step().await.unwrap().is_some() {}
        let found = run.finish().unwrap();
        assert_eq!((found.checks, found.same, found.reproduction.mismatches), (3, 3, 0));
        let looser = Json::parse(&rule(PASS_ONCE, 2, FOR_DAYS)).unwrap();
        let trial = PastTrial { perk: "lounge".parse().unwrap(), choice: Choice::Rule(looser), from: begin, to: None };
        let mut run = world.gateway.backtester.backtest(&cathay, trial).await.unwrap();
        while run.step().await.unwrap().is_some() {}
        assert_eq!(run.finish().unwrap().newly_admitted, 1);

        let (ledger, database) = (&world.gateway.ledger, world.database.open());
        let visit = async |day: &str| {
            let pass = PASS.replace("129J", &format!("{day}J"));
            assert!(is_granted(&world.check(&kiosk, with_pass("twitter:c", &pass)).await.unwrap()));
        };
        world.clock.set("2012-07-11T12:00:00Z".parse().unwrap());
        visit("193").await;
        assert_eq!(destroy_month_secrets(ledger).await.unwrap(), 0);
        assert_eq!(months(&database), ["2012-05", "2012-07"]);
        world.clock.set("2012-07-12T12:00:00Z".parse().unwrap());
        visit("194").await;
        assert_eq!(destroy_month_secrets(ledger).await.unwrap(), 1);
        assert_eq!(months(&database), ["2012-07"]);
        let (decision, warnings) = asked(PASS, Some(begin + hour)).await;
        assert_eq!((decision, warnings.as_slice()), (Decision::Granted, ["limits_not_known"].as_slice()));

        // Also where nothing is recorded any more.
        world.clock.set("2012-09-10T23:59:59Z".parse().unwrap());
        assert_eq!(destroy_month_secrets(ledger).await.unwrap(), 0);
        world.clock.set("2012-09-11T00:00:00Z".parse().unwrap());
        assert_eq!(destroy_month_secrets(ledger).await.unwrap(), 1);
        assert!(months(&database).is_empty());
        world.tally(&cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kiosks_that_ask_at_once_get_exactly_what_fits_whatever_they_count_by() {
    for world in World::all().await {
        let limits = r#"{"tiers":[{"id":"in"}],"limits":[
            {"id":"receipt","scope":["context.receipt"],"max":3,"window":{"rolling":"P20D"}},
            {"id":"pass","scope":["boarding_pass","location"],"max":3,"window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;
        let (cathay, kiosk) = house(&world, limits).await;
        let replica = world.replica().await;
        // The last night of a month: the uses stand in the counters of two.
        world.clock.set("2012-05-31T23:59:59Z".parse().unwrap());
        let pass = PASS.replace("129J", "152J");
        for round in 0..6 {
            let asks = (0..12).map(|nth| {
                let context = format!(r#"{{"receipt":"r{round}"}}"#);
                let pass = pass.replace("0025", &format!("{:<4}", round + 1)).parse().unwrap();
                let asked =
                    Question { boarding_pass: Some(pass), ..with_context(&format!("twitter:p{nth}"), &context) };
                let checker = [&world.gateway.checker, &replica.checker][nth % 2];
                checker.check(&kiosk, &cathay, asked)
            });
            let answers: Vec<Answer> = join_all(asks).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers.iter().filter(|answer| is_granted(answer)).count(), 3, "round {round}");
        }
        assert_eq!(months(&world.database.open()), ["2012-04", "2012-05"]);
        let tally = world.tally(&cathay);
        assert_eq!((tally.granted, tally.denied), (18, 54));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_a_digest_that_was_changed() {
    for world in World::all().await {
        let (_, kiosk) = house(&world, &rule(PASS_ONCE, 1, FOR_DAYS)).await;
        assert!(is_granted(&world.check(&kiosk, with_pass("twitter:a", PASS)).await.unwrap()));
        let database = world.database.open();
        let found = || {
            let report = perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {});
            report.unwrap().findings.counts().keys().copied().collect::<Vec<_>>()
        };
        assert_eq!(found(), [""; 0]);
        // Another visit's counter: the pass would be free again.
        let own = limit_counters::table.filter(limit_counters::scope_key.like("/boarding_pass/%"));
        let other = limit_counters::scope_key.eq("/boarding_pass/00112233445566778899aabbccddeeff");
        let change = |conn: &mut AnyConnection| Ok::<_, DatabaseError>(diesel::update(own).set(other).execute(conn)?);
        assert_eq!(database.write_blocking(change).unwrap(), 1);
        let found = found();
        assert!(found.contains(&"counter_missing") && found.contains(&"counter_mismatch"), "{found:?}");
    }
}
