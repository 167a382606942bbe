//! Scores: where they come from, which one stands, and how a check gets at it without a query.
//!
//! [`Scores`] is the handle. A check asks `find`: memory, then Redis, then the database, and those
//! who ask for one score at one time share one look-up. Everything that writes goes through the
//! handle too, because after its commit it tells the caches ([`cache::ScoreCache::forget`]); a
//! write past it is unseen for the caches' time to live.
//!
//! The newest observation of a subject stands, in whatever order observations come in. Scores are
//! kept under a [`SubjectRef`](crate::foundation::subject::SubjectRef): nothing in this room but a feed's lines
//! knows a name, and no error repeats one.
//!
//! To read another kind of feed, add a [`rows::Format`] and its arm in [`rows::RowReader`]; to keep
//! scores elsewhere, add a variant to [`cache::ScoreCache`] and run `cache_holds` on it.

pub mod cache;
#[cfg(test)]
mod cache_suite;
pub mod erasing;
pub mod freshness;
mod handle;
pub mod import;
pub mod lines;
pub mod memory;
mod pending;
pub mod redis;
pub mod rows;
pub mod score;
pub mod store;

pub use cache::{CacheConfig, ScoreCache};
pub use freshness::Freshness;
pub use handle::{ScoreError, Scores};
pub use import::{Import, ImportConfig, ImportReport, LineError};
pub use rows::{Format, LineFault};
pub use score::{PutOutcome, Score, Source};
