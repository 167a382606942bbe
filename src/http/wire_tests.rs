//! Tests of what only a real connection shows: bodies left out, connections closed, requests that are none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;

use super::app;
use super::testing::Rig;
use crate::access::Role;

fn listen(rig: &Rig) -> (SocketAddr, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (gateway, state, documents) = (rig.gateway.clone(), rig.state.clone(), rig.documents.clone());
    let server = HttpServer::new(move || app(gateway.clone(), state.clone(), &documents, |_| {}));
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Sends the bytes and reads until the server closes the connection.
async fn exchange(address: SocketAddr, request: String) -> String {
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[actix_web::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let rig = Rig::start().await;
    let (address, server) = listen(&rig);
    let ask = |method: &str| format!("{method} /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let get = exchange(address, ask("GET")).await;
    let head = exchange(address, ask("HEAD")).await;
    assert!(get.starts_with("HTTP/1.1 200") && get.ends_with("\r\n\r\nalive\n"), "{get}");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-length: 6"), "{head}");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_body_that_never_ends_loses_its_connection_in_time() {
    let rig = Rig::start().await;
    let key = rig.key(Role::Operator).await;
    let (address, server) = listen(&rig);
    let head =
        format!("POST /v1/merchants HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: application/json\r\n");
    let began = Instant::now();
    let slow = exchange(address, format!("{head}content-length: 50\r\n\r\n{{")).await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("\"request_timeout\""), "{slow}");
    let large = exchange(address, format!("{head}content-length: 10485760\r\n\r\n{{")).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("\"body_too_large\""), "{large}");
    assert!(began.elapsed() < Duration::from_secs(5), "both connections were closed: {:?}", began.elapsed());
    server.stop(false).await;
}

#[actix_web::test]
async fn what_is_not_http_is_a_400_and_an_odd_path_is_a_404() {
    let rig = Rig::start().await;
    let (address, server) = listen(&rig);
    for garbage in ["\0\0\0\0\r\n\r\n", "GET /\u{202E} HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        let answer = exchange(address, garbage.to_owned()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{garbage:?} -> {answer}");
    }
    for path in ["//", "/%00", "/%", "/..;/etc", "/v1%2fkeys"] {
        let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("problem+json"), "{path} -> {answer}");
    }
    server.stop(false).await;
}
