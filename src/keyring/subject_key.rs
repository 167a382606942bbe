//! The secrets that keep people nameless: the gateway's hash key, and the one that each subject has.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::hmac;
use secrecy::zeroize::Zeroizing;

use super::KeyringError;
use super::cache_key::CacheKey;
use super::seal::{SealKey, mac};
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{EventId, MerchantId};
use crate::foundation::subject::{Pseudonym, SubjectHandle, SubjectRef};

/// The gateway's hash key and the keys derived from it. It is never rotated: every score and
/// counter is kept under what it makes.
pub(super) struct HashKey {
    mac: hmac::Key,
    subjects: SealKey,
    outcomes: SealKey,
    cache: CacheKey,
}

impl HashKey {
    pub(super) fn new(secret: &Zeroizing<[u8; 32]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
        Self {
            subjects: SealKey::new(mac(&key, &[b"perkgate subjects v1\0"])),
            outcomes: SealKey::new(mac(&key, &[b"perkgate outcomes v1\0"])),
            cache: CacheKey::new(&mac(&key, &[b"perkgate score cache v1\0"])),
            mac: key,
        }
    }

    pub(super) fn subject_ref(&self, merchant: &MerchantId, handle: &SubjectHandle) -> SubjectRef {
        let parts: [&[u8]; 4] =
            [b"perkgate subject ref v1\0", merchant.as_str().as_bytes(), b"\0", handle.as_str().as_bytes()];
        SubjectRef(*mac(&self.mac, &parts))
    }

    pub(super) fn blind(&self, parts: &[&[u8]]) -> [u8; 32] {
        let labelled: Vec<&[u8]> =
            std::iter::once(&b"perkgate blinded v1\0"[..]).chain(parts.iter().copied()).collect();
        *mac(&self.mac, &labelled)
    }

    pub(super) fn cache_key(&self) -> CacheKey {
        self.cache.clone()
    }

    pub(super) fn new_subject(
        &self,
        merchant: &MerchantId,
        subject: &SubjectRef,
        handle: &SubjectHandle,
        entropy: &Entropy,
    ) -> (SubjectSecret, Vec<u8>) {
        let secret = SubjectSecret::new(Zeroizing::new(entropy.bytes()), handle.clone());
        let mut plaintext = Zeroizing::new(Vec::with_capacity(32 + handle.as_str().len()));
        plaintext.extend_from_slice(secret.bytes.as_slice());
        plaintext.extend_from_slice(handle.as_str().as_bytes());
        let sealed = self.subjects.seal(&subject_aad(merchant, subject), &plaintext, entropy);
        (secret, sealed)
    }

    pub(super) fn open_subject(
        &self,
        merchant: &MerchantId,
        subject: &SubjectRef,
        sealed: &[u8],
    ) -> Result<SubjectSecret, KeyringError> {
        let unreadable = KeyringError::Unreadable { what: "subject" };
        let Ok(plaintext) = self.subjects.open(&subject_aad(merchant, subject), sealed) else { return Err(unreadable) };
        let Some((bytes, handle)) = plaintext.split_first_chunk::<32>() else { return Err(unreadable) };
        // As it stands: the build that sealed it may have had another form for it.
        let Ok(handle) = std::str::from_utf8(handle) else { return Err(unreadable) };
        Ok(SubjectSecret::new(Zeroizing::new(*bytes), SubjectHandle::stored(handle.to_owned())))
    }

    pub(super) fn seal_outcome(&self, aad: &[u8], plaintext: &[u8], entropy: &Entropy) -> Vec<u8> {
        self.outcomes.seal(aad, plaintext, entropy)
    }

    pub(super) fn open_outcome(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        self.outcomes.open(aad, sealed).map_err(|_| KeyringError::Unreadable { what: "idempotent outcome" })
    }
}

fn subject_aad(merchant: &MerchantId, subject: &SubjectRef) -> Vec<u8> {
    let mut aad = merchant.as_str().as_bytes().to_vec();
    aad.push(0);
    aad.extend_from_slice(&subject.0);
    aad
}

/// The tie between a person and their events: a random secret and the handle it is kept with. Once its
/// row is destroyed, the pseudonym is nobody's and the sealed fields can't be opened.
pub struct SubjectSecret {
    bytes: Zeroizing<[u8; 32]>,
    handle: SubjectHandle,
    /// Derived when it is first needed: someone who is remembered has many events.
    event_key: OnceLock<SealKey>,
}

impl SubjectSecret {
    const fn new(bytes: Zeroizing<[u8; 32]>, handle: SubjectHandle) -> Self {
        Self { bytes, handle, event_key: OnceLock::new() }
    }

    /// The name: personal; never log it.
    #[must_use]
    pub const fn handle(&self) -> &SubjectHandle {
        &self.handle
    }

    /// The pseudonym of the person in this merchant's events and tokens.
    #[must_use]
    pub fn pseudonym(&self, merchant: &MerchantId) -> Pseudonym {
        let mac = mac(&self.hmac_key(), &[b"perkgate pseudonym v1\0", merchant.as_str().as_bytes()]);
        let mut half = [0; 16];
        half.iter_mut().zip(mac.iter()).for_each(|(to, from)| *to = *from);
        Pseudonym::from_bytes(&half)
    }

    /// Seals the personal fields of one event: 41 bytes more than `plaintext`.
    #[must_use]
    pub fn seal(&self, event: &EventId, plaintext: &[u8], entropy: &Entropy) -> Vec<u8> {
        self.event_key().seal(event.as_str().as_bytes(), plaintext, entropy)
    }

    /// The personal fields of one event.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] when they are another event's or another person's, or changed.
    pub fn open(&self, event: &EventId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        self.event_key()
            .open(event.as_str().as_bytes(), sealed)
            .map_err(|_| KeyringError::Unreadable { what: "event's personal field" })
    }

    /// Seals something that is held on the person beside their events; `purpose` tells it from all else.
    #[must_use]
    pub fn seal_held(&self, purpose: &[u8], plaintext: &[u8], entropy: &Entropy) -> Vec<u8> {
        self.held_key().seal(purpose, plaintext, entropy)
    }

    /// Opens what [`SubjectSecret::seal_held`] sealed.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] when it is another person's or for another purpose, or changed.
    pub fn open_held(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        self.held_key().open(purpose, sealed).map_err(|_| KeyringError::Unreadable { what: "held on a person" })
    }

    /// The hashes of what names others in what is kept of this person.
    #[must_use]
    pub fn blinder(&self) -> SubjectBlinder {
        let key = mac(&self.hmac_key(), &[b"perkgate blinded of a subject v1\0"]);
        SubjectBlinder(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    fn held_key(&self) -> SealKey {
        SealKey::new(mac(&self.hmac_key(), &[b"perkgate held v1\0"]))
    }

    fn event_key(&self) -> &SealKey {
        self.event_key.get_or_init(|| SealKey::new(mac(&self.hmac_key(), &[b"perkgate event v1\0"])))
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_slice())
    }
}

/// Keyed hashes under one person's secret: nobody can join two people by them, and they mean nothing once it is destroyed.
pub struct SubjectBlinder(hmac::Key);

impl SubjectBlinder {
    /// The hash of `value`; `purpose` is a label that ends in NUL and is no prefix of another.
    #[must_use]
    pub fn hash(&self, purpose: &[u8], value: &[u8]) -> [u8; 16] {
        let mac = mac(&self.0, &[purpose, value]);
        let mut half = [0; 16];
        half.iter_mut().zip(mac.iter()).for_each(|(to, from)| *to = *from);
        half
    }
}

impl fmt::Debug for SubjectSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn merchant(seed: u64) -> MerchantId {
        MerchantId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(seed))
    }

    fn hash_key(byte: u8) -> HashKey {
        HashKey::new(&Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_reference_is_the_merchants_and_the_persons_and_frozen() {
        let ada: SubjectHandle = "twitter:ada".parse().unwrap();
        let mine = hash_key(1).subject_ref(&merchant(1), &ada);
        assert_eq!(hash_key(1).subject_ref(&merchant(1), &"Twitter:Ada".parse().unwrap()), mine);
        assert_ne!(hash_key(1).subject_ref(&merchant(2), &ada), mine);
        assert_ne!(hash_key(2).subject_ref(&merchant(1), &ada), mine);
        assert_ne!(hash_key(1).subject_ref(&merchant(1), &"twitter:adb".parse().unwrap()), mine);
        // Every stored score hangs on this; the digest was made by another implementation.
        let fixed: MerchantId = "mer_00000000000070008000000000000001".parse().unwrap();
        assert_eq!(
            hash_key(1).subject_ref(&fixed, &ada).to_string(),
            "3d9c7e78771e4ecb88298a6b9bba0d923a14fac5b9ebefd0e020cb2ad63a86cd"
        );
    }

    #[test]
    fn a_subject_opens_under_its_own_merchant_and_reference_only() {
        let (entropy, key, ada) = (Entropy::seeded(1), hash_key(1), "twitter:ada".parse().unwrap());
        let subject = key.subject_ref(&merchant(1), &ada);
        let (secret, sealed) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        let opened = key.open_subject(&merchant(1), &subject, &sealed).unwrap();
        assert_eq!(opened.handle(), &ada);
        assert_eq!(opened.pseudonym(&merchant(1)), secret.pseudonym(&merchant(1)));
        assert_ne!(secret.pseudonym(&merchant(2)), secret.pseudonym(&merchant(1)));
        assert!(key.open_subject(&merchant(2), &subject, &sealed).is_err());
        assert!(key.open_subject(&merchant(1), &SubjectRef([0; 32]), &sealed).is_err());
        assert!(hash_key(2).open_subject(&merchant(1), &subject, &sealed).is_err());
        assert!(!sealed.windows(3).any(|part| part == b"ada"));
        let (again, _) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        assert_ne!(again.pseudonym(&merchant(1)), secret.pseudonym(&merchant(1)), "a new secret is a new nobody");
        assert_eq!(format!("{secret:?}"), "SubjectSecret(…)");
    }

    #[test]
    fn personal_fields_open_for_their_event_and_person_only() {
        let (entropy, key, ada) = (Entropy::seeded(1), hash_key(1), "twitter:ada".parse().unwrap());
        let subject = key.subject_ref(&merchant(1), &ada);
        let (secret, _) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        let (other, _) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        let event = |seed| EventId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(seed));
        let sealed = secret.seal(&event(1), b"{\"terminal\":\"A\"}", &entropy);
        assert_eq!(secret.open(&event(1), &sealed).unwrap().as_slice(), b"{\"terminal\":\"A\"}");
        assert!(secret.open(&event(2), &sealed).is_err());
        assert!(other.open(&event(1), &sealed).is_err());
    }

    #[test]
    fn what_is_held_beside_events_is_one_person_s_and_for_one_purpose() {
        let (entropy, key, ada) = (Entropy::seeded(1), hash_key(1), "twitter:ada".parse().unwrap());
        let subject = key.subject_ref(&merchant(1), &ada);
        let (secret, _) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        let (other, _) = key.new_subject(&merchant(1), &subject, &ada, &entropy);
        let sealed = secret.seal_held(b"account", b"did:plc:1", &entropy);
        assert_eq!(secret.open_held(b"account", &sealed).unwrap().as_slice(), b"did:plc:1");
        assert!(secret.open_held(b"other", &sealed).is_err() && other.open_held(b"account", &sealed).is_err());
        let hash = |secret: &SubjectSecret, purpose| secret.blinder().hash(purpose, b"ann");
        assert_eq!(hash(&secret, b"by\0"), hash(&secret, b"by\0"));
        assert_ne!(hash(&secret, b"by\0"), hash(&secret, b"object\0"));
        assert_ne!(hash(&secret, b"by\0"), hash(&other, b"by\0"), "two people have no engager in common");
    }

    #[test]
    fn an_outcome_opens_for_its_own_question_and_not_as_a_subject() {
        let (entropy, key) = (Entropy::seeded(1), hash_key(1));
        let sealed = key.seal_outcome(b"question", b"answer", &entropy);
        assert_eq!(key.open_outcome(b"question", &sealed).unwrap().as_slice(), b"answer");
        assert!(key.open_outcome(b"another", &sealed).is_err());
        let subject = SubjectRef([1; 32]);
        let (_, row) = key.new_subject(&merchant(1), &subject, &"ada".parse().unwrap(), &entropy);
        assert!(key.open_outcome(&subject_aad(&merchant(1), &subject), &row).is_err());
    }
}
