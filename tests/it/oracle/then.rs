//! Simulations of the past held against what was said at that very instant: random rules, guests who
//! come and leave, mistakes that are taken back, and rules that changed since.

use jiff::Timestamp;
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::decision::decided::Decided;
use perkgate::decision::facts::Context;
use perkgate::decision::person::PersonFacts;
use perkgate::decision::reason::{Reason, ReasonCode};
use perkgate::eligibility::checker::Question;
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::simulator::Simulated;
use perkgate::eligibility::trial::Trial;
use perkgate::foundation::boarding_pass::BoardingPass;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::GrantId;
use perkgate::foundation::json::Json;
use perkgate::foundation::period::Period;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving, ReturnError};
use perkgate::perks::perk::NewVersion;

use super::backtest::{SINGLES, SUMS};
use crate::support::world::{CLI, World, question};

/// Two of one merchant's, whose limits have the same ids: where a scope is the merchant's alone, they
/// share counters.
const PERKS: [&str; 2] = ["lounge", "spa"];

/// Whose uses are counted together, and how many times more than a person's fit.
const SCOPES: [(&str, u64); 9] = [
    (r#"["subject"]"#, 1),
    (r#"["subject","location"]"#, 1),
    (r#"["subject","merchant"]"#, 2),
    (r#"["tier"]"#, 3),
    (r#"["perk"]"#, 4),
    (r#"["merchant"]"#, 6),
    (r#"["merchant","perk"]"#, 4),
    (r#"["boarding_pass"]"#, 1),
    (r#"["context.receipt"]"#, 1),
];

/// A question that was asked live, and what was said.
struct Remembered {
    trial: Trial,
    said: Said,
}

/// What must be the same. A stranger has another pseudonym at each question, so scopes are left out.
#[derive(Debug, PartialEq)]
struct Said {
    decision: Decision,
    tier: Option<String>,
    reasons: Vec<Reason>,
    limits: Vec<(String, String, [u64; 3], Option<Timestamp>)>,
    next_eligible_at: Option<Timestamp>,
    max_wait: Option<Period>,
}

impl From<Simulated> for Said {
    fn from(simulated: Simulated) -> Self {
        let Decided { decision, tier, reasons, limits, next_eligible_at, max_wait, .. } = simulated.decided;
        let limits = limits.into_iter();
        let limits = limits.map(|it| (it.id, it.window, [it.cost, it.max, it.used], it.resets_at)).collect();
        Self { decision, tier, reasons, limits, next_eligible_at, max_wait }
    }
}

async fn ask(world: &World, merchant: &Merchant, trial: &Trial) -> Simulated {
    world.gateway.simulator.simulate(merchant, &CLI, trial.clone()).await.unwrap()
}

/// A busy house: what happens comes by the minute, so that instants lie close to each other.
struct House {
    world: World,
    merchant: Merchant,
    kiosks: [(Principal, Option<&'static str>); 2],
    /// How many versions each perk has.
    versions: [i32; 2],
    grants: Vec<(GrantId, String)>,
    remembered: Vec<Remembered>,
    dice: Entropy,
}

impl House {
    fn roll(&self, sides: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.dice.bytes()) % sides as u64).unwrap()
    }

    fn pass(&self, longest: usize) {
        self.world.pass(i64::try_from(self.roll(longest)).unwrap() + 1);
    }

    /// Limits of any kind, as tight as their windows are short; the first is of the same kind in both perks,
    /// and each has its own counters for it.
    fn rule(&self) -> String {
        let windows: Vec<(&str, u64)> = SUMS.into_iter().zip([2, 4, 8, 12, 14, 16, 20]).collect();
        let windows = [windows, SINGLES.into_iter().zip([2, 4, 6, 2, 3]).collect()].concat();
        let limits = (0..3).map(|nth| {
            let any = (SCOPES[self.roll(SCOPES.len())], windows[self.roll(windows.len())]);
            let ((scope, more), (window, few)) = if nth == 0 { (SCOPES[0], windows[1]) } else { any };
            // What a check brings is counted for a month at most.
            let is_brought = scope.contains("boarding_pass") || scope.contains("context");
            let is_long = ["quarter", "year", "lifetime"].iter().any(|long| window.contains(long));
            let window = if is_brought && is_long { windows[3].0 } else { window };
            let cost = ["1", "2", r#""party""#][self.roll(3)];
            let max = more * (few + self.roll(3) as u64);
            let max = match self.roll(3) {
                0 => format!(r#"{{"default":{max},"by_location":{{"SFO":{}}}}}"#, max.div_ceil(2).max(3)),
                _ => max.to_string(),
            };
            format!(r#"{{"id":"l{nth}","scope":{scope},"max":{max},"cost":{cost},"window":{window}}}"#)
        });
        let limits = limits.collect::<Vec<_>>().join(",");
        let (ttl, single) = (["PT5M", "PT1H"][self.roll(2)], self.roll(2) == 0);
        format!(
            r#"{{"tiers":[{{"id":"gold","rank":2,"when":{{"attr":"context.gold","op":"eq","value":true}}}},
            {{"id":"in","rank":1}}],"token":{{"ttl":"{ttl}","single_use":{single}}},"limits":[{limits}]}}"#
        )
    }

    async fn publish(&mut self) {
        let perk = self.roll(PERKS.len());
        let (catalog, slug) = (&self.world.gateway.catalog, PERKS[perk].parse().unwrap());
        let rule = Json::parse(&self.rule()).unwrap();
        let version = NewVersion { rule, publish: true, change_note: None };
        let made = match self.versions[perk] {
            0 => catalog.create_perk(&self.merchant.id, CLI, slug, "A perk", version).await,
            _ => catalog.create_version(&self.merchant.id, CLI, &slug, version).await,
        };
        self.versions[perk] = made.unwrap().version.version;
    }

    /// Somebody, and how many come with them, at one of the perks.
    fn visitor(&self) -> (usize, String, Context, Option<BoardingPass>) {
        let (gold, party, receipt) = (self.roll(3) == 0, self.roll(3) + 1, self.roll(5));
        let context = format!(r#"{{"gold":{gold},"party":{party},"receipt":{receipt}}}"#);
        let context = Context::parse(&Json::parse(&context).unwrap()).unwrap();
        let today = jiff::tz::TimeZone::UTC.to_datetime(self.world.now()).date().day_of_year();
        let pass = format!("M1TAN/ADA             EABC123 SFOHKGCX 0873 {today:03}J012A{:04} 100", self.roll(5) + 1);
        let pass = (self.roll(6) > 0).then(|| pass.parse().unwrap());
        (self.roll(PERKS.len()), format!("twitter:person{}", self.roll(5)), context, pass)
    }

    async fn check(&mut self) {
        let (perk, who, context, boarding_pass) = self.visitor();
        if self.versions[perk] == 0 {
            return;
        }
        let asked = Question { context, boarding_pass, ..question(PERKS[perk], &who) };
        let answer = self.world.check(&self.kiosks[self.roll(2)].0, asked).await.unwrap();
        self.grants.extend(answer.grant.map(|grant| grant.id.clone()).zip(answer.token));
    }

    /// Something becomes of one of the last grants.
    async fn go_on(&mut self) {
        let recent = self.grants.len().min(10);
        let Some((grant, token)) =
            recent.checked_sub(1).map(|last| &self.grants[self.grants.len() - 1 - self.roll(last + 1)])
        else {
            return;
        };
        let ledger = &self.world.gateway.ledger;
        match self.roll(10) {
            0..5 => {
                let (door, attempt) = ("door".to_owned(), self.world.now().to_string());
                let deadline = question("nothing", "nobody").deadline;
                let redeemer = &self.world.gateway.redeemer;
                match redeemer.redeem(&self.kiosks[0].0, &self.merchant, token, door, attempt, deadline).await {
                    Ok(_) | Err(RedeemError::AlreadyRedeemed(_) | RedeemError::Token(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            5..7 => {
                let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
                match ledger.release_grant(&self.merchant.id, grant, leaving).await {
                    Ok(_) | Err(ReturnError::Voided) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => {
                let taking = GrantRevocation { actor: CLI, note: "a mistake".into(), keep_uses: self.roll(3) == 0 };
                ledger.void_grants(&self.merchant.id, vec![grant.clone()], taking).await.unwrap();
            }
        }
    }

    /// Asks what would be said to somebody now.
    async fn remember(&mut self) {
        let (perk, who, context, boarding_pass) = self.visitor();
        if self.versions[perk] == 0 {
            return;
        }
        let location = self.kiosks[self.roll(2)].1.map(str::to_owned);
        let trial = Trial {
            perk: PERKS[perk].parse().unwrap(),
            choice: Choice::Version(self.versions[perk]),
            subject: Some(who.parse().unwrap()),
            score: None,
            network: None,
            context,
            at: Some(self.world.now()),
            location,
            kiosk: None,
            boarding_pass,
            attributes: PersonFacts::default(),
            airports: Vec::new(),
        };
        let said = ask(&self.world, &self.merchant, &trial).await.into();
        self.remembered.push(Remembered { trial, said });
    }

    async fn live(&mut self, steps: usize) {
        for step in 0..steps {
            match self.roll(24) {
                _ if step % 60 == 0 => self.publish().await,
                0..12 => self.check().await,
                12..21 => self.go_on().await,
                21 | 22 => self.pass(3600),
                _ => self.pass(12 * 3600),
            }
            self.pass(120);
            self.remember().await;
            self.pass(60);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_of_an_instant_that_is_past_as_they_were_told_then() {
    for (seed, world) in (0..).zip(World::all().await) {
        let merchant = world.merchant("cathay").await;
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "k");
        let placed = NewKey { location: Some("SFO".to_owned()), ..key.clone() };
        let kiosks = [(world.principal_with(placed).await, Some("SFO")), (world.principal_with(key).await, None)];
        let (grants, remembered, dice) = (Vec::new(), Vec::new(), Entropy::seeded(2012 + seed));
        let mut house = House { world, merchant, kiosks, versions: [0; 2], grants, remembered, dice };
        house.live(600).await;
        let House { world, merchant, remembered, .. } = house;
        let (mut granted, mut refused) = (0, 0);
        for Remembered { trial, said } in &remembered {
            let again = ask(&world, &merchant, trial).await;
            assert!(!again.warnings.iter().any(|it| it.code.starts_with("limits_")), "{:?}", again.warnings);
            assert_eq!(Said::from(again), *said, "{trial:?}");
            granted += usize::from(said.decision == Decision::Granted);
            refused += usize::from(said.reasons.iter().any(|reason| reason.code == ReasonCode::LimitReached));
        }
        assert!(granted > 150 && refused > 100, "{granted} granted, {refused} refused: this would show nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_whose_uses_are_pruned_is_left_out_and_named() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        let day = r#"{"id":"day","scope":["subject"],"max":1,"window":{"calendar":"day"}}"#;
        world.perk(&merchant, "lounge", &format!(r#"{{"tiers":[{{"id":"in"}}],"limits":[{day}]}}"#)).await;
        assert_eq!(
            world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap().decided.decision,
            Decision::Granted
        );
        let (used, hour) = (world.now(), jiff::SignedDuration::from_hours(1));
        let rule = format!(
            r#"{{"tiers":[{{"id":"in"}}],"limits":[{day},
            {{"id":"ever","scope":["subject"],"max":2,"window":{{"lifetime":true}}}}]}}"#
        );
        let asked = async |at: Timestamp| {
            let trial = Trial {
                perk: "lounge".parse().unwrap(),
                choice: Choice::Rule(Json::parse(&rule).unwrap()),
                subject: Some("twitter:ada".parse().unwrap()),
                score: None,
                network: None,
                context: Context::default(),
                at: Some(at),
                location: None,
                kiosk: None,
                attributes: PersonFacts::default(),
                boarding_pass: None,
                airports: Vec::new(),
            };
            let told = ask(&world, &merchant, &trial).await;
            let limits: Vec<_> = told.decided.limits.iter().map(|it| (it.id.clone(), it.used)).collect();
            (told.decided.decision, limits, told.warnings)
        };
        let both = |day, ever| vec![("day".to_owned(), day), ("ever".to_owned(), ever)];
        world.pass(40 * 24 * 3600);
        assert_eq!(asked(used).await, (Decision::Granted, both(1, 1), vec![]), "just before it was used");
        assert_eq!(asked(used + hour).await, (Decision::Denied, both(1, 0), vec![]));
        let plan = world.gateway.ledger.plan_pruning(&merchant.id, used + 24 * hour, |_, _| ()).await.unwrap();
        assert_eq!(world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 1);
        let (decision, limits, warnings) = asked(used + hour).await;
        assert_eq!((decision, limits), (Decision::Granted, vec![("ever".to_owned(), 1)]));
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert_eq!(warning.code, "limits_not_known");
        assert_eq!(
            warning.detail,
            "What had been used of `day` by 2012-05-08T20:00:00Z is not known any more: the bodies of checks that \
             counted were pruned from the log. This is what is decided without."
        );
        assert_eq!(asked(used).await, (Decision::Granted, both(1, 1), vec![]), "what is gone came later");
        assert_eq!(asked(used + 72 * hour).await, (Decision::Granted, both(1, 1), vec![]), "the day is long over");
    }
}
