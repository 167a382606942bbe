//! A database that is no longer the one that was recorded in: nothing is granted from then on, whatever
//! happened to it, and doors still get the keys to verify with (promises 1 and 7).

use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use perkgate::access::{NewKey, Role};
use perkgate::database::followed::bump_epoch;
use perkgate::database::{AnyConnection, Backend, Database, DatabaseError, DatabaseUrl, Mismatch, schema};
use perkgate::ledger::LedgerError;
use perkgate::ledger::entry::EventDraft;
use serde_json::{Value, json};

use super::degrade::{Lounge, read};
use crate::support::databases::TestDatabase;
use crate::support::world::{CLI, World, question};

const SETTINGS: [(&str, &str); 1] = [("rate_per_key", "0")];

fn path_of(database: &TestDatabase) -> PathBuf {
    let DatabaseUrl::Sqlite(path) = &database.url else { panic!("{} is no file", database.url) };
    path.into()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies as an operator would, in a process of its own: closing the file here would drop this process's locks on it.
fn cp(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

impl Lounge {
    async fn secret(&self, key: NewKey) -> String {
        let (_, secret) = self.world.gateway.directory.create_key(key, CLI).await.unwrap();
        secret.expose().to_owned()
    }

    async fn send(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), self.serve.url(path)).bearer_auth(key);
        let media = if path.ends_with("/import") { "application/x-ndjson" } else { "application/json" };
        let request = request.header("Content-Type", media).body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        assert_eq!(status == 503, retry, "a 503 says when to come back: {method} {path}");
        (status, read(answer).await)
    }

    /// Grants, does the damage, and finds that no door records anything any more.
    async fn refuses_after(&self, what: &str, damage: impl AsyncFnOnce()) {
        let merchant = Some(self.merchant.id.clone());
        let admin = self.secret(NewKey::of(Role::Admin, merchant.clone(), "admin")).await;
        let door = NewKey { audience: Some("lounge".to_owned()), ..NewKey::of(Role::Door, merchant, "door") };
        let door = self.secret(door).await;
        // It knows them by then, or it would say that it can't tell whose they are.
        for key in [&admin, &door] {
            let request = self.http.get(self.serve.url("/v1/perks")).bearer_auth(key);
            assert!([200, 403].contains(&request.send().await.unwrap().status().as_u16()));
        }
        let granted = Self::granted(self.check().await).await;
        damage().await;
        let check = json!({"perk": "lounge", "subject": "twitter:ada"});
        let key = self.key.clone();
        let (status, refused) = self.send(&key, "POST", "/v1/checks", &check).await;
        assert_eq!((status, &refused["code"]), (503, &json!("unavailable")), "{what}: {refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("database"), "{what}: it says what happened: {detail}");
        assert!(!detail.contains('/'), "{what}: not where it lies: {detail}");

        let grant = granted["grant"].as_str().unwrap();
        let redeem = json!({"token": granted["token"], "door": "A", "attempt": "1"});
        let score = json!({"value": 50, "observed_at": "2026-01-01T00:00:00Z"});
        let perk = json!({"perk": "spa", "name": "Spa", "rule": {"at_least": 1, "score": "klout"}});
        let new_key = json!({"role": "kiosk", "label": "B"});
        let line = json!({"subject": "twitter:bo", "value": 50, "observed_at": "2026-01-01T00:00:00Z"});
        for (key, method, path, body) in [
            (&door, "POST", "/v1/tokens/redeem", &redeem),
            (&admin, "POST", &*format!("/v1/grants/{grant}/void"), &json!({"note": "a mistake"})),
            (&admin, "POST", &*format!("/v1/grants/{grant}/release"), &json!({})),
            (&admin, "PUT", "/v1/scores/klout/twitter:ada", &score),
            (&admin, "POST", "/v1/scores/klout/import", &line),
            (&admin, "POST", "/v1/perks", &perk),
            (&admin, "POST", "/v1/keys", &new_key),
            (&admin, "PUT", "/v1/approvals", &json!({"required": true})),
        ] {
            let (status, refused) = self.send(key, method, path, body).await;
            assert_eq!(status, 503, "{what}: {method} {path}: {refused}");
        }
        self.until_ready_says("degraded", &["database_replaced"]).await;
        let keys = self.http.get(self.serve.url("/.well-known/jwks.json")).send().await.unwrap();
        assert_eq!(keys.status(), 200, "{what}");
        assert!(!read(keys).await["keys"].as_array().unwrap().is_empty(), "{what}");
    }

    /// Runs statements beside the program.
    fn sql(&self, text: &str) {
        let run = |conn: &mut AnyConnection| conn.batch_execute(text).map_err(DatabaseError::from);
        self.world.database.open().read_blocking(run).unwrap();
    }

    /// Copies all of the database into another file, as a backup does.
    fn back_up(&self) -> PathBuf {
        let backup = path_of(&self.world.database).with_extension("backup");
        self.sql(&format!("VACUUM INTO '{}'", backup.display()));
        backup
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_that_goes_away_ends_granting() {
    type Way = (&'static str, fn(&Lounge, &Path));
    let ways: [Way; 6] = [
        ("deleted", |_, path| std::fs::remove_file(path).unwrap()),
        ("its directory renamed", |_, path| {
            let directory = path.parent().unwrap();
            std::fs::rename(directory, beside(directory, ".old")).unwrap();
        }),
        ("replaced by its own copy", |_, path| {
            cp(path, &path.with_extension("copy"));
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("deleted with all that is beside it", |_, path| {
            for suffix in ["", "-wal", "-shm"] {
                std::fs::remove_file(beside(path, suffix)).unwrap();
            }
        }),
        ("its write-ahead log deleted", |_, path| std::fs::remove_file(beside(path, "-wal")).unwrap()),
        ("its shared memory deleted", |_, path| std::fs::remove_file(beside(path, "-shm")).unwrap()),
    ];
    for (what, damage) in ways {
        let lounge = Lounge::open(TestDatabase::empty_sqlite(), &SETTINGS).await;
        let path = path_of(&lounge.world.database);
        lounge.refuses_after(what, async || damage(&lounge, &path)).await;
        let _ = std::fs::remove_dir_all(beside(path.parent().unwrap(), ".old"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_copied_over_the_file_in_place_ends_granting() {
    let lounge = Lounge::open(TestDatabase::empty_sqlite(), &SETTINGS).await;
    let (path, backup) = (path_of(&lounge.world.database), lounge.back_up());
    let restore = async || {
        // What was granted since stands in the file itself, and nowhere else.
        lounge.sql("PRAGMA wal_checkpoint(TRUNCATE)");
        cp(&backup, &path);
    };
    lounge.refuses_after("copied over in place", restore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_elsewhere_ends_granting() {
    let mut database = TestDatabase::empty_sqlite();
    let real = path_of(&database);
    let link = real.with_file_name("link.db");
    std::os::unix::fs::symlink("perkgate.db", &link).unwrap();
    database.url = format!("sqlite:{}", link.display()).parse().unwrap();
    let lounge = Lounge::open(database, &SETTINGS).await;
    assert!(beside(&real, "-wal").exists(), "it lies beside the file itself");
    let other = lounge.back_up();
    let lead_elsewhere = async || {
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
    };
    lounge.refuses_after("a link led elsewhere", lead_elsewhere).await;
}

/// All rows of the log as they stood, in the words that bring them back.
pub(super) struct Before {
    log: String,
    merchant: String,
    size: i64,
    frontier: Vec<u8>,
    root: Vec<u8>,
    checkpoint: String,
}

impl Before {
    pub(super) fn look(database: &Database, merchant: &str) -> Self {
        use schema::logs::dsl;
        let look = |conn: &mut AnyConnection| {
            let row = dsl::logs.filter(dsl::merchant_id.eq(merchant));
            let row = row.select((dsl::id, dsl::size, dsl::frontier, dsl::root, dsl::checkpoint));
            row.first::<(String, i64, Vec<u8>, Vec<u8>, String)>(conn).map_err(DatabaseError::from)
        };
        let (log, size, frontier, root, checkpoint) = database.read_blocking(look).unwrap();
        Self { log, merchant: merchant.to_owned(), size, frontier, root, checkpoint }
    }

    /// As a restored backup, or a standby that had not heard of the end, would have it.
    pub(super) fn bring_back(&self, database: &Database) {
        let back = |conn: &mut AnyConnection| {
            use schema::{checkpoints, events, grants, limit_counters, logs};
            let (log, merchant) = (&self.log, &self.merchant);
            diesel::delete(events::table.filter(events::log_id.eq(log).and(events::log_index.ge(self.size))))
                .execute(conn)?;
            diesel::delete(checkpoints::table.filter(checkpoints::log_id.eq(log).and(checkpoints::size.gt(self.size))))
                .execute(conn)?;
            diesel::delete(grants::table.filter(grants::merchant_id.eq(merchant))).execute(conn)?;
            diesel::delete(limit_counters::table.filter(limit_counters::merchant_id.eq(merchant))).execute(conn)?;
            diesel::update(logs::table.find(log))
                .set((
                    logs::size.eq(self.size),
                    logs::frontier.eq(&self.frontier),
                    logs::root.eq(&self.root),
                    logs::checkpoint.eq(&self.checkpoint),
                ))
                .execute(conn)?;
            Ok::<_, DatabaseError>(())
        };
        database.write_blocking(back).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_ends_granting() {
    for database in TestDatabase::migrated() {
        let lounge = Lounge::open(database, &SETTINGS).await;
        let database = lounge.world.database.open();
        let before = Before::look(&database, lounge.merchant.id.as_str());
        lounge.refuses_after("older", async || before.bring_back(&database)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_that_another_went_on_with_ends_granting() {
    for database in TestDatabase::migrated() {
        let lounge = Lounge::open(database, &SETTINGS).await;
        let database = lounge.world.database.open();
        let go_on = async || {
            let before = Before::look(&database, lounge.merchant.id.as_str());
            for _ in 0..2 {
                Lounge::granted(lounge.check().await).await;
            }
            before.bring_back(&database);
            // A replica that started after the loss knows of none, and its log is longer soon.
            let replica = lounge.world.replica().await;
            let kiosk = NewKey::of(Role::Kiosk, Some(lounge.merchant.id.clone()), "other");
            let (_, secret) = replica.directory.create_key(kiosk, CLI).await.unwrap();
            let kiosk = replica.directory.authenticate(secret.expose(), lounge.world.now()).await.unwrap();
            for _ in 0..5 {
                let asked = question("lounge", "twitter:ada");
                Box::pin(replica.checker.check(&kiosk, &lounge.merchant, asked)).await.unwrap();
            }
        };
        lounge.refuses_after("older, and gone on with", go_on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_left_alone_is_told_from_a_lost_one() {
    // Whatever others may do with it: commands beside the program, backups, emptying its write-ahead log.
    let lounge = Lounge::open(TestDatabase::empty_sqlite(), &SETTINGS).await;
    let path = path_of(&lounge.world.database);
    for _ in 0..3 {
        Lounge::granted(lounge.check().await).await;
        cp(&path, &path.with_extension("copy"));
        lounge.sql("PRAGMA wal_checkpoint(TRUNCATE)");
        Lounge::granted(lounge.check().await).await;
        lounge.sql("VACUUM");
        lounge.world.merchant(&format!("other{}", lounge.world.now().as_nanosecond())).await;
        lounge.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    Lounge::granted(lounge.check().await).await;
    lounge.until_ready_says("ready", &[]).await;
    assert_eq!(lounge.world.database.backend(), Backend::Sqlite);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_it_is_noticed_too() {
    type Way = (&'static str, fn(&Lounge, &Before));
    let ways: [Way; 2] = [
        ("deleted", |lounge, _| std::fs::remove_file(path_of(&lounge.world.database)).unwrap()),
        ("older", |lounge, before| before.bring_back(&lounge.world.database.open())),
    ];
    for (what, damage) in ways {
        for database in TestDatabase::migrated() {
            if what == "deleted" && database.backend() == Backend::Postgres {
                continue;
            }
            let lounge = Lounge::open(database, &SETTINGS).await;
            let before = Before::look(&lounge.world.database.open(), lounge.merchant.id.as_str());
            Lounge::granted(lounge.check().await).await;
            damage(&lounge, &before);
            lounge.until_ready_says("degraded", &["database_replaced"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_into_a_file_that_goes_meanwhile_does_not_count() {
    // By the ledger, and by whoever else writes.
    for by_ledger in [true, false] {
        let world = World::on(TestDatabase::empty_sqlite(), &[]).await;
        let (path, gateway) = (path_of(&world.database), &world.gateway);
        let told = if by_ledger {
            let remove = move |_: &mut AnyConnection, _: &mut Vec<EventDraft>| {
                std::fs::remove_file(path).unwrap();
                Ok::<_, LedgerError>(())
            };
            matches!(gateway.ledger.change(remove).await, Err(LedgerError::Database(DatabaseError::InDoubt)))
        } else {
            let remove = move |conn: &mut AnyConnection| {
                std::fs::remove_file(path).unwrap();
                bump_epoch(conn, "directory")
            };
            let written = gateway.database.write(remove).await;
            assert!(matches!(written, Err(DatabaseError::InDoubt)), "{written:?}");
            true
        };
        assert!(told, "by the ledger: {by_ledger}");
        let read = gateway.database.read(|_| Ok::<_, DatabaseError>(())).await;
        assert!(matches!(read, Err(DatabaseError::Mismatch(Mismatch::Deleted(_)))), "{read:?}");
        assert_eq!(gateway.database.mismatch().unwrap().code(), "database_replaced");
    }
}
