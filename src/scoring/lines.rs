//! Signals as lines of JSON, one observation each:
//! `{"subject":"cx:123","network":"bluesky","signal":"repost","at":"2026-11-27T14:32:00Z","by":"ann","object":"post-7"}`.

use jiff::Timestamp;
use serde::Deserialize;

use super::catalog::{self, Direction, SignalKind, UnknownSignal};
use super::observation::{LARGEST_VALUE, Observation};

/// The longest name of a person, an actor or an object, in bytes.
pub const LONGEST_NAME: usize = 256;

/// Why a line can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    #[error("it is no signal: {0}")]
    Form(String),
    #[error(transparent)]
    Unknown(#[from] UnknownSignal),
    #[error("`{member}` is empty or longer than {LONGEST_NAME} bytes")]
    Name { member: &'static str },
    #[error("a count says by whom: give `by`")]
    Unattributed,
    #[error("a {0} says how much: give `value`")]
    Valueless(&'static str),
    #[error("`value` is at most {LARGEST_VALUE}")]
    TooLarge,
    #[error("it lies ahead of {0}: check the sender's clock")]
    Ahead(Timestamp),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    network: String,
    signal: String,
    at: Timestamp,
    #[serde(default)]
    seen_at: Option<Timestamp>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    value: Option<u64>,
}

/// Reads a line that was received before `until`: whom it is about, and the observation.
///
/// # Errors
/// [`LineFault`].
pub fn read(line: &str, until: Timestamp) -> Result<(String, Observation), LineFault> {
    let line: Line = serde_json::from_str(line).map_err(|error| LineFault::Form(error.to_string()))?;
    let signal = catalog::find(&line.network, &line.signal)?;
    let names = [("subject", Some(&line.subject)), ("by", line.by.as_ref()), ("object", line.object.as_ref())];
    for (member, name) in names {
        if name.is_some_and(|name| name.is_empty() || name.len() > LONGEST_NAME) {
            return Err(LineFault::Name { member });
        }
    }
    if line.value.is_some_and(|value| value > LARGEST_VALUE) {
        return Err(LineFault::TooLarge);
    }
    match (signal.kind, signal.direction) {
        (SignalKind::Count, Direction::In) if line.by.is_none() => return Err(LineFault::Unattributed),
        (SignalKind::Gauge, _) if line.value.is_none() => return Err(LineFault::Valueless("gauge")),
        (SignalKind::Total, _) if line.value.is_none() => return Err(LineFault::Valueless("running count")),
        _ => {}
    }
    let seen_at = line.seen_at.unwrap_or(line.at);
    if line.at.max(seen_at) > until {
        return Err(LineFault::Ahead(until));
    }
    let Line { subject, network, signal, at, by, object, value, .. } = line;
    Ok((subject, Observation { network, signal, at, seen_at, by, object, value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> String {
        read(line, "2026-11-30T00:00:00Z".parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_line_is_read_and_each_fault_says_what_to_do() {
        let line = r#"{"subject":"cx:1","network":"bluesky","signal":"repost","at":"2026-11-27T14:32:00Z","by":"ann","object":"p"}"#;
        let (subject, read) = read(line, "2026-11-30T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!((subject.as_str(), read.by.as_deref(), read.seen_at), ("cx:1", Some("ann"), read.at));
        let at = r#""subject":"cx:1","at":"2026-11-27T14:32:00Z""#;
        for (line, says) in [
            ("{".to_owned(), "it is no signal"),
            (format!(r#"{{{at},"network":"bluesky","signal":"like","who":"ann"}}"#), "unknown field `who`"),
            (format!(r#"{{{at},"network":"bluesky","signal":"lke","by":"a"}}"#), "did you mean `like`?"),
            (format!(r#"{{{at},"network":"bluesky","signal":"like"}}"#), "give `by`"),
            (format!(r#"{{{at},"network":"bluesky","signal":"like","by":""}}"#), "`by` is empty"),
            (format!(r#"{{{at},"network":"bluesky","signal":"followers"}}"#), "a gauge says how much"),
            (format!(r#"{{{at},"network":"bluesky","signal":"followers","value":-1}}"#), "it is no signal"),
            (format!(r#"{{{at},"network":"bluesky","signal":"followers","value":1000000000000000001}}"#), "at most"),
            (format!(r#"{{{at},"network":"bluesky","signal":"like_count","object":"p"}}"#), "a running count says"),
            (
                r#"{"subject":"a","at":"2026-11-30T00:00:01Z","network":"x","signal":"like","by":"b"}"#.to_owned(),
                "check the sender's clock",
            ),
        ] {
            assert!(fault(&line).contains(says), "{line}: {}", fault(&line));
        }
    }
}
