//! Single uses that no window reaches any more are forgotten; the auditor takes exactly that, and no
//! other row that is missing.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::schema::{limit_counters, limit_uses};
use perkgate::database::{Database, DatabaseError};
use perkgate::decision::decide::Decision;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::retention::sweep::sweep_uses;

use crate::support::world::{World, question};

const DAY: i64 = 24 * 3600;

const LONG: &str = r#"{"tiers":[{"id":"in","name":"In"}],"token":{"ttl":"PT20M"},"limits":[
  {"id":"person","scope":["subject"],"max":3,"window":{"rolling":"P366D"}},
  {"id":"seats","scope":["perk"],"max":1000,"window":{"concurrent":{"max_stay":"PT2H"}}}]}"#;

fn wrong(database: &Database) -> Vec<&'static str> {
    let report = perkgate::audit::verify(database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    report.findings.counts().keys().copied().collect()
}

fn uses(database: &Database) -> i64 {
    database.read_blocking(|conn| Ok::<_, DatabaseError>(limit_uses::table.count().get_result(conn)?)).unwrap()
}

fn run(database: &Database, sql: &str) {
    database.write_blocking(|conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
}

/// A year ago 120 guests came, Ada among them twice; she came again half a year ago and twice today.
#[tokio::test(flavor = "multi_thread")]
async fn uses_that_no_window_reaches_are_forgotten_and_nothing_else() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        world.perk(&cathay, "lounge", LONG).await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let ask = async |who: &str| world.check(&kiosk, question("lounge", &format!("twitter:{who}"))).await.unwrap();
        ask("ada").await;
        for guest in 0..118 {
            ask(&format!("guest-{guest}")).await;
        }
        world.pass(60);
        ask("ada").await;
        let ledger = &world.gateway.ledger;
        let database = world.database.open();
        assert_eq!((sweep_uses(ledger).await.unwrap(), uses(&database)), (0, 240));
        world.pass(183 * DAY);
        ask("ada").await;
        world.pass(183 * DAY);
        // 366 days later Ada's first two visits have just lapsed.
        for decision in [Decision::Granted, Decision::Granted, Decision::Denied] {
            assert_eq!(ask("ada").await.decided.decision, decision);
        }
        assert_eq!(sweep_uses(ledger).await.unwrap(), 0, "a day is left for clocks that differ");
        let kept = uses(&database);

        world.pass(2 * DAY);
        assert_eq!(sweep_uses(ledger).await.unwrap(), 0, "only what happens moves the ledger's time");
        ask("bob").await;
        assert_eq!(sweep_uses(ledger).await.unwrap(), 240);
        assert_eq!(uses(&database), kept + 2 - 240);
        assert_eq!(wrong(&database), [] as [&str; 0]);
        // The counters of those who never came again are told too: nothing is counted for ever.
        let counted = database.read_blocking(|conn| {
            let person = limit_counters::table.filter(limit_counters::limit_id.eq("person"));
            Ok::<_, DatabaseError>(person.filter(limit_counters::used.gt(0)).count().get_result::<i64>(conn)?)
        });
        assert_eq!(counted.unwrap(), 2, "Ada's and Bob's");
        assert_eq!(ask("ada").await.decided.decision, Decision::Denied, "half a year ago, twice these days");
        assert_eq!(wrong(&database), [] as [&str; 0]);

        // One that is half a year old is no sweep's.
        let old = world.now().as_microsecond() - 100 * DAY * 1_000_000;
        run(&database, &format!("DELETE FROM limit_uses WHERE limit_id = 'person' AND counts_at < {old}"));
        assert_eq!(wrong(&database), ["use_missing"]);
    }
}

/// A row may be gone only when its counter has taken it off its sum.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_sleeping_counter_still_sums_up_is_missed() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        world.perk(&cathay, "lounge", LONG).await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
        world.pass(368 * DAY);
        world.check(&kiosk, question("lounge", "twitter:bob")).await.unwrap();
        let database = world.database.open();
        assert_eq!(wrong(&database), [] as [&str; 0]);
        let old = world.now().as_microsecond() - 367 * DAY * 1_000_000;
        run(&database, &format!("DELETE FROM limit_uses WHERE limit_id = 'person' AND counts_at < {old}"));
        assert_eq!(wrong(&database), ["use_missing"]);
    }
}
