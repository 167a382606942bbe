//! The records of an export, as a verifier reads them: strictly, so that what was changed shows.
//!
//! Read apart from what writes them: a verifier that shared the writer's code would share its mistakes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ledger::merkle::{Frontier, Hash};
use crate::ledger::note::{Checkpoint, VerifierKey};

/// The version of the format that is read.
const FORMAT: u32 = 1;

/// One record.
pub(super) enum Record<'a> {
    Header(Box<Header>),
    Key(VerifierKey),
    Leaf(Leaf<'a>),
    Checkpoint(Signed<'a>),
    End(End),
}

/// An event, or a leaf whose event is not part of the export.
pub(super) struct Leaf<'a> {
    pub index: i64,
    pub leaf_hash: Hash,
    /// None: it was pruned, or is not part of the export.
    pub event: Option<&'a str>,
    pub is_bare: bool,
    pub cells: Option<EventCells<'a>>,
}

/// What a row of CSV repeats of an event.
pub(super) struct EventCells<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub at: &'a str,
    pub about: &'a str,
}

/// A stored checkpoint.
pub(super) struct Signed<'a> {
    pub size: i64,
    pub note: Cow<'a, str>,
}

/// The first record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
pub(super) struct Header {
    record: String,
    format: u32,
    pub log: String,
    pub origin: String,
    pub merchant: Option<String>,
    pub from_index: i64,
    pub to_index: i64,
    period: Period,
    frontier: String,
    pub since: Option<String>,
    exported_at: Timestamp,
    gateway_version: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Header {
    /// What must be known of the leaves before the first one; none when it is of another size.
    pub(super) fn frontier(&self) -> Option<Frontier> {
        let bytes = STANDARD.decode(&self.frontier).ok()?;
        let frontier = Frontier::from_bytes(&bytes).ok()?;
        (i64::try_from(frontier.size()) == Ok(self.from_index)).then_some(frontier)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
struct Key {
    record: String,
    key: String,
    signs_from: Timestamp,
    retires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
struct EventLine<'a> {
    record: &'a str,
    index: i64,
    leaf_hash: &'a str,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
struct LeafLine<'a> {
    record: &'a str,
    index: i64,
    leaf_hash: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is not used must be there all the same")]
struct CheckpointLine<'a> {
    record: &'a str,
    size: i64,
    #[serde(borrow)]
    checkpoint: Cow<'a, str>,
}

/// The last record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    record: String,
    pub events: u64,
    pub leaves: u64,
    pub checkpoints: u64,
    pub size: i64,
    pub root: String,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// A line of NDJSON.
pub(super) fn of_line(line: &str) -> Result<Record<'_>, String> {
    // As nearly all lines are, byte for byte. What is between is read where it is used.
    if let Some(leaf) = plain_event(line) {
        return Ok(Record::Leaf(leaf));
    }
    let kind: Kind<'_> = json(line)?;
    match &*kind.record {
        "event" => {
            let EventLine { index, leaf_hash, event, .. } = json(line)?;
            let event = Some(event.get()).filter(|event| *event != "null");
            Ok(Record::Leaf(Leaf { index, leaf_hash: hash(leaf_hash)?, event, is_bare: false, cells: None }))
        }
        "leaf" => {
            let LeafLine { index, leaf_hash, .. } = json(line)?;
            Ok(Record::Leaf(Leaf { index, leaf_hash: hash(leaf_hash)?, event: None, is_bare: true, cells: None }))
        }
        "checkpoint" => {
            let CheckpointLine { size, checkpoint, .. } = json(line)?;
            Ok(Record::Checkpoint(Signed { size, note: checkpoint }))
        }
        kind => framing(kind, line),
    }
}

/// `{"record":"event","index":17,"leaf_hash":"…","event":{…}}`. Whether the event is well formed is for
/// its reader: it takes no more and no less than one object.
fn plain_event(line: &str) -> Option<Leaf<'_>> {
    let (index, rest) = line.strip_prefix(r#"{"record":"event","index":"#)?.split_once(',')?;
    let (leaf_hash, event) = rest.strip_prefix(r#""leaf_hash":""#)?.split_at_checked(64)?;
    let event = event.strip_prefix(r#"","event":"#)?.strip_suffix('}')?;
    if !event.starts_with('{') {
        return None;
    }
    let (index, leaf_hash) = (whole(index).ok()?, hash(leaf_hash).ok()?);
    Some(Leaf { index, leaf_hash, event: Some(event), is_bare: false, cells: None })
}

/// A row of CSV.
pub(super) fn of_cells<'a>(cells: &[&'a str; 11]) -> Result<Record<'a>, String> {
    let [record, index, id, kind, at, actor, about, leaf_hash, event, checkpoint, note] = *cells;
    let empty = |cells: &[&str]| match cells.iter().all(|cell| cell.is_empty()) {
        true => Ok(()),
        false => Err(format!("a row of `{record}` holds something that does not belong there")),
    };
    match record {
        "event" => {
            empty(&[checkpoint, note])?;
            let event = Some(event).filter(|event| !event.is_empty());
            let cells = EventCells { id: plain(id), kind: plain(kind), at, about: plain(about) };
            let (index, leaf_hash) = (whole(index)?, hash(leaf_hash)?);
            let cells = event.map(|_| cells);
            Ok(Record::Leaf(Leaf { index, leaf_hash, event, is_bare: false, cells }))
        }
        "leaf" => {
            empty(&[id, kind, at, actor, about, event, checkpoint, note])?;
            let (index, leaf_hash) = (whole(index)?, hash(leaf_hash)?);
            Ok(Record::Leaf(Leaf { index, leaf_hash, event: None, is_bare: true, cells: None }))
        }
        "checkpoint" => {
            empty(&[id, kind, at, actor, about, leaf_hash, event, note])?;
            let signed = Checkpoint::unverified(checkpoint).map_err(|e| e.to_string())?;
            let size = i64::try_from(signed.size).map_err(|e| e.to_string())?;
            if !index.is_empty() && whole(index)? != size {
                return Err(format!("its index is {index}, and its checkpoint of size {size}"));
            }
            Ok(Record::Checkpoint(Signed { size, note: Cow::Borrowed(checkpoint) }))
        }
        _ => {
            empty(&[index, id, kind, at, actor, about, leaf_hash, event, checkpoint])?;
            let kind: Kind<'_> = json(note)?;
            if kind.record != record {
                return Err(format!("a row of `{record}` holds the record of a `{}`", kind.record));
            }
            framing(record, note)
        }
    }
}

/// What stands around the events.
fn framing<'a>(kind: &str, text: &'a str) -> Result<Record<'a>, String> {
    match kind {
        "header" => {
            let header: Box<Header> = json(text)?;
            if header.format != FORMAT {
                return Err(format!("its format is {}, and only {FORMAT} is read here", header.format));
            }
            if header.from_index < 0 || header.to_index < header.from_index {
                return Err("its range of indexes is reversed".to_owned());
            }
            Ok(Record::Header(header))
        }
        "key" => {
            let key: Key = json(text)?;
            key.key.parse().map(Record::Key).map_err(|e: crate::ledger::note::VerifierKeyError| e.to_string())
        }
        "end" => json(text).map(Record::End),
        other => Err(format!("there is no record `{other}`")),
    }
}

/// A cell without the apostrophe that keeps a spreadsheet from taking it for a formula.
fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(guarded) if guarded.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => guarded,
        _ => cell,
    }
}

/// A number in the one way of writing it.
fn whole(digits: &str) -> Result<i64, String> {
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain).ok_or_else(|| format!("`{digits}` is no index"))
}

/// 64 lower-case hexadecimal digits: in upper case they would be another text for the same hash.
fn hash(digits: &str) -> Result<Hash, String> {
    let wrong = || "a leaf hash is 64 lower-case hexadecimal digits".to_owned();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(wrong()) };
    let mut hash = [0; 32];
    if pairs.len() != hash.len() {
        return Err(wrong());
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = value(*high).zip(value(*low)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
    }
    Ok(hash)
}
