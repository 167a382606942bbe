//! `POST /v1/perks/{perk}/backtest`: what a rule would have made of what was.

use diesel::{ExpressionMethods as _, QueryDsl as _, RunQueryDsl as _};
use perkgate::database::{DatabaseError, schema};
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::Client;

const BACKTEST: &str = "/v1/perks/sfo-lounge/backtest";

/// 40 or more, twice a day.
const TWICE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":2,"window":{"calendar":"day"}}]}"#;

fn since(rule: &str, from: &str) -> Value {
    json!({"rule": serde_json::from_str::<Value>(rule).unwrap(), "from": from})
}

async fn check(kiosk: &Client, subject: &str) -> String {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.text_of("check")
}

const MAY_8: &str = "2012-05-08T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn who_would_be_admitted_and_refused_is_counted_and_named() {
    for app in TestApp::all().await {
        app.lounge(TWICE, "47.25").await;
        app.world.score(&app.cathay, "twitter:bob", "36").await;
        app.world.score(&app.cathay, "twitter:cyd", "90").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let mut checks = Vec::new();
        for subject in ["ada", "bob", "cyd", "ada", "ada", "nobody"] {
            checks.push(check(&kiosk, &format!("twitter:{subject}")).await);
        }
        app.world.pass(60);
        let before = app.footprint().await;
        let same = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
        assert_eq!((&same["version"], &same["checks"], &same["same"]), (&json!(1), &json!(6), &json!(6)));
        assert_eq!(same["reproduction"], json!({"checks": 6, "other_engine": 0, "mismatches": 0, "mismatched": []}));
        assert_eq!(same["to"], "2012-05-08T19:01:00Z");

        // Ada's third check was refused by the limit only, and Cyd becomes first class.
        let draft = TWICE.replace("\"max\":2", "\"max\":3").replace(
            "\"tiers\":[",
            "\"tiers\":[{\"id\":\"first\",\"rank\":2,\"when\":{\"attr\":\"score\",\"op\":\"gte\",\"value\":80}},",
        );
        let draft = draft
            .replace("\"id\":\"standard\"", "\"id\":\"standard\",\"rank\":1")
            .replace("\"value\":40", "\"value\":36");
        let got = admin.post(BACKTEST, &since(&draft, MAY_8)).await.is(200);
        assert_eq!(got["samples"]["newly_admitted"], json!([checks[1], checks[4]]));
        assert_eq!(got["samples"]["tier_changed"], json!([checks[2]]));
        let counts = ["newly_admitted", "newly_refused", "tier_changed", "otherwise_decided", "same"]
            .map(|it| got[it].as_u64().unwrap());
        assert_eq!(counts, [2, 0, 1, 0, 3]);
        assert_eq!(
            got["decisions"],
            json!([{"was": "denied", "would_be": "denied", "checks": 1},
            {"was": "denied", "would_be": "granted", "checks": 2}, {"was": "granted", "would_be": "granted", "checks": 3}])
        );
        assert_eq!(
            got["tiers"],
            json!([{"name": "first", "was": 0, "would_be": 1}, {"name": "standard", "was": 3, "would_be": 4}])
        );
        let reason =
            |name: &str| got["reasons"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap();
        assert_eq!(reason("limit_reached"), json!({"name": "limit_reached", "was": 1, "would_be": 0}));
        assert_eq!(got["reproduction"]["checks"], 0);

        // A stricter one, with a limit that is new: it begins at 0.
        let strict = r#"{"at_least":80,"score":"klout"}"#;
        let got = admin.post(BACKTEST, &since(strict, MAY_8)).await.is(200);
        assert_eq!(got["samples"]["newly_refused"], json!([checks[0], checks[3]]));
        let house = TWICE.replace("person-day", "house").replace("[\"subject\"]", "[\"perk\"]");
        let got = admin.post(BACKTEST, &since(&house, MAY_8)).await.is(200);
        assert_eq!(got["samples"]["newly_refused"], json!([checks[3]]), "Ada and Cyd came first");
        assert_eq!(app.footprint().await, before);

        let lines = admin.post(BACKTEST, &since(strict, MAY_8)).header("accept", "application/x-ndjson").await;
        let last: Value = serde_json::from_str(lines.text.lines().last().unwrap()).unwrap();
        assert_eq!((&last["result"]["newly_refused"], last["result"]["checks"].as_u64()), (&json!(2), Some(6)));
        assert!(lines.text.starts_with("{\"progress\":"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_goes_on_from_what_was_used_before_the_period() {
    for app in TestApp::all().await {
        app.lounge(TWICE, "47.25").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        for _ in 0..2 {
            check(&kiosk, "twitter:ada").await;
        }
        app.world.pass(3600);
        let from = app.world.now().to_string();
        let third = check(&kiosk, "twitter:ada").await;
        app.world.pass(1);
        let same = admin.post(BACKTEST, &json!({"from": from})).await.is(200);
        assert_eq!((&same["checks"], &same["same"]), (&json!(1), &json!(1)));
        assert_eq!(same["reproduction"]["mismatches"], 0);
        // With room for one more it is the third that gets it; another limit knows nothing of the first two.
        let got = admin.post(BACKTEST, &since(&TWICE.replace("\"max\":2", "\"max\":3"), &from)).await.is(200);
        assert_eq!(got["samples"]["newly_admitted"], json!([third]));
        let got = admin.post(BACKTEST, &since(&TWICE.replace("person-day", "another"), &from)).await.is(200);
        assert_eq!(got["samples"]["newly_admitted"], json!([third]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_kept_is_named_and_the_erased_stay_as_they_were() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.score(&app.cathay, "twitter:bob", "90").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        check(&kiosk, "twitter:ada").await;
        check(&kiosk, "twitter:bob").await;
        app.world.pass(1);
        let looks_further = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"any":[
            {"attr":"score","op":"gte","value":40},{"attr":"context.terminal","op":"eq","value":"A"}]}}]}"#;
        let got = admin.post(BACKTEST, &since(looks_further, MAY_8)).await.is(200);
        assert_eq!((&got["checks"], &got["replayed"]), (&json!(2), &json!(0)));
        assert_eq!(got["not_replayed"]["unkept"], 2);
        assert_eq!(got["not_replayed"]["unkept_attributes"], json!(["context.terminal"]));
        admin.post("/v1/sources", &json!({"name": "kred", "min": 0, "max": 9})).await.is(201);
        let got = admin.post(BACKTEST, &since(r#"{"at_least":4,"score":"kred"}"#, MAY_8)).await.is(200);
        assert_eq!(got["not_replayed"]["unkept_attributes"], json!(["score from kred"]));
        // Bob's key is destroyed, and with it what is known of him.
        assert_eq!(admin.post("/v1/subjects/erase", &json!({"subject": "twitter:bob"})).await.is(200)["erased"], true);
        let got = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
        assert_eq!((&got["not_replayed"]["erased"], &got["replayed"]), (&json!(1), &json!(1)));
        assert_eq!(got["reproduction"]["mismatches"], 0);
    }
}

/// One guest at a time; whoever isn't known is for a person to decide.
const ONE_PLACE: &str = r#"{"tiers":[{"id":"in","when":{"attr":"context.known","op":"eq","value":true}}],
  "otherwise":"refer","token":{"audience":"sfo-lounge","ttl":"PT20M"},
  "limits":[{"id":"house","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT2H"}}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn guests_come_and_leave_as_they_did_and_what_a_person_granted_stands() {
    for app in TestApp::all().await {
        app.lounge(ONE_PLACE, "47.25").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let ask = async |subject: &str, known: bool| {
            app.world.pass(60);
            let body = json!({"perk": "sfo-lounge", "subject": subject, "context": {"known": known}});
            kiosk.post("/v1/checks", &body).await
        };
        let ada = ask("twitter:ada", true).await.is(200);
        let bob = ask("twitter:bob", true).await.text_of("check");
        door.post("/v1/tokens/redeem", &json!({"token": ada["token"], "door": "a", "attempt": "1"})).await.is(200);
        app.world.pass(1800);
        let cyd = ask("twitter:cyd", true).await.text_of("check");
        let leave = format!("/v1/grants/{}/release", ada["grant"].as_str().unwrap());
        door.post(&leave, &json!({})).await.is(200);
        let dan = ask("twitter:dan", false).await.text_of("check");
        let decide = format!("/v1/referrals/{dan}/decide");
        admin.post(&decide, &json!({"decision": "grant", "tier": "in", "note": "The mayor."})).await.is(201);
        let eve = ask("twitter:eve", true).await.text_of("check");
        app.world.pass(60);
        // Ada, Dan and Dan again are granted, referred and granted; the others find no room.
        let same = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
        assert_eq!((&same["checks"], &same["same"]), (&json!(6), &json!(5)));
        assert_eq!(same["not_replayed"]["by_person"], 1);
        assert_eq!((&same["reproduction"]["checks"], &same["reproduction"]["mismatches"]), (&json!(5), &json!(0)));
        assert_eq!(same["warnings"], json!([]));
        // With two places Bob gets in; nobody knows for how long, so Cyd does too, when his token has lapsed.
        let two = ONE_PLACE.replace("\"max\":1", "\"max\":2");
        let got = admin.post(BACKTEST, &since(&two, MAY_8)).await.is(200);
        assert_eq!(got["samples"]["newly_admitted"], json!([bob, cyd]));
        assert_eq!(got["warnings"][0]["code"], "stays_not_known");
        // Guests may stay for as long as the draft says: Ada is gone before Cyd comes, who stays on.
        let brief = ONE_PLACE.replace("PT2H", "PT5M");
        let got = admin.post(BACKTEST, &since(&brief, MAY_8)).await.is(200);
        assert_eq!(got["samples"]["newly_admitted"], json!([cyd]));
        assert_eq!(eve.len(), cyd.len());
    }
}

/// What is gone from the log had used limits too: nobody is blamed for not knowing how much.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_pruned_events_tell_is_no_mismatch() {
    let app = TestApp::start(&[]).await;
    app.lounge(TWICE, "47.25").await;
    let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
    let first = check(&kiosk, "twitter:ada").await;
    app.world.pass(1);
    check(&kiosk, "twitter:ada").await;
    app.world.pass(1);
    let prune = app.world.gateway.database.write(move |conn| {
        let rows = schema::events::table.filter(schema::events::about.eq(first));
        Ok::<_, DatabaseError>(diesel::update(rows).set(schema::events::body.eq(None::<String>)).execute(conn)?)
    });
    assert_eq!(prune.await.unwrap(), 1);
    let got = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
    assert_eq!(got["not_replayed"]["pruned"], 1);
    assert_eq!((&got["reproduction"]["checks"], &got["reproduction"]["mismatches"]), (&json!(0), &json!(0)));
}

/// What must never be is seen when it is: a record that another rule than the named one made.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_not_reproduced_is_named() {
    let app = TestApp::start(&[]).await;
    app.lounge(OPEN_LOUNGE, "47.25").await;
    let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
    let made = check(&kiosk, "twitter:ada").await;
    app.world.pass(1);
    let about = made.clone();
    let tamper = app.world.gateway.database.write(move |conn| {
        let rows = schema::events::table.filter(schema::events::about.eq(about));
        let body: Option<String> = rows.clone().select(schema::events::body).first(conn)?;
        let body = body.unwrap().replace("\"tier\":\"standard\"", "\"tier\":\"first\"");
        Ok::<_, DatabaseError>(diesel::update(rows).set(schema::events::body.eq(body)).execute(conn)?)
    });
    assert_eq!(tamper.await.unwrap(), 1);
    let got = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
    assert_eq!((&got["reproduction"]["mismatches"], &got["reproduction"]["mismatched"]), (&json!(1), &json!([made])));
    assert_eq!(got["warnings"][0]["code"], "not_reproduced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_that_cannot_be_is_refused_and_an_empty_one_says_so() {
    let app = TestApp::start(&[]).await;
    app.lounge(TWICE, "47.25").await;
    let admin = app.admin(&app.cathay).await;
    for (from, to, pointer, code) in [
        ("2012-05-08T19:00:00Z", Some("2012-05-08T18:00:00Z"), "/to", "period_reversed"),
        ("2012-05-08T19:00:00Z", None, "/to", "period_reversed"),
        ("2013-05-08T19:00:00Z", None, "/to", "period_reversed"),
        ("2012-05-08T00:00:00Z", Some("2012-05-09T00:00:00Z"), "/to", "period_in_future"),
        ("2006-05-08T00:00:00Z", None, "/from", "period_too_long"),
        ("last week", None, "/from", "bad_time"),
        ("2012-05-08T00:00:00Z", Some("now"), "/to", "bad_time"),
    ] {
        let told = admin.post(BACKTEST, &json!({"from": from, "to": to})).await;
        assert_eq!(told.spot(422, "invalid_request"), (pointer.into(), code.into()));
    }
    assert_eq!(
        admin.post(BACKTEST, &json!({})).await.spot(422, "invalid_request"),
        ("/from".into(), "missing_field".into())
    );
    let got = admin.post(BACKTEST, &json!({"from": MAY_8})).await.is(200);
    assert_eq!((&got["checks"], &got["warnings"][0]["code"]), (&json!(0), &json!("no_checks")));
}
