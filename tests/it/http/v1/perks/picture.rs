//! `GET /v1/perks/{perk}/picture`: who has which score, and where the thresholds lie.

use perkgate::foundation::json::Json;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const PICTURE: &str = "/v1/perks/sfo-lounge/picture";

/// Two tiers and a limit by the day, at the perk in San Francisco.
const TWO: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D"},"tiers":[
    {"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
    {"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}]}"#;

fn sum(counts: &Value) -> u64 {
    counts.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_counted_at_their_point_and_last_weeks_visitors_at_theirs() {
    for app in TestApp::all().await {
        // 19:00 UTC is noon in San Francisco.
        app.lounge(TWO, "47.25").await;
        for (subject, score) in
            [("twitter:bob", "36"), ("twitter:cyd", "100"), ("twitter:dee", "0"), ("twitter:eve", "47")]
        {
            app.world.score(&app.cathay, subject, score).await;
        }
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let ask = async |subject: &str, party: u64| {
            let body = json!({"perk": "sfo-lounge", "subject": subject, "context": {"party": party}});
            kiosk.post("/v1/checks", &body).await.is(200)
        };
        ask("twitter:ada", 2).await;
        ask("twitter:bob", 1).await;
        ask("twitter:nobody", 1).await;

        let got = admin.get(PICTURE).await.is(200);
        let counts = got["counts"].as_array().unwrap();
        assert_eq!((counts.len(), sum(&got["counts"])), (100, 5));
        assert_eq!((&counts[47], &counts[36], &counts[99], &counts[0]), (&json!(2), &json!(1), &json!(1), &json!(1)));
        assert_eq!((&got["total"], &got["counted"], &got["stale"]), (&json!(5), &json!(5), &json!(0)));
        assert_eq!(
            got["tiers"],
            json!([{"tier": "main", "name": "Main lounge", "at_least": 40, "asks_more": false, "is_own": true, "floor": null},
                {"tier": "first", "name": "First lounge", "at_least": 60, "asks_more": false, "is_own": true, "floor": null}])
        );
        assert_eq!(got["limit"], json!({"id": "house-day", "max": 200, "cost": "party"}));
        // It is the version that decides, and today isn't over.
        assert_eq!((&got["published"], &got["version"]), (&Value::Null, &json!(1)));
        assert_eq!(got["week"].as_array().unwrap().len(), 7);
        assert_eq!((&got["week"][0]["date"], &got["week"][6]["date"]), (&json!("2012-05-01"), &json!("2012-05-07")));
        assert_eq!((&got["party"], sum(&got["week"][6]["asked"])), (&json!(1), 0));

        // Tomorrow, at 00:30 there, yesterday is over; what was granted then was to two.
        app.world.pass(12 * 3600 + 1800);
        let got = admin.get(PICTURE).await.is(200);
        let day = &got["week"][6];
        assert_eq!((&day["date"], sum(&day["asked"]), &day["unknown"]), (&json!("2012-05-08"), 2, &json!(1)));
        assert_eq!((&day["asked"][47], &day["asked"][36], &got["party"]), (&json!(1), &json!(1), &json!(2)));

        // A score that comes in is seen after a minute; those that nobody renewed are too old after a week.
        app.world.pass(7 * 86_400);
        app.world.score(&app.cathay, "twitter:fay", "12").await;
        let got = admin.get(PICTURE).await.is(200);
        assert_eq!((&got["total"], &got["stale"], &got["counts"][12]), (&json!(6), &json!(5), &json!(1)));
        app.world.score(&app.cathay, "twitter:gus", "12").await;
        assert_eq!(admin.get(PICTURE).await.is(200)["total"], 6, "counted at most once a minute");
        app.world.pass(60);
        assert_eq!(admin.get(PICTURE).await.is(200)["total"], 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_shown_against_what_is_published() {
    for app in TestApp::all().await {
        app.lounge(TWO, "47.25").await;
        let draft = TWO.replace("\"value\":40", "\"value\":45");
        let admin = app.admin(&app.cathay).await;
        let rule = Json::parse(&draft).unwrap();
        admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule})).await.is(201);
        let got = admin.get("/v1/perks/sfo-lounge/picture?version=2").await.is(200);
        assert_eq!((&got["version"], &got["tiers"][0]["at_least"]), (&json!(2), &json!(45)));
        assert_eq!((&got["published"]["version"], &got["published"]["tiers"][0]["at_least"]), (&json!(1), &json!(40)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_picture_without_a_score_a_version_or_the_perk() {
    for app in TestApp::all().await {
        let rule = r#"{"tiers":[{"id":"gold","when":{"attr":"context.status","op":"eq","value":"gold"}}]}"#;
        app.lounge(rule, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let problem = admin.get(PICTURE).await.is(422);
        assert_eq!(problem["errors"][0]["code"], "no_score");
        admin.get("/v1/perks/sfo-lounge/picture?version=9").await.is(404);
        admin.get("/v1/perks/sfo-lounge/picture?version=0").await.is(422);
        admin.get("/v1/perks/nowhere/picture").await.is(404);
        let other = app.admin(&app.american).await;
        other.get(PICTURE).await.is(404);
        let kiosk = app.kiosk().await;
        kiosk.get(PICTURE).await.is(403);
    }
}
