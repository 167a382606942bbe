//! Checks that no limit has a say in: people are remembered from one batch to the next, and on PostgreSQL a batch is one
//! statement that holds only if nobody else has appended. Nobody may notice either.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use futures_util::StreamExt as _;
use futures_util::stream;
use perkgate::access::{Principal, Role};
use perkgate::audit::Request;
use perkgate::database::Mismatch;
use perkgate::decision::decide::Decision;
use perkgate::eligibility::checker::Answer;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;
use perkgate::ledger::retention::erasure::Erasure;

use super::replaced::Before;
use crate::support::databases::TestDatabase;
use crate::support::proxy::{Commit, Proxy};
use crate::support::services::Postgres;
use crate::support::tally::Tally;
use crate::support::world::{CLI, World, idempotent, question};

const LOUNGE: &str = r#"{"at_least":40,"score":"klout"}"#;

/// Limits whose uses never lapse one by one: each window has a counter of its own.
const LIMITED: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person","scope":["subject"],"max":40,"window":{"lifetime":true}},
            {"id":"house","scope":["perk"],"max":60,"window":{"calendar":"day"}}]}"#;

/// Left to a person, as it asks for a score that nobody has.
const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

/// A perk without limits, and two replicas of the gateway that know the same person from an earlier check.
struct Two {
    world: World,
    replica: Gateway,
    kiosk: Principal,
}

impl Two {
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            let merchant = world.merchant("cathay").await;
            let kiosk = world.principal(&merchant, Role::Kiosk).await;
            world.perk(&merchant, "lounge", LOUNGE).await;
            world.perk(&merchant, "club", REFERRING).await;
            let replica = world.replica().await;
            let this = Self { world, replica, kiosk };
            this.meet("twitter:ada").await;
            all.push(this);
        }
        all
    }

    /// Each replica has signed a head, and then met the person.
    async fn meet(&self, who: &str) {
        let merchant = self.kiosk.merchant().unwrap();
        self.world.score(merchant, who, "92").await;
        for _ in 0..2 {
            for gateway in [&*self.world.gateway, &self.replica] {
                self.ask(gateway, who).await;
            }
        }
    }

    async fn ask(&self, gateway: &Gateway, who: &str) -> Answer {
        let asked = question("lounge", who);
        Box::pin(gateway.checker.check(&self.kiosk, self.kiosk.merchant().unwrap(), asked)).await.unwrap()
    }

    /// The pseudonym in the token that the person gets now.
    async fn pseudonym(&self, gateway: &Gateway, who: &str) -> String {
        let grant = self.ask(gateway, who).await.grant.expect("it is granted");
        let claims = Json::parse(&grant.claims).unwrap();
        claims.member("sub").and_then(Json::as_text).unwrap().to_owned()
    }

    async fn erase(&self, gateway: &Gateway, who: &str) {
        let merchant = self.kiosk.merchant().unwrap();
        let subject = gateway.keyring.subject_refs(&merchant.id, &who.parse().unwrap());
        let erasure = Erasure { merchant: merchant.id.clone(), subject, by: CLI, asked: None };
        gateway.scores.erase(&gateway.ledger, erasure).await.unwrap().unwrap();
        self.world.score(merchant, who, "92").await;
    }

    fn verify(&self) {
        let (database, entropy) = (self.world.database.open(), Entropy::seeded(1));
        let report = perkgate::audit::verify(&database, &Request::default(), &entropy, &mut |_| {}).unwrap();
        assert_eq!(report.findings.listed(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_somebody_new_at_the_next_check_wherever_they_were_erased() {
    for two in Two::all().await {
        let (here, there) = (&*two.world.gateway, &two.replica);
        let mut names = HashSet::from([two.pseudonym(here, "twitter:ada").await]);
        assert!(!names.insert(two.pseudonym(there, "twitter:ada").await), "one person on both");
        for (erases, asks) in [(there, here), (here, here), (here, there), (there, there)] {
            two.erase(erases, "twitter:ada").await;
            assert!(names.insert(two.pseudonym(asks, "twitter:ada").await), "a name came back");
            assert!(!names.insert(two.pseudonym(here, "twitter:ada").await));
            assert!(!names.insert(two.pseudonym(there, "twitter:ada").await));
        }
        two.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_elsewhere_is_referred_as_somebody_new() {
    for two in Two::all().await {
        let merchant = two.kiosk.merchant().unwrap();
        let here = &*two.world.gateway;
        for _ in 0..2 {
            // Nobody knows a score of theirs: refused here, and left to a person there.
            for gateway in [here, &two.replica] {
                two.ask(gateway, "twitter:bob").await;
            }
            let subject = here.keyring.subject_refs(&merchant.id, &"twitter:bob".parse().unwrap());
            let erasure = Erasure { merchant: merchant.id.clone(), subject, by: CLI, asked: None };
            two.replica.scores.erase(&two.replica.ledger, erasure).await.unwrap().unwrap();
            let asked =
                Box::pin(here.checker.check(&two.kiosk, merchant, question("club", "twitter:bob"))).await.unwrap();
            assert_eq!(asked.decided.decision, Decision::Referred);
        }
        two.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_appends_between_two_batches_stands_between_them() {
    for two in Two::all().await {
        let mut places = Vec::new();
        for nth in 0..12 {
            let gateway = if nth % 3 == 1 { &two.replica } else { &*two.world.gateway };
            let answer = two.ask(gateway, "twitter:ada").await;
            places.push(answer.receipt.unwrap().index);
        }
        let first = places[0];
        assert_eq!(places, (first..first + 12).collect::<Vec<_>>());
        two.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_overtake_each_other_all_the_time_lose_nothing() {
    const CHECKS: usize = 400;
    for two in Two::all().await {
        let merchant = two.kiosk.merchant().unwrap();
        let before = two.world.tally(merchant).granted;
        let people: Vec<String> = (0..CHECKS).map(|nth| format!("twitter:person{}", nth / 3)).collect();
        two.world.import_scores(merchant, people.iter().map(|who| (who.clone(), "47.25"))).await;
        // Each under a key, and each again on the other replica at the same time.
        let asks = people.iter().enumerate().map(|(nth, who)| {
            let two = &two;
            async move {
                let asked = || idempotent(question("lounge", who), &format!("visit {nth}"), 1);
                let ask = |gateway: &'_ Gateway| gateway.checker.clone();
                let (here, there) = (ask(&two.world.gateway), ask(&two.replica));
                let (here, there) =
                    tokio::join!(here.check(&two.kiosk, merchant, asked()), there.check(&two.kiosk, merchant, asked()));
                (here.unwrap(), there.unwrap())
            }
        });
        let answers: Vec<(Answer, Answer)> = stream::iter(asks).buffer_unordered(64).collect().await;
        for (here, there) in &answers {
            assert_eq!(format!("{here:?}"), format!("{there:?}"), "one key, one answer");
        }
        let tokens: HashSet<&String> = answers.iter().map(|(here, _)| here.token.as_ref().unwrap()).collect();
        assert_eq!((tokens.len(), two.world.tally(merchant).granted), (CHECKS, before + CHECKS));
        two.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_answer_is_lost_is_asked_about_and_one_that_is_lost_stays_so() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::to(postgres.port());
    let direct = TestDatabase::on(&postgres);
    let behind = direct.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let world = World::on(TestDatabase::at(&behind), &[("request_timeout", "4s")]).await;
    let merchant = world.merchant("cathay").await;
    let kiosk = world.principal(&merchant, Role::Kiosk).await;
    world.perk(&merchant, "lounge", LOUNGE).await;
    world.score(&merchant, "twitter:ada", "92").await;
    let ask = async |key: &str| {
        let mut asked = idempotent(question("lounge", "twitter:ada"), key, 1);
        asked.deadline = Instant::now() + Duration::from_secs(30);
        world.check(&kiosk, asked).await
    };
    // On a slow machine a batch may go in a transaction once more: until a statement is lost.
    let mut asked = 0;
    let until_lost = async |asked: &mut usize, lost: usize| loop {
        assert!(*asked < 100, "no statement is sent");
        *asked += 1;
        let key = format!("{lost}-{asked}");
        let answer = ask(&key).await.unwrap();
        if proxy.statements_lost() == lost {
            return (key, answer);
        }
    };
    proxy.next_statement(Commit::LosesItsAnswer);
    let (key, took) = until_lost(&mut asked, 1).await;
    assert_eq!(format!("{:?}", ask(&key).await.unwrap()), format!("{took:?}"));
    assert_eq!(world.tally(&merchant).granted, asked);
    // It never gets there: nothing holds the heads, and the same batch is recorded on another connection.
    proxy.next_statement(Commit::IsLost);
    until_lost(&mut asked, 2).await;
    assert_eq!(world.tally(&merchant).granted, asked);
    let report = perkgate::audit::verify(&direct.open(), &Request::default(), &Entropy::seeded(1), &mut |_| {});
    assert_eq!(report.unwrap().findings.listed(), []);
}

/// On PostgreSQL a statement can't take a key over; nobody may notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_expired_is_anybodys_again() {
    for two in Two::all().await {
        let merchant = two.kiosk.merchant().unwrap();
        let ask = async |gateway: &Gateway, body: u8| {
            let asked = idempotent(question("lounge", "twitter:ada"), "visit", body);
            Box::pin(gateway.checker.check(&two.kiosk, merchant, asked)).await
        };
        let first = ask(&two.world.gateway, 1).await.unwrap();
        assert!(ask(&two.world.gateway, 2).await.is_err(), "it stands for another question");
        two.world.pass(24 * 3600);
        let before = two.world.tally(merchant).granted;
        let second = ask(&two.world.gateway, 2).await.unwrap();
        assert_ne!(second.check, first.check);
        for gateway in [&*two.world.gateway, &two.replica] {
            assert_eq!(format!("{:?}", ask(gateway, 2).await.unwrap()), format!("{second:?}"));
        }
        assert!(ask(&two.world.gateway, 1).await.is_err());
        assert_eq!(two.world.tally(merchant).granted, before + 1);
        two.verify();
    }
}

/// Another merchant, with a key, whose log this gateway has signed, and who knows the same person.
async fn neighbour(two: &Two) -> Principal {
    let merchant = two.world.merchant("qantas").await;
    let kiosk = two.world.principal(&merchant, Role::Kiosk).await;
    two.world.perk(&merchant, "lounge", LOUNGE).await;
    two.world.score(&merchant, "twitter:ada", "92").await;
    for _ in 0..2 {
        two.world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
    }
    kiosk
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_several_merchants_are_recorded_together_each_in_its_own_log() {
    const CHECKS: usize = 120;
    for two in Two::all().await {
        let other = neighbour(&two).await;
        let kiosks = [&two.kiosk, &other];
        let granted = || kiosks.map(|kiosk| two.world.tally(kiosk.merchant().unwrap()).granted);
        let before = granted();
        let asks = (0..CHECKS).map(|nth| {
            let (world, kiosk) = (&two.world, kiosks[nth % 2]);
            async move {
                let asked = idempotent(question("lounge", "twitter:ada"), &format!("visit {nth}"), 1);
                (nth % 2, world.check(kiosk, asked).await.unwrap())
            }
        });
        // All wait at once, so that they share batches.
        let answers = futures_util::future::join_all(asks).await;
        for (which, kiosk) in kiosks.into_iter().enumerate() {
            let receipts =
                answers.iter().filter(|(it, _)| *it == which).map(|(_, answer)| answer.receipt.clone().unwrap());
            let mut places: Vec<(String, u64)> = receipts.map(|receipt| (receipt.log, receipt.index)).collect();
            places.sort();
            let (log, first) = places[0].clone();
            assert_eq!(log, kiosk.merchant().unwrap().slug.as_str());
            let expected: Vec<_> =
                (0..u64::try_from(CHECKS / 2).unwrap()).map(|nth| (log.clone(), first + nth)).collect();
            assert_eq!(places, expected, "one behind the other");
        }
        assert_eq!(granted(), before.map(|before| before + CHECKS / 2));
        two.verify();
    }
}

/// The head of the check's own log is as it was left; what was signed last, in another's, is missing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_where_what_was_signed_last_is_missing() {
    for two in Two::all().await {
        let other = neighbour(&two).await;
        let (merchant, database) = (two.kiosk.merchant().unwrap(), two.world.database.open());
        let before = Before::look(&database, merchant.id.as_str());
        two.ask(&two.world.gateway, "twitter:ada").await;
        let granted = two.world.tally(other.merchant().unwrap()).granted;
        before.bring_back(&database);
        let refused = two.world.check(&other, question("lounge", "twitter:ada")).await.unwrap_err();
        assert_eq!(two.world.gateway.database.mismatch().map(Mismatch::code), Some("database_replaced"), "{refused}");
        let recorded = Tally::take(&database, other.merchant().unwrap()).granted;
        assert_eq!(recorded, granted);
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// Number of statements of whole batches that the server is at.
fn waiting(conn: &mut PgConnection) -> i64 {
    let waiting = "SELECT count(*) AS number FROM pg_stat_activity \
                   WHERE datname = current_database() AND state = 'active' AND query LIKE 'WITH claimed%'";
    diesel::sql_query(waiting).get_result::<Number>(conn).unwrap().number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_comes_through_after_its_caller_was_refused_writes_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let world = World::on(TestDatabase::on(&postgres), &[("request_timeout", "1s")]).await;
    let merchant = world.merchant("cathay").await;
    let kiosk = world.principal(&merchant, Role::Kiosk).await;
    world.perk(&merchant, "lounge", LOUNGE).await;
    world.score(&merchant, "twitter:ada", "92").await;
    let ask = async |key: &str| world.check(&kiosk, idempotent(question("lounge", "twitter:ada"), key, 1)).await;
    for key in ["first", "second"] {
        ask(key).await.unwrap();
    }
    // Somebody is about to hold the same key: the statement waits for them, and has locked nothing that shows.
    let mut somebody = PgConnection::establish(&world.database.setting()).unwrap();
    let claim = format!(
        "BEGIN; INSERT INTO idempotency (merchant_id, key_id, operation, idempotency_key, request_hash, outcome, \
         created_at, expires_at) VALUES ('{}', '{}', 'checks', 'stalled', '', '', 0, 0)",
        merchant.id.as_str(),
        kiosk.key.as_str()
    );
    somebody.batch_execute(&claim).unwrap();
    let refused = ask("stalled").await.expect_err("nobody knows of it");
    assert!(waiting(&mut somebody) > 0, "it doesn't wait: {refused}");
    somebody.batch_execute("ROLLBACK").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while waiting(&mut somebody) > 0 {
        assert!(Instant::now() < deadline, "it never ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.tally(&merchant).granted, 2, "{refused}");
    ask("stalled").await.unwrap();
    assert_eq!(world.tally(&merchant).granted, 3);
}

fn used(answer: &Answer) -> Vec<u64> {
    answer.decided.limits.iter().map(|limit| limit.used).collect()
}

/// One replica after the other, some times many in a row: each finds what the other has used, to the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_was_read_without_a_lock_counts_what_everybody_used() {
    for two in Two::all().await {
        let merchant = two.kiosk.merchant().unwrap();
        two.world.perk(merchant, "limited", LIMITED).await;
        two.world.score(merchant, "twitter:bob", "92").await;
        let mut granted = [0, 0];
        for nth in 0..70 {
            let gateway = if nth % 7 < 4 { &*two.world.gateway } else { &two.replica };
            let person = usize::from(nth % 3 == 1);
            let asked = question("limited", ["twitter:ada", "twitter:bob"][person]);
            let answer = Box::pin(gateway.checker.check(&two.kiosk, merchant, asked)).await.unwrap();
            let fits = granted[person] < 40 && granted[0] + granted[1] < 60;
            assert_eq!(answer.decided.decision == Decision::Granted, fits, "{nth}: {answer:?}");
            granted[person] += u64::from(fits);
            assert_eq!(used(&answer), [granted[person], granted[0] + granted[1]], "{nth}");
        }
        assert_eq!(granted, [40, 20], "and the house is full");
        two.verify();
    }
}

/// The rows that the statement will use are someone else's at the moment: it waits for them, and for nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_used_by_the_statement_that_records_the_batch() {
    let Some(postgres) = Postgres::start() else { return };
    let world = World::on(TestDatabase::on(&postgres), &[]).await;
    let merchant = world.merchant("cathay").await;
    let kiosk = world.principal(&merchant, Role::Kiosk).await;
    world.perk(&merchant, "limited", LIMITED).await;
    world.score(&merchant, "twitter:ada", "92").await;
    let ask = async || world.check(&kiosk, question("limited", "twitter:ada")).await.unwrap();
    for nth in 1..=2 {
        assert_eq!(used(&ask().await), [nth, nth]);
    }
    let mut somebody = PgConnection::establish(&world.database.setting()).unwrap();
    somebody.batch_execute("BEGIN; SELECT * FROM limit_counters FOR UPDATE").unwrap();
    // Within a transaction a session sees the same activity again and again.
    let mut watching = PgConnection::establish(&world.database.setting()).unwrap();
    let look = async {
        let deadline = Instant::now() + Duration::from_secs(4);
        while waiting(&mut watching) == 0 {
            assert!(Instant::now() < deadline, "it doesn't wait");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        somebody.batch_execute("ROLLBACK").unwrap();
    };
    let (answer, ()) = tokio::join!(ask(), look);
    assert_eq!(used(&answer), [3, 3]);
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::seeded(1), &mut |_| {});
    assert_eq!(report.unwrap().findings.listed(), []);
}
