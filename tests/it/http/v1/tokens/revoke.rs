//! `POST /v1/tokens/revoke`: an admin takes a token back, and whoever tries others learns nothing.

use perkgate::access::Merchant;
use perkgate::audit::{self, Request};
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

async fn ask(kiosk: &Client) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await
}

async fn revoke(client: &Client, token: &str) {
    let reply = client.ask(Method::POST, "/v1/tokens/revoke").form(&format!("token={token}")).await;
    assert_eq!((reply.status, reply.text.as_str(), reply.header("cache-control")), (200, "", "no-store"));
}

async fn is_active(client: &Client, token: &str) -> bool {
    let reply = client.ask(Method::POST, "/v1/tokens/introspect").form(&format!("token={token}")).await;
    reply.is(200)["active"] == true
}

async fn redeem(client: &Client, token: &str, attempt: &str) -> Reply {
    client.post("/v1/tokens/redeem", &json!({"token": token, "door": "A", "attempt": attempt})).await
}

/// The facts of the merchant's voids, oldest first.
async fn voids(app: &TestApp, merchant: &Merchant) -> Vec<Value> {
    let auditor = app.auditor(merchant).await;
    let page = auditor.get("/v1/audit/events?kind=grant.voided&order=asc").await.is(200);
    page["events"].as_array().unwrap().iter().map(|event| event["facts"].clone()).collect()
}

#[track_caller]
fn expect_well(app: &TestApp) {
    let report =
        audit::verify(&app.world.database.open(), &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    assert_eq!(report.findings.listed(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_opens_no_door_and_never_surfaces_again() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let question = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let granted = kiosk.post("/v1/checks", &question).header("idempotency-key", "visit").await;
        let token = granted.text_of("token");
        assert!(is_active(&kiosk, &token).await);
        revoke(&admin, &token).await;
        assert!(!is_active(&kiosk, &token).await);
        assert_eq!(redeem(&kiosk, &token, "1").await.spot(422, "invalid_token").1, "voided");
        let grant = kiosk.get(&format!("/v1/grants/{}", granted.text_of("grant"))).await;
        assert_eq!(grant.is(200)["status"], "voided");
        let again = kiosk.post("/v1/checks", &question).header("idempotency-key", "visit").await;
        assert_eq!(again.is(200).get("token"), None);

        // One event, which says so and names nobody; a second time nothing is done.
        let before = app.footprint().await;
        revoke(&admin, &token).await;
        assert_eq!(app.footprint().await, before);
        let told = voids(&app, &app.cathay).await;
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["revoked"], &told[0]["note"]), (&json!(true), &json!("The token was revoked.")));
        assert_eq!(told[0]["check"], json!(granted.text_of("check")));
        assert_eq!(told[0]["returned"][0]["id"], "person-day");
        // What it used is given back.
        assert_eq!(ask(&kiosk).await.is(200)["decision"], "granted");
        assert_eq!(ask(&kiosk).await.is(200)["decision"], "denied");
        expect_well(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_token_is_taken_back_from_its_own_attempt_and_keeps_what_it_used() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let token = ask(&kiosk).await.text_of("token");
        redeem(&kiosk, &token, "1").await.is(200);
        // Its own attempt is answered alike even now; so it can still be taken back.
        app.world.pass(3600);
        redeem(&kiosk, &token, "1").await.is(200);
        revoke(&admin, &token).await;
        for attempt in ["1", "2"] {
            assert_eq!(redeem(&kiosk, &token, attempt).await.spot(422, "invalid_token").1, "voided");
        }
        assert_eq!(voids(&app, &app.cathay).await[0]["returned"], json!([]));
        assert_eq!(ask(&kiosk).await.is(200)["decision"], "denied", "the visit took place");
        expect_well(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_is_answered_alike_and_only_ones_own_are_taken_back() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        app.world.perk(&app.american, "sfo-lounge", OPEN_LOUNGE).await;
        app.world.score(&app.american, "twitter:ada", "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let theirs = app.admin(&app.american).await;
        let foreign = ask(&theirs).await.text_of("token");
        let expired = ask(&kiosk).await.text_of("token");
        let form = format!("token={expired}");
        for other in [&kiosk, &app.door(&app.cathay, "sfo-lounge").await, &app.auditor(&app.cathay).await] {
            other.ask(Method::POST, "/v1/tokens/revoke").form(&form).await.problem(403, "forbidden");
        }
        app.world.pass(-1);
        let before = app.footprint().await;
        for unknown in ["x", "a.b.c", foreign.as_str(), &expired[..expired.len() - 4]] {
            revoke(&admin, unknown).await;
        }
        app.world.pass(900 + 31);
        revoke(&admin, &expired).await;
        assert_eq!(app.footprint().await, before, "nothing is done");
        assert_eq!((voids(&app, &app.cathay).await, voids(&app, &app.american).await), (vec![], vec![]));
        assert_eq!(ask(&kiosk).await.is(200)["decision"], "denied", "what expired unused stays used");
        app.world.pass(-900);
        redeem(&theirs, &foreign, "1").await.is(200);
        expect_well(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_doors_and_an_admin_that_come_at_once_all_tell_one_story() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for nth in 0..8 {
            let token = ask(&kiosk).await.text_of("token");
            let attempts: Vec<String> = (0..6).map(|attempt| attempt.to_string()).collect();
            let doors = attempts.iter().map(|attempt| redeem(&kiosk, &token, attempt));
            let revocations = futures_util::future::join_all((0..3).map(|_| revoke(&admin, &token)));
            let (answers, _) = tokio::join!(futures_util::future::join_all(doors), revocations);
            let opened = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(opened <= 1, "{nth}");
            assert!(!is_active(&kiosk, &token).await);
            assert_eq!(redeem(&kiosk, &token, "late").await.spot(422, "invalid_token").1, "voided");
        }
        assert_eq!(voids(&app, &app.cathay).await.len(), 8, "each is taken back once");
        expect_well(&app);
    }
}
