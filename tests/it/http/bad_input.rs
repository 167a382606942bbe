//! Bodies that no endpoint takes, sent to every one that takes a body.

use perkgate::access::Role;
use reqwest::Method;

use crate::support::app::TestApp;
use crate::support::client::Ask;

/// Every operation that reads JSON.
const WITH_BODY: &[(&str, &str)] = &[
    ("POST", "/v1/checks"),
    ("POST", "/v1/checks/batch"),
    ("POST", "/v1/grants/grt_00000000000070008000000000000001/void"),
    ("POST", "/v1/grants/void"),
    ("PATCH", "/v1/grants/grt_00000000000070008000000000000001"),
    ("POST", "/v1/grants/grt_00000000000070008000000000000001/undo"),
    ("POST", "/v1/referrals/chk_00000000000070008000000000000001/decide"),
    ("POST", "/v1/checks/chk_00000000000070008000000000000001/contest"),
    ("POST", "/v1/contests/chk_00000000000070008000000000000001/uphold"),
    ("POST", "/v1/contests/chk_00000000000070008000000000000001/overturn"),
    ("POST", "/v1/audit/events/search"),
    ("POST", "/v1/checks/search"),
    ("POST", "/v1/grants/search"),
    ("POST", "/v1/subjects/erase"),
    ("POST", "/v1/subjects/record"),
    ("POST", "/v1/tokens/redeem"),
    ("POST", "/v1/tokens/redeem/late"),
    ("POST", "/v1/checks/chk_00000000000070008000000000000001/override"),
    ("POST", "/v1/checks/chk_00000000000070008000000000000001/paid"),
    ("POST", "/v1/my/chk_00000000000070008000000000000001.0/contest"),
    ("POST", "/v1/my/chk_00000000000070008000000000000001.0/requests"),
    ("POST", "/v1/desk/clerks"),
    ("POST", "/v1/devices"),
    ("POST", "/v1/devices/key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70/confirm"),
    ("PUT", "/v1/desk/clerks/key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70/pin"),
    ("POST", "/v1/desk/sign-in"),
    ("POST", "/v1/perks"),
    ("PATCH", "/v1/perks/p"),
    ("POST", "/v1/perks/p/closures"),
    ("POST", "/v1/perks/p/occupancy/corrections"),
    ("POST", "/v1/perks/p/rollback"),
    ("POST", "/v1/perks/p/versions"),
    ("PUT", "/v1/perks/p/versions/1"),
    ("POST", "/v1/perks/p/versions/1/schedule"),
    ("PUT", "/v1/approvals"),
    ("POST", "/v1/perks/p/simulate"),
    ("POST", "/v1/perks/p/simulate/everyone"),
    ("POST", "/v1/perks/p/backtest"),
    ("PUT", "/v1/scores/klout/a"),
    ("PUT", "/v1/attributes/a"),
    ("PUT", "/v1/subjects/accounts"),
    ("POST", "/v1/subjects/accounts/search"),
    ("POST", "/v1/subjects/accounts/delete"),
    ("PUT", "/v1/subjects/consents"),
    ("POST", "/v1/sources"),
    ("POST", "/v1/sources/a/models"),
    ("PUT", "/v1/sources/a/guard"),
    ("POST", "/v1/keys"),
    ("POST", "/v1/merchants"),
    ("PATCH", "/v1/merchants/cathay"),
];

/// Every operation whose body may be left out.
const WITH_OPTIONAL_BODY: [&str; 11] = [
    "/v1/perks/p/pause",
    "/v1/perks/p/resume",
    "/v1/perks/p/retire",
    "/v1/perks/p/versions/1/submit",
    "/v1/perks/p/versions/1/approve",
    "/v1/perks/p/versions/1/reject",
    "/v1/perks/p/versions/1/withdraw",
    "/v1/perks/p/versions/1/publish",
    "/v1/perks/p/versions/1/unschedule",
    "/v1/subject-requests/srq_00000000000070008000000000000001/confirm",
    "/v1/subject-requests/srq_00000000000070008000000000000001/decline",
];

/// A sender for each of them.
async fn senders(app: &TestApp) -> Vec<(&'static str, impl Fn() -> Ask)> {
    let (admin, operator) = (app.admin(&app.cathay).await, app.operator().await);
    let desk = app.role(&app.cathay, Role::Desk).await;
    let sender = |(method, path): (&'static str, &'static str)| {
        let client = match path {
            "/v1/desk/sign-in" => desk.clone(),
            path if path.starts_with("/v1/merchants") => operator.clone(),
            _ => admin.clone(),
        };
        let method: Method = method.parse().unwrap();
        (path, move || client.ask(method.clone(), path))
    };
    WITH_BODY.iter().copied().map(sender).collect()
}

#[test]
fn every_operation_that_reads_json_is_here() {
    let document = perkgate::http::openapi::document();
    let document: serde_json::Value = serde_json::from_str(&perkgate::http::openapi::json(&document)).unwrap();
    let (mut required, mut optional) = (0, 0);
    for item in document["paths"].as_object().unwrap().values() {
        let bodies = item.as_object().unwrap().values().map(|operation| &operation["requestBody"]);
        for body in bodies.filter(|body| body["content"]["application/json"].is_object()) {
            *if body["required"] == true { &mut required } else { &mut optional } += 1;
        }
    }
    assert_eq!((required, optional), (WITH_BODY.len(), WITH_OPTIONAL_BODY.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_may_be_left_out_is_read_as_strictly_when_it_is_there() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    for path in WITH_OPTIONAL_BODY {
        let ask = || admin.ask(Method::POST, path);
        ask().await.problem(404, "not_found");
        ask().json("{}").await.problem(404, "not_found");
        ask().json("{").await.problem(400, "malformed_json");
        for (body, code) in [("[]", "wrong_type"), (r#"{"no_such_field":1}"#, "unknown_field")] {
            assert_eq!(ask().json(body).await.spot(422, "invalid_request").1, code, "{path}");
        }
        ask().body("text/plain", "{}").await.problem(415, "unsupported_media_type");
        ask().json(format!("{{{}}}", " ".repeat(65_536))).await.problem(413, "body_too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_malformed_and_what_is_no_object_is_of_the_wrong_type() {
    for app in TestApp::all().await {
        let before = app.footprint().await;
        for (path, ask) in senders(&app).await {
            for body in
                ["", "{", "}", "{\"a\":}", "{'a':1}", "NaN", "{\"a\":NaN}", "\u{FEFF}\u{FEFF}{}", "{\"a\":1,}", "\0"]
            {
                let refused = ask().json(body).await;
                let status = refused.status;
                // A member that isn't known may be found before the fault behind it.
                assert!(
                    status == 400 || (status == 422 && refused.text.contains("unknown_field")),
                    "{path} {body:?}: {}",
                    refused.text
                );
            }
            ask().json(b"{\"\xff\":1}".to_vec()).await.is(400);
            for body in ["[]", "null", "7", "\"text\"", "true"] {
                let spot = ask().json(body).await.spot(422, "invalid_request");
                assert_eq!(spot, (String::new(), "wrong_type".to_owned()), "{path} {body}");
            }
            let unknown = ask().json(r#"{"no_such_field":1}"#).await.spot(422, "invalid_request");
            assert_eq!(unknown, ("/no_such_field".to_owned(), "unknown_field".to_owned()), "{path}");
        }
        assert_eq!(app.footprint().await.grants, before.grants);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_refused_wherever_it_stands() {
    let app = TestApp::start(&[]).await;
    let nest = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    for (path, ask) in senders(&app).await {
        for member in ["no_such_field", "perk", "rule", "context", "subject", "value", "name", "role"] {
            for deep in [nest("[", "]"), format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))] {
                let refused = ask().json(format!("{{\"{member}\":{deep}}}")).await;
                assert!(refused.status == 400 || refused.status == 422, "{path} {member}: {}", refused.text);
            }
        }
        let list = ask().json(nest("[", "]")).await;
        assert!(list.status == 400 || list.status == 422, "{path}: {}", list.text);
    }
    let admin = app.admin(&app.cathay).await;
    let rule = format!(r#"{{"perk":"p","name":"P","rule":{}}}"#, nest("[", "]"));
    let spot = admin.post_text("/v1/perks", rule).await.spot(422, "invalid_request");
    assert_eq!(spot, ("/rule".to_owned(), "invalid_value".to_owned()));
    let context = format!(r#"{{"perk":"p","subject":"a","context":{}}}"#, nest("[", "]"));
    let spot = admin.post_text("/v1/checks", context).await.spot(422, "invalid_request");
    assert_eq!(spot, ("/context".to_owned(), "invalid_value".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_or_packed_is_not_read() {
    let app = TestApp::start(&[]).await;
    for (path, ask) in senders(&app).await {
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonx"] {
            ask().body(wrong, "{}").await.problem(415, "unsupported_media_type");
        }
        ask().await.problem(415, "unsupported_media_type");
        let packed = ask().json("{}").header("content-encoding", "gzip").await;
        packed.problem(415, "unsupported_media_type");
        let named = ask().body("application/json; charset=utf-8", r#"{"no_such_field":1}"#).await;
        assert_eq!(named.status, 422, "{path}: parameters of the type are fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_just_above_the_bound_is_too_large_and_one_at_it_is_read() {
    let app = TestApp::start(&[]).await;
    for (path, ask) in senders(&app).await {
        let at = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
        // A door's report has a hundred tokens.
        let most = if path == "/v1/tokens/redeem/late" { 262_144 } else { 65_536 };
        ask().json(at(most + 1)).await.problem(413, "body_too_large");
        // A simulation needs no member, so it goes on to the perk, which is not there.
        let read = ask().json(at(most)).await;
        assert!(read.status == 422 || (read.status == 404 && path.contains("simulate")), "{path}: {}", read.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_thirty_digits_is_never_rounded() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let long = format!("40.{}1", "0".repeat(29));
    let rule = serde_json::json!({"tiers": [{"id": "t", "when": {"attr": "context.age", "op": "gte", "value": 40}}]});
    let aged = serde_json::json!({"perk": "aged", "name": "Aged", "rule": rule, "publish": true});
    admin.post("/v1/perks", &aged).await.is(201);
    for (path, body, pointer) in [
        ("/v1/perks", format!(r#"{{"perk":"p","name":"P","rule":{{"at_least":{long},"score":"klout"}}}}"#), "/rule"),
        ("/v1/checks", format!(r#"{{"perk":"aged","subject":"a","context":{{"age":{long}}}}}"#), "/context/age"),
        ("/v1/sources", format!(r#"{{"name":"s","min":0,"max":{long}}}"#), "/max"),
    ] {
        let (at, code) = admin.post_text(path, body).await.spot(422, "invalid_request");
        assert_eq!((at.as_str(), code.as_str()), (pointer, "invalid_value"), "{path}");
    }
    // Trailing zeros carry no meaning.
    let zeros = format!(r#"{{"name":"s","min":0,"max":40.{}}}"#, "0".repeat(30));
    assert_eq!(admin.post_text("/v1/sources", zeros).await.is(201)["max"], 40);
}
