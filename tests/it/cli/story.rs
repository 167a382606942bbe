//! A rule's way from a template to the desk and back, as its merchant would go it at a terminal.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Checker, Question};
use perkgate::foundation::clock::Clock;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;

use super::terminal::{Terminal, answer};
use crate::support::world::{CLI, question};

const EVERYONE: usize = 200;
const ASKED: std::ops::Range<usize> = 60..120;
const BESIDE: &str = r#"{"concourse":"A"}"#;

/// Scores from 0 to 99.5, half a point apart, over and over.
fn score(nth: usize) -> f64 {
    f64::from(u32::try_from(nth % 200).unwrap()) / 2.0
}

fn count(from: f64, to: f64, among: std::ops::Range<usize>) -> u64 {
    among.filter(|nth| (from..to).contains(&score(*nth))).count() as u64
}

/// Changes a file of the terminal's as an editor would.
fn edit(terminal: &Terminal, name: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(terminal.path().join(name)).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    terminal.write(name, &text.replace(from, to));
}

async fn ask(gateway: &Gateway, kiosk: &Principal, merchant: &Merchant, nth: usize) -> Decision {
    let context = Context::parse(&Json::parse(BESIDE).unwrap()).unwrap();
    let asked = Question { context, ..question("sfo-lounge", &format!("twitter:p{nth}")) };
    gateway.checker.check(kiosk, merchant, asked).await.unwrap().decided.decision
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_template_to_the_desk_and_back() {
    for terminal in Terminal::all() {
        Box::pin(tell(&terminal, EVERYONE, None)).await;
    }
}

/// How long each check takes that a kiosk makes while something else goes on.
pub(super) struct Beside {
    checker: Checker,
    kiosk: Arc<Principal>,
    merchant: Merchant,
}

impl Beside {
    /// The durations, sorted, and what `meanwhile` came to.
    async fn ask<T>(&self, meanwhile: impl AsyncFnOnce() -> T) -> (Vec<Duration>, T) {
        let (stop, mut stopped) = tokio::sync::watch::channel(());
        let (checker, kiosk, merchant) = (self.checker.clone(), self.kiosk.clone(), self.merchant.clone());
        let asking = tokio::spawn(async move {
            let (mut took, mut nth) = (Vec::new(), 0);
            loop {
                nth = (nth + 7919) % EVERYONE;
                let began = Instant::now();
                let asked = question("spa", &format!("twitter:p{nth}"));
                let answer = checker.check(&kiosk, &merchant, asked).await.unwrap();
                assert_eq!(answer.decided.decision, Decision::Granted);
                took.push(began.elapsed());
                if tokio::time::timeout(Duration::from_millis(2), stopped.changed()).await.is_ok() {
                    return took;
                }
            }
        });
        let answer = meanwhile().await;
        drop(stop);
        let mut took = asking.await.unwrap();
        took.sort_unstable();
        (took, answer)
    }
}

/// What checks took alone and beside a trial of everyone.
pub(super) struct Latencies {
    pub alone: Vec<Duration>,
    pub beside: Vec<Duration>,
}

/// The whole way, on so many scores; with the latency of checks beside the trial where it is asked for.
pub(super) async fn tell(terminal: &Terminal, everyone: usize, latencies: Option<&mut Latencies>) {
    let mut more = 0;
    if terminal.is_on_postgres() {
        terminal.ask("migrate");
    }
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");

    // A file to begin with, made one's own: this lounge never closes, and has room.
    terminal.ask("perk new --template lounge --perk sfo-lounge");
    edit(terminal, "sfo-lounge.yaml", "from: \"06:00\", to: \"23:00\"", "from: \"00:00\", to: \"24:00\"");
    let cases = std::fs::read_to_string(terminal.path().join("sfo-lounge.test.yaml")).unwrap();
    let (kept, _) = cases.split_once("  - name: At night it is closed").unwrap();
    terminal.write("sfo-lounge.test.yaml", kept);
    assert!(terminal.read("perk test -f .").ends_with("6 passed, 0 failed\n"));
    assert_eq!(terminal.run("perk diff -f . --merchant cathay").status.code(), Some(1), "it is new");
    let applied = terminal.ask("perk apply -f sfo-lounge.yaml --merchant cathay --publish --note 'The offer of 2012'");
    assert_eq!((&applied["version"], &applied["status"]), (&1.into(), &"published".into()));
    assert_eq!(terminal.run("perk diff -f . --merchant cathay").status.code(), Some(0));

    let began = Clock::System.now();
    let mut feed = "subject,value,observed_at\n".to_owned();
    for nth in 0..everyone {
        writeln!(feed, "twitter:p{nth},{},{}", score(nth), began - jiff::SignedDuration::from_hours(1)).unwrap();
    }
    terminal.write("feed.csv", &feed);
    terminal.ask("score import feed.csv --source klout --merchant cathay");

    // A day at the desk.
    let gateway = terminal.gateway().await;
    let merchant = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
    let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "SFO A12");
    let (_, secret) = gateway.directory.create_key(key, CLI).await.unwrap();
    let kiosk = gateway.directory.authenticate(secret.expose(), Clock::System.now()).await.unwrap();
    for nth in ASKED {
        ask(&gateway, &kiosk, &merchant, nth).await;
    }

    // It was full. The cases say what the change breaks, and then what is meant.
    edit(terminal, "sfo-lounge.yaml", "value: 40", "value: 45");
    let failed = terminal.run("perk test -f .");
    let told = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(told.contains("FAILED  A score of 40 opens the main lounge"), "{told}");
    edit(terminal, "sfo-lounge.test.yaml", "score: 40,", "score: 45,");
    edit(terminal, "sfo-lounge.test.yaml", "score: 39.999,", "score: 44.999,");
    terminal.read("perk test -f .");
    let differs = terminal.run("perk diff -f . --merchant cathay");
    let told = String::from_utf8(differs.stdout).unwrap();
    assert!(told.contains("Main lounge: at least 40 → at least 45"), "{told}");
    let drafted = terminal.ask("perk apply -f sfo-lounge.yaml --merchant cathay");
    assert_eq!((&drafted["version"], &drafted["status"]), (&2.into(), &"draft".into()));
    assert_eq!(terminal.ask("perk apply -f sfo-lounge.yaml --merchant cathay")["outcome"], "unchanged");

    // Before it is published: whom it would admit, and what it would have done.
    let line = format!("perk simulate sfo-lounge --merchant cathay --version 2 --everyone --context '{BESIDE}'");
    let told = match latencies {
        None => terminal.ask(&line),
        Some(latencies) => {
            terminal.write("spa.json", r#"{"perk":"spa","name":"Spa","rule":{"at_least":0,"score":"klout"}}"#);
            terminal.ask("perk apply -f spa.json --merchant cathay --publish");
            let (checker, kiosk, merchant) = (gateway.checker.clone(), kiosk.clone(), merchant.clone());
            let beside = Beside { checker, kiosk, merchant };
            latencies.alone = beside.ask(async || tokio::time::sleep(Duration::from_secs(5)).await).await.0;
            let told;
            (latencies.beside, told) = beside.ask(async || terminal.ask(&line)).await;
            more = u64::try_from(latencies.alone.len() + latencies.beside.len()).unwrap();
            told
        }
    };
    let tier = |nth: usize| told["tiers"][nth]["subjects"].as_u64().unwrap();
    assert_eq!(told["total"], everyone);
    assert_eq!((tier(0), tier(1)), (count(60.0, 100.0, 0..everyone), count(45.0, 60.0, 0..everyone)));
    assert_eq!(told["published"]["newly_refused"], count(40.0, 45.0, 0..everyone));
    assert_eq!(told["near"]["below"], count(42.0, 45.0, 0..everyone), "{told}");
    let tried = format!("perk backtest sfo-lounge --merchant cathay --from {began}");
    let back = terminal.ask(&format!("{tried} --version 2"));
    assert_eq!(back["checks"], ASKED.len());
    assert_eq!((&back["newly_refused"], &back["newly_admitted"]), (&count(40.0, 45.0, ASKED).into(), &0.into()));
    let again = terminal.ask(&format!("{tried} --version 1"));
    assert_eq!((&again["same"], &again["reproduction"]["mismatches"]), (&ASKED.len().into(), &0.into()));

    // Published, and taken back in one call.
    let just_below = 42 * 2;
    terminal.ask("perk publish sfo-lounge --merchant cathay --note 'Full every evening'");
    drop(gateway);
    let stricter = terminal.gateway().await;
    assert_eq!(ask(&stricter, &kiosk, &merchant, just_below + 60).await, Decision::Granted);
    assert_eq!(ask(&stricter, &kiosk, &merchant, just_below).await, Decision::Denied);
    drop(stricter);
    let rolled = terminal.ask("perk rollback sfo-lounge --to 1 --merchant cathay --note 'Half empty now'");
    assert_eq!((&rolled["version"], &rolled["rule_hash"]), (&3.into(), &applied["rule_hash"]));
    let gateway = terminal.gateway().await;
    // Once a day each: somebody who hasn't been in.
    assert_eq!(ask(&gateway, &kiosk, &merchant, 40 * 2 + 45).await, Decision::Granted);
    drop(gateway);
    let history = answer(&terminal.run("perk history sfo-lounge --merchant cathay --json"), 0);
    let notes: Vec<_> = history["versions"].as_array().unwrap().iter().map(|it| it["change_note"].clone()).collect();
    assert_eq!(notes.len(), 3, "{history}");
    let verified = terminal.ask("audit verify");
    assert_eq!(verified["checked"]["grants"], count(40.0, 60.0, ASKED) + 2 + more, "{verified}");
}
