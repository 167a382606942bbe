//! Retention: old bodies go once no promise needs them, and everything still verifies.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use jiff::Timestamp;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::{Request, verify_snapshot};
use perkgate::database::schema::events;
use perkgate::database::{Database, connection};
use perkgate::decision::decide::Decision;
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving};
use perkgate::ledger::retention::pruning::{KIND, PRUNABLE, Plan};

use super::history::{History, events_of, log};
use crate::support::world::{CLI, World, idempotent, question};

/// A day, a rolling week, a place in the house, and a number of visits that never lapses where the score
/// is high.
const RULES: [(&str, &str); 4] = [
    ("day", r#"{"calendar":"day"}"#),
    ("week", r#"{"rolling":"P7D"}"#),
    ("house", r#"{"concurrent":{"max_stay":"PT4H"}}"#),
    ("ever", r#"{"lifetime":true}"#),
];

fn rule(window: &str) -> String {
    format!(
        r#"{{"score":{{"source":"klout","on_missing":"refer"}},
        "tiers":[{{"id":"main","when":{{"attr":"score","op":"gte","value":40}}}}],
        "limits":[{{"id":"own","scope":["subject"],"max":9,"window":{window}}},
                  {{"id":"shared","scope":["merchant"],"max":500,"window":{{"calendar":"day"}}}}],
        "token":{{"audience":"sfo","ttl":"PT15M"}}}}"#
    )
}

pub(super) struct House {
    pub world: World,
    pub database: Database,
    pub cathay: Merchant,
    pub kiosk: Principal,
    pub admin: Principal,
}

impl House {
    pub(super) async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            let cathay = world.merchant("cathay").await;
            let (kiosk, admin) =
                (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Admin).await);
            for (perk, window) in RULES {
                world.perk(&cathay, perk, &rule(window)).await;
            }
            let database = world.database.open();
            all.push(Self { world, database, cathay, kiosk, admin });
        }
        all
    }

    /// Everybody visits everything; some are redeemed, released, voided, referred.
    pub(super) async fn visits(&self) {
        for who in ["ada", "bob"] {
            self.world.score(&self.cathay, &format!("twitter:{who}"), "80").await;
            for (perk, _) in RULES {
                let answer = self.world.check(&self.kiosk, question(perk, &format!("twitter:{who}"))).await.unwrap();
                let (token, grant) = (answer.token.unwrap(), answer.grant.unwrap().id);
                if who == "ada" {
                    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
                    let redeemer = &self.world.gateway.redeemer;
                    redeemer
                        .redeem(&self.admin, &self.cathay, &token, "door".into(), "1".into(), deadline)
                        .await
                        .unwrap();
                    let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
                    self.world.gateway.ledger.release_grant(&self.cathay.id, &grant, leaving).await.unwrap();
                } else {
                    let taking = GrantRevocation { actor: CLI, note: "A mistake.".into(), keep_uses: false };
                    self.world.gateway.ledger.void_grants(&self.cathay.id, vec![grant], taking).await.unwrap();
                }
            }
        }
        let asked = self.world.check(&self.kiosk, question("day", "twitter:zoe")).await.unwrap();
        let ruling = ReferralDecision { check: asked.check.unwrap(), tier: None, note: "seen".into() };
        self.world.gateway.checker.decide_referral(&self.admin, &self.cathay, ruling).await.unwrap();
    }

    pub(super) async fn plan(&self, before: Timestamp) -> Plan {
        self.world.gateway.ledger.plan_pruning(&self.cathay.id, before, |_, _| ()).await.unwrap()
    }

    pub(super) async fn prune(&self, before: Timestamp) -> (Plan, u64) {
        let plan = self.plan(before).await;
        assert_eq!(plan.obstacles, []);
        let gone = self.world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap();
        (plan, gone)
    }

    pub(super) fn findings(&self) -> Vec<String> {
        let report = perkgate::audit::verify(&self.database, &Request::default(), &Entropy::System, &mut |_| {});
        report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
    }

    pub(super) fn obstacles(plan: &Plan) -> Vec<(&'static str, Option<String>)> {
        plan.obstacles.iter().map(|it| (it.reason.code(), it.until.map(|at| at.to_string()))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_bodies_go_and_everything_still_verifies() {
    for house in House::all().await {
        house.visits().await;
        let long_ago = house.world.now();
        house.world.pass(400 * 86_400);
        house.visits().await;
        house.world.pass(3600);
        assert_eq!(house.findings(), [""; 0]);
        let before = long_ago + jiff::SignedDuration::from_hours(24 * 300);
        let (plan, gone) = house.prune(before).await;
        // Of Ada's visits three events, of Bob's two, and two of Zoe; what counts for ever stays.
        assert_eq!((plan.count, plan.kept, gone), (4 * (3 + 2) + 2 - 5, 5, 17), "{plan:?}");
        assert_eq!(house.findings(), [""; 0]);

        let mut conn = house.database.dedicated().unwrap();
        let all = events_of(&mut conn, "cathay");
        for event in &all {
            let is_old = event.at < before.as_microsecond();
            let goes = is_old && PRUNABLE.contains(&event.kind.as_str());
            assert!(event.body.is_some() || goes, "{} stays", event.kind);
        }
        assert_eq!(all.iter().filter(|event| event.body.is_none()).count(), 17);
        let told = all.iter().find(|event| event.kind == KIND).unwrap().body.clone().unwrap();
        assert!(told.contains(&format!(r#""before":"{before}","count":17,"#)), "{told}");
        // Again there is nothing left to do, and nothing is recorded.
        assert_eq!(house.prune(before).await.1, 0);
        assert_eq!(events_of(&mut conn, "cathay").len(), all.len());
        // The house goes on, and what follows verifies too.
        house.visits().await;
        assert_eq!(house.findings(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_promise_needs_stands_in_the_way_until_it_is_over() {
    for house in House::all().await {
        let world = &house.world;
        world.score(&house.cathay, "twitter:ada", "80").await;
        let noon = world.now();
        let tomorrow = noon + jiff::SignedDuration::from_hours(48);
        let text = |at: &str| Some(at.to_owned());
        let day = world.check(&house.kiosk, idempotent(question("day", "twitter:ada"), "k", 1)).await.unwrap();
        assert_eq!(
            House::obstacles(&house.plan(tomorrow).await),
            [
                ("unspent_grants", text("2012-05-08T19:15:30Z")),
                ("retries", text("2012-05-09T19:00:00Z")),
                ("open_windows", text("2012-05-09T00:00:00Z"))
            ]
        );
        assert_eq!(House::obstacles(&house.plan(noon).await), [], "nothing is from before");
        world.pass(3600 * 25);
        assert_eq!(House::obstacles(&house.plan(tomorrow).await), [], "over, all of it");

        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let stays = world.check(&house.kiosk, question("house", "twitter:ada")).await.unwrap();
        let redeemer = &world.gateway.redeemer;
        let token = stays.token.unwrap();
        redeemer.redeem(&house.admin, &house.cathay, &token, "d".into(), "1".into(), deadline).await.unwrap();
        world.pass(3600 * 3);
        let later = world.now() + jiff::SignedDuration::from_hours(1);
        assert_eq!(
            House::obstacles(&house.plan(later).await),
            [
                ("held_places", text("2012-05-10T00:00:00Z")),
                ("retries", text("2012-05-10T20:00:00Z")),
                ("open_windows", text("2012-05-10T00:00:00Z"))
            ]
        );
        world.pass(3600 * 24 * 2);
        world.check(&house.kiosk, question("week", "twitter:ada")).await.unwrap();
        let asked = world.check(&house.kiosk, question("day", "twitter:zoe")).await.unwrap();
        world.pass(3600 * 24 * 3);
        let later = world.now();
        let plan = house.plan(later).await;
        assert_eq!(House::obstacles(&plan), [("open_referrals", None), ("open_windows", text("2012-05-18T23:00:00Z"))]);
        assert_eq!(world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 0, "refused");
        let ruling = ReferralDecision { check: asked.check.unwrap(), tier: None, note: "seen".into() };
        world.gateway.checker.decide_referral(&house.admin, &house.cathay, ruling).await.unwrap();
        world.pass(3600 * 24 * 5);
        let (_, gone) = house.prune(later).await;
        assert!(gone >= 4, "{gone}");
        assert_eq!(house.findings(), [""; 0]);
        // What is asked for now says why it isn't told.
        let error = world.gateway.ledger.reader().find_check(&house.cathay.id, &day.check.unwrap()).await.unwrap_err();
        assert!(matches!(error, perkgate::ledger::LedgerError::Pruned), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_without_a_word_is_found() {
    for history in History::all().await {
        let take = |conn: &mut perkgate::database::AnyConnection, index: i64| {
            let id = log(conn, "cathay").id;
            let row = events::table.find((id, index));
            diesel::update(row).set(events::body.eq(None::<String>)).execute(conn).unwrap();
        };
        let codes = || history.verdict().findings.counts().keys().copied().collect::<Vec<_>>();
        let before = history.world.now();
        history.world.pass(400 * 86_400);
        let cathay = history.world.gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        let ledger = &history.world.gateway.ledger;
        let plan = ledger.plan_pruning(&cathay.id, before, |_, _| ()).await.unwrap();
        assert!(plan.count > 0 && plan.kept > 0, "{plan:?}");
        assert_eq!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), plan.count);
        assert_eq!(codes(), [""; 0]);
        // One more than was recorded, within what was pruned and behind it.
        let kept = history.lay_hands(|conn| {
            let all = events_of(conn, "cathay");
            all.iter().rfind(|event| event.body.is_some() && event.log_index < plan.to_index).unwrap().log_index
        });
        history.lay_hands(|conn| take(conn, kept));
        assert!(codes().contains(&"body_missing"), "{:?}", codes());
    }
}

/// What pruning left is held to as before; of what went, only what it left behind.
#[tokio::test(flavor = "multi_thread")]
async fn pruning_hides_nothing_but_what_it_took() {
    for house in House::all().await {
        house.visits().await;
        let long_ago = house.world.now();
        house.world.pass(400 * 86_400);
        house.prune(long_ago + jiff::SignedDuration::from_hours(1)).await;
        house.visits().await;
        let asked = house.world.check(&house.kiosk, question("week", "twitter:ada")).await.unwrap();
        assert_eq!(asked.decided.decision, Decision::Granted);
        let now = house.world.now().as_microsecond();
        for (hands, expected) in [
            // Nothing about keys, rules and perks is ever pruned.
            (
                "INSERT INTO api_keys (id, merchant_id, hash, role, label, created_at) \
                 SELECT 'key_forged', merchant_id, leaf_hash, 'admin', 'forged', 0 FROM api_keys, events \
                 WHERE role = 'kiosk' AND kind = 'check.decided' LIMIT 1",
                "key_without_event",
            ),
            (
                "INSERT INTO rule_versions (merchant_id, perk_id, version, status, rule, rule_hash, author, created_at, editors) \
                 SELECT merchant_id, perk_id, 99, 'scheduled', rule, rule_hash, author, 0, editors FROM rule_versions LIMIT 1",
                "rule_without_event",
            ),
            ("UPDATE perks SET status = 'paused' WHERE slug = 'day'", "perk_mismatch"),
            (
                "UPDATE rule_versions SET status = 'draft' WHERE perk_id = (SELECT id FROM perks WHERE slug = 'ever')",
                "rule_mismatch",
            ),
            // What limits count now is exact.
            ("UPDATE limit_counters SET used = used - 1 WHERE window_key = 'rolling' AND used > 0", "counter_mismatch"),
            ("DELETE FROM limit_counters WHERE window_key = 'rolling' AND used > 0", "counter_missing"),
            (
                "UPDATE limit_counters SET used = used - 1 WHERE window_key LIKE 'day:2013%' AND used > 0",
                "counter_mismatch",
            ),
            ("UPDATE limit_counters SET used = used + 1 WHERE window_key = 'lifetime'", "counter_mismatch"),
            (
                "INSERT INTO limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon) \
                 SELECT merchant_id, perk_id, limit_id, '/subject/sub_forged', window_key, 9, last_used_at, horizon \
                 FROM limit_counters WHERE window_key LIKE 'day:2013%' LIMIT 1",
                "counter_mismatch",
            ),
            (
                "INSERT INTO limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon) \
                 SELECT merchant_id, perk_id, limit_id, '/subject/sub_forged', window_key, 9, last_used_at, horizon \
                 FROM limit_counters WHERE window_key = 'rolling' AND used > 0 LIMIT 1",
                "counter_mismatch",
            ),
            (
                "INSERT INTO limit_uses (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay) \
                 SELECT merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, 'grt_forged', 1, stay \
                 FROM limit_uses WHERE window_key = 'rolling' ORDER BY counts_at DESC LIMIT 1",
                "use_without_event",
            ),
            // Of what is pruned, the table still says what it was about.
            ("DELETE FROM referrals WHERE decided_at = (SELECT min(decided_at) FROM referrals)", "referral_missing"),
            (
                "UPDATE referrals SET check_id = 'chk_forged' WHERE decided_at = (SELECT min(decided_at) FROM referrals)",
                "referral_without_event",
            ),
            (
                "DELETE FROM redemptions WHERE redeemed_at = (SELECT min(redeemed_at) FROM redemptions)",
                "redemption_missing",
            ),
            (
                "UPDATE grants SET voided_at = NOW WHERE granted_at = (SELECT max(granted_at) FROM grants) AND voided_at IS NULL",
                "grant_mismatch",
            ),
            ("UPDATE subjects SET created_at = created_at + 40000000000000", "subject_mismatch"),
            ("UPDATE events SET body = NULL WHERE kind = 'key.created'", "body_missing"),
            ("UPDATE events SET body = NULL, kind = 'check.decided' WHERE kind = 'perk.created'", "perk_without_event"),
        ] {
            let mut conn = house.database.dedicated().unwrap();
            connection::begin(&mut conn).unwrap();
            conn.batch_execute(&hands.replace("NOW", &now.to_string())).unwrap();
            let report = verify_snapshot(&mut conn, &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
            connection::rollback(&mut conn).unwrap();
            let counts = report.findings.counts();
            assert!(counts.contains_key(expected), "{hands}: {counts:?}");
        }
        assert_eq!(house.findings(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_a_long_log_is_pruned() {
    for house in House::all().await {
        let world = &house.world;
        let asks = |nth: usize| question("day", &format!("twitter:none-{nth}"));
        for chunk in 0..6 {
            let many = (0..250).map(|nth| world.check(&house.kiosk, asks(chunk * 250 + nth)));
            futures_util::future::join_all(many).await.into_iter().for_each(|it| drop(it.unwrap()));
        }
        // Nobody knows a score, so they were all referred; denied at once, like a person would.
        let open =
            world.gateway.ledger.reader().list_referrals(&house.cathay.id, false, None, None, 2000).await.unwrap();
        assert_eq!(open.len(), 1500);
        for referral in open {
            let ruling = ReferralDecision { check: referral.check, tier: None, note: "no".into() };
            world.gateway.checker.decide_referral(&house.admin, &house.cathay, ruling).await.unwrap();
        }
        world.pass(2 * 86_400);
        let before = world.now();
        let pruning = house.prune(before - jiff::SignedDuration::from_hours(24));
        let asking = async {
            for nth in 0..50 {
                world.check(&house.kiosk, asks(nth)).await.unwrap();
            }
        };
        let ((_, gone), ()) = tokio::join!(pruning, asking);
        assert_eq!(gone, 3000);
        assert_eq!(house.findings(), [""; 0]);
    }
}
