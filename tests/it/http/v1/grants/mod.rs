//! `GET /v1/grants/{grant}`: a grant from its birth to its end.

mod correct;
mod end;
mod undo;

use serde_json::json;

use super::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_active_then_redeemed() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let path = format!("/v1/grants/{}", granted.text_of("grant"));
        assert_shape!(kiosk.get(&path).await, @r#"
        200
        {
          "grant":"grt_…",
          "check":"chk_…",
          "perk":"sfo-lounge",
          "tier":"standard",
          "rule_version":1,
          "status":"active",
          "single_use":true,
          "party":1,
          "granted_at":"2012-05-08T19:00:00Z",
          "token_expires_at":"2012-05-08T19:15:00Z",
          "redeemed_at":[],
          "ended_at":null,
          "location":null,
          "kiosk":null
        }
        "#);
        app.world.pass(60);
        let redeem = json!({"token": granted.text_of("token"), "door": "A-3", "attempt": "1"});
        kiosk.post("/v1/tokens/redeem", &redeem).await.is(200);
        app.world.pass(3600);
        assert_shape!(kiosk.get(&path).await, @r#"
        200
        {
          "grant":"grt_…",
          "check":"chk_…",
          "perk":"sfo-lounge",
          "tier":"standard",
          "rule_version":1,
          "status":"redeemed",
          "single_use":true,
          "party":1,
          "granted_at":"2012-05-08T19:00:00Z",
          "token_expires_at":"2012-05-08T19:15:00Z",
          "redeemed_at":["2012-05-08T19:01:00Z"],
          "ended_at":null,
          "location":null,
          "kiosk":null
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_token_was_not_spent_expires() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let path = format!("/v1/grants/{}", granted.text_of("grant"));
        app.world.pass(899);
        assert_eq!(kiosk.get(&path).await.is(200)["status"], "active");
        app.world.pass(1);
        assert_eq!(kiosk.get(&path).await.is(200)["status"], "expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_shown_to_the_key_that_asked_and_to_admins_of_its_merchant() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let path = format!("/v1/grants/{}", granted.text_of("grant"));
        kiosk.get(&path).await.is(200);
        app.admin(&app.cathay).await.get(&path).await.is(200);
        app.kiosk().await.get(&path).await.problem(404, "not_found");
        app.admin(&app.american).await.get(&path).await.problem(404, "not_found");
        for odd in ["grt_", "grt_%00", &granted.text_of("check"), "%E2%80%AE"] {
            kiosk.get(&format!("/v1/grants/{odd}")).await.problem(404, "not_found");
        }
    }
}
