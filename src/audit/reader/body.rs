//! An event's body as the auditor reads it: only what is compared, borrowed where it can be.
//!
//! It is read apart from `ledger::event`: an auditor that shared the writer's reading would share
//! its mistakes.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use super::actor::Actor;
use super::canonical::{self, Canonical, Reader, put, read_members};
use super::guests::{GuestFacts, UseLeftFacts};
use super::instant::Instant;
pub(crate) use super::limits::LimitFacts;
use super::payment::PaymentFacts;
use super::text::Text;
use crate::ledger::events::VERSION;
use crate::ledger::write::{check, redemption};

/// An event of version 1.
#[derive(Debug, Deserialize)]
pub(crate) struct Body<'a, F = Facts<'a>> {
    pub v: i64,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    pub at: Instant,
    #[serde(borrow)]
    pub merchant: Option<Text<'a>>,
    #[serde(borrow)]
    pub actor: Actor<'a>,
    #[serde(borrow)]
    pub about: Text<'a>,
    pub facts: F,
}

/// The facts of an event; those of the kinds that nearly all are, read along with the rest.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are checks, and one is read at a time")]
pub(crate) enum Facts<'a> {
    Check(CheckFacts<'a>),
    Redeem(RedeemFacts<'a>),
    /// Not read yet.
    Other(&'a RawValue),
}

/// The member that every version has.
#[derive(Deserialize)]
struct Version {
    v: i64,
}

/// Why a body is no event of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Version(i64),
    Form(String),
}

impl<'a> Body<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        canonical::read(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// Reads a body of any kind, however it is written; the error says what is wrong with it.
    fn parse_any(text: &'a str) -> Result<Self, Unreadable> {
        let version = |v| if v == VERSION { None } else { Some(Unreadable::Version(v)) };
        let body = match serde_json::from_str::<Body<'_, &RawValue>>(text) {
            Ok(body) => version(body.v).map_or(Ok(body), Err),
            Err(error) => Err(serde_json::from_str::<Version>(text)
                .ok()
                .and_then(|it| version(it.v))
                .unwrap_or_else(|| Unreadable::Form(error.to_string()))),
        }?;
        let Body { v, id, kind, at, merchant, actor, about, facts } = body;
        let facts = match &*kind {
            check::KIND => Facts::Check(read(facts)?),
            redemption::KIND | redemption::OFFLINE => Facts::Redeem(read(facts)?),
            _ => Facts::Other(facts),
        };
        Ok(Body { v, id, kind, at, merchant, actor, about, facts })
    }
}

/// The prefix of ids of checks.
const CHECK: &str = "chk_";

/// Reads the kinds that nearly all events are of.
impl<'a> Canonical<'a> for Body<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [mut about, mut id, mut kind] = [const { None::<&str> }; 3];
        let (mut v, mut at, mut merchant, mut actor, mut facts) = (None, None, None, None, None);
        reader.members(|reader, name| {
            match name {
                "about" => put(&mut about, Canonical::read(reader)?)?,
                "actor" => put(&mut actor, Canonical::read(reader)?)?,
                "at" => put(&mut at, Canonical::read(reader)?)?,
                // They stand before the kind, which is guessed by what they are about and held to them below.
                "facts" => {
                    let is_check = about?.starts_with(CHECK);
                    let read = if is_check {
                        Canonical::read(reader).map(Facts::Check)
                    } else {
                        Canonical::read(reader).map(Facts::Redeem)
                    };
                    put(&mut facts, read?)?;
                }
                "id" => put(&mut id, Canonical::read(reader)?)?,
                "kind" => put(&mut kind, Canonical::read(reader)?)?,
                "merchant" => put(&mut merchant, Canonical::read(reader)?)?,
                "v" => put(&mut v, Canonical::read(reader)?)?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        let (v, facts, kind) = (v?, facts?, kind?);
        let is_so = match &facts {
            Facts::Check(_) => kind == check::KIND,
            Facts::Redeem(_) => redemption::is_redemption(kind),
            Facts::Other(_) => false,
        };
        let [about, id, kind] = [about?, id?, kind].map(Text::from);
        let (at, merchant, actor) = (at?, merchant.flatten(), actor?);
        (is_so && v == VERSION).then_some(Self { v, id, kind, at, merchant, actor, about, facts })
    }
}

/// Facts of any kind but those that were read already.
pub(crate) fn read<'a, T: Deserialize<'a>>(facts: &'a RawValue) -> Result<T, Unreadable> {
    serde_json::from_str(facts.get()).map_err(|e| Unreadable::Form(format!("facts: {e}")))
}

/// The facts of `check.decided`.
#[derive(Debug, Deserialize)]
pub(crate) struct CheckFacts<'a> {
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
    pub location: Option<Text<'a>>,
    #[serde(borrow)]
    pub kiosk: Option<Text<'a>>,
    #[serde(borrow)]
    pub limits: Vec<LimitFacts<'a>>,
    #[serde(borrow)]
    pub grant: Option<GrantFacts<'a>>,
    /// The check in whose place a person granted this one.
    #[serde(borrow)]
    pub resolves: Option<Text<'a>>,
    /// The check whose open referral this one belongs to.
    #[serde(borrow)]
    pub joins: Option<Text<'a>>,
    /// The first checks were of one person each, and did not say so.
    pub party: Option<u64>,
    pub guests: Option<GuestFacts>,
    /// Why a desk overrode the refusal in whose place it is.
    #[serde(borrow)]
    pub override_reason: Option<Text<'a>>,
    /// Paid entries only.
    #[serde(borrow)]
    pub paid: Option<PaymentFacts<'a>>,
}

read_members!(CheckFacts {
    perk,
    perk_id,
    rule_version,
    rule_hash,
    decision,
    tier,
    subject,
    location,
    kiosk,
    limits,
    grant,
    resolves,
    joins,
    party,
    guests,
    override_reason,
    paid
});

/// The facts of `contest.opened` and `contest.added`.
#[derive(Deserialize)]
pub(crate) struct ContestFacts<'a> {
    #[serde(borrow)]
    pub perk: Text<'a>,
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    pub rule_version: i32,
    #[serde(borrow)]
    pub subject: Text<'a>,
    /// When the check was refused.
    pub decided_at: Timestamp,
    /// Additions only: the check whose case it belongs to.
    #[serde(borrow)]
    pub case: Option<Text<'a>>,
}

/// The facts of `referral.decided`, `contest.upheld` and `contest.overturned`.
#[derive(Deserialize)]
pub(crate) struct ReferralFacts<'a> {
    #[serde(borrow)]
    pub decision: Text<'a>,
    #[serde(borrow)]
    pub check: Option<Text<'a>>,
    #[serde(borrow)]
    pub grant: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GrantFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub kid: Text<'a>,
    pub expires_at: Instant,
    pub single_use: bool,
    pub online_only: Option<bool>,
    #[serde(borrow)]
    pub claims_sha256: Text<'a>,
}

read_members!(GrantFacts { id, kid, expires_at, single_use, online_only, claims_sha256 });

/// The facts of `token.redeemed` and `token.redeemed_offline`.
#[derive(Debug, Deserialize)]
pub(crate) struct RedeemFacts<'a> {
    #[serde(borrow)]
    pub slot: Text<'a>,
    #[serde(borrow)]
    pub door: Text<'a>,
    #[serde(borrow)]
    pub attempt_sha256: Text<'a>,
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    /// Places that the guest goes on holding.
    #[serde(borrow)]
    pub holds: Option<Vec<HoldFacts<'a>>>,
    /// Reports of doors only, as all that follow: when the door says it took the token.
    pub redeemed_at: Option<Instant>,
    pub expires_at: Option<Instant>,
    #[serde(borrow)]
    pub meanwhile: Option<Text<'a>>,
}

read_members!(RedeemFacts { slot, door, attempt_sha256, perk_id, holds, redeemed_at, expires_at, meanwhile });

#[derive(Debug, Deserialize)]
pub(crate) struct HoldFacts<'a> {
    #[serde(borrow)]
    pub corrections: Option<Vec<UseLeftFacts<'a>>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    pub until: Instant,
}

read_members!(HoldFacts { corrections, id, scope, until });

/// The facts of `grant.released`, `grant.voided` and `grant.freed`.
#[derive(Deserialize)]
pub(crate) struct EndFacts<'a> {
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    pub ended_at: Instant,
    /// Voids of undone grants only: when what it used is to be free, where that is later; and why.
    pub frees_at: Option<Instant>,
    pub reason: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    pub returned: Vec<ReturnFacts<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct ReturnFacts<'a> {
    #[serde(borrow)]
    pub corrections: Option<Vec<UseLeftFacts<'a>>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow)]
    pub window: Text<'a>,
    pub cost: u64,
}

/// The facts of `perk.created`, `perk.renamed` and `perk.repurposed`; the first events said less.
#[derive(Deserialize)]
pub(crate) struct PerkFacts<'a> {
    #[serde(borrow)]
    pub perk: Text<'a>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub purpose: Option<Text<'a>>,
}

/// The facts of `place.closed` and `place.opened`.
#[derive(Deserialize)]
pub(crate) struct PlaceFacts<'a> {
    #[serde(borrow)]
    pub closure: Text<'a>,
    #[serde(borrow)]
    pub location: Option<Text<'a>>,
    /// Closing only.
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    pub until: Instant,
}

/// The facts of `rule.drafted` and all that follow it.
#[derive(Deserialize)]
pub(crate) struct RuleFacts<'a> {
    pub version: i32,
    #[serde(borrow)]
    pub rule_hash: Text<'a>,
    /// `rule.scheduled` and `rule.published` only: when it decides from.
    pub from: Option<Instant>,
}

/// The facts of `approvals.required` and all that follow it.
#[derive(Deserialize)]
pub(crate) struct ApprovalFacts {
    pub required: bool,
}

/// The facts of `key.created`, and of a row of `api_keys`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct KeyFacts {
    pub role: String,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
    /// With spaces between.
    pub airports: Option<String>,
    /// With spaces between.
    pub origins: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// The claims of a grant's token, as far as other columns and the event repeat them.
#[derive(Debug, Deserialize)]
pub(crate) struct ClaimFacts<'a> {
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
    pub party: Option<i32>,
}

read_members!(ClaimFacts { aud, sub, jti, exp, perk, tier, rule, party });

/// The facts of `merchant.created` and `merchant.rezoned`; the first events named no zone.
#[derive(Deserialize)]
pub(crate) struct MerchantFacts<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub time_zone: Option<Text<'a>>,
    pub test: Option<bool>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kind_decides_how_facts_are_read_not_what_they_say() {
        let body = r#"{"about":"x","actor":{"key":null,"role":"cli"},"at":"2012-05-08T19:00:00Z","facts":FACTS,"id":"evt_1","kind":"KIND","merchant":null,"v":1}"#;
        let redeemed = r#"{"slot":"single","door":"d","attempt_sha256":"a","perk_id":"p"}"#;
        let of = |facts: &str, kind: &str| body.replace("FACTS", facts).replace("KIND", kind);
        let text = of(redeemed, "token.redeemed");
        assert!(matches!(Body::parse(&text).unwrap().facts, Facts::Redeem(facts) if &*facts.door == "d"));
        let lies = r#"{"a":{"kind":"token.redeemed"},"slot":"s","door":"d","attempt_sha256":"a","perk_id":"p"}"#;
        assert!(matches!(Body::parse(&of(lies, "perk.paused")).unwrap().facts, Facts::Other(_)));
        for (facts, kind) in [("{}", "token.redeemed"), (redeemed, "check.decided"), ("null", "check.decided")] {
            let refused = Body::parse(&of(facts, kind)).err();
            assert!(matches!(&refused, Some(Unreadable::Form(why)) if why.starts_with("facts: ")), "{refused:?}");
        }
        let doubled = format!("{text}{text}");
        assert!(matches!(Body::parse(&doubled), Err(Unreadable::Form(_))));
    }

    #[test]
    fn a_body_of_another_version_is_distinguished_from_one_that_is_broken() {
        let body = r#"{"about":"x","actor":{"key":null,"role":"cli"},"at":"2012-05-08T19:00:00Z","facts":{"perk":"a\"b"},"id":"evt_1","kind":"perk.created","merchant":null,"v":1}"#;
        let read = Body::parse(body).unwrap();
        assert_eq!((&*read.kind, read.merchant.is_none()), ("perk.created", true));
        let Facts::Other(facts) = read.facts else { panic!("of no other kind") };
        assert_eq!(&*super::read::<PerkFacts<'_>>(facts).unwrap().perk, "a\"b");
        assert_eq!(Body::parse(&body.replace("\"v\":1", "\"v\":2")).err(), Some(Unreadable::Version(2)));
        assert_eq!(Body::parse(r#"{"v":3,"other":true}"#).err(), Some(Unreadable::Version(3)));
        for broken in ["", "{}", r#"{"v":1}"#, &body.replace("2012", "year")] {
            assert!(matches!(Body::parse(broken), Err(Unreadable::Form(_))), "{broken}");
        }
    }

    const REDEEMED: &str = r#"{"about":"grt_1","actor":{"key":"key_1","role":"kiosk"},"at":"2012-05-08T19:00:00.5Z","facts":{"attempt_sha256":"a","door":"ä","holds":[{"id":"seats","scope":"/perk","until":"2012-05-08T21:00:00Z"}],"party":[1,{"a":null,"b":[]},{}],"perk":"lounge","perk_id":"prk_1","slot":"single"},"id":"evt_1","kind":"token.redeemed","merchant":"mer_1","v":1}"#;
    const CHECKED: &str = r#"{"about":"chk_1","actor":{"key":null,"role":"cli"},"at":"2012-05-08T19:00:00Z","facts":{"decision":"granted","grant":{"claims_sha256":"c","expires_at":"2012-05-08T19:15:00Z","id":"grt_1","kid":"k","single_use":true},"limits":[{"cost":1,"id":"day","max":10,"resets_at":null,"scope":"/perk","used":10,"window":"w"}],"perk":"lounge","perk_id":"prk_1","rule_hash":"h","rule_version":2,"subject":"sub_1","tier":null},"id":"evt_1","kind":"check.decided","merchant":null,"sealed":"AA","v":1}"#;

    #[test]
    fn what_the_ledger_writes_is_read_in_one_pass() {
        for text in [CHECKED, REDEEMED] {
            let read = canonical::read::<Body<'_>>(text).expect("read");
            assert_eq!(format!("{read:?}"), format!("{:?}", Body::parse_any(text).unwrap()));
        }
        for (part, other) in [
            (r#""v":1"#, r#""v":2"#),
            (r#""v":1"#, r#""v":1.0"#),
            (r#""v":1"#, r#""v":1,"w":01"#),
            (r#""v":1"#, r#""v":1,"v":1"#),
            (r#""v":1}"#, r#""v":1}}"#),
            (r#""v":1"#, r#""v": 1"#),
            ("check.decided", "perk.paused"),
            ("check.decided", r"check.decid\u0065d"),
            (r#""tier":null"#, r#""tier":null,"tier":null"#),
            (r#""decision":"granted","#, ""),
            ("chk_1", "grt_1"),
        ] {
            let text = CHECKED.replacen(part, other, 1);
            assert_ne!(text, CHECKED, "{part}");
            assert!(canonical::read::<Body<'_>>(&text).is_none(), "{text}");
        }
        let deep = CHECKED.replace("\"AA\"", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(canonical::read::<Body<'_>>(&deep).is_none(), "the stack is not theirs to fill");
    }

    proptest! {
        #[test]
        fn what_is_read_in_one_pass_is_read_as_serde_reads_it(
            is_check in any::<bool>(),
            bent in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, r#"[ -~é]|["{}:,\[\]0-9a-c.eE-]|null|true|"v":|\\"#), 1..4),
        ) {
            let mut text: Vec<char> = if is_check { CHECKED } else { REDEEMED }.chars().collect();
            for (at, taken, put) in bent {
                let at = at.index(text.len());
                let end = text.len().min(at + taken);
                text.splice(at..end, put.chars());
            }
            let text: String = text.into_iter().collect();
            if let Some(read) = canonical::read::<Body<'_>>(&text) {
                let other = Body::parse_any(&text).map_err(|it| TestCaseError::fail(format!("{text}: {it:?}")))?;
                prop_assert_eq!(format!("{read:?}"), format!("{other:?}"), "{}", text);
            }
        }
    }
}
