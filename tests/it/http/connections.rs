//! Connections that cost more than they bring: clients that never read, dawdle, or are too many.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;

use crate::support::app::TestApp;
use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;

const GET: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose every byte the test chooses.
pub(super) struct Connection(BufReader<TcpStream>);

#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn send_no_more(&mut self) {
        self.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next answer, whole.
    pub(super) fn answer(&mut self) -> Answer {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {line:?}"));
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, headers, body: String::from_utf8(body).unwrap() }
    }

    pub(super) fn ask(&mut self, text: &str) -> Answer {
        self.send(text);
        self.answer()
    }

    /// Nothing more comes, and the gateway has ended it.
    pub(super) fn ends(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off_and_others_are_answered() {
    let app = TestApp::start(&[("write_timeout", "300ms")]).await;
    for path in ["/openapi.json", "/docs/swagger-ui-bundle.js"] {
        let mut silent = Connection::open(app.address);
        let asks = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(1000);
        let cut_off = tokio::task::spawn_blocking(move || {
            loop {
                if let Err(error) = silent.0.get_mut().write_all(asks.as_bytes()) {
                    return error.kind();
                }
            }
        });
        while !cut_off.is_finished() {
            assert_eq!(app.anonymous().get("/livez").await.status, 200);
        }
        let kind = cut_off.await.unwrap();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{path}: {kind}");
    }
}

/// Kilobytes of a process that are in memory.
#[cfg(target_os = "linux")]
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn fifty_clients_that_never_read_cost_less_than_a_megabyte_each() {
    let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &TestDatabase::empty_sqlite(), &[]);
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4000);
    let mut reading = Connection::open(serve.address());
    assert_eq!(reading.ask("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
    let before = resident(serve.id());
    let mut silent: Vec<(TcpStream, usize)> =
        (0..50).map(|_| (TcpStream::connect(serve.address()).unwrap(), 0)).collect();
    // Every answer to a client who reads comes after the gateway has taken what it takes of the others.
    for _ in 0..20 {
        for (stream, sent) in &mut silent {
            stream.set_nonblocking(true).unwrap();
            while let Ok(more @ 1..) = stream.write(&asks.as_bytes()[*sent..]) {
                *sent += more;
            }
        }
        assert_eq!(Connection::open(serve.address()).ask(GET).status, 200);
    }
    let more = resident(serve.id()).saturating_sub(before);
    assert!(more < 50 * 1024, "{more} kB more than the {before} before");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order_whatever_their_bodies() {
    let app = TestApp::start(&[]).await;
    let key = app.kiosk().await.authorization.unwrap();
    let post = |perk: &str, chunked: bool| {
        // With empty lines, as a head has at its end.
        let body = format!("\r\n\r\n{{\"perk\":\"{perk}\",\r\n\r\n\"subject\":\"a\"}}\r\n\r\n");
        let head = format!(
            "POST /v1/checks HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: application/json\r\n"
        );
        if chunked {
            let (first, second) = body.split_at(17);
            let (one, two) = (first.len(), second.len());
            format!("{head}transfer-encoding: chunked\r\n\r\n{one:x}\r\n{first}\r\n{two:x}\r\n{second}\r\n0\r\n\r\n")
        } else {
            format!("{head}content-length: {}\r\n\r\n{body}", body.len())
        }
    };
    let pipelined: String = (0..100)
        .map(|n| match n % 5 {
            0 => post("nowhere", false),
            1 => post("nowhere", true),
            2 => "HEAD /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            3 => "GET /openapi.json HTTP/1.1\nhost: x\n\n".to_owned(),
            _ => GET.to_owned(),
        })
        .collect();
    let mut connection = Connection::open(app.address);
    let mut writing = connection.0.get_ref().try_clone().unwrap();
    let sent = tokio::task::spawn_blocking(move || {
        writing.write_all(pipelined.as_bytes()).unwrap();
        // The last answers come although we have nothing more to say.
        writing.shutdown(std::net::Shutdown::Write).unwrap();
    });
    for n in 0..100 {
        let expected = [404, 404, 404, 200, 200][n % 5];
        if n % 5 == 2 {
            // HEAD: the length of a body that doesn't come.
            assert_eq!(connection.line(), "HTTP/1.1 404 Not Found", "{n}");
            while !connection.line().is_empty() {}
            continue;
        }
        let answer = connection.answer();
        assert_eq!(answer.status, expected, "{n}: {answer:?}");
    }
    assert!(connection.ends());
    sent.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn for_one_too_many_the_longest_idle_one_makes_room() {
    let app = TestApp::start(&[("max_connections", "2")]).await;
    let (mut first, mut second) = (Connection::open(app.address), Connection::open(app.address));
    assert_eq!((first.ask(GET).status, second.ask(GET).status), (200, 200));
    let mut third = Connection::open(app.address);
    assert_eq!(third.ask(GET).status, 200);
    assert!(first.ends());
    assert_eq!((second.ask(GET).status, third.ask(GET).status), (200, 200));
    // One that has never said anything is idle too.
    let (mut fourth, mut fifth) = (Connection::open(app.address), Connection::open(app.address));
    assert_eq!(fifth.ask(GET).status, 200);
    assert!(second.ends());
    assert!(third.ends() || fourth.ends());
    assert_eq!(fifth.ask(GET).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_work_makes_no_room() {
    let app = TestApp::start(&[("max_connections", "1")]).await;
    let key = app.feeder(&app.cathay).await.authorization.unwrap();
    let mut importing = Connection::open(app.address);
    let lines = "subject,value,observed_at\ntwitter:ada,47.25,2012-05-08T09:00:00Z\n";
    importing.send(&format!(
        "POST /v1/scores/klout/import HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: text/csv\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        lines.len()
    ));
    assert_eq!(importing.line(), "HTTP/1.1 100 Continue");
    assert_eq!(importing.line(), "");
    let refused = Connection::open(app.address).answer();
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
    let imported = importing.ask(lines);
    assert_eq!(imported.status, 200, "{}", imported.body);
    assert!(imported.body.contains("\"accepted\":1"), "{}", imported.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_head_that_comes_slowly_is_cut_off_too() {
    let app = TestApp::start(&[("request_head_timeout", "300ms")]).await;
    let mut slow = Connection::open(app.address);
    assert_eq!(slow.ask(GET).status, 200);
    slow.send("GET /livez HTTP/1.1\r\nx: ");
    assert!(slow.ends());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_open_between_requests_for_as_long_as_it_may() {
    let app = TestApp::start(&[("keep_alive", "3s"), ("request_head_timeout", "1s")]).await;
    let mut kept = Connection::open(app.address);
    for _ in 0..3 {
        assert_eq!(kept.ask(GET).status, 200);
    }
    let idle_since = Instant::now();
    assert!(kept.ends());
    // Neither the time for a head nor any other cuts it short.
    assert!(idle_since.elapsed() > Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_documents_are_not_sent_twice() {
    let app = TestApp::start(&[]).await;
    let anyone = app.anonymous();
    let paths = [
        "/openapi.json",
        "/schemas/perk.json",
        "/docs/",
        "/docs/index.html",
        "/docs/swagger-initializer.js",
        "/docs/swagger-ui-bundle.js",
        "/.well-known/jwks.json",
        "/.well-known/log-keys",
    ];
    for path in paths {
        let whole = anyone.get(path).await;
        assert_eq!((whole.status, whole.header("cache-control")), (200, "public, max-age=300"), "{path}");
        assert_eq!(whole.header("content-length"), whole.text.len().to_string(), "{path}");
        let tag = whole.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 30, "{path}: {tag}");
        for method in [Method::GET, Method::HEAD] {
            let held = anyone.ask(method.clone(), path).header("if-none-match", &tag).await;
            assert_eq!((held.status, held.text.as_str(), held.header("etag")), (304, "", tag.as_str()), "{path}");
            let other = anyone.ask(method, path).header("if-none-match", "\"other\"").await;
            assert_eq!((other.status, other.header("etag")), (200, tag.as_str()), "{path}");
        }
    }
    let page = anyone.get("/docs/swagger-initializer.js").await;
    assert!(page.text.contains("/openapi.json"), "{}", page.text);
    anyone.get("/docs/nothing.js").await.problem(404, "not_found");
}
