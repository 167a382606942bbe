//! A log whose old events are pruned: what its tables still must hold, and honest clocks that differ.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::{Request, verify_snapshot};
use perkgate::database::schema::events;
use perkgate::database::{Database, connection};
use perkgate::eligibility::checker::Answer;
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::{CheckId, EventId, GrantId};
use perkgate::foundation::json::Json;
use perkgate::ledger::cases::contest::Objection;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving};
use perkgate::ledger::retention::erasure::Erasure;
use perkgate::ledger::retention::sweep::sweep_uses;
use perkgate::perks::perk::NewVersion;

use super::history::events_of;
use crate::support::world::{CLI, World, question};

/// A day of 24 hours, in seconds.
const DAY: i64 = 86_400;

fn rule(window: &str, single_use: bool) -> String {
    format!(
        r#"{{"score":{{"source":"klout","on_missing":"refer"}},
        "tiers":[{{"id":"main","when":{{"attr":"score","op":"gte","value":40}}}}],
        "limits":[{{"id":"own","scope":["subject"],"max":9,"window":{window}}}],
        "token":{{"audience":"sfo","ttl":"PT1H","single_use":{single_use}}}}}"#
    )
}

struct House {
    world: World,
    database: Database,
    cathay: Merchant,
    kiosk: Principal,
    admin: Principal,
}

impl House {
    /// A lounge whose limit rolls over a week, a shower that is open as often as one likes, a house with
    /// places, and what is counted for ever.
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            let cathay = world.merchant("cathay").await;
            let (kiosk, admin) =
                (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Admin).await);
            for (perk, window, single_use) in [
                ("lounge", r#"{"rolling":"P7D"}"#, true),
                ("shower", r#"{"calendar":"day"}"#, false),
                ("house", r#"{"concurrent":{"max_stay":"PT4H"}}"#, true),
                ("ever", r#"{"lifetime":true}"#, true),
            ] {
                world.perk(&cathay, perk, &rule(window, single_use)).await;
            }
            let database = world.database.open();
            all.push(Self { world, database, cathay, kiosk, admin });
        }
        all
    }

    async fn check(&self, perk: &str, who: &str) -> Answer {
        self.world.check(&self.kiosk, question(perk, &format!("twitter:{who}"))).await.unwrap()
    }

    /// Granted to somebody whose score is high enough.
    async fn grant(&self, perk: &str, who: &str) -> (String, GrantId) {
        self.world.score(&self.cathay, &format!("twitter:{who}"), "80").await;
        let answer = self.check(perk, who).await;
        (answer.token.unwrap(), answer.grant.unwrap().id)
    }

    async fn redeem(&self, token: &str, door: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let redeemer = &self.world.gateway.redeemer;
        redeemer.redeem(&self.admin, &self.cathay, token, door.into(), "1".into(), deadline).await.unwrap();
    }

    async fn release(&self, grant: &GrantId) {
        let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
        self.world.gateway.ledger.release_grant(&self.cathay.id, grant, leaving).await.unwrap();
    }

    async fn void(&self, grant: GrantId) {
        let taking = GrantRevocation { actor: CLI, note: "A mistake.".into(), keep_uses: false };
        self.world.gateway.ledger.void_grants(&self.cathay.id, vec![grant], taking).await.unwrap();
    }

    async fn decide(&self, check: CheckId, tier: Option<&str>) {
        let ruling = ReferralDecision { check, tier: tier.map(str::to_owned), note: "seen".into() };
        self.world.gateway.checker.decide_referral(&self.admin, &self.cathay, ruling).await.unwrap();
    }

    async fn contest(&self, check: &CheckId) {
        let at = self.world.now();
        let objection = Objection {
            merchant: self.cathay.id.clone(),
            check: check.clone(),
            event: EventId::new(at, &self.world.gateway.entropy),
            at,
            by: self.kiosk.actor(),
            reason: "it is me".to_owned(),
        };
        self.world.gateway.ledger.contest(objection).await.unwrap();
    }

    async fn erase(&self, who: &str) {
        let subject =
            self.world.gateway.keyring.subject_refs(&self.cathay.id, &format!("twitter:{who}").parse().unwrap());
        let erasure = Erasure { merchant: self.cathay.id.clone(), subject, by: CLI, asked: None };
        let gateway = &self.world.gateway;
        gateway.scores.erase(&gateway.ledger, erasure).await.unwrap().unwrap();
    }

    /// Refused for want of a score.
    async fn refused(&self, who: &str) -> CheckId {
        self.world.score(&self.cathay, &format!("twitter:{who}"), "12").await;
        self.check("lounge", who).await.check.unwrap()
    }

    async fn prune(&self, before: Timestamp) -> u64 {
        let ledger = &self.world.gateway.ledger;
        let plan = ledger.plan_pruning(&self.cathay.id, before, |_, _| ()).await.unwrap();
        assert_eq!(plan.obstacles, []);
        ledger.prune(&plan, CLI, |_, _| ()).await.unwrap()
    }

    fn findings(&self) -> Vec<String> {
        let report = perkgate::audit::verify(&self.database, &Request::default(), &Entropy::System, &mut |_| {});
        report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
    }

    /// Does what each says, and takes it back once it was found for what it is.
    #[track_caller]
    fn expect(&self, cases: &[(&str, &str)]) {
        assert_eq!(self.findings(), [""; 0]);
        let mut unseen = Vec::new();
        for (hands, expected) in cases {
            let mut conn = self.database.dedicated().unwrap();
            connection::begin(&mut conn).unwrap();
            conn.batch_execute(hands).unwrap();
            let report = verify_snapshot(&mut conn, &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
            connection::rollback(&mut conn).unwrap();
            let counts = report.findings.counts();
            if counts.keys().copied().collect::<Vec<_>>().join(" ") != *expected {
                unseen.push(format!("{hands}: {expected} wanted, found {counts:?}"));
            }
        }
        assert!(unseen.is_empty(), "{unseen:#?}");
        assert_eq!(self.findings(), [""; 0]);
    }
}

fn minutes(number: i64) -> SignedDuration {
    SignedDuration::from_mins(number)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_grant_ended_is_held_to_what_pruning_left_of_it() {
    for house in House::all().await {
        let begin = house.world.now();
        let (token, left) = house.grant("lounge", "ada").await;
        house.redeem(&token, "1").await;
        house.release(&left).await;
        house.void(house.grant("lounge", "bob").await.1).await;
        // Both: taken back after the guest came in, and left then.
        let (token, both) = house.grant("house", "cy").await;
        house.redeem(&token, "1").await;
        house.void(both.clone()).await;
        house.release(&both).await;
        let (token, _) = house.grant("lounge", "fay").await;
        house.redeem(&token, "1").await;
        house.grant("shower", "dee").await;
        // Taken back later: its event stays.
        let (_, late) = house.grant("shower", "eve").await;
        house.world.pass(1200);
        house.void(late).await;
        house.world.pass(40 * DAY);
        assert!(house.prune(begin + minutes(10)).await > 10);
        house.grant("lounge", "ada").await;
        house.expect(&[
            (
                "UPDATE grants SET voided_at = NULL WHERE id = (SELECT about FROM events WHERE kind = 'grant.voided' \
                 AND body IS NULL ORDER BY log_index LIMIT 1)",
                "grant_mismatch",
            ),
            (
                "UPDATE grants SET released_at = NULL WHERE id = (SELECT about FROM events WHERE kind = 'grant.released' \
                 ORDER BY log_index LIMIT 1)",
                "grant_mismatch",
            ),
            ("UPDATE grants SET released_at = NULL WHERE voided_at IS NOT NULL", "grant_mismatch"),
            (
                "UPDATE grants SET voided_at = granted_at WHERE voided_at IS NULL AND released_at IS NULL AND single_use = FALSE",
                "grant_mismatch",
            ),
            (
                "UPDATE grants SET released_at = granted_at WHERE voided_at IS NULL AND released_at IS NULL AND single_use = FALSE",
                "grant_mismatch",
            ),
            (
                "UPDATE grants SET voided_at = NULL WHERE voided_at = (SELECT max(voided_at) FROM grants)",
                "grant_mismatch",
            ),
            // What the event was about, changed along with nothing else.
            (
                "UPDATE events SET kind = 'check.decided' WHERE kind = 'grant.voided' AND body IS NULL",
                "grant_mismatch",
            ),
            // Nothing else names these grants any more.
            (
                "DELETE FROM grants WHERE id IN (SELECT about FROM events WHERE kind = 'grant.voided' AND body IS NULL)",
                "grant_missing",
            ),
            (
                "DELETE FROM grants WHERE id IN (SELECT about FROM events WHERE kind = 'grant.voided' AND body IS NOT NULL)",
                "grant_missing",
            ),
            (
                "DELETE FROM grants WHERE id IN (SELECT about FROM events WHERE kind = 'grant.released')",
                "grant_missing",
            ),
            (
                "DELETE FROM grants WHERE single_use AND voided_at IS NULL AND released_at IS NULL \
                 AND id IN (SELECT about FROM events WHERE kind = 'token.redeemed')",
                "grant_missing",
            ),
        ]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_is_excused_only_where_one_is_pruned() {
    for house in House::all().await {
        let begin = house.world.now();
        let (token, _) = house.grant("shower", "ada").await;
        for door in ["1", "2"] {
            house.redeem(&token, door).await;
        }
        let (single, _) = house.grant("lounge", "ada").await;
        house.redeem(&single, "1").await;
        house.world.pass(1200);
        for door in ["3", "4"] {
            house.redeem(&token, door).await;
        }
        house.world.pass(40 * DAY);
        assert_eq!(house.prune(begin + minutes(10)).await, 2 + 3);
        house.expect(&[
            // The events of these are there, though others of the same grant are pruned.
            ("UPDATE redemptions SET redeemed_at = redeemed_at - 1 WHERE door = '3'", "redemption_mismatch"),
            ("UPDATE redemptions SET key_id = 'key_x' WHERE door = '4'", "redemption_mismatch"),
            ("DELETE FROM redemptions WHERE door = '3'", "redemption_missing"),
            // Of those that are pruned, how many there were.
            ("DELETE FROM redemptions WHERE door = '2'", "redemption_missing"),
            ("DELETE FROM redemptions WHERE door IN ('1', '2')", "redemption_missing"),
            ("DELETE FROM redemptions WHERE slot = 'single'", "redemption_missing"),
            (
                "INSERT INTO redemptions (grant_id, slot, merchant_id, key_id, door, attempt, redeemed_at) \
                 SELECT grant_id, 'single', merchant_id, key_id, '9', attempt, redeemed_at \
                 FROM redemptions WHERE door = '2'",
                "redemption_without_event",
            ),
            (
                "INSERT INTO redemptions (grant_id, slot, merchant_id, key_id, door, attempt, redeemed_at) \
                 SELECT grant_id, 'other', merchant_id, key_id, door, attempt, redeemed_at \
                 FROM redemptions WHERE slot = 'single'",
                "redemption_mismatch redemption_without_event",
            ),
            // A slot is its attempt's.
            ("UPDATE redemptions SET door = 'another' WHERE door = '1' AND slot <> 'single'", "redemption_mismatch"),
        ]);
    }
}

/// The clock of one replica is behind: what is later in the log is older, and is pruned first.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_pruning_may_reach_less_far() {
    for house in House::all().await {
        let begin = house.world.now();
        house.world.pass(1200);
        house.grant("lounge", "ada").await;
        house.world.pass(-600);
        house.grant("lounge", "bob").await;
        house.world.pass(40 * DAY);
        assert_eq!(house.prune(begin + minutes(15)).await, 1);
        assert_eq!(house.findings(), [""; 0]);
        assert_eq!(house.prune(begin + minutes(25)).await, 1);
        assert_eq!(house.findings(), [""; 0]);
        house.grant("lounge", "ada").await;
        assert_eq!(house.findings(), [""; 0]);
    }
}

/// Nobody came since: what such a counter stands at is told by its uses alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_sleeps_is_held_to_its_uses() {
    for house in House::all().await {
        let begin = house.world.now();
        for who in ["ada", "bob"] {
            house.grant("lounge", who).await;
            let (token, _) = house.grant("house", who).await;
            house.redeem(&token, "1").await;
        }
        house.world.pass(60);
        house.grant("lounge", "bob").await;
        // Given back: its counter has slept since with nothing used.
        house.void(house.grant("lounge", "cy").await.1).await;
        house.world.pass(40 * DAY);
        house.prune(begin + minutes(10)).await;
        // This one is awake.
        house.grant("lounge", "ada").await;
        house.expect(&[
            ("UPDATE limit_counters SET used = 7 WHERE window_key = 'rolling' AND used = 2", "counter_mismatch"),
            ("UPDATE limit_counters SET used = 0 WHERE window_key = 'rolling' AND used = 2", "counter_mismatch"),
            ("UPDATE limit_counters SET used = 1 WHERE window_key = 'rolling' AND used = 0", "counter_mismatch"),
            ("UPDATE limit_counters SET used = used + 1 WHERE window_key = 'concurrent'", "counter_mismatch"),
            ("UPDATE limit_counters SET horizon = horizon + 4000000000000 WHERE used = 2", "counter_mismatch"),
            ("DELETE FROM limit_uses WHERE counts_at = (SELECT min(counts_at) FROM limit_uses)", "counter_mismatch"),
            ("UPDATE limit_uses SET cost = 4 WHERE window_key = 'concurrent'", "counter_mismatch"),
        ]);
        sweep_uses(&house.world.gateway.ledger).await.unwrap();
        house.world.pass(400 * DAY);
        house.grant("lounge", "dee").await;
        sweep_uses(&house.world.gateway.ledger).await.unwrap();
        assert_eq!(house.findings(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_decided_is_held_to_what_pruning_left_of_it() {
    for house in House::all().await {
        let begin = house.world.now();
        for (who, tier) in [("ada", Some("main")), ("bob", None)] {
            let asked = house.check("lounge", who).await.check.unwrap();
            house.decide(asked, tier).await;
            let refused = house.refused(&format!("{who}-2")).await;
            house.contest(&refused).await;
            house.decide(refused, tier).await;
        }
        let refused = house.refused("cy").await;
        house.contest(&refused).await;
        house.erase("cy").await;
        // Contested before and decided after.
        let refused = house.refused("dee").await;
        house.contest(&refused).await;
        house.world.pass(1200);
        house.decide(refused, None).await;
        house.world.pass(40 * DAY);
        assert_eq!(house.prune(begin + minutes(10)).await, 2 * 2 + 1 + 2 * 3 + 1 + 3 + 2);
        let (referral, contest) = ("contested_at IS NULL", "contested_at IS NOT NULL");
        for (set, which) in [
            // Decided anew, or not at all.
            ("status = 'open', decided_at = NULL, decided_by = NULL, resolved_by = NULL, grant_id = NULL", referral),
            ("status = 'open'", contest),
            ("status = 'closed'", &*format!("{referral} AND status = 'denied'")),
            ("status = 'denied'", &*format!("{referral} AND status = 'granted'")),
            (
                "status = 'granted', resolved_by = check_id, grant_id = 'grt_x'",
                "status = 'denied' AND contested_at > 0",
            ),
            ("status = 'denied', resolved_by = NULL, grant_id = NULL", &*format!("{contest} AND status = 'granted'")),
            ("status = 'denied'", "status = 'closed'"),
            ("decided_at = NULL", "status = 'granted'"),
            ("decided_by = NULL", "status = 'closed'"),
            ("grant_id = NULL", "status = 'granted'"),
            ("resolved_by = check_id", "status = 'denied'"),
            // Contested, or not.
            ("contested_at = 1, contested_by = 'cli'", referral),
            ("contested_at = NULL, contested_by = NULL", "status = 'closed'"),
            ("contested_at = NULL, contested_by = NULL", contest),
            ("contested_by = NULL", "decided_at = (SELECT max(decided_at) FROM referrals)"),
        ] {
            house.expect(&[(&format!("UPDATE referrals SET {set} WHERE {which}"), "referral_mismatch")]);
        }
        house.expect(&[
            ("DELETE FROM referrals WHERE status = 'closed'", "referral_missing"),
            ("DELETE FROM referrals WHERE contested_at IS NULL", "referral_missing"),
            (
                "UPDATE referrals SET check_id = 'chk_x' WHERE status = 'closed'",
                "referral_missing referral_without_event",
            ),
            // A check that is pruned was not always referred.
            (
                "INSERT INTO referrals SELECT (SELECT check_id FROM grants LIMIT 1), merchant_id, perk_id, perk, rule_version, \
                 subject, 'denied', created_at, decided_at, decided_by, NULL, NULL, NULL, NULL FROM referrals \
                 WHERE status = 'closed'",
                "referral_without_event",
            ),
        ]);
    }
}

/// All that is left of a pruned event is what it was, and when.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_stands_where_its_pruned_event_does() {
    for house in House::all().await {
        let begin = house.world.now();
        let (token, _) = house.grant("lounge", "ada").await;
        house.redeem(&token, "1").await;
        let (token, _) = house.grant("shower", "bob").await;
        house.redeem(&token, "1").await;
        house.world.pass(60);
        house.redeem(&token, "2").await;
        house.world.pass(40 * DAY);
        assert_eq!(house.prune(begin + minutes(10)).await, 5);
        house.expect(&[
            ("UPDATE grants SET granted_at = granted_at + 1", "grant_mismatch"),
            (
                "INSERT INTO grants (id, merchant_id, perk_id, check_id, kid, claims, audience, single_use, granted_at, expires_at) \
                 SELECT 'grt_x', merchant_id, perk_id, check_id, kid, replace(claims, id, 'grt_x'), audience, single_use, \
                 granted_at, expires_at FROM grants WHERE single_use",
                "grant_without_event",
            ),
            ("UPDATE redemptions SET redeemed_at = redeemed_at + 1 WHERE slot = 'single'", "redemption_mismatch"),
            ("UPDATE redemptions SET redeemed_at = redeemed_at + 1 WHERE door = '2'", "redemption_mismatch"),
            ("DELETE FROM redemptions WHERE door = '2'", "redemption_missing"),
        ]);
    }
}

/// Somebody was met by a replica whose clock was ahead, and all that is left is what one behind it recorded.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_may_be_known_since_a_check_that_is_pruned() {
    for house in House::all().await {
        let begin = house.world.now();
        house.world.pass(120);
        house.grant("lounge", "ada").await;
        house.world.pass(-120);
        house.check("ever", "ada").await.grant.unwrap();
        house.world.pass(40 * DAY);
        assert_eq!(house.prune(begin + minutes(5)).await, 1);
        house.expect(&[("UPDATE subjects SET pseudonym = 'sub_' || upper(substr(pseudonym, 5))", "subject_missing")]);
    }
}

/// Whoever decides does so by the clock of a replica that is behind: what they said is older than what
/// it is about, and goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_older_than_its_check_goes_with_it() {
    for house in House::all().await {
        let begin = house.world.now();
        house.world.pass(1200);
        let asked = house.check("lounge", "ada").await.check.unwrap();
        let [upheld, overturned] = [house.refused("bob").await, house.refused("cy").await];
        house.contest(&upheld).await;
        house.world.pass(-600);
        house.decide(asked, Some("main")).await;
        house.decide(upheld, None).await;
        house.contest(&overturned).await;
        house.decide(overturned, Some("main")).await;
        house.world.pass(40 * DAY);
        // The checks that were granted, and what was asked and said.
        for (at, gone) in [(15, 2), (25, 8)] {
            assert_eq!(house.prune(begin + minutes(at)).await, gone);
            assert_eq!(house.findings(), [""; 0], "{at}");
        }
    }
}

/// Cut off in the middle, and done again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pruned_in_two_goes_is_counted_once() {
    for house in House::all().await {
        let begin = house.world.now();
        for who in ["ada", "bob", "cy"] {
            let (token, grant) = house.grant("lounge", who).await;
            house.redeem(&token, "1").await;
            house.release(&grant).await;
        }
        let (token, _) = house.grant("ever", "ada").await;
        house.redeem(&token, "1").await;
        // By a clock that is ahead: among those that go, and stays.
        house.world.pass(120);
        house.check("lounge", "zoe").await;
        house.world.pass(-120);
        house.grant("lounge", "dee").await;
        house.world.pass(40 * DAY);
        let before = begin + minutes(1);
        let mut conn = house.database.dedicated().unwrap();
        let whole = events_of(&mut conn, "cathay");
        assert_eq!(house.prune(before).await, 3 * 3 + 1);
        let pruned = events_of(&mut conn, "cathay");
        let gone: Vec<_> = whole.iter().zip(&pruned).filter(|(_, after)| after.body.is_none()).map(|it| it.0).collect();
        for event in &gone[4..] {
            let row = events::table.find((&event.log_id, event.log_index));
            diesel::update(row).set(events::body.eq(&event.body)).execute(&mut conn).unwrap();
        }
        // What reports add up follows each piece in its transaction: as if nothing was summed up yet.
        for table in ["report_heads", "report_quarters", "report_people"] {
            diesel::sql_query(format!("DELETE FROM {table}")).execute(&mut conn).unwrap();
        }
        // As many may be gone, but none so young.
        let younger = "UPDATE events SET body = NULL WHERE kind = 'check.decided' AND about IN (SELECT check_id FROM \
                       referrals)";
        house.expect(&[(younger, "body_missing referral_without_event")]);
        assert_eq!(house.prune(before).await, 6);
        let told: Vec<_> = events_of(&mut conn, "cathay").into_iter().filter(|it| it.kind == "audit.pruned").collect();
        let told: Vec<_> = told.iter().map(|it| it.body.as_ref().unwrap()).collect();
        let counts = [
            r#""again":0,"before":"2012-05-08T19:01:00Z","count":10,"#,
            r#""again":6,"before":"2012-05-08T19:01:00Z","count":0,"#,
        ];
        assert!(told.iter().zip(counts).all(|(told, counts)| told.contains(counts)), "{told:?}");
        // That of what is counted for ever, which nothing else would miss.
        let body = "UPDATE events SET body = NULL WHERE kind = 'token.redeemed' AND body IS NOT NULL";
        house.expect(&[(body, "body_missing")]);
        // Pruning more doesn't make good what somebody took.
        house.world.pass(40 * DAY);
        conn.batch_execute(body).unwrap();
        let referred = pruned.iter().find(|it| it.kind == "check.decided" && it.at > before.as_microsecond()).unwrap();
        house.decide(referred.about.parse().unwrap(), None).await;
        house.world.pass(2 * DAY);
        assert_eq!(house.prune(house.world.now() - minutes(25 * 60)).await, 2);
        assert!(house.findings().iter().all(|it| it.contains("body_missing")), "{:?}", house.findings());
        assert_eq!(house.findings().len(), 1);
    }
}

/// A month that begins alike in two zones ends an hour later in the one to which the rule moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_may_go_on_in_another_zone_once_it_was_pruned() {
    let rule = |zone: &str| {
        format!(
            r#"{{"time_zone":"{zone}","score":{{"source":"klout"}},
            "tiers":[{{"id":"main","when":{{"attr":"score","op":"gte","value":40}}}}],
            "limits":[{{"id":"all","scope":["perk"],"max":9,"window":{{"calendar":"month"}}}}]}}"#
        )
    };
    for house in House::all().await {
        let world = &house.world;
        let to = |at: &str| world.pass(at.parse::<Timestamp>().unwrap().as_second() - world.now().as_second());
        world.perk(&house.cathay, "spa", &rule("Europe/Berlin")).await;
        to("2013-03-15T12:00:00Z");
        house.grant("spa", "ada").await;
        // Berlin's month is over, Lagos's is not.
        to("2013-03-31T22:30:00Z");
        assert_eq!(house.prune("2013-03-20T00:00:00Z".parse().unwrap()).await, 1);
        let moved = NewVersion { rule: Json::parse(&rule("Africa/Lagos")).unwrap(), publish: true, change_note: None };
        let catalog = &world.gateway.catalog;
        catalog.create_version(&house.cathay.id, CLI, &"spa".parse().unwrap(), moved).await.unwrap();
        world.pass(600);
        house.grant("spa", "bob").await;
        house.expect(&[(
            "UPDATE limit_counters SET used = used + 1 WHERE window_key = 'month:2013-03@+01'",
            "counter_mismatch",
        )]);
        // The next one can't have been used by what is pruned.
        to("2013-03-31T23:10:00Z");
        house.grant("spa", "cy").await;
        house.expect(&[(
            "UPDATE limit_counters SET used = used + 1 WHERE window_key = 'month:2013-04@+01'",
            "counter_mismatch",
        )]);
    }
}
