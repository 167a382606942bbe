//! Logging in by a provider of OpenID Connect. What a log-in is known by (`state`, `nonce`, the verifier of its code) is made
//! of a secret that the browser which began it holds in a cookie, and of the gateway's own key: another browser has none of
//! it, and nothing is stored before someone is logged in.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};

use super::error::LogInError;
use super::log_in::begin;
use super::second_factor::{self, TypedCode};
use super::store::{self, AccountRow};
use super::subject::{self, Subject};
use super::token::SecretToken;
use crate::access::directory::Directory;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_seconds;
use crate::foundation::ids::KeyId;
use crate::foundation::subject::hex;
use crate::telemetry::meters;

/// How long a log-in waits for the provider's answer.
pub const LASTS: SignedDuration = SignedDuration::from_mins(10);
/// The longest address that a log-in comes back to; a longer one is forgotten.
const LONGEST_WANTED: usize = 512;
/// The longest state that is looked at.
const LONGEST_STATE: usize = 1024;

/// A log-in that a browser has begun.
pub struct Opened {
    /// The text that comes back with the provider's answer.
    pub state: String,
    /// The text that stands in the provider's token.
    pub nonce: String,
    /// The text that proves that the code is asked for by who began.
    pub verifier: String,
    pub begun: Timestamp,
    /// The address to come back to.
    pub wanted: Option<String>,
}

/// The outcome of a provider's word.
pub enum ByProvider {
    LoggedIn(SecretToken),
    /// The account's own second factor is asked for too: the text goes with the form.
    AsksCode(String),
    /// No account is linked to the subject, or it is suspended.
    Unlinked,
    /// Someone was logged in by it already.
    Taken,
}

impl Opened {
    fn hash(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, self.state.as_bytes()).as_ref()) {
            *to = *from;
        }
        out
    }

    /// The instant from which it could not be taken again anyway.
    fn until(&self) -> i64 {
        self.begun.checked_add(LASTS).unwrap_or(Timestamp::MAX).as_microsecond()
    }
}

impl Directory {
    /// Begins a log-in; the secret is for the browser's cookie.
    #[must_use]
    pub fn open_by_provider(&self, wanted: Option<&str>) -> (SecretToken, Opened) {
        let browser = SecretToken::new(&self.entropy);
        let wanted = wanted.filter(|wanted| wanted.len() <= LONGEST_WANTED).unwrap_or_default();
        let once = hex(&self.entropy.bytes::<16>());
        let begun = self.clock.now().as_second();
        let said = BASE64.encode(format!("{begun} {once} {wanted}"));
        let state = format!("{said}.{}", self.sealed(b"log-in by a provider\0", &browser, &said));
        let opened = self.opened(&browser, state, begun, wanted);
        (browser, opened)
    }

    /// The log-in of a state that came back to this browser, while it lasts; none where another browser began it.
    #[must_use]
    pub fn opened_by_provider(&self, browser: &SecretToken, state: &str) -> Option<Opened> {
        let (said, seal) = state.split_once('.').filter(|_| state.len() <= LONGEST_STATE)?;
        let wanted = self.sealed(b"log-in by a provider\0", browser, said);
        constant_time::verify_slices_are_equal(seal.as_bytes(), wanted.as_bytes()).ok()?;
        let said = String::from_utf8(BASE64.decode(said).ok()?).ok()?;
        let mut parts = said.splitn(3, ' ');
        let begun = parts.next()?.parse::<i64>().ok()?;
        let wanted = parts.nth(1)?;
        let opened = self.opened(browser, state.to_owned(), begun, wanted);
        let age = self.clock.now().duration_since(opened.begun);
        (!age.is_negative() && age < LASTS).then_some(opened)
    }

    fn opened(&self, browser: &SecretToken, state: String, begun: i64, wanted: &str) -> Opened {
        Opened {
            nonce: self.sealed(b"nonce of a log-in\0", browser, &state),
            verifier: self.sealed(b"verifier of a log-in\0", browser, &state),
            begun: from_seconds(begun),
            wanted: (!wanted.is_empty()).then(|| wanted.to_owned()),
            state,
        }
    }

    fn sealed(&self, label: &[u8], browser: &SecretToken, text: &str) -> String {
        BASE64.encode(self.blind(&[label, &browser.hash(), text.as_bytes()]))
    }

    /// The text that says that a log-in came as far as the code of this account, which is linked to this subject.
    fn passed(&self, browser: &SecretToken, opened: &Opened, row: &AccountRow) -> String {
        let subject = row.subject_issuer.as_deref().zip(row.subject.as_deref());
        let (issuer, name) = subject.unwrap_or_default();
        let text = format!("{}\0{}\0{issuer}\0{name}", opened.state, row.key_id);
        format!("{}.{}", row.key_id, self.sealed(b"code of a log-in by a provider\0", browser, &text))
    }

    /// Logs in the account that is linked to a subject, once for each log-in that was begun.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_in_by_provider(
        &self,
        browser: &SecretToken,
        opened: &Opened,
        subject: &Subject,
        asks_code: bool,
    ) -> Result<ByProvider, DatabaseError> {
        let (asked, token) = (subject.clone(), SecretToken::new(&self.entropy));
        let (begun, now, once, until) = (token.clone(), self.clock.now(), opened.hash(), opened.until());
        let read = self.database.read(move |conn| subject::find(conn, &asked));
        let Some(row) = read.await? else {
            meters().console_log_ins.count(["refused"]);
            return Ok(ByProvider::Unlinked);
        };
        if asks_code && row.code_salt.is_some() {
            return Ok(ByProvider::AsksCode(self.passed(browser, opened, &row)));
        }
        let (subject, key) = (subject.clone(), row.key_id);
        let written = self.database.write(move |conn: &mut AnyConnection| {
            let held = store::lock(conn, &key)?.is_some();
            let found = subject::find(conn, &subject)?.filter(|row| held && row.key_id == key);
            // A second factor that was set up meanwhile is asked for when they begin again.
            if found.is_none_or(|row| asks_code && row.code_salt.is_some()) {
                return Ok(ByProvider::Unlinked);
            }
            if !subject::take(conn, &once, until)? {
                return Ok(ByProvider::Taken);
            }
            begin(conn, &key, &begun, now)?;
            Ok::<_, DatabaseError>(ByProvider::LoggedIn(begun))
        });
        let outcome = written.await?;
        let is_in = matches!(outcome, ByProvider::LoggedIn(_));
        meters().console_log_ins.count([if is_in { "logged_in" } else { "refused" }]);
        Ok(outcome)
    }

    /// Goes on with a log-in that the code of the account was asked of. Every try is counted as that of a password is.
    ///
    /// # Errors
    /// [`LogInError::Ended`] where it is over or was taken, [`LogInError::Code`], [`LogInError::Locked`], or the
    /// database's.
    pub async fn log_in_by_provider_and_code(
        &self,
        browser: &SecretToken,
        opened: &Opened,
        passed: &str,
        typed: Option<&TypedCode>,
        address: &str,
    ) -> Result<SecretToken, LogInError> {
        let key = passed.split('.').next().and_then(|key| key.parse::<KeyId>().ok()).ok_or(LogInError::Ended)?;
        let read = self.database.read({
            let key = key.clone();
            move |conn| store::find_by_key(conn, key.as_str())
        });
        let row = read.await?.ok_or(LogInError::Ended)?;
        let wanted = self.passed(browser, opened, &row);
        if constant_time::verify_slices_are_equal(passed.as_bytes(), wanted.as_bytes()).is_err() {
            return Err(LogInError::Ended);
        }
        let attempt = self.attempt(&row.name, address);
        let left = self.count_try(&attempt).await?;
        let now = self.clock.now();
        let factor = self.factor_of(&row).ok_or(LogInError::Ended)?;
        let Some(proof) = self.prove(&factor, typed, now) else { return Err(factor.refusal(left)) };
        let token = SecretToken::new(&self.entropy);
        let (begun, once, until, counted) = (token.clone(), opened.hash(), opened.until(), attempt.clone());
        let written = self.database.write(move |conn: &mut AnyConnection| {
            let held = store::lock(conn, key.as_str())?.filter(|held| {
                (&held.subject_issuer, &held.subject, &held.code_salt)
                    == (&row.subject_issuer, &row.subject, &row.code_salt)
            });
            let Some(held) = held else { return Ok(Err(LogInError::Ended)) };
            if let Err(recovery_only) = second_factor::take(conn, &held, &proof)? {
                // The code's failure is kept.
                return Ok(Err(LogInError::Code { left, recovery_only }));
            }
            if !subject::take(conn, &once, until)? {
                return Ok(Err(LogInError::Ended));
            }
            counted.clear(conn)?;
            begin(conn, key.as_str(), &begun, now)?;
            Ok::<_, DatabaseError>(Ok(()))
        });
        let outcome = match written.await {
            Ok(outcome) => outcome.map(|()| token),
            Err(error) => Err(LogInError::Database(error)),
        };
        let outcome = self.settle(&attempt, outcome).await;
        if !matches!(outcome, Err(LogInError::Busy | LogInError::Database(_))) {
            meters().console_log_ins.count([if outcome.is_ok() { "logged_in" } else { "refused" }]);
        }
        outcome
    }
}
