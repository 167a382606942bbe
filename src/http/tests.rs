//! Tests of what every endpoint refuses, and how.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream};

use super::testing::{Answer, CLI, Rig};
use crate::access::{KeySecret, NewKey, Role};
use crate::foundation::entropy::Entropy;

const MERCHANT: &str = r#"{"slug":"cathay","name":"Cathay Pacific"}"#;

async fn stream(rig: &Rig, body: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Answer {
    let request = TestRequest::post()
        .uri("/v1/merchants")
        .insert_header(("authorization", rig.key(Role::Operator).await))
        .insert_header(("content-type", "application/json"));
    rig.ask_streaming(request, body).await
}

#[actix_web::test]
async fn an_unknown_path_is_404_and_a_known_one_with_another_method_is_405() {
    let rig = Rig::start().await;
    let key = rig.key(Role::Operator).await;
    rig.get("/nothing", "").await.problem(404, "not_found");
    rig.get("/v1/nothing", &key).await.problem(404, "not_found");
    rig.get("/v1/nothing", "").await.problem(401, "missing_key");
    rig.get("/v1/keys/%ff%00", &key).await.problem(404, "not_found");
    rig.get("/v1/keys/..%2f..%2fetc", &key).await.problem(404, "not_found");
    for (method, path, allow) in [
        (Method::PATCH, "/v1/merchants", "GET, HEAD, POST"),
        (Method::PUT, "/v1/keys/key_x", "GET, HEAD, DELETE"),
        (Method::POST, "/livez", "GET, HEAD"),
        (Method::DELETE, "/openapi.json", "GET, HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), "/v1/keys", "GET, HEAD, POST"),
    ] {
        let request = TestRequest::default().method(method.clone()).uri(path);
        let answer = rig.ask(request.insert_header(("authorization", key.as_str()))).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[actix_web::test]
async fn head_is_answered_like_get() {
    let rig = Rig::start().await;
    let request = TestRequest::default().method(Method::HEAD).uri("/livez");
    assert_eq!(rig.ask(request).await.status, 200);
    let request = TestRequest::default().method(Method::HEAD).uri("/v1/merchants");
    assert_eq!(rig.ask(request).await.status, 401);
}

#[actix_web::test]
async fn a_request_id_is_echoed_when_it_is_plain_and_made_when_not() {
    let rig = Rig::start().await;
    let ask = async |id: &str| {
        let request = TestRequest::get().uri("/livez").insert_header(("x-request-id", id));
        rig.ask(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(ask("Kiosk-7.a_B").await, "Kiosk-7.a_B");
    for odd in ["", "a b", "a\"b", "a;b", &"a".repeat(65)] {
        let made = ask(odd).await;
        assert!(made.starts_with("req_") && made.len() == 36, "{odd} -> {made}");
    }
    assert_ne!(ask("").await, ask("").await);
}

#[actix_web::test]
async fn a_key_is_needed_and_each_way_to_fail_has_its_code() {
    let rig = Rig::start().await;
    let missing = rig.get("/v1/merchants", "").await;
    missing.problem(401, "missing_key");
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"perkgate\"");
    let no_header = TestRequest::get().uri("/v1/merchants");
    rig.ask(no_header).await.problem(401, "missing_key");

    let key = rig.key(Role::Operator).await;
    assert_eq!(rig.get("/v1/merchants", &key).await.status, 200);
    assert_eq!(rig.get("/v1/merchants", &key.replace("Bearer", "bearer")).await.status, 200);
    rig.get("/v1/merchants", &key.replace("Bearer", "Basic")).await.problem(401, "missing_key");

    let secret = key.trim_start_matches("Bearer ");
    let in_query = format!("/v1/merchants?access_token={secret}&key={secret}");
    rig.ask(TestRequest::get().uri(&in_query)).await.problem(401, "missing_key");
    let twice = TestRequest::get().uri("/v1/merchants");
    let twice = twice.append_header(("authorization", key.as_str())).append_header(("authorization", key.as_str()));
    rig.ask(twice).await.problem(401, "invalid_key");

    let truncated = &key[..key.len() - 1];
    let stranger = format!("Bearer {}", KeySecret::new(&Entropy::System).expose());
    for bad in [truncated, "Bearer x", "Bearer  ", stranger.as_str()] {
        let answer = rig.get("/v1/merchants", bad).await;
        answer.problem(401, "invalid_key");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"perkgate\", error=\"invalid_token\"");
    }
}

#[actix_web::test]
async fn an_expired_and_a_revoked_key_have_codes_of_their_own() {
    let rig = Rig::start().await;
    let now = rig.gateway.clock.now();
    let soon = now + jiff::SignedDuration::from_secs(1);
    let (_, short) = rig.make(NewKey { expires_at: Some(soon), ..NewKey::of(Role::Operator, None, "short") }).await;
    let (withdrawn, revoked) = rig.make(NewKey::of(Role::Operator, None, "withdrawn")).await;
    assert_eq!(rig.get("/v1/merchants", &short).await.status, 200);
    assert_eq!(rig.get("/v1/merchants", &revoked).await.status, 200);
    rig.gateway.directory.revoke_key(None, withdrawn.id, CLI).await.unwrap();
    rig.gateway.clock.set(soon);
    rig.get("/v1/merchants", &short).await.problem(401, "expired_key");
    rig.get("/v1/merchants", &revoked).await.problem(401, "revoked_key");
}

#[actix_web::test]
async fn a_role_that_may_not_learns_which_may_before_its_body_is_read() {
    let rig = Rig::start().await;
    let kiosk = rig.key(Role::Kiosk).await;
    let answer = rig.post("/v1/merchants", &kiosk, "this is not JSON").await;
    answer.problem(403, "forbidden");
    assert_eq!(answer.json()["detail"], "This key's role is kiosk; this is for: operator.");
    rig.post("/v1/merchants", "", "this is not JSON").await.problem(401, "missing_key");
}

#[actix_web::test]
async fn a_body_that_is_not_json_or_does_not_fit_is_pointed_at() {
    let rig = Rig::start().await;
    let key = rig.key(Role::Operator).await;
    let spot = async |body: &str| rig.post("/v1/merchants", &key, body).await.problem(422, "invalid_request");
    let at = |place: &str, code: &str| vec![(place.to_owned(), code.to_owned())];
    rig.post("/v1/merchants", &key, "{").await.problem(400, "malformed_json");
    rig.post("/v1/merchants", &key, "").await.problem(400, "malformed_json");
    assert_eq!(spot(r#"["cathay","Cathay Pacific"]"#).await, at("", "wrong_type"));
    assert_eq!(spot(r#"{"slug":"cathay"}"#).await, at("/name", "missing_field"));
    assert_eq!(spot(r#"{"slug":"cathay","name":"x","owner":1}"#).await, at("/owner", "unknown_field"));
    assert_eq!(spot(r#"{"slug":1,"name":"x"}"#).await, at("/slug", "wrong_type"));
    assert_eq!(spot(r#"{"slug":"cath\u0000ay","name":"x"}"#).await, at("/slug", "invalid_value"));
    assert_eq!(spot("{\"slug\":\"cath\u{202E}ay\",\"name\":\"x\"}").await, at("/slug", "invalid_value"));
    assert_eq!(spot(r#"{"slug":"cathay","name":"a\u0000b"}"#).await, at("/name", "invalid_value"));
    assert_eq!(spot("{\"slug\":\"cathay\",\"name\":\"a\u{202E}b\"}").await, at("/name", "invalid_value"));
    let deep = format!("{{\"slug\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(spot(&deep).await, at("/slug", "wrong_type"));
    let deep_unknown = format!("{{\"x\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(spot(&deep_unknown).await, at("/x", "unknown_field"));
}

#[actix_web::test]
async fn a_body_of_another_type_or_packed_is_refused() {
    let rig = Rig::start().await;
    let key = rig.key(Role::Operator).await;
    let request = || TestRequest::post().uri("/v1/merchants").insert_header(("authorization", key.as_str()));
    rig.ask(request().set_payload(MERCHANT)).await.problem(415, "unsupported_media_type");
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let typed = request().insert_header(("content-type", wrong)).set_payload(MERCHANT);
        rig.ask(typed).await.problem(415, "unsupported_media_type");
    }
    let packed =
        request().insert_header(("content-type", "application/json")).insert_header(("content-encoding", "gzip"));
    rig.ask(packed.set_payload(MERCHANT)).await.problem(415, "unsupported_media_type");
    let expecting = request().insert_header(("expect", "a-miracle")).set_payload(MERCHANT);
    rig.ask(expecting).await.problem(417, "expectation_failed");
}

#[actix_web::test]
async fn ten_megabytes_are_refused_announced_or_not() {
    let rig = Rig::start().await;
    let announced = TestRequest::post()
        .uri("/v1/merchants")
        .insert_header(("authorization", rig.key(Role::Operator).await))
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-length", "10485760"));
    rig.ask(announced).await.problem(413, "body_too_large");
    // Were more than the limit read, the stream would never end and the deadline would answer.
    let chunk = Bytes::from(vec![b' '; 16_384]);
    let endless = stream::repeat_with(move || Ok(chunk.clone()));
    stream(&rig, endless).await.problem(413, "body_too_large");
}

#[actix_web::test]
async fn one_byte_a_second_is_cut_off_at_the_deadline() {
    let rig = Rig::start().await;
    let drip = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok(Bytes::from_static(b" ")), ()))
    });
    stream(&rig, drip).await.problem(408, "request_timeout");
    stream(&rig, stream::pending()).await.problem(408, "request_timeout");
}

#[actix_web::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let rig = Rig::start().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))]);
    stream(&rig, broken).await.problem(400, "bad_request");
}

#[actix_web::test]
async fn a_query_that_does_not_fit_is_named_by_parameter() {
    let rig = Rig::start().await;
    let key = rig.key(Role::Operator).await;
    for (query, parameter, code) in [
        ("limit=0", "limit", "invalid_value"),
        ("limit=x", "limit", "invalid_value"),
        ("page=1", "page", "unknown_field"),
        ("cursor=%00", "cursor", "invalid_value"),
    ] {
        let answer = rig.get(&format!("/v1/merchants?{query}"), &key).await;
        assert_eq!(answer.problem(422, "invalid_request"), [(parameter.to_owned(), code.to_owned())]);
    }
}

#[actix_web::test]
async fn a_key_that_asks_too_often_waits_and_sees_it_coming() {
    let rig = Rig::with(&[("RATE_PER_KEY", "1")]).await;
    let (key, other) = (rig.key(Role::Operator).await, rig.key(Role::Operator).await);
    let first = rig.get("/v1/merchants", &key).await;
    assert_eq!(first.status, 200);
    assert_eq!((first.header("ratelimit-policy"), first.header("ratelimit")), ("\"key\";q=2;w=2", "\"key\";r=1;t=1"));
    assert_eq!(rig.get("/v1/merchants", &key).await.status, 200);
    // A second may pass between two requests of a machine that is busy, and lets one more through.
    let mut limited = rig.get("/v1/merchants", &key).await;
    while limited.status == 200 {
        limited = rig.get("/v1/merchants", &key).await;
    }
    limited.problem(429, "rate_limited");
    assert_eq!((limited.header("retry-after"), limited.header("ratelimit")), ("1", "\"key\";r=0;t=2"));
    assert_eq!(rig.get("/v1/merchants", &other).await.status, 200, "another key has its own rate");
}

#[actix_web::test]
async fn failed_keys_are_limited_by_address_and_never_slow_a_valid_one_there() {
    let rig = Rig::with(&[("RATE_FAILED_KEYS", "1")]).await;
    let valid = rig.key(Role::Operator).await;
    assert_eq!(rig.get("/v1/merchants", &valid).await.status, 200);
    let from = async |address: &str, key: &str| {
        let peer: SocketAddr = address.parse().unwrap();
        let request = TestRequest::get().uri("/v1/merchants").peer_addr(peer);
        rig.ask(request.insert_header(("authorization", key))).await
    };
    // A second that passes gives the address another guess, and on a slow machine one may pass anywhere.
    let exhausted = async || {
        for _ in 0..50 {
            let answer = from("192.0.2.1:3", "Bearer pgk_guess").await;
            if answer.status == 429 {
                return answer;
            }
            answer.problem(401, "invalid_key");
        }
        panic!("50 guesses were not limited");
    };
    from("192.0.2.1:1", "Bearer pgk_guess").await.problem(401, "invalid_key");
    let limited = exhausted().await;
    limited.problem(429, "too_many_failed_keys");
    assert_eq!(limited.header("retry-after"), "1");

    // A key that this replica has not seen yet: the exhausted address can't make it ask.
    let mut tries = 0;
    let fresh = loop {
        tries += 1;
        assert!(tries < 20, "an exhausted address made it ask");
        let (_, fresh) = rig.make_elsewhere(NewKey::of(Role::Operator, None, "fresh")).await;
        exhausted().await;
        let answer = from("192.0.2.1:4", &fresh).await;
        if answer.status == 429 {
            answer.problem(429, "too_many_failed_keys");
            break fresh;
        }
    };
    for _ in 0..20 {
        assert_eq!(from("192.0.2.1:5", &valid).await.status, 200);
    }
    assert_eq!(from("192.0.2.2:1", &fresh).await.status, 200, "another address asks once and finds it");
    assert_eq!(from("192.0.2.1:6", &fresh).await.status, 200, "and now it is known here");
}

#[actix_web::test]
async fn an_anonymous_request_costs_its_address_nothing() {
    let rig = Rig::with(&[("RATE_FAILED_KEYS", "1")]).await;
    for _ in 0..5 {
        rig.get("/v1/merchants", "").await.problem(401, "missing_key");
    }
}

#[actix_web::test]
async fn readiness_tells_degraded_from_down() {
    let rig = Rig::start().await;
    let ready = async |rig: &Rig| {
        let answer = rig.ask(TestRequest::get().uri("/readyz")).await;
        (answer.status.as_u16(), answer.text)
    };
    assert_eq!(ready(&rig).await, (200, r#"{"status":"ready","reasons":[]}"#.into()));
    rig.state.drain();
    assert_eq!(ready(&rig).await, (503, r#"{"status":"draining","reasons":["draining"]}"#.into()));

    // Nothing listens there.
    let rig = Rig::with(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    let degraded = (200, r#"{"status":"degraded","reasons":["redis_unreachable"]}"#.to_owned());
    for _ in 0..100 {
        if ready(&rig).await == degraded {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ready(&rig).await, degraded);
}

#[actix_web::test]
async fn the_document_is_served_and_every_operation_in_it_says_who_may() {
    let rig = Rig::start().await;
    let served = rig.ask(TestRequest::get().uri("/openapi.json")).await;
    let document = served.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
            assert!(operation["operationId"].as_str().is_some_and(|id| id.contains('_')), "{name}: operationId");
            let roles = operation["x-roles"].as_array().unwrap_or_else(|| panic!("{name} has no x-roles"));
            // A link is enough for what it leads to.
            let takes_a_key = path.starts_with("/v1/") && !path.starts_with("/v1/my/");
            assert_eq!(!roles.is_empty(), takes_a_key, "{name}");
            for status in operation["responses"].as_object().unwrap().keys() {
                assert!(status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()), "{name}: {status}");
            }
            if takes_a_key {
                assert!(operation["responses"]["401"].is_object(), "{name} does not describe 401");
            }
            seen += 1;
        }
    }
    assert!(seen >= 9, "only {seen} operations");
    let unauthorized = &document["paths"]["/v1/keys"]["post"]["responses"]["401"];
    let codes = unauthorized["description"].as_str().unwrap();
    assert!(codes.contains("`missing_key`") && codes.contains("`revoked_key`"), "one response names them all: {codes}");
    assert!(unauthorized["content"]["application/problem+json"].is_object());
}

#[actix_web::test]
async fn the_docs_page_needs_no_other_machine() {
    let rig = Rig::start().await;
    let moved = rig.ask(TestRequest::get().uri("/docs")).await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (307, "/docs/"));
    let page = rig.ask(TestRequest::get().uri("/docs/")).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("https://"), "{}", page.text);
    let script = rig.ask(TestRequest::get().uri("/docs/swagger-ui-bundle.js")).await;
    assert_eq!(script.status, 200);
}
