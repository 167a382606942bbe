//! Log-ins by a provider of OpenID Connect: the authorization code flow with PKCE. The provider is asked at its own
//! addresses only, follows no redirect, and is given up after a bounded time.
//!
//! - `discovery`: where it is asked what; `id_token`: how its word is checked

mod discovery;
pub mod id_token;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use self::discovery::Places;
use self::id_token::{Expected, Header, IdTokenError};
use super::in_full;
use super::trusted::{TrustedError, client, read_bounded};
use crate::foundation::clock::Clock;

/// The most bytes of an answer of a provider.
const MOST: usize = 256 * 1024;
/// Most keys of a provider.
const MOST_KEYS: usize = 100;
/// How long a provider's document is kept.
const PLACES_LAST: SignedDuration = SignedDuration::from_hours(1);
/// How long its keys are kept: a key that it withdraws is taken for no longer.
const KEYS_LAST: SignedDuration = SignedDuration::from_mins(10);
/// How soon they are asked for again where a token names one that is not among them.
const KEYS_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// A provider, and who we are to it.
#[derive(Debug, Clone)]
pub struct Registration {
    pub issuer: String,
    pub client: String,
    /// None for a client that has none: PKCE alone binds its code.
    pub secret: Option<SecretString>,
    /// The address that it sends people back to.
    pub redirect: String,
    /// How long one log-in may ask it for.
    pub patience: Duration,
}

/// One log-in as it began.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    pub state: &'a str,
    pub nonce: &'a str,
    /// The text of which the provider sees a hash first, and the whole with the code.
    pub verifier: &'a str,
    pub begun: Timestamp,
}

/// Why a provider's word was not had, or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It can't be reached, is too slow, or answers what can't be read.
    #[error("the provider can't be asked: {0}")]
    Away(String),
    /// The code is over, was used, or is another's.
    #[error("the provider did not take the code")]
    Code,
    #[error("the provider's token is not believed: {0}")]
    Token(#[from] IdTokenError),
    /// The answer is of another provider.
    #[error("the answer is of another issuer")]
    Issuer,
}

impl From<TrustedError> for ProviderError {
    fn from(error: TrustedError) -> Self {
        Self::Away(error.to_string())
    }
}

/// A provider, with what it published.
pub struct Provider {
    registration: Registration,
    clock: Clock,
    places: Mutex<Option<(Timestamp, Arc<Places>)>>,
    keys: Mutex<Option<(Timestamp, Arc<[Value]>)>>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    /// The provider; nothing is asked yet.
    #[must_use]
    pub fn new(registration: Registration, clock: Clock) -> Self {
        Self { registration, clock, places: Mutex::default(), keys: Mutex::default() }
    }

    /// The issuer, under which its subjects are known.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// The address at which a person logs in.
    ///
    /// # Errors
    /// [`ProviderError::Away`].
    pub async fn authorization(&self, challenge: &Challenge<'_>) -> Result<String, ProviderError> {
        let places = self.in_time(self.places()).await?;
        let mut address = places.authorization.clone();
        let hash = digest::digest(&digest::SHA256, challenge.verifier.as_bytes());
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("client_id", &self.registration.client)
            .append_pair("redirect_uri", &self.registration.redirect)
            .append_pair("state", challenge.state)
            .append_pair("nonce", challenge.nonce)
            .append_pair("code_challenge", &BASE64URL.encode(hash))
            .append_pair("code_challenge_method", "S256");
        Ok(address.into())
    }

    /// The subject who logged in, by the code that they came back with; `issuer` is who the answer says it is of.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn subject(
        &self,
        code: &str,
        issuer: Option<&str>,
        challenge: &Challenge<'_>,
    ) -> Result<String, ProviderError> {
        self.in_time(async {
            let places = self.places().await?;
            // Where someone mixes providers up, the answer of one is not taken as another's.
            if issuer.map_or(places.names_itself, |issuer| issuer != self.registration.issuer) {
                return Err(ProviderError::Issuer);
            }
            let token = self.exchange(&places, code, challenge.verifier).await?;
            let header = Header::of(&token)?;
            let key = self.key(&places, &header).await?.ok_or(IdTokenError::UnknownKey)?;
            let expected = Expected {
                issuer: &self.registration.issuer,
                client: &self.registration.client,
                nonce: challenge.nonce,
                begun: challenge.begun,
                now: self.clock.now(),
            };
            Ok(header.verify(&token, &key, &expected)?)
        })
        .await
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
        let late = |_| ProviderError::Away("it took too long".to_owned());
        tokio::time::timeout(self.registration.patience, asked).await.map_err(late)?
    }

    async fn places(&self) -> Result<Arc<Places>, ProviderError> {
        let mut kept = self.places.lock().await;
        let now = self.clock.now();
        if let Some((at, places)) = kept.as_ref()
            && now.duration_since(*at) < PLACES_LAST
        {
            return Ok(places.clone());
        }
        let address = discovery::address_of(&self.registration.issuer);
        let address = Url::parse(&address).map_err(|_| ProviderError::Away("its issuer is no address".to_owned()))?;
        let read = Places::read(&self.registration.issuer, &self.fetch(&address).await?);
        let places = Arc::new(read.map_err(|why| ProviderError::Away(why.to_owned()))?);
        *kept = Some((now, places.clone()));
        Ok(places)
    }

    /// The key that a token names, asked for again where it is not among those that are kept.
    async fn key(&self, places: &Places, header: &Header) -> Result<Option<Value>, ProviderError> {
        let mut kept = self.keys.lock().await;
        let now = self.clock.now();
        if let Some((at, keys)) = kept.as_ref() {
            let age = now.duration_since(*at);
            let found = header.key_among(keys).filter(|_| age < KEYS_LAST).cloned();
            if found.is_some() || age < KEYS_AGAIN {
                return Ok(found);
            }
        }
        let read = serde_json::from_slice::<KeySet>(&self.fetch(&places.keys).await?);
        let KeySet { mut keys } = read.map_err(|_| ProviderError::Away("its keys can't be read".to_owned()))?;
        keys.truncate(MOST_KEYS);
        let found = header.key_among(&keys).cloned();
        *kept = Some((now, keys.into()));
        Ok(found)
    }

    async fn exchange(&self, places: &Places, code: &str, verifier: &str) -> Result<String, ProviderError> {
        let Registration { client: id, secret, redirect, .. } = &self.registration;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
            ("client_id", id),
        ];
        let secret = secret.as_ref().map(SecretString::expose_secret);
        if let Some(secret) = secret.filter(|_| places.secret_in_form) {
            fields.push(("client_secret", secret));
        }
        let http = client(&places.token, self.registration.patience).await?;
        let mut request = http.post(places.token.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(secret) = secret.filter(|_| !places.secret_in_form) {
            // Both are encoded as in a form first (RFC 6749 2.3.1).
            let pair = BASE64.encode(format!("{}:{}", encoded(id), encoded(secret)));
            request = request.header(AUTHORIZATION, format!("Basic {pair}"));
        }
        let (status, body) = answer_to(request.body(form(&fields))).await?;
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            // Wrong credentials of ours look the same to a person; the log has the status.
            tracing::warn!(%status, issuer = self.registration.issuer, "the provider did not take a code");
            return Err(ProviderError::Code);
        }
        if status != StatusCode::OK {
            return Err(ProviderError::Away(format!("it answers {}", status.as_u16())));
        }
        let tokens = serde_json::from_slice::<Tokens>(&body);
        tokens.map(|it| it.id_token).map_err(|_| ProviderError::Away("its answer has no token".to_owned()))
    }

    async fn fetch(&self, address: &Url) -> Result<Vec<u8>, ProviderError> {
        let client = client(address, self.registration.patience).await?;
        let (status, body) = answer_to(client.get(address.clone())).await?;
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(ProviderError::Away(format!("it answers {}", status.as_u16())))
        }
    }
}

/// The status and the body of an answer.
async fn answer_to(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ProviderError> {
    let sent = request.header(ACCEPT, "application/json").send().await;
    let answer = sent.map_err(|error| TrustedError::Unreachable(in_full(&error.without_url())))?;
    let status = answer.status();
    Ok((status, read_bounded(answer, MOST).await?))
}

/// A form's body.
fn form(fields: &[(&str, &str)]) -> String {
    // An address's query is written as a form is.
    let Ok(mut url) = Url::parse("form:") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// A text as it stands in a form.
fn encoded(text: &str) -> String {
    form(&[("x", text)]).strip_prefix("x=").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_forms_are() {
        assert_eq!(form(&[("a", "b c"), ("d", "&=%+ä")]), "a=b+c&d=%26%3D%25%2B%C3%A4");
        assert_eq!(encoded("s:e c/r"), "s%3Ae+c%2Fr");
    }
}
