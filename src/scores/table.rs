//! The named fields of one line of a feed: of a JSON object, or of a row under a header.

use crate::foundation::csv_row::CsvRow;
use crate::foundation::json::{Json, JsonError};

use super::rows::{Format, LineFault, decimal_fault};

/// The fields that each line has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<const N: usize> {
    pub names: [&'static str; N],
    /// The same in a sentence.
    pub listed: &'static str,
    /// Those that may be left out.
    pub optional: &'static [&'static str],
}

/// One field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// As it stands in a table: all are text there.
    Cell(String),
    Json(Json),
    Absent,
}

impl Field {
    /// The text of a cell, or of a JSON text.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Cell(text) | Self::Json(Json::Text(text)) => Some(text),
            Self::Json(_) | Self::Absent => None,
        }
    }

    /// The field, unless it is left empty.
    pub(super) fn given(self) -> Option<Self> {
        match &self {
            Self::Absent | Self::Json(Json::Null) => None,
            Self::Cell(cell) if cell.trim().is_empty() => None,
            Self::Cell(_) | Self::Json(_) => Some(self),
        }
    }
}

/// Reads the lines of one feed.
#[derive(Debug)]
pub(super) struct TableReader<const N: usize> {
    wanted: Wanted<N>,
    lines: Lines<N>,
}

#[derive(Debug)]
enum Lines<const N: usize> {
    Ndjson,
    /// The header of a table, which comes first.
    HeaderAwaited,
    Csv(FeedHeader<N>),
    /// The header could not be read, so no line means anything.
    Unreadable,
}

/// Which column holds what.
#[derive(Debug)]
struct FeedHeader<const N: usize> {
    /// Where each field is; none for one that may be left out and is.
    columns: [Option<usize>; N],
    /// The columns that have no name, where nothing may stand: it would be no row of this header.
    nameless: Vec<usize>,
    /// The number of columns.
    count: usize,
}

impl<const N: usize> TableReader<N> {
    pub(super) const fn new(format: Format, wanted: Wanted<N>) -> Self {
        let lines = match format {
            Format::Ndjson => Lines::Ndjson,
            Format::Csv => Lines::HeaderAwaited,
        };
        Self { wanted, lines }
    }

    /// The fields of a line, in the order of their names; nothing for a CSV header or an empty row.
    ///
    /// # Errors
    /// [`LineFault`]: the line is not taken, the next may be.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Option<[Field; N]>, LineFault> {
        let text = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        match self.lines {
            Lines::Ndjson => return self.wanted.of_json(text).map(Some),
            Lines::Unreadable => return Err(LineFault::Header(self.wanted.listed)),
            Lines::HeaderAwaited | Lines::Csv(_) => {}
        }
        let mut row = CsvRow::default();
        // What writes text for Windows twice leaves two carriage returns.
        let is_row = row.split(text.trim_end_matches('\r')).is_some();
        if is_row && row.cells().all(|cell| cell.trim().is_empty()) {
            return Ok(None);
        }
        if let Lines::Csv(header) = &self.lines {
            return if is_row { header.fields(&row).map(Some) } else { Err(LineFault::Quotes) };
        }
        let header = if is_row { FeedHeader::read(&row, &self.wanted) } else { None };
        self.lines = header.map_or(Lines::Unreadable, Lines::Csv);
        if matches!(self.lines, Lines::Unreadable) { Err(LineFault::Header(self.wanted.listed)) } else { Ok(None) }
    }
}

impl<const N: usize> Wanted<N> {
    fn of_json(&self, text: &str) -> Result<[Field; N], LineFault> {
        let members = match Json::parse(text) {
            Ok(Json::Object(members)) => members,
            Err(JsonError::Doubled { .. }) => return Err(LineFault::DoubledField),
            Err(JsonError::Nul { .. }) => return Err(LineFault::Nul),
            Err(JsonError::Number { pointer, source }) if pointer == "/value" => return Err(decimal_fault(source)),
            Ok(_) | Err(JsonError::Syntax(_) | JsonError::TooDeep { .. } | JsonError::Number { .. }) => {
                return Err(LineFault::NotJson);
            }
        };
        let mut fields = self.names.map(|_| Field::Absent);
        for (name, member) in members {
            let at = self.names.iter().position(|wanted| *wanted == name);
            let field = at.and_then(|at| fields.get_mut(at)).ok_or(LineFault::UnknownField(self.listed))?;
            *field = Field::Json(member);
        }
        for (name, field) in self.names.iter().zip(&fields) {
            if *field == Field::Absent && !self.optional.contains(name) {
                return Err(LineFault::MissingField(name));
            }
        }
        Ok(fields)
    }
}

impl<const N: usize> FeedHeader<N> {
    fn read(row: &CsvRow, wanted: &Wanted<N>) -> Option<Self> {
        let columns = |wanted: &str| -> Vec<usize> {
            row.cells().enumerate().filter(|(_, name)| name.trim() == wanted).map(|(at, _)| at).collect()
        };
        let found = wanted.names.map(|name| match columns(name)[..] {
            [at] => Some(Some(at)),
            [] if wanted.optional.contains(&name) => Some(None),
            _ => None,
        });
        if found.contains(&None) {
            return None;
        }
        Some(Self { columns: found.map(Option::flatten), nameless: columns(""), count: row.count() })
    }

    fn fields(&self, row: &CsvRow) -> Result<[Field; N], LineFault> {
        let is_beside = |at: usize| at >= self.count || self.nameless.contains(&at);
        if row.cells().enumerate().any(|(at, field)| is_beside(at) && !field.trim().is_empty()) {
            return Err(LineFault::FieldCount);
        }
        let is_short = self.columns.iter().flatten().any(|at| row.get(*at).is_none());
        if is_short {
            return Err(LineFault::FieldCount);
        }
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map(|cell| Field::Cell(cell.to_owned()));
        Ok(self.columns.map(|at| cell(at).unwrap_or(Field::Absent)))
    }
}
