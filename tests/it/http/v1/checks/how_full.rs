//! `occupancy.percent`: rules look at how full the place is, as it was a second ago at most.

use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::World;

/// Nobody is let in above half; guests of a party are all counted.
const HALF: &str = r#"{"tiers":[{"id":"t","name":"T","when":{"attr":"occupancy.percent","op":"lte","value":50}}],"limits":[
  {"id":"seats","scope":["perk"],"max":4,"window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;

async fn ask(client: &Client, perk: &str, who: &str) -> Value {
    client.post("/v1/checks", &json!({"perk": perk, "subject": format!("twitter:{who}")})).await.is(200)
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_above_what_the_rule_says_until_someone_leaves() {
    for app in TestApp::all().await {
        app.lounge(HALF, "47.25").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let mut grants = Vec::new();
        for who in ["ada", "bob", "cy"] {
            let came = ask(&kiosk, "sfo-lounge", who).await;
            assert_eq!(came["decision"], "granted", "{came}");
            grants.push(came["grant"].as_str().unwrap().to_owned());
            app.world.pass(1);
        }
        let full = ask(&kiosk, "sfo-lounge", "dee").await;
        assert_eq!(full["decision"], "denied");
        let reason = &full["reasons"][0];
        assert_eq!(
            [&reason["code"], &reason["attribute"], &reason["message"]],
            ["condition_not_met", "occupancy.percent", "What T asks of the number of guests inside is not met."]
        );
        admin.post(&format!("/v1/grants/{}/release", grants[0]), &json!({})).await.is(200);
        app.world.pass(1);
        assert_eq!(ask(&kiosk, "sfo-lounge", "dee").await["decision"], "granted");
        // A correction counts as any guest does.
        let correction = json!({"delta": -1, "reason": "By the other door."});
        admin.post("/v1/perks/sfo-lounge/occupancy/corrections", &correction).await.is(201);
        app.world.pass(1);
        assert_eq!(ask(&kiosk, "sfo-lounge", "eve").await["decision"], "granted");
        assert_eq!(findings(&app.world), [""; 0]);

        // What was seen is recorded, and decides again as it did, whatever is inside now.
        app.world.pass(60);
        let again = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        assert_eq!((&again["checks"], &again["same"]), (&json!(6), &json!(6)), "{again}");
        assert_eq!((&again["reproduction"]["mismatches"], &again["warnings"]), (&json!(0), &json!([])), "{again}");
        let looser = HALF.replace("50", "75");
        let body = json!({"from": "2012-05-08T00:00:00Z", "rule": serde_json::from_str::<Value>(&looser).unwrap()});
        let other = admin.post("/v1/perks/sfo-lounge/backtest", &body).await.is(200);
        assert_eq!((&other["newly_admitted"], &other["same"]), (&json!(1), &json!(5)), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_that_of_the_place_where_the_key_is_used_and_never_the_callers_word() {
    for app in TestApp::all().await {
        let rooms = HALF.replace(r#""scope":["perk"]"#, r#""scope":["location"]"#);
        app.lounge(&rooms, "47.25").await;
        let key = |location: Option<&str>| NewKey {
            location: location.map(Into::into),
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test")
        };
        let (here, there, nowhere) =
            (app.client(key(Some("A"))).await, app.client(key(Some("B"))).await, app.client(key(None)).await);
        for who in ["ada", "bob", "cy"] {
            assert_eq!(ask(&here, "sfo-lounge", who).await["decision"], "granted");
            app.world.pass(1);
        }
        assert_eq!(ask(&here, "sfo-lounge", "dee").await["decision"], "denied");
        assert_eq!(ask(&there, "sfo-lounge", "dee").await["decision"], "granted");
        let unknown = ask(&nowhere, "sfo-lounge", "eve").await;
        let reason = &unknown["reasons"][0];
        assert_eq!([&reason["code"], &reason["attribute"]], ["attribute_missing", "occupancy.percent"]);
        let said = json!({"perk": "sfo-lounge", "subject": "twitter:eve", "context": {"occupancy.percent": 1}});
        here.post("/v1/checks", &said).await.problem(422, "invalid_request");
        // A backtest says of how many it was not known.
        app.world.pass(60);
        let admin = app.admin(&app.cathay).await;
        let again = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        let warnings = again["warnings"].as_array().unwrap();
        let unknown = warnings.iter().find(|it| it["code"] == "occupancy_unknown").unwrap();
        assert!(unknown["detail"].as_str().unwrap().contains("of 1 of the checks"), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_nobody_counts_for_is_refused() {
    for app in TestApp::all().await {
        app.lounge(HALF, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let uncounted = HALF.replace(r#"{"concurrent":{"max_stay":"PT4H"}}"#, r#"{"calendar":"day"}"#);
        let body = json!({"rule": serde_json::from_str::<Value>(&uncounted).unwrap(), "publish": true});
        let spot = admin.post("/v1/perks/sfo-lounge/versions", &body).await.spot(422, "invalid_request");
        assert_eq!(spot, ("/rule/tiers/0/when/attr".to_owned(), "occupancy_uncounted".to_owned()));
        let trial = admin.post("/v1/perks/sfo-lounge/simulate", &json!({"subject": "twitter:ada"})).await.is(200);
        let warnings = trial["warnings"].as_array().unwrap();
        assert!(warnings.iter().any(|it| it["code"] == "occupancy_unknown"), "{trial}");
    }
}
