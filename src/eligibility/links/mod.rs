//! Links by which the person of a check sees its answer: the check's id, and a keyed hash of it. Nothing of them is stored,
//! so that every replica knows them, and a retry gets the same one.
//!
//! The hash is held to before anything is looked up: who tries links out costs the database nothing, and of those that are
//! bent, invented or too old nobody learns which.

pub mod own;

use std::sync::Arc;

use aws_lc_rs::constant_time;
use jiff::{SignedDuration, Timestamp};

use crate::access::{Directory, Merchant};
use crate::foundation::clock::Clock;
use crate::foundation::ids::CheckId;
use crate::foundation::subject::hex;
use crate::keyring::Keyring;
use crate::ledger::{Ledger, LedgerError};

/// The time for which a link is good, from its check on.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The bytes of the hash that stand in a link.
const PROOF_BYTES: usize = 16;

/// Makes links and follows them. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub(crate) base: Option<Arc<str>>,
    pub(crate) keyring: Keyring,
    pub(crate) directory: Directory,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
}

/// The check that a link leads to.
#[derive(Debug, Clone)]
pub struct Linked {
    pub merchant: Arc<Merchant>,
    pub check: CheckId,
    /// When the link leads nowhere any more.
    pub expires_at: Timestamp,
}

impl Links {
    /// The address for the person of a check, as long as it is good; none where the settings name no base.
    #[must_use]
    pub fn address(&self, check: &CheckId) -> Option<String> {
        let base = self.base.as_ref()?;
        self.expiry(check).map(|_| format!("{base}/my/{}", self.text(check)))
    }

    /// The check of a link; none of one that is bent, invented or too old.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, text: &str) -> Result<Option<Linked>, LedgerError> {
        let check = text.split('.').next().and_then(|check| check.parse::<CheckId>().ok());
        let Some(check) = check else { return Ok(None) };
        let is_ours = constant_time::verify_slices_are_equal(self.text(&check).as_bytes(), text.as_bytes()).is_ok();
        let Some(expires_at) = self.expiry(&check).filter(|_| is_ours) else { return Ok(None) };
        let merchant = self.ledger.reader().merchant_of(&check).await?;
        let merchant = merchant.and_then(|merchant| self.directory.merchant(&merchant));
        Ok(merchant.map(|merchant| Linked { merchant, check, expires_at }))
    }

    /// The link in what was scanned, where that is the address of a person's page, no matter who made it.
    #[must_use]
    pub fn scanned(text: &str) -> Option<&str> {
        let (before, link) = text.trim().split_once("/my/")?;
        let is_address = before.starts_with("https://") || before.starts_with("http://");
        link.split(['/', '?', '#']).next().filter(|_| is_address)
    }

    fn text(&self, check: &CheckId) -> String {
        let hash = self.keyring.blind(&[b"link of a person\0", check.as_str().as_bytes()]);
        format!("{check}.{}", hex(hash.get(..PROOF_BYTES).unwrap_or(&hash)))
    }

    /// When the link of a check ends, unless it has: an id says when it was made.
    fn expiry(&self, check: &CheckId) -> Option<Timestamp> {
        let expires_at = check.made_at()?.checked_add(GOOD_FOR).ok()?;
        (self.clock.now() < expires_at).then_some(expires_at)
    }
}
