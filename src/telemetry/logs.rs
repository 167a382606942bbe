//! Log lines on stderr, for people or for machines; stdout belongs to the commands' answers.

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::client_faults::ClientFaults;
use super::lines::{Lines, Report};
use crate::foundation::clock::Clock;
use crate::foundation::escape;

/// The choice of what is logged, and in which format.
#[derive(Debug, Clone)]
pub struct Logs {
    /// A `tracing` filter that parses.
    pub filter: String,
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The longest time the end of the process waits for the reader of its lines.
const LAST_LINES: Duration = Duration::from_secs(1);

static STDERR: OnceLock<Lines> = OnceLock::new();

/// Starts logging for this process. Later calls change nothing: the first one stands, so that
/// gateways that share a process can each ask.
pub fn start(logs: &Logs) {
    let report = match logs.format {
        LogFormat::Text => in_text,
        LogFormat::Json => in_json,
    };
    let Some(stderr) = stderr(report) else { return };
    let filter = EnvFilter::new(&logs.filter);
    // A line that can't be written must not become another, which by default ends the process when it can't be written either.
    let lines = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(|| Escaping(stderr.make_writer()));
    let started = match logs.format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .with(filter_fn(names_nobody))
            .with(ClientFaults)
            .try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .with(filter_fn(names_nobody))
            .with(ClientFaults)
            .try_init(),
    };
    if started.is_err() {
        return tracing::debug!("logging had been started before");
    }
    // By default a thread that panics writes to stderr by itself, and would wait for its reader.
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let thread = std::thread::current();
        tracing::error!(thread = thread.name(), %backtrace, "{panic}");
    }));
}

/// Writes to stderr what is no log line, in its turn among them, without waiting for a reader.
pub fn say(text: String) {
    if let Some(stderr) = stderr(in_text) {
        stderr.push(text.into_bytes());
    }
}

/// Waits until all lines are out, for a moment at most. Call it at the end.
pub fn finish() {
    if let Some(stderr) = STDERR.get() {
        stderr.flush(LAST_LINES);
    }
}

/// None when the process has no thread or descriptor left for it.
fn stderr(report: Report) -> Option<&'static Lines> {
    if STDERR.get().is_none()
        && let Ok(lines) = Lines::to(&std::io::stderr(), report)
    {
        let _ = STDERR.set(lines);
    }
    STDERR.get()
}

fn in_text(lost: u64) -> String {
    format!("{}  WARN perkgate::telemetry: log lines were lost lines={lost} \n", Clock::System.now())
}

fn in_json(lost: u64) -> String {
    let line = serde_json::json!({
        "timestamp": Clock::System.now().to_string(),
        "level": "WARN",
        "message": "log lines were lost",
        "lines": lost,
        "target": "perkgate::telemetry",
    });
    format!("{line}\n")
}

/// Escapes what a line repeats of paths, answers and rows: it comes whole.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        self.0.write_all(format!("{}{end}", escape::coloured_line(text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Below `info`, libraries write down whatever they are handed: paths with handles in them, whole
/// requests. Whatever the setting asks for, only our own lines go that low.
fn names_nobody(line: &Metadata<'_>) -> bool {
    let target = line.target();
    let is_ours = target == "perkgate" || target.starts_with("perkgate::");
    is_ours || *line.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let mut out = Escaping(Vec::new());
        out.write_all("\u{1b}[2mnow\u{1b}[0m WARN could not read x\u{9b}2J\nnow ERROR y\u{202e}\n".as_bytes()).unwrap();
        let escaped = "\u{1b}[2mnow\u{1b}[0m WARN could not read x\\u009b2J\\nnow ERROR y\\u202e\n";
        assert_eq!(String::from_utf8(out.0).unwrap(), escaped);
    }
}
