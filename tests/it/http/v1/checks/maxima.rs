//! Limits that hold another number at some locations.

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;

fn rule(scope: &str, cost: &str) -> Value {
    let limit = json!({"id": "house", "scope": [scope], "max": {"default": 3, "by_location": {"SFO-A": 2, "SFO-B": 5}},
                       "cost": cost, "window": {"calendar": "day"}});
    json!({"tiers": [{"id": "standard"}], "limits": [limit]})
}

fn ask(perk: &str, who: usize, party: u64) -> Value {
    json!({"perk": perk, "subject": format!("twitter:s{who}"), "context": {"party": party}})
}

async fn kiosk_at(app: &TestApp, location: Option<&str>) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), location.unwrap_or("k"));
    app.client(NewKey { location: location.map(str::to_owned), ..key }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_holds_as_many_as_the_rule_says_of_it_and_counts_alone() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule("location", "party"), "publish": true});
        // Before there are keys at these places the rule looks misspelt; it works all the same.
        let made = admin.post("/v1/perks", &body).await.is(201);
        let warned: Vec<_> = made["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert!(warned.contains(&&json!("location_without_key")), "{made}");
        for (location, most) in [(Some("SFO-A"), 2), (Some("SFO-B"), 5), (Some("HKG"), 3), (None, 3)] {
            let kiosk = kiosk_at(&app, location).await;
            let never = kiosk.post("/v1/checks", &ask("lounge", 99, most + 1)).await.is(200);
            assert_eq!((&never["decision"], &never["reasons"][0]["at_most"]), (&json!("denied"), &json!(most)));
            for nth in 0..most {
                let mut dry = ask("lounge", 50, 1);
                dry["dry_run"] = json!(true);
                let before = kiosk.post("/v1/checks", &dry).await.is(200);
                assert_eq!(before["limits"][0]["remaining"], most - nth - 1, "{location:?}");
                let granted = kiosk.post("/v1/checks", &ask("lounge", usize::try_from(nth).unwrap(), 1)).await.is(200);
                assert_eq!(
                    (&granted["decision"], &granted["limits"][0]["remaining"]),
                    (&json!("granted"), &json!(most - nth - 1)),
                    "{location:?}"
                );
            }
            let refused = kiosk.post("/v1/checks", &ask("lounge", 60, 1)).await.is(200);
            assert_eq!(refused["reasons"][0]["code"], "limit_reached", "{location:?}: {refused}");
            let batch = kiosk.post("/v1/checks/batch", &json!({"checks": [ask("lounge", 61, 1)]})).await.is(200);
            assert_eq!(batch["results"][0]["limits"][0]["remaining"], 0);
            // What a location holds is what a trial there is told, now and for the past.
            let trial = |party: u64, at: Option<&str>| json!({"subject": "twitter:zoe", "context": {"party": party}, "location": location, "at": at});
            let now = admin.post("/v1/perks/lounge/simulate", &trial(1, None)).await.is(200);
            assert_eq!((&now["decision"], &now["limits"][0]["remaining"]), (&json!("denied"), &json!(0)));
            app.world.pass(1);
            let past =
                admin.post("/v1/perks/lounge/simulate", &trial(most, Some("2012-05-08T18:59:59Z"))).await.is(200);
            assert_eq!(past["decision"], "granted", "{past}");
            let past = admin.post("/v1/perks/lounge/simulate", &trial(most + 1, Some("2012-05-08T18:59:59Z"))).await;
            assert_eq!(past.is(200)["reasons"][0]["at_most"], most);
            app.world.pass(1);
        }
        app.world.pass(60);
        // Nothing is found by the auditor, and what ran is reproduced.
        assert!(app.world.tally(&app.cathay).granted >= 13);
        let body = json!({"version": 1, "from": "2012-05-08T00:00:00Z"});
        let report = admin.post("/v1/perks/lounge/backtest", &body).await.is(200);
        assert_eq!(report["reproduction"]["mismatches"], 0, "{report}");
        let again = admin.post("/v1/perks/lounge/versions", &json!({"rule": rule("location", "party")})).await.is(201);
        let warned: Vec<_> = again["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert!(!warned.contains(&&json!("location_without_key")), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_count_for_all_locations_is_held_to_each_ones_own() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let body = json!({"perk": "lounge", "name": "Lounge", "rule": rule("perk", "party"), "publish": true});
        let made = admin.post("/v1/perks", &body).await.is(201);
        let warned = made["warnings"].as_array().unwrap().iter().find(|it| it["code"] == "maxima_share_a_count");
        assert_eq!(warned.unwrap()["pointer"], "/rule/limits/0/scope");
        let (small, large) = (kiosk_at(&app, Some("SFO-A")).await, kiosk_at(&app, Some("SFO-B")).await);
        let mut asked = 0;
        let mut at = async |kiosk: &Client| {
            asked += 1;
            let said = kiosk.post("/v1/checks", &ask("lounge", asked, 1)).await.is(200);
            (said["decision"] == "granted", said["limits"][0]["remaining"].as_u64().unwrap())
        };
        assert_eq!(at(&large).await, (true, 4));
        assert_eq!(at(&small).await, (true, 0));
        assert_eq!(at(&small).await, (false, 0));
        assert_eq!(at(&large).await, (true, 2));
        // Fuller than the small one may ever be: nothing is left there, and not less than nothing.
        assert_eq!(at(&small).await, (false, 0));
        assert_eq!(at(&large).await, (true, 1));
        assert_eq!(app.world.tally(&app.cathay).granted, 4);
    }
}
