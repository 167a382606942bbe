//! The cells of one row of CSV (RFC 4180), strictly.
//!
//! By hand, as the `csv` crate makes the best of a quote that is missing or stands where none may stand: the row after
//! it can land in one cell, and a byte that was changed can go unnoticed. Here such a row is no row.

/// The cells of a row, in buffers that are used again for the next one.
#[derive(Debug, Default)]
pub struct CsvRow {
    /// All cells, one behind the other.
    text: String,
    ends: Vec<usize>,
}

impl CsvRow {
    /// Takes a row without its line end apart; none when it is not well formed, and the cells then mean nothing.
    #[must_use]
    pub fn split(&mut self, row: &str) -> Option<()> {
        self.text.clear();
        self.text.reserve(row.len());
        self.ends.clear();
        let mut rest = row;
        loop {
            rest = if let Some(quoted) = rest.strip_prefix('"') {
                self.take_quoted(quoted)?
            } else {
                let end = rest.find(',').unwrap_or(rest.len());
                let (cell, behind) = rest.split_at(end);
                if cell.contains(['"', '\r', '\n']) {
                    return None;
                }
                self.text.push_str(cell);
                behind
            };
            self.ends.push(self.text.len());
            match rest.strip_prefix(',') {
                Some(behind) => rest = behind,
                None if rest.is_empty() => return Some(()),
                None => return None,
            }
        }
    }

    /// Returns what is behind the closing quote.
    fn take_quoted<'a>(&mut self, mut rest: &'a str) -> Option<&'a str> {
        loop {
            let (cell, behind) = rest.split_at(rest.find('"')?);
            self.text.push_str(cell);
            let behind = behind.strip_prefix('"')?;
            match behind.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => return Some(behind),
            }
        }
    }

    /// The number of cells.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The cell that stands there, from 0.
    pub fn get(&self, at: usize) -> Option<&str> {
        let from = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(from..*self.ends.get(at)?)
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.count()).map_while(|at| self.get(at))
    }

    /// All cells, if there are as many.
    pub fn array<const N: usize>(&self) -> Option<[&str; N]> {
        if self.count() != N {
            return None;
        }
        let mut array = [""; N];
        for (cell, text) in array.iter_mut().zip(self.cells()) {
            *cell = text;
        }
        Some(array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(row: &str) -> Option<Vec<String>> {
        let mut cells = CsvRow::default();
        cells.split(row)?;
        Some(cells.cells().map(str::to_owned).collect())
    }

    #[test]
    fn a_row_is_read_cell_by_cell() {
        let mut row = CsvRow::default();
        row.split("one,\"two, \"\"2\"\"\",,é").unwrap();
        assert_eq!(row.array::<4>(), Some(["one", "two, \"2\"", "", "é"]));
        assert_eq!((row.array::<3>(), row.array::<5>()), (None, None));
        assert_eq!((row.count(), row.get(1), row.get(4)), (4, Some("two, \"2\""), None));
        row.split("next").unwrap();
        assert_eq!(row.array::<1>(), Some(["next"]));
        assert_eq!(cells("").unwrap(), [""]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for row in ["a,b\"c,d", "\"a,b,c", "\"a\"b,c,d", "a\nb,c,d", "a,b\rc,d", "\"a\"\"b,c,d", "a,\""] {
            assert_eq!(cells(row), None, "{row}");
        }
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_the_same(row in proptest::collection::vec("[a\", é\r\n]{0,8}", 1..5)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&row).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(cells(text.strip_suffix('\n').unwrap()).unwrap(), row);
        }
    }
}
