//! The handle of this room: recognises keys from memory, follows the database, and makes changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::devices::seen::SeenDevices;
use super::error::{AccessError, Refused};
use super::key::{ApiKey, KeySecret, NewKey};
use super::last_use::UnwrittenUses;
use super::merchant::Merchant;
use super::principal::Principal;
use super::role::Role;
use super::snapshot::Snapshot;
use super::{change, devices, store};
use crate::database::followed::ReplicatedSnapshot;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{KeyId, MerchantId, MerchantSlug};
use crate::ledger::Ledger;
use crate::ledger::entry::Actor;

/// Merchants and keys; cheap to clone.
#[derive(Clone)]
pub struct Directory {
    pub(super) database: Database,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) known: ReplicatedSnapshot<Snapshot>,
    uses: Arc<UnwrittenUses>,
    pub(super) seen: Arc<SeenDevices>,
}

/// The interval at which uses of keys are written that were noted meanwhile.
const WRITE_USES_EVERY: Duration = Duration::from_secs(10);

impl Directory {
    /// A directory that knows nobody until its first [`Directory::reload`].
    #[must_use]
    pub fn new(database: Database, ledger: Ledger, clock: Clock, entropy: Entropy) -> Self {
        let load = |conn: &mut AnyConnection, _: &Snapshot| {
            let content = store::list_everything(conn)?;
            Ok(Snapshot::of(content))
        };
        let known = ReplicatedSnapshot::new(database.clone(), store::EPOCH, load);
        Self { database, ledger, clock, entropy, known, uses: Arc::default(), seen: Arc::default() }
    }

    /// True if there is a snapshot to answer from.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.known.is_loaded()
    }

    /// True if the database answered when it was last asked.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.known.is_reachable()
    }

    /// Reads everything again. What committed before this call is in the snapshot after it.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot is then retained.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        self.known.reload().await
    }

    /// Reloads if the database moved on; says whether it had.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot is then retained.
    pub async fn poll(&self) -> Result<bool, DatabaseError> {
        self.known.poll().await
    }

    /// Keeps the snapshot up to date until cancelled: a key revoked on another replica dies here
    /// within a second.
    pub async fn follow(self, cancel: CancellationToken) {
        self.known.follow(cancel).await;
    }

    /// Sets how a change is announced to the other replicas.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        self.known.announce_with(announce);
    }

    /// Looks at the database soon: someone said that it changed.
    pub fn request_refresh(&self) {
        self.known.request_refresh();
    }

    /// The principal whose key `secret` is, as far as the snapshot knows. No I/O.
    ///
    /// # Errors
    /// [`Refused`]; `Unknown` is worth a question to the database: [`Directory::authenticate`].
    pub fn recognize(&self, secret: &str, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        let hash = KeySecret::parse(secret).map_err(|_| Refused::Malformed)?.hash();
        let known = self.known.now();
        let principal = known.content.recognize(&hash, now)?;
        if let Some(hour) = known.content.first_use_in_hour(&hash, now) {
            let merchant = principal.merchant.as_ref().map(|merchant| merchant.id.clone());
            self.uses.note(principal.key.clone(), merchant, hour);
        }
        Ok(principal)
    }

    /// Writes the uses of keys that were noted since the last time, and which screens are there.
    ///
    /// # Errors
    /// The database's; they are then written the next time.
    pub async fn write_uses(&self) -> Result<(), DatabaseError> {
        let (uses, looks) = (self.uses.take(), self.seen.take(self.clock.now()));
        if uses.is_empty() && looks.is_empty() {
            return Ok(());
        }
        let (writing, seeing) = (uses.clone(), looks.clone());
        let written = self.database.write(move |conn| {
            for (key, merchant, hour) in &writing {
                store::update_last_used(conn, merchant.as_ref(), key, *hour)?;
            }
            seeing.iter().try_for_each(|look| devices::update_seen(conn, look))
        });
        let written = written.await;
        if written.is_err() {
            for (key, merchant, hour) in uses {
                self.uses.note(key, merchant, hour);
            }
            self.seen.put_back(looks);
        }
        written
    }

    /// Writes the uses of keys behind the requests until cancelled.
    pub async fn keep_writing_uses(self, cancel: CancellationToken) {
        let mut is_over = false;
        while !is_over {
            is_over = cancel.run_until_cancelled(tokio::time::sleep(WRITE_USES_EVERY)).await.is_none();
            if let Err(error) = self.write_uses().await {
                // The next round tries again; a database that is away is said elsewhere.
                tracing::debug!(%error, "the uses of keys could not be written yet");
            }
        }
    }

    /// [`Directory::recognize`], and once more after [`ReplicatedSnapshot::catch_up`] if it is unknown.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn authenticate(&self, secret: &str, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        match self.recognize(secret, now) {
            Err(Refused::Unknown) => {
                self.known.catch_up().await.map_err(|_| Refused::Unchecked)?;
                self.recognize(secret, now)
            }
            known => known,
        }
    }

    /// True if a key that works at `now` names this web origin, from the snapshot.
    #[must_use]
    pub fn names_origin(&self, origin: &str, now: Timestamp) -> bool {
        self.known.now().content.names_origin(origin, now)
    }

    /// The same of the merchant's own keys; of the operator's for none.
    #[must_use]
    pub fn names_own_origin(&self, merchant: Option<&MerchantId>, origin: &str, now: Timestamp) -> bool {
        self.known.now().content.names_own_origin(merchant, origin, now)
    }

    /// The merchant with this id, from the snapshot.
    #[must_use]
    pub fn merchant(&self, id: &MerchantId) -> Option<Arc<Merchant>> {
        self.known.now().content.merchant(id)
    }

    /// The merchant with this slug, from the snapshot.
    #[must_use]
    pub fn merchant_by_slug(&self, slug: &MerchantSlug) -> Option<Arc<Merchant>> {
        self.known.now().content.merchant_by_slug(slug)
    }

    /// Makes a merchant. Its reports count by the days of `time_zone`, an IANA name; UTC without one.
    ///
    /// # Errors
    /// [`AccessError::MerchantExists`], [`AccessError::Unfit`], or the ledger's.
    pub async fn create_merchant(
        &self,
        slug: MerchantSlug,
        name: &str,
        time_zone: Option<&str>,
        actor: Actor,
    ) -> Result<Merchant, AccessError> {
        self.insert_merchant(change::new_merchant(slug, name, time_zone, self.clock.now(), &self.entropy)?, actor).await
    }

    /// Makes a merchant whose data is a test's, for good.
    ///
    /// # Errors
    /// As [`Directory::create_merchant`].
    pub async fn create_test_merchant(
        &self,
        slug: MerchantSlug,
        name: &str,
        actor: Actor,
    ) -> Result<Merchant, AccessError> {
        let merchant = change::new_merchant(slug, name, None, self.clock.now(), &self.entropy)?;
        self.insert_merchant(Merchant { is_test: true, ..merchant }, actor).await
    }

    async fn insert_merchant(&self, merchant: Merchant, actor: Actor) -> Result<Merchant, AccessError> {
        let made = self.ledger.change(move |conn, events| change::create_merchant(conn, events, merchant, &actor));
        let merchant = made.await?;
        self.known.follow_own_change().await;
        Ok(merchant)
    }

    /// Gives a merchant another time zone, an IANA name. The one that it has is no change and no error.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], [`AccessError::UnknownMerchant`], or the ledger's.
    pub async fn set_time_zone(
        &self,
        slug: MerchantSlug,
        time_zone: &str,
        actor: Actor,
    ) -> Result<Merchant, AccessError> {
        let time_zone = change::zone_name(time_zone).map_err(|error| AccessError::Unfit(vec![error]))?;
        let changed =
            self.ledger.change(move |conn, events| change::set_time_zone(conn, events, &slug, time_zone, &actor));
        let merchant = changed.await?;
        self.known.follow_own_change().await;
        Ok(merchant)
    }

    /// Gives a merchant another name, for people, and time zone: both or neither. What it has is no change and no error.
    ///
    /// # Errors
    /// As [`Directory::set_time_zone`], with what is wrong with either.
    pub async fn change_merchant(
        &self,
        slug: MerchantSlug,
        (name, time_zone): (&str, &str),
        actor: Actor,
    ) -> Result<Merchant, AccessError> {
        let (name, time_zone) = change::checked(name, time_zone)?;
        let changed = self.ledger.change(move |conn, events| {
            change::set_time_zone(conn, events, &slug, time_zone, &actor)?;
            change::rename_merchant(conn, events, &slug, name, &actor)
        });
        let merchant = changed.await?;
        self.known.follow_own_change().await;
        Ok(merchant)
    }

    /// The merchant with this slug, from the database.
    ///
    /// # Errors
    /// [`AccessError::UnknownMerchant`], or the database's.
    pub async fn find_merchant(&self, slug: MerchantSlug) -> Result<Merchant, AccessError> {
        let found = self.database.read(move |conn| store::find_merchant(conn, &slug)).await?;
        found.ok_or(AccessError::UnknownMerchant)
    }

    /// Up to `limit` merchants in the order they were made, after the one with id `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_merchants(&self, after: Option<MerchantId>, limit: u16) -> Result<Vec<Merchant>, AccessError> {
        let read = self.database.read(move |conn| store::list_merchants(conn, after.as_ref(), limit.into()));
        Ok(read.await?)
    }

    /// Makes a key. The secret is in this answer and nowhere else.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], [`AccessError::UnknownMerchant`], or the ledger's.
    pub async fn create_key(&self, new: NewKey, actor: Actor) -> Result<(ApiKey, KeySecret), AccessError> {
        let now = self.clock.now();
        let new = new.check(now).map_err(AccessError::Unfit)?;
        let secret = KeySecret::new(&self.entropy);
        let (id, hash) = (KeyId::new(now, &self.entropy), secret.hash());
        let made =
            self.ledger.change(move |conn, events| change::create_key(conn, events, id, new, &hash, now, &actor));
        let key = made.await?;
        self.known.follow_own_change().await;
        Ok((key, secret))
    }

    /// The key of this merchant (none: of the operator) with this id, from the database.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], for another merchant's key too, or the database's.
    pub async fn find_key(&self, merchant: Option<MerchantId>, id: KeyId) -> Result<ApiKey, AccessError> {
        let found = self.database.read(move |conn| store::find_key(conn, merchant.as_ref(), &id)).await?;
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
        Ok(self.database.read(read).await?)
    }

    /// The labels of those of `keys` that are the merchant's, by id; what is no key, such as `cli`, has none.
    ///
    /// # Errors
    /// The database's.
    pub async fn labels_of(
        &self,
        merchant: &MerchantId,
        keys: BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, AccessError> {
        let keys: Vec<String> = keys.into_iter().filter(|key| key.parse::<KeyId>().is_ok()).collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let merchant = merchant.clone();
        let labels = self.database.read(move |conn| store::list_labels(conn, &merchant, &keys)).await?;
        Ok(labels.into_iter().collect())
    }

    /// Revokes a key, here at once and on every replica within a second. Revoking it again changes
    /// nothing and is no error.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], for another merchant's key too; of an account's key as
    /// [`Directory::suspend_account`]; or the ledger's.
    pub async fn revoke_key(
        &self,
        merchant: Option<MerchantId>,
        id: KeyId,
        actor: Actor,
    ) -> Result<ApiKey, AccessError> {
        let now = self.clock.now();
        let revoked = self
            .ledger
            .change(move |conn, events| change::revoke_key(conn, events, merchant.as_ref(), &id, now, &actor));
        let key = revoked.await?;
        self.known.follow_own_change().await;
        Ok(key)
    }

    /// [`Directory::revoke_key`] for a key that stands for what `find` finds, and that isn't over yet.
    pub(super) async fn revoke_key_of<T: 'static>(
        &self,
        find: fn(&mut AnyConnection, &MerchantId, &KeyId) -> Result<Option<T>, DatabaseError>,
        merchant: MerchantId,
        id: KeyId,
        actor: Actor,
    ) -> Result<ApiKey, AccessError> {
        let now = self.clock.now();
        let revoked = self.ledger.change(move |conn, events| {
            find(conn, &merchant, &id)?.ok_or(AccessError::UnknownKey)?;
            change::revoke_key(conn, events, Some(&merchant), &id, now, &actor)
        });
        let key = revoked.await?;
        self.known.follow_own_change().await;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::DatabaseUrl;
    use crate::keyring::{Keyring, MasterKey};
    use crate::ledger::WriterContext;
    use crate::ledger::entry::{EventDraft, LogOwner};

    struct Books {
        _dir: tempfile::TempDir,
        url: DatabaseUrl,
        database: Database,
        entropy: Entropy,
        master: MasterKey,
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const CLI: Actor = Actor { key: None, role: "cli" };

    impl Books {
        fn open() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let url: DatabaseUrl = format!("sqlite:{}", dir.path().join("t.db").display()).parse().unwrap();
            let database = Database::connect(&url, 2).unwrap();
            database.migrate().unwrap();
            let entropy = Entropy::seeded(3);
            Self { _dir: dir, url, database, master: MasterKey::generate(&entropy), entropy }
        }

        async fn directory(&self) -> Directory {
            // A database handle of its own, as another replica has.
            let database = Database::connect(&self.url, 2).unwrap();
            let clock = Clock::fixed(NOW);
            let keyring = Keyring::open(&database, &self.master, clock.clone(), self.entropy.clone()).unwrap();
            let means = WriterContext {
                database: database.clone(),
                keyring,
                clock: clock.clone(),
                entropy: self.entropy.clone(),
                log_origin: "gate.example".into(),
                patience: std::time::Duration::from_mins(1),
                summaries: std::sync::Arc::new(()),
            };
            let ledger = Ledger::start(means, 16, 16).unwrap();
            let directory = Directory::new(database, ledger, clock, self.entropy.clone());
            directory.reload().await.unwrap();
            directory
        }

        fn write<T: 'static>(
            &self,
            f: impl FnOnce(&mut crate::database::AnyConnection, &mut Vec<EventDraft>) -> Result<T, AccessError>,
        ) -> (Result<T, AccessError>, Vec<EventDraft>) {
            let mut events = Vec::new();
            (self.database.write_blocking(|conn| f(conn, &mut events)), events)
        }

        fn merchant(&self, slug: &str) -> Merchant {
            let new = change::new_merchant(slug.parse().unwrap(), slug, None, NOW, &self.entropy).unwrap();
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
    async fn a_replica_that_follows_drops_a_revoked_key_by_itself() {
        assert!(crate::database::followed::POLL_EVERY <= std::time::Duration::from_millis(500));
        let books = Books::open();
        let (key, secret) = books.key(NewKey::of(Role::Operator, None, "ops"));
        let directory = books.directory().await;
        let cancel = CancellationToken::new();
        let follower = tokio::spawn(directory.clone().follow(cancel.clone()));
        assert!(directory.recognize(secret.expose(), NOW).is_ok());
        books.revoke(&key).0.unwrap();
        while directory.recognize(secret.expose(), NOW).is_ok() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
        follower.await.unwrap();
    }

    #[tokio::test]
    async fn an_expired_key_is_distinguished_from_an_unknown_and_a_malformed_one() {
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
        let asks = (0..200).map(|_| {
            let (directory, secret) = (directory.clone(), KeySecret::new(&books.entropy));
            tokio::spawn(async move { directory.authenticate(secret.expose(), NOW).await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), Err(Refused::Unknown));
        }
        assert_eq!(directory.authenticate(KeySecret::new(&books.entropy).expose(), NOW).await, Err(Refused::Unknown));
    }

    #[tokio::test]
    async fn every_change_is_recorded_once_in_the_log_it_belongs_to() {
        let books = Books::open();
        let merchant = change::new_merchant("cathay".parse().unwrap(), "Cathay", None, NOW, &books.entropy).unwrap();
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

        for (zone, recorded) in [("Asia/Hong_Kong", 1), ("Asia/Hong_Kong", 0), ("UTC", 1)] {
            let slug = "cathay".parse().unwrap();
            let (set, events) =
                books.write(|conn, events| change::set_time_zone(conn, events, &slug, zone.to_owned(), &CLI));
            assert_eq!((set.unwrap().time_zone.as_str(), events.len()), (zone, recorded), "the same again is no event");
            for event in events {
                assert_eq!((&event.log, event.kind), (&LogOwner::Merchant(id.clone()), "merchant.rezoned"));
                assert!(event.facts.as_str().starts_with(&format!(r#"{{"time_zone":"{zone}","was":"#)));
            }
        }
        let nobody = "nobody".parse().unwrap();
        let (refused, _) =
            books.write(|conn, events| change::set_time_zone(conn, events, &nobody, "UTC".to_owned(), &CLI));
        assert!(matches!(refused, Err(AccessError::UnknownMerchant)));

        let (key, _) = books.key(NewKey::of(Role::Kiosk, Some(id.clone()), "A12"));
        let (_, events) = books.revoke(&key);
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0].log, events[0].kind), (&LogOwner::Merchant(id), "key.revoked"));
        assert_eq!(events[0].facts.as_str(), r#"{"label":"A12","role":"kiosk"}"#);
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
