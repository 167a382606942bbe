//! A connection that hears what is said on one channel, until it breaks.

use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSub;
use tokio::time::timeout;

use super::Heard;
use super::fault::{RedisFault, Step};
use super::health::Health;

/// A connection that hears nothing may be dead without knowing it: messages would be missed.
const SUBSCRIPTION_PING: Duration = Duration::from_secs(5);

/// One connection's life; whether it got as far as being subscribed.
pub(super) async fn listen(
    client: &redis::Client,
    channel: &str,
    connect_timeout: Duration,
    health: &Health,
    listener: &mut impl FnMut(Heard),
) -> bool {
    let connection = match timeout(connect_timeout, subscribe(client, channel)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(refused)) if refused.is_refusal() => {
            health.note_subscription(channel, Some(refused));
            return false;
        }
        // The heartbeat says so.
        Ok(Err(_)) | Err(_) => return false,
    };
    health.note_subscription(channel, None);
    let (mut sink, mut messages) = connection.split();
    listener(Heard::Connected);
    loop {
        match timeout(SUBSCRIPTION_PING, messages.next()).await {
            Ok(Some(message)) => listener(Heard::Message(message.get_payload_bytes().to_vec())),
            Ok(None) => return true,
            Err(_) => {
                if !matches!(timeout(connect_timeout, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return true;
                }
            }
        }
    }
}

/// A connection of its own that hears what is said on `channel`.
pub(super) async fn subscribe(client: &redis::Client, channel: &str) -> Result<PubSub, RedisFault> {
    let subscribed = async {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    };
    subscribed.await.map_err(|e| RedisFault::of(e, &[Step::Subscribe]))
}
