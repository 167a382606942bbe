//! How many checks a second, and how long one takes: the program itself on every database that this
//! machine has, beside a bare actix server that takes and answers JSON, under the same load in the
//! same run. `cargo bench --bench checks`
//!
//! `-- PROGRAM …` measures other builds of the program beside this one, on the same databases.
//!
//! Every check is granted, recorded and answered with its token; the counts are compared with the
//! ledger afterwards. Rounds alternate between the servers, so that a machine that is busy for a
//! while slows all of them; what is told is the median of the rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected has failed"
)]

mod bare;
mod load;
#[expect(dead_code, unused_macros, unused_imports, reason = "a measurement needs only some of what tests stand on")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perkgate::access::{Merchant, NewKey, Role};
use perkgate::database::Backend;

use load::{Figures, Load};
use support::databases::TestDatabase;
use support::serve::Serve;
use support::world::{CLI, World};

const SUBJECTS: usize = 10_000;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
/// Long enough that most subjects have been met once.
const WARM_UP: Duration = Duration::from_secs(3);

/// The same rule with and without a limit; nobody reaches it.
const PERKS: [(&str, &str); 2] = [
    (
        "open",
        r#"{"score":{"source":"klout"},
            "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}]}"#,
    ),
    (
        "limited",
        r#"{"score":{"source":"klout"},
            "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
            "limits":[{"id":"person-day","scope":["subject"],"max":1000000,"window":{"calendar":"day"}}]}"#,
    ),
];

/// What is loaded in turn.
struct Subject {
    name: String,
    load: Load,
    rounds: Vec<Figures>,
}

/// The programs on one database.
struct Stand {
    world: World,
    merchant: Merchant,
    /// With what tells it from this build.
    serves: Vec<(String, Serve)>,
    key: String,
}

#[tokio::main]
async fn main() {
    let others: Vec<PathBuf> = std::env::args().skip(1).filter(|it| it != "--bench").map(PathBuf::from).collect();
    let mut stands = Vec::new();
    for database in TestDatabase::migrated() {
        stands.push(Stand::start(database, &others).await);
    }
    let mut subjects = vec![Subject::new("bare actix".to_owned(), bare::start(), "none", "open")];
    for stand in &stands {
        for (perk, _) in PERKS {
            for (build, serve) in &stand.serves {
                let name = format!("{}, {perk}{build}", stand.name());
                subjects.push(Subject::new(name, serve.address(), &stand.key, perk));
            }
        }
    }
    println!("{CONNECTIONS} connections, {SUBJECTS} subjects, {ROUNDS} rounds of {ROUND:?}; load by {}", load::maker());
    for subject in &subjects {
        subject.load.run(WARM_UP);
    }
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let figures = subject.load.run(ROUND);
            subject.rounds.push(figures);
        }
    }
    println!("{}", table(&subjects));
    for stand in stands {
        stand.check_ledger();
    }
}

impl Stand {
    async fn start(database: TestDatabase, others: &[PathBuf]) -> Self {
        let world = World::live(database).await;
        let merchant = world.merchant("cathay").await;
        for (perk, rule) in PERKS {
            world.perk(&merchant, perk, rule).await;
        }
        world.import_scores(&merchant, (0..SUBJECTS).map(|nth| (subject(nth), "47.25"))).await;
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "bench");
        let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
        let start = |program: &Path| Serve::start(program, &world.database, &[("rate_per_key", "0")]);
        let mut serves = vec![(String::new(), start(Path::new(env!("CARGO_BIN_EXE_perkgate"))))];
        serves.extend(others.iter().map(|other| (format!(" ({})", other.display()), start(other))));
        Self { world, merchant, serves, key: secret.expose().to_owned() }
    }

    fn name(&self) -> &'static str {
        match self.world.database.backend() {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL + Redis",
        }
    }

    /// Everything that was answered was granted and is in the log.
    fn check_ledger(self) {
        let name = self.name();
        drop(self.serves);
        let tally = self.world.tally(&self.merchant);
        assert_eq!(tally.denied, 0, "every check was to be granted");
        assert_eq!(tally.granted, tally.grants.len());
        println!("{name}: {} granted, each with its grant; the log's root holds", tally.granted);
    }
}

impl Subject {
    fn new(name: String, address: SocketAddr, key: &str, perk: &str) -> Self {
        let bodies = (0..SUBJECTS).map(|nth| format!(r#"{{"perk":"{perk}","subject":"{}"}}"#, subject(nth))).collect();
        Self { name, load: Load::new(address, key, bodies, CONNECTIONS), rounds: Vec::new() }
    }
}

fn subject(nth: usize) -> String {
    format!("twitter:person{nth}")
}

/// Medians, and what they are of the first row's.
fn table(subjects: &[Subject]) -> String {
    let median = |subject: &Subject, of: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = subject.rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let rate = |subject: &Subject| median(subject, Figures::per_second);
    let mut text = format!("{:<56}{:>12}{:>10}{:>10}{:>10}\n", "", "requests/s", "of bare", "p50 ms", "p99 ms");
    for subject in subjects {
        let _ = writeln!(
            text,
            "{:<56}{:>12.0}{:>10.2}{:>10.2}{:>10.2}",
            subject.name,
            rate(subject),
            rate(subject) / rate(&subjects[0]),
            median(subject, |it| it.p50_ms),
            median(subject, |it| it.p99_ms),
        );
    }
    text
}
