//! The lines of an export, NDJSON or CSV, one after another and in bounded memory.

use std::io::{self, BufRead, Read as _};

use crate::audit::export::record::{COLUMNS, Record};
use crate::audit::export::skip_bom;
use crate::foundation::csv_row::CsvRow;

/// The longest record that is read: no event comes near it.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An export that is being read.
pub(super) struct Lines<R> {
    reader: R,
    form: Form,
    /// The record, with its line ends.
    record: Vec<u8>,
    /// The number of the line that comes next, from 1.
    next: u64,
    /// True if the record is to be given once more.
    is_back: bool,
    /// The number of the record's first line.
    number: u64,
}

enum Form {
    Ndjson,
    Csv(CsvRow),
}

/// The content of a line.
pub(super) struct Read<'a> {
    /// From 1; the first one where a record takes several.
    pub number: u64,
    /// Why it is no record, if it is none.
    pub record: Result<Record<'a>, String>,
    /// The part of an event that a row of CSV repeats.
    pub repeated: Option<Repeated<'a>>,
}

/// Cells beside an event's body.
pub(super) struct Repeated<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub at: &'a str,
    /// The actor: the role, and the key where there is one.
    pub actor: &'a str,
    pub about: &'a str,
}

impl<R: BufRead> Lines<R> {
    /// Tells the form by the first byte behind a byte order mark.
    pub(super) fn open(mut reader: R) -> io::Result<Self> {
        skip_bom(&mut reader)?;
        let is_csv = reader.fill_buf()?.first().is_some_and(|byte| *byte != b'{');
        let form = if is_csv { Form::Csv(CsvRow::default()) } else { Form::Ndjson };
        Ok(Self { reader, form, record: Vec::new(), next: 1, is_back: false, number: 0 })
    }

    /// The number of the line that would come next.
    pub(super) const fn next_number(&self) -> u64 {
        self.next
    }

    /// The next record; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Read<'_>>> {
        if !std::mem::take(&mut self.is_back) {
            self.advance()?;
            if self.number == 1 && matches!(self.form, Form::Csv(_)) && !self.record.is_empty() {
                let is_head = self.record.trim_ascii_end() == COLUMNS.join(",").as_bytes();
                if !is_head {
                    let wanted = "it begins neither with `{` nor with the names of the columns of an export";
                    return Ok(Some(Read { number: 1, record: Err(wanted.to_owned()), repeated: None }));
                }
                self.advance()?;
            }
        }
        if self.record.is_empty() {
            return Ok(None);
        }
        let (record, repeated) = match read(&mut self.form, &self.record) {
            Ok((record, repeated)) => (Ok(record), repeated),
            Err(reason) => (Err(reason), None),
        };
        Ok(Some(Read { number: self.number, record, repeated }))
    }

    /// Gives the last record once more.
    pub(super) const fn back(&mut self) {
        self.is_back = true;
    }

    /// Reads up to the end of the next record.
    fn advance(&mut self) -> io::Result<()> {
        self.record.clear();
        self.number = self.next;
        let mut is_open = false;
        loop {
            let begun = self.record.len();
            let room = MAX_BYTES.saturating_sub(u64::try_from(begun).unwrap_or(u64::MAX));
            let read = (&mut self.reader).take(room).read_until(b'\n', &mut self.record)?;
            if read == 0 {
                return Ok(());
            }
            self.next += 1;
            // A line end between quotes is part of a cell. A quote that is lost takes the rest of the file
            // for one cell: that is reported when no more fits.
            let line = self.record.get(begun..).unwrap_or_default();
            is_open ^= matches!(self.form, Form::Csv(_)) && line.iter().fold(false, |odd, byte| odd ^ (*byte == b'"'));
            if !is_open {
                return Ok(());
            }
        }
    }
}

type Found<'a> = Result<(Record<'a>, Option<Repeated<'a>>), String>;

fn read<'a>(form: &'a mut Form, record: &'a [u8]) -> Found<'a> {
    let text = std::str::from_utf8(record).map_err(|e| format!("it is not UTF-8: {e}"))?;
    let (text, is_ended) = text.strip_suffix('\n').map_or((text, false), |text| (text, true));
    let cut = || "it does not end in a line end: it was cut off, or is too long".to_owned();
    let found = match form {
        Form::Ndjson => Record::of_line(text).map(|record| (record, None)).map_err(|e| e.to_string()),
        Form::Csv(cells) => {
            cells.split(text.strip_suffix('\r').unwrap_or(text)).ok_or("it is no row of CSV")?;
            let row = cells.array::<{ COLUMNS.len() }>();
            of_row(&row.ok_or_else(|| format!("a row has {} cells, not {}", COLUMNS.len(), cells.count()))?)
        }
    };
    // Every record is written with a line end: one without may have lost more than that unnoticed. Behind the last of
    // all nothing is missing: editors and uploads take its line end away.
    match found {
        Ok((record, repeated)) if is_ended || matches!(record, Record::End(_)) => Ok((record, repeated)),
        Ok(_) => Err(cut()),
        Err(reason) => Err(if is_ended { reason } else { cut() }),
    }
}

/// A row, with nothing in cells that are not its record's.
fn of_row<'a>(row: &[&'a str; COLUMNS.len()]) -> Found<'a> {
    let record = Record::of_row(row).map_err(|e| e.to_string())?;
    let [_, index, id, kind, at, actor, about, leaf_hash, event, checkpoint, note] = *row;
    let cells = [id, kind, at, actor, about];
    let is_clean = match &record {
        Record::Event { index: number, .. } => [checkpoint, note, own(index, *number)] == [""; 3],
        Record::Leaf { index: number, .. } => [event, checkpoint, note, own(index, *number)] == [""; 4],
        Record::Checkpoint(head) => [leaf_hash, event, note, own(index, head.size)] == [""; 4],
        Record::End(end) => [leaf_hash, event, checkpoint, own(index, end.size)] == [""; 4],
        Record::Header(_) | Record::Key(_) => [leaf_hash, event, checkpoint, index] == [""; 4],
    };
    let is_event = matches!(record, Record::Event { .. });
    if !is_clean || (!is_event && cells != [""; 5]) {
        return Err("the row holds something that does not belong there".to_owned());
    }
    let [id, kind, actor, about] = [id, kind, actor, about].map(unguarded);
    Ok((record, is_event.then_some(Repeated { id, kind, at, actor, about })))
}

/// Nothing, when the cell is this number as it is written; else the cell.
fn own(cell: &str, number: u64) -> &str {
    if cell == number.to_string() { "" } else { cell }
}

/// A cell without the apostrophe that keeps a spreadsheet from taking it for a formula.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => rest,
        _ => cell,
    }
}
