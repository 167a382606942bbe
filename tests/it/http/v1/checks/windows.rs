//! Time windows around a flight: too early, in time, too late; and what is no instant is refused at its spot.

use diesel::{QueryDsl as _, RunQueryDsl as _};
use jiff::Timestamp;
use perkgate::database::{DatabaseError, schema};
use serde_json::{Value, json};

use crate::support::app::TestApp;

const FLIGHT: &str = r#"{"tiers":[{"id":"lounge","name":"The lounge","when":
    {"attr":"context.departure","op":"within","before":"PT3H","after":"PT0S","opens_by":"context.scheduled_departure"}}]}"#;

fn ask(context: &Value) -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_window_opens_and_closes_with_its_reasons() {
    for app in TestApp::all().await {
        app.lounge(FLIGHT, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        // It was to leave at two, and leaves at four.
        let delayed =
            json!({"departure": "2012-05-09T16:00:00-07:00", "scheduled_departure": "2012-05-09T14:00:00-07:00"});
        let (opens, mut checks) = ("2012-05-09T18:00:00Z", Vec::new());
        let early = json!([{"code": "too_early", "tier": "lounge", "attribute": "context.departure",
                            "next_eligible_at": opens, "message": "It is too early for The lounge.", "guest_language": "en",
                            "guest_message": "It is too early for this."}]);
        let late = json!([{"code": "too_late", "tier": "lounge", "attribute": "context.departure",
                           "message": "It is too late for The lounge.", "guest_language": "en",
                           "guest_message": "It is too late for this."}]);
        for (now, decision, reasons, next) in [
            ("2012-05-09T17:59:59Z", "denied", early, json!(opens)),
            (opens, "granted", json!([]), Value::Null),
            ("2012-05-09T23:00:00Z", "granted", json!([]), Value::Null),
            ("2012-05-09T23:00:00.000001Z", "denied", late, Value::Null),
        ] {
            app.world.clock.set(now.parse::<Timestamp>().unwrap());
            let answer = kiosk.post("/v1/checks", &ask(&delayed)).await;
            let answered = answer.is(200);
            assert_eq!((&answered["decision"], &answered["reasons"]), (&json!(decision), &reasons), "{now}");
            assert_eq!(answered["next_eligible_at"], next, "{now}");
            checks.push(answer.text_of("check"));
            let shown = kiosk.get(&format!("/v1/checks/{}", answer.text_of("check"))).await;
            assert_eq!((&shown.is(200)["reasons"], &shown.is(200)["next_eligible_at"]), (&reasons, &next));
            let trial = json!({"subject": "twitter:ada", "context": delayed});
            let simulated = admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.is(200);
            assert_eq!((&simulated["reasons"], &simulated["next_eligible_at"]), (&reasons, &next));
            let traced = &simulated["trace"]["tiers"][0]["when"];
            assert_eq!(traced["wanted"], json!([opens, "2012-05-09T23:00:00Z"]));
            assert_eq!(
                (&traced["against"], &traced["had"]),
                (&json!("context.scheduled_departure"), &json!("2012-05-09T16:00:00-07:00"))
            );
        }
        // When it opens says when the person flies: it is sealed, and lost with them.
        let read = app.world.gateway.database.read(|conn| {
            let bodies: Vec<Option<String>> = schema::events::table.select(schema::events::body).load(conn)?;
            Ok::<_, DatabaseError>(bodies.into_iter().flatten().collect::<Vec<_>>())
        });
        let bodies = read.await.unwrap();
        let early: Vec<_> = bodies.iter().filter(|body| body.contains("too_early")).collect();
        assert!(early.len() == 1 && !early[0].contains(opens), "{early:?}");
        app.world.pass(1);
        let report = app.auditor(&app.cathay).await.get("/v1/reports/grants?from=2012-05-08T00:00:00Z").await;
        let totals = &report.is(200)["totals"];
        assert_eq!((&totals["refused_too_early"], &totals["refused_too_late"]), (&json!(1), &json!(1)));
        let backtest = json!({"version": 1, "from": "2012-05-08T00:00:00Z"});
        let again = admin.post("/v1/perks/sfo-lounge/backtest", &backtest).await.is(200);
        assert_eq!((&again["reproduction"]["checks"], &again["reproduction"]["mismatches"]), (&json!(4), &json!(0)));
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:ada"})).await.is(200);
        let left = kiosk.get(&format!("/v1/checks/{}", checks[0])).await.is(200);
        assert_eq!((&left["reasons"][0]["code"], &left["next_eligible_at"]), (&json!("too_early"), &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_instant_is_refused_where_the_rule_looks_at_it() {
    for app in TestApp::all().await {
        app.lounge(FLIGHT, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let before = app.footprint().await;
        for (departure, code) in [
            (json!("2012-05-09T16:00:00"), "bad_form"),
            (json!("2012-05-09"), "bad_form"),
            (json!("0000-05-09T16:00:00Z"), "bad_form"),
            (json!("9999-05-09T16:00:00Z"), "bad_form"),
            (json!("2012-03-11T02:30:00[America/Los_Angeles]"), "bad_form"),
            (json!("tomorrow 🛫"), "bad_form"),
            (json!(""), "bad_form"),
            (json!(1_336_579_200), "wrong_type"),
            (json!(true), "wrong_type"),
            (json!(["2012-05-09T16:00:00Z"]), "wrong_type"),
        ] {
            let context = json!({"departure": departure});
            let refused = kiosk.post("/v1/checks", &ask(&context)).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/context/departure".into(), code.into()), "{departure}");
            let simulated = admin.post("/v1/perks/sfo-lounge/simulate", &json!({"context": context})).await;
            assert_eq!(simulated.spot(422, "invalid_request").0, "/context/departure");
            let scheduled = json!({"departure": "2012-05-09T16:00:00Z", "scheduled_departure": departure});
            let refused = kiosk.post("/v1/checks", &ask(&scheduled)).await;
            assert_eq!(refused.spot(422, "invalid_request").0, "/context/scheduled_departure");
        }
        assert_eq!(app.footprint().await, before);
        // The same stands where no rule looks at it; and a flight that has left is too late, not wrong.
        let elsewhere = json!({"departure": "2012-05-08T18:59:59Z", "note": "2012-05-09T16:00:00"});
        assert_eq!(kiosk.post("/v1/checks", &ask(&elsewhere)).await.is(200)["reasons"][0]["code"], "too_late");
        assert_eq!(kiosk.post("/v1/checks", &ask(&json!({}))).await.is(200)["reasons"][0]["code"], "attribute_missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_only_too_early_is_not_referred() {
    for app in TestApp::all().await {
        let rule = FLIGHT.replacen('{', r#"{"otherwise":"refer","#, 1).replace(
            r#""before":"PT3H""#,
            r#""messages":{"en":"Come three hours before.","zh-Hant":"起飛前三小時開放。"},"before":"PT3H""#,
        );
        app.lounge(&rule, "47.25").await;
        let kiosk = app.kiosk().await;
        let departs = |at: &str| ask(&json!({"departure": at}));
        let early = kiosk.post("/v1/checks", &departs("2012-05-09T16:00:00Z")).await.is(200);
        assert_eq!(
            (&early["decision"], &early["next_eligible_at"]),
            (&json!("denied"), &json!("2012-05-09T13:00:00Z"))
        );
        assert_eq!(early["reasons"][0]["guest_message"], "Come three hours before.");
        // Beyond two weeks nobody is sent away for, and after the departure waiting is no help.
        for at in ["2012-06-09T16:00:00Z", "2012-05-08T18:00:00Z"] {
            assert_eq!(kiosk.post("/v1/checks", &departs(at)).await.is(200)["decision"], "referred", "{at}");
        }
        app.world.tally(&app.cathay);
    }
}
