//! Rows that are looked at page by page.

use super::{PAGE, Result};

/// Gives each row of a table to `take`. `list` returns those behind a row, by what `key` names it.
pub(crate) fn each_row<R>(
    mut list: impl FnMut(&str) -> Result<Vec<R>>,
    key: impl Fn(&R) -> &str,
    mut take: impl FnMut(&R),
) -> Result<()> {
    let mut after = String::new();
    loop {
        let page = list(&after)?;
        for row in &page {
            take(row);
        }
        match page.last() {
            Some(row) if page.len() >= PAGE => key(row).clone_into(&mut after),
            _ => return Ok(()),
        }
    }
}
