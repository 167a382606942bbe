//! All that is held on one person: shown to them, and erased with all that names them.

use jiff::Timestamp;

use super::attributes;
use super::cache::to_the_end;
use super::computing::store::due::delete_due_of;
use super::enrolment;
use super::error::ScoreError;
use super::handle::Scores;
use super::held;
use super::history::{self, Stretch};
use super::klout_ids;
use super::memory::ScoreKey;
use super::score::Score;
use super::signals::store::count_signals_of;
use super::signals::store::ended;
use super::store;
use super::store::epochs::bump_epochs;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::{SubjectRef, SubjectRefs};
use crate::ledger::Ledger;
use crate::ledger::retention::erasure::{Erased, Erasure, Forgotten};

/// A score that stands for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreHeld {
    pub source: SourceName,
    pub score: Score,
    /// When it was written.
    pub recorded_at: Timestamp,
}

impl Scores {
    /// The person's scores from all the merchant's sources, past every cache.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn held_on(&self, merchant: &MerchantId, subject: SubjectRefs) -> Result<Vec<ScoreHeld>, ScoreError> {
        let sources = self.source_names(merchant).await?;
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let mut held = Vec::new();
            for reference in subject.in_order() {
                held.extend(store::list_scores_of(conn, &merchant, &sources, &reference)?);
            }
            Ok::<_, DatabaseError>(held)
        };
        let mut held: Vec<ScoreHeld> = Vec::new();
        for (source, score, recorded_at) in self.database.read(read).await? {
            // Of two, the first is the one that decides.
            if !held.iter().any(|known| known.source == source) {
                held.push(ScoreHeld { source, score, recorded_at });
            }
        }
        Ok(held)
    }

    /// The values that the person's scores had before those that stand, the earliest of a source first.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn history_held_on(
        &self,
        merchant: &MerchantId,
        subject: SubjectRefs,
    ) -> Result<Vec<(SourceName, Stretch)>, ScoreError> {
        let sources = self.source_names(merchant).await?;
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let mut held = Vec::new();
            for source in sources {
                for reference in subject.in_order() {
                    let kept = history::store::list_kept(conn, (&merchant, &source), &reference)?;
                    held.extend(kept.into_iter().map(|stretch| (source.clone(), stretch)));
                }
            }
            Ok::<_, DatabaseError>(held)
        };
        Ok(self.database.read(read).await?)
    }

    /// Erases a person: their scores from all the merchant's sources, their attributes and their
    /// enrolment, with what the ledger holds on them, in
    /// one transaction. Their signals say nothing any more then, as the secret they are hashed under is destroyed; they
    /// are deleted afterwards in pieces, as long as a request may wait, and then by the sweeper. When this returns, no look-up of this process that begins later sees any, and
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
            let key =
                |source: &SourceName, subject| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject };
            let of = |source| subject.in_order().map(move |subject| key(source, subject));
            let keys: Vec<ScoreKey> = sources.iter().flat_map(of).collect();
            let references: Vec<SubjectRef> = subject.in_order().collect();
            let (rows, people, of) = (keys.clone(), references.clone(), merchant.clone());
            let counted = this.count_signals(&merchant, &references).await?;
            let forget = move |conn: &mut AnyConnection| {
                let mut forgotten = Forgotten::default();
                // In the order of this room's locks: feeds that hold the person have committed then, and write nothing
                // afterwards.
                for (reference, signals) in people.iter().zip(&counted) {
                    if let Some(accounts) = enrolment::delete(conn, &of, reference)? {
                        forgotten.accounts += accounts;
                        forgotten.signals += signals;
                    }
                }
                // A run that holds the person's row has written by then, and none writes afterwards.
                for reference in &people {
                    delete_due_of(conn, &of, reference)?;
                }
                for reference in &people {
                    forgotten.scores += u64::from(held::store::rows::delete_of(conn, &of, reference)?);
                }
                for ScoreKey { merchant, source, subject } in &rows {
                    let was_there = store::delete_score(conn, merchant, source, subject)?;
                    // One that ended leaves a history only.
                    let had_been = history::store::delete(conn, merchant, source, subject)?;
                    forgotten.scores += u64::from(was_there || had_been);
                }
                for reference in &people {
                    klout_ids::store::delete(conn, &of, reference)?;
                    let deleted = attributes::store::delete_values_of(conn, &of, reference)?;
                    forgotten.attributes += u64::try_from(deleted).unwrap_or(u64::MAX);
                }
                bump_epochs(conn, people.iter())?;
                Ok(forgotten)
            };
            let erased = ledger.erase(erasure, forget).await;
            // After an error too: a commit may have held although its answer was lost.
            this.cache.forget(&keys).await;
            this.attributes().forget(&merchant, &references).await;
            let mut erased = erased?;
            if let Some(erased) = &mut erased {
                // They are erased, whatever comes of it: the sweeper goes on.
                erased.is_purged &= ended::clear(&this.database, &merchant, &references).await.unwrap_or(false);
            }
            Ok(erased)
        })
        .await
    }

    /// The number of signals that are kept of each of these people.
    async fn count_signals(&self, merchant: &MerchantId, people: &[SubjectRef]) -> Result<Vec<u64>, DatabaseError> {
        let (merchant, people) = (merchant.clone(), people.to_vec());
        let count = move |conn: &mut AnyConnection| {
            people.iter().map(|subject| count_signals_of(conn, &merchant, subject)).collect()
        };
        self.database.read(count).await
    }

    async fn source_names(&self, merchant: &MerchantId) -> Result<Vec<SourceName>, ScoreError> {
        Ok(self.list_sources(merchant).await?.into_iter().map(|source| source.name).collect())
    }
}
