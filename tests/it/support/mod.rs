//! What tests stand on.

pub mod app;
pub mod client;
pub mod databases;
pub mod services;
pub mod shape;
pub mod world;
