//! Checks whether the gateway can do with Redis what it has to, and says why not.

use super::{CONNECT_TIMEOUT, Finding};
use crate::cli::runtime;
use crate::redis_link::{RedisConfig, RedisFault, RedisLinkError, diagnose};
use crate::settings::Settings;

const CHECK: &str = "redis";

pub(super) fn redis(settings: &Settings) -> Finding {
    let Some(redis) = &settings.redis else {
        return Finding::ok(CHECK, "none given; each replica caches for itself");
    };
    let (place, prefix) = (redis.place(), &redis.prefix);
    let config = RedisConfig { prefix: prefix.clone(), ..RedisConfig::new(redis.url.clone()) };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Finding::wrong(CHECK, error.to_string(), "let this process start threads"),
    };
    match runtime.block_on(diagnose(&config, CONNECT_TIMEOUT)) {
        Ok(()) => Finding::ok(CHECK, format!("{place} takes, gives, deletes and passes on what is under `{prefix}`")),
        Err(RedisLinkError::Fault(fault)) => {
            Finding::wrong(CHECK, format!("{place} can't be used: {fault}"), remedy(&fault, prefix))
        }
        Err(error) => Finding::wrong(CHECK, format!("{place}: {error}"), "mend PERKGATE_REDIS_URL"),
    }
}

fn remedy(fault: &RedisFault, prefix: &str) -> String {
    let what = match fault {
        RedisFault::NotAsked | RedisFault::Unreachable(_) | RedisFault::Silent | RedisFault::NotRedis => {
            "start it, or mend the host and port in PERKGATE_REDIS_URL (rediss:// where it wants TLS)".to_owned()
        }
        RedisFault::Loading => "wait until it has loaded its data".to_owned(),
        RedisFault::Login => "mend the user name and password in PERKGATE_REDIS_URL".to_owned(),
        RedisFault::Database => {
            "name a database that it has, and that this user may select, in PERKGATE_REDIS_URL".to_owned()
        }
        RedisFault::Refused { code, .. } => match code.as_str() {
            "NOPERM" => format!(
                "let the user do it: ACL SETUSER … ~{prefix}* &{prefix}* +set +getrange +del +publish +subscribe +ping"
            ),
            "READONLY" => "point PERKGATE_REDIS_URL at the primary: this one is a replica".to_owned(),
            "OOM" => "give it more memory, or let it evict: maxmemory-policy allkeys-lru".to_owned(),
            _ => "see its log".to_owned(),
        },
    };
    format!("{what}; checks go on without it, only slower")
}
