//! `perkgate doctor` finds what is wrong and says how to mend it.

use serde_json::{Value, json};

use super::{json_of, perkgate};
use crate::support::databases::TestDatabase;
use crate::support::services::Redis;

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
    assert_eq!(answer["healthy"], json!(false));
    let key = finding(&answer, "master key");
    assert_eq!(key["state"], json!("wrong"));
    assert!(key["try"].as_str().unwrap().contains("perkgate.key"));
}

#[test]
fn all_is_well_on_a_migrated_database() {
    for database in TestDatabase::migrated() {
        let directory = tempfile::tempdir().unwrap();
        let key = perkgate(directory.path(), &["key", "master"]).stdout;
        std::fs::write(directory.path().join("key"), key).unwrap();
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
        assert!(answer["findings"].as_array().unwrap().iter().all(|finding| finding["state"] == "ok"), "{answer}");
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
