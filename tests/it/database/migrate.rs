//! Migrations go up, down and up again, and any number of processes may start them at once.

use std::collections::BTreeSet;
use std::sync::Barrier;

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl as _};
use perkgate::database::{Backend, Database, DatabaseError};

use crate::support::databases::TestDatabase;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Tables, indexes, triggers and views that are ours.
fn count_objects(database: &Database) -> i64 {
    let query = match database.backend() {
        Backend::Sqlite => {
            "SELECT count(*) AS count FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND tbl_name NOT LIKE '__diesel%'"
        }
        Backend::Postgres => {
            "SELECT count(*) AS count FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE n.nspname = 'public' AND relname NOT LIKE '__diesel%'"
        }
    };
    let counted =
        database.read_blocking(|conn| diesel::sql_query(query).get_result::<Count>(conn).map_err(DatabaseError::from));
    counted.unwrap().count
}

#[test]
fn every_migration_goes_up_down_and_up_again() {
    for test in TestDatabase::empty() {
        let database = test.open();
        assert_eq!(count_objects(&database), 0);
        let pending = database.pending_migrations().unwrap();
        assert_eq!(database.migrate().unwrap().len(), pending.len());
        assert!(database.pending_migrations().unwrap().is_empty());
        let objects = count_objects(&database);
        assert!(objects > 0);

        database.revert_all().unwrap();
        assert_eq!(count_objects(&database), 0, "{:?}: a down.sql leaves something behind", test.backend());
        assert_eq!(database.pending_migrations().unwrap(), pending);

        database.migrate().unwrap();
        assert_eq!(count_objects(&database), objects);
        assert!(database.migrate().unwrap().is_empty(), "a second run finds nothing to do");
    }
}

#[test]
fn of_several_that_migrate_at_once_each_migration_is_applied_by_one() {
    for test in TestDatabase::empty() {
        let all = test.open().pending_migrations().unwrap().len();
        let together = Barrier::new(4);
        let applied: Vec<String> = std::thread::scope(|scope| {
            // A handle each, as processes have: what keeps them apart must be the database.
            let migrate = || {
                let database = test.open();
                together.wait();
                database.migrate().unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(migrate)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(applied.len(), all, "{:?}: {applied:?}", test.backend());
        assert!(test.open().pending_migrations().unwrap().is_empty());
    }
}

#[test]
fn several_may_open_and_migrate_a_new_database_at_once() {
    for test in TestDatabase::empty() {
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    test.open().migrate().unwrap();
                });
            }
        });
        assert!(test.open().pending_migrations().unwrap().is_empty());
    }
}

#[test]
fn a_test_gets_a_database_of_its_own_with_the_whole_schema() {
    for (one, other) in TestDatabase::migrated().iter().zip(TestDatabase::migrated()) {
        assert_ne!(one.setting(), other.setting());
        assert!(one.open().pending_migrations().unwrap().is_empty());
        assert!(count_objects(&other.open()) > 0);
    }
}

#[test]
fn both_backends_have_the_same_migrations() {
    let names = |backend: &str| -> BTreeSet<String> {
        let directory = format!("{}/migrations/{backend}", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
