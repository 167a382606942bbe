//! The gateway's keys, wrapped by the master key: token keys, log keys and the one hash key.
//!
//! - `master`: the key that wraps all others; `seal`: how it wraps them; `store`: the wrapped keys
//! - `token_key`, `token_names`, `log_key`, `subject_key`, `cache_key`: the keys by what they are for
//! - `snapshot`: the keys, unwrapped; `rotation`: the next key, and withdrawal
//!
//! [`Keyring::open`] reads them once and makes what is missing; signing and looking up do no I/O.
//! `ledger::read::published` reads them again whenever their epoch has moved, so that what another replica makes or
//! withdraws holds here too; `rotation.rs` makes the next one and withdraws one. To add a purpose: a [`KeyPurpose`], its
//! unwrapped type, and its place in `snapshot.rs`.

pub mod cache_key;
pub mod log_key;
pub mod master;
pub mod month_secret;
pub mod rotation;
mod seal;
mod snapshot;
mod store;
pub mod subject_key;
pub mod token_key;
mod token_names;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use secrecy::zeroize::Zeroizing;

pub use cache_key::CacheKey;
pub use log_key::LogKey;
pub use master::{MasterKey, MasterKeyError};
pub use month_secret::MonthSecret;
pub use subject_key::SubjectSecret;
pub use token_key::TokenKey;
pub use token_names::{ALGORITHM, TYPE, protected_header, thumbprint};

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::boarding_pass::BoardingPass;
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs, hex};
use snapshot::Snapshot;
use store::KeyRow;

/// The epoch that every change of the keys moves on.
pub const EPOCH: &str = "keys";

/// The longest a token may live; a rule's `ttl` is at most this.
pub const LONGEST_TOKEN_TTL: SignedDuration = SignedDuration::from_hours(24);
/// The time for which an answer is replayed for its `Idempotency-Key`, token and all.
pub const IDEMPOTENCY_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The purpose of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    Token,
    Log,
    Hash,
    /// A merchant's secret of one month; these stand in a table of their own.
    Month,
}

impl KeyPurpose {
    /// Those of the gateway's own keys.
    const ALL: [Self; 3] = [Self::Token, Self::Log, Self::Hash];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.to_string() == text)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Log => "log",
            Self::Hash => "hash",
            Self::Month => "month",
        })
    }
}

/// Why a key can't be had, or a sealed thing not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The master key is not the one that this database's keys were wrapped with.
    #[error("the master key is not the one that the key `{kid}` was wrapped with")]
    WrongMasterKey { kid: String },
    /// The row was changed, or moved from another.
    #[error("the stored key `{kid}` is damaged")]
    Damaged { kid: String },
    /// There was one, and now there is none.
    #[error("there is no {purpose} key")]
    Missing { purpose: KeyPurpose },
    /// Sealed under another key or for something else, or changed since.
    #[error("the sealed {what} can't be opened")]
    Unreadable { what: &'static str },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    master: MasterKey,
    clock: Clock,
    entropy: Entropy,
    snapshot: ArcSwap<Snapshot>,
    /// Held from reading the rows to storing the snapshot, so that an older reading can't replace
    /// a newer one.
    refreshing: Mutex<()>,
}

impl Keyring {
    /// Reads the keys, and makes those that are missing. Blocks. Any number of replicas may do so
    /// at once: one makes the keys, the others find them.
    ///
    /// # Errors
    /// [`KeyringError::WrongMasterKey`] before anything is made, when a stored key can't be unwrapped.
    pub fn open(database: &Database, master: &MasterKey, clock: Clock, entropy: Entropy) -> Result<Self, KeyringError> {
        let rows = database.read_blocking::<_, KeyringError>(|conn| Ok(store::list(conn)?))?;
        let snapshot = match Snapshot::build(&rows, master) {
            Err(KeyringError::Missing { .. }) => {
                let rows = database.write_blocking(|conn| make_missing(conn, master, &clock, &entropy))?;
                Snapshot::build(&rows, master)?
            }
            built => built?,
        };
        let (master, database) = (master.clone(), database.clone());
        let snapshot = ArcSwap::from_pointee(snapshot);
        Ok(Self { inner: Arc::new(Inner { database, master, clock, entropy, snapshot, refreshing: Mutex::new(()) }) })
    }

    /// Reads the keys again. Blocks. On an error the keys stay as they were.
    ///
    /// # Errors
    /// [`KeyringError`], when the database can't be read or what it holds can't be unwrapped.
    pub fn refresh(&self) -> Result<(), KeyringError> {
        self.inner.database.read_blocking(|conn| self.reload(conn))
    }

    /// [`Keyring::refresh`] on a connection that is there already.
    ///
    /// # Errors
    /// As [`Keyring::refresh`].
    pub fn reload(&self, conn: &mut AnyConnection) -> Result<(), KeyringError> {
        let inner = &self.inner;
        let _one_at_a_time = inner.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = store::list(conn)?;
        inner.snapshot.store(Arc::new(Snapshot::build(&rows, &inner.master)?));
        Ok(())
    }

    /// The key that signs tokens now.
    #[must_use]
    pub fn token_key(&self) -> Arc<TokenKey> {
        Arc::clone(self.inner.snapshot.load().signing_at(self.inner.clock.now()))
    }

    /// The published token key of this name.
    #[must_use]
    pub fn find_token_key(&self, kid: &str) -> Option<Arc<TokenKey>> {
        let now = self.inner.clock.now();
        self.inner.snapshot.load().tokens.iter().find(|key| key.kid() == kid && key.is_published(now)).cloned()
    }

    /// The token key of this name, also one that was withdrawn, or that was retired so long ago at most that a token of it
    /// may have been taken `ago` before now.
    #[must_use]
    pub fn find_reported_key(&self, kid: &str, ago: SignedDuration) -> Option<Arc<TokenKey>> {
        let (now, kept) = (self.inner.clock.now(), ago.saturating_add(LONGEST_TOKEN_TTL));
        let is_kept = |key: &TokenKey| key.retires_at().is_none_or(|at| now.duration_since(at) <= kept);
        self.inner.snapshot.load().tokens.iter().find(|key| key.kid() == kid && is_kept(key)).cloned()
    }

    /// When the token key of this name was withdrawn, if it was.
    #[must_use]
    pub fn revoked_at(&self, kid: &str) -> Option<Timestamp> {
        self.inner.snapshot.load().tokens.iter().find(|key| key.kid() == kid)?.revoked_at()
    }

    /// All token keys that are published now: the last ones, the one that signs, the next.
    #[must_use]
    pub fn token_keys(&self) -> Vec<Arc<TokenKey>> {
        let now = self.inner.clock.now();
        self.inner.snapshot.load().tokens.iter().filter(|key| key.is_published(now)).cloned().collect()
    }

    /// The key that signs checkpoints now.
    #[must_use]
    pub fn log_key(&self) -> Arc<LogKey> {
        Arc::clone(&self.inner.snapshot.load().newest_log)
    }

    /// Every log key there ever was: old checkpoints stay provable.
    #[must_use]
    pub fn log_keys(&self) -> Vec<Arc<LogKey>> {
        self.inner.snapshot.load().logs.clone()
    }

    /// The name-free reference that this merchant's scores and counters know the person by, by the handle's form.
    #[must_use]
    pub fn subject_ref(&self, merchant: &MerchantId, handle: &SubjectHandle) -> SubjectRef {
        self.inner.snapshot.load().hash.subject_ref(merchant, handle)
    }

    /// The references that rows about the person may stand under.
    #[must_use]
    pub fn subject_refs(&self, merchant: &MerchantId, handle: &SubjectHandle) -> SubjectRefs {
        let former = handle.former().map(|former| self.subject_ref(merchant, &former));
        SubjectRefs { current: self.subject_ref(merchant, handle), former }
    }

    /// The form in which a caller's text is kept when it only has to be compared: without the key nobody can
    /// try which text it was. The last part only may have a free length.
    #[must_use]
    pub fn blind(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.inner.snapshot.load().hash.blind(parts)
    }

    /// The person whom a boarding pass names, as this merchant knows them: by their frequent flyer number, `ff:cx-1234567`;
    /// without one the pass itself stands for them, by a keyed hash.
    #[must_use]
    pub fn visitor(&self, merchant: &MerchantId, pass: &BoardingPass) -> SubjectHandle {
        let member = pass.frequent_flyer().and_then(|(airline, number)| format!("ff:{airline}-{number}").parse().ok());
        member.unwrap_or_else(|| {
            let hash = self.blind(&[b"boarding pass\0", merchant.as_str().as_bytes(), b"\0", &pass.identity()]);
            let (half, _) = hash.split_at(hash.len() / 2);
            SubjectHandle::stored(format!("pass:{}", hex(half)))
        })
    }

    /// A new random secret of a merchant's month, wrapped under the master key.
    #[must_use]
    pub fn new_month_secret(&self, merchant: &MerchantId, month: &str) -> Vec<u8> {
        month_secret::wrap(&self.inner.master, merchant, month, &self.inner.entropy)
    }

    /// The secret that [`Keyring::new_month_secret`] wrapped.
    ///
    /// # Errors
    /// [`KeyringError`] when it is another merchant's or month's, or changed.
    pub fn month_secret(
        &self,
        merchant: &MerchantId,
        month: &str,
        wrapped: &[u8],
    ) -> Result<MonthSecret, KeyringError> {
        month_secret::unwrap(&self.inner.master, merchant, month, wrapped)
    }

    /// The key that authenticates scores in a cache which others can write to.
    #[must_use]
    pub fn cache_key(&self) -> CacheKey {
        self.inner.snapshot.load().hash.cache_key()
    }

    /// A new random secret for the person, and its row's `sealed` bytes (73 and the handle).
    #[must_use]
    pub fn new_subject(
        &self,
        merchant: &MerchantId,
        subject: &SubjectRef,
        handle: &SubjectHandle,
    ) -> (SubjectSecret, Vec<u8>) {
        self.inner.snapshot.load().hash.new_subject(merchant, subject, handle, &self.inner.entropy)
    }

    /// The secret in a row that [`Keyring::new_subject`] sealed.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] when the row is another merchant's or person's, or changed.
    pub fn open_subject(
        &self,
        merchant: &MerchantId,
        subject: &SubjectRef,
        sealed: &[u8],
    ) -> Result<SubjectSecret, KeyringError> {
        self.inner.snapshot.load().hash.open_subject(merchant, subject, sealed)
    }

    /// Seals an answer that is kept for a retry: it may hold what is shown once, as an API key.
    #[must_use]
    pub fn seal_outcome(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.inner.snapshot.load().hash.seal_outcome(aad, plaintext, &self.inner.entropy)
    }

    /// Opens what [`Keyring::seal_outcome`] sealed for the same `aad`.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`].
    pub fn open_outcome(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        self.inner.snapshot.load().hash.open_outcome(aad, sealed)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.inner.snapshot.load()).finish()
    }
}

/// Inside the lock: reads again, as another replica may have been first, and makes what is still
/// missing.
fn make_missing(
    conn: &mut AnyConnection,
    master: &MasterKey,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Vec<KeyRow>, KeyringError> {
    store::lock(conn)?;
    let rows = store::list(conn)?;
    match Snapshot::build(&rows, master) {
        Ok(_) => return Ok(rows),
        Err(KeyringError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    let now = clock.now();
    for purpose in KeyPurpose::ALL {
        if !rows.iter().any(|row| KeyPurpose::parse(&row.purpose) == Some(purpose)) {
            store::insert(conn, &snapshot::new_row(purpose, now, now, master, entropy)?)?;
        }
    }
    Ok(store::list(conn)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

    /// A database on disk, a clock that stands, and a master key.
    pub(crate) struct Fixture {
        pub(crate) clock: Clock,
        pub(crate) master: MasterKey,
        pub(crate) database: Database,
        url: String,
        _directory: tempfile::TempDir,
    }

    impl Fixture {
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", directory.path().join("perkgate.db").display());
            let database = Database::connect(&url.parse().unwrap(), 2).unwrap();
            database.migrate().unwrap();
            let master = MasterKey::generate(&Entropy::seeded(1));
            Self { clock: Clock::fixed(START), master, database, url, _directory: directory }
        }

        /// A keyring as one more replica would open it.
        pub(crate) fn open(&self) -> Keyring {
            self.open_with(&self.master).unwrap()
        }

        fn open_with(&self, master: &MasterKey) -> Result<Keyring, KeyringError> {
            Keyring::open(&self.database, master, self.clock.clone(), Entropy::System)
        }

        fn rows(&self) -> Vec<KeyRow> {
            self.database.read_blocking::<_, KeyringError>(|conn| Ok(store::list(conn)?)).unwrap()
        }

        fn row(&self, purpose: KeyPurpose) -> KeyRow {
            self.rows().into_iter().find(|row| row.purpose == purpose.to_string()).unwrap()
        }

        fn replace(&self, kid: &str, row: &KeyRow) {
            self.database.write_blocking::<_, KeyringError>(|conn| Ok(store::replace(conn, kid, row)?)).unwrap();
        }
    }

    fn kids(keyring: &Keyring) -> Vec<String> {
        keyring.token_keys().iter().map(|key| key.kid().to_owned()).collect()
    }

    #[test]
    fn the_first_replica_makes_the_keys_and_the_next_finds_them() {
        let fixture = Fixture::new();
        let (first, second) = (fixture.open(), fixture.open());
        assert_eq!(first.token_key().kid(), second.token_key().kid());
        assert_eq!(first.log_key().vkey(), second.log_key().vkey());
        assert_ne!(first.log_key().public_key(), first.token_key().public_key());
        let merchant = MerchantId::new(START, &Entropy::seeded(1));
        let ada = "twitter:ada".parse().unwrap();
        let subject = first.subject_ref(&merchant, &ada);
        assert_eq!(second.subject_ref(&merchant, &ada), subject);
        let (secret, sealed) = first.new_subject(&merchant, &subject, &ada);
        let opened = second.open_subject(&merchant, &subject, &sealed).unwrap();
        assert_eq!(opened.pseudonym(&merchant), secret.pseudonym(&merchant));
        assert_eq!(fixture.rows().len(), 3);
    }

    #[test]
    fn replicas_that_start_at_once_agree_on_one_key_each() {
        let fixture = Fixture::new();
        let barrier = std::sync::Barrier::new(8);
        let mut kids: Vec<_> = std::thread::scope(|scope| {
            let replicas: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let database = Database::connect(&fixture.url.parse().unwrap(), 1).unwrap();
                        barrier.wait();
                        let keyring =
                            Keyring::open(&database, &fixture.master, Clock::System, Entropy::System).unwrap();
                        (keyring.token_key().kid().to_owned(), keyring.log_key().vkey())
                    })
                })
                .collect();
            replicas.into_iter().map(|replica| replica.join().unwrap()).collect()
        });
        kids.dedup();
        assert_eq!(kids.len(), 1);
        assert_eq!(fixture.rows().len(), 3);
    }

    #[test]
    fn another_master_key_is_refused_and_makes_nothing() {
        let fixture = Fixture::new();
        fixture.open();
        let other = MasterKey::generate(&Entropy::seeded(2));
        assert!(matches!(fixture.open_with(&other), Err(KeyringError::WrongMasterKey { .. })));
        // Nor does it fill a gap beside keys that it can't read.
        let log = fixture.row(KeyPurpose::Log);
        let also_hash = KeyRow { kid: "hash-2".into(), ..fixture.row(KeyPurpose::Hash) };
        fixture.replace(&log.kid, &also_hash);
        assert!(matches!(fixture.open_with(&other), Err(KeyringError::WrongMasterKey { .. })));
        assert_eq!(fixture.rows().len(), 3);
    }

    #[test]
    fn a_changed_or_moved_row_is_found() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let (token, log) = (fixture.row(KeyPurpose::Token), fixture.row(KeyPurpose::Log));
        let mut bent = token.clone();
        *bent.wrapped.last_mut().unwrap() ^= 1;
        let other_public = KeyRow { public_key: log.public_key.clone(), ..token.clone() };
        let no_public = KeyRow { public_key: None, ..token.clone() };
        let swapped = KeyRow { wrapped: log.wrapped.clone(), ..token.clone() };
        let other_purpose = KeyRow { purpose: "log".into(), ..token.clone() };
        let no_purpose = KeyRow { purpose: "pin".into(), ..token.clone() };
        let empty = KeyRow { wrapped: Vec::new(), ..token.clone() };
        for damaged in [bent, other_public, no_public, swapped, other_purpose, no_purpose, empty] {
            fixture.replace(&token.kid, &damaged);
            let refused = fixture.open_with(&fixture.master);
            assert!(matches!(&refused, Err(KeyringError::Damaged { kid }) if *kid == token.kid), "{refused:?}");
            assert!(keyring.refresh().is_err());
            assert_eq!(keyring.token_key().kid(), token.kid, "the keys stay as they were");
        }
        fixture.replace(&token.kid, &token);
        keyring.refresh().unwrap();
    }

    #[test]
    fn the_next_key_is_published_before_it_signs_and_the_last_one_after() {
        let fixture = Fixture::new();
        let (keyring, replica) = (fixture.open(), fixture.open());
        let old = keyring.token_key();
        let next = keyring.rotate_token_key(SignedDuration::from_hours(1)).unwrap();
        assert_eq!(kids(&keyring), [old.kid(), next.kid()]);
        assert_eq!(keyring.token_key().kid(), old.kid());
        assert_eq!(replica.token_keys().len(), 1);
        replica.refresh().unwrap();
        assert_eq!(kids(&replica), [old.kid(), next.kid()]);

        let at = |hours: i64, seconds: i64| {
            fixture.clock.set(START + SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds));
            (replica.token_key().kid().to_owned(), kids(&replica))
        };
        let (old, next) = (old.kid().to_owned(), next.kid().to_owned());
        assert_eq!(at(1, -1), (old.clone(), vec![old.clone(), next.clone()]));
        assert_eq!(at(1, 0), (next.clone(), vec![old.clone(), next.clone()]));
        // Superseded after an hour; a day and ten minutes more.
        assert_eq!(at(25, 599), (next.clone(), vec![old.clone(), next.clone()]));
        assert!(replica.find_token_key(&old).is_some());
        assert_eq!(at(25, 600), (next.clone(), vec![next.clone()]));
        assert!(replica.find_token_key(&old).is_none());
        assert!(replica.find_token_key(&next).is_some());
    }

    #[test]
    fn a_stolen_key_is_replaced_at_once_even_with_a_next_one_waiting() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let waiting = keyring.rotate_token_key(SignedDuration::from_hours(1)).unwrap();
        fixture.clock.set(START + SignedDuration::from_secs(1));
        let now = keyring.rotate_token_key(SignedDuration::from_secs(-5)).unwrap();
        assert_eq!(keyring.token_key().kid(), now.kid());
        let retires_at = START + SignedDuration::from_hours(25) + SignedDuration::from_mins(10);
        assert_eq!(now.retires_at(), Some(retires_at), "the waiting one takes over");
        assert_eq!(waiting.retires_at(), None);
        fixture.clock.set(START + SignedDuration::from_hours(1));
        assert_eq!(keyring.token_key().kid(), waiting.kid());
    }

    fn revoke(keyring: &Keyring, kid: &str) -> Option<rotation::Revocation> {
        let revoked = keyring.inner.database.write_blocking(|conn| keyring.revoke(conn, kid)).unwrap();
        keyring.refresh().unwrap();
        revoked
    }

    #[test]
    fn a_withdrawn_key_is_not_published_and_another_signs_at_once() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let stolen = keyring.token_key();
        let revoked = revoke(&keyring, stolen.kid()).unwrap();
        let change = revoked.change.unwrap();
        assert!(change.is_new && change.retires.is_empty(), "{change:?}");
        assert_eq!((revoked.revoked_at, change.next.signs_from), (START, START));
        assert_eq!((keyring.token_key().kid(), kids(&keyring)), (&*change.next.kid, vec![change.next.kid.clone()]));
        assert!(keyring.find_token_key(stolen.kid()).is_none());
        assert_eq!(keyring.revoked_at(stolen.kid()), Some(START));
        // A replica whose clock is behind doesn't fall back on it.
        fixture.clock.set(START - SignedDuration::from_hours(1));
        let behind = fixture.open();
        assert_eq!((behind.token_key().kid(), kids(&behind)), (&*change.next.kid, vec![change.next.kid.clone()]));
        fixture.clock.set(START + SignedDuration::from_secs(1));
        let again = revoke(&keyring, stolen.kid()).unwrap();
        assert_eq!((again.revoked_at, again.change), (START, None), "withdrawn twice is withdrawn once");
        assert!(revoke(&keyring, "another").is_none());
        assert!(revoke(&keyring, keyring.log_key().name()).is_none(), "a log key is none");
    }

    #[test]
    fn the_key_that_waits_takes_the_place_of_a_withdrawn_one() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let first = keyring.token_key();
        let second = keyring.rotate_token_key(SignedDuration::from_hours(1)).unwrap();
        let third = keyring.rotate_token_key(SignedDuration::from_hours(2)).unwrap();
        fixture.clock.set(START + SignedDuration::from_secs(5));
        let change = revoke(&keyring, first.kid()).unwrap().change.unwrap();
        assert!(!change.is_new);
        assert_eq!((&*change.next.kid, change.next.signs_from), (second.kid(), fixture.clock.now()));
        assert_eq!(keyring.token_key().kid(), second.kid());
        assert_eq!(kids(&keyring), [second.kid(), third.kid()]);
    }

    #[test]
    fn a_withdrawn_key_that_waits_or_is_superseded_leaves_the_one_that_signs() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let first = keyring.token_key();
        let second = keyring.rotate_token_key(SignedDuration::from_hours(1)).unwrap();
        let third = keyring.rotate_token_key(SignedDuration::from_hours(2)).unwrap();
        let kept = SignedDuration::from_hours(24) + SignedDuration::from_mins(10);
        let change = revoke(&keyring, second.kid()).unwrap().change.unwrap();
        let retires_at = START + SignedDuration::from_hours(2) + kept;
        assert_eq!((&*change.next.kid, change.is_new), (first.kid(), false));
        assert_eq!(change.retires, [(first.kid().to_owned(), Some(retires_at))], "the third takes over");
        let change = revoke(&keyring, third.kid()).unwrap().change.unwrap();
        assert_eq!(change.retires, [(first.kid().to_owned(), None)], "nobody does");
        fixture.clock.set(START + SignedDuration::from_hours(100));
        assert_eq!((keyring.token_key().kid(), kids(&keyring)), (first.kid(), vec![first.kid().to_owned()]));

        let fourth = keyring.rotate_token_key(SignedDuration::ZERO).unwrap();
        let change = revoke(&keyring, first.kid()).unwrap().change.unwrap();
        assert_eq!((&*change.next.kid, change.is_new), (fourth.kid(), false));
        assert_eq!((change.retires, kids(&keyring)), (Vec::new(), vec![fourth.kid().to_owned()]));
    }

    #[test]
    fn a_replica_whose_clock_is_behind_still_signs() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        fixture.clock.set(START - SignedDuration::from_hours(1));
        assert_eq!(fixture.open().token_key().kid(), keyring.token_key().kid());
    }

    #[test]
    fn debug_shows_names_of_keys_and_no_secret() {
        let fixture = Fixture::new();
        let shown = format!("{:?}", fixture.open());
        assert!(shown.contains(fixture.open().token_key().kid()), "{shown}");
        assert!(!shown.contains("pair") && !shown.contains("hash") && !shown.contains("master"), "{shown}");
    }
}
