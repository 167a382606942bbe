//! How many checks a second, how long one takes, and what it costs the cores: the program itself on every
//! database that this machine has, beside a bare actix server that takes and answers JSON, under the same
//! load in the same run. `cargo bench --bench checks`
//!
//! - `-- --program PATH` measures another build of the program beside this one, on databases of its own; may be repeated
//! - `-- --people 1000000 --perks 100000` measures with as many scores, and beside as many perks nobody asks about
//! - `-- --only denied` measures what has this in its name, and bare actix; `--rounds 5 --seconds 10` for longer
//!
//! Every check is recorded, and answered with its token where it is granted; all that was recorded is verified
//! afterwards. Rounds alternate between all that is measured, so that a machine that is busy for a
//! while slows all of it; a figure is the median of the rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected has failed"
)]

mod bare;
mod cores;
mod load;
mod scenarios;
mod stand;
#[expect(dead_code, unused_macros, unused_imports, reason = "a measurement needs only some of what tests stand on")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use cores::CoreTime;
use load::Load;
use scenarios::{Kind, SCENARIOS, Scenario, bodies, redemption};
use stand::Stand;
use support::databases::TestDatabase;
use support::serve::Serve;
use table::{Round, Row, table};

/// Long enough that most people have been met once.
const WARM_UP: Duration = Duration::from_secs(3);
/// More than are redeemed in a second, on any machine so far.
const TOKENS_A_SECOND: usize = 12_000;

const TIER: &str = "standard";

/// What the command line asks for.
struct Options {
    people: usize,
    perks: usize,
    rounds: usize,
    round: Duration,
    only: Option<String>,
    others: Vec<PathBuf>,
}

impl Options {
    fn read() -> Self {
        let mut options =
            Self { people: 10_000, perks: 0, rounds: 3, round: Duration::from_secs(5), only: None, others: Vec::new() };
        let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
            let number = || value.parse::<usize>().unwrap_or_else(|_| panic!("{name} is a number, not {value}"));
            match &*name {
                "--people" => options.people = number(),
                "--perks" => options.perks = number(),
                "--rounds" => options.rounds = number().max(1),
                "--seconds" => options.round = Duration::from_secs(u64::try_from(number()).unwrap().max(1)),
                "--only" => options.only = Some(value),
                "--program" => options.others.push(value.into()),
                _ => panic!("no such option: {name}"),
            }
        }
        options
    }
}

/// A scenario on one build and one database.
struct Subject<'a> {
    /// Its place among the scenarios.
    nth: usize,
    scenario: Scenario,
    stand: &'a Stand,
    replicas: &'a [Serve],
    bodies: Vec<String>,
    row: Row,
}

#[tokio::main]
async fn main() {
    let options = Options::read();
    let own = (PathBuf::from(env!("CARGO_BIN_EXE_perkgate")), String::new());
    let others = options.others.iter().map(|other| (other.clone(), format!(" ({})", other.display())));
    let builds: Vec<(PathBuf, String)> = std::iter::once(own).chain(others).collect();
    let mut stands = Vec::new();
    for (program, build) in &builds {
        for database in TestDatabase::empty() {
            stands.push((Stand::start(program, database, stands.len(), &options), build));
        }
    }
    let bare = Bare { address: bare::start(), bodies: bodies(&SCENARIOS[0], options.people) };
    let mut bare_row = Row::new("bare actix".to_owned(), 1);
    let mut subjects: Vec<Subject<'_>> =
        stands.iter().flat_map(|(stand, build)| subjects(stand, build, &options)).collect();
    // One scenario on all builds of a database, then the next: what is compared is measured one after the other.
    subjects.sort_by_key(|subject| (subject.stand.name(), subject.nth));
    println!(
        "{} people, {} other perks, {} rounds of {:?}; load by {}",
        options.people,
        options.perks,
        options.rounds,
        options.round,
        load::maker()
    );
    bare.run(WARM_UP);
    for subject in &subjects {
        subject.run(WARM_UP).await;
    }
    for _ in 0..options.rounds {
        bare_row.rounds.push(bare.run(options.round));
        for subject in &mut subjects {
            let round = subject.run(options.round).await;
            subject.row.rounds.push(round);
        }
    }
    let rows: Vec<_> = std::iter::once(bare_row).chain(subjects.into_iter().map(|subject| subject.row)).collect();
    println!("{}", table(&rows));
    for (stand, build) in stands {
        println!("{}{build}: {}", stand.name(), stand.verify());
    }
}

struct Bare {
    address: SocketAddr,
    bodies: Vec<String>,
}

impl Bare {
    fn run(&self, time: Duration) -> Round {
        let load = Load {
            path: Kind::Check.path(),
            key: "none",
            bodies: &self.bodies,
            connections: 64,
            keyed: false,
            once: false,
        };
        Round { figures: load.run(&[self.address], time), cores: CoreTime::default() }
    }
}

/// The scenarios that are asked for, on this stand.
fn subjects<'a>(stand: &'a Stand, build: &str, options: &Options) -> Vec<Subject<'a>> {
    let is_wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    let named = SCENARIOS.into_iter().enumerate().map(|(nth, scenario)| {
        let name = format!("{}, {}{build}", stand.name(), scenario.name);
        (nth, scenario, name)
    });
    let wanted = named.filter(|(_, _, name)| is_wanted(name));
    let subject = |(nth, scenario, name): (usize, Scenario, String)| Subject {
        nth,
        scenario,
        stand,
        replicas: &stand.replicas[..scenario.replicas],
        bodies: bodies(&scenario, options.people),
        row: Row::new(name, scenario.kind.per_request()),
    };
    wanted.map(subject).collect()
}

impl Subject<'_> {
    async fn run(&self, time: Duration) -> Round {
        let redeems = self.scenario.kind == Kind::Redeem;
        let tokens = if redeems { self.tokens(time).await } else { Vec::new() };
        let load = Load {
            path: self.scenario.kind.path(),
            key: if redeems { &self.stand.door } else { &self.stand.kiosk },
            bodies: if redeems { &tokens } else { &self.bodies },
            connections: self.scenario.connections,
            keyed: self.scenario.kind == Kind::KeyedCheck,
            once: redeems,
        };
        let addresses: Vec<_> = self.replicas.iter().map(Serve::address).collect();
        let servers: Vec<_> = self.replicas.iter().map(Serve::id).collect();
        let before = CoreTime::read(&servers);
        let figures = load.run(&addresses, time);
        Round { figures, cores: CoreTime::read(&servers) - before }
    }

    /// The bodies that spend as many tokens as a round can.
    async fn tokens(&self, time: Duration) -> Vec<String> {
        let wanted = TOKENS_A_SECOND * usize::try_from(time.as_secs()).unwrap();
        let (http, mut tokens) = (reqwest::Client::new(), Vec::new());
        while tokens.len() < wanted {
            let checks = (0..100).map(|nth| json!({"perk": "open", "subject": scenarios::subject(nth)}));
            let answer = http
                .post(self.replicas[0].url(Kind::Batch.path()))
                .bearer_auth(&self.stand.kiosk)
                .header("Content-Type", "application/json")
                .body(json!({"checks": checks.collect::<Vec<_>>()}).to_string())
                .send();
            let answer: Value = serde_json::from_str(&answer.await.unwrap().text().await.unwrap()).unwrap();
            tokens.extend(
                answer["results"].as_array().unwrap().iter().map(|it| redemption(it["token"].as_str().unwrap())),
            );
        }
        tokens
    }
}
