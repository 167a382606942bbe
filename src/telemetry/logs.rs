//! Log lines on stderr, for people or for machines; stdout belongs to the commands' answers.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::client_faults::ClientFaults;
use crate::settings::{LogFormat, Logs};

/// Starts logging for this process. Later calls change nothing: the first one stands, so that
/// gateways that share a process can each ask.
pub fn start(logs: &Logs) {
    let filter = EnvFilter::new(&logs.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
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
        tracing::debug!("logging had been started before");
    }
}

/// Below `info`, libraries write down whatever they are handed: paths with handles in them, whole
/// requests. Whatever the setting asks for, only our own lines go that low.
fn names_nobody(line: &Metadata<'_>) -> bool {
    let target = line.target();
    let is_ours = target == "perkgate" || target.starts_with("perkgate::");
    is_ours || *line.level() <= Level::INFO
}
