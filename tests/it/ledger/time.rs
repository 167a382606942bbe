//! Clocks that go backwards, and callers who no longer wait.

use std::time::{Duration, Instant};

use perkgate::access::Role;
use perkgate::decision::decide::Decision;
use perkgate::decision::reason::ReasonCode;
use perkgate::eligibility::checker::{CheckError, Question};
use perkgate::ledger::LedgerError;

use crate::support::world::{World, idempotent, question};

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_opens_no_limit_and_forgets_no_answer() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "92").await;
        let ask = || idempotent(question("lounge", "twitter:ada"), "k1", 1);
        let first = world.check(&kiosk, ask()).await.unwrap();
        assert_eq!(first.decided.decision, Decision::Granted);
        world.pass(-3600);
        let again = world.check(&kiosk, ask()).await.unwrap();
        assert_eq!(format!("{again:?}"), format!("{first:?}"), "the very same answer");
        let earlier = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
        assert_eq!(earlier.decided.decision, Decision::Denied);
        assert_eq!(earlier.decided.reasons[0].code, ReasonCode::LimitReached);
        let tally = world.tally(&cathay);
        assert_eq!((tally.granted, tally.denied), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_caller_who_no_longer_waits_nothing_is_recorded() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", LOUNGE).await;
        world.score(&cathay, "twitter:ada", "92").await;
        let before = world.tally(&cathay).events;
        let deadline = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        let late = idempotent(Question { deadline, ..question("lounge", "twitter:ada") }, "k1", 1);
        let refused = world.check(&kiosk, late).await;
        assert!(matches!(refused, Err(CheckError::Ledger(LedgerError::Busy))), "{refused:?}");
        assert_eq!(world.tally(&cathay).events, before);
        // Nor does its key stand for anything: it is another question's now.
        let asked = world.check(&kiosk, idempotent(question("lounge", "twitter:ada"), "k1", 2)).await.unwrap();
        assert_eq!(asked.decided.decision, Decision::Granted);
    }
}
