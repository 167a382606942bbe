//! One line of a feed of signals: an object of JSON, a row of a table, or a cloud event.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::foundation::entropy::Entropy;
use crate::foundation::subject::{SubjectHandle, hex};
use crate::scores::rows::{Format, LineFault};
use crate::scores::score::{CLOCK_SKEW, parse_instant};
use crate::scores::table::{Field, TableReader, Wanted};
use crate::scoring::catalog::{self, Direction, SignalKind, UnknownSignal};
use crate::scoring::lines::LONGEST_NAME;
use crate::scoring::observation::{LARGEST_VALUE, LIFE, day_of};

const NAMES: [&str; 9] = ["subject", "network", "signal", "at", "seen_at", "by", "object", "value", "id"];

const FIELDS: Wanted<9> = Wanted {
    names: NAMES,
    listed: "`subject`, `network`, `signal`, `at` and, where there are such, `seen_at`, `by`, `object`, `value` and `id`",
    optional: &["seen_at", "by", "object", "value", "id"],
};

/// The way in which a signal counts, as rows have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum CountedAs {
    /// An act of others.
    Act = 0,
    /// The running count of an object.
    Total = 1,
    /// The level of the account.
    Level = 2,
    /// An act of the person: it is kept for their page, and counts for nothing.
    Own = 3,
}

/// A signal, read; nothing of it is hashed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub network: String,
    pub signal: String,
    pub counted_as: CountedAs,
    pub day: i64,
    pub seen_at: Timestamp,
    pub by: Option<String>,
    pub object: Option<String>,
    pub value: u64,
}

/// The name of a delivery: another of the same is the same. Acts that come without an id have one of their own each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    pub text: String,
    /// False where another delivery of the same would not be known again.
    pub is_known_again: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    network: String,
    signal: String,
    at: String,
    #[serde(default)]
    seen_at: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    id: Option<String>,
}

/// A cloud event (<https://github.com/cloudevents/spec>, 1.0) about a person, whose data is the rest. Attributes of
/// extensions are passed over, as the specification asks.
#[derive(Deserialize)]
struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    _kind: String,
    subject: String,
    #[serde(default)]
    time: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    network: String,
    signal: String,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    seen_at: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    value: Option<Value>,
}

/// Reads the lines of one feed of signals.
pub struct DeliveryReader {
    /// None for lines of JSON.
    table: Option<TableReader<9>>,
    entropy: Entropy,
}

impl DeliveryReader {
    pub(super) fn new(format: Format, entropy: Entropy) -> Self {
        let table = (format == Format::Csv).then(|| TableReader::new(format, FIELDS));
        Self { table, entropy }
    }

    /// Reads one line; nothing for a CSV header or an empty row.
    ///
    /// # Errors
    /// [`LineFault`]: the line is not taken, the next may be.
    pub fn read(
        &mut self,
        line: &[u8],
        now: Timestamp,
    ) -> Result<Option<(SubjectHandle, DeliveryKey, Delivery)>, LineFault> {
        let line = match &mut self.table {
            Some(table) => match table.read(line)? {
                Some(fields) => Line::of_row(fields),
                None => return Ok(None),
            },
            None => Line::of_json(line)?,
        };
        line.deliver(now, &self.entropy).map(Some)
    }
}

impl Line {
    fn of_row(fields: [Field; 9]) -> Self {
        let [subject, network, signal, at, seen_at, by, object, value, id] =
            fields.map(|field| field.given().and_then(Field::text).map(|text| text.trim().to_owned()));
        Self {
            subject: subject.unwrap_or_default(),
            network: network.unwrap_or_default(),
            signal: signal.unwrap_or_default(),
            at: at.unwrap_or_default(),
            seen_at,
            by,
            object,
            value: value.map(Value::String),
            id,
        }
    }

    fn of_json(line: &[u8]) -> Result<Self, LineFault> {
        let text = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        if !is_cloud_event(text) {
            return serde_json::from_str(text).map_err(|error| fault_of(&error));
        }
        let event: CloudEvent = serde_json::from_str(text).map_err(|error| fault_of(&error))?;
        if event.specversion != "1.0" {
            return Err(LineFault::EventVersion);
        }
        let CloudEvent { id, source, subject, time, data, .. } = event;
        let Data { network, signal, at, seen_at, by, object, value } = data;
        let at = at.or(time).ok_or(LineFault::MissingField("time"))?;
        // Of one source an id is unique; two sources may have the same.
        let id = Some(format!("{source}\0{id}"));
        Ok(Self { subject, network, signal, at, seen_at, by, object, value, id })
    }

    fn deliver(self, now: Timestamp, entropy: &Entropy) -> Result<(SubjectHandle, DeliveryKey, Delivery), LineFault> {
        let subject = self.subject.parse().map_err(LineFault::Subject)?;
        let (key, delivery) = self.signal(now, entropy)?;
        Ok((subject, key, delivery))
    }

    fn signal(self, now: Timestamp, entropy: &Entropy) -> Result<(DeliveryKey, Delivery), LineFault> {
        let signal = catalog::find(&self.network, &self.signal).map_err(|error| match error {
            UnknownSignal::Network { meant, .. } => LineFault::UnknownNetwork(meant),
            UnknownSignal::Signal { meant, .. } => LineFault::UnknownSignal(meant),
        })?;
        for (member, name) in [("by", &self.by), ("object", &self.object), ("id", &self.id)] {
            if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > LONGEST_NAME) {
                return Err(LineFault::BadName(member));
            }
        }
        let value = self.value.as_ref().map(amount).transpose()?.flatten();
        let counted_as = match (signal.direction, signal.kind, &self.object) {
            (Direction::Out, ..) => CountedAs::Own,
            (Direction::In, SignalKind::Count, _) => CountedAs::Act,
            (Direction::In, SignalKind::Total, Some(_)) => CountedAs::Total,
            (Direction::In, SignalKind::Total | SignalKind::Gauge, _) => CountedAs::Level,
        };
        if counted_as == CountedAs::Act && self.by.is_none() {
            return Err(LineFault::Unattributed);
        }
        let value = match (signal.kind, value) {
            (SignalKind::Count, value) => value.unwrap_or(1),
            (_, Some(value)) => value,
            (_, None) => return Err(LineFault::Valueless),
        };
        let at = parse_instant(&self.at).ok_or(LineFault::Time("at"))?;
        let seen_at = match &self.seen_at {
            Some(seen_at) => parse_instant(seen_at).ok_or(LineFault::Time("seen_at"))?,
            // `at` is the day of the object, and of two running counts the one that was seen later stands.
            None if counted_as == CountedAs::Total => return Err(LineFault::MissingField("seen_at")),
            None => at,
        };
        // A level is that of the moment at which it was seen.
        let at = if counted_as == CountedAs::Level { seen_at } else { at };
        if seen_at < at {
            return Err(LineFault::SeenBefore);
        }
        if at.max(seen_at).duration_since(now) > CLOCK_SKEW {
            return Err(LineFault::Ahead);
        }
        if day_of(now) - day_of(at) >= LIFE {
            return Err(LineFault::Outlived);
        }
        let key = DeliveryKey::of(&self, signal.kind, (at, seen_at, value), entropy);
        let Self { network, signal, by, object, .. } = self;
        Ok((key, Delivery { network, signal, counted_as, day: day_of(at), seen_at, by, object, value }))
    }
}

/// A running count or a level as it was seen at `seen_at`, held to the same as a line of a feed; `at` is the day of its object.
pub(super) fn observed(
    (network, signal): (&str, &str),
    object: Option<&str>,
    (at, seen_at): (Timestamp, Timestamp),
    value: u64,
    entropy: &Entropy,
) -> Result<(DeliveryKey, Delivery), LineFault> {
    let line = Line {
        network: network.to_owned(),
        signal: signal.to_owned(),
        at: at.min(seen_at).to_string(),
        seen_at: Some(seen_at.to_string()),
        object: object.map(str::to_owned),
        value: Some(value.min(LARGEST_VALUE).into()),
        ..Line::default()
    };
    line.signal(seen_at, entropy)
}

/// Tells whether an object of JSON is a cloud event: by its own member, not by a text that happens to say so.
fn is_cloud_event(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        specversion: Option<IgnoredAny>,
    }
    text.contains("\"specversion\"") && serde_json::from_str(text).is_ok_and(|it: Envelope| it.specversion.is_some())
}

impl DeliveryKey {
    fn of(line: &Line, kind: SignalKind, (at, seen_at, value): (Timestamp, Timestamp, u64), entropy: &Entropy) -> Self {
        let Line { network, signal, object, id, .. } = line;
        if let Some(id) = id {
            // A post may have one id for all that is counted of it, and networks number their own.
            return Self { text: format!("i{network}\0{signal}\0{id}"), is_known_again: true };
        }
        if kind == SignalKind::Count {
            return Self { text: format!("r{}", hex(&entropy.bytes::<16>())), is_known_again: false };
        }
        // A level or a running count that says the same of the same instant is the same.
        let object = object.as_deref().unwrap_or_default();
        let text = format!("o{network}\0{signal}\0{}\0{}\0{value}\0{object}", day_of(at), seen_at.as_microsecond());
        Self { text, is_known_again: true }
    }
}

/// A whole number that is not negative; as text, too, as some interfaces write them.
fn amount(value: &Value) -> Result<Option<u64>, LineFault> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(LineFault::Mistyped),
    };
    number.filter(|number| *number <= LARGEST_VALUE).map(Some).ok_or(LineFault::Amount)
}

/// The fault of a line that can't be read. It repeats nothing of it, as its reader would.
fn fault_of(error: &serde_json::Error) -> LineFault {
    if !error.is_data() {
        return LineFault::NotJson;
    }
    let text = error.to_string();
    let names = || NAMES.into_iter().chain(["specversion", "source", "type", "data"]);
    match text.split('`').collect::<Vec<_>>()[..] {
        [start, name, ..] if start.starts_with("missing field") => {
            names().find(|known| *known == name).map_or(LineFault::NotJson, LineFault::MissingField)
        }
        [start, ..] if start.starts_with("unknown field") => LineFault::UnknownField(FIELDS.listed),
        [start, ..] if start.starts_with("duplicate field") => LineFault::DoubledField,
        _ => LineFault::Mistyped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACT: &str = r#"{"subject":"cx:1","network":"bluesky","signal":"repost","at":"2026-11-27T14:32:00Z","by":"ann","object":"p","id":"1"}"#;

    fn read(format: Format, lines: &[&str]) -> Result<(SubjectHandle, DeliveryKey, Delivery), LineFault> {
        let mut reader = DeliveryReader::new(format, Entropy::seeded(1));
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let mut read = lines.iter().map(|line| reader.read(line.as_bytes(), now)).collect::<Vec<_>>();
        read.pop().unwrap().map(|row| row.expect("a row"))
    }

    fn json(line: &str) -> Result<(SubjectHandle, DeliveryKey, Delivery), LineFault> {
        read(Format::Ndjson, &[line])
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let (subject, key, delivery) = json(ACT).unwrap();
        assert_eq!((subject.as_str(), key.text.as_str(), key.is_known_again), ("cx:1", "ibluesky\0repost\x001", true));
        assert_eq!((delivery.counted_as, delivery.value, delivery.by.as_deref()), (CountedAs::Act, 1, Some("ann")));
        let row = "1,cx:1,bluesky,repost,2026-11-27T14:32:00Z,ann,p";
        let table = read(Format::Csv, &["id,subject,network,signal,at,by,object", row]).unwrap();
        assert_eq!(table, (subject, key, delivery.clone()));
        let event = r#"{"specversion":"1.0","id":"1","source":"/feed","type":"signal","subject":"cx:1","time":"2026-11-27T14:32:00Z","extension":1,
            "data":{"network":"bluesky","signal":"repost","by":"ann","object":"p"}}"#;
        let (_, key, of_event) = json(event).unwrap();
        assert_eq!((of_event, key.text.as_str()), (delivery, "ibluesky\0repost\0/feed\x001"));
    }

    #[test]
    fn a_delivery_without_an_id_is_known_again_where_it_is_no_act() {
        let without = ACT.replace(r#","id":"1""#, "");
        assert!(!json(&without).unwrap().1.is_known_again);
        let level =
            r#"{"subject":"cx:1","network":"bluesky","signal":"followers","at":"2026-11-27T14:32:00Z","value":7}"#;
        let (one, again, other) = (json(level), json(level), json(&level.replace("7}", "8}")));
        assert!(one.as_ref().unwrap().1.is_known_again);
        assert_eq!(one.as_ref().unwrap().1, again.unwrap().1);
        assert_ne!(one.unwrap().1, other.unwrap().1);
    }

    #[test]
    fn each_fault_has_its_code_and_repeats_nothing() {
        let level =
            r#"{"subject":"cx:1","network":"bluesky","signal":"followers","at":"2026-11-27T14:32:00Z","value":V}"#;
        for (line, code) in [
            ("zqx".to_owned(), "malformed"),
            ("[]".to_owned(), "wrong_type"),
            (ACT.replace("\"by\"", "\"zqx\""), "unknown_field"),
            (ACT.replace("\"id\"", "\"by\""), "malformed"),
            (ACT.replace("\"at\":\"2026-11-27T14:32:00Z\",", ""), "missing_field"),
            (ACT.replace("\"by\":\"ann\",", ""), "missing_field"),
            (ACT.replace("cx:1", "zqx \u{202e}"), "bad_subject"),
            (ACT.replace("bluesky", "zqxsky"), "unknown_network"),
            (ACT.replace("repost", "reposts"), "unknown_signal"),
            (ACT.replace("ann", &"z".repeat(257)), "bad_name"),
            (ACT.replace("2026-11-27T14:32:00Z", "yesterday"), "bad_time"),
            (ACT.replace("2026-11-27T14:32:00Z", "2026-11-30T12:02:00Z"), "in_future"),
            (ACT.replace("2026-11-27", "2026-09-01"), "too_old"),
            (level.replace('V', "-1"), "bad_value"),
            (level.replace('V', "1.5"), "bad_value"),
            (level.replace('V', "1000000000000000001"), "bad_value"),
            (level.replace('V', "\"many\""), "bad_value"),
            (level.replace('V', "[1]"), "wrong_type"),
            (level.replace('V', "null"), "missing_field"),
            (level.replace("followers", "like_count").replace('V', "7,\"object\":\"p\""), "missing_field"),
            (ACT.replace("\"by\"", "\"seen_at\":\"2026-11-27T14:31:00Z\",\"by\""), "bad_time"),
            (r#"{"specversion":"0.3","id":"1","source":"s","type":"t","subject":"cx:1","data":{"network":"x","signal":"y"}}"#.to_owned(), "malformed"),
        ] {
            let fault = json(&line).expect_err(&line);
            assert_eq!(fault.code(), code, "{line}");
            assert!(!fault.to_string().contains("zqx"), "{fault}");
        }
        assert_eq!(json(&ACT.replace("ann", "specversion")).unwrap().2.by.as_deref(), Some("specversion"));
        for taken in ["0", "1000000000000000000", "\"12\""] {
            assert!(json(&level.replace('V', taken)).is_ok(), "{taken}");
        }
        assert!(
            json(&ACT.replace("reposts", "x").replace("repost", "repots"))
                .unwrap_err()
                .to_string()
                .contains("`repost`?")
        );
    }
}
