//! The content of one line of a score feed, or what is wrong with it; the faults are those of every feed.

use crate::foundation::decimal::{Decimal, DecimalError};
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectError, SubjectHandle};

use super::score::{Score, ScoreFault, Source, parse_instant};
use super::table::{Field, TableReader, Wanted};
use crate::rules::attribute::ValueType;
use jiff::Timestamp;

/// The format of a feed. One row is one line in both: a CSV field in quotes can't hold a line
/// break (no subject does), so that a stray quote spoils its own line and not the rest of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line, its columns in any order. Other columns, and rows without a value as spreadsheets
    /// leave them, are passed over.
    Csv,
}

/// One line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub subject: SubjectHandle,
    pub score: Score,
}

/// The code of a header that can't be read: then no line was.
pub const BAD_HEADER: &str = "bad_header";

/// Why a line of a feed was not taken. The texts repeat nothing of the line: it may name a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    #[error("the line is longer than {} bytes", super::lines::MAX_LINE_BYTES)]
    TooLong,
    #[error("the line is not valid JSON, or not a JSON object")]
    NotJson,
    #[error("the line is not text in UTF-8")]
    NotUtf8,
    #[error("the line holds a NUL character")]
    Nul,
    #[error("a field stands twice in the line")]
    DoubledField,
    #[error("the field `{0}` is missing")]
    MissingField(&'static str),
    #[error("the line has a field other than {0}")]
    UnknownField(&'static str),
    #[error("the line's fields are not those of the header")]
    FieldCount,
    #[error("a quote is not closed, or a quote or carriage return stands where none may stand (RFC 4180)")]
    Quotes,
    #[error("the header must name the columns {0}, each once; nothing was read")]
    Header(&'static str),
    #[error("the subject can't be taken: {0}")]
    Subject(SubjectError),
    #[error("`subject` must be text")]
    SubjectType,
    #[error("`value` must be a plain decimal number")]
    Value,
    #[error("`value` has more than three decimals")]
    TooPrecise,
    #[error("`value` is too large for any scale")]
    TooLarge,
    #[error("`{0}` must be an RFC 3339 time with its offset, such as 2026-11-22T09:00:00Z")]
    Time(&'static str),
    #[error("{0}")]
    Score(ScoreFault),
    #[error("a newer observation of this subject stands already")]
    Stale,
    #[error("no such attribute is declared: PUT it first, with its type")]
    Undeclared,
    #[error("the value must be {}, as the attribute was declared", .0.describe())]
    WrongType(ValueType),
    #[error("the value is longer, or has more members, than an attribute may have")]
    TooMuch,
    #[error("the value holds characters that a text may not have, or is empty")]
    Text,
    #[error("a field is of another type than it must be")]
    Mistyped,
    #[error("there is no such network{}", hint(*.0))]
    UnknownNetwork(Option<&'static str>),
    #[error("the network has no such signal{}", hint(*.0))]
    UnknownSignal(Option<&'static str>),
    #[error("`{0}` is empty or longer than {longest} bytes", longest = crate::scoring::lines::LONGEST_NAME)]
    BadName(&'static str),
    #[error("what others did says by whom: give `by`")]
    Unattributed,
    #[error("a level or a running count says how much: give `value`")]
    Valueless,
    #[error("`value` must be a whole number from 0 to {}", crate::scoring::observation::LARGEST_VALUE)]
    Amount,
    #[error("it lies ahead of the gateway's clock: check the sender's clock and its UTC offset")]
    Ahead,
    #[error("`seen_at` lies before `at`: nothing is seen before it happened")]
    SeenBefore,
    #[error("of cloud events only version 1.0 is read")]
    EventVersion,
    #[error("it is older than {} days, and counts for nothing", crate::scoring::observation::LIFE)]
    Outlived,
}

fn hint(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(": did you mean `{meant}`?"))
}

impl LineFault {
    /// The stable code that goes out with it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "line_too_long",
            Self::NotJson
            | Self::NotUtf8
            | Self::Nul
            | Self::DoubledField
            | Self::FieldCount
            | Self::Quotes
            | Self::EventVersion => "malformed",
            Self::MissingField(_) | Self::Unattributed | Self::Valueless => "missing_field",
            Self::UnknownField(_) => "unknown_field",
            Self::Header(_) => BAD_HEADER,
            Self::Subject(_) | Self::SubjectType => "bad_subject",
            Self::Value | Self::Text | Self::Amount => "bad_value",
            Self::UnknownNetwork(_) => "unknown_network",
            Self::UnknownSignal(_) => "unknown_signal",
            Self::BadName(_) => "bad_name",
            Self::TooPrecise => "too_precise",
            Self::TooLarge | Self::Score(ScoreFault::OffScale { .. }) => "off_scale",
            Self::Time(_) | Self::SeenBefore => "bad_time",
            Self::Score(ScoreFault::InFuture) | Self::Ahead => "in_future",
            Self::Score(ScoreFault::Unobserved) | Self::Outlived => "too_old",
            Self::Stale => "stale",
            Self::Undeclared => "undeclared_attribute",
            Self::WrongType(_) | Self::Mistyped => "wrong_type",
            Self::TooMuch => "too_long",
        }
    }
}

/// The fields of a line of scores.
const FIELDS: Wanted<3> = Wanted {
    names: ["subject", "value", "observed_at"],
    listed: "`subject`, `value` and `observed_at`",
    optional: &[],
};

/// Reads the lines of one feed of scores.
#[derive(Debug)]
pub struct RowReader(TableReader<3>);

impl RowReader {
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self(TableReader::new(format, FIELDS))
    }

    /// Reads one line, which is held against the scale and the clock too; nothing for a CSV header or an empty row.
    ///
    /// # Errors
    /// [`LineFault`]: the line is not taken, the next may be.
    pub fn read(&mut self, line: &[u8], source: &Source, now: Timestamp) -> Result<Option<Row>, LineFault> {
        let Some([subject, value, observed_at]) = self.0.read(line)? else { return Ok(None) };
        let subject = handle(subject)?;
        let value = value.decimal()?;
        let observed_at = observed_at.instant().ok_or(LineFault::Time("observed_at"))?;
        let score = Score::new(value, observed_at);
        source.check(&score, now).map_err(LineFault::Score)?;
        Ok(Some(Row { subject, score }))
    }
}

/// The subject that a field names.
pub(super) fn handle(field: Field) -> Result<SubjectHandle, LineFault> {
    field.text().ok_or(LineFault::SubjectType)?.parse().map_err(LineFault::Subject)
}

impl Field {
    /// An exact number.
    pub(super) fn decimal(&self) -> Result<Decimal, LineFault> {
        match self {
            Self::Cell(cell) => cell.trim().parse().map_err(decimal_fault),
            Self::Json(Json::Number(number)) => Ok(*number),
            Self::Json(_) | Self::Absent => Err(LineFault::Value),
        }
    }

    /// An instant, as RFC 3339 writes it.
    pub(super) fn instant(&self) -> Option<Timestamp> {
        match self {
            Self::Cell(text) | Self::Json(Json::Text(text)) => parse_instant(text.trim()),
            Self::Json(_) | Self::Absent => None,
        }
    }
}

pub(super) const fn decimal_fault(error: DecimalError) -> LineFault {
    match error {
        DecimalError::NotANumber => LineFault::Value,
        DecimalError::TooPrecise => LineFault::TooPrecise,
        DecimalError::TooLarge => LineFault::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn row(subject: &str, value: &str, at: &str) -> Row {
        Row { subject: subject.parse().unwrap(), score: Score::new(value.parse().unwrap(), at.parse().unwrap()) }
    }

    #[test]
    fn a_line_of_json_is_read_exactly() {
        let line = br#"{"subject":" Twitter:Ada","value":47.250,"observed_at":"2026-11-22T10:00:00+01:00"}"#;
        assert_eq!(
            RowReader::new(Format::Ndjson).read(line, &Source::klout(), now()),
            Ok(Some(row("twitter:ada", "47.25", "2026-11-22T09:00:00Z")))
        );
    }

    #[test]
    fn every_bad_line_of_json_has_its_code() {
        let at = r#""observed_at":"2026-11-22T09:00:00Z""#;
        for (line, code) in [
            ("nonsense".to_owned(), "malformed"),
            ("[1]".to_owned(), "malformed"),
            ("\"a\"".to_owned(), "malformed"),
            ("{".to_owned(), "malformed"),
            (format!("{}1{}", "[".repeat(1000), "]".repeat(1000)), "malformed"),
            (format!(r#"{{"subject":"a","subject":"b","value":1,{at}}}"#), "malformed"),
            (format!(r#"{{"subject":"a\u0000","value":1,{at}}}"#), "malformed"),
            (format!(r#"{{"subject":"a","value":NaN,{at}}}"#), "malformed"),
            (format!(r#"{{"subject":"a","value":1,"note":"x",{at}}}"#), "unknown_field"),
            (format!(r#"{{"value":1,{at}}}"#), "missing_field"),
            (format!(r#"{{"subject":"a",{at}}}"#), "missing_field"),
            (r#"{"subject":"a","value":1}"#.to_owned(), "missing_field"),
            (format!(r#"{{"subject":7,"value":1,{at}}}"#), "bad_subject"),
            (format!(r#"{{"subject":"a b","value":1,{at}}}"#), "bad_subject"),
            (format!(r#"{{"subject":"{}","value":1,{at}}}"#, "a".repeat(4096)), "bad_subject"),
            (format!("{{\"subject\":\"a\u{202E}b\",\"value\":1,{at}}}"), "bad_subject"),
            (format!(r#"{{"subject":"a","value":"47",{at}}}"#), "bad_value"),
            (format!(r#"{{"subject":"a","value":null,{at}}}"#), "bad_value"),
            (format!(r#"{{"subject":"a","value":4e1,{at}}}"#), "bad_value"),
            (format!(r#"{{"subject":"a","value":40.{},{at}}}"#, "1".repeat(30)), "too_precise"),
            (format!(r#"{{"subject":"a","value":-1,{at}}}"#), "off_scale"),
            (format!(r#"{{"subject":"a","value":101,{at}}}"#), "off_scale"),
            (format!(r#"{{"subject":"a","value":{},{at}}}"#, "9".repeat(40)), "off_scale"),
            (r#"{"subject":"a","value":1,"observed_at":"yesterday"}"#.to_owned(), "bad_time"),
            (r#"{"subject":"a","value":1,"observed_at":1353574800}"#.to_owned(), "bad_time"),
            (r#"{"subject":"a","value":1,"observed_at":"2026-11-22T09:00:00"}"#.to_owned(), "bad_time"),
            (r#"{"subject":"a","value":1,"observed_at":"2026-11-22T10:02:00Z"}"#.to_owned(), "in_future"),
            (r#"{"subject":"a","value":1,"observed_at":"0001-01-01T00:00:00Z"}"#.to_owned(), "too_old"),
        ] {
            let fault = RowReader::new(Format::Ndjson).read(line.as_bytes(), &Source::klout(), now()).unwrap_err();
            assert_eq!(fault.code(), code, "{line}");
        }
        let fault = RowReader::new(Format::Ndjson).read(b"\xFF\xFE", &Source::klout(), now()).unwrap_err();
        assert_eq!(fault.code(), "malformed");
    }

    #[test]
    fn a_fault_never_repeats_the_line() {
        for line in [
            r#"{"subject":"twitter ada","value":1,"observed_at":"2026-11-22T09:00:00Z"}"#,
            r#"{"twitter:ada":1}"#,
            r#"{"twitter:ada":1,"twitter:ada":1}"#,
            r#"{"subject":"twitter:ada","value":"twitter:ada","observed_at":"twitter:ada"}"#,
            "twitter:ada",
        ] {
            let fault = RowReader::new(Format::Ndjson).read(line.as_bytes(), &Source::klout(), now()).unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("ada"), "{fault:?}");
        }
    }

    #[test]
    fn csv_columns_stand_in_any_order() {
        let mut reader = RowReader::new(Format::Csv);
        let mut read = |line: &str| reader.read(line.as_bytes(), &Source::klout(), now());
        assert_eq!(read("observed_at,\"subject\", value"), Ok(None));
        let wanted = Ok(Some(row("twitter:a,\"da\"", "47.25", "2026-11-22T09:00:00Z")));
        assert_eq!(read(r#"2026-11-22T09:00:00Z,"twitter:a,""da""",47.25"#), wanted);
        for (line, code) in [
            ("2026-11-22T09:00:00Z,a", "malformed"),
            ("2026-11-22T09:00:00Z,a,1,x", "malformed"),
            ("2026-11-22T09:00:00Z,\"a,1", "malformed"),
            ("2026-11-22T09:00:00Z,\"a\"b,1", "malformed"),
            ("2026-11-22T09:00:00Z,a\",1", "malformed"),
            ("2026-11-22T09:00:00Z,a,1\r1", "malformed"),
            ("2026-11-22T09:00:00Z,a,NaN", "bad_value"),
            ("2026-11-22T09:00:00Z,a,", "bad_value"),
            ("2026-11-22T09:00:00Z,,1", "bad_subject"),
            (",a,1", "bad_time"),
            ("2026-11-22T09:00:00Z,a,1.0001", "too_precise"),
        ] {
            assert_eq!(read(line).unwrap_err().code(), code, "{line}");
        }
        for line in ["2026-11-22T09:00:00Z,a, 1 ", "2026-11-22T09:00:00Z,a,1\r\r"] {
            assert_eq!(read(line), Ok(Some(row("a", "1", "2026-11-22T09:00:00Z"))), "{line}");
        }
    }

    #[test]
    fn what_a_spreadsheet_leaves_around_a_table_is_passed_over() {
        let mut reader = RowReader::new(Format::Csv);
        let mut read = |line: &str| reader.read(line.as_bytes(), &Source::klout(), now());
        for empty in [",,,,", "\"\",\"\"", " , "] {
            assert_eq!(read(empty), Ok(None), "{empty}, above the header");
        }
        assert_eq!(read("subject,,value,observed_at,, "), Ok(None));
        let wanted = Ok(Some(row("a", "1", "2026-11-22T09:00:00Z")));
        for line in ["a,,1,2026-11-22T09:00:00Z,,", "a,,1,2026-11-22T09:00:00Z", "a,\"\",1,2026-11-22T09:00:00Z,, ,,"] {
            assert_eq!(read(line), wanted, "{line}");
        }
        for empty in [",,,,,", ",", "\"\""] {
            assert_eq!(read(empty), Ok(None), "{empty}, below");
        }
        for (line, code) in [
            ("a,x,1,2026-11-22T09:00:00Z,,", "malformed"),
            ("a,,1,2026-11-22T09:00:00Z,,x", "malformed"),
            ("a,,1", "malformed"),
            ("a,,,,,", "bad_value"),
            ("\",,", "malformed"),
        ] {
            assert_eq!(read(line).unwrap_err().code(), code, "{line}");
        }
    }

    #[test]
    fn columns_that_nobody_asks_for_are_passed_over() {
        let mut reader = RowReader::new(Format::Csv);
        let mut read = |line: &str| reader.read(line.as_bytes(), &Source::klout(), now());
        assert_eq!(read("name,subject,value,note,observed_at"), Ok(None));
        let wanted = Ok(Some(row("a", "1", "2026-11-22T09:00:00Z")));
        assert_eq!(read("Ada,a,1,\"hi, there\",2026-11-22T09:00:00Z"), wanted);
        assert_eq!(read(",a,1,,2026-11-22T09:00:00Z,"), wanted);
        assert_eq!(read("Ada,a,1,hi,2026-11-22T09:00:00Z,more").unwrap_err().code(), "malformed");
    }

    #[test]
    fn without_a_header_nothing_is_read() {
        for header in
            ["a,1,2026-11-22T09:00:00Z", "subject,value", "subject,value,value", "subject,value,observed_at,value"]
        {
            let mut reader = RowReader::new(Format::Csv);
            for line in [header, "a,1,2026-11-22T09:00:00Z"] {
                let fault = reader.read(line.as_bytes(), &Source::klout(), now()).unwrap_err();
                assert_eq!(fault.code(), "bad_header", "{header}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_a_reader_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut csv = RowReader::new(Format::Csv);
            csv.read(b"subject,value,observed_at", &Source::klout(), now()).unwrap();
            let _ = csv.read(&line, &Source::klout(), now());
            let _ = RowReader::new(Format::Ndjson).read(&line, &Source::klout(), now());
        }
    }
}
