//! Nobody takes what the program writes: a full disk, a reader that is gone, one that stopped reading.
//! Lines are lost and counted, and nothing else happens.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;

use super::terminal::Terminal;
use crate::support::ports::free_port;

/// For what is waited for by looking; a run that takes so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

struct Program {
    child: Child,
    http: Client,
    port: u16,
    metrics: u16,
}

impl Program {
    /// A `perkgate serve` whose lines go there, once it answers.
    async fn start(directory: &Path, stdout: Stdio, stderr: Stdio, more: &[(&str, &str)]) -> Self {
        let (port, metrics) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
        command.arg("serve").current_dir(directory).env_clear().envs(more.iter().copied());
        command.env("PERKGATE_LISTEN", format!("127.0.0.1:{port}"));
        command.env("PERKGATE_METRICS_LISTEN", format!("127.0.0.1:{metrics}"));
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
        let http = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        let mut this = Self { child, http, port, metrics };
        let deadline = Instant::now() + PATIENCE;
        while this.get("/livez").await.is_none() {
            assert!(this.child.try_wait().unwrap().is_none(), "it ended before it served");
            assert!(Instant::now() < deadline, "it does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        this
    }

    async fn get(&self, path: &str) -> Option<u16> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        self.http.get(url).send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// What the counter of lost lines says.
    async fn lost(&self) -> u64 {
        let answer = self.http.get(format!("http://127.0.0.1:{}/metrics", self.metrics)).send().await.unwrap();
        let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("perkgate_log_lines_lost_total "));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Requests that are logged, each by a line at least.
    async fn babble(&self, lines: usize) {
        for _ in 0..lines.div_ceil(20) {
            let answers = futures_util::future::join_all((0..20).map(|_| self.get("/v1/checks"))).await;
            assert!(answers.iter().all(|status| *status == Some(401)), "{answers:?}");
        }
    }

    /// SIGTERM, and how it ended.
    fn stop(&mut self) -> ExitStatus {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_log_loses_lines_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let log = [("PERKGATE_LOG", "debug")];
    let mut program = Program::start(directory.path(), Stdio::null(), full(), &log).await;
    program.babble(20).await;
    assert_eq!(program.get("/readyz").await, Some(200));
    assert!(program.lost().await >= 20, "they are counted");
    assert_eq!(program.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_reader_of_the_log_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let log = [("PERKGATE_LOG", "debug"), ("PERKGATE_LOG_FORMAT", "json")];
    let mut program = Program::start(directory.path(), Stdio::null(), writer.into(), &log).await;
    drop(reader);
    program.babble(20).await;
    assert_eq!(program.get("/livez").await, Some(200));
    assert!(program.lost().await > 0, "they are counted");
    assert_eq!(program.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_reading_holds_nothing_up_and_hears_how_much_it_missed() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let log = [("PERKGATE_LOG", "perkgate=trace")];
    let program = Program::start(directory.path(), Stdio::null(), writer.into(), &log).await;
    let deadline = Instant::now() + PATIENCE;
    // Until the pipe and the program's own queue are full.
    while program.lost().await < 10 {
        program.babble(200).await;
        assert!(Instant::now() < deadline, "nothing was lost");
    }
    assert_eq!(program.get("/readyz").await, Some(200));
    // It reads again, and hears of it once.
    let lost = program.lost().await;
    let reading = std::thread::spawn(move || told(reader));
    let deadline = Instant::now() + PATIENCE;
    while !reading.is_finished() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(reading.is_finished(), "it never hears how much it missed");
    let line = reading.join().unwrap();
    let count: u64 = line.split_once("lines=").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!(count >= lost, "{line}");
    program.babble(20).await;
    assert_eq!(program.lost().await, count, "nothing more was lost since");
}

/// Reads up to the line that says how many were lost.
fn told(reader: PipeReader) -> String {
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        assert!(line.ends_with('\n'), "whole lines only: {line}");
        if line.contains("log lines were lost") {
            // What follows is still written: somebody must take it.
            std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
            return line;
        }
        line.clear();
    }
    panic!("the log ended without a word of what was lost")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_reader_keeps_the_program_from_ending_for_a_moment_only() {
    let ((_log, log), (_out, out)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let settings =
        [("PERKGATE_LOG", "perkgate=trace"), ("PERKGATE_ANCHOR_STDOUT", "true"), ("PERKGATE_ANCHOR_EVERY", "1ms")];
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name Cathay");
    let mut program = Program::start(terminal.path(), out.into(), log.into(), &settings).await;
    program.babble(600).await;
    assert_eq!(program.stop().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_on_a_stuck_standard_output_hold_nothing_up() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name Cathay");
    // Many logs: their heads fill the pipe.
    let gateway = terminal.gateway().await;
    for nth in 0..300 {
        let slug = format!("merchant{nth}").parse().unwrap();
        gateway.directory.create_merchant(slug, "One of many", None, crate::support::world::CLI).await.unwrap();
    }
    drop(gateway);
    let (reader, writer) = std::io::pipe().unwrap();
    let settings = [("PERKGATE_ANCHOR_STDOUT", "true"), ("PERKGATE_ANCHOR_EVERY", "1ms")];
    let mut program = Program::start(terminal.path(), writer.into(), Stdio::null(), &settings).await;
    assert_eq!(program.get("/readyz").await, Some(200));
    assert_eq!(program.stop().code(), Some(0), "it doesn't wait for whoever reads anchors");
    drop(reader);
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name Cathay");
    for line in [
        "openapi",
        "--help",
        "help serve",
        "serve --help",
        "merchant list",
        "merchant list --json",
        "key master",
        "audit export --merchant cathay -o -",
        "audit verify",
        "audit checkpoint",
        "doctor",
    ] {
        let mut command = terminal.command(line);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(!told.contains("panicked") && !told.to_lowercase().contains("broken pipe"), "{line}: {told}");
        assert!(matches!(done.status.code(), Some(0..=2)), "{line}: {:?}: {told}", done.status);
    }
}

#[test]
fn an_answer_that_can_t_be_written_is_a_failure() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name Cathay");
    for line in
        ["openapi", "merchant list --json", "key master", "audit export --merchant cathay -o -", "--help", "--version"]
    {
        for stderr in [Stdio::piped(), full()] {
            let mut command = terminal.command(line);
            let done = command.stdout(full()).stderr(stderr).spawn().unwrap().wait_with_output().unwrap();
            assert_eq!(done.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        }
    }
}
