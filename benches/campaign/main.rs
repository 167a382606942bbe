//! The promises at full size, on every database that this machine has: 20,000 attempts on a limit of
//! 5,000 by two replicas, 50 times `kill -9` under load, 100,000 random checks backtested, and 1,000 people erased
//! without a trace.
//! `cargo bench --bench campaign` runs all of it, with `-- race`, `-- crash`, `-- backtest`, `-- canaries` or `-- report 1000000` a part. The suite runs the same scenarios small.
//!
//! `-- tamper` lays hands on 100,000 events a thousand times, or as often as a number says, and
//! asks each time whether that is found and named. `-- verify 1000000` asks how fast a history of so many events is verified, on one core; a second
//! number says how many visits are recorded at once, a path where a copy of the database is kept.
//! Both take `sqlite` or `postgres` to look at one of them only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a campaign that meets the unexpected has failed"
)]

#[expect(dead_code, unused_macros, unused_imports, reason = "a campaign needs only some of what tests stand on")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

#[path = "../../tests/it/ledger/crash.rs"]
mod crash;
mod long;
#[expect(dead_code, unused_imports, reason = "a campaign needs only one of the oracle's questions")]
#[path = "../../tests/it/oracle/mod.rs"]
mod oracle;
#[path = "../../tests/it/privacy.rs"]
mod privacy;
#[path = "../../tests/it/ledger/race.rs"]
mod race;
#[path = "../../tests/it/audit/random.rs"]
mod random;
#[path = "../../tests/it/audit/written.rs"]
mod written;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use perkgate::audit::export::record::Form;
use perkgate::audit::reports::Asked;
use perkgate::audit::reports::asked::{GroupBy, ReportKind};
use perkgate::database::Backend;
use support::databases::TestDatabase;
use support::world::World;

const ATTEMPTS: usize = 20_000;
const LIMIT: usize = 5_000;
const KILLS: usize = 50;
/// Perks, and checks for each.
const HISTORY: (usize, usize) = (10, 10_000);
const CANARIES: usize = 1_000;
/// To be verified, and how many visits of it were recorded at once.
const EVENTS: usize = 100_000;
const AT_ONCE: usize = 64;
const TAMPERINGS: usize = 1_000;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|it| it == part);
    if is_wanted("race") {
        races().await;
    }
    if is_wanted("crash") {
        crashes().await;
    }
    if is_wanted("backtest") {
        backtests().await;
    }
    if is_wanted("canaries") {
        canaries().await;
    }
    if is_wanted("tamper") {
        tamperings(&wanted).await;
    }
    if is_wanted("verify") {
        verifications(&wanted).await;
    }
    if is_wanted("report") {
        reports(&wanted).await;
    }
}

async fn races() {
    for window in race::WINDOWS {
        for world in World::all().await {
            let began = Instant::now();
            race::exactly_the_limit_is_granted(&world, window, ATTEMPTS, LIMIT).await;
            told(
                &world,
                began,
                &format!("{ATTEMPTS} attempts on a limit of {LIMIT} in {window}: {LIMIT} granted, counted, recorded"),
            );
        }
    }
    for world in World::all().await {
        let began = Instant::now();
        race::two_limits_hold_for_parties_and_repeated_questions(&world, ATTEMPTS / 4, LIMIT / 2).await;
        let asked = ATTEMPTS / 4;
        told(
            &world,
            began,
            &format!("{asked} parties, each asked for twice, on a house of {}: full, none over", LIMIT / 2),
        );
    }
    for world in World::all().await {
        let began = Instant::now();
        race::one_door_wins(&world, 100, 50).await;
        told(
            &world,
            began,
            "100 tokens, each at 50 doors at once: one opens; 100 attempts, each made 50 times: one redemption",
        );
    }
}

async fn crashes() {
    for database in TestDatabase::migrated() {
        let (began, backend) = (Instant::now(), database.backend());
        let losses = crash::killed(database, Path::new(env!("CARGO_BIN_EXE_perkgate")), KILLS).await;
        let seconds = began.elapsed().as_secs();
        println!("{backend:?}: killed {KILLS} times; {losses:?}; none lost, no limit passed ({seconds} s)");
    }
}

async fn backtests() {
    let (perks, checks) = HISTORY;
    for world in World::all().await {
        let (began, backend) = (Instant::now(), world.database.backend());
        oracle::backtest::hold_to_the_record(vec![world], perks, checks).await;
        let seconds = began.elapsed().as_secs();
        println!(
            "{backend:?}: {} checks replayed; every one reproduced, drafts as recounted ({seconds} s)",
            perks * checks
        );
    }
}

async fn canaries() {
    for place in privacy::Place::all() {
        let (began, backend) = (Instant::now(), place.database.backend());
        let program = Path::new(env!("CARGO_BIN_EXE_perkgate"));
        let searched = privacy::nobody_is_named(place, program, CANARIES).await;
        let seconds = began.elapsed().as_secs();
        println!(
            "{backend:?}: {CANARIES} people scored, checked, redeemed, referred and erased; none named in {} bytes of the \
             database, {} bytes of logs at `trace`, the whole log over HTTP or the metrics ({seconds} s)",
            searched.database_bytes, searched.log_bytes
        );
    }
}

/// On every database that this machine has, or on the one that was named.
async fn worlds(wanted: &[String]) -> Vec<World> {
    let is_named = |backend: Backend| wanted.contains(&format!("{backend:?}").to_lowercase());
    let any_named = is_named(Backend::Sqlite) || is_named(Backend::Postgres);
    let mut worlds = Vec::new();
    for database in TestDatabase::migrated() {
        if !any_named || is_named(database.backend()) {
            worlds.push(World::on(database, &[]).await);
        }
    }
    worlds
}

async fn tamperings(wanted: &[String]) {
    let times = wanted.iter().find_map(|it| it.parse().ok()).unwrap_or(TAMPERINGS);
    for world in worlds(wanted).await {
        let backend = world.database.backend();
        long::record(&world, EVENTS, AT_ONCE).await;
        let began = Instant::now();
        let database = world.database.open();
        let target = random::Target::new(&database, "cathay", world.gateway.keyring.log_key().verifier().clone());
        let done = target.campaign(&mut random::Dice::new(2012), times);
        let seconds = began.elapsed().as_secs();
        println!(
            "{backend:?}: {times} times tampered with about {EVENTS} events, each found and named: {done:?} ({seconds} s)"
        );
    }
}

/// How long each report takes over a history of so many events: the first one, which sums up what is not yet, and again.
async fn reports(wanted: &[String]) {
    let events = wanted.iter().find_map(|it| it.parse::<usize>().ok()).unwrap_or(EVENTS);
    for world in worlds(wanted).await {
        let (began, backend) = (Instant::now(), world.database.backend());
        long::record(&world, events, AT_ONCE).await;
        world.pass(1);
        println!("{backend:?}: recorded ({} s)", began.elapsed().as_secs());
        let merchant = world.gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        for kind in [ReportKind::Grants, ReportKind::Billing, ReportKind::Fairness] {
            let group_by = Some(GroupBy::Day);
            let asked = Asked { kind, group_by, from: None, to: None, time_zone: None, perk: None };
            for which in ["first", "again"] {
                let began = Instant::now();
                let report = world.gateway.reporter.report(&merchant, asked.clone(), || {}).await.unwrap();
                let seconds = began.elapsed().as_secs_f64();
                let (size, groups) = (report.log_size, report.groups.len());
                println!("{backend:?}: {} over {size} events, {groups} groups, {which}: {seconds:.2} s", kind.as_str());
            }
        }
    }
}

async fn verifications(wanted: &[String]) {
    let mut numbers = wanted.iter().filter_map(|it| it.parse::<usize>().ok());
    let (events, at_once) = (numbers.next().unwrap_or(EVENTS), numbers.next().unwrap_or(AT_ONCE));
    let kept = wanted.iter().find(|it| it.contains('/'));
    for world in worlds(wanted).await {
        let (began, backend) = (Instant::now(), world.database.backend());
        long::record(&world, events, at_once).await;
        println!("{backend:?}: recorded, {at_once} visits at once ({} s)", began.elapsed().as_secs());
        if let (Some(path), Backend::Sqlite) = (kept, backend) {
            let mut conn = world.database.open().dedicated().unwrap();
            conn.batch_execute(&format!("VACUUM INTO '{path}'")).unwrap();
        }
        let key = world.gateway.keyring.log_key().vkey();
        for more in [&["--key", &key][..], &["--key", &key, "--every-signature"]] {
            let figures = long::verify(Path::new(env!("CARGO_BIN_EXE_perkgate")), Some(&world.database), more);
            assert_eq!(figures.answer["ok"], true, "{}", figures.answer);
            println!("{backend:?}{}: {figures}", if more.len() > 2 { ", every signature" } else { "" });
        }
        if backend == Backend::Sqlite {
            let directory = tempfile::tempdir().unwrap();
            for form in [Form::Ndjson, Form::Csv] {
                let path = directory.path().join("export");
                let mut file = BufWriter::new(File::create(&path).unwrap());
                let mut conn = world.database.open().dedicated().unwrap();
                let log_key = world.gateway.keyring.log_key();
                written::write(&mut conn, "cathay", log_key.verifier(), form, &written::Part::default(), &mut file);
                file.flush().unwrap();
                let program = Path::new(env!("CARGO_BIN_EXE_perkgate"));
                let figures = long::verify(program, None, &[&path.display().to_string(), "--key", &key]);
                assert_eq!(figures.answer["ok"], true, "{}", figures.answer);
                println!("{form:?} export: {figures}");
            }
        }
    }
}

fn told(world: &World, began: Instant, what: &str) {
    println!("{:?}: {what} ({} s)", world.database.backend(), began.elapsed().as_secs());
}
