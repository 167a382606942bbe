//! Scores: where they come from, which one stands, and how a check gets at it without a query.
//!
//! - `handle`: what everyone else uses, with `error`; `score`, `freshness`: a score, and whether it is young enough
//! - `cache`: `memory`, then `redis`, with the writes that are `pending` there; `store`: the database
//! - `kept`: what the caches keep, and under which keys
//! - `lookups`: what the caches lack, asked of the database together; `gathering`: how questions come together
//! - `attributes`: what else is kept of people, in the same way
//! - `computing`: scores from signals by a model; `history`: the values that scores had, day by day
//! - `pulling`: scores and signals fetched from where they are
//! - `klout_ids`: by which numbers clients of Klout's API know people
//! - `enrolment`: the people who are scored by what is known of them; `signals`: what is known
//! - `import`, `feed` (of which kind, such as `score_feed`), `lines`, `table`, `rows`: a feed of scores, or of what else is kept of people; `erasing`: the scores of one person shown, and erased
//!
//! [`Scores`] is the handle. A check asks `find`: memory, then Redis, then the database, and
//! concurrent look-ups share one query. Everything that writes goes through the
//! handle too, because after its commit it invalidates the caches ([`cache::ScoreCache::forget`]); a
//! write that bypasses it is not seen until the cached value expires.
//!
//! The newest observation of a subject stands, in whatever order observations come in. Scores are
//! kept under a [`SubjectRef`](crate::foundation::subject::SubjectRef): nothing in this room but a feed's lines
//! knows a name, and no error repeats one.
//!
//! Who locks several rows of this room does so in the order of `subjects`, `enrolments` (people in the order of their
//! references), `linked_accounts`, `ended_links`, `pulled_accounts`, `signals`, `heard_networks`, `sources`, `score_due`, `scores`, `score_history`, `klout_ids`, attributes,
//! `epochs`; a run holds its lease first.
//!
//! To read another kind of feed, add a [`rows::Format`] and its arm in [`rows::RowReader`]; to keep
//! scores elsewhere, add a variant to [`cache::ScoreCache`] and run `cache_holds` on it.

pub mod attributes;
pub mod cache;
#[cfg(test)]
mod cache_suite;
pub mod computing;
pub mod enrolment;
pub mod erasing;
mod error;
pub mod feed;
pub mod following;
pub mod freshness;
mod gathering;
mod handle;
pub mod history;
pub mod import;
pub mod kept;
pub mod klout_ids;
pub mod lines;
mod lookups;
pub mod memory;
mod pending;
pub mod pulling;
pub mod redis;
pub mod rows;
pub mod score;
mod score_feed;
pub mod signals;
pub mod store;
mod table;

pub use attributes::Attributes;
pub use cache::{CacheConfig, ScoreCache};
pub use enrolment::Enrolments;
pub use error::ScoreError;
pub use freshness::Freshness;
pub use handle::Scores;
pub use import::{Import, ImportConfig, ImportReport, LineError};
pub use pulling::Pulls;
pub use rows::{Format, LineFault};
pub use score::{PutOutcome, Score, Source};
pub use store::find_source;
