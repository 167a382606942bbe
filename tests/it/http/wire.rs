//! What every endpoint shares: methods, paths, request ids, rates, and connections that misbehave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_and_another_method_is_405_with_the_ones_that_work() {
    let app = TestApp::start(&[]).await;
    let (admin, anyone) = (app.admin(&app.cathay).await, app.anonymous());
    assert_shape!(anyone.get("/nothing").await, @r#"
    404
    {
      "type":"urn:perkgate:problem:not_found",
      "title":"There is nothing here",
      "status":404,
      "detail":"There is nothing at this address.",
      "code":"not_found",
      "request_id":"req_…"
    }
    "#);
    for path in ["/", "/v3/checks", "/%00", "/%E2%80%AE", "/openapi.json/x", "/.well-known/openid-configuration"] {
        anyone.get(path).await.problem(404, "not_found");
    }
    admin.get("/v1/nothing").await.problem(404, "not_found");
    anyone.get("/v1/nothing").await.problem(401, "missing_key");
    for (method, path, allow) in [
        (Method::GET, "/v1/checks/batch", "POST"),
        (Method::PUT, "/v1/checks", "GET, HEAD, POST"),
        (Method::DELETE, "/v1/perks", "GET, HEAD, POST"),
        (Method::PATCH, "/v1/scores/klout/a", "GET, HEAD, PUT, DELETE"),
        (Method::GET, "/v1/tokens/redeem", "POST"),
        (Method::POST, "/livez", "GET, HEAD"),
        (Method::POST, "/.well-known/jwks.json", "GET, HEAD"),
        (Method::OPTIONS, "/v1/keys", "GET, HEAD, POST"),
        (Method::TRACE, "/v1/keys", "GET, HEAD, POST"),
    ] {
        let refused = admin.ask(method.clone(), path).await;
        refused.problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    for path in ["/livez", "/.well-known/jwks.json", "/openapi.json", "/v1/perks", "/v1/perks/nowhere"] {
        let (head, get) = (admin.ask(Method::HEAD, path).await, admin.get(path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_request_id_comes_back_and_another_is_made() {
    let app = TestApp::start(&[]).await;
    let kiosk = app.kiosk().await;
    let sent = kiosk.get("/livez").header("x-request-id", "Kiosk-7.a_B").await;
    assert_eq!(sent.header("x-request-id"), "Kiosk-7.a_B");
    let refused = kiosk.get("/v1/nothing").header("x-request-id", "Kiosk-8").await;
    assert_eq!(refused.is(404)["request_id"], "Kiosk-8");
    for odd in ["a b", "\"", "<script>", &"a".repeat(65)] {
        let made = kiosk.get("/livez").header("x-request-id", odd).await;
        assert!(made.header("x-request-id").starts_with("req_"), "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_its_rate_coming_and_waits_alone() {
    let app = TestApp::start(&[("rate_per_key", "1")]).await;
    let (kiosk, other) = (app.kiosk().await, app.kiosk().await);
    let ask = json!({"perk": "nowhere", "subject": "a"});
    let first = kiosk.post("/v1/checks", &ask).await;
    first.problem(404, "not_found");
    assert_eq!(first.header("ratelimit-policy"), "\"key\";q=2;w=2");
    assert_eq!(first.header("ratelimit"), "\"key\";r=1;t=1");
    kiosk.post("/v1/checks", &ask).await.problem(404, "not_found");
    let limited = kiosk.post("/v1/checks", &ask).await;
    assert_shape!(limited, @r#"
    429
    {
      "type":"urn:perkgate:problem:rate_limited",
      "title":"Too many requests with this key",
      "status":429,
      "detail":"At most 1 a second are taken, and 2 at once.",
      "code":"rate_limited",
      "request_id":"req_…"
    }
    "#);
    assert_eq!((limited.header("retry-after"), limited.header("ratelimit")), ("1", "\"key\";r=0;t=2"));
    other.post("/v1/checks", &ask).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_keys_is_slowed_by_address_and_valid_keys_there_are_not() {
    let app = TestApp::start(&[("rate_failed_keys", "1")]).await;
    let kiosk = app.kiosk().await;
    kiosk.get("/v1/nothing").await.problem(404, "not_found");
    let guess = app.bearing(Some("Bearer pgk_guess".into()));
    for _ in 0..2 {
        guess.get("/v1/perks").await.problem(401, "invalid_key");
    }
    let limited = guess.get("/v1/perks").await;
    assert_shape!(limited, @r#"
    429
    {
      "type":"urn:perkgate:problem:too_many_failed_keys",
      "title":"Too many failed keys from this address",
      "status":429,
      "detail":"At most 1 a second are taken, and 2 at once.",
      "code":"too_many_failed_keys",
      "request_id":"req_…"
    }
    "#);
    assert_eq!(limited.header("retry-after"), "1");
    for _ in 0..10 {
        kiosk.get("/v1/nothing").await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_each_client_has_its_own_address_however_the_proxy_writes_it() {
    let app = TestApp::start(&[("rate_failed_keys", "1"), ("trusted_proxies", "127.0.0.1")]).await;
    let guess = app.bearing(Some("Bearer pgk_guess".into()));
    let from = async |hop: &str| guess.get("/v1/perks").header("x-forwarded-for", hop).await.status;
    for hops in [
        ["203.0.113.7:50123", "203.0.113.7:50124", "203.0.113.7"],
        ["[2001:db8::7]:50123", "[2001:db8::7]", "2001:db8::7"],
    ] {
        // Another port is the same client, and another client is not slowed by it.
        assert_eq!((from(hops[0]).await, from(hops[1]).await, from(hops[2]).await), (401, 401, 429), "{hops:?}");
    }
    assert_eq!((from("203.0.113.8:50123").await, from("[2001:db8:0:1::7]:1").await), (401, 401));
}

/// Sends a head, then pieces of a body until an answer comes; what came, until the server closes.
async fn drip(address: SocketAddr, head: String, pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> String {
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; 1 << 16];
        let mut read = 0;
        for piece in pieces {
            // How slow the sender is; an answer ends the wait.
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            match stream.read(&mut answer[read..]) {
                Ok(more) if more > 0 => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if stream.write_all(&piece).is_ok() {
                        continue;
                    }
                }
                Ok(_) | Err(_) => {}
            }
            break;
        }
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        while let Ok(more @ 1..) = stream.read(&mut answer[read..]) {
            read += more;
        }
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_byte_by_byte_is_cut_off_at_the_deadline() {
    let app = TestApp::start(&[("body_timeout", "300ms")]).await;
    let key = app.feeder(&app.cathay).await.authorization.unwrap();
    let head = |method: &str, path: &str, kind: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: {kind}\r\ncontent-length: 9999\r\n\r\n"
        )
    };
    let put = head("PUT", "/v1/scores/klout/a", "application/json");
    let slow = drip(app.address, put, std::iter::repeat_n(b" ".to_vec(), 500)).await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("\"request_timeout\""), "{slow}");
    // An import may take its time, but not fall silent.
    let import = head("POST", "/v1/scores/klout/import", "text/csv");
    let silent = drip(app.address, import, std::iter::once(b"subject,".to_vec())).await;
    assert!(silent.starts_with("HTTP/1.1 408") && silent.contains("\"request_timeout\""), "{silent}");
    app.kiosk().await.get("/livez").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_cut_off_too() {
    let app = TestApp::start(&[("request_head_timeout", "300ms")]).await;
    let slow =
        drip(app.address, "GET /livez HTTP/1.1\r\nx: ".to_owned(), std::iter::repeat_n(b"a".to_vec(), 500)).await;
    assert!(slow.starts_with("HTTP/1.1 408") || slow.is_empty(), "{slow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_are_refused_announced_or_not() {
    let app = TestApp::start(&[]).await;
    let key = app.kiosk().await.authorization.unwrap();
    let head =
        format!("POST /v1/checks HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: application/json\r\n");
    let ten_megabytes = || std::iter::repeat_n(vec![b' '; 1 << 16], 160);
    let announced = drip(app.address, format!("{head}content-length: 10485760\r\n\r\n"), ten_megabytes()).await;
    assert!(announced.starts_with("HTTP/1.1 413") && announced.contains("\"body_too_large\""), "{announced}");
    let chunks = ten_megabytes().map(|piece| [b"10000\r\n".to_vec(), piece, b"\r\n".to_vec()].concat());
    let chunked = drip(app.address, format!("{head}transfer-encoding: chunked\r\n\r\n"), chunks).await;
    assert!(chunked.starts_with("HTTP/1.1 413") && chunked.contains("\"body_too_large\""), "{chunked}");
}
