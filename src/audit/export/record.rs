//! The export's records, written and read back: one log's events with all that proves them.
//!
//! NDJSON, one record a line:
//! ```json
//! {"record":"header","format":1,"log":"cathay","origin":"perks.example.com/cathay","merchant":"mer_…","from_index":17,
//!  "to_index":20,"period":{"from":"…","to":null},"frontier":"<base64>","since":null,"exported_at":"…","gateway_version":"…"}
//! {"record":"key","key":"<NAME+ID+KEY>","signs_from":"…","retires_at":null}
//! {"record":"event","index":17,"leaf_hash":"<hex>","event":{…}}
//! {"record":"event","index":18,"leaf_hash":"<hex>","event":null}
//! {"record":"leaf","index":19,"leaf_hash":"<hex>"}
//! {"record":"checkpoint","size":20,"checkpoint":"<signed note>"}
//! {"record":"end","events":2,"leaves":1,"checkpoints":1,"size":20,"root":"<base64>"}
//! ```
//! `event` holds the canonical bytes as they were hashed: a reader hashes the raw text. An event of null was
//! pruned; a `leaf` stands in the place of an event where nothing happened in the period, to lead to a signed root. `frontier` is
//! [`Frontier::to_bytes`](crate::tlog::merkle::Frontier::to_bytes) of the tree before `from_index`: with
//! every leaf behind it, it makes the root that the last checkpoint signs, so it needs no proof of its own.
//! Without its `end` an export was cut off.
//!
//! CSV has the same records under [`COLUMNS`]; those that are no event stand as their JSON in `note`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::table::push_row;
use crate::foundation::subject::hex;
use crate::tlog::merkle::Hash;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// The columns of the CSV form.
pub const COLUMNS: [&str; 11] =
    ["record", "index", "id", "kind", "at", "actor", "about", "leaf_hash", "event", "checkpoint", "note"];

/// The record that an export begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: u32,
    /// The log's name.
    pub log: String,
    /// The first line of its checkpoints.
    pub origin: String,
    /// Whose log it is; none for the operator's.
    pub merchant: Option<String>,
    /// The index of the first leaf.
    pub from_index: u64,
    /// The first index behind the last leaf: the size of the last checkpoint.
    pub to_index: u64,
    pub period: PeriodAsked,
    /// The tree before `from_index`, in base64.
    pub frontier: String,
    /// The checkpoint that this export continues.
    pub since: Option<String>,
    pub exported_at: Timestamp,
    pub gateway_version: String,
}

/// The period that was asked for; none is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodAsked {
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// A log key and when it signed. A reader trusts none of them for standing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `NAME+ID+KEY`.
    pub key: String,
    pub signs_from: Timestamp,
    pub retires_at: Option<Timestamp>,
}

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head<'a> {
    pub size: u64,
    #[serde(borrow)]
    pub checkpoint: Cow<'a, str>,
}

/// The record that an export ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub events: u64,
    pub leaves: u64,
    pub checkpoints: u64,
    pub size: u64,
    /// Base64, as in checkpoints.
    pub root: String,
}

/// One record, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    Header(Box<Header>),
    Key(Key),
    Event {
        index: u64,
        leaf_hash: Hash,
        /// The canonical bytes; none once they were pruned.
        body: Option<Cow<'a, str>>,
    },
    Leaf {
        index: u64,
        leaf_hash: Hash,
    },
    Checkpoint(Head<'a>),
    End(End),
}

/// Why a line or row is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("this is no record of an export: {0}")]
    Form(String),
    #[error("a record is a header, key, event, leaf, checkpoint or end, and not {0:?}")]
    Kind(String),
    #[error("the leaf hash is not 64 hexadecimal digits in lower case")]
    LeafHash,
    #[error("this is format {0}, and only {FORMAT} can be read here: use a newer perkgate")]
    Format(u32),
}

/// An event as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    pub index: u64,
    pub leaf_hash: &'a Hash,
    pub id: &'a str,
    pub kind: &'a str,
    pub at: Timestamp,
    pub about: &'a str,
    pub body: Option<&'a str>,
}

/// The form in which an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Ndjson,
    Csv,
}

impl Form {
    /// The text before the first record.
    #[must_use]
    pub fn opening(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => format!("{}\r\n", COLUMNS.join(",")),
        }
    }

    pub fn header(self, out: &mut String, header: &Header) {
        self.noted(out, "header", None, header);
    }

    pub fn key(self, out: &mut String, key: &Key) {
        self.noted(out, "key", None, key);
    }

    pub fn end(self, out: &mut String, end: &End) {
        self.noted(out, "end", Some(end.size), end);
    }

    pub fn event(self, out: &mut String, event: &Placed<'_>) {
        let hash = hex(event.leaf_hash);
        let index = event.index.to_string();
        match self {
            Self::Ndjson => {
                out.push_str(r#"{"record":"event","index":"#);
                out.push_str(&index);
                out.push_str(r#","leaf_hash":""#);
                out.push_str(&hash);
                out.push_str(r#"","event":"#);
                out.push_str(event.body.unwrap_or("null"));
                out.push_str("}\n");
            }
            Self::Csv => {
                let actor = event.body.and_then(actor_of).unwrap_or_default();
                let at = event.at.to_string();
                let body = event.body.unwrap_or_default();
                row(out, ["event", &index, event.id, event.kind, &at, &actor, event.about, &hash, body, "", ""]);
            }
        }
    }

    pub fn leaf(self, out: &mut String, index: u64, leaf_hash: &Hash) {
        let (index, hash) = (index.to_string(), hex(leaf_hash));
        match self {
            Self::Ndjson => {
                out.push_str(r#"{"record":"leaf","index":"#);
                out.push_str(&index);
                out.push_str(r#","leaf_hash":""#);
                out.push_str(&hash);
                out.push_str("\"}\n");
            }
            Self::Csv => row(out, ["leaf", &index, "", "", "", "", "", &hash, "", "", ""]),
        }
    }

    pub fn checkpoint(self, out: &mut String, size: u64, note: &str) {
        let head = Head { size, checkpoint: Cow::Borrowed(note) };
        match self {
            Self::Ndjson => self.noted(out, "checkpoint", None, &head),
            Self::Csv => row(out, ["checkpoint", &size.to_string(), "", "", "", "", "", "", "", note, ""]),
        }
    }

    fn noted(self, out: &mut String, record: &str, index: Option<u64>, value: &impl Serialize) {
        // Texts, numbers and instants always have a JSON form.
        let json = serde_json::to_string(value).unwrap_or_default();
        match self {
            Self::Ndjson => {
                out.push_str(r#"{"record":""#);
                out.push_str(record);
                out.push_str("\",");
                out.push_str(json.strip_prefix('{').unwrap_or(&json));
                out.push('\n');
            }
            Self::Csv => {
                let index = index.map(|index| index.to_string()).unwrap_or_default();
                row(out, [record, &index, "", "", "", "", "", "", "", "", &json]);
            }
        }
    }
}

/// The actor: the key and its role, for people who read the table.
fn actor_of(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        actor: Actor<'a>,
    }
    #[derive(Deserialize)]
    struct Actor<'a> {
        #[serde(borrow)]
        key: Option<Cow<'a, str>>,
        #[serde(borrow)]
        role: Cow<'a, str>,
    }
    let actor = serde_json::from_str::<Body<'_>>(body).ok()?.actor;
    Some(actor.key.map_or_else(|| actor.role.to_string(), |key| format!("{} {key}", actor.role)))
}

fn row(out: &mut String, cells: [&str; COLUMNS.len()]) {
    push_row(out, cells);
}

/// A root or a frontier as records write it.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tlog::merkle::leaf_hash;

    const BODY: &str = r#"{"about":"chk_1","actor":{"key":"key_1","role":"kiosk"},"facts":{"a":"=1+1, \"x\"\n"}}"#;

    fn placed<'a>(body: Option<&'a str>, hash: &'a Hash) -> Placed<'a> {
        let at = Timestamp::UNIX_EPOCH;
        Placed { index: 17, leaf_hash: hash, id: "evt_1", kind: "check.decided", at, about: "chk_1", body }
    }

    fn header() -> Header {
        Header {
            format: FORMAT,
            log: "cathay".to_owned(),
            origin: "perkgate/log_1".to_owned(),
            merchant: None,
            from_index: 17,
            to_index: 20,
            period: PeriodAsked { from: Some(Timestamp::UNIX_EPOCH), to: None },
            frontier: base64(&[0; 8]),
            since: Some("perkgate/log_1\n17\nAAAA\n\n\u{2014} k AAAA\n".to_owned()),
            exported_at: Timestamp::UNIX_EPOCH,
            gateway_version: "0.1.0".to_owned(),
        }
    }

    /// All kinds of records, as they are written, with what they must read back as.
    fn all(form: Form) -> Vec<(String, Record<'static>)> {
        let hash = leaf_hash(BODY.as_bytes());
        let key = Key { key: "n+00000000+AQ==".to_owned(), signs_from: Timestamp::UNIX_EPOCH, retires_at: None };
        let end = End { events: 2, leaves: 1, checkpoints: 1, size: 20, root: base64(&hash) };
        let note = "perkgate/log_1\n20\nAAAA\n\n\u{2014} k AAAA\n";
        let written = |write: &dyn Fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            out
        };
        vec![
            (written(&|out| form.header(out, &header())), Record::Header(Box::new(header()))),
            (written(&|out| form.key(out, &key)), Record::Key(key.clone())),
            (
                written(&|out| form.event(out, &placed(Some(BODY), &hash))),
                Record::Event { index: 17, leaf_hash: hash, body: Some(Cow::Borrowed(BODY)) },
            ),
            (
                written(&|out| form.event(out, &placed(None, &hash))),
                Record::Event { index: 17, leaf_hash: hash, body: None },
            ),
            (written(&|out| form.leaf(out, 19, &hash)), Record::Leaf { index: 19, leaf_hash: hash }),
            (
                written(&|out| form.checkpoint(out, 20, note)),
                Record::Checkpoint(Head { size: 20, checkpoint: Cow::Borrowed(note) }),
            ),
            (written(&|out| form.end(out, &end)), Record::End(end.clone())),
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (line, record) in all(Form::Ndjson) {
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains('\n'), "one record is one line: {line}");
            assert_eq!(Record::of_line(line), Ok(record), "{line}");
        }
        let (mut table, mut records) = (Form::Csv.opening(), Vec::new());
        for (row, record) in all(Form::Csv) {
            table.push_str(&row);
            records.push(record);
        }
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        for (row, record) in reader.records().zip(records) {
            let row = row.unwrap();
            assert_eq!(Record::of_row(&row.iter().collect::<Vec<_>>()), Ok(record));
        }
    }

    #[test]
    fn an_event_is_read_to_its_last_byte() {
        let hash = leaf_hash(BODY.as_bytes());
        let mut line = String::new();
        Form::Ndjson.event(&mut line, &placed(Some(BODY), &hash));
        let Ok(Record::Event { body: Some(body), leaf_hash, .. }) = Record::of_line(line.trim_end()) else {
            panic!("{line}");
        };
        assert_eq!(crate::tlog::merkle::leaf_hash(body.as_bytes()), leaf_hash);
        // White space within is not what was hashed, and it is not taken away.
        let spaced = line.replace(r#""event":{"#, r#""event":{ "#);
        let Ok(Record::Event { body: Some(body), .. }) = Record::of_line(spaced.trim_end()) else { panic!("{spaced}") };
        assert_ne!(crate::tlog::merkle::leaf_hash(body.as_bytes()), hash);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"record":"event"}"#,
            r#"{"record":"leaf","index":1,"leaf_hash":"00"}"#,
            r#"{"record":"leaf","index":1,"index":2,"leaf_hash":"00"}"#,
            r#"{"record":"end","events":1}"#,
            r#"{"record":"end","record":"end","events":1,"leaves":0,"checkpoints":0,"size":1,"root":""}"#,
            r#"{"record":"key","key":"k","signs_from":"1970-01-01T00:00:00Z","retires_at":null,"more":1}"#,
            r#"{"key":"k","record":"key","signs_from":"1970-01-01T00:00:00Z","retires_at":null}"#,
        ] {
            assert!(Record::of_line(line).is_err(), "{line}");
        }
        assert_eq!(Record::of_line(r#"{"record":"what"}"#), Err(RecordError::Kind("what".to_owned())));
        let mut newer = String::new();
        Form::Ndjson.header(&mut newer, &Header { format: 2, ..header() });
        assert_eq!(Record::of_line(newer.trim_end()), Err(RecordError::Format(2)));
        assert!(Record::of_row(&["event", "1"]).is_err());
        let upper = format!(r#"{{"record":"leaf","index":1,"leaf_hash":"{}"}}"#, "AB".repeat(32));
        assert_eq!(Record::of_line(&upper), Err(RecordError::LeafHash));
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_and_every_row_is_read_back(texts in proptest::collection::vec("(?s)[=+@,\"'\t\r\n\\-]?.{0,12}", 3)) {
            let hash = leaf_hash(b"x");
            let mut event = placed(Some(BODY), &hash);
            (event.id, event.kind, event.about) = (&texts[0], &texts[1], &texts[2]);
            let mut table = Form::Csv.opening();
            Form::Csv.event(&mut table, &event);
            let mut reader = csv::Reader::from_reader(table.as_bytes());
            let row = reader.records().next().unwrap().unwrap();
            prop_assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])));
            let read = Record::of_row(&row.iter().collect::<Vec<_>>());
            prop_assert_eq!(read, Ok(Record::Event { index: 17, leaf_hash: hash, body: Some(Cow::Borrowed(BODY)) }));
        }
    }
}
