//! Boarding passes: what a rule reads off one, whom it names, and that nothing of it is kept or repeated.

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;

/// Day 129 of 2012, which is the day of the tests.
const PASS: &str = "M1DESMARAIS/LUC       EABC123 SFOHKGCX 0873 129J001A0025 100";

/// Admits flights of today from San Francisco.
const RULE: &str = r#"{"time_zone":"America/Los_Angeles",
  "when":{"all":[{"attr":"boarding_pass.days_from_today","op":"eq","value":0},
                 {"attr":"boarding_pass.from","op":"eq","value":"SFO"}]},
  "tiers":[{"id":"first","rank":2,"when":{"attr":"boarding_pass.compartment","op":"in","values":["F","J"]}},
           {"id":"standard","rank":1}]}"#;

/// Three legs, the second with a frequent flyer number, and security data.
fn journey() -> String {
    let leg = |pnr: &str, from: &str, to: &str, day: u16, items: &str| {
        format!("{pnr:<7}{from}{to}CX 0873 {day:03}J012A0007 1{:02X}{items}", items.len())
    };
    let items = |airline: &str, number: &str| format!("29{:18}{airline:<3}{number:<16}{:4}", "", "");
    let first = format!(">500{}for the airline", items("", ""));
    let legs = [
        leg("AAA111", "LHR", "SFO", 128, &first),
        leg("BBB222", "SFO", "HKG", 129, &items("CX", " 1234567")),
        leg("CCC333", "HKG", "SIN", 131, ""),
    ];
    format!("M3{:<20}E{}^104+/a=", "TAN/ADA", legs.concat())
}

async fn kiosk_at(app: &TestApp, airports: &[&str]) -> Client {
    let airports = airports.iter().map(|code| (*code).to_owned()).collect();
    app.client(NewKey { airports, ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "k") }).await
}

fn with(pass: &str) -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada", "boarding_pass": pass})
}

/// Decision, tier, and the code and attribute of the first reason.
fn said(answer: &Value) -> [Value; 4] {
    let reason = &answer["reasons"][0];
    [&answer["decision"], &answer["tier"], &reason["code"], &reason["attribute"]].map(Clone::clone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_reads_the_leg_that_counts() {
    for app in TestApp::all().await {
        app.lounge(RULE, "1").await;
        let kiosk = app.kiosk().await;
        let ask = async |kiosk: &Client, pass: &str| said(&kiosk.post("/v1/checks", &with(pass)).await.is(200));
        assert_eq!(ask(&kiosk, PASS).await, [json!("granted"), json!("first"), Value::Null, Value::Null]);
        let economy = PASS.replace("129J", "129Y").to_lowercase();
        assert_eq!(ask(&kiosk, &economy).await[1], "standard");
        let day = |day: &str| PASS.replace("129J", &format!("{day}J"));
        let refused = |code: &str, field: &str| {
            [json!("denied"), Value::Null, json!(code), json!(format!("boarding_pass.{field}"))]
        };
        assert_eq!(ask(&kiosk, &day("128")).await, refused("pass_date", "days_from_today"));
        let of_no_pass = |code: &str| [json!("denied"), Value::Null, json!(code), json!("boarding_pass")];
        assert_eq!(ask(&kiosk, &day("131")).await, of_no_pass("pass_date"), "no leg counts");
        assert_eq!(ask(&kiosk, &PASS.replace("SFO", "OAK")).await, refused("condition_not_met", "from"));
        let plain = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let plain = kiosk.post("/v1/checks", &plain).await.is(200);
        assert_eq!(said(&plain), of_no_pass("attribute_missing"));
        assert_eq!(plain["reasons"].as_array().unwrap().len(), 1, "one pass is missing: {plain}");

        // By the key's airport, whatever its date; then by the date.
        assert_eq!(
            ask(&kiosk_at(&app, &["OAK", "hkg"]).await, &journey()).await,
            refused("pass_date", "days_from_today")
        );
        assert_eq!(ask(&kiosk_at(&app, &["SFO"]).await, &journey()).await[1], "first");
        assert_eq!(ask(&kiosk_at(&app, &["OAK"]).await, &journey()).await[1], "first", "today's, not yesterday's");

        // It is today in the perk's zone.
        app.world.pass(11 * 3600);
        assert_eq!(ask(&kiosk, PASS).await[1], "first", "11 in the evening");
        app.world.pass(2 * 3600);
        assert_eq!(ask(&kiosk, PASS).await[2], "pass_date", "1 in the morning");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pass_can_name_the_visitor() {
    let rule =
        r#"{"tiers":[{"id":"t"}],"limits":[{"id":"one","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "1").await;
        app.world.perk(&app.american, "sfo-lounge", rule).await;
        let (kiosk, other) = (app.kiosk().await, app.role(&app.american, Role::Kiosk).await);
        let named =
            |pass: &str| json!({"perk": "sfo-lounge", "subject": {"from": "boarding_pass"}, "boarding_pass": pass});
        let ask = async |kiosk: &Client, body: &Value| {
            kiosk.post("/v1/checks", body).await.is(200)["decision"].as_str().unwrap().to_owned()
        };
        assert_eq!(ask(&kiosk, &named(&journey())).await, "granted");
        let member = json!({"perk": "sfo-lounge", "subject": "FF:CX-1234567"});
        assert_eq!(ask(&kiosk, &member).await, "denied", "the same person");
        assert_eq!(ask(&kiosk, &named(PASS)).await, "granted");
        assert_eq!(ask(&kiosk, &named(&PASS.replace("001A", "044K"))).await, "denied", "a reprint is the same pass");
        let next_flight = PASS.replace("SFOHKGCX 0873 129", "HKGSINCX 0874 130").replace("0025", "0026");
        assert_eq!(ask(&kiosk, &named(&next_flight)).await, "denied", "the same passenger of the same booking");
        assert_eq!(ask(&kiosk, &named(&PASS.replace("ABC123", "ABC124"))).await, "granted", "of another booking");
        assert_eq!(ask(&other, &named(PASS)).await, "granted", "another merchant's visitor");

        let admin = app.admin(&app.cathay).await;
        let whose = json!({"subject": {"from": "boarding_pass"}, "boarding_pass": PASS});
        let record = admin.post("/v1/subjects/record", &whose).await.is(200);
        let handle = record["subject"].as_str().unwrap();
        assert!(handle.strip_prefix("pass:").is_some_and(|hash| hash.len() == 32), "{handle}");
        let checks = record["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "check.decided");
        assert_eq!(checks.count(), 3, "two of this flight, one of the next");
        assert_eq!(admin.post("/v1/subjects/erase", &whose).await.is(200)["erased"], true);
        assert_eq!(ask(&kiosk, &named(PASS)).await, "granted", "someone new");

        let without = json!({"perk": "sfo-lounge", "subject": {"from": "boarding_pass"}});
        let spot = kiosk.post("/v1/checks", &without).await.spot(422, "invalid_request");
        assert_eq!(spot, ("/boarding_pass".to_owned(), "missing_field".to_owned()));
        for (subject, pointer, code) in [
            (json!({"from": "passport"}), "/subject/from", "unknown_value"),
            (json!({"from": "boarding_pass", "leg": 1}), "/subject/leg", "unknown_field"),
            (json!({}), "/subject/from", "missing_field"),
            (json!(7), "/subject", "wrong_type"),
        ] {
            let body = json!({"perk": "sfo-lounge", "subject": subject, "boarding_pass": PASS});
            let spot = kiosk.post("/v1/checks", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_pass_is_refused_at_its_field_and_nothing_of_a_pass_is_repeated() {
    for app in TestApp::all().await {
        app.lounge(RULE, "1").await;
        let kiosk = app.kiosk().await;
        let before = app.footprint().await;
        let nothing_repeated = |text: &str| {
            for part in ["DESMARAIS", "desmarais", "ABC123", "SFOHKG"] {
                assert!(!text.contains(part), "{text}");
            }
        };
        for (pass, field) in [
            (PASS[..59].to_owned(), "the size of the conditional items of leg 1, at character 59, is cut off"),
            (
                PASS.replace("100", "1ZZ"),
                "the size of the conditional items of leg 1, at character 59, must be two hexadecimal digits",
            ),
            (
                PASS.replace("100", "1FF"),
                "the size of the conditional items of leg 1, at character 59, says more characters than follow",
            ),
            (PASS.replace("M1", "M5"), "the number of legs, at character 2, must be 1 to 4"),
            (PASS.replace("129J", "367J"), "the day of the flight of leg 1, at character 45, must be 001 to 366"),
            (
                PASS.replace("LUC", "L\u{1F600}C"),
                "the text, at character 14, has a character that no boarding pass has",
            ),
            (
                format!("{PASS}{}", "x".repeat(5000)),
                "the text, at character 1451, goes on beyond what four legs can fill",
            ),
            (String::new(), "the format code, at character 1, is cut off"),
        ] {
            let refused = kiosk.post("/v1/checks", &with(&pass)).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/boarding_pass".into(), "bad_boarding_pass".into()));
            assert_eq!(refused.json()["errors"][0]["detail"], format!("This is no boarding pass: {field}."));
            nothing_repeated(&refused.text);
        }
        let plain = |name: &str, value: Value| {
            let mut body = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
            body[name] = value;
            body
        };
        for body in [
            plain("perk", json!(PASS)),
            plain("subject", json!(PASS)),
            plain("subject", json!({"from": PASS})),
            plain("subject", json!({PASS: "boarding_pass"})),
            plain("context", json!(PASS)),
            plain("context", json!({PASS: 1})),
            plain("context", json!({"pass": {PASS: 1}})),
            plain("dry_run", json!(PASS)),
            plain("boarding_pass", json!([PASS])),
            plain("boarding_pass", json!({PASS: 1})),
            plain(PASS, json!(1)),
        ] {
            let refused = kiosk.post("/v1/checks", &body).await;
            assert_eq!(refused.status, 422, "{body}: {}", refused.text);
            nothing_repeated(&refused.text);
            let batch = kiosk.post("/v1/checks/batch", &json!({"checks": [body]})).await;
            batch.is(200);
            nothing_repeated(&batch.text);
        }
        assert_eq!(app.footprint().await, before);

        let checks = json!({"checks": [with(PASS), with("M1"), with(&PASS.replace("129J", "100J"))]});
        let answered = kiosk.post("/v1/checks/batch", &checks).await.is(200);
        let results = answered["results"].as_array().unwrap();
        assert_eq!(results.iter().map(|it| it["status"].clone()).collect::<Vec<_>>(), [200, 422, 200]);
        assert_eq!((&results[0]["tier"], &results[2]["reasons"][0]["code"]), (&json!("first"), &json!("pass_date")));
        let dry = kiosk.post(
            "/v1/checks",
            &json!({"perk": "sfo-lounge", "subject": "twitter:ada", "boarding_pass": PASS, "dry_run": true}),
        );
        assert_eq!(dry.await.is(200)["tier"], "first");

        // What the rule looked at is kept for the person, and nothing else of the pass.
        let record = app.admin(&app.cathay).await.post("/v1/subjects/record", &json!({"subject": "twitter:ada"})).await;
        let events = record.is(200)["events"].clone();
        let looked_at = json!({
            "boarding_pass.compartment": "J", "boarding_pass.date": "2012-05-08", "boarding_pass.days_from_today": 0,
            "boarding_pass.from": "SFO"
        });
        assert_eq!(events[0]["personal"]["context"], looked_at);
        assert_eq!(events[1]["personal"]["context"], json!({"boarding_pass.undated": true}));
        nothing_repeated(&record.text);
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_takes_the_pass_and_the_airports_of_the_key() {
    for app in TestApp::all().await {
        app.lounge(RULE, "1").await;
        let admin = app.admin(&app.cathay).await;
        let simulate = async |more: Value| {
            let mut body = json!({"boarding_pass": journey(), "subject": {"from": "boarding_pass"}});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            admin.post("/v1/perks/sfo-lounge/simulate", &body).await.is(200)
        };
        let at_sfo = simulate(json!({"airports": ["sfo"]})).await;
        assert_eq!((&at_sfo["decision"], &at_sfo["tier"]), (&json!("granted"), &json!("first")));
        assert_eq!(at_sfo["trace"]["when"]["members"][1]["had"], "SFO");
        let anywhere = simulate(json!({})).await;
        assert_eq!(anywhere["tier"], "first", "today's leg, though yesterday's stands before it");
        let yesterday = simulate(json!({"at": "2012-05-07T19:00:00Z"})).await;
        assert_eq!(yesterday["reasons"][0]["attribute"], "boarding_pass.from");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_at_which_airports_it_is_used() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let made = admin.post("/v1/keys", &json!({"role": "kiosk", "label": "k", "airports": ["sfo", "OAK"]})).await;
        let view = made.is(201);
        assert_eq!(view["airports"], json!(["OAK", "SFO"]));
        let shown = admin.get(&format!("/v1/keys/{}", view["id"].as_str().unwrap())).await.is(200);
        assert_eq!(shown["airports"], json!(["OAK", "SFO"]));
        let kiosk = app.bearing(Some(format!("Bearer {}", view["key"].as_str().unwrap())));
        assert_eq!(kiosk.get("/v1/me").await.is(200)["airports"], json!(["OAK", "SFO"]));
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=key.created").await.is(200);
        let airports = |event: &Value| event["facts"]["airports"].clone();
        let said: Vec<Value> = events["events"].as_array().unwrap().iter().map(airports).collect();
        assert!(said.contains(&json!("OAK SFO")) && said.contains(&Value::Null), "{events}");
        for (airports, pointer, code) in [
            (json!(["SF"]), "/airports/0", "invalid_value"),
            (json!(["SFO", "S\u{2009}O"]), "/airports/1", "invalid_value"),
            (json!("SFO"), "/airports", "wrong_type"),
        ] {
            let body = json!({"role": "kiosk", "label": "k", "airports": airports});
            let spot = admin.post("/v1/keys", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()));
        }
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_of_one_booking_name_one_passenger_and_a_search_finds_them() {
    for app in TestApp::all().await {
        let rule = RULE.replace(
            r#""tiers""#,
            r#""limits":[{"id":"once","scope":["subject"],"max":1,"window":{"calendar":"day"}}],"tiers""#,
        );
        app.lounge(&rule, "1").await;
        let (kiosk, auditor) = (kiosk_at(&app, &["SFO"]).await, app.auditor(&app.cathay).await);
        let body =
            |pass: &str| json!({"perk": "sfo-lounge", "subject": {"from": "boarding_pass"}, "boarding_pass": pass});
        let ask = async |pass: &str| kiosk.post("/v1/checks", &body(pass)).await.is(200);
        // The same flight on a pass of its own, and on one with the next flight.
        let next = format!("{:<7}{}CX 0874 130J012A0007 100", "ABC123", "HKGSIN");
        let both = format!("M2{}{next}", PASS.strip_prefix("M1").unwrap());
        let (first, second) = (ask(PASS).await, ask(&both).await);
        assert_eq!(
            (&first["decision"], &second["reasons"][0]["limit"]),
            (&json!("granted"), &json!("once")),
            "{second}"
        );
        assert_eq!(ask(&PASS.replace("LUC", "ANN")).await["decision"], "granted", "another passenger of the booking");
        assert_eq!(ask(&PASS.replace("ABC123", "ABC124")).await["decision"], "granted", "another booking");

        let search = json!({"subject": {"from": "boarding_pass"}, "boarding_pass": both});
        let found = kiosk.post("/v1/checks/search", &search).await.is(200);
        let checks: Vec<&Value> = found["checks"].as_array().unwrap().iter().map(|it| &it["check"]).collect();
        assert_eq!(checks, [&second["check"], &first["check"]]);
        let found = kiosk.post("/v1/grants/search", &search).await.is(200);
        assert_eq!(found["grants"].as_array().unwrap().len(), 1);
        let found = auditor.post("/v1/audit/events/search", &search).await.is(200);
        assert_eq!(found["events"].as_array().unwrap().len(), 2);
        for path in ["/v1/checks/search", "/v1/grants/search"] {
            let refused = kiosk.post(path, &json!({"subject": {"from": "boarding_pass"}})).await.is(422);
            assert_eq!(refused["errors"][0]["pointer"], "/boarding_pass");
            let both = json!({"subject": "twitter:ada", "boarding_pass": PASS});
            assert_eq!(kiosk.post(path, &both).await.is(422)["errors"][0]["code"], "not_both");
        }
    }
}
