//! Statements that take any number of rows in a list of values (SQLite).
//!
//! A list has another text for each number of rows, so it would be prepared again for nearly every batch. Here rows
//! are taken in numbers that are powers of two: few texts, each of which a connection prepares once and keeps.

/// The most rows of one statement.
const MOST: usize = 64;

/// The rows, in their order, in pieces whose lengths are powers of two.
pub fn in_powers_of_two<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let most = 1 << rows.len().min(MOST).checked_ilog2()?;
        let (these, rest) = rows.split_at(most);
        rows = rest;
        Some(these)
    })
}

/// Makes a struct that is a statement over rows, for each piece of [`in_powers_of_two`]: the text before the list of
/// values, a field of the row for each column, the text after.
#[macro_export]
macro_rules! statement_of_rows {
    ($name:ident, $of:ty, $before:literal [$($column:tt: $sql:ty),+ $(,)?] $after:literal) => {
        struct $name<'a>(&'a [$of]);

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = ();
            // Found by its text: that depends on the number of rows.
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::QueryResult<()> {
                out.push_sql($before);
                for (nth, row) in self.0.iter().enumerate() {
                    let mut before = if nth == 0 { "(" } else { "), (" };
                    $(
                        out.push_sql(before);
                        out.push_bind_param::<$sql, _>(&row.$column)?;
                        before = ", ";
                    )+
                    let _ = before;
                }
                out.push_sql(concat!(")", $after));
                Ok(())
            }
        }

        impl diesel::RunQueryDsl<diesel::sqlite::SqliteConnection> for $name<'_> {}
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_taken_in_their_order_and_in_few_sizes() {
        for length in [0, 1, 2, 3, 35, 64, 65, 200] {
            let rows: Vec<usize> = (0..length).collect();
            let pieces: Vec<&[usize]> = in_powers_of_two(&rows).collect();
            assert_eq!(pieces.concat(), rows);
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= MOST), "{pieces:?}");
        }
    }
}
