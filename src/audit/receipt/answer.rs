//! The answer of a check, held member by member to the event that its receipt is about.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::foundation::subject::hex;
use crate::keyring::protected_header;
use crate::ledger::write::check::KIND;
use crate::rules::engine::FLOOR;

/// The result of the comparison.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Pointers of members that are what the event says.
    pub held: Vec<String>,
    /// Pointers of members that are not.
    pub differing: Vec<String>,
    /// The merchant's name, by claims that the event holds a hash of.
    pub merchant: Option<String>,
}

/// Members that every answer has, beside its lists: without one it is no longer what was answered.
const ALWAYS: [&str; 5] = ["check", "decision", "perk", "rule_version", "next_eligible_at"];
/// Those of a reason that the event says in the clear.
const OF_REASONS: [&str; 7] = ["code", "tier", "limit", "at_most", "over_by", "attribute", "blackout"];

/// A member; null where there is none.
pub(super) fn at<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Compares an answer with the body of the event.
pub(super) fn compare(answer: &Map<String, Value>, body: &Value) -> Compared {
    let mut out = Compared::default();
    if at(body, "kind") != KIND {
        out.differing.push("/check".to_owned());
        return out;
    }
    let facts = at(body, "facts");
    for name in ALWAYS.into_iter().filter(|name| !answer.contains_key(*name)) {
        out.differing.push(format!("/{name}"));
    }
    let own = |name: &str| answer.get(name).unwrap_or(&Value::Null);
    out.judge("/check", own("check"), at(body, "about"));
    for name in ["decision", "perk", "rule_version", "tier", "max_wait", "guests", "resolves"] {
        out.judge(&format!("/{name}"), own(name), at(facts, name));
    }
    // Where it says something of the person it is sealed: then nothing in the clear proves it.
    let (hint, said) = (own("next_eligible_at"), at(facts, "next_eligible_at"));
    let may_be_sealed = at(facts, "engine").as_u64() >= Some(u64::from(FLOOR)) || !hint.is_null();
    if !(said.is_null() && may_be_sealed) {
        out.judge("/next_eligible_at", hint, said);
    }
    // Those of a check that was looked at again.
    for name in ["location", "kiosk"].into_iter().filter(|name| answer.contains_key(*name)) {
        out.judge(&format!("/{name}"), own(name), at(facts, name));
    }
    let grant = at(facts, "grant");
    out.judge("/grant", own("grant"), at(grant, "id"));
    if let Some(expires_at) = answer.get("token_expires_at") {
        out.judge("/token_expires_at", expires_at, at(grant, "expires_at"));
    }
    if let Some(token) = answer.get("token") {
        match claims_of(token, grant) {
            // Its signature is another matter.
            Some(claims) => out.merchant = at(&claims, "merchant").as_str().map(str::to_owned),
            None => out.differing.push("/token".to_owned()),
        }
    }
    out.judge_each("/reasons", own("reasons"), at(facts, "reasons"), |out, spot, own, said| {
        for name in OF_REASONS {
            out.judge(&format!("{spot}/{name}"), at(own, name), at(said, name));
        }
    });
    out.judge_each("/limits", own("limits"), at(facts, "limits"), |out, spot, own, said| {
        let left = at(said, "max").as_u64().zip(at(said, "used").as_u64()).map(|(max, used)| max.saturating_sub(used));
        out.judge(&format!("{spot}/id"), at(own, "id"), at(said, "id"));
        out.judge(&format!("{spot}/remaining"), at(own, "remaining"), &left.into());
        out.judge(&format!("{spot}/resets_at"), at(own, "resets_at"), at(said, "resets_at"));
    });
    out
}

impl Compared {
    /// A member that is not there says nothing, as one that is null does.
    fn judge(&mut self, pointer: &str, own: &Value, said: &Value) {
        let instant = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let is_same = own == said || instant(own).is_some_and(|own| instant(said) == Some(own));
        let out = if is_same { &mut self.held } else { &mut self.differing };
        out.push(pointer.to_owned());
    }

    fn judge_each(&mut self, pointer: &str, own: &Value, said: &Value, judge: fn(&mut Self, &str, &Value, &Value)) {
        // Of what is no list nothing would be compared.
        let said = said.as_array().map_or(&[] as &[Value], Vec::as_slice);
        let Some(own) = own.as_array().filter(|own| own.len() == said.len()) else {
            self.differing.push(pointer.to_owned());
            return;
        };
        if own.is_empty() {
            self.held.push(pointer.to_owned());
        }
        for (nth, (own, said)) in own.iter().zip(said).enumerate() {
            judge(self, &format!("{pointer}/{nth}"), own, said);
        }
    }
}

/// The claims of the token, if they are those that the event's grant was made with, under its key.
fn claims_of(token: &Value, grant: &Value) -> Option<Value> {
    let mut segments = token.as_str()?.split('.');
    let [header, claims, _signature] = [segments.next()?, segments.next()?, segments.next()?];
    let claims = BASE64URL.decode(claims).ok().filter(|_| segments.next().is_none())?;
    let sum = format!("sha256:{}", hex(digest::digest(&digest::SHA256, &claims).as_ref()));
    let is_so = at(grant, "claims_sha256") == &sum && header == protected_header(at(grant, "kid").as_str()?);
    is_so.then(|| serde_json::from_slice(&claims).ok())?
}
