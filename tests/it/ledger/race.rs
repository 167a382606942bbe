//! Many at once, on two replicas: a limit of N admits N, one key is one grant, one door wins.
//! `benches/campaign` runs the same at full size.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::stream;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;

use crate::support::world::{World, idempotent, question};

const AT_ONCE: usize = 64;

const HOUSE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"house","scope":["perk"],"max":MAX,"window":WINDOW}]}"#;

/// Every kind of window.
pub(super) const WINDOWS: [&str; 4] = [
    r#"{"lifetime":true}"#,
    r#"{"calendar":"day"}"#,
    r#"{"rolling":"PT24H"}"#,
    r#"{"concurrent":{"max_stay":"PT4H"}}"#,
];

const PARTIES: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":5,"cost":"party","window":{"calendar":"day"}},
            {"id":"house-day","scope":["perk"],"max":MAX,"cost":"party","window":{"calendar":"day"}}]}"#;

/// A perk, and two replicas that are asked about it in turn.
struct Race<'a> {
    world: &'a World,
    replica: Gateway,
    merchant: Merchant,
    kiosk: Principal,
}

impl<'a> Race<'a> {
    async fn prepare(world: &'a World, rule: &str, max: usize, subjects: usize) -> Self {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        let rule = rule.replace("MAX", &max.to_string()).replace("WINDOW", WINDOWS[0]);
        world.perk(&merchant, "lounge", &rule).await;
        world.import_scores(&merchant, (0..subjects).map(|nth| (person(nth), "47.25"))).await;
        Self { world, replica: world.replica().await, merchant, kiosk }
    }

    fn gateway(&self, nth: usize) -> &Gateway {
        if nth.is_multiple_of(2) { &self.world.gateway } else { &self.replica }
    }

    async fn ask(&self, nth: usize, question: Question) -> Answer {
        Box::pin(self.gateway(nth).checker.check(&self.kiosk, &self.merchant, question)).await.unwrap()
    }

    async fn redeem(&self, nth: usize, token: &str, door: usize, attempt: usize) -> Result<String, RedeemError> {
        let (door, attempt) = (format!("door {door}"), format!("attempt {attempt}"));
        let deadline = question("lounge", "nobody").deadline;
        let redeemer = &self.gateway(nth).redeemer;
        let spent = redeemer.redeem(&self.kiosk, &self.merchant, token, door, attempt, deadline).await?;
        Ok(format!("{spent:?}"))
    }
}

fn person(nth: usize) -> String {
    format!("twitter:person{nth}")
}

fn is_granted(answer: &Answer) -> bool {
    answer.decided.decision == Decision::Granted
}

/// `attempts` on a limit of `max`, everyone another person: exactly `max` get in.
pub(super) async fn exactly_the_limit_is_granted(world: &World, window: &str, attempts: usize, max: usize) {
    let people = attempts.min(1_000);
    let race = Race::prepare(world, &HOUSE.replace("WINDOW", window), max, people).await;
    let asks = (0..attempts).map(|nth| race.ask(nth, question("lounge", &person(nth % people))));
    let answers: Vec<Answer> = stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
    let granted: Vec<&Answer> = answers.iter().filter(|answer| is_granted(answer)).collect();
    assert_eq!(granted.len(), max);
    let tokens: HashSet<_> = granted.iter().map(|answer| answer.token.as_ref().unwrap()).collect();
    assert_eq!(tokens.len(), max, "each has a token of its own");
    let tally = world.tally(&race.merchant);
    assert_eq!((tally.granted, tally.denied), (max, attempts - max));
    assert_eq!(tally.grants.len(), max);
    assert_eq!(tally.used_of("house"), u64::try_from(max).unwrap());
}

/// Parties of one to three under a limit for the person and one for the house, each asked twice
/// under one key, on both replicas at once; at last people alone, until the house is full.
pub(super) async fn two_limits_hold_for_parties_and_repeated_questions(world: &World, attempts: usize, max: usize) {
    let people = attempts;
    let race = Race::prepare(world, PARTIES, max, people).await;
    let ask = |nth: usize| {
        let party = if nth < attempts * 3 / 4 { nth % 3 + 1 } else { 1 };
        let context = Context::parse(&Json::parse(&format!(r#"{{"party":{party}}}"#)).unwrap()).unwrap();
        // A few people come often, so that their own limit has something to say.
        let who = if nth.is_multiple_of(4) { nth % 40 } else { nth };
        let asked = Question { context, ..question("lounge", &person(who)) };
        idempotent(asked, &format!("visit {nth}"), 1)
    };
    let twice = (0..attempts).map(|nth| {
        let race = &race;
        async move { tokio::join!(race.ask(nth, ask(nth)), race.ask(nth + 1, ask(nth))) }
    });
    let answers: Vec<(Answer, Answer)> = stream::iter(twice).buffer_unordered(AT_ONCE).collect().await;
    for (first, second) in &answers {
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "the same question, the same answer");
    }
    let tally = world.tally(&race.merchant);
    let granted = answers.iter().filter(|(first, _)| is_granted(first)).count();
    assert_eq!((tally.granted, tally.denied), (granted, attempts - granted), "a repeated question is one event");
    assert_eq!(tally.used_of("house-day"), u64::try_from(max).unwrap(), "the house is full");
    assert_eq!(tally.used_of("person-day"), tally.used_of("house-day"), "whoever is in is counted by both");
}

/// `doors` doors show one token at once: one opens. Its own attempt, repeated at once, is one redemption.
pub(super) async fn one_door_wins(world: &World, tokens: usize, doors: usize) {
    let race = Race::prepare(world, HOUSE, tokens * 2, tokens).await;
    for nth in 0..tokens {
        let token = race.ask(nth, question("lounge", &person(nth))).await.token.unwrap();
        let race = &race;
        let token = token.as_str();
        let shown = (0..doors).map(|door| race.redeem(door, token, door, door));
        let answers: Vec<_> = stream::iter(shown).buffer_unordered(doors).collect().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(answers.iter().filter(|it| matches!(it, Err(RedeemError::AlreadyRedeemed(_)))).count(), doors - 1);

        let token = race.ask(nth, question("lounge", &person(nth))).await.token.unwrap();
        let token = token.as_str();
        let shown = (0..doors).map(|time| race.redeem(time, token, 1, 1));
        let answers: Vec<_> = stream::iter(shown).buffer_unordered(doors).collect().await;
        let told: HashSet<String> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(told.len(), 1, "one attempt, one answer");
    }
    assert_eq!(world.tally(&race.merchant).redeemed.len(), tokens * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_admits_exactly_its_number_on_two_replicas() {
    for window in WINDOWS {
        for world in World::all().await {
            exactly_the_limit_is_granted(&world, window, 600, 150).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_limits_hold_at_once_for_parties_and_repeated_questions() {
    for world in World::all().await {
        two_limits_hold_for_parties_and_repeated_questions(&world, 400, 300).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_doors_wins_and_one_attempt_is_one_redemption() {
    for world in World::all().await {
        one_door_wins(&world, 3, 50).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_cant_be_read_fail_their_own_redemption_and_no_other() {
    use diesel::RunQueryDsl as _;

    const TOKENS: usize = 12;
    for world in World::all().await {
        // Beside the gateway.
        let sql = |text: &str| {
            let mut conn = world.database.open().dedicated().unwrap();
            assert_eq!(diesel::sql_query(text).execute(&mut conn).unwrap(), 1, "{text}");
        };
        let race = Race::prepare(&world, HOUSE, TOKENS, TOKENS).await;
        let mut tokens = Vec::new();
        for nth in 0..TOKENS {
            tokens.push(race.ask(0, question("lounge", &person(nth))).await.token.unwrap());
        }
        sql("UPDATE grants SET claims = 'x' || claims WHERE id = (SELECT min(id) FROM grants)");
        let race = &race;
        let shown = tokens.iter().map(|token| async move { (token, race.redeem(0, token.as_str(), 1, 1).await) });
        let answers: Vec<_> = stream::iter(shown).buffer_unordered(TOKENS).collect().await;
        let failed: Vec<_> = answers.into_iter().filter_map(|(token, told)| Some((token, told.err()?))).collect();
        let [(token, error)] = failed.as_slice() else { panic!("{failed:?}") };
        let error = error.to_string();
        assert!(error.contains("the stored claims can't be read: grt_"), "{error}");

        // Nothing was written of it, and it is a token like any other once its claims are back.
        sql("UPDATE grants SET claims = substr(claims, 2) WHERE id = (SELECT min(id) FROM grants)");
        assert_eq!(world.tally(&race.merchant).redeemed.len(), TOKENS - 1);
        race.redeem(0, token.as_str(), 1, 1).await.unwrap();
        assert_eq!(world.tally(&race.merchant).redeemed.len(), TOKENS);
    }
}
