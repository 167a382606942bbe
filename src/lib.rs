//! perkgate.
pub mod cli;
pub mod access;
pub mod clock;
pub mod database;
pub mod decimal;
pub mod entropy;
pub mod ids;
pub mod json;
pub mod keyring;
pub mod ledger;
pub mod settings;
pub mod redis_link;
pub mod scores;
pub mod subject;
pub mod telemetry;
pub mod tokens;
