//! The handle: look a score up, write it, delete it, import a feed; and the sources.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;

use crate::database::{Database, DatabaseError};
use crate::decimal::Decimal;
use crate::ids::{MerchantId, SourceName};
use crate::json::Json;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::{Ledger, LedgerError};
use crate::subject::{SubjectHandle, SubjectRef};

use super::cache::ScoreCache;
use super::import::{Import, ImportConfig};
use super::memory::ScoreKey;
use super::score::{PutOutcome, Score, ScoreFault, Source, SourceFault};
use super::store;

/// What can go wrong with scores and sources.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScoreError {
    #[error(transparent)]
    Score(#[from] ScoreFault),
    #[error(transparent)]
    Source(#[from] SourceFault),
    #[error("the merchant has a source `{0}` already")]
    SourceExists(SourceName),
    /// Shared by those who waited for one look-up.
    #[error(transparent)]
    Database(Arc<DatabaseError>),
    #[error(transparent)]
    Ledger(Arc<LedgerError>),
}

impl From<DatabaseError> for ScoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<LedgerError> for ScoreError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Database(error) => error.into(),
            other => Self::Ledger(Arc::new(other)),
        }
    }
}

/// Scores of all merchants; cheap to clone.
#[derive(Clone)]
pub struct Lookup {
    database: Database,
    cache: ScoreCache,
}

impl Lookup {
    #[must_use]
    pub const fn new(database: Database, cache: ScoreCache) -> Self {
        Self { database, cache }
    }

    /// Whether every tier works; false when Redis is down.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cache.is_whole()
    }

    /// The score a check goes by: memory, then Redis, then the database. What another process
    /// wrote may be unseen for the cache's time to live.
    ///
    /// # Errors
    /// [`ScoreError::Database`] when the database had to be asked and gave no answer.
    pub async fn find(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: &SubjectRef,
    ) -> Result<Option<Score>, ScoreError> {
        let key = ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject };
        self.cache.find(&key, || self.load(&key)).await.map_err(ScoreError::Database)
    }

    /// The score that stands in the database, past every cache.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn get(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: &SubjectRef,
    ) -> Result<Option<Score>, ScoreError> {
        let key = ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject };
        Ok(self.load(&key).await?)
    }

    async fn load(&self, key: &ScoreKey) -> Result<Option<Score>, DatabaseError> {
        let key = key.clone();
        self.database.read(move |conn| store::find_score(conn, &key.merchant, &key.source, &key.subject)).await
    }

    /// Writes one score unless a newer one stands. When this returns, no look-up of this process
    /// that begins later sees the old one.
    ///
    /// # Errors
    /// [`ScoreError::Score`] when it is off the scale or from the future; [`ScoreError::Database`].
    pub async fn put(
        &self,
        merchant: &MerchantId,
        source: &Source,
        subject: SubjectRef,
        score: Score,
        now: Timestamp,
    ) -> Result<PutOutcome, ScoreError> {
        source.check(&score, now)?;
        let key = ScoreKey { merchant: merchant.clone(), source: source.name.clone(), subject };
        let this = self.clone();
        to_the_end(async move {
            let row = key.clone();
            let outcome = this
                .database
                .write(move |conn| {
                    let new = [(row.subject, score)];
                    if store::upsert_scores(conn, &row.merchant, &row.source, &new, now)? == 1 {
                        return Ok(PutOutcome::Accepted);
                    }
                    // The refused upsert has locked the row, so this is what it was refused for.
                    let stored = store::find_score(conn, &row.merchant, &row.source, &row.subject)?;
                    Ok::<_, DatabaseError>(score.against(stored.as_ref()))
                })
                .await;
            // After an error too: a commit may have held although its answer was lost.
            this.cache.forget(&[key]).await;
            Ok(outcome?)
        })
        .await
    }

    /// Removes a score; whether there was one. The next look-up finds none.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn delete(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: &SubjectRef,
    ) -> Result<bool, ScoreError> {
        let key = ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject };
        let this = self.clone();
        to_the_end(async move {
            let row = key.clone();
            let deleted = this
                .database
                .write(move |conn| store::delete_score(conn, &row.merchant, &row.source, &row.subject))
                .await;
            this.cache.forget(&[key]).await;
            Ok(deleted?)
        })
        .await
    }

    /// Begins to import a feed. `refer` turns a handle into the reference that its score is kept
    /// under.
    #[must_use]
    pub fn import(
        &self,
        config: ImportConfig,
        refer: impl Fn(&SubjectHandle) -> SubjectRef + Send + Sync + 'static,
    ) -> Import {
        Import::new(self.clone(), config, refer)
    }

    /// Writes a chunk of an import, no subject twice; says how many stand now.
    pub(super) async fn put_all(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        chunk: Vec<(SubjectRef, Score)>,
        now: Timestamp,
    ) -> Result<usize, ScoreError> {
        let (merchant, source, this) = (merchant.clone(), source.clone(), self.clone());
        to_the_end(async move {
            let keys: Vec<_> = chunk
                .iter()
                .map(|(subject, _)| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject })
                .collect();
            let written =
                this.database.write(move |conn| store::upsert_scores(conn, &merchant, &source, &chunk, now)).await;
            this.cache.forget(&keys).await;
            Ok(written?)
        })
        .await
    }

    /// What stands for a chunk of an import.
    pub(super) async fn list(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subjects: Vec<SubjectRef>,
    ) -> Result<std::collections::HashMap<SubjectRef, Score>, ScoreError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        Ok(self.database.read(move |conn| store::list_scores(conn, &merchant, &source, &subjects)).await?)
    }

    /// A source by its name; the built-in one is there for everybody.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn find_source(&self, merchant: &MerchantId, name: &SourceName) -> Result<Option<Source>, ScoreError> {
        let klout = Source::klout();
        if klout.name == *name {
            return Ok(Some(klout));
        }
        let (merchant, name) = (merchant.clone(), name.clone());
        Ok(self.database.read(move |conn| store::find_source(conn, &merchant, &name)).await?)
    }

    /// The built-in source, then the merchant's own by name.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn list_sources(&self, merchant: &MerchantId) -> Result<Vec<Source>, ScoreError> {
        let merchant = merchant.clone();
        let own = self.database.read(move |conn| store::list_sources(conn, &merchant)).await?;
        Ok(std::iter::once(Source::klout()).chain(own).collect())
    }

    /// Makes a source, with the event `source.created` in the same transaction.
    ///
    /// # Errors
    /// [`ScoreError::Source`], [`ScoreError::SourceExists`], [`ScoreError::Ledger`] and
    /// [`ScoreError::Database`].
    #[expect(clippy::too_many_arguments, reason = "the parts of one source and who makes it")]
    pub async fn create_source(
        &self,
        ledger: &Ledger,
        actor: Actor,
        merchant: &MerchantId,
        name: SourceName,
        minimum: Decimal,
        maximum: Decimal,
        now: Timestamp,
    ) -> Result<Source, ScoreError> {
        let source = Source::new(name, minimum, maximum)?;
        let merchant = merchant.clone();
        ledger
            .change(move |conn, events| {
                // Asked first, because a violated constraint would spoil a PostgreSQL transaction
                // that others may share; the constraint still decides a race.
                if store::find_source(conn, &merchant, &source.name)?.is_some() {
                    return Err(ScoreError::SourceExists(source.name));
                }
                store::insert_source(conn, &merchant, &source, now).map_err(|error| match error {
                    DatabaseError::Duplicate(_) => ScoreError::SourceExists(source.name.clone()),
                    other => other.into(),
                })?;
                events.push(source_created(merchant, actor, &source));
                Ok(source)
            })
            .await
    }
}

fn source_created(merchant: MerchantId, actor: Actor, source: &Source) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant),
        kind: "source.created",
        about: source.name.to_string(),
        actor,
        facts: Json::Object(vec![
            ("source".to_owned(), Json::Text(source.name.to_string())),
            ("minimum".to_owned(), Json::Number(source.minimum)),
            ("maximum".to_owned(), Json::Number(source.maximum)),
        ]),
    }
}

/// Runs `work` even if the caller goes away: a write whose caches were not told would be served
/// stale.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ScoreError>> + Send + 'static,
) -> Result<T, ScoreError> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(DatabaseError::Interrupted.into()))
}
