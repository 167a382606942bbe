//! Tells whether anything is in a database yet.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::schema::{api_keys, logs, merchants};
use super::{AnyConnection, Database, DatabaseError};

#[derive(QueryableByName)]
struct Tables {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    ours: i64,
}

impl Database {
    /// True if it has no tables, or those of this program with no merchant, key or event in them.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn is_blank(&self) -> Result<bool, DatabaseError> {
        self.read_blocking(|conn| {
            let names = match conn {
                AnyConnection::Postgres(_) => {
                    "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()"
                }
                AnyConnection::Sqlite(_) => {
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                }
            };
            let ours = "count(CASE WHEN name IN ('merchants', 'api_keys', 'logs') THEN 1 END)";
            let query = format!("SELECT count(*) AS \"all\", {ours} AS ours FROM ({names}) AS tables");
            let tables: Tables = diesel::sql_query(query).get_result(conn)?;
            if tables.all == 0 {
                return Ok(true);
            }
            // Those of someone else are something.
            if tables.ours < 3 {
                return Ok(false);
            }
            let merchants: i64 = merchants::table.count().get_result(conn)?;
            let keys: i64 = api_keys::table.count().get_result(conn)?;
            let logs: i64 = logs::table.count().get_result(conn)?;
            Ok(merchants + keys + logs == 0)
        })
    }
}
