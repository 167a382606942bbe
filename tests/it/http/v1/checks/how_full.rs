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
async fn a_trial_is_told_how_full_it_is() {
    for app in TestApp::all().await {
        app.lounge(HALF, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let simulate = async |more: Value| {
            let mut body = json!({"subject": "twitter:ada"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            admin.post("/v1/perks/sfo-lounge/simulate", &body).await
        };
        for (percent, decision) in
            [(json!(0), "granted"), (json!(50), "granted"), (json!(50.01), "denied"), (json!(125), "denied")]
        {
            let tried = simulate(json!({"occupancy": percent})).await.is(200);
            assert_eq!((&tried["decision"], &tried["warnings"]), (&json!(decision), &json!([])), "{percent}: {tried}");
        }
        let warns =
            |tried: &Value, code: &str| tried["warnings"].as_array().unwrap().iter().any(|it| it["code"] == code);
        assert!(warns(&simulate(json!({})).await.is(200), "occupancy_unknown"));
        let negative = simulate(json!({"occupancy": -1})).await;
        assert_eq!(negative.spot(422, "invalid_request"), ("/occupancy".to_owned(), "out_of_range".to_owned()));
        simulate(json!({"occupancy": "full"})).await.problem(422, "invalid_request");
        let open: Value = serde_json::from_str(r#"{"tiers":[{"id":"t","name":"T"}]}"#).unwrap();
        let unused = simulate(json!({"occupancy": 10, "rule": open})).await.is(200);
        assert!(warns(&unused, "occupancy_unused"), "{unused}");
        // And so is one about everyone.
        let scored = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","name":"T","when":{"all":[
            {"attr":"score","op":"gte","value":40},{"attr":"occupancy.percent","op":"lte","value":50}]}}],"limits":[
            {"id":"seats","scope":["perk"],"max":4,"window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;
        let scored: Value = serde_json::from_str(scored).unwrap();
        for (percent, granted) in [(10, 1), (60, 0)] {
            let body = json!({"rule": scored, "occupancy": percent});
            let everyone = admin.post("/v1/perks/sfo-lounge/simulate/everyone", &body).await.is(200);
            assert_eq!(everyone["granted"], granted, "{everyone}");
            assert!(!everyone.to_string().contains("occupancy_unknown"), "{everyone}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_are_counted_a_location_sees_itself() {
    for app in TestApp::all().await {
        let both = HALF.replace(
            r#""limits":["#,
            r#""limits":[{"id":"room","scope":["perk","location"],"max":2,"window":{"concurrent":{"max_stay":"PT4H"}}},"#,
        );
        app.lounge(&both.replace(r#""max":4"#, r#""max":40"#), "47.25").await;
        let key = |location: &str| NewKey {
            location: Some(location.into()),
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test")
        };
        let (here, there) = (app.client(key("A")).await, app.client(key("B")).await);
        for who in ["ada", "bob"] {
            assert_eq!(ask(&here, "sfo-lounge", who).await["decision"], "granted");
            app.world.pass(1);
        }
        // Two of two are inside here, and two of forty in all.
        let full = ask(&here, "sfo-lounge", "cy").await;
        assert_eq!(full["reasons"][0]["attribute"], "occupancy.percent");
        assert_eq!(ask(&there, "sfo-lounge", "cy").await["decision"], "granted");
        assert_eq!(findings(&app.world), [""; 0]);
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
