//! The sections of [`super::Settings`]; each reads and judges its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::parse::{self, Network};
use super::sources::Reader;
use super::table;
use crate::database::DatabaseUrl;
use crate::foundation::web_origin::WebOrigin;
use crate::telemetry::logs::{LogFormat, Logs};

const HOUR: Duration = Duration::from_hours(1);
const SHORTEST_REQUEST: Duration = Duration::from_secs(1);

/// Where and how requests are answered.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// The issuer that was given; see [`Server::issuer_at`].
    pub issuer: Option<String>,
    /// The log origin that was given; see [`Server::log_origin_of`].
    pub log_origin: Option<String>,
    pub metrics_listen: Option<SocketAddr>,
    /// Threads.
    pub workers: usize,
    pub trusted_proxies: Vec<Network>,
    /// Web origins that count for every key that names none.
    pub allowed_origins: Vec<WebOrigin>,
    /// Where the pages are that links of persons lead to.
    pub link_base: Option<String>,
}

impl Server {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(512);
        let listen = from.get(&table::LISTEN, parse::address);
        let this = Self {
            issuer: from.get(&table::ISSUER, parse::issuer),
            log_origin: from.get(&table::LOG_ORIGIN, parse::log_origin),
            metrics_listen: from.get(&table::METRICS_LISTEN, parse::address),
            workers: from.get(&table::WORKERS, |text| size(text, 1, 512)).unwrap_or_else(cores),
            trusted_proxies: from.get(&table::TRUSTED_PROXIES, parse::networks).unwrap_or_default(),
            allowed_origins: from.get(&table::ALLOWED_ORIGINS, parse::web_origins).unwrap_or_default(),
            link_base: from.get(&table::LINK_BASE, parse::issuer),
            listen: listen?,
        };
        Some(this)
    }

    /// The tokens' `iss`: the one that was given, or `http://` and the address that was bound (which
    /// is not `listen` when that says port 0).
    #[must_use]
    pub fn issuer_at(&self, bound: SocketAddr) -> String {
        self.issuer.clone().unwrap_or_else(|| format!("http://{bound}"))
    }

    /// The beginning of the origins of new logs: the one that was given, or the issuer's host and path.
    #[must_use]
    pub fn log_origin_of(&self, issuer: &str) -> String {
        let place = issuer.split_once("://").map_or(issuer, |(_, place)| place);
        self.log_origin.clone().unwrap_or_else(|| place.to_owned())
    }
}

impl Logs {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let filter = from.get(&table::LOG, parse::log_filter);
        let format = from.get(&table::LOG_FORMAT, |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("it must be `text` or `json`"),
        });
        Some(Self { filter: filter?, format: format? })
    }
}

/// The database and the key that opens its secrets.
#[derive(Debug, Clone)]
pub struct Storage {
    pub database_url: DatabaseUrl,
    pub database_connections: u32,
    /// The master key that was given; see [`super::master_key::resolve`].
    pub master_key: Option<SecretString>,
}

impl Storage {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let database_url = from.get(&table::DATABASE_URL, parse::database_url);
        let database_connections = from.get(&table::DATABASE_CONNECTIONS, |text| count(text, 1, 1000));
        let master_key = from.get(&table::MASTER_KEY, super::master_key::parse);
        Some(Self { database_url: database_url?, database_connections: database_connections?, master_key })
    }
}

/// The cache that replicas share.
#[derive(Debug, Clone)]
pub struct Redis {
    pub url: SecretString,
    pub prefix: String,
    pub timeout: Duration,
}

impl Redis {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let url = from.get(&table::REDIS_URL, parse::redis_url);
        let prefix = from.get(&table::REDIS_PREFIX, |text| {
            let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
            if fits {
                Ok(text.to_owned())
            } else {
                Err("it must be at most 64 characters of plain ASCII without spaces")
            }
        });
        let timeout = from.get(&table::REDIS_TIMEOUT, |text| parse::duration(text, Duration::from_secs(10)));
        Some(Self { url: url?, prefix: prefix?, timeout: timeout? })
    }

    /// `host:port`, fit to be shown.
    #[must_use]
    pub fn place(&self) -> String {
        let url = self.url.expose_secret();
        let place = parse::place_of(url.split_once("://").map_or(url, |(_, rest)| rest));
        let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if has_port { place.to_owned() } else { format!("{place}:6379") }
    }
}

/// Where the logs' signed heads are taken outside, and how often.
#[derive(Debug, Clone)]
pub struct Anchors {
    pub file: Option<PathBuf>,
    pub stdout: bool,
    /// The URL may hold a secret.
    pub webhook: Option<SecretString>,
    pub webhook_token: Option<SecretString>,
    pub every: Duration,
}

impl Anchors {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let file = from.get(&table::ANCHOR_FILE, |text| Ok::<_, String>(PathBuf::from(text)));
        let stdout = from.get(&table::ANCHOR_STDOUT, parse::boolean);
        let webhook = from.get(&table::ANCHOR_WEBHOOK, parse::webhook_url);
        let webhook_token = from.get(&table::ANCHOR_WEBHOOK_TOKEN, parse::bearer);
        let every = from.get(&table::ANCHOR_EVERY, |text| parse::duration(text, 24 * HOUR));
        Some(Self { file, stdout: stdout?, webhook, webhook_token, every: every? })
    }

    /// `host` and port of the webhook, fit to be shown.
    #[must_use]
    pub fn webhook_place(&self) -> Option<String> {
        let url = Url::parse(self.webhook.as_ref()?.expose_secret()).ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }

    /// `https`, or `http` to this machine.
    #[must_use]
    pub fn webhook_scheme(&self) -> Option<&'static str> {
        let is_https = self.webhook.as_ref()?.expose_secret().to_ascii_lowercase().starts_with("https:");
        Some(if is_https { "https" } else { "http" })
    }
}

/// The provider of OpenID Connect by which people may log in to the console.
#[derive(Debug, Clone)]
pub struct OpenId {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    /// The provider's name on the button.
    pub label: String,
    /// Who comes from it is asked for our own code too.
    pub second_factor: bool,
}

impl OpenId {
    /// The provider, if one is given.
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let issuer = from.get(&table::OIDC_ISSUER, parse::provider);
        let client_id = from.get(&table::OIDC_CLIENT_ID, |text| parse::line(text, 255));
        let client_secret = from.get(&table::OIDC_CLIENT_SECRET, parse::bearer);
        let label = from.get(&table::OIDC_LABEL, |text| parse::line(text, 40));
        let second_factor = from.get(&table::OIDC_SECOND_FACTOR, parse::boolean);
        let issuer = issuer?;
        if client_id.is_none() {
            from.lacks(&table::OIDC_CLIENT_ID, "a provider is given, and not who this gateway is to it");
        }
        Some(Self { issuer, client_id: client_id?, client_secret, label: label?, second_factor: second_factor? })
    }
}

/// Requests a second; none when it is turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub per_key: Option<std::num::NonZeroU32>,
    /// For one address.
    pub failed_keys: Option<std::num::NonZeroU32>,
    pub links: Option<std::num::NonZeroU32>,
}

impl Rates {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let per_key = from.get(&table::RATE_PER_KEY, |text| count(text, 0, 1_000_000));
        let failed_keys = from.get(&table::RATE_FAILED_KEYS, |text| count(text, 0, 1_000_000));
        let links = from.get(&table::RATE_LINKS, |text| count(text, 0, 1_000_000));
        Some(Self {
            per_key: std::num::NonZeroU32::new(per_key?),
            failed_keys: std::num::NonZeroU32::new(failed_keys?),
            links: std::num::NonZeroU32::new(links?),
        })
    }
}

/// The most streams that are open at once in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamBounds {
    pub all: usize,
    pub per_merchant: usize,
    pub per_key: usize,
}

impl StreamBounds {
    fn read(from: &mut Reader) -> Option<Self> {
        let all = from.get(&table::MAX_STREAMS, |text| size(text, 0, 100_000));
        let per_merchant = from.get(&table::MAX_STREAMS_PER_MERCHANT, |text| size(text, 1, 100_000));
        let per_key = from.get(&table::MAX_STREAMS_PER_KEY, |text| size(text, 1, 100_000));
        Some(Self { all: all?, per_merchant: per_merchant?, per_key: per_key? })
    }
}

/// The most of anything that is held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub body_limit_bytes: usize,
    pub import_limit_bytes: u64,
    pub max_connections: usize,
    pub streams: StreamBounds,
    pub ledger_queue: usize,
    pub ledger_batch: usize,
    pub score_cache_entries: u64,
    pub score_cache_ttl: Duration,
}

impl Bounds {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let body_limit_bytes = from.get(&table::BODY_LIMIT_BYTES, |text| size(text, 1024, 16 << 20));
        let import_limit_bytes = from.get(&table::IMPORT_LIMIT_BYTES, |text| parse::number(text, 1024, 1 << 40));
        let max_connections = from.get(&table::MAX_CONNECTIONS, |text| size(text, 1, 1_000_000));
        let streams = StreamBounds::read(from);
        let ledger_queue = from.get(&table::LEDGER_QUEUE, |text| size(text, 1, 1_000_000));
        let ledger_batch = from.get(&table::LEDGER_BATCH, |text| size(text, 1, 3_000));
        let score_cache_entries = from.get(&table::SCORE_CACHE_ENTRIES, |text| parse::number(text, 0, 1_000_000_000));
        let score_cache_ttl = from.get(&table::SCORE_CACHE_TTL, |text| parse::duration(text, 24 * HOUR));
        Some(Self {
            body_limit_bytes: body_limit_bytes?,
            import_limit_bytes: import_limit_bytes?,
            max_connections: max_connections?,
            streams: streams?,
            ledger_queue: ledger_queue?,
            ledger_batch: ledger_batch?,
            score_cache_entries: score_cache_entries?,
            score_cache_ttl: score_cache_ttl?,
        })
    }
}

/// The time that clients may take, and that we may. Redis's own stands with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole request that is no stream.
    pub request: Duration,
    pub body: Duration,
    pub request_head: Duration,
    /// Without a byte that goes out.
    pub write: Duration,
    pub keep_alive: Duration,
    pub shutdown: Duration,
    /// Before the door is closed.
    pub drain: Duration,
}

impl Timeouts {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let request = from.get(&table::REQUEST_TIMEOUT, |text| match parse::duration(text, HOUR)? {
            short if short < SHORTEST_REQUEST => Err("it must be at least 1s".to_owned()),
            fits => Ok(fits),
        });
        let body = from.get(&table::BODY_TIMEOUT, |text| parse::duration(text, HOUR));
        let request_head = from.get(&table::REQUEST_HEAD_TIMEOUT, |text| parse::duration(text, HOUR));
        let write = from.get(&table::WRITE_TIMEOUT, |text| parse::duration(text, HOUR));
        let keep_alive = from.get(&table::KEEP_ALIVE, |text| parse::duration(text, HOUR));
        let shutdown = from.get(&table::SHUTDOWN_TIMEOUT, |text| parse::duration(text, HOUR));
        let drain = from.get(&table::DRAIN_DELAY, |text| match text {
            "0" | "0s" => Ok(Duration::ZERO),
            _ => parse::duration(text, HOUR),
        });
        Some(Self {
            request: request?,
            body: body?,
            request_head: request_head?,
            write: write?,
            keep_alive: keep_alive?,
            shutdown: shutdown?,
            drain: drain?,
        })
    }

    /// The longest time without progress for what streams, or works for long.
    #[must_use]
    pub fn stall(&self) -> Duration {
        self.request * 3
    }
}

fn count(text: &str, minimum: u32, maximum: u32) -> Result<u32, String> {
    let value = parse::number(text, minimum.into(), maximum.into())?;
    Ok(u32::try_from(value).unwrap_or(maximum))
}

fn size(text: &str, minimum: u64, maximum: u64) -> Result<usize, String> {
    let value = parse::number(text, minimum, maximum)?;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}
