//! Attributes: what a merchant's feeds say of people besides scores, such as a membership and until when it runs.
//!
//! - `value`: a person's attributes, and how caches keep them; `store`: the database; `feed`: how lines are read
//!
//! They are kept as scores are: by a reference that names nobody, in the same tiers, heard of by the same epochs, and
//! erased with the person. What is declared, and what becomes of a person without a value, is in `perks::attributes`.

mod feed;
pub mod store;
pub mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::decision::person::is_attribute_name;
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs};
use crate::rules::declared::DeclaredAttributes;
use crate::telemetry::Outage;

pub use feed::AttributeFeed;
use value::{AttributeValue, AttributesKey, HeldAttributes};

use super::cache::{FORGOTTEN_AT_ONCE, ScoreCache, to_the_end};
use super::error::ScoreError;
use super::import::Import;
use super::lookups::Lookups;
use super::rows::Format;
use super::store::epochs::bump_epochs;

/// The most values that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 1_000;

/// The most deleted declarations that one sweep clears.
const CLEARED_AT_ONCE: i64 = 100;

/// The number of times that a deletion is tried again that another writer kept out.
const RETRIES: usize = 3;

/// Between two sweeps of values that are not good any more.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How long a value is retained past its end: for replicas whose clocks differ.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The configuration of an import of attributes: whose, of which types, and how it is written.
#[derive(Debug, Clone)]
pub struct AttributeImport {
    pub merchant: MerchantId,
    pub declared: DeclaredAttributes,
    pub format: Format,
    pub clock: Clock,
}

/// A value that stands for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeHeld {
    pub name: String,
    pub value: AttributeValue,
}

/// Attributes of all merchants' people; cheap to clone.
#[derive(Clone)]
pub struct Attributes {
    database: Database,
    cache: ScoreCache<AttributesKey>,
    lookups: Lookups<AttributesKey>,
    large_imports: Arc<Semaphore>,
}

impl Attributes {
    pub(super) fn new(database: Database, cache: ScoreCache<AttributesKey>, large_imports: Arc<Semaphore>) -> Self {
        let lookups = Lookups::new(database.clone(), store::find_attributes);
        Self { database, cache, lookups, large_imports }
    }

    /// The attributes that a check goes by, as `Scores::find` finds a score. Of one attribute the value under the form
    /// of the handle comes before one under the form of an earlier build.
    ///
    /// # Errors
    /// [`ScoreError::Database`] when the database had to be asked and gave no answer.
    pub async fn find(
        &self,
        merchant: &MerchantId,
        subject: impl Into<SubjectRefs> + Send,
    ) -> Result<HeldAttributes, ScoreError> {
        let mut held = HeldAttributes::default();
        for subject in subject.into().in_order() {
            let key = AttributesKey { merchant: merchant.clone(), subject };
            let found = self.cache.find(&key, || self.lookups.find(&key)).await.map_err(ScoreError::Database)?;
            match found {
                None => {}
                Some(found) if held.is_empty() => held = found,
                Some(former) => {
                    let all = Arc::make_mut(&mut held);
                    for (name, value) in &*former {
                        all.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
            }
        }
        Ok(held)
    }

    /// The attributes that stand in the database for a person, past every cache.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn held_on(&self, merchant: &MerchantId, subject: SubjectRefs) -> Result<Vec<AttributeHeld>, ScoreError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let mut held = BTreeMap::new();
            for reference in subject.in_order() {
                for (name, value) in store::list_values_of(conn, &merchant, &reference)? {
                    held.entry(name).or_insert(value);
                }
            }
            Ok::<_, DatabaseError>(held)
        };
        let held = self.database.read(read).await?;
        Ok(held.into_iter().map(|(name, value)| AttributeHeld { name, value }).collect())
    }

    /// Begins to import a feed. `refer` turns a handle into the references that its attributes may be kept under.
    #[must_use]
    pub fn import<R: Into<SubjectRefs>>(
        &self,
        config: AttributeImport,
        refer: impl Fn(&SubjectHandle) -> R + Send + Sync + 'static,
    ) -> Import<AttributeFeed> {
        let AttributeImport { merchant, declared, format, clock } = config;
        let feed = AttributeFeed::new(self.clone(), merchant, declared, format);
        let (backend, large) = (self.database.backend(), self.large_imports.clone());
        Import::new(feed, backend, clock, large, move |handle| refer(handle).into())
    }

    /// The values of these attributes that stand for these people, past the caches.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn list(
        &self,
        merchant: &MerchantId,
        subjects: Vec<SubjectRef>,
        names: Vec<String>,
    ) -> Result<HashMap<(SubjectRef, String), AttributeValue>, ScoreError> {
        let merchant = merchant.clone();
        Ok(self.database.read(move |conn| store::list_values(conn, &merchant, &subjects, &names)).await?)
    }

    /// Writes a chunk of an import, no value twice; returns the names of those that are not declared any more.
    async fn put_all(
        &self,
        merchant: &MerchantId,
        chunk: Arc<Vec<store::Placed>>,
    ) -> Result<BTreeSet<String>, ScoreError> {
        let (merchant, this) = (merchant.clone(), self.clone());
        to_the_end(async move {
            let mut subjects: Vec<SubjectRef> = chunk.iter().map(|((subject, _), _)| *subject).collect();
            subjects.dedup();
            let of = merchant.clone();
            let written_to = subjects.clone();
            let write = move |conn: &mut AnyConnection| {
                let undeclared = store::upsert_values(conn, &of, &chunk)?;
                bump_epochs(conn, written_to.iter())?;
                Ok::<_, DatabaseError>(undeclared)
            };
            let written = this.database.write(write).await;
            // After an error too: a commit may have held although its answer was lost.
            this.forget(&merchant, &subjects).await;
            Ok(written?)
        })
        .await
    }

    /// Deletes the values of an attribute's declarations that were deleted; says how many, or none where nothing was left
    /// to clear.
    ///
    /// # Errors
    /// [`ScoreError::Database`]; what was deleted by then remains deleted, what is left is seen by nobody, and the sweep
    /// goes on with it.
    pub async fn clear(&self, merchant: &MerchantId, name: &str) -> Result<Option<u64>, ScoreError> {
        if !is_attribute_name(name) {
            return Ok(None);
        }
        let (of, attribute) = (merchant.clone(), name.to_owned());
        let to_clear = self.database.read(move |conn| store::list_to_clear_of(conn, &of, &attribute)).await?;
        if to_clear.is_empty() {
            return Ok(None);
        }
        let mut deleted = 0;
        for declaration in to_clear {
            deleted += self.clear_one(declaration).await?;
        }
        Ok(Some(deleted))
    }

    async fn clear_one(&self, declaration: store::ToClear) -> Result<u64, ScoreError> {
        let this = self.clone();
        to_the_end(async move {
            let merchant: MerchantId =
                declaration.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
            let (mut deleted, mut after) = (0, None);
            loop {
                let of = declaration.clone();
                let delete = move |conn: &mut AnyConnection| {
                    let subjects = store::delete_values(conn, &of, after.as_ref(), DELETED_AT_ONCE)?;
                    bump_epochs(conn, subjects.iter())?;
                    Ok::<_, DatabaseError>(subjects)
                };
                let subjects = this.write_again(delete).await?;
                this.forget(&merchant, &subjects).await;
                deleted += subjects.len() as u64;
                // Once more from the beginning, where nothing is left but to say so.
                match (subjects.last(), after) {
                    (None, None) => return Ok(deleted),
                    (last, _) => after = last.copied(),
                }
            }
        })
        .await
    }

    /// Writes; again where another writer kept it out.
    async fn write_again<T: Send + 'static>(
        &self,
        write: impl Fn(&mut AnyConnection) -> Result<T, DatabaseError> + Clone + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let mut tries = 0;
        loop {
            match self.database.write(write.clone()).await {
                Err(DatabaseError::Conflict | DatabaseError::Busy) if tries < RETRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// Drops what caches keep of these people.
    pub(super) async fn forget(&self, merchant: &MerchantId, subjects: &[SubjectRef]) {
        let key = |subject: &SubjectRef| AttributesKey { merchant: merchant.clone(), subject: *subject };
        let keys: Vec<AttributesKey> = subjects.iter().map(key).collect();
        // In parts: look-ups of others wait behind each on the one connection to Redis.
        for some in keys.chunks(FORGOTTEN_AT_ONCE) {
            self.cache.forget(some).await;
        }
    }

    /// Deletes values that are not good any more, every merchant's, until cancelled. No look-up sees a difference.
    pub async fn sweep(self, clock: Clock, cancel: CancellationToken) {
        static OUTAGE: Outage = Outage::new("attributes past their end can't be deleted", "they are deleted again");
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
            match self.sweep_once(clock.now()).await {
                Ok(_) => OUTAGE.succeeded(),
                Err(error) => OUTAGE.failed(&error),
            }
        }
    }

    /// Deletes the values whose end was more than a day before `now`, and those of deleted declarations; says how many.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn sweep_once(&self, now: Timestamp) -> Result<u64, ScoreError> {
        let lapsed = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN).as_microsecond();
        let mut swept = 0;
        loop {
            let delete = move |conn: &mut AnyConnection| store::delete_lapsed(conn, lapsed, DELETED_AT_ONCE);
            let deleted = self.write_again(delete).await?;
            swept += deleted as u64;
            if i64::try_from(deleted).unwrap_or(0) < DELETED_AT_ONCE {
                break;
            }
        }
        for declaration in self.database.read(|conn| store::list_to_clear(conn, CLEARED_AT_ONCE)).await? {
            swept += self.clear_one(declaration).await?;
        }
        Ok(swept)
    }
}
