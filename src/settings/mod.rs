//! Settings: the only reader of the environment and of settings files.
//!
//! - `table`: every setting with its name, default and help; `sections`: their values, read and judged
//! - `pulling`: the section of what is fetched; `sources`: flags, variables, files and defaults, and which one wins; `parse`: texts into values
//! - `master_key`, `open_files`: where the master key comes from, and how many connections the system allows
//! - `error`: a wrong setting, with the text to write instead
//!
//! To add a setting: a constant in `table.rs` and its line in `TABLE`, a field of the section it
//! belongs to in `sections.rs`, read and judged in that section's `read`, and its lines in
//! `deploy/perkgate.example.toml` (a test compares the two).

pub mod error;
pub mod master_key;
pub mod open_files;
mod parse;
mod pulling;
mod sections;
mod sources;
pub mod table;

pub use error::{Origin, SettingError};
pub use parse::{Network, is_in_the_open};
pub use pulling::Pulling;
pub use sections::{Anchors, Bounds, OpenId, Rates, Redis, Server, Storage, StreamBounds, Timeouts};
pub use sources::Sources;

use secrecy::ExposeSecret as _;

use crate::database::DatabaseUrl;
use crate::foundation::ids::MerchantSlug;
use crate::telemetry::logs::Logs;
use sources::Reader;
use table::Setting;

/// Every setting, parsed and judged.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: Server,
    pub logs: Logs,
    pub storage: Storage,
    /// None without a `redis_url`.
    pub redis: Option<Redis>,
    pub anchors: Anchors,
    /// None without an `oidc_issuer`.
    pub openid: Option<OpenId>,
    pub pulling: Pulling,
    pub rates: Rates,
    pub bounds: Bounds,
    pub timeouts: Timeouts,
    /// The merchant that commands are about which name none.
    pub merchant: Option<MerchantSlug>,
    /// Where each value came from; settings that nobody gave are not listed.
    pub origins: Vec<(&'static Setting, Origin)>,
}

impl Settings {
    /// Reads and judges all of it.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn load(sources: &Sources) -> Result<Self, Vec<SettingError>> {
        let mut reader = Reader::open(sources);
        let server = Server::read(&mut reader);
        let logs = Logs::read(&mut reader);
        let storage = Storage::read(&mut reader);
        let redis = Redis::read(&mut reader);
        let anchors = Anchors::read(&mut reader);
        let openid = OpenId::read(&mut reader);
        let pulling = Pulling::read(&mut reader);
        let rates = Rates::read(&mut reader);
        let bounds = Bounds::read(&mut reader);
        let timeouts = Timeouts::read(&mut reader);
        let merchant = reader.get(&table::MERCHANT, str::parse);
        let Reader { errors, origins, .. } = reader;
        match (server, logs, storage, anchors, pulling, rates, bounds, timeouts) {
            (
                Some(server),
                Some(logs),
                Some(storage),
                Some(anchors),
                Some(pulling),
                Some(rates),
                Some(bounds),
                Some(timeouts),
            ) if errors.is_empty() => Ok(Self {
                server,
                logs,
                storage,
                redis,
                anchors,
                openid,
                pulling,
                rates,
                bounds,
                timeouts,
                merchant,
                origins,
            }),
            _ => Err(errors),
        }
    }

    /// True if the setting's value must be kept from others. A URL must when it holds a password.
    #[must_use]
    pub fn holds_secret(&self, setting: &Setting) -> bool {
        match setting.name {
            "database_url" => {
                matches!(&self.storage.database_url, DatabaseUrl::Postgres(url) if parse::has_password(url))
            }
            "redis_url" => self.redis.as_ref().is_some_and(|redis| parse::has_password(redis.url.expose_secret())),
            _ => setting.secret,
        }
    }

    /// True if someone gave this setting, rather than the default.
    #[must_use]
    pub fn is_given(&self, setting: &Setting) -> bool {
        self.origins.iter().any(|(given, origin)| given.name == setting.name && *origin != Origin::Default)
    }
}

#[cfg(test)]
mod tests;
