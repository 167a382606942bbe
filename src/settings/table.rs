//! The one table of settings: names, defaults and words. Flags, variables, the TOML file, the
//! example file and `perkgate doctor` all follow it.

use std::fmt;

/// Which commands take a setting as a flag. Every setting has a variable and a TOML key anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// No flag: bounds that nobody changes from one start to the next.
    None,
    /// Every command: what they need to find the same gateway.
    Everywhere,
    /// The commands that serve.
    Serving,
    /// Every command, but only as `--NAME-file`: an argument can be read by every process of the machine.
    FileOnly,
}

/// One setting: `name` in TOML, `PERKGATE_NAME` in the environment, `--name` as a flag.
#[derive(Debug)]
pub struct Setting {
    /// Snake case; the TOML key.
    pub name: &'static str,
    /// The value that holds when nobody says anything, if there is one.
    pub default: Option<&'static str>,
    /// One sentence.
    pub doc: &'static str,
    /// A value that works.
    pub example: &'static str,
    pub flag: Flag,
    /// Never shown, in no error and no log.
    pub secret: bool,
}

impl Setting {
    const fn with_default(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { name, default: Some(default), doc, example: default, flag: Flag::None, secret: false }
    }

    const fn optional(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self { name, default: None, doc, example, flag: Flag::None, secret: false }
    }

    const fn flag(mut self, flag: Flag) -> Self {
        self.flag = flag;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Its environment variable: `PERKGATE_LISTEN`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Its flag without the dashes, if it has one: `metrics-listen`, `master-key-file`.
    #[must_use]
    pub fn long_flag(&self) -> Option<String> {
        let dashed = self.name.replace('_', "-");
        match self.flag {
            Flag::None => None,
            Flag::Everywhere | Flag::Serving => Some(dashed),
            Flag::FileOnly => Some(format!("{dashed}-file")),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The beginning of every variable of this program.
pub const PREFIX: &str = "PERKGATE_";

/// Variables with the prefix that are no settings: where the TOML file is, and what the test
/// suite asks for.
pub const OTHER_VARIABLES: [&str; 2] = ["PERKGATE_CONFIG", "PERKGATE_REQUIRE_SERVICES"];

pub const LISTEN: Setting =
    Setting::with_default("listen", "127.0.0.1:8080", "The address and port to serve on.").flag(Flag::Serving);
pub const ISSUER: Setting = Setting::optional("issuer", "https://perks.example.com", "The `iss` of every token: the URL under which doors and kiosks reach this gateway. Without it, http:// and the listen address.").flag(Flag::Serving);
pub const LOG_ORIGIN: Setting = Setting::optional("log_origin", "perks.example.com", "What audit logs are called: this, `/` and the merchant (`/operator` for the operator's own). It counts when a log is made, by whichever command, and never changes. Without it, the issuer without its scheme.").flag(Flag::Everywhere);
pub const METRICS_LISTEN: Setting = Setting::optional(
    "metrics_listen",
    "127.0.0.1:9464",
    "The address and port of /metrics. Without it there are no metrics.",
)
.flag(Flag::Serving);
pub const WORKERS: Setting =
    Setting::optional("workers", "4", "How many threads answer requests. Without it, one a core.").flag(Flag::Serving);
pub const LINK_BASE: Setting = Setting::optional(
    "link_base",
    "https://perks.example.com",
    "Where the person of a check sees its answer: what the `link` of an answer begins with, before `/my/`. Without it, answers have no link.",
)
.flag(Flag::Serving);
pub const TRUSTED_PROXIES: Setting = Setting::optional(
    "trusted_proxies",
    "10.0.0.0/8, ::1",
    "Addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed. Without it, nobody's.",
)
.flag(Flag::Serving);

pub const ALLOWED_ORIGINS: Setting = Setting::optional(
    "allowed_origins",
    "https://kiosk.example.com, http://localhost:5173",
    "Web origins whose pages may call /v1 from a browser, with every key that names none of its own (`perkgate key create --origin`). Without it, only those that keys name.",
)
.flag(Flag::Serving);

pub const LOG: Setting =
    Setting::with_default("log", "info", "What to log, as a tracing filter: a level, or levels by target.")
        .flag(Flag::Everywhere);
pub const LOG_FORMAT: Setting =
    Setting::with_default("log_format", "text", "How to log: `text` for people, `json` for machines.")
        .flag(Flag::Everywhere);

pub const MERCHANT: Setting = Setting::optional(
    "merchant",
    "cathay",
    "The merchant that a command is about when it is given no --merchant. Without it, the only one there is.",
);

pub const DATABASE_URL: Setting = Setting::with_default(
    "database_url",
    "sqlite:perkgate.db",
    "Where the database is: `sqlite:PATH`, or `postgres://` for production.",
)
.flag(Flag::Everywhere)
.secret();
pub const DATABASE_CONNECTIONS: Setting = Setting::with_default(
    "database_connections",
    "8",
    "The most connections for reading, and on PostgreSQL as many again for writing; the ledger has its own.",
);
pub const MASTER_KEY: Setting = Setting::optional("master_key", "the output of `perkgate key master`", "The key that all other keys are stored under: 32 bytes in base64. Required with PostgreSQL; made beside a new SQLite database.").flag(Flag::FileOnly).secret();

pub const REDIS_URL: Setting = Setting::optional(
    "redis_url",
    "redis://127.0.0.1:6379",
    "The Redis or Valkey that replicas share. Without it, each caches for itself.",
)
.flag(Flag::Everywhere)
.secret();
pub const REDIS_PREFIX: Setting =
    Setting::with_default("redis_prefix", "perkgate:", "What every key and channel in Redis begins with.")
        .flag(Flag::Everywhere);
pub const REDIS_TIMEOUT: Setting =
    Setting::with_default("redis_timeout", "100ms", "How long to wait for Redis before going on without it.");

pub const RATE_PER_KEY: Setting = Setting::with_default(
    "rate_per_key",
    "500",
    "Requests a second for one API key, with bursts of twice that; per replica. 0 turns it off.",
);
pub const RATE_FAILED_KEYS: Setting = Setting::with_default(
    "rate_failed_keys",
    "10",
    "Requests a second with a wrong key, and log-ins, from one address; valid keys behind it are not slowed. 0 turns it off.",
);

pub const RATE_LINKS: Setting = Setting::with_default(
    "rate_links",
    "10",
    "Requests a second at the links of people from one address, with bursts of twice that. 0 turns it off.",
);

pub const BODY_LIMIT_BYTES: Setting = Setting::with_default("body_limit_bytes", "65_536", "The largest request body.");
pub const IMPORT_LIMIT_BYTES: Setting = Setting::with_default(
    "import_limit_bytes",
    "1_073_741_824",
    "The largest body of one import, of scores or of attributes, which is streamed.",
);
pub const MAX_CONNECTIONS: Setting = Setting::with_default(
    "max_connections",
    "4096",
    "How many connections may be open; for one more, the longest idle one is closed.",
);
pub const MAX_STREAMS: Setting = Setting::with_default(
    "max_streams",
    "256",
    "How many streams of who is inside may be open; each is one of the connections. 0 turns them off.",
);
pub const MAX_STREAMS_PER_MERCHANT: Setting = Setting::with_default(
    "max_streams_per_merchant",
    "64",
    "How many of these streams the keys of one merchant may have open, so that others find room.",
);
pub const MAX_STREAMS_PER_KEY: Setting =
    Setting::with_default("max_streams_per_key", "8", "How many of these streams one API key may have open.");
pub const LEDGER_QUEUE: Setting = Setting::with_default(
    "ledger_queue",
    "4096",
    "How many entries may wait for the ledger before callers are asked to come back later.",
);
pub const LEDGER_BATCH: Setting =
    Setting::with_default("ledger_batch", "512", "The most entries in one commit of the ledger.");
pub const SCORE_CACHE_ENTRIES: Setting = Setting::with_default(
    "score_cache_entries",
    "1_000_000",
    "How many scores are kept in memory, and room for as much of attributes.",
);
pub const SCORE_CACHE_TTL: Setting = Setting::with_default(
    "score_cache_ttl",
    "5s",
    "How long ago a score must have stood in the database for a check to go by it, wherever it was kept since.",
);

pub const REQUEST_TIMEOUT: Setting = Setting::with_default(
    "request_timeout",
    "10s",
    "How long a request may take before it is answered 503, whatever hangs; imports, exports, reports and trials may go on while they make progress.",
);
pub const BODY_TIMEOUT: Setting = Setting::with_default(
    "body_timeout",
    "10s",
    "How long a client may take to send a request's body; an import, how long between two pieces of it.",
);
pub const REQUEST_HEAD_TIMEOUT: Setting =
    Setting::with_default("request_head_timeout", "5s", "How long a client may take to send a request's head.");
pub const WRITE_TIMEOUT: Setting = Setting::with_default(
    "write_timeout",
    "30s",
    "How long a client may leave an answer unread before its connection is cut; each byte that it takes begins it again.",
);
pub const KEEP_ALIVE: Setting =
    Setting::with_default("keep_alive", "75s", "How long a connection may stay open without a request.");
pub const SHUTDOWN_TIMEOUT: Setting =
    Setting::with_default("shutdown_timeout", "30s", "How long requests in flight may go on after the signal to stop.");
pub const DRAIN_DELAY: Setting = Setting::with_default(
    "drain_delay",
    "1s",
    "How long to go on serving after the signal to stop while /readyz says no, so that balancers turn away first.",
);

pub const ANCHOR_FILE: Setting = Setting::optional(
    "anchor_file",
    "/mnt/elsewhere/perkgate-anchors.ndjson",
    "A file to which the logs' signed heads are appended; best where only appending is possible.",
)
.flag(Flag::Serving);
pub const ANCHOR_STDOUT: Setting = Setting::with_default(
    "anchor_stdout",
    "false",
    "Whether the logs' signed heads are written to standard output, for whatever collects it.",
)
.flag(Flag::Serving);
pub const ANCHOR_WEBHOOK: Setting = Setting::optional(
    "anchor_webhook",
    "https://auditor.example.com/anchors",
    "A URL to which the logs' signed heads are posted, one JSON object a line: https, or http to this machine.",
)
.flag(Flag::Serving)
.secret();
pub const ANCHOR_WEBHOOK_TOKEN: Setting = Setting::optional(
    "anchor_webhook_token",
    "a long random text",
    "What the webhook is sent as `Authorization: Bearer`.",
)
.secret();
pub const ANCHOR_EVERY: Setting =
    Setting::with_default("anchor_every", "1h", "How often the heads of logs that moved are taken outside.")
        .flag(Flag::Serving);

pub const OIDC_ISSUER: Setting = Setting::optional(
    "oidc_issuer",
    "https://id.example.com",
    "The provider of OpenID Connect by which people may log in to the console, as it calls itself: https, or http to this machine. Without it, by password only.",
);
pub const OIDC_CLIENT_ID: Setting =
    Setting::optional("oidc_client_id", "perkgate", "Who this gateway is to that provider.");
pub const OIDC_CLIENT_SECRET: Setting = Setting::optional(
    "oidc_client_secret",
    "the text that the provider shows once",
    "How it proves that to the provider. Without it, as a public client.",
)
.secret();
pub const OIDC_LABEL: Setting = Setting::with_default(
    "oidc_label",
    "single sign-on",
    "What the provider is called on the button of the log-in: `Log in with …`.",
);
pub const OIDC_SECOND_FACTOR: Setting = Setting::with_default(
    "oidc_second_factor",
    "false",
    "Whether who comes from the provider is also asked for the code of an account that has a second factor here.",
);

pub const PULL_TIMEOUT: Setting = Setting::with_default(
    "pull_timeout",
    "20s",
    "How long a service may take for one answer, from the look-up of its name to the last byte, when scores or signals are fetched.",
);
pub const PULL_ALLOWED_HOSTS: Setting = Setting::optional(
    "pull_allowed_hosts",
    "scores.internal, 127.0.0.1:9000",
    "Hosts that may be fetched from although they are in a private network, or without TLS. Without it, only those of the public internet.",
);
pub const PULL_SECRETS_DIR: Setting = Setting::optional(
    "pull_secrets_dir",
    "/run/secrets/perkgate",
    "A directory with the keys of services that scores and signals are fetched from: a file MERCHANT.SOURCE for each source that needs one.",
);
pub const PULL_CONTACT: Setting = Setting::optional(
    "pull_contact",
    "mailto:ops@example.com",
    "How services reach the operator: it stands in the User-Agent of what is fetched, as Wikipedia asks.",
);

/// Every setting, in the order in which they are explained.
pub const TABLE: [&Setting; 51] = [
    &LISTEN,
    &ISSUER,
    &LOG_ORIGIN,
    &METRICS_LISTEN,
    &WORKERS,
    &TRUSTED_PROXIES,
    &ALLOWED_ORIGINS,
    &LINK_BASE,
    &LOG,
    &LOG_FORMAT,
    &MERCHANT,
    &DATABASE_URL,
    &DATABASE_CONNECTIONS,
    &MASTER_KEY,
    &REDIS_URL,
    &REDIS_PREFIX,
    &REDIS_TIMEOUT,
    &ANCHOR_FILE,
    &ANCHOR_STDOUT,
    &ANCHOR_WEBHOOK,
    &ANCHOR_WEBHOOK_TOKEN,
    &ANCHOR_EVERY,
    &OIDC_ISSUER,
    &OIDC_CLIENT_ID,
    &OIDC_CLIENT_SECRET,
    &OIDC_LABEL,
    &OIDC_SECOND_FACTOR,
    &PULL_TIMEOUT,
    &PULL_ALLOWED_HOSTS,
    &PULL_SECRETS_DIR,
    &PULL_CONTACT,
    &RATE_PER_KEY,
    &RATE_FAILED_KEYS,
    &RATE_LINKS,
    &BODY_LIMIT_BYTES,
    &IMPORT_LIMIT_BYTES,
    &MAX_CONNECTIONS,
    &MAX_STREAMS,
    &MAX_STREAMS_PER_MERCHANT,
    &MAX_STREAMS_PER_KEY,
    &LEDGER_QUEUE,
    &LEDGER_BATCH,
    &SCORE_CACHE_ENTRIES,
    &SCORE_CACHE_TTL,
    &REQUEST_TIMEOUT,
    &BODY_TIMEOUT,
    &REQUEST_HEAD_TIMEOUT,
    &WRITE_TIMEOUT,
    &KEEP_ALIVE,
    &SHUTDOWN_TIMEOUT,
    &DRAIN_DELAY,
];

/// The setting of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    TABLE.into_iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::nearest::nearest;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let names = || TABLE.into_iter().map(|setting| setting.name);
        assert_eq!(nearest("databse_url", names()), Some("database_url"));
        assert_eq!(nearest("listenn", names()), Some("listen"));
        assert_eq!(nearest("zebra", names()), None);
    }
}
