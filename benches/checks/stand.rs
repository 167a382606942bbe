//! A build of the program on a database of its own: made ready by its own command line, so that any build will do.

use std::fs;
use std::path::{Path, PathBuf};

use perkgate::database::Backend;
use perkgate::foundation::clock::Clock;
use serde_json::{Value, json};

use super::Options;
use super::scenarios::{PERKS, rule, subject};
use super::support::databases::TestDatabase;
use super::support::serve::{Serve, command};

/// The most perks that are applied at once.
const APPLIED_AT_ONCE: usize = 500;

const DOOR_AUDIENCE: &str = "open";

/// Two replicas of a build on a database with a merchant, its perks and its people.
pub(crate) struct Stand {
    program: PathBuf,
    database: TestDatabase,
    /// One for both replicas, or they would hear nothing of each other; no other stand's, whose scores are others.
    redis_prefix: String,
    pub replicas: Vec<Serve>,
    pub kiosk: String,
    pub door: String,
}

impl Stand {
    /// Makes everything that is asked about, and starts the replicas.
    pub(crate) fn start(program: &Path, database: TestDatabase, nth: usize, options: &Options) -> Self {
        let (replicas, kiosk, door) = (Vec::new(), String::new(), String::new());
        let redis_prefix = format!("bench-{nth}:");
        let mut stand = Self { program: program.to_owned(), database, redis_prefix, replicas, kiosk, door };
        stand.run(&["migrate"]);
        stand.run(&["merchant", "create", "cathay", "--name", "Cathay Pacific"]);
        let files = tempfile::tempdir().unwrap();
        let named = PERKS.into_iter().map(|(perk, at_least, more)| (perk.to_owned(), rule(at_least, more)));
        stand.apply(&files.path().join("perks"), named);
        let others: Vec<usize> = (0..options.perks).collect();
        for some in others.chunks(APPLIED_AT_ONCE) {
            let other =
                |nth: &usize| (format!("other-{nth}"), rule(&format!("{}.{:03}", 10 + nth % 80, nth % 1000), ""));
            stand.apply(&files.path().join(format!("others-{}", some[0])), some.iter().map(other));
        }
        let observed_at = Clock::System.now();
        let scores = (0..options.people).map(|nth| format!("{},47.25,{observed_at}\n", subject(nth)));
        let feed = files.path().join("scores.csv");
        fs::write(&feed, "subject,value,observed_at\n".to_owned() + &scores.collect::<String>()).unwrap();
        stand.run(&["score", "import", feed.to_str().unwrap(), "--source", "klout"]);
        stand.kiosk = stand.key(&["--role", "kiosk"]);
        stand.door = stand.key(&["--role", "door", "--audience", DOOR_AUDIENCE]);
        stand.replicas = (0..2).map(|_| Serve::start(program, &stand.database, &stand.settings())).collect();
        stand
    }

    /// The name of what it measures.
    pub(crate) fn name(&self) -> &'static str {
        match self.database.backend() {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL + Redis",
        }
    }

    /// Ends the replicas, and holds every table to the log.
    pub(crate) fn verify(mut self) -> Value {
        self.replicas.clear();
        self.run(&["audit", "verify"])
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [("rate_per_key", "0"), ("redis_prefix", &self.redis_prefix)]
    }

    /// Runs a command of the program, and returns what it prints.
    fn run(&self, arguments: &[&str]) -> Value {
        let mut command = command(&self.program, &self.database, &self.settings());
        let output = command.args(arguments).arg("--json").output().expect("the program is built");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn apply(&self, directory: &Path, perks: impl Iterator<Item = (String, String)>) {
        fs::create_dir(directory).unwrap();
        for (perk, rule) in perks {
            let rule: Value = serde_json::from_str(&rule).unwrap();
            let file = json!({"perk": perk, "name": perk, "rule": rule}).to_string();
            fs::write(directory.join(format!("{perk}.json")), file).unwrap();
        }
        self.run(&["perk", "apply", "--publish", "-f", directory.to_str().unwrap()]);
    }

    fn key(&self, arguments: &[&str]) -> String {
        let made = self.run(&[&["key", "create", "--label", "bench"], arguments].concat());
        made["key"].as_str().unwrap().to_owned()
    }
}
