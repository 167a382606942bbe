//! web

pub(crate) mod address;
pub mod auth;
pub(crate) mod connections;
pub(crate) mod cors;
pub(crate) mod deadline;
pub(crate) mod dry_runs;
pub mod extract;
pub(crate) mod fixed_document;
pub(crate) mod form;
pub mod params;
pub(crate) mod preconditions;
pub mod problem;
pub mod rate_limit;
pub mod request;
pub(crate) mod sockets;
pub mod state;
pub mod stream;
