//! When waiting is enough, held against asking at every hour of the next two weeks and right after it: random rules with
//! hours, blackouts, flight windows and limits, on both databases, whether the rule refused or a limit did.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::decision::person::PersonFacts;
use perkgate::decision::reason::ReasonCode;
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::checker::Question;
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run as _;
use perkgate::eligibility::trial::Trial;
use perkgate::foundation::boarding_pass::BoardingPass;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::perks::error::PerkError;
use perkgate::perks::perk::NewVersion;

use crate::support::world::{CLI, World, question};

const PERK: &str = "lounge";
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const AFTER: SignedDuration = SignedDuration::from_micros(1);

struct Dice(Entropy);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0.bytes()) % sides as u64).unwrap()
    }

    fn pick<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    /// Everything turns on the hour.
    fn rule(&self) -> String {
        let clock = || format!("{:02}:00", self.roll(24));
        let (from, to) = (clock(), clock());
        let every = r#""mon","tue","wed","thu","fri","sat","sun""#;
        let days = self.pick(&[r#""mon","thu""#, r#""sat""#, every, every, every, every]);
        let open = if from == to || self.roll(2) == 0 {
            String::new()
        } else {
            format!(r#","schedule":{{"open":[{{"days":[{days}],"from":"{from}","to":"{to}"}}]}}"#)
        };
        let dark = self.pick(&[
            "",
            "",
            "",
            "",
            r#","blackouts":[{"id":"b","from":"2026-03-08T10:00","until":"2026-03-09T03:00"}]"#,
            r#","blackouts":[{"id":"b","yearly":{"from":"03-08","to":"03-09"}}]"#,
        ]);
        let limits = (0..=self.roll(2)).map(|nth| {
            let scope = self.pick(&[
                r#"["subject"]"#,
                r#"["perk"]"#,
                r#"["tier"]"#,
                r#"["tier","subject"]"#,
                r#"["boarding_pass"]"#,
                r#"["context.receipt","tier"]"#,
            ]);
            let window = self.pick(&[
                r#"{"calendar":"hour"}"#,
                r#"{"calendar":"day"}"#,
                r#"{"calendar":"week"}"#,
                r#"{"calendar":"month"}"#,
                r#"{"rolling":"PT6H"}"#,
                r#"{"rolling":"P2D"}"#,
                r#"{"rolling":"P20D"}"#,
                r#"{"lifetime":true}"#,
            ]);
            let (max, cost) = (self.roll(2) + 1, self.pick(&["1", "1", r#""party""#]));
            format!(r#"{{"id":"l{nth}","scope":{scope},"max":{max},"cost":{cost},"window":{window}}}"#)
        });
        let limits = limits.collect::<Vec<_>>().join(",");
        let near = |before: &str, after: &str| {
            format!(r#"{{"attr":"context.departure","op":"within","before":"{before}","after":"{after}"}}"#)
        };
        let (first, main) =
            (near(self.pick(&["PT3H", "P1D"]), "PT1H"), near(self.pick(&["PT6H", "P9D", "P9D"]), "PT2H"));
        let zone = self.pick(&["UTC", "America/New_York"]);
        format!(
            r#"{{"time_zone":"{zone}","tiers":[{{"id":"first","rank":2,"when":{first}}},
                {{"id":"main","rank":1,"when":{main}}}],"limits":[{limits}]{open}{dark}}}"#
        )
    }
}

async fn publish(world: &World, merchant: &Merchant, dice: &Dice, is_new: bool) {
    let catalog = &world.gateway.catalog;
    loop {
        let version = NewVersion { rule: Json::parse(&dice.rule()).unwrap(), publish: true, change_note: None };
        let made = if is_new {
            catalog.create_perk(&merchant.id, CLI, PERK.parse().unwrap(), "A perk", version).await
        } else {
            catalog.create_version(&merchant.id, CLI, &PERK.parse().unwrap(), version).await
        };
        match made {
            Ok(_) => return,
            // A party's limit of one, a blackout that leaves nothing.
            Err(PerkError::Rule(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The first instant of the next two weeks at which the same question is granted: on the hour, or right after it, when
/// time windows have closed.
async fn first_granted(
    world: &World,
    merchant: &Merchant,
    who: &str,
    context: &Context,
    pass: &BoardingPass,
) -> Option<Timestamp> {
    let now = world.now();
    let instants = (0..=14 * 24).flat_map(|hours| [now + HOUR * hours, now + HOUR * hours + AFTER]);
    for at in instants.filter(|at| now < *at && *at <= now + HOUR * (14 * 24)) {
        let trial = Trial {
            perk: PERK.parse().unwrap(),
            choice: Choice::Deciding,
            subject: Some(who.parse().unwrap()),
            score: None,
            attributes: PersonFacts::default(),
            network: None,
            context: context.clone(),
            at: Some(at),
            location: None,
            kiosk: None,
            boarding_pass: Some(pass.clone()),
            airports: vec!["SFO".to_owned()],
        };
        let simulated = world.gateway.simulator.simulate(merchant, &CLI, trial).await.unwrap();
        if simulated.decided.decision == Decision::Granted {
            return Some(at);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn the_instant_to_come_back_is_the_first_of_all_that_are_tried() {
    for (seed, world) in (0..).zip(World::all().await) {
        let dice = Dice(Entropy::seeded(2026 + seed));
        // Shortly before the clocks change in New York.
        world.clock.set("2026-03-07T05:00:00Z".parse().unwrap());
        let merchant = world.merchant("cathay").await;
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "k");
        let kiosk = world.principal_with(NewKey { airports: vec!["SFO".to_owned()], ..key }).await;
        let began = world.now();
        let (mut by_rule, mut by_limit) = ([0; 2], [0; 2]);
        for version in 0..14 {
            publish(&world, &merchant, &dice, version == 0).await;
            for _ in 0..6 {
                // Often at the same hour, so that limits are used up.
                world.clock.set(world.now() + HOUR * [0, 0, 1, 5][dice.roll(4)]);
                let hours = if dice.roll(2) == 0 { dice.roll(60) } else { dice.roll(10) + 3 };
                let departs = world.now() + HOUR * (i32::try_from(hours).unwrap() - 4);
                let (party, receipt) = (dice.roll(2) + 1, dice.roll(2));
                let context = format!(r#"{{"departure":"{departs}","party":{party},"receipt":"r{receipt}"}}"#);
                let context = Context::parse(&Json::parse(&context).unwrap()).unwrap();
                let who = format!("twitter:person{}", dice.roll(2));
                // Limits count it until eight days after its day.
                let today = usize::try_from(world.now().to_zoned(TimeZone::UTC).day_of_year()).unwrap();
                let (day, seat) = (today + dice.roll(10) - 7, dice.roll(2) + 1);
                let pass = format!("M1TAN/ADA             EABC123 SFOHKGCX 0873 {day:03}J012A{seat:04} 100");
                let pass: BoardingPass = pass.parse().unwrap();
                let asked =
                    Question { context: context.clone(), boarding_pass: Some(pass.clone()), ..question(PERK, &who) };
                let answer = world.check(&kiosk, asked).await.unwrap().decided;
                if answer.decision == Decision::Granted {
                    continue;
                }
                let wanted = first_granted(&world, &merchant, &who, &context, &pass).await;
                assert_eq!(answer.next_eligible_at, wanted, "{answer:?} at {}", world.now());
                let is_limit = answer.reasons[0].code == ReasonCode::LimitReached;
                let seen = if is_limit { &mut by_limit } else { &mut by_rule };
                seen[usize::from(wanted.is_some())] += 1;
            }
        }
        let seen = [by_rule, by_limit].concat();
        assert!(seen.iter().all(|times| *times > 2), "{seen:?}: this would show nothing");
        world.pass(1);
        // What the log determines of it comes out again.
        for version in 1..=14 {
            let choice = Choice::Version(version);
            let trial = PastTrial { perk: PERK.parse().unwrap(), choice, from: began, to: None };
            let mut run = world.gateway.backtester.backtest(&merchant, trial).await.unwrap();
            while run.step().await.unwrap().is_some() {}
            let again = run.finish().unwrap().reproduction;
            assert_eq!((again.mismatches, again.other_engine), (0, 0), "version {version}: {again:?}");
        }
    }
}
