//! The cells of one row of CSV (RFC 4180), strictly.

/// A row, taken apart. Kept for its capacity.
#[derive(Default)]
pub(super) struct Cells {
    /// All cells, one behind the other.
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    /// Takes a row without its line end apart; none when it is not well formed.
    pub(super) fn split(&mut self, row: &str) -> Option<()> {
        self.text.clear();
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

    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The cells, when there are as many.
    pub(super) fn row<const N: usize>(&self) -> Option<[&str; N]> {
        if self.ends.len() != N {
            return None;
        }
        let mut row = [""; N];
        let mut from = 0;
        for (cell, end) in row.iter_mut().zip(&self.ends) {
            *cell = self.text.get(from..*end)?;
            from = *end;
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &str) -> Option<Vec<String>> {
        let mut cells = Cells::default();
        cells.split(row)?;
        let three = cells.row::<3>()?;
        Some(three.map(str::to_owned).to_vec())
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let rows = [["a", "", "c"], ["", "", ""], ["a,b", "say \"no\"", "two\nlines"], ["é\"", "\"", ","]];
        for row in rows {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(row).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            assert_eq!(cells(text.strip_suffix('\n').unwrap()).unwrap(), row, "{text}");
        }
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for row in ["", "a,b", "a,b,c,d", "a,b\"c,d", "\"a,b,c", "\"a\"b,c,d", "a\nb,c,d", "\"a\"\"b,c,d"] {
            assert_eq!(cells(row), None, "{row}");
        }
    }
}
