//! The handle: look a score up, write it, delete it, import a feed; and the sources.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::period::Period;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs};
use crate::ledger::Ledger;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::perks::SourceCreated;

use super::attributes::Attributes;
use super::cache::{FORGOTTEN_AT_ONCE, ScoreCache, to_the_end};
use super::error::ScoreError;
use super::following::Follower;
use super::held::Guarding;
use super::held::coming::Coming;
use super::history;
use super::import::{Import, ImportConfig, LARGE_IMPORTS};
use super::klout_ids;
use super::lookups::Lookups;
use super::memory::ScoreKey;
use super::score::{KLOUT, PutOutcome, Score, Source, SourceKind};
use super::score_feed::ScoreFeed;
use super::store;
use super::store::epochs::bump_epochs;

/// The most scores that a page holds.
const PAGE: i64 = 5_000;

/// Scores of all merchants; cheap to clone.
#[derive(Clone)]
pub struct Scores {
    pub(super) database: Database,
    pub(super) cache: ScoreCache,
    lookups: Lookups,
    /// Shared, as handles of scores are many.
    attributes: Arc<Attributes>,
    /// The imports that may yet begin to gather many rows.
    pub(super) large_imports: Arc<Semaphore>,
    /// None where nothing is ever held.
    pub(super) guarding: Option<Arc<Guarding>>,
}

impl Scores {
    #[must_use]
    pub fn new(database: Database, cache: ScoreCache) -> Self {
        let lookups = Lookups::new(database.clone(), store::find_scores);
        let large_imports = Arc::new(Semaphore::new(LARGE_IMPORTS));
        let attributes = Arc::new(Attributes::new(database.clone(), cache.beside(), large_imports.clone()));
        Self { database, cache, lookups, attributes, large_imports, guarding: None }
    }

    /// The attributes of the same people, in the same tiers.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The follower by which memory retains what stands for longer than its time to live.
    #[must_use]
    pub fn follower(&self) -> Follower {
        Follower::new(self.database.clone(), self.cache.in_memory())
    }

    /// True if every tier works; false when Redis can't be used.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cache.is_whole()
    }

    /// The score a check goes by: memory, then Redis, then the database. It was read from the database
    /// no longer ago than the cache's time to live; for so long what another process wrote may be unseen.
    /// One under the form of the handle comes before one that stands under the form of an earlier build,
    /// whichever is newer: all that is written is written there, and so the person has one score however
    /// the handle is written.
    ///
    /// # Errors
    /// [`ScoreError::Database`] when the database had to be asked and gave no answer.
    pub async fn find(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: impl Into<SubjectRefs> + Send,
    ) -> Result<Option<Score>, ScoreError> {
        for subject in subject.into().in_order() {
            let key = ScoreKey { merchant: merchant.clone(), source: source.clone(), subject };
            let found = self.cache.find(&key, || self.lookups.find(&key)).await.map_err(ScoreError::Database)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The score that stands in the database, past every cache.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn get(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: impl Into<SubjectRefs> + Send,
    ) -> Result<Option<Score>, ScoreError> {
        let (merchant, source, subject) = (merchant.clone(), source.clone(), subject.into());
        Ok(self.database.read(move |conn| store::find_current(conn, &merchant, &source, &subject)).await?)
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
        subject: impl Into<SubjectRefs> + Send,
        score: Score,
        now: Timestamp,
    ) -> Result<PutOutcome, ScoreError> {
        source.check(&score, now)?;
        let subject = subject.into();
        let key = ScoreKey { merchant: merchant.clone(), source: source.name.clone(), subject: subject.current };
        let this = self.clone();
        to_the_end(async move {
            let row = key.clone();
            let outcome = this
                .database
                .write(move |conn| {
                    // Nobody writes under the former reference any more, so this is no race.
                    if subject.former.is_some() {
                        let known = store::find_current(conn, &row.merchant, &row.source, &subject)?;
                        let outcome = score.against(known.as_ref());
                        if outcome != PutOutcome::Accepted {
                            return Ok(outcome);
                        }
                    }
                    let new = [(row.subject, score)];
                    history::store::keep(conn, (&row.merchant, &row.source), &[&row.subject], now)?;
                    if store::upsert_scores(conn, &row.merchant, &row.source, &new, now)? == 1 {
                        bump_epochs(conn, [&row.subject])?;
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

    /// Removes a score with its history; whether there was one. The next look-up finds none.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn delete(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subject: impl Into<SubjectRefs> + Send,
    ) -> Result<bool, ScoreError> {
        let key = |subject| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject };
        let keys: Vec<ScoreKey> = subject.into().in_order().map(key).collect();
        let this = self.clone();
        to_the_end(async move {
            let rows = keys.clone();
            let delete = move |conn: &mut AnyConnection| {
                let mut was_there = false;
                for row in &rows {
                    was_there |= store::delete_score(conn, &row.merchant, &row.source, &row.subject)?;
                    history::store::delete(conn, &row.merchant, &row.source, &row.subject)?;
                    if row.source.as_str() == KLOUT {
                        klout_ids::store::delete(conn, &row.merchant, &row.subject)?;
                    }
                }
                bump_epochs(conn, rows.iter().map(|row| &row.subject))?;
                Ok::<_, DatabaseError>(was_there)
            };
            let deleted = this.database.write(delete).await;
            this.cache.forget(&keys).await;
            Ok(deleted?)
        })
        .await
    }

    /// Begins to import a feed. `refer` turns a handle into the references that its score may be kept
    /// under.
    #[must_use]
    pub fn import<R: Into<SubjectRefs>>(
        &self,
        config: ImportConfig,
        refer: impl Fn(&SubjectHandle) -> R + Send + Sync + 'static,
    ) -> Import<ScoreFeed> {
        let (backend, clock, large) = (self.database.backend(), config.clock.clone(), self.large_imports.clone());
        let feed = ScoreFeed::new(self.clone(), config, None);
        Import::new(feed, backend, clock, large, move |handle| refer(handle).into())
    }

    /// The same of a feed that `actor` sends: it waits for a person if it moves too many people too far (`held`).
    #[must_use]
    pub fn import_guarded<R: Into<SubjectRefs>>(
        &self,
        config: ImportConfig,
        actor: Actor,
        refer: impl Fn(&SubjectHandle) -> R + Send + Sync + 'static,
    ) -> Import<ScoreFeed> {
        let (backend, clock, large) = (self.database.backend(), config.clock.clone(), self.large_imports.clone());
        let of = (config.merchant.clone(), config.source.clone());
        let coming = |guarding| Coming::new(self.clone(), guarding, of.0, of.1, actor);
        let feed = ScoreFeed::new(self.clone(), config, self.guarding.clone().map(coming));
        Import::new(feed, backend, clock, large, move |handle| refer(handle).into())
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
            let write = move |conn: &mut AnyConnection| {
                let mut subjects: Vec<&SubjectRef> = chunk.iter().map(|(subject, _)| subject).collect();
                subjects.sort_unstable();
                history::store::keep(conn, (&merchant, &source), &subjects, now)?;
                let written = store::upsert_scores(conn, &merchant, &source, &chunk, now)?;
                bump_epochs(conn, chunk.iter().filter(|_| written > 0).map(|(subject, _)| subject))?;
                Ok::<_, DatabaseError>(written)
            };
            let written = this.database.write(write).await;
            // In parts: look-ups of others wait behind each on the one connection to Redis.
            for some in keys.chunks(FORGOTTEN_AT_ONCE) {
                this.cache.forget(some).await;
            }
            Ok(written?)
        })
        .await
    }

    /// The scores that stand for a chunk of an import.
    pub(super) async fn list(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        subjects: Vec<SubjectRef>,
    ) -> Result<std::collections::HashMap<SubjectRef, Score>, ScoreError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        Ok(self.database.read(move |conn| store::list_scores(conn, &merchant, &source, &subjects)).await?)
    }

    /// The number of subjects that have a score from the source.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn count(&self, merchant: &MerchantId, source: &SourceName) -> Result<u64, ScoreError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        Ok(self.database.read(move |conn| store::count_scores(conn, &merchant, &source)).await?)
    }

    /// The scores after one subject, in the order of their references; none when there are no more.
    /// Each page is a short read of its own, past the caches: a walk over all holds nobody up.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn page(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        after: Option<SubjectRef>,
    ) -> Result<Vec<(SubjectRef, Score)>, ScoreError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        let read = move |conn: &mut _| store::list_scores_after(conn, &merchant, &source, after, PAGE);
        Ok(self.database.read(read).await?)
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
        refresh: Option<Period>,
        now: Timestamp,
    ) -> Result<Source, ScoreError> {
        let source = Source::new(name, minimum, maximum, refresh)?;
        let merchant = merchant.clone();
        ledger.change(move |conn, events| make_source(conn, events, (&merchant, actor), source, now)).await
    }
}

/// Adds a source, with its event.
pub(super) fn make_source(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    (merchant, actor): (&MerchantId, Actor),
    source: Source,
    now: Timestamp,
) -> Result<Source, ScoreError> {
    // Asked first, because a violated constraint would spoil a PostgreSQL transaction
    // that others may share; the constraint still decides a race.
    if store::find_source(conn, merchant, &source.name)?.is_some() {
        return Err(ScoreError::SourceExists(source.name));
    }
    store::insert_source(conn, merchant, &source, now).map_err(|error| match error {
        DatabaseError::Duplicate(_) => ScoreError::SourceExists(source.name.clone()),
        other => other.into(),
    })?;
    events.push(source_created(merchant.clone(), actor, &source));
    Ok(source)
}

fn source_created(merchant: MerchantId, actor: Actor, source: &Source) -> EventDraft {
    let facts = WrittenFacts::of(&SourceCreated {
        kind: (source.kind != SourceKind::Push).then(|| source.kind.as_str().into()),
        maximum: source.maximum,
        minimum: source.minimum,
        model: source.model.as_deref().map(Into::into),
        refresh: source.refresh,
        source: source.name.as_str().into(),
    });
    EventDraft {
        log: LogOwner::Merchant(merchant),
        kind: "source.created",
        about: source.name.to_string(),
        actor,
        facts,
        personal: None,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::database::schema::merchants;
    use crate::foundation::clock::Clock;
    use crate::foundation::entropy::Entropy;
    use crate::scores::{CacheConfig, rows::Format};
    use diesel::prelude::*;

    /// The scores room on a database of its own, deleted at the end.
    pub(in crate::scores) struct Room {
        pub(in crate::scores) scores: Scores,
        pub(in crate::scores) database: Database,
        pub(in crate::scores) merchant: MerchantId,
        pub(in crate::scores) clock: Clock,
        _dir: tempfile::TempDir,
    }

    impl Room {
        pub(in crate::scores) fn open() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", dir.path().join("perkgate.db").display());
            let database = Database::connect(&url.parse().unwrap(), 4).unwrap();
            database.migrate().unwrap();
            let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().unwrap());
            let merchant = MerchantId::new(clock.now(), &Entropy::System);
            let row = merchant.clone();
            let insert = |conn: &mut AnyConnection| {
                diesel::insert_into(merchants::table)
                    .values((
                        merchants::id.eq(row.as_str()),
                        merchants::slug.eq(row.as_str()),
                        merchants::name.eq("Cathay Pacific"),
                        merchants::created_at.eq(0_i64),
                    ))
                    .execute(conn)
                    .map_err(DatabaseError::from)
            };
            database.write_blocking(insert).unwrap();
            // An hour: what changes for these tests, changes because it was announced.
            let config = CacheConfig { ttl: std::time::Duration::from_hours(1), ..CacheConfig::default() };
            let scores = Scores::new(database.clone(), ScoreCache::memory(&config, clock.clone()));
            Self { scores, database, merchant, clock, _dir: dir }
        }

        pub(in crate::scores) async fn put(&self, subject: &str, score: Score) -> Result<PutOutcome, ScoreError> {
            let now = self.clock.now();
            self.scores.put(&self.merchant, &Source::klout(), refer(&subject.parse().unwrap()), score, now).await
        }

        pub(in crate::scores) async fn find(&self, subject: &str) -> Option<Score> {
            let subject = refer(&subject.parse().unwrap());
            let source = Source::klout().name;
            let found = self.scores.find(&self.merchant, &source, &subject).await.unwrap();
            assert_eq!(found, self.scores.get(&self.merchant, &source, &subject).await.unwrap());
            found
        }

        pub(in crate::scores) fn import(&self, format: Format) -> Import<ScoreFeed> {
            let (merchant, clock) = (self.merchant.clone(), self.clock.clone());
            self.scores.import(ImportConfig { merchant, source: Source::klout(), format, clock }, refer)
        }
    }

    /// Stands in for the keyring's keyed hash: the room only needs it to be one.
    pub(in crate::scores) fn refer(handle: &SubjectHandle) -> SubjectRef {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, handle.as_str().as_bytes());
        SubjectRef(digest.as_ref().try_into().unwrap())
    }

    pub(in crate::scores) fn score(value: &str, at: &str) -> Score {
        Score::new(value.parse().unwrap(), at.parse().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Room, refer, score};
    use super::*;
    use crate::foundation::entropy::Entropy;
    use crate::scores::score::ScoreFault;

    #[tokio::test]
    async fn the_newest_observation_stands_and_is_found_at_once() {
        let room = Room::open();
        let (old, new) = (score("40", "2026-11-22T08:00:00Z"), score("41.125", "2026-11-22T09:00:00.000001Z"));
        assert_eq!(room.find("ada").await, None);
        assert_eq!(room.put("ada", old).await.unwrap(), PutOutcome::Accepted);
        assert_eq!(room.find("ada").await, Some(old));
        assert_eq!(room.put("ada", old).await.unwrap(), PutOutcome::Unchanged);
        assert_eq!(room.put("ada", new).await.unwrap(), PutOutcome::Accepted);
        assert_eq!(room.find("ada").await, Some(new));
        assert_eq!(room.put("ada", old).await.unwrap(), PutOutcome::Stale { stored: new });
        assert_eq!(room.find("ada").await, Some(new));
        let corrected = Score { value: "39".parse().unwrap(), ..new };
        assert_eq!(room.put("ada", corrected).await.unwrap(), PutOutcome::Accepted);
        assert_eq!(room.find("ada").await, Some(corrected));
        assert_eq!(room.find("grace").await, None);
    }

    #[tokio::test]
    async fn a_deleted_score_is_not_found_from_then_on() {
        let room = Room::open();
        room.put("ada", score("40", "2026-11-22T08:00:00Z")).await.unwrap();
        assert!(room.find("ada").await.is_some());
        let (klout, ada) = (Source::klout().name, refer(&"ada".parse().unwrap()));
        assert!(room.scores.delete(&room.merchant, &klout, &ada).await.unwrap());
        assert_eq!(room.find("ada").await, None);
        assert!(!room.scores.delete(&room.merchant, &klout, &ada).await.unwrap());
        let older = score("39", "2026-11-22T07:00:00Z");
        assert_eq!(room.put("ada", older).await.unwrap(), PutOutcome::Accepted);
    }

    #[tokio::test]
    async fn what_is_off_the_scale_or_from_the_future_is_not_written() {
        let room = Room::open();
        let fault = room.put("ada", score("100.001", "2026-11-22T08:00:00Z")).await.unwrap_err();
        assert!(matches!(fault, ScoreError::Score(ScoreFault::OffScale { .. })), "{fault}");
        let fault = room.put("ada", score("40", "2026-11-22T10:01:01Z")).await.unwrap_err();
        assert!(matches!(fault, ScoreError::Score(ScoreFault::InFuture)), "{fault}");
        assert_eq!(room.find("ada").await, None);
    }

    #[tokio::test]
    async fn merchants_and_sources_are_walls() {
        let room = Room::open();
        let ada = refer(&"ada".parse().unwrap());
        room.put("ada", score("40", "2026-11-22T08:00:00Z")).await.unwrap();
        let other = MerchantId::new(room.clock.now(), &Entropy::System);
        let (klout, kred) = (Source::klout().name, "kred".parse().unwrap());
        assert_eq!(room.scores.find(&other, &klout, &ada).await.unwrap(), None);
        assert_eq!(room.scores.find(&room.merchant, &kred, &ada).await.unwrap(), None);
        assert!(!room.scores.delete(&other, &klout, &ada).await.unwrap());
        assert!(room.find("ada").await.is_some());
    }

    #[tokio::test]
    async fn of_many_concurrent_writers_the_newest_wins() {
        let room = Room::open();
        let at = |minute: i64| score(&minute.to_string(), &format!("2026-11-22T08:{minute:02}:00Z"));
        let order = [7, 3, 19, 1, 12, 5, 18, 2, 9, 16, 4, 11];
        let writes = futures_util::future::join_all(order.map(|second| room.put("ada", at(second)))).await;
        assert!(writes.iter().all(Result::is_ok));
        assert_eq!(room.find("ada").await, Some(at(19)));
    }

    #[tokio::test]
    async fn a_merchant_has_klout_and_its_own_sources() {
        let room = Room::open();
        let (merchant, now) = (room.merchant.clone(), room.clock.now());
        let whole = Decimal::from_whole;
        let kred = Source::new("kred".parse().unwrap(), whole(1), whole(1000), None).unwrap();
        let insert = |source: Source, merchant: MerchantId| {
            room.database.write_blocking(|conn| store::insert_source(conn, &merchant, &source, now))
        };
        insert(kred.clone(), merchant.clone()).unwrap();
        assert!(matches!(insert(kred.clone(), merchant.clone()), Err(DatabaseError::Duplicate(_))));
        assert_eq!(room.scores.list_sources(&merchant).await.unwrap(), vec![Source::klout(), kred.clone()]);
        let find = async |name: &str| room.scores.find_source(&merchant, &name.parse().unwrap()).await.unwrap();
        assert_eq!(find("kred").await, Some(kred.clone()));
        assert_eq!(find("klout").await, Some(Source::klout()));
        assert_eq!(find("peerindex").await, None);
        let other = MerchantId::new(now, &Entropy::System);
        assert_eq!(room.scores.find_source(&other, &kred.name).await.unwrap(), None);
    }

    #[test]
    fn the_event_of_a_source_holds_its_scale() {
        let merchant: MerchantId = "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap();
        let kred =
            Source::new("kred".parse().unwrap(), Decimal::from_whole(1), Decimal::from_whole(1000), None).unwrap();
        let event = source_created(merchant.clone(), Actor { key: None, role: "cli" }, &kred);
        assert_eq!((event.kind, event.about.as_str()), ("source.created", "kred"));
        assert_eq!(event.log, LogOwner::Merchant(merchant));
        assert_eq!(event.facts.as_str(), r#"{"maximum":1000,"minimum":1,"source":"kred"}"#);
    }
}
