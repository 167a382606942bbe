//! The people at a desk. A clerk acts under a key of their own that has no secret, so that events, four eyes and
//! verification name them as they name every key; signing in with a PIN at the key of a desk gives them a session.
//!
//! - `pin`: what may be a PIN, and what is stored in its stead; `guesses`: how often one may be wrong
//! - `session`: the proof that a clerk signed in, in no table; `store`: the rows

mod guesses;
pub mod pin;
pub mod session;
mod store;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use self::guesses::PinAttempt;
use self::pin::{Pin, PinHash, PinSalt};
use self::session::{Session, SessionText};
use super::directory::Directory;
use super::error::AccessError;
use super::key::{ApiKey, NewKey};
use super::principal::Principal;
use super::role::Role;
use super::{change, store as keys};
use crate::database::DatabaseError;
use crate::database::followed::bump_epoch;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::ledger::entry::Actor;
use crate::telemetry::meters;

pub(super) use store::{forget_pin, list_working};

/// The time for which a clerk is signed in.
pub const SESSION: SignedDuration = SignedDuration::from_mins(10);

/// The most clerks of a merchant that work.
pub const MOST_CLERKS: usize = 500;

/// The turns of hashing PINs.
static HASHING: Semaphore = Semaphore::const_new(1);

/// A clerk who has signed in.
#[derive(Debug)]
pub struct SignedIn {
    pub session: SessionText,
    pub expires_at: Timestamp,
}

/// Why a clerk was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("there is no such clerk")]
    UnknownClerk,
    #[error("the PIN is wrong")]
    WrongPin,
    /// Too many wrong ones before: for the clerk, or with this key.
    #[error("too many PINs were wrong")]
    Locked { until: Timestamp },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a caller doesn't act as a clerk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClerkRefused {
    #[error("a clerk must sign in first")]
    Missing,
    /// It has ended, is another key's, or no session at all.
    #[error("the session of the clerk has ended, or is another key's")]
    InvalidSession,
    /// Clerks act with the key of a desk only.
    #[error("this key has no clerks")]
    NoDesk,
    /// Nobody can say at the moment who is a clerk.
    #[error("the clerks can't be looked up")]
    Unavailable,
}

impl Directory {
    /// Makes a clerk: a key without a secret, with its event, and a PIN.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], [`AccessError::TooManyClerks`], or the ledger's.
    pub async fn create_clerk(
        &self,
        merchant: MerchantId,
        name: &str,
        pin: Pin,
        actor: Actor,
    ) -> Result<ApiKey, AccessError> {
        let now = self.clock.now();
        let new = NewKey::of(Role::Desk, Some(merchant.clone()), name).check(now).map_err(AccessError::of_clerk)?;
        let (id, salt) = (KeyId::new(now, &self.entropy), PinSalt::new(&self.entropy));
        let hash = self.hash_of(&id, pin, salt).await?;
        // No text has this hash: it is as random as a key's own text.
        let unusable_hash = self.entropy.bytes::<32>();
        let made = self.ledger.change(move |conn, events| {
            if store::count_working(conn, &merchant)? >= MOST_CLERKS {
                return Err(AccessError::TooManyClerks);
            }
            let key = change::create_key(conn, events, id, new, &unusable_hash, now, &actor)?;
            store::insert(conn, &merchant, &key.id, salt, hash)?;
            Ok(key)
        });
        let key = made.await?;
        self.known.follow_own_change().await;
        Ok(key)
    }

    /// The clerks of the merchant who work, in the order they were made.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_clerks(&self, merchant: MerchantId) -> Result<Vec<ApiKey>, AccessError> {
        Ok(self.database.read(move |conn| keys::list_clerks(conn, &merchant)).await?)
    }

    /// Ends that a clerk works: their sessions end here at once and on every replica within a second.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`] for what is no clerk of the merchant, or none any more, or the ledger's.
    pub async fn remove_clerk(&self, merchant: MerchantId, id: KeyId, actor: Actor) -> Result<ApiKey, AccessError> {
        self.revoke_key_of(store::find, merchant, id, actor).await
    }

    /// Lets a clerk whose PIN was wrong too often try again, at every desk, and with another PIN where one is given: then
    /// what they had signed in for ends, here at once and on every replica within a second. What was wrong with the key of
    /// a desk, of whichever clerk, goes on counting.
    ///
    /// # Errors
    /// As [`Directory::remove_clerk`].
    pub async fn reset_clerk(
        &self,
        merchant: MerchantId,
        id: KeyId,
        pin: Option<Pin>,
        actor: Actor,
    ) -> Result<(), AccessError> {
        let pin = match pin {
            Some(pin) => {
                let salt = PinSalt::new(&self.entropy);
                Some((salt, self.hash_of(&id, pin, salt).await?))
            }
            None => None,
        };
        let reset = self.ledger.change(move |conn, events| {
            if store::find(conn, &merchant, &id)?.is_none() {
                return Err(AccessError::UnknownKey);
            }
            store::forget_guesses(conn, &merchant, &id)?;
            if let Some(pin) = pin {
                store::update_pin(conn, &merchant, &id, pin)?;
                bump_epoch(conn, keys::EPOCH)?;
            }
            events.push(change::clerk_reset(&merchant, &id, pin.is_some(), actor));
            Ok(())
        });
        reset.await?;
        self.known.follow_own_change().await;
        Ok(())
    }

    /// Signs a clerk in at the key of a desk. Every try is counted before the PIN is looked at, so that many at once are
    /// no more than as many one by one.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        merchant: &MerchantId,
        desk: &KeyId,
        clerk: KeyId,
        pin: Pin,
    ) -> Result<SignedIn, SignInError> {
        let signed_in = self.try_sign_in(merchant, desk, clerk, pin).await;
        let outcome = match &signed_in {
            Ok(_) => "signed_in",
            Err(SignInError::WrongPin) => "wrong_pin",
            Err(SignInError::Locked { .. }) => "locked",
            Err(SignInError::UnknownClerk | SignInError::Database(_)) => return signed_in,
        };
        meters().desk_sign_ins.count([outcome]);
        signed_in
    }

    async fn try_sign_in(
        &self,
        merchant: &MerchantId,
        desk: &KeyId,
        clerk: KeyId,
        pin: Pin,
    ) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let attempt = PinAttempt { merchant: merchant.clone(), clerk: clerk.clone(), desk: desk.clone(), at: now };
        let counted = attempt.clone();
        let found = self.count_guess(move |conn| {
            let Some(found) = store::find(conn, &counted.merchant, &counted.clerk)? else { return Ok(None) };
            counted.take(conn).map(|locked| Some((found, locked)))
        });
        let (known, locked) = found.await?.ok_or(SignInError::UnknownClerk)?;
        if let Some(until) = locked {
            return Err(SignInError::Locked { until });
        }
        if !self.hash_of(&clerk, pin, known.salt).await?.is(&known.hash) {
            self.count_guess(move |conn| attempt.fail(conn)).await?;
            return Err(SignInError::WrongPin);
        }
        self.count_guess(move |conn| attempt.give_back(conn)).await?;
        let expires_at = Session::expiry(now);
        let session =
            Session { clerk, generation: known.generation, expires_at }.sign(|parts| self.blind(parts), merchant, desk);
        Ok(SignedIn { session, expires_at })
    }

    /// The clerk who acts with a caller's key, by the session that was sent: none where the merchant's desks have no
    /// clerks, and for every other role.
    ///
    /// # Errors
    /// [`ClerkRefused`] where a clerk must sign in, or has to again.
    pub async fn acting_clerk(
        &self,
        caller: &Principal,
        session: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<KeyId>, ClerkRefused> {
        let Some(merchant) = caller.merchant.as_ref().filter(|_| caller.role == Role::Desk) else {
            return if session.is_some() { Err(ClerkRefused::NoDesk) } else { Ok(None) };
        };
        let Some(text) = session else {
            let has_clerks = self.known.now().content.has_clerks(&merchant.id);
            return if has_clerks { Err(ClerkRefused::Missing) } else { Ok(None) };
        };
        let session = Session::read(text, |parts| self.blind(parts), &merchant.id, &caller.key, now);
        let session = session.ok_or(ClerkRefused::InvalidSession)?;
        let works = || self.known.now().content.is_clerk(&merchant.id, &session.clerk, session.generation);
        if !works() {
            // Perhaps made, or given the PIN, on another replica a moment ago.
            self.known.catch_up().await.map_err(|_| ClerkRefused::Unavailable)?;
        }
        if works() { Ok(Some(session.clerk)) } else { Err(ClerkRefused::InvalidSession) }
    }

    /// The hash of a PIN. It takes its time, so not on a worker of the doors.
    async fn hash_of(&self, clerk: &KeyId, pin: Pin, salt: PinSalt) -> Result<PinHash, DatabaseError> {
        let (context, clerk) = (self.ledger.context().clone(), clerk.clone());
        // One after another: many at once would leave the checks no core.
        let _turn = HASHING.acquire().await.map_err(|_| DatabaseError::Interrupted)?;
        let hashed = tokio::task::spawn_blocking(move || {
            PinHash::of(&pin, salt, |pin| context.keyring.blind(&[b"pin\0", clerk.as_str().as_bytes(), b"\0", pin]))
        });
        hashed.await.map_err(|_| DatabaseError::Interrupted)
    }
}
