//! What was added to open cases, held to the log: every change to a row shows, and every lie about a case.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::export::record::Form;
use perkgate::audit::{ExportFile, Request, verify_exports};
use perkgate::database::{Database, DatabaseError, connection};
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::{CheckId, EventId};
use perkgate::ledger::cases::contest::{Contest, ContestError, MOST_ADDED, Objection};
use perkgate::ledger::store::EventRow;

use super::history::{events_of, rebuild};
use super::written::{Part, write};
use crate::support::world::{CLI, World, question};

const REFUSING: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;
const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

struct House {
    world: World,
    cathay: Merchant,
    kiosk: Principal,
    admin: Principal,
}

impl House {
    async fn all() -> Vec<Self> {
        let mut houses = Vec::new();
        for world in World::all().await {
            let cathay = world.merchant("cathay").await;
            world.perk(&cathay, "lounge", REFUSING).await;
            world.perk(&cathay, "club", REFERRING).await;
            let (kiosk, admin) =
                (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Admin).await);
            houses.push(Self { world, cathay, kiosk, admin });
        }
        houses
    }

    async fn check(&self, perk: &str, who: &str) -> CheckId {
        self.world.check(&self.kiosk, question(perk, who)).await.unwrap().check.unwrap()
    }

    async fn contest(&self, check: &CheckId) -> Result<Contest, ContestError> {
        let (at, entropy) = (self.world.now(), &self.world.gateway.entropy);
        let objection = Objection {
            merchant: self.cathay.id.clone(),
            check: check.clone(),
            event: EventId::new(at, entropy),
            at,
            by: self.kiosk.actor(),
            reason: "it is me".to_owned(),
        };
        self.world.gateway.ledger.contest(objection).await
    }

    async fn deny(&self, check: CheckId) {
        let ruling = ReferralDecision { check, tier: None, note: "no".to_owned() };
        self.world.gateway.checker.decide_referral(&self.admin, &self.cathay, ruling).await.unwrap();
    }

    /// A contest with two additions that is upheld, and an open one with one; a referral that another check joined.
    async fn with_cases(&self) -> Database {
        for (who, added) in [("twitter:dee", 2), ("twitter:eve", 1)] {
            let first = self.check("lounge", who).await;
            assert!(matches!(self.contest(&first).await, Ok(Contest::Opened(_))));
            for _ in 0..added {
                let check = self.check("lounge", who).await;
                assert!(matches!(self.contest(&check).await, Ok(Contest::Added(case)) if case.check == first));
            }
            if added == 2 {
                self.deny(first).await;
            }
        }
        self.check("club", "twitter:fay").await;
        self.check("club", "twitter:fay").await;
        self.world.database.open()
    }

    fn export(&self) -> String {
        let (database, mut text) = (self.world.database.open(), Vec::new());
        let key = self.world.gateway.keyring.log_key().verifier().clone();
        write(&mut database.dedicated().unwrap(), "cathay", &key, Form::Ndjson, &Part::default(), &mut text);
        String::from_utf8(text).unwrap()
    }
}

fn codes(database: &Database) -> Vec<String> {
    let report = perkgate::audit::verify(database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|finding| finding.wrong.code().to_owned()).collect()
}

fn codes_of_export(house: &House) -> Vec<String> {
    let (text, key) = (house.export(), house.world.gateway.keyring.log_key().verifier().clone());
    let exports = vec![ExportFile { label: "file".to_owned(), reader: text.as_bytes() }];
    let request = Request { keys: vec![key], ..Request::default() };
    let report = verify_exports(exports, &request, &Entropy::System, &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|finding| finding.wrong.code().to_owned()).collect()
}

fn lay_hands(database: &Database, sql: &str) {
    let mut conn = database.dedicated().unwrap();
    connection::transaction(&mut conn, |conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addition_that_is_changed_deleted_or_made_up_is_found() {
    let cases: [(&str, &[&str]); 7] = [
        ("UPDATE contest_additions SET case_id = 'chk_x' WHERE added_by <> 'x'", &["addition_mismatch"; 3]),
        ("UPDATE contest_additions SET added_by = 'cli'", &["addition_mismatch"; 3]),
        ("UPDATE contest_additions SET asked_at = asked_at - 1", &["addition_mismatch"; 3]),
        ("UPDATE contest_additions SET added_at = added_at + 1", &["addition_mismatch"; 3]),
        (
            "DELETE FROM contest_additions WHERE case_id IN (SELECT check_id FROM referrals WHERE status = 'open')",
            &["addition_missing"],
        ),
        ("UPDATE contest_additions SET merchant_id = 'mer_x'", &["addition_missing"; 3]),
        (
            "INSERT INTO contest_additions SELECT 'chk_added', merchant_id, check_id, created_at, created_at, 'cli' \
             FROM referrals WHERE status = 'open' AND contested_at IS NOT NULL",
            &["addition_without_event"],
        ),
    ];
    for house in House::all().await {
        let database = house.with_cases().await;
        assert_eq!(codes(&database), [""; 0]);
        lay_hands(&database, "CREATE TABLE kept_additions AS SELECT * FROM contest_additions");
        for (sql, wanted) in cases {
            lay_hands(&database, sql);
            assert_eq!(codes(&database), wanted, "{sql}");
            lay_hands(
                &database,
                "DELETE FROM contest_additions; INSERT INTO contest_additions SELECT * FROM kept_additions",
            );
        }
        assert_eq!(codes(&database), [""; 0]);
    }
}

/// Whoever holds the log key can sign a lie; it still has to fit the rest, in an export too.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_does_not_fit_what_joins_it_is_found_even_when_it_is_signed() {
    type Lie<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str]);
    let lies: [Lie<'_>; 6] = [
        ("\"joins\":", "\"joins\":\"chk_0", "\"joins\":\"chk_1", &["event_incoherent"], &["event_incoherent"]),
        (
            "\"joins\":",
            "\"decision\":\"referred\"",
            "\"decision\":\"denied\"",
            &["event_incoherent"],
            &["event_incoherent"],
        ),
        (
            "\"joins\":",
            "\"perk_id\":\"prk_0",
            "\"perk_id\":\"prk_1",
            &["rule_cited_mismatch", "event_incoherent"],
            &["rule_cited_mismatch", "event_incoherent"],
        ),
        (
            "\"kind\":\"contest.added\"",
            "\"case\":\"chk_0",
            "\"case\":\"chk_1",
            &["event_incoherent", "addition_mismatch"],
            &["event_incoherent"],
        ),
        (
            "\"kind\":\"contest.added\"",
            "\"perk_id\":\"prk_0",
            "\"perk_id\":\"prk_1",
            &["event_incoherent"],
            &["event_incoherent"],
        ),
        ("\"kind\":\"contest.added\"", "contest.added", "contest.dreamt", &["addition_without_event"], &[]),
    ];
    for house in House::all().await {
        let database = house.with_cases().await;
        let key = house.world.gateway.keyring.log_key();
        let rewrite = |all: Vec<EventRow>| {
            let mut conn = database.dedicated().unwrap();
            rebuild(&mut conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        };
        let truth = events_of(&mut database.dedicated().unwrap(), "cathay");
        for (which, from, to, wanted, exported) in lies {
            let mut all = truth.clone();
            let lie = all.iter_mut().find(|event| event.body.as_ref().unwrap().contains(which)).expect(which);
            lie.body = Some(lie.body.as_ref().unwrap().replacen(from, to, 1));
            // The column says what the body says.
            lie.kind = lie.kind.replace(from, to);
            rewrite(all);
            assert_eq!(codes(&database), wanted, "{to}");
            assert_eq!(codes_of_export(&house), exported, "{to}");
        }
        // What was decided before: the decision stands in front of the last addition to its case.
        let mut all = truth.clone();
        let place = |text: &str| truth.iter().rposition(|event| event.body.as_ref().unwrap().contains(text)).unwrap();
        let (decided, added) = (place("contest.upheld"), place("\"case\":"));
        let case = truth[decided].about.clone();
        let added = truth
            .iter()
            .rposition(|event| event.body.as_ref().unwrap().contains(&format!("\"case\":\"{case}\"")))
            .unwrap_or(added);
        let bodies = (all[decided].clone(), all[added].clone());
        let put = |to: &mut EventRow, from: &EventRow| {
            let (index, log) = (to.log_index, to.log_id.clone());
            *to = EventRow { log_index: index, log_id: log, ..from.clone() };
        };
        put(&mut all[added], &bodies.0);
        put(&mut all[decided], &bodies.1);
        rewrite(all);
        assert_eq!(codes(&database), ["event_incoherent"], "it was decided before");
        assert_eq!(codes_of_export(&house), ["event_incoherent"]);
        rewrite(truth);
        assert_eq!(codes(&database), [""; 0]);
        assert_eq!(codes_of_export(&house), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_an_open_case_needs_and_erasing_closes_it_whole() {
    for house in House::all().await {
        let (world, ledger) = (&house.world, &house.world.gateway.ledger);
        // The refusal that is added is older than the one whose case it is.
        let older = house.check("lounge", "twitter:ada").await;
        world.pass(3600);
        let middle = world.now();
        world.pass(3600);
        let first = house.check("lounge", "twitter:ada").await;
        house.contest(&first).await.unwrap();
        world.pass(2 * 86_400);
        let stale = ledger.plan_pruning(&house.cathay.id, middle, |_, _| ()).await.unwrap();
        assert_eq!((stale.count, stale.obstacles.len()), (1, 0));
        assert!(matches!(house.contest(&older).await, Ok(Contest::Added(_))));
        let plan = ledger.plan_pruning(&house.cathay.id, middle, |_, _| ()).await.unwrap();
        let obstacles: Vec<_> = plan.obstacles.iter().map(|it| (it.reason.code(), it.count)).collect();
        assert_eq!(obstacles, [("open_referrals", 1)], "its case is open");
        assert_eq!(ledger.prune(&stale, CLI, |_, _| ()).await.unwrap(), 0, "it was added since it was planned");
        let referred = ledger.reader().find_referred(&house.cathay.id, &first).await.unwrap().unwrap();
        assert_eq!(referred.added_objections, [Some("it is me".to_owned())]);

        let subject = world.gateway.keyring.subject_refs(&house.cathay.id, &"twitter:ada".parse().unwrap());
        let erasure = perkgate::ledger::retention::erasure::Erasure {
            merchant: house.cathay.id.clone(),
            subject,
            by: CLI,
            asked: None,
        };
        let erased = world.gateway.scores.erase(ledger, erasure).await.unwrap().unwrap();
        assert_eq!(erased.referrals, 1, "one case, with all that was added");
        let case = ledger.reader().case_of(&house.cathay.id, &older).await.unwrap().unwrap();
        assert_eq!((case.check, case.status.as_str()), (first, "closed"));
        assert!(matches!(house.contest(&older).await, Err(ContestError::AlreadyContested)));
        let database = world.database.open();
        assert_eq!(codes(&database), [""; 0]);

        world.pass(2 * 86_400);
        let before = world.now() - jiff::SignedDuration::from_hours(24);
        let plan = ledger.plan_pruning(&house.cathay.id, before, |_, _| ()).await.unwrap();
        assert_eq!(plan.obstacles, []);
        assert_eq!(
            ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(),
            5,
            "two checks, the case, the addition, its end"
        );
        assert_eq!(codes(&database), [""; 0]);
        lay_hands(&database, "DELETE FROM contest_additions");
        assert_eq!(codes(&database), ["addition_missing"], "the log's table still tells of it");
    }
}

/// Replicas are apart only in the database: there of two who open a case about one person, one does.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_open_one_case_about_a_person() {
    for house in House::all().await {
        let (world, twin) = (&house.world, house.world.replica().await);
        for round in 0..8 {
            let who = format!("twitter:n{round}");
            let mut checks = Vec::new();
            for _ in 0..6 {
                checks.push(house.check("lounge", &who).await);
            }
            let at = world.now();
            let contests = checks.iter().enumerate().map(|(nth, check)| {
                let ledger = if nth % 2 == 0 { &world.gateway.ledger } else { &twin.ledger };
                ledger.contest(Objection {
                    merchant: house.cathay.id.clone(),
                    check: check.clone(),
                    event: EventId::new(at, &world.gateway.entropy),
                    at,
                    by: house.kiosk.actor(),
                    reason: "it is me".to_owned(),
                })
            });
            let opened = futures_util::future::join_all(contests).await;
            let is_new = |it: &Result<Contest, ContestError>| matches!(it, Ok(Contest::Opened(_)));
            assert_eq!(opened.iter().filter(|it| is_new(it)).count(), 1, "{opened:?}");
            assert!(opened.iter().all(Result::is_ok), "{opened:?}");
            let asks = (0..6).map(|nth| {
                let gateway = if nth % 2 == 0 { world.gateway.as_ref() } else { &twin };
                gateway.checker.check(&house.kiosk, &house.cathay, question("club", &who))
            });
            let asked = futures_util::future::join_all(asks).await;
            let first: Vec<_> = asked.iter().map(|it| it.as_ref().unwrap()).filter(|it| it.joins.is_none()).collect();
            assert_eq!(first.len(), 1, "{asked:?}");
            let joined = asked.iter().filter_map(|it| it.as_ref().unwrap().joins.clone());
            assert!(joined.clone().all(|check| Some(&check) == first[0].check.as_ref()) && joined.count() == 5);
        }
        assert_eq!(codes(&world.database.open()), [""; 0]);
    }
}

/// An earlier build opened a case for each: they stand, and what comes is added to the oldest that is open.
#[tokio::test(flavor = "multi_thread")]
async fn cases_that_an_earlier_build_opened_side_by_side_stand() {
    for mut house in House::all().await {
        let mut firsts = Vec::new();
        for _ in 0..3 {
            // Ids are in the order of their instants.
            house.world.pass(1);
            let check = house.check("lounge", "twitter:ada").await;
            house.contest(&check).await.unwrap();
            firsts.push(check);
        }
        // As that build had them: an event and a row each.
        let database = house.world.database.open();
        let key = house.world.gateway.keyring.log_key();
        let mut all = events_of(&mut database.dedicated().unwrap(), "cathay");
        for event in all.iter_mut().filter(|event| event.kind == "contest.added") {
            event.kind = "contest.opened".to_owned();
            let body = event.body.take().unwrap().replace("contest.added", "contest.opened");
            event.body = Some(body.replace(&format!("\"case\":\"{}\",", firsts[0]), ""));
        }
        rebuild(&mut database.dedicated().unwrap(), "cathay", all, key.verifier(), &|text| key.sign(text));
        lay_hands(
            &database,
            "INSERT INTO referrals SELECT a.check_id, r.merchant_id, r.perk_id, r.perk, r.rule_version, r.subject, r.status, \
             a.asked_at, NULL, NULL, NULL, NULL, a.added_at, a.added_by FROM contest_additions a JOIN referrals r \
             ON r.check_id = a.case_id; DELETE FROM contest_additions",
        );
        assert_eq!(codes(&database), [""; 0]);
        // The one that wrote it sees its log put back.
        house.world.gateway = Arc::new(house.world.replica().await);
        let more = house.check("lounge", "twitter:ada").await;
        assert!(matches!(house.contest(&more).await, Ok(Contest::Added(case)) if case.check == firsts[0]));
        house.deny(firsts[0].clone()).await;
        let more = house.check("lounge", "twitter:ada").await;
        assert!(matches!(house.contest(&more).await, Ok(Contest::Added(case)) if case.check == firsts[1]));
        for _ in 1..MOST_ADDED {
            let more = house.check("lounge", "twitter:ada").await;
            house.contest(&more).await.unwrap();
        }
        let more = house.check("lounge", "twitter:ada").await;
        assert!(matches!(house.contest(&more).await, Err(ContestError::Full(case)) if case == firsts[1]));
        assert_eq!(codes(&database), [""; 0]);
    }
}
