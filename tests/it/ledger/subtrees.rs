//! The stored subtrees of a log: written as they become whole, filled in where they are missing, and
//! the proofs that are read from them.

use diesel::prelude::*;
use perkgate::audit;
use perkgate::database::schema::{events, logs, subtrees};
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::ledger::LedgerError;
use perkgate::ledger::entry::{EventDraft, LogOwner};
use perkgate::ledger::events::WrittenFacts;
use perkgate::ledger::read::proof;
use perkgate::ledger::store::{BatchRows, EventRow, LogRow, SubtreeRow, insert_log, put_subtrees, record_batch};
use perkgate::ledger::write::subtrees::fill_missing;
use perkgate::on_either;
use perkgate::tlog::merkle::{Frontier, Hash, leaf_hash, verify_consistency, verify_inclusion};

use crate::support::world::{CLI, World};

/// Some events in one transaction.
async fn record(world: &World, owner: &LogOwner, count: usize) {
    let log = owner.clone();
    let recorded = world.gateway.ledger.change(move |_, drafts| {
        drafts.extend((0..count).map(|nth| EventDraft {
            log: log.clone(),
            kind: "test.happened",
            about: format!("test_{nth}"),
            actor: CLI,
            facts: WrittenFacts::of(&Json::object([])),
            personal: None,
        }));
        Ok::<_, LedgerError>(())
    });
    recorded.await.unwrap();
}

/// The id of a log and all its leaves.
fn leaves_of(conn: &mut AnyConnection, name: &str) -> (String, Vec<Hash>) {
    let id: String = logs::table.filter(logs::name.eq(name)).select(logs::id).first(conn).unwrap();
    let leaves: Vec<Vec<u8>> = events::table
        .filter(events::log_id.eq(&id))
        .order(events::log_index)
        .select(events::leaf_hash)
        .load(conn)
        .unwrap();
    (id, leaves.into_iter().map(|leaf| leaf.try_into().unwrap()).collect())
}

/// All that must be stored of a log with these leaves, and the root at every size.
fn expected(id: &str, leaves: &[Hash]) -> (Vec<SubtreeRow>, Vec<Hash>) {
    let (mut frontier, mut rows, mut roots) = (Frontier::default(), Vec::new(), vec![Frontier::default().root()]);
    for leaf in leaves {
        frontier.append_telling(*leaf, |whole| rows.push(SubtreeRow::new(id, &whole).unwrap()));
        roots.push(frontier.root());
    }
    rows.sort_unstable_by_key(|row| (row.level, row.nth));
    (rows, roots)
}

fn stored(conn: &mut AnyConnection, id: &str) -> Vec<SubtreeRow> {
    let query = subtrees::table.filter(subtrees::log_id.eq(id)).order((subtrees::level, subtrees::nth));
    query.select(SubtreeRow::as_select()).load(conn).unwrap()
}

/// Proofs at these sizes, for indexes and older sizes all over them, lead to the roots.
fn check_proofs(conn: &mut AnyConnection, id: &str, leaves: &[Hash], roots: &[Hash], sizes: &[usize]) {
    for size in sizes.iter().copied() {
        let at = size as u64;
        assert_eq!(proof::frontier_at(conn, id, at).unwrap().root(), roots[size]);
        for other in [0, 1, size / 3, size / 2, size - 2, size - 1] {
            let path = proof::inclusion(conn, id, other as u64, at).unwrap();
            assert!(verify_inclusion(&leaves[other], other as u64, at, &path, &roots[size]), "{other} of {size}");
            let path = proof::consistency(conn, id, other as u64, at).unwrap();
            assert!(verify_consistency(other as u64, &roots[other], at, &roots[size], &path), "{other} of {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subtree_is_stored_with_the_event_that_makes_it_whole() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let owner = LogOwner::Merchant(cathay.id.clone());
        for count in [1, 200, 40, 13, 1, 1, 700, 1, 64] {
            record(&world, &owner, count).await;
        }
        let database = &world.gateway.database;
        database
            .read_blocking(|conn| {
                let (id, leaves) = leaves_of(conn, "cathay");
                let (rows, roots) = expected(&id, &leaves);
                assert_eq!((leaves.len() / 256, stored(conn, &id)), (rows.len(), rows));
                check_proofs(conn, &id, &leaves, &roots, &[2, 255, 256, 257, 512, 1000, leaves.len()]);
                assert!(proof::frontier_at(conn, &id, leaves.len() as u64 + 1).is_err(), "more than there is");
                assert!(matches!(proof::inclusion(conn, &id, 7, 7), Err(DatabaseError::NotFound)));
                assert!(matches!(proof::consistency(conn, &id, 8, 7), Err(DatabaseError::NotFound)));
                Ok::<_, DatabaseError>(())
            })
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_from_before_is_filled_in_and_its_proofs_are_right_before_that_too() {
    const SIZE: usize = 65_536 + 700;
    let leaves: Vec<Hash> = (0..SIZE).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
    for world in World::all().await {
        let (rows, roots) = expected("log_old", &leaves);
        let old = leaves.clone();
        let database = &world.gateway.database;
        database
            .write_blocking(|conn| {
                let head = LogRow {
                    id: "log_old".into(),
                    merchant_id: Some("mer_old".into()),
                    name: "old".into(),
                    size: i64::try_from(SIZE).unwrap(),
                    frontier: Vec::new(),
                    root: roots[SIZE].to_vec(),
                    checkpoint: String::new(),
                    origin: "perkgate/log_old".into(),
                };
                insert_log(conn, &head)?;
                let event = |(index, leaf): (usize, &Hash)| EventRow {
                    log_id: "log_old".into(),
                    log_index: i64::try_from(index).unwrap(),
                    id: format!("evt_{index}"),
                    kind: "test.happened".into(),
                    about: String::new(),
                    at: 0,
                    leaf_hash: leaf.to_vec(),
                    body: None,
                };
                let all: Vec<EventRow> = old.iter().enumerate().map(event).collect();
                let rows = BatchRows { events: all, ..BatchRows::default() };
                record_batch(conn, &rows).map(drop)
            })
            .unwrap();
        let check = |sizes: &[usize]| {
            let read = database.read_blocking(|conn| {
                check_proofs(conn, "log_old", &leaves, &roots, sizes);
                Ok::<_, DatabaseError>(stored(conn, "log_old"))
            });
            read.unwrap()
        };
        assert_eq!(check(&[300, SIZE]), []);
        let database = &world.gateway.database;
        assert_eq!(fill_missing(database).await.unwrap(), 256 + 2 + 1);
        assert_eq!(check(&[65_535, 65_536, 65_537, 66_048, SIZE]), rows);
        assert_eq!(fill_missing(database).await.unwrap(), 0, "nothing is missing any more");

        // What a replica of an earlier version appended: gaps anywhere.
        let gaps = database.write_blocking(|conn| {
            let gap = subtrees::nth.eq_any([3_i64, 4, 90, 257]).or(subtrees::level.eq(2));
            Ok::<_, DatabaseError>(on_either!(conn, |c| diesel::delete(subtrees::table.filter(gap)).execute(c)?))
        });
        assert_eq!(gaps.unwrap(), 5);
        check(&[1025, 65_536, SIZE]);
        assert_eq!(fill_missing(database).await.unwrap(), 5);
        assert_eq!(check(&[SIZE]), rows);
    }
}

/// Which stored subtrees an auditor finds to be wrong; nothing else is.
fn wrong(conn: &mut AnyConnection) -> Vec<String> {
    let report = audit::verify_snapshot(conn, &audit::Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    let subtree = |finding: &audit::Finding| match &finding.wrong {
        audit::Wrong::Subtree { subtree } => subtree.clone(),
        other => panic!("{other}"),
    };
    report.findings.listed().iter().map(subtree).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_subtree_that_was_changed_or_made_up_is_found() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        record(&world, &LogOwner::Merchant(cathay.id.clone()), 1400).await;
        let database = &world.gateway.database;
        let tried = database.write_blocking(|conn| {
            let (id, _) = leaves_of(conn, "cathay");
            assert_eq!(wrong(conn), [""; 0]);
            let set = |conn: &mut AnyConnection, nth: i64, hash: Vec<u8>| {
                let one = subtrees::table.filter(subtrees::log_id.eq(&id).and(subtrees::nth.eq(nth)));
                diesel::update(one).set(subtrees::hash.eq(hash)).execute(conn).unwrap();
            };
            set(conn, 1, vec![7; 32]);
            set(conn, 4, vec![7; 31]);
            diesel::delete(subtrees::table.filter(subtrees::nth.eq(2_i64))).execute(conn)?;
            assert_eq!(wrong(conn), ["1/1", "1/4"], "one that is missing is none");
            for (level, nth) in [(1, 5), (2, 0), (1, -1), (0, 0), (-1, 3), (99, 0)] {
                let row = SubtreeRow { log_id: id.clone(), level, nth, hash: vec![7; 32] };
                put_subtrees(conn, std::slice::from_ref(&row))?;
                assert_eq!(wrong(conn), ["1/1", "1/4", &format!("{level}/{nth}")]);
                diesel::delete(subtrees::table.find((&id, level, nth))).execute(conn)?;
            }
            Ok::<_, DatabaseError>(())
        });
        tried.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_events_keeps_no_other_from_being_filled() {
    for world in World::all().await {
        for slug in ["american", "cathay"] {
            let merchant = world.merchant(slug).await;
            record(&world, &LogOwner::Merchant(merchant.id.clone()), 600).await;
        }
        let database = &world.gateway.database;
        let lost = database.write_blocking(|conn| {
            let ids: Vec<String> =
                logs::table.filter(logs::merchant_id.is_not_null()).order(logs::id).select(logs::id).load(conn)?;
            diesel::delete(subtrees::table).execute(conn)?;
            diesel::delete(events::table.find((&ids[0], 300_i64))).execute(conn)?;
            Ok::<_, DatabaseError>(())
        });
        lost.unwrap();
        // Where the first log's second subtree was, there is no knowing.
        assert_eq!(fill_missing(database).await.unwrap(), 2);
    }
}
