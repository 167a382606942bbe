//! What a kiosk says of a visit: a number that no rule compares is of no matter unless the rule looks at it, and a
//! value of the wrong type is called that.

use serde_json::{Value, json};

use crate::support::app::TestApp;

/// Looks at `terminal` and `seats`, and at nothing else.
const LOOKING: &str = r#"{"score":{"source":"klout"},
    "when":{"attr":"context.terminal","op":"in","values":["A","G"]},
    "tiers":[{"id":"table","name":"Our table","when":{"attr":"context.seats","op":"gte","value":2}}]}"#;
/// What is sent is JSON as it stands: `serde_json` would round it.
const AROUND: &str = r#""lat":37.61882,"lon":-122.37582,"altitude":4e1,"serial":12345678901234567890"#;

fn ask(context: &str) -> String {
    format!(r#"{{"perk":"sfo-lounge","subject":"twitter:ada","context":{{{context}}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_rule_ignores_refuses_nothing() {
    for app in TestApp::all().await {
        app.lounge(LOOKING, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let context = format!(r#"{AROUND},"terminal":"A","seats":2"#);
        let granted = kiosk.post_text("/v1/checks", ask(&context)).header("idempotency-key", "k").await;
        assert_eq!(granted.is(200)["decision"], "granted");
        let again = kiosk.post_text("/v1/checks", ask(&context)).header("idempotency-key", "k").await;
        assert_eq!(again.text, granted.text);
        let batch = kiosk.post_text("/v1/checks/batch", format!(r#"{{"checks":[{}]}}"#, ask(&context))).await;
        assert_eq!(batch.is(200)["results"][0]["decision"], "granted");
        let trial = format!(r#"{{"subject":"twitter:ada","context":{{{context}}}}}"#);
        let simulated = admin.post_text("/v1/perks/sfo-lounge/simulate", trial).await;
        assert_eq!(simulated.is(200)["decision"], "granted");

        // The rule of the next version looks at one of them.
        let mut rule: Value = serde_json::from_str(LOOKING).unwrap();
        rule["tiers"][0]["when"] = json!({"attr": "context.lat", "op": "gte", "value": 37.618});
        admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule, "publish": true})).await.is(201);
        let before = app.footprint().await;
        let refused = kiosk.post_text("/v1/checks", ask(&context)).await;
        assert_eq!(refused.spot(422, "invalid_request"), ("/context/lat".into(), "invalid_value".into()));
        let detail = "The rule looks at this number, and it has more than three decimals.";
        assert_eq!(refused.json()["errors"][0]["detail"], detail);
        assert_eq!(app.footprint().await, before);
        let batch = kiosk.post_text("/v1/checks/batch", format!(r#"{{"checks":[{}]}}"#, ask(&context))).await;
        assert_eq!(batch.is(200)["results"][0]["problem"]["errors"][0]["pointer"], "/context/lat");
        rule["tiers"][0]["when"] =
            json!({"all": [rule["tiers"][0]["when"], {"attr": "score", "op": "gte", "value": 40}]});
        for path in ["simulate", "simulate/everyone"] {
            let trial = format!(r#"{{"context":{{{context}}},"rule":{rule}}}"#);
            let refused = admin.post_text(&format!("/v1/perks/sfo-lounge/{path}"), trial).await;
            assert_eq!(refused.spot(422, "invalid_request").0, "/context/lat", "{path}");
        }
        // Whoever asks again what was answered gets the answer.
        let again = kiosk.post_text("/v1/checks", ask(&context)).header("idempotency-key", "k").await;
        assert_eq!(again.text, granted.text);
        // How many people come is looked at always.
        let refused = kiosk.post_text("/v1/checks", ask(r#""party":1.00001"#)).await;
        assert_eq!(refused.spot(422, "invalid_request").0, "/context/party");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_type_is_named_with_both_types() {
    for app in TestApp::all().await {
        app.lounge(LOOKING, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let reasons = async |context: Value| {
            let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context});
            let answer = kiosk.post("/v1/checks", &body).await;
            assert_eq!(answer.is(200)["decision"], "denied");
            let shown = kiosk.get(&format!("/v1/checks/{}", answer.text_of("check"))).await;
            assert_eq!(shown.text, answer.text, "it reads back as it was answered");
            let trial = json!({"subject": "twitter:ada", "context": context});
            let simulated = admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.is(200);
            assert_eq!(simulated["reasons"], answer.json()["reasons"]);
            answer.json()["reasons"].clone()
        };
        assert_eq!(
            reasons(json!({"terminal": 7, "seats": 2})).await,
            json!([{"code": "attribute_mistyped", "attribute": "context.terminal", "wanted_type": "text",
                    "given_type": "number",
                    "message": "This can't be decided: context.terminal must be text, and is a number.",
                    "guest_message": "We can't tell whether this is open to you. Please ask our staff.",
                    "guest_language": "en"}])
        );
        assert_eq!(
            reasons(json!({"terminal": "A", "seats": "2"})).await,
            json!([{"code": "attribute_mistyped", "tier": "table", "attribute": "context.seats",
                    "wanted_type": "number", "given_type": "text",
                    "message": "Whether Our table is open to this person can't be told: \
                                context.seats must be a number, and is text.",
                    "guest_message": "We can't tell whether this is open to you. Please ask our staff.",
                    "guest_language": "en"}])
        );
        assert_eq!(reasons(json!({"terminal": "A"})).await[0]["code"], "attribute_missing");
        assert_eq!(reasons(json!({"seats": true})).await[0]["attribute"], "context.terminal");
        app.world.pass(1);
        let report = app.auditor(&app.cathay).await.get("/v1/reports/grants?from=2012-05-08T00:00:00Z").await;
        assert_eq!(report.is(200)["totals"]["refused_attribute_mistyped"], 2);
    }
}
