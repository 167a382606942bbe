//! Reading an export's records back, strictly: a verifier must not be more lenient than the writer that hashed
//! them. Most lines are events, and those are read without a parser.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::{COLUMNS, FORMAT, Head, Record, RecordError};
use crate::tlog::merkle::Hash;

impl<'a> Record<'a> {
    /// Reads a line of the NDJSON form.
    ///
    /// # Errors
    /// [`RecordError`]; an unknown or doubled member, or one out of its place, is refused.
    pub fn of_line(line: &'a str) -> Result<Self, RecordError> {
        if let Some(event) = Self::of_event_line(line) {
            return Ok(event);
        }
        let kind = serde_json::from_str::<Kind<'_>>(line).map_err(form)?.record;
        let rest = |record: &str| {
            let opening = format!(r#"{{"record":"{record}","#);
            line.strip_prefix(&opening)
                .map(|rest| format!("{{{rest}"))
                .ok_or_else(|| RecordError::Form("`record` must be its first member".to_owned()))
        };
        match &*kind {
            "header" => Self::header(&rest("header")?),
            "key" => serde_json::from_str(&rest("key")?).map(Self::Key).map_err(form),
            "end" => serde_json::from_str(&rest("end")?).map(Self::End).map_err(form),
            "event" => {
                let raw: EventLine<'a> = serde_json::from_str(line).map_err(form)?;
                let body = raw.event.map(|event| Cow::Borrowed(event.get()));
                Ok(Self::Event { index: raw.index, leaf_hash: read_hash(&raw.leaf_hash)?, body })
            }
            "leaf" => {
                let raw: LeafLine<'a> = serde_json::from_str(line).map_err(form)?;
                Ok(Self::Leaf { index: raw.index, leaf_hash: read_hash(&raw.leaf_hash)? })
            }
            "checkpoint" => {
                let raw: CheckpointLine<'a> = serde_json::from_str(line).map_err(form)?;
                Ok(Self::Checkpoint(Head { size: raw.size, checkpoint: raw.checkpoint }))
            }
            other => Err(RecordError::Kind(shortened(other))),
        }
    }

    /// The line of an event exactly as [`Form::event`] writes it, recognized by its shape alone: most lines are
    /// events, and their bodies are read again by the verifier.
    fn of_event_line(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix(r#"{"record":"event","index":"#)?;
        let (index, rest) = rest.split_once(',')?;
        let index = plain(index)?;
        let rest = rest.strip_prefix(r#""leaf_hash":""#)?;
        let (hash, rest) = rest.split_at_checked(64)?;
        let leaf_hash = read_hash(hash).ok()?;
        let body = rest.strip_prefix(r#"","event":"#)?.strip_suffix('}')?;
        if body == "null" {
            return Some(Self::Event { index, leaf_hash, body: None });
        }
        // Whatever stands here is hashed whole: what is no object, or more than one, can't have this hash
        // unless the log itself holds it.
        body.starts_with('{').then_some(Self::Event { index, leaf_hash, body: Some(Cow::Borrowed(body)) })
    }

    /// Reads a row of the CSV form.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn of_row(cells: &[&'a str]) -> Result<Self, RecordError> {
        let [record, index, _, _, _, _, _, leaf_hash, event, checkpoint, note] = cells else {
            return Err(RecordError::Form(format!("a row has {} cells", COLUMNS.len())));
        };
        let number = || plain(index).ok_or_else(|| RecordError::Form("`index` is not a plain number".to_owned()));
        match *record {
            "header" => Self::header(note),
            "key" => serde_json::from_str(note).map(Self::Key).map_err(form),
            "end" => serde_json::from_str(note).map(Self::End).map_err(form),
            "event" => {
                let body = (!event.is_empty()).then_some(Cow::Borrowed(*event));
                Ok(Self::Event { index: number()?, leaf_hash: read_hash(leaf_hash)?, body })
            }
            "leaf" => Ok(Self::Leaf { index: number()?, leaf_hash: read_hash(leaf_hash)? }),
            "checkpoint" => Ok(Self::Checkpoint(Head { size: number()?, checkpoint: Cow::Borrowed(checkpoint) })),
            other => Err(RecordError::Kind(shortened(other))),
        }
    }

    fn header(json: &str) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_str(json).map_err(form)?;
        if version.format != FORMAT {
            return Err(RecordError::Format(version.format));
        }
        serde_json::from_str(json).map(|header| Self::Header(Box::new(header))).map_err(form)
    }
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine<'a> {
    #[serde(rename = "record")]
    _record: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    leaf_hash: Cow<'a, str>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafLine<'a> {
    #[serde(rename = "record")]
    _record: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    leaf_hash: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine<'a> {
    #[serde(rename = "record")]
    _record: Cow<'a, str>,
    size: u64,
    #[serde(borrow)]
    checkpoint: Cow<'a, str>,
}

/// One number has one text.
fn plain(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn form(error: impl std::fmt::Display) -> RecordError {
    RecordError::Form(error.to_string())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// 64 digits as [`hex`] writes them: one hash has one text.
fn read_hash(text: &str) -> Result<Hash, RecordError> {
    const fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return Err(RecordError::LeafHash);
    }
    let mut hash = [0; 32];
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let (high, low) = digit(*high).zip(digit(*low)).ok_or(RecordError::LeafHash)?;
        *byte = high << 4 | low;
    }
    Ok(hash)
}
