//! What tests stand on.

pub mod databases;
pub mod services;
pub mod world;
