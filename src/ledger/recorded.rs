//! The proof that something was committed.

use super::entry::{CheckRecord, Grant};

/// A value that stands in the database, durably, with its audit event. Only the ledger can make
/// one, and it makes it after the commit: a caller that holds it may act on it (promise 1).
#[derive(Debug, Clone)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// Only after the commit that holds `value`, or when reading back what an earlier one held.
    pub(super) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value that was recorded.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The value, which from then on proves nothing.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Recorded<CheckRecord> {
    /// The grant that was recorded with the check.
    pub fn grant(&self) -> Option<Recorded<Grant>> {
        self.get().grant.clone().map(Recorded::new)
    }
}

#[cfg(test)]
impl<T> Recorded<T> {
    /// For the unit tests of rooms that are handed one.
    pub(crate) const fn for_test(value: T) -> Self {
        Self(value)
    }
}
