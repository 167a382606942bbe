//! The content of one line of a score feed, or what is wrong with it.

use crate::foundation::csv_row::CsvRow;
use crate::foundation::decimal::{Decimal, DecimalError};
use crate::foundation::json::{Json, JsonError};
use crate::foundation::subject::{SubjectError, SubjectHandle};

use super::score::{Score, ScoreFault, Source, parse_instant};
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
    #[error("the line has a field other than `subject`, `value` and `observed_at`")]
    UnknownField,
    #[error("the line's fields are not those of the header")]
    FieldCount,
    #[error("a quote is not closed, or a quote or carriage return stands where none may stand (RFC 4180)")]
    Quotes,
    #[error("the header must name the columns `subject`, `value` and `observed_at`, each once; nothing was read")]
    Header,
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
    #[error("`observed_at` must be an RFC 3339 time with its offset, such as 2026-11-22T09:00:00Z")]
    Time,
    #[error("{0}")]
    Score(ScoreFault),
    #[error("a newer observation of this subject stands already")]
    Stale,
}

impl LineFault {
    /// The stable code that goes out with it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "line_too_long",
            Self::NotJson | Self::NotUtf8 | Self::Nul | Self::DoubledField | Self::FieldCount | Self::Quotes => {
                "malformed"
            }
            Self::MissingField(_) => "missing_field",
            Self::UnknownField => "unknown_field",
            Self::Header => "bad_header",
            Self::Subject(_) | Self::SubjectType => "bad_subject",
            Self::Value => "bad_value",
            Self::TooPrecise => "too_precise",
            Self::TooLarge | Self::Score(ScoreFault::OffScale { .. }) => "off_scale",
            Self::Time => "bad_time",
            Self::Score(ScoreFault::InFuture) => "in_future",
            Self::Score(ScoreFault::Unobserved) => "too_old",
            Self::Stale => "stale",
        }
    }
}

/// Reads the lines of one feed.
#[derive(Debug)]
pub enum RowReader {
    Ndjson,
    Csv(Columns),
    /// The header could not be read, so no line means anything.
    Unreadable,
}

/// The header of a table, which comes first.
#[derive(Debug)]
pub enum Columns {
    Awaited,
    Known(FeedHeader),
}

/// Which column holds what.
#[derive(Debug)]
pub struct FeedHeader {
    subject: usize,
    value: usize,
    observed_at: usize,
    /// The columns that have no name, where nothing may stand: it would be no row of this header.
    nameless: Vec<usize>,
    /// The number of columns.
    count: usize,
}

impl RowReader {
    #[must_use]
    pub const fn new(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv(Columns::Awaited),
        }
    }

    /// Reads one line, which is held against the scale and the clock too; nothing for a CSV header or an empty row.
    ///
    /// # Errors
    /// [`LineFault`]: the line is not taken, the next may be.
    pub fn read(&mut self, line: &[u8], source: &Source, now: Timestamp) -> Result<Option<Row>, LineFault> {
        let text = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        let (subject, value, observed_at) = match self {
            Self::Ndjson => read_json(text)?,
            Self::Unreadable => return Err(LineFault::Header),
            Self::Csv(columns) => {
                let mut row = CsvRow::default();
                // What writes text for Windows twice leaves two carriage returns.
                let is_row = row.split(text.trim_end_matches('\r')).is_some();
                match columns {
                    _ if is_row && row.cells().all(|cell| cell.trim().is_empty()) => return Ok(None),
                    Columns::Awaited => {
                        let header = if is_row { FeedHeader::read(&row) } else { None };
                        *self = header.map_or(Self::Unreadable, |header| Self::Csv(Columns::Known(header)));
                        return if matches!(self, Self::Unreadable) { Err(LineFault::Header) } else { Ok(None) };
                    }
                    Columns::Known(_) if !is_row => return Err(LineFault::Quotes),
                    Columns::Known(header) => header.fields(&row)?,
                }
            }
        };
        let subject = subject.parse().map_err(LineFault::Subject)?;
        let observed_at = parse_instant(observed_at.trim()).ok_or(LineFault::Time)?;
        let score = Score::new(value, observed_at);
        source.check(&score, now).map_err(LineFault::Score)?;
        Ok(Some(Row { subject, score }))
    }
}

const fn decimal_fault(error: DecimalError) -> LineFault {
    match error {
        DecimalError::NotANumber => LineFault::Value,
        DecimalError::TooPrecise => LineFault::TooPrecise,
        DecimalError::TooLarge => LineFault::TooLarge,
    }
}

fn read_json(text: &str) -> Result<(String, Decimal, String), LineFault> {
    let members = match Json::parse(text) {
        Ok(Json::Object(members)) => members,
        Err(JsonError::Doubled { .. }) => return Err(LineFault::DoubledField),
        Err(JsonError::Nul { .. }) => return Err(LineFault::Nul),
        Err(JsonError::Number { pointer, source }) if pointer == "/value" => return Err(decimal_fault(source)),
        Ok(_) | Err(JsonError::Syntax(_) | JsonError::TooDeep { .. } | JsonError::Number { .. }) => {
            return Err(LineFault::NotJson);
        }
    };
    let (mut subject, mut value, mut observed_at) = (None, None, None);
    for (name, member) in members {
        match name.as_str() {
            "subject" => subject = Some(member),
            "value" => value = Some(member),
            "observed_at" => observed_at = Some(member),
            _ => return Err(LineFault::UnknownField),
        }
    }
    let Json::Text(subject) = subject.ok_or(LineFault::MissingField("subject"))? else {
        return Err(LineFault::SubjectType);
    };
    let Json::Number(value) = value.ok_or(LineFault::MissingField("value"))? else {
        return Err(LineFault::Value);
    };
    let Json::Text(observed_at) = observed_at.ok_or(LineFault::MissingField("observed_at"))? else {
        return Err(LineFault::Time);
    };
    Ok((subject, value, observed_at))
}

impl FeedHeader {
    fn read(row: &CsvRow) -> Option<Self> {
        let columns = |wanted: &str| -> Vec<usize> {
            row.cells().enumerate().filter(|(_, name)| name.trim() == wanted).map(|(at, _)| at).collect()
        };
        let the_only = |wanted: &str| if let [at] = columns(wanted)[..] { Some(at) } else { None };
        Some(Self {
            subject: the_only("subject")?,
            value: the_only("value")?,
            observed_at: the_only("observed_at")?,
            nameless: columns(""),
            count: row.count(),
        })
    }

    /// The subject, the value and the time of a row.
    fn fields(&self, row: &CsvRow) -> Result<(String, Decimal, String), LineFault> {
        let is_beside = |at: usize| at >= self.count || self.nameless.contains(&at);
        if row.cells().enumerate().any(|(at, field)| is_beside(at) && !field.trim().is_empty()) {
            return Err(LineFault::FieldCount);
        }
        let field = |at: usize| row.get(at).ok_or(LineFault::FieldCount);
        let subject = field(self.subject)?.to_owned();
        let value = field(self.value)?.trim().parse().map_err(decimal_fault)?;
        Ok((subject, value, field(self.observed_at)?.to_owned()))
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
            let _ = RowReader::Ndjson.read(&line, &Source::klout(), now());
        }
    }
}
