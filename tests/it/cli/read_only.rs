//! `perkgate audit verify` where nothing can be written: an auditor's copy on a read-only file system.

use std::path::Path;
use std::process::{Command, Output};

use diesel::connection::SimpleConnection as _;
use perkgate::access::Role;
use perkgate::database::Backend;
use serde_json::{Value, json};

use super::json_of;
use crate::support::world::{World, question};

/// Runs the program on what lies in `directory`, mounted so that nobody can write there; none where this machine lets
/// nobody mount.
fn verify_read_only(directory: &Path, more: &str) -> Option<Output> {
    let script = format!(
        "mount --bind '{0}' '{0}' && mount -o remount,ro,bind '{0}' && cd / && ! touch '{0}/x' 2>/dev/null && \
         exec '{1}' audit verify --database-url 'sqlite:{0}/perkgate.db' --json {more}",
        directory.display(),
        env!("CARGO_BIN_EXE_perkgate")
    );
    // In a mount namespace of its own: it goes with the process.
    ["-rm", "-m"].into_iter().find_map(|how| {
        let mut command = Command::new("unshare");
        command.args([how, "sh", "-c", &script]).env_clear().env("PATH", "/usr/bin:/bin");
        command.output().ok().filter(|done| done.stdout.starts_with(b"{") || done.stderr.starts_with(b"{"))
    })
}

fn files(directory: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_verified_where_nothing_can_be_written() {
    for world in World::all().await.into_iter().filter(|world| world.database.backend() == Backend::Sqlite) {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        let source = world.database.setting().strip_prefix("sqlite:").unwrap().to_owned();
        let mut events = Vec::new();
        // As a crash leaves it, with the index of its log and without; and once all is in the file itself.
        for (suffixes, checkpoints) in [(&["", "-wal", "-shm"][..], false), (&["", "-wal"], false), (&[""], true)] {
            let mut conn = world.database.open().dedicated().unwrap();
            if checkpoints {
                conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
            }
            let directory = tempfile::tempdir().unwrap();
            for suffix in suffixes {
                let name = format!("perkgate.db{suffix}");
                std::fs::copy(format!("{source}{suffix}"), directory.path().join(name)).unwrap();
            }
            drop(conn);
            let before = files(directory.path());
            let Some(done) = verify_read_only(directory.path(), "") else {
                // It takes a right that not every account has, and no service that could be installed.
                eprintln!("skipped: nothing can be mounted here");
                return;
            };
            let told = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(0), "{suffixes:?}: {told} {}", String::from_utf8_lossy(&done.stdout));
            let answer: Value = json_of(&done.stdout);
            assert_eq!((&answer["ok"], &answer["checked"]["grants"]), (&json!(true), &json!(1)), "{suffixes:?}");
            events.push(answer["checked"]["events"].clone());
            assert_eq!(files(directory.path()), before, "{suffixes:?}: nothing was made or taken away");

            // What is wrong is found there, too.
            let kept = directory.path().join("kept.json");
            let text = String::from_utf8(done.stdout).unwrap().replace("/cathay\\n", "/cathax\\n");
            std::fs::write(&kept, text).unwrap();
            let done = verify_read_only(directory.path(), &format!("--anchor '{}'", kept.display())).unwrap();
            assert_eq!(done.status.code(), Some(1), "{suffixes:?}");
        }
        assert!(events.iter().all(|count| *count == events[0] && *count != json!(0)), "{events:?}");
    }
}
