//! An event's body as the auditor reads it: only what is compared, borrowed where it can be.
//!
//! It is read apart from `ledger::event`: an auditor that shared the writer's reading would share
//! its mistakes.

use std::borrow::Cow;
use std::ops::Deref;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A text that is copied only when it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An event of version 1.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    pub v: i64,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    pub at: Timestamp,
    #[serde(borrow)]
    pub merchant: Option<Text<'a>>,
    #[serde(borrow)]
    pub actor: Actor<'a>,
    #[serde(borrow)]
    pub about: Text<'a>,
    #[serde(borrow)]
    pub facts: &'a RawValue,
}

#[derive(Deserialize)]
pub(super) struct Actor<'a> {
    #[serde(borrow)]
    pub key: Option<Text<'a>>,
}

/// What every version says.
#[derive(Deserialize)]
struct Version {
    v: i64,
}

/// Why a body is no event of this version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Version(i64),
    Form(String),
}

impl<'a> Body<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let version = |v| if v == crate::ledger::event::VERSION { None } else { Some(Unreadable::Version(v)) };
        match serde_json::from_str::<Self>(text) {
            Ok(body) => version(body.v).map_or(Ok(body), Err),
            Err(error) => Err(serde_json::from_str::<Version>(text)
                .ok()
                .and_then(|it| version(it.v))
                .unwrap_or_else(|| Unreadable::Form(error.to_string()))),
        }
    }

    /// The facts, as those of the event's kind.
    pub(super) fn facts<T: Deserialize<'a>>(&self) -> Result<T, Unreadable> {
        serde_json::from_str(self.facts.get()).map_err(|e| Unreadable::Form(format!("facts: {e}")))
    }
}

/// The facts of `check.decided`.
#[derive(Deserialize)]
pub(super) struct CheckFacts<'a> {
    #[serde(borrow)]
    pub perk: Text<'a>,
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    pub rule_version: i32,
    #[serde(borrow)]
    pub rule_hash: Text<'a>,
    #[serde(borrow)]
    pub decision: Text<'a>,
    #[serde(borrow)]
    pub tier: Option<Text<'a>>,
    #[serde(borrow)]
    pub subject: Text<'a>,
    #[serde(borrow)]
    pub limits: Vec<LimitFacts<'a>>,
    #[serde(borrow)]
    pub grant: Option<GrantFacts<'a>>,
}

#[derive(Deserialize)]
pub(super) struct LimitFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow)]
    pub window: Text<'a>,
    pub cost: u64,
    pub max: u64,
    pub used: u64,
}

#[derive(Deserialize)]
pub(super) struct GrantFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub kid: Text<'a>,
    pub expires_at: Timestamp,
    pub single_use: bool,
    #[serde(borrow)]
    pub claims_sha256: Text<'a>,
}

/// The facts of `token.redeemed`.
#[derive(Deserialize)]
pub(super) struct RedeemFacts<'a> {
    #[serde(borrow)]
    pub slot: Text<'a>,
    #[serde(borrow)]
    pub door: Text<'a>,
    #[serde(borrow)]
    pub attempt_sha256: Text<'a>,
}

/// The facts of `perk.created`, `perk.renamed` and `perk.repurposed`; the first events said less.
#[derive(Deserialize)]
pub(super) struct PerkFacts<'a> {
    #[serde(borrow)]
    pub perk: Text<'a>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub purpose: Option<Text<'a>>,
}

/// The facts of `rule.drafted` and all that follow it.
#[derive(Deserialize)]
pub(super) struct RuleFacts<'a> {
    pub version: i32,
    #[serde(borrow)]
    pub rule_hash: Text<'a>,
    /// Of `rule.scheduled`: when it decides from.
    pub from: Option<Timestamp>,
}

/// The facts of `key.created`, and of a row of `api_keys`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct KeyFacts {
    pub role: String,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// The claims of a grant's token, as far as other columns and the event repeat them.
#[derive(Deserialize)]
pub(super) struct ClaimFacts<'a> {
    #[serde(borrow)]
    pub aud: Text<'a>,
    #[serde(borrow)]
    pub sub: Text<'a>,
    #[serde(borrow)]
    pub jti: Text<'a>,
    pub exp: i64,
    #[serde(borrow)]
    pub perk: Text<'a>,
    #[serde(borrow)]
    pub tier: Text<'a>,
    pub rule: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_another_version_is_told_from_one_that_is_broken() {
        let body = r#"{"about":"x","actor":{"key":null,"role":"cli"},"at":"2012-05-08T19:00:00Z","facts":{"perk":"a\"b"},"id":"evt_1","kind":"perk.created","merchant":null,"v":1}"#;
        let read = Body::parse(body).unwrap();
        assert_eq!((&*read.kind, read.merchant.is_none()), ("perk.created", true));
        assert_eq!(&*read.facts::<PerkFacts<'_>>().unwrap().perk, "a\"b");
        assert_eq!(Body::parse(&body.replace("\"v\":1", "\"v\":2")).err(), Some(Unreadable::Version(2)));
        assert_eq!(Body::parse(r#"{"v":3,"other":true}"#).err(), Some(Unreadable::Version(3)));
        for broken in ["", "{}", r#"{"v":1}"#, &body.replace("2012", "year")] {
            assert!(matches!(Body::parse(broken), Err(Unreadable::Form(_))), "{broken}");
        }
    }
}
