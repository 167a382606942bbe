//! Sessions of the console: who is logged in, for how long, and under which token.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::name::AccountName;
use super::store::SessionRow;
use super::token::TokenHash;
use crate::access::Principal;
use crate::foundation::clock::from_micros;

/// A session that was not used for so long has ended.
pub const IDLE: SignedDuration = SignedDuration::from_mins(30);
/// However much it is used, a session ends.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(12);
/// Uses are noted once in so long: a page costs no write.
pub(super) const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Someone who is logged in.
#[derive(Clone)]
pub struct Session {
    /// The caller, under the key of the account.
    pub principal: Arc<Principal>,
    pub account: AccountName,
    /// The name that events and others call them by: their key's label.
    pub label: String,
    pub began_at: Timestamp,
    /// The text that a form of this session must bring, so that no other page can send one: a part of the session's own,
    /// and one of the account, by which a form of an earlier session is known to be its person's.
    pub form_token: String,
    pub(super) token: TokenHash,
}

/// The part of a form's token that every session of an account has; none in what is no such token.
#[must_use]
pub fn account_part(form_token: &str) -> Option<&str> {
    let (_, part) = form_token.split_once('.')?;
    (part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit())).then_some(part)
}

/// Its tokens are shown in no log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.principal.key).finish_non_exhaustive()
    }
}

/// A session of an account as it is shown to its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSession {
    pub began_at: Timestamp,
    pub used_at: Timestamp,
    /// It is the one that asks.
    pub is_own: bool,
}

/// Tells whether a session goes on at `now`.
pub(super) fn lasts(row: &SessionRow, now: Timestamp) -> bool {
    let since = |micros: i64| now.duration_since(from_micros(micros));
    since(row.used_at) < IDLE && since(row.began_at) < LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_idle_or_old() {
        let row = |began_at: i64, used_at: i64| {
            let micros = |minutes: i64| minutes * 60 * 1_000_000;
            SessionRow {
                token_hash: Vec::new(),
                key_id: String::new(),
                began_at: micros(began_at),
                used_at: micros(used_at),
            }
        };
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        assert!(lasts(&row(0, 0), at(29)));
        assert!(!lasts(&row(0, 0), at(30)));
        assert!(lasts(&row(0, 719), at(719)));
        assert!(!lasts(&row(0, 719), at(720)));
    }
}
