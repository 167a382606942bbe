//! Parts the web doors share: how a request is read, bounded, attributed and refused, before anyone knows what it asks.
//!
//! - `connections`, `sockets`: bounded connections; `request`: the way of every request; `deadline`: how long it may take
//! - `address`, `cors`, `auth`, `clerk`, `rate_limit`, `dry_runs`, `streams`: who asks, from where, how often, and for how long
//! - `extract`, `serde_error`, `params`, `form`, `stream`, `preconditions`: what a request brings; `once`: requests that are safe to repeat
//! - `problem`: every refusal; `error_kinds`: which of them each room's error is; `fixed_document`: answers that don't change
//! - `page`: pages for people, and all that stands around them
//! - `state`: what the workers share, and what keeps them from answering

pub(crate) mod address;
pub mod auth;
pub mod clerk;
pub(crate) mod connections;
pub mod cors;
pub(crate) mod deadline;
pub(crate) mod dry_runs;
pub mod error_kinds;
pub mod extract;
pub(crate) mod fixed_document;
pub(crate) mod form;
pub mod once;
pub(crate) mod page;
pub mod params;
pub(crate) mod preconditions;
pub mod problem;
pub mod rate_limit;
pub mod request;
mod serde_error;
pub(crate) mod sockets;
pub mod state;
pub mod stream;
pub(crate) mod streams;
