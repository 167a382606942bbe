//! What tests stand on.

pub mod app;
pub mod cable;
pub mod client;
pub mod contract;
pub mod databases;
pub mod proxy;
pub mod receiver;
pub mod serve;
pub mod services;
pub mod shape;
pub mod shell;
pub mod tally;
pub mod toolchains;
pub mod world;
