//! The ways to other machines, from the settings: Redis, where heads of logs are taken, where scores are fetched.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::audit::anchoring::{Anchoring, Webhook};
use crate::outgoing::Outgoing;
use crate::redis_link::{RedisConfig, RedisLink, RedisLinkError};
use crate::scores::{Enrolments, Pulls, Scores};
use crate::settings::{self, Settings};

pub(super) fn link_to(redis: &settings::Redis, handle: &Handle) -> Result<RedisLink, RedisLinkError> {
    let mut config = RedisConfig::new(redis.url.clone());
    config.prefix.clone_from(&redis.prefix);
    config.response_timeout = redis.timeout;
    RedisLink::new(config, handle.clone())
}

pub(super) fn anchoring(anchors: &settings::Anchors) -> Anchoring {
    let settings::Anchors { file, stdout, webhook, webhook_token, every } = anchors.clone();
    Anchoring { file, stdout, webhook: webhook.map(|url| Webhook { url, token: webhook_token }), every }
}

/// Fetches scores and signals, as far as the settings allow it.
pub(super) fn pulls_of(settings: &Settings, scores: &Scores, enrolments: &Arc<Enrolments>) -> Pulls {
    let outgoing = Outgoing::new(settings.pulling.bounds());
    Pulls::new(scores.clone(), enrolments.clone(), outgoing, settings.pulling.secrets_dir.clone())
}
