//! Rows of CSV as RFC 4180 has them, which no spreadsheet takes for formulas.
//!
//! By hand for the sake of those: a cell that is guarded is quoted too, and the `csv` crate quotes all cells or those
//! that need it. The bytes of an export don't change from version to version. All other rows are what it writes.

/// Writes a row with its end.
pub(super) fn push_row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (nth, cell) in cells.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        push_cell(out, cell);
    }
    out.push_str("\r\n");
}

/// A spreadsheet takes what begins with one of these for a formula, so an apostrophe goes before it. What
/// someone reads back by itself (numbers from 0 on, hashes, JSON, notes) never begins so.
fn push_cell(out: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if !is_formula && !cell.contains([',', '"', '\r', '\n']) {
        out.push_str(cell);
        return;
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&cell.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_formula_is_guarded_and_quoted() {
        let mut out = String::new();
        push_row(&mut out, ["=1+1", "-\"x\"", "plain", "a,b"]);
        assert_eq!(out, "\"'=1+1\",\"'-\"\"x\"\"\",plain,\"a,b\"\r\n");
    }

    proptest! {
        #[test]
        fn a_row_without_formulas_is_what_the_csv_crate_writes(
            cells in proptest::collection::vec("([a-z0-9é{][a-z\", é'=\r\n]{0,8})?", 2..5)
        ) {
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let mut out = String::new();
            push_row(&mut out, cells.iter().map(String::as_str));
            prop_assert_eq!(out.into_bytes(), writer.into_inner().unwrap());
        }
    }
}
