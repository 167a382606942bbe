//! The records that grants and redemptions are held against.

use super::tables::grant_lifecycle::GrantLifecycles;
use super::tables::grants::Grants;
use super::tables::redemptions::Redemptions;

pub(super) enum Against {
    /// The tables of a database.
    Tables { grants: Box<Grants>, redemptions: Redemptions },
    /// Each other, there being nothing else.
    Events(GrantLifecycles),
}
