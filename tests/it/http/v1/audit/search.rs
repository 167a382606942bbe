//! `POST /v1/audit/events/search`: one person's events, by a handle that stands in no URL.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "token":{"audience":"sfo-lounge"}}"#;

const SEARCH: &str = "/v1/audit/events/search";

async fn ask(kiosk: &Client, subject: &str) -> String {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.text_of("check")
}

fn abouts(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|event| event["about"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_events_are_found_and_nobody_elses() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (kiosk, auditor) = (app.kiosk().await, app.auditor(&app.cathay).await);
        let first = ask(&kiosk, "twitter:ada").await;
        let mut theirs = Vec::new();
        for nth in 0..7 {
            app.world.pass(60);
            theirs.push(ask(&kiosk, "twitter:ada").await);
            ask(&kiosk, &format!("twitter:ada-{nth}")).await;
        }
        theirs.insert(0, first.clone());
        let search = async |body: Value| auditor.post(SEARCH, &body).await.is(200);
        let found = search(json!({"subject": "Twitter:ADA", "order": "asc"})).await;
        assert_eq!(abouts(&found), theirs);
        assert_eq!(found["next_cursor"], Value::Null);
        assert!(found["events"][0].get("sealed").is_none(), "what is personal stays sealed");
        let narrow = json!({"subject": "twitter:ada", "from": "2012-05-08T19:03:00Z", "to": "2012-05-08T19:05:00Z",
                            "kind": "check.decided", "decision": "granted", "perk": "sfo-lounge", "rule_version": 1});
        assert_eq!(abouts(&search(narrow).await), [&*theirs[4], &*theirs[3]], "the newest first");
        assert_eq!(abouts(&search(json!({"subject": "twitter:ada", "tier": "first"})).await), [""; 0]);
        let nobody = json!({"events": [], "next_cursor": null});
        assert_eq!(search(json!({"subject": "twitter:nobody"})).await, nobody);
        let stranger = app.auditor(&app.american).await;
        assert_eq!(stranger.post(SEARCH, &json!({"subject": "twitter:ada"})).await.is(200), nobody);

        let (mut paged, mut cursor, mut last) = (Vec::new(), Value::Null, String::new());
        loop {
            let page = search(json!({"subject": "twitter:ada", "order": "asc", "limit": 3, "cursor": cursor})).await;
            paged.extend(abouts(&page).into_iter().map(str::to_owned));
            cursor = page["next_cursor"].clone();
            match cursor.as_str() {
                Some(text) => text.clone_into(&mut last),
                None => break,
            }
            ask(&kiosk, "twitter:late").await;
        }
        assert_eq!(paged, theirs);
        // A cursor is of one person's search, and of one set of filters.
        for body in [
            json!({"subject": "twitter:ada-1", "order": "asc", "cursor": last}),
            json!({"subject": "twitter:ada", "order": "desc", "cursor": last}),
            json!({"subject": "twitter:ada", "cursor": "AAAA"}),
        ] {
            let spot = auditor.post(SEARCH, &body).await.spot(422, "invalid_request");
            assert_eq!(spot, ("/cursor".to_owned(), "invalid_value".to_owned()), "{body}");
        }
        for (body, pointer, code) in [
            (json!({}), "/subject", "missing_field"),
            (json!({"subject": " "}), "/subject", "bad_subject"),
            (json!({"subject": "a", "limit": 0}), "/limit", "invalid_value"),
            (json!({"subject": "a", "rule_version": 0}), "/rule_version", "invalid_value"),
            (
                json!({"subject": "a", "from": "2012-05-09T00:00:00Z", "to": "2012-05-08T00:00:00Z"}),
                "/to",
                "invalid_value",
            ),
            (json!({"subject": "a", "order": "up"}), "/order", "unknown_value"),
            (json!({"subject": "a", "who": "b"}), "/who", "unknown_field"),
        ] {
            let spot = auditor.post(SEARCH, &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        auditor.get("/v1/audit/events?subject=twitter:ada").await.problem(422, "invalid_request");
    }
}
