//! Pruning while an export is read, and where the replicas' clocks differed: nobody is accused who did nothing.

use jiff::{SignedDuration, Timestamp};
use perkgate::audit::export::record::{Form, PeriodAsked};
use perkgate::audit::export::{Export, Wanted};
use perkgate::audit::{ExportFile, Request, verify_exports};
use perkgate::decision::decide::Decision;
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::{CheckId, EventId};
use perkgate::ledger::cases::contest::Objection;
use perkgate::ledger::entry::LogOwner;

use super::history::log;
use super::pruning::House;
use super::written::{Part, write};
use crate::support::world::{CLI, question};

const WEEK: i64 = 7 * 86_400;

const fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

impl House {
    /// An export of the log up to `to`, or all of it, of which nothing was read yet.
    async fn export(&self, form: Form, to: Option<Timestamp>) -> Export {
        let log = LogOwner::Merchant(self.cathay.id.clone());
        let wanted = Wanted { log, period: PeriodAsked { from: None, to }, since: None, form };
        self.world.gateway.exporter.begin(CLI, wanted).await.unwrap()
    }

    fn codes_of(&self, export: &str) -> Vec<&'static str> {
        let keys = vec![self.world.gateway.keyring.log_key().verifier().clone()];
        let request = Request { keys, anchors: Vec::new(), every_signature: true };
        let files = vec![ExportFile { label: "file".to_owned(), reader: export.as_bytes() }];
        let report = verify_exports(files, &request, &Entropy::System, &mut |_| {}).unwrap();
        report.findings.counts().keys().copied().collect()
    }

    /// By a replica whose clock is five seconds ahead.
    async fn ahead<T>(&self, done: impl Future<Output = T>) -> T {
        self.world.pass(5);
        let done = done.await;
        self.world.pass(-5);
        done
    }

    async fn denies(&self, check: CheckId) {
        let ruling = ReferralDecision { check, tier: None, note: "seen".into() };
        self.world.gateway.checker.decide_referral(&self.admin, &self.cathay, ruling).await.unwrap();
    }
}

/// What came before it ended, and why it broke off, if it did.
async fn read(mut export: Export) -> (String, Option<String>) {
    let mut text = String::new();
    loop {
        match export.next().await {
            Ok(Some(piece)) => text.push_str(&piece),
            Ok(None) => return (text, None),
            Err(error) => return (text, Some(error.to_string())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_read_while_its_log_is_pruned_breaks_off() {
    for house in House::all().await {
        house.visits().await;
        let before = house.world.now() + seconds(3600);
        house.world.pass(400 * 86_400);
        let early = read(house.export(Form::Ndjson, None).await).await;
        let mut begun = Vec::new();
        for form in [Form::Ndjson, Form::Csv] {
            let mut export = house.export(form, None).await;
            let opening = export.next().await.unwrap().unwrap();
            begun.push((export, opening));
        }
        let period = house.export(Form::Ndjson, Some(before)).await;
        let size = log(&mut house.database.dedicated().unwrap(), "cathay").size;
        assert!(house.prune(before).await.1 > 10);
        // Read to its end, it would be held against the operator.
        let mut cut = Vec::new();
        let (key, part) = (house.world.gateway.keyring.log_key(), Part { to: Some(size), ..Part::default() });
        let conn = &mut house.database.dedicated().unwrap();
        write(conn, "cathay", key.verifier(), Form::Ndjson, &part, &mut cut);
        assert!(house.codes_of(std::str::from_utf8(&cut).unwrap()).contains(&"body_missing"));
        for (export, opening) in begun {
            let (rest, why) = read(export).await;
            let why = why.expect("it has bodies missing, and what tells why is not in it");
            assert!(why.contains("export it again"), "{why}");
            assert!(house.codes_of(&(opening + &rest)).contains(&"export_cut"));
        }
        // What was whole before is, and so is what comes after; of a period nobody expects the word.
        for (text, why) in [
            early,
            read(house.export(Form::Ndjson, None).await).await,
            read(house.export(Form::Csv, None).await).await,
            read(period).await,
        ] {
            assert_eq!((why, house.codes_of(&text)), (None, vec![]));
        }
    }
}

/// A counter's time never goes back: a use counts from when the clock that was ahead says it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_counts_as_younger_than_its_event_keeps_it() {
    for house in House::all().await {
        let world = &house.world;
        world.score(&house.cathay, "twitter:ada", "80").await;
        house.ahead(async { world.check(&house.kiosk, question("week", "twitter:ada")).await.unwrap() }).await;
        let at = world.now();
        let behind = world.check(&house.kiosk, question("week", "twitter:ada")).await.unwrap();
        assert_eq!(behind.decided.decision, Decision::Granted);
        world.pass(WEEK + 3);
        let plan = house.plan(at + seconds(10)).await;
        let lapses = (at + seconds(WEEK + 5)).to_string();
        assert_eq!(House::obstacles(&plan), [("open_windows", Some(lapses))]);
        assert_eq!(plan.obstacles[0].count, 2, "each counts until then");

        let (plan, gone) = house.prune(at + seconds(2)).await;
        assert_eq!(house.findings(), [""; 0]);
        assert_eq!((plan.kept, gone), (1, 0), "it is counted as from after");
        world.pass(10);
        assert_eq!(house.prune(at + seconds(10)).await.1, 2);
        assert_eq!(house.findings(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_of_a_case_stays_with_what_it_decides() {
    for house in House::all().await {
        let world = &house.world;
        world.score(&house.cathay, "twitter:low", "12").await;
        let refused = world.check(&house.kiosk, question("day", "twitter:low")).await.unwrap();
        assert_eq!(refused.decided.decision, Decision::Denied);
        let refused = refused.check.unwrap();
        let at = world.now();
        let referred = house
            .ahead(async {
                let check = refused.clone();
                let (event, at) = (EventId::new(world.now(), &world.gateway.entropy), world.now());
                let merchant = house.cathay.id.clone();
                let by = house.kiosk.actor();
                let objection = Objection { merchant, check, event, at, by, reason: "it is me".into() };
                world.gateway.ledger.contest(objection).await.unwrap();
                world.check(&house.kiosk, question("day", "twitter:zoe")).await.unwrap()
            })
            .await;
        assert_eq!(referred.decided.decision, Decision::Referred);
        house.denies(referred.check.unwrap()).await;
        house.denies(refused).await;
        world.pass(2 * 86_400);
        // The refusal is from before, and both decisions by their clock; what they decide is not.
        let (plan, gone) = house.prune(at + seconds(2)).await;
        assert_eq!(house.findings(), [""; 0]);
        assert_eq!((plan.kept, gone), (2, 1));
        assert_eq!(house.prune(at + seconds(10)).await.1, 4);
        assert_eq!(house.findings(), [""; 0]);
    }
}

const OFTEN: &str = r#"{"score":{"source":"klout"},
    "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}],
    "token":{"audience":"sfo","ttl":"PT24H","single_use":false}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_opens_the_door_again_stands_in_the_way_until_it_ends() {
    for house in House::all().await {
        let world = &house.world;
        world.perk(&house.cathay, "often", OFTEN).await;
        world.score(&house.cathay, "twitter:ada", "80").await;
        let before = world.now() + seconds(1);
        for (perk, attempt) in [("often", "1"), ("day", "2")] {
            let token = world.check(&house.kiosk, question(perk, "twitter:ada")).await.unwrap().token.unwrap();
            let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
            let redeemer = &world.gateway.redeemer;
            redeemer
                .redeem(&house.admin, &house.cathay, &token, "door".into(), attempt.into(), deadline)
                .await
                .unwrap();
        }
        // Retries are over, and a door whose clock is behind may still take the token.
        world.pass(86_400 + 1);
        let plan = house.plan(before).await;
        let hindrances: Vec<_> = plan.obstacles.iter().map(|it| (it.reason.code(), it.count)).collect();
        assert_eq!(hindrances, [("unspent_grants", 1)], "the day's is spent");
        world.pass(3600);
        assert_eq!(house.prune(before).await.1, 4);
        assert_eq!(house.findings(), [""; 0]);
    }
}
