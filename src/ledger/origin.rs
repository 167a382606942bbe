//! The name of a log in its checkpoints, and the name under which its key signs them.
//!
//! C2SP (tlog-checkpoint, signed-note) asks for an origin that looks like a URL without its scheme, and for a key
//! that bears the same name. So a log's origin is the gateway's, a slash and the log's own name, and each log has a
//! verifier key line of its own, though one key signs them all. Logs of earlier builds keep their origin, which
//! is `perkgate/` and their id, and the one name that the key had for all of them: receipts that are out
//! name both.

use crate::tlog::note::{Checkpoint, NoteError, VerifierKey, VerifierKeyError};

/// The origin of the logs that earlier builds made.
#[must_use]
pub fn legacy(log_id: &str) -> String {
    format!("perkgate/{log_id}")
}

/// The name of the log of this origin, unless an earlier build made it: those are named after nobody.
#[must_use]
pub fn name_in(origin: &str) -> Option<&str> {
    const LEGACY: &str = "perkgate/log_";
    origin.rsplit('/').next().filter(|_| !origin.starts_with(LEGACY))
}

/// The origin of a new log. A plus sign would end the name in a verifier key line.
#[must_use]
pub fn new(gateway: &str, log: &str) -> String {
    format!("{gateway}/{log}").replace('+', "%2B")
}

/// The key under the name that it signs this log with. `legacy_key` is the same one as the logs of earlier builds know
/// it.
///
/// # Errors
/// [`VerifierKeyError::Name`], when no key can be called as this log is.
pub fn verifier(origin: &str, log_id: &str, legacy_key: &VerifierKey) -> Result<VerifierKey, VerifierKeyError> {
    if origin == legacy(log_id) { Ok(legacy_key.clone()) } else { VerifierKey::new(origin, *legacy_key.public_key()) }
}

/// Those of `trusted` that may sign the log of this origin. A key that is named like an origin signs that log alone,
/// though the same secret signs others: a client that trusts it asked for that log. One of the older name
/// signs every log of its gateway, whichever name it bears there.
#[must_use]
pub fn keys_of(origin: &str, trusted: &[VerifierKey]) -> Vec<VerifierKey> {
    let (named, legacy): (Vec<&VerifierKey>, Vec<&VerifierKey>) =
        trusted.iter().partition(|key| key.name().contains('/'));
    let own = named.into_iter().filter(|key| key.name() == origin).cloned();
    let renamed = legacy.iter().filter_map(|key| VerifierKey::new(origin, *key.public_key()).ok());
    own.chain(renamed).chain(legacy.iter().copied().cloned()).collect()
}

/// The content of a note of any log, once a key that is trusted for that log is known to have signed it.
///
/// # Errors
/// As [`Checkpoint::open`].
pub fn open(note: &str, trusted: &[VerifierKey]) -> Result<Checkpoint, NoteError> {
    // Which keys may have signed it follows from what it says; it is believed only once one of them has.
    let origin = Checkpoint::unverified(note)?.origin;
    Checkpoint::open(note, &keys_of(&origin, trusted))
}

/// The remedy where no trusted key is of a log: it may only be newer than the keys that someone kept.
pub const KEYS_AGAIN: &str = "if that log was made after the file of keys was, write the file again: \
                              `curl -s https://GATEWAY/.well-known/log-keys -o log-keys.json`; if not, this is another \
                              log than the one you know";

/// The reason for which a note proves nothing: a log that no trusted key is of, which may only be new, is distinguished
/// from one that another key has signed.
#[must_use]
pub fn reason(error: NoteError, note: &str, trusted: &[VerifierKey]) -> String {
    match Checkpoint::unverified(note) {
        Ok(Checkpoint { origin, .. }) if error == NoteError::UnknownKey && keys_of(&origin, trusted).is_empty() => {
            format!("no trusted key is of the log `{origin}`; {KEYS_AGAIN}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::ids::MerchantSlug;

    #[test]
    fn an_origin_is_a_key_name() {
        for gateway in ["perks.example.com", "127.0.0.1:8080", "[::1]:8080", "gate.example/a+b", "localhost/perks"] {
            for slug in ["cathay", "a-1", &"a".repeat(63)] {
                assert!(slug.parse::<MerchantSlug>().is_ok());
                let origin = new(gateway, slug);
                let key = VerifierKey::new(&origin, [1; 32]).unwrap();
                assert_eq!(key.to_string().parse::<VerifierKey>(), Ok(key.clone()));
                assert_eq!(keys_of(&origin, std::slice::from_ref(&key)), [key]);
            }
        }
        assert_eq!(new("gate.example/a+b", "cathay"), "gate.example/a%2Bb/cathay");
    }

    #[test]
    fn a_key_signs_the_log_that_it_is_named_after_and_an_older_one_all() {
        let key = |name: &str| VerifierKey::new(name, [1; 32]).unwrap();
        let (older, cathay, qantas) =
            (key("perkgate-1f0e9d8c"), key("gate.example/cathay"), key("gate.example/qantas"));
        assert_eq!(verifier("perkgate/log_1", "log_1", &older), Ok(older.clone()));
        assert_eq!(verifier("gate.example/cathay", "log_1", &older), Ok(cathay.clone()));
        assert_eq!(verifier("perkgate/log_2", "log_1", &older), Ok(key("perkgate/log_2")), "another log's");
        assert!(verifier("a b", "log_1", &older).is_err());
        let both = [cathay.clone(), qantas];
        assert_eq!(keys_of("gate.example/cathay", &both), std::slice::from_ref(&cathay));
        assert_eq!(keys_of("perkgate/log_1", &both), []);
        assert_eq!(keys_of("gate.example/cathay", std::slice::from_ref(&older)), [cathay, older]);
    }
}
