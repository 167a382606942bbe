//! The auditor's own reader of events, independent of the ledger that wrote them: `canonical` JSON, `text`, `instant`, and
//! the `body` of an event with what is compared of it.

mod actor;
pub(crate) mod body;
pub(crate) mod canonical;
pub(crate) mod guests;
pub(crate) mod instant;
pub(crate) mod limits;
pub(crate) mod payment;
pub(crate) mod text;
