//! The database's own promises, on every backend.

mod files;
mod migrate;
mod newer;
mod postgres;
