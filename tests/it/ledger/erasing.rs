//! Erasing while something is being opened about the person, on two replicas: nothing stays open about nobody.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::schema::{referrals, subjects};
use perkgate::database::{AnyConnection, Backend};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::EventId;
use perkgate::ledger::cases::contest::{ContestError, Objection};
use perkgate::ledger::retention::erasure::Erasure;

use super::degrade::Blocker;
use crate::support::world::{CLI, World, question};

const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

/// How long a machine may take to get so far.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// Waits until so many transactions wait for a lock; on SQLite that can't be seen, nor matters: writers are alone.
async fn until_waiting(conn: &mut AnyConnection, number: i64) {
    let AnyConnection::Postgres(conn) = conn else { return };
    let sql = "SELECT count(*) AS number FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + PATIENCE;
    while diesel::sql_query(sql).get_result::<Waiting>(conn).unwrap().number < number {
        assert!(Instant::now() < deadline, "{number} never waited");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn open_about_nobody(conn: &mut AnyConnection) -> Vec<String> {
    let open: Vec<String> =
        referrals::table.filter(referrals::status.eq("open")).select(referrals::subject).load(conn).unwrap();
    let known: Vec<String> = subjects::table.select(subjects::pseudonym).load(conn).unwrap();
    open.into_iter().filter(|subject| !known.contains(subject)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_about_somebody_who_is_being_erased_is_closed_or_refused() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        world.perk(&cathay, "club", REFERRING).await;
        let replica = world.replica().await;
        let is_seen = world.database.backend() == Backend::Postgres;
        let mut conn = world.database.open().dedicated().unwrap();
        for (nth, (contests, erases_first)) in
            [(true, false), (true, true), (false, false), (false, true)].into_iter().enumerate()
        {
            let who = format!("twitter:person{nth}");
            let refused = world.check(&kiosk, question("lounge", &who)).await.unwrap().check.unwrap();
            let mut blocker = Blocker::of(&world.database.url);
            let open = async || -> Result<(), ContestError> {
                if !contests {
                    world.check(&kiosk, question("club", &who)).await.unwrap();
                    return Ok(());
                }
                let objection = Objection {
                    merchant: cathay.id.clone(),
                    check: refused.clone(),
                    event: EventId::new(world.now(), &world.gateway.entropy),
                    at: world.now(),
                    by: kiosk.actor(),
                    reason: "It is me.".to_owned(),
                };
                world.gateway.ledger.contest(objection).await.map(drop)
            };
            let erase = async || {
                let erasure = Erasure {
                    merchant: cathay.id.clone(),
                    subject: world.gateway.keyring.subject_refs(&cathay.id, &who.parse().unwrap()),
                    by: CLI,
                    asked: None,
                };
                replica.scores.erase(&replica.ledger, erasure).await.unwrap().unwrap()
            };
            let turns = async |first: bool, conn: &mut AnyConnection| {
                if !first {
                    until_waiting(conn, 1).await;
                }
            };
            let mut watching = (world.database.open().dedicated().unwrap(), world.database.open().dedicated().unwrap());
            let opening = async {
                turns(!erases_first, &mut watching.0).await;
                open().await
            };
            let erasing = async {
                turns(erases_first, &mut watching.1).await;
                erase().await
            };
            let releasing = async {
                until_waiting(&mut conn, 2).await;
                blocker.release();
            };
            let (opened, erased, ()) = tokio::join!(opening, erasing, releasing);
            if is_seen && contests && erases_first {
                assert!(matches!(opened, Err(ContestError::Erased)), "{opened:?}");
            } else if is_seen {
                opened.unwrap();
                assert_eq!(erased.referrals, u64::from(!erases_first), "contests: {contests}");
            }
            assert_eq!(open_about_nobody(&mut conn), [""; 0], "contests: {contests}, erases first: {erases_first}");
        }
        let report =
            perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::seeded(1), &mut |_| {});
        assert_eq!(report.unwrap().findings.listed(), []);
    }
}
