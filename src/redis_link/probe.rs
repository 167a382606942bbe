//! Everything that the gateway needs of a Redis, tried in one go: the heartbeat and `perkgate doctor` go by it.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::ConnectionLike;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::fault::{RedisFault, Step};
use super::subscription::subscribe;
use super::{LONGEST_VALUE, RedisConfig, RedisLinkError};

/// The key and the channel, under the prefix, that nobody else uses.
const PROBE: &str = "probe";
/// The time that the probe's key lives if it can't be deleted.
const PROBE_TTL_MS: u64 = 5_000;

/// The steps that are tried, in this order.
const STEPS: [Step; 5] = [Step::Write, Step::Read, Step::Delete, Step::Publish, Step::Ping];

/// Tries everything but subscribing, in one round trip.
pub(super) async fn probe(connection: &mut impl ConnectionLike, prefix: &str) -> Result<(), RedisFault> {
    let name = format!("{prefix}{PROBE}");
    let mut commands = redis::pipe();
    for step in STEPS {
        let command = commands.cmd(step.command());
        match step {
            Step::Write => command.arg(&name).arg("1").arg("PX").arg(PROBE_TTL_MS),
            Step::Read => command.arg(&name).arg(0).arg(LONGEST_VALUE),
            Step::Publish => command.arg(&name).arg(""),
            Step::Delete | Step::Subscribe => command.arg(&name),
            Step::Ping => command,
        };
    }
    // What was read is not looked at: other replicas write and delete under the same name.
    commands.query_async::<redis::Value>(connection).await.map(|_| ()).map_err(|e| RedisFault::of(e, &STEPS))
}

/// Connects as the gateway would, and tries everything; each step may take `at_most` so long.
///
/// # Errors
/// [`RedisLinkError::Url`], or [`RedisLinkError::Fault`] with what doesn't work.
pub async fn diagnose(config: &RedisConfig, at_most: Duration) -> Result<(), RedisLinkError> {
    let client = redis::Client::open(config.url.expose_secret()).map_err(|_| RedisLinkError::Url)?;
    let settings =
        AsyncConnectionConfig::new().set_connection_timeout(Some(at_most)).set_response_timeout(Some(at_most));
    let tried = timeout(at_most * 2, async {
        let connected = client.get_multiplexed_async_connection_with_config(&settings).await;
        probe(&mut connected.map_err(|e| RedisFault::of(e, &[]))?, &config.prefix).await
    });
    tried.await.unwrap_or(Err(RedisFault::Silent))?;
    let channel = format!("{}{PROBE}", config.prefix);
    let subscribed = timeout(at_most * 2, async { subscribe(&client, &channel).await.map(drop) });
    Ok(subscribed.await.unwrap_or(Err(RedisFault::Silent))?)
}
