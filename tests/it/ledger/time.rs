//! Clocks that go backwards, and callers who no longer wait.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perkgate::access::Role;
use perkgate::decision::decide::Decision;
use perkgate::decision::reason::ReasonCode;
use perkgate::eligibility::checker::{CheckError, Question};
use perkgate::foundation::ids::EventId;
use perkgate::ledger::cases::contest::{Contest, Objection};
use perkgate::ledger::cases::referral::{Resolution, Resolved};
use perkgate::ledger::retention::erasure::{Erasure, Forgotten};
use perkgate::ledger::{Ledger, LedgerError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::world::{CLI, World, idempotent, question};

/// For what is waited for by looking; a run that takes so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A change that keeps the writer busy until it is ended: what is asked meanwhile waits in the queue.
struct Occupied {
    go_on: std::sync::mpsc::Sender<()>,
    change: JoinHandle<Result<(), LedgerError>>,
}

impl Occupied {
    async fn begin(ledger: &Ledger) -> Self {
        let (begun, has_begun) = oneshot::channel();
        let (go_on, waits) = std::sync::mpsc::channel();
        let ledger = ledger.clone();
        let work = move |_: &mut _, _: &mut _| {
            let _ = begun.send(());
            let _ = waits.recv();
            Ok(())
        };
        let change = tokio::spawn(async move { ledger.change(work).await });
        has_begun.await.unwrap();
        Self { go_on, change }
    }

    async fn end(self) {
        drop(self.go_on);
        self.change.await.unwrap().unwrap();
    }
}

/// Asks for `work` while the writer is busy, and gives up once it waits in the queue.
async fn give_up<T: Debug>(ledger: &Ledger, work: impl Future<Output = T>) {
    let mut work = pin!(work);
    let (before, deadline) = (ledger.load().waiting, Instant::now() + PATIENCE);
    while ledger.load().waiting == before {
        assert!(Instant::now() < deadline, "it never waited");
        tokio::select! {
            done = &mut work => panic!("it did not wait: {done:?}"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_waits_when_its_caller_gives_up_is_not_done_later() {
    const CLUB: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
      "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", LOUNGE).await;
        world.perk(&cathay, "club", CLUB).await;
        let ask = async |perk: &str| world.check(&kiosk, question(perk, "twitter:ada")).await.unwrap();
        let (refused, referred) = (ask("lounge").await, ask("club").await);
        assert_eq!((refused.decided.decision, referred.decided.decision), (Decision::Denied, Decision::Referred));
        let (ledger, at) = (&world.gateway.ledger, world.now());
        let event = || EventId::new(at, &world.gateway.entropy);
        let contest = || {
            let (merchant, check) = (cathay.id.clone(), refused.check.clone().unwrap());
            ledger.contest(Objection { merchant, check, event: event(), at, by: kiosk.actor(), reason: "Me.".into() })
        };
        let resolve = || {
            let (merchant, check) = (cathay.id.clone(), referred.check.clone().unwrap());
            ledger.resolve(Resolution { merchant, check, event: event(), at, by: CLI, note: "No.".into(), grant: None })
        };
        let forgotten = Arc::new(AtomicU64::new(0));
        let erase = || {
            let subject = world.gateway.keyring.subject_refs(&cathay.id, &"twitter:ada".parse().unwrap());
            let forgotten = forgotten.clone();
            let forget = move |_: &mut _| {
                Ok(Forgotten {
                    scores: forgotten.fetch_add(1, Ordering::SeqCst),
                    attributes: 0,
                    ..Forgotten::default()
                })
            };
            ledger.erase(Erasure { merchant: cathay.id.clone(), subject, by: CLI, asked: None }, forget)
        };
        let before = world.tally(&cathay).events;
        let occupied = Occupied::begin(ledger).await;
        give_up(ledger, world.check(&kiosk, question("lounge", "twitter:ada"))).await;
        give_up(ledger, contest()).await;
        give_up(ledger, resolve()).await;
        give_up(ledger, erase()).await;
        occupied.end().await;
        // The queue is in turn: when this is done, the writer has come to all of them.
        ledger.change(|_, _| Ok::<_, LedgerError>(())).await.unwrap();
        assert_eq!((world.tally(&cathay).events, forgotten.load(Ordering::SeqCst)), (before, 0));
        // Asked again by somebody who waits, each finds everything as it was.
        assert!(matches!(contest().await, Ok(Contest::Opened(_))));
        assert!(matches!(resolve().await, Ok(Resolved::Denied)));
        let erased = erase().await.unwrap().unwrap();
        assert_eq!((erased.referrals, forgotten.load(Ordering::SeqCst)), (1, 1), "the contest was open");
    }
}
