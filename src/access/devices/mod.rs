//! Screens in a browser: kiosks, desks and doors. A device acts under a key of its own that has no secret, so that events
//! and reports name it as they name every key, and is known by what its browser holds, of which a hash is stored.
//!
//! A device is made with a code, for ten minutes. Who types it into a browser proves nothing yet: the browser shows two
//! words, made of the code and of its own secret, and works once an admin has confirmed, within ten minutes, that they are
//! the ones on the screen in front of them.
//!
//! What a browser holds is one secret for good. Who copies it off the machine has the screen, beside it and unseen but for
//! the last look, until the device is signed off: a secret that changes would let a lost answer end a kiosk.
//!
//! - `code`: the code and the two words; `words`: which words there are; `store`: the rows; `seen`: when they were there

mod code;
pub(super) mod seen;
mod store;
mod words;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::store::DeviceRow;
use super::accounts::SecretToken;
use super::change;
use super::directory::Directory;
use super::error::{AccessError, Refused};
use super::key::{ApiKey, NewKey};
use super::principal::Principal;
use super::role::Role;
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantId, PerkSlug};
use crate::foundation::subject::hex;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::access::DeviceConfirmed;

pub use code::PairingCode;
pub(super) use store::{forget, list_confirmed, update_seen};

/// The roles that screens have.
pub const ROLES: [Role; 3] = [Role::Kiosk, Role::Desk, Role::Door];

/// The time for which a code can be typed, and then its words be confirmed.
pub const CODE_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The most devices of a merchant.
pub const MOST_DEVICES: i64 = 1_000;

/// Wrong codes with the same first half that end a code.
const MOST_WRONG: i64 = 10;

/// The status of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStatus {
    /// Nobody has typed its code.
    Waiting,
    /// Its code is over: nobody typed it in time, or confirmed its words.
    Expired,
    /// A browser shows two words that nobody has confirmed.
    Typed,
    /// It works.
    Paired,
}

impl DeviceStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Expired, Self::Typed, Self::Paired];

    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Typed => "typed",
            Self::Paired => "paired",
        }
    }
}

/// A device as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The key under which events name it.
    pub key: ApiKey,
    /// The perk that it is for; none where the merchant's only one is meant, or a door.
    pub perk: Option<PerkSlug>,
    /// The two words that its browser shows, once the code was typed.
    pub words: Option<String>,
    pub confirmed_at: Option<Timestamp>,
    /// To the minute.
    pub seen_at: Option<Timestamp>,
    /// The version of the page that it showed then.
    pub page: Option<String>,
    /// Until when its code can be typed, or its words be confirmed; none where too many wrong codes ended it.
    open_until: Option<Timestamp>,
}

impl Device {
    /// Its status at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> DeviceStatus {
        let is_open = self.open_until.is_some_and(|until| now < until);
        match (self.confirmed_at, &self.words) {
            (Some(_), _) => DeviceStatus::Paired,
            (None, _) if !is_open => DeviceStatus::Expired,
            (None, Some(_)) => DeviceStatus::Typed,
            (None, None) => DeviceStatus::Waiting,
        }
    }
}

/// The code of a new device; it is shown this once.
#[derive(Debug, Clone)]
pub struct NewCode {
    pub code: PairingCode,
    pub expires_at: Timestamp,
}

/// A screen whose browser was recognised.
#[derive(Debug, Clone)]
pub struct Screen {
    pub principal: Arc<Principal>,
    pub perk: Option<PerkSlug>,
    /// The proof that a request comes from a page that was made for this browser.
    pub page_token: String,
}

/// Why a browser was not paired.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// There is no such code, or it is over, or another browser typed it before: nobody learns which.
    #[error("the code is not known, or over")]
    WrongCode,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Directory {
    /// Makes a device: a key without a secret, with its event, and a code to type into its browser.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], or the ledger's.
    pub async fn create_device(
        &self,
        new: NewKey,
        perk: Option<PerkSlug>,
        actor: Actor,
    ) -> Result<(Device, NewCode), AccessError> {
        let now = self.clock.now();
        let mut errors = Vec::new();
        if !ROLES.contains(&new.role) {
            let detail = "screens are a `kiosk`, a `desk` or a `door`; the other roles are of machines and people";
            errors.push(FieldError::at("/role", "not_allowed", detail));
        } else if perk.is_some() && new.role == Role::Door {
            errors.push(FieldError::at("/perk", "not_allowed", "a door has an audience and no perk"));
        }
        let checked = new.check(now);
        let new = match checked {
            Ok(new) if errors.is_empty() => new,
            Ok(_) => return Err(AccessError::Unfit(errors)),
            Err(more) => return Err(AccessError::Unfit(errors.into_iter().chain(more).collect())),
        };
        let Some(merchant) = new.merchant.clone() else { return Err(AccessError::UnknownMerchant) };
        let (id, code) = (KeyId::new(now, &self.entropy), PairingCode::new(&self.entropy));
        let expires_at = now.saturating_add(CODE_FOR).unwrap_or(Timestamp::MAX);
        let row = DeviceRow {
            key_id: id.to_string(),
            merchant_id: merchant.to_string(),
            perk: perk.as_ref().map(ToString::to_string),
            code_half: code.half().to_owned(),
            code_hash: code.hash(|parts| self.blind(parts)).to_vec(),
            code_expires_at: expires_at.as_microsecond(),
            wrong_codes: 0,
            secret_hash: None,
            words: None,
            confirmed_at: None,
            seen_at: None,
            page: None,
        };
        // No text has this hash: it is as random as a key's own text.
        let unusable_hash = self.entropy.bytes::<32>();
        let made = self.ledger.change(move |conn, events| {
            if store::count(conn, &merchant)? >= MOST_DEVICES {
                let detail = format!("there are {MOST_DEVICES} devices, which is the most: sign one off first");
                return Err(AccessError::Unfit(vec![FieldError::at("/label", "too_many", detail)]));
            }
            let key = change::create_key(conn, events, id, new, &unusable_hash, now, &actor)?;
            store::insert(conn, &row)?;
            Ok(key)
        });
        let key = made.await?;
        self.known.follow_own_change().await;
        let device = Device {
            key,
            perk,
            words: None,
            confirmed_at: None,
            seen_at: None,
            page: None,
            open_until: Some(expires_at),
        };
        Ok((device, NewCode { code, expires_at }))
    }

    /// Takes the code that was typed into a browser which holds `secret`, and returns the two words to show: for ten more
    /// minutes. The same secret gets the same answer again, also when the code could not be typed any more; once one has
    /// typed it, the code is no other's.
    ///
    /// # Errors
    /// [`PairError`].
    pub async fn pair_device(&self, code: &str, secret: &SecretToken) -> Result<String, PairError> {
        let code = PairingCode::parse(code).ok_or(PairError::WrongCode)?;
        let (hash, secret) = (code.hash(|parts| self.blind(parts)), secret.hash());
        let words = code.words(&secret, |parts| self.blind(parts));
        let now = self.clock.now();
        let (until, now) =
            (now.saturating_add(CODE_FOR).unwrap_or(Timestamp::MAX).as_microsecond(), now.as_microsecond());
        let paired = self.database.write(move |conn: &mut AnyConnection| {
            let rows = store::lock_by_half(conn, &code)?;
            if let Some(own) = rows.iter().find(|row| row.was_typed_by(&hash, &secret)) {
                return Ok(own.is_open(now).then_some(words));
            }
            let rows: Vec<DeviceRow> = rows.into_iter().filter(|row| row.takes_codes(now)).collect();
            let Some(row) = store::with_code(&rows, &hash) else {
                store::count_wrong(conn, &rows)?;
                return Ok(None);
            };
            store::update_typed(conn, &row.key_id, &secret, (&words, until))?;
            Ok::<_, DatabaseError>(Some(words))
        });
        match paired.await {
            Ok(words) => words.ok_or(PairError::WrongCode),
            // Another device's browser holds this secret: a page makes one for each code.
            Err(DatabaseError::Duplicate(_)) => Err(PairError::WrongCode),
            Err(error) => Err(error.into()),
        }
    }

    /// The two words of a browser that typed a code and waits to be confirmed.
    ///
    /// # Errors
    /// The database's.
    pub async fn words_of_device(&self, secret: &SecretToken) -> Result<Option<String>, AccessError> {
        let (secret, now) = (secret.hash(), self.clock.now().as_microsecond());
        Ok(self.database.read(move |conn| store::find_waiting(conn, &secret, now)).await?)
    }

    /// Lets a device work whose browser shows these two words, with its event, within ten minutes after its code was typed:
    /// words that wait for longer may be of a browser that nobody sees any more. Confirming it again changes nothing.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`] for what is no device of the merchant, [`AccessError::Unfit`] where its browser shows
    /// other words, none, or for too long, or the ledger's.
    pub async fn confirm_device(
        &self,
        merchant: MerchantId,
        id: KeyId,
        words: &str,
        actor: Actor,
    ) -> Result<Device, AccessError> {
        let now = self.clock.now();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let confirmed = self.ledger.change(move |conn, events| {
            let row = store::lock(conn, &merchant, &id)?.ok_or(AccessError::UnknownKey)?;
            let unfit = |detail: &str| AccessError::Unfit(vec![FieldError::at("/words", "invalid_value", detail)]);
            let (Some(shown), Some(secret)) = (&row.words, &row.secret_hash) else {
                return Err(unfit("nobody has typed its code yet"));
            };
            if !row.is_open(now.as_microsecond()) {
                return Err(unfit("its code was typed too long ago: sign it off, and make another screen"));
            }
            if !code::is_same(shown.as_bytes(), words.as_bytes()) {
                return Err(unfit("its screen shows two other words: sign it off if it isn't yours"));
            }
            if row.confirmed_at.is_none() {
                store::update_confirmed(conn, &row.key_id, now.as_microsecond())?;
                bump_epoch(conn, super::store::EPOCH)?;
                let secret = hex(secret);
                let perk = row.perk.as_deref().map(Into::into);
                events.push(EventDraft {
                    log: LogOwner::Merchant(merchant.clone()),
                    kind: "device.confirmed",
                    about: row.key_id,
                    actor,
                    facts: WrittenFacts::of(&DeviceConfirmed { perk, secret_sha256: secret.into() }),
                    personal: None,
                });
            }
            store::find(conn, &merchant, &id)?.ok_or(AccessError::UnknownKey)
        });
        let device = confirmed.await?;
        self.known.follow_own_change().await;
        Ok(device)
    }

    /// The devices of the merchant that were not signed off, in the order they were made.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_devices(&self, merchant: MerchantId) -> Result<Vec<Device>, AccessError> {
        Ok(self.database.read(move |conn| store::list(conn, &merchant)).await?)
    }

    /// The device of the merchant with this id.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], for another merchant's too, or the database's.
    pub async fn find_device(&self, merchant: MerchantId, id: KeyId) -> Result<Device, AccessError> {
        let found = self.database.read(move |conn| store::find(conn, &merchant, &id)).await?;
        found.ok_or(AccessError::UnknownKey)
    }

    /// Signs a device off, here at once and on every replica within a second.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`] for what is no device of the merchant, or none any more, or the ledger's.
    pub async fn remove_device(&self, merchant: MerchantId, id: KeyId, actor: Actor) -> Result<ApiKey, AccessError> {
        self.revoke_key_of(store::find, merchant, id, actor).await
    }

    /// The screen whose browser holds `secret`, as far as the snapshot knows. No I/O.
    ///
    /// # Errors
    /// [`Refused`]; `Unknown` is worth a question to the database: [`Directory::authenticate_device`].
    pub fn recognize_device(&self, secret: &SecretToken, now: Timestamp) -> Result<Screen, Refused> {
        let hash = secret.hash();
        let (principal, perk) = self.known.now().content.recognize_device(&hash, now)?;
        let page_token = hex(&self.blind(&[b"page of a device\0", &hash]));
        Ok(Screen { principal, perk, page_token })
    }

    /// [`Directory::recognize_device`], and once more after the snapshot has caught up if it is unknown.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn authenticate_device(&self, secret: &SecretToken, now: Timestamp) -> Result<Screen, Refused> {
        match self.recognize_device(secret, now) {
            Err(Refused::Unknown) => {
                self.known.catch_up().await.map_err(|_| Refused::Unchecked)?;
                self.recognize_device(secret, now)
            }
            known => known,
        }
    }

    /// Notes that a device is there, and which version of its page it shows; [`Directory::write_uses`] writes it.
    pub fn note_device(&self, merchant: MerchantId, key: KeyId, page: &str) {
        self.seen.note(key, merchant, self.clock.now(), page);
    }
}
