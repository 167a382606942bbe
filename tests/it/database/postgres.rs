//! What a PostgreSQL may be set to, and what the gateway refuses to run on.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _};
use futures_util::future::join_all;
use perkgate::access::Role;
use perkgate::database::connection::{begin, rollback};
use perkgate::database::{AnyConnection, DatabaseError, Mismatch};

use serde_json::json;

use crate::cli::{json_of, perkgate};
use crate::support::app::TestApp;
use crate::support::databases::TestDatabase;
use crate::support::services::{PgBouncer, Postgres};
use crate::support::world::{World, question};

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

fn current(conn: &mut AnyConnection, setting: &str) -> String {
    let AnyConnection::Postgres(conn) = conn else { unreachable!() };
    diesel::sql_query(format!("SELECT current_setting('{setting}') AS value")).get_result::<Value>(conn).unwrap().value
}

/// Sets what every new session on this database begins with.
fn alter(url: &str, settings: &[(&str, &str)]) {
    let mut conn = PgConnection::establish(url).unwrap();
    let name = url.rsplit('/').next().unwrap();
    for (setting, value) in settings {
        conn.batch_execute(&format!("ALTER DATABASE {name} SET {setting} = {value}")).unwrap();
    }
}

#[test]
fn a_session_is_the_same_whatever_the_database_defaults_to() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = TestDatabase::at(&postgres.migrated_database());
    alter(
        &database.setting(),
        &[
            ("default_transaction_isolation", "'serializable'"),
            ("default_transaction_deferrable", "on"),
            ("synchronous_commit", "off"),
            ("statement_timeout", "'1h'"),
            ("lock_timeout", "'1h'"),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_session_timeout", "'1h'"),
            ("standard_conforming_strings", "off"),
            ("timezone", "'Asia/Hong_Kong'"),
            ("search_path", "public, extensions"),
        ],
    );
    let open = database.open();
    for (writes, idle) in [(false, "1min"), (true, "5s")] {
        let mut conn = if writes { open.dedicated_writer() } else { open.dedicated() }.unwrap();
        for (setting, value) in [
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_deferrable", "off"),
            ("synchronous_commit", "on"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", idle),
            ("idle_session_timeout", "0"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
            ("tcp_keepalives_idle", "5"),
            // The operator's.
            ("search_path", "public, extensions"),
        ] {
            assert_eq!(current(&mut conn, setting), value, "{setting}");
        }
        begin(&mut conn).unwrap();
        assert_eq!(current(&mut conn, "transaction_isolation"), "read committed");
        rollback(&mut conn).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_don_t_lose_to_each_other_whatever_the_default_isolation() {
    const RULE: &str = r#"{"score":{"source":"klout"},"tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],"limits":[
        {"id":"house","scope":["perk"],"max":100000,"window":{"lifetime":true}}]}"#;
    let Some(postgres) = Postgres::shared() else { return };
    let database = TestDatabase::at(&postgres.migrated_database());
    alter(&database.setting(), &[("default_transaction_isolation", "'repeatable read'")]);
    let world = World::live(database).await;
    let cathay = world.merchant("cathay").await;
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    world.perk(&cathay, "lounge", RULE).await;
    world.score(&cathay, "twitter:ada", "92").await;
    let replica = world.replica().await;
    let ask = |nth: usize| {
        let (world, replica, kiosk, cathay) = (&world, &replica, &kiosk, &cathay);
        async move {
            let checker = if nth.is_multiple_of(2) { &world.gateway.checker } else { &replica.checker };
            let mut failed = 0;
            for _ in 0..25 {
                failed += usize::from(checker.check(kiosk, cathay, question("lounge", "twitter:ada")).await.is_err());
            }
            failed
        }
    };
    let failed: usize = join_all((0..16).map(ask)).await.into_iter().sum();
    assert_eq!(failed, 0, "of 400 checks");
    assert_eq!(world.tally(&cathay).granted, 400);
}

#[test]
fn errors_of_the_server_are_told_apart_without_their_texts() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = TestDatabase::at(&postgres.migrated_database());
    let open = database.open();
    let (mut one, mut other) = (open.dedicated_writer().unwrap(), open.dedicated_writer().unwrap());
    let run = |conn: &mut AnyConnection, sql: &str| {
        let AnyConnection::Postgres(conn) = conn else { unreachable!() };
        conn.batch_execute(sql).map_err(DatabaseError::from)
    };
    let is_passing = |error: DatabaseError| assert!(error.is_passing(), "{error:?}");
    // 57014: a statement that takes too long, and one that an operator ends.
    is_passing(run(&mut one, "SET statement_timeout = '1ms'; SELECT pg_sleep(10)").unwrap_err());
    run(&mut one, "RESET statement_timeout").unwrap();
    // 55P03: somebody else has the lock. A session waits 5 s for it; less than a moment would be no wait.
    run(&mut other, "BEGIN; LOCK TABLE logs").unwrap();
    is_passing(run(&mut one, "SET lock_timeout = '600ms'; SELECT 1 FROM logs").unwrap_err());
    run(&mut other, "ROLLBACK").unwrap();
    // 40P01: each waits for the other.
    run(&mut one, "SET lock_timeout = 0; SET deadlock_timeout = '1ms'; BEGIN; SELECT pg_advisory_xact_lock(1)")
        .unwrap();
    run(&mut other, "SET lock_timeout = 0; SET deadlock_timeout = '1h'; BEGIN; SELECT pg_advisory_xact_lock(2)")
        .unwrap();
    let crossing = std::thread::spawn(move || {
        let AnyConnection::Postgres(conn) = &mut other else { unreachable!() };
        conn.batch_execute("SELECT pg_advisory_xact_lock(1); ROLLBACK").unwrap();
        other
    });
    // Whoever closes the circle is the one that looks for it.
    let mut third = open.dedicated().unwrap();
    let waiting = "SELECT 1/count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while run(&mut third, waiting).is_err() {
        std::thread::yield_now();
    }
    is_passing(run(&mut one, "SELECT pg_advisory_xact_lock(2)").unwrap_err());
    run(&mut one, "ROLLBACK").unwrap();
    let mut other = crossing.join().unwrap();
    // 40001, 25006 and a session that is ended.
    is_passing(run(&mut one, "BEGIN READ ONLY; DELETE FROM logs").unwrap_err());
    run(&mut one, "ROLLBACK").unwrap();
    run(&mut other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").unwrap();
    is_passing(run(&mut one, "SELECT 1").unwrap_err());
    // What is wrong with what it would store stays wrong.
    let twice = "INSERT INTO epochs SELECT * FROM epochs";
    assert!(matches!(run(&mut other, twice), Err(DatabaseError::Duplicate(_))));
}

/// Runs a command on this database and expects it to refuse, with all these words.
#[track_caller]
fn refused(command: &str, url: &str, words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let key = perkgate(directory.path(), &["key", "master"]).stdout;
    std::fs::write(directory.path().join("key"), key).unwrap();
    let mut arguments = vec![command, "--json", "--database-url", url, "--master-key-file", "key"];
    if command == "serve" {
        arguments.extend(["--listen", "127.0.0.1:0", "--migrate"]);
    }
    let done = perkgate(directory.path(), &arguments);
    assert_eq!(done.status.code(), Some(1), "{command}: {done:?}");
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    for word in words {
        assert!(said.contains(word), "{command}: {said}");
    }
}

#[test]
fn a_database_that_can_t_hold_every_name_is_refused() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.database_in("LATIN1");
    for command in ["migrate", "doctor", "serve"] {
        refused(command, &url, &["LATIN1", "UTF8", "CREATE DATABASE"]);
    }
    let mut conn = PgConnection::establish(&url).unwrap();
    let made = "SELECT count(*)::text AS value FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(diesel::sql_query(made).get_result::<Value>(&mut conn).unwrap().value, "0", "nothing was made");
}

#[test]
fn a_pooler_that_shares_sessions_is_refused_and_one_that_lends_them_is_not() {
    let Some(postgres) = Postgres::shared() else { return };
    let direct = postgres.migrated_database();
    for mode in ["transaction", "statement"] {
        let Some(pooler) = PgBouncer::start(postgres, mode) else { return };
        for command in ["doctor", "migrate", "serve"] {
            refused(command, &pooler.url(&direct), &["pooler", "pool_mode = session"]);
        }
    }
    let Some(pooler) = PgBouncer::start(postgres, "session") else { return };
    let directory = tempfile::tempdir().unwrap();
    let done = perkgate(directory.path(), &["migrate", "--json", "--database-url", &pooler.url(&direct)]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(json_of(&done.stdout)["applied"].as_array().unwrap().len(), 0);
}

/// A connection may lead to a server that another has taken over from, and which wakes again.
#[test]
fn only_what_a_new_connection_sees_loses_a_database_for_good() {
    let Some(postgres) = Postgres::shared() else { return };
    let at = TestDatabase::at(&postgres.migrated_database());
    let database = at.open();
    database.find_with(|conn, _| {
        let AnyConnection::Postgres(conn) = conn else { unreachable!() };
        let query = "SELECT coalesce(current_setting('perkgate.is_behind', true), '') AS value";
        match diesel::sql_query(query).get_result::<Value>(conn)?.value.as_str() {
            "yes" => Err(DatabaseError::Mismatch(Mismatch::RolledBack("it is behind".to_owned()))),
            _ => Ok(()),
        }
    });
    let asked = || {
        database.read_blocking(|conn| {
            let AnyConnection::Postgres(pg) = &mut *conn else { unreachable!() };
            pg.batch_execute("SET perkgate.is_behind = 'yes'")?;
            database.about_to_commit(conn)
        })
    };
    assert!(matches!(asked(), Err(DatabaseError::Unavailable(_))));
    assert_eq!(database.mismatch(), None);
    alter(&at.setting(), &[("perkgate.is_behind", "'yes'")]);
    assert!(matches!(asked(), Err(DatabaseError::Mismatch(Mismatch::RolledBack(_)))));
    assert!(database.mismatch().is_some(), "for good");
}

/// The driver doesn't say which: a statement that can't be right is the program's fault, and no try mends it.
#[test]
fn a_wrong_statement_is_told_from_one_that_waited_too_long() {
    let Some(postgres) = Postgres::shared() else { return };
    let at = TestDatabase::at(&postgres.migrated_database());
    let database = at.open();
    let run = |statement: &str| {
        database.read_blocking(|conn| {
            let AnyConnection::Postgres(conn) = conn else { unreachable!() };
            conn.batch_execute(statement).map_err(DatabaseError::from)
        })
    };
    for wrong in ["SELECT nonsense FROM grants", "SELECT * FROM nowhere", "SELEC 1", "SELECT 1 + 'a'::bytea"] {
        let error = run(wrong).unwrap_err();
        assert!(matches!(error, DatabaseError::Query(_)) && !error.is_passing(), "{wrong}: {error:?}");
    }
    let mut somebody = PgConnection::establish(&at.setting()).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE grants IN ACCESS EXCLUSIVE MODE").unwrap();
    // It has a place in the statement as well.
    for slow in
        ["SET lock_timeout = '600ms'; SELECT * FROM grants", "SET statement_timeout = '600ms'; SELECT pg_sleep(9)"]
    {
        let error = run(slow).unwrap_err();
        assert!(matches!(error, DatabaseError::Unclassified(_)) && error.is_passing(), "{slow}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_wrong_statement_fails_is_not_asked_again() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "47").await;
        let kiosk = app.kiosk().await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        kiosk.post("/v1/checks", &ask).await.is(200);
        let database = app.world.database.open();
        let mut conn = database.dedicated().unwrap();
        conn.batch_execute("ALTER TABLE subjects RENAME COLUMN sealed TO unsealed").unwrap();
        let new = json!({"perk": "sfo-lounge", "subject": "twitter:bob"});
        let refused = kiosk.post("/v1/checks", &new).await;
        refused.problem(500, "internal");
        assert_eq!(refused.header("retry-after"), "");
        conn.batch_execute("ALTER TABLE subjects RENAME COLUMN unsealed TO sealed").unwrap();
        kiosk.post("/v1/checks", &new).await.is(200);
    }
}
