//! What is held on one person: shown to them, and erased with all that names them.

use jiff::Timestamp;

use super::lookup::{Lookup, ScoreError, to_the_end};
use super::memory::ScoreKey;
use super::score::Score;
use super::store;
use crate::database::AnyConnection;
use crate::ids::{MerchantId, SourceName};
use crate::ledger::Ledger;
use crate::ledger::erasure::{Erased, Erasure};
use crate::subject::SubjectRef;

/// A score that stands for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreHeld {
    pub source: SourceName,
    pub score: Score,
    /// When it was written.
    pub recorded_at: Timestamp,
}

impl Lookup {
    /// The person's scores from all the merchant's sources, past every cache.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn held_on(&self, merchant: &MerchantId, subject: SubjectRef) -> Result<Vec<ScoreHeld>, ScoreError> {
        let sources = self.source_names(merchant).await?;
        let merchant = merchant.clone();
        let found = self.database.read(move |conn| store::list_scores_of(conn, &merchant, &sources, &subject));
        let found = found.await?.into_iter();
        Ok(found.map(|(source, score, recorded_at)| ScoreHeld { source, score, recorded_at }).collect())
    }

    /// Erases a person: their scores from all the merchant's sources with what the ledger holds on them, in
    /// one transaction. When this returns, no look-up of this process that begins later sees a score, and
    /// other replicas see none as soon as they hear of it, or the cache's time to live is over. A feed
    /// that still has the person brings the score back. None when nothing was held.
    ///
    /// # Errors
    /// [`ScoreError::Ledger`] and [`ScoreError::Database`].
    pub async fn erase(&self, ledger: &Ledger, erasure: Erasure) -> Result<Option<Erased>, ScoreError> {
        let sources = self.source_names(&erasure.merchant).await?;
        let (this, ledger) = (self.clone(), ledger.clone());
        to_the_end(async move {
            let (merchant, subject) = (erasure.merchant.clone(), erasure.subject);
            let key = |source: &SourceName| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject };
            let keys: Vec<ScoreKey> = sources.iter().map(key).collect();
            let of = merchant.clone();
            let forget = move |conn: &mut AnyConnection| {
                let mut gone = 0;
                for source in &sources {
                    gone += u64::from(store::delete_score(conn, &of, source, &subject)?);
                }
                Ok(gone)
            };
            let erased = ledger.erase(erasure, forget).await;
            // After an error too: a commit may have held although its answer was lost.
            this.cache.forget(&keys).await;
            Ok(erased?)
        })
        .await
    }

    async fn source_names(&self, merchant: &MerchantId) -> Result<Vec<SourceName>, ScoreError> {
        Ok(self.list_sources(merchant).await?.into_iter().map(|source| source.name).collect())
    }
}
