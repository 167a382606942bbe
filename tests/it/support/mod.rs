//! What tests stand on.

pub(crate) mod app;
pub(crate) mod cable;
pub(crate) mod client;
pub(crate) mod contract;
pub(crate) mod databases;
pub(crate) mod elsewhere;
pub(crate) mod event_stream;
pub(crate) mod page;
pub(crate) mod ports;
#[cfg(feature = "oidc")]
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod shape;
pub(crate) mod shell;
pub(crate) mod tally;
pub(crate) mod toolchains;
pub(crate) mod world;
