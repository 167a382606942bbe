//! A database that a newer version has migrated: this one doesn't know what its rows mean, and keeps its hands off it.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use perkgate::database::{AnyConnection, DatabaseError, DatabaseUrl};
use serde_json::json;

use crate::cli::terminal::Terminal;
use crate::ledger::degrade::{Lounge, read};
use crate::support::databases::TestDatabase;

const NEWER: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')";

/// Beside the gateway, as the newer version would.
fn bring(database: &TestDatabase, sql: &str) {
    match &database.url {
        // The gateway may be writing at this very moment.
        DatabaseUrl::Sqlite(path) => {
            SqliteConnection::establish(path).unwrap().batch_execute(&format!("PRAGMA busy_timeout = 20000; {sql}"))
        }
        DatabaseUrl::Postgres(url) => PgConnection::establish(url).unwrap().batch_execute(sql),
    }
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_opens_it_refuses() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.ask("migrate");
        }
        terminal.ask("merchant create cathay --name Cathay");
        let gateway = terminal.gateway().await;
        let run = |conn: &mut AnyConnection| conn.batch_execute(NEWER).map_err(DatabaseError::from);
        gateway.database.read_blocking(run).unwrap();
        drop(gateway);
        terminal.write("scores.csv", "subject,value,observed_at\n");
        for line in [
            "serve --listen 127.0.0.1:0",
            "serve --migrate --listen 127.0.0.1:0",
            "migrate",
            "merchant list",
            "merchant create american --name American",
            "key list",
            "audit verify",
            "audit checkpoint",
            "audit export --merchant cathay -o out",
            "perk list --merchant cathay",
            "score import scores.csv --source klout --merchant cathay",
            "subject erase x:y --merchant cathay",
            "token rotate-key",
            "report grants --merchant cathay",
        ] {
            let told = terminal.refused(line, 1).join("\n");
            assert!(told.contains("99990101000000") && told.contains("newer"), "{line}: {told}");
            let refused = terminal.run(&format!("{line} --json"));
            let told: serde_json::Value = serde_json::from_slice(&refused.stderr).unwrap();
            assert_eq!(told["errors"][0]["code"], json!("schema_newer"), "{line}: {told}");
        }
        let doctor = terminal.run("doctor --listen 127.0.0.1:0");
        let told = String::from_utf8(doctor.stdout).unwrap();
        assert_eq!(doctor.status.code(), Some(1), "{told}");
        assert!(told.contains("schema_newer"), "{told}");
        assert!(!terminal.path().join("out").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_running_stops_granting() {
    for database in TestDatabase::migrated() {
        let lounge = Lounge::open(database, &[("rate_per_key", "0")]).await;
        let granted = Lounge::granted(lounge.check().await).await;
        assert!(granted["token"].is_string());
        bring(&lounge.world.database, NEWER);
        // At once, and not at some next look: what it wrote now would be in the words of the older schema.
        let refused = lounge.check().await;
        assert_eq!(refused.status(), 503);
        let refused = read(refused).await;
        assert!(refused["detail"].as_str().unwrap().contains("newer schema"), "{refused}");
        lounge.until_ready_says("degraded", &["schema_newer"]).await;
        let keys = lounge.http.get(lounge.serve.url("/.well-known/jwks.json")).send().await.unwrap();
        assert_eq!(keys.status(), 200);
        let undone = NEWER
            .replace("INSERT INTO", "DELETE FROM")
            .replace("(version) VALUES (", "WHERE version = ")
            .replace(')', "");
        bring(&lounge.world.database, &undone);
        assert_eq!(lounge.world.tally(&lounge.merchant).granted, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_it_is_noticed_too() {
    for database in TestDatabase::migrated() {
        let lounge = Lounge::open(database, &[]).await;
        bring(&lounge.world.database, NEWER);
        lounge.until_ready_says("degraded", &["schema_newer"]).await;
    }
}
