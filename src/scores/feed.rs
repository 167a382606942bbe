//! A kind of feed: how its lines are read, which of two values stands, and where they are written.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use crate::database::Backend;
use crate::foundation::subject::{SubjectHandle, SubjectRef};

use super::error::ScoreError;
use super::held::HeldFeed;
use super::rows::LineFault;

/// Where a value stands: whose it is, and which of theirs.
pub type Place<F> = (SubjectRef, <F as Feed>::Which);

/// A row of a feed: whose it is, which of theirs, and the value.
pub type Read<F> = (SubjectHandle, <F as Feed>::Which, <F as Feed>::Value);

/// The outcome of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    Accepted,
    Unchanged,
    Stale,
}

/// The part of a write that was not done.
pub struct Written<F: Feed> {
    /// Number of values that were beaten by what others wrote since they were judged.
    pub beaten: usize,
    /// The names that can't be written under any more: nothing was, of anyone.
    pub undeclared: BTreeSet<F::Which>,
    /// Number of values that stood already.
    pub unchanged: usize,
    /// Number of values of people who are not enrolled: they were not kept.
    pub not_enrolled: usize,
    /// Number of values that were kept and would be kept once more if they came again.
    pub unkeyed: usize,
}

impl<F: Feed> Written<F> {
    /// All was written.
    #[must_use]
    pub const fn of_all() -> Self {
        Self { beaten: 0, undeclared: BTreeSet::new(), unchanged: 0, not_enrolled: 0, unkeyed: 0 }
    }
}

/// A kind of feed.
pub trait Feed: Send + Sync + 'static {
    /// The name of one of a person's values; of some there is only one.
    type Which: Clone + Ord + Hash + fmt::Debug + Send + Sync + 'static;
    type Value: Clone + PartialEq + Send + Sync + 'static;

    /// Reads one line; nothing for one that has no row.
    ///
    /// # Errors
    /// [`LineFault`]: the line is not taken, the next may be.
    fn read(&mut self, line: &[u8], now: Timestamp) -> Result<Option<Read<Self>>, LineFault>
    where
        Self: Sized;

    /// The outcome of `new` when `standing` stands, and what stands then where it is another.
    fn judge(
        &self,
        which: &Self::Which,
        new: &Self::Value,
        standing: Option<&Self::Value>,
    ) -> (Judged, Option<Self::Value>);

    /// The bytes that a value takes beside its own size.
    fn weight(value: &Self::Value) -> usize;

    /// The values of these names that stand for these people.
    fn standing(
        &self,
        subjects: Vec<SubjectRef>,
        names: Vec<Self::Which>,
    ) -> impl Future<Output = Result<HashMap<Place<Self>, Self::Value>, ScoreError>> + Send
    where
        Self: Sized;

    /// Writes values, none twice; says which it did not.
    fn write(
        &self,
        new: Arc<Vec<(Place<Self>, Self::Value)>>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Written<Self>, ScoreError>> + Send
    where
        Self: Sized;

    /// True if the feed may be held: then it is begun and concluded.
    fn is_guarded(&self) -> bool {
        false
    }

    /// Before the first row is written: `rows` are all of the feed, in the order of their people; none where there are more to
    /// come.
    fn begin(
        &mut self,
        _rows: Option<Vec<(SubjectRef, Self::Value)>>,
        _now: Timestamp,
    ) -> impl Future<Output = Result<(), ScoreError>> + Send {
        async { Ok(()) }
    }

    /// After the last row was written: a piece of what is left to do, or false when nothing is.
    fn conclude(&mut self, _now: Timestamp) -> impl Future<Output = Result<bool, ScoreError>> + Send {
        async { Ok(false) }
    }

    /// The verdict where it waits for a person, and none of it counts.
    fn held(&self) -> Option<&HeldFeed> {
        None
    }
}

/// A number of rows, and of bytes that they take: the first that is reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub rows: usize,
    pub bytes: usize,
}

impl Amount {
    pub(super) const NONE: Self = Self { rows: 0, bytes: 0 };

    pub(super) const fn has_reached(self, most: Self) -> bool {
        self.rows >= most.rows || self.bytes >= most.bytes
    }

    pub(super) const fn and(self, bytes: usize) -> Self {
        Self { rows: self.rows + 1, bytes: self.bytes.saturating_add(bytes) }
    }
}

/// The amounts that an import works with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Rows that are written although more could be gathered, once they have waited for long.
    pub fewest: usize,
    /// Gathered by any import.
    pub small: Amount,
    /// Gathered by one of the [`LARGE_IMPORTS`](super::import::LARGE_IMPORTS), and as much again while they are written.
    pub large: Amount,
    /// Written in one transaction.
    pub chunk: Amount,
}

impl Sizes {
    pub(super) const fn of(backend: Backend) -> Self {
        let rows = match backend {
            // Few enough that the ledger soon has its turn again.
            Backend::Sqlite => 2_000,
            // It locks rows only.
            Backend::Postgres => 8_000,
        };
        Self {
            fewest: 1_000,
            small: Amount { rows: 8_000, bytes: 1 << 20 },
            large: Amount { rows: 1 << 18, bytes: 32 << 20 },
            chunk: Amount { rows, bytes: 4 << 20 },
        }
    }
}
