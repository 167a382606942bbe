//! A provider of OpenID Connect on this machine, which does what a test asks of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL};
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::receiver::read_request;

/// Who the gateway is to it.
pub(crate) const CLIENT: &str = "perkgate: console";
pub(crate) const SECRET: &str = "s3cret + more";

/// How it behaves where it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// It takes the question and answers nothing.
    Silent,
    /// Its answer has no end within reason.
    Huge,
    /// It sends the asker elsewhere.
    Redirects,
    /// Its answer is no JSON.
    Garbage,
    /// It has a fault of its own.
    Broken,
}

/// A log-in as the browser brought it.
#[derive(Debug, Clone)]
struct Asked {
    nonce: String,
    challenge: String,
    redirect: String,
    subject: String,
}

/// What it says, and what it was asked.
#[derive(Default)]
pub(crate) struct Plan {
    pub at: Timestamp,
    /// How each of its three places behaves: `configuration`, `token`, `keys`.
    pub moods: BTreeMap<&'static str, Mood>,
    /// Claims that stand in its tokens in place of the right ones; null takes one away.
    pub claims: BTreeMap<&'static str, Value>,
    /// The header's `alg` in place of ES256: `none`, or `HS256` under the client's own secret.
    pub algorithm: Option<&'static str>,
    /// The number of the key that signs, and the numbers of those that it publishes.
    pub signing: usize,
    pub published: Vec<usize>,
    /// The issuer in its document, where it is another.
    pub said_issuer: Option<String>,
    /// How often each place was asked.
    pub asked: BTreeMap<String, usize>,
    codes: BTreeMap<String, Asked>,
    taken: BTreeMap<String, Asked>,
}

pub(crate) struct Provider {
    pub issuer: String,
    plan: Arc<Mutex<Plan>>,
    serving: JoinHandle<()>,
}

impl Provider {
    pub(crate) async fn start(at: Timestamp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Mutex::new(Plan { at, published: vec![0], ..Plan::default() }));
        let keys: Arc<[EcdsaKeyPair; 2]> = Arc::new([
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        ]);
        let serving = tokio::spawn({
            let (issuer, plan) = (issuer.clone(), plan.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(exchange(stream, issuer.clone(), plan.clone(), keys.clone()));
                }
            }
        });
        Self { issuer, plan, serving }
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs by the key of this number, and publishes this one.
    pub(crate) fn turn_keys(&self, signing: usize, published: usize) {
        let mut plan = self.plan();
        plan.signing = signing;
        plan.published = vec![published];
    }

    /// Takes every code again that it has taken.
    pub(crate) fn give_again(&self) {
        let mut plan = self.plan();
        let taken = plan.taken.clone();
        plan.codes.extend(taken);
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 4] {
        [
            ("oidc_issuer", &*self.issuer),
            ("oidc_client_id", CLIENT),
            ("oidc_client_secret", SECRET),
            ("oidc_label", "Cathay & Co"),
        ]
    }

    /// Logs someone in at the address that the gateway sent their browser to; returns the path and query that they come
    /// back by.
    pub(crate) fn log_in(&self, address: &str, subject: &str) -> String {
        let url = Url::parse(address).unwrap();
        assert_eq!(
            format!("{}://{}{}", url.scheme(), url.authority(), url.path()),
            format!("{}/authorize", self.issuer)
        );
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let of = |name: &str| query[name].clone();
        assert_eq!((of("response_type"), of("client_id")), ("code".to_owned(), CLIENT.to_owned()));
        assert_eq!((of("scope"), of("code_challenge_method")), ("openid".to_owned(), "S256".to_owned()));
        let asked = Asked {
            nonce: of("nonce"),
            challenge: of("code_challenge"),
            redirect: of("redirect_uri"),
            subject: subject.to_owned(),
        };
        let mut back = Url::parse(&asked.redirect).unwrap();
        let mut plan = self.plan();
        let code = format!("code {}", plan.codes.len() + plan.taken.len());
        plan.codes.insert(code.clone(), asked);
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &of("state")).append_pair("scope", "x");
        format!("{}?{}", back.path(), back.query().unwrap())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn exchange(
    mut stream: TcpStream,
    issuer: String,
    plan: Arc<Mutex<Plan>>,
    keys: Arc<[EcdsaKeyPair; 2]>,
) -> Option<()> {
    let (head, mut bytes) = read_request(&mut stream).await?;
    let path = head.split(' ').nth(1)?.to_owned();
    let place = path.rsplit('/').next()?.trim_start_matches("openid-").to_owned();
    let mood = {
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan.asked.entry(place.clone()).or_default() += 1;
        plan.moods.get(place.as_str()).copied().unwrap_or_default()
    };
    let (status, extra, body) = match mood {
        Mood::Silent => {
            // Until the asker goes away.
            while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
            return None;
        }
        Mood::Huge => ("200 OK", String::new(), format!("{{\"x\":\"{}\"}}", "x".repeat(300 * 1024))),
        Mood::Redirects => ("302 Found", format!("Location: {issuer}/elsewhere\r\n"), String::new()),
        Mood::Garbage => ("200 OK", String::new(), "<html>".to_owned()),
        Mood::Broken => ("500 No", String::new(), String::new()),
        Mood::Well => {
            let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let body = match place.as_str() {
                "configuration" => Some(document(&issuer, &plan)),
                "keys" => {
                    Some(json!({"keys": plan.published.iter().map(|nth| jwk(&keys[*nth], *nth)).collect::<Vec<_>>()}))
                }
                "token" => token(&head, &String::from_utf8(bytes).ok()?, &issuer, &mut plan, &keys),
                _ => None,
            };
            match body {
                Some(body) => ("200 OK", String::new(), body.to_string()),
                None => ("400 Bad Request", String::new(), json!({"error": "invalid_grant"}).to_string()),
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()
}

fn document(issuer: &str, plan: &Plan) -> Value {
    json!({
        "issuer": plan.said_issuer.as_deref().unwrap_or(issuer),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    })
}

fn jwk(key: &EcdsaKeyPair, nth: usize) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = (BASE64URL.encode(&point[1..33]), BASE64URL.encode(&point[33..]));
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": format!("k{nth}"), "x": x, "y": y})
}

/// The answer to a code; none where it is not taken.
fn token(head: &str, body: &str, issuer: &str, plan: &mut Plan, keys: &[EcdsaKeyPair; 2]) -> Option<Value> {
    let form = Url::parse(&format!("form:?{body}")).ok()?;
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    // As RFC 6749 has it: both encoded as in a form, then joined.
    let pair = STANDARD.encode("perkgate%3A+console:s3cret+%2B+more");
    let line = format!("authorization: basic {pair}").to_ascii_lowercase();
    let is_ours = head.to_ascii_lowercase().lines().any(|it| it == line) && !body.contains("client_secret");
    assert!(is_ours, "the client proves itself in the header: {head}");
    let asked = plan.codes.remove(&fields["code"])?;
    plan.taken.insert(fields["code"].clone(), asked.clone());
    let hash = BASE64URL.encode(digest::digest(&digest::SHA256, fields["code_verifier"].as_bytes()));
    let fits = (fields["grant_type"].as_str(), &fields["redirect_uri"], &hash)
        == ("authorization_code", &asked.redirect, &asked.challenge);
    fits.then(|| json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token(issuer, plan, &asked, keys)}))
}

fn id_token(issuer: &str, plan: &Plan, asked: &Asked, keys: &[EcdsaKeyPair; 2]) -> String {
    let now = plan.at.as_second();
    let mut claims = json!({
        "iss": issuer, "sub": asked.subject, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": asked.nonce,
        "email": "mei@cathay.example", "email_verified": true,
    });
    for (name, value) in &plan.claims {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
    let header = json!({"alg": plan.algorithm.unwrap_or("ES256"), "kid": format!("k{}", plan.signing), "typ": "JWT"});
    let signed = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()));
    let signature = match plan.algorithm {
        Some("none") => String::new(),
        Some(_) => {
            BASE64URL.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes()))
        }
        None => BASE64URL.encode(keys[plan.signing].sign(&SystemRandom::new(), signed.as_bytes()).unwrap()),
    };
    format!("{signed}.{signature}")
}
