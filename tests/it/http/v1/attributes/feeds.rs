//! `POST /v1/subjects/attributes/import`: feeds of what is kept of people.

use perkgate::foundation::subject::SubjectHandle;
use perkgate::scores::Format;
use perkgate::scores::attributes::AttributeImport;
use reqwest::Method;
use serde_json::{Value, json};

use super::{STATUS, check, declare, import, members_only};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

async fn send(client: &Client, content_type: &str, feed: impl Into<Vec<u8>>) -> Reply {
    client.ask(Method::POST, "/v1/subjects/attributes/import").body(content_type, feed).await
}

async fn declare_all(admin: &Client) {
    for (name, of) in [("status", "text"), ("nights", "number"), ("banned", "boolean"), ("clubs", "list")] {
        admin.put(&format!("/v1/attributes/{name}"), &json!({"type": of, "purpose": "lounge"})).await.is(201);
    }
}

fn counts(answer: &Value) -> [u64; 4] {
    ["accepted", "unchanged", "stale", "rejected"].map(|name| answer[name].as_u64().unwrap())
}

async fn held(admin: &Client, subject: &str) -> Vec<(String, Value, Value)> {
    let record = admin.post("/v1/subjects/record", &json!({"subject": subject})).await.is(200);
    let one =
        |it: &Value| (it["attribute"].as_str().unwrap().to_owned(), it["value"].clone(), it["valid_until"].clone());
    record["attributes"].as_array().into_iter().flatten().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_say_the_same_and_the_last_value_stands() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let table = "valid_until,value,attribute,subject\r\n,\"gold, plus\",status,ada\r\n2013-01-01T00:00:00+01:00,12.5,nights,ada\r\n,true,banned,ada\r\n,a; b ,clubs,ada\r\n";
        let lines = concat!(
            "{\"subject\":\"bob\",\"attribute\":\"status\",\"value\":\"gold, plus\"}\n",
            "{\"subject\":\"bob\",\"attribute\":\"nights\",\"value\":12.5,\"valid_until\":\"2012-12-31T23:00:00Z\"}\n",
            "{\"subject\":\"bob\",\"attribute\":\"banned\",\"value\":true,\"valid_until\":null}\n",
            "{\"subject\":\"bob\",\"attribute\":\"clubs\",\"value\":[\"a\",\"b\"]}\n",
        );
        assert_eq!(counts(&send(&admin, "text/csv", table).await.is(200)), [4, 0, 0, 0]);
        assert_eq!(counts(&send(&admin, "application/x-ndjson", lines).await.is(200)), [4, 0, 0, 0]);
        let wanted = vec![
            ("banned".to_owned(), json!(true), Value::Null),
            ("clubs".to_owned(), json!(["a", "b"]), Value::Null),
            ("nights".to_owned(), json!(12.5), json!("2012-12-31T23:00:00Z")),
            ("status".to_owned(), json!("gold, plus"), Value::Null),
        ];
        assert_eq!(held(&admin, "ada").await, wanted);
        assert_eq!(held(&admin, "bob").await, wanted);
        // Again, and as a file without a type.
        assert_eq!(counts(&send(&admin, "application/octet-stream", lines).await.is(200)), [0, 4, 0, 0]);
        assert_eq!(counts(&send(&admin, "application/octet-stream", table).await.is(200)), [0, 4, 0, 0]);
        let twice = "subject,attribute,value\nada,status,blue\nada,status,gold\nada,status,blue\n";
        assert_eq!(counts(&import(&admin, twice).await), [3, 0, 0, 0]);
        assert_eq!(held(&admin, "ada").await[3].1, "blue");
        send(&admin, "application/xml", "<x/>").await.problem(415, "unsupported_media_type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_line_is_named_by_its_number_and_repeats_nothing() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let of = |value: &str, attribute: &str| {
            format!(r#"{{"subject":"secret:ada","attribute":"{attribute}","value":{value}}}"#)
        };
        let lines = [
            ("nonsense".to_owned(), Some("malformed")),
            (of("\"gold\"", "status"), None),
            (of("\"gold\"", "statos"), Some("undeclared_attribute")),
            (of("\"gold\"", "network"), Some("undeclared_attribute")),
            (of("7", "status"), Some("wrong_type")),
            (of("null", "status"), Some("wrong_type")),
            (of("\"\"", "status"), Some("bad_value")),
            (of("\"a\\u202eb\"", "status"), Some("bad_value")),
            (of(&format!("\"{}\"", "x".repeat(257)), "status"), Some("too_long")),
            (of("\"7\"", "nights"), Some("wrong_type")),
            (of("7.12345", "nights"), Some("too_precise")),
            (of("1e3", "nights"), Some("bad_value")),
            (of("\"true\"", "banned"), Some("wrong_type")),
            (of("[\"a\",1]", "clubs"), Some("wrong_type")),
            (of("[\"\"]", "clubs"), Some("bad_value")),
            (of(&format!("[{}]", vec!["\"x\""; 21].join(",")), "clubs"), Some("too_long")),
            (of("{\"a\":1}", "clubs"), Some("wrong_type")),
            (r#"{"subject":"secret ada","attribute":"status","value":"gold"}"#.to_owned(), Some("bad_subject")),
            (r#"{"subject":7,"attribute":"status","value":"gold"}"#.to_owned(), Some("bad_subject")),
            (r#"{"subject":"secret:ada","attribute":"status"}"#.to_owned(), Some("missing_field")),
            (
                r#"{"subject":"secret:ada","attribute":"status","value":"a","note":"b"}"#.to_owned(),
                Some("unknown_field"),
            ),
            (
                r#"{"subject":"secret:ada","attribute":"status","value":"a","valid_until":"tomorrow"}"#.to_owned(),
                Some("bad_time"),
            ),
            (
                r#"{"subject":"secret:ada","attribute":"status","value":"a","valid_until":"2013-01-01"}"#.to_owned(),
                Some("bad_time"),
            ),
            (of(&format!("\"{}\"", "x".repeat(9_000)), "status"), Some("line_too_long")),
        ];
        let feed: String = lines.iter().flat_map(|(line, _)| [line.as_str(), "\n"]).collect();
        let reply = send(&admin, "application/x-ndjson", feed).await;
        let wanted: Vec<(u64, String)> =
            (1..).zip(&lines).filter_map(|(nth, (_, code))| Some((nth, (*code)?.to_owned()))).collect();
        let answer = reply.is(200);
        let listed: Vec<(u64, String)> = answer["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["line"].as_u64().unwrap(), it["code"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(listed, wanted);
        assert_eq!(counts(&answer), [1, 0, 0, u64::try_from(wanted.len()).unwrap()]);
        assert!(!reply.text.contains("secret"), "{}", reply.text);

        let header = send(&admin, "text/csv", "subject,value,observed_at\nada,1,2012-01-01T00:00:00Z\n").await.is(200);
        assert_eq!((counts(&header), &header["errors"][0]["code"]), ([0, 0, 0, 2], &json!("bad_header")));
        let table = "subject,attribute,value\nada,nights,\nada,banned,yes\nada,nights,x\nada\n,status,gold\n";
        let table = import(&admin, table).await;
        let codes: Vec<&Value> = table["errors"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert_eq!(codes, ["bad_value", "wrong_type", "bad_value", "malformed", "bad_subject"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_ten_megabytes_in_one_line_costs_that_line_only() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let long = "x".repeat(10 * 1024 * 1024);
        let feed = format!("subject,attribute,value\nada,status,{long}\nbob,status,gold\n");
        let answer = import(&admin, &feed).await;
        assert_eq!((counts(&answer), &answer["errors"][0]["code"]), ([1, 0, 0, 1], &json!("line_too_long")));
        assert!(held(&admin, "ada").await.is_empty());
        assert_eq!(held(&admin, "bob").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_people_are_imported_and_every_one_is_known() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let row = |nth: usize| format!("m{nth},status,{}\nm{nth},nights,{nth}", ["gold", "blue"][nth % 2]);
        let rows = (0..12_000).map(row).collect::<Vec<_>>().join("\n");
        let answer = import(&admin, &format!("subject,attribute,value\n{rows}")).await;
        assert_eq!(counts(&answer), [24_000, 0, 0, 0]);
        members_only(&admin).await;
        for nth in [0, 1, 5_998, 11_999] {
            let granted = check(&admin, &format!("m{nth}")).await["decision"] == "granted";
            assert_eq!(granted, nth % 2 == 0, "{nth}");
        }
        assert_eq!(held(&admin, "m11999").await.len(), 2);
        // With the attribute all of its values go, whatever their number.
        admin.delete("/v1/attributes/nights").await.is(204);
        assert_eq!(held(&admin, "m11999").await.len(), 1);
        assert_eq!(held(&admin, "m0").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_for_an_attribute_that_was_deleted_is_not_the_next_ones() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        import(&admin, "subject,attribute,value\nada,status,gold\n").await;
        admin.delete(STATUS).await.is(204);
        app.world.pass(1);
        declare(&admin, json!({})).await.is(201);
        members_only(&admin).await;
        assert_eq!(check(&admin, "ada").await["decision"], "denied");
        import(&admin, "subject,attribute,value\nada,status,gold\n").await;
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_deleted_a_day_after_its_end() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let feed = "subject,attribute,value,valid_until\nada,status,gold,2012-05-08T20:00:00Z\nada,nights,1,2012-06-08T20:00:00Z\nada,banned,true,\n";
        import(&admin, feed).await;
        let attributes = app.world.gateway.scores.attributes();
        app.world.pass(25 * 3600);
        assert_eq!(attributes.sweep_once(app.world.now()).await.unwrap(), 0);
        app.world.pass(1);
        assert_eq!(attributes.sweep_once(app.world.now()).await.unwrap(), 1);
        let left: Vec<String> = held(&admin, "ada").await.into_iter().map(|(name, ..)| name).collect();
        assert_eq!(left, ["banned", "nights"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_while_a_feed_runs_is_rejected_line_by_line_and_counted_once() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        let old = "subject,attribute,value\na,status,gold\na,nights,1\nb,status,gold\n";
        import(&admin, old).await;
        let gateway = &app.world.gateway;
        let (merchant, keyring) = (app.cathay.id.clone(), gateway.keyring.clone());
        let declared = gateway.catalog.declared_attributes(&merchant).await.unwrap();
        let (format, clock) = (Format::Csv, app.world.clock.clone());
        let config = AttributeImport { merchant: merchant.clone(), declared, format, clock };
        let refer = move |handle: &SubjectHandle| keyring.subject_refs(&merchant, handle);
        let mut feed = gateway.scores.attributes().import(config, refer);
        feed.push(b"subject,attribute,value\na,status,gold\na,nights,1\nb,status,blue\n").await.unwrap();
        admin.delete(STATUS).await.is(204);
        feed.push(b"c,status,gold\nc,nights,2\n").await.unwrap();
        let report = feed.finish().await.unwrap();
        let counts = (report.accepted, report.unchanged, report.stale, report.rejected);
        assert_eq!(counts, (1, 1, 0, 3));
        let listed: Vec<(u64, &str)> = report.errors.iter().map(|it| (it.line, it.fault.code())).collect();
        assert_eq!(listed, [2, 4, 5].map(|line| (line, "undeclared_attribute")));
        assert_eq!(held(&admin, "c").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_chunk_names_is_read_of_its_people() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        import(&admin, "subject,attribute,value\na,status,gold\na,nights,1\nb,nights,2\n").await;
        let gateway = &app.world.gateway;
        let subjects = ["a", "b"].map(|it| gateway.keyring.subject_ref(&app.cathay.id, &it.parse().unwrap()));
        let names = vec!["nights".to_owned(), "banned".to_owned()];
        let found = gateway.scores.attributes().list(&app.cathay.id, subjects.to_vec(), names).await.unwrap();
        let mut found: Vec<&str> = found.keys().map(|(_, name)| name.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["nights", "nights"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_confirms_is_young_also_where_it_is_to_age_only_later() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        members_only(&admin).await;
        let feed = "subject,attribute,value\nada,status,gold\n";
        import(&admin, feed).await;
        app.world.pass(20 * 24 * 3600);
        assert_eq!(counts(&import(&admin, feed).await), [0, 1, 0, 0]);
        declare(&admin, json!({"max_age": "P10D"})).await.is(200);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blanks_around_a_cell_are_no_part_of_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare_all(&admin).await;
        members_only(&admin).await;
        import(&admin, "subject, attribute, value\nada, status, gold \n").await;
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        let blank = r#"{"subject":"ada","attribute":"clubs","value":["a"," "]}"#;
        let refused = send(&admin, "application/x-ndjson", blank).await.is(200);
        assert_eq!((counts(&refused), &refused["errors"][0]["code"]), ([0, 0, 0, 1], &json!("bad_value")));
    }
}
