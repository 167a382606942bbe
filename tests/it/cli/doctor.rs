//! `perkgate doctor` finds what is wrong and says how to mend it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{json_of, perkgate};
use crate::score_cache::states::answer_as_a_web_server;
use crate::support::databases::TestDatabase;
use crate::support::services::Redis;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn finding<'a>(answer: &'a Value, check: &str) -> &'a Value {
    answer["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).unwrap()
}

#[test]
fn a_database_that_lost_its_master_key_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    assert!(perkgate(directory.path(), &["migrate"]).status.success());
    std::fs::remove_file(directory.path().join("perkgate.key")).unwrap();
    let doctor = perkgate(directory.path(), &["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(1));
    let answer = json_of(&doctor.stdout);
    assert_eq!(answer["ok"], json!(false));
    let key = finding(&answer, "master key");
    assert_eq!(key["status"], json!("wrong"));
    assert!(key["try"].as_str().unwrap().contains("perkgate.key"));
}

#[test]
fn all_is_well_on_a_migrated_database() {
    for database in TestDatabase::migrated() {
        let directory = tempfile::tempdir().unwrap();
        let key = perkgate(directory.path(), &["key", "master"]).stdout;
        std::fs::write(directory.path().join("key"), key).unwrap();
        set_mode(&directory.path().join("key"), 0o600);
        let url = database.setting();
        let mut arguments = vec!["doctor", "--json", "--listen", "127.0.0.1:0", "--master-key-file", "key"];
        arguments.extend(["--database-url", &url]);
        let redis = Redis::shared().map(Redis::url);
        if let Some(redis) = &redis {
            arguments.extend(["--redis-url", redis]);
        }
        let doctor = perkgate(directory.path(), &arguments);
        let answer = json_of(&doctor.stdout);
        assert_eq!(doctor.status.code(), Some(0), "{answer}");
        assert!(answer["findings"].as_array().unwrap().iter().all(|finding| finding["status"] == "ok"), "{answer}");
    }
}

#[test]
fn a_postgres_without_its_schema_and_key_is_told_what_to_run() {
    for database in TestDatabase::empty().into_iter().filter(|it| it.setting().starts_with("postgres")) {
        let directory = tempfile::tempdir().unwrap();
        let doctor = perkgate(directory.path(), &["doctor", "--json", "--database-url", &database.setting()]);
        assert_eq!(doctor.status.code(), Some(1));
        let answer = json_of(&doctor.stdout);
        assert_eq!(finding(&answer, "database")["try"], json!("perkgate migrate"));
        assert!(finding(&answer, "master key")["try"].as_str().unwrap().contains("perkgate key master"));
    }
}

#[test]
fn all_wrong_settings_are_findings() {
    let directory = tempfile::tempdir().unwrap();
    let doctor = perkgate(directory.path(), &["doctor", "--json", "--listen", "x", "--log", "inof"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert_eq!(json_of(&doctor.stdout)["findings"].as_array().unwrap().len(), 2);
}

#[test]
fn a_master_key_that_others_can_read_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    assert!(perkgate(directory.path(), &["migrate"]).status.success());
    let key = directory.path().join("perkgate.key");
    let elsewhere = directory.path().join("elsewhere");
    std::fs::copy(&key, &elsewhere).unwrap();
    for (mode, state) in [(0o600, "ok"), (0o640, "ok"), (0o644, "warning"), (0o604, "warning"), (0o602, "warning")] {
        for (path, arguments) in [(&key, &[][..]), (&elsewhere, &["--master-key-file", "elsewhere"])] {
            set_mode(path, mode);
            let arguments = [&["doctor", "--json", "--listen", "127.0.0.1:0"], arguments].concat();
            let doctor = perkgate(directory.path(), &arguments);
            assert_eq!(doctor.status.code(), Some(0), "a warning only");
            let answer = json_of(&doctor.stdout);
            let secrets = finding(&answer, "secrets");
            assert_eq!(secrets["status"], state, "{mode:o} {secrets}");
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(secrets["detail"].as_str().unwrap().contains(name), state == "warning", "{secrets}");
            assert_eq!(secrets["try"].as_str().is_some_and(|remedy| remedy.contains("chmod 600")), state == "warning");
        }
    }
}

#[test]
fn secrets_in_a_toml_that_others_can_read_are_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let toml = directory.path().join("perkgate.toml");
    for (text, mode, state) in [
        ("redis_url = \"redis://:s3cret@127.0.0.1:1\"", 0o644, "warning"),
        ("redis_url = \"redis://:s3cret@127.0.0.1:1\"", 0o640, "ok"),
        ("redis_url = \"redis://127.0.0.1:1\"", 0o644, "ok"),
        ("database_url = \"postgres://perkgate:s3cret@127.0.0.1:1/x\"", 0o644, "warning"),
        ("database_url = \"postgres://perkgate@127.0.0.1:1/x?password=s3cret\"", 0o644, "warning"),
        ("database_url = \"postgres://perkgate@127.0.0.1:1/x\"", 0o644, "ok"),
        ("anchor_webhook_token = \"s3cret\"", 0o644, "warning"),
        ("master_key = \"czNjcmV0czNjcmV0czNjcmV0czNjcmV0czNjcmV0czM=\"", 0o644, "warning"),
        ("log = \"warn\"", 0o644, "ok"),
    ] {
        std::fs::write(&toml, text).unwrap();
        set_mode(&toml, mode);
        let arguments = ["doctor", "--json", "--config", "perkgate.toml", "--listen", "127.0.0.1:0"];
        let doctor = perkgate(directory.path(), &arguments);
        let answer = json_of(&doctor.stdout);
        let secrets = finding(&answer, "secrets");
        assert_eq!(secrets["status"], state, "{text} {secrets}");
        assert_eq!(secrets["detail"].as_str().unwrap().contains("perkgate.toml"), state == "warning", "{secrets}");
        let all = String::from_utf8_lossy(&doctor.stdout).into_owned() + &String::from_utf8_lossy(&doctor.stderr);
        assert!(!all.contains("s3cret") && !all.contains("czNjcmV0"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_tried_and_what_it_refuses_is_told_with_a_remedy() {
    let Some(redis) = Redis::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let look = |url: &str| {
        let arguments = ["doctor", "--json", "--listen", "127.0.0.1:0", "--redis-url", url];
        let doctor = perkgate(directory.path(), &arguments);
        let all = String::from_utf8_lossy(&doctor.stdout).into_owned() + &String::from_utf8_lossy(&doctor.stderr);
        assert!(!all.contains("s3cret"), "{all}");
        let found = finding(&json_of(&doctor.stdout), "redis").clone();
        assert_eq!(doctor.status.code(), Some(i32::from(found["status"] != "ok")));
        assert_eq!(found["try"].is_string(), found["status"] != "ok", "{found}");
        (found["status"].as_str().unwrap().to_owned(), found["detail"].as_str().unwrap().to_owned())
    };
    let refused = |url: &str, reason: &str| {
        let (state, detail) = look(url);
        assert!(state == "wrong" && detail.contains(reason), "{state} {detail}, not {reason}");
    };
    let run = |words: &[&str]| redis.command::<()>(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
    assert_eq!(look(&redis.url()).0, "ok");
    assert!(redis.command::<Vec<Vec<u8>>>(&[b"KEYS", b"*"]).is_empty(), "nothing is left behind");
    refused(&format!("{}/99", redis.url()), "database");
    refused("redis://127.0.0.1:1", "reached");
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = web.local_addr().unwrap();
    tokio::spawn(answer_as_a_web_server(web));
    refused(&format!("redis://:s3cret@{at}"), "no Redis");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    refused(&format!("redis://{}", silent.local_addr().unwrap()), "time");

    // Whoever asks is another user than the one that changes the rights.
    run(&["ACL", "SETUSER", "gate", "on", ">s3cret", "~perkgate:*", "&perkgate:*", "+set", "+getrange", "+del"]);
    run(&["ACL", "SETUSER", "gate", "+publish", "+subscribe", "+ping"]);
    let login = |login: &str| redis.url().replace("//", &format!("//{login}@"));
    let gate = login("gate:s3cret");
    assert_eq!(look(&gate), look(&redis.url()), "these rights are enough");
    refused(&login("gate:wrong-s3cret"), "password");
    for (right, command) in [
        ("set", "SET (NOPERM)"),
        ("getrange", "GETRANGE (NOPERM)"),
        ("del", "DEL (NOPERM)"),
        ("publish", "PUBLISH (NOPERM)"),
        ("subscribe", "SUBSCRIBE (NOPERM)"),
        ("ping", "PING (NOPERM)"),
    ] {
        run(&["ACL", "SETUSER", "gate", &format!("-{right}")]);
        refused(&gate, command);
        run(&["ACL", "SETUSER", "gate", &format!("+{right}")]);
    }
    run(&["ACL", "SETUSER", "gate", "resetkeys", "~another:*"]);
    refused(&gate, "SET (NOPERM)");
    run(&["CONFIG", "SET", "maxmemory", "1"]);
    refused(&redis.url(), "SET (OOM)");
    run(&["CONFIG", "SET", "maxmemory", "0"]);
    run(&["REPLICAOF", "127.0.0.1", "1"]);
    refused(&redis.url(), "SET (READONLY)");
    run(&["REPLICAOF", "NO", "ONE"]);
    run(&["CONFIG", "SET", "requirepass", "another-s3cret"]);
    refused(&redis.url(), "password");
}
