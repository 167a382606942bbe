//! `POST /v1/subjects/record`: everything that is held on one person, for that person.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::CLI;

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","on_missing":"refer"},
  "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}]},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"all":[
     {"attr":"score","op":"gte","value":40},{"attr":"context.terminal","op":"in","values":["A","G"]}]}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}],
  "token":{"audience":"sfo-lounge"}}"#;

async fn record(client: &Client, subject: &str) -> Value {
    client.post("/v1/subjects/record", &json!({"subject": subject})).await.is(200)
}

fn ask(subject: &str, terminal: &str) -> Value {
    json!({"perk": "sfo-lounge", "subject": subject, "context": {"terminal": terminal, "party": 2}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_everything_and_what_would_have_changed_it() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let denied = kiosk.post("/v1/checks", &ask("twitter:ada", "A")).await.text_of("check");
        kiosk.post("/v1/checks", &ask("twitter:bob", "A")).await.is(200);
        app.world.pass(60);
        app.world.score(&app.cathay, "twitter:ada", "62.5").await;
        let granted = kiosk.post("/v1/checks", &ask("twitter:ada", "G")).await.is(200);
        let spent = json!({"token": granted["token"], "door": "A3", "attempt": "1"});
        door.post("/v1/tokens/redeem", &spent).await.is(200);
        app.world.pass(60);
        kiosk.post("/v1/checks", &ask("twitter:ada", "A")).await.is(200);
        app.world.pass(12 * 3600);
        kiosk.post("/v1/checks", &ask("twitter:ada", "A")).await.is(200);
        let void = format!("/v1/grants/{}/void", granted["grant"].as_str().unwrap());
        admin.post(&void, &json!({"note": "A mistake."})).await.is(200);

        let reply = admin.post("/v1/subjects/record", &json!({"subject": "Twitter:Ada"})).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        let told = reply.is(200);
        assert_eq!((&told["subject"], &told["since"]), (&json!("twitter:ada"), &json!("2012-05-08T19:00:00Z")));
        assert_eq!(
            told["scores"],
            json!([{"source": "klout", "value": 62.5, "observed_at": "2012-05-08T18:01:00Z",
                    "recorded_at": "2012-05-08T19:01:00Z"}])
        );
        assert_eq!(
            told["limits"],
            json!([{"perk": "sfo-lounge", "limit": "person-day", "window": "day:2012-05-08@-07", "used": 1,
                    "last_used_at": "2012-05-08T19:01:00Z"}])
        );
        let events = told["events"].as_array().unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
        // The last one is that this was read.
        let expected = [
            "check.decided",
            "check.decided",
            "token.redeemed",
            "check.decided",
            "check.decided",
            "grant.voided",
            "subject.record_read",
        ];
        assert_eq!(kinds, expected);
        let first = &events[0];
        assert_eq!((&first["about"], &first["at"]), (&json!(denied), &json!("2012-05-08T19:00:00Z")));
        assert_eq!(first["facts"]["decision"], "denied");
        assert_eq!(
            first["personal"],
            json!({"context": {"terminal": "A"}, "network": "twitter",
                   "reasons": [{"code": "score_below_threshold", "short_by": 3, "tier": "main",
                                "tier_name": "Main lounge", "wanted": 40}],
                   "score": {"fresh": true, "observed_at": "2012-05-08T18:00:00Z", "source": "klout", "value": 37}})
        );
        assert_eq!(first["explanation"], json!(["The score is 3 points short of the 40 that Main lounge asks for."]));
        assert_eq!(first["would_have_changed"], json!(["3 more points for Main lounge."]));
        let changed = |nth: usize| events[nth]["would_have_changed"].clone();
        assert_eq!(changed(1), Value::Null, "it was granted");
        assert_eq!(events[2]["facts"]["door"], "A3");
        assert_eq!(
            changed(3),
            json!([
                "Asking after 00:00 on 2012-05-09 (America/Los_Angeles), when the limit person-day has room again."
            ])
        );
        assert_eq!(changed(4), json!(["Asking after 06:00 on 2012-05-09 (America/Los_Angeles), when the perk opens."]));
        assert_eq!(events[5]["personal"], json!({"note": "A mistake."}));
        assert!(!reply.text.contains("bob"));

        // Page by page it is the same, and read once.
        let (mut paged, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let body = json!({"subject": "twitter:ada", "limit": 1, "cursor": cursor});
            let page = admin.post("/v1/subjects/record", &body).await.is(200);
            assert_eq!(page.get("scores").is_some(), cursor.is_null(), "what stands comes with the first page");
            paged.extend(page["events"].as_array().unwrap().clone());
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        // Behind what was read before stands that it is read again, once for all its pages.
        let again = paged.pop().unwrap();
        assert_eq!((&paged, &again["kind"]), (events, &json!("subject.record_read")));
        let log = admin.get("/v1/audit/events?kind=subject.record_read").await;
        assert!(!log.text.contains("twitter"));
        assert_eq!(log.is(200)["events"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_decided_is_told_with_its_note() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let referred = kiosk.post("/v1/checks", &ask("twitter:zoe", "A")).await.text_of("check");
        let ruling = json!({"decision": "grant", "tier": "main", "note": "Zoe's flight was moved."});
        admin.post(&format!("/v1/referrals/{referred}/decide"), &ruling).await.is(201);
        let told = record(&admin, "twitter:zoe").await;
        let events = told["events"].as_array().unwrap();
        assert_eq!(events.len(), 4, "asked, granted in its place, decided, read");
        assert_eq!(events[0]["would_have_changed"], json!(["A score: there was none."]));
        assert_eq!(events[1]["explanation"], json!(["A person decided to grant Main lounge."]));
        assert_eq!(events[2]["kind"], "referral.decided");
        assert_eq!(events[2]["personal"], json!({"note": "Zoe's flight was moved."}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pruned_is_not_passed_over_in_silence() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let old = kiosk.post("/v1/checks", &ask).await.text_of("check");
        app.world.pass(2 * 86_400);
        kiosk.post("/v1/checks", &ask).await.is(200);
        assert_eq!(record(&admin, "twitter:ada").await.get("pruned_before"), None);
        let ledger = &app.world.gateway.ledger;
        let before = app.world.now() - jiff::SignedDuration::from_hours(24);
        let plan = ledger.plan_pruning(&app.cathay.id, before, |_, _| ()).await.unwrap();
        assert_eq!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 1);
        let told = record(&admin, "twitter:ada").await;
        assert_eq!(told["pruned_before"], "2012-05-09T19:00:00Z");
        assert_eq!(told["events"][0]["at"], "2012-05-10T19:00:00Z", "the first one tells of nobody any more");
        // Asked for, it says so, and the log shows its place.
        kiosk.get(&format!("/v1/checks/{old}")).await.problem(410, "pruned");
        let page = admin.get(&format!("/v1/audit/events?about={old}")).await.is(200);
        assert_eq!((&page["events"][0]["facts"], &page["events"][0]["actor"]), (&Value::Null, &Value::Null));
        app.world.pass(60);
        let backtest = json!({"from": "2012-05-08T00:00:00Z"});
        let got = admin.post("/v1/perks/sfo-lounge/backtest", &backtest).await.is(200);
        assert_eq!((&got["checks"], &got["not_replayed"]["pruned"]), (&json!(1), &json!(1)), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_strangers_nothing_is_told_and_of_the_scored_their_score() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "37").await;
        let (admin, other) = (app.admin(&app.cathay).await, app.admin(&app.american).await);
        let nothing = |subject: &str, scores: Value| {
            json!({"subject": subject, "pseudonym": null, "since": null, "scores": scores, "limits": [], "events": [],
                   "next_cursor": null})
        };
        assert_eq!(record(&admin, "twitter:nobody").await, nothing("twitter:nobody", json!([])));
        assert_eq!(record(&other, "twitter:ada").await, nothing("twitter:ada", json!([])));
        let scored = record(&admin, "twitter:ada").await;
        assert_eq!(scored["scores"][0]["value"], 37);
        let read = admin.get("/v1/audit/events?kind=subject.record_read").await.is(200);
        assert_eq!(read["events"][0]["about"], "nobody");
        assert_eq!(read["events"].as_array().unwrap().len(), 2);

        let auditor = app.auditor(&app.cathay).await;
        auditor.post("/v1/subjects/record", &json!({"subject": "twitter:ada"})).await.problem(403, "forbidden");
        for (body, pointer, code) in [
            (json!({"subject": "two words"}), "/subject", "bad_subject"),
            (json!({"subject": "a", "limit": 0}), "/limit", "invalid_value"),
            (json!({"subject": "twitter:nobody", "cursor": "garbage"}), "/cursor", "invalid_value"),
            (json!({"subject": "a", "limit": 201}), "/limit", "invalid_value"),
        ] {
            let spot = admin.post("/v1/subjects/record", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()));
        }
    }
}
