//! The program itself, serving on a free port as a process of its own, until it is dropped or killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use perkgate::settings::table::TABLE;

use super::databases::TestDatabase;
use super::world::test_sources;

const PATIENCE: Duration = Duration::from_mins(1);

/// A `perkgate serve`.
pub(crate) struct Serve {
    child: Child,
    log: Option<JoinHandle<()>>,
    /// All that it logged, where `log` was asked for.
    told: Arc<Mutex<String>>,
    address: SocketAddr,
}

impl Serve {
    /// Starts `program` on the database and waits until it serves. `more` are settings.
    pub(crate) fn start(program: &Path, database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        let mut command = command(program, database, more);
        command.env("PERKGATE_LISTEN", "127.0.0.1:0");
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program is built");
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, heard) = mpsc::channel();
        // Read to the end, or the program would wait for room in the pipe.
        let told = Arc::new(Mutex::new(String::new()));
        let kept = more.iter().any(|(name, _)| *name == "log").then(|| told.clone());
        let log = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for line in lines.map_while(Result::ok) {
                if let Some(kept) = &kept {
                    kept.lock().unwrap().extend([&line, "\n"]);
                }
                if let Some(address) = serving(&line) {
                    let _ = sender.send(Ok(address));
                } else {
                    seen.push(line);
                    seen.truncate(20);
                }
            }
            let _ = sender.send(Err(seen.join("\n")));
        });
        let address = match heard.recv_timeout(PATIENCE) {
            Ok(Ok(address)) => address,
            Ok(Err(log)) => panic!("the program ended before it served:\n{log}"),
            Err(error) => {
                let _ = child.kill();
                panic!("the program does not serve: {error}");
            }
        };
        Self { child, log: Some(log), told, address }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Ends it, and returns all that it logged, if its setting `log` was given.
    pub(crate) fn into_log(mut self) -> String {
        self.end();
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    /// Ends it in good order, and returns all that it logged to the end.
    pub(crate) fn into_whole_log(mut self) -> String {
        let sent = Command::new("kill").args(["-s", "TERM", &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{sent}");
        self.child.wait().unwrap();
        self.into_log()
    }

    /// Sends this signal, such as `TERM`, and waits until it has ended by itself.
    pub(crate) fn stop(mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {signal}: {sent}");
        self.child.wait().unwrap()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command of `program` about the database, with these settings and no others.
pub(crate) fn command(program: &Path, database: &TestDatabase, more: &[(&str, &str)]) -> Command {
    let sources = test_sources(database, more);
    let mut command = Command::new(program);
    for setting in TABLE {
        command.env_remove(setting.variable()).env_remove(format!("{}_FILE", setting.variable()));
    }
    // In this order: what a test asks for stands before what is usual.
    command.envs(sources.environment);
    for (name, value) in sources.flags {
        command.env(format!("PERKGATE_{}", name.to_ascii_uppercase()), value);
    }
    command
}

/// The address in the log's line that says so.
fn serving(line: &str) -> Option<SocketAddr> {
    let (_, fields) = line.split_once(": serving ")?;
    fields.split(' ').find_map(|field| field.strip_prefix("address=")?.parse().ok())
}
