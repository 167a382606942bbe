//! Signals that were fetched: running counts and levels of an account that was asked for.

use std::sync::Arc;

use jiff::Timestamp;

use super::SignalFeed;
use super::delivery::{DeliveryReader, observed};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;
use crate::scores::Enrolments;
use crate::scores::error::ScoreError;
use crate::scores::feed::Feed as _;
use crate::scores::rows::{Format, LineFault};

/// A value that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub signal: &'static str,
    /// The post, video or repository that it is about; none for the account itself.
    pub object: Option<String>,
    /// The day of the object; the present for the account.
    pub at: Timestamp,
    pub value: u64,
}

impl Enrolments {
    /// Keeps what was seen of a person on a network at `now`, where it says something new; how many signals count at all.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub(in crate::scores) async fn keep_seen(
        &self,
        merchant: &MerchantId,
        (subject, network): (SubjectRef, &str),
        seen: &[Seen],
        now: Timestamp,
    ) -> Result<u64, ScoreError> {
        let mut new = Vec::with_capacity(seen.len());
        for Seen { signal, object, at, value } in seen {
            let read = observed((network, signal), object.as_deref(), (*at, now), *value, &self.context.entropy);
            match read {
                Ok((key, delivery)) => new.push(((subject, key), delivery)),
                // An old post.
                Err(LineFault::Outlived) => {}
                Err(fault) => tracing::debug!(network, signal, %fault, "what was fetched is no signal"),
            }
        }
        if new.is_empty() {
            return Ok(0);
        }
        // Once each, as a feed has it: what says the same twice is the same.
        new.sort_by(|((_, one), _), ((_, other), _)| one.cmp(other));
        new.dedup_by(|(one, _), (other, _)| one == other);
        let kept = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let reader = DeliveryReader::new(Format::Ndjson, self.context.entropy.clone());
        let feed = SignalFeed::of_changes(self.clone(), merchant.clone(), reader);
        let written = feed.write(Arc::new(new), now).await?;
        Ok(kept.saturating_sub(u64::try_from(written.not_enrolled).unwrap_or(u64::MAX)))
    }
}
