//! PostgreSQL and Redis of our own, from the machine's binaries: a private directory, a free port,
//! started once when first asked for, and gone when the test process is, however it ended.
//!
//! This counts on `cargo test`, which runs all tests as threads of one process. A runner with a
//! process for each test would start the servers for each.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use perkgate::database::{Database, DatabaseUrl};

use super::ports::free_port;

/// Evaluates $3 and runs "$4…" until stdin ends, which it does when the test process is gone, even by
/// SIGKILL: then the server gets signal $2 until it heeds it (one that has just begun ignores it), and
/// the directory $1 is removed, unless it holds a file `keep`.
const WATCHDOG: &str = r#"
directory=$1; signal=$2; prepare=$3; shift 3
eval "$prepare" </dev/null >"$directory/log" 2>&1 || echo "preparation failed" >>"$directory/log"
"$@" </dev/null >>"$directory/log" 2>&1 &
server=$!
cat >/dev/null
while kill -"$signal" "$server" 2>/dev/null; do sleep 0.05; done
cd /
[ -e "$directory/keep" ] || rm -rf "$directory"
"#;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server process under its watchdog; it ends when this is dropped.
struct Server {
    watchdog: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

impl Server {
    /// Starts `command` (given a port: `same`, or a free one) and waits until it answers there.
    fn start(
        account: Option<&str>,
        directory: &Path,
        same: Option<u16>,
        signal: &str,
        prepare: &str,
        command: impl Fn(u16) -> Vec<String>,
    ) -> Self {
        // Another process may take the port between our look and the server's.
        for _ in 0..3 {
            let port = same.unwrap_or_else(free_port);
            let mut sh = as_account(account, "sh");
            sh.args(["-c", WATCHDOG, "sh"]).arg(directory).args([signal, prepare]).args(command(port));
            // A group of its own: Ctrl-C must reach the tests only, or the watchdog dies before its server.
            sh.current_dir(directory).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
            let this = Self { watchdog: sh.spawn().expect("sh is there"), port };
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return this;
                }
                let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
                if log.contains("in use") || log.contains("preparation failed") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            assert!(log.contains("in use"), "the server did not start:\n{log}");
            // Not dropped: its watchdog would take the directory along.
            std::mem::forget(this);
        }
        panic!("no free port in three attempts");
    }
}

/// A private PostgreSQL.
pub(crate) struct Postgres {
    /// None while it is stopped.
    server: Option<Server>,
    port: u16,
    directory: PathBuf,
    template: Mutex<Option<String>>,
    made: AtomicU32,
}

impl Postgres {
    /// The one that all tests share, each with a database of its own; `None` when this machine has
    /// no PostgreSQL, which is said once.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// One more, for a test that stops it.
    pub(crate) fn start() -> Option<Self> {
        let Some(binaries) = postgres_binaries() else {
            skip("PostgreSQL", "initdb and postgres");
            return None;
        };
        let directory = private_directory(account());
        let server = Self::serve(&binaries, &directory, None);
        let port = server.port;
        let this = Self { server: Some(server), port, directory, template: Mutex::new(None), made: AtomicU32::new(0) };
        this.wait();
        Some(this)
    }

    /// Stops it, as an operator would who doesn't wait for its clients; what it holds stays.
    pub(crate) fn stop(&mut self) {
        let keep = self.directory.join("keep");
        std::fs::write(&keep, "").unwrap();
        drop(self.server.take());
        std::fs::remove_file(keep).unwrap();
    }

    /// Starts it again where it was, with what it held.
    pub(crate) fn start_again(&mut self) {
        assert!(self.server.is_none(), "it runs");
        let binaries = postgres_binaries().expect("it ran before");
        self.server = Some(Self::serve(&binaries, &self.directory, Some(self.port)));
        self.wait();
    }

    fn serve(binaries: &Path, directory: &Path, port: Option<u16>) -> Server {
        let cluster = directory.join("cluster").display().to_string();
        let initdb = format!(
            "[ -d '{cluster}' ] || '{}' -D '{cluster}' -U perkgate -A trust -E UTF8 --locale=C --no-sync",
            binaries.join("initdb").display()
        );
        Server::start(account(), directory, port, "INT", &initdb, |port| {
            let settings = [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                format!("unix_socket_directories={}", directory.display()),
                "max_connections=300".to_owned(),
                "shared_buffers=32MB".to_owned(),
            ];
            let mut command = vec![binaries.join("postgres").display().to_string(), "-D".to_owned(), cluster.clone()];
            command.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
            command
        })
    }

    /// Every byte of its files, as they are on disk by now.
    pub(crate) fn files(&self) -> Vec<u8> {
        PgConnection::establish(&self.url("postgres")).unwrap().batch_execute("CHECKPOINT").unwrap();
        let (mut bytes, mut directories) = (Vec::new(), vec![self.directory.clone()]);
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => directories.push(entry.path()),
                    // It may be gone by now.
                    kind if kind.is_file() => bytes.extend(std::fs::read(entry.path()).unwrap_or_default()),
                    _ => {}
                }
            }
        }
        bytes
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = PgConnection::establish(&self.url("postgres")) {
            assert!(Instant::now() < deadline, "PostgreSQL does not answer: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The URL of a new database without tables.
    pub(crate) fn empty_database(&self) -> String {
        self.create("template1")
    }

    /// The URL of a new database without tables in this encoding.
    pub(crate) fn database_in(&self, encoding: &str) -> String {
        self.create(&format!("template0 ENCODING '{encoding}'"))
    }

    /// The URL of a new database with the whole schema: a copy, which is quicker than migrating.
    pub(crate) fn migrated_database(&self) -> String {
        // Held while copying: PostgreSQL refuses to copy a database that somebody is connected to.
        let mut template = self.template.lock().unwrap();
        let name = template.get_or_insert_with(|| {
            let url = self.empty_database();
            Database::connect(&url.parse::<DatabaseUrl>().unwrap(), 1).unwrap().migrate().unwrap();
            url.rsplit('/').next().unwrap().to_owned()
        });
        self.create(name)
    }

    fn create(&self, template: &str) -> String {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::SeqCst));
        let mut conn = PgConnection::establish(&self.url("postgres")).unwrap();
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        // The last connection to the template may still be on its way out.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = conn.batch_execute(&statement) {
            assert!(Instant::now() < deadline && error.to_string().contains("being accessed"), "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.url(&name)
    }

    /// Drops a database, whoever is still connected to it.
    pub(crate) fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap();
        let dropped =
            PgConnection::establish(&self.url("postgres")).map_err(|error| error.to_string()).and_then(|mut conn| {
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                conn.batch_execute(&statement).map_err(|error| error.to_string())
            });
        if let Err(error) = dropped {
            // The server keeps it until its own end.
            let _ = writeln!(std::io::stderr(), "{name} stays: {error}");
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://perkgate@127.0.0.1:{}/{database}", self.port)
    }
}

/// A pooler before a PostgreSQL.
pub(crate) struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// One that lends its server connections out for a `session`, a `transaction` or a `statement`; `None` when
    /// this machine has no PgBouncer, which is said.
    pub(crate) fn start(postgres: &Postgres, mode: &str) -> Option<Self> {
        let debian = Path::new("/usr/sbin/pgbouncer");
        let Some(binary) = find("pgbouncer").or_else(|| debian.exists().then(|| debian.to_owned())) else {
            skip("PgBouncer", "pgbouncer");
            return None;
        };
        let directory = private_directory(account());
        let upstream = postgres.port;
        let users = directory.join("users");
        std::fs::write(&users, "\"perkgate\" \"\"\n").unwrap();
        let server = Server::start(account(), &directory, None, "INT", "", |port| {
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={upstream}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
                users.display()
            );
            let file = directory.join("pgbouncer.ini");
            std::fs::write(&file, settings).unwrap();
            vec![binary.display().to_string(), file.display().to_string()]
        });
        Some(Self { server })
    }

    /// The URL of the same database behind it.
    pub(crate) fn url(&self, behind: &str) -> String {
        let name = behind.rsplit('/').next().unwrap();
        format!("postgres://perkgate@127.0.0.1:{}/{name}", self.server.port)
    }
}

/// A private Redis that keeps nothing on disk.
pub(crate) struct Redis {
    server: Server,
    made: AtomicU32,
}

impl Redis {
    /// The one that all tests share, each under a prefix of its own; `None` when this machine has
    /// no Redis, which is said once.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// One more, for a test that stops it (by dropping it).
    pub(crate) fn start() -> Option<Self> {
        Self::start_at(None)
    }

    /// The same, on the port of one that was dropped.
    pub(crate) fn start_at(port: Option<u16>) -> Option<Self> {
        let Some(binary) = find("redis-server").or_else(|| find("valkey-server")) else {
            skip("Redis", "redis-server or valkey-server");
            return None;
        };
        let directory = private_directory(None);
        let server = Server::start(None, &directory, port, "TERM", "", |port| {
            let port = port.to_string();
            let arguments = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
            std::iter::once(binary.display().to_string()).chain(arguments.map(str::to_owned)).collect()
        });
        Some(Self { server, made: AtomicU32::new(0) })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.server.port
    }

    /// Has it run a command, as an operator or somebody who got in would.
    #[track_caller]
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let (name, arguments) = words.split_first().unwrap();
        let mut command = redis::Cmd::new();
        command.arg(*name);
        command.arg(arguments);
        command.query(&mut connection).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A prefix that no other test of this process uses.
    pub(crate) fn prefix(&self) -> String {
        format!("test-{}:", self.made.fetch_add(1, Ordering::SeqCst))
    }
}

/// Where the newest PostgreSQL of this machine has its programs: Debian keeps them off the PATH.
pub(crate) fn postgres_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, binaries)| binaries.join("initdb").exists() && binaries.join("postgres").exists())
        .collect();
    installed.sort();
    installed.pop().map(|(_, binaries)| binaries).or_else(|| find("initdb")?.parent().map(Path::to_owned))
}

/// Where the PATH has a program.
#[expect(clippy::disallowed_methods, reason = "the tests look for the machine's programs")]
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| candidate.exists())
}

/// Whom PostgreSQL runs as: it refuses to run as root.
fn account() -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().expect("id is there");
    (id.stdout.trim_ascii() == b"0").then_some("postgres")
}

fn as_account(account: Option<&str>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let Some(account) = account else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={account}")).arg(format!("--regid={account}")).arg("--clear-groups").arg(program);
    command
}

fn private_directory(account: Option<&str>) -> PathBuf {
    // Kept: its watchdog removes it, and it may belong to another account.
    let directory = tempfile::Builder::new().prefix("perkgate-test-").tempdir().unwrap().keep();
    if let Some(account) = account {
        let chown = Command::new("chown").arg(account).arg(&directory).status().unwrap();
        assert!(chown.success(), "could not give {} to {account}", directory.display());
    }
    directory
}

/// Says that tests are left out, past the test runner's capture; an error where services are required.
#[expect(clippy::disallowed_methods, reason = "a wish of the test run, not a setting of the gateway")]
pub(crate) fn skip(what: &str, programs: &str) {
    assert!(
        std::env::var_os("PERKGATE_REQUIRE_SERVICES").is_none_or(|value| value != "1"),
        "PERKGATE_REQUIRE_SERVICES=1, but this machine has no {programs}"
    );
    let _ = writeln!(
        std::io::stderr(),
        "skipped: everything on {what}, as this machine has no {programs} (PERKGATE_REQUIRE_SERVICES=1 makes this an error)"
    );
}

#[test]
fn a_redis_answers_until_it_is_dropped() {
    use std::io::Read as _;
    let Some(redis) = Redis::start() else { return };
    let place = redis.url().replace("redis://", "");
    let mut answer = [0; 7];
    let mut stream = TcpStream::connect(&place).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
    drop(redis);
    assert!(TcpStream::connect(&place).is_err(), "nothing is left of it");
}

#[test]
fn tests_that_share_a_redis_have_prefixes_of_their_own() {
    if let Some(redis) = Redis::shared() {
        assert_ne!(redis.prefix(), redis.prefix());
    }
}
