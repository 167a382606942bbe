//! Redis comes to be of no use, in every way that it can, and comes back: `/readyz` says so with the reason,
//! and the log in one line each time.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::services::Redis;

/// What is done to Redis, what ends it, and the reason that `/readyz` gives meanwhile.
type Trouble = (&'static str, &'static [&'static str], &'static [&'static str]);

const TROUBLES: [Trouble; 6] = [
    ("redis_refuses_writes", &["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ("redis_refuses_writes", &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
    ("redis_refuses_writes", &["ACL", "SETUSER", "default", "-set"], &["ACL", "SETUSER", "default", "+set"]),
    ("redis_refuses_writes", &["ACL", "SETUSER", "default", "-del"], &["ACL", "SETUSER", "default", "+del"]),
    (
        "redis_refuses_reads",
        &["ACL", "SETUSER", "default", "resetkeys", "%W~*"],
        &["ACL", "SETUSER", "default", "allkeys"],
    ),
    (
        "redis_refuses_messages",
        &["ACL", "SETUSER", "default", "resetchannels"],
        &["ACL", "SETUSER", "default", "allchannels"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_is_a_reason_and_two_lines() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let settings = [("redis_url", &*url), ("redis_timeout", "2s"), ("log", "info")];
    for trouble in TROUBLES {
        let database = TestDatabase::migrated().pop().unwrap();
        let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &database, &settings);
        until_ready_says(&serve, &json!({"status": "ready", "reasons": []})).await;
        let (reason, begin, end) = trouble;
        let run = |words: &[&str]| redis.command::<()>(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        run(begin);
        until_ready_says(&serve, &json!({"status": "degraded", "reasons": [reason]})).await;
        run(end);
        until_ready_says(&serve, &json!({"status": "ready", "reasons": []})).await;
        let log = serve.into_log();
        let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
        assert_eq!((lines(" WARN ") + lines(" ERROR "), lines("Redis works again")), (1, 1), "{trouble:?}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lets_nobody_in_is_told_with_the_reason_and_without_the_password() {
    let Some(redis) = Redis::start() else { return };
    redis.command::<()>(&[b"CONFIG", b"SET", b"requirepass", b"right"]);
    let no_redis = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = format!("redis://{}", no_redis.local_addr().unwrap());
    tokio::spawn(answer_as_a_web_server(no_redis));
    let at = |login: &str, database: &str| redis.url().replace("//", &format!("//{login}")) + database;
    for (url, reason) in [
        (at("", ""), "redis_refuses_login"),
        (at(":s3cret@", ""), "redis_refuses_login"),
        (at(":right@", "/99"), "redis_refuses_database"),
        (web, "redis_is_no_redis"),
    ] {
        let database = TestDatabase::migrated().pop().unwrap();
        let settings = [("redis_url", &*url), ("redis_timeout", "2s"), ("log", "info")];
        let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &database, &settings);
        until_ready_says(&serve, &json!({"status": "degraded", "reasons": [reason]})).await;
        let log = serve.into_log();
        assert!(log.lines().any(|line| line.contains("Redis can't be used")), "{log}");
        assert!(!log.contains("s3cret") && !log.contains("right"), "{log}");
    }
}

/// Answers whoever comes as a web server does that was sent nonsense.
pub(crate) async fn answer_as_a_web_server(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    while let Ok((mut caller, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = caller.read(&mut [0; 1024]).await;
            let _ =
                caller.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        });
    }
}

/// Looks at `/readyz` until it says so.
pub(crate) async fn until_ready_says(serve: &Serve, wanted: &Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(serve.url("/readyz")).await.unwrap();
        assert_eq!(answer.status(), 200);
        let view: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        if view == *wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{view}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
