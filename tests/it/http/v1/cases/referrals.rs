//! `/v1/referrals`: what a rule leaves to a person, and what becomes of it.

use std::sync::Arc;

use diesel::RunQueryDsl as _;
use perkgate::access::{NewKey, Role};
use perkgate::database::DatabaseError;
use perkgate::eligibility::referral_decision::{ReferralDecision, ReferralDecisionError};
use perkgate::perks::perk::NewVersion;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::shape::assert_shape;
use crate::support::world::{CLI, World, question};

/// Whoever isn't admitted is for a person to decide; once a day each, and one at a time at a kiosk.
const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},"otherwise":"refer",
  "when":{"attr":"context.terminal","op":"eq","value":"A"},
  "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
           {"id":"main","rank":1,"name":"Main lounge","max_wait":"PT10M","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
            {"id":"here","scope":["location"],"max":5,"cost":"party","window":{"calendar":"day"}}],
  "token":{"audience":"sfo-lounge"}}"#;

fn ask() -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"terminal": "A", "party": 2, "seat": "12A"}})
}

fn grant(tier: &str) -> Value {
    json!({"decision": "granted", "tier": tier, "note": "Ada's flight was moved to our terminal."})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_grants_what_a_rule_referred() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let here = NewKey {
            location: Some("SFO-A".to_owned()),
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12")
        };
        let (kiosk, admin) = (app.client(here).await, app.admin(&app.cathay).await);
        let asked = kiosk.post("/v1/checks", &ask()).header("idempotency-key", "q").await;
        assert_shape!(asked, @r#"
        200
        {
          "check":"chk_…",
          "decision":"referred",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"score_below_threshold","tier":"main","wanted":40,"short_by":3,"message":"The score is 3 points short of the 40 that Main lounge asks for.","guest_message":"Our staff will decide about this. Please wait a moment.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":6,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_eq!(kiosk.post("/v1/checks", &ask()).header("idempotency-key", "q").await.text, asked.text);
        let check = asked.text_of("check");
        let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!(shown["referral"], json!({"status": "open"}), "a kiosk can wait for it");
        assert_shape!(admin.get("/v1/referrals?status=open").await, @r#"
        200
        {
          "referrals":[{"check":"chk_…","perk":"sfo-lounge","rule_version":1,"opened_at":"2012-05-08T19:00:00Z","status":"open"}],
          "next_cursor":null
        }
        "#);
        assert_shape!(admin.get(&format!("/v1/referrals/{check}")).await, @r#"
        200
        {
          "check":"chk_…",
          "perk":"sfo-lounge",
          "rule_version":1,
          "opened_at":"2012-05-08T19:00:00Z",
          "status":"open",
          "subject":"twitter:ada",
          "party":2,
          "context":{"party":2,"terminal":"A"},
          "location":"SFO-A",
          "tiers":[{"tier":"first","name":"First lounge"},{"tier":"main","name":"Main lounge"}],
          "asked":{"check":"chk_…","decision":"referred","perk":"sfo-lounge","rule_version":1,"reasons":[{"code":"score_below_threshold","tier":"main","wanted":40,"short_by":3,"message":"The score is 3 points short of the 40 that Main lounge asks for."}],"score":{"source":"klout","value":37,"observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},"limits":[],"next_eligible_at":null,"receipt":{"log":"cathay","index":6,"leaf_hash":"…","checkpoint":"…"}}
        }
        "#);

        app.world.pass(60);
        let decide = format!("/v1/referrals/{check}/decide");
        let granted = admin.post(&decide, &grant("main")).header("idempotency-key", "d").await;
        assert_shape!(granted, @r#"
        201
        {
          "check":"chk_…",
          "decision":"granted",
          "perk":"sfo-lounge",
          "rule_version":1,
          "tier":"main",
          "reasons":[{"code":"granted_by_person","tier":"main","message":"A person decided to grant Main lounge."}],
          "score":{"source":"klout","value":37,"observed_at":"2012-05-08T18:00:00Z","age_seconds":3660,"fresh":true},
          "limits":[{"id":"person-day","remaining":0,"resets_at":"2012-05-09T00:00:00Z"},{"id":"here","remaining":3,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":null,
          "max_wait":"PT10M",
          "grant":"grt_…",
          "token":"eyJ…",
          "token_expires_at":"2012-05-08T19:16:00Z",
          "resolves":"chk_…",
          "receipt":{"log":"cathay","index":7,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_eq!(granted.text_of("resolves"), check);
        let made = granted.text_of("check");
        assert_eq!(granted.header("location"), format!("/v1/checks/{made}"));
        // A retry gets the same answer, token and all; anything else comes too late.
        let again = admin.post(&decide, &grant("main")).header("idempotency-key", "d").await;
        assert_eq!((again.status, again.text), (201, granted.text.clone()));
        admin.post(&decide, &grant("main")).await.problem(409, "already_decided");
        admin.post(&decide, &json!({"decision": "deny", "note": "no"})).await.problem(409, "already_decided");
        admin
            .post(&decide, &grant("first"))
            .header("idempotency-key", "d")
            .await
            .problem(422, "idempotency_key_reused");

        // The kiosk that asked hands the token over; another doesn't learn of it.
        let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!((&shown["decision"], &shown["referral"]["status"]), (&json!("referred"), &json!("granted")));
        assert_eq!(shown["referral"]["granted_check"], json!(made));
        let handed = kiosk.get(&format!("/v1/checks/{made}")).await;
        assert_eq!(handed.text_of("token"), granted.text_of("token"));
        assert_eq!(handed.is(200)["max_wait"], "PT10M", "it reads back as it was decided");
        app.kiosk().await.get(&format!("/v1/checks/{made}")).await.problem(404, "not_found");
        let redeem = json!({"token": granted.text_of("token"), "door": "A-3", "attempt": "1"});
        app.door(&app.cathay, "sfo-lounge").await.post("/v1/tokens/redeem", &redeem).await.is(200);

        let referral = admin.get(&format!("/v1/referrals/{check}")).await.is(200);
        assert_eq!(referral["note"], "Ada's flight was moved to our terminal.");
        assert_eq!((&referral["status"], &referral["grant"]), (&json!("granted"), &granted.json()["grant"]));
        assert_eq!(admin.get("/v1/referrals?status=open").await.is(200)["referrals"], json!([]));
        assert_eq!(admin.get("/v1/referrals?status=granted").await.is(200)["referrals"].as_array().unwrap().len(), 1);
        expect_well(&app.world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_denies_what_a_rule_referred() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", REFERRING).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let asked = kiosk.post("/v1/checks", &ask()).await;
        assert_eq!(asked.json()["reasons"][0]["code"], "score_missing");
        let check = asked.text_of("check");
        let before = app.footprint().await;
        let denied =
            admin.post(&format!("/v1/referrals/{check}/decide"), &json!({"decision": "deny", "note": "Full."}));
        let denied = denied.await;
        let answer = denied.is(201);
        assert_eq!(denied.header("location"), format!("/v1/referrals/{check}"));
        assert_eq!((&answer["check"], &answer["decision"]), (&json!(check), &json!("referred")));
        assert_eq!(answer["referral"]["status"], "denied");
        assert!(answer.get("token").is_none() && answer.get("grant").is_none());
        let after = app.footprint().await;
        assert_eq!(
            (after.events, after.grants, after.limits_used),
            (before.events + 1, before.grants, before.limits_used)
        );
        let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!(shown["referral"]["status"], "denied");
        expect_well(&app.world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_a_limit_refuses_leaves_the_referral_open_and_no_trace() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let one = kiosk.post("/v1/checks", &ask()).await;
        let decide = |asked: &Reply| format!("/v1/referrals/{}/decide", asked.text_of("check"));
        admin.post(&decide(&one), &grant("first")).await.is(201);
        // Only now: while the first is open, it would join that one.
        let other = kiosk.post("/v1/checks", &ask()).await;
        let before = app.footprint().await;
        let refused = admin.post(&decide(&other), &grant("main")).header("idempotency-key", "d").await;
        refused.problem(409, "limit_reached");
        assert!(refused.text.contains("The limit person-day has no room left for this."), "{}", refused.text);
        assert_eq!(app.footprint().await, before);
        assert_eq!(
            admin.get("/v1/referrals?status=open").await.is(200)["referrals"][0]["check"],
            other.json()["check"]
        );
        // A day later there is room, under the same key: the refusal was no answer.
        app.world.pass(86_400);
        admin.post(&decide(&other), &grant("main")).header("idempotency-key", "d").await.is(201);
        expect_well(&app.world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_decide_at_once_on_two_replicas_one_does() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        world.perk(&cathay, "sfo-lounge", REFERRING).await;
        let (kiosk, admin) = (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Admin).await);
        let other = Arc::new(world.replica().await);
        for round in 0..5 {
            let asked = world.check(&kiosk, question("sfo-lounge", &format!("twitter:ada{round}"))).await.unwrap();
            let check = asked.check.unwrap();
            let decide = |nth: usize| {
                let gateway = if nth.is_multiple_of(2) { &world.gateway } else { &other };
                // Some grant, others deny.
                let tier = (!nth.is_multiple_of(3)).then(|| "main".to_owned());
                let ruling = ReferralDecision { check: check.clone(), tier, note: format!("{nth}") };
                gateway.checker.decide_referral(&admin, &cathay, ruling)
            };
            let answers = futures_util::future::join_all((0..8).map(decide)).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
            for lost in answers.into_iter().filter_map(Result::err) {
                assert!(matches!(lost, ReferralDecisionError::AlreadyDecided), "{lost}");
            }
        }
        expect_well(&world);
        let tally = world.tally(&cathay);
        assert_eq!(tally.used_of("person-day"), u64::try_from(tally.granted).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_has_been_replaced_still_says_what_can_be_granted() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = kiosk.post("/v1/checks", &ask()).await.text_of("check");
        let rule = perkgate::foundation::json::Json::parse(r#"{"at_least":90,"score":"klout"}"#).unwrap();
        let version = NewVersion { rule, publish: true, change_note: None };
        let slug = "sfo-lounge".parse().unwrap();
        app.world.gateway.catalog.create_version(&app.cathay.id, CLI, &slug, version).await.unwrap();
        let granted = admin.post(&format!("/v1/referrals/{check}/decide"), &grant("main")).await.is(201);
        assert_eq!((&granted["rule_version"], &granted["tier"]), (&json!(1), &json!("main")));
        expect_well(&app.world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_somebody_who_was_erased_can_only_be_denied() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = kiosk.post("/v1/checks", &ask()).await.text_of("check");
        let erase = |conn: &mut perkgate::database::AnyConnection| {
            diesel::delete(perkgate::database::schema::subjects::table).execute(conn).map_err(DatabaseError::from)
        };
        app.world.gateway.database.write(erase).await.unwrap();
        let decide = format!("/v1/referrals/{check}/decide");
        admin.post(&decide, &grant("main")).await.problem(404, "not_found");
        let denied = admin.post(&decide, &json!({"decision": "deny", "note": "Gone."})).await.is(201);
        assert_eq!(denied["referral"]["status"], "denied");
        // A row that goes without its event is found, and nothing else is wrong.
        let found: Vec<_> =
            verified(&app.world).findings.counts().iter().map(|(code, count)| (*code, *count)).collect();
        assert_eq!(found, [("subject_missing", 1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_says_why_and_changes_nothing() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = kiosk.post("/v1/checks", &ask()).await.text_of("check");
        app.world.perk(&app.cathay, "open", r#"{"at_least":10,"score":"klout"}"#).await;
        let plain = kiosk.post("/v1/checks", &json!({"perk": "open", "subject": "twitter:ada"})).await.text_of("check");
        let dry = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true}));
        assert_eq!(dry.await.is(200)["decision"], "referred");
        let (auditor, stranger) = (app.auditor(&app.cathay).await, app.admin(&app.american).await);
        let before = app.footprint().await;
        let decide = format!("/v1/referrals/{check}/decide");
        for (body, pointer, code) in [
            (grant("third"), "/tier", "unknown_tier"),
            (json!({"decision": "grant", "note": "x"}), "/tier", "missing"),
            (json!({"decision": "deny", "tier": "main", "note": "x"}), "/tier", "unknown_field"),
            (json!({"decision": "deny", "note": "  "}), "/note", "invalid_value"),
            (json!({"decision": "deny", "note": "x".repeat(501)}), "/note", "invalid_value"),
            (json!({"decision": "deny", "note": "a\u{202E}b"}), "/note", "invalid_value"),
        ] {
            let spot = admin.post(&decide, &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        admin.post(&decide, &json!({"decision": "deny"})).await.problem(422, "invalid_request");
        admin.post(&decide, &json!({"decision": "perhaps", "note": "x"})).await.problem(422, "invalid_request");
        kiosk.post(&decide, &grant("main")).await.problem(403, "forbidden");
        auditor.get("/v1/referrals").await.problem(403, "forbidden");
        for path in [decide.clone(), format!("/v1/referrals/{plain}/decide"), "/v1/referrals/x/decide".to_owned()] {
            let by = if path == decide { &stranger } else { &admin };
            by.post(&path, &grant("main")).await.problem(404, "not_found");
            by.get(path.trim_end_matches("/decide")).await.problem(404, "not_found");
        }
        assert_eq!(stranger.get("/v1/referrals").await.is(200)["referrals"], json!([]));
        admin.get("/v1/referrals?status=lost").await.problem(422, "invalid_request");
        assert_eq!(app.footprint().await, before);
        assert_eq!(admin.get("/v1/referrals?status=open").await.is(200)["referrals"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_read_page_by_page_oldest_first() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", REFERRING).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut asked = Vec::new();
        for nth in 0..5 {
            app.world.pass(1);
            let check = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": format!("m-{nth}")})).await;
            asked.push(check.text_of("check"));
        }
        let deny = json!({"decision": "deny", "note": "x"});
        admin.post(&format!("/v1/referrals/{}/decide", asked.remove(2)), &deny).await.is(201);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("/v1/referrals?status=open&limit=3{cursor}")).await.is(200);
            let checks = page["referrals"].as_array().unwrap().iter();
            seen.extend(checks.map(|referral| referral["check"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, asked);
    }
}

/// Everything that stands in the database agrees with its logs.
fn verified(world: &World) -> perkgate::audit::Report {
    let request = perkgate::audit::Request::default();
    let entropy = perkgate::foundation::entropy::Entropy::seeded(1);
    perkgate::audit::verify(&world.database.open(), &request, &entropy, &mut |_| {}).unwrap()
}

#[track_caller]
fn expect_well(world: &World) {
    let report = verified(world);
    assert_eq!(report.findings.listed(), []);
    assert!(report.checked.referrals > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_granted_and_took_back_never_surfaces_again() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = kiosk.post("/v1/checks", &ask()).await.text_of("check");
        let path = format!("/v1/referrals/{check}/decide");
        let granted = admin.post(&path, &grant("main")).header("idempotency-key", "k").await;
        assert_eq!(admin.post(&path, &grant("main")).header("idempotency-key", "k").await.text, granted.text);
        let ended = format!("/v1/grants/{}", granted.text_of("grant"));
        let note = json!({"note": "The wrong person."});
        for (step, body, end) in [("release", json!({}), "released_at"), ("void", note, "voided_at")] {
            admin.post(&format!("{ended}/{step}"), &body).await.is(200);
            let again = admin.post(&path, &grant("main")).header("idempotency-key", "k").await;
            let told = again.is(201);
            assert_eq!((&told["decision"], &told["grant"]), (&json!("granted"), &granted.is(201)["grant"]));
            assert_eq!((&told[end], told.get("token")), (&json!("2012-05-08T19:00:00Z"), None));
            assert!(!again.text.contains("eyJ"), "{}", again.text);
        }
        admin.post(&path, &grant("main")).await.problem(409, "already_decided");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_that_is_paused_or_retired_grants_nothing_by_a_person_either() {
    for app in TestApp::all().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = kiosk.post("/v1/checks", &ask()).await.text_of("check");
        let path = format!("/v1/referrals/{check}/decide");
        admin.post("/v1/perks/sfo-lounge/pause", &json!({})).await.is(200);
        admin.post(&path, &grant("main")).await.problem(409, "perk_paused");
        admin.post("/v1/perks/sfo-lounge/resume", &json!({})).await.is(200);
        let closed = admin.post("/v1/perks/sfo-lounge/closures", &json!({"until": "2012-05-08T21:00:00Z"})).await;
        admin.post(&path, &grant("main")).await.problem(409, "place_closed");
        let closure = closed.text_of("closure");
        assert_eq!(admin.delete(&format!("/v1/perks/sfo-lounge/closures/{closure}")).await.status, 204);
        admin.post("/v1/perks/sfo-lounge/retire", &json!({})).await.is(200);
        admin.post(&path, &grant("main")).await.problem(409, "perk_retired");
        admin.post(&path, &json!({"decision": "deny", "note": "The lounge is gone."})).await.is(201);
    }
}
