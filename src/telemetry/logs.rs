//! Log lines on stderr, for people or for machines; stdout belongs to the commands' answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Logs};

/// Starts logging for this process. Later calls change nothing: the first one stands, so that
/// gateways that share a process can each ask.
pub fn start(logs: &Logs) {
    let filter = EnvFilter::new(&logs.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match logs.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}
