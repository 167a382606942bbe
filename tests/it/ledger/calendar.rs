//! Quarters and years: they begin with a day of the zone, whatever its clocks do in between.

use diesel::connection::SimpleConnection as _;
use jiff::Timestamp;
use perkgate::access::{Merchant, Role};
use perkgate::audit::Request;
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::decision::person::PersonFacts;
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::trial::Trial;
use perkgate::foundation::entropy::Entropy;
use perkgate::rules::engine::FLOOR;

use crate::support::world::{CLI, World, question};

const RULE: &str = r#"{"time_zone":"America/Los_Angeles","tiers":[{"id":"in"}],"limits":[
  {"id":"quarter","scope":["subject"],"max":1,"window":{"calendar":"quarter"}},
  {"id":"year","scope":["subject"],"max":2,"window":{"calendar":"year"}}]}"#;

/// When somebody comes, whether there is room, and from when on there will be, if within two weeks.
const VISITS: [(&str, Result<(), &str>); 9] = [
    ("2026-12-31T23:59:58-08:00", Ok(())),
    ("2026-12-31T23:59:59-08:00", Err("2027-01-01T08:00:00Z")),
    ("2027-01-01T00:00:00-08:00", Ok(())),
    // The clocks went forward in the first quarter.
    ("2027-03-31T23:59:59-07:00", Err("2027-04-01T07:00:00Z")),
    ("2027-04-01T00:00:00-07:00", Ok(())),
    // The year is not over within two weeks.
    ("2027-06-30T23:59:59-07:00", Err("")),
    ("2027-07-01T00:00:00-07:00", Err("")),
    ("2027-12-31T23:59:59-08:00", Err("2028-01-01T08:00:00Z")),
    ("2028-01-01T00:00:00-08:00", Ok(())),
];

fn findings(world: &World) -> Vec<String> {
    let report =
        perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|it| it.wrong.code().to_owned()).collect()
}

async fn obstacles(world: &World, merchant: &Merchant, before: Timestamp) -> Vec<(&'static str, Option<String>)> {
    let plan = world.gateway.ledger.plan_pruning(&merchant.id, before, |_, _| ()).await.unwrap();
    plan.obstacles.iter().map(|it| (it.reason.code(), it.until.map(|at| at.to_string()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_and_a_year_begin_at_the_zones_midnight_and_are_recounted_so() {
    for world in World::all().await {
        world.clock.set("2026-12-31T20:00:00Z".parse().unwrap());
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let made = world.perk(&cathay, "lounge", RULE).await;
        let mut asked = Vec::new();
        for (at, wanted) in VISITS {
            world.clock.set(at.parse().unwrap());
            let said = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap().decided;
            let next = said.next_eligible_at.map(|at| at.to_string());
            let had =
                if said.decision == Decision::Granted { Ok(()) } else { Err(next.as_deref().unwrap_or_default()) };
            assert_eq!(had, wanted, "{at}");
            asked.push((world.now(), said));
        }
        let (first, last) = (&asked[0].1, &asked[asked.len() - 1].1);
        let windows = |limits: &[perkgate::decision::decided::LimitTouched]| {
            limits.iter().map(|it| (it.window.clone(), it.used)).collect::<Vec<_>>()
        };
        // Standard time begins the year, and summer time the last quarter.
        assert_eq!(windows(&first.limits), [("quarter:2026-Q4@-07".into(), 1), ("year:2026@-08".into(), 1)]);
        assert_eq!(windows(&last.limits), [("quarter:2028-Q1@-08".into(), 1), ("year:2028@-08".into(), 1)]);
        assert_eq!(findings(&world), [""; 0]);

        // Each instant once more, now that it is past.
        world.pass(1);
        for (at, said) in &asked {
            let trial = Trial {
                perk: "lounge".parse().unwrap(),
                choice: Choice::Version(made.version.version),
                subject: Some("twitter:ada".parse().unwrap()),
                score: None,
                network: None,
                context: Context::default(),
                at: Some(*at),
                location: None,
                kiosk: None,
                attributes: PersonFacts::default(),
                boarding_pass: None,
                airports: Vec::new(),
            };
            let again = world.gateway.simulator.simulate(&cathay, &CLI, trial).await.unwrap();
            assert_eq!(again.warnings, []);
            let fields = |it: &perkgate::decision::decided::Decided| {
                let limits: Vec<_> = it.limits.iter().map(|it| (it.window.clone(), it.used, it.resets_at)).collect();
                (it.decision, it.next_eligible_at, limits)
            };
            assert_eq!(fields(&again.decided), fields(said), "{at}");
        }

        // Their bodies are needed for as long as the year lasts.
        world.pass(40 * 24 * 3600);
        let before = "2028-01-02T00:00:00Z".parse().unwrap();
        let open = ("open_windows", Some("2029-01-01T08:00:00Z".to_owned()));
        assert_eq!(obstacles(&world, &cathay, before).await, [open]);
        world.clock.set("2029-01-01T08:00:00Z".parse().unwrap());
        let plan = world.gateway.ledger.plan_pruning(&cathay.id, before, |_, _| ()).await.unwrap();
        assert_eq!(plan.obstacles, []);
        world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap();
        let said = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
        assert_eq!(said.decided.decision, Decision::Granted);
        assert_eq!(findings(&world), [""; 0]);
        for window in ["quarter:2029-Q1@-08", "year:2029@-08"] {
            let mut conn = world.database.open().dedicated().unwrap();
            let change = |by: &str| format!("UPDATE limit_counters SET used = used {by} WHERE window_key = '{window}'");
            conn.batch_execute(&change("+ 1")).unwrap();
            assert_eq!(findings(&world), ["counter_mismatch"], "{window} began after what is pruned");
            conn.batch_execute(&change("- 1")).unwrap();
        }
        assert_eq!(findings(&world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_rules_with_quarters_or_years_need_the_newer_reading() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "year", RULE).await;
        world
            .perk(&cathay, "month", &RULE.replace("\"quarter\"}", "\"month\"}").replace("\"year\"}", "\"day\"}"))
            .await;
        let mut engines = Vec::new();
        for perk in ["year", "month"] {
            let check = world.check(&kiosk, question(perk, "twitter:ada")).await.unwrap().check.unwrap();
            engines.push(engine_of(&world, check.as_str()));
        }
        assert_eq!(engines, [format!(r#""engine":{FLOOR},"#), r#""engine":2,"#.to_owned()]);
    }
}

/// As the check's event has it.
fn engine_of(world: &World, check: &str) -> String {
    use diesel::prelude::*;
    use perkgate::database::schema::events;
    let mut conn = world.database.open().dedicated().unwrap();
    let bodies = events::table.filter(events::about.eq(check)).select(events::body);
    let body: Option<String> = bodies.first(&mut conn).unwrap();
    let body = body.unwrap();
    let from = body.find(r#""engine":"#).unwrap();
    body[from..].split_inclusive(',').next().unwrap().to_owned()
}
