//! What isn't there is told by its kind and by what was asked for, and what is somebody else's looks the same.

use serde_json::json;

use crate::support::app::TestApp;

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_and_a_foreign_one_looks_the_same() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let other = app.admin(&app.american).await;
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let (check, grant) = (granted.text_of("check"), granted.text_of("grant"));
        let key = admin.post("/v1/keys", &json!({"role": "kiosk", "label": "A"})).await.text_of("id");
        let event = admin.get("/v1/audit/events?limit=1").await.is(200)["events"][0]["id"].as_str().unwrap().to_owned();
        let zero = "0".repeat(32);
        for (path, kind, id, absent) in [
            ("/v1/checks/{}", "check", &check, format!("chk_{zero}")),
            ("/v1/grants/{}", "grant", &grant, format!("grt_{zero}")),
            ("/v1/keys/{}", "key", &key, format!("key_{zero}")),
            ("/v1/referrals/{}", "referral of a check", &check, format!("chk_{zero}")),
            ("/v1/contests/{}", "contest of a check", &check, format!("chk_{zero}")),
            ("/v1/audit/events/{}/proof", "event", &event, format!("evt_{zero}")),
        ] {
            let detail = async |id: &str| {
                let reply = other.get(&path.replace("{}", id)).await;
                reply.problem(404, "not_found");
                reply.json()["detail"].as_str().unwrap().to_owned()
            };
            let foreign = detail(id).await;
            assert_eq!(foreign, format!("There is no {kind} `{id}`, or not for this key."));
            assert_eq!(foreign.replace(id.as_str(), &absent), detail(&absent).await, "{path}");
        }
        let told = async |client: &crate::support::client::Client, path: &str| {
            client.get(path).await.is(404)["detail"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            told(&other, "/v1/perks/sfo-lounge").await,
            "There is no perk `sfo-lounge`, or nothing of it is published."
        );
        assert_eq!(
            told(&admin, "/v1/perks/sfo-lounge/versions/7").await,
            "The perk `sfo-lounge` has no version 7; if there was one, its draft was deleted."
        );
        let operator = app.operator().await;
        assert_eq!(
            told(&operator, "/v1/merchants/nobody").await,
            "There is no merchant `nobody`, or not for this key."
        );
        for slug in ["american", "nobody"] {
            let detail = format!("There is no merchant `{slug}`, or not for this key.");
            assert_eq!(told(&admin, &format!("/v1/keys?merchant={slug}")).await, detail);
        }
        // Nobody's handle is repeated, nor anything that would steer a terminal.
        let person = told(&admin, "/v1/scores/klout/twitter:secret").await;
        assert_eq!(person, "There is no score of this person from `klout`.");
        let odd = told(&kiosk, "/v1/checks/chk_%1B%5B2J").await;
        assert!(!odd.contains('\u{1b}') && odd.starts_with("There is no check `chk_"), "{odd}");
        let long = told(&kiosk, &format!("/v1/checks/{}", "x".repeat(900))).await;
        assert!(long.len() < 200 && long.contains('…'), "{long}");
        assert_eq!(told(&kiosk, "/v1/nothing").await, "There is nothing at this address.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_no_event_can_meet_is_refused() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let auditor = app.auditor(&app.cathay).await;
        for (query, name) in [("kind=nosuch", "kind"), ("decision=maybe", "decision"), ("reason=mood", "reason")] {
            let refused = auditor.get(&format!("/v1/audit/events?{query}")).await;
            assert_eq!(refused.spot(422, "invalid_request"), (name.to_owned(), "unknown_value".to_owned()));
            let (name, value) = query.split_once('=').unwrap();
            let search = json!({"subject": "twitter:ada", name: value});
            let refused = auditor.post("/v1/audit/events/search", &search).await;
            assert_eq!(refused.spot(422, "invalid_request"), (format!("/{name}"), "unknown_value".to_owned()));
        }
        let refused = auditor.get("/v1/audit/events?kind=nosuch").await.is(422);
        let detail = refused["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("check.decided") && detail.contains("rule.published"), "{detail}");
        auditor.get("/v1/audit/events?kind=perk.created&decision=granted&reason=score_met").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_fit_their_rules_and_schedules_are_told_over_http_too() {
    for app in TestApp::all().await {
        let rule = r#"{"at_least":40,"score":"klout",
            "limits":[{"id":"house","scope":["location"],"max":9,"window":{"calendar":"day"}}]}"#;
        app.lounge(rule, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let made = admin.post("/v1/keys", &json!({"role": "kiosk", "label": "A"})).await.is(201);
        assert_eq!(made["warnings"][0]["pointer"], "/location");
        assert_eq!(made["warnings"][0]["code"], "key_without_location");
        let made =
            admin.post("/v1/keys", &json!({"role": "door", "label": "N", "audience": "elsewhere"})).await.is(201);
        assert_eq!(made["warnings"][0]["code"], "audience_not_named");
        let foreign = app.admin(&app.american).await;
        let made = foreign.post("/v1/keys", &json!({"role": "kiosk", "label": "A"})).await.is(201);
        assert_eq!(made["warnings"], json!([]), "another merchant's limits are nobody's business");

        let author = admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": {"at_least": 50, "score": "klout"}}));
        assert_eq!(author.await.is(201)["version"], 2);
        let at = json!({"at": "2012-12-01T00:00:00Z"});
        let scheduled = admin.post("/v1/perks/sfo-lounge/versions/2/schedule", &at).await.is(200);
        let key = scheduled["created_by"].as_str().unwrap();
        assert_eq!(scheduled["key_labels"], json!({key: "test"}));
        let perk = admin.get("/v1/perks/sfo-lounge").await.is(200);
        assert_eq!((&perk["scheduled_version"], &perk["scheduled_at"]), (&json!(2), &json!("2012-12-01T00:00:00Z")));
        assert_eq!(admin.get("/v1/perks").await.is(200)["perks"][0], perk);
        let versions = admin.get("/v1/perks/sfo-lounge/versions").await.is(200);
        assert_eq!(versions["versions"][0]["key_labels"], json!({key: "test"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn voiding_what_was_released_says_so() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let path = format!("/v1/grants/{}", granted.text_of("grant"));
        kiosk.post(&format!("{path}/release"), &json!({})).await.is(200);
        let voided = admin.post(&format!("{path}/void"), &json!({"note": "Late."})).await.is(200);
        assert_eq!((&voided["voided"], &voided["released"]), (&json!(1), &json!(1)));
    }
}
