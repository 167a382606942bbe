//! `/v1/scores`: one score, and feeds of them.

mod held;
mod history;
mod pulls;
mod sources;

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;

const ADA: &str = "/v1/scores/klout/twitter:ada";

fn score(value: impl Into<Value>, observed_at: &str) -> Value {
    let value = value.into();
    json!({"value": value, "observed_at": observed_at})
}

async fn import(client: &Client, content_type: &str, feed: impl Into<Vec<u8>>) -> Reply {
    client.ask(reqwest::Method::POST, "/v1/scores/klout/import").body(content_type, feed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_put_shown_replaced_and_deleted() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        feeder.get(ADA).await.problem(404, "not_found");
        let put = feeder.put("/v1/scores/klout/Twitter:Ada", &score(47.250, "2012-05-08T11:00:00-07:00")).await;
        assert_shape!(put, @r#"
        200
        {
          "source":"klout",
          "subject":"twitter:ada",
          "value":47.25,
          "observed_at":"2012-05-08T18:00:00Z"
        }
        "#);
        assert_eq!(feeder.get(ADA).await.text, put.text);
        assert_eq!(app.auditor(&app.cathay).await.get(ADA).await.text, put.text);
        assert_eq!(feeder.put(ADA, &score(47.25, "2012-05-08T18:00:00Z")).await.text, put.text, "again");
        let stale = feeder.put(ADA, &score(12, "2012-05-08T17:59:59Z")).await;
        assert_shape!(stale, @r#"
        409
        {
          "type":"urn:perkgate:problem:stale_score",
          "title":"A newer score stands",
          "status":409,
          "detail":"A newer observation stands, of 2012-05-08T18:00:00Z. It was kept.",
          "code":"stale_score",
          "request_id":"req_…"
        }
        "#);
        feeder.put(ADA, &score(12, "2012-05-08T18:30:00Z")).await.is(200);
        assert_eq!(feeder.get(ADA).await.is(200)["value"], 12);
        app.feeder(&app.american).await.get(ADA).await.problem(404, "not_found");
        app.feeder(&app.american).await.delete(ADA).await.problem(404, "not_found");
        feeder.delete(ADA).await.is(204);
        feeder.delete(ADA).await.problem(404, "not_found");
        feeder.get(ADA).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_that_changes_is_seen_by_the_next_check() {
    for app in TestApp::all().await {
        app.lounge(super::OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let decision = async || admin.post("/v1/checks", &ask).await.is(200)["reasons"][0]["code"].clone();
        assert_eq!(decision().await, "score_met");
        admin.put(ADA, &score(12, "2012-05-08T18:30:00Z")).await.is(200);
        assert_eq!(decision().await, "score_below_threshold");
        admin.delete(ADA).await.is(204);
        assert_eq!(decision().await, "score_missing");
        import(&admin, "text/csv", "subject,value,observed_at\ntwitter:ada,40,2012-05-08T18:45:00Z\n").await.is(200);
        assert_eq!(decision().await, "score_met");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_that_does_not_fit_is_pointed_at() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        let then = r#""observed_at":"2012-05-08T18:00:00Z""#;
        for (body, pointer, code) in [
            (format!(r#"{{"value":-1,{then}}}"#), "/value", "off_scale"),
            (format!(r#"{{"value":-0.001,{then}}}"#), "/value", "off_scale"),
            (format!(r#"{{"value":100.001,{then}}}"#), "/value", "off_scale"),
            (format!(r#"{{"value":47.2501,{then}}}"#), "/value", "invalid_value"),
            (format!(r#"{{"value":47.{},{then}}}"#, "1".repeat(30)), "/value", "invalid_value"),
            (format!(r#"{{"value":{},{then}}}"#, "9".repeat(30)), "/value", "invalid_value"),
            (format!(r#"{{"value":1e1,{then}}}"#), "/value", "invalid_value"),
            (format!(r#"{{"value":1e999,{then}}}"#), "/value", "invalid_value"),
            (format!(r#"{{"value":"47",{then}}}"#), "/value", "wrong_type"),
            (format!(r#"{{"value":null,{then}}}"#), "/value", "invalid_value"),
            (format!(r#"{{"value":47,"value":48,{then}}}"#), "/value", "duplicate_field"),
            (format!(r#"{{"value":47,{then},"subject":"x"}}"#), "/subject", "unknown_field"),
            (r#"{"value":47,"observed_at":"2012-05-08T19:10:00Z"}"#.into(), "/observed_at", "in_future"),
            (r#"{"value":47,"observed_at":"2012-05-08T18:00:00"}"#.into(), "/observed_at", "bad_time"),
            (r#"{"value":47,"observed_at":"yesterday"}"#.into(), "/observed_at", "bad_time"),
            (r#"{"value":47,"observed_at":1336500000}"#.into(), "/observed_at", "wrong_type"),
        ] {
            let refused = feeder.ask(reqwest::Method::PUT, ADA).json(body.clone()).await;
            assert_eq!(refused.spot(422, "invalid_request"), (pointer.to_owned(), code.to_owned()), "{body}");
        }
        for body in [format!(r#"{{"value":NaN,{then}}}"#), format!(r#"{{"value":-Infinity,{then}}}"#)] {
            feeder.ask(reqwest::Method::PUT, ADA).json(body).await.problem(400, "malformed_json");
        }
        feeder.get(ADA).await.problem(404, "not_found");
        let good = score(47.25, "2012-05-08T18:00:00Z");
        feeder.put("/v1/scores/kred/twitter:ada", &good).await.problem(404, "not_found");
        for odd in ["%00", "a%20b", "%E2%80%AEada", &"a".repeat(4096)] {
            let spot = feeder.put(&format!("/v1/scores/klout/{odd}"), &good).await.spot(422, "invalid_request");
            assert_eq!(spot, ("/subject".to_owned(), "bad_subject".to_owned()), "{odd}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_a_spreadsheet_is_imported_with_what_it_leaves_around() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        let feed = "\u{FEFF},,,,\r\nsubject,value,observed_at,,\r\ntwitter:ada,47,2012-05-08T18:00:00Z,,\r\n,,,,\r\n\
                    twitter:bob,40,2012-05-08T18:00:00Z,,\r\n,,,,";
        let imported = import(&feeder, "text/csv", feed).await.is(200);
        assert_eq!((&imported["accepted"], &imported["errors"]), (&json!(2), &json!([])), "{imported}");
        assert_eq!(imported["rejected"], 0);
        let beside = "name,subject,value,observed_at,note\nAda,twitter:cy,47,2012-05-08T18:00:00Z,\"x, y\"\n";
        let imported = import(&feeder, "text/csv", beside).await.is(200);
        assert_eq!((&imported["accepted"], &imported["errors"]), (&json!(1), &json!([])), "{imported}");
        let twice = "subject,value,observed_at,value\ntwitter:ada,47,2012-05-08T18:00:00Z,48\n";
        let refused = import(&feeder, "text/csv", twice).await.is(200);
        assert_eq!(refused["errors"][0]["code"], "bad_header");
    }
}

/// The zeros of clocks and databases: a score whose time was never set would count as fresh wherever a rule asks for no
/// age.
#[tokio::test(flavor = "multi_thread")]
async fn a_score_whose_time_was_never_set_is_refused_at_every_door() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "47").await;
        let (feeder, admin) = (app.feeder(&app.cathay).await, app.admin(&app.cathay).await);
        for zero in ["0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
            let refused = feeder.put("/v1/scores/klout/twitter:new", &score(47, zero)).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/observed_at".into(), "too_old".into()), "{zero}");
            let row = format!(r#"{{"subject":"twitter:new","value":47,"observed_at":"{zero}"}}"#);
            let table = format!("subject,value,observed_at\ntwitter:new,47,{zero}\n");
            for (content_type, feed, line) in [("application/x-ndjson", row, 1), ("text/csv", table, 2)] {
                let imported = import(&feeder, content_type, feed).await.is(200);
                assert_eq!((&imported["accepted"], &imported["rejected"]), (&json!(0), &json!(1)));
                assert_eq!(imported["errors"][0]["code"], "too_old");
                assert_eq!(imported["errors"][0]["line"], line);
            }
            let assumed = json!({"score": {"value": 47, "observed_at": zero}});
            let refused = admin.post("/v1/perks/sfo-lounge/simulate", &assumed).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/score/observed_at".into(), "too_old".into()));
        }
        feeder.get("/v1/scores/klout/twitter:new").await.problem(404, "not_found");
        feeder.put("/v1/scores/klout/twitter:new", &score(47, "1990-01-01T00:00:00Z")).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_can_hold_what_a_path_must_escape() {
    for app in TestApp::all().await {
        app.lounge(super::OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        for (escaped, subject) in [
            ("cx%2F12", "cx/12"),
            ("100%25", "100%"),
            ("a%3Fb", "a?b"),
            ("a%23b", "a#b"),
            ("a+b", "a+b"),
            ("%C3%89mile", "\u{e9}mile"),
            ("import", "import"),
        ] {
            let path = format!("/v1/scores/klout/{escaped}");
            let put = admin.put(&path, &score(50, "2012-05-08T18:00:00Z")).await;
            assert_eq!(put.is(200)["subject"], subject, "{escaped}");
            let ask = json!({"perk": "sfo-lounge", "subject": subject});
            assert_eq!(admin.post("/v1/checks", &ask).await.is(200)["decision"], "granted", "{escaped}");
            assert_eq!(admin.get(&path).await.text, put.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_keeps_its_good_lines_and_names_the_bad_ones() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        feeder.put("/v1/scores/klout/twitter:new", &score(50, "2012-05-08T18:00:00Z")).await.is(200);
        let then = r#""observed_at":"2012-05-08T17:00:00Z"}"#;
        let digits = "3".repeat(30);
        let feed = [
            format!(r#"{{"subject":"Twitter:Ada","value":47.25,{then}"#),
            format!(r#"{{"subject":"twitter:new","value":1,{then}"#),
            String::new(),
            format!(r#"{{"subject":"a\u0000b","value":1,{then}"#),
            format!(r#"{{"subject":"a","value":-1,{then}"#),
            format!(r#"{{"subject":"a","value":NaN,{then}"#),
            format!(r#"{{"subject":"a","value":0.{digits},{then}"#),
            format!(r#"{{"subject":"a","value":1,"x":{}{},{then}"#, "[".repeat(5000), "]".repeat(5000)),
            "not json".to_owned(),
            format!(r#"{{"subject":"{}","value":1,{then}"#, "a".repeat(4096)),
            r#"{"subject":"a","value":1,"observed_at":"2031-01-01T00:00:00Z"}"#.to_owned(),
            format!(r#"{{"subject":"twitter:grace","value":99,{then}"#),
        ];
        assert_shape!(import(&feeder, "application/x-ndjson", feed.join("\n")).await, @r#"
        200
        {
          "accepted":2,
          "unchanged":0,
          "stale":1,
          "rejected":8,
          "errors":[{"line":2,"code":"stale","detail":"A newer observation of this subject stands already."},{"line":4,"code":"malformed","detail":"The line holds a NUL character."},{"line":5,"code":"off_scale","detail":"The value is off the source's scale, 0 to 100."},{"line":6,"code":"malformed","detail":"The line is not valid JSON, or not a JSON object."},{"line":7,"code":"too_precise","detail":"`value` has more than three decimals."},{"line":8,"code":"line_too_long","detail":"The line is longer than 8192 bytes."},{"line":9,"code":"malformed","detail":"The line is not valid JSON, or not a JSON object."},{"line":10,"code":"bad_subject","detail":"The subject can't be taken: a subject has at most 256 bytes."},{"line":11,"code":"in_future","detail":"The score was observed in the future: check the feeder's clock and its UTC offset."}]
        }
        "#);
        assert_shape!(import(&feeder, "application/x-ndjson", feed[0].clone()).await, @r#"
        200
        {
          "accepted":0,
          "unchanged":1,
          "stale":0,
          "rejected":0,
          "errors":[]
        }
        "#);
        assert_eq!(feeder.get("/v1/scores/klout/twitter:grace").await.is(200)["value"], 99);
        assert_eq!(feeder.get("/v1/scores/klout/twitter:new").await.is(200)["value"], 50);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_the_wrong_kind_is_refused_or_counted() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        for wrong in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
            import(&feeder, wrong, "x").await.problem(415, "unsupported_media_type");
        }
        assert_shape!(import(&feeder, "text/csv", "who,what\nada,1\n").await, @r#"
        200
        {
          "accepted":0,
          "unchanged":0,
          "stale":0,
          "rejected":2,
          "errors":[{"line":1,"code":"bad_header","detail":"The header must name the columns `subject`, `value` and `observed_at`, each once; nothing was read."}]
        }
        "#);
        assert_shape!(import(&feeder, "text/csv", "").await, @r#"
        200
        {
          "accepted":0,
          "unchanged":0,
          "stale":0,
          "rejected":0,
          "errors":[]
        }
        "#);
        let unknown = feeder.ask(reqwest::Method::POST, "/v1/scores/kred/import").body("text/csv", "x");
        unknown.await.problem(404, "not_found");
        // Ten megabytes without the end of a line are one bad line, and the next is good.
        let mut feed = vec![b'a'; 10 << 20];
        feed.extend_from_slice(b"\n{\"subject\":\"a\",\"value\":1,\"observed_at\":\"2012-05-08T17:00:00Z\"}\n");
        assert_shape!(import(&feeder, "application/x-ndjson", feed).await, @r#"
        200
        {
          "accepted":1,
          "unchanged":0,
          "stale":0,
          "rejected":1,
          "errors":[{"line":1,"code":"line_too_long","detail":"The line is longer than 8192 bytes."}]
        }
        "#);
        // The list of errors is capped, the counts are not.
        let report = import(&feeder, "application/x-ndjson", "x\n".repeat(1000)).await.is(200);
        assert_eq!((&report["rejected"], report["errors"].as_array().unwrap().len()), (&json!(1000), 100));
    }
}
