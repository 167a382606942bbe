//! Somebody at a terminal: a directory of their own, a clean environment, the real program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use perkgate::database::Backend;
use perkgate::foundation::clock::Clock;
use perkgate::foundation::entropy::Entropy;
use perkgate::gateway::Gateway;
use perkgate::settings::{Settings, Sources};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::support::databases::TestDatabase;
use crate::support::services::Redis;

const MASTER_KEY: &str = "pIpRqCRXvnZ6Rt7TdcGAmrsHY2ej0JjlQvG2p5vFh2k=";

pub(crate) const LOUNGE: &str = r#"{"perk":"sfo-lounge","name":"SFO lounge","rule":{"at_least":40,"score":"klout"}}"#;

pub(crate) struct Terminal {
    directory: TempDir,
    environment: Vec<(String, String)>,
    /// Told of each command, with its wall time and the most memory it had in KiB.
    pub told: Option<fn(&str, Duration, u64)>,
    /// Kept for what it does when it is dropped.
    _database: Option<TestDatabase>,
}

impl Terminal {
    /// In an empty directory, with no settings: SQLite and its key are made there.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), environment: Vec::new(), told: None, _database: None }
    }

    /// One with no settings, and one with PostgreSQL (not migrated) and Redis where they are to be had.
    pub(crate) fn all() -> Vec<Self> {
        let postgres =
            TestDatabase::empty().into_iter().filter(|it| it.backend() == Backend::Postgres).map(|database| {
                let mut environment = vec![
                    ("PERKGATE_DATABASE_URL".to_owned(), database.setting()),
                    ("PERKGATE_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()),
                ];
                if let Some(redis) = Redis::shared() {
                    environment.push(("PERKGATE_REDIS_URL".to_owned(), redis.url()));
                    environment.push(("PERKGATE_REDIS_PREFIX".to_owned(), redis.prefix()));
                }
                Self { environment, _database: Some(database), ..Self::new() }
            });
        std::iter::once(Self::new()).chain(postgres).collect()
    }

    /// What a variable of the terminal says.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        self.environment.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn is_on_postgres(&self) -> bool {
        !self.environment.is_empty()
    }

    /// What lies in the directory, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
        command.args(words(line)).current_dir(self.path()).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line; `'…'` holds a word with spaces together.
    pub(crate) fn run(&self, line: &str) -> Output {
        let Some(tell) = self.told else { return self.command(line).output().unwrap() };
        let began = Instant::now();
        let child = self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        // The last look comes from just before it ends; whoever waits for it empties its pipes.
        let watching = std::thread::spawn(move || {
            let mut peak = 0;
            while let Ok(text) = std::fs::read_to_string(&status) {
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let Some(kib) = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) else {
                    break;
                };
                peak = peak.max(kib);
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let done = child.wait_with_output().unwrap();
        tell(line, began.elapsed(), watching.join().unwrap());
        done
    }

    pub(crate) fn run_with_stdin(&self, line: &str, input: &str) -> Output {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses early reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a command answers in JSON; it must succeed.
    #[track_caller]
    pub(crate) fn ask(&self, line: &str) -> Value {
        answer(&self.run(&format!("{line} --json")), 0)
    }

    /// Text on stdout of a command that must succeed.
    #[track_caller]
    pub(crate) fn read(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// What a refused command says on stderr, one `error: …` or `  try: …` a line.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, code: i32) -> Vec<String> {
        complaints(&self.run(line), code)
    }

    /// The gateway of the same database, in this process: the server beside which commands run.
    pub(crate) async fn gateway(&self) -> Gateway {
        let mut environment = self.environment.clone();
        if !self.is_on_postgres() {
            let path = self.path().join("perkgate.db").display().to_string();
            environment.push(("PERKGATE_DATABASE_URL".to_owned(), format!("sqlite:{path}")));
            environment.push(("PERKGATE_SCORE_CACHE_TTL".to_owned(), "1s".to_owned()));
        }
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let (clock, entropy) = (Clock::System, Entropy::System);
        Gateway::build(settings, "http://gate.example", false, clock, entropy, &Handle::current()).await.unwrap()
    }
}

/// The JSON document on stdout.
#[track_caller]
pub(crate) fn answer(done: &Output, code: i32) -> Value {
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{told}");
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&done.stdout)))
}

#[track_caller]
pub(crate) fn complaints(done: &Output, code: i32) -> Vec<String> {
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{told}");
    assert!(done.stdout.is_empty(), "{}", String::from_utf8_lossy(&done.stdout));
    told.lines().map(str::to_owned).collect()
}

/// The names of an object's members, sorted.
pub(crate) fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(nth, part)| {
            if nth % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
        })
        .collect()
}
