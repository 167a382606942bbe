//! Limits of all four windows against a naive model: random visits, on two replicas in turn.

use diesel::RunQueryDsl as _;
use jiff::{SignedDuration, Timestamp};
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::Request;
use perkgate::database::{AnyConnection, Database, DatabaseError};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::GrantId;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;
use perkgate::ledger::entry::Actor;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving, ReturnError};
use perkgate::perks::perk::NewVersion;
use perkgate::tokens::TokenError;

use crate::support::world::{CLI, World, question};

const HOUR: i64 = 3600;
const TTL: i64 = 20 * 60;
const SKEW: i64 = 30;

const RULE: &str = r#"{"tiers":[{"id":"in","name":"In"}],"token":{"ttl":"PT20M"},"limits":[
  {"id":"day","scope":["subject"],"max":4,"window":{"calendar":"day"}},
  {"id":"rolling","scope":["subject"],"max":5,"cost":"party","window":{"rolling":"PT6H"}},
  {"id":"house","scope":["perk"],"max":9,"cost":"party","window":{"concurrent":{"max_stay":"PT2H"}}},
  {"id":"ever","scope":["merchant"],"max":120,"window":{"lifetime":true}}]}"#;

/// What the model knows of a grant.
struct Visit {
    grant: GrantId,
    token: String,
    who: usize,
    party: u64,
    at: Timestamp,
    redeemed_at: Option<Timestamp>,
    /// The door's try that opened.
    attempt: Option<String>,
    released: bool,
    voided: bool,
    /// What it used was given back.
    returned: bool,
}

impl Visit {
    fn is_held(&self, now: Timestamp) -> bool {
        let until = match self.redeemed_at {
            Some(at) => at + SignedDuration::from_secs(2 * HOUR),
            None if self.voided => return false,
            None => self.at + SignedDuration::from_secs(TTL + SKEW),
        };
        !self.released && now < until
    }
}

/// The limits, as somebody would count them who reads the visitors' book from its first page.
fn used(visits: &[Visit], who: usize, now: Timestamp) -> [u64; 4] {
    let day = |at: Timestamp| at.as_second().div_euclid(24 * HOUR);
    let sum = |counts: &dyn Fn(&Visit) -> u64| visits.iter().filter(|it| !it.returned).map(counts).sum();
    [
        sum(&|it| u64::from(it.who == who && day(it.at) == day(now))),
        sum(&|it| if it.who == who && it.at > now - SignedDuration::from_secs(6 * HOUR) { it.party } else { 0 }),
        visits.iter().map(|it| if it.is_held(now) { it.party } else { 0 }).sum(),
        sum(&|_| 1),
    ]
}

struct House {
    world: World,
    replica: Gateway,
    merchant: Merchant,
    kiosk: Principal,
    visits: Vec<Visit>,
    dice: Entropy,
    nth: usize,
}

impl House {
    fn roll(&self, sides: u64) -> u64 {
        u64::from_le_bytes(self.dice.bytes()) % sides
    }

    fn gateway(&self) -> &Gateway {
        if self.nth.is_multiple_of(2) { &self.world.gateway } else { &self.replica }
    }

    fn pick(&self) -> Option<usize> {
        // One of the last, mostly: the old ones have all lapsed.
        let recent = self.visits.len().min(12);
        let back = usize::try_from(self.roll(recent.max(1) as u64)).unwrap();
        self.visits.len().checked_sub(back + 1)
    }

    async fn ask(&self, who: usize, party: u64, dry_run: bool) -> Answer {
        let context = Context::parse(&Json::parse(&format!(r#"{{"party":{party}}}"#)).unwrap()).unwrap();
        let asked = Question { context, dry_run, ..question("lounge", &format!("twitter:person{who}")) };
        self.gateway().checker.check(&self.kiosk, &self.merchant, asked).await.unwrap()
    }

    async fn check(&mut self) {
        let (who, party) = (usize::try_from(self.roll(5)).unwrap(), self.roll(3) + 1);
        let now = self.world.now();
        let before = used(&self.visits, who, now);
        let (costs, most) = ([1, party, party, 1], [4, 5, 9, 120]);
        let fits = (0..4).all(|it| before[it] + costs[it] <= most[it]);
        let promised = self.ask(who, party, true).await;
        let answer = self.ask(who, party, false).await;
        let counted: Vec<u64> = answer.decided.limits.iter().map(|limit| limit.used).collect();
        let expected: Vec<u64> = (0..4).map(|it| before[it] + if fits { costs[it] } else { 0 }).collect();
        assert_eq!(answer.decided.decision == Decision::Granted, fits, "{before:?} and {costs:?}: {answer:?}");
        assert_eq!(counted, expected, "{:?}", answer.decided.limits);
        // Somebody who is new gets a pseudonym only with what is recorded.
        let told =
            |answer: &Answer| -> Vec<_> { answer.decided.limits.iter().map(|it| (it.used, it.resets_at)).collect() };
        assert_eq!(
            (promised.decided.decision, told(&promised)),
            (answer.decided.decision, told(&answer)),
            "a dry run says the same"
        );
        if let Some(soon) = answer.decided.next_eligible_at.filter(|_| !fits) {
            // True as far as anyone knows: a moment before, there is no room yet; then there is.
            let fits_at = |at: Timestamp| {
                let used = used(&self.visits, who, at);
                used[0] < 4 && used[1] + party <= 5 && used[3] < 120
            };
            assert!(fits_at(soon) && !fits_at(soon - SignedDuration::from_micros(1)), "{soon}");
        }
        if let Some(grant) = answer.grant {
            let token = answer.token.unwrap();
            let fresh = |grant: GrantId, token| Visit {
                grant,
                token,
                who,
                party,
                at: now,
                redeemed_at: None,
                attempt: None,
                released: false,
                voided: false,
                returned: false,
            };
            self.visits.push(fresh(grant.id, token));
        }
    }

    async fn redeem(&mut self) {
        let Some(nth) = self.pick() else { return };
        let (now, visit) = (self.world.now(), &self.visits[nth]);
        let redeemer = &self.gateway().redeemer;
        let deadline = question("lounge", "nobody").deadline;
        // A door that repeats itself is answered alike, as long as the grant stands.
        let again = visit.attempt.clone().filter(|_| self.roll(3) == 0);
        let attempt = again.clone().unwrap_or_else(|| format!("attempt {}", self.nth));
        let (token, door) = (&visit.token, "door".to_owned());
        let answer = redeemer.redeem(&self.kiosk, &self.merchant, token, door, attempt.clone(), deadline).await;
        let expected = if visit.voided {
            "voided"
        } else if again.is_some() {
            if visit.released { "released" } else { "in" }
        } else if visit.redeemed_at.is_some() {
            "already"
        } else if visit.released {
            "released"
        } else if now >= visit.at + SignedDuration::from_secs(TTL + SKEW) {
            "expired"
        } else {
            "in"
        };
        let told = match &answer {
            Ok(_) => "in",
            Err(RedeemError::AlreadyRedeemed(_)) => "already",
            Err(RedeemError::Token(TokenError::Voided)) => "voided",
            Err(RedeemError::Token(TokenError::Released)) => "released",
            Err(RedeemError::Token(TokenError::Expired)) => "expired",
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(told, expected);
        if let Ok(spent) = &answer {
            let visit = &mut self.visits[nth];
            let redeemed_at = *visit.redeemed_at.get_or_insert(now);
            assert_eq!(spent.redemption.redeemed_at, redeemed_at);
            visit.attempt = Some(attempt);
        }
    }

    async fn release(&mut self) {
        let Some(nth) = self.pick() else { return };
        let visit = &self.visits[nth];
        let actor = Actor { key: Some(self.kiosk.key.clone()), role: "kiosk" };
        let leaving = Leaving { actor, location: None, kiosk: None, audience: None };
        let answer = self.gateway().ledger.release_grant(&self.merchant.id, &visit.grant, leaving).await;
        // One that was taken back after its guest came in still ends when the guest leaves.
        let holds_nothing = visit.voided && visit.redeemed_at.is_none() && !visit.released;
        assert_eq!(matches!(answer, Err(ReturnError::Voided)), holds_nothing, "{answer:?}");
        self.visits[nth].released |= answer.is_ok();
    }

    async fn void(&mut self) {
        let Some(nth) = self.pick() else { return };
        let keep_uses = self.roll(2) == 0;
        let visit = &self.visits[nth];
        let actor = Actor { key: Some(self.kiosk.key.clone()), role: "admin" };
        let taking = GrantRevocation { actor, note: "a mistake".into(), keep_uses };
        let taken =
            self.gateway().ledger.void_grants(&self.merchant.id, vec![visit.grant.clone()], taking).await.unwrap();
        assert_eq!((taken.already == 1, taken.voided == 1), (visit.voided, !visit.voided));
        assert_eq!(taken.redeemed, u64::from(visit.redeemed_at.is_some() && !visit.voided));
        let visit = &mut self.visits[nth];
        visit.returned |= !visit.voided && !keep_uses && visit.redeemed_at.is_none();
        visit.voided = true;
    }

    fn wait(&self, longest: u64) {
        let seconds = self.roll(longest);
        self.world.pass(i64::try_from(seconds).unwrap());
    }

    async fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            self.nth += 1;
            match self.roll(20) {
                0..8 => self.check().await,
                8..11 => self.redeem().await,
                11..13 => self.release().await,
                13 => self.void().await,
                14..17 => self.wait(600),
                17..19 => self.wait(5000),
                _ => self.world.pass(TTL + SKEW),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_windows_count_as_a_reader_of_the_book_would() {
    for (seed, world) in (0..).zip(World::all().await) {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        world.perk(&merchant, "lounge", RULE).await;
        let replica = world.replica().await;
        let dice = Entropy::seeded(4711 + seed);
        let mut house = House { world, replica, merchant, kiosk, visits: Vec::new(), dice, nth: 0 };
        house.live(500).await;
        assert!(house.visits.len() > 40, "{}", house.visits.len());
        let database = &house.world.gateway.database;
        assert_eq!(wrong(database), [""; 0]);
        for (there, back, codes) in [
            ("UPDATE limit_uses SET cost = cost + 1", "UPDATE limit_uses SET cost = cost - 1", ["use_mismatch"]),
            (
                "UPDATE limit_uses SET counts_at = counts_at + 1",
                "UPDATE limit_uses SET counts_at = counts_at - 1",
                ["use_mismatch"],
            ),
            (
                "UPDATE limit_counters SET used = used + 1 WHERE window_key = 'concurrent'",
                "UPDATE limit_counters SET used = used - 1 WHERE window_key = 'concurrent'",
                ["counter_mismatch"],
            ),
            (
                "UPDATE grants SET voided_at = voided_at + 1",
                "UPDATE grants SET voided_at = voided_at - 1",
                ["grant_mismatch"],
            ),
            (
                "UPDATE grants SET voided_at = 1 WHERE voided_at IS NULL",
                "UPDATE grants SET voided_at = NULL WHERE voided_at = 1",
                ["grant_mismatch"],
            ),
            (
                "UPDATE grants SET released_at = 1 WHERE released_at IS NULL",
                "UPDATE grants SET released_at = NULL WHERE released_at = 1",
                ["grant_mismatch"],
            ),
        ] {
            run(database, there);
            assert_eq!(wrong(database), codes, "{there}");
            run(database, back);
        }
        assert_eq!(wrong(database), [""; 0]);
        run(
            database,
            "INSERT INTO limit_uses SELECT merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, 'grt_x' || grant_id, cost, stay FROM limit_uses",
        );
        assert_eq!(wrong(database), ["use_without_event"]);
        run(database, "DELETE FROM limit_uses");
        assert_eq!(wrong(database), ["use_missing"]);
    }
}

/// The codes of what the auditor finds.
fn wrong(database: &Database) -> Vec<&'static str> {
    let report = perkgate::audit::verify(database, &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    report.findings.counts().keys().copied().collect()
}

fn run(database: &Database, statement: &'static str) {
    let run = |conn: &mut AnyConnection| Ok::<_, DatabaseError>(diesel::sql_query(statement).execute(conn)?);
    database.write_blocking(run).unwrap();
}

/// One to an hour, then one to a day: what was used before goes on counting.
#[tokio::test(flavor = "multi_thread")]
async fn publishing_another_length_resets_nothing() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        let rule = |length: &str| {
            format!(
                r#"{{"tiers":[{{"id":"in"}}],"limits":[{{"id":"l","scope":["subject"],"max":2,"window":{{"rolling":"{length}"}}}}]}}"#
            )
        };
        world.perk(&merchant, "lounge", &rule("PT1H")).await;
        let used = async || {
            let answer = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
            (
                answer.decided.decision == Decision::Granted,
                answer.decided.limits[0].used,
                answer.decided.next_eligible_at.map(|at| at.to_string()),
            )
        };
        assert_eq!(used().await, (true, 1, None));
        world.pass(2 * HOUR);
        assert_eq!(used().await, (true, 1, None));
        let publish = async |length: &str| {
            let version = NewVersion { rule: Json::parse(&rule(length)).unwrap(), publish: true, change_note: None };
            let slug = "lounge".parse().unwrap();
            world.gateway.catalog.create_version(&merchant.id, CLI, &slug, version).await.unwrap();
        };
        publish("P1D").await;
        assert_eq!(used().await, (false, 2, Some("2012-05-09T19:00:00Z".to_owned())), "the first counts again");
        publish("PT3H").await;
        world.pass(HOUR + 1);
        assert_eq!(used().await, (true, 2, None), "the first has lapsed again");
        assert_eq!(wrong(&world.gateway.database), [""; 0]);
    }
}

/// A replica whose clock was two minutes ahead, then one that is right: the place still counts, and
/// its token still opens the door.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_lets_nobody_in_too_many() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        let rule = r#"{"tiers":[{"id":"in"}],"token":{"ttl":"PT1M"},"limits":[
            {"id":"house","scope":["perk"],"max":2,"window":{"concurrent":{"max_stay":"PT1H"}}}]}"#;
        world.perk(&merchant, "lounge", rule).await;
        let ask = async |who: &str| world.check(&kiosk, question("lounge", who)).await.unwrap();
        world.pass(120);
        assert_eq!(ask("twitter:early").await.decided.decision, Decision::Granted);
        world.pass(-120);
        let second = ask("twitter:second").await;
        assert_eq!((second.decided.decision, second.decided.limits[0].used), (Decision::Granted, 2));
        assert_eq!(ask("twitter:third").await.decided.decision, Decision::Denied);
        let (token, deadline) = (second.token.unwrap(), question("lounge", "nobody").deadline);
        let redeemer = &world.gateway.redeemer;
        redeemer.redeem(&kiosk, &merchant, &token, "door".into(), "1".into(), deadline).await.unwrap();
        assert_eq!(wrong(&world.gateway.database), [""; 0]);
    }
}
