//! Why a Redis can't be used.

use std::error::Error as _;

use redis::{ErrorKind, RedisError};

/// One thing that the gateway does with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Write,
    Read,
    Delete,
    Publish,
    Subscribe,
    /// Checks that a subscription that hears nothing is still alive.
    Ping,
}

impl Step {
    /// The command, as an access list names it.
    pub(super) const fn command(self) -> &'static str {
        match self {
            Self::Write => "SET",
            Self::Read => "GETRANGE",
            Self::Delete => "DEL",
            Self::Publish => "PUBLISH",
            Self::Subscribe => "SUBSCRIBE",
            Self::Ping => "PING",
        }
    }
}

/// Why a Redis can't be used. No text holds anything of the URL but what the system says of its host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisFault {
    #[error("it was not asked yet")]
    NotAsked,
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("it doesn't answer in time")]
    Silent,
    #[error("it is loading its data")]
    Loading,
    #[error("it refuses the user name or password")]
    Login,
    #[error("it refuses the database that the URL names")]
    Database,
    #[error("what answers there is no Redis")]
    NotRedis,
    #[error("it refuses {} ({code})", step.command())]
    Refused { step: Step, code: String },
}

impl RedisFault {
    /// A word for each kind, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAsked | Self::Unreachable(_) | Self::Silent | Self::Loading => "redis_unreachable",
            Self::Login => "redis_refuses_login",
            Self::Database => "redis_refuses_database",
            Self::NotRedis => "redis_is_no_redis",
            Self::Refused { step: Step::Write | Step::Delete, .. } => "redis_refuses_writes",
            Self::Refused { step: Step::Read, .. } => "redis_refuses_reads",
            Self::Refused { step: Step::Publish | Step::Subscribe | Step::Ping, .. } => "redis_refuses_messages",
        }
    }

    /// True if it answers, and only refuses something: other commands may still work.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The fault behind an error that was met while connecting, or at one of `steps`.
    pub(super) fn of(error: RedisError, steps: &[Step]) -> Self {
        // The crate has no kind for it, and no other error of its own begins like this.
        if error.to_string().starts_with("Redis server refused to switch database") {
            return Self::Database;
        }
        match error.kind() {
            ErrorKind::Io if error.is_timeout() => return Self::Silent,
            // The system's own words, or those of TLS; those of other kinds may repeat what was sent.
            ErrorKind::Io => {
                return Self::Unreachable(error.source().map_or_else(|| error.to_string(), ToString::to_string));
            }
            ErrorKind::AuthenticationFailed => return Self::Login,
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => return Self::NotRedis,
            _ => {}
        }
        let category = error.category().to_owned();
        let refused = error.into_server_errors().and_then(|all| all.first().cloned());
        let Some((at, refusal)) = refused else { return Self::Unreachable(category) };
        match refusal.code() {
            "NOAUTH" | "WRONGPASS" => Self::Login,
            "LOADING" => Self::Loading,
            code => Self::Refused { step: steps.get(at).copied().unwrap_or(Step::Read), code: code.to_owned() },
        }
    }
}
