//! `perkgate token`: verifies a token as a door would, with nothing but the published keys; `rotate.rs`
//! makes the key that signs the next ones, `revoke.rs` withdraws one, `late.rs` reports what a door took offline.
//!
//! To verify, no settings, no database and no master key are read: a door has none.

pub(crate) mod late;
pub(crate) mod revoke;
pub(crate) mod rotate;

use std::fmt;
use std::io::Read as _;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::clock::from_seconds;
use crate::foundation::unicode::text_without_bom;
use crate::tokens::{Claims, Jwks, TokenError, Verifier, scanned};

/// A key set is a few hundred bytes; whatever answers there must not fill the memory.
const MAX_JWKS_BYTES: usize = 1 << 20;
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// More than any token that is looked at.
const MAX_STDIN_BYTES: u64 = 64 * 1024;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Verify a token as a door does. Exits with 1 when it is not valid.
    Verify(Verify),
    /// Report the tokens that a door took while it was offline: each is recorded with the instant that the door gave, also
    /// when its grant has ended since. Exits with 1 when every one of them is refused.
    RedeemLate(late::Args),
    /// Let another key sign tokens. Tokens of the one before go on opening doors; the operator's log tells of
    /// it. (API keys are made and revoked by `perkgate key`.)
    RotateKey(rotate::Args),
    /// Withdraw a key that signs tokens, as when it was stolen: its tokens open no door any more, and another key
    /// signs at once. Doors that verify offline believe it until they fetch the published keys again.
    RevokeKey(revoke::Args),
}

#[derive(clap::Args)]
struct Verify {
    /// The token, or `-` to read it from standard input: every process of the machine can read an argument.
    #[arg(value_name = "TOKEN", allow_hyphen_values = true)]
    token: String,
    /// The gateway's key set: the URL of its /.well-known/jwks.json, or a file with a copy.
    #[arg(long, value_name = "URL|FILE")]
    jwks: String,
    /// Who must have issued it.
    #[arg(long, value_name = "ISS")]
    issuer: String,
    /// For which door it must be.
    #[arg(long, value_name = "MERCHANT/AUD")]
    audience: String,
}

/// The verifier's verdict.
#[expect(clippy::large_enum_variant, reason = "there is one, once")]
enum Verdict {
    Valid(Claims),
    Refused(TokenError),
}

/// The verdict on the wire.
#[derive(Serialize)]
#[serde(untagged)]
enum VerdictView {
    Valid {
        valid: bool,
        #[serde(flatten)]
        claims: Map<String, Value>,
    },
    Refused {
        valid: bool,
        reason: &'static str,
        detail: String,
    },
}

impl Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = match self {
            Self::Valid(claims) => VerdictView::Valid {
                valid: true,
                claims: serde_json::from_str(&claims.to_json()).map_err(serde::ser::Error::custom)?,
            },
            Self::Refused(why) => VerdictView::Refused { valid: false, reason: why.slug(), detail: why.to_string() },
        };
        view.serialize(serializer)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claims = match self {
            Self::Valid(claims) => claims,
            Self::Refused(why) => return write_part!(f, "not valid: {why} ({})", why.slug()),
        };
        let Claims { merchant, perk, tier, rule, rule_hash, party, loc, sub, jti, .. } = claims;
        write_line!(f, "valid until {}", from_seconds(claims.exp))?;
        write_line!(f, "  perk     {perk} of {merchant}, tier {tier}, by version {rule} of its rule")?;
        if let Some(hash) = rule_hash {
            write_line!(f, "  rule     sha256:{hash}…")?;
        }
        write_line!(f, "  subject  {}", sub.as_str())?;
        if let Some(party) = party {
            write_line!(f, "  party    {party}")?;
        }
        if let Some(loc) = loc {
            write_line!(f, "  granted  at {loc}")?;
        }
        if claims.online_only {
            write_line!(f, "  online   doors must redeem it at the gateway, and may not take it on their own")?;
        }
        write_part!(f, "  grant    {jti}")
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match &args.action {
        Action::Verify(asked) => verify(asked, invocation),
        Action::RedeemLate(asked) => late::run(asked, invocation),
        Action::RotateKey(asked) => rotate::run(asked, invocation),
        Action::RevokeKey(asked) => revoke::run(asked, invocation),
    }
}

fn verify(asked: &Verify, invocation: &Invocation) -> Result<Completion, CliError> {
    let Verify { token, jwks, issuer, audience } = asked;
    let jwks = key_set(jwks)?;
    let token = if token == "-" { token_from_stdin()? } else { token.clone() };
    let verified = Verifier::offline(jwks, issuer).verify(scanned(&token), audience, invocation.clock.now());
    let (verdict, ended) = match verified {
        Ok(claims) => (Verdict::Valid(claims), Completion::Succeeded),
        Err(why) => (Verdict::Refused(why), Completion::Failed),
    };
    invocation.output.show(&verdict)?;
    Ok(ended)
}

fn token_from_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_STDIN_BYTES).read_to_string(&mut text);
    read.map_err(|e| CliError::Unreadable { path: "-".into(), why: e.to_string() })?;
    Ok(text_without_bom(&text).to_owned())
}

fn key_set(place: &str) -> Result<Jwks, CliError> {
    let text = if place.starts_with("https://") || place.starts_with("http://") {
        let fetched = super::runtime()?.block_on(fetch(place));
        fetched.map_err(|why| CliError::JwksFetch { place: place.to_owned(), why })?
    } else {
        let mut text = String::new();
        let read = std::fs::File::open(place)
            .and_then(|file| file.take(MAX_JWKS_BYTES as u64 + 1).read_to_string(&mut text))
            .map_err(|e| e.to_string())
            .and_then(|length| if length > MAX_JWKS_BYTES { Err(too_large()) } else { Ok(()) });
        read.map_err(|why| CliError::Unreadable { path: place.into(), why })?;
        text
    };
    Jwks::parse(text_without_bom(&text)).map_err(|why| CliError::Jwks { place: place.to_owned(), why })
}

fn too_large() -> String {
    format!("it is larger than {MAX_JWKS_BYTES} bytes")
}

/// A redirect is not followed: keys must come from where the person said.
async fn fetch(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(FETCH_TIMEOUT)
        .user_agent(concat!("perkgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| in_full(&e))?;
    let mut response = client.get(url).send().await.map_err(|e| in_full(&e.without_url()))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| in_full(&e.without_url()))? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_JWKS_BYTES {
            return Err(too_large());
        }
    }
    String::from_utf8(body).map_err(|_| "it is not text in UTF-8".to_owned())
}

/// reqwest says little itself; the reason stands in its sources.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
