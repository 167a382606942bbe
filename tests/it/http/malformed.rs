//! What is no HTTP, or breaks off: refused, and told in the log only to those who ask for `debug`. A stranger without a
//! key could fill it otherwise.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;

/// What comes back, until the server closes.
fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn hostile() -> Vec<Vec<u8>> {
    let head = |more: &str| format!("POST /v1/checks HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n").into_bytes();
    let mut all = vec![
        b"GARBAGE\r\n\r\n".to_vec(),
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /v1/perks HTTP/1.1\r\nno colon\r\n\r\n".to_vec(),
        // TLS to a port that has none.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xffgarbage".to_vec(),
        head("content-length: 1\r\ncontent-length: 2"),
        head("content-length: -1"),
        head("transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nZZ"),
        head("content-length: 100\r\ncontent-type: application/json\r\n\r\n{"),
        b"POST /v1/checks HTTP/1.1\r\nhos".to_vec(),
    ];
    all.push(head(&format!("x-long: {}", "a".repeat(200_000))));
    all
}

#[test]
fn the_id_of_a_refused_request_stands_in_the_log() {
    let database = TestDatabase::empty_sqlite();
    let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &database, &[("log", "info")]);
    for (nth, head) in
        ["GET /v1/perks", "GET /secret-path", "POST /livez", "GET /v1/grants/grt_secret"].iter().enumerate()
    {
        let request = format!("{head} HTTP/1.1\r\nhost: x\r\nx-request-id: find-me-{nth}\r\nconnection: close\r\n\r\n");
        let answer = say(serve.address(), request.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 4") && answer.contains(&format!("\"request_id\":\"find-me-{nth}\"")),
            "{answer}"
        );
    }
    assert!(
        say(
            serve.address(),
            b"GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: all-is-well\r\nconnection: close\r\n\r\n"
        )
        .contains(" 200 ")
    );
    let log = serve.into_log();
    for (nth, code) in ["missing_key", "not_found", "method_not_allowed", "missing_key"].iter().enumerate() {
        let named = format!("find-me-{nth}");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&named)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains("INFO") && lines[0].contains(code), "{lines:?}");
    }
    assert!(!log.contains("secret") && !log.contains("all-is-well"), "{log}");
}

#[test]
fn a_client_that_speaks_no_http_writes_no_error_into_the_log() {
    let program = Path::new(env!("CARGO_BIN_EXE_perkgate"));
    for (filter, tells) in [("info", false), ("perkgate=debug,info", true)] {
        let database = TestDatabase::empty_sqlite();
        let serve = Serve::start(program, &database, &[("log", filter)]);
        for bytes in hostile() {
            let answer = say(serve.address(), &bytes);
            assert!(!answer.contains(" 500 ") && !answer.contains(" 200 "), "{bytes:?}: {answer}");
        }
        let log = serve.into_log();
        let loud: Vec<_> = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).collect();
        assert!(loud.is_empty(), "{filter}: {loud:#?}");
        assert_eq!(log.contains("what is no HTTP"), tells, "{filter}: {log}");
    }
}
