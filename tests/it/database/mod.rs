//! The database's own promises, on every backend.

mod migrate;
