//! The handle of this room: recognises keys from memory, follows the database, and makes changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::error::{AccessError, Refused};
use super::key::{ApiKey, KeySecret, NewKey};
use super::merchant::Merchant;
use super::principal::Principal;
use super::role::Role;
use super::snapshot::Snapshot;
use super::{change, store};
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::entropy::Entropy;
use crate::ids::{KeyId, MerchantId, MerchantSlug};
use crate::ledger::Ledger;
use crate::ledger::entry::Actor;

/// How often the epoch is polled: a key revoked on another replica dies here within a second.
pub const POLL_EVERY: Duration = Duration::from_millis(500);

/// Unknown keys ask the database at most this often, however many of them come.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Merchants and keys; cheap to clone.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    ledger: Ledger,
    clock: Clock,
    entropy: Entropy,
    snapshot: ArcSwap<Snapshot>,
    reachable: AtomicBool,
    /// Held while reloading: a slow, older load must not replace a newer one.
    reloading: Mutex<()>,
    /// When an unknown key last began to ask, and whether it got an answer.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Directory {
    /// A directory that knows nobody until its first [`Directory::reload`].
    #[must_use]
    pub fn new(database: Database, ledger: Ledger, clock: Clock, entropy: Entropy) -> Self {
        Self {
            inner: Arc::new(Inner {
                database,
                ledger,
                clock,
                entropy,
                snapshot: ArcSwap::default(),
                reachable: AtomicBool::new(true),
                reloading: Mutex::new(()),
                asked: Mutex::new(None),
            }),
        }
    }

    /// A directory with its first snapshot.
    ///
    /// # Errors
    /// [`DatabaseError`] when it can't be read.
    pub async fn load(
        database: Database,
        ledger: Ledger,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, DatabaseError> {
        let directory = Self::new(database, ledger, clock, entropy);
        directory.reload().await?;
        Ok(directory)
    }

    /// Whether there is a snapshot to answer from.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.inner.snapshot.load().epoch.is_some()
    }

    /// Whether the database answered when it was last asked.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.inner.reachable.load(Ordering::Relaxed)
    }

    /// Reads everything anew. What committed before this call is in the snapshot after it.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot then stays.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        let _one_at_a_time = self.inner.reloading.lock().await;
        let content = self.watch(self.inner.database.read(store::list_everything).await)?;
        self.inner.snapshot.store(Arc::new(Snapshot::of(content.epoch, content.merchants, content.keys)));
        Ok(())
    }

    /// Reloads if the database moved on; says whether it had.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot then stays.
    pub async fn poll(&self) -> Result<bool, DatabaseError> {
        let epoch = self.watch(self.inner.database.read(store::get_epoch).await)?;
        let moved = self.inner.snapshot.load().epoch != Some(epoch);
        if moved {
            self.reload().await?;
        }
        Ok(moved)
    }

    /// Polls until cancelled. Says once when the database goes away and once when it is back.
    pub async fn follow(self, cancel: CancellationToken) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.poll().await {
                Ok(_) if !well => tracing::info!("the directory follows the database again"),
                Err(error) if well => tracing::warn!(%error, "the directory can't follow the database"),
                _ => {}
            }
            well = self.is_reachable();
        }
    }

    /// Whose key `secret` is, as far as the snapshot knows. No I/O.
    ///
    /// # Errors
    /// [`Refused`]; `Unknown` is worth one [`Directory::catch_up`].
    pub fn recognize(&self, secret: &str, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        let secret = KeySecret::parse(secret).map_err(|_| Refused::Malformed)?;
        self.inner.snapshot.load().recognize(&secret.hash(), now)
    }

    /// Makes sure that the snapshot is no older than this call, so that a key that was just made
    /// works at once. All who come while one asks share the next answer, good or bad: a flood of
    /// made-up keys costs one small query per 100 ms.
    ///
    /// # Errors
    /// [`Refused::Unchecked`] when the database can't be asked.
    pub async fn catch_up(&self) -> Result<(), Refused> {
        let came = Instant::now();
        let mut asked = self.inner.asked.lock().await;
        let answered = match *asked {
            Some((last, answered)) if last >= came => answered,
            last => {
                if let Some((last, _)) = last {
                    sleep_until(last + ASK_EVERY).await;
                }
                let begun = Instant::now();
                let answered = self.poll().await.is_ok();
                *asked = Some((begun, answered));
                answered
            }
        };
        if answered { Ok(()) } else { Err(Refused::Unchecked) }
    }

    /// [`Directory::recognize`], and once more after [`Directory::catch_up`] if it is unknown.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn authenticate(&self, secret: &str, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        match self.recognize(secret, now) {
            Err(Refused::Unknown) => {
                self.catch_up().await?;
                self.recognize(secret, now)
            }
            known => known,
        }
    }

    /// The merchant with this id, from the snapshot.
    #[must_use]
    pub fn merchant(&self, id: &MerchantId) -> Option<Arc<Merchant>> {
        self.inner.snapshot.load().merchant(id)
    }

    /// The merchant with this slug, from the snapshot.
    #[must_use]
    pub fn merchant_by_slug(&self, slug: &MerchantSlug) -> Option<Arc<Merchant>> {
        self.inner.snapshot.load().merchant_by_slug(slug)
    }

    /// Makes a merchant.
    ///
    /// # Errors
    /// [`AccessError::MerchantExists`], [`AccessError::Unfit`], or the ledger's.
    pub async fn create_merchant(&self, slug: MerchantSlug, name: &str, actor: Actor) -> Result<Merchant, AccessError> {
        let inner = &self.inner;
        let merchant = change::new_merchant(slug, name, inner.clock.now(), &inner.entropy)?;
        let made = inner.ledger.change(move |conn, events| change::create_merchant(conn, events, merchant, &actor));
        let merchant = made.await?;
        self.follow_own_change().await;
        Ok(merchant)
    }

    /// The merchant with this slug, from the database.
    ///
    /// # Errors
    /// [`AccessError::UnknownMerchant`], or the database's.
    pub async fn find_merchant(&self, slug: MerchantSlug) -> Result<Merchant, AccessError> {
        let found = self.inner.database.read(move |conn| store::find_merchant(conn, &slug)).await?;
        found.ok_or(AccessError::UnknownMerchant)
    }

    /// Up to `limit` merchants in the order they were made, after the one with id `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_merchants(&self, after: Option<MerchantId>, limit: u16) -> Result<Vec<Merchant>, AccessError> {
        let read = self.inner.database.read(move |conn| store::list_merchants(conn, after.as_ref(), limit.into()));
        Ok(read.await?)
    }

    /// Makes a key. The secret is in this answer and nowhere else.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], [`AccessError::UnknownMerchant`], or the ledger's.
    pub async fn create_key(&self, new: NewKey, actor: Actor) -> Result<(ApiKey, KeySecret), AccessError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let new = new.check(now).map_err(AccessError::Unfit)?;
        let secret = KeySecret::new(&inner.entropy);
        let (id, hash) = (KeyId::new(now, &inner.entropy), secret.hash());
        let made =
            inner.ledger.change(move |conn, events| change::create_key(conn, events, id, new, &hash, now, &actor));
        let key = made.await?;
        self.follow_own_change().await;
        Ok((key, secret))
    }

    /// The key of this merchant (none: of the operator) with this id, from the database.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], for another merchant's key too, or the database's.
    pub async fn find_key(&self, merchant: Option<MerchantId>, id: KeyId) -> Result<ApiKey, AccessError> {
        let found = self.inner.database.read(move |conn| store::find_key(conn, merchant.as_ref(), &id)).await?;
        found.ok_or(AccessError::UnknownKey)
    }

    /// Up to `limit` keys of the merchant (none: of the operator) in the order they were made,
    /// after the one with id `after`, of one role or of all; revoked and expired ones too.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_keys(
        &self,
        merchant: Option<MerchantId>,
        role: Option<Role>,
        after: Option<KeyId>,
        limit: u16,
    ) -> Result<Vec<ApiKey>, AccessError> {
        let read = move |conn: &mut _| store::list_keys(conn, merchant.as_ref(), role, after.as_ref(), limit.into());
        Ok(self.inner.database.read(read).await?)
    }

    /// Revokes a key, here at once and on every replica within a second. Revoking it again changes
    /// nothing and is no error.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], for another merchant's key too, or the ledger's.
    pub async fn revoke_key(
        &self,
        merchant: Option<MerchantId>,
        id: KeyId,
        actor: Actor,
    ) -> Result<ApiKey, AccessError> {
        let now = self.inner.clock.now();
        let revoked = self
            .inner
            .ledger
            .change(move |conn, events| change::revoke_key(conn, events, merchant.as_ref(), &id, now, &actor));
        let key = revoked.await?;
        self.follow_own_change().await;
        Ok(key)
    }

    /// The change is committed whatever happens here: failing now would invite a second one. The
    /// poll catches up.
    async fn follow_own_change(&self) {
        if let Err(error) = self.reload().await {
            tracing::warn!(%error, "could not reload the directory after a change; the poll will");
        }
    }

    fn watch<T>(&self, result: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        self.inner.reachable.store(result.is_ok(), Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::DatabaseUrl;
    use crate::ledger::entry::{EventDraft, LogOwner};

    struct Books {
        _dir: tempfile::TempDir,
        url: DatabaseUrl,
        database: Database,
        entropy: Entropy,
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const CLI: Actor = Actor { key: None, role: "cli" };

    impl Books {
        fn open() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let url: DatabaseUrl = format!("sqlite:{}", dir.path().join("t.db").display()).parse().unwrap();
            let database = Database::connect(&url, 2).unwrap();
            database.migrate().unwrap();
            Self { _dir: dir, url, database, entropy: Entropy::seeded(3) }
        }

        async fn directory(&self) -> Directory {
            // A database handle of its own, as another replica has.
            let database = Database::connect(&self.url, 2).unwrap();
            Directory::load(database, Ledger, Clock::fixed(NOW), self.entropy.clone()).await.unwrap()
        }

        fn write<T: 'static>(
            &self,
            f: impl FnOnce(&mut crate::database::AnyConnection, &mut Vec<EventDraft>) -> Result<T, AccessError>,
        ) -> (Result<T, AccessError>, Vec<EventDraft>) {
            let mut events = Vec::new();
            (self.database.write_blocking(|conn| f(conn, &mut events)), events)
        }

        fn merchant(&self, slug: &str) -> Merchant {
            let new = change::new_merchant(slug.parse().unwrap(), slug, NOW, &self.entropy).unwrap();
            self.write(|conn, events| change::create_merchant(conn, events, new, &CLI)).0.unwrap()
        }

        fn key(&self, new: NewKey) -> (ApiKey, KeySecret) {
            let secret = KeySecret::new(&self.entropy);
            let id = KeyId::new(NOW, &self.entropy);
            let made =
                |conn: &mut _, events: &mut _| change::create_key(conn, events, id, new, &secret.hash(), NOW, &CLI);
            let key = self.write(made).0.unwrap();
            (key, secret)
        }

        fn revoke(&self, key: &ApiKey) -> (Result<ApiKey, AccessError>, Vec<EventDraft>) {
            self.write(|conn, events| change::revoke_key(conn, events, key.merchant.as_ref(), &key.id, NOW, &CLI))
        }
    }

    #[tokio::test]
    async fn a_key_made_elsewhere_works_at_once_and_a_revoked_one_dies_at_the_next_poll() {
        let books = Books::open();
        let directory = books.directory().await;
        let cathay = books.merchant("cathay");
        let (key, secret) = books
            .key(NewKey { location: Some("SFO-A".into()), ..NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "A") });

        assert_eq!(directory.recognize(secret.expose(), NOW), Err(Refused::Unknown));
        let principal = directory.authenticate(secret.expose(), NOW).await.unwrap();
        assert_eq!(principal.role, Role::Kiosk);
        assert_eq!(principal.merchant().unwrap(), &cathay);
        assert_eq!(principal.location.as_deref(), Some("SFO-A"));

        assert!(books.revoke(&key).0.unwrap().revoked_at.is_some());
        assert!(directory.poll().await.unwrap());
        assert_eq!(directory.recognize(secret.expose(), NOW), Err(Refused::Revoked));
        assert!(!directory.poll().await.unwrap(), "nothing moved since");
    }

    #[tokio::test]
    async fn a_replica_that_follows_drops_a_revoked_key_within_a_second() {
        let books = Books::open();
        let (key, secret) = books.key(NewKey::of(Role::Operator, None, "ops"));
        let directory = books.directory().await;
        let cancel = CancellationToken::new();
        let follower = tokio::spawn(directory.clone().follow(cancel.clone()));
        assert!(directory.recognize(secret.expose(), NOW).is_ok());
        books.revoke(&key).0.unwrap();
        let revoked_at = Instant::now();
        while directory.recognize(secret.expose(), NOW).is_ok() {
            assert!(revoked_at.elapsed() < Duration::from_secs(1), "the key still works");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
        follower.await.unwrap();
    }

    #[tokio::test]
    async fn an_expired_key_is_told_from_an_unknown_and_a_malformed_one() {
        let books = Books::open();
        let later = NOW + jiff::SignedDuration::from_secs(60);
        let (_, secret) = books.key(NewKey { expires_at: Some(later), ..NewKey::of(Role::Operator, None, "ops") });
        let directory = books.directory().await;
        assert!(directory.authenticate(secret.expose(), NOW).await.is_ok());
        assert_eq!(directory.authenticate(secret.expose(), later).await, Err(Refused::Expired));
        let stranger = KeySecret::new(&books.entropy);
        assert_eq!(directory.authenticate(stranger.expose(), NOW).await, Err(Refused::Unknown));
        assert_eq!(directory.authenticate("pgk_x", NOW).await, Err(Refused::Malformed));
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_shares_its_questions() {
        let books = Books::open();
        let directory = books.directory().await;
        let begun = Instant::now();
        let asks = (0..200).map(|_| {
            let (directory, secret) = (directory.clone(), KeySecret::new(&books.entropy));
            tokio::spawn(async move { directory.authenticate(secret.expose(), NOW).await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), Err(Refused::Unknown));
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "200 keys did not ask one after the other");
        assert_eq!(directory.authenticate(KeySecret::new(&books.entropy).expose(), NOW).await, Err(Refused::Unknown));
        assert!(begun.elapsed() >= ASK_EVERY, "the next question kept its distance");
    }

    #[tokio::test]
    async fn every_change_is_told_once_in_the_log_it_belongs_to() {
        let books = Books::open();
        let merchant = change::new_merchant("cathay".parse().unwrap(), "Cathay", NOW, &books.entropy).unwrap();
        let again = Merchant { id: MerchantId::new(NOW, &books.entropy), ..merchant.clone() };
        let (made, events) = books.write(|conn, events| change::create_merchant(conn, events, merchant.clone(), &CLI));
        let id = made.unwrap().id;
        let logs: Vec<_> = events.iter().map(|event| (event.log.clone(), event.kind)).collect();
        assert_eq!(
            logs,
            [(LogOwner::Operator, "merchant.created"), (LogOwner::Merchant(id.clone()), "merchant.created")]
        );
        let (refused, events) = books.write(|conn, events| change::create_merchant(conn, events, again, &CLI));
        assert!(matches!(refused, Err(AccessError::MerchantExists(slug)) if slug.as_str() == "cathay"));
        assert_eq!(events, []);

        let (key, _) = books.key(NewKey::of(Role::Kiosk, Some(id.clone()), "A12"));
        let (_, events) = books.revoke(&key);
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0].log, events[0].kind), (&LogOwner::Merchant(id), "key.revoked"));
        assert_eq!(events[0].facts.canonical(), r#"{"label":"A12","role":"kiosk"}"#);
        let (again, events) = books.revoke(&key);
        assert_eq!(again.unwrap().revoked_at, Some(NOW));
        assert_eq!(events, [], "revoking twice is one event");
    }

    #[tokio::test]
    async fn another_merchants_key_is_not_there() {
        let books = Books::open();
        let (cathay, american) = (books.merchant("cathay"), books.merchant("american"));
        let (key, secret) = books.key(NewKey::of(Role::Admin, Some(cathay.id.clone()), "admin"));
        let directory = books.directory().await;
        for other in [Some(american.id.clone()), None] {
            let found = directory.find_key(other.clone(), key.id.clone()).await;
            assert!(matches!(found, Err(AccessError::UnknownKey)));
            assert_eq!(directory.list_keys(other.clone(), None, None, 10).await.unwrap(), []);
            let foreign = ApiKey { merchant: other, ..key.clone() };
            assert!(matches!(books.revoke(&foreign).0, Err(AccessError::UnknownKey)));
        }
        directory.reload().await.unwrap();
        assert!(directory.recognize(secret.expose(), NOW).is_ok());
        assert_eq!(directory.list_keys(Some(cathay.id.clone()), None, None, 10).await.unwrap(), [key]);
        assert_eq!(directory.list_keys(Some(cathay.id), Some(Role::Kiosk), None, 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn merchants_are_listed_page_by_page() {
        let books = Books::open();
        let made: Vec<_> = ["a", "b", "c"].into_iter().map(|slug| books.merchant(slug)).collect();
        let mut made: Vec<_> = made.into_iter().map(|merchant| merchant.id).collect();
        made.sort();
        let directory = books.directory().await;
        let first = directory.list_merchants(None, 2).await.unwrap();
        let rest = directory.list_merchants(Some(first[1].id.clone()), 2).await.unwrap();
        let listed: Vec<_> = first.into_iter().chain(rest).map(|merchant| merchant.id).collect();
        assert_eq!(listed, made);
        assert_eq!(directory.find_merchant("b".parse().unwrap()).await.unwrap().slug.as_str(), "b");
        assert!(matches!(directory.find_merchant("nobody".parse().unwrap()).await, Err(AccessError::UnknownMerchant)));
    }

    #[tokio::test]
    async fn a_key_of_a_merchant_that_is_not_there_is_refused() {
        let books = Books::open();
        let ghost = MerchantId::new(NOW, &books.entropy);
        let new = NewKey::of(Role::Admin, Some(ghost), "x");
        let id = KeyId::new(NOW, &books.entropy);
        let (made, _) = books.write(|conn, events| change::create_key(conn, events, id, new, &[7; 32], NOW, &CLI));
        assert!(matches!(made, Err(AccessError::UnknownMerchant)));
    }
}
