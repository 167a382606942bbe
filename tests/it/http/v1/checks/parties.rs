//! A party that is larger than a limit ever admits: no instant is named from which it would fit.

use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;

const WINDOWS: [&str; 9] = [
    r#"{"calendar":"hour"}"#,
    r#"{"calendar":"day"}"#,
    r#"{"calendar":"week"}"#,
    r#"{"calendar":"month"}"#,
    r#"{"calendar":"quarter"}"#,
    r#"{"calendar":"year"}"#,
    r#"{"rolling":"PT24H"}"#,
    r#"{"lifetime":true}"#,
    r#"{"concurrent":{"max_stay":"PT4H"}}"#,
];

/// At most five people in the window, of any parties.
fn five(window: &str) -> String {
    format!(
        r#"{{"tiers":[{{"id":"standard"}}],
            "limits":[{{"id":"house","scope":["perk"],"max":5,"cost":"party","window":{window}}}]}}"#
    )
}

fn ask(perk: &str, party: u64) -> Value {
    json!({"perk": perk, "subject": "twitter:ada", "context": {"party": party}})
}

#[track_caller]
fn never_fits(answer: &Value) {
    assert_eq!((&answer["decision"], &answer["next_eligible_at"]), (&json!("denied"), &Value::Null), "{answer}");
    let reasons = json!([{
        "code": "limit_reached", "limit": "house", "at_most": 5,
        "message": "The limit house admits at most 5 at once.",
        "guest_message": "At most 5 can come in at once.", "guest_language": "en",
    }]);
    assert_eq!(answer["reasons"], reasons, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_never_fits_is_told_the_most_and_no_instant_whatever_the_window() {
    for app in TestApp::all().await {
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for (nth, window) in WINDOWS.into_iter().enumerate() {
            let perk = format!("lounge-{nth}");
            let rule: Value = serde_json::from_str(&five(window)).unwrap();
            admin.post("/v1/perks", &json!({"perk": perk, "name": perk, "rule": rule, "publish": true})).await.is(201);
            let simulate = async |party: u64, mut body: Value| {
                body["context"] = json!({"party": party});
                admin.post(&format!("/v1/perks/{perk}/simulate"), &body).await.is(200)
            };
            for used in [0, 3] {
                let refused = kiosk.post("/v1/checks", &ask(&perk, 6)).await;
                never_fits(&refused.is(200));
                let shown = kiosk.get(&format!("/v1/checks/{}", refused.text_of("check"))).await;
                assert_eq!(shown.text, refused.text, "it reads back as it was answered");
                let mut dry = ask(&perk, 6);
                dry["dry_run"] = json!(true);
                // A key has so many about one person.
                dry["subject"] = json!(format!("twitter:guest{nth}"));
                never_fits(&kiosk.post("/v1/checks", &dry).await.is(200));
                let batch = kiosk.post("/v1/checks/batch", &json!({"checks": [ask(&perk, 6), dry]})).await.is(200);
                never_fits(&batch["results"][0]);
                never_fits(&batch["results"][1]);
                never_fits(&simulate(6, json!({"subject": "twitter:ada"})).await);
                never_fits(&simulate(6, json!({})).await);
                if used == 0 {
                    assert_eq!(simulate(5, json!({})).await["decision"], "granted");
                    assert_eq!(kiosk.post("/v1/checks", &ask(&perk, 3)).await.is(200)["decision"], "granted");
                    app.world.pass(1);
                }
            }
            // Of an instant that is past, the limits are counted again.
            let past = format!("2012-05-08T19:00:0{nth}.5Z");
            never_fits(&simulate(6, json!({"subject": "twitter:ada", "at": past})).await);
            // A party that fits into an empty limit waits for one.
            let full = kiosk.post("/v1/checks", &ask(&perk, 3)).await.is(200);
            assert_eq!(full["reasons"][0].get("at_most"), None, "{full}");
            // The month is not over within two weeks, nor is what is longer.
            let helps = !["lifetime", "concurrent", "month", "quarter", "year"].iter().any(|it| window.contains(it));
            assert_eq!(full["next_eligible_at"].is_string(), helps, "{window}: {full}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_limits_of_which_one_never_fits_name_no_instant_for_both() {
    for app in TestApp::all().await {
        let rule = r#"{"tiers":[{"id":"standard"}],"limits":[
            {"id":"house","scope":["perk"],"max":5,"cost":"party","window":{"calendar":"day"}},
            {"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;
        app.lounge(rule, "47.25").await;
        let kiosk = app.kiosk().await;
        assert_eq!(kiosk.post("/v1/checks", &ask("sfo-lounge", 1)).await.is(200)["decision"], "granted");
        let refused = kiosk.post("/v1/checks", &ask("sfo-lounge", 6)).await.is(200);
        assert_eq!(refused["next_eligible_at"], Value::Null);
        assert_eq!(refused["reasons"][0]["at_most"], 5);
        assert_eq!(refused["reasons"][1]["next_eligible_at"], "2012-05-09T00:00:00Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_counted_with_a_warning_that_the_party_never_fits() {
    let app = TestApp::start(&[]).await;
    app.lounge(OPEN_LOUNGE, "47.25").await;
    let rule = json!({
        "score": {"source": "klout"},
        "tiers": [{"id": "standard", "when": {"attr": "score", "op": "gte", "value": 40}}],
        "limits": [{"id": "house", "scope": ["perk"], "max": 5, "cost": "party", "window": {"calendar": "day"}}],
    });
    let admin = app.admin(&app.cathay).await;
    let warned = async |party: u64| {
        let body = json!({"rule": rule, "context": {"party": party}});
        let told = admin.post("/v1/perks/sfo-lounge/simulate/everyone", &body).await.is(200);
        let warnings = told["warnings"].as_array().unwrap().clone();
        warnings.into_iter().find(|warning| warning["code"] == "party_never_fits")
    };
    assert_eq!(warned(5).await, None);
    let detail = "A check for a party of 6 is denied: the limit `house` admits at most 5 at once.";
    assert_eq!(warned(6).await.unwrap()["detail"], detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_that_no_wait_can_grant_says_so_to_who_decides_it() {
    for app in TestApp::all().await {
        let rule = r#"{"score":{"source":"klout","on_missing":"refer"},
            "tiers":[{"id":"standard","when":{"attr":"score","op":"gte","value":40}}],
            "limits":[{"id":"house","scope":["perk"],"max":5,"cost":"party","window":{"calendar":"day"}}]}"#;
        app.lounge(rule, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let asked = json!({"perk": "sfo-lounge", "subject": "twitter:new", "context": {"party": 6}});
        let referred = kiosk.post("/v1/checks", &asked).await;
        assert_eq!(referred.is(200)["decision"], "referred");
        let path = format!("/v1/referrals/{}/decide", referred.text_of("check"));
        let refused = admin.post(&path, &json!({"decision": "grant", "tier": "standard", "note": "Known here."})).await;
        refused.problem(409, "limit_reached");
        let detail = "The limit house admits at most 5 at once. Nothing was granted and it remains open: \
                      no wait makes room for this, deny it.";
        assert_eq!(refused.json()["detail"], detail);
        admin.post(&path, &json!({"decision": "deny", "note": "Six."})).await.is(201);
    }
}
