//! Corrections of grants on two replicas at once: among themselves, against checks for the last places, and against what
//! ends a grant. Counters, parties and the replayed past agree with the log whatever came first.

use futures_util::future::join_all;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::Request;
use perkgate::decision::facts::Context;
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::checker::Question;
use perkgate::eligibility::grants::{CorrectionRequest, CorrectionRequestError, GrantShown, GrantStatus};
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run as _;
use perkgate::foundation::clock::Clock;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::GrantId;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;
use perkgate::ledger::grants::correction::CorrectionError;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving};
use perkgate::ledger::retention::erasure::Erasure;
use perkgate::rules::tier::party::Party;

use super::race::WINDOWS;
use crate::support::world::{CLI, World, question};

const HOUSE: &str = r#"{"tiers":[{"id":"main","guests":{"free":1,"max":9,"under":2}}],
  "limits":[{"id":"house","scope":["perk"],"max":MAX,"cost":"party","window":WINDOW}]}"#;

struct House<'a> {
    world: &'a World,
    replica: Gateway,
    merchant: Merchant,
    kiosk: Principal,
}

impl<'a> House<'a> {
    async fn open(world: &'a World, max: u32, window: &str) -> Self {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        world.perk(&merchant, "lounge", &HOUSE.replace("MAX", &max.to_string()).replace("WINDOW", window)).await;
        Self { world, replica: world.replica().await, merchant, kiosk }
    }

    fn gateway(&self, nth: usize) -> &Gateway {
        if nth.is_multiple_of(2) { &self.world.gateway } else { &self.replica }
    }

    /// A grant to so many people, if there is room for them.
    async fn ask(&self, nth: usize, who: &str, party: u64) -> Option<GrantId> {
        let context = Context::default().with_party(Party::of(party));
        let asked = Question { context, ..question("lounge", who) };
        let answer = self.gateway(nth).checker.check(&self.kiosk, &self.merchant, asked).await.unwrap();
        answer.grant.map(|grant| grant.id)
    }

    /// The token of a grant to so many people.
    async fn token(&self, who: &str, party: u64) -> (GrantId, String) {
        let context = Context::default().with_party(Party::of(party));
        let asked = Question { context, ..question("lounge", who) };
        let answer = self.gateway(0).checker.check(&self.kiosk, &self.merchant, asked).await.unwrap();
        (answer.grant.unwrap().id, answer.token.unwrap())
    }

    async fn show(&self, grant: &GrantId) -> GrantShown {
        self.world.gateway.checker.find_grant(&self.merchant.id, grant).await.unwrap().unwrap()
    }

    async fn correct(
        &self,
        nth: usize,
        seen: &GrantShown,
        party: u64,
        expected: Option<Vec<String>>,
    ) -> Result<u64, CorrectionError> {
        let request = CorrectionRequest { party: Party::of(party), reason: "counted".into(), expected };
        let place = (None, None);
        match self.gateway(nth).checker.correct_grant(CLI, place, &self.merchant, seen.clone(), request).await {
            Ok(shown) => Ok(shown.corrected.unwrap().party),
            Err(CorrectionRequestError::Correction(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// The auditor finds nothing, and the rule that ran comes to what it came to then. Returns what the house holds.
    async fn hold(&self) -> u64 {
        let database = self.world.database.open();
        let report = perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings.listed());
        self.world.pass(1);
        let from = self.world.now() - jiff::SignedDuration::from_hours(24);
        let trial = PastTrial { perk: "lounge".parse().unwrap(), choice: Choice::Deciding, from, to: None };
        let mut run = self.world.gateway.backtester.backtest(&self.merchant, trial).await.unwrap();
        while run.step().await.unwrap().is_some() {}
        let found = run.finish().unwrap();
        assert_eq!((found.reproduction.mismatches, found.same), (0, found.checks), "{found:?}");
        self.used()
    }

    fn used(&self) -> u64 {
        use diesel::prelude::*;
        use perkgate::database::schema::limit_counters::dsl::{limit_counters, merchant_id, used};
        let database = self.world.database.open();
        let merchant = self.merchant.id.as_str().to_owned();
        let read = |conn: &mut perkgate::database::AnyConnection| {
            let rows: Vec<i64> = limit_counters.filter(merchant_id.eq(merchant)).select(used).load(conn)?;
            Ok::<_, perkgate::database::DatabaseError>(rows.iter().sum::<i64>().unsigned_abs())
        };
        database.read_blocking(read).unwrap()
    }
}

fn person(nth: usize) -> String {
    format!("twitter:person{nth}")
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_and_checks_share_the_last_places_exactly() {
    for window in WINDOWS {
        for world in World::all().await {
            let house = House::open(&world, 30, window).await;
            let granted = join_all((0..10).map(|nth| async move { (nth, person(nth)) }));
            let mut seen = Vec::new();
            for (nth, who) in granted.await {
                seen.push(house.show(&house.ask(nth, &who, 1).await.unwrap()).await);
            }
            // Twenty places are left for thirty more by corrections, and for twenty by checks.
            let more = join_all(seen.iter().enumerate().map(|(nth, seen)| house.correct(nth, seen, 4, None)));
            let others = join_all((10..30).map(|nth| {
                let house = &house;
                async move { house.ask(nth, &person(nth), 1).await.is_some() }
            }));
            let (more, others) = tokio::join!(more, others);
            let corrected = more.iter().filter(|it| matches!(it, Ok(4))).count();
            let refused = more.iter().filter(|it| matches!(it, Err(CorrectionError::NoRoom(_)))).count();
            assert_eq!(corrected + refused, 10, "{more:?}");
            let admitted = others.iter().filter(|granted| **granted).count();
            assert_eq!(house.used(), u64::try_from(10 + 3 * corrected + admitted).unwrap(), "{window}");
            // A check of one is refused only where nothing is left.
            assert_eq!(house.used(), 30);
            assert_eq!(house.hold().await, house.used());
            // Down always, and then there is room again.
            for seen in &seen {
                assert_eq!(house.correct(0, seen, 1, None).await.unwrap(), 1);
            }
            assert_eq!(house.hold().await, u64::try_from(10 + admitted).unwrap(), "{window}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_saw_the_same_state_one_corrects_it() {
    for world in World::all().await {
        let house = House::open(&world, 30, WINDOWS[1]).await;
        for round in 0..5 {
            let seen = house.show(&house.ask(0, &person(round), 2).await.unwrap()).await;
            let tags = || Some(vec![seen.tag.clone()]);
            let both = tokio::join!(house.correct(0, &seen, 1, tags()), house.correct(1, &seen, 3, tags()));
            let won = match both {
                (Ok(won), Err(CorrectionError::Stale)) | (Err(CorrectionError::Stale), Ok(won)) => won,
                both => panic!("{both:?}"),
            };
            assert_eq!(house.show(&seen.grant).await.corrected.unwrap().party, won);
        }
        house.hold().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_and_an_end_leave_what_one_after_the_other_would() {
    for window in WINDOWS {
        for world in World::all().await {
            let house = House::open(&world, 60, window).await;
            let (ledger, merchant) = (&house.replica.ledger, &house.merchant.id);
            let mut ends = 0;
            for round in 0..9 {
                let who = person(round);
                let seen = house.show(&house.ask(0, &who, 2).await.unwrap()).await;
                let end = async {
                    match round % 3 {
                        0 => {
                            let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
                            ledger.release_grant(merchant, &seen.grant, leaving).await.unwrap();
                        }
                        1 => {
                            let taking = GrantRevocation { actor: CLI, note: "no".into(), keep_uses: false };
                            ledger.void_grants(merchant, vec![seen.grant.clone()], taking).await.unwrap();
                        }
                        _ => {
                            let subject = world.gateway.keyring.subject_refs(merchant, &who.parse().unwrap());
                            let erasure = Erasure { merchant: merchant.clone(), subject, by: CLI, asked: None };
                            world.gateway.scores.erase(&world.gateway.ledger, erasure).await.unwrap();
                        }
                    }
                };
                let party = if round < 5 { 4 } else { 1 };
                let (corrected, ()) = tokio::join!(house.correct(0, &seen, party, None), end);
                match (round % 3, corrected) {
                    (_, Ok(_))
                    | (0, Err(CorrectionError::Released))
                    | (1, Err(CorrectionError::Voided))
                    | (2, Err(CorrectionError::Erased)) => {}
                    (_, other) => panic!("{other:?}"),
                }
                ends += 1;
                // What has ended is never corrected after.
                assert!(house.correct(1, &seen, 3, None).await.is_err());
            }
            assert_eq!(ends, 9);
            // Nothing can be decided again about whom nobody knows: the auditor's word is enough.
            let database = world.database.open();
            let report =
                perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
            assert!(report.findings.is_empty(), "{window}: {:?}", report.findings.listed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_finds_a_party_that_was_changed_behind_the_log() {
    for world in World::all().await {
        let house = House::open(&world, 30, WINDOWS[1]).await;
        let seen = house.show(&house.ask(0, "twitter:ada", 2).await.unwrap()).await;
        house.correct(0, &seen, 3, None).await.unwrap();
        house.hold().await;
        for (statement, code) in [
            ("UPDATE grants SET corrected = replace(corrected, '\"party\":3', '\"party\":2')", "grant_mismatch"),
            ("UPDATE grants SET corrected = NULL", "grant_mismatch"),
            ("UPDATE grants SET guests = NULL", "grant_mismatch"),
            ("UPDATE limit_counters SET used = 2", "counter_mismatch"),
        ] {
            let database = world.database.open();
            let run = |conn: &mut perkgate::database::AnyConnection| {
                use diesel::RunQueryDsl as _;
                Ok::<_, perkgate::database::DatabaseError>(diesel::sql_query(statement).execute(conn)?)
            };
            assert_eq!(database.write_blocking(run).unwrap(), 1);
            let report =
                perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
            assert!(report.findings.counts().contains_key(code), "{statement}: {:?}", report.findings.listed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_ages_decides_again_by_rules_with_the_same_bounds() {
    const RULE: &str = r#"{"tiers":[{"id":"main","guests":{"free":1,"max":1,"under":2}}]}"#;
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        world.perk(&cathay, "lounge", RULE).await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let from = world.now();
        for (nth, ages) in [vec![], vec![1], vec![1, 1], vec![7, 1], vec![7, 9]].into_iter().enumerate() {
            let party = Party::recorded(1 + u64::try_from(ages.len()).unwrap(), ages).unwrap();
            let context = Context::default().with_party(party);
            world.check(&kiosk, Question { context, ..question("lounge", &person(nth)) }).await.unwrap();
        }
        world.pass(1);
        let found = async |rule: String| {
            let choice = Choice::Rule(Json::parse(&rule).unwrap());
            let trial = PastTrial { perk: "lounge".parse().unwrap(), choice, from, to: None };
            let mut run = world.gateway.backtester.backtest(&cathay, trial).await.unwrap();
            while run.step().await.unwrap().is_some() {}
            let found = run.finish().unwrap();
            (found.replayed, found.newly_admitted, found.newly_refused, found.not_replayed.unkept)
        };
        assert_eq!(found(RULE.to_owned()).await, (5, 0, 0, 0));
        assert_eq!(found(RULE.replace("\"max\":1", "\"max\":2")).await, (5, 1, 0, 0));
        assert_eq!(found(RULE.replace(",\"under\":2", "")).await, (5, 0, 2, 0), "all children count");
        assert_eq!(
            found(RULE.replace("\"under\":2", "\"under\":9")).await,
            (1, 0, 0, 4),
            "who is under nine is not known"
        );
    }
}

/// A correction moves the time of its counters on, as a check does: what another replica counts after is counted by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_ahead_of_time_corrects_and_the_past_comes_out_the_same() {
    for window in WINDOWS {
        for world in World::all().await {
            let ahead = Clock::fixed(world.now() + jiff::SignedDuration::from_secs(2));
            let replica = world.replica_at(ahead).await;
            let house = House { replica, ..House::open(&world, 30, window).await };
            let ada = house.show(&house.ask(0, "twitter:ada", 2).await.unwrap()).await;
            house.correct(1, &ada, 3, None).await.unwrap();
            house.ask(0, "twitter:bob", 1).await.unwrap();
            house.correct(0, &ada, 1, None).await.unwrap();
            house.ask(0, "twitter:cleo", 1).await.unwrap();
            world.pass(5);
            assert_eq!(house.hold().await, 3, "{window}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_correction_answers_is_the_state_that_its_tag_names() {
    for world in World::all().await {
        let house = House::open(&world, 30, WINDOWS[1]).await;
        let (grant, token) = house.token("twitter:ada", 2).await;
        let seen = house.show(&grant).await;
        let deadline = question("lounge", "nobody").deadline;
        let redeemer = &house.replica.redeemer;
        let (door, attempt) = ("A-3".to_owned(), "1".to_owned());
        redeemer.redeem(&house.kiosk, &house.merchant, &token, door, attempt, deadline).await.unwrap();
        let request = CorrectionRequest { party: Party::of(3), reason: "counted".into(), expected: None };
        let corrector = &world.gateway.checker;
        let answered = corrector.correct_grant(CLI, (None, None), &house.merchant, seen, request).await.unwrap();
        assert_eq!((answered.status, answered.redeemed_at.len()), (GrantStatus::Redeemed, 1));
        assert_eq!(answered, house.show(&grant).await);
    }
}
