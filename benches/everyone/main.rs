//! A rule tried on a million scores, and what checks notice of it: `cargo bench --bench everyone`, on
//! every database that this machine has. Says how long the run takes, how much memory it adds, and how
//! the latency of checks beside it compares with that of the same checks alone. `-- story` goes a rule's whole
//! way through the program instead, from a template to a rollback, and prints each command as it goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that meets the unexpected has failed"
)]

#[path = "../../tests/it/cli/story.rs"]
mod story;
#[expect(dead_code, unused_macros, unused_imports, reason = "a bench needs only some of what tests stand on")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
#[expect(dead_code, reason = "a bench needs only some of what tests say at a terminal")]
#[path = "../../tests/it/cli/terminal.rs"]
mod terminal;

use std::time::{Duration, Instant};

use perkgate::access::{Merchant, Principal, Role};
use perkgate::decision::facts::Context;
use perkgate::eligibility::population::Everyone;
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run as _;
use perkgate::eligibility::simulator::EveryoneTrial;
use perkgate::foundation::json::Json;
use perkgate::perks::perk::NewVersion;
use support::world::{CLI, World, question};

const SUBJECTS: usize = 1_000_000;
const ALONE: Duration = Duration::from_secs(5);
/// Between two checks of the one kiosk that asks.
const PAUSE: Duration = Duration::from_millis(2);

const LOUNGE: &str = r#"{"score":{"source":"klout","max_age":"P30D"},"tiers":[
    {"id":"first","rank":2,"when":{"attr":"score","op":"gte","value":60}},
    {"id":"main","rank":1,"when":{"attr":"score","op":"gte","value":40}}]}"#;

#[tokio::main]
async fn main() {
    if std::env::args().any(|it| it == "story") {
        Box::pin(stories()).await;
        return;
    }
    for world in World::all().await {
        let backend = world.gateway.database.backend();
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        world.perk(&merchant, "lounge", LOUNGE).await;
        let began = Instant::now();
        let scores = ["12.5", "27", "38", "41.25", "47", "55", "63.5", "71", "88", "96"];
        world.import_scores(&merchant, (0..SUBJECTS).map(|nth| (format!("twitter:p{nth}"), scores[nth % 10]))).await;
        println!("{backend:?}: imported {SUBJECTS} scores in {:.1} s", began.elapsed().as_secs_f64());
        let version =
            NewVersion { rule: Json::parse(&LOUNGE.replace("40", "45")).unwrap(), publish: false, change_note: None };
        let slug = "lounge".parse().unwrap();
        world.gateway.catalog.create_version(&merchant.id, CLI, &slug, version).await.unwrap();

        let alone = checks(&world, &kiosk, &merchant, async { tokio::time::sleep(ALONE).await }).await.0;
        let before = resident_kib();
        let began = Instant::now();
        let (beside, everyone) = checks(&world, &kiosk, &merchant, everyone(&world, &merchant)).await;
        let (took, after) = (began.elapsed(), resident_kib());
        assert_eq!((everyone.total, everyone.granted), (SUBJECTS as u64, SUBJECTS as u64 * 6 / 10));
        assert_eq!(everyone.published.unwrap().newly_refused, SUBJECTS as u64 / 10);
        println!(
            "{backend:?}: everyone in {:.1} s ({:.0} a second), {} KiB more resident; against the published version too",
            took.as_secs_f64(),
            f64::from(u32::try_from(SUBJECTS).unwrap()) / took.as_secs_f64(),
            after.saturating_sub(before)
        );
        for (name, share) in [("p50", 50), ("p99", 99)] {
            let (alone, beside) = (percentile(&alone, share), percentile(&beside, share));
            println!(
                "{backend:?}: checks' {name} alone {:.2} ms, beside it {:.2} ms: {:.2} times",
                alone.as_secs_f64() * 1e3,
                beside.as_secs_f64() * 1e3,
                beside.as_secs_f64() / alone.as_secs_f64()
            );
        }
        println!("{backend:?}: {} checks alone, {} beside", alone.len(), beside.len());
    }
}

async fn stories() {
    for mut terminal in terminal::Terminal::all() {
        terminal.told = Some(|line, took, peak| {
            println!("$ perkgate {line}    ({:.2} s, {} MiB)", took.as_secs_f64(), peak / 1024);
        });
        let backend = if terminal.is_on_postgres() { "PostgreSQL" } else { "SQLite" };
        println!("{backend}, {SUBJECTS} scores:");
        let mut took = story::Latencies { alone: Vec::new(), beside: Vec::new() };
        Box::pin(story::tell(&terminal, SUBJECTS, Some(&mut took))).await;
        for (name, share) in [("p50", 50), ("p99", 99)] {
            let [alone, beside] = [&took.alone, &took.beside].map(|it| percentile(it, share).as_secs_f64() * 1e3);
            println!("checks' {name} alone {alone:.2} ms, beside everyone {beside:.2} ms: {:.2} times", beside / alone);
        }
    }
}

async fn everyone(world: &World, merchant: &Merchant) -> Everyone {
    let trial = EveryoneTrial {
        perk: "lounge".parse().unwrap(),
        choice: Choice::Version(2),
        context: Context::default(),
        at: Some(world.now()),
    };
    let mut run = world.gateway.simulator.everyone(merchant, trial).await.unwrap();
    while run.step().await.unwrap().is_some() {}
    run.finish().unwrap()
}

/// How long each check takes that is made until `meanwhile` is over.
async fn checks<T>(
    world: &World,
    kiosk: &Principal,
    merchant: &Merchant,
    meanwhile: impl Future<Output = T>,
) -> (Vec<Duration>, T) {
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let (gateway, kiosk, merchant) = (world.gateway.clone(), kiosk.clone(), merchant.clone());
    let asking = tokio::spawn(async move {
        let mut took = Vec::new();
        let mut nth = 0;
        loop {
            nth = (nth + 7919) % SUBJECTS;
            let began = Instant::now();
            gateway.checker.check(&kiosk, &merchant, question("lounge", &format!("twitter:p{nth}"))).await.unwrap();
            took.push(began.elapsed());
            if tokio::time::timeout(PAUSE, stopped.changed()).await.is_ok() {
                return took;
            }
        }
    });
    let answer = meanwhile.await;
    drop(stop);
    let mut took = asking.await.unwrap();
    took.sort_unstable();
    (took, answer)
}

fn percentile(sorted: &[Duration], share: usize) -> Duration {
    sorted[(sorted.len() - 1) * share / 100]
}

/// `VmRSS` of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
