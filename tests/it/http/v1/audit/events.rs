//! `/v1/audit/events`: the log page by page.

use perkgate::access::Role;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "token":{"audience":"sfo-lounge"}}"#;

async fn ask(kiosk: &Client, subject: &str) -> String {
    let body = json!({"perk": "sfo-lounge", "subject": subject});
    kiosk.post("/v1/checks", &body).await.text_of("check")
}

async fn events(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("/v1/audit/events?{query}")).await.is(200);
    assert_eq!(page["next_cursor"], Value::Null, "{query}");
    page["events"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_by_what_happened_in_it() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (kiosk, auditor) = (app.role(&app.cathay, Role::Kiosk).await, app.role(&app.cathay, Role::Auditor).await);
        let granted = ask(&kiosk, "twitter:ada").await;
        app.world.pass(3_600);
        let denied = ask(&kiosk, "twitter:unknown").await;

        let all = events(&auditor, "order=asc").await;
        let indexes: Vec<i64> = all.iter().map(|event| event["index"].as_i64().unwrap()).collect();
        assert_eq!(indexes, (0..i64::try_from(all.len()).unwrap()).collect::<Vec<_>>(), "dense from the first");
        let mut newest = events(&auditor, "").await;
        newest.reverse();
        assert_eq!(newest, all);
        assert!(!serde_json::to_string(&all).unwrap().contains("twitter"), "nobody is named");

        let decided = "kind=check.decided";
        let abouts = |events: Vec<Value>| -> Vec<String> {
            events.iter().map(|event| event["about"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(abouts(events(&auditor, decided).await), [denied.clone(), granted.clone()]);
        for (query, expected) in [
            ("decision=granted", vec![&granted]),
            ("decision=denied", vec![&denied]),
            ("tier=main&perk=sfo-lounge", vec![&granted]),
            ("rule_version=1&kind=check.decided", vec![&denied, &granted]),
            ("reason=score_missing", vec![&denied]),
            ("from=2012-05-08T20:00:00Z&kind=check.decided", vec![&denied]),
            ("to=2012-05-08T20:00:00Z&kind=check.decided", vec![&granted]),
            ("rule_version=2", vec![]),
            ("kiosk=nowhere", vec![]),
            ("location=nowhere", vec![]),
            ("perk=other", vec![]),
        ] {
            assert_eq!(abouts(events(&auditor, query).await).iter().collect::<Vec<_>>(), expected, "{query}");
        }
        let of_it = events(&auditor, &format!("about={granted}")).await;
        assert!(of_it.iter().any(|event| event["kind"] == "check.decided"));
        assert!(of_it.iter().all(|event| event["about"] == granted.as_str()));
        let foreign = app.role(&app.american, Role::Auditor).await;
        assert_eq!(events(&foreign, &format!("about={granted}")).await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_event_once_while_more_is_recorded() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (kiosk, auditor) = (app.role(&app.cathay, Role::Kiosk).await, app.role(&app.cathay, Role::Auditor).await);
        ask(&kiosk, "twitter:ada").await;
        for order in ["asc", "desc"] {
            let before = events(&auditor, &format!("order={order}")).await;
            let (mut shown, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = auditor.get(&format!("/v1/audit/events?order={order}&limit=2{cursor}")).await.is(200);
                shown.extend(page["events"].as_array().unwrap().iter().cloned());
                // In ascending order the log would go on for as long as it is written to.
                if shown.len() < before.len() {
                    ask(&kiosk, "twitter:ada").await;
                }
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(shown[..before.len()], before, "{order}");
            assert_eq!(shown.len() > before.len(), order == "asc", "{order}: what was recorded later is behind");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_search_only() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (auditor, foreign) =
            (app.role(&app.cathay, Role::Auditor).await, app.role(&app.american, Role::Auditor).await);
        let page = auditor.get("/v1/audit/events?limit=1").await.is(200);
        let cursor = page["next_cursor"].as_str().unwrap();
        auditor.get(&format!("/v1/audit/events?limit=2&cursor={cursor}")).await.is(200);
        let tampered = format!("B{}", &cursor[1..]);
        for (client, query) in [
            (&foreign, format!("cursor={cursor}")),
            (&auditor, format!("cursor={tampered}")),
            (&auditor, format!("kind=check.decided&cursor={cursor}")),
            (&auditor, format!("order=asc&cursor={cursor}")),
            (&auditor, "cursor=7".to_owned()),
        ] {
            client.get(&format!("/v1/audit/events?{query}")).await.problem(422, "invalid_request");
        }
        for query in [
            "rule_version=0",
            "rule_version=x",
            "order=up",
            "subject=twitter:ada",
            "from=2012-05-09T00:00:00Z&to=2012-05-08T00:00:00Z",
        ] {
            auditor.get(&format!("/v1/audit/events?{query}")).await.problem(422, "invalid_request");
        }
    }
}
