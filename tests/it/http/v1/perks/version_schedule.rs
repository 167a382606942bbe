//! A scheduled version decides from its instant on, on every replica, and is marked published once.

use serde_json::{Value, json};

use crate::http::v1::{fact, kinds, life};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::question;

const SECOND: &str = "/v1/perks/sfo-lounge/versions/2";

/// 40 or more, in San Francisco; then 50 or more, as a draft.
async fn lounge(admin: &Client) {
    let rule = |least| {
        json!({"time_zone": "America/Los_Angeles", "score": {"source": "klout"},
               "tiers": [{"id": "standard", "when": {"attr": "score", "op": "gte", "value": least}}]})
    };
    let body = json!({"perk": "sfo-lounge", "name": "SFO", "rule": rule(40), "publish": true});
    admin.post("/v1/perks", &body).await.is(201);
    admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule(50)})).await.is(201);
}

async fn schedule(admin: &Client, at: &str) -> Value {
    admin.post(&format!("{SECOND}/schedule"), &json!({"at": at, "change_note": "From June."})).await.is(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_switches_at_the_very_instant_and_one_marks_it() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        lounge(&ada).await;
        app.world.score(&app.cathay, "twitter:ada", "47.25").await;
        let kiosk = app.world.principal(&app.cathay, perkgate::access::Role::Kiosk).await;
        let before = life(&app).await.len();
        // 13:00 in San Francisco, in an hour.
        let scheduled = schedule(&bob, "2012-05-08T13:00").await;
        assert_eq!(
            (&scheduled["status"], &scheduled["scheduled_at"]),
            (&json!("scheduled"), &json!("2012-05-08T20:00:00Z"))
        );
        // Replicas that have heard of it, and hear of nothing else.
        let replicas = [app.world.replica().await, app.world.replica().await];
        let decided = async || {
            let mut versions = Vec::new();
            for gateway in replicas.iter().chain([app.world.gateway.as_ref()]) {
                let asked = question("sfo-lounge", "twitter:ada");
                versions.push(gateway.checker.check(&kiosk, &app.cathay, asked).await.unwrap().rule_version);
            }
            versions
        };
        app.world.pass(3599);
        assert_eq!(decided().await, [1, 1, 1]);
        app.world.pass(1);
        assert_eq!(decided().await, [2, 2, 2]);
        assert_eq!(kinds(&app, before).await, ["rule.scheduled"], "they decide by it before anybody marks it");

        // All look at once; each could be the one who marks it.
        let slug = "sfo-lounge".parse().unwrap();
        let looks = replicas.iter().map(|it| it.catalog.find_version(&app.cathay.id, &slug, 2));
        for version in futures_util::future::join_all(looks).await {
            assert_eq!(version.unwrap().status.as_str(), "published");
        }
        assert_eq!(kinds(&app, before).await, ["rule.scheduled", "rule.published"]);
        let events = life(&app).await;
        let (scheduled, published) = (&events[before], &events[before + 1]);
        assert_eq!(published.actor.key, scheduled.actor.key, "in the name of who scheduled it");
        assert_eq!(fact(published, "from"), Some("2012-05-08T20:00:00Z"));
        assert_eq!(fact(published, "change_note"), Some("From June."));
        let version = ada.get(SECOND).await.is(200);
        assert_eq!(
            (&version["status"], &version["published_at"]),
            (&json!("published"), &json!("2012-05-08T20:00:00Z"))
        );
        assert_eq!(ada.get("/v1/perks/sfo-lounge").await.is(200)["published_version"], 2);
        assert_eq!(ada.get("/v1/perks/sfo-lounge/versions/1").await.is(200)["status"], "retired");
        assert_eq!(decided().await, [2, 2, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_runs_marks_what_is_due_by_itself() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        lounge(&admin).await;
        schedule(&admin, "2012-05-08T20:00:00Z").await;
        app.world.pass(7200);
        let before = life(&app).await.len();
        // It starts after the instant.
        let (replica, cancel) = (app.world.replica().await, tokio_util::sync::CancellationToken::new());
        let follower = tokio::spawn(replica.catalog.clone().follow(cancel.clone()));
        while kinds(&app, before).await.is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
        follower.await.unwrap();
        assert_eq!(kinds(&app, before).await, ["rule.published"]);
        assert_eq!(admin.get(SECOND).await.is(200)["published_at"], "2012-05-08T20:00:00Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_refused_one_at_a_time_is_scheduled_and_it_can_be_taken_back() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        lounge(&admin).await;
        for (at, code) in [
            ("2012-05-08T19:00:00Z", "in_past"),
            ("2012-05-08T11:59", "in_past"),
            ("soon", "bad_form"),
            ("2012-05-09", "bad_form"),
        ] {
            let refused = admin.post(&format!("{SECOND}/schedule"), &json!({"at": at})).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/at".to_owned(), code.to_owned()), "{at}");
        }
        assert_eq!(admin.post(&format!("{SECOND}/schedule"), &json!({})).await.spot(422, "invalid_request").0, "/at");
        schedule(&admin, "2012-05-09T00:00").await;
        let another = json!({"rule": {"at_least": 60, "score": "klout"}});
        admin.post("/v1/perks/sfo-lounge/versions", &another).await.is(201);
        let third = "/v1/perks/sfo-lounge/versions/3";
        let body = json!({"at": "2012-06-09T00:00"});
        admin.post(&format!("{third}/schedule"), &body).await.problem(409, "already_scheduled");
        assert_eq!(admin.post(&format!("{SECOND}/unschedule"), &json!({})).await.is(200)["status"], "draft");
        admin.post(&format!("{third}/schedule"), &body).await.is(200);
        // It takes over whatever decides by then, and whoever publishes something else meanwhile is warned.
        let codes = |answer: Value| -> Vec<Value> {
            answer["warnings"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect()
        };
        let published = admin.post(&format!("{SECOND}/publish"), &json!({})).await.is(200);
        let warning = published["warnings"][0].clone();
        assert_eq!(codes(published), ["still_scheduled"]);
        let detail = warning["detail"].as_str().unwrap();
        assert!(detail.contains("ersion 3 is scheduled") && detail.contains("2012-06-09T"), "{detail}");
        let fourth = json!({"rule": {"at_least": 45, "score": "klout"}, "publish": true});
        let made = admin.post("/v1/perks/sfo-lounge/versions", &fourth).await.is(201);
        assert_eq!(codes(made), ["still_scheduled"]);
        app.world.pass(60 * 86_400);
        assert_eq!(admin.get("/v1/perks/sfo-lounge").await.is(200)["published_version"], 3);
        // Once it decides there is nothing to take back.
        admin.post(&format!("{third}/unschedule"), &json!({})).await.problem(409, "wrong_status");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_within_a_moment_is_not_taken_back() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        lounge(&admin).await;
        schedule(&admin, "2012-05-08T19:00:03Z").await;
        app.world.pass(2);
        admin.post(&format!("{SECOND}/unschedule"), &json!({})).await.problem(409, "wrong_status");
        app.world.pass(1);
        // Whatever is done next finds it published.
        let before = life(&app).await.len();
        admin.post("/v1/perks/sfo-lounge/rollback", &json!({"to": 1})).await.is(201);
        assert_eq!(kinds(&app, before).await, ["rule.published", "rule.drafted", "rule.published", "rule.rolled_back"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_that_begins_by_schedule_is_not_there_before() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let body = json!({"perk": "event", "name": "Event", "rule": {"at_least": 40, "score": "klout"}});
        admin.post("/v1/perks", &body).await.is(201);
        app.world.score(&app.cathay, "twitter:ada", "47.25").await;
        let at = json!({"at": "2012-05-08T20:00:00Z"});
        admin.post("/v1/perks/event/versions/1/schedule", &at).await.is(200);
        let ask = json!({"perk": "event", "subject": "twitter:ada"});
        admin.post("/v1/checks", &ask).await.problem(404, "not_found");
        app.world.pass(3600);
        assert_eq!(admin.post("/v1/checks", &ask).await.is(200)["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_takes_back_what_was_scheduled_before() {
    for app in TestApp::all().await {
        let ada = app.admin(&app.cathay).await;
        lounge(&ada).await;
        app.world.score(&app.cathay, "twitter:ada", "47.25").await;
        ada.post(&format!("{SECOND}/publish"), &json!({})).await.is(200);
        let rule = json!({"at_least": 60, "score": "klout"});
        ada.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule})).await.is(201);
        let third = "/v1/perks/sfo-lounge/versions/3";
        ada.post(&format!("{third}/schedule"), &json!({"at": "2012-05-08T13:00-07:00"})).await.is(200);
        let before = life(&app).await.len();

        let back = ada.post("/v1/perks/sfo-lounge/rollback", &json!({"to": 1})).await.is(201);
        let codes: Vec<_> = back["warnings"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
        assert_eq!((&back["version"], codes), (&json!(4), vec![json!("schedule_taken_back")]));
        let kinds = kinds(&app, before).await;
        assert_eq!(kinds, ["rule.drafted", "rule.published", "rule.rolled_back", "rule.unscheduled"]);
        assert_eq!(ada.get(third).await.is(200)["status"], "draft");
        // The instant at which it would have decided comes and goes.
        app.world.pass(7200);
        let kiosk = app.world.principal(&app.cathay, perkgate::access::Role::Kiosk).await;
        let answer = app.world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        assert_eq!(answer.rule_version, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_going_back_waits_for_approval_the_schedule_stands_and_it_says_so() {
    for app in TestApp::all().await {
        let ada = app.admin(&app.cathay).await;
        lounge(&ada).await;
        ada.post(&format!("{SECOND}/publish"), &json!({})).await.is(200);
        ada.post("/v1/perks/sfo-lounge/versions", &json!({"rule": {"at_least": 60, "score": "klout"}})).await.is(201);
        let third = "/v1/perks/sfo-lounge/versions/3";
        ada.post(&format!("{third}/schedule"), &json!({"at": "2012-05-08T13:00-07:00"})).await.is(200);
        ada.put("/v1/approvals", &json!({"required": true})).await.is(200);
        let back = ada.post("/v1/perks/sfo-lounge/rollback", &json!({"to": 1})).await.is(201);
        let codes: Vec<_> = back["warnings"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
        assert_eq!(
            (&back["status"], codes),
            (&json!("in_review"), vec![json!("still_scheduled"), json!("approval_required")])
        );
        assert_eq!(ada.get(third).await.is(200)["status"], "scheduled");
    }
}
