//! What people decided, held to the log: every change to a referral's row shows.

use diesel::connection::SimpleConnection as _;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::{Database, DatabaseError, connection};
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::EventId;
use perkgate::ledger::cases::contest::Objection;
use perkgate::ledger::store::EventRow;

use super::history::{events_of, rebuild};
use crate::support::world::{World, question};

const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

/// What somebody does to the table, and what must be found.
const CASES: [(&str, &str); 12] = [
    ("UPDATE referrals SET status = 'denied' WHERE status = 'open'", "referral_mismatch"),
    ("UPDATE referrals SET status = 'open' WHERE status = 'denied' AND contested_at IS NULL", "referral_mismatch"),
    ("UPDATE referrals SET decided_by = 'cli' WHERE status = 'denied' AND contested_at IS NULL", "referral_mismatch"),
    ("UPDATE referrals SET decided_at = decided_at + 1 WHERE status = 'granted'", "referral_mismatch"),
    ("UPDATE referrals SET grant_id = NULL WHERE status = 'granted'", "referral_mismatch"),
    ("UPDATE referrals SET subject = 'sub_x' WHERE status = 'open'", "referral_mismatch"),
    ("UPDATE referrals SET created_at = created_at - 1 WHERE status = 'open'", "referral_mismatch"),
    ("UPDATE referrals SET contested_by = 'cli' WHERE contested_by IS NOT NULL", "referral_mismatch"),
    (
        "UPDATE referrals SET contested_at = NULL, contested_by = NULL WHERE contested_at IS NOT NULL",
        "referral_mismatch",
    ),
    ("UPDATE referrals SET contested_at = 1, contested_by = 'cli' WHERE status = 'open'", "referral_mismatch"),
    ("DELETE FROM referrals WHERE status = 'denied' AND contested_at IS NULL", "referral_missing"),
    (
        "INSERT INTO referrals SELECT 'chk_added', merchant_id, perk_id, perk, rule_version, subject, status, created_at, \
         decided_at, decided_by, resolved_by, grant_id, contested_at, contested_by FROM referrals WHERE status = 'open'",
        "referral_without_event",
    ),
];

fn codes(database: &Database) -> Vec<String> {
    let report = perkgate::audit::verify(database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|finding| finding.wrong.code().to_owned()).collect()
}

fn lay_hands(database: &Database, sql: &str) {
    let mut conn = database.dedicated().unwrap();
    connection::transaction(&mut conn, |conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
}

/// A referral granted, one denied and one open; a refusal contested and upheld.
async fn decided(world: &World) -> Database {
    let cathay = world.merchant("cathay").await;
    world.perk(&cathay, "sfo-lounge", REFERRING).await;
    let (kiosk, admin) = (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Admin).await);
    for (who, tier) in [("ada", Some(Some("main"))), ("bob", Some(None)), ("cy", None)] {
        let asked = world.check(&kiosk, question("sfo-lounge", &format!("twitter:{who}"))).await.unwrap();
        let Some(tier) = tier else { continue };
        let ruling =
            ReferralDecision { check: asked.check.unwrap(), tier: tier.map(str::to_owned), note: "seen".to_owned() };
        world.gateway.checker.decide_referral(&admin, &cathay, ruling).await.unwrap();
    }
    world.score(&cathay, "twitter:dee", "12").await;
    let refused = world.check(&kiosk, question("sfo-lounge", "twitter:dee")).await.unwrap().check.unwrap();
    let (at, entropy) = (world.now(), &world.gateway.entropy);
    let objection = Objection {
        merchant: cathay.id.clone(),
        check: refused.clone(),
        event: EventId::new(at, entropy),
        at,
        by: kiosk.actor(),
        reason: "it is me".to_owned(),
    };
    world.gateway.ledger.contest(objection).await.unwrap();
    let ruling = ReferralDecision { check: refused, tier: None, note: "it is not".to_owned() };
    world.gateway.checker.decide_referral(&admin, &cathay, ruling).await.unwrap();
    world.database.open()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_that_is_changed_deleted_or_added_is_found() {
    for world in World::all().await {
        let database = decided(&world).await;
        assert_eq!(codes(&database), [""; 0]);
        lay_hands(&database, "CREATE TABLE kept_referrals AS SELECT * FROM referrals");
        for (sql, wanted) in CASES {
            lay_hands(&database, sql);
            assert_eq!(codes(&database), [wanted], "{sql}");
            lay_hands(&database, "DELETE FROM referrals; INSERT INTO referrals SELECT * FROM kept_referrals");
        }
        assert_eq!(codes(&database), [""; 0]);
    }
}

/// Whoever holds the log key can sign a lie; it still has to fit the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_does_not_fit_its_check_is_found_even_when_it_is_signed() {
    let lies: [(&str, &str, &str, &[&str]); 6] = [
        ("\"grant\":\"grt_", "\"grant\":\"grt_0", "\"grant\":\"grt_1", &["event_incoherent", "referral_mismatch"]),
        ("\"resolves\":", "\"resolves\":\"chk_0", "\"resolves\":\"chk_1", &["event_incoherent", "event_incoherent"]),
        (
            "\"check\":null,\"decision\":\"denied\"",
            "\"decision\":\"denied\"",
            "\"decision\":\"granted\"",
            &["event_incoherent", "referral_mismatch"],
        ),
        // Nobody but an erasure closes a contest without judging it.
        (
            "\"kind\":\"contest.upheld\"",
            "\"decision\":\"denied\"",
            "\"decision\":\"closed\"",
            &["event_incoherent", "referral_mismatch"],
        ),
        (
            "\"decision\":\"referred\"",
            "\"decision\":\"referred\"",
            "\"decision\":\"denied\"",
            &["event_incoherent", "referral_without_event"],
        ),
        (
            "\"kind\":\"referral.decided\"",
            "referral.decided",
            "referral.dreamt",
            &["referral_mismatch", "event_incoherent"],
        ),
    ];
    for world in World::all().await {
        let database = decided(&world).await;
        let key = world.gateway.keyring.log_key();
        let rewrite = |all: Vec<EventRow>| {
            let mut conn = database.dedicated().unwrap();
            rebuild(&mut conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        };
        let truth = events_of(&mut database.dedicated().unwrap(), "cathay");
        for (which, from, to, wanted) in lies {
            let mut all = truth.clone();
            let lie = all.iter_mut().find(|event| event.body.as_ref().unwrap().contains(which)).expect(which);
            lie.body = Some(lie.body.as_ref().unwrap().replacen(from, to, 1));
            // The column says what the body says.
            lie.kind = lie.kind.replace(from, to);
            rewrite(all);
            assert_eq!(codes(&database), wanted, "{to}");
        }
        rewrite(truth);
        assert_eq!(codes(&database), [""; 0]);
    }
}
