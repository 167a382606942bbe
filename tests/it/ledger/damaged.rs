//! A stored body that can't be read stops whoever needs it, by the event's name, and nobody else.

use diesel::prelude::*;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::audit::Request;
use perkgate::database::Database;
use perkgate::database::schema::events;
use perkgate::eligibility::backtest::Backtest;
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run as _;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::read::browse::EventFilter;
use perkgate::on_either;

use crate::support::world::{CLI, World, question};

/// Limits of a perk's own, so that its grants' redemptions and ends are read back too.
const RULE: &str = r#"{"score":{"source":"klout"},
    "tiers":[{"id":"in","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"day","scope":["subject"],"max":2,"window":{"calendar":"day"}}]}"#;

/// Two perks, each with a check that was granted and one that was denied; an hour has passed since.
struct House {
    world: World,
    database: Database,
    cathay: Merchant,
}

impl House {
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            let cathay = world.merchant("cathay").await;
            let kiosk = world.principal(&cathay, Role::Kiosk).await;
            world.score(&cathay, "twitter:ada", "50").await;
            world.score(&cathay, "twitter:bo", "30").await;
            for perk in ["spa", "lounge"] {
                world.perk(&cathay, perk, RULE).await;
                Self::visit(&world, &kiosk, perk).await;
            }
            world.pass(3600);
            let database = world.database.open();
            all.push(Self { world, database, cathay });
        }
        all
    }

    async fn visit(world: &World, kiosk: &Principal, perk: &str) {
        for who in ["twitter:ada", "twitter:bo"] {
            world.check(kiosk, question(perk, who)).await.unwrap();
        }
    }

    /// Damages the body of the perk's check that was so decided; the event's id and its place.
    fn damage(&self, perk: &str, decision: &str, damaged: impl Fn(&str) -> String) -> (String, i64) {
        let mut conn = self.database.dedicated().unwrap();
        let about = [format!(r#"%"decision":"{decision}"%"#), format!(r#"%"perk":"{perk}"%"#)];
        let found = on_either!(&mut conn, |c| events::table
            .filter(events::body.like(&about[0]).and(events::body.like(&about[1])))
            .select((events::id, events::log_index, events::body))
            .load::<(String, i64, Option<String>)>(c)
            .unwrap());
        let [(id, index, body)] = <[_; 1]>::try_from(found).unwrap();
        let damaged = damaged(&body.unwrap());
        let event = diesel::update(events::table.filter(events::id.eq(&id))).set(events::body.eq(damaged));
        assert_eq!(event.execute(&mut conn).unwrap(), 1);
        (id, index)
    }

    async fn backtest(&self, perk: &str) -> Result<Backtest, String> {
        let from = self.world.now() - jiff::SignedDuration::from_hours(2);
        let trial = PastTrial { perk: perk.parse().unwrap(), choice: Choice::Deciding, from, to: None };
        let mut run = self.world.gateway.backtester.backtest(&self.cathay, trial).await.unwrap();
        while run.step().await.map_err(|error| error.to_string())?.is_some() {}
        Ok(run.finish().unwrap())
    }

    /// The places of the events that the filter means, on a page of this many.
    async fn browse(&self, filter: EventFilter, most: usize) -> Result<Vec<i64>, String> {
        let page = self.world.gateway.ledger.reader().browse(&self.cathay.id, filter, None, None, most).await;
        page.map(|page| page.events.iter().map(|event| event.index).collect()).map_err(|error| error.to_string())
    }

    async fn checks(&self, perk: &str) -> Result<usize, String> {
        let filter = EventFilter { perk: Some(perk.to_owned()), ..EventFilter::default() };
        let page = self.world.gateway.ledger.reader().list_checks(&self.cathay.id, filter, None, None, 200).await;
        page.map(|page| page.items.len()).map_err(|error| error.to_string())
    }

    fn findings(&self) -> Vec<String> {
        let report = perkgate::audit::verify(&self.database, &Request::default(), &Entropy::System, &mut |_| {});
        report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
    }
}

#[track_caller]
fn names<T: std::fmt::Debug>(result: Result<T, String>, event: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(event), "{error} doesn't name {event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_check_stops_its_own_perk_alone() {
    for house in House::all().await {
        let (spa, index) = house.damage("spa", "denied", |body| format!("x{body}"));
        let lounge = house.backtest("lounge").await.unwrap();
        assert_eq!((lounge.checks, lounge.replayed, lounge.same), (2, 2, 2));
        assert_eq!(house.checks("lounge").await, Ok(2));
        names(house.backtest("spa").await, &spa);
        names(house.checks("spa").await, &spa);

        let all = EventFilter::default();
        names(house.browse(all.clone(), 200).await, &spa);
        assert_eq!(house.browse(EventFilter { oldest_first: true, ..all.clone() }, 1).await, Ok(vec![0]));
        assert_eq!(house.browse(all.clone(), 1).await.unwrap().len(), 1, "the page before it");
        let published = EventFilter { kind: Some("rule.published".to_owned()), ..all.clone() };
        assert_eq!(house.browse(published, 200).await.unwrap().len(), 2, "another kind");
        let spa_only = EventFilter { perk: Some("spa".to_owned()), ..all };
        names(house.browse(spa_only, 200).await, &spa);
        assert!(index > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_check_that_may_be_anybodys_stops_every_perk() {
    for house in House::all().await {
        let (event, _) = house.damage("spa", "granted", |_| "?".to_owned());
        for perk in ["spa", "lounge"] {
            names(house.backtest(perk).await, &event);
            names(house.checks(perk).await, &event);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_body_is_retained_and_keeps_no_other_from_going() {
    for house in House::all().await {
        let (denied, _) = house.damage("spa", "denied", |body| body.replace("\"facts\":{", "\"facts\":["));
        let (granted, _) = house.damage("lounge", "granted", |_| "?".to_owned());
        let before = house.findings();
        house.world.pass(400 * 86_400);
        let ledger = &house.world.gateway.ledger;
        let plan = ledger.plan_pruning(&house.cathay.id, house.world.now(), |_, _| ()).await.unwrap();
        assert_eq!((plan.count, plan.kept, plan.obstacles.len()), (2, 2, 0), "{plan:?}");
        assert_eq!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 2);
        let mut conn = house.database.dedicated().unwrap();
        let kept: Vec<String> = on_either!(&mut conn, |c| events::table
            .filter(events::kind.eq("check.decided").and(events::body.is_not_null()))
            .order(events::log_index)
            .select(events::id)
            .load(c)
            .unwrap());
        assert_eq!(kept, [denied, granted]);
        // A counter whose window is over is not held to a log that was pruned.
        let lasting = before.iter().filter(|finding| !finding.contains("(counter_mismatch)"));
        assert_eq!(house.findings().iter().collect::<Vec<_>>(), lasting.collect::<Vec<_>>());
        for damaged in kept {
            assert!(before.iter().any(|finding| finding.contains(&damaged)), "{damaged} is found: {before:?}");
        }
    }
}
