//! What every command promises: exit codes, `--json`, and what is told when a setting is wrong.

use serde_json::json;

use super::{json_of, perkgate};
use crate::support::databases::TestDatabase;

#[test]
fn a_wrong_setting_is_refused_with_its_name_and_an_example() {
    let directory = tempfile::tempdir().unwrap();
    let refused = perkgate(directory.path(), &["migrate", "--database-url", "mysql://me:s3cret@db/x"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        "error: the setting `database_url` from --database-url is wrong: a database is `sqlite:PATH` or \
         `postgres://USER@HOST/NAME`\n  try: --database-url 'sqlite:perkgate.db'\n"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn with_json_a_complaint_is_one_object_on_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = perkgate(directory.path(), &["--json", "migrate", "--log-format", "xml"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        json_of(&wrong.stderr),
        json!({"errors": [{
            "detail": "the setting `log_format` from --log-format is wrong: it must be `text` or `json`, not `xml`",
            "code": "bad_setting",
            "try": "--log-format 'text'"
        }]})
    );
    let usage = perkgate(directory.path(), &["frobnicate", "--json"]);
    assert_eq!(usage.status.code(), Some(2));
    let told = json_of(&usage.stderr);
    assert!(told["errors"][0]["detail"].as_str().unwrap().contains("frobnicate"));
    assert_eq!(told["errors"][0]["code"], "usage");
    let usage = perkgate(directory.path(), &["perk", "history", "--json"]);
    assert_eq!(
        json_of(&usage.stderr),
        json!({"errors": [{
            "detail": "the following required arguments were not provided: <PERK>",
            "code": "usage",
            "try": "perkgate perk history --help"
        }]})
    );
    assert_eq!(perkgate(directory.path(), &["--help"]).status.code(), Some(0));
    // What only looking at the answer shows is the same kind of fault.
    let unsaid = perkgate(directory.path(), &["score", "import", "-", "--source", "klout", "--json"]);
    assert_eq!((unsaid.status.code(), &json_of(&unsaid.stderr)["errors"][0]["code"]), (Some(2), &json!("usage")));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = perkgate(directory.path(), &["serve", "--listen", &address, "--json"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    let told = json_of(said.lines().last().unwrap().as_bytes());
    assert_eq!((refused.status.code(), &told["errors"][0]["code"]), (Some(1), &json!("address_in_use")), "{said}");
}

#[test]
fn migrate_says_what_it_applied_and_does_nothing_the_second_time() {
    for database in TestDatabase::empty() {
        let directory = tempfile::tempdir().unwrap();
        let url = database.setting();
        let migrate = || {
            let done = perkgate(directory.path(), &["migrate", "--json", "--database-url", &url]);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            json_of(&done.stdout)["applied"].as_array().unwrap().len()
        };
        assert!(migrate() > 0);
        assert_eq!(migrate(), 0);
        assert!(database.open().pending_migrations().unwrap().is_empty());
    }
}

#[test]
fn logs_go_to_stderr_as_json_lines_and_show_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let done = perkgate(directory.path(), &["migrate", "--log-format", "json"]);
    let line = json_of(&done.stderr);
    assert_eq!(line["level"], json!("WARN"));
    assert_eq!(line["path"], json!("perkgate.key"));
    let key = std::fs::read_to_string(directory.path().join("perkgate.key")).unwrap();
    let told = [done.stderr, done.stdout].concat();
    assert!(!String::from_utf8(told).unwrap().contains(key.trim()));
}

#[test]
fn key_master_prints_a_fresh_key_that_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let make = || String::from_utf8(perkgate(directory.path(), &["key", "master"]).stdout).unwrap();
    let key = make();
    assert_ne!(key, make());
    std::fs::write(directory.path().join("key"), &key).unwrap();
    let done = perkgate(directory.path(), &["migrate", "--master-key-file", "key"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!directory.path().join("perkgate.key").exists(), "a key that was given is not made again");
}
