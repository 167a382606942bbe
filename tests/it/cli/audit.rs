//! `perkgate audit verify`: its exit codes and its answer.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use perkgate::access::Role;
use serde_json::{Value, json};

use super::{json_of, perkgate};
use crate::support::databases::TestDatabase;
use crate::support::world::{World, question, test_sources};

/// A gateway's database after one visit.
pub(super) async fn visited() -> Vec<World> {
    let mut worlds = Vec::new();
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        worlds.push(world);
    }
    worlds
}

/// Without a master key: it must not be needed.
fn verify(directory: &Path, database: &TestDatabase, more: &[&str]) -> std::process::Output {
    let url = database.setting();
    let mut arguments = vec!["audit", "verify", "--database-url", &url];
    arguments.extend(more);
    perkgate(directory, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_record_is_0_and_its_answer_is_the_next_runs_anchor() {
    for world in visited().await {
        let directory = tempfile::tempdir().unwrap();
        let done = verify(directory.path(), &world.database, &["--json"]);
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
        assert!(done.stderr.is_empty(), "no bar where there is no terminal");
        let answer = json_of(&done.stdout);
        assert_eq!(
            (&answer["ok"], &answer["total"], &answer["counts"], &answer["findings"]),
            (&json!(true), &json!(0), &json!({}), &json!([]))
        );
        assert_eq!(
            answer["checked"],
            json!({"logs": 2, "events": 10, "pruned": 0, "checkpoints": 5, "anchors": 0, "grants": 1, "redemptions": 0,
                   "counters": 0, "referrals": 0, "rules": 1, "keys": 1, "erased": 0})
        );
        let logs: Vec<&Value> = answer["logs"].as_array().unwrap().iter().map(|log| &log["name"]).collect();
        assert_eq!(logs, ["cathay", "operator"]);

        std::fs::write(directory.path().join("kept.json"), &done.stdout).unwrap();
        let key = world.gateway.keyring.log_key().vkey();
        let again = verify(directory.path(), &world.database, &["--anchor", "kept.json", "--key", &key]);
        assert_eq!(again.status.code(), Some(0));
        assert_eq!(
            String::from_utf8(again.stdout).unwrap(),
            "checked 2 logs: 10 events (0 pruned), 5 checkpoints, 2 anchors\n\
             against them: 1 grant, 0 redemptions, 0 limit counters, 0 referrals, 1 rule, 1 key\nall is well\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_1_and_says_what_is_wrong_where() {
    for world in visited().await {
        let directory = tempfile::tempdir().unwrap();
        let mut conn = world.database.open().dedicated().unwrap();
        conn.batch_execute("UPDATE grants SET kid = 'x'").unwrap();
        let done = verify(directory.path(), &world.database, &["--json"]);
        assert_eq!(done.status.code(), Some(1));
        let answer = json_of(&done.stdout);
        assert_eq!(
            (&answer["ok"], &answer["total"], &answer["counts"]),
            (&json!(false), &json!(1), &json!({"grant_mismatch": 1}))
        );
        let finding = &answer["findings"][0];
        assert_eq!(
            (&finding["code"], &finding["log"], &finding["index"]),
            (&json!("grant_mismatch"), &json!("cathay"), &json!(5))
        );
        assert!(finding["event"].as_str().unwrap().starts_with("evt_"));
        assert!(finding["detail"].as_str().unwrap().ends_with("differs from the event in its signing key"));

        let told = String::from_utf8(verify(directory.path(), &world.database, &[]).stdout).unwrap();
        assert!(told.contains("1 thing is wrong:\n  log cathay, index 5, evt_"), "{told}");
        assert!(told.contains("--key names keys"), "{told}");
    }
}

/// What `audit export` writes, in both forms.
pub(super) fn exported(directory: &Path, world: &World) -> [String; 2] {
    let (_, key) = test_sources(&world.database, &[]).environment.swap_remove(0);
    let path = directory.join("master.key");
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let write = |form: &str| {
        let (url, file) = (world.database.setting(), format!("cathay.{form}"));
        let line =
            ["audit", "export", "--merchant", "cathay", "--format", form, "--out", &file, "--database-url", &url];
        let done = perkgate(directory, &[&line[..], &["--master-key-file", "master.key"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        file
    };
    ["ndjson", "csv"].map(write)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_without_database_or_settings() {
    for world in visited().await {
        let directory = tempfile::tempdir().unwrap();
        let key = world.gateway.keyring.log_key().vkey();
        for file in exported(directory.path(), &world) {
            let alone = tempfile::tempdir().unwrap();
            std::fs::copy(directory.path().join(&file), alone.path().join(&file)).unwrap();
            let done = perkgate(alone.path(), &["audit", "verify", &file, "--key", &key, "--json"]);
            assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
            let answer = json_of(&done.stdout);
            assert_eq!((&answer["ok"], &answer["keys_named"]), (&json!(true), &json!(true)));
            assert_eq!(answer["checked"]["exports"], json!(1));
            assert_eq!(std::fs::read_dir(alone.path()).unwrap().count(), 1, "nothing was made");

            // Its own keys are said to be nobody's.
            let done = perkgate(alone.path(), &["audit", "verify", &file]);
            assert_eq!(done.status.code(), Some(0));
            let told = String::from_utf8(done.stdout).unwrap();
            assert!(told.contains("Signatures were held to no key that you named"), "{told}");

            let text = std::fs::read_to_string(alone.path().join(&file)).unwrap();
            std::fs::write(alone.path().join(&file), text.replacen("score_met", "score_mat", 1)).unwrap();
            let done = perkgate(alone.path(), &["audit", "verify", &file, "--key", &key]);
            assert_eq!(done.status.code(), Some(1));
            let told = String::from_utf8(done.stdout).unwrap();
            assert!(told.contains(&format!("  {file}, line ")) && told.contains("(leaf_hash_mismatch)"), "{told}");
        }
        let lost = perkgate(directory.path(), &["audit", "verify", "lost.ndjson"]);
        assert_eq!(lost.status.code(), Some(1));
        assert!(String::from_utf8(lost.stderr).unwrap().starts_with("error: lost.ndjson can't be read: "));
    }
}

/// One file of anchors is kept for all logs: the export of one is held to its own.
#[tokio::test(flavor = "multi_thread")]
async fn anchors_of_other_logs_in_the_same_file_are_no_finding() {
    for world in visited().await {
        let directory = tempfile::tempdir().unwrap();
        let url = world.database.setting();
        let append = ["audit", "checkpoint", "--append", "anchors.ndjson", "--database-url", &url];
        let done = perkgate(directory.path(), &append);
        assert_eq!(String::from_utf8(done.stdout).unwrap(), "appended 2 checkpoints\n");
        let [file, _] = exported(directory.path(), &world);
        let verify = |anchors: &str, more: &[&str]| {
            perkgate(directory.path(), &[&["audit", "verify", &*file, "--anchor", anchors], more].concat())
        };
        let done = verify("anchors.ndjson", &[]);
        let told = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(0), "{told}");
        assert!(told.contains(" 1 anchor\n") && told.contains("1 anchor is of logs that aren't here"), "{told}");
        let answer = json_of(&verify("anchors.ndjson", &["--json"]).stdout);
        let checked = &answer["checked"];
        assert_eq!((&checked["anchors"], &checked["anchors_elsewhere"]), (&json!(1), &json!(1)));

        // A file that holds this log to nothing was meant to.
        let kept = std::fs::read_to_string(directory.path().join("anchors.ndjson")).unwrap();
        let others: Vec<&str> = kept.lines().filter(|line| !line.contains(r#""log":"cathay""#)).collect();
        std::fs::write(directory.path().join("others.ndjson"), others.join("\n")).unwrap();
        let done = verify("others.ndjson", &["--json"]);
        assert_eq!(done.status.code(), Some(1));
        assert_eq!(json_of(&done.stdout)["counts"], json!({"anchor_log_missing": 1}));
    }
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let refused = perkgate(directory.path(), &["audit", "verify"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        "error: there is no gateway's record in this database: sqlite:perkgate.db is not there\n  \
         try: name the gateway's database with `--database-url`\n"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_anchor_or_no_key_is_refused() {
    for database in TestDatabase::migrated() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kept"), "{}").unwrap();
        for (name, code) in [("kept", 1), ("lost", 1)] {
            let refused = verify(directory.path(), &database, &["--anchor", name, "--json"]);
            assert_eq!(refused.status.code(), Some(code));
            let error = json_of(&refused.stderr)["errors"][0]["detail"].as_str().unwrap().to_owned();
            assert!(error.starts_with(&format!("the anchor {name} can't be read: ")), "{error}");
        }
        let usage = verify(directory.path(), &database, &["--key", "x"]);
        assert_eq!(usage.status.code(), Some(2));
    }
}
