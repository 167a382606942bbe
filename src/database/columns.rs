//! Statements that take any number of rows as a few arrays (PostgreSQL).
//!
//! A list of rows has another text for each number of them, so it is prepared again each time: one
//! more round trip, and the server parses and plans thousands of parameters. With `unnest` the text
//! is always the same, and the statement is prepared once a connection.

use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};

/// The Rust type that a column of this SQL type is made of.
pub trait Element {
    type Of<'a>;
}

impl Element for Text {
    type Of<'a> = &'a str;
}

impl Element for Nullable<Text> {
    type Of<'a> = Option<&'a str>;
}

impl Element for Nullable<BigInt> {
    type Of<'a> = Option<i64>;
}

impl Element for Binary {
    type Of<'a> = &'a [u8];
}

impl Element for BigInt {
    type Of<'a> = i64;
}

impl Element for Integer {
    type Of<'a> = i32;
}

impl Element for Bool {
    type Of<'a> = bool;
}

/// Makes a struct that is a statement over rows: the text before the columns, the columns, the text
/// after; and so on, where it takes rows of several kinds. A prepared statement is found by the struct's type, so the
/// text must hold no value.
#[macro_export]
macro_rules! statement_of_columns {
    ($name:ident, |$row:ident: $of:ty| $before:literal [$($columns:tt)+] $after:literal) => {
        $crate::statement_of_columns! { $name, |$row in rows: $of| $before [$($columns)+] $after }
    };
    (
        $name:ident,
        $(|$row:ident in $rows:ident: $of:ty| $before:literal [$($column:ident: $sql:ty = $value:expr),+ $(,)?])+
        $after:literal
    ) => {
        pub(crate) struct $name<'a> {
            $($($column: Vec<<$sql as $crate::database::columns::Element>::Of<'a>>,)+)+
        }

        impl<'a> $name<'a> {
            pub(crate) fn of($($rows: &'a [$of]),+) -> Self {
                Self { $($($column: $rows.iter().map(|$row| $value).collect()),+),+ }
            }
        }

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                $(
                    let mut before = $before;
                    $(
                        out.push_sql(before);
                        out.push_bind_param::<diesel::sql_types::Array<$sql>, _>(&self.$column)?;
                        before = ", ";
                    )+
                    let _ = before;
                )+
                out.push_sql($after);
                Ok(())
            }
        }

        impl diesel::RunQueryDsl<diesel::pg::PgConnection> for $name<'_> {}
    };
}
