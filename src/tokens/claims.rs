//! The claims of a token, and their exact text: canonical JSON (RFC 8785), so that one grant has one
//! token.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::TokenError;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{GrantId, MerchantSlug, PerkSlug};
use crate::foundation::json::{Json, write_text};
use crate::foundation::subject::Pseudonym;

/// The most seconds that two clocks may be apart.
pub const SKEW_SECONDS: i64 = 30;

/// Enough to tell any two versions apart, and few enough for a QR code.
pub const RULE_HASH_DIGITS: usize = 16;

/// A rule's hash (`sha256:…`) as tokens carry it; none for a text of another form.
#[must_use]
pub fn short_hash(hash: &str) -> Option<String> {
    hash.strip_prefix("sha256:")?.get(..RULE_HASH_DIGITS).map(str::to_owned)
}

/// The claims of an eligibility token. Times are whole seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The gateway.
    pub iss: String,
    /// `merchant/audience`: no merchant can name another's door.
    pub aud: String,
    /// The person, as this merchant alone knows them.
    pub sub: Pseudonym,
    /// The grant.
    pub jti: GrantId,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub merchant: MerchantSlug,
    pub perk: PerkSlug,
    pub tier: String,
    /// The version of the rule that granted it.
    pub rule: i32,
    /// The content of that version: the first [`RULE_HASH_DIGITS`] of its hash. Absent from older tokens.
    pub rule_hash: Option<String>,
    /// Number of people, the person included.
    pub party: Option<i32>,
    /// Where it was granted.
    pub loc: Option<String>,
    /// True if doors may not take it without asking the gateway; absent where it is not.
    pub online_only: bool,
    /// Why a desk granted it by hand; absent where a rule did.
    pub override_reason: Option<String>,
    /// True if it was granted for pay; absent where it was not.
    pub is_paid: bool,
}

impl Claims {
    /// The canonical JSON: exactly the bytes that are stored with the grant and signed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = Members(String::with_capacity(512));
        members.text("aud", &self.aud);
        members.whole("exp", self.exp);
        members.whole("iat", self.iat);
        members.text("iss", &self.iss);
        members.text("jti", self.jti.as_str());
        if let Some(loc) = &self.loc {
            members.text("loc", loc);
        }
        members.text("merchant", self.merchant.as_str());
        members.whole("nbf", self.nbf);
        members.flag("online_only", self.online_only);
        if let Some(reason) = &self.override_reason {
            members.text("override", reason);
        }
        members.flag("paid", self.is_paid);
        if let Some(party) = self.party {
            members.whole("party", party.into());
        }
        members.text("perk", self.perk.as_str());
        members.whole("rule", self.rule.into());
        if let Some(hash) = &self.rule_hash {
            members.text("rule_hash", hash);
        }
        members.text("sub", self.sub.as_str());
        members.text("tier", &self.tier);
        members.end()
    }

    /// Reads claims. Those it doesn't know are passed over (RFC 7519 §4), so that an older door
    /// takes a newer gateway's tokens.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when it is not canonical JSON, doubles a claim, lacks one or holds
    /// one of another type; a time must be a whole number.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let json = Json::parse(text).map_err(|_| TokenError::Malformed("the claims are not strict JSON"))?;
        if !matches!(json, Json::Object(_)) || json.canonical() != text {
            return Err(TokenError::Malformed("the claims are not a canonical JSON object"));
        }
        Ok(Self {
            iss: text_claim(&json, "iss")?,
            aud: text_claim(&json, "aud")?,
            sub: Pseudonym::stored(&text_claim(&json, "sub")?),
            jti: parsed_claim(&json, "jti")?,
            iat: whole_claim(&json, "iat")?,
            nbf: whole_claim(&json, "nbf")?,
            exp: whole_claim(&json, "exp")?,
            merchant: parsed_claim(&json, "merchant")?,
            perk: parsed_claim(&json, "perk")?,
            tier: text_claim(&json, "tier")?,
            rule: small_claim(&json, "rule")?,
            rule_hash: json.member("rule_hash").map(|_| hash_claim(&json, "rule_hash")).transpose()?,
            party: json.member("party").map(|_| small_claim(&json, "party")).transpose()?,
            loc: json.member("loc").map(|_| text_claim(&json, "loc")).transpose()?,
            online_only: flag_claim(&json, "online_only")?,
            override_reason: json.member("override").map(|_| text_claim(&json, "override")).transpose()?,
            is_paid: flag_claim(&json, "paid")?,
        })
    }

    /// Checks that it may be used at `now`, give or take [`SKEW_SECONDS`].
    ///
    /// # Errors
    /// [`TokenError::Expired`], [`TokenError::NotYetValid`] (also when it was issued in the future).
    pub fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        let now = now.as_second();
        if now >= self.exp.saturating_add(SKEW_SECONDS) {
            return Err(TokenError::Expired);
        }
        if now < self.nbf.max(self.iat).saturating_sub(SKEW_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Checks that it is for this door: `merchant/audience`, to the letter.
    ///
    /// # Errors
    /// [`TokenError::WrongAudience`].
    pub fn check_audience(&self, audience: &str) -> Result<(), TokenError> {
        if self.aud == audience { Ok(()) } else { Err(TokenError::WrongAudience) }
    }
}

/// The members of an object that is written member by member, in the order of their names: no tree is built for each token.
struct Members(String);

impl Members {
    fn name(&mut self, name: &'static str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        write_text(text, &mut self.0);
    }

    fn whole(&mut self, name: &'static str, number: i64) {
        self.name(name);
        let _ = write!(self.0, "{}", Decimal::from_whole(number));
    }

    /// A claim that is absent where it is not true.
    fn flag(&mut self, name: &'static str, is_true: bool) {
        if is_true {
            self.name(name);
            self.0.push_str("true");
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn text_claim(json: &Json, name: &'static str) -> Result<String, TokenError> {
    match json.member(name) {
        Some(Json::Text(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(TokenError::Malformed("a claim that must be text is missing or isn't")),
    }
}

fn flag_claim(json: &Json, name: &'static str) -> Result<bool, TokenError> {
    match json.member(name) {
        None => Ok(false),
        Some(Json::Bool(value)) => Ok(*value),
        Some(_) => Err(TokenError::Malformed("a claim that must be true or false isn't")),
    }
}

fn hash_claim(json: &Json, name: &'static str) -> Result<String, TokenError> {
    let text = text_claim(json, name)?;
    let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && text.len() == RULE_HASH_DIGITS {
        Ok(text)
    } else {
        Err(TokenError::Malformed("a claim that must be the beginning of a hash isn't"))
    }
}

fn parsed_claim<T: std::str::FromStr>(json: &Json, name: &'static str) -> Result<T, TokenError> {
    text_claim(json, name)?.parse().map_err(|_| TokenError::Malformed("a claim that must be a name or id isn't"))
}

fn whole_claim(json: &Json, name: &'static str) -> Result<i64, TokenError> {
    match json.member(name) {
        Some(Json::Number(number)) if number.thousandths() % 1000 == 0 => Ok(number.thousandths() / 1000),
        _ => Err(TokenError::Malformed("a claim that must be a whole number is missing or isn't")),
    }
}

fn small_claim(json: &Json, name: &'static str) -> Result<i32, TokenError> {
    i32::try_from(whole_claim(json, name)?)
        .ok()
        .filter(|number| *number > 0)
        .ok_or(TokenError::Malformed("a claim that counts is out of range"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn claims() -> Claims {
        Claims {
            iss: "https://gate.example".into(),
            aud: "cathay/sfo-lounge".into(),
            sub: Pseudonym::from_bytes(&[7; 16]),
            jti: "grt_00000000000070008000000000000001".parse().unwrap(),
            iat: 1_700_000_000,
            nbf: 1_700_000_000,
            exp: 1_700_001_800,
            merchant: "cathay".parse().unwrap(),
            perk: "sfo-lounge".parse().unwrap(),
            tier: "standard".into(),
            rule: 1,
            rule_hash: Some("042a2fa690be5b43".into()),
            party: Some(2),
            loc: Some("SFO-A".into()),
            online_only: false,
            override_reason: None,
            is_paid: false,
        }
    }

    #[test]
    fn claims_have_one_text_and_read_back() {
        let text = claims().to_json();
        assert_eq!(
            text,
            "{\"aud\":\"cathay/sfo-lounge\",\"exp\":1700001800,\"iat\":1700000000,\"iss\":\"https://gate.example\",\
             \"jti\":\"grt_00000000000070008000000000000001\",\"loc\":\"SFO-A\",\"merchant\":\"cathay\",\
             \"nbf\":1700000000,\"party\":2,\"perk\":\"sfo-lounge\",\"rule\":1,\"rule_hash\":\"042a2fa690be5b43\",\
             \"sub\":\"sub_07070707070707070707070707070707\",\"tier\":\"standard\"}"
        );
        assert_eq!(Claims::parse(&text), Ok(claims()));
        let bare = Claims { rule_hash: None, party: None, loc: None, ..claims() };
        assert_eq!(Claims::parse(&bare.to_json()), Ok(bare));
        let online = Claims { online_only: true, ..claims() };
        assert!(online.to_json().contains(r#","online_only":true,"#));
        assert_eq!(Claims::parse(&online.to_json()), Ok(online));
        let by_hand = Claims { override_reason: Some("courtesy".into()), ..claims() };
        assert!(by_hand.to_json().contains(r#","override":"courtesy","party":2,"#));
        assert_eq!(Claims::parse(&by_hand.to_json()), Ok(by_hand));
        let all = Claims { online_only: true, is_paid: true, override_reason: Some("a \"word\"\n".into()), ..claims() };
        assert!(all.to_json().contains(r#","online_only":true,"override":"a \"word\"\n","paid":true,"party":2,"#));
        assert_eq!(Claims::parse(&all.to_json()), Ok(all), "it is canonical with every claim, too");
        let newer = text.replace("\"tier\"", "\"tia\":[true],\"tier\"");
        assert_eq!(Claims::parse(&newer), Ok(claims()), "a claim of a later version is passed over");
    }

    #[test]
    fn claims_of_another_form_are_refused() {
        let good = claims().to_json();
        for (from, to) in [
            ("\"rule\":1,", "\"rule\":1,\"rule\":1,"),
            ("\"exp\":1700001800", "\"exp\":1700001800.5"),
            ("\"exp\":1700001800", "\"exp\":1700001800.0"),
            ("\"exp\":1700001800", "\"exp\":1.7e9"),
            ("\"exp\":1700001800", "\"exp\":\"1700001800\""),
            ("\"exp\":1700001800,", ""),
            ("\"nbf\":1700000000,", ""),
            ("\"iat\":1700000000,", ""),
            ("\"aud\":\"cathay/sfo-lounge\"", "\"aud\":[\"cathay/sfo-lounge\"]"),
            ("\"party\":2", "\"party\":0"),
            ("\"rule_hash\":\"042a2fa690be5b43\"", "\"rule_hash\":\"042A2FA690BE5B43\""),
            ("\"rule_hash\":\"042a2fa690be5b43\"", "\"rule_hash\":\"042a2fa690be5b4\""),
            ("\"rule_hash\":\"042a2fa690be5b43\"", "\"rule_hash\":42"),
            ("\"rule\":1,", "\"rule\":-1,"),
            ("\"rule\":1,", "\"rule\":4294967296,"),
            ("grt_", "chk_"),
            ("\"merchant\":\"cathay\"", "\"merchant\":\"Cathay\""),
            ("\"rule\":1,", "\"rule\": 1,"),
            ("\"tier\":\"standard\"", "\"tier\":\"\""),
            ("\"party\":2", "\"online_only\":1,\"party\":2"),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(matches!(Claims::parse(&good.replace(from, to)), Err(TokenError::Malformed(_))), "{to}");
        }
        for bad in ["", "null", "[]", "{}", "{", &format!("{good} ")] {
            assert!(matches!(Claims::parse(bad), Err(TokenError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn a_token_is_good_from_nbf_to_exp_give_or_take_30_seconds() {
        let at = |second| claims().check_time(Timestamp::from_second(second).unwrap());
        assert_eq!(at(1_699_999_969), Err(TokenError::NotYetValid));
        assert_eq!(at(1_699_999_970), Ok(()));
        assert_eq!(at(1_700_001_829), Ok(()));
        assert_eq!(at(1_700_001_830), Err(TokenError::Expired));
        let issued_later = Claims { iat: 1_700_000_100, ..claims() };
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(issued_later.check_time(now), Err(TokenError::NotYetValid));
        let starts_later = Claims { nbf: 1_700_000_100, ..claims() };
        assert_eq!(starts_later.check_time(now), Err(TokenError::NotYetValid));
    }

    #[test]
    fn a_token_opens_its_own_door_only() {
        assert_eq!(claims().check_audience("cathay/sfo-lounge"), Ok(()));
        for other in ["", "sfo-lounge", "cathay", "cathay/sfo-lounge2", "american/sfo-lounge", "Cathay/sfo-lounge"] {
            assert_eq!(claims().check_audience(other), Err(TokenError::WrongAudience), "{other}");
        }
    }
}
