//! The content of one line of a score feed, or what is wrong with it.

use std::borrow::Cow;

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
    #[error("a quote is not closed, or stands where none may stand (RFC 4180)")]
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

/// Which column holds what.
#[derive(Debug)]
pub enum Columns {
    /// The header comes first.
    Awaited,
    Known {
        subject: usize,
        value: usize,
        observed_at: usize,
        /// The columns that have no name, where nothing may stand: it would be no row of this header.
        nameless: Vec<usize>,
        /// The number of columns.
        count: usize,
    },
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
            Self::Csv(_) if is_empty_row(text) => return Ok(None),
            Self::Csv(Columns::Awaited) => {
                return if let Some(columns) = read_header(text) {
                    *self = Self::Csv(columns);
                    Ok(None)
                } else {
                    *self = Self::Unreadable;
                    Err(LineFault::Header)
                };
            }
            Self::Csv(Columns::Known { subject, value, observed_at, nameless, count }) => {
                let fields = split_fields(text).ok_or(LineFault::Quotes)?;
                let field = |at: usize| fields.get(at).map(|f| f.as_ref().to_owned()).ok_or(LineFault::FieldCount);
                let is_beside = |at: usize| at >= *count || nameless.contains(&at);
                if fields.iter().enumerate().any(|(at, field)| is_beside(at) && !field.trim().is_empty()) {
                    return Err(LineFault::FieldCount);
                }
                (field(*subject)?, field(*value)?.trim().parse().map_err(decimal_fault)?, field(*observed_at)?)
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

fn read_header(text: &str) -> Option<Columns> {
    let names = split_fields(text)?;
    let columns = |wanted: &str| -> Vec<usize> {
        names.iter().enumerate().filter(|(_, name)| name.trim() == wanted).map(|(at, _)| at).collect()
    };
    let the_only = |wanted: &str| if let [at] = columns(wanted)[..] { Some(at) } else { None };
    Some(Columns::Known {
        subject: the_only("subject")?,
        value: the_only("value")?,
        observed_at: the_only("observed_at")?,
        nameless: columns(""),
        count: names.len(),
    })
}

/// True if a row of CSV has nothing in any of its fields, as spreadsheets write the rows below a table.
fn is_empty_row(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b',' | b'"') || byte.is_ascii_whitespace())
        && split_fields(text).is_some_and(|fields| fields.iter().all(|field| field.trim().is_empty()))
}

/// Splits one line by RFC 4180, strictly: none for a quote that is not closed, or that stands
/// inside a field which does not begin with one.
fn split_fields(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut fields = Vec::with_capacity(3);
    let mut rest = line;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = rest.split_once(',').map_or((rest, None), |(field, after)| (field, Some(after)));
            if field.contains('"') {
                return None;
            }
            fields.push(Cow::Borrowed(field));
            match after {
                Some(after) => rest = after,
                None => return Some(fields),
            }
            continue;
        };
        let mut field = Cow::Borrowed("");
        let mut inside = quoted;
        loop {
            let (part, after) = inside.split_once('"')?;
            field += part;
            if let Some(more) = after.strip_prefix('"') {
                field += "\"";
                inside = more;
            } else {
                inside = after;
                break;
            }
        }
        fields.push(field);
        if inside.is_empty() {
            return Some(fields);
        }
        rest = inside.strip_prefix(',')?;
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
            ("2026-11-22T09:00:00Z,a,NaN", "bad_value"),
            ("2026-11-22T09:00:00Z,a,", "bad_value"),
            ("2026-11-22T09:00:00Z,,1", "bad_subject"),
            (",a,1", "bad_time"),
            ("2026-11-22T09:00:00Z,a,1.0001", "too_precise"),
        ] {
            assert_eq!(read(line).unwrap_err().code(), code, "{line}");
        }
        assert_eq!(read("2026-11-22T09:00:00Z,a, 1 "), Ok(Some(row("a", "1", "2026-11-22T09:00:00Z"))));
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
        fn what_the_csv_crate_writes_is_split_the_same(fields in proptest::collection::vec("[a\", é]{0,8}", 1..5)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let split = split_fields(line.trim_end_matches('\n')).unwrap();
            prop_assert_eq!(split.iter().map(AsRef::as_ref).collect::<Vec<_>>(), fields);
        }

        #[test]
        fn no_line_makes_a_reader_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut csv = RowReader::Csv(read_header("subject,value,observed_at").unwrap());
            let _ = csv.read(&line, &Source::klout(), now());
            let _ = RowReader::Ndjson.read(&line, &Source::klout(), now());
        }
    }
}
