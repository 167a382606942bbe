//! Bodies as proxies and feeders send them: empty ones in chunks, ones beside `Upgrade`, and packed ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use super::connections::Connection;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const IMPORT: &str = "/v1/scores/klout/import";
const LINES: &str =
    "subject,value,observed_at\ntwitter:ada,47.25,2012-05-08T09:00:00Z\ntwitter:bob,12,2012-05-08T09:00:00Z\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The POSTs whose body may be left out, as the document has them.
async fn bodies_that_may_be_left_out(app: &TestApp) -> Vec<String> {
    let document = app.anonymous().get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap().iter();
    let optional = |post: &Value| post["requestBody"].is_object() && post["requestBody"]["required"] != json!(true);
    paths.filter(|(_, item)| optional(&item["post"])).map(|(path, _)| path.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_chunked_body_is_no_body() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    app.lounge(r#"{"at_least":40,"score":"klout"}"#, "47.25").await;
    let key = admin.authorization.clone().unwrap();
    let empty = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        )
    };
    let mut connection = Connection::open(app.address);
    let paths = bodies_that_may_be_left_out(&app).await;
    assert!(paths.iter().any(|path| path.ends_with("/pause")) && paths.len() >= 9, "{paths:?}");
    for path in paths.into_iter().filter(|path| !path.ends_with("/retire")) {
        let path = path.replace("{perk}", "sfo-lounge").replace("{version}", "1");
        let path = path.replace("{contest}", "con_019abf3e5c1f7d0a8e4b2f6c1d3a5b70");
        let path = path.replace("{grant}", "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70");
        let answer = connection.ask(&empty(&path));
        assert!(matches!(answer.status, 200 | 404 | 409), "{path}: {answer:?}");
    }
    assert_eq!(connection.ask(&empty("/v1/perks/sfo-lounge/pause")).status, 200);
    assert_eq!(admin.get("/v1/perks/sfo-lounge").await.json()["status"], "paused");
    // What is a body is read as one.
    let typeless = format!(
        "POST /v1/perks/sfo-lounge/resume HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    assert_eq!(connection.ask(&typeless).status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beside_upgrade_is_read_to_its_length() {
    let app = TestApp::start(&[]).await;
    app.lounge(r#"{"at_least":40,"score":"klout"}"#, "47.25").await;
    let key = app.kiosk().await.authorization.unwrap();
    let body = r#"{"perk":"sfo-lounge","subject":"twitter:ada"}"#;
    let length = body.len();
    let head = format!(
        "POST /v1/checks HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: application/json\r\n\
         connection: upgrade\r\nupgrade: websocket\r\n"
    );
    let mut connection = Connection::open(app.address);
    // What comes behind the body is no part of it.
    let answer = connection.ask(&format!("{head}content-length: {length}\r\n\r\n{body}GET /livez HTTP/1.1\r\n"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("\"decision\":\"granted\""), "{answer:?}");
    assert_eq!(answer.headers["connection"], "close");
    assert!(connection.ends());

    let none = "POST /v1/perks/sfo-lounge/pause HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n";
    let admin = app.admin(&app.cathay).await.authorization.unwrap();
    for more in ["", "content-length: 0\r\n"] {
        let answer = Connection::open(app.address).ask(&format!("{none}{more}authorization: {admin}\r\n\r\n"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let get = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\n";
    assert_eq!(Connection::open(app.address).ask(get).status, 200);
    // One that breaks off is not taken for whole.
    let mut cut = Connection::open(app.address);
    cut.send(&format!("{head}content-length: {}\r\n\r\n{body}", length + 1));
    cut.send_no_more();
    let answer = cut.answer();
    assert_eq!(answer.status, 400, "{answer:?}");
}

async fn import(feeder: &Client, coding: &str, body: impl Into<Vec<u8>>) -> Reply {
    feeder.ask(Method::POST, IMPORT).body("text/csv", body).header("content-encoding", coding).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_may_be_gzip_and_nothing_else() {
    let app = TestApp::start(&[("import_limit_bytes", "1_000_000")]).await;
    let feeder = app.feeder(&app.cathay).await;
    assert_eq!(import(&feeder, "gzip", gzip(LINES.as_bytes())).await.is(200)["accepted"], 2);
    assert_eq!(import(&feeder, "X-GZIP", gzip(LINES.as_bytes())).await.is(200)["unchanged"], 2);
    assert_eq!(import(&feeder, "identity", LINES).await.is(200)["unchanged"], 2);
    let ndjson = "{\"subject\":\"twitter:cy\",\"value\":5,\"observed_at\":\"2012-05-08T09:00:00Z\"}\n".repeat(500);
    let ask = feeder.ask(Method::POST, IMPORT).body("application/x-ndjson", gzip(ndjson.as_bytes()));
    let report = ask.header("content-encoding", "gzip").await.is(200);
    assert_eq!((&report["accepted"], &report["unchanged"], &report["rejected"]), (&json!(1), &json!(499), &json!(0)));

    for coding in ["br", "zstd", "deflate", "gzip, gzip", "gzip, br"] {
        let refused = import(&feeder, coding, gzip(LINES.as_bytes())).await;
        refused.problem(415, "unsupported_media_type");
        assert_eq!(refused.header("accept-encoding"), "gzip, identity", "{coding}");
    }
    // Not packed as it says, or cut; and what would fill memory.
    import(&feeder, "gzip", LINES).await.problem(400, "bad_request");
    let whole = gzip(LINES.as_bytes());
    import(&feeder, "gzip", &whole[..whole.len() - 4]).await.problem(400, "bad_request");
    import(&feeder, "gzip", gzip(&vec![b' '; 2_000_000])).await.problem(413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_a_packed_body_is_refused_with_what_would_do() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let body = gzip(br#"{"perk":"sfo-lounge","subject":"twitter:ada"}"#);
    for path in ["/v1/checks", "/v1/perks/sfo-lounge/pause", "/v1/tokens/introspect"] {
        let kind = if path.ends_with("introspect") { "application/x-www-form-urlencoded" } else { "application/json" };
        let refused = admin.ask(Method::POST, path).body(kind, body.clone()).header("content-encoding", "gzip").await;
        refused.problem(415, "unsupported_media_type");
        assert_eq!(refused.header("accept-encoding"), "identity", "{path}");
    }
}
